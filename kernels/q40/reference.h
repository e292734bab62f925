// The products and the quantisation of q40.h in plain loops and double precision: the oracle of their tests.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/matmul/reference.h"
#include "kernels/q40/q40.h"

namespace nnefrun::kernels {

inline ActivationQ80 quantize_q80_reference(const float* x) {
  ActivationQ80 out{};
  float most = 0;
  bool finite = true;
  for (int i = 0; i < 32; ++i) {
    finite = finite && std::isfinite(x[i]);
    most = std::fmax(most, std::fabs(x[i]));
  }
  if (!finite) out.d = std::numeric_limits<float>::quiet_NaN();
  if (!finite || most < kActivationQ80Least) return out;
  out.d = most / 127.0F;
  const float reciprocal = 1.0F / out.d;
  int sum = 0;
  for (int i = 0; i < 32; ++i) {
    out.q[i] = static_cast<int8_t>(std::nearbyint(x[i] * reciprocal));
    sum += out.q[i];
  }
  out.minus_8_sum = -8 * sum;
  return out;
}

// One item of the result, before rounding. W has k / 32 blocks for each column. `magnitude` receives what the
// same sum is over absolute values: of products when exact, of block sums when fast.
inline double q40_reference(const Q40Args& g, const BlockQ40* w, int64_t i, int64_t j, double* magnitude) {
  const Epilogue& e = g.epilogue;
  double sum = 0;
  *magnitude = 0;
  for (int64_t b = 0; b < g.k / 32; ++b) {
    const BlockQ40& block = w[j * (g.k / 32) + b];
    const double d = float_from_half_bits(block.d);
    if (g.activations == nullptr) {
      for (int p = 0; p < 32; ++p) {
        const double product = (q40_code(block, p) - 8) * d * g.x[i * g.x_row_stride + b * 32 + p];
        sum += product;
        *magnitude += std::fabs(product);
      }
      continue;
    }
    const ActivationQ80& a = g.activations[i * (g.k / 32) + b];
    int dot = 0;
    for (int p = 0; p < 32; ++p) dot += (q40_code(block, p) - 8) * a.q[p];
    const double product = dot * d * a.d;
    sum += product;
    *magnitude += std::fabs(product);
  }
  sum *= e.scale;
  *magnitude *= std::fabs(e.scale);
  const double bias = e.bias_axis == BiasAxis::none ? 0 : e.bias[e.bias_axis == BiasAxis::row ? i : j];
  const double residual = e.residual == nullptr ? 0 : e.residual[i * e.residual_row_stride + j];
  *magnitude += std::fabs(bias) + std::fabs(residual);
  return activation_reference(e.activation, sum + bias + residual, e.a, e.b);
}

}  // namespace nnefrun::kernels
