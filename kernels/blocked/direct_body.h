// Direct convolution in the blocked layout, for ISA files.
//
// The tile is kPositions neighbouring output positions times kVectors blocks of output channels, summed in
// registers over all input channels and taps: for each item of the input a vector of weights for each block,
// and one broadcast for each position. With 14 x 2 (32 registers) or 6 x 2 (16) every load of a weight serves
// that many multiply-adds, so weights may stream from the second cache.
#pragma once

#include "kernels/blocked/finish_body.h"
#include "kernels/blocked/loops.h"

#if !defined(NNEFRUN_BLOCKED_RUNS)
#define NNEFRUN_BLOCKED_RUNS PlainRuns
#endif

namespace nnefrun::kernels {
namespace {

// accumulators + weights + the broadcast (or a group of lanes for each position) fill the registers
#if defined(__AVX512F__)
constexpr int kDirectPositions = 14;
#elif defined(__aarch64__)
constexpr int kDirectPositions = 8;
#else
constexpr int kDirectPositions = 6;
#endif
constexpr int kDirectVectors = 2;
constexpr int64_t kDirectPartBytes = 192 << 10;  // of weights that stay in the second cache with the input
constexpr int64_t kDirectAheadItems = 8 << 10;   // parts of fewer items need not be fetched ahead
constexpr int64_t kCacheLine = 16;               // items
constexpr int64_t kDirectPartTiles = 4;          // fewer do not pay
constexpr int kDirectAnyPositions = 4;  // most positions when their distance is not known to the compiler

// the constraint of a vector in inline assembly
#if defined(__AVX512F__)
#define NNEFRUN_REGISTER "v"
#elif defined(__AVX2__)
#define NNEFRUN_REGISTER "x"
#endif

struct DirectTile {
  const float* x;  // of the first position
  const float* w;
  float* y;
  const float* bias;         // of the first block, or null
  const float* residual;     // as y, or null
  const Epilogue* epilogue;  // null: none, or more sums to come
  bool load;                 // the sums go on from y
  int64_t outer, last_run;   // of the part of the sums
  int64_t x_column;
  int64_t row_begin, row_end;  // of taps[1]
  const float* ahead;          // weights to fetch into the second cache meanwhile,
  int64_t ahead_lines;         // so many cache lines in each run
  const int64_t* table;        // of the runs of one or more outer indices, for NNEFRUN_BLOCKED_RUNS;
  int64_t table_outer;         // so many; 0: none
};

// The table of a line for its ranges of taps. Weights of neighbouring runs must be neighbours: when taps are
// left out, only those of one outer index and depth are.
void fill_run_table(const BlockedDirect& d, DirectTile& t, int64_t (&table)[kRunTable]) {
  const int64_t rows = t.row_end - t.row_begin, depths = d.depth_end - d.depth_begin, columns = d.taps[2];
  const int64_t runs = rows * depths * columns;
  t.table = table;
  t.table_outer = 0;
  if (d.run != kLanes || runs == 0 || runs > kRunTable) return;
  const bool all_rows = rows == d.taps[1], all = all_rows && depths == d.taps[0];
  if (!all_rows && depths != 1) return;
  t.table_outer = all ? kRunTable / runs : 1;
  constexpr int64_t kBytes = sizeof(float);
  int64_t n = 0;
  for (int64_t outer = 0; outer < t.table_outer; ++outer) {
    for (int64_t depth = 0; depth < depths; ++depth) {
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t column = 1; column < columns; ++column) table[n++] = d.x_tap[2] * kBytes;
        table[n++] = (d.x_tap[1] - (columns - 1) * d.x_tap[2]) * kBytes;
      }
      table[n - 1] += (d.x_tap[0] - rows * d.x_tap[1]) * kBytes;
    }
    table[n - 1] += (d.x_outer - depths * d.x_tap[0]) * kBytes;
  }
}

