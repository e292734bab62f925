// What the exact and the fast rows of q40.h share: the walk over panels and rows, and the way to memory. For
// ISA files; include one of vec/*.h first. They define kRows, kCols, kVectorCols (see their body.h) and
// multiply_rows.
#pragma once

#include "kernels/q40/q40.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

constexpr int kVectors = static_cast<int>(kQ40Panel) / kLanes;  // of a panel
// Far enough ahead for memory, close enough for the first cache.
constexpr int64_t kAhead = 16 * kQ40PanelBlock;

NNEFRUN_INLINE I load_codes(const uint8_t* p) {
  I codes;
  __builtin_memcpy(&codes, p, sizeof(codes));
  return codes;
}
NNEFRUN_INLINE V load_scales(const uint8_t* p) { return load_f16(reinterpret_cast<const uint16_t*>(p)); }

template <int kR, int kC>
NNEFRUN_INLINE void store_sums(const Q40Tile& t, const V (&sum)[kR][kC], int64_t row, int vector,
                               int64_t column) {
  NNEFRUN_UNROLL
  for (int r = 0; r < kR; ++r) {
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) {
      const int64_t at = column + (vector + q) * kLanes, left = t.columns - at;
      float* to = t.c + (row + r) * t.c_row_stride + at;
      if (left >= kLanes) {
        vstore(to, sum[r][q]);
      } else if (left > 0) {
        vstore_n(to, sum[r][q], left);
      }
    }
  }
}

// kR rows, from `row` on, against the vectors of one panel from `vector` on: kVectorCols of them for one row,
// else kCols.
template <int kR>
NNEFRUN_INLINE void multiply_rows(const Q40Tile& t, const uint8_t* panel, int64_t row, int vector,
                                  int64_t column);

template <int kR>
NNEFRUN_INLINE void multiply_some_rows(const Q40Tile& t, const uint8_t* panel, int64_t row, int64_t rows,
                                       int vector, int64_t column) {
  if (rows == kR) {
    multiply_rows<kR>(t, panel, row, vector, column);
  } else if constexpr (kR > 1) {
    multiply_some_rows<kR - 1>(t, panel, row, rows, vector, column);
  }
}

// In chunks of nearly equal size, at most kRows rows.
void multiply(const Q40Tile& t) {
  const uint8_t* panel = t.w;
  const int64_t chunks = (t.rows + kRows - 1) / kRows;
  for (int64_t column = 0; column < t.columns; column += kQ40Panel, panel += t.blocks * kQ40PanelBlock) {
    int64_t row = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t rows = (t.rows - row + chunks - chunk - 1) / (chunks - chunk);
      const int step = rows == 1 ? kVectorCols : kCols;
      for (int vector = 0; vector < kVectors && column + vector * kLanes < t.columns; vector += step) {
        multiply_some_rows<kRows>(t, panel, row, rows, vector, column);
      }
      row += rows;
    }
  }
}

}  // namespace
}  // namespace nnefrun::kernels
