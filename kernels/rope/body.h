// Rotary position embedding, written once over the vector of kernels/vec.h.
#pragma once

#include "kernels/rope/rope.h"

namespace nnefrun::kernels {
namespace {

void rope_row(int64_t half, const float* x, const float* cos, const float* sin, float* y) {
  int64_t j = 0;
  for (; j + kLanes <= half; j += kLanes) {
    const V first = vload(x + j), second = vload(x + half + j);
    vstore(y + j, vfnma(second, vload(sin + j), first * vload(cos + j)));
    vstore(y + half + j, vfma(first, vload(sin + half + j), second * vload(cos + half + j)));
  }
  if (j == half) return;
  const int64_t n = half - j;
  const V first = vload_n(x + j, n), second = vload_n(x + half + j, n);
  vstore_n(y + j, vfnma(second, vload_n(sin + j, n), first * vload_n(cos + j, n)), n);
  vstore_n(y + half + j, vfma(first, vload_n(sin + half + j, n), second * vload_n(cos + half + j, n)), n);
}

}  // namespace

extern const RopeKernels NNEFRUN_TABLE(rope);
const RopeKernels NNEFRUN_TABLE(rope) = {
    NNEFRUN_STRING(NNEFRUN_ISA),
    isa::NNEFRUN_ISA,
    true,
    rope_row,
};

}  // namespace nnefrun::kernels
