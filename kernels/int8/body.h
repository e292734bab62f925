// The rows of this family, written once over a small set of vector operations that each ISA file defines
// before it includes this:
//
//   kIsaLanes        columns in a vector; kGroup: items of the depth that one step multiplies
//   kRows, kVectors  the tile; kWidens, kOffset, kSlack: see Int8Kernels
//   kDepthwise       vectors of a depthwise tile
//   I32, F32         vectors of accumulators and of reals;  W, A: of weights, of the left side
//   load_i32, load_i16 (16-bit numbers to i32), store_i32, set_i32, add_i32, min_i32, max_i32
//   load_w, repeat_a, dot      accumulator += sum of a group
//   load_codes(p, n)           u8 to i32, the first n (all when n >= kIsaLanes)
//   store_codes(p, v, flip, n) the other way, for values in 0..255
//   store_row(p, v, bounds, n) vectors beside each other: saturated to u8, clamped, flipped; the first n
//   flip_codes(v, flip)
//   mul_add16                  accumulator += x * w, lane by lane, for x in 0..255 and 16-bit w
//   round_exact(v, scale), round_f32(v, scales)
//   round_narrow(v, scale, o)  round_exact + o - 0x4B400000, for CodeEpilogue::narrow
//   store_two_rows(p, q, v, bounds)  where NNEFRUN_STORES_TWO_ROWS is defined: two rows of two whole vectors
//   quotient(a, d, r)          a / d for the reciprocal r of d, with one correction
//   to_f32, load_f32, store_f32, set_f32, add/sub/mul/div/max/min_f32, round_to_i32 (half to even)
//   zero_of_nan
//   add_reals(x, rows, stride, n, minus_zero, factor, y)
//                              y[c] += (x[r * stride + c] + minus_zero) * factor as f64
//   sum_bytes(p, n)            of n bytes
//   widen_codes(p, out, n)     where kWidens: n bytes to 16 bits; n is a multiple of 4
//
// NNEFRUN_OWN_PRODUCT is defined where a file has its own product() besides: the file that holds it. With
// NNEFRUN_OWN_TILES that needs nothing of the plain one: W, A, load_w, repeat_a and dot. NNEFRUN_UNVERIFIED
// is defined where no machine has run the row.
#pragma once

#include "kernels/int8/int8.h"
#include "kernels/int8/pack.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

template <bool kWide>
struct WideItem {
  using Type = uint8_t;
};
template <>
struct WideItem<true> {
  using Type = int16_t;
};
using Item = WideItem<kWidens>::Type;

// How accumulators are rounded, see CodeEpilogue.
enum class Rounding : uint8_t { by_channel, exact, narrow };

// 1.5 * 2^23: what a multiply-add adds so that the product is rounded to an integer, and its bits.
constexpr int32_t kMagicBits = 0x4B400000;

struct Finish {
  I32 limit, negative_limit, zero_point, narrow_offset;
  F32 narrow_scale;
  double scale;
  Bounds bounds;
  bool has_limit;
};
NNEFRUN_INLINE Finish finish_of(const CodeEpilogue& e) {
  return {set_i32(e.limit),
          set_i32(-e.limit),
          set_i32(e.zero_point),
          set_i32(e.zero_point - kMagicBits),
          set_f32(static_cast<float>(e.scale)),
          e.scale,
          bounds_of(e.low, e.high, e.flip),
          e.limit != 0};
}
// Rounded, with the zero point; not clamped.
template <Rounding kRounding>
NNEFRUN_INLINE I32 finished(I32 v, const Finish& f, const float* scales) {
  if (kRounding == Rounding::narrow) return round_narrow(v, f.narrow_scale, f.narrow_offset);
  if (f.has_limit) v = max_i32(min_i32(v, f.limit), f.negative_limit);
  return add_i32(kRounding == Rounding::exact ? round_exact(v, f.scale) : round_f32(v, scales), f.zero_point);
}

NNEFRUN_INLINE F32 real_of(I32 code, I32 minus_zero, F32 scale) {
  return mul_f32(to_f32(add_i32(code, minus_zero)), scale);
}
template <CodeBinaryOp kOp>
NNEFRUN_INLINE F32 combined(F32 x, F32 y) {
  switch (kOp) {
    case CodeBinaryOp::add: return add_f32(x, y);
    case CodeBinaryOp::sub: return sub_f32(x, y);
    case CodeBinaryOp::mul: return mul_f32(x, y);
    case CodeBinaryOp::max: return max_f32(x, y);
    default: return min_f32(x, y);
  }
}

