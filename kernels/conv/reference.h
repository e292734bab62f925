// The convolution of conv.h in plain loops and double precision: the oracle of its tests. Weights are not
// packed.
#pragma once

#include <cmath>

#include "kernels/conv/conv.h"
#include "kernels/matmul/reference.h"

namespace nnefrun::kernels {

// One output value. `magnitude` receives the sum of absolute values of everything that was added.
inline double conv_reference(const ConvArgs& args, const float* weights, int64_t batch, int64_t channel,
                             const int64_t (&at)[3], double* magnitude) {
  const ConvShape& s = args.shape;
  const Epilogue& e = args.epilogue;
  const int64_t channels = s.in_channels / s.groups, group = channel / (s.out_channels / s.groups);
  const int64_t index =
      (((batch * s.out_channels + channel) * s.out[0] + at[0]) * s.out[1] + at[1]) * s.out[2] + at[2];
  double sum = args.accumulate ? args.y[index] : 0;
  *magnitude = std::fabs(sum);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t t = 0; t < s.filter[0] * s.filter[1] * s.filter[2]; ++t) {
      const int64_t tap[3] = {t / (s.filter[1] * s.filter[2]), t / s.filter[2] % s.filter[1],
                              t % s.filter[2]};
      int64_t offset = batch * s.in_channels + group * channels + c;
      bool inside = true;
      for (int axis = 0; axis < 3; ++axis) {
        const int64_t x = at[axis] * s.stride[axis] + tap[axis] * s.dilation[axis] - s.pad_before[axis];
        inside = inside && x >= 0 && x < s.in[axis];
        offset = offset * s.in[axis] + x;
      }
      if (!inside) continue;
      const int64_t w = (channel * channels + c) * s.filter[0] * s.filter[1] * s.filter[2] + t;
      const double product = static_cast<double>(args.x[offset]) * weights[w];
      sum += product;
      *magnitude += std::fabs(product);
    }
  }
  sum *= e.scale;
  *magnitude *= std::fabs(e.scale);
  const double bias = e.bias_axis == BiasAxis::none ? 0 : e.bias[channel];
  const double residual = e.residual == nullptr ? 0 : e.residual[index];
  *magnitude += std::fabs(bias) + std::fabs(residual);
  return activation_reference(e.activation, sum + bias + residual, e.a, e.b);
}

}  // namespace nnefrun::kernels
