// Operators that can compute in the channel-blocked layout: one row each.
#pragma once

#include <span>
#include <string_view>

#include "engine/graph/op_def.h"
#include "engine/plan/layout.h"

namespace nnefrun {

// What the decision about a node needs to know. Times are estimates in nanoseconds; only differences between
// layouts matter.
struct BlockedFit {
  bool fits = false;            // the node can be blocked at all
  bool is_convolution = false;  // there is something to gain
  bool takes_plain = false;     // its first input may be plain at no cost (a first layer)
  double gain = 0;              // time in the plain layout minus time in the blocked one
};

// Values that unknown extents are taken to have in estimates.
struct ExtentGuess {
  explicit ExtentGuess(const Graph& graph);
  double operator()(const Dim& extent) const;
  double operator()(const DimShape& shape) const;  // volume
  SymbolValues symbols;
};

struct BlockedRow {
  std::string_view op;
  BlockedFit (*fit)(const Graph&, uint32_t node, const BlockedLayouts&, const ExtentGuess&);
  bool (*lower)(PlanBuilder&, const Graph&, uint32_t node);
};

// By families: convolutions; item by item; pools and sums; moves.
std::span<const BlockedRow> blocked_conv_rows();
std::span<const BlockedRow> blocked_other_rows();
const BlockedRow* find_blocked_row(const OpDef* op);

}  // namespace nnefrun
