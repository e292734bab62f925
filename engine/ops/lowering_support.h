// What the lowerings of products and convolutions share.
#pragma once

#include <optional>

#include "engine/ops/lowering.h"
#include "engine/runtime/step_parameters.h"

namespace nnefrun {

// The attributes activation, alpha and beta of a fused node (none for other nodes) as an epilogue; false when
// no kernel has the activation.
bool set_activation(const NodeReader& r, EpilogueParameters& e);
// Plain f32, not quantised.
bool is_f32(const Graph& graph, Outlet outlet);
// A constant of one item that is zero: a bias that adds nothing.
bool is_zero(const Fact& fact);

// The window of a pool as a step wants it: two axes of planes, one to three spatial ones, known extents.
// False when the node is another pool. Without a builder the padding is left out (then only the answer
// counts).
bool pool_window(const Graph& graph, const Node& node, PlanBuilder* b, PoolParameters* p);

}  // namespace nnefrun
