// Products of codes: matrices, convolutions, and tract's operators with nine arguments (tract-opl 4.5
// and 5.4.6).
//
// With real = (code - zero point) * scale on either side, a product of reals is a_scale * b_scale times the
// sum of (a - a0) * (b - b0) + bias, which is exact in 32 bits that wrap. That sum times a_scale * b_scale /
// c_scale, rounded, plus c0, clamped to the codes of the result, is the result. A scale that is one constant
// is applied in fixed point, every other one in f32; both round halves to even.
#include <algorithm>
#include <map>

#include "engine/ops/checks.h"
#include "engine/ops/convolution.h"
#include "engine/ops/products.h"
#include "engine/ops/quant_types.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"
#include "quant/affine.h"

namespace nnefrun {
namespace {

// ---- accumulators to codes ----

class Requantizer {
 public:
  // `uniform`: one scale that is known when the model is built.
  Requantizer(const NodeReader& c, std::vector<float> scales, bool uniform, DataType storage)
      : scales_(std::move(scales)), storage_(storage), range_(code_range(storage)) {
    for (const float scale : scales_) {
      if (!(scale >= 0) || std::isinf(scale)) {
        throw c.fail("value-range",
                     c.signature().name + ": the scale of the result is " + std::to_string(scale));
      }
    }
    if (uniform && scales_.size() == 1) fixed_.emplace(scales_[0]);
  }
  // `channel` selects a scale where there are several.
  int64_t operator()(int32_t accumulator, size_t channel, int64_t zero_point) const {
    const float scale = scales_[scales_.size() == 1 ? 0 : channel];
    const int64_t moved =
        fixed_ ? (*fixed_)(accumulator)
               : clamp_code(scale_by(static_cast<float>(accumulator), scale), code_range(DataType::i32));
    return std::clamp(moved + zero_point, range_.low, range_.high);
  }
  DataType storage() const { return storage_; }

