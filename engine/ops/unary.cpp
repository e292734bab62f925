// Element-wise functions of one tensor.
#include <cmath>

#include "engine/ops/complex_items.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/registry.h"

namespace nnefrun {
namespace {

// What a function does to each kind of number; null where it has no meaning. Short floats are computed in
// float, integers in 64 bits, and wrapped back to their own width; complex numbers in double.
struct Unary {
  std::string_view name;
  float (*f32)(float) = nullptr;
  double (*f64)(double) = nullptr;
  int64_t (*i64)(int64_t) = nullptr;
  uint64_t (*u64)(uint64_t) = nullptr;
  Complex (*complex)(Complex) = nullptr;
};

template <class F>
constexpr Unary real(std::string_view name, F f) {
  return {name, f, f, nullptr, nullptr};
}
template <class F>
constexpr Unary analytic(std::string_view name, F f) {
  return {name, f, f, nullptr, nullptr, f};
}
template <class F, class I, class U>
constexpr Unary number(std::string_view name, F f, I i, U u) {
  return {name, f, f, i, u};
}
template <class F, class I, class U>
constexpr Unary field(std::string_view name, F f, I i, U u) {
  return {name, f, f, i, u, f};
}

int64_t negated(int64_t x) { return static_cast<int64_t>(0 - static_cast<uint64_t>(x)); }
int64_t same(int64_t x) { return x; }
uint64_t same_unsigned(uint64_t x) { return x; }
int64_t squared(int64_t x) {
  return static_cast<int64_t>(static_cast<uint64_t>(x) * static_cast<uint64_t>(x));
}

// floor(x + 0.5) without the rounding of the sum.
template <class T>
T round_half_up(T x) {
  const T below = std::floor(x);
  return (x - below >= T(0.5) ? below + T(1) : below) + T(0);  // never -0, as the sum is not
}

constexpr Unary kUnary[] = {
    field(
        "neg", [](auto x) { return -x; }, negated, [](uint64_t x) { return 0 - x; }),
    number(
        "abs", [](auto x) { return std::abs(x); }, [](int64_t x) { return x < 0 ? negated(x) : x; },
        same_unsigned),
    number(
        "sign",
        [](auto x) {
          return x > 0 ? decltype(x)(1) : x < 0 ? decltype(x)(-1) : x == 0 ? decltype(x)(0) : x;
        },
        [](int64_t x) { return int64_t{x > 0} - int64_t{x < 0}; },
        [](uint64_t x) { return uint64_t{x > 0}; }),
    number(
        "floor", [](auto x) { return std::floor(x); }, same, same_unsigned),
    number(
        "ceil", [](auto x) { return std::ceil(x); }, same, same_unsigned),
    number(
        "round", [](auto x) { return round_half_up(x); }, same, same_unsigned),
    number(
        "nnefrun_round_half_away", [](auto x) { return std::round(x); }, same, same_unsigned),
    number(
        "tract_core_round_even", [](auto x) { return std::nearbyint(x); }, same, same_unsigned),
    field(
        "sqr", [](auto x) { return x * x; }, squared, [](uint64_t x) { return x * x; }),
    analytic("rcp", [](auto x) { return decltype(x)(1) / x; }),
    analytic("sqrt", [](auto x) { return std::sqrt(x); }),
    analytic("rsqr", [](auto x) { return decltype(x)(1) / (x * x); }),
    analytic("rsqrt", [](auto x) { return decltype(x)(1) / std::sqrt(x); }),
    analytic("exp", [](auto x) { return std::exp(x); }),
    analytic("log", [](auto x) { return std::log(x); }),
    real("log2", [](auto x) { return std::log2(x); }),
    analytic("sin", [](auto x) { return std::sin(x); }),
    analytic("cos", [](auto x) { return std::cos(x); }),
    analytic("tan", [](auto x) { return std::tan(x); }),
    analytic("asin", [](auto x) { return std::asin(x); }),
    analytic("acos", [](auto x) { return std::acos(x); }),
    analytic("atan", [](auto x) { return std::atan(x); }),
    analytic("sinh", [](auto x) { return std::sinh(x); }),
    analytic("cosh", [](auto x) { return std::cosh(x); }),
    analytic("tanh", [](auto x) { return std::tanh(x); }),
    analytic("asinh", [](auto x) { return std::asinh(x); }),
    analytic("acosh", [](auto x) { return std::acosh(x); }),
    analytic("atanh", [](auto x) { return std::atanh(x); }),
    real("tract_core_erf", [](auto x) { return std::erf(x); }),
};

const Unary& unary_of(const NodeReader& c) {
  for (const Unary& unary : kUnary) {
    if (unary.name == c.signature().name) return unary;
  }
  throw c.fail("internal", prefix_of(c) + "is not an element-wise function");
}

void propagate(const NodeReader& c, const Fact& input, Fact& out) {
  const auto dims = known_dims(input);
  if (!dims) return;
  const std::string& name = c.signature().name;
  std::vector<Dim> values;
  try {
    for (const Dim& d : *dims) {
      if (name == "neg")
        values.push_back(-d);
      else if (name == "abs")
        values.push_back(Dim::max(d, -d));
      else if (name == "sqr")
        values.push_back(d * d);
      else if (name != "sign")
        values.push_back(d);  // floor, ceil and the roundings of an integer
      else if (d.is_constant())
        values.push_back((d.value() > 0) - (d.value() < 0));
      else if (d.is_at_least(1))
        values.push_back(1);
      else
        return;
    }
  } catch (const Error&) {
    return;  // overflow: eval wraps
  }
  set_known_dims(out, std::move(values));
}

std::vector<Fact> infer_unary(InferContext& c) {
  const Fact& x = *c.inputs.at(0);
  const Unary& unary = unary_of(c);
  require_plain(c, {&x});
  if (is_complex(x.dtype) && (unary.complex != nullptr || unary.name == "abs")) {
    return {fact_of(unary.name == "abs" ? part_of(x.dtype) : x.dtype, x.shape)};
  }
  if (!is_float(x.dtype) && !(is_integer(x.dtype) && unary.i64 != nullptr)) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "the argument has type " + std::string(name_of(x.dtype)) + ", but " +
                     (unary.i64 ? "a number" : "a float type") + " is expected; cast it");
  }
  Fact out = fact_of(x.dtype, x.shape);
  propagate(c, x, out);
  return {out};
}

