// Layouts: which nodes of a graph compute in the channel-blocked layout (kernels/blocked/blocked.h).
//
// A layout belongs to the plan, never to the graph: facts stay logical. engine/ops decides over the whole
// graph by cost; the builder then lowers each node in its layout and inserts repacks where a wire crosses.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/graph.h"

namespace nnefrun {

class PlanBuilder;

struct BlockedLayouts {
  int64_t block = 0;           // channels in a block; 0: every node is plain
  std::vector<uint8_t> nodes;  // one for each node: 0, plain; 1, channel-blocked f32; 2, channels-last codes
  bool winograd = true;        // whether convolutions may be computed by Winograd's methods
  // Emits the steps of such a node; false when it cannot after all (then it is lowered plain).
  bool (*lower)(PlanBuilder&, const Graph&, uint32_t node) = nullptr;

  bool has(uint32_t node) const { return node < nodes.size() && nodes[node] != 0; }
};

// 8-bit codes in a layout of their own are channels-last, whatever the block (kernels/int8/int8.h): [N, C,
// D...] -> [N, D..., C rounded up to a multiple of 4], as u8 (i8 plus 128).
constexpr int64_t kCodeChannels = 4;
inline bool is_code_type(DataType dtype) { return dtype == DataType::i8 || dtype == DataType::u8; }
inline DimShape channels_last_shape(const DimShape& shape) {
  DimShape out = shape;
  out.erase(out.begin() + 1);
  out.push_back(Dim::ceil_div(shape[1], kCodeChannels) * Dim(kCodeChannels));
  return out;
}

// The extents of a channel-blocked tensor: [N, C, D...] -> [N, ceil(C / block), D..., block].
inline DimShape blocked_shape(const DimShape& shape, int64_t block) {
  DimShape out = shape;
  out[1] = Dim::ceil_div(shape[1], block);
  out.push_back(Dim(block));
  return out;
}

}  // namespace nnefrun
