// The row of one ISA: the bodies, written once over the vector of kernels/vec.h, and their table.
#pragma once

#include "kernels/blocked/depthwise_body.h"
#include "kernels/blocked/direct_body.h"
#include "kernels/blocked/layout_body.h"
#include "kernels/blocked/pool_body.h"
#include "kernels/blocked/rows.h"
#include "kernels/blocked/winograd_body.h"

namespace nnefrun::kernels {

extern const BlockedKernels NNEFRUN_TABLE(blocked);
const BlockedKernels NNEFRUN_TABLE(blocked) = {
    NNEFRUN_STRING(NNEFRUN_ISA),
    isa::NNEFRUN_ISA,
    true,
    kLanes,
    kDirectPositions,
    blocked_direct,
    blocked_depthwise,
    kWinograd,
    blocked_pool_planes,
    blocked_sum_planes,
    blocked_gate_planes,
    block_image,
    unblock_image,
};

}  // namespace nnefrun::kernels