// A CodeBinary as vectors. The sum with the zero point is rounded in f32, so it is that of the result's own
// type, which `back` takes back.
struct Arithmetic {
  I32 x_zero, y_zero, back;
  F32 x_scale, y_scale, scale, reciprocal, zero, low, high;
  bool multiplies;
};
NNEFRUN_INLINE Arithmetic arithmetic_of(const CodeBinary& b) {
  const int32_t shift = b.is_signed ? 128 : 0;
  return {set_i32(-b.x_zero),
          set_i32(-b.y_zero),
          set_i32(shift),
          set_f32(b.x_scale),
          set_f32(b.y_scale),
          set_f32(b.scale),
          set_f32(b.reciprocal),
          set_f32(static_cast<float>(b.zero - shift)),
          set_f32(static_cast<float>(b.low - shift)),
          set_f32(static_cast<float>(b.high - shift)),
          b.reciprocal != 0};
}
// Sums that round to i32 stay within it: reals are first clamped to the codes' neighbourhood.
template <CodeBinaryOp kOp>
NNEFRUN_INLINE I32 arithmetic_code(const Arithmetic& a, I32 x, I32 y) {
  const F32 real = combined<kOp>(real_of(x, a.x_zero, a.x_scale), real_of(y, a.y_zero, a.y_scale));
  const F32 moved =
      add_f32(a.multiplies ? quotient(real, a.scale, a.reciprocal) : div_f32(real, a.scale), a.zero);
  return add_i32(round_to_i32(max_f32(min_f32(moved, a.high), a.low)), a.back);
}

#if defined(NNEFRUN_STORES_TWO_ROWS)
constexpr bool kStoresTwoRows = true;
#else
constexpr bool kStoresTwoRows = false;
NNEFRUN_INLINE void store_two_rows(uint8_t*, uint8_t*, const I32*, const Bounds&) {}
#endif

// What a tile of sums becomes: its first column's scales, and its places in the result and in what is added.
struct FinishedTile {
  const float* scales;
  uint8_t* y;
  const uint8_t* residual;
  int64_t stride;
};

template <Rounding kRounding, int V, bool kAdds>
NNEFRUN_INLINE void finish_row(const CodeProduct& p, const Finish& f, const Arithmetic& a,
                               const FinishedTile& tile, const int32_t* sums, int r, int64_t columns,
                               I32* v) {
  NNEFRUN_UNROLL
  for (int i = 0; i < V; ++i) {
    v[i] = finished<kRounding>(load_i32(sums + (r * kVectors + i) * kIsaLanes), f,
                               kRounding == Rounding::by_channel ? tile.scales + i * kIsaLanes : nullptr);
    if (!kAdds) continue;
    const I32 code = max_i32(min_i32(v[i], set_i32(p.epilogue.high)), set_i32(p.epilogue.low));
    const I32 other = load_codes(tile.residual + r * tile.stride + i * kIsaLanes, columns - i * kIsaLanes);
    v[i] = arithmetic_code<CodeBinaryOp::add>(a, code, flip_codes(other, p.sum->y_flip));
  }
}
template <Rounding kRounding, int V, bool kAdds>
void finish_tile(const CodeProduct& p, const FinishedTile& tile, const int32_t* sums, int rows,
                 int64_t columns) {
  const Finish f = finish_of(p.epilogue);
  const Arithmetic arithmetic = kAdds ? arithmetic_of(*p.sum) : Arithmetic{};
  const Bounds bounds = kAdds ? bounds_of(p.sum->low, p.sum->high, p.sum->flip) : f.bounds;
  int r = 0;
  if (kStoresTwoRows && V == 2 && columns == V * kIsaLanes) {
    for (; r + 1 < rows; r += 2) {
      I32 v[2 * V];
      finish_row<kRounding, V, kAdds>(p, f, arithmetic, tile, sums, r, columns, v);
      finish_row<kRounding, V, kAdds>(p, f, arithmetic, tile, sums, r + 1, columns, v + V);
      store_two_rows(tile.y + r * tile.stride, tile.y + (r + 1) * tile.stride, v, bounds);
    }
  }
  for (; r < rows; ++r) {
    I32 v[V];
    finish_row<kRounding, V, kAdds>(p, f, arithmetic, tile, sums, r, columns, v);
    store_row<V>(tile.y + r * tile.stride, v, bounds, columns);
  }
}
template <Rounding kRounding, bool kAdds>
void finish_columns(const CodeProduct& p, const FinishedTile& tile, const int32_t* sums, int rows,
                    int64_t columns) {
  if (columns <= kIsaLanes) {
    finish_tile<kRounding, 1, kAdds>(p, tile, sums, rows, columns);
  } else if (columns <= 2 * kIsaLanes) {
    finish_tile<kRounding, 2, kAdds>(p, tile, sums, rows, columns);
  } else {
    finish_tile<kRounding, kVectors, kAdds>(p, tile, sums, rows, columns);
  }
}
template <bool kAdds>
void finish_codes(const CodeProduct& p, const int32_t* sums, int rows, int64_t at, int64_t column,
                  int64_t columns) {
  FinishedTile tile{nullptr, static_cast<uint8_t*>(p.y) + at, kAdds ? p.residual + at : nullptr, p.y_stride};
  if (p.epilogue.scales != nullptr) {
    tile.scales = p.epilogue.scales + column;
    finish_columns<Rounding::by_channel, kAdds>(p, tile, sums, rows, columns);
  } else if (p.epilogue.narrow) {
    finish_columns<Rounding::narrow, kAdds>(p, tile, sums, rows, columns);
  } else {
    finish_columns<Rounding::exact, kAdds>(p, tile, sums, rows, columns);
  }
}

