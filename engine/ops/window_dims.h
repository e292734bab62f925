// The geometry of a sliding window over symbolic extents (nnef-1.0 section 11), as plans need it.
#pragma once

#include <vector>

#include "engine/graph/op_def.h"

namespace nnefrun {

struct WindowDims {
  std::vector<int64_t> stride, dilation;
  std::vector<Dim> before;  // padding in front of each axis
};

// Whether all of stride, dilation and, where there is one, size are numbers: a step has no others.
bool has_known_window(const NodeReader& r);

// From the attributes padding, stride and dilation of a node: lists that are empty (ones; automatic padding)
// or have one item for each of `in`. `size` are the extents of the window.
WindowDims window_dims(const NodeReader& r, const std::vector<Dim>& in, const std::vector<int64_t>& size);

}  // namespace nnefrun
