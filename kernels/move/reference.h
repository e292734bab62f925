// Strided copies in the plainest loop: the oracle of their tests.
#pragma once

#include <cstring>

#include "kernels/move/move.h"

namespace nnefrun::kernels {

inline void copy_reference(const CopyShape& shape, int axis, const unsigned char* src, unsigned char* dst) {
  if (axis == shape.rank) {
    std::memcpy(dst, src, shape.item_size);
    return;
  }
  for (int64_t i = 0; i < shape.dims[axis]; ++i) {
    copy_reference(shape, axis + 1, src + i * shape.src_strides[axis], dst + i * shape.dst_strides[axis]);
  }
}

}  // namespace nnefrun::kernels
