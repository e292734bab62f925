// Rotary position embedding of one row, f32: its first half x and its second half x' are turned by an angle
// each,
//
//   y[j]  = x[j] cos[j] - x'[j] sin[j]        y'[j] = x'[j] cos'[j] + x[j] sin'[j]        0 <= j < half
//
// where cos and sin have two halves as well. Each result is one product, rounded, and one fused multiply-add
// where the row has them: off by less than 2 * 2^-24 of |x cos| + |x' sin|.
//
// Threads: pure functions. y may be x; cos and sin overlap no result.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace nnefrun::kernels {

struct RopeKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  void (*row)(int64_t half, const float* x, const float* cos, const float* sin, float* y);
};
const RopeKernels& choose_rope(IsaFeatures features = host_isa());
const RopeKernels* const* rope_rows(int* count);

}  // namespace nnefrun::kernels