// Sums of whole outer indices by NNEFRUN_BLOCKED_RUNS; returns how many were done, from the first.
template <int kPositions, int kVectors, int kStep>
NNEFRUN_INLINE int64_t direct_table_runs(V (&acc)[kPositions][kVectors], const BlockedDirect& d,
                                         const DirectTile& t) {
  if constexpr (NNEFRUN_BLOCKED_RUNS::has<kPositions, kVectors, kStep>()) {
    if (t.table_outer == 0) return 0;
    const int64_t rows = t.row_end - t.row_begin, depths = d.depth_end - d.depth_begin, columns = d.taps[2];
    const int64_t runs = rows * depths * columns, run_items = int64_t{kLanes} * kVectors * kLanes;
    const int64_t before = (d.depth_begin * d.taps[1] + t.row_begin) * columns;
    const int64_t whole = t.last_run == kLanes ? t.outer : t.outer - 1;
    const float* x = t.x + (d.depth_begin * d.x_tap[0] + t.row_begin * d.x_tap[1]);
    int64_t done = 0;
    while (done < whole) {
      const int64_t count = whole - done < t.table_outer ? whole - done : t.table_outer;
      if (count * runs < kLeastRuns) break;
      const float* w = t.w + (done * d.taps[0] * d.taps[1] * columns + before) * run_items;
      NNEFRUN_BLOCKED_RUNS::run<kPositions, kVectors, kStep>(acc, x + done * d.x_outer, t.table, w,
                                                             count * runs);
      done += count;
    }
    return done;
  } else {
    return 0;
  }
}

