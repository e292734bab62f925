// Attention, written once over the vector of kernels/vec.h. An ISA file defines NNEFRUN_ISA, kMr and
// kKeyBlock after including its vector, then includes this.
//
// A strip of kStrip query rows lies across two vectors. Both products then have the same form, that of the
// matrix product: a tile of up to kMr keys (or items of the depth) by two vectors of rows,
//   scores[key][row]  = sum over p of k[key][p] * q'[p][row]        q' is the strip transposed and scaled,
//   once total[d][row]    += sum over j of v[j][d]   * weights[j][row]
// and runs through the product's inner loops where an ISA has them (kernels/matmul/loops.h). There a block of
// keys and its values are packed in panels of kMr for a whole group of strips: rows in place lie far apart,
// where a model keeps its heads side by side, and cost more than the packing. Elsewhere, and the keys of few
// strips, are read in place. Keys and values in f16 become floats first, a block at a time; the floats serve
// as if they were in place.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/attention/tiles.h"
#include "kernels/vec_half.h"
#include "kernels/vec_math.h"

namespace nnefrun::kernels {
namespace {

constexpr int kGroup = 16;                  // strips that share packed keys, at most
constexpr int64_t kRowsWorthPacking = 128;  // more of them than this
constexpr int kFewRows = kLanes / 2 < 4 ? 2 : kLanes / 2;
constexpr float kMinusInfinity = -__builtin_inff();
constexpr int64_t kFewKeys = 96;  // a block of keys for few rows
static_assert(kKeyBlock % kMr == 0 && kFewKeys % kLanes == 0);

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

// ---- keys and values ----

// Those of one batch and group. Floats of f16 lie in `room`, one block at a time.
struct Source {
  const AttentionArgs& args;
  int64_t batch, group;
  float* room;
};
struct Rows {
  const float *k, *v;  // of the first key
  int64_t k_stride, v_stride;
};

int64_t room_for_floats(const AttentionShape& s) {
  constexpr int64_t kMost = kKeyBlock > kFewKeys ? kKeyBlock : kFewKeys;
  return s.half_keys ? lanes_up(kMost * s.width) + lanes_up(kMost * s.depth) : 0;
}

// The keys [first, first + count) and their values, as floats.
Rows rows_of(const Source& source, int64_t first, int64_t count) {
  const AttentionShape& s = source.args.shape;
  const int64_t k_stride = s.k_strides[2], v_stride = s.v_strides[2];
  const int64_t k_at = source.batch * s.k_strides[0] + source.group * s.k_strides[1] + first * k_stride,
                v_at = source.batch * s.v_strides[0] + source.group * s.v_strides[1] + first * v_stride;
  if (!s.half_keys) return {source.args.k + k_at, source.args.v + v_at, k_stride, v_stride};
  float *k = source.room, *v = k + lanes_up(count * s.width);
  for (int64_t j = 0; j < count; ++j) {
    f32_from_f16(source.args.half_k + k_at + j * k_stride, k + j * s.width, s.width);
    f32_from_f16(source.args.half_v + v_at + j * v_stride, v + j * s.depth, s.depth);
  }
  return {k, v, s.width, s.depth};
}

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
  float largest[kStrip], sum[kStrip];            // of the scores and weights so far
  float *queries, *total;                        // [width][kStrip], [depth][kStrip]
};

void enter_strip(const AttentionShape& s, int64_t batch, int64_t group, int64_t begin, Strip& strip) {
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
  for (int v = 0; v < kVectors; ++v) {
    vstore(strip.largest + v * kLanes, vset(kMinusInfinity));
    vstore(strip.sum + v * kLanes, vset(0.0F));
  }
}

void load_queries(const AttentionArgs& args, const Strip& strip) {
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
        if (i < left) vstore(strip.queries + (p + i) * kStrip + v * kLanes, square[i]);
      }
    }
  }
}

