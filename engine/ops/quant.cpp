// NNEF's quantisation functions: reals rounded to the values that codes can stand for (nnef-1.0 section 14),
// and the softmax of codes (tract-opl 4.6). Evaluation is in double, rounded once; halves are rounded up.
#include <algorithm>
#include <cmath>

#include "engine/ops/checks.h"
#include "engine/ops/items.h"
#include "engine/ops/quant_types.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"
#include "quant/affine.h"

namespace nnefrun {
namespace {

int64_t read_bits(const NodeReader& c) {
  const int64_t bits = c.integer("bits");
  require_range(c, "bits", bits, 1, 64);
  return bits;
}

// A parameter must broadcast into x, which keeps its shape.
const Fact& parameter_input(const InferContext& c, std::string_view name, const Fact& x) {
  const Fact& parameter = c.input(name);
  bool fits = parameter.rank() <= x.rank();
  for (size_t i = 0; fits && i < parameter.shape.size(); ++i) {
    fits = parameter.shape[i].is(1) || !certainly_different(parameter.shape[i], x.shape[i]);
  }
  if (!fits) {
    throw c
        .fail("shape-mismatch",
              c.signature().name + ": `" + std::string(name) + "` does not broadcast into x")
        .note(describe("x", x))
        .note(describe(name, parameter))
        .note("NNEF aligns shapes at their leading axis");
  }
  if (parameter.quant || (!is_float(parameter.dtype) && !is_integer(parameter.dtype))) {
    throw c.fail("dtype-mismatch", c.signature().name + ": `" + std::string(name) + "` must hold numbers")
        .note(describe(name, parameter));
  }
  return parameter;
}

// The value of a known parameter must satisfy `holds`.
template <class F>
void check_values(const NodeReader& c, std::string_view name, const Tensor& value, const char* expected,
                  F&& holds) {
  for (const double v : as_doubles(value)) {
    if (!holds(v)) {
      throw c.fail("value-range", c.signature().name + ": " + std::string(name) + " is " + std::to_string(v) +
                                      ", expected " + expected);
    }
  }
}

std::vector<Fact> infer_min_max(InferContext& c) {
  const Fact& x = float_input(c, "x");
  const Fact &low = parameter_input(c, "min", x), &high = parameter_input(c, "max", x);
  read_bits(c);
  if (low.constant && high.constant && low.constant->shape() == high.constant->shape()) {
    const auto lows = as_doubles(*low.constant), highs = as_doubles(*high.constant);
    for (size_t i = 0; i < lows.size(); ++i) {
      if (!(lows[i] <= highs[i])) {
        throw c.fail("value-range", c.signature().name + ": min is " + std::to_string(lows[i]) +
                                        ", above max, " + std::to_string(highs[i]));
      }
    }
  }
  return {fact_of(x.dtype, x.shape)};
}

bool is_positive(double v) { return v > 0 && std::isfinite(v); }

std::vector<Fact> infer_zero_point(InferContext& c) {
  const Fact& x = float_input(c, "x");
  parameter_input(c, "zero_point", x);
  const Fact& scale = parameter_input(c, "scale", x);
  if (scale.constant) check_values(c, "scale", *scale.constant, "a positive finite number", is_positive);
  read_bits(c);
  return {fact_of(x.dtype, x.shape)};
}

std::vector<Fact> infer_logarithmic(InferContext& c) {
  const Fact& x = float_input(c, "x");
  const Fact& largest = parameter_input(c, "max", x);
  if (largest.constant) check_values(c, "max", *largest.constant, "a positive finite number", is_positive);
  read_bits(c);
  return {fact_of(x.dtype, x.shape)};
}

std::vector<int64_t> strides_into(const NodeReader& c, const Tensor& parameter, const Shape& shape) {
  if (broadcast_leading(c.signature().name, std::vector<const Shape*>{&shape, &parameter.shape()}) != shape) {
    throw c.fail("shape-mismatch", c.signature().name + ": a parameter of shape " +
                                       to_string(parameter.shape()) + " does not broadcast into " +
                                       to_string(shape));
  }
  return broadcast_strides(parameter.shape(), shape);
}

// y = f(x, a, b), item by item, with the parameters a and b broadcast into x.
template <class F>
std::vector<Tensor> mapped(const EvalContext& c, std::string_view a, std::string_view b, F&& f) {
  const Tensor& x = c.input("x");
  const Tensor &pa = c.input(a), &pb = c.input(b);
  auto items = as_doubles(x);
  const auto a_items = as_doubles(pa), b_items = as_doubles(pb);
  size_t i = 0;
  for (Odometer<2> o(x.shape(), {strides_into(c, pa, x.shape()), strides_into(c, pb, x.shape())}); o.more();
       o.next(), ++i) {
    items[i] =
        f(items[i], a_items[static_cast<size_t>(o.offset(0))], b_items[static_cast<size_t>(o.offset(1))]);
  }
  return {cast_items(Tensor::of<double>(x.shape(), items), x.dtype())};
}

double rounded(double v) { return std::floor(v + 0.5); }
// max(min(x, high), low): low wins when they cross.
double clamped(double x, double low, double high) { return std::max(std::min(x, high), low); }

std::vector<Tensor> min_max(const EvalContext& c, bool is_signed, bool symmetric) {
  const double narrow = is_signed && symmetric ? 1 : 0;
  const double steps = std::ldexp(1.0, static_cast<int>(read_bits(c))) - 1 - narrow;
  // One bit that is signed and symmetric has no step: every value is the minimum.
  return mapped(c, "min", "max", [steps](double x, double low, double high) {
    if (!(high > low) || steps <= 0) return low;
    // The offset of signed codes cancels between coding and decoding.
    return rounded((clamped(x, low, high) - low) / (high - low) * steps) / steps * (high - low) + low;
  });
}

std::vector<Tensor> eval_min_max(EvalContext& c) {
  return min_max(c, c.logical("signed"), c.logical("symmetric"));
}
std::vector<Tensor> eval_linear(EvalContext& c) { return min_max(c, false, false); }

std::vector<Tensor> eval_zero_point(EvalContext& c) {
  check_values(c, "scale", c.input("scale"), "a positive finite number", is_positive);
  const bool is_signed = c.logical("signed"), symmetric = c.logical("symmetric");
  const int bits = static_cast<int>(read_bits(c));
  const double high = std::ldexp(1.0, is_signed ? bits - 1 : bits) - 1;
  const double low = !is_signed ? 0 : symmetric ? -high : -high - 1;
  return mapped(c, "zero_point", "scale", [=](double x, double zero_point, double scale) {
    return (clamped(rounded(x / scale) + zero_point, low, high) - zero_point) * scale;
  });
}

std::vector<Tensor> eval_logarithmic(EvalContext& c) {
  const double steps = std::ldexp(1.0, static_cast<int>(read_bits(c))) - 1;
  return mapped(c, "max", "max", [steps](double x, double largest, double) {
    if (x == 0) return 0.0;
    const double top = std::ceil(std::log2(largest));
    return std::copysign(std::exp2(rounded(clamped(std::log2(std::abs(x)), top - steps, top))), x);
  });
}

// ---- softmax of codes ----

ItemType read_code_type(const NodeReader& c) {
  const auto type = parse_item_type(c.string("to"));
  if (type && type->quant && item_size(type->dtype) == 1) return *type;
  throw c.fail("attribute-value",
               c.signature().name + ": `to` must be an 8-bit quantised type, not '" + c.string("to") + "'");
}

std::vector<Fact> infer_code_softmax(InferContext& c) {
  const Fact& x = c.input("x");
  if (!x.quant || item_size(x.dtype) != 1) {
    throw c.fail("dtype-mismatch", c.signature().name + ": the argument must hold 8-bit codes")
        .note(describe("x", x));
  }
  checked_axes(c, c.integers("axes"), x.rank());
  const ItemType type = read_code_type(c);
  Fact fact = fact_of(type.dtype, x.shape);
  fact.quant = type.quant;
  return {fact};
}

// By the reals that the codes stand for: tract's integer algorithm errs by up to a step of either scale.
std::vector<Tensor> eval_code_softmax(EvalContext& c) {
  const Tensor& x = c.input("x");
  const AffineQuantization from = *c.input_fact("x").quant;
  const ItemType to = read_code_type(c);
  const Shape& shape = x.shape();
  Shape kept = shape;
  for (const int64_t axis : checked_axes(c, c.integers("axes"), x.rank()))
    kept[static_cast<size_t>(axis)] = 1;
  const auto strides = broadcast_strides(kept, shape);
  const auto groups = static_cast<size_t>(volume_of(kept));
  std::vector<int64_t> largest(groups, INT64_MIN);
  std::vector<double> sums(groups, 0.0), items(static_cast<size_t>(x.size()));
  const auto for_each = [&](auto&& f) {
    size_t i = 0;
    for (Odometer<1> o(shape, {strides}); o.more(); o.next(), ++i) f(i, static_cast<size_t>(o.offset(0)));
  };
  for_each([&](size_t i, size_t g) { largest[g] = std::max(largest[g], x.as_int(static_cast<int64_t>(i))); });
  for_each([&](size_t i, size_t g) {
    items[i] = std::exp(static_cast<double>(x.as_int(static_cast<int64_t>(i)) - largest[g]) * from.scale);
    sums[g] += items[i];
  });
  for_each([&](size_t i, size_t g) {
    const auto code =
        quantize_affine(static_cast<float>(items[i] / sums[g]), *to.quant, code_range(to.dtype));
    items[i] = static_cast<double>(code);
  });
  return {cast_items(Tensor::of<double>(shape, items), to.dtype)};
}

constexpr TypeSet kCodes{DataType::i8, DataType::u8};

constexpr OpDef kRows[] = {
    {.name = "min_max_linear_quantize", .infer = infer_min_max, .eval = eval_min_max, .types = kFloats},
    {.name = "zero_point_linear_quantize",
     .infer = infer_zero_point,
     .eval = eval_zero_point,
     .types = kFloats},
    {.name = "linear_quantize", .infer = infer_min_max, .eval = eval_linear, .types = kFloats},
    {.name = "logarithmic_quantize", .infer = infer_logarithmic, .eval = eval_logarithmic, .types = kFloats},
    {.name = "nnefrun_qsoftmax", .infer = infer_code_softmax, .eval = eval_code_softmax, .types = kCodes},
};

}  // namespace

std::span<const OpDef> quant_rows() { return kRows; }

}  // namespace nnefrun