template <int kPositions, int kVectors, int kLane>
NNEFRUN_INLINE void direct_lanes(V (&acc)[kPositions][kVectors], const Lanes (&lanes)[kPositions],
                                 const float* w) {
  if constexpr (kLane < kLaneGroup) {
    V weights[kVectors];
    NNEFRUN_UNROLL
    for (int v = 0; v < kVectors; ++v) weights[v] = vload(w + (kLane * kVectors + v) * kLanes);
    NNEFRUN_UNROLL
    for (int r = 0; r < kPositions; ++r) {
      NNEFRUN_UNROLL
      for (int v = 0; v < kVectors; ++v) acc[r][v] = vfma_lane<kLane>(weights[v], lanes[r], acc[r][v]);
    }
    direct_lanes<kPositions, kVectors, kLane + 1>(acc, lanes, w);
  }
}
// The two instructions of the inner loop. Left to itself the compiler replaces broadcasts of neighbouring
// items by shuffles and moves accumulators around at every edge of a loop.
NNEFRUN_INLINE V direct_broadcast(const float* x) {
#if defined(NNEFRUN_REGISTER)
  V v;
  __asm__ volatile("vbroadcastss %1, %0" : "=" NNEFRUN_REGISTER(v) : "m"(*x));
  return v;
#else
  return vset(*x);
#endif
}
NNEFRUN_INLINE void direct_multiply_add(V& acc, V a, V b) {
#if defined(NNEFRUN_REGISTER)
  __asm__ volatile("vfmadd231ps %2, %1, %0"
                   : "+" NNEFRUN_REGISTER(acc)
                   : NNEFRUN_REGISTER(a), NNEFRUN_REGISTER(b));
#else
  acc = vfma(a, b, acc);
#endif
}
// The same with a broadcast that is used once.
NNEFRUN_INLINE void direct_multiply_add_item(V& acc, V a, const float* x) {
#if defined(__AVX512F__)
  __asm__ volatile("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(a), "m"(*x));
#else
  direct_multiply_add(acc, a, direct_broadcast(x));
#endif
}

// One item of the input for each position. kSplit: so many positions lie on one line, the others begin again
// `second` items on; 0: all lie on one.
template <int kPositions, int kVectors, int kSplit>
NNEFRUN_INLINE void direct_step(V (&acc)[kPositions][kVectors], const float* x, int64_t step, int64_t second,
                                const float* w) {
  V weights[kVectors];
  NNEFRUN_UNROLL
  for (int v = 0; v < kVectors; ++v) weights[v] = vload(w + v * kLanes);
  NNEFRUN_UNROLL
  for (int r = 0; r < kPositions; ++r) {
    const float* at = kSplit != 0 && r >= kSplit ? x + second + (r - kSplit) * step : x + r * step;
    if constexpr (kVectors == 1) {
      direct_multiply_add_item(acc[r][0], weights[0], at);
    } else {
      const V item = direct_broadcast(at);
      NNEFRUN_UNROLL
      for (int v = 0; v < kVectors; ++v) direct_multiply_add(acc[r][v], weights[v], item);
    }
  }
}
template <int kPositions, int kVectors, int kSplit>
NNEFRUN_INLINE void direct_run(V (&acc)[kPositions][kVectors], const float* x, int64_t step, int64_t second,
                               const float* w, int64_t count) {
  constexpr int kUnroll = 4;
  int64_t i = 0;
  if constexpr (kLaneGroup > 1) {
    static_assert(kSplit == 0);
    for (; i + kLaneGroup <= count; i += kLaneGroup, w += kLaneGroup * kVectors * kLanes) {
      Lanes lanes[kPositions];
      NNEFRUN_UNROLL
      for (int r = 0; r < kPositions; ++r) lanes[r] = lanes_load(x + r * step + i);
      direct_lanes<kPositions, kVectors, 0>(acc, lanes, w);
    }
  } else {
    for (; i + kUnroll <= count; i += kUnroll, w += kUnroll * kVectors * kLanes) {
      NNEFRUN_UNROLL
      for (int u = 0; u < kUnroll; ++u) {
        direct_step<kPositions, kVectors, kSplit>(acc, x + i + u, step, second, w + u * kVectors * kLanes);
      }
    }
  }
  for (; i < count; ++i, w += kVectors * kLanes)
    direct_step<kPositions, kVectors, kSplit>(acc, x + i, step, second, w);
}

// kStep: x_column when it is known, else 0. kSplit: see direct_step.
template <int kPositions, int kVectors, int kStep, int kSplit = 0>
__attribute__((noinline)) void direct_tile(const BlockedDirect& d, const DirectTile& t) {
  constexpr int kWidth = kVectors * kLanes;
  const int64_t step = kStep != 0 ? kStep : t.x_column;
  V acc[kPositions][kVectors];
  NNEFRUN_UNROLL
  for (int r = 0; r < kPositions; ++r) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kVectors; ++v) acc[r][v] = vset(0.0F);
  }
  if (t.load) {
    NNEFRUN_UNROLL
    for (int r = 0; r < kPositions; ++r) {
      NNEFRUN_UNROLL
      for (int v = 0; v < kVectors; ++v) acc[r][v] = vload(t.y + v * d.y_block + r * kLanes);
    }
  }
  // One loop over all runs, whatever axes they come from.
  const int64_t rows = t.row_end - t.row_begin, depths = d.depth_end - d.depth_begin;
  int64_t done = 0;
  if constexpr (kSplit == 0) done = direct_table_runs<kPositions, kVectors, kStep>(acc, d, t);
  if (t.outer > done && rows > 0 && depths > 0) {
    const int64_t columns = d.taps[2];
    int64_t count = t.outer - done > 1 ? d.run : t.last_run;
    const float* x = t.x + (done * d.x_outer + d.depth_begin * d.x_tap[0] + t.row_begin * d.x_tap[1]);
    const float* w = t.w + done * d.taps[0] * d.taps[1] * columns * d.run * kWidth +
                     (d.depth_begin * d.taps[1] + t.row_begin) * columns * count * kWidth;
    const int64_t next_row = d.x_tap[1] - columns * d.x_tap[2], next_depth = d.x_tap[0] - rows * d.x_tap[1];
    const int64_t next_outer = d.x_outer - depths * d.x_tap[0];
    // runs of weights that no row or depth of the input meets
    const int64_t unused_rows = (d.taps[1] - rows) * columns;
    const int64_t unused_depths = (d.taps[0] - depths) * d.taps[1] * columns;
    const float* ahead = t.ahead;
    int64_t column = columns, row = rows, depth = depths, outer = t.outer - done;
    for (;;) {
      direct_run<kPositions, kVectors, kSplit>(acc, x, step, d.x_line, w, count);
      for (int64_t i = 0; i < t.ahead_lines; ++i, ahead += kCacheLine) __builtin_prefetch(ahead, 0, 2);
      x += d.x_tap[2];
      w += count * kWidth;
      if (--column != 0) continue;
      column = columns;
      x += next_row;
      if (--row != 0) continue;
      row = rows;
      x += next_depth;
      w += unused_rows * count * kWidth;
      if (--depth != 0) continue;
      depth = depths;
      x += next_outer;
      if (--outer == 0) break;
      w += unused_depths * count * kWidth;
      if (outer == 1) {
        // what was left out before the first run of a channel has the size of that channel's runs
        const int64_t before = (d.depth_begin * d.taps[1] + t.row_begin) * columns;
        w += before * (t.last_run - count) * kWidth;
        count = t.last_run;
      }
    }
  }
  finish_tile<kPositions, kVectors>(acc, t.epilogue, t.bias, t.residual, t.y, d.y_block);
}