// `abs` is the length: a real number.
Tensor map_complex(const Unary& unary, const Tensor& x) {
  std::vector<Complex> items = as_complex(x);
  if (unary.complex == nullptr) {
    std::vector<double> lengths;
    for (const Complex& z : items) lengths.push_back(std::abs(z));
    return cast_items(Tensor::of<double>(x.shape(), lengths), part_of(x.dtype()));
  }
  for (Complex& z : items) z = unary.complex(z);
  return of_complex(x.shape(), items, x.dtype());
}

std::vector<Tensor> eval_unary(EvalContext& c) {
  const Tensor& x = c.inputs.at(0);
  const Unary& unary = unary_of(c);
  if (is_complex(x.dtype())) return {map_complex(unary, x)};
  Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
  dispatch(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    using C = ComputeType<T>;
    const T* from = x.data<T>();
    T* to = out.mutable_data<T>();
    for (int64_t i = 0; i < x.size(); ++i) {
      if constexpr (std::is_same_v<C, float>)
        to[i] = narrow<T>(unary.f32(widen(from[i])));
      else if constexpr (std::is_same_v<C, double>)
        to[i] = unary.f64(from[i]);
      else if constexpr (std::is_signed_v<T>)
        to[i] = static_cast<T>(unary.i64(from[i]));
      else
        to[i] = static_cast<T>(unary.u64(from[i]));
    }
  });
  return {out};
}

std::vector<Fact> infer_not(InferContext& c) {
  const Fact& x = *c.inputs.at(0);
  require_boolean(c, x, "x");
  Fact out = fact_of(x.dtype, x.shape);
  return {out};
}

std::vector<Fact> infer_bitnot(InferContext& c) {
  const Fact& x = *c.inputs.at(0);
  if (x.dtype != DataType::boolean) require_integer(c, x, "input");
  return {fact_of(x.dtype, x.shape)};
}

