// The f32 products, written once over the vector of kernels/vec.h. An ISA file defines NNEFRUN_ISA,
// NNEFRUN_MATMUL_NAME, kMr, kVectors, kMc, kKc, kNc after including its vector, then includes this. The tile
// is kMr rows by kVectors vectors.
//
// Why two vectors on x86: each step of p loads 2 vectors and kMr scalars for 2*kMr multiply-adds, and 2*kMr
// accumulators with 2 vectors of B and one of A fill the register file (kMr = 12 of 32 registers with room
// for the compiler, 6 of 16). Arm multiplies by a lane, so 8 rows are 2 loads, and 8 by 3 vectors fill
// its 32.
//
// The innermost loops may be the ISA file's own (chosen_loops.h).
#pragma once

#include "kernels/matmul/block.h"
#include "kernels/matmul/chosen_loops.h"
#include "kernels/matmul/matmul.h"
#include "kernels/vec_activation.h"

namespace nnefrun::kernels {
namespace {

constexpr int kNr = kVectors * kLanes;
constexpr int64_t kNearItems = 160 << 10;

struct Tile {
  const float* a;
  int64_t a_row_stride;  // of rows in place
  const float* b;
  int64_t b_step;
  int64_t k;
  float* c;
  int64_t c_row_stride;
  int64_t tail;  // lanes of the last vector, 1 to kLanes
  bool load_c;
  const Epilogue* epilogue;
  int64_t row, column;
  Ahead ahead;
};

template <int kGroup, int kRows, int kCols, int kLane>
NNEFRUN_INLINE void step_lanes(V (&acc)[kRows][kCols], const V (&b)[kCols], Lanes lanes) {
  if constexpr (kLane < kLaneGroup && kGroup + kLane < kRows) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v)
      acc[kGroup + kLane][v] = vfma_lane<kLane>(b[v], lanes, acc[kGroup + kLane][v]);
    step_lanes<kGroup, kRows, kCols, kLane + 1>(acc, b, lanes);
  }
}
template <int kGroup, int kRows, int kCols>
NNEFRUN_INLINE void step_groups(V (&acc)[kRows][kCols], const V (&b)[kCols], const float* a) {
  if constexpr (kGroup < kRows) {
    step_lanes<kGroup, kRows, kCols, 0>(acc, b, lanes_load(a + kGroup));
    step_groups<kGroup + kLaneGroup, kRows, kCols>(acc, b, a);
  }
}