 private:
  std::vector<float> scales_;
  DataType storage_;
  CodeRange range_;
  std::optional<FixedPointScale> fixed_;
};

Tensor from_codes(const Shape& shape, const std::vector<int64_t>& codes, DataType storage) {
  return cast_items(Tensor::of<int64_t>(shape, codes), storage);
}

// The result's type: codes, or i32 for the accumulator itself.
ItemType read_result_type(const NodeReader& c, std::string_view attribute) {
  const std::string& text = c.string(attribute);
  const auto type = parse_item_type(text);
  const bool is_storage =
      type && (type->dtype == DataType::i8 || type->dtype == DataType::u8 || type->dtype == DataType::i32);
  if (is_storage) return *type;
  throw c.fail("attribute-value", c.signature().name + ": " + std::string(attribute) +
                                      " must name i8, u8 or i32 codes, not '" + text + "'");
}

Fact typed_fact(const ItemType& type, DimShape shape) {
  Fact fact = fact_of(type.dtype, std::move(shape));
  fact.quant = type.quant;
  return fact;
}

const Fact& code_input(const InferContext& c, std::string_view name) {
  const Fact& fact = c.input(name);
  if (fact.dtype == DataType::i8 || fact.dtype == DataType::u8) return fact;
  throw c.fail("dtype-mismatch", c.signature().name + ": `" + std::string(name) + "` must hold 8-bit codes")
      .note(describe(name, fact));
}

AffineQuantization quantization_of(const Fact& fact) { return fact.quant.value_or(AffineQuantization{}); }

// code - zero point, as i32.
Tensor centred(const Tensor& codes, int64_t zero_point) {
  Tensor out = Tensor::uninitialized(DataType::i32, codes.shape());
  int32_t* items = out.mutable_data<int32_t>();
  for (int64_t i = 0; i < codes.size(); ++i) {
    items[i] =
        static_cast<int32_t>(static_cast<uint32_t>(codes.as_int(i)) - static_cast<uint32_t>(zero_point));
  }
  return out;
}

// `count` certainly is neither 1 nor `channels`.
void check_one_or_each(const InferContext& c, std::string_view name, const Dim& channels) {
  if (!c.has_input(name)) return;
  const Fact& fact = c.input(name);
  const Dim count = volume_of(fact.shape);
  if (!certainly_different(count, 1) || !certainly_different(count, channels)) return;
  throw c
      .fail("shape-mismatch", c.signature().name + ": `" + std::string(name) +
                                  "` must have one item or one for each of " + channels.to_string())
      .note(describe(name, fact));
}

void check_bias_type(const InferContext& c) {
  if (!c.has_input("bias")) return;
  const Fact& bias = c.input("bias");
  // A number in the text, as the default 0 is, has 64 bits.
  if (bias.dtype == DataType::i32 || (bias.dtype == DataType::i64 && bias.rank() == 0)) return;
  throw c.fail("dtype-mismatch", c.signature().name + ": bias must be i32").note(describe("bias", bias));
}

// The bias in units of the accumulator; one item or one for each channel.
std::vector<uint32_t> bias_items(const EvalContext& c, int64_t channels) {
  if (!c.has_input("bias")) return {0};
  const Tensor& bias = c.input("bias");
  if (bias.size() != 1 && bias.size() != channels) {
    throw c.fail("shape-mismatch", c.signature().name + ": bias has " + std::to_string(bias.size()) +
                                       " items for " + std::to_string(channels) + " channels");
  }
  std::vector<uint32_t> out;
  for (int64_t i = 0; i < bias.size(); ++i) out.push_back(static_cast<uint32_t>(bias.as_int(i)));
  return out;
}

// The scale that leads from the accumulator to the result, by the types of operands and result. A plain i32
// result is the accumulator itself.
Requantizer requantizer_of_types(const EvalContext& c, const Fact& a, const Fact& b, const ItemType& to) {
  const float product = quantization_of(a).scale * quantization_of(b).scale;
  return {c, {to.quant ? product / to.quant->scale : 1.0F}, true, to.dtype};
}

// ---- nnefrun_qmatmul ----

std::vector<Fact> infer_qmatmul(InferContext& c) {
  const Fact &a = code_input(c, "A"), &b = code_input(c, "B");
  require_rank(c, "A", a, 2);
  require_rank(c, "B", b, a.rank(), a.rank());
  const size_t rank = a.shape.size();
  const bool ta = c.logical("transposeA"), tb = c.logical("transposeB");
  const Dim &m = a.shape[rank - (ta ? 1 : 2)], &ka = a.shape[rank - (ta ? 2 : 1)],
            &kb = b.shape[rank - (tb ? 1 : 2)], &n = b.shape[rank - (tb ? 2 : 1)];
  require_equal(c, "the inner extent of B", kb, ka);
  const DimShape batch_a(a.shape.begin(), a.shape.end() - 2), batch_b(b.shape.begin(), b.shape.end() - 2);
  DimShape shape = broadcast_leading(c.signature().name, std::vector<const DimShape*>{&batch_a, &batch_b});
  shape.push_back(m);
  shape.push_back(n);
  check_bias_type(c);
  check_one_or_each(c, "bias", n);
  return {typed_fact(read_result_type(c, "to"), std::move(shape))};
}

// A matrix as accumulators, [rows, columns] after transposition.
std::vector<uint32_t> matrix_at(const int32_t* items, int64_t rows, int64_t columns, bool transposed) {
  std::vector<uint32_t> out(static_cast<size_t>(rows * columns));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t k = 0; k < columns; ++k) {
      out[static_cast<size_t>(r * columns + k)] =
          static_cast<uint32_t>(transposed ? items[k * rows + r] : items[r * columns + k]);
    }
  }
  return out;
}

