// Equal constants are held once per process: when an application loads several graphs over the same tensors
// (an archive with encoder.nnef and decoder.nnef, or one model twice), their weights, packed or not, share
// memory.
#pragma once

#include "base/tensor.h"

namespace nnefrun {

// A tensor identical to `constant`: one that an earlier call returned and that is still alive somewhere, or
// `constant` itself. Small tensors (below 4096 bytes) and strings come back as they are. Nothing is kept
// alive by the pool. From any thread.
Tensor pooled_constant(Tensor constant);

// `constant` as nobody else will find it: when nothing but it holds what the pool knows, the pool forgets it,
// and the tensor that comes back is exclusive (Tensor::is_exclusive) unless an archive or a user holds its
// bytes. Else `constant` itself.
Tensor taken_from_pool(Tensor constant);

}  // namespace nnefrun