// kRows x kCols vectors of C. kInPlace: A is rows, not panels. kMasked: the last vector of B is read in place
// and holds only `tail` lanes.
template <int kRows, int kCols, bool kInPlace, bool kMasked>
__attribute__((noinline)) void tile(const Tile& t) {
  V acc[kRows][kCols];
  const int64_t tail = t.tail;
  // C is wanted at the end, and may be far away
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    __builtin_prefetch(t.c + r * t.c_row_stride, 1);
    if (kCols * kLanes > kCacheLine) __builtin_prefetch(t.c + r * t.c_row_stride + kCacheLine, 1);
  }
  int64_t done = 0;
  if constexpr (kMasked) {
    clear_sums(acc);
  } else if constexpr (kInPlace) {
    done = Loops::tile_of_rows(acc, t.a, t.a_row_stride, t.b, t.b_step, t.k, t.ahead);
  } else {
    done = Loops::tile(acc, t.a, t.b, t.b_step, t.k, t.ahead);
  }
  const float* a = t.a + done * (kInPlace ? 1 : kMr);
  const float* b = t.b + done * t.b_step;
  for (; done < t.k; ++done) {
    V bv[kCols];
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) {
      bv[v] = kMasked && v + 1 == kCols ? vload_n(b + v * kLanes, tail) : vload(b + v * kLanes);
    }
    if constexpr (kInPlace) {
      NNEFRUN_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const V item = vset(a[r * t.a_row_stride]);
        NNEFRUN_UNROLL
        for (int v = 0; v < kCols; ++v) acc[r][v] = vfma(bv[v], item, acc[r][v]);
      }
      ++a;
    } else {
      step_groups<0, kRows, kCols>(acc, bv, a);
      a += kMr;
    }
    b += t.b_step;
  }
  float* c = t.c;
  if (t.load_c) {
    NNEFRUN_UNROLL
    for (int r = 0; r < kRows; ++r) {
      NNEFRUN_UNROLL
      for (int v = 0; v < kCols; ++v) {
        const float* p = c + r * t.c_row_stride + v * kLanes;
        acc[r][v] = (v + 1 == kCols ? vload_n(p, tail) : vload(p)) + acc[r][v];
      }
    }
  }
  bool activate = false;
  if (t.epilogue != nullptr) {
    const Epilogue& e = *t.epilogue;
    if (e.bias_axis == BiasAxis::row) {
      const V scale = vset(e.scale);
      NNEFRUN_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const V bias = vset(e.bias[t.row + r]);
        NNEFRUN_UNROLL
        for (int v = 0; v < kCols; ++v) acc[r][v] = vfma(acc[r][v], scale, bias);
      }
    } else if (e.bias_axis == BiasAxis::column) {
      const V scale = vset(e.scale);
      NNEFRUN_UNROLL
      for (int v = 0; v < kCols; ++v) {
        const float* p = e.bias + t.column + v * kLanes;
        const V bias = v + 1 == kCols ? vload_n(p, tail) : vload(p);
        NNEFRUN_UNROLL
        for (int r = 0; r < kRows; ++r) acc[r][v] = vfma(acc[r][v], scale, bias);
      }
    } else if (e.scale != 1.0F) {
      const V scale = vset(e.scale);
      NNEFRUN_UNROLL
      for (int r = 0; r < kRows; ++r) {
        NNEFRUN_UNROLL
        for (int v = 0; v < kCols; ++v) acc[r][v] = acc[r][v] * scale;
      }
    }
    if (e.residual != nullptr) {
      NNEFRUN_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const float* p = e.residual + (t.row + r) * e.residual_row_stride + t.column;
        NNEFRUN_UNROLL
        for (int v = 0; v < kCols; ++v) {
          acc[r][v] = acc[r][v] + (v + 1 == kCols ? vload_n(p + v * kLanes, tail) : vload(p + v * kLanes));
        }
      }
    }
    // relu, clamp and clip are done here, where they are nearly free; the others over the stored rows.
    activate = e.activation != Activation::none;
    if (e.activation == Activation::relu) {
      activate = false;
      NNEFRUN_UNROLL
      for (int r = 0; r < kRows; ++r) {
        NNEFRUN_UNROLL
        for (int v = 0; v < kCols; ++v) acc[r][v] = vrelu(acc[r][v]);
      }
    } else if (e.activation == Activation::clamp) {
      activate = false;
      NNEFRUN_UNROLL
      for (int r = 0; r < kRows; ++r) {
        NNEFRUN_UNROLL
        for (int v = 0; v < kCols; ++v) acc[r][v] = vclamp(acc[r][v], e.a, e.b);
      }
    } else if (e.activation == Activation::clip) {
      activate = false;
      NNEFRUN_UNROLL
      for (int r = 0; r < kRows; ++r) {
        NNEFRUN_UNROLL
        for (int v = 0; v < kCols; ++v) acc[r][v] = vclip(acc[r][v], e.a, e.b);
      }
    }
  }
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) {
      float* p = c + r * t.c_row_stride + v * kLanes;
      if (v + 1 == kCols && tail != kLanes) {
        vstore_n(p, acc[r][v], tail);
      } else {
        vstore(p, acc[r][v]);
      }
    }
  }
  if (activate) {
    activate_rows(t.epilogue->activation, t.epilogue->a, t.epilogue->b, c, t.c_row_stride, kRows,
                  (kCols - 1) * kLanes + tail);
  }
}

using TileFunction = void (*)(const Tile&);
template <int kRows, bool kInPlace, bool kMasked>
constexpr TileFunction tile_of(int cols) {
  if constexpr (kVectors == 3) {
    if (cols == 3) return tile<kRows, 3, kInPlace, kMasked>;
  }
  return cols == 2 ? tile<kRows, 2, kInPlace, kMasked> : tile<kRows, 1, kInPlace, kMasked>;
}
template <bool kInPlace, bool kMasked, int... kRow>
struct TileRows {
  static constexpr TileFunction functions[sizeof...(kRow)][3] = {
      {tile_of<kRow + 1, kInPlace, kMasked>(1), tile_of<kRow + 1, kInPlace, kMasked>(2),
       tile_of<kRow + 1, kInPlace, kMasked>(3)}...};
};
template <bool kInPlace, bool kMasked, int kCount, int... kRow>
struct MakeTileRows : MakeTileRows<kInPlace, kMasked, kCount - 1, kCount - 1, kRow...> {};
template <bool kInPlace, bool kMasked, int... kRow>
struct MakeTileRows<kInPlace, kMasked, 0, kRow...> : TileRows<kInPlace, kMasked, kRow...> {};

