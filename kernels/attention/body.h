// Attention, written once over the vector of kernels/vec.h. An ISA file defines NNEFRUN_ISA and kTileRows
// after including its vector, then includes this.
//
// A strip of kStrip query rows lies across two vectors. Both products then have the same form, a tile of
// kTileRows keys (or items of the depth) by two vectors of rows, whose left factors are scalars read in
// place:
//   scores[key][row]  = sum over p of k[key][p] * q'[p][row]        q' is the strip transposed and scaled,
//   once total[d][row]    += sum over j of v[j][d]   * weights[j][row]
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/vec_math.h"

namespace nnefrun::kernels {
namespace {

constexpr int kVectors = 2;
constexpr int kStrip = kVectors * kLanes;
constexpr int64_t kKeyBlock = 96;  // a multiple of every kTileRows; scores of a block: 12 KB with 16 lanes
constexpr int kFewRows = kLanes / 2 < 4 ? 2 : kLanes / 2;
constexpr float kMinusInfinity = -__builtin_inff();
static_assert(kKeyBlock % kTileRows == 0 && kKeyBlock % kLanes == 0 && kTileRows % 2 == 0);

NNEFRUN_INLINE int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
NNEFRUN_INLINE int64_t lanes_up(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// What is taken from the scores before exp: their maximum, or 0 where there is none yet.
NNEFRUN_INLINE V shift_of(V largest) {
  return vselect(veq(largest, vset(kMinusInfinity)), vset(0.0F), largest);
}
NNEFRUN_INLINE float first_lane(V v) {
  float lanes[kLanes];
  vstore(lanes, v);
  return lanes[0];
}

// ---- tiles ----

template <int kLane, int kCols>
NNEFRUN_INLINE void fma_lane_group(V (&acc)[kCols], const V (&b)[kLaneGroup][kCols], Lanes lanes) {
  if constexpr (kLane < kLaneGroup) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) acc[v] = vfma_lane<kLane>(b[kLane][v], lanes, acc[v]);
    fma_lane_group<kLane + 1, kCols>(acc, b, lanes);
  }
}

// Scores of kRows keys from `first` on; keys beyond `last` repeat it, and their scores are not used.
template <int kRows, int kCols>
__attribute__((noinline)) void score_tile(const float* k, int64_t stride, int64_t first, int64_t last,
                                          const float* q, int64_t width, float* scores) {
  const float* key[kRows];
  V acc[kRows][kCols];
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    key[r] = k + at_most(first + r, last) * stride;
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) acc[r][v] = vset(0.0F);
  }
  int64_t p = 0;
  for (; p + kLaneGroup <= width; p += kLaneGroup) {
    V b[kLaneGroup][kCols];
    NNEFRUN_UNROLL
    for (int l = 0; l < kLaneGroup; ++l) {
      NNEFRUN_UNROLL
      for (int v = 0; v < kCols; ++v) b[l][v] = vload(q + (p + l) * kStrip + v * kLanes);
    }
    NNEFRUN_UNROLL
    for (int r = 0; r < kRows; ++r) fma_lane_group<0, kCols>(acc[r], b, lanes_load(key[r] + p));
  }
  for (; p < width; ++p) {
    NNEFRUN_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const V item = vset(key[r][p]);
      NNEFRUN_UNROLL
      for (int v = 0; v < kCols; ++v) acc[r][v] = vfma(item, vload(q + p * kStrip + v * kLanes), acc[r][v]);
    }
  }
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) vstore(scores + r * kStrip + v * kLanes, acc[r][v]);
  }
}

template <int kGroup, int kLane, int kRows, int kCols>
NNEFRUN_INLINE void value_lanes(V (&acc)[kRows][kCols], const V (&b)[kCols], Lanes lanes) {
  if constexpr (kLane < kLaneGroup) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v)
      acc[kGroup + kLane][v] = vfma_lane<kLane>(b[v], lanes, acc[kGroup + kLane][v]);
    value_lanes<kGroup, kLane + 1, kRows, kCols>(acc, b, lanes);
  }
}
template <int kRow, int kRows, int kCols>
NNEFRUN_INLINE void value_groups(V (&acc)[kRows][kCols], const V (&b)[kCols], const float* items) {
  if constexpr (kRow + kLaneGroup <= kRows) {
    value_lanes<kRow, 0, kRows, kCols>(acc, b, lanes_load(items + kRow));
    value_groups<kRow + kLaneGroup, kRows, kCols>(acc, b, items);
  } else if constexpr (kRow < kRows) {
    const V item = vset(items[kRow]);
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) acc[kRow][v] = vfma(b[v], item, acc[kRow][v]);
    value_groups<kRow + 1, kRows, kCols>(acc, b, items);
  }
}

