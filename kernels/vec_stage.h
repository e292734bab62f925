// Copies, fills and the staging of kernels/stage.h for ISA files (include one of vec/*.h first).
#pragma once

#include "kernels/stage.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

NNEFRUN_INLINE void copy_items(const float* src, float* dst, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) vstore(dst + i, vload(src + i));
  if (i < n) vstore_n(dst + i, vload_n(src + i, n - i), n - i);
}
NNEFRUN_INLINE void fill_items(float* dst, int64_t n, float value) {
  for (int64_t i = 0; i < n; ++i) dst[i] = value;
}

void stage_row(const StageRow& s) {
  if (s.x == nullptr) {
    fill_items(s.out, s.phases * s.length, s.outside);
    return;
  }
  for (int64_t phase = 0; phase < s.phases; ++phase) {
    float* out = s.out + phase * s.length;
    const int64_t first = s.first + phase;
    // items [low, high) lie inside the row
    int64_t low = first >= 0 ? 0 : (-first + s.stride - 1) / s.stride;
    int64_t high = first >= s.width ? 0 : (s.width - first + s.stride - 1) / s.stride;
    if (high > s.length) high = s.length;
    if (low > high) low = high;
    fill_items(out, low, s.outside);
    fill_items(out + high, s.length - high, s.outside);
    const float* x = s.x + first;
    if (s.stride == 1) {
      copy_items(x + low, out + low, high - low);
    } else if (s.stride == 2) {
      int64_t i = low;
      // the odd companion of the last even item may lie outside, so it is left to the scalar loop
      for (; i + kLanes < high; i += kLanes) {
        V even, odd;
        vload_even_odd(x + 2 * i, &even, &odd);
        vstore(out + i, even);
      }
      for (; i < high; ++i) out[i] = x[2 * i];
    } else {
      for (int64_t i = low; i < high; ++i) out[i] = x[i * s.stride];
    }
  }
}

}  // namespace
}  // namespace nnefrun::kernels