template <bool kInPlace>
NNEFRUN_INLINE const TileFunction (&tiles_of(bool masked))[kMr][3] {
  return masked ? MakeTileRows<kInPlace, true, kMr>::functions
                : MakeTileRows<kInPlace, false, kMr>::functions;
}

// Columns [j, j + kNr) of the block.
struct Panel {
  int cols;  // vectors
  bool masked;
};
NNEFRUN_INLINE Panel enter_panel(const MatmulBlock& block, int64_t j, Tile& t) {
  const int64_t width = block.n - j < kNr ? block.n - j : kNr;
  const int cols = static_cast<int>((width + kLanes - 1) / kLanes);
  t.tail = width - (cols - 1) * kLanes;
  const bool is_tail = width < kNr && block.b_tail != nullptr;
  t.b = is_tail ? block.b_tail : block.b + j / kNr * block.b_panel;
  t.b_step = is_tail ? block.b_tail_step : block.b_step;
  t.column = block.column + j;
  return {cols, block.b_in_place && t.tail != kLanes};
}
// Rows in place are dealt out evenly: the first `wider` tiles have one more. Panels are as they are.
struct RowTiles {
  int64_t count, least, wider;
};
template <bool kInPlace>
NNEFRUN_INLINE RowTiles row_tiles(const MatmulBlock& block) {
  const int64_t count = (block.m + kMr - 1) / kMr;
  if (!kInPlace) return {count, kMr, 0};
  return {count, block.m / count, block.m % count};
}
template <bool kInPlace>
NNEFRUN_INLINE int64_t enter_rows(const MatmulBlock& block, const RowTiles& tiles, int64_t q, Tile& t) {
  const int64_t i = kInPlace ? q * tiles.least + (q < tiles.wider ? q : tiles.wider) : q * kMr;
  t.a = block.a + i * (kInPlace ? block.a_row_stride : block.k);
  t.row = block.row + i;
  t.c = block.c + i * block.c_row_stride + (t.column - block.column);
  if (kInPlace) return tiles.least + (q < tiles.wider ? 1 : 0);
  return block.m - i < kMr ? block.m - i : kMr;
}

template <bool kInPlace>
NNEFRUN_INLINE void matmul_tiles(const MatmulBlock& block) {
  Tile t;
  t.k = block.k;
  t.a_row_stride = block.a_row_stride;
  t.c_row_stride = block.c_row_stride;
  t.load_c = block.load_c;
  t.epilogue = block.epilogue;
  const RowTiles tiles = row_tiles<kInPlace>(block);
  if (block.n * block.k <= kNearItems) {
    // All of B stays in the second cache, and each tile's rows of A pass once. Those of the next tile come in
    // meanwhile, a few with each panel.
    const int64_t panels = (block.n + kNr - 1) / kNr, fetched = (kMr + panels - 1) / panels;
    for (int64_t q = 0; q < tiles.count; ++q) {
      int64_t next = 0;
      for (int64_t j = 0; j < block.n; j += kNr, next += fetched) {
        const Panel panel = enter_panel(block, j, t);
        const int64_t rows = enter_rows<kInPlace>(block, tiles, q, t);
        t.ahead = {};
        if (kInPlace && q + 1 < tiles.count && next < rows) {
          t.ahead = {t.a + (rows + next) * block.a_row_stride, fetched, block.a_row_stride, kTurn};
        }
        tiles_of<kInPlace>(panel.masked)[rows - 1][panel.cols - 1](t);
      }
    }
    return;
  }
  for (int64_t j = 0; j < block.n; j += kNr) {
    const Panel panel = enter_panel(block, j, t);
    // While a panel is used the next one comes in, a slice with each tile: the far caches are too slow for a
    // first tile that reads all of it.
    t.ahead = {};
    if (!block.b_in_place && j + kNr < block.n) {
      const int64_t lines = (kTurn * kNr / kCacheLine + tiles.count - 1) / tiles.count;
      t.ahead = {t.b + block.b_panel, lines, kCacheLine, lines * kCacheLine};
    }
    const auto& functions = tiles_of<kInPlace>(panel.masked);
    for (int64_t q = 0; q < tiles.count; ++q) {
      const int64_t rows = enter_rows<kInPlace>(block, tiles, q, t);
      functions[rows - 1][panel.cols - 1](t);
      t.ahead.p += t.ahead.step * (block.k / kTurn);
    }
  }
}