using DirectTileFunction = void (*)(const BlockedDirect&, const DirectTile&);
template <int kStep, int... kPosition>
struct DirectTiles {
  static constexpr DirectTileFunction functions[kDirectVectors][sizeof...(kPosition)] = {
      {direct_tile<kPosition + 1, 1, kStep>...}, {direct_tile<kPosition + 1, 2, kStep>...}};
};
template <int kStep, int kCount, int... kPosition>
struct MakeDirectTiles : MakeDirectTiles<kStep, kCount - 1, kCount - 1, kPosition...> {};
template <int kStep, int... kPosition>
struct MakeDirectTiles<kStep, 0, kPosition...> : DirectTiles<kStep, kPosition...> {};

// Two neighbouring short lines in one tile, so that weights serve as many positions as on a long line. The
// table is by vectors and by columns.
constexpr int kDirectShort = kLaneGroup == 1 ? kDirectPositions / 2 : 0;
template <int kStep, int... kColumn>
struct DirectLinePairs {
  static constexpr DirectTileFunction functions[kDirectVectors][sizeof...(kColumn)] = {
      {direct_tile<2 * kColumn + 2, 1, kStep, kColumn + 1>...},
      {direct_tile<2 * kColumn + 2, 2, kStep, kColumn + 1>...}};
};
template <int kStep, int kCount, int... kColumn>
struct MakeDirectLinePairs : MakeDirectLinePairs<kStep, kCount - 1, kCount - 1, kColumn...> {};
template <int kStep, int... kColumn>
struct MakeDirectLinePairs<kStep, 0, kColumn...> : DirectLinePairs<kStep, kColumn...> {};
// Null when lines cannot be paired. Results of two lines must lie one behind the other.
template <int kShort>
NNEFRUN_INLINE DirectTileFunction direct_line_pairs(const BlockedDirect& d, int64_t vectors) {
  if constexpr (kShort > 0) {
    if (d.columns > kShort || d.lines < 2 || d.y_line != d.columns * kLanes) return nullptr;
    const int64_t v = vectors - 1, c = d.columns - 1;
    if (d.x_column == kLanes) return MakeDirectLinePairs<kLanes, kShort>::functions[v][c];
    if (d.x_column == 2 * kLanes) return MakeDirectLinePairs<2 * kLanes, kShort>::functions[v][c];
  }
  return nullptr;
}