std::vector<Tensor> eval_qmatmul(EvalContext& c) {
  const Fact &fact_a = c.input_fact("A"), &fact_b = c.input_fact("B");
  const Tensor a = centred(c.input("A"), quantization_of(fact_a).zero_point);
  const Tensor b = centred(c.input("B"), quantization_of(fact_b).zero_point);
  const int rank = a.rank();
  const bool ta = c.logical("transposeA"), tb = c.logical("transposeB");
  const int64_t m = a.dim(rank - (ta ? 1 : 2)), k = a.dim(rank - (ta ? 2 : 1)),
                n = b.dim(rank - (tb ? 2 : 1));
  if (b.dim(rank - (tb ? 1 : 2)) != k) {
    throw c.fail("shape-mismatch", c.signature().name + ": inner extents of " + to_string(a.shape()) +
                                       " and " + to_string(b.shape()) + " differ");
  }
  const Shape batch_a(a.shape().begin(), a.shape().end() - 2),
      batch_b(b.shape().begin(), b.shape().end() - 2);
  Shape shape = broadcast_leading(c.signature().name, std::vector<const Shape*>{&batch_a, &batch_b});
  const Shape batch = shape;
  shape.push_back(m);
  shape.push_back(n);
  const ItemType to = read_result_type(c, "to");
  const Requantizer requantize = requantizer_of_types(c, fact_a, fact_b, to);
  const int64_t zero_point = to.quant ? to.quant->zero_point : 0;
  const auto bias = bias_items(c, n);
  std::vector<int64_t> codes;
  std::vector<uint32_t> sums(static_cast<size_t>(m * n));
  for (Odometer<2> o(batch, {broadcast_strides(batch_a, batch), broadcast_strides(batch_b, batch)}); o.more();
       o.next()) {
    const auto left = matrix_at(a.data<int32_t>() + o.offset(0) * m * k, m, k, ta);
    const auto right = matrix_at(b.data<int32_t>() + o.offset(1) * k * n, k, n, tb);
    matrix_product(left.data(), right.data(), sums.data(), m, k, n);
    for (size_t i = 0; i < sums.size(); ++i) {
      const size_t column = i % static_cast<size_t>(n);
      const auto total = static_cast<int32_t>(sums[i] + bias[bias.size() == 1 ? 0 : column]);
      codes.push_back(requantize(total, 0, zero_point));
    }
  }
  return {from_codes(shape, codes, to.dtype)};
}

// ---- convolutions ----

std::vector<Fact> infer_qconv(InferContext& c) {
  const Fact &input = code_input(c, "input"), &filter = code_input(c, "filter");
  check_conv_ranks(c, input, filter, "filter");
  const auto window = read_window(c, spatial_of(filter.shape), nullptr, {Border::constant});
  DimShape shape = conv_shape(c, input, filter, "filter", groups_or(read_groups(c), input.shape[1]), window);
  check_bias_type(c);
  check_one_or_each(c, "bias", shape[1]);
  return {typed_fact(read_result_type(c, "to"), std::move(shape))};
}

// Requantises a convolution's accumulators, channel by channel.
Tensor requantized_channels(const Tensor& sums, const std::vector<uint32_t>& bias,
                            const Requantizer& requantize, int64_t zero_point) {
  int64_t plane = 1;
  for (int axis = 2; axis < sums.rank(); ++axis) plane *= sums.dim(axis);
  std::vector<int64_t> codes;
  for (int64_t i = 0; i < sums.size(); ++i) {
    const auto channel = static_cast<size_t>(i / plane % sums.dim(1));
    const auto total = static_cast<uint32_t>(sums.data<int32_t>()[i]) + bias[bias.size() == 1 ? 0 : channel];
    codes.push_back(requantize(static_cast<int32_t>(total), channel, zero_point));
  }
  return from_codes(sums.shape(), codes, requantize.storage());
}

std::vector<Tensor> eval_qconv(EvalContext& c) {
  const Fact &input = c.input_fact("input"), &filter = c.input_fact("filter");
  const Tensor x = centred(c.input("input"), quantization_of(input).zero_point);
  const Tensor w = centred(c.input("filter"), quantization_of(filter).zero_point);
  const auto window = read_window(c, spatial_of(to_dims(w.shape())), &c.symbols, {Border::constant});
  const Tensor sums = convolution(c, x, w, nullptr, read_groups(c), window);
  const ItemType to = read_result_type(c, "to");
  return {requantized_channels(sums, bias_items(c, sums.dim(1)), requantizer_of_types(c, input, filter, to),
                               to.quant ? to.quant->zero_point : 0)};
}

// ---- parameters as arguments ----

constexpr const char* kZeroPoints[] = {"a0", "b0", "c0"};
constexpr const char* kScales[] = {"a_scale", "b_scale", "c_scale"};

void check_parameter_types(const InferContext& c) {
  check_bias_type(c);
  for (const char* name : kZeroPoints) {
    if (!c.has_input(name) || is_integer(c.input(name).dtype)) continue;
    throw c.fail("dtype-mismatch", c.signature().name + ": " + name + " must be an integer")
        .note(describe(name, c.input(name)));
  }
  for (const char* name : kScales) {
    if (c.has_input(name)) float_input(c, name);
  }
}

// Known when the model is built, or left out.
bool is_known(const EvalContext& c, std::string_view name) {
  return !c.has_input(name) || c.input_fact(name).constant != nullptr;
}

std::vector<double> parameter(const EvalContext& c, std::string_view name, double otherwise) {
  return c.has_input(name) ? as_doubles(c.input(name)) : std::vector<double>{otherwise};
}

