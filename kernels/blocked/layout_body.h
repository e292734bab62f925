// The way into the blocked layout and out of it, for ISA files: squares of kLanes channels by kLanes
// positions, transposed in registers.
#pragma once

#include "kernels/blocked/rows.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

// `count` channels of a block, kLanes or fewer; the lanes behind them become 0.
template <bool kWhole>
NNEFRUN_INLINE void block_in(const float* x, float* to, int64_t count, int64_t positions) {
  int64_t p = 0;
  for (; p + kLanes <= positions; p += kLanes) {
    V square[kLanes];
    NNEFRUN_UNROLL
    for (int c = 0; c < kLanes; ++c) {
      square[c] = kWhole || c < count ? vload(x + c * positions + p) : vset(0.0F);
    }
    vtranspose(square);
    NNEFRUN_UNROLL
    for (int i = 0; i < kLanes; ++i) vstore(to + (p + i) * kLanes, square[i]);
  }
  if (p == positions) return;
  V square[kLanes];
  NNEFRUN_UNROLL
  for (int c = 0; c < kLanes; ++c) {
    square[c] = kWhole || c < count ? vload_n(x + c * positions + p, positions - p) : vset(0.0F);
  }
  vtranspose(square);
  NNEFRUN_UNROLL
  for (int i = 0; i < kLanes; ++i) {
    if (p + i < positions) vstore(to + (p + i) * kLanes, square[i]);
  }
}
template <bool kWhole>
NNEFRUN_INLINE void block_out(const float* from, float* y, int64_t count, int64_t positions) {
  int64_t p = 0;
  for (; p + kLanes <= positions; p += kLanes) {
    V square[kLanes];
    NNEFRUN_UNROLL
    for (int i = 0; i < kLanes; ++i) square[i] = vload(from + (p + i) * kLanes);
    vtranspose(square);
    NNEFRUN_UNROLL
    for (int c = 0; c < kLanes; ++c) {
      if (kWhole || c < count) vstore(y + c * positions + p, square[c]);
    }
  }
  if (p == positions) return;
  V square[kLanes];
  NNEFRUN_UNROLL
  for (int i = 0; i < kLanes; ++i) {
    square[i] = p + i < positions ? vload(from + (p + i) * kLanes) : vset(0.0F);
  }
  vtranspose(square);
  NNEFRUN_UNROLL
  for (int c = 0; c < kLanes; ++c) {
    if (kWhole || c < count) vstore_n(y + c * positions + p, square[c], positions - p);
  }
}

void block_image(const float* plain, float* blocked, int64_t channels, int64_t positions) {
  for (int64_t c = 0; c < channels; c += kLanes, plain += kLanes * positions, blocked += kLanes * positions) {
    if (channels - c >= kLanes) {
      block_in<true>(plain, blocked, kLanes, positions);
    } else {
      block_in<false>(plain, blocked, channels - c, positions);
    }
  }
}
void unblock_image(const float* blocked, float* plain, int64_t channels, int64_t positions) {
  for (int64_t c = 0; c < channels; c += kLanes, plain += kLanes * positions, blocked += kLanes * positions) {
    if (channels - c >= kLanes) {
      block_out<true>(blocked, plain, kLanes, positions);
    } else {
      block_out<false>(blocked, plain, channels - c, positions);
    }
  }
}

}  // namespace
}  // namespace nnefrun::kernels