struct ValueTile {
  const float* v;
  int64_t stride;
  const float* weights;
  int64_t keys;
  const float* correction;  // null for the first block
  float* total;
};
// kRows items of the depth: total = total * correction + the block's sum.
template <int kRows, int kCols>
__attribute__((noinline)) void value_tile(const ValueTile& t) {
  V acc[kRows][kCols];
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) acc[r][v] = vset(0.0F);
  }
  const float *items = t.v, *weights = t.weights;
  for (int64_t j = 0; j < t.keys; ++j, items += t.stride, weights += kStrip) {
    V b[kCols];
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) b[v] = vload(weights + v * kLanes);
    value_groups<0, kRows, kCols>(acc, b, items);
  }
  NNEFRUN_UNROLL
  for (int v = 0; v < kCols; ++v) {
    const V correction = t.correction != nullptr ? vload(t.correction + v * kLanes) : vset(0.0F);
    NNEFRUN_UNROLL
    for (int r = 0; r < kRows; ++r) {
      float* p = t.total + r * kStrip + v * kLanes;
      vstore(p, t.correction != nullptr ? vfma(vload(p), correction, acc[r][v]) : acc[r][v]);
    }
  }
}

using ValueTileFunction = void (*)(const ValueTile&);
template <int... kRow>
struct ValueTiles {
  static constexpr ValueTileFunction functions[][kVectors] = {
      {value_tile<kRow + 1, 1>, value_tile<kRow + 1, 2>}...};
};
template <int kCount, int... kRow>
struct MakeValueTiles : MakeValueTiles<kCount - 1, kCount - 1, kRow...> {};
template <int... kRow>
struct MakeValueTiles<0, kRow...> : ValueTiles<kRow...> {};

// ---- masks ----

// `count` items of the mask from `offset` on, `stride` apart, as what is added to the scores; other lanes 0.
NNEFRUN_INLINE V mask_items(const AttentionArgs& args, int64_t offset, int64_t stride, int64_t count) {
  if (args.shape.mask == AttentionMask::f32) {
    const float* p = static_cast<const float*>(args.mask) + offset;
    if (stride == 1) return vload_n(p, count);
    float items[kLanes] = {};
    for (int64_t i = 0; i < count; ++i) items[i] = p[i * stride];
    return vload(items);
  }
  const uint8_t* p = static_cast<const uint8_t*>(args.mask) + offset;
  float items[kLanes] = {};
  for (int64_t i = 0; i < count; ++i) items[i] = p[i * stride] != 0 ? 0.0F : kMinusInfinity;
  return vload(items);
}

// ---- many rows ----

struct Strip {
  int64_t rows = 0;                              // at most kStrip
  int cols = 1;                                  // vectors in use
  int64_t q[kStrip], out[kStrip], mask[kStrip];  // where each row begins
  bool mask_is_shared[kVectors];                 // all lanes of the vector read the same row of the mask
  float position[kStrip];                        // the last key that the row sees, with `causal`
  int64_t first_limit = 0, limit = 0;            // keys that all rows see, that any row sees
};

struct StripBuffers {
  float *q, *scores, *total;
  float largest[kStrip], sum[kStrip], correction[kStrip];
};

