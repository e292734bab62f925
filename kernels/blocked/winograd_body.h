// The Winograd rows, written once over the vector of kernels/vec.h.
#pragma once

#include "kernels/blocked/loops.h"
#include "kernels/blocked/winograd.h"
#include "kernels/vec_activation.h"

#if !defined(NNEFRUN_BLOCKED_RUNS)
#define NNEFRUN_BLOCKED_RUNS PlainRuns
#endif

namespace nnefrun::kernels {
namespace {

// Tiles of a register tile: with two vectors each, the accumulators, two vectors of the filter and what the
// multiplication needs of the input fill the register file.
constexpr int kWinogradRows = kLanes == 16 ? 14 : kLanes == 8 ? 6 : kLaneGroup == 4 ? 8 : 4;
// Bytes that the transformed input and the product of a band may take of the second cache, which is at least
// 1 MB where there is AVX-512.
constexpr int64_t kWinogradCache = (kLanes == 16 ? 640 : 320) * 1024;
// How far ahead, in items, the filter is fetched: the only operand that comes from beyond the second cache.
constexpr int64_t kWinogradAhead = 2048;

// Part kPart of B d for one line of inputs. F(4,3) is done in two parts, so that the lines of one axis, taken
// across the other, stay in registers.
template <int kOut, int kPart>
NNEFRUN_INLINE void winograd_input_part(const V* d, V* t) {
  if constexpr (kOut == 2) {
    t[0] = d[0] - d[2];
    t[1] = d[1] + d[2];
    t[2] = d[2] - d[1];
    t[3] = d[1] - d[3];
  } else if constexpr (kPart == 0) {
    t[0] = vfma(vset(1.5F), d[3] - d[1], vfma(vset(-2.0F), d[2], d[0] + d[4]));
    t[1] = vfma(vset(2.5F), d[3], vfma(vset(0.5F), d[2], d[4] - d[1]));
    t[2] = vfma(vset(-2.5F), d[2], vfma(vset(0.5F), d[3], d[4] + d[1]));
  } else {
    const V odd = d[3] - d[1], even = d[4] - d[2];
    t[0] = vfma(vset(2.0F), odd, even);
    t[1] = vfma(vset(-0.5F), odd, even);
    t[2] = vfma(vset(1.5F), even, vfma(vset(-2.0F), d[3], d[1] + d[5]));
  }
}
template <int kOut>
NNEFRUN_INLINE void winograd_input_line(const V* d, V* t) {
  winograd_input_part<kOut, 0>(d, t);
  if constexpr (kOut == 4) winograd_input_part<kOut, 1>(d, t + 3);
}

template <int kOut, int kPart>
NNEFRUN_INLINE void winograd_input_half(const float* x, int64_t row_step, float* u, int64_t u_tap) {
  constexpr int kIn = kOut + 2, kLines = kOut == 4 ? 3 : 4;
  V t[kLines][kIn];
  NNEFRUN_UNROLL
  for (int j = 0; j < kIn; ++j) {
    V d[kIn], column[kLines];
    NNEFRUN_UNROLL
    for (int i = 0; i < kIn; ++i) d[i] = vload(x + i * row_step + j * kLanes);
    winograd_input_part<kOut, kPart>(d, column);
    NNEFRUN_UNROLL
    for (int i = 0; i < kLines; ++i) t[i][j] = column[i];
  }
  NNEFRUN_UNROLL
  for (int i = 0; i < kLines; ++i) {
    V line[kIn];
    winograd_input_line<kOut>(t[i], line);
    NNEFRUN_UNROLL
    for (int j = 0; j < kIn; ++j) vstore(u + ((kPart * kLines + i) * kIn + j) * u_tap, line[j]);
  }
}

template <int kOut, int kAxes>
void winograd_input(const WinogradInput& in) {
  constexpr int kIn = kOut + 2, kRowsIn = kAxes == 2 ? kIn : 1, kRowsOut = kAxes == 2 ? kOut : 1;
  float patch[kRowsIn * kIn * kLanes];
  int64_t tile_column = in.run.tile_column, row = in.run.tile_row * kRowsOut - in.pad_row;
  float* u = in.u;
  for (int64_t i = 0; i < in.run.tiles; ++i, u += kLanes) {
    const int64_t column = tile_column * kOut - in.pad_column;
    const float* x = in.x + (row * in.width + column) * kLanes;
    int64_t row_step = in.width * kLanes;
    if (row < 0 || column < 0 || row + kRowsIn > in.height || column + kIn > in.width || in.lanes != kLanes) {
      // some of it lies outside, or lanes are unspecified: both are zeros in a copy
      for (int r = 0; r < kRowsIn; ++r) {
        const bool inside = row + r >= 0 && row + r < in.height;
        for (int c = 0; c < kIn; ++c) {
          V v = vset(0.0F);
          if (inside && column + c >= 0 && column + c < in.width) {
            const float* from = in.x + ((row + r) * in.width + column + c) * kLanes;
            v = in.lanes == kLanes ? vload(from) : vload_n(from, in.lanes);
          }
          vstore(patch + (r * kIn + c) * kLanes, v);
        }
      }
      x = patch;
      row_step = kIn * kLanes;
    }
    if constexpr (kAxes == 1) {
      V d[kIn], line[kIn];
      NNEFRUN_UNROLL
      for (int j = 0; j < kIn; ++j) d[j] = vload(x + j * kLanes);
      winograd_input_line<kOut>(d, line);
      NNEFRUN_UNROLL
      for (int j = 0; j < kIn; ++j) vstore(u + j * in.u_tap, line[j]);
    } else {
      winograd_input_half<kOut, 0>(x, row_step, u, in.u_tap);
      if constexpr (kOut == 4) winograd_input_half<kOut, 1>(x, row_step, u, in.u_tap);
    }
    if (++tile_column == in.run.tile_columns) tile_column = 0, row += kRowsOut;
  }
}

template <int kRows, int kVectors, int kLane>
NNEFRUN_INLINE void winograd_lanes(V (&acc)[kRows][kVectors], const Lanes (&lanes)[kRows], const float* w) {
  if constexpr (kLane < kLaneGroup) {
    V wv[kVectors];
    NNEFRUN_UNROLL
    for (int v = 0; v < kVectors; ++v) wv[v] = vload(w + v * kLanes);
    NNEFRUN_UNROLL
    for (int r = 0; r < kRows; ++r) {
      NNEFRUN_UNROLL
      for (int v = 0; v < kVectors; ++v) acc[r][v] = vfma_lane<kLane>(wv[v], lanes[r], acc[r][v]);
    }
    winograd_lanes<kRows, kVectors, kLane + 1>(acc, lanes, w + kVectors * kLanes);
  }
}

// kRows tiles of one tap against all input channels. table: kRunTable times u_block, in bytes.
template <int kRows, int kVectors>
__attribute__((noinline)) void winograd_tile(const float* u, int64_t u_block, const float* w,
                                             int64_t channels, float* m, const int64_t* table) {
  V acc[kRows][kVectors];
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kVectors; ++v) acc[r][v] = vset(0.0F);
  }
  if constexpr (NNEFRUN_BLOCKED_RUNS::has<kRows, kVectors, kLanes>()) {
    while (channels >= kLeastRuns * kLanes) {
      const int64_t blocks = channels / kLanes, turns = blocks < kRunTable ? blocks : kRunTable;
      NNEFRUN_BLOCKED_RUNS::run<kRows, kVectors, kLanes>(acc, u, table, w, turns);
      u += turns * u_block;
      w += turns * kLanes * kVectors * kLanes;
      channels -= turns * kLanes;
    }
  }
  for (; channels > 0; channels -= kLanes, u += u_block) {
    const int64_t count = channels < kLanes ? channels : kLanes;
    const float* from = u;
    for (int64_t c = 0; c < count; c += kLaneGroup, from += kLaneGroup) {
      if constexpr (kLaneGroup == 1) {
        V wv[kVectors];
        NNEFRUN_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          wv[v] = vload(w + v * kLanes);
          __builtin_prefetch(w + v * kLanes + kWinogradAhead);
        }
        NNEFRUN_UNROLL
        for (int r = 0; r < kRows; ++r) {
          const Lanes lanes = lanes_load(from + r * kLanes);
          NNEFRUN_UNROLL
          for (int v = 0; v < kVectors; ++v) acc[r][v] = vfma_lane<0>(wv[v], lanes, acc[r][v]);
        }
      } else {
        Lanes lanes[kRows];
        NNEFRUN_UNROLL
        for (int r = 0; r < kRows; ++r) lanes[r] = lanes_load(from + r * kLanes);
        winograd_lanes<kRows, kVectors, 0>(acc, lanes, w);
      }
      w += kLaneGroup * kVectors * kLanes;
    }
  }
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kVectors; ++v) vstore(m + (r * kVectors + v) * kLanes, acc[r][v]);
  }
}