template <class L>
NNEFRUN_INLINE void matmul_tiles_of(const MatmulBlock& block) {
  if constexpr (L::kReadsRows) {
    if (block.a_row_stride != 0) return matmul_tiles<true>(block);
  }
  matmul_tiles<false>(block);
}
void matmul_block(const MatmulBlock& block) {
  if (block.m > 0) matmul_tiles_of<Loops>(block);
}

// One panel whose source runs along the depth: a transpose. Where the rows are contiguous it goes by squares
// of kLanes in registers, and each square's columns are written in full; a neighbour to the right is written
// later and so wins.
template <int kWidth>
NNEFRUN_INLINE void pack_across(const float* from, int64_t outer_stride, int64_t depth_stride, int64_t width,
                                int64_t depth, float* dst) {
  static_assert(kWidth % kLanes == 0 || kWidth < kLanes);
  int64_t start = 0;
  if (depth_stride == 1 && width == kWidth) {
    // the last kLanes steps are left to the loop below, so that a column written too far stays inside the
    // panel
    for (; start + 2 * kLanes <= depth; start += kLanes) {
      NNEFRUN_UNROLL
      for (int j = 0; j < kWidth; j += kLanes) {
        V square[kLanes];
        NNEFRUN_UNROLL
        for (int i = 0; i < kLanes; ++i) {
          square[i] = j + i < kWidth ? vload(from + (j + i) * outer_stride + start) : vset(0.0F);
        }
        vtranspose(square);
        NNEFRUN_UNROLL
        for (int i = 0; i < kLanes; ++i) vstore(dst + (start + i) * kWidth + j, square[i]);
      }
    }
  }
  // Short runs of the depth for each row, so that both sides stay in the first cache.
  constexpr int64_t kRun = 16;
  for (; start < depth; start += kRun) {
    const int64_t stop = depth - start < kRun ? depth : start + kRun;
    for (int64_t j = 0; j < width; ++j) {
      const float* row = from + j * outer_stride;
      for (int64_t p = start; p < stop; ++p) dst[p * kWidth + j] = row[p * depth_stride];
    }
    for (int64_t j = width; j < kWidth; ++j) {
      for (int64_t p = start; p < stop; ++p) dst[p * kWidth + j] = 0.0F;
    }
  }
}

// Panels of kWidth along the first index: dst[panel][p][i] = src[i * outer_stride + p * depth_stride].
template <int kWidth>
NNEFRUN_INLINE void pack_panels(const float* src, int64_t outer_stride, int64_t depth_stride, int64_t count,
                                int64_t depth, float* dst) {
  if (outer_stride != 1) {
    for (int64_t i = 0; i < count; i += kWidth, dst += depth * kWidth) {
      const int64_t width = count - i < kWidth ? count - i : kWidth;
      pack_across<kWidth>(src + i * outer_stride, outer_stride, depth_stride, width, depth, dst);
    }
    return;
  }
  // The source runs along the panels: a few of its rows at a time, so that it is read in long runs and the
  // pieces written to each panel are whole lines.
  constexpr int64_t kRows = 8;
  for (int64_t start = 0; start < depth; start += kRows) {
    const int64_t stop = depth - start < kRows ? depth : start + kRows;
    float* to = dst + start * kWidth;
    for (int64_t i = 0; i < count; i += kWidth, to += depth * kWidth) {
      const int64_t width = count - i < kWidth ? count - i : kWidth;
      const float* from = src + i + start * depth_stride;
      float* out = to;
      for (int64_t p = start; p < stop; ++p, from += depth_stride, out += kWidth) {
        if (width == kWidth && kWidth % kLanes == 0) {
          NNEFRUN_UNROLL
          for (int v = 0; v < kWidth; v += kLanes) vstore(out + v, vload(from + v));
        } else {
          for (int64_t j = 0; j < width; ++j) out[j] = from[j];
          for (int64_t j = width; j < kWidth; ++j) out[j] = 0.0F;
        }
      }
    }
  }
}
void pack_a(const float* a, int64_t row_stride, int64_t col_stride, int64_t rows, int64_t depth, float* dst) {
  pack_panels<kMr>(a, row_stride, col_stride, rows, depth, dst);
}
void pack_b(const float* b, int64_t row_stride, int64_t col_stride, int64_t depth, int64_t columns,
            float* dst) {
  pack_panels<kNr>(b, col_stride, row_stride, columns, depth, dst);
}

