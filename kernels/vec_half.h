// Loads of f16 beyond whole vectors; to be included after an ISA's vector (kernels/vec.h).
#pragma once

#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

// The first n items as floats, 0 <= n < kLanes; memory beyond is not touched, other lanes are 0.
NNEFRUN_INLINE V load_f16_n(const uint16_t* p, int64_t n) {
  uint16_t padded[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) padded[i] = p[i];
  return load_f16(padded);
}
inline void f32_from_f16(const uint16_t* src, float* dst, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) vstore(dst + i, load_f16(src + i));
  if (i < n) vstore_n(dst + i, load_f16_n(src + i, n - i), n - i);
}

}  // namespace
}  // namespace nnefrun::kernels
