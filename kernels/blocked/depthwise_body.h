// Depthwise convolution in the blocked layout, for ISA files.
#pragma once

#include "kernels/blocked/rows.h"
#include "kernels/vec_activation.h"

namespace nnefrun::kernels {
namespace {

void blocked_depthwise(const BlockedDepthwise& d) {
  const ConvShape& s = *d.shape;
  const Epilogue* e = d.epilogue;
  for (int64_t line = d.line_begin; line < d.line_end; ++line) {
    float* y = d.y + line * s.out[2] * kLanes;
    const int64_t z = line / s.out[1] * s.stride[0] - s.pad_before[0];
    const int64_t row = line % s.out[1] * s.stride[1] - s.pad_before[1];
    for (int64_t column = 0; column < s.out[2]; ++column) {
      V sum = vset(0.0F);
      const float* w = d.w;
      for (int64_t kd = 0; kd < s.filter[0]; ++kd) {
        for (int64_t kh = 0; kh < s.filter[1]; ++kh) {
          for (int64_t kw = 0; kw < s.filter[2]; ++kw, w += kLanes) {
            const int64_t i = z + kd * s.dilation[0], j = row + kh * s.dilation[1];
            const int64_t k = column * s.stride[2] - s.pad_before[2] + kw * s.dilation[2];
            if (i < 0 || i >= s.in[0] || j < 0 || j >= s.in[1] || k < 0 || k >= s.in[2]) continue;
            sum = vfma(vload(d.x + ((i * s.in[1] + j) * s.in[2] + k) * kLanes), vload(w), sum);
          }
        }
      }
      if (e != nullptr) {
        if (e->bias_axis == BiasAxis::row) {
          sum = vfma(sum, vset(e->scale), vload(e->bias));
        } else if (e->scale != 1.0F) {
          sum = sum * vset(e->scale);
        }
        if (e->residual != nullptr) sum = sum + vload(e->residual + (line * s.out[2] + column) * kLanes);
      }
      vstore(y + column * kLanes, sum);
    }
    if (e != nullptr) activate_row(e->activation, e->a, e->b, y, s.out[2] * kLanes);
  }
}

}  // namespace
}  // namespace nnefrun::kernels
