// The resampling of resample.h in plain loops and double precision: the oracle of its tests.
#pragma once

#include "kernels/resample/resample.h"

namespace nnefrun::kernels {

// y[o, at, i]
inline double resample_reference(const ResampleAxis& a, const float* x, int64_t o, int64_t at, int64_t i) {
  const int64_t begin = a.taps != 0 ? at * a.taps : a.first[at];
  const int64_t end = a.taps != 0 ? begin + a.taps : a.first[at + 1];
  if (begin == end) return a.outside;
  double sum = 0;
  for (int64_t t = begin; t < end; ++t) {
    const double item = x[(o * a.in + a.index[t]) * a.inner + i];
    sum += a.weight == nullptr ? item : item * static_cast<double>(a.weight[t]);
  }
  return sum;
}

}  // namespace nnefrun::kernels
