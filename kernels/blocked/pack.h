// Packing of filters (blocked.h) piece by piece, for callers that give the source's memory back behind the
// reading.
#pragma once

#include "kernels/blocked/blocked.h"

namespace nnefrun::kernels {

// Output channels (and multiples of them) that may be packed on their own, as if they were the whole filter:
// the packed parts one after the other are the packed whole. 0: only the whole.
int64_t blocked_conv_pack_unit(const ConvShape& shape, BlockedMethod method,
                               const BlockedKernels& kernels = choose_blocked());

}  // namespace nnefrun::kernels
