// The two products of attention over strips of rows, in tiles, and the panels of keys and values that they
// read; for body.h, which says how they serve. An ISA file has defined kMr before.
//
// A tile is up to kMr keys (or items of the depth) by two vectors of rows, and runs through the matrix
// product's inner loops where an ISA has them.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/matmul/chosen_loops.h"

namespace nnefrun::kernels {
namespace {

constexpr bool kPacks = Loops::kReadsRows;

constexpr int kVectors = 2;
constexpr int kStrip = kVectors * kLanes;
static_assert(kMr % kLanes == 0 || kMr < kLanes);

NNEFRUN_INLINE int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

// ---- tiles ----

struct ProductTile {
  const float* a;    // a panel: [k][kMr], or in place
  int64_t a_stride;  // in place: of keys, from row to row; of values, from step to step
  const float* b;    // [k][kStrip]
  int64_t k;
  const float* correction;  // null: the result is stored; else result = result * correction + the product
  float* c;                 // [rows][kStrip]
};

template <int kLane, int kCols>
NNEFRUN_INLINE void fma_lane_group(V (&acc)[kCols], const V (&b)[kLaneGroup][kCols], Lanes lanes) {
  if constexpr (kLane < kLaneGroup) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) acc[v] = vfma_lane<kLane>(b[kLane][v], lanes, acc[v]);
    fma_lane_group<kLane + 1, kCols>(acc, b, lanes);
  }
}
// Keys in place.
template <int kRows, int kCols>
NNEFRUN_INLINE void multiply_rows(V (&acc)[kRows][kCols], const ProductTile& t) {
  int64_t p = 0;
  if constexpr (Loops::kReadsRows) {
    p = Loops::tile_of_rows(acc, t.a, t.a_stride, t.b, kStrip, t.k, {});
  } else {
    clear_sums(acc);
  }
  for (; p + kLaneGroup <= t.k; p += kLaneGroup) {
    V b[kLaneGroup][kCols];
    NNEFRUN_UNROLL
    for (int l = 0; l < kLaneGroup; ++l) {
      NNEFRUN_UNROLL
      for (int v = 0; v < kCols; ++v) b[l][v] = vload(t.b + (p + l) * kStrip + v * kLanes);
    }
    NNEFRUN_UNROLL
    for (int r = 0; r < kRows; ++r) fma_lane_group<0, kCols>(acc[r], b, lanes_load(t.a + r * t.a_stride + p));
  }
  for (; p < t.k; ++p) {
    NNEFRUN_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const V item = vset(t.a[r * t.a_stride + p]);
      NNEFRUN_UNROLL
      for (int v = 0; v < kCols; ++v) acc[r][v] = vfma(item, vload(t.b + p * kStrip + v * kLanes), acc[r][v]);
    }
  }
}

template <int kGroup, int kLane, int kRows, int kCols>
NNEFRUN_INLINE void panel_lanes(V (&acc)[kRows][kCols], const V (&b)[kCols], Lanes lanes) {
  if constexpr (kLane < kLaneGroup) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v)
      acc[kGroup + kLane][v] = vfma_lane<kLane>(b[v], lanes, acc[kGroup + kLane][v]);
    panel_lanes<kGroup, kLane + 1, kRows, kCols>(acc, b, lanes);
  }
}
template <int kRow, int kRows, int kCols>
NNEFRUN_INLINE void panel_groups(V (&acc)[kRows][kCols], const V (&b)[kCols], const float* items) {
  if constexpr (kRow + kLaneGroup <= kRows) {
    panel_lanes<kRow, 0, kRows, kCols>(acc, b, lanes_load(items + kRow));
    panel_groups<kRow + kLaneGroup, kRows, kCols>(acc, b, items);
  } else if constexpr (kRow < kRows) {
    const V item = vset(items[kRow]);
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) acc[kRow][v] = vfma(b[v], item, acc[kRow][v]);
    panel_groups<kRow + 1, kRows, kCols>(acc, b, items);
  }
}
// A panel, or values in place.
template <int kRows, int kCols>
NNEFRUN_INLINE void multiply_panel(V (&acc)[kRows][kCols], const ProductTile& t) {
  const int64_t step = kPacks ? kMr : t.a_stride;
  int64_t p = 0;
  if constexpr (kPacks) {
    p = Loops::tile(acc, t.a, t.b, kStrip, t.k, {});
  } else {
    clear_sums(acc);
  }
  const float *a = t.a + p * step, *b = t.b + p * kStrip;
  for (; p < t.k; ++p, a += step, b += kStrip) {
    V columns[kCols];
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) columns[v] = vload(b + v * kLanes);
    panel_groups<0, kRows, kCols>(acc, columns, a);
  }
}

