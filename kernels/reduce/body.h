// Reductions, softmax and row normalisation, written once over the vector of kernels/vec.h.
#pragma once

#include "kernels/reduce/reduce.h"
#include "kernels/vec_math.h"

namespace nnefrun::kernels {
namespace {

constexpr float kInfinity = __builtin_inff();
constexpr int64_t kFold = 512;         // items between two folds of the lanes' sums into the total
constexpr int64_t kStridedBlock = 32;  // rows summed before they are added to the total

// A running sum whose rounding errors are carried along (Kahan), so that only the blocks added to it have
// errors.
struct Total {
  V sum = vset(0.0F), lost = vset(0.0F);
  NNEFRUN_INLINE void add(V block) {
    const V corrected = block - lost, next = sum + corrected;
    lost = (next - sum) - corrected;
    // infinities give NaN there, which must not reach the sum
    lost = vselect(vunord(lost, lost), vset(0.0F), lost);
    sum = next;
  }
};

// sum of f(x[i]) with four vectors of partial sums, folded every kFold items.
template <class Function>
NNEFRUN_INLINE float sum_of(const float* x, int64_t n, Function f) {
  Total total;
  int64_t i = 0;
  while (i + 4 * kLanes <= n) {
    V acc[4] = {vset(0.0F), vset(0.0F), vset(0.0F), vset(0.0F)};
    const int64_t stop = n - i < kFold ? n : i + kFold;
    for (; i + 4 * kLanes <= stop; i += 4 * kLanes) {
      NNEFRUN_UNROLL
      for (int v = 0; v < 4; ++v) acc[v] = acc[v] + f(vload(x + i + v * kLanes));
    }
    total.add((acc[0] + acc[1]) + (acc[2] + acc[3]));
  }
  V rest = vset(0.0F);
  for (; i + kLanes <= n; i += kLanes) rest = rest + f(vload(x + i));
  total.add(rest);
  float tail = 0.0F;
  if (i < n) {
    // f(0) need not be 0, so the lanes beyond the end are cleared after it
    float lanes[kLanes] = {};
    vstore_n(lanes, f(vload_n(x + i, n - i)), n - i);
    tail = vsum(vload(lanes));
  }
  return vsum(total.sum) + tail;
}

// The extreme of a row; NaN if there is one. kMax: the largest.
template <bool kMax>
NNEFRUN_INLINE float extreme_of(const float* x, int64_t n) {
  constexpr float kStart = kMax ? -kInfinity : kInfinity;
  V acc[2] = {vset(kStart), vset(kStart)};
  M nan = vlt(vset(0.0F), vset(0.0F));
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    NNEFRUN_UNROLL
    for (int v = 0; v < 2; ++v) {
      const V item = vload(x + i + v * kLanes);
      acc[v] = kMax ? vmax(item, acc[v]) : vmin(item, acc[v]);  // keeps acc when the item is NaN
      nan = mor(nan, vunord(item, item));
    }
  }
  V both = kMax ? vmax(acc[0], acc[1]) : vmin(acc[0], acc[1]);
  for (; i + kLanes <= n; i += kLanes) {
    const V item = vload(x + i);
    both = kMax ? vmax(item, both) : vmin(item, both);
    nan = mor(nan, vunord(item, item));
  }
  float result = kMax ? vhmax(both) : vhmin(both);
  bool found = many(nan);
  for (; i < n; ++i) {
    found = found || x[i] != x[i];
    if (kMax ? x[i] > result : x[i] < result) result = x[i];
  }
  return found ? __builtin_nanf("") : result;
}

struct Same {
  NNEFRUN_INLINE V operator()(V v) const { return v; }
};
struct Square {
  NNEFRUN_INLINE V operator()(V v) const { return v * v; }
};

// Column sums of a [n, inner] block, f applied to every item.
template <class Function>
NNEFRUN_INLINE void sum_columns(const float* x, float* y, int64_t n, int64_t inner, Function f) {
  for (int64_t c = 0; c < inner; c += kLanes) {
    const int64_t left = inner - c < kLanes ? inner - c : kLanes;
    Total total;
    for (int64_t start = 0; start < n; start += kStridedBlock) {
      const int64_t stop = n - start < kStridedBlock ? n : start + kStridedBlock;
      V block = vset(0.0F);
      if (left == kLanes) {
        for (int64_t j = start; j < stop; ++j) block = block + f(vload(x + j * inner + c));
      } else {
        for (int64_t j = start; j < stop; ++j) block = block + f(vload_n(x + j * inner + c, left));
      }
      total.add(block);
    }
    vstore_n(y + c, total.sum, left);
  }
}
template <bool kMax>
NNEFRUN_INLINE void extreme_columns(const float* x, float* y, int64_t n, int64_t inner) {
  for (int64_t c = 0; c < inner; c += kLanes) {
    const int64_t left = inner - c < kLanes ? inner - c : kLanes;
    V best = vset(kMax ? -kInfinity : kInfinity);
    for (int64_t j = 0; j < n; ++j) {
      const V item = vload_n(x + j * inner + c, left);
      const V next = kMax ? vmax(item, best) : vmin(item, best);
      best = vselect(vunord(best, item), best + item, next);  // a NaN stays
    }
    vstore_n(y + c, best, left);
  }
}

template <ReduceOp kOp>
void reduce(const float* x, float* y, int64_t outer, int64_t n, int64_t inner) {
  constexpr bool kMean = kOp == ReduceOp::mean || kOp == ReduceOp::mean_of_squares;
  const float count = static_cast<float>(n);
  if ((kOp == ReduceOp::max || kOp == ReduceOp::min) && n == 0) {
    for (int64_t i = 0; i < outer * inner; ++i) y[i] = kOp == ReduceOp::max ? -__FLT_MAX__ : __FLT_MAX__;
    return;
  }
  for (int64_t o = 0; o < outer; ++o, x += n * inner, y += inner) {
    if constexpr (kOp == ReduceOp::max || kOp == ReduceOp::min) {
      if (inner == 1) {
        *y = extreme_of<kOp == ReduceOp::max>(x, n);
      } else {
        extreme_columns<kOp == ReduceOp::max>(x, y, n, inner);
      }
    } else if constexpr (kOp == ReduceOp::sum || kOp == ReduceOp::mean) {
      if (inner == 1) {
        *y = sum_of(x, n, Same{});
      } else {
        sum_columns(x, y, n, inner, Same{});
      }
    } else {
      if (inner == 1) {
        *y = sum_of(x, n, Square{});
      } else {
        sum_columns(x, y, n, inner, Square{});
      }
    }
    if constexpr (kMean) {
      for (int64_t i = 0; i < inner; ++i) y[i] /= count;
    }
  }
}

// An extreme and where it is: what `arg` carries from item to item.
struct Extreme {
  float value;
  int64_t at;
};
// Whether `item`, which comes after `best`, takes its place.
template <bool kMax>
NNEFRUN_INLINE bool replaces(float item, float best, bool take_last) {
  const bool better = kMax ? item > best : item < best;
  return better || (item != item && best == best) || (take_last && item == best);
}
template <bool kMax>
NNEFRUN_INLINE M vreplaces(V item, V best, bool take_last) {
  const M better = kMax ? vlt(best, item) : vlt(item, best);
  const M nan = mand(vunord(item, item), mnot(vunord(best, best)));
  return mor(mor(better, nan), take_last ? veq(item, best) : better);
}
constexpr int64_t kMostPositions = INT32_MAX;  // positions lie in 32-bit lanes

// Goes on from `best` over the items [begin, n), `stride` apart.
template <bool kMax>
NNEFRUN_INLINE Extreme arg_items(const float* x, int64_t stride, int64_t begin, int64_t n, bool take_last,
                                 Extreme best) {
  for (int64_t j = begin; j < n; ++j) {
    if (replaces<kMax>(x[j * stride], best.value, take_last)) best = {x[j * stride], j};
  }
  return best;
}

// A contiguous row: each lane its own extreme, then the best of them.
template <bool kMax>
NNEFRUN_INLINE int64_t arg_row(const float* x, int64_t n, bool take_last) {
  if (n == 0) return 0;
  if (n < kLanes || n > kMostPositions) return arg_items<kMax>(x, 1, 1, n, take_last, {x[0], 0}).at;
  V best = vload(x),
    at = vfrom_bits(iset(0));  // `at` holds whole numbers: the vector in which the lane's item is
  int64_t j = kLanes;
  for (; j + kLanes <= n; j += kLanes) {
    const V item = vload(x + j);
    const M taken = vreplaces<kMax>(item, best, take_last);
    best = vselect(taken, item, best);
    at = vselect(taken, vfrom_bits(iset(static_cast<int32_t>(j))), at);
  }
  float values[kLanes], positions[kLanes];
  vstore(values, best);
  vstore(positions, at);
  Extreme result{0.0F, -1};
  for (int lane = 0; lane < kLanes; ++lane) {
    int32_t first = 0;
    __builtin_memcpy(&first, positions + lane, sizeof(first));
    const Extreme other{values[lane], first + lane};
    const bool same =
        result.value == other.value || (result.value != result.value && other.value != other.value);
    const bool later = result.at < other.at, wants_later = take_last && other.value == other.value;
    if (result.at < 0 || (same ? later == wants_later : replaces<kMax>(other.value, result.value, false)))
      result = other;
  }
  return arg_items<kMax>(x, 1, j, n, take_last, result).at;
}

// The columns of a [n, inner] block, a page of them at a time, so that memory is read in long runs.
template <bool kMax>
NNEFRUN_INLINE void arg_columns(const float* x, int64_t* y, int64_t n, int64_t inner, bool take_last) {
  constexpr int64_t kPage = 1024;
  float best[kPage];
  int32_t at[kPage];
  for (int64_t c = 0; c < inner; c += kPage) {
    const int64_t width = inner - c < kPage ? inner - c : kPage;
    for (int64_t i = 0; i < width; ++i) {
      best[i] = x[c + i];
      at[i] = 0;
    }
    for (int64_t j = 1; j < n; ++j) {
      const float* row = x + j * inner + c;
      const V position = vfrom_bits(iset(static_cast<int32_t>(j)));
      for (int64_t i = 0; i < width; i += kLanes) {
        const int64_t left = width - i < kLanes ? width - i : kLanes;
        float* positions = reinterpret_cast<float*>(at) + i;  // whole numbers, only carried along
        const V before = vload(best + i), item = left == kLanes ? vload(row + i) : vload_n(row + i, left);
        const M taken = vreplaces<kMax>(item, before, take_last);
        vstore(best + i, vselect(taken, item, before));
        vstore(positions, vselect(taken, position, vload(positions)));
      }
    }
    for (int64_t i = 0; i < width; ++i) y[c + i] = at[i];
  }
}
template <bool kMax>
NNEFRUN_INLINE void arg_extreme(const float* x, int64_t* y, int64_t outer, int64_t n, int64_t inner,
                                bool take_last) {
  for (int64_t o = 0; o < outer; ++o, x += n * inner, y += inner) {
    if (inner == 1) {
      *y = arg_row<kMax>(x, n, take_last);
    } else if (n > kMostPositions || n == 0) {
      for (int64_t c = 0; c < inner; ++c)
        y[c] = n == 0 ? 0 : arg_items<kMax>(x + c, inner, 1, n, take_last, {x[c], 0}).at;
    } else {
      arg_columns<kMax>(x, y, n, inner, take_last);
    }
  }
}
void argmax(const float* x, int64_t* y, int64_t outer, int64_t n, int64_t inner, bool take_last) {
  arg_extreme<true>(x, y, outer, n, inner, take_last);
}
void argmin(const float* x, int64_t* y, int64_t outer, int64_t n, int64_t inner, bool take_last) {
  arg_extreme<false>(x, y, outer, n, inner, take_last);
}

template <class Function>
NNEFRUN_INLINE void map_items(const float* x, float* y, int64_t n, Function f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) vstore(y + i, f(vload(x + i)));
  if (i < n) vstore_n(y + i, f(vload_n(x + i, n - i)), n - i);
}

