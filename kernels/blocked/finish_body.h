// What the tiles of direct and depthwise convolution share, for ISA files: ranges of taps, and the way from
// sums in registers to memory.
#pragma once

#include "kernels/blocked/rows.h"
#include "kernels/vec_activation.h"

namespace nnefrun::kernels {
namespace {

// Keeps a loaded vector in its register: compilers like to load it again for every use.
NNEFRUN_INLINE void keep(V& v) {
#if defined(__AVX512F__)
  __asm__("" : "+v"(v));
#elif defined(__x86_64__)
  __asm__("" : "+x"(v));
#elif defined(__aarch64__)
  __asm__("" : "+w"(v));
#else
  (void)v;
#endif
}

// Taps [begin, end) of an axis that lie inside when the first is at `first`.
NNEFRUN_INLINE void taps_inside(int64_t first, int64_t dilation, int64_t taps, int64_t extent, int64_t* begin,
                                int64_t* end) {
  int64_t low = 0, high = taps;
  while (low < high && first + low * dilation < 0) ++low;
  while (high > low && first + (high - 1) * dilation >= extent) --high;
  *begin = low;
  *end = high;
}

// Stores kPositions neighbouring positions of kVectors blocks, `y_block` items apart. bias: of the first
// block, residual: as y; both may be null.
template <int kPositions, int kVectors>
NNEFRUN_INLINE void finish_tile(V (&acc)[kPositions][kVectors], const Epilogue* epilogue, const float* bias,
                                const float* residual, float* y, int64_t y_block) {
  Activation after = Activation::none;
  if (epilogue != nullptr) {
    const Epilogue& e = *epilogue;
    const V scale = vset(e.scale);
    NNEFRUN_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      if (bias != nullptr) {
        const V add = vload(bias + v * kLanes);
        NNEFRUN_UNROLL
        for (int r = 0; r < kPositions; ++r) acc[r][v] = vfma(acc[r][v], scale, add);
      } else if (e.scale != 1.0F) {
        NNEFRUN_UNROLL
        for (int r = 0; r < kPositions; ++r) acc[r][v] = acc[r][v] * scale;
      }
    }
    if (residual != nullptr) {
      NNEFRUN_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        NNEFRUN_UNROLL
        for (int r = 0; r < kPositions; ++r) {
          acc[r][v] = acc[r][v] + vload(residual + v * y_block + r * kLanes);
        }
      }
    }
    after = e.activation;
    if (after == Activation::clamp) {  // relu and clip have their bounds in the other order, see Activation
      const V high = vset(e.b);
      NNEFRUN_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        NNEFRUN_UNROLL
        for (int r = 0; r < kPositions; ++r) acc[r][v] = vmin(acc[r][v], high);
      }
    }
    const bool bounded =
        after == Activation::relu || after == Activation::clamp || after == Activation::clip;
    if (bounded) {
      const V low = vset(after == Activation::relu ? 0.0F : e.a);
      NNEFRUN_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        NNEFRUN_UNROLL
        for (int r = 0; r < kPositions; ++r) acc[r][v] = vmax(acc[r][v], low);
      }
    }
    if (after == Activation::clip) {
      const V high = vset(e.b);
      NNEFRUN_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        NNEFRUN_UNROLL
        for (int r = 0; r < kPositions; ++r) acc[r][v] = vmin(acc[r][v], high);
      }
    }
    if (bounded) after = Activation::none;
  }
  NNEFRUN_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    NNEFRUN_UNROLL
    for (int r = 0; r < kPositions; ++r) vstore(y + v * y_block + r * kLanes, acc[r][v]);
  }
  if (after != Activation::none) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      activate_row(after, epilogue->a, epilogue->b, y + v * y_block, kPositions * kLanes);
    }
  }
}

}  // namespace
}  // namespace nnefrun::kernels