template <int kRows, int kCols, bool kKeysInPlace>
__attribute__((noinline)) void product_tile(const ProductTile& t) {
  V acc[kRows][kCols];
  if constexpr (kKeysInPlace) {
    multiply_rows(acc, t);
  } else {
    multiply_panel(acc, t);
  }
  float* c = t.c;
  if (t.correction != nullptr) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) {
      const V correction = vload(t.correction + v * kLanes);
      NNEFRUN_UNROLL
      for (int r = 0; r < kRows; ++r)
        acc[r][v] = vfma(vload(c + r * kStrip + v * kLanes), correction, acc[r][v]);
    }
  }
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) vstore(c + r * kStrip + v * kLanes, acc[r][v]);
  }
}

using ProductTileFunction = void (*)(const ProductTile&);
template <bool kKeysInPlace, int... kRow>
struct ProductTiles {
  static constexpr ProductTileFunction functions[][kVectors] = {
      {product_tile<kRow + 1, 1, kKeysInPlace>, product_tile<kRow + 1, 2, kKeysInPlace>}...};
};
template <bool kKeysInPlace, int kCount, int... kRow>
struct MakeProductTiles : MakeProductTiles<kKeysInPlace, kCount - 1, kCount - 1, kRow...> {};
template <bool kKeysInPlace, int... kRow>
struct MakeProductTiles<kKeysInPlace, 0, kRow...> : ProductTiles<kKeysInPlace, kRow...> {};

// ---- panels ----

// `extent` rows of a product dealt out to panels: evenly where they are packed, the first `wider` have one
// more; else whole ones and what is left.
struct Panels {
  int64_t extent, count, least, wider;
  int64_t begin(int64_t panel) const { return panel * least + at_most(panel, wider); }
  int64_t rows(int64_t panel) const {
    return kPacks ? least + (panel < wider ? 1 : 0) : at_most(least, extent - panel * least);
  }
};
NNEFRUN_INLINE Panels panels_of(int64_t extent) {
  const int64_t count = (extent + kMr - 1) / kMr;
  if (!kPacks || count == 0) return {extent, count, kMr, 0};
  return {extent, count, extent / count, extent % count};
}

// Both write whole vectors, each over the superfluous end of the one before, so that up to kLanes items
// behind the last panel are written.

// to[panel][p][key] from k[key][p].
void pack_keys(const float* k, int64_t stride, const Panels& panels, int64_t width, float* to) {
  for (int64_t panel = 0; panel < panels.count; ++panel, to += width * kMr) {
    const int64_t rows = panels.rows(panel);
    for (int i = 0; i < kMr; i += kLanes) {
      const float* key[kLanes];  // the last row once more for those that are not there
      NNEFRUN_UNROLL
      for (int r = 0; r < kLanes; ++r) key[r] = k + (panels.begin(panel) + at_most(i + r, rows - 1)) * stride;
      for (int64_t p = 0; p < width; p += kLanes) {
        const int64_t left = at_most(kLanes, width - p);
        V square[kLanes];
        if (left == kLanes) {
          NNEFRUN_UNROLL
          for (int r = 0; r < kLanes; ++r) square[r] = vload(key[r] + p);
        } else {
          NNEFRUN_UNROLL
          for (int r = 0; r < kLanes; ++r) square[r] = vload_n(key[r] + p, left);
        }
        vtranspose(square);
        NNEFRUN_UNROLL
        for (int r = 0; r < kLanes; ++r) {
          if (r < left) vstore(to + (p + r) * kMr + i, square[r]);
        }
      }
    }
  }
}
// to[panel][key][d] from v[key][d].
void pack_values(const float* v, int64_t stride, int64_t keys, const Panels& panels, int64_t depth,
                 float* to) {
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const float* from = v + panels.begin(panel);
    const int64_t left = depth - panels.begin(panel);
    for (int64_t j = 0; j < keys; ++j, from += stride, to += kMr) {
      NNEFRUN_UNROLL
      for (int i = 0; i < kMr; i += kLanes) {
        if (left >= i + kLanes) {
          vstore(to + i, vload(from + i));
        } else if (left > i) {
          vstore(to + i, vload_n(from + i, left - i));
        }
      }
    }
  }
}

}  // namespace
}  // namespace nnefrun::kernels
