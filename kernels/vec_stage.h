// Copies, fills and the staging of kernels/stage.h for ISA files (include one of vec/*.h first).
#pragma once

#include "kernels/stage.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

NNEFRUN_INLINE void copy_items(const float* src, float* dst, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) vstore(dst + i, vload(src + i));
  if (i < n) vstore_n(dst + i, vload_n(src + i, n - i), n - i);
}
NNEFRUN_INLINE void fill_items(float* dst, int64_t n, float value) {
  for (int64_t i = 0; i < n; ++i) dst[i] = value;
}

// The items [low, high) of a phase that lie inside the row when its first item is input column `first`.
NNEFRUN_INLINE void stage_bounds(const StagePlane& s, int64_t first, int64_t* low, int64_t* high) {
  *low = first >= 0 ? 0 : (-first + s.stride - 1) / s.stride;
  *high = first >= s.width ? 0 : (s.width - first + s.stride - 1) / s.stride;
  if (*high > s.length) *high = s.length;
  if (*low > *high) *low = *high;
}

NNEFRUN_INLINE void stage_pairs(const StagePlane& s, const float* row, float* out) {
  int64_t low[2], high[2];
  for (int f = 0; f < 2; ++f) {
    stage_bounds(s, s.first_column + f, &low[f], &high[f]);
    fill_items(out + f * s.length, low[f], s.outside);
    fill_items(out + f * s.length + high[f], s.length - high[f], s.outside);
  }
  const int64_t begin = low[0] > low[1] ? low[0] : low[1], end = high[0] < high[1] ? high[0] : high[1];
  const float* x = row + s.first_column;
  float* odd = out + s.length;
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    V evens, odds;
    vload_even_odd(x + 2 * i, &evens, &odds);
    vstore(out + i, evens);
    vstore(odd + i, odds);
  }
  for (int64_t j = low[0]; j < begin && j < high[0]; ++j) out[j] = x[2 * j];
  for (int64_t j = low[1]; j < begin && j < high[1]; ++j) odd[j] = x[2 * j + 1];
  for (int64_t j = i; j < high[0]; ++j) out[j] = x[2 * j];
  for (int64_t j = i; j < high[1]; ++j) odd[j] = x[2 * j + 1];
}

// Rows without gaps between them, columns one after the other; [low, high) of a row lie inside. Whole
// vectors, which reach into what is written after them.
NNEFRUN_INLINE void stage_lines(const StagePlane& s, int64_t low, int64_t high) {
  const int64_t count = high - low, right = s.length - high;
  const V outside = vset(s.outside);
  float* out = s.out;
  for (int64_t r = 0; r < s.rows; ++r, out += s.length) {
    const int64_t at = s.first_row + r;
    if (at < 0 || at >= s.height) {
      for (int64_t i = 0; i + kLanes < s.length; i += kLanes) vstore(out + i, outside);
      vstore(out + s.length - kLanes, outside);
      continue;
    }
    const float* row = s.x + at * s.width + s.first_column + low;
    float* inside = out + low;
    if (low > 0) vstore(out, outside);
    for (int64_t i = 0; i + kLanes < count; i += kLanes) vstore(inside + i, vload(row + i));
    vstore(inside + count - kLanes, vload(row + count - kLanes));
    if (r + 1 < s.rows && right > 0) {
      vstore(out + high, outside);
    } else {
      fill_items(out + high, right, s.outside);
    }
  }
}

void stage(const StagePlane& s) {
  const int64_t items = s.phases * s.length;
  int64_t low = 0, high = 0;
  stage_bounds(s, s.first_column, &low, &high);
  if (s.x != nullptr && s.stride == 1 && s.row_step == 1 && high - low >= kLanes && low <= kLanes &&
      s.length - high <= kLanes)
    return stage_lines(s, low, high);
  for (int64_t r = 0; r < s.rows; r += s.row_step) {
    float* out = s.out + r * items;
    const int64_t at = s.first_row + r;
    if (s.x == nullptr || at < 0 || at >= s.height) {
      fill_items(out, items, s.outside);
      continue;
    }
    const float* row = s.x + at * s.width;
    if (s.stride == 1) {
      fill_items(out, low, s.outside);
      copy_items(row + s.first_column + low, out + low, high - low);
      fill_items(out + high, s.length - high, s.outside);
    } else if (s.stride == 2 && s.phases == 2) {
      stage_pairs(s, row, out);
    } else {
      for (int64_t f = 0; f < s.phases; ++f, out += s.length) {
        int64_t first = 0, last = 0;
        stage_bounds(s, s.first_column + f, &first, &last);
        fill_items(out, first, s.outside);
        const float* x = row + s.first_column + f;
        for (int64_t i = first; i < last; ++i) out[i] = x[i * s.stride];
        fill_items(out + last, s.length - last, s.outside);
      }
    }
  }
}

}  // namespace
}  // namespace nnefrun::kernels