// Zero points and biases, which are i32 whatever their type.
std::vector<double> integer_parameter(const EvalContext& c, std::string_view name) {
  return c.has_input(name) ? as_doubles(cast_items(c.input(name), DataType::i32)) : std::vector<double>{0};
}

double single(const NodeReader& c, std::string_view name, const std::vector<double>& values) {
  if (values.size() != 1) {
    throw c.fail("shape-mismatch", c.signature().name + ": " + std::string(name) +
                                       " must have one item, not " + std::to_string(values.size()));
  }
  return values[0];
}

bool scales_are_known(const EvalContext& c) {
  return is_known(c, "a_scale") && is_known(c, "b_scale") && is_known(c, "c_scale");
}

// a_scale, b_scale and c_scale to the factor of the accumulator, in f32.
float combined_scale(double a, double b, double c) {
  return static_cast<float>(a) * static_cast<float>(b) / static_cast<float>(c);
}

// ---- tract_core_qconv: `a` describes the filter, `b` the input ----

ItemType qconv_type(const NodeReader& c, const Fact& input, const Fact* c0, const Fact* c_scale) {
  if (!c.string("output_dt").empty()) return read_result_type(c, "output_dt");
  ItemType type{input.dtype, std::nullopt};
  if (c0 != nullptr && c_scale != nullptr && c0->constant && c_scale->constant && c0->constant->size() == 1 &&
      c_scale->constant->size() == 1) {
    type.quant = AffineQuantization{static_cast<int32_t>(c0->constant->as_int(0)),
                                    static_cast<float>(c_scale->constant->as_double(0))};
  }
  return type;
}

std::vector<Fact> infer_tract_qconv(InferContext& c) {
  const Fact &input = code_input(c, "input"), &filter = code_input(c, "filter");
  check_conv_ranks(c, input, filter, "filter");
  const auto window = read_window(c, spatial_of(filter.shape), nullptr, {Border::constant});
  DimShape shape = conv_shape(c, input, filter, "filter", groups_or(read_groups(c), input.shape[1]), window);
  check_parameter_types(c);
  for (const char* name : {"bias", "a0", "a_scale"}) check_one_or_each(c, name, shape[1]);
  for (const char* name : {"b0", "b_scale", "c0", "c_scale"}) check_one_or_each(c, name, 1);
  const auto fact = [&](const char* name) { return c.has_input(name) ? &c.input(name) : nullptr; };
  return {typed_fact(qconv_type(c, input, fact("c0"), fact("c_scale")), std::move(shape))};
}

std::vector<Tensor> eval_tract_qconv(EvalContext& c) {
  const Tensor x =
      centred(c.input("input"), static_cast<int64_t>(single(c, "b0", integer_parameter(c, "b0"))));
  Tensor w = centred(c.input("filter"), 0);
  const auto filter_zero = integer_parameter(c, "a0"), filter_scale = parameter(c, "a_scale", 1);
  const auto channels = static_cast<size_t>(w.dim(0));
  for (const auto& values : {filter_zero, filter_scale}) {
    if (values.size() != 1 && values.size() != channels) {
      throw c.fail("shape-mismatch", c.signature().name + ": a parameter of the filter has " +
                                         std::to_string(values.size()) + " items for " +
                                         std::to_string(channels) + " channels");
    }
  }
  const size_t taps = channels == 0 ? 0 : static_cast<size_t>(w.size()) / channels;
  int32_t* items = w.mutable_data<int32_t>();
  for (size_t i = 0; i < static_cast<size_t>(w.size()); ++i) {
    const double zero = filter_zero[filter_zero.size() == 1 ? 0 : i / taps];
    items[i] = static_cast<int32_t>(static_cast<uint32_t>(items[i]) -
                                    static_cast<uint32_t>(static_cast<int64_t>(zero)));
  }
  const double b = single(c, "b_scale", parameter(c, "b_scale", 1)),
               to = single(c, "c_scale", parameter(c, "c_scale", 1));
  std::vector<float> scales;
  for (const double a : filter_scale) scales.push_back(combined_scale(a, b, to));
  const Requantizer requantize(c, scales, scales_are_known(c), c.output_fact().dtype);
  const auto window = read_window(c, spatial_of(to_dims(w.shape())), &c.symbols, {Border::constant});
  const Tensor sums = convolution(c, x, w, nullptr, read_groups(c), window);
  return {requantized_channels(sums, bias_items(c, sums.dim(1)), requantize,
                               static_cast<int64_t>(single(c, "c0", integer_parameter(c, "c0"))))};
}