Strip strip_of(const AttentionShape& s, int64_t batch, int64_t group, int64_t begin) {
  Strip strip;
  const int64_t heads = s.heads / s.groups;
  strip.rows = at_most(kStrip, heads * s.rows - begin);
  strip.cols = strip.rows > kLanes ? 2 : 1;
  int64_t lowest = s.keys - 1, highest = -1;
  for (int i = 0; i < kStrip; ++i) {
    const int64_t at = begin + at_most(i, strip.rows - 1);  // lanes beyond the end repeat the last row
    const int64_t head = group * heads + at / s.rows, row = at % s.rows;
    strip.q[i] = batch * s.q_strides[0] + head * s.q_strides[1] + row * s.q_strides[2];
    strip.out[i] = batch * s.out_strides[0] + head * s.out_strides[1] + row * s.out_strides[2];
    strip.mask[i] = batch * s.mask_strides[0] + head * s.mask_strides[1] + row * s.mask_strides[2];
    const int64_t position = row + (s.keys - s.rows);
    strip.position[i] = static_cast<float>(position);
    lowest = at_most(lowest, position);
    highest = position > highest ? position : highest;
  }
  for (int v = 0; v < kVectors; ++v) {
    strip.mask_is_shared[v] = true;
    for (int i = 1; i < kLanes; ++i) {
      strip.mask_is_shared[v] =
          strip.mask_is_shared[v] && strip.mask[v * kLanes + i] == strip.mask[v * kLanes];
    }
  }
  strip.first_limit = s.causal ? (lowest < 0 ? 0 : lowest + 1) : s.keys;
  strip.limit = s.causal ? at_most(highest < 0 ? 0 : highest + 1, s.keys) : s.keys;
  return strip;
}

void load_queries(const AttentionArgs& args, const Strip& strip, float* q) {
  const V scale = vset(args.shape.scale);
  const int64_t width = args.shape.width;
  for (int v = 0; v < strip.cols; ++v) {
    for (int64_t p = 0; p < width; p += kLanes) {
      const int64_t left = at_most(kLanes, width - p);
      V square[kLanes];
      NNEFRUN_UNROLL
      for (int i = 0; i < kLanes; ++i)
        square[i] = vload_n(args.q + strip.q[v * kLanes + i] + p, left) * scale;
      vtranspose(square);
      NNEFRUN_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        if (i < left) vstore(q + (p + i) * kStrip + v * kLanes, square[i]);
      }
    }
  }
}

void store_results(const AttentionArgs& args, const Strip& strip, const StripBuffers& b) {
  const int64_t depth = args.shape.depth;
  for (int v = 0; v < strip.cols; ++v) {
    const V sum = vload(b.sum + v * kLanes), inverse = vset(1.0F) / sum;
    const M nothing = veq(sum, vset(0.0F));
    const int64_t rows = at_most(kLanes, strip.rows - v * kLanes);
    for (int64_t d = 0; d < depth; d += kLanes) {
      const int64_t left = at_most(kLanes, depth - d);
      V square[kLanes];
      NNEFRUN_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        square[i] = i < left ? vload(b.total + (d + i) * kStrip + v * kLanes) : vset(0.0F);
        square[i] = vselect(nothing, vset(0.0F), square[i] * inverse);
      }
      vtranspose(square);
      NNEFRUN_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        if (i < rows) vstore_n(args.out + strip.out[v * kLanes + i] + d, square[i], left);
      }
    }
  }
}

// Adds the mask to the scores of the keys [first, first + count), and hides what `causal` hides.
void mask_strip(const AttentionArgs& args, const Strip& strip, int64_t first, int64_t count, float* scores) {
  const AttentionShape& s = args.shape;
  const int64_t stride = s.mask_strides[3];
  for (int v = 0; v < strip.cols && s.mask != AttentionMask::none; ++v) {
    const int64_t* rows = strip.mask + v * kLanes;
    float* column = scores + v * kLanes;
    for (int64_t j = 0; j < count; j += kLanes) {
      const int64_t left = at_most(kLanes, count - j), at = (first + j) * stride;
      if (strip.mask_is_shared[v]) {
        float items[kLanes];
        vstore(items, mask_items(args, rows[0] + at, stride, left));
        for (int64_t i = 0; i < left; ++i) {
          float* p = column + (j + i) * kStrip;
          vstore(p, vload(p) + vset(items[i]));
        }
        continue;
      }
      V square[kLanes];
      for (int i = 0; i < kLanes; ++i) square[i] = mask_items(args, rows[i] + at, stride, left);
      vtranspose(square);
      NNEFRUN_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        float* p = column + (j + i) * kStrip;
        if (i < left) vstore(p, vload(p) + square[i]);
      }
    }
  }
  if (!s.causal) return;
  for (int v = 0; v < strip.cols; ++v) {
    const V position = vload(strip.position + v * kLanes);
    for (int64_t j = strip.first_limit > first ? strip.first_limit - first : 0; j < count; ++j) {
      float* p = scores + j * kStrip + v * kLanes;
      const M hidden = vlt(position, vset(static_cast<float>(first + j)));
      vstore(p, vselect(hidden, vset(kMinusInfinity), vload(p)));
    }
  }
}

