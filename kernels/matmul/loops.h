// What an ISA file may replace in body.h by assembly of its own: the innermost loops. Each function sets all
// sums and returns how many steps of p it has done (in order, from the first); body.h does what is left.
// Include one of vec/*.h first.
#pragma once

#include "kernels/matmul/block.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

template <int kRows, int kCols>
NNEFRUN_INLINE void clear_sums(V (&acc)[kRows][kCols]) {
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) acc[r][v] = vset(0.0F);
  }
}

constexpr int64_t kCacheLine = 16;  // items

// What to fetch into the second cache meanwhile: every few steps (kTurn) the lines of `count` items that are
// `stride` apart, the first `step` items further each time.
struct Ahead {
  const float* p = nullptr;
  int64_t count = 0, stride = 0, step = 0;
};
constexpr int64_t kTurn = 4;

struct PlainLoops {
  static constexpr bool kReadsRows = false;  // whether there is tile_of_rows
  static constexpr int kDotColumns = 4;      // columns that a single row is multiplied with at once
  // Panels that gemv takes at once, so that enough chains are in flight.
  static constexpr int panels_at_once(int width) { return 4; }

  // A packed in panels of kMr, B with b_step items from p to p + 1.
  template <int kRows, int kCols>
  static NNEFRUN_INLINE int64_t tile(V (&acc)[kRows][kCols], const float* a, const float* b, int64_t b_step,
                                     int64_t k, const Ahead& ahead) {
    clear_sums(acc);
    return 0;
  }
  // Rows of A in place, contiguous along p.
  template <int kRows, int kCols>
  static NNEFRUN_INLINE int64_t tile_of_rows(V (&acc)[kRows][kCols], const float* a, int64_t a_row_stride,
                                             const float* b, int64_t b_step, int64_t k, const Ahead& ahead) {
    clear_sums(acc);
    return 0;
  }
  // One x times kCount panels of kWidth items, `next` items apart.
  template <int kWidth, int kCount, int kCols>
  static NNEFRUN_INLINE int64_t panels(V (&acc)[kCount][kCols], const float* x, const float* w, int64_t next,
                                       int64_t k) {
    clear_sums(acc);
    return 0;
  }
  // The whole product in place over the first columns; returns how many.
  static int64_t rows(const GemvBlock& g) { return 0; }
  // Both contiguous along p; a multiple of kLanes steps.
  template <int kRows, int kCols>
  static NNEFRUN_INLINE int64_t dot(V (&acc)[kRows][kCols], const float* a, int64_t a_row_stride,
                                    const float* b, int64_t b_row_stride, int64_t k) {
    clear_sums(acc);
    return 0;
  }
};

}  // namespace
}  // namespace nnefrun::kernels
