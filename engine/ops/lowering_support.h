// What the lowerings of products and convolutions share.
#pragma once

#include <optional>

#include "base/bytes.h"
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
// False when the node is another pool, or not one of f32 (`of_codes`: of 8-bit integers). Without a builder the padding is left out (then only the answer
// counts).
bool pool_window(const Graph& graph, const Node& node, PlanBuilder* b, PoolParameters* p, bool of_codes = false);

// An f32 constant of so many items that is about to be written whole: of a small one, the pages are there
// already; of a large one they should come with the bands that it is written in (populate).
Tensor packed_floats(int64_t items);
// Before items [begin, end) of it are written.
inline void populate(Tensor& packed, int64_t begin, int64_t end) {
  std::byte* bytes = packed.mutable_bytes();
  populate_pages(bytes + begin * int64_t{sizeof(float)}, bytes + end * int64_t{sizeof(float)});
}

}  // namespace nnefrun
