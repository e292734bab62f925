// Activations, and softmax over any axes.
#include <cmath>

#include "engine/ops/pointwise.h"
#include "engine/ops/regions.h"
#include "engine/ops/registry.h"

namespace nnefrun {
namespace {

// 1 / (1 + exp(-x)), also where exp(-x) is too large for the type and the result is not yet zero.
template <class T>
T logistic(T x) {
  const T e = std::exp(-std::abs(x));
  return (x < 0 ? e : 1) / (1 + e);
}

// --- without parameters ---

// max(x, 0); NaN becomes 0, as the standard's select says.
std::vector<Tensor> eval_relu(EvalContext& c) {
  const Tensor& x = c.inputs.at(0);
  Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
  dispatch(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* from = x.data<T>();
    T* to = out.mutable_data<T>();
    for (int64_t i = 0; i < x.size(); ++i) to[i] = widen(from[i]) > 0 ? from[i] : T{};
  });
  return {out};
}

std::vector<Fact> infer_relu(InferContext& c) {
  const Fact& x = *c.inputs.at(0);
  if (!is_integer(x.dtype) || x.quant) require_float(c, x, "x");
  return {fact_of(x.dtype, x.shape)};
}

std::vector<Tensor> eval_sigmoid(EvalContext& c) {
  return {map_floats(c.inputs.at(0), [](auto x) { return logistic(x); })};
}

std::vector<Tensor> eval_silu(EvalContext& c) {
  return {map_floats(c.inputs.at(0), [](auto x) { return x * logistic(x); })};
}

std::vector<Tensor> eval_gelu(EvalContext& c) {
  return {
      map_floats(c.inputs.at(0), [](auto x) { return x * logistic(static_cast<decltype(x)>(1.702) * x); })};
}

std::vector<Tensor> eval_softplus(EvalContext& c) {
  return {map_floats(c.inputs.at(0), [](auto x) {
    return std::max(x, decltype(x)(0)) + std::log1p(std::exp(-std::abs(x)));
  })};
}

std::vector<Tensor> eval_hard_swish(EvalContext& c) {
  return {map_floats(c.inputs.at(0), [](auto x) {
    using C = decltype(x);
    return x * (std::min(std::max(x + 3, C(0)), C(6)) / 6);  // the largest numbers do not overflow
  })};
}

// --- with parameters ---

template <class T>
T tanh_gelu(T x, T power_of_x) {
  return static_cast<T>(0.5) * x *
         (1 + std::tanh(static_cast<T>(0.7978845608028654) * (x + static_cast<T>(0.044715) * power_of_x)));
}

std::vector<Fact> infer_erf_gelu(InferContext& c) {
  const std::string& approximation = c.string("approximation");
  if (approximation != "none" && approximation != "tanh") {
    throw c.fail("attribute-value",
                 prefix_of(c) + "`approximation` is 'none' or 'tanh', not '" + approximation + "'");
  }
  return infer_float_map(c);
}

std::vector<Tensor> eval_erf_gelu(EvalContext& c) {
  const Tensor& x = c.inputs.at(0);
  if (c.string("approximation") == "tanh")
    return {map_floats(x, [](auto v) { return tanh_gelu(v, v * v * v); })};
  return {map_floats(x, [](auto v) {
    using C = decltype(v);
    return C(0.5) * v * std::erfc(v * C(-0.7071067811865476));
  })};
}

std::vector<Fact> infer_gelu_approx(InferContext& c) {
  c.logical("fast_impl");
  return infer_float_map(c);
}

// fast_impl takes the square where the formula has the cube (tract-opl 5.4.3).
std::vector<Tensor> eval_gelu_approx(EvalContext& c) {
  const bool fast = c.logical("fast_impl");
  return {map_floats(c.inputs.at(0), [&](auto x) { return tanh_gelu(x, fast ? x * x : x * x * x); })};
}

std::vector<Fact> infer_alpha(InferContext& c) {
  c.scalar("alpha");
  return infer_float_map(c);
}

std::vector<Tensor> eval_leaky_relu(EvalContext& c) {
  const double alpha = c.scalar("alpha");
  return {
      map_floats(c.inputs.at(0), [&](auto x) { return x < 0 ? static_cast<decltype(x)>(alpha) * x : x; })};
}

std::vector<Tensor> eval_elu(EvalContext& c) {
  const double alpha = c.scalar("alpha");
  return {map_floats(c.inputs.at(0),
                     [&](auto x) { return x < 0 ? static_cast<decltype(x)>(alpha) * std::expm1(x) : x; })};
}

std::vector<Fact> infer_selu(InferContext& c) {
  c.scalar("lambda");
  return infer_alpha(c);
}

std::vector<Tensor> eval_selu(EvalContext& c) {
  const double alpha = c.scalar("alpha"), lambda = c.scalar("lambda");
  return {map_floats(c.inputs.at(0), [&](auto x) {
    using C = decltype(x);
    return static_cast<C>(lambda) * (x < 0 ? static_cast<C>(alpha) * std::expm1(x) : x);
  })};
}

std::vector<Fact> infer_softabs(InferContext& c) {
  c.scalar("epsilon");
  return infer_float_map(c);
}

std::vector<Tensor> eval_softabs(EvalContext& c) {
  const double epsilon = c.scalar("epsilon");
  return {map_floats(c.inputs.at(0),
                     [&](auto x) { return std::sqrt(x * x + static_cast<decltype(x)>(epsilon)); })};
}

// alpha broadcasts into x from the leading axis, and may not enlarge it (register A35).
std::vector<Fact> infer_prelu(InferContext& c) {
  const Fact &x = c.input("x"), &alpha = c.input("alpha");
  require_float(c, x, "x");
  require_same_types(c, {&x, &alpha});
  bool fits = alpha.rank() <= x.rank();
  for (size_t i = 0; fits && i < alpha.shape.size(); ++i) {
    fits = alpha.shape[i].is(1) || agreed_extent(alpha.shape[i], x.shape[i]).has_value();
  }
  if (!fits) {
    throw c.fail("shape-mismatch", prefix_of(c) + "alpha has shape " + to_string(alpha.shape) +
                                       ", which does not broadcast into " + to_string(x.shape));
  }
  return {fact_of(x.dtype, x.shape)};
}

std::vector<Tensor> eval_prelu(EvalContext& c) {
  const Tensor &x = c.input("x"), &alpha = c.input("alpha");
  const Shape shape = broadcast_leading("prelu", std::vector<const Shape*>{&x.shape(), &alpha.shape()});
  if (shape != x.shape()) {
    throw c.fail("shape-mismatch", prefix_of(c) + "alpha has shape " + to_string(alpha.shape()) +
                                       ", which does not broadcast into " + to_string(x.shape()));
  }
  Tensor out = Tensor::uninitialized(x.dtype(), shape);
  dispatch_float(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    T* to = out.mutable_data<T>();
    for (Odometer<2> o(shape, {strides_of(shape), broadcast_strides(alpha.shape(), shape)}); o.more();
         o.next()) {
      const auto v = widen(x.data<T>()[o.offset(0)]);
      *to++ = v < 0 ? narrow<T>(widen(alpha.data<T>()[o.offset(1)]) * v) : x.data<T>()[o.offset(0)];
    }
  });
  return {out};
}