void finish_any(const CodeProduct& p, const int32_t* sums, int rows, int64_t first_row, int64_t column,
                int64_t columns) {
  const int64_t at = first_row * p.y_stride + column;
  if (p.epilogue.raw) {
    int32_t* y = static_cast<int32_t*>(p.y) + at;
    for (int r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) y[r * p.y_stride + c] = sums[r * kVectors * kIsaLanes + c];
    }
  } else if (p.sum != nullptr) {
    finish_codes<true>(p, sums, rows, at, column, columns);
  } else {
    finish_codes<false>(p, sums, rows, at, column, columns);
  }
}

// finish_any for the plain sums of a tile of one vector: the rows' terms are added first.
[[maybe_unused]] void finish_rows(const CodeProduct& p, int32_t* sums, int64_t rows, int64_t first_row,
                                  int64_t column, int64_t columns) {
  for (int64_t r = 0; r < rows && p.row_terms != nullptr; ++r) {
    int32_t* at = sums + r * kIsaLanes;
    store_i32(at, add_i32(load_i32(at), set_i32(p.row_terms[first_row + r])));
  }
  finish_any(p, sums, static_cast<int>(rows), first_row, column, columns);
}

#if !defined(NNEFRUN_OWN_TILES)
// R rows times V vectors of columns. `x` points at the rows' first taps; sums: [R][kVectors * kIsaLanes].
template <int R, int V>
NNEFRUN_INLINE void multiply(const Item* const* x, const int64_t* taps, int64_t tap_count, int64_t groups,
                             const int8_t* w, const int32_t* start, const int32_t* terms, int32_t* sums) {
  I32 acc[R][V];
  NNEFRUN_UNROLL
  for (int r = 0; r < R; ++r) {
    NNEFRUN_UNROLL
    for (int v = 0; v < V; ++v) {
      acc[r][v] = load_i32(start + v * kIsaLanes);
      if (terms != nullptr) acc[r][v] = add_i32(acc[r][v], set_i32(terms[r]));
    }
  }
  for (int64_t t = 0; t < tap_count; ++t) {
    const Item* at[R];
    NNEFRUN_UNROLL
    for (int r = 0; r < R; ++r) at[r] = x[r] + taps[t];
    for (int64_t g = 0; g < groups; ++g) {
      W weights[V];
      NNEFRUN_UNROLL
      for (int v = 0; v < V; ++v) weights[v] = load_w(w + v * kIsaLanes * kGroup);
      NNEFRUN_UNROLL
      for (int r = 0; r < R; ++r) {
        const A a = repeat_a(at[r] + g * kGroup);
        NNEFRUN_UNROLL
        for (int v = 0; v < V; ++v) acc[r][v] = dot(acc[r][v], a, weights[v]);
      }
      w += V * kIsaLanes * kGroup;
    }
  }
  NNEFRUN_UNROLL
  for (int r = 0; r < R; ++r) {
    NNEFRUN_UNROLL
    for (int v = 0; v < V; ++v) store_i32(sums + (r * kVectors + v) * kIsaLanes, acc[r][v]);
  }
}

