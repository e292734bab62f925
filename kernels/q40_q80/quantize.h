// The quantisation of activations, written once over the vector of kernels/vec.h. An ISA file defines before
// it includes this:
//
//   store_bytes(int8_t* to, const I* whole)   32 items, each in -127 ... 127
#pragma once

#include "kernels/q40/q40.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

// See ActivationQ80. The largest magnitude is found by its bits, so that a NaN is the largest of all.
void quantize(const float* x, int64_t blocks, ActivationQ80* out) {
  constexpr int kParts = 32 / kLanes;
  for (int64_t b = 0; b < blocks; ++b, x += 32, ++out) {
    V values[kParts];
    V largest = vset(0.0F);
    M strange = vunord(largest, largest);
    NNEFRUN_UNROLL
    for (int v = 0; v < kParts; ++v) {
      values[v] = vload(x + v * kLanes);
      strange = mor(strange, vunord(values[v], values[v]));
      largest = vmax(vabs(values[v]), largest);
    }
    const float most = vhmax(largest);
    const bool finite = !many(strange) && most <= 3.4028235e38F;
    const bool usable = finite && most >= kActivationQ80Least;
    const float d = most / 127.0F, reciprocal = usable ? 1.0F / d : 0.0F;
    out->d = usable ? d : finite ? 0.0F : __builtin_nanf("");
    I whole[kParts];
    I total = iset(0);
    NNEFRUN_UNROLL
    for (int v = 0; v < kParts; ++v) {
      // infinity times zero is no number that an integer could hold
      whole[v] = vto_int(usable ? vround(values[v] * vset(reciprocal)) : vset(0.0F));
      total = iadd(total, whole[v]);
    }
    store_bytes(out->q, whole);
    // sums of 32 codes are exact in f32
    const auto sum = static_cast<int32_t>(vsum(vfrom_int(total)));
    out->minus_8_sum = -8 * sum;
  }
}

}  // namespace
}  // namespace nnefrun::kernels