// ---- tract_core_einsum_q and tract_core_qmatmul ----

// Axes of the nine arguments and of the result, by labels; a label is one UTF-8 character.
using Labels = std::vector<std::string>;
struct Contraction {
  Labels operands[9];  // A, B, bias, a0, a_scale, b0, b_scale, c0, c_scale
  Labels result;
};
constexpr const char* kArguments[] = {"A", "B", "bias", "a0", "a_scale", "b0", "b_scale", "c0", "c_scale"};

Contraction parse_contraction(const NodeReader& c) {
  const std::string& text = c.string("expr");
  Contraction out;
  const auto refuse = [&](const std::string& why) {
    return c.fail("einsum-expression", c.signature().name + ": expression '" + text + "' " + why);
  };
  size_t operand = 0;
  bool result = false;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == ' ') {
      ++i;
    } else if (text.compare(i, 2, "->") == 0) {
      if (result) throw refuse("has two arrows");
      result = true;
      i += 2;
    } else if (text[i] == ',') {
      if (result || ++operand >= 9) throw refuse("must describe nine arguments and one result");
      ++i;
    } else {
      size_t length = 1;
      while (i + length < text.size() && (static_cast<unsigned char>(text[i + length]) & 0xC0U) == 0x80U)
        ++length;
      const std::string label = text.substr(i, length);
      if (length == 1 && std::isalnum(static_cast<unsigned char>(text[i])) == 0)
        throw refuse("holds '" + label + "'");
      (result ? out.result : out.operands[operand]).push_back(label);
      i += length;
    }
  }
  if (!result || operand != 8) throw refuse("must describe nine arguments and one result");
  return out;
}

// tract's older operator: axes = [a_m, a_k, b_k, b_n, c_m, c_n], all other axes are a batch, in order.
Contraction contraction_of_axes(const NodeReader& c, int rank_a, int rank_b) {
  const auto axes = c.integers("axes");
  if (axes.size() != 6) {
    throw c.fail("attribute-length", c.signature().name + ": axes must be [a_m, a_k, b_k, b_n, c_m, c_n]");
  }
  Contraction out;
  const auto name = [&](Labels& labels, int rank, int64_t first, const char* one, int64_t second,
                        const char* two) {
    checked_axis(c, first, rank);
    checked_axis(c, second, rank);
    if (first == second) throw c.fail("axis-repeated", c.signature().name + ": axes names an axis twice");
    int batch = 0;
    for (int i = 0; i < rank; ++i) {
      labels.emplace_back(i == first ? one : i == second ? two : std::to_string(batch++));
    }
  };
  name(out.operands[0], rank_a, axes[0], "m", axes[1], "k");
  name(out.operands[1], rank_b, axes[2], "k", axes[3], "n");
  name(out.result, std::max(rank_a, rank_b), axes[4], "m", axes[5], "n");
  return out;
}

bool is_einsum(const NodeReader& c) { return c.signature().name == "tract_core_einsum_q"; }

// The facts or tensors of the nine arguments; null where an optional one is left out.
template <class Item, class Context, class Of>
void nine_arguments(const Context& c, const Item* (&out)[9], Of&& of) {
  if (is_einsum(c)) {
    const auto range = c.input_range("inputs");
    if (range.second != 2) {
      throw c.fail("argument-count", c.signature().name + ": inputs must be two tensors, there are " +
                                         std::to_string(range.second));
    }
    out[0] = of(range.first);
    out[1] = of(range.first + 1);
  } else {
    out[0] = of(c.input_range("A").first);
    out[1] = of(c.input_range("B").first);
  }
  for (size_t i = 2; i < 9; ++i) {
    out[i] = c.has_input(kArguments[i]) ? of(c.input_range(kArguments[i]).first) : nullptr;
  }
}