struct Tile {
  const Item* const* x;
  const int64_t* taps;
  int64_t tap_count, groups;
  const int8_t* w;
  const int32_t* start;
  const int32_t* terms;
  int32_t* sums;
};
template <int R, int V>
void run_tile(const Tile& t) {
  multiply<R, V>(t.x, t.taps, t.tap_count, t.groups, t.w, t.start, t.terms, t.sums);
}
template <int R>
void run_rows(const Tile& t, int64_t vectors) {
  switch (vectors) {
    case 1: return run_tile<R, 1>(t);
    case 2: return run_tile<R, 2>(t);
    default: return run_tile<R, kVectors>(t);
  }
}

// How many of the first rows lie in memory as their copies do: of one tap, each behind the one before.
inline int64_t rows_beside(const CodeProduct& p) {
  if (p.tap_count != 1) return 0;
  int64_t rows = 1;
  while (rows < p.row_count && p.rows[rows] == p.rows[0] + rows * p.depth) ++rows;
  return rows;
}

void product_of_dots(const CodeProduct& p) {
  const PanelCut cut = cut_panels(p.columns, kIsaLanes, kVectors);
  if (p.row_count == 0 || cut.panels == 0) return;
  const int64_t depth = p.tap_count * p.depth;
  const int64_t one_tap = 0;
  const Item* base = nullptr;
  Tile t;
  if (kWidens) {
    auto* wide = static_cast<int16_t*>(p.workspace);
    const int64_t beside = rows_beside(p);
    widen_codes(p.x + p.rows[0] + p.taps[0], wide, beside * depth);
    for (int64_t r = beside; r < p.row_count; ++r) {
      for (int64_t k = 0; k < p.tap_count; ++k)
        widen_codes(p.x + p.rows[r] + p.taps[k], wide + r * depth + k * p.depth, p.depth);
    }
    base = reinterpret_cast<const Item*>(wide);
    t.taps = &one_tap;
    t.tap_count = 1;
    t.groups = depth / kGroup;
  } else {
    base = reinterpret_cast<const Item*>(p.x);
    t.taps = p.taps;
    t.tap_count = p.tap_count;
    t.groups = p.depth / kGroup;
  }
  alignas(64) int32_t sums[kRows * kVectors * kIsaLanes];
  t.sums = sums;
  for (int64_t panel = p.panel_begin; panel < p.panel_end; ++panel) {
    const int64_t first = panel_start(cut, panel), vectors = panel_start(cut, panel + 1) - first;
    const int64_t column = first * kIsaLanes;
    const int64_t left = p.columns - column, width = vectors * kIsaLanes;
    t.w = p.weights + column * depth;
    t.start = p.start + column;
    for (int64_t row = 0; row < p.row_count; row += kRows) {
      const int64_t rows = p.row_count - row < kRows ? p.row_count - row : kRows;
      // Rows behind the last one are the last one again.
      const Item* x[kRows];
      int32_t terms[kRows];
      for (int64_t r = 0; r < kRows; ++r) {
        const int64_t at = row + (r < rows ? r : rows - 1);
        x[r] = kWidens ? base + at * depth : base + p.rows[at];
        terms[r] = p.row_terms == nullptr ? 0 : p.row_terms[at];
      }
      t.x = x;
      t.terms = p.row_terms == nullptr ? nullptr : terms;
      if (rows == 1) {
        run_rows<1>(t, vectors);
      } else if (rows <= kRows / 2) {
        run_rows<kRows / 2>(t, vectors);
      } else {
        run_rows<kRows>(t, vectors);
      }
      finish_any(p, sums, static_cast<int>(rows), row, column, left < width ? left : width);
    }
  }
}

#endif

#if defined(NNEFRUN_OWN_PRODUCT)
#include NNEFRUN_OWN_PRODUCT
#else
constexpr int kTableRows = kRows;
constexpr bool kCopies = kWidens;
void product(const CodeProduct& p) { product_of_dots(p); }
#endif

