// The rows of half.h, written once over the vector of kernels/vec.h.
#pragma once

#include "kernels/half/half.h"
#include "kernels/vec_half.h"

namespace nnefrun::kernels {
namespace {

constexpr int kHalfRows = 4, kHalfTile = 4;  // rows of X and of W at once
constexpr int64_t kLine = 32;                // weights of a cache line
constexpr int64_t kAhead = 512;              // weights that are asked for in advance; none behind W is used

// kR rows of X against kC rows of W, `apart` columns from each other. One row of X has two sums in flight for
// each result.
template <int kR, int kC>
NNEFRUN_INLINE void multiply_tile(const HalfTile& t, int64_t row, int64_t column, int64_t apart) {
  constexpr int kChains = kR == 1 ? 2 : 1;
  static_assert(kLine % (kChains * kLanes) == 0);
  const float* x = t.x + row * t.x_row_stride;
  const uint16_t* w = t.w + column * t.w_row_stride;
  const int64_t w_stride = apart * t.w_row_stride;
  V sum[kChains][kR][kC];
  NNEFRUN_UNROLL
  for (int n = 0; n < kChains; ++n) {
    NNEFRUN_UNROLL
    for (int r = 0; r < kR; ++r) {
      NNEFRUN_UNROLL
      for (int q = 0; q < kC; ++q) sum[n][r][q] = vset(0.0F);
    }
  }
  const auto add = [&](int64_t p, V(&to)[kR][kC]) NNEFRUN_LAMBDA {
    V xs[kR];
    NNEFRUN_UNROLL
    for (int r = 0; r < kR; ++r) xs[r] = vload(x + r * t.x_row_stride + p);
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) {
      const V weights = load_f16(w + q * w_stride + p);
      NNEFRUN_UNROLL
      for (int r = 0; r < kR; ++r) to[r][q] = vfma(xs[r], weights, to[r][q]);
    }
  };
  int64_t p = 0;
  for (; p + kLine <= t.depth; p += kLine) {
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) __builtin_prefetch(w + q * w_stride + p + kAhead);
    NNEFRUN_UNROLL
    for (int64_t i = 0; i < kLine / kLanes; ++i) add(p + i * kLanes, sum[i % kChains]);
  }
  for (; p + kLanes <= t.depth; p += kLanes) add(p, sum[0]);
  if (p < t.depth) {
    const int64_t left = t.depth - p;
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) {
      const V weights = load_f16_n(w + q * w_stride + p, left);
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
      t.c[(row + r) * t.c_row_stride + column + q * apart] = vsum(all);
    }
  }
}

// All rows of X in chunks as equal as can be; rows of W after the first chunk come from the cache.
template <int kC>
void multiply_columns(const HalfTile& t, int64_t column, int64_t apart) {
  const int64_t chunks = (t.rows + kHalfRows - 1) / kHalfRows;
  for (int64_t chunk = 0, row = 0; chunk < chunks; ++chunk) {
    const int64_t rows = (t.rows - row + chunks - chunk - 1) / (chunks - chunk);
    switch (rows) {
      case 1: multiply_tile<1, kC>(t, row, column, apart); break;
      case 2: multiply_tile<2, kC>(t, row, column, apart); break;
      case 3: multiply_tile<3, kC>(t, row, column, apart); break;
      default: multiply_tile<kHalfRows, kC>(t, row, column, apart);
    }
    row += rows;
  }
}

// W is read as kHalfTile streams that run from end to end of a part of it each, in pages of their own: the
// CPU fetches ahead in all of them, and does not start anew with every row.
void multiply(const HalfTile& t) {
  const int64_t part = t.columns / kHalfTile;
  for (int64_t i = 0; i < part; ++i) multiply_columns<kHalfTile>(t, i, part);
  for (int64_t i = part * kHalfTile; i < t.columns; ++i) multiply_columns<1>(t, i, 1);
}

}  // namespace

extern const HalfKernels NNEFRUN_TABLE(half);
const HalfKernels NNEFRUN_TABLE(half) = {NNEFRUN_STRING(NNEFRUN_ISA), isa::NNEFRUN_ISA, true, multiply};

}  // namespace nnefrun::kernels
