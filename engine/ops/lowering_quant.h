// What the lowerings of quantised operators share.
#pragma once

#include <optional>

#include "engine/ops/lowering_support.h"

namespace nnefrun {

// An 8-bit affine type as the kernels see it: u8, i8 codes plus 128.
struct CodeType {
  float scale = 1;
  int32_t zero = 0;  // as u8
  bool is_signed = false;
  uint8_t flip() const { return is_signed ? 0x80 : 0; }
};
// nullopt for other types, and for zero points and scales that the kernels do not take. A type without
// quantisation has zero point 0 and scale 1.
std::optional<CodeType> code_type_of(const Fact& fact);

// Where a node's result goes: in a layout of codes the value itself, else a temporary that store() unpacks.
class CodesResult {
 public:
  CodesResult(PlanBuilder& b, const Graph& graph, uint32_t node);
  uint32_t value() const { return value_; }
  void store();

 private:
  PlanBuilder& b_;
  const Graph& graph_;
  uint32_t node_;
  uint32_t value_;
};

// Of products and convolutions; quant_lowerings() has them with all others.
std::span<const Lowering> quant_product_lowerings();
// nnefrun_qconv or tract_core_qconv that lower_conv takes, as far as its attributes and types tell.
bool is_code_convolution(const Graph& graph, const Node& node);
// max_pool and nnefrun_qavg_pool of codes.
bool lower_code_pool(PlanBuilder& b, const Graph& graph, uint32_t index);
// tract_core_cast from or to 8-bit codes.
bool lower_code_cast(PlanBuilder& b, const Graph& graph, uint32_t index);

// Whether the node is to compute in the channels-last layout of codes. `layouts`: those of all nodes before
// it (BlockedLayouts::nodes).
bool fits_channels_last(const Graph& graph, uint32_t node, const std::vector<uint8_t>& layouts);

}  // namespace nnefrun