using WinogradTile = void (*)(const float*, int64_t, const float*, int64_t, float*, const int64_t*);
template <int... kRow>
struct WinogradTileRows {
  static constexpr WinogradTile functions[][2] = {
      {winograd_tile<kRow + 1, 1>, winograd_tile<kRow + 1, 2>}...};
};
template <int kCount, int... kRow>
struct MakeWinogradTileRows : MakeWinogradTileRows<kCount - 1, kCount - 1, kRow...> {};
template <int... kRow>
struct MakeWinogradTileRows<0, kRow...> : WinogradTileRows<kRow...> {};

void winograd_product(const WinogradProduct& p) {
  const auto& functions = MakeWinogradTileRows<kWinogradRows>::functions;
  const int64_t step = p.vectors * kLanes, pieces = (p.tiles + kWinogradRows - 1) / kWinogradRows;
  int64_t table[kRunTable];
  if (NNEFRUN_BLOCKED_RUNS::has<kWinogradRows, 2, kLanes>()) {
    for (int64_t& entry : table) entry = p.u_block * static_cast<int64_t>(sizeof(float));
  }
  for (int64_t tap = 0; tap < p.taps; ++tap) {
    const float* u = p.u + tap * p.u_tap;
    const float* w = p.w + tap * p.channels * step;
    float* m = p.m + tap * p.m_tap;
    int64_t left = p.tiles;
    for (int64_t piece = pieces; piece > 0; --piece) {  // of nearly equal size
      const int64_t rows = (left + piece - 1) / piece;
      functions[rows - 1][p.vectors - 1](u, p.u_block, w, p.channels, m, table);
      u += rows * kLanes;
      m += rows * step;
      left -= rows;
    }
  }
}

