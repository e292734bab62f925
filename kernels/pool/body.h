// Pooling rows, written once over the vector of kernels/vec.h.
#pragma once

#include "kernels/pool/pool.h"
#include "kernels/vec_stage.h"

namespace nnefrun::kernels {
namespace {

template <bool kMax>
NNEFRUN_INLINE void pool_row(const PoolRow& p) {
  for (int64_t c = 0; c < p.columns; c += kLanes) {
    const int64_t left = p.columns - c < kLanes ? p.columns - c : kLanes;
    V acc = vset(p.start);
    for (int64_t r = 0; r < p.row_count; ++r) {
      const float* x = p.rows[r] + c;
      for (int64_t t = 0; t < p.tap_count; ++t) {
        const V item = vload(x + p.taps[t]);
        if (kMax) {
          acc = vselect(vunord(acc, acc), item, vmax(item, acc));  // NaN loses
        } else {
          acc = acc + item;
        }
      }
    }
    vstore_n(p.y + c, acc, left);
  }
}
void max_row(const PoolRow& p) { pool_row<true>(p); }
void sum_row(const PoolRow& p) { pool_row<false>(p); }

void divide_row(float* y, const float* count, float times, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t left = n - i < kLanes ? n - i : kLanes;
    const V divisor = vload_n(count + i, left) * vset(times);
    vstore_n(y + i, vload_n(y + i, left) / divisor, left);
  }
}

}  // namespace

extern const PoolKernels NNEFRUN_TABLE(pool);
const PoolKernels NNEFRUN_TABLE(pool) = {
    NNEFRUN_STRING(NNEFRUN_ISA), isa::NNEFRUN_ISA, true, max_row, sum_row, divide_row, stage,
};

}  // namespace nnefrun::kernels