// Extents by label; those of one item fit every other.
template <class Extent, class Merge>
std::map<std::string, Extent> label_extents(const NodeReader& c, const Contraction& contraction,
                                            const std::vector<const std::vector<Extent>*>& shapes,
                                            Merge&& merge) {
  std::map<std::string, Extent> out;
  for (size_t operand = 0; operand < 9; ++operand) {
    if (shapes[operand] == nullptr) continue;
    const Labels& labels = contraction.operands[operand];
    const auto& shape = *shapes[operand];
    if (labels.size() != shape.size() && !labels.empty()) {
      throw c.fail("rank-mismatch", c.signature().name + ": " + kArguments[operand] + " has rank " +
                                        std::to_string(shape.size()) + ", the expression gives it " +
                                        std::to_string(labels.size()) + " axes");
    }
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto [it, fresh] = out.try_emplace(labels[i], shape[i]);
      if (!fresh) it->second = merge(it->second, shape[i]);
    }
  }
  for (const std::string& label : contraction.result) {
    if (out.count(label) == 0) {
      throw c.fail("einsum-expression",
                   c.signature().name + ": axis `" + label + "` of the result occurs in no argument");
    }
  }
  return out;
}

Contraction read_contraction(const NodeReader& c, int rank_a, int rank_b) {
  return is_einsum(c) ? parse_contraction(c) : contraction_of_axes(c, rank_a, rank_b);
}

std::vector<Fact> infer_contraction(InferContext& c) {
  const Fact* facts[9];
  nine_arguments<Fact>(c, facts, [&](uint32_t i) { return c.inputs[i]; });
  for (size_t i = 0; i < 2; ++i) {
    if (facts[i]->dtype == DataType::i8 || facts[i]->dtype == DataType::u8 ||
        facts[i]->dtype == DataType::i32)
      continue;
    throw c.fail("dtype-mismatch", c.signature().name + ": operands must hold codes")
        .note(describe(kArguments[i], *facts[i]));
  }
  check_parameter_types(c);
  if (is_einsum(c) && data_type_from_name(c.string("acc")) != DataType::i32) {
    throw c.fail("attribute-value",
                 c.signature().name + ": acc must be 'i32', not '" + c.string("acc") + "'");
  }
  const Contraction contraction = read_contraction(c, facts[0]->rank(), facts[1]->rank());
  std::vector<const DimShape*> shapes;
  for (size_t i = 0; i < 9; ++i) {
    const bool scalar = facts[i] == nullptr || (i >= 2 && contraction.operands[i].empty());
    if (scalar && facts[i] != nullptr && certainly_different(volume_of(facts[i]->shape), 1)) {
      throw c.fail("shape-mismatch", c.signature().name + ": " + kArguments[i] + " must have one item")
          .note(describe(kArguments[i], *facts[i]));
    }
    shapes.push_back(scalar ? nullptr : &facts[i]->shape);
  }
  const auto extents = label_extents<Dim>(c, contraction, shapes, [&](const Dim& a, const Dim& b) {
    try {
      return Dim::broadcast(a, b);
    } catch (const Error&) {
      throw c.fail("shape-mismatch",
                   c.signature().name + ": one axis has extents " + a.to_string() + " and " + b.to_string());
    }
  });
  DimShape shape;
  for (const std::string& label : contraction.result) shape.push_back(extents.at(label));
  return {typed_fact(read_result_type(c, is_einsum(c) ? "output" : "output_type"), std::move(shape))};
}

