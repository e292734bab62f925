// Which nodes compute in the channel-blocked layout, and how they do.
#pragma once

#include "engine/plan/layout.h"

namespace nnefrun {

struct BlockedLayoutOptions {
  bool winograd = true;  // Winograd where it is faster; false: direct convolution everywhere
};

// Decides over the whole graph: nodes that can be blocked and are joined by wires form islands; an island is
// blocked when the time that its convolutions save is more than the repacks on its shores cost. Kernels are
// those of this machine.
BlockedLayouts choose_blocked_layouts(const Graph& graph, const BlockedLayoutOptions& options = {});

}  // namespace nnefrun
