// What the rows of resize.cpp do to a tensor, axis by axis: shared by their evaluation and their lowering.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/op_def.h"

namespace nnefrun {

struct Tap {
  int64_t index;
  double weight;
};
// The taps of each result position; an empty list leaves the value `outside` there.
using AxisTaps = std::vector<std::vector<Tap>>;
struct AxisResampling {
  size_t axis = 0;
  AxisTaps taps;
  double outside = 0;
};

// The axes that change, in order; every tap lies inside its axis. `given`: the scales or sizes, null for the
// operators with factors; `roi`: null when there is none. Throws the errors of the evaluation.
std::vector<AxisResampling> resampling_of(const NodeReader& c, const Shape& shape, const Tensor* given,
                                          const Tensor* roi);

}  // namespace nnefrun