// From scores to weights, in place; the running maximum, sum and correction of each row.
template <int kCols>
NNEFRUN_INLINE void weigh_strip(int64_t count, StripBuffers& b) {
  V largest[kCols], shift[kCols], sum[kCols];
  NNEFRUN_UNROLL
  for (int v = 0; v < kCols; ++v) largest[v] = vload(b.largest + v * kLanes);
  for (int64_t j = 0; j < count; ++j) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v)  // a NaN does not count here; it comes through exp
      largest[v] = vmax(vload(b.scores + j * kStrip + v * kLanes), largest[v]);
  }
  NNEFRUN_UNROLL
  for (int v = 0; v < kCols; ++v) {
    shift[v] = shift_of(largest[v]);
    vstore(b.correction + v * kLanes, vexp_weight(vload(b.largest + v * kLanes) - shift[v]));
    vstore(b.largest + v * kLanes, largest[v]);
    sum[v] = vset(0.0F);
  }
  for (int64_t j = 0; j < count; ++j) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) {
      float* p = b.scores + j * kStrip + v * kLanes;
      const V weight = vexp_weight(vload(p) - shift[v]);
      vstore(p, weight);
      sum[v] = sum[v] + weight;
    }
  }
  NNEFRUN_UNROLL
  for (int v = 0; v < kCols; ++v) {
    float* p = b.sum + v * kLanes;
    vstore(p, vfma(vload(p), vload(b.correction + v * kLanes), sum[v]));
  }
}

void run_strip(const AttentionArgs& args, int64_t batch, int64_t group, int64_t begin, float* workspace) {
  const AttentionShape& s = args.shape;
  const Strip strip = strip_of(s, batch, group, begin);
  StripBuffers b;
  b.q = workspace;
  b.scores = b.q + s.width * kStrip;
  b.total = b.scores + (kKeyBlock + kTileRows) * kStrip;
  for (int v = 0; v < kVectors; ++v) {
    vstore(b.largest + v * kLanes, vset(kMinusInfinity));
    vstore(b.sum + v * kLanes, vset(0.0F));
  }
  load_queries(args, strip, b.q);
  const float* k = args.k + batch * s.k_strides[0] + group * s.k_strides[1];
  const float* v = args.v + batch * s.v_strides[0] + group * s.v_strides[1];
  const bool two = strip.cols == 2, masked = s.mask != AttentionMask::none;
  const auto whole = two ? score_tile<kTileRows, 2> : score_tile<kTileRows, 1>;
  const auto half = two ? score_tile<kTileRows / 2, 2> : score_tile<kTileRows / 2, 1>;
  for (int64_t first = 0; first < strip.limit; first += kKeyBlock) {
    const int64_t count = at_most(kKeyBlock, strip.limit - first);
    for (int64_t j = 0; j < count; j += kTileRows) {
      const auto tile = count - j > kTileRows / 2 ? whole : half;
      tile(k, s.k_strides[2], first + j, s.keys - 1, b.q, s.width, b.scores + j * kStrip);
    }
    if (masked || strip.first_limit < first + count) mask_strip(args, strip, first, count, b.scores);
    two ? weigh_strip<2>(count, b) : weigh_strip<1>(count, b);
    ValueTile t;
    t.stride = s.v_strides[2];
    t.weights = b.scores;
    t.keys = count;
    t.correction = first == 0 ? nullptr : b.correction;
    for (int64_t d = 0; d < s.depth; d += kTileRows) {
      t.v = v + first * s.v_strides[2] + d;
      t.total = b.total + d * kStrip;
      MakeValueTiles<kTileRows>::functions[at_most(kTileRows, s.depth - d) - 1][strip.cols - 1](t);
    }
  }
  store_results(args, strip, b);
}

// ---- few rows ----