std::vector<Tensor> eval_contraction(EvalContext& c) {
  const Tensor* tensors[9];
  nine_arguments<Tensor>(c, tensors, [&](uint32_t i) { return &c.inputs[i]; });
  const Contraction contraction = read_contraction(c, tensors[0]->rank(), tensors[1]->rank());
  std::vector<const Shape*> shapes;
  for (size_t i = 0; i < 9; ++i) {
    const bool scalar = tensors[i] == nullptr || (i >= 2 && contraction.operands[i].empty());
    if (scalar && tensors[i] != nullptr && tensors[i]->size() != 1) {
      throw c.fail("shape-mismatch", c.signature().name + ": " + kArguments[i] + " must have one item");
    }
    shapes.push_back(scalar ? nullptr : &tensors[i]->shape());
  }
  const auto extents = label_extents<int64_t>(c, contraction, shapes, [&](int64_t a, int64_t b) {
    if (a == b || b == 1) return a;
    if (a == 1) return b;
    throw c.fail("shape-mismatch", c.signature().name + ": one axis has extents " + std::to_string(a) +
                                       " and " + std::to_string(b));
  });
  // The result's axes first, then those that are summed: the axes that only A and B have.
  Labels summed;
  for (size_t i = 0; i < 2; ++i) {
    for (const std::string& label : contraction.operands[i]) {
      const bool known = std::find(contraction.result.begin(), contraction.result.end(), label) !=
                             contraction.result.end() ||
                         std::find(summed.begin(), summed.end(), label) != summed.end();
      if (!known) summed.push_back(label);
    }
  }
  const auto shape_of = [&](const Labels& labels) {
    Shape out;
    for (const std::string& label : labels) out.push_back(extents.at(label));
    return out;
  };
  const auto strides_over = [&](size_t operand, const Labels& labels) {
    std::vector<int64_t> out(labels.size(), 0);
    if (shapes[operand] == nullptr) return out;
    const auto strides = strides_of(*shapes[operand]);
    for (size_t i = 0; i < labels.size(); ++i) {
      for (size_t axis = 0; axis < contraction.operands[operand].size(); ++axis) {
        if (contraction.operands[operand][axis] == labels[i] && (*shapes[operand])[axis] != 1)
          out[i] += strides[axis];
      }
    }
    return out;
  };
  for (size_t operand = 2; operand < 9; ++operand) {
    for (const std::string& label : contraction.operands[operand]) {
      if (std::find(summed.begin(), summed.end(), label) != summed.end() && extents.at(label) != 1) {
        throw c.fail("einsum-expression", c.signature().name + ": " + kArguments[operand] +
                                              " varies along the summed axis `" + label + "`");
      }
    }
  }
  const auto a = as_doubles(*tensors[0]), b = as_doubles(*tensors[1]);
  std::vector<double> values[9];
  for (size_t i = 2; i < 9; ++i) {
    const bool scale = i == 4 || i == 6 || i == 8;
    values[i] = scale ? parameter(c, kArguments[i], 1) : integer_parameter(c, kArguments[i]);
  }
  const bool uniform =
      scales_are_known(c) && values[4].size() == 1 && values[6].size() == 1 && values[8].size() == 1;
  const ItemType to = read_result_type(c, is_einsum(c) ? "output" : "output_type");
  const Shape shape = shape_of(contraction.result), inner = shape_of(summed);
  const auto& r = contraction.result;
  std::vector<int64_t> codes;
  for (Odometer<9> o(shape, {strides_over(0, r), strides_over(1, r), strides_over(2, r), strides_over(3, r),
                             strides_over(4, r), strides_over(5, r), strides_over(6, r), strides_over(7, r),
                             strides_over(8, r)});
       o.more(); o.next()) {
    const auto at = [&](size_t i) { return values[i][static_cast<size_t>(o.offset(i))]; };
    const auto a0 = static_cast<int64_t>(at(3)), b0 = static_cast<int64_t>(at(5));
    auto sum = static_cast<uint64_t>(static_cast<int64_t>(at(2)));
    for (Odometer<2> k(inner, {strides_over(0, summed), strides_over(1, summed)}); k.more(); k.next()) {
      const auto left = static_cast<int64_t>(a[static_cast<size_t>(o.offset(0) + k.offset(0))]) - a0;
      const auto right = static_cast<int64_t>(b[static_cast<size_t>(o.offset(1) + k.offset(1))]) - b0;
      sum += static_cast<uint64_t>(left) * static_cast<uint64_t>(right);
    }
    const Requantizer requantize(c, {combined_scale(at(4), at(6), at(8))}, uniform, to.dtype);
    codes.push_back(
        requantize(static_cast<int32_t>(static_cast<uint32_t>(sum)), 0, static_cast<int64_t>(at(7))));
  }
  return {from_codes(shape, codes, to.dtype)};
}

constexpr TypeSet kCodes{DataType::i8, DataType::u8};

constexpr OpDef kRows[] = {
    {.name = "nnefrun_qmatmul", .infer = infer_qmatmul, .eval = eval_qmatmul, .types = kCodes},
    {.name = "nnefrun_qconv", .infer = infer_qconv, .eval = eval_qconv, .types = kCodes},
    {.name = "tract_core_qconv", .infer = infer_tract_qconv, .eval = eval_tract_qconv, .types = kCodes},
    {.name = "tract_core_einsum_q",
     .infer = infer_contraction,
     .eval = eval_contraction,
     .types = kCodes | kI32},
    {.name = "tract_core_qmatmul",
     .infer = infer_contraction,
     .eval = eval_contraction,
     .types = kCodes | kI32},
};

}  // namespace

std::span<const OpDef> quant_product_rows() { return kRows; }

}  // namespace nnefrun
