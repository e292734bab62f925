// Weights in groups: arithmetic on constant codes, however it is spelled, becomes one operator that keeps
// them.
//
// Each rule takes one step: the first makes nnefrun_dequantize_groups of what turns codes into reals (a cast,
// a look-up in a book), the others take the operation that follows into its scale and its offset.
#include <algorithm>
#include <cmath>

#include "engine/rewrites/groups.h"

namespace nnefrun {
namespace {

constexpr std::string_view kOp = "nnefrun_dequantize_groups";

// A parameter of groups: as many axes as the codes, its extents divide theirs.
struct Parameter {
  Shape shape;
  std::vector<double> values;
  bool is_number() const { return values.size() == 1; }
};

// book[codes] * scale + offset.
struct Groups {
  Tensor codes, book;
  std::string label;
  Parameter scale, offset;
};

Parameter number(size_t rank, double value) { return {Shape(rank, 1), {value}}; }

// One offset for all codes goes into the book, where that is exact.
void take_into_book(Groups& g) {
  if (!g.scale.is_number() || !g.offset.is_number() || g.offset.values[0] == 0) return;
  const double shift = g.offset.values[0] / g.scale.values[0];
  if (!std::isfinite(shift) || shift * g.scale.values[0] != g.offset.values[0]) return;
  std::vector<double> entries = items_of(g.book);
  for (double& entry : entries) {
    entry += shift;
    if (static_cast<double>(static_cast<float>(entry)) != entry) return;
  }
  g.book = *rounded(g.book.shape(), entries);
  g.offset.values[0] = 0;
}

std::optional<Patch> patch_of(Groups g, const Node& node) {
  take_into_book(g);
  const auto scale = rounded(g.scale.shape, g.scale.values),
             offset = rounded(g.offset.shape, g.offset.values);
  if (!scale || !offset) return std::nullopt;
  if (std::max(scale->size(), offset->size()) > std::max<int64_t>(1, g.codes.size() / kLeastGroup))
    return std::nullopt;
  const std::string& name = node.result_names[0];
  Patch patch;
  std::vector<PatchWire> inputs{patch.constant(g.codes, g.label), patch.constant(g.book, name + "_book"),
                                patch.constant(*scale, name + "_scale")};
  if (std::any_of(g.offset.values.begin(), g.offset.values.end(), [](double v) { return v != 0; }))
    inputs.push_back(patch.constant(*offset, name + "_offset"));
  const uint32_t has_offset = inputs.size() > 3 ? 1 : 0;
  patch.results = {patch.add(std::string(kOp), std::move(inputs), {}, {}, {1, 1, 1, has_offset})};
  return patch;
}

Parameter parameter_of(const Tensor& tensor) { return {tensor.shape(), items_of(tensor)}; }

std::optional<Groups> groups_behind(const RewriteContext& c, Outlet outlet) {
  const Node* node = c.producer(outlet, kOp);
  if (node == nullptr) return std::nullopt;
  for (const Outlet& input : node->inputs) {
    if (c.constant(input) == nullptr) return std::nullopt;
  }
  Groups g;
  g.codes = *c.constant(node->inputs[0]);
  g.label = c.graph.name_of(node->inputs[0]);
  g.book = *c.constant(node->inputs[1]);
  g.scale = parameter_of(*c.constant(node->inputs[2]));
  g.offset = node->inputs.size() > 3 ? parameter_of(*c.constant(node->inputs[3]))
                                     : number(static_cast<size_t>(g.codes.rank()), 0);
  return g;
}

// What each code stands for, when all codes have one scale and one offset.
std::optional<std::vector<double>> numbers_of(const Groups& g) {
  if (!g.scale.is_number() || !g.offset.is_number()) return std::nullopt;
  std::vector<double> out = items_of(g.book);
  for (double& v : out) v = v * g.scale.values[0] + g.offset.values[0];
  return out;
}

// ---- what begins ----

// Integers that fit in 8 bits, as u8 from 0 on, and what a 0 stands for.
struct Codes {
  Tensor codes;
  int64_t lowest = 0;
  int bits = 8;
};

std::optional<Codes> codes_of(const Tensor& tensor) {
  if (!is_integer(tensor.dtype()) || tensor.size() < kLeastCodes || tensor.rank() < 1) return std::nullopt;
  int64_t low = 0, high = 0;
  const auto widen = [&](int64_t v) {
    low = std::min(low, v);
    high = std::max(high, v);
  };
  if (tensor.dtype() == DataType::u8) {
    for (const uint8_t v : tensor.items<uint8_t>()) widen(v);
  } else if (tensor.dtype() == DataType::i8) {
    for (const int8_t v : tensor.items<int8_t>()) widen(v);
  } else {
    for (int64_t i = 0; i < tensor.size() && low >= -128 && high <= 255; ++i) widen(tensor.as_int(i));
  }
  if (low < -128 || high > 255 || (low < 0 && high > 127)) return std::nullopt;
  Codes out;
  for (const int bits : {8, 4, 3, 2}) {
    const int64_t half = int64_t{1} << (bits - 1);
    const bool fits = low < 0 ? low >= -half && high < half : high < 2 * half;
    if (!fits) break;
    out.bits = bits;
    out.lowest = low < 0 ? -half : 0;
  }
  if (tensor.dtype() == DataType::u8) {
    out.codes = tensor;
    return out;
  }
  out.codes = Tensor::uninitialized(DataType::u8, tensor.shape());
  auto* to = out.codes.mutable_data<uint8_t>();
  for (int64_t i = 0; i < tensor.size(); ++i) to[i] = static_cast<uint8_t>(tensor.as_int(i) - out.lowest);
  return out;
}

// The integers behind a wire: a constant, perhaps widened, or what integer arithmetic makes of constants.
std::optional<Tensor> integers_behind(const RewriteContext& c, Outlet outlet, std::string* label) {
  const auto shape = c.fact(outlet).static_shape();
  if (!shape || volume_of(*shape) < kLeastCodes) return std::nullopt;
  const Node* cast = nullptr;
  while ((cast = c.producer(outlet, "tract_core_cast")) != nullptr && !c.fact(outlet).quant) {
    const Fact &to = c.fact(outlet), &from = c.fact(cast->inputs[0]);
    const CodeRange range = code_range(from.dtype);
    const bool widens = is_integer(from.dtype) && range.high != 0 && !from.quant && holds(to.dtype, range);
    if (!widens) break;
    outlet = cast->inputs[0];
  }
  *label = c.graph.name_of(outlet);
  int nodes = kMostOperations;
  return constant_value(c, outlet, true, nodes);
}

// Codes as numbers.
std::optional<Patch> of_cast(const RewriteContext& c) {
  const Node& node = c.node();
  if (!is_plain_f32(node.facts[0])) return std::nullopt;
  Groups g;
  const auto tensor = integers_behind(c, node.inputs[0], &g.label);
  const auto codes = tensor ? codes_of(*tensor) : std::nullopt;
  if (!codes) return std::nullopt;
  const int count = 1 << codes->bits;
  std::vector<float> book;
  for (int i = 0; i < count; ++i) book.push_back(static_cast<float>(i + codes->lowest));
  g.codes = codes->codes;
  g.book = Tensor::of<float>({count}, book);
  const auto rank = static_cast<size_t>(g.codes.rank());
  g.scale = number(rank, 1);
  g.offset = number(rank, 0);
  return patch_of(g, node);
}

// What codes of groups stand for, as integers from 0 on; nullopt when one of them is none.
std::optional<Codes> codes_of_groups(const Groups& g) {
  const auto numbers = numbers_of(g);
  if (!numbers) return std::nullopt;
  Codes out;
  out.codes = Tensor::uninitialized(DataType::u8, g.codes.shape());
  auto* to = out.codes.mutable_data<uint8_t>();
  for (const uint8_t code : g.codes.items<uint8_t>()) {
    const double number = (*numbers)[code];
    if (!(number >= 0 && number <= 255) || number != std::floor(number)) return std::nullopt;
    *to++ = static_cast<uint8_t>(number);
  }
  return codes_of(out.codes);
}

// gather(book, codes).
std::optional<Patch> of_gather(const RewriteContext& c) {
  const Node& node = c.node();
  const Tensor* book = c.constant(node.inputs[0]);
  if (book == nullptr || !is_plain_f32(c.fact(node.inputs[0])) || book->rank() != 1 || book->size() > 256 ||
      !is_plain_f32(node.facts[0]))
    return std::nullopt;
  Groups g;
  const Node* cast = c.producer(node.inputs[1], "tract_core_cast");
  const auto of_groups = cast == nullptr ? std::nullopt : groups_behind(c, cast->inputs[0]);
  std::optional<Codes> codes;
  if (of_groups) {
    g.label = of_groups->label;
    codes = codes_of_groups(*of_groups);
  } else if (const auto tensor = integers_behind(c, node.inputs[1], &g.label)) {
    codes = codes_of(*tensor);
  }
  if (!codes || codes->lowest != 0) return std::nullopt;
  // No code may be past the end of the book, which is filled up to one of 4, 8, 16 or 256.
  for (const uint8_t code : codes->codes.items<uint8_t>()) {
    if (code >= book->size()) return std::nullopt;
  }
  std::vector<float> entries(static_cast<size_t>(int64_t{1} << codes->bits), 0.0F);
  for (size_t i = 0; i < entries.size() && i < static_cast<size_t>(book->size()); ++i) {
    entries[i] = book->data<float>()[i];
    if (!std::isfinite(entries[i])) return std::nullopt;
  }
  g.codes = codes->codes;
  g.book = Tensor::of<float>({static_cast<int64_t>(entries.size())}, entries);
  const auto rank = static_cast<size_t>(g.codes.rank());
  g.scale = number(rank, 1);
  g.offset = number(rank, 0);
  return patch_of(g, node);
}

// ---- arithmetic ----

// f(a, b) over the groups of both; nullopt where neither's cut of an axis is finer than the other's.
template <class F>
std::optional<Parameter> combined(const Parameter& a, const Parameter& b, const F& f) {
  Parameter out;
  for (size_t i = 0; i < a.shape.size(); ++i) {
    const int64_t more = std::max(a.shape[i], b.shape[i]), less = std::min(a.shape[i], b.shape[i]);
    if (less == 0 || more % less != 0) return std::nullopt;
    out.shape.push_back(more);
  }
  std::vector<int64_t> index(out.shape.size(), 0);
  const int64_t items = volume_of(out.shape);
  for (int64_t n = 0; n < items; ++n) {
    size_t at_a = 0, at_b = 0;
    for (size_t i = 0; i < index.size(); ++i) {
      const auto place = [&](const Parameter& p) { return index[i] / (out.shape[i] / p.shape[i]); };
      at_a = at_a * static_cast<size_t>(a.shape[i]) + static_cast<size_t>(place(a));
      at_b = at_b * static_cast<size_t>(b.shape[i]) + static_cast<size_t>(place(b));
    }
    out.values.push_back(f(a.values[at_a], b.values[at_b]));
    for (size_t i = index.size(); i-- > 0;) {
      if (++index[i] < out.shape[i]) break;
      index[i] = 0;
    }
  }
  return out;
}

// A node of groups and of something that is constant, and has but few items.
struct GroupsOperand {
  Groups groups;
  Tensor value;
  bool is_first = false;  // the value is the first operand
};
std::optional<GroupsOperand> groups_operand(const RewriteContext& c) {
  const Node& node = c.node();
  for (const size_t side : {0U, 1U}) {
    const Outlet other = node.inputs[1 - side];
    if (!is_plain_f32(c.fact(other)) || !c.fact(node.inputs[side]).same_type(node.facts[0])) continue;
    auto g = groups_behind(c, node.inputs[side]);
    const auto shape = g ? c.fact(other).static_shape() : std::nullopt;
    if (!shape || shape->size() > static_cast<size_t>(g->codes.rank()) ||
        volume_of(*shape) > std::max<int64_t>(1, g->codes.size() / kLeastGroup))
      continue;
    int nodes = kMostOperations;
    auto value = constant_value(c, other, false, nodes);
    if (value) return GroupsOperand{std::move(*g), std::move(*value), side == 1};
  }
  return std::nullopt;
}

std::optional<Patch> with_constant(const RewriteContext& c) {
  const Node& node = c.node();
  if (!is_plain_f32(node.facts[0])) return std::nullopt;
  const auto operand = groups_operand(c);
  if (!operand) return std::nullopt;
  Groups g = operand->groups;
  Parameter value = parameter_of(operand->value);
  value.shape.resize(static_cast<size_t>(g.codes.rank()), 1);
  const auto into = [&](Parameter& p, const auto& f) {
    auto done = combined(p, value, f);
    if (done) p = std::move(*done);
    return done.has_value();
  };
  const std::string_view op = node.op->name;
  bool done = false;
  if (op == "add") {
    done = into(g.offset, [](double a, double b) { return a + b; });
  } else if (op == "sub" && !operand->is_first) {
    done = into(g.offset, [](double a, double b) { return a - b; });
  } else if (op == "sub") {
    for (double& v : g.scale.values) v = -v;
    done = into(g.offset, [](double a, double b) { return b - a; });
  } else if (op == "mul") {
    const auto times = [](double a, double b) { return a * b; };
    done = into(g.scale, times) && into(g.offset, times);
  } else if (op == "div" && !operand->is_first) {
    const auto over = [](double a, double b) { return a / b; };
    done = into(g.scale, over) && into(g.offset, over);
  }
  return done ? patch_of(g, node) : std::nullopt;
}

// ---- moves ----

// A parameter when the codes get another shape; nullopt when its groups are not in one piece any more.
std::optional<Parameter> reshaped(const Parameter& p, const Shape& from, const Shape& to) {
  Parameter out = p;
  out.shape.clear();
  size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    // the axes [begin_i, i) of the old shape hold the same items as [begin_j, j) of the new one
    const size_t begin_i = i, begin_j = j;
    int64_t old_items = 1, new_items = 1;
    do {
      if (i < from.size() && (old_items <= new_items || j == to.size())) {
        old_items *= from[i++];
      } else if (j < to.size()) {
        new_items *= to[j++];
      } else {
        return std::nullopt;
      }
    } while (old_items != new_items || old_items == 0);
    // joined: groups of the joined axis
    int64_t groups = 1;
    bool cut = false;  // behind an axis whose groups hold several items, no axis is cut
    for (size_t a = begin_i; a < i; ++a) {
      if (p.shape[a] > 1 && cut) return std::nullopt;
      groups *= p.shape[a];
      cut = cut || p.shape[a] < from[a];
    }
    // split: the outer axes take the groups
    for (size_t a = begin_j; a < j; ++a) {
      int64_t here = std::min(groups, to[a]);
      if (groups % here != 0 || to[a] % here != 0 || (here < to[a] && groups > here)) return std::nullopt;
      out.shape.push_back(here);
      groups /= here;
    }
    if (groups != 1) return std::nullopt;
  }
  return out;
}

std::optional<Patch> with_shape(const RewriteContext& c) {
  const Node& node = c.node();
  const auto shape = node.facts[0].static_shape();
  auto g = groups_behind(c, node.inputs[0]);
  if (!g || !shape || g->codes.size() == 0) return std::nullopt;
  const auto scale = reshaped(g->scale, g->codes.shape(), *shape);
  const auto offset = reshaped(g->offset, g->codes.shape(), *shape);
  if (!scale || !offset) return std::nullopt;
  g->codes = g->codes.reshaped(*shape);
  g->scale = *scale;
  g->offset = *offset;
  return patch_of(*g, node);
}

// Items in another order of axes.
template <class T>
void permute(const T* from, const Shape& shape, const std::vector<int64_t>& axes, T* to) {
  const size_t rank = shape.size();
  std::vector<int64_t> strides(rank, 1), out_strides(rank), extents(rank), index(rank, 0);
  for (size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  for (size_t i = 0; i < rank; ++i) {
    out_strides[i] = strides[static_cast<size_t>(axes[i])];
    extents[i] = shape[static_cast<size_t>(axes[i])];
  }
  int64_t at = 0;
  for (int64_t n = volume_of(shape); n > 0; --n) {
    *to++ = from[at];
    for (size_t i = rank; i-- > 0;) {
      at += out_strides[i];
      if (++index[i] < extents[i]) break;
      at -= out_strides[i] * extents[i];
      index[i] = 0;
    }
  }
}
Shape permuted(const Shape& shape, const std::vector<int64_t>& axes) {
  Shape out;
  for (const int64_t axis : axes) out.push_back(shape[static_cast<size_t>(axis)]);
  return out;
}
Parameter permuted(const Parameter& p, const std::vector<int64_t>& axes) {
  Parameter out{permuted(p.shape, axes), std::vector<double>(p.values.size())};
  permute(p.values.data(), p.shape, axes, out.values.data());
  return out;
}

std::optional<Patch> with_transpose(const RewriteContext& c) {
  const Node& node = c.node();
  auto g = groups_behind(c, node.inputs[0]);
  if (!g) return std::nullopt;
  const std::vector<int64_t> axes = permutation_of(c, node);
  Tensor codes = Tensor::uninitialized(DataType::u8, permuted(g->codes.shape(), axes));
  permute(g->codes.data<uint8_t>(), g->codes.shape(), axes, codes.mutable_data<uint8_t>());
  g->codes = std::move(codes);
  g->scale = permuted(g->scale, axes);
  g->offset = permuted(g->offset, axes);
  return patch_of(*g, node);
}

// ---- several codes in a byte ----

// The same codes that stand for other numbers; these are f32 exactly.
std::optional<Patch> with_numbers(Groups g, const std::vector<double>& numbers, const Node& node) {
  for (const double v : numbers) {
    if (!std::isfinite(v) || static_cast<double>(static_cast<float>(v)) != v) return std::nullopt;
  }
  const auto rank = static_cast<size_t>(g.codes.rank());
  g.book = *rounded(g.book.shape(), numbers);
  g.scale = number(rank, 1);
  g.offset = number(rank, 0);
  return patch_of(std::move(g), node);
}

std::optional<Patch> of_floor(const RewriteContext& c) {
  const auto g = groups_behind(c, c.node().inputs[0]);
  auto numbers = g ? numbers_of(*g) : std::nullopt;
  if (!numbers) return std::nullopt;
  for (double& v : *numbers) v = std::floor(v);
  return with_numbers(*g, *numbers, c.node());
}

// a - b of the same codes: what is left of a byte without its upper half.
std::optional<Patch> of_difference(const RewriteContext& c) {
  const Node& node = c.node();
  const auto a = groups_behind(c, node.inputs[0]), b = groups_behind(c, node.inputs[1]);
  if (!a || !b || !a->codes.identical(b->codes) || a->book.size() != b->book.size()) return std::nullopt;
  auto numbers = numbers_of(*a);
  const auto less = numbers_of(*b);
  if (!numbers || !less) return std::nullopt;
  for (size_t i = 0; i < numbers->size(); ++i) (*numbers)[i] -= (*less)[i];
  return with_numbers(*a, *numbers, node);
}

// Parts that have few numbers between them get codes of few bits.
std::optional<Patch> of_concat(const RewriteContext& c) {
  const Node& node = c.node();
  const int64_t given = c.read(node).integer("axis");
  const auto axis = static_cast<size_t>(given < 0 ? given + node.facts[0].rank() : given);
  const auto shape = node.facts[0].static_shape();
  if (!shape) return std::nullopt;
  std::vector<Groups> parts;
  std::vector<std::vector<double>> numbers;
  std::vector<double> all;
  for (const Outlet& input : node.inputs) {
    auto g = groups_behind(c, input);
    const auto own = g ? numbers_of(*g) : std::nullopt;
    if (!own) return std::nullopt;
    all.insert(all.end(), own->begin(), own->end());
    parts.push_back(std::move(*g));
    numbers.push_back(*own);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (parts.empty() || all.size() > 256) return std::nullopt;
  Groups joined;
  joined.label = parts[0].label;
  joined.codes = Tensor::uninitialized(DataType::u8, *shape);
  auto* to = joined.codes.mutable_data<uint8_t>();
  int64_t inner = 1, outer = 1;
  for (size_t i = 0; i < shape->size(); ++i) (i < axis ? outer : inner) *= i == axis ? 1 : (*shape)[i];
  std::vector<std::vector<uint8_t>> maps;
  for (const std::vector<double>& own : numbers) {
    std::vector<uint8_t> map;
    for (const double v : own)
      map.push_back(static_cast<uint8_t>(std::lower_bound(all.begin(), all.end(), v) - all.begin()));
    maps.push_back(std::move(map));
  }
  for (int64_t o = 0; o < outer; ++o) {
    for (size_t p = 0; p < parts.size(); ++p) {
      const int64_t run = parts[p].codes.dim(static_cast<int>(axis)) * inner;
      const uint8_t* from = parts[p].codes.data<uint8_t>() + o * run;
      for (int64_t i = 0; i < run; ++i) *to++ = maps[p][from[i]];
    }
  }
  int bits = 2;
  while (bits < 8 && (size_t{1} << bits) < all.size()) bits = bits == 4 ? 8 : bits + 1;
  all.resize(size_t{1} << bits, 0.0);
  joined.book = Tensor::zeros(DataType::f32, {static_cast<int64_t>(all.size())});
  return with_numbers(std::move(joined), all, node);
}

// stack = concat of parts with one axis more.
std::optional<Patch> of_stack(const RewriteContext& c) {
  const Node& node = c.node();
  const int64_t given = c.read(node).integer("axis");
  const int64_t axis = given < 0 ? given + node.facts[0].rank() : given;
  Patch patch;
  std::vector<PatchWire> parts;
  for (const Outlet& input : node.inputs) {
    if (!groups_behind(c, input)) return std::nullopt;
    parts.push_back(patch.add("unsqueeze", {Patch::tap(input)}, {Attribute::of_ints({axis})}));
  }
  patch.results = {patch.add("concat", std::move(parts), {Attribute(axis)})};
  return patch;
}

constexpr const char* kAsGroups = "f(groups) => groups with another scale and offset";
constexpr const char* kMoved = "move(groups) => groups of moved codes";
constexpr Rewrite kRewrites[] = {
    {"groups-of-cast", "tract_core_cast", "f32(constant codes) => groups with one scale", of_cast},
    {"groups-of-gather", "gather", "book[constant codes] => groups with one scale", of_gather},
    {"groups-of-tract-gather", "tract_core_gather", "book[constant codes] => groups with one scale",
     of_gather},
    {"groups-add", "add", kAsGroups, with_constant},
    {"groups-sub", "sub", kAsGroups, with_constant},
    {"groups-mul", "mul", kAsGroups, with_constant},
    {"groups-div", "div", kAsGroups, with_constant},
    {"groups-floor", "floor", "floor(groups) => groups with another book", of_floor},
    {"groups-difference", "sub", "groups - groups of the same codes => groups with another book",
     of_difference},
    {"groups-concat", "concat", "groups beside groups => groups with one book", of_concat},
    {"groups-stack", "stack", "stack of groups => concat of unsqueezed groups", of_stack},
    {"groups-reshape", "reshape", kMoved, with_shape},
    {"groups-squeeze", "squeeze", kMoved, with_shape},
    {"groups-unsqueeze", "unsqueeze", kMoved, with_shape},
    {"groups-transpose", "transpose", kMoved, with_transpose},
};

}  // namespace

std::span<const Rewrite> group_rewrites() { return kRewrites; }

}  // namespace nnefrun