// Products of kLanes keys from `first` on with a row of queries; keys beyond `last` repeat it.
NNEFRUN_INLINE V dot_keys(const float* k, int64_t stride, int64_t first, int64_t last, const float* q,
                          int64_t width) {
  const float* key[kLanes];
  V acc[kLanes];
  NNEFRUN_UNROLL
  for (int i = 0; i < kLanes; ++i) {
    key[i] = k + at_most(first + i, last) * stride;
    acc[i] = vset(0.0F);
  }
  int64_t p = 0;
  for (; p + kLanes <= width; p += kLanes) {
    const V item = vload(q + p);
    NNEFRUN_UNROLL
    for (int i = 0; i < kLanes; ++i) acc[i] = vfma(vload(key[i] + p), item, acc[i]);
  }
  if (p < width) {
    const V item = vload_n(q + p, width - p);
    NNEFRUN_UNROLL
    for (int i = 0; i < kLanes; ++i) acc[i] = vfma(vload_n(key[i] + p, width - p), item, acc[i]);
  }
  vtranspose(acc);
  NNEFRUN_UNROLL
  for (int step = kLanes / 2; step > 0; step /= 2) {
    NNEFRUN_UNROLL
    for (int i = 0; i < step; ++i) acc[i] = acc[i] + acc[i + step];
  }
  return acc[0];
}

// total[0..] = total * correction + sum over j of weights[j] * v[j][0..], over kCount vectors, the last of
// `tail` lanes.
template <int kCount>
NNEFRUN_INLINE void weighted_values(const float* v, int64_t stride, const float* weights, int64_t keys,
                                    float correction, int64_t tail, float* total) {
  V acc[2][kCount];
  const V c = vset(correction);
  NNEFRUN_UNROLL
  for (int i = 0; i < kCount; ++i) {
    acc[0][i] = vload(total + i * kLanes) * c;
    acc[1][i] = vset(0.0F);
  }
  const auto add = [&](int64_t j, V(&to)[kCount]) NNEFRUN_LAMBDA {
    const V weight = vset(weights[j]);
    const float* row = v + j * stride;
    NNEFRUN_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const V items = i + 1 == kCount ? vload_n(row + i * kLanes, tail) : vload(row + i * kLanes);
      to[i] = vfma(items, weight, to[i]);
    }
  };
  int64_t j = 0;
  for (; j + 2 <= keys; j += 2) {
    add(j, acc[0]);
    add(j + 1, acc[1]);
  }
  if (j < keys) add(j, acc[0]);
  NNEFRUN_UNROLL
  for (int i = 0; i < kCount; ++i) vstore(total + i * kLanes, acc[0][i] + acc[1][i]);
}