void blocked_direct(const BlockedDirect& d) {
  const DirectTileFunction* by_vectors[kDirectVectors];
  int64_t most = kDirectPositions;
  for (int v = 0; v < kDirectVectors; ++v) {
    switch (d.x_column) {
      case kLanes: by_vectors[v] = MakeDirectTiles<kLanes, kDirectPositions>::functions[v]; break;
      case 2 * kLanes: by_vectors[v] = MakeDirectTiles<2 * kLanes, kDirectPositions>::functions[v]; break;
      case 1: by_vectors[v] = MakeDirectTiles<1, kDirectPositions>::functions[v]; break;
      case 2: by_vectors[v] = MakeDirectTiles<2, kDirectPositions>::functions[v]; break;
      default:
        by_vectors[v] = MakeDirectTiles<0, kDirectAnyPositions>::functions[v];
        most = kDirectAnyPositions;
    }
  }
  const int64_t tiles = (d.columns + most - 1) / most;
  if (tiles == 0) return;
  const int64_t least = d.columns / tiles, wider = d.columns % tiles;  // the first `wider` have one more
  const int64_t taps = d.taps[0] * d.taps[1] * d.taps[2];
  const int64_t depth = (d.outer > 0 ? (d.outer - 1) * d.run + d.last_run : 0) * taps;
  const float* residual = d.epilogue != nullptr ? d.epilogue->residual : nullptr;
  const bool has_bias = d.epilogue != nullptr && d.epilogue->bias_axis == BiasAxis::row;
  // Sums are made in parts when one part's weights for all tiles stay in a nearer cache than all of them. The
  // parts meet in y, so y must not be the residual.
  int64_t part = d.outer;
  if (residual != d.y && d.lines * tiles >= kDirectPartTiles) {
    const int64_t outer_bytes = d.run * taps * kDirectVectors * kLanes * 4;
    if (d.outer * outer_bytes > kDirectPartBytes) {
      const int64_t parts = (d.outer * outer_bytes + kDirectPartBytes - 1) / kDirectPartBytes;
      part = (d.outer + parts - 1) / parts;
    }
  }
  DirectTile t;
  t.x_column = d.x_column;
  int64_t table[kRunTable];
  t.table = nullptr;
  t.table_outer = 0;
  int64_t table_begin = -1, table_end = -1;  // the rows for which the table was made
  const float* w = d.w;
  for (int64_t block = 0; block < d.blocks; block += kDirectVectors) {
    const int64_t vectors = d.blocks - block < kDirectVectors ? d.blocks - block : kDirectVectors;
    t.bias = has_bias ? d.epilogue->bias + block * kLanes : nullptr;
    int64_t begin = 0;
    do {
      const bool last = begin + part >= d.outer;
      t.w = w + begin * d.run * taps * vectors * kLanes;
      t.outer = last ? d.outer - begin : part;
      t.last_run = last ? d.last_run : d.run;
      t.load = begin != 0;
      t.epilogue = last ? d.epilogue : nullptr;
      // The weights of the next part come in while this one's are used, a slice with each tile: a far cache
      // is too slow for a first tile that reads them all.
      const DirectTileFunction two_lines = direct_line_pairs<kDirectShort>(d, vectors);
      const int64_t part_items = part * d.run * taps * vectors * kLanes;
      const int64_t passes = two_lines != nullptr ? (d.lines + 1) / 2 : d.lines * tiles;
      const int64_t slice = (d.run * vectors * kLanes / kCacheLine + passes - 1) / passes;
      t.ahead = t.w + part_items;
      t.ahead_lines = passes > 1 && part_items >= kDirectAheadItems ? slice : 0;
      for (int64_t line = 0; line < d.lines; ++line) {
        taps_inside(d.first_row + line * d.row_stride, d.row_dilation, d.taps[1], d.height, &t.row_begin,
                    &t.row_end);
        if (NNEFRUN_BLOCKED_RUNS::has<kDirectPositions, kDirectVectors, kLanes>() &&
            (table_begin != t.row_begin || table_end != t.row_end)) {
          fill_run_table(d, t, table);
          table_begin = t.row_begin, table_end = t.row_end;
        }
        if (two_lines != nullptr && line + 1 < d.lines) {
          int64_t row_begin = 0, row_end = 0;
          taps_inside(d.first_row + (line + 1) * d.row_stride, d.row_dilation, d.taps[1], d.height,
                      &row_begin, &row_end);
          if (row_begin == t.row_begin && row_end == t.row_end) {
            const int64_t at = block * d.y_block + line * d.y_line;
            t.x = d.x + (begin * d.x_outer + line * d.x_line);
            t.y = d.y + at;
            t.residual = residual != nullptr ? residual + at : nullptr;
            two_lines(d, t);
            t.ahead += t.ahead_lines * kCacheLine * t.outer * taps;
            ++line;
            continue;
          }
        }
        int64_t column = 0;
        for (int64_t i = 0; i < tiles; ++i) {
          const int64_t count = least + (i < wider ? 1 : 0);
          const int64_t at = block * d.y_block + line * d.y_line + column * kLanes;
          const int64_t along = d.x_tile != 0 ? i * d.x_tile : column * d.x_column;
          t.x = d.x + (begin * d.x_outer + line * d.x_line + along);
          t.y = d.y + at;
          t.residual = residual != nullptr ? residual + at : nullptr;
          by_vectors[vectors - 1][count - 1](d, t);
          column += count;
          t.ahead += t.ahead_lines * kCacheLine * t.outer * taps;
        }
      }
      begin += part;
    } while (begin < d.outer);
    w += depth * vectors * kLanes;
  }
}

}  // namespace
}  // namespace nnefrun::kernels