// --- softmax ---

std::vector<Fact> infer_softmax(InferContext& c) {
  checked_axes(c, c.integers("axes"), c.inputs.at(0)->rank());
  return infer_float_map(c);
}

Tensor softmax_of(const EvalContext& c, bool logarithm) {
  const Tensor& x = c.inputs.at(0);
  const Regions regions(x.shape(), c.integers("axes"));
  Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
  dispatch_float(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    T* to = out.mutable_data<T>();
    regions.each([&](int64_t, int64_t first) {
      const T* from = x.data<T>() + first;
      double highest = -HUGE_VAL, sum = 0;
      for (const int64_t at : regions.offsets())
        highest = std::max(highest, static_cast<double>(widen(from[at])));
      for (const int64_t at : regions.offsets())
        sum += std::exp(static_cast<double>(widen(from[at])) - highest);
      const double log_sum = std::log(sum);
      for (const int64_t at : regions.offsets()) {
        const double shifted = static_cast<double>(widen(from[at])) - highest;
        to[first + at] =
            narrow<T>(static_cast<ComputeType<T>>(logarithm ? shifted - log_sum : std::exp(shifted) / sum));
      }
    });
  });
  return out;
}

std::vector<Tensor> eval_softmax(EvalContext& c) { return {softmax_of(c, false)}; }
std::vector<Tensor> eval_log_softmax(EvalContext& c) { return {softmax_of(c, true)}; }

constexpr OpDef kRows[] = {
    {.name = "relu", .infer = infer_relu, .eval = eval_relu, .elementwise = true, .types = kNumbers},
    {.name = "prelu", .infer = infer_prelu, .eval = eval_prelu, .elementwise = true, .types = kFloats},
    {.name = "leaky_relu",
     .infer = infer_alpha,
     .eval = eval_leaky_relu,
     .elementwise = true,
     .types = kFloats},
    {.name = "elu", .infer = infer_alpha, .eval = eval_elu, .elementwise = true, .types = kFloats},
    {.name = "selu", .infer = infer_selu, .eval = eval_selu, .elementwise = true, .types = kFloats},
    {.name = "sigmoid",
     .infer = infer_float_map,
     .eval = eval_sigmoid,
     .elementwise = true,
     .types = kFloats},
    {.name = "silu", .infer = infer_float_map, .eval = eval_silu, .elementwise = true, .types = kFloats},
    {.name = "gelu", .infer = infer_float_map, .eval = eval_gelu, .elementwise = true, .types = kFloats},
    {.name = "nnefrun_gelu",
     .infer = infer_erf_gelu,
     .eval = eval_erf_gelu,
     .elementwise = true,
     .types = kFloats},
    {.name = "tract_core_gelu_approx",
     .infer = infer_gelu_approx,
     .eval = eval_gelu_approx,
     .elementwise = true,
     .types = kFloats},
    {.name = "tract_core_hard_swish",
     .infer = infer_float_map,
     .eval = eval_hard_swish,
     .elementwise = true,
     .types = kFloats},
    {.name = "softplus",
     .infer = infer_float_map,
     .eval = eval_softplus,
     .elementwise = true,
     .types = kFloats},
    {.name = "softabs", .infer = infer_softabs, .eval = eval_softabs, .elementwise = true, .types = kFloats},
    {.name = "softmax", .infer = infer_softmax, .eval = eval_softmax, .types = kFloats},
    {.name = "tract_core_log_softmax", .infer = infer_softmax, .eval = eval_log_softmax, .types = kFloats},
};

}  // namespace

std::span<const OpDef> activation_rows() { return kRows; }

}  // namespace nnefrun