// Serves `not` too: the complement of a logical value.
std::vector<Tensor> eval_bitnot(EvalContext& c) {
  const Tensor& x = c.inputs.at(0);
  Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
  const auto* from = reinterpret_cast<const uint8_t*>(x.bytes());
  auto* to = reinterpret_cast<uint8_t*>(out.mutable_bytes());
  const bool logical = x.dtype() == DataType::boolean;
  for (size_t i = 0; i < x.byte_size(); ++i) to[i] = static_cast<uint8_t>(logical ? from[i] == 0 : ~from[i]);
  return {out};
}

std::vector<Fact> infer_test(InferContext& c) {
  const Fact& x = *c.inputs.at(0);
  require_float(c, x, "input");
  return {fact_of(DataType::boolean, x.shape)};
}

template <class F>
Tensor test_floats(const Tensor& x, F&& f) {
  Tensor out = Tensor::uninitialized(DataType::boolean, x.shape());
  auto* to = out.mutable_data<bool>();
  dispatch_float(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    for (int64_t i = 0; i < x.size(); ++i) to[i] = f(static_cast<double>(widen(x.data<T>()[i])));
  });
  return out;
}

std::vector<Tensor> eval_is_nan(EvalContext& c) {
  return {test_floats(c.inputs.at(0), [](double v) { return std::isnan(v); })};
}

std::vector<Tensor> eval_is_inf(EvalContext& c) {
  const bool positive = c.logical("detect_positive"), negative = c.logical("detect_negative");
  return {
      test_floats(c.inputs.at(0), [&](double v) { return std::isinf(v) && (v > 0 ? positive : negative); })};
}

std::vector<Fact> infer_pow_const(InferContext& c) {
  c.scalar("exponent");
  return infer_float_map(c);
}

std::vector<Tensor> eval_pow_const(EvalContext& c) {
  const double exponent = c.scalar("exponent");
  return {
      map_floats(c.inputs.at(0), [&](auto v) { return std::pow(v, static_cast<decltype(v)>(exponent)); })};
}

constexpr OpDef row(std::string_view name, TypeSet types) {
  return {.name = name, .infer = infer_unary, .eval = eval_unary, .elementwise = true, .types = types};
}

constexpr OpDef kRows[] = {
    row("neg", kNumbers | kComplex),
    row("abs", kNumbers | kComplex),
    row("sign", kNumbers),
    row("floor", kNumbers),
    row("ceil", kNumbers),
    row("round", kNumbers),
    row("nnefrun_round_half_away", kNumbers),
    row("tract_core_round_even", kNumbers),
    row("sqr", kNumbers | kComplex),

    row("rcp", kFloats | kComplex),

    row("sqrt", kFloats | kComplex),
    row("rsqr", kFloats | kComplex),
    row("rsqrt", kFloats | kComplex),
    row("exp", kFloats | kComplex),
    row("log", kFloats | kComplex),
    row("log2", kFloats),
    row("sin", kFloats | kComplex),
    row("cos", kFloats | kComplex),
    row("tan", kFloats | kComplex),
    row("asin", kFloats | kComplex),
    row("acos", kFloats | kComplex),
    row("atan", kFloats | kComplex),
    row("sinh", kFloats | kComplex),
    row("cosh", kFloats | kComplex),
    row("tanh", kFloats | kComplex),
    row("asinh", kFloats | kComplex),
    row("acosh", kFloats | kComplex),
    row("atanh", kFloats | kComplex),
    row("tract_core_erf", kFloats),
    {.name = "not", .infer = infer_not, .eval = eval_bitnot, .elementwise = true, .types = kBool},
    {.name = "tract_core_bitnot",
     .infer = infer_bitnot,
     .eval = eval_bitnot,
     .elementwise = true,
     .types = kInts | kBool},
    {.name = "tract_core_is_nan", .infer = infer_test, .eval = eval_is_nan, .types = kFloats},
    {.name = "tract_core_is_inf", .infer = infer_test, .eval = eval_is_inf, .types = kFloats},
    {.name = "tract_core_pow_const",
     .infer = infer_pow_const,
     .eval = eval_pow_const,
     .elementwise = true,
     .types = kFloats},
};

}  // namespace

std::span<const OpDef> unary_rows() { return kRows; }

}  // namespace nnefrun