// The largest item, NaN left out.
NNEFRUN_INLINE float largest_of(const float* x, int64_t n) {
  V acc[4];
  NNEFRUN_UNROLL
  for (int v = 0; v < 4; ++v) acc[v] = vset(-kInfinity);
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    NNEFRUN_UNROLL
    for (int v = 0; v < 4; ++v) acc[v] = vmax(vload(x + i + v * kLanes), acc[v]);
  }
  for (; i + kLanes <= n; i += kLanes) acc[0] = vmax(vload(x + i), acc[0]);
  float result = vhmax(vmax(vmax(acc[0], acc[1]), vmax(acc[2], acc[3])));
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}
// y[i] = f(x[i]); returns their sum, as sum_of does.
template <class Function>
NNEFRUN_INLINE float map_and_sum(const float* x, float* y, int64_t n, Function f) {
  Total total;
  int64_t i = 0;
  while (i + 4 * kLanes <= n) {
    V acc[4] = {vset(0.0F), vset(0.0F), vset(0.0F), vset(0.0F)};
    const int64_t stop = n - i < kFold ? n : i + kFold;
    for (; i + 4 * kLanes <= stop; i += 4 * kLanes) {
      NNEFRUN_UNROLL
      for (int v = 0; v < 4; ++v) {
        const V item = f(vload(x + i + v * kLanes));
        vstore(y + i + v * kLanes, item);
        acc[v] = acc[v] + item;
      }
    }
    total.add((acc[0] + acc[1]) + (acc[2] + acc[3]));
  }
  V rest = vset(0.0F);
  for (; i + kLanes <= n; i += kLanes) {
    const V item = f(vload(x + i));
    vstore(y + i, item);
    rest = rest + item;
  }
  total.add(rest);
  float tail = 0.0F;
  if (i < n) {
    vstore_n(y + i, f(vload_n(x + i, n - i)), n - i);
    tail = vsum(vload_n(y + i, n - i));
  }
  return vsum(total.sum) + tail;
}
template <bool kLog>
NNEFRUN_INLINE void softmax_row(const float* x, float* y, int64_t n) {
  const V largest = vset(largest_of(x, n));  // a NaN comes through exp
  const auto weight = [largest](V v) NNEFRUN_LAMBDA { return vexp_weight(v - largest); };
  if (kLog) {
    const float sum = sum_of(x, n, weight);
    float lanes[kLanes];
    vstore(lanes, vlog(vset(sum)));
    const V log_sum = vset(lanes[0]);
    map_items(x, y, n, [largest, log_sum](V v) NNEFRUN_LAMBDA { return (v - largest) - log_sum; });
  } else {
    const V factor = vset(1.0F / map_and_sum(x, y, n, weight));
    map_items(y, y, n, [factor](V v) NNEFRUN_LAMBDA { return v * factor; });
  }
}
// The columns of a [n, inner] block, kLanes at a time.
template <bool kLog>
NNEFRUN_INLINE void softmax_columns(const float* x, float* y, int64_t n, int64_t inner) {
  for (int64_t c = 0; c < inner; c += kLanes) {
    const int64_t left = inner - c < kLanes ? inner - c : kLanes;
    V largest = vset(-kInfinity);
    for (int64_t j = 0; j < n; ++j) {
      const V item = vload_n(x + j * inner + c, left);
      largest = vselect(vunord(largest, item), largest + item, vmax(item, largest));
    }
    Total sum;
    for (int64_t start = 0; start < n; start += kStridedBlock) {
      const int64_t stop = n - start < kStridedBlock ? n : start + kStridedBlock;
      V block = vset(0.0F);
      for (int64_t j = start; j < stop; ++j) {
        const V e = vexp_weight(vload_n(x + j * inner + c, left) - largest);
        if (!kLog) vstore_n(y + j * inner + c, e, left);
        block = block + e;
      }
      sum.add(block);
    }
    const V finish = kLog ? vlog(sum.sum) : vset(1.0F) / sum.sum;
    for (int64_t j = 0; j < n; ++j) {
      const V item = vload_n((kLog ? x : y) + j * inner + c, left);
      vstore_n(y + j * inner + c, kLog ? (item - largest) - finish : item * finish, left);
    }
  }
}
template <bool kLog>
void softmax_all(const float* x, float* y, int64_t outer, int64_t n, int64_t inner) {
  if (n == 0) return;
  for (int64_t o = 0; o < outer; ++o, x += n * inner, y += n * inner) {
    if (inner == 1) {
      softmax_row<kLog>(x, y, n);
    } else {
      softmax_columns<kLog>(x, y, n, inner);
    }
  }
}

