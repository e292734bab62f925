// Resampling along one axis of an index space [outer, in, inner], f32: each position of the result takes a
// weighted sum of a few positions of the argument, told by a table.
//
//   y[o,x,i] = sum over the taps t of position x of  weight[t] * x[o, index[t], i]        0 <= x < out
//
// Taps are added in order, with fused multiply-adds where the row has them. With `taps` 1 or 2, the taps of
// position x are the entries [x * taps, (x + 1) * taps); with 0 they are [first[x], first[x + 1]), and a
// position without taps is `outside`. Without weights each position is a copy of its only tap.
//
// Threads: pure functions; split along outer. x and y are disjoint.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace nnefrun::kernels {

struct ResampleAxis {
  int64_t outer = 1, in = 1, out = 1, inner = 1;
  int taps = 0;                    // 1 or 2 of each position; 0: as many as `first` says
  const int32_t* index = nullptr;  // REQUIRES: 0 <= index < in
  const float* weight = nullptr;   // null with taps = 1: copies
  const int32_t* first = nullptr;  // out + 1 items; unused unless taps = 0
  float outside = 0.0F;
};
void resample_f32(const ResampleAxis& axis, const float* x, float* y, IsaFeatures features = host_isa());

struct ResampleKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  void (*resample)(const ResampleAxis& axis, const float* x, float* y);
};
const ResampleKernels& choose_resample(IsaFeatures features = host_isa());
const ResampleKernels* const* resample_rows(int* count);

}  // namespace nnefrun::kernels
