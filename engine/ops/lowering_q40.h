// Lowerings of products and look-ups whose weights are packed Q4_0 blocks.
#pragma once

#include <string>

#include "engine/ops/lowering.h"
#include "engine/runtime/step_parameters.h"

namespace nnefrun {

// Whether a constant is Q4_0 weights [1..., n, k] that the kernels take as they are: blocks along k.
bool is_q40_weight(const Fact& fact);
// The constant in the layout of kernels/q40; products and look-ups share it.
uint32_t packed_q40(PlanBuilder& b, const Graph& graph, Outlet weights);
// x [..., k] in f32 (value `x` of the wire `from`) times W [n, k] into `out` [..., n]; `more` are the
// operands of the epilogue. REQUIRES: is_q40_weight.
void q40_product(PlanBuilder& b, const Graph& graph, Outlet from, uint32_t x, const DimShape& x_shape,
                 Outlet weights, const std::vector<uint32_t>& more, EpilogueParameters epilogue, uint32_t out,
                 const std::string& note);
// A wire of any float type as f32.
uint32_t as_f32(PlanBuilder& b, const Graph& graph, Outlet outlet);
// gather and tract_core_gather of rows of Q4_0 weights.
bool lower_q40_gather(PlanBuilder& b, const Graph& graph, uint32_t index, bool wrap);

}  // namespace nnefrun
