// Products over named axes: tract_core_einsum with any number of operands, and tract's older matmul with its
// six axes.
//
// Operands are contracted pairwise from the left; what two of them share is a batch, a sum or stays, so that
// each step is a batched matrix product. Floats are carried in double and rounded once at the end, integers
// wrap in 64 bits.
#include <algorithm>
#include <map>
#include <string>

#include "engine/ops/complex_items.h"
#include "engine/ops/items.h"
#include "engine/ops/products.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

using Labels = std::u32string;

struct Expression {
  std::vector<Labels> operands;
  Labels result;
};

std::string text_of(char32_t label) {
  std::string out;
  if (label < 0x80) {
    out += static_cast<char>(label);
  } else if (label < 0x800) {
    out += static_cast<char>(0xC0 | (label >> 6));
    out += static_cast<char>(0x80 | (label & 0x3F));
  } else if (label < 0x10000) {
    out += static_cast<char>(0xE0 | (label >> 12));
    out += static_cast<char>(0x80 | ((label >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (label & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (label >> 18));
    out += static_cast<char>(0x80 | ((label >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((label >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (label & 0x3F));
  }
  return out;
}

// UTF-8 to characters; U+FFFD for what is none.
Labels characters_of(const std::string& text) {
  Labels out;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    const int more = lead < 0x80 ? 0 : lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : -1;
    char32_t value = more < 0 ? 0xFFFD : more == 0 ? lead : lead & (0x3F >> more);
    for (int k = 0; k < more; ++k) {
      if (i >= text.size() || (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) {
        value = 0xFFFD;
        break;
      }
      value = (value << 6) | (static_cast<unsigned char>(text[i++]) & 0x3F);
    }
    out += value;
  }
  return out;
}

bool is_label(char32_t ch) {
  if (ch < 0x80)
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '_';
  return ch != 0xFFFD;
}

Expression parse(const NodeReader& c, const std::string& text) {
  const auto refuse = [&](const std::string& why) {
    return c.fail("einsum-expression", prefix_of(c) + "cannot read `" + text + "`: " + why);
  };
  Expression out;
  out.operands.emplace_back();
  bool right = false;
  const Labels characters = characters_of(text);
  for (size_t i = 0; i < characters.size(); ++i) {
    const char32_t ch = characters[i];
    if (ch == ' ' || ch == '\t' || ch == '\n') continue;
    if (ch == '-' && i + 1 < characters.size() && characters[i + 1] == '>' && !right) {
      right = true;
      ++i;
    } else if (ch == ',' && !right) {
      out.operands.emplace_back();
    } else if (is_label(ch)) {
      if (right && out.result.find(ch) != Labels::npos)
        throw refuse("axis " + text_of(ch) + " is twice in the result");
      (right ? out.result : out.operands.back()) += ch;
    } else if (ch == '.') {
      throw refuse("`...` is not supported; name the axes");
    } else {
      throw refuse("unexpected `" + text_of(ch) + "`");
    }
  }
  std::map<char32_t, int> uses;
  for (const Labels& operand : out.operands) {
    for (const char32_t label : operand) ++uses[label];
  }
  for (const char32_t label : out.result) {
    if (uses.count(label) == 0) throw refuse("axis " + text_of(label) + " of the result is in no operand");
  }
  for (const auto& use : uses) {
    if (!right && use.second == 1) out.result += use.first;
  }
  return out;
}

// --- inference ---

std::vector<Fact> result_fact(InferContext& c, const Expression& e, const std::vector<const Fact*>& facts,
                              DataType type) {
  if (facts.size() != e.operands.size()) {
    throw c.fail("einsum-expression", prefix_of(c) + "the expression has " +
                                          std::to_string(e.operands.size()) + " operands, but " +
                                          std::to_string(facts.size()) + " are given");
  }
  std::map<char32_t, Dim> extents;
  for (size_t i = 0; i < facts.size(); ++i) {
    const Labels& labels = e.operands[i];
    if (static_cast<int>(labels.size()) != facts[i]->rank()) {
      throw c.fail("rank-mismatch", prefix_of(c) + "operand " + std::to_string(i) + " has shape " +
                                        to_string(facts[i]->shape) + ", but " +
                                        std::to_string(labels.size()) + " axes are named");
    }
    for (size_t axis = 0; axis < labels.size(); ++axis) {
      const Dim& extent = facts[i]->shape[axis];
      const auto [it, fresh] = extents.emplace(labels[axis], extent);
      if (fresh || extent.is(1)) continue;
      const auto agreed = it->second.is(1) ? std::optional<Dim>(extent) : agreed_extent(it->second, extent);
      if (!agreed) {
        throw c.fail("shape-mismatch", prefix_of(c) + "axis " + text_of(labels[axis]) + " has extents " +
                                           it->second.to_string() + " and " + extent.to_string());
      }
      it->second = *agreed;
    }
  }
  DimShape shape;
  for (const char32_t label : e.result) shape.push_back(extents.at(label));
  return {fact_of(type, std::move(shape))};
}

DataType accumulator_of(const NodeReader& c) {
  const auto type = data_type_from_name(c.string("acc"));
  if (!type || (!is_float(*type) && !is_integer(*type) && !is_complex(*type) && *type != DataType::dim)) {
    throw c.fail("unknown-dtype",
                 prefix_of(c) + "`acc` is '" + c.string("acc") + "', but a number type is expected");
  }
  return *type == DataType::dim ? DataType::i64 : *type;
}

std::vector<Fact> infer_einsum(InferContext& c) {
  const auto facts = c.inputs_of("inputs");
  require_plain(c, facts);
  const DataType type = accumulator_of(c);
  for (const Fact* fact : facts) {
    if (fact->dtype == DataType::string || (is_complex(fact->dtype) && !is_complex(type))) {
      throw c.fail("dtype-unsupported", prefix_of(c) + "operands of type " +
                                            std::string(name_of(fact->dtype)) + " are not multiplied as " +
                                            std::string(name_of(type)));
    }
  }
  return result_fact(c, parse(c, c.string("expr")), facts, type);
}

// --- evaluation ---

// A dense array with a name for each axis; every name once.
template <class N>
struct Named {
  Labels labels;
  Shape shape;
  std::vector<N> items;
};

int64_t volume(const Shape& shape) { return volume_of(shape); }

// The items read with `strides` over `shape`.
template <class N>
std::vector<N> gathered(const std::vector<N>& items, const Shape& shape,
                        const std::vector<int64_t>& strides) {
  std::vector<N> out;
  out.reserve(static_cast<size_t>(volume(shape)));
  for (Odometer<1> o(shape, {strides}); o.more(); o.next())
    out.push_back(items[static_cast<size_t>(o.offset(0))]);
  return out;
}

// Takes diagonals of repeated labels, and drops axes of extent 1 that are longer elsewhere.
template <class N>
Named<N> named(const NodeReader& c, const Labels& labels, const Shape& shape, std::vector<N> items,
               const std::map<char32_t, int64_t>& extents) {
  Named<N> out;
  const auto strides = strides_of(shape);
  std::vector<int64_t> steps;
  for (size_t axis = 0; axis < labels.size(); ++axis) {
    if (shape[axis] == 1 && extents.at(labels[axis]) != 1) continue;
    if (shape[axis] != extents.at(labels[axis])) {
      throw c.fail("shape-mismatch", prefix_of(c) + "axis " + text_of(labels[axis]) + " has extents " +
                                         std::to_string(extents.at(labels[axis])) + " and " +
                                         std::to_string(shape[axis]));
    }
    const size_t known = out.labels.find(labels[axis]);
    if (known != Labels::npos) {
      steps[known] += strides[axis];
    } else {
      out.labels += labels[axis];
      out.shape.push_back(shape[axis]);
      steps.push_back(strides[axis]);
    }
  }
  out.items = gathered(items, out.shape, steps);
  return out;
}

// The array with its axes in the order of `labels`, which are all of its own.
template <class N>
Named<N> ordered(const Named<N>& value, const Labels& labels) {
  if (value.labels == labels) return value;
  const auto strides = strides_of(value.shape);
  Named<N> out{labels, {}, {}};
  std::vector<int64_t> steps;
  for (const char32_t label : labels) {
    const size_t axis = value.labels.find(label);
    out.shape.push_back(value.shape[axis]);
    steps.push_back(strides[axis]);
  }
  out.items = gathered(value.items, out.shape, steps);
  return out;
}

// Sums over the axes that are not in `kept`.
template <class N>
Named<N> summed(const Named<N>& value, const Labels& kept) {
  Labels staying, going;
  for (const char32_t label : value.labels) (kept.find(label) != Labels::npos ? staying : going) += label;
  if (going.empty()) return value;
  Named<N> sorted = ordered(value, staying + going);
  const auto split = sorted.shape.begin() + static_cast<std::ptrdiff_t>(staying.size());
  const int64_t count = volume(Shape(split, sorted.shape.end()));
  Named<N> out{staying, Shape(sorted.shape.begin(), split), {}};
  out.items.assign(static_cast<size_t>(volume(out.shape)), N(0));
  for (size_t i = 0; i < out.items.size(); ++i) {
    for (int64_t k = 0; k < count; ++k)
      out.items[i] += sorted.items[i * static_cast<size_t>(count) + static_cast<size_t>(k)];
  }
  return out;
}

void multiply(const double* a, const double* b, double* out, int64_t m, int64_t k, int64_t n) {
  matrix_product(a, b, out, m, k, n);
}
template <class N>
void multiply(const N* a, const N* b, N* out, int64_t m, int64_t k, int64_t n) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < n; ++j) out[i * n + j] += a[i * k + p] * b[p * n + j];
    }
  }
}

// The product of two arrays, summed over the shared axes that are not in `kept`.
template <class N>
Named<N> contracted(const Named<N>& left, const Named<N>& right, const Labels& kept) {
  const Named<N> a = summed(left, kept + right.labels), b = summed(right, kept + left.labels);
  Labels batch, m, n, k;
  for (const char32_t label : a.labels) {
    const bool shared = b.labels.find(label) != Labels::npos;
    (!shared ? m : kept.find(label) != Labels::npos ? batch : k) += label;
  }
  for (const char32_t label : b.labels) {
    if (a.labels.find(label) == Labels::npos) n += label;
  }
  const Named<N> x = ordered(a, batch + m + k), y = ordered(b, batch + k + n);
  Shape sizes[4];  // batch, m, k, n
  for (size_t i = 0; i < x.labels.size(); ++i) {
    sizes[i < batch.size() ? 0 : i < batch.size() + m.size() ? 1 : 2].push_back(x.shape[i]);
  }
  for (size_t i = batch.size() + k.size(); i < y.labels.size(); ++i) sizes[3].push_back(y.shape[i]);
  const int64_t rows = volume(sizes[1]), inner = volume(sizes[2]), columns = volume(sizes[3]);
  Named<N> out{batch + m + n, sizes[0], {}};
  out.shape.insert(out.shape.end(), sizes[1].begin(), sizes[1].end());
  out.shape.insert(out.shape.end(), sizes[3].begin(), sizes[3].end());
  out.items.assign(static_cast<size_t>(volume(out.shape)), N(0));
  for (int64_t i = 0; i < volume(sizes[0]); ++i) {
    multiply(x.items.data() + i * rows * inner, y.items.data() + i * inner * columns,
             out.items.data() + i * rows * columns, rows, inner, columns);
  }
  return out;
}

std::vector<double> numbers_of(const Tensor& value, double) { return as_doubles(value); }
std::vector<Complex> numbers_of(const Tensor& value, Complex) { return as_complex(value); }
std::vector<uint64_t> numbers_of(const Tensor& value, uint64_t) {
  std::vector<uint64_t> out;
  for (int64_t i = 0; i < value.size(); ++i) out.push_back(static_cast<uint64_t>(value.as_int(i)));
  return out;
}

template <class N>
Tensor contract_all(const NodeReader& c, const Expression& e, const std::vector<Tensor>& values) {
  std::map<char32_t, int64_t> extents;
  for (size_t i = 0; i < values.size(); ++i) {
    for (size_t axis = 0; axis < e.operands[i].size(); ++axis) {
      const auto [it, fresh] = extents.emplace(e.operands[i][axis], values[i].shape()[axis]);
      if (!fresh && it->second == 1) it->second = values[i].shape()[axis];
    }
  }
  const auto operand = [&](size_t i) {
    return named(c, e.operands[i], values[i].shape(), numbers_of(values[i], N(0)), extents);
  };
  Named<N> product = operand(0);
  for (size_t i = 1; i < values.size(); ++i) {
    Labels needed = e.result;
    for (size_t later = i + 1; later < values.size(); ++later) needed += e.operands[later];
    product = contracted(product, operand(i), needed);
  }
  product = summed(product, e.result);
  product = ordered(product, e.result);
  if constexpr (std::is_same_v<N, Complex>)
    return of_complex(product.shape, product.items, DataType::complex128);
  else
    return Tensor::of<N>(product.shape, product.items);
}

Tensor contract(const NodeReader& c, const Expression& e, std::vector<Tensor> values, DataType type) {
  for (Tensor& value : values) value = cast_items(dequantized(value), type);
  return cast_items(is_float(type)     ? contract_all<double>(c, e, values)
                    : is_complex(type) ? contract_all<Complex>(c, e, values)
                                       : contract_all<uint64_t>(c, e, values),
                    type);
}

std::vector<Tensor> eval_einsum(EvalContext& c) {
  return {contract(c, parse(c, c.string("expr")), c.inputs_of("inputs"), c.output_fact().dtype)};
}

// --- tract_core_matmul: axes = [a_m, a_k, b_k, b_n, c_m, c_n], the others are matched in order ---

Expression legacy_expression(const NodeReader& c, int rank_a, int rank_b) {
  const auto axes = c.integers("axes");
  if (axes.size() != 6) {
    throw c.fail("attribute-length",
                 prefix_of(c) + "`axes` has " + std::to_string(axes.size()) + " items, but 6 are expected");
  }
  if (rank_a != rank_b || rank_a < 2) {
    throw c.fail("rank-mismatch", prefix_of(c) + "ranks are " + std::to_string(rank_a) + " and " +
                                      std::to_string(rank_b) + ", but equal ranks of 2 or more are expected");
  }
  const auto labels = [&](int64_t first, char32_t first_label, int64_t second, char32_t second_label) {
    checked_axes(c, {first, second}, rank_a);
    Labels out;
    char32_t batch = 'A';
    for (int64_t axis = 0; axis < rank_a; ++axis) {
      out += axis == first ? first_label : axis == second ? second_label : batch++;
    }
    return out;
  };
  return {{labels(axes[0], 'm', axes[1], 'k'), labels(axes[2], 'k', axes[3], 'n')},
          labels(axes[4], 'm', axes[5], 'n')};
}

std::vector<Fact> infer_legacy(InferContext& c) {
  const Fact &a = c.input("A"), &b = c.input("B");
  require_plain(c, {&a, &b});
  const auto eight_bits = [](DataType t) { return t == DataType::i8 || t == DataType::u8; };
  const bool codes = eight_bits(a.dtype) && eight_bits(b.dtype);
  if (!codes) require_same_types(c, {&a, &b});
  if (!is_float(a.dtype) && !is_integer(a.dtype) && !is_complex(a.dtype)) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "matrices of type " + std::string(name_of(a.dtype)) + " are not multiplied");
  }
  return result_fact(c, legacy_expression(c, a.rank(), b.rank()), {&a, &b}, codes ? DataType::i32 : a.dtype);
}

std::vector<Tensor> eval_legacy(EvalContext& c) {
  const Tensor &a = c.input("A"), &b = c.input("B");
  return {contract(c, legacy_expression(c, a.rank(), b.rank()), {a, b}, c.output_fact().dtype)};
}

constexpr OpDef kRows[] = {
    {.name = "tract_core_einsum", .infer = infer_einsum, .eval = eval_einsum, .types = kNumbers | kComplex},
    {.name = "tract_core_matmul", .infer = infer_legacy, .eval = eval_legacy, .types = kNumbers | kComplex},
};

}  // namespace

std::span<const OpDef> einsum_rows() { return kRows; }

}  // namespace nnefrun