void store_results(const AttentionArgs& args, const Strip& strip) {
  const int64_t depth = args.shape.depth;
  for (int v = 0; v < strip.cols; ++v) {
    const V sum = vload(strip.sum + v * kLanes), inverse = vset(1.0F) / sum;
    const M nothing = veq(sum, vset(0.0F));
    const int64_t rows = at_most(kLanes, strip.rows - v * kLanes);
    for (int64_t d = 0; d < depth; d += kLanes) {
      const int64_t left = at_most(kLanes, depth - d);
      V square[kLanes];
      NNEFRUN_UNROLL
      for (int i = 0; i < kLanes; ++i) {
        square[i] = i < left ? vload(strip.total + (d + i) * kStrip + v * kLanes) : vset(0.0F);
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

// From scores to weights, in place; the running maximum and sum of each row, and what earlier sums are to be
// multiplied with.
template <int kCols>
void weigh_strip(int64_t count, Strip& strip, float* scores, float* correction) {
  constexpr int kChains = 4;
  V most[kChains][kCols], largest[kCols], shift[kCols], sum[kCols];
  NNEFRUN_UNROLL
  for (int i = 0; i < kChains; ++i) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) most[i][v] = vload(strip.largest + v * kLanes);
  }
  const auto see = [&most, scores](int64_t j, int chain) NNEFRUN_LAMBDA {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v)  // a NaN does not count here; it comes through exp
      most[chain][v] = vmax(vload(scores + j * kStrip + v * kLanes), most[chain][v]);
  };
  int64_t seen = 0;
  for (; seen + kChains <= count; seen += kChains) {
    NNEFRUN_UNROLL
    for (int i = 0; i < kChains; ++i) see(seen + i, i);
  }
  for (; seen < count; ++seen) see(seen, 0);
  NNEFRUN_UNROLL
  for (int v = 0; v < kCols; ++v) {
    largest[v] = vmax(vmax(most[0][v], most[1][v]), vmax(most[2][v], most[3][v]));
    shift[v] = shift_of(largest[v]);
    vstore(correction + v * kLanes, vexp_weight(vload(strip.largest + v * kLanes) - shift[v]));
    vstore(strip.largest + v * kLanes, largest[v]);
    sum[v] = vset(0.0F);
  }
  for (int64_t j = 0; j < count; ++j) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) {
      float* p = scores + j * kStrip + v * kLanes;
      const V weight = vexp_weight(vload(p) - shift[v]);
      vstore(p, weight);
      sum[v] = sum[v] + weight;
    }
  }
  NNEFRUN_UNROLL
  for (int v = 0; v < kCols; ++v) {
    float* p = strip.sum + v * kLanes;
    vstore(p, vfma(vload(p), vload(correction + v * kLanes), sum[v]));
  }
}

struct KeyBlock {
  int64_t first, count;
  Panels keys, items;  // rows of the two products
  const float *k, *v;  // panels, or in place with these strides
  int64_t k_stride, v_stride;
  bool keys_in_place;
  float* scores;
};

void attend(const AttentionArgs& args, const KeyBlock& block, Strip& strip) {
  const AttentionShape& s = args.shape;
  const int64_t count = at_most(block.count, strip.limit - block.first);
  const bool in_place = block.keys_in_place;
  const auto& scores =
      in_place ? MakeProductTiles<true, kMr>::functions : MakeProductTiles<false, kMr>::functions;
  ProductTile t{block.k, block.k_stride, strip.queries, s.width, nullptr, block.scores};
  for (int64_t i = 0; i < block.keys.count && block.keys.begin(i) < count; ++i) {
    const int64_t rows = block.keys.rows(i);
    scores[rows - 1][strip.cols - 1](t);
    t.a += in_place ? rows * block.k_stride : s.width * kMr;
    t.c += rows * kStrip;
  }
  if (s.mask != AttentionMask::none || strip.first_limit < block.first + count)
    mask_strip(args, strip, block.first, count, block.scores);
  float correction[kStrip];
  (strip.cols == 2 ? weigh_strip<2> : weigh_strip<1>)(count, strip, block.scores, correction);
  t = {block.v, block.v_stride, block.scores, count, block.first == 0 ? nullptr : correction, strip.total};
  for (int64_t i = 0; i < block.items.count; ++i) {
    const int64_t rows = block.items.rows(i);
    MakeProductTiles<false, kMr>::functions[rows - 1][strip.cols - 1](t);
    t.a += kPacks ? block.count * kMr : rows;
    t.c += rows * kStrip;
  }
}

