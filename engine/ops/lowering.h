// Lowerings: which operators have tuned steps, and how a node becomes steps of a plan. An operator that is
// not listed, or whose lowering declines a node (another element type, a case without kernel), runs by its
// eval.
#pragma once

#include <span>
#include <string_view>

#include "engine/graph/op_def.h"
#include "engine/plan/builder.h"

namespace nnefrun {

struct Lowering {
  std::string_view op;
  bool (*lower)(PlanBuilder&, const Graph&, uint32_t node);
  TypeSet types = kF32;       // for which it emits steps; all others it declines
  bool reads_halves = false;  // see OpDef
};

std::span<const Lowering> elementwise_lowerings();
std::span<const Lowering> linear_lowerings();
std::span<const Lowering> move_lowerings();
std::span<const Lowering> reduce_lowerings();
std::span<const Lowering> attention_lowerings();
std::span<const Lowering> resample_lowerings();
std::span<const Lowering> recurrent_lowerings();
std::span<const Lowering> loop_lowerings();
std::span<const Lowering> quant_lowerings();
std::span<const Lowering> group_lowerings();

// Whether the result of a transpose or of a cast from f16 is needed nowhere but in attention steps, which
// read its argument in place.
bool is_read_by_attention_only(const Graph& graph, uint32_t index);

}  // namespace nnefrun