// kCount panels of kWidth at once, so that enough chains are in flight. Packed buffers have room for the
// overhang of the last vector.
template <int kWidth, int kCount>
NNEFRUN_INLINE void gemv_panels(const GemvBlock& g, int64_t j) {
  constexpr int kCols = (kWidth + kLanes - 1) / kLanes;
  const int64_t next = g.panel_stride;
  const float* w = g.w + j / kWidth * next;
  V acc[kCount][kCols];
  int64_t p = Loops::template panels<kWidth, kCount, kCols>(acc, g.x, w, next, g.k);
  w += p * kWidth;
  for (; p < g.k; ++p, w += kWidth) {
    const V x = vset(g.x[p]);
    NNEFRUN_UNROLL
    for (int q = 0; q < kCount; ++q) {
      NNEFRUN_UNROLL
      for (int v = 0; v < kCols; ++v) acc[q][v] = vfma(vload(w + q * next + v * kLanes), x, acc[q][v]);
    }
  }
  NNEFRUN_UNROLL
  for (int q = 0; q < kCount; ++q) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) {
      int64_t left = g.n - j - q * kWidth - v * kLanes;
      const int64_t width = kWidth - v * kLanes < kLanes ? kWidth - v * kLanes : kLanes;
      left = left < width ? left : width;
      if (left <= 0) continue;
      float* y = g.y + j + q * kWidth + v * kLanes;
      vstore_n(y, g.load_y ? vload_n(y, left) + acc[q][v] : acc[q][v], left);
    }
  }
}
template <int kWidth>
NNEFRUN_INLINE void gemv_packed(const GemvBlock& g) {
  constexpr int kCount = Loops::panels_at_once(kWidth);
  int64_t j = 0;
  for (; j + (kCount - 1) * kWidth < g.n; j += kCount * kWidth) gemv_panels<kWidth, kCount>(g, j);
  for (; j < g.n; j += kWidth) gemv_panels<kWidth, 1>(g, j);
}

// A last panel of B, narrower than the others.
template <int kWidth>
NNEFRUN_INLINE void gemv_tail(const GemvBlock& g) {
  if constexpr (kWidth < kNr) {
    if (g.panel == kWidth) return gemv_panels<kWidth, 1>(g, 0);
    gemv_tail<kWidth + tail_unit(kLanes)>(g);
  }
}

// Rows of W are streamed, kDepth at a time, over a chunk of sums. The order of additions is that of one
// accumulator.
template <int kDepth>
NNEFRUN_INLINE void gemv_rows(const float* x, const float* w, int64_t row_stride, float* sums, int64_t n) {
  V scalars[kDepth];
  NNEFRUN_UNROLL
  for (int d = 0; d < kDepth; ++d) scalars[d] = vset(x[d]);
  int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) {
    V sum = vload(sums + j);
    NNEFRUN_UNROLL
    for (int d = 0; d < kDepth; ++d) sum = vfma(vload(w + d * row_stride + j), scalars[d], sum);
    vstore(sums + j, sum);
  }
  if (j < n) {
    V sum = vload(sums + j);
    NNEFRUN_UNROLL
    for (int d = 0; d < kDepth; ++d) sum = vfma(vload_n(w + d * row_stride + j, n - j), scalars[d], sum);
    vstore(sums + j, sum);
  }
}
// A few rows of W and the sums of all rows of x stay in the first cache while the rows of x pass over them.
void gemv_in_place(const GemvBlock& g) {
  constexpr int kDepth = 8;
  constexpr int64_t kSums = 3072;
  float sums[kSums + kLanes];
  const int64_t room = kSums / g.m / kLanes * kLanes, chunk = g.m == 1 ? 2048 : room < 512 ? room : 512;
  for (int64_t j = Loops::rows(g); j < g.n; j += chunk) {
    const int64_t n = g.n - j < chunk ? g.n - j : chunk;
    for (int64_t i = 0; i < g.m * chunk; ++i) sums[i] = 0.0F;
    int64_t p = 0;
    for (; p + kDepth <= g.k; p += kDepth) {
      const float* w = g.w + p * g.w_row_stride + j;
      for (int64_t i = 0; i < g.m; ++i) {
        gemv_rows<kDepth>(g.x + i * g.x_row_stride + p, w, g.w_row_stride, sums + i * chunk, n);
      }
    }
    for (; p < g.k; ++p) {
      const float* w = g.w + p * g.w_row_stride + j;
      for (int64_t i = 0; i < g.m; ++i) gemv_rows<1>(g.x + i * g.x_row_stride + p, w, 0, sums + i * chunk, n);
    }
    for (int64_t i = 0; i < g.m; ++i) {
      float* y = g.y + i * g.y_row_stride + j;
      const float* row = sums + i * chunk;
      for (int64_t q = 0; q < n; ++q) y[q] = g.load_y ? y[q] + row[q] : row[q];
    }
  }
}
void gemv(const GemvBlock& g) {
  if (g.panel == kNr) {
    gemv_packed<kNr>(g);
  } else if (g.panel == kMr) {
    gemv_packed<kMr>(g);
  } else if (g.panel != 0) {
    gemv_tail<tail_unit(kLanes)>(g);
  } else {
    gemv_in_place(g);
  }
}