// Strips of the same keys, from the row `begin` on.
void run_strips(const AttentionArgs& args, int64_t batch, int64_t group, int64_t begin, int64_t count,
                float* workspace) {
  const AttentionShape& s = args.shape;
  Strip strips[kGroup];
  const auto take = [&workspace](int64_t items) NNEFRUN_LAMBDA {
    float* p = workspace;
    workspace += lanes_up(items);
    return p;
  };
  KeyBlock block;
  block.items = panels_of(s.depth);
  block.scores = take(kKeyBlock * kStrip);
  float* const packed_k = take(kKeyBlock * s.width + kLanes);
  float* const packed_v = take(block.items.count * kMr * kKeyBlock + kLanes);
  const Source source{args, batch, group, take(room_for_floats(s))};
  int64_t limit = 0;
  for (int64_t i = 0; i < count; ++i) {
    Strip& strip = strips[i];
    enter_strip(s, batch, group, begin + i * kStrip, strip);
    strip.queries = take(s.width * kStrip);
    strip.total = take(s.depth * kStrip);
    load_queries(args, strip);
    limit = strip.limit > limit ? strip.limit : limit;
  }
  const int64_t blocks = (s.keys + kKeyBlock - 1) / kKeyBlock;
  const int64_t size = blocks == 0 ? 0 : (s.keys + blocks - 1) / blocks;
  for (int64_t first = 0; first < limit; first += size) {
    block.first = first;
    block.count = at_most(size, limit - first);
    block.keys = panels_of(block.count);
    const Rows rows = rows_of(source, first, block.count);
    block.k = rows.k, block.k_stride = rows.k_stride;
    block.v = rows.v, block.v_stride = rows.v_stride;
    block.keys_in_place = !kPacks || count * kStrip <= kRowsWorthPacking;
    if (kPacks) {
      pack_values(rows.v, rows.v_stride, block.count, block.items, s.depth, packed_v);
      block.v = packed_v;
    }
    if (!block.keys_in_place) {
      pack_keys(rows.k, rows.k_stride, block.keys, s.width, packed_k);
      block.k = packed_k;
    }
    for (int64_t i = 0; i < count; ++i) {
      if (strips[i].limit > first) attend(args, block, strips[i]);
    }
  }
  for (int64_t i = 0; i < count; ++i) store_results(args, strips[i]);
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
  float* scores = workspace;                    // [kFewRows][kFewKeys]
  float* total = scores + kFewRows * kFewKeys;  // [kFewRows][padded]
  float* queries = total + kFewRows * padded;   // [kFewRows][width]
  const Source source{args, batch, group, queries + lanes_up(kFewRows * s.width)};
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
  for (int64_t first = 0; first < longest; first += kFewKeys) {
    const int64_t count = at_most(kFewKeys, longest - first);
    const Rows block = rows_of(source, first, count);
    for (int64_t j = 0; j < count; j += kLanes) {
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t seen = at_most(limit[r] - first - j, kLanes);
        if (seen <= 0) continue;
        V score = dot_keys(block.k, block.k_stride, j, count - 1, queries + r * s.width, s.width);
        if (s.mask != AttentionMask::none) {
          score =
              score + mask_items(args, mask[r] + (first + j) * s.mask_strides[3], s.mask_strides[3], seen);
        }
        float* p = scores + r * kFewKeys + j;
        vstore(p, vset(kMinusInfinity));
        vstore_n(p, score, seen);
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t seen = at_most(limit[r] - first, count);
      if (seen <= 0) continue;
      float* row = scores + r * kFewKeys;
      V most = vset(largest[r]);
      for (int64_t j = 0; j < seen; j += kLanes) most = vmax(vload(row + j), most);
      const float before = largest[r];
      largest[r] = vhmax(most);
      const V shift = shift_of(vset(largest[r]));
      const float correction = first_lane(vexp_weight(vset(before) - shift));
      V weights = vset(0.0F);
      for (int64_t j = 0; j < seen; j += kLanes) {
        const V weight = vexp_weight(vload(row + j) - shift);
        vstore(row + j, weight);
        weights = weights + weight;
      }
      sum[r] = sum[r] * correction + vsum(weights);
      for (int64_t d = 0; d < s.depth; d += 4 * kLanes) {
        const int64_t left = at_most(4 * kLanes, s.depth - d), vectors = (left + kLanes - 1) / kLanes;
        const int64_t tail = left - (vectors - 1) * kLanes;
        const float* values = block.v + d;
        float* to = total + r * padded + d;
        switch (vectors) {
          case 1: weighted_values<1>(values, block.v_stride, row, seen, correction, tail, to); break;
          case 2: weighted_values<2>(values, block.v_stride, row, seen, correction, tail, to); break;
          case 3: weighted_values<3>(values, block.v_stride, row, seen, correction, tail, to); break;
          default: weighted_values<4>(values, block.v_stride, row, seen, correction, tail, to);
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

size_t workspace_floats(const AttentionShape& s) {
  const int64_t width = s.width, depth = s.depth;
  const int64_t padded = (depth + kMr - 1) / kMr * kMr;
  const int64_t block = kKeyBlock * (kStrip + width + padded) + 4 * kLanes;
  const int64_t strips = block + kGroup * (width + depth) * kStrip;
  const int64_t few = kFewRows * (kFewKeys + lanes_up(depth)) + lanes_up(kFewRows * width);
  return static_cast<size_t>((strips > few ? strips : few) + room_for_floats(s));
}

void run(const AttentionArgs& args, int64_t task_begin, int64_t task_end, float* workspace) {
  const AttentionShape& s = args.shape;
  const int64_t rows = s.heads / s.groups * s.rows;
  const bool few = rows <= kFewRows;
  const int64_t strips = few ? 1 : (rows + kStrip - 1) / kStrip;
  const int64_t groups = (strips + kGroup - 1) / kGroup, of_group = (strips + groups - 1) / groups;
  for (int64_t task = task_begin; task < task_end;) {
    const int64_t pair = task / strips, batch = pair / s.groups, group = pair % s.groups;
    const int64_t strip = task % strips;
    if (few) {
      run_few(args, batch, group, workspace);
      ++task;
      continue;
    }
    const int64_t count = at_most(at_most(of_group - strip % of_group, strips - strip), task_end - task);
    run_strips(args, batch, group, strip * kStrip, count, workspace);
    task += count;
  }
}

}  // namespace

extern const AttentionKernels NNEFRUN_TABLE(attention);
const AttentionKernels NNEFRUN_TABLE(attention) = {
    NNEFRUN_STRING(NNEFRUN_ISA), isa::NNEFRUN_ISA, true, kStrip, kFewRows, workspace_floats, run,
};

}  // namespace nnefrun::kernels
