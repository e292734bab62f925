// What happens to a finished sum of products before it is stored. One closed struct for all of them:
//
//   y[i,j] = activation(scale * sum[i,j] + bias[i or j] + residual[i,j])
//
// The operations are done in f32, in that order, each rounded once (scale and bias by one fused multiply-add
// where the ISA has it). scale = 1 with no bias adds nothing.
#pragma once

#include <cstdint>

namespace nnefrun::kernels {

// Persistent: the values are written into ahead-of-time plans. Append, never renumber.
enum class Activation : uint8_t {
  none = 0,
  // max and min are the selects of NNEF: x > y ? x : y and x < y ? x : y, so NaN becomes a bound.
  relu = 1,        // max(x, 0); NaN becomes 0
  clamp = 2,       // max(min(x, b), a); NaN becomes b
  leaky_relu = 3,  // x < 0 ? a * x : x
  sigmoid = 4,     // 1 / (1 + exp(-x))
  tanh = 5,
  silu = 6,          // x * sigmoid(x)
  gelu_erf = 7,      // x/2 * (1 + erf(x / sqrt 2))
  gelu_tanh = 8,     // x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
  hard_sigmoid = 9,  // clamp(x / 6 + 1/2, 0, 1)
  hard_swish = 10,   // x * hard_sigmoid(x)
  elu = 11,          // x < 0 ? a * (exp(x) - 1) : x
  softplus = 12,     // log(1 + exp(x))
  exp = 13,
  selu = 14,  // elu with the constants of its paper
  clip = 15,  // min(max(x, a), b), relu6 with a = 0, b = 6; NaN becomes a
};

enum class BiasAxis : uint8_t { none, row, column };

struct Epilogue {
  float scale = 1.0F;
  BiasAxis bias_axis = BiasAxis::none;
  Activation activation = Activation::none;
  float a = 0.0F, b = 0.0F;         // parameters of the activation
  const float* bias = nullptr;      // one value for each row (m) or each column (n) of the result
  const float* residual = nullptr;  // same extents as the result, unit column stride; disjoint from it
  int64_t residual_row_stride = 0;  // items
};

}  // namespace nnefrun::kernels
