// Broadcasting as NNEF does it, at bind time.
#pragma once

#include "base/tensor.h"

namespace nnefrun {

// Item strides with which `operand`, aligned at the leading axis, is read over the axes of `result`; false
// where they do not fit.
inline bool leading_strides(const View& operand, const View& result, int64_t* strides) {
  if (operand.rank > result.rank) return false;
  const int64_t item = static_cast<int64_t>(item_size(operand.dtype));
  for (int axis = 0; axis < result.rank; ++axis) {
    const int64_t extent = axis < operand.rank ? operand.dims[axis] : 1;
    if (extent != result.dims[axis] && extent != 1) return false;
    strides[axis] = extent == 1 ? 0 : operand.strides[axis] / item;
  }
  return true;
}

}  // namespace nnefrun
