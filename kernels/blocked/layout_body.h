// The way into the blocked layout and out of it, for ISA files.
#pragma once

#include "kernels/blocked/rows.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

void block_image(const float* plain, float* blocked, int64_t channels, int64_t positions) {
  for (int64_t first = 0; first < channels; first += kLanes, blocked += positions * kLanes) {
    const int64_t count = channels - first < kLanes ? channels - first : kLanes;
    const float* x = plain + first * positions;
    for (int64_t p = 0; p < positions; ++p) {
      for (int64_t c = 0; c < kLanes; ++c) blocked[p * kLanes + c] = c < count ? x[c * positions + p] : 0.0F;
    }
  }
}

void unblock_image(const float* blocked, float* plain, int64_t channels, int64_t positions) {
  for (int64_t c = 0; c < channels; ++c) {
    const float* x = blocked + c / kLanes * positions * kLanes + c % kLanes;
    for (int64_t p = 0; p < positions; ++p) plain[c * positions + p] = x[p * kLanes];
  }
}

}  // namespace
}  // namespace nnefrun::kernels