// Part kPart of A m for one line: of F(4,3) the even outputs, then the odd ones; F(2,3) has one part.
template <int kOut, int kPart>
NNEFRUN_INLINE void winograd_output_part(const V* m, V* y) {
  if constexpr (kOut == 2) {
    y[0] = m[0] + (m[1] + m[2]);
    y[1] = (m[1] - m[2]) - m[3];
  } else if constexpr (kPart == 0) {
    const V sum = m[1] + m[2];
    y[0] = (m[0] + sum) + (m[3] + m[4]);
    y[1] = vfma(vset(4.0F), m[4], vfma(vset(0.25F), m[3], sum));
  } else {
    const V difference = m[1] - m[2];
    y[0] = vfma(vset(-2.0F), m[4], vfma(vset(0.5F), m[3], difference));
    y[1] = vfma(vset(-8.0F), m[4], vfma(vset(0.125F), m[3], difference + m[5]));
  }
}
template <int kOut>
NNEFRUN_INLINE void winograd_output_line(const V* m, V* y) {
  if constexpr (kOut == 2) {
    winograd_output_part<2, 0>(m, y);
  } else {
    V even[2], odd[2];
    winograd_output_part<4, 0>(m, even);
    winograd_output_part<4, 1>(m, odd);
    y[0] = even[0], y[1] = odd[0], y[2] = even[1], y[3] = odd[1];
  }
}

