// Pooling, sums over planes and gates in the blocked layout, for ISA files.
#pragma once

#include "kernels/blocked/rows.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

// NaN loses against every number, see kernels/pool/pool.h.
template <bool kMax>
NNEFRUN_INLINE V pool_fold(V acc, V item) {
  if constexpr (kMax) return vselect(veq(acc, acc), vmax(item, acc), item);
  return acc + item;
}
template <bool kMax>
NNEFRUN_INLINE V pool_start() {
  return vset(kMax ? __builtin_nanf("") : 0.0F);
}

// The taps of a window along one axis that lie inside.
struct PoolSpan {
  int64_t begin, end;
  int64_t first;  // input position of tap 0
  int64_t count() const { return end - begin; }
};
NNEFRUN_INLINE PoolSpan pool_span(const PoolShape& s, int axis, int64_t at) {
  const int64_t dilation = s.dilation[axis], first = at * s.stride[axis] - s.pad_before[axis];
  PoolSpan span;
  span.first = first;
  span.begin = first >= 0 ? 0 : (-first + dilation - 1) / dilation;
  span.end = first >= s.in[axis] ? 0 : (s.in[axis] - first + dilation - 1) / dilation;
  if (span.end > s.window[axis]) span.end = s.window[axis];
  if (span.begin > span.end) span.begin = span.end;
  return span;
}

// Part of a window: counts of taps and items from one to the next, outermost first.
struct PoolTaps {
  int64_t count[3], step[3];
};

// Sums go row by row of the window, so that their error does not grow with its whole volume.
template <bool kMax, int kPixels>
NNEFRUN_INLINE void pool_pixels(const PoolTaps& t, const float* x, int64_t pixel_step, V (&acc)[kPixels]) {
  NNEFRUN_UNROLL
  for (int p = 0; p < kPixels; ++p) acc[p] = pool_start<kMax>();
  for (int64_t i = 0; i < t.count[0]; ++i) {
    const float* row = x + i * t.step[0];
    for (int64_t j = 0; j < t.count[1]; ++j, row += t.step[1]) {
      V line[kPixels];
      NNEFRUN_UNROLL
      for (int p = 0; p < kPixels; ++p) line[p] = kMax ? acc[p] : vset(0.0F);
      const float* from = row;
      for (int64_t k = 0; k < t.count[2]; ++k, from += t.step[2]) {
        NNEFRUN_UNROLL
        for (int p = 0; p < kPixels; ++p) line[p] = pool_fold<kMax>(line[p], vload(from + p * pixel_step));
      }
      NNEFRUN_UNROLL
      for (int p = 0; p < kPixels; ++p) acc[p] = kMax ? line[p] : acc[p] + line[p];
    }
  }
}

// What is left to do with a fold: zeros outside that take part in max; the average's division.
struct PoolFinish {
  bool constant, average;
  int64_t window;  // its volume
};
template <bool kMax>
NNEFRUN_INLINE void pool_store(const PoolFinish& f, V acc, int64_t inside, float* y) {
  if (kMax && f.constant && inside < f.window) acc = pool_fold<true>(acc, vset(0.0F));
  if (kMax && !f.constant && inside == 0) acc = vset(-__FLT_MAX__);
  if (!kMax && f.average) {
    acc = acc / vset(static_cast<float>(f.constant ? f.window : inside));
  }
  vstore(y, acc);
}

// One output row: `outer` are the taps of the outer axes, x the input row of the first of them.
template <bool kMax>
NNEFRUN_INLINE void pool_line(const PoolShape& s, const PoolFinish& f, PoolTaps taps, const float* x,
                              float* y) {
  constexpr int kPixels = 4;
  const int64_t stride = s.stride[2], reach = (s.window[2] - 1) * s.dilation[2];
  // the columns whose windows lie inside
  const int64_t room = s.in[2] + s.pad_before[2] - reach - 1;
  const int64_t begin = s.pad_before[2] <= 0 ? 0 : (s.pad_before[2] + stride - 1) / stride;
  const int64_t end = room < 0 ? 0 : room / stride + 1 < s.out[2] ? room / stride + 1 : s.out[2];
  const int64_t outer = taps.count[0] * taps.count[1];
  for (int64_t w = 0; w < s.out[2];) {
    if (w >= begin && w + kPixels <= end) {
      V acc[kPixels];
      taps.count[2] = s.window[2];
      pool_pixels<kMax, kPixels>(taps, x + (w * stride - s.pad_before[2]) * kLanes, stride * kLanes, acc);
      NNEFRUN_UNROLL
      for (int p = 0; p < kPixels; ++p) {
        pool_store<kMax>(f, acc[p], outer * s.window[2], y + (w + p) * kLanes);
      }
      w += kPixels;
      continue;
    }
    V acc[1];
    const PoolSpan span = pool_span(s, 2, w);
    taps.count[2] = span.count();
    pool_pixels<kMax, 1>(taps, x + (span.first + span.begin * s.dilation[2]) * kLanes, 0, acc);
    pool_store<kMax>(f, acc[0], outer * span.count(), y + w * kLanes);
    ++w;
  }
}

