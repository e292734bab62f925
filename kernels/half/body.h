// The rows of half.h, written once over the vector of kernels/vec.h.
#pragma once

#include "kernels/half/half.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

constexpr int kHalfRows = 4, kHalfTile = 4;  // rows of X and of W at once

// kR rows of X against kC rows of W. One row of X has two sums in flight for each result.
template <int kR, int kC>
NNEFRUN_INLINE void multiply_tile(const HalfTile& t, int64_t row, int64_t column) {
  constexpr int kChains = kR == 1 ? 2 : 1;
  const float* x = t.x + row * t.x_row_stride;
  const uint16_t* w = t.w + column * t.w_row_stride;
  V sum[kChains][kR][kC];
  NNEFRUN_UNROLL
  for (int n = 0; n < kChains; ++n) {
    NNEFRUN_UNROLL
    for (int r = 0; r < kR; ++r) {
      NNEFRUN_UNROLL
      for (int q = 0; q < kC; ++q) sum[n][r][q] = vset(0.0F);
    }
  }
  int64_t p = 0;
  for (; p + kChains * kLanes <= t.depth; p += kChains * kLanes) {
    NNEFRUN_UNROLL
    for (int n = 0; n < kChains; ++n) {
      V xs[kR];
      NNEFRUN_UNROLL
      for (int r = 0; r < kR; ++r) xs[r] = vload(x + r * t.x_row_stride + p + n * kLanes);
      NNEFRUN_UNROLL
      for (int q = 0; q < kC; ++q) {
        const V weights = load_f16(w + q * t.w_row_stride + p + n * kLanes);
        NNEFRUN_UNROLL
        for (int r = 0; r < kR; ++r) sum[n][r][q] = vfma(xs[r], weights, sum[n][r][q]);
      }
    }
  }
  for (; p < t.depth; p += kLanes) {
    const int64_t left = t.depth - p < kLanes ? t.depth - p : kLanes;
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) {
      uint16_t padded[kLanes] = {};
      for (int64_t i = 0; i < left; ++i) padded[i] = w[q * t.w_row_stride + p + i];
      const V weights = load_f16(padded);
      NNEFRUN_UNROLL
      for (int r = 0; r < kR; ++r) {
        sum[0][r][q] = vfma(vload_n(x + r * t.x_row_stride + p, left), weights, sum[0][r][q]);
      }
    }
  }
  NNEFRUN_UNROLL
  for (int r = 0; r < kR; ++r) {
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) {
      const V all = kChains == 1 ? sum[0][r][q] : sum[0][r][q] + sum[kChains - 1][r][q];
      t.c[(row + r) * t.c_row_stride + column + q] = vsum(all);
    }
  }
}

template <int kR>
NNEFRUN_INLINE void multiply_rows(const HalfTile& t, int64_t row, int64_t rows) {
  if (rows == kR) {
    int64_t column = 0;
    for (; column + kHalfTile <= t.columns; column += kHalfTile) multiply_tile<kR, kHalfTile>(t, row, column);
    for (; column < t.columns; ++column) multiply_tile<kR, 1>(t, row, column);
  } else if constexpr (kR > 1) {
    multiply_rows<kR - 1>(t, row, rows);
  }
}

void multiply(const HalfTile& t) {
  const int64_t chunks = (t.rows + kHalfRows - 1) / kHalfRows;
  for (int64_t chunk = 0, row = 0; chunk < chunks; ++chunk) {
    const int64_t rows = (t.rows - row + chunks - chunk - 1) / (chunks - chunk);
    multiply_rows<kHalfRows>(t, row, rows);
    row += rows;
  }
}

}  // namespace

extern const HalfKernels NNEFRUN_TABLE(half);
const HalfKernels NNEFRUN_TABLE(half) = {NNEFRUN_STRING(NNEFRUN_ISA), isa::NNEFRUN_ISA, true, multiply};

}  // namespace nnefrun::kernels
