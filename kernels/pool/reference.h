// The pooling of pool.h in plain loops and double precision: the oracle of its tests.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/pool/pool.h"

namespace nnefrun::kernels {

// One output value of one plane.
inline double pool_reference(PoolOp op, const PoolShape& s, const float* plane, const int64_t (&at)[3]) {
  const bool ignore = s.border == PoolBorder::ignore;
  double result = op == PoolOp::max ? std::numeric_limits<float>::lowest() : 0;
  int64_t count = 0;
  const int64_t taps = s.window[0] * s.window[1] * s.window[2];
  for (int64_t t = 0; t < taps; ++t) {
    const int64_t tap[3] = {t / (s.window[1] * s.window[2]), t / s.window[2] % s.window[1], t % s.window[2]};
    int64_t offset = 0;
    bool inside = true;
    for (int axis = 0; axis < 3; ++axis) {
      const int64_t x = at[axis] * s.stride[axis] + tap[axis] * s.dilation[axis] - s.pad_before[axis];
      inside = inside && x >= 0 && x < s.in[axis];
      offset = offset * s.in[axis] + x;
    }
    if (!inside && ignore) continue;
    const double item = inside ? plane[offset] : 0;
    ++count;
    if (op != PoolOp::max) {
      result += item;
    } else if (count == 1 || std::isnan(result) || item > result) {
      result = item;
    }
  }
  return op == PoolOp::avg ? result / static_cast<double>(count) : result;
}

}  // namespace nnefrun::kernels