// kRows of A against kCols rows of B, lanes of partial sums along p.
template <int kRows, int kCols>
NNEFRUN_INLINE void dot_tile(const DotBlock& d, int64_t i, int64_t j) {
  const float* a = d.a + i * d.a_row_stride;
  const float* b = d.b + j * d.b_row_stride;
  V acc[kRows][kCols];
  int64_t p = Loops::dot(acc, a, d.a_row_stride, b, d.b_row_stride, d.k);
  for (; p + kLanes <= d.k; p += kLanes) {
    V av[kRows];
    NNEFRUN_UNROLL
    for (int r = 0; r < kRows; ++r) av[r] = vload(a + r * d.a_row_stride + p);
    NNEFRUN_UNROLL
    for (int q = 0; q < kCols; ++q) {
      const V bv = vload(b + q * d.b_row_stride + p);
      NNEFRUN_UNROLL
      for (int r = 0; r < kRows; ++r) acc[r][q] = vfma(av[r], bv, acc[r][q]);
    }
  }
  if (p < d.k) {
    const int64_t left = d.k - p;
    NNEFRUN_UNROLL
    for (int q = 0; q < kCols; ++q) {
      const V bv = vload_n(b + q * d.b_row_stride + p, left);
      NNEFRUN_UNROLL
      for (int r = 0; r < kRows; ++r)
        acc[r][q] = vfma(vload_n(a + r * d.a_row_stride + p, left), bv, acc[r][q]);
    }
  }
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    NNEFRUN_UNROLL
    for (int q = 0; q < kCols; ++q) {
      float* c = d.c + (i + r) * d.c_row_stride + (j + q) * d.c_col_stride;
      *c = d.accumulate ? *c + vsum(acc[r][q]) : vsum(acc[r][q]);
    }
  }
}
template <int kRows>
NNEFRUN_INLINE void dot_rows(const DotBlock& d, int64_t i) {
  constexpr int kCols = 4;
  constexpr int kMany = kRows == 1 ? Loops::kDotColumns : kCols;
  int64_t j = 0;
  for (; j + kMany <= d.n; j += kMany) dot_tile<kRows, kMany>(d, i, j);
  for (; j + kCols <= d.n; j += kCols) dot_tile<kRows, kCols>(d, i, j);
  for (; j < d.n; ++j) dot_tile<kRows, 1>(d, i, j);
}
void dot(const DotBlock& d) {
  int64_t i = 0;
  for (; i + 2 <= d.m; i += 2) dot_rows<2>(d, i);
  if (i < d.m) dot_rows<1>(d, i);
}

}  // namespace

extern const MatmulKernel NNEFRUN_MATMUL_NAME;
const MatmulKernel NNEFRUN_MATMUL_NAME = {
    NNEFRUN_STRING(NNEFRUN_MATMUL_NAME),
    NNEFRUN_STRING(NNEFRUN_ISA),
    isa::NNEFRUN_ISA,
    true,
    kMr,
    kNr,
    kLanes,
    kMc,
    kKc,
    kNc,
    Loops::kReadsRows,
    matmul_block,
    pack_a,
    pack_b,
    dot,
    gemv,
    epilogue_row,
};

}  // namespace nnefrun::kernels
