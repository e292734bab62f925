// The row of rope.h in plain loops and double precision: the oracle of its tests.
#pragma once

#include <cmath>

#include "kernels/rope/rope.h"

namespace nnefrun::kernels {

// Item j of 2 * half; `magnitude` receives what the same sum is over absolute values.
inline double rope_reference(int64_t half, const float* x, const float* cos, const float* sin, int64_t j,
                             double* magnitude) {
  const double kept = static_cast<double>(x[j]) * cos[j];
  const double turned =
      j < half ? -static_cast<double>(x[j + half]) * sin[j] : static_cast<double>(x[j - half]) * sin[j];
  *magnitude = std::fabs(kept) + std::fabs(turned);
  return kept + turned;
}

}  // namespace nnefrun::kernels
