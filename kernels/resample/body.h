// Resampling, written once over the vector of kernels/vec.h.
#pragma once

#include "kernels/resample/resample.h"

namespace nnefrun::kernels {
namespace {

// The last axis: one item at a time, through the table.
NNEFRUN_INLINE void resample_row(const ResampleAxis& a, const float* x, float* y) {
  if (a.taps == 1 && a.weight == nullptr) {
    for (int64_t at = 0; at < a.out; ++at) y[at] = x[a.index[at]];
  } else if (a.taps == 2) {
    const int32_t* index = a.index;
    const float* weight = a.weight;
    for (int64_t at = 0; at < a.out; ++at)
      y[at] = x[index[2 * at]] * weight[2 * at] + x[index[2 * at + 1]] * weight[2 * at + 1];
  } else {
    for (int64_t at = 0; at < a.out; ++at) {
      const int64_t begin = a.taps == 1 ? at : a.first[at], end = a.taps == 1 ? at + 1 : a.first[at + 1];
      float sum = begin == end ? a.outside : x[a.index[begin]] * a.weight[begin];
      for (int64_t t = begin + 1; t < end; ++t) sum = sum + x[a.index[t]] * a.weight[t];
      y[at] = sum;
    }
  }
}

// One position of an axis with contiguous items behind it: the taps [begin, end).
NNEFRUN_INLINE void resample_items(const ResampleAxis& a, int64_t begin, int64_t end, const float* x,
                                   float* y) {
  for (int64_t i = 0; i < a.inner; i += kLanes) {
    const int64_t left = a.inner - i < kLanes ? a.inner - i : kLanes;
    const bool whole = left == kLanes;
    const auto load = [&](int64_t t) NNEFRUN_LAMBDA {
      const float* p = x + a.index[t] * a.inner + i;
      return whole ? vload(p) : vload_n(p, left);
    };
    V sum = vset(a.outside);
    if (begin < end) sum = a.weight == nullptr ? load(begin) : load(begin) * vset(a.weight[begin]);
    for (int64_t t = begin + 1; t < end; ++t) sum = vfma(load(t), vset(a.weight[t]), sum);
    if (whole) {
      vstore(y + i, sum);
    } else {
      vstore_n(y + i, sum, left);
    }
  }
}

void resample(const ResampleAxis& a, const float* x, float* y) {
  for (int64_t o = 0; o < a.outer; ++o, x += a.in * a.inner, y += a.out * a.inner) {
    if (a.inner == 1) {
      resample_row(a, x, y);
      continue;
    }
    for (int64_t at = 0; at < a.out; ++at) {
      const int64_t begin = a.taps != 0 ? at * a.taps : a.first[at];
      const int64_t end = a.taps != 0 ? begin + a.taps : a.first[at + 1];
      resample_items(a, begin, end, x, y + at * a.inner);
    }
  }
}

}  // namespace

extern const ResampleKernels NNEFRUN_TABLE(resample);
const ResampleKernels NNEFRUN_TABLE(resample) = {
    NNEFRUN_STRING(NNEFRUN_ISA),
    isa::NNEFRUN_ISA,
    true,
    resample,
};

}  // namespace nnefrun::kernels
