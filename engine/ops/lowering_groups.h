// Products and look-ups whose weights stay codes: which nodes take nnefrun_dequantize_groups as it is, and
// their steps. All others get its value, once, when a model is compiled (with_unpacked_groups).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/ops/lowering.h"
#include "engine/runtime/step_parameters.h"

namespace nnefrun {

// Weights [1..., n, k], or [1..., k, n] when `across`, as kernels/groups wants them.
struct GroupLayout {
  int64_t n = 0, k = 0, group = 0;
  bool across = false;
};

// How all readers of the weights take them packed; nullopt when one of them does not, or when the wire is
// something else. Decided once, when the first of them is lowered: constants that it looks at go as they are
// packed.
std::optional<GroupLayout> planned_layout(PlanBuilder& b, const Graph& graph, Outlet weights);

// x [..., k] of the value `x` times the weights, an argument of the node at hand, into `out` [..., n]; `more`
// are the operands of the epilogue. REQUIRES: `layout` is planned_layout's answer.
void groups_product(PlanBuilder& b, const Graph& graph, uint32_t x, Outlet weights, const GroupLayout& layout,
                    const std::vector<uint32_t>& more, EpilogueParameters epilogue, uint32_t out,
                    const std::string& note);
// gather and tract_core_gather of rows. False when the node has no such weights.
bool lower_groups_gather(PlanBuilder& b, const Graph& graph, uint32_t index);

// The graph with the values of those weights that some reader does not take packed. `early`: readers that may
// become products yet count as takers. `note` hears of each: its name and place, what stands against it, what
// it costs.
void unpack_groups(Graph& graph, bool early, const std::function<void(const std::string&)>& note);
// Hears of weights of products that are computed from constant codes by arithmetic that no rule recognises.
void note_unrecognised_codes(const Graph& graph, const std::function<void(const std::string&)>& note);

}  // namespace nnefrun
