// The activations of an Epilogue over rows of memory, for ISA files (include one of vec/*.h first).
#pragma once

#include "kernels/epilogue.h"
#include "kernels/vec_math.h"

namespace nnefrun::kernels {
namespace {

template <class Function>
NNEFRUN_INLINE void map_row(float* c, int64_t n, Function f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) vstore(c + i, f(vload(c + i)));
  if (i < n) vstore_n(c + i, f(vload_n(c + i, n - i)), n - i);
}

// c[r][i] = activation(c[r][i]) for rows `stride` items apart. Short rows want one call for all of them: the
// constants are loaded once, and the chains of one row run beside those of the next.
__attribute__((unused, noinline)) void activate_rows(Activation activation, float a, float b, float* c,
                                                     int64_t stride, int64_t rows, int64_t n) {
  const auto map = [=](auto f) NNEFRUN_LAMBDA {
    for (int64_t r = 0; r < rows; ++r) map_row(c + r * stride, n, f);
  };
  switch (activation) {
    case Activation::none: break;
    case Activation::relu: map([](V x) NNEFRUN_LAMBDA { return vrelu(x); }); break;
    case Activation::clamp: map([a, b](V x) NNEFRUN_LAMBDA { return vclamp(x, a, b); }); break;
    case Activation::leaky_relu: map([a](V x) NNEFRUN_LAMBDA { return vleaky_relu(x, a); }); break;
    case Activation::sigmoid: map([](V x) NNEFRUN_LAMBDA { return vsigmoid(x); }); break;
    case Activation::tanh: map([](V x) NNEFRUN_LAMBDA { return vtanh(x); }); break;
    case Activation::silu: map([](V x) NNEFRUN_LAMBDA { return vsilu(x); }); break;
    case Activation::gelu_erf: map([](V x) NNEFRUN_LAMBDA { return vgelu_erf(x); }); break;
    case Activation::gelu_tanh: map([](V x) NNEFRUN_LAMBDA { return vgelu_tanh(x); }); break;
    case Activation::hard_sigmoid: map([](V x) NNEFRUN_LAMBDA { return vhard_sigmoid(x); }); break;
    case Activation::hard_swish: map([](V x) NNEFRUN_LAMBDA { return vhard_swish(x); }); break;
    case Activation::elu: map([a](V x) NNEFRUN_LAMBDA { return velu(x, a); }); break;
    case Activation::softplus: map([](V x) NNEFRUN_LAMBDA { return vsoftplus(x); }); break;
    case Activation::exp: map([](V x) NNEFRUN_LAMBDA { return vexp(x); }); break;
    case Activation::selu: map([](V x) NNEFRUN_LAMBDA { return vselu(x); }); break;
    case Activation::clip: map([a, b](V x) NNEFRUN_LAMBDA { return vclip(x, a, b); }); break;
  }
}

NNEFRUN_INLINE void activate_row(Activation activation, float a, float b, float* c, int64_t n) {
  activate_rows(activation, a, b, c, 0, 1, n);
}

// y = activation(scale * c + bias + residual) for `n` items of row `row` from column `column` on, in place.
__attribute__((unused, noinline)) void epilogue_row(const Epilogue& e, float* c, int64_t row, int64_t column,
                                                    int64_t n) {
  const float* residual = e.residual == nullptr ? nullptr : e.residual + row * e.residual_row_stride + column;
  const V scale = vset(e.scale);
  if (e.bias_axis == BiasAxis::column) {
    const float* bias = e.bias + column;
    for (int64_t i = 0; i < n; i += kLanes) {
      const int64_t left = n - i < kLanes ? n - i : kLanes;
      vstore_n(c + i, vfma(vload_n(c + i, left), scale, vload_n(bias + i, left)), left);
    }
  } else if (e.bias_axis == BiasAxis::row) {
    const V bias = vset(e.bias[row]);
    map_row(c, n, [=](V x) NNEFRUN_LAMBDA { return vfma(x, scale, bias); });
  } else if (e.scale != 1.0F) {
    map_row(c, n, [=](V x) NNEFRUN_LAMBDA { return x * scale; });
  }
  if (residual != nullptr) {
    for (int64_t i = 0; i < n; i += kLanes) {
      const int64_t left = n - i < kLanes ? n - i : kLanes;
      vstore_n(c + i, vload_n(c + i, left) + vload_n(residual + i, left), left);
    }
  }
  activate_row(e.activation, e.a, e.b, c, n);
}

}  // namespace
}  // namespace nnefrun::kernels
