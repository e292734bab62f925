// Variables that change between runs and whose shape may hold symbols.
#pragma once

#include <string>

#include "engine/graph/graph.h"

namespace nnefrun {

// A variable of this shape, for Graph::add_copy. Where an extent of `shape` is no number, that of `initial`
// is 1: the first value is repeated there as often as the first run wants it.
Node variable_node(Tensor initial, DimShape shape, std::string label);

// The first value of a variable for the extents of a run: `initial`, repeated along its axes of extent 1.
// REQUIRES: all other extents agree.
Tensor expanded_initial(const Tensor& initial, const Shape& shape);

}  // namespace nnefrun
