// Depthwise convolution in the blocked layout, for ISA files.
//
// A tile is a few neighbouring positions of one channel block, summed in registers over all taps; each input
// vector of a row is loaded once for all of them. No padding is copied: rows outside are left out, and tiles
// that touch the sides of the input check each column.
#pragma once

#include "kernels/blocked/finish_body.h"
#include "kernels/blocked/loops.h"

#if !defined(NNEFRUN_BLOCKED_RUNS)
#define NNEFRUN_BLOCKED_RUNS PlainRuns
#endif

namespace nnefrun::kernels {
namespace {

constexpr int kDepthwisePositions = 8;
constexpr int kDepthwiseAnyPositions = 4;  // most positions when their distance is not known to the compiler

constexpr int kDepthwiseNarrow = 4;  // tiles across: such planes lie in the first cache or nearly so

alignas(64) constexpr float kDepthwiseZeros[kLanes] = {};

struct DepthwiseTiles {
  const float* x;          // column 0 of the input's rows; add x_depth and x_row for each tap
  int64_t first;           // input column of the first position's first tap
  int64_t width;           // columns of the input
  int64_t step, x_tap;     // columns between positions, and between taps
  int64_t x_depth, x_row;  // items between taps
  int64_t depth_begin, depth_end, row_begin, row_end;
  const float* w;
  int64_t height_taps, width_taps;
  float* y;
  const float* residual;
  const Epilogue* epilogue;
  int64_t count;           // tiles to do,
  int64_t x_next, y_next;  // and items from one to the next; the columns are those of the first
};

// The vector `column` columns from x, which is column `first` of a row of `width`; zero outside the row.
template <bool kChecked>
NNEFRUN_INLINE V depthwise_load(const float* x, int64_t column, int64_t first, int64_t width) {
  const float* p = x + column * kLanes;
  if constexpr (kChecked) {
    if (static_cast<uint64_t>(first + column) >= static_cast<uint64_t>(width)) p = kDepthwiseZeros;
  }
  return vload(p);
}

// One row of a filter of kTaps neighbouring taps.
template <int kTaps, int kStride, int kPositions, bool kChecked>
NNEFRUN_INLINE void depthwise_row(V (&acc)[kPositions][1], const float* x, int64_t first, int64_t width,
                                  const float* w) {
  V weights[kTaps];
  NNEFRUN_UNROLL
  for (int k = 0; k < kTaps; ++k) {
    weights[k] = vload(w + k * kLanes);
    keep(weights[k]);
  }
  NNEFRUN_UNROLL
  for (int j = 0; j < (kPositions - 1) * kStride + kTaps; ++j) {
    V item = depthwise_load<kChecked>(x, j, first, width);
    keep(item);
    NNEFRUN_UNROLL
    for (int r = 0; r < kPositions; ++r) {
      const int k = j - r * kStride;
      if (k >= 0 && k < kTaps) acc[r][0] = vfma(item, weights[k], acc[r][0]);
    }
  }
}

// Copies of rows of which columns lie outside, with zeros there. `x` is column `first` of a row of `width`.
template <int kColumns>
NNEFRUN_INLINE void depthwise_padded(float* to, const float* x, int64_t x_row, int64_t rows, int64_t first,
                                     int64_t width) {
  const int64_t left = blocked_smaller(blocked_larger(0, -first), kColumns);
  const int64_t right = blocked_larger(left, blocked_smaller(kColumns, width - first));
  const V zero = vset(0.0F);
  for (int64_t i = 0; i < rows; ++i, x += x_row, to += kColumns * kLanes) {
    for (int64_t j = 0; j < left; ++j) vstore(to + j * kLanes, zero);
    for (int64_t j = left; j < right; ++j) vstore(to + j * kLanes, vload(x + j * kLanes));
    for (int64_t j = right; j < kColumns; ++j) vstore(to + j * kLanes, zero);
  }
}

// One tile by NNEFRUN_BLOCKED_RUNS; whether it could be.
template <int kTaps, int kStride, int kPositions, bool kChecked>
NNEFRUN_INLINE bool depthwise_by_rows(V (&acc)[kPositions][1], const DepthwiseTiles& t, const float* x,
                                      const float* w) {
  if constexpr (NNEFRUN_BLOCKED_RUNS::has_filter_rows<kTaps, kStride, kPositions>()) {
    const int64_t rows = t.row_end - t.row_begin;
    if (rows < kLeastRuns || t.depth_end - t.depth_begin != 1 || (kChecked && rows > kTaps)) return false;
    if constexpr (kChecked) {
      constexpr int kColumns = (kPositions - 1) * kStride + kTaps;
      float copy[kTaps * kColumns * kLanes];
      depthwise_padded<kColumns>(copy, x, t.x_row, rows, t.first, t.width);
      NNEFRUN_BLOCKED_RUNS::filter_rows<kTaps, kStride, kPositions>(acc, copy, kColumns * kLanes, w, rows);
    } else {
      NNEFRUN_BLOCKED_RUNS::filter_rows<kTaps, kStride, kPositions>(acc, x, t.x_row, w, rows);
    }
    return true;
  } else {
    return false;
  }
}

// kTaps: width of the filter when it is not dilated and known, else 0. kStride: 0 when not known.
template <int kTaps, int kStride, int kPositions, bool kChecked>
__attribute__((noinline)) void depthwise_tiles(const DepthwiseTiles& t) {
  const int64_t step = kStride != 0 ? kStride : t.step, x_row = t.x_row, width = t.width;
  const int64_t taps = kTaps != 0 ? kTaps : t.width_taps, rows = t.row_end - t.row_begin;
  const int64_t depths = t.depth_end - t.depth_begin;
  const float* x_tile = t.x + t.depth_begin * t.x_depth + t.row_begin * x_row + t.first * kLanes;
  const float* w_tile = t.w + (t.depth_begin * t.height_taps + t.row_begin) * taps * kLanes;
  const Epilogue* epilogue = t.epilogue;
  const bool has_bias = epilogue != nullptr && epilogue->bias_axis == BiasAxis::row;
  const float* bias = has_bias ? epilogue->bias : nullptr;
  const float* residual = t.residual;
  float* y = t.y;
  for (int64_t n = t.count; n > 0; --n) {
    V acc[kPositions][1];
    NNEFRUN_UNROLL
    for (int r = 0; r < kPositions; ++r) acc[r][0] = vset(0.0F);
    const bool done = depthwise_by_rows<kTaps, kStride, kPositions, kChecked>(acc, t, x_tile, w_tile);
    for (int64_t kd = done ? depths : 0; kd < depths; ++kd) {
      const float* x = x_tile + kd * t.x_depth;
      const float* w = w_tile + kd * t.height_taps * taps * kLanes;
      for (int64_t i = 0; i < rows; ++i, x += x_row) {
        if constexpr (kTaps != 0) {
          depthwise_row<kTaps, kStride, kPositions, kChecked>(acc, x, t.first, width, w);
          w += kTaps * kLanes;
        } else {
          const float* from = x;
          int64_t first = t.first;
          for (int64_t kw = 0; kw < taps; ++kw, w += kLanes, from += t.x_tap * kLanes, first += t.x_tap) {
            V weight = vload(w);
            keep(weight);
            NNEFRUN_UNROLL
            for (int r = 0; r < kPositions; ++r) {
              acc[r][0] = vfma(depthwise_load<kChecked>(from, r * step, first, width), weight, acc[r][0]);
            }
          }
        }
      }
    }
    finish_tile<kPositions, 1>(acc, epilogue, bias, residual, y, 0);
    x_tile += t.x_next;
    y += t.y_next;
    if (residual != nullptr) residual += t.y_next;
  }
}

using DepthwiseFunction = void (*)(const DepthwiseTiles&);
template <int kTaps, int kStride, int... kPosition>
struct DepthwiseTable {
  static constexpr DepthwiseFunction functions[2][sizeof...(kPosition)] = {
      {depthwise_tiles<kTaps, kStride, kPosition + 1, false>...},
      {depthwise_tiles<kTaps, kStride, kPosition + 1, true>...}};
};
template <int kTaps, int kStride, int kCount, int... kPosition>
struct MakeDepthwiseTable : MakeDepthwiseTable<kTaps, kStride, kCount - 1, kCount - 1, kPosition...> {};
template <int kTaps, int kStride, int... kPosition>
struct MakeDepthwiseTable<kTaps, kStride, 0, kPosition...> : DepthwiseTable<kTaps, kStride, kPosition...> {};

template <int kStride>
NNEFRUN_INLINE const DepthwiseFunction* depthwise_functions(int64_t taps, bool checked) {
  constexpr int kCount = kStride == 0 ? kDepthwiseAnyPositions : kDepthwisePositions;
  if constexpr (kStride != 0) {
    if (taps == 3) return MakeDepthwiseTable<3, kStride, kCount>::functions[checked ? 1 : 0];
    if (taps == 5) return MakeDepthwiseTable<5, kStride, kCount>::functions[checked ? 1 : 0];
  }
  return MakeDepthwiseTable<0, kStride, kCount>::functions[checked ? 1 : 0];
}

void blocked_depthwise(const BlockedDepthwise& d) {
  const ConvShape& s = *d.shape;
  const int64_t taps = s.dilation[2] == 1 ? s.filter[2] : 0;
  const DepthwiseFunction* functions[2];
  int64_t most = kDepthwisePositions;
  for (int checked = 0; checked < 2; ++checked) {
    if (s.stride[2] == 1) {
      functions[checked] = depthwise_functions<1>(taps, checked != 0);
    } else if (s.stride[2] == 2) {
      functions[checked] = depthwise_functions<2>(taps, checked != 0);
    } else {
      functions[checked] = depthwise_functions<0>(taps, checked != 0);
      most = kDepthwiseAnyPositions;
    }
  }
  const int64_t tiles = (s.out[2] + most - 1) / most;
  if (tiles == 0) return;
  const int64_t least = s.out[2] / tiles, wider = s.out[2] % tiles;  // the first `wider` have one more
  DepthwiseTiles t;
  t.width = s.in[2];
  t.step = s.stride[2];
  t.x_tap = s.dilation[2];
  t.x_row = s.dilation[1] * s.in[2] * kLanes;
  t.x_depth = s.dilation[0] * s.in[1] * s.in[2] * kLanes;
  t.w = d.w;
  t.height_taps = s.filter[1];
  t.width_taps = s.filter[2];
  t.epilogue = d.epilogue;
  const float* residual = d.epilogue != nullptr ? d.epilogue->residual : nullptr;
  const int64_t beyond = (s.filter[2] - 1) * s.dilation[2];
  const bool narrow = tiles <= kDepthwiseNarrow;
  int64_t depth = d.line_begin / s.out[1], line = d.line_begin % s.out[1];
  for (int64_t i = d.line_begin; i < d.line_end;) {
    const int64_t z = depth * s.stride[0] - s.pad_before[0], row = line * s.stride[1] - s.pad_before[1];
    taps_inside(z, s.dilation[0], s.filter[0], s.in[0], &t.depth_begin, &t.depth_end);
    taps_inside(row, s.dilation[1], s.filter[1], s.in[1], &t.row_begin, &t.row_end);
    t.x = d.x + (z * s.in[1] + row) * s.in[2] * kLanes;
    t.first = -s.pad_before[2];
    int64_t lines = 1;
    if (narrow) {
      // strips down a narrow plane: all lines with the same rows of the filter
      while (i + lines < d.line_end && line + lines < s.out[1]) {
        int64_t begin, end;
        taps_inside(row + lines * s.stride[1], s.dilation[1], s.filter[1], s.in[1], &begin, &end);
        if (begin != t.row_begin || end != t.row_end) break;
        ++lines;
      }
      t.count = lines;
      t.x_next = s.stride[1] * s.in[2] * kLanes;
      t.y_next = s.out[2] * kLanes;
    }
    int64_t at = i * s.out[2] * kLanes;
    for (int64_t j = 0; j < tiles;) {
      const int64_t positions = least + (j < wider ? 1 : 0), span = positions * t.step;
      const bool checked = t.first < 0 || t.first + span - t.step + beyond >= t.width;
      int64_t across = 1;
      if (!narrow) {
        // along a line: all tiles that are as wide and inside
        const int64_t alike = (j < wider ? wider : tiles) - j;
        while (!checked && across < alike && t.first + (across + 1) * span - t.step + beyond < t.width)
          ++across;
        t.count = across;
        t.x_next = span * kLanes;
        t.y_next = positions * kLanes;
      }
      t.y = d.y + at;
      t.residual = residual != nullptr ? residual + at : nullptr;
      functions[checked ? 1 : 0][positions - 1](t);
      at += across * positions * kLanes;
      t.first += across * span;
      j += across;
    }
    i += lines;
    line += lines;
    if (line == s.out[1]) line = 0, ++depth;
  }
}

}  // namespace
}  // namespace nnefrun::kernels