template <bool kMax>
NNEFRUN_INLINE void pool_plane(const PoolShape& s, const PoolFinish& f, const float* x, float* y) {
  PoolTaps taps;
  const int64_t row = s.in[2] * kLanes;
  taps.step[0] = s.dilation[0] * s.in[1] * row;
  taps.step[1] = s.dilation[1] * row;
  taps.step[2] = s.dilation[2] * kLanes;
  for (int64_t d = 0; d < s.out[0]; ++d) {
    const PoolSpan depth = pool_span(s, 0, d);
    taps.count[0] = depth.count();
    const int64_t slice = depth.first + depth.begin * s.dilation[0];
    for (int64_t h = 0; h < s.out[1]; ++h, y += s.out[2] * kLanes) {
      const PoolSpan height = pool_span(s, 1, h);
      taps.count[1] = height.count();
      const int64_t first = height.first + height.begin * s.dilation[1];
      pool_line<kMax>(s, f, taps, x + (slice * s.in[1] + first) * row, y);
    }
  }
}

// Folds of `window` >= 5 neighbours, at four neighbouring places: what all four share is folded once.
// item(i) is the i-th of window + 3.
template <bool kMax, class Item>
NNEFRUN_INLINE void pool_four(int64_t window, Item item, V (&out)[4]) {
  V shared = item(3);
  for (int64_t i = 4; i < window; ++i) shared = pool_fold<kMax>(shared, item(i));
  const V left2 = item(2), left1 = pool_fold<kMax>(left2, item(1)), left0 = pool_fold<kMax>(left1, item(0));
  const V right1 = item(window), right2 = pool_fold<kMax>(right1, item(window + 1));
  const V right3 = pool_fold<kMax>(right2, item(window + 2));
  out[0] = pool_fold<kMax>(shared, left0);
  out[1] = pool_fold<kMax>(pool_fold<kMax>(shared, left1), right1);
  out[2] = pool_fold<kMax>(pool_fold<kMax>(shared, left2), right2);
  out[3] = pool_fold<kMax>(shared, right3);
}

constexpr int64_t kPoolWindow = 32, kPoolStrip = 32;  // the largest window and output columns at a time

bool pool_is_separable(const PoolShape& s) {
  bool separable = s.window[0] == 1 && s.stride[0] == 1 && s.pad_before[0] == 0 && s.in[0] == s.out[0];
  for (int axis = 1; axis < 3; ++axis) {
    separable = separable && s.window[axis] >= 5 && s.window[axis] <= kPoolWindow && s.stride[axis] == 1 &&
                s.dilation[axis] == 1 && s.out[axis] >= 4;
  }
  return separable;
}

// Large windows with stride 1: along the columns into four rows of a scratch, then along the rows.
template <bool kMax>
NNEFRUN_INLINE void pool_separable(const PoolShape& s, const PoolFinish& f, const float* x, float* y) {
  constexpr int64_t kWidth = kPoolStrip + kPoolWindow + 3;
  float lines[4][kWidth * kLanes], outside[kLanes];
  const V none = kMax && !f.constant ? pool_start<kMax>() : vset(0.0F);
  vstore(outside, none);
  const float* starts[kPoolWindow + 3];  // of the input rows, and whether they are there: 1 or 0
  int64_t there[kPoolWindow + 3];
  for (int64_t h = 0; h < s.out[1]; h += 4) {
    const int64_t rows = s.out[1] - h < 4 ? s.out[1] - h : 4;
    for (int64_t i = 0; i < s.window[1] + 3; ++i) {
      const int64_t row = h - s.pad_before[1] + i;
      there[i] = row >= 0 && row < s.in[1] ? 1 : 0;
      starts[i] = there[i] != 0 ? x + row * s.in[2] * kLanes : outside;
    }
    for (int64_t w = 0; w < s.out[2]; w += kPoolStrip) {
      const int64_t columns = s.out[2] - w < kPoolStrip ? s.out[2] - w : kPoolStrip;
      for (int64_t j = 0; j < columns + s.window[2] + 2; ++j) {
        const int64_t column = w + j - s.pad_before[2];
        V fold[4] = {none, none, none, none};
        if (column >= 0 && column < s.in[2]) {
          const int64_t offset = column * kLanes;
          pool_four<kMax>(
              s.window[1], [&](int64_t i) NNEFRUN_LAMBDA { return vload(starts[i] + offset * there[i]); },
              fold);
        }
        NNEFRUN_UNROLL
        for (int r = 0; r < 4; ++r) vstore(lines[r] + j * kLanes, fold[r]);
      }
      for (int64_t r = 0; r < rows; ++r) {
        const PoolSpan height = pool_span(s, 1, h + r);
        float* to = y + ((h + r) * s.out[2] + w) * kLanes;
        for (int64_t j = 0; j < columns; j += 4) {
          const float* from = lines[r] + j * kLanes;
          V fold[4];
          pool_four<kMax>(
              s.window[2], [=](int64_t i) NNEFRUN_LAMBDA { return vload(from + i * kLanes); }, fold);
          for (int64_t p = 0; p < 4 && j + p < columns; ++p) {
            // max saw the zeros of a constant border
            const int64_t inside =
                kMax && f.constant ? f.window : height.count() * pool_span(s, 2, w + j + p).count();
            pool_store<kMax>(f, fold[p], inside, to + (j + p) * kLanes);
          }
        }
      }
    }
  }
}