// Full vectors apart from the rest: loads and stores of a part cost more even when it is the whole.
template <bool kScale, bool kOffset>
NNEFRUN_INLINE void scale_offset_row(const float* x, float* y, int64_t n, V mean, V factor,
                                     const float* scale, const float* offset) {
  const auto finish = [mean, factor](V v, V s, V o) NNEFRUN_LAMBDA {
    v = (v - mean) * factor;
    if (kScale) v = v * s;
    return kOffset ? v + o : v;
  };
  const V none = vset(0.0F);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    vstore(y + i, finish(vload(x + i), kScale ? vload(scale + i) : none, kOffset ? vload(offset + i) : none));
  }
  if (i < n) {
    const int64_t left = n - i;
    vstore_n(y + i,
             finish(vload_n(x + i, left), kScale ? vload_n(scale + i, left) : none,
                    kOffset ? vload_n(offset + i, left) : none),
             left);
  }
}
NNEFRUN_INLINE void scale_offset_row(const float* x, float* y, int64_t n, float mean, float factor,
                                     const float* scale, const float* offset) {
  const V m = vset(mean), f = vset(factor);
  if (scale != nullptr && offset != nullptr) {
    scale_offset_row<true, true>(x, y, n, m, f, scale, offset);
  } else if (scale != nullptr) {
    scale_offset_row<true, false>(x, y, n, m, f, scale, offset);
  } else if (offset != nullptr) {
    scale_offset_row<false, true>(x, y, n, m, f, scale, offset);
  } else {
    scale_offset_row<false, false>(x, y, n, m, f, scale, offset);
  }
}
void layer_norm(const float* x, float* y, int64_t rows, int64_t n, float eps, const float* scale,
                const float* offset) {
  const float count = static_cast<float>(n);
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const float mean = sum_of(x, n, Same{}) / count;
    const V m = vset(mean);
    const float squares = sum_of(x, n, [m](V v) NNEFRUN_LAMBDA { return (v - m) * (v - m); });
    scale_offset_row(x, y, n, mean, 1.0F / __builtin_sqrtf(squares / count + eps), scale, offset);
  }
}
void rms_norm(const float* x, float* y, int64_t rows, int64_t n, float eps, const float* scale) {
  const float count = static_cast<float>(n);
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const float squares = sum_of(x, n, Square{});
    scale_offset_row(x, y, n, 0.0F, 1.0F / __builtin_sqrtf(squares / count + eps), scale, nullptr);
  }
}

}  // namespace

extern const ReduceKernels NNEFRUN_TABLE(reduce);
const ReduceKernels NNEFRUN_TABLE(reduce) = {
    NNEFRUN_STRING(NNEFRUN_ISA),
    isa::NNEFRUN_ISA,
    true,
    {
#define NNEFRUN_REDUCE(op) reduce<ReduceOp::op>,
#include "kernels/reduce/kernels.inc"
    },
    softmax_all<false>,
    softmax_all<true>,
    argmax,
    argmin,
    layer_norm,
    rms_norm,
};

}  // namespace nnefrun::kernels