// P pixels times V vectors of channels, the first `left` of them (kWhole: all).
template <Rounding kRounding, int P, int V, bool kWhole>
NNEFRUN_INLINE void depthwise_pixels(const CodeDepthwise& p, const Finish& f, const uint8_t* const* x,
                                     const int16_t* w, int64_t c, int64_t left, uint8_t* const* y) {
  if (kWhole) left = V * kIsaLanes;
  I32 acc[P][V];
  NNEFRUN_UNROLL
  for (int i = 0; i < P; ++i) {
    NNEFRUN_UNROLL
    for (int v = 0; v < V; ++v) acc[i][v] = load_i32(p.start + c + v * kIsaLanes);
  }
  for (int64_t t = 0; t < p.tap_count; ++t) {
    NNEFRUN_UNROLL
    for (int v = 0; v < V; ++v) {
      const I32 weight = load_i16(w + (v * p.tap_count + t) * kIsaLanes);
      // Only the last vector may be a part of one.
      const int64_t count = kWhole || v + 1 < V ? kIsaLanes : left - v * kIsaLanes;
      NNEFRUN_UNROLL
      for (int i = 0; i < P; ++i)
        acc[i][v] = mul_add16(acc[i][v], load_codes(x[i] + p.taps[t] + v * kIsaLanes, count), weight);
    }
  }
  const float* scales = kRounding == Rounding::by_channel ? p.epilogue.scales + c : nullptr;
  NNEFRUN_UNROLL
  for (int i = 0; i < P; ++i) {
    I32 out[V];
    NNEFRUN_UNROLL
    for (int v = 0; v < V; ++v)
      out[v] = finished<kRounding>(acc[i][v], f,
                                   kRounding == Rounding::by_channel ? scales + v * kIsaLanes : nullptr);
    store_row<V>(y[i], out, f.bounds, left);
  }
}
template <Rounding kRounding, int V, bool kWhole>
NNEFRUN_INLINE void depthwise_channels(const CodeDepthwise& p, const Finish& f, const int16_t* w, int64_t c,
                                       int64_t left) {
  constexpr int kPixels = 2;
  for (int64_t row = 0; row < p.row_count; row += kPixels) {
    const uint8_t* x[kPixels];
    uint8_t* y[kPixels];
    const int64_t rows = p.row_count - row < kPixels ? p.row_count - row : kPixels;
    for (int64_t i = 0; i < rows; ++i) {
      x[i] = p.x + p.rows[row + i] + c;
      y[i] = p.y + (row + i) * p.y_stride + c;
    }
    if (rows == kPixels) {
      depthwise_pixels<kRounding, kPixels, V, kWhole>(p, f, x, w, c, left, y);
    } else {
      depthwise_pixels<kRounding, 1, V, kWhole>(p, f, x, w, c, left, y);
    }
  }
}
template <Rounding kRounding, int V>
NNEFRUN_INLINE void depthwise_block(const CodeDepthwise& p, const Finish& f, const int16_t* w, int64_t c) {
  const int64_t left = p.channels - c;
  if (left >= V * kIsaLanes) {
    depthwise_channels<kRounding, V, true>(p, f, w, c, left);
  } else {
    depthwise_channels<kRounding, V, false>(p, f, w, c, left);
  }
}
template <Rounding kRounding>
void depthwise_any(const CodeDepthwise& p) {
  const Finish f = finish_of(p.epilogue);
  const int16_t* w = p.weights;
  for (int64_t c = 0; c < p.channels;) {
    const int64_t vectors = (p.channels - c + kIsaLanes - 1) / kIsaLanes;
    const int64_t taken = vectors >= kDepthwise ? kDepthwise : vectors >= 2 ? 2 : 1;
    if (taken == kDepthwise) {
      depthwise_block<kRounding, kDepthwise>(p, f, w, c);
    } else if (taken == 2) {
      depthwise_block<kRounding, 2>(p, f, w, c);
    } else {
      depthwise_block<kRounding, 1>(p, f, w, c);
    }
    c += taken * kIsaLanes;
    w += taken * p.tap_count * kIsaLanes;
  }
}
#if defined(NNEFRUN_DEPTHWISE_DOTS)
#include NNEFRUN_DEPTHWISE_DOTS
constexpr bool kDepthwiseDots = true;
#else
constexpr bool kDepthwiseDots = false;
template <Rounding kRounding>
void depthwise_dots(const CodeDepthwise&) {}
#endif

#if defined(NNEFRUN_UNVERIFIED)
constexpr bool kVerified = false;
#else
constexpr bool kVerified = true;
#endif

