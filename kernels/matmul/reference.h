// The product of matmul.h in plain loops and double precision: the oracle of its tests.
#pragma once

#include <cmath>

#include "kernels/epilogue.h"
#include "kernels/matmul/matmul.h"

namespace nnefrun::kernels {

inline double activation_reference(Activation activation, double x, double a, double b) {
  const double sigmoid = 1 / (1 + std::exp(-x));
  const double hard = std::fmin(std::fmax(x / 6 + 0.5, 0), 1);
  switch (activation) {
    case Activation::none: return x;
    case Activation::relu: return x > 0 ? x : 0;
    case Activation::clamp: return x < b ? (x > a ? x : a) : b > a ? b : a;
    case Activation::clip: return x > a ? (x < b ? x : b) : a < b ? a : b;
    case Activation::leaky_relu: return x < 0 ? a * x : x;
    case Activation::sigmoid: return sigmoid;
    case Activation::tanh: return std::tanh(x);
    case Activation::silu: return x * sigmoid;
    case Activation::gelu_erf: return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case Activation::hard_sigmoid: return hard;
    case Activation::hard_swish: return x * hard;
    case Activation::elu: return x < 0 ? a * std::expm1(x) : x;
    case Activation::softplus: return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x)));
    case Activation::exp: return std::exp(x);
    case Activation::selu: return 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * std::expm1(x) : x);
  }
  return x;
}

// `magnitude` receives what the same sum is over absolute values: the scale of the error to expect.
inline double matmul_reference(const MatmulArgs& g, int64_t i, int64_t j, double* magnitude) {
  const Epilogue& e = g.epilogue;
  double sum = g.accumulate ? g.c[i * g.c_row_stride + j] : 0;
  *magnitude = std::fabs(sum);
  for (int64_t p = 0; p < g.k; ++p) {
    const double product = static_cast<double>(g.a[i * g.a_row_stride + p * g.a_col_stride]) *
                           g.b[p * g.b_row_stride + j * g.b_col_stride];
    sum += product;
    *magnitude += std::fabs(product);
  }
  sum *= e.scale;
  *magnitude *= std::fabs(e.scale);
  const double bias = e.bias_axis == BiasAxis::none ? 0 : e.bias[e.bias_axis == BiasAxis::row ? i : j];
  const double residual = e.residual == nullptr ? 0 : e.residual[i * e.residual_row_stride + j];
  *magnitude += std::fabs(bias) + std::fabs(residual);
  sum += bias + residual;
  return activation_reference(e.activation, sum, e.a, e.b);
}

}  // namespace nnefrun::kernels