// One row of a tile, `count` of its positions, to row `row` of the output from `column` on.
template <int kOut>
NNEFRUN_INLINE void winograd_finish(const WinogradOutput& o, V (&out)[kOut], int64_t row, int64_t column,
                                    int64_t count) {
  const Epilogue& e = *o.epilogue;
  const int64_t offset = (row * o.width + column) * kLanes;
  float* y = o.y + offset;
  if (o.bias != nullptr) {
    const V scale = vset(e.scale), bias = vload(o.bias);
    NNEFRUN_UNROLL
    for (int j = 0; j < kOut; ++j) out[j] = vfma(out[j], scale, bias);
  } else if (e.scale != 1.0F) {
    const V scale = vset(e.scale);
    NNEFRUN_UNROLL
    for (int j = 0; j < kOut; ++j) out[j] = out[j] * scale;
  }
  if (o.residual != nullptr) {
    const float* residual = o.residual + offset;
    NNEFRUN_UNROLL
    for (int j = 0; j < kOut; ++j) {
      if (j < count) out[j] = out[j] + vload(residual + j * kLanes);
    }
  }
  if (e.activation == Activation::relu) {
    NNEFRUN_UNROLL
    for (int j = 0; j < kOut; ++j) out[j] = vrelu(out[j]);
  } else if (e.activation == Activation::clamp) {
    NNEFRUN_UNROLL
    for (int j = 0; j < kOut; ++j) out[j] = vclamp(out[j], e.a, e.b);
  }
  NNEFRUN_UNROLL
  for (int j = 0; j < kOut; ++j) {
    if (j < count) vstore(y + j * kLanes, out[j]);
  }
  if (e.activation > Activation::clamp) activate_row(e.activation, e.a, e.b, y, count * kLanes);
}

template <int kOut, int kPart>
NNEFRUN_INLINE void winograd_output_half(const WinogradOutput& o, const float* m, int64_t row, int64_t column,
                                         int64_t count) {
  constexpr int kIn = kOut + 2, kStep = kOut == 4 ? 2 : 1;  // between the rows of a part
  V t[2][kIn];
  NNEFRUN_UNROLL
  for (int j = 0; j < kIn; ++j) {
    V line[kIn], out[2];
    NNEFRUN_UNROLL
    for (int i = 0; i < kIn; ++i) line[i] = vload(m + (i * kIn + j) * o.m_tap);
    winograd_output_part<kOut, kPart>(line, out);
    t[0][j] = out[0];
    t[1][j] = out[1];
  }
  NNEFRUN_UNROLL
  for (int i = 0; i < 2; ++i) {
    if (row + kPart + i * kStep >= o.height) break;
    V out[kOut];
    winograd_output_line<kOut>(t[i], out);
    winograd_finish<kOut>(o, out, row + kPart + i * kStep, column, count);
  }
}

template <int kOut, int kAxes>
void winograd_output(const WinogradOutput& o) {
  constexpr int kIn = kOut + 2, kRowsOut = kAxes == 2 ? kOut : 1;
  int64_t tile_column = o.run.tile_column, row = o.run.tile_row * kRowsOut;
  const float* m = o.m;
  for (int64_t i = 0; i < o.run.tiles; ++i, m += o.m_tile) {
    const int64_t column = tile_column * kOut, left = o.width - column, count = left < kOut ? left : kOut;
    if constexpr (kAxes == 1) {
      V line[kIn], out[kOut];
      NNEFRUN_UNROLL
      for (int j = 0; j < kIn; ++j) line[j] = vload(m + j * o.m_tap);
      winograd_output_line<kOut>(line, out);
      winograd_finish<kOut>(o, out, row, column, count);
    } else {
      winograd_output_half<kOut, 0>(o, m, row, column, count);
      if constexpr (kOut == 4) winograd_output_half<kOut, 1>(o, m, row, column, count);
    }
    if (++tile_column == o.run.tile_columns) tile_column = 0, row += kRowsOut;
  }
}

constexpr WinogradKernels kWinograd = {
    kLaneGroup,
    kWinogradRows,
    kWinogradCache,
    {{winograd_input<2, 1>, winograd_input<2, 2>}, {winograd_input<4, 1>, winograd_input<4, 2>}},
    winograd_product,
    {{winograd_output<2, 1>, winograd_output<2, 2>}, {winograd_output<4, 1>, winograd_output<4, 2>}},
};

}  // namespace
}  // namespace nnefrun::kernels