void depthwise(const CodeDepthwise& p) {
  if (p.dot_weights != nullptr) {
    if (p.epilogue.scales != nullptr) return depthwise_dots<Rounding::by_channel>(p);
    return p.epilogue.narrow ? depthwise_dots<Rounding::narrow>(p) : depthwise_dots<Rounding::exact>(p);
  }
  if (p.epilogue.scales != nullptr) {
    depthwise_any<Rounding::by_channel>(p);
  } else if (p.epilogue.narrow) {
    depthwise_any<Rounding::narrow>(p);
  } else {
    depthwise_any<Rounding::exact>(p);
  }
}

void row_sums(const CodeProduct& p, int64_t channels, int32_t* sums) {
  for (int64_t r = 0; r < p.row_count; ++r) {
    int32_t sum = 0;
    for (int64_t t = 0; t < p.tap_count; ++t) sum += sum_bytes(p.x + p.rows[r] + p.taps[t], channels);
    sums[r] = sum;
  }
}

template <CodeBinaryOp kOp>
void binary_any(const CodeBinary& b, const uint8_t* x, const uint8_t* y, uint8_t* z, int64_t count) {
  const Arithmetic arithmetic = arithmetic_of(b);
  for (int64_t i = 0; i < count; i += kIsaLanes) {
    const int64_t left = count - i;
    const I32 code = arithmetic_code<kOp>(arithmetic, flip_codes(load_codes(x + i, left), b.x_flip),
                                          flip_codes(load_codes(y + i, left), b.y_flip));
    store_codes(z + i, code, b.flip, left);
  }
}
void binary(const CodeBinary& b, const uint8_t* x, const uint8_t* y, uint8_t* z, int64_t count) {
  switch (b.op) {
    case CodeBinaryOp::add: return binary_any<CodeBinaryOp::add>(b, x, y, z, count);
    case CodeBinaryOp::sub: return binary_any<CodeBinaryOp::sub>(b, x, y, z, count);
    case CodeBinaryOp::mul: return binary_any<CodeBinaryOp::mul>(b, x, y, z, count);
    case CodeBinaryOp::max: return binary_any<CodeBinaryOp::max>(b, x, y, z, count);
    case CodeBinaryOp::min: return binary_any<CodeBinaryOp::min>(b, x, y, z, count);
  }
}

void quantize(const float* x, float scale, int32_t zero, bool is_signed, uint8_t flip, uint8_t* y,
              int64_t count) {
  const int32_t shift = is_signed ? 128 : 0;
  const F32 divisor = set_f32(scale), offset = set_f32(static_cast<float>(zero - shift));
  const F32 low = set_f32(static_cast<float>(-shift)), high = set_f32(static_cast<float>(255 - shift));
  const I32 back = set_i32(shift);
  for (int64_t i = 0; i < count; i += kIsaLanes) {
    const int64_t left = count - i;
    const F32 v = zero_of_nan(add_f32(div_f32(load_f32(x + i, left), divisor), offset));
    store_codes(y + i, add_i32(round_to_i32(max_f32(min_f32(v, high), low)), back), flip, left);
  }
}
void dequantize(const uint8_t* x, float scale, int32_t zero, uint8_t flip, float* y, int64_t count) {
  const I32 minus_zero = set_i32(-zero);
  const F32 factor = set_f32(scale);
  for (int64_t i = 0; i < count; i += kIsaLanes) {
    const int64_t left = count - i;
    store_f32(y + i, real_of(flip_codes(load_codes(x + i, left), flip), minus_zero, factor), left);
  }
}
void sum_rows(const uint8_t* x, int64_t rows, int64_t stride, int64_t channels, float scale, int32_t zero,
              double* y) {
  const I32 minus_zero = set_i32(-zero);
  const F32 factor = set_f32(scale);
  for (int64_t c = 0; c < channels; c += kIsaLanes) {
    const int64_t left = channels - c;
    add_reals(x + c, rows, stride, left, minus_zero, factor, y + c);
  }
}

}  // namespace

extern const Int8Kernels NNEFRUN_TABLE(int8);
const Int8Kernels NNEFRUN_TABLE(int8) = {
    NNEFRUN_STRING(NNEFRUN_ISA),
    isa::NNEFRUN_ISA,
    kVerified,
    kIsaLanes,
    kGroup,
    kVectors,
    kTableRows,
    kCopies,
    kOffset,
    kSlack,
    kDepthwiseDots,
    product,
    depthwise,
    row_sums,
    binary,
    quantize,
    dequantize,
    sum_rows,
};

}  // namespace nnefrun::kernels