template <bool kMax>
NNEFRUN_INLINE void pool_planes(const PoolShape& s, const PoolFinish& f, const float* x, float* y,
                                int64_t planes) {
  const int64_t in = s.in[1] * s.in[2] * kLanes, out = s.out[1] * s.out[2] * kLanes;
  if (pool_is_separable(s)) {
    for (int64_t p = 0; p < planes * s.in[0]; ++p) pool_separable<kMax>(s, f, x + p * in, y + p * out);
  } else {
    for (int64_t p = 0; p < planes; ++p) pool_plane<kMax>(s, f, x + p * s.in[0] * in, y + p * s.out[0] * out);
  }
}

void blocked_pool_planes(PoolOp op, const PoolShape& s, const float* x, float* y, int64_t begin,
                         int64_t end) {
  PoolFinish f;
  f.constant = s.border == PoolBorder::constant;
  f.average = op == PoolOp::avg;
  f.window = s.window[0] * s.window[1] * s.window[2];
  x += begin * blocked_volume(s.in) * kLanes;
  y += begin * blocked_volume(s.out) * kLanes;
  if (op == PoolOp::max) {
    pool_planes<true>(s, f, x, y, end - begin);
  } else {
    pool_planes<false>(s, f, x, y, end - begin);
  }
}

// Chunks of positions are summed in eight chains, and the chunks pairwise, as the carries of a counter go:
// whole[l] is the sum of 2^l chunks for each bit l of their number.
void blocked_sum_planes(const float* x, int64_t planes, int64_t positions, float scale, float* y) {
  constexpr int kChains = 8;
  constexpr int64_t kChunk = 8 * kChains;
  for (int64_t plane = 0; plane < planes; ++plane) {
    V whole[56];
    int levels = 0;
    int64_t chunks = 0;
    for (int64_t at = 0; at < positions; at += kChunk) {
      const int64_t count = positions - at < kChunk ? positions - at : kChunk;
      V acc[kChains];
      NNEFRUN_UNROLL
      for (int i = 0; i < kChains; ++i) acc[i] = vset(0.0F);
      int64_t p = 0;
      for (; p + kChains <= count; p += kChains, x += kChains * kLanes) {
        NNEFRUN_UNROLL
        for (int i = 0; i < kChains; ++i) acc[i] = acc[i] + vload(x + i * kLanes);
      }
      for (; p < count; ++p, x += kLanes) acc[0] = acc[0] + vload(x);
      V sum = ((acc[0] + acc[1]) + (acc[2] + acc[3])) + ((acc[4] + acc[5]) + (acc[6] + acc[7]));
      ++chunks;
      for (int64_t carry = chunks; carry % 2 == 0; carry /= 2) sum = whole[--levels] + sum;
      whole[levels++] = sum;
    }
    V sum = vset(0.0F);
    while (levels > 0) sum = whole[--levels] + sum;
    vstore(y + plane * kLanes, sum * vset(scale));
  }
}

template <class Function>
NNEFRUN_INLINE void gate_planes(const float* x, const float* y, float* z, int64_t planes, int64_t positions,
                                Function f) {
  for (int64_t plane = 0; plane < planes; ++plane) {
    const V gate = vload(y + plane * kLanes);
    int64_t p = 0;
    for (; p + 4 <= positions; p += 4, x += 4 * kLanes, z += 4 * kLanes) {
      NNEFRUN_UNROLL
      for (int i = 0; i < 4; ++i) vstore(z + i * kLanes, f(vload(x + i * kLanes), gate));
    }
    for (; p < positions; ++p, x += kLanes, z += kLanes) vstore(z, f(vload(x), gate));
  }
}
void blocked_gate_planes(BlockedGate op, const float* x, const float* y, float* z, int64_t planes,
                         int64_t positions) {
  if (op == BlockedGate::add) {
    gate_planes(x, y, z, planes, positions, [](V a, V b) NNEFRUN_LAMBDA { return a + b; });
  } else {
    gate_planes(x, y, z, planes, positions, [](V a, V b) NNEFRUN_LAMBDA { return a * b; });
  }
}

}  // namespace
}  // namespace nnefrun::kernels