void run_few(const AttentionArgs& args, int64_t batch, int64_t group, float* workspace) {
  const AttentionShape& s = args.shape;
  const int64_t heads = s.heads / s.groups, rows = heads * s.rows, padded = lanes_up(s.depth);
  float* scores = workspace;                     // [kFewRows][kKeyBlock]
  float* total = scores + kFewRows * kKeyBlock;  // [kFewRows][padded]
  float* queries = total + kFewRows * padded;    // [kFewRows][width]
  float largest[kFewRows], sum[kFewRows];
  int64_t out[kFewRows], mask[kFewRows], limit[kFewRows];
  int64_t longest = 0;
  const V scale = vset(s.scale);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t head = group * heads + r / s.rows, row = r % s.rows;
    const float* q = args.q + batch * s.q_strides[0] + head * s.q_strides[1] + row * s.q_strides[2];
    for (int64_t p = 0; p < s.width; p += kLanes) {
      const int64_t left = at_most(kLanes, s.width - p);
      vstore_n(queries + r * s.width + p, vload_n(q + p, left) * scale, left);
    }
    for (int64_t d = 0; d < padded; d += kLanes) vstore(total + r * padded + d, vset(0.0F));
    out[r] = batch * s.out_strides[0] + head * s.out_strides[1] + row * s.out_strides[2];
    mask[r] = batch * s.mask_strides[0] + head * s.mask_strides[1] + row * s.mask_strides[2];
    const int64_t seen = row + (s.keys - s.rows) + 1;
    limit[r] = !s.causal ? s.keys : seen < 0 ? 0 : at_most(seen, s.keys);
    longest = limit[r] > longest ? limit[r] : longest;
    largest[r] = kMinusInfinity;
    sum[r] = 0.0F;
  }
  const float* k = args.k + batch * s.k_strides[0] + group * s.k_strides[1];
  const float* v = args.v + batch * s.v_strides[0] + group * s.v_strides[1];
  for (int64_t first = 0; first < longest; first += kKeyBlock) {
    const int64_t count = at_most(kKeyBlock, longest - first);
    for (int64_t j = 0; j < count; j += kLanes) {
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t seen = at_most(limit[r] - first - j, kLanes);
        if (seen <= 0) continue;
        V score = dot_keys(k, s.k_strides[2], first + j, s.keys - 1, queries + r * s.width, s.width);
        if (s.mask != AttentionMask::none) {
          score =
              score + mask_items(args, mask[r] + (first + j) * s.mask_strides[3], s.mask_strides[3], seen);
        }
        float* p = scores + r * kKeyBlock + j;
        vstore(p, vset(kMinusInfinity));
        vstore_n(p, score, seen);
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t seen = at_most(limit[r] - first, count);
      if (seen <= 0) continue;
      float* row = scores + r * kKeyBlock;
      V most = vset(largest[r]);
      for (int64_t j = 0; j < seen; j += kLanes) most = vmax(vload(row + j), most);
      const float before = largest[r];
      largest[r] = vhmax(most);
      const V shift = shift_of(vset(largest[r]));
      const float correction = first_lane(vexp_weight(vset(before) - shift));
      V block = vset(0.0F);
      for (int64_t j = 0; j < seen; j += kLanes) {
        const V weight = vexp_weight(vload(row + j) - shift);
        vstore(row + j, weight);
        block = block + weight;
      }
      sum[r] = sum[r] * correction + vsum(block);
      for (int64_t d = 0; d < s.depth; d += 4 * kLanes) {
        const int64_t left = at_most(4 * kLanes, s.depth - d), vectors = (left + kLanes - 1) / kLanes;
        const int64_t tail = left - (vectors - 1) * kLanes;
        const float* values = v + first * s.v_strides[2] + d;
        float* to = total + r * padded + d;
        switch (vectors) {
          case 1: weighted_values<1>(values, s.v_strides[2], row, seen, correction, tail, to); break;
          case 2: weighted_values<2>(values, s.v_strides[2], row, seen, correction, tail, to); break;
          case 3: weighted_values<3>(values, s.v_strides[2], row, seen, correction, tail, to); break;
          default: weighted_values<4>(values, s.v_strides[2], row, seen, correction, tail, to);
        }
      }
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    const V inverse = vset(1.0F / sum[r]);
    for (int64_t d = 0; d < s.depth; d += kLanes) {
      const V items = sum[r] == 0.0F ? vset(0.0F) : vload(total + r * padded + d) * inverse;
      vstore_n(args.out + out[r] + d, items, at_most(kLanes, s.depth - d));
    }
  }
}

size_t workspace_floats(int64_t width, int64_t depth) {
  const int64_t strip = (width + kKeyBlock + kTileRows + lanes_up(depth)) * kStrip;
  const int64_t few = kFewRows * (kKeyBlock + lanes_up(depth) + width);
  return static_cast<size_t>(strip > few ? strip : few);
}

void run(const AttentionArgs& args, int64_t task_begin, int64_t task_end, float* workspace) {
  const AttentionShape& s = args.shape;
  const int64_t rows = s.heads / s.groups * s.rows;
  const bool few = rows <= kFewRows;
  const int64_t strips = few ? 1 : (rows + kStrip - 1) / kStrip;
  for (int64_t task = task_begin; task < task_end; ++task) {
    const int64_t pair = task / strips, batch = pair / s.groups, group = pair % s.groups;
    if (few) {
      run_few(args, batch, group, workspace);
    } else {
      run_strip(args, batch, group, task % strips * kStrip, workspace);
    }
  }
}

}  // namespace

extern const AttentionKernels NNEFRUN_TABLE(attention);
const AttentionKernels NNEFRUN_TABLE(attention) = {
    NNEFRUN_STRING(NNEFRUN_ISA), isa::NNEFRUN_ISA, true, kStrip, kFewRows, workspace_floats, run,
};

}  // namespace nnefrun::kernels
