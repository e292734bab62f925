// Pooling, sums over planes and gates in the blocked layout, for ISA files.
#pragma once

#include "kernels/blocked/rows.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

void blocked_pool_planes(PoolOp op, const PoolShape& s, const float* x, float* y, int64_t begin,
                         int64_t end) {
  const int64_t in_items = s.in[0] * s.in[1] * s.in[2] * kLanes, positions = s.out[0] * s.out[1] * s.out[2];
  const int64_t window = s.window[0] * s.window[1] * s.window[2];
  const bool ignore = s.border == PoolBorder::ignore, is_max = op == PoolOp::max;
  for (int64_t plane = begin; plane < end; ++plane) {
    const float* from = x + plane * in_items;
    float* to = y + plane * positions * kLanes;
    for (int64_t q = 0; q < positions; ++q) {
      const int64_t at[3] = {q / (s.out[1] * s.out[2]), q / s.out[2] % s.out[1], q % s.out[2]};
      V acc = vset(is_max ? -__builtin_inff() : 0.0F);
      int64_t count = 0;
      for (int64_t t = 0; t < window; ++t) {
        const int64_t tap[3] = {t / (s.window[1] * s.window[2]), t / s.window[2] % s.window[1],
                                t % s.window[2]};
        bool inside = true;
        int64_t offset = 0;
        for (int axis = 0; axis < 3; ++axis) {
          const int64_t i = at[axis] * s.stride[axis] + tap[axis] * s.dilation[axis] - s.pad_before[axis];
          inside = inside && i >= 0 && i < s.in[axis];
          offset = offset * s.in[axis] + i;
        }
        if (!inside && ignore) continue;
        ++count;
        const V item = inside ? vload(from + offset * kLanes) : vset(0.0F);
        acc = !is_max ? acc + item : vselect(vunord(acc, item), acc + item, vmax(item, acc));
      }
      if (op == PoolOp::avg && count > 0) acc = acc / vset(static_cast<float>(count));
      vstore(to + q * kLanes, acc);
    }
  }
}

void blocked_sum_planes(const float* x, int64_t planes, int64_t positions, float scale, float* y) {
  for (int64_t plane = 0; plane < planes; ++plane) {
    V sum = vset(0.0F), lost = vset(0.0F);  // compensated
    for (int64_t p = 0; p < positions; ++p, x += kLanes) {
      const V item = vload(x) - lost;
      const V next = sum + item;
      lost = (next - sum) - item;
      sum = next;
    }
    vstore(y + plane * kLanes, sum * vset(scale));
  }
}

void blocked_gate_planes(BlockedGate op, const float* x, const float* y, float* z, int64_t planes,
                         int64_t positions) {
  for (int64_t plane = 0; plane < planes; ++plane) {
    const V gate = vload(y + plane * kLanes);
    for (int64_t p = 0; p < positions; ++p, x += kLanes, z += kLanes) {
      const V item = vload(x);
      vstore(z, op == BlockedGate::add ? item + gate : item * gate);
    }
  }
}

}  // namespace
}  // namespace nnefrun::kernels
