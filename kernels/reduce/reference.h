// The reductions of reduce.h in plain loops and double precision: the oracle of their tests.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/reduce/reduce.h"

namespace nnefrun::kernels {

// Over n items `stride` apart.
inline double reduce_reference(ReduceOp op, const float* x, int64_t n, int64_t stride) {
  const bool square = op == ReduceOp::sum_of_squares || op == ReduceOp::mean_of_squares;
  const bool extreme = op == ReduceOp::max || op == ReduceOp::min;
  const double infinity = std::numeric_limits<double>::infinity();
  const double largest = std::numeric_limits<float>::max();
  if (n == 0 && op == ReduceOp::max) return -largest;
  if (n == 0 && op == ReduceOp::min) return largest;
  double result = op == ReduceOp::max ? -infinity : op == ReduceOp::min ? infinity : 0;
  for (int64_t j = 0; j < n; ++j) {
    const double item = x[j * stride];
    if (extreme) {
      if (std::isnan(item) || (op == ReduceOp::max ? item > result : item < result)) result = item;
      if (std::isnan(result)) return result;
    } else {
      result += square ? item * item : item;
    }
  }
  return op == ReduceOp::mean || op == ReduceOp::mean_of_squares ? result / static_cast<double>(n) : result;
}

inline int64_t arg_reference(bool largest, bool take_last, const float* x, int64_t n, int64_t stride) {
  int64_t at = 0;
  for (int64_t j = 1; j < n; ++j) {
    const float item = x[j * stride], best = x[at * stride];
    if (std::isnan(best)) return at;
    if (std::isnan(item) || (largest ? item > best : item < best) || (take_last && item == best)) at = j;
  }
  return at;
}

// y[j] for all j of one row or column.
inline void softmax_reference(bool log, const float* x, double* y, int64_t n, int64_t stride) {
  const double largest = reduce_reference(ReduceOp::max, x, n, stride);
  double sum = 0;
  for (int64_t j = 0; j < n; ++j) sum += std::exp(x[j * stride] - largest);
  for (int64_t j = 0; j < n; ++j) {
    const double shifted = x[j * stride] - largest;
    y[j] = log ? shifted - std::log(sum) : std::exp(shifted) / sum;
  }
}

// rms: no mean is taken away. scale and offset may be null.
inline void norm_reference(bool rms, const float* x, double* y, int64_t n, double eps, const float* scale,
                           const float* offset) {
  double mean = 0, squares = 0;
  for (int64_t j = 0; j < n && !rms; ++j) mean += x[j] / static_cast<double>(n);
  for (int64_t j = 0; j < n; ++j) squares += (x[j] - mean) * (x[j] - mean) / static_cast<double>(n);
  for (int64_t j = 0; j < n; ++j) {
    y[j] = (x[j] - mean) / std::sqrt(squares + eps) * (scale == nullptr ? 1 : scale[j]) +
           (offset == nullptr ? 0 : offset[j]);
  }
}

}  // namespace nnefrun::kernels
