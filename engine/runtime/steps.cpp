#include "engine/runtime/steps.h"

#include <array>

namespace nnefrun {
namespace {

struct Entry {
  StepKind kind;
  const StepRow* row;
};
// All kinds but `evaluate`, which is the host's.
constexpr Entry kEntries[] = {
    {StepKind::copy, &kCopyStep},
    {StepKind::unary, &kUnaryStep},
    {StepKind::binary, &kBinaryStep},
    {StepKind::matmul, &kMatmulStep},
    {StepKind::conv, &kConvStep},
    {StepKind::pool, &kPoolStep},
    {StepKind::reduce, &kReduceStep},
    {StepKind::softmax, &kSoftmaxStep},
    {StepKind::normalize, &kNormalizeStep},
    {StepKind::gather, &kGatherStep},
    {StepKind::cast, &kCastStep},
    {StepKind::select, &kSelectStep},
    {StepKind::pad, &kPadStep},
    {StepKind::sizes, &kSizesStep},
    {StepKind::blocked_conv, &kBlockedConvStep},
    {StepKind::repack, &kRepackStep},
    {StepKind::blocked_pool, &kBlockedPoolStep},
    {StepKind::blocked_sum, &kBlockedSumStep},
    {StepKind::blocked_gate, &kBlockedGateStep},
    {StepKind::recurrent, &kRecurrentStep},
    {StepKind::loop, &kLoopStep},
    {StepKind::gather_elements, &kGatherElementsStep},
    {StepKind::gather_nd, &kGatherNdStep},
    {StepKind::deconv, &kDeconvStep},
    {StepKind::rope, &kRopeStep},
    {StepKind::quantize_q80, &kQuantizeQ80Step},
    {StepKind::matmul_q40, &kMatmulQ40Step},
    {StepKind::gather_q40, &kGatherQ40Step},
    {StepKind::matmul_groups, &kMatmulGroupsStep},
    {StepKind::gather_groups, &kGatherGroupsStep},
    {StepKind::blocked_pair, &kBlockedPairStep},
    {StepKind::matmul_half, &kMatmulHalfStep},
    {StepKind::attention, &kAttentionStep},
    {StepKind::resample, &kResampleStep},
    {StepKind::integer, &kIntegerStep},
    {StepKind::range, &kRangeStep},
    {StepKind::select_items, &kSelectItemsStep},
    {StepKind::code_conv, &kCodeConvStep},
    {StepKind::code_repack, &kCodeRepackStep},
    {StepKind::quantize, &kQuantizeStep},
    {StepKind::dequantize, &kDequantizeStep},
    {StepKind::code_map, &kCodeMapStep},
    {StepKind::code_binary, &kCodeBinaryStep},
    {StepKind::code_mean, &kCodeMeanStep},
    {StepKind::code_pool, &kCodePoolStep},
    {StepKind::code_softmax, &kCodeSoftmaxStep},
};

constexpr auto kRows = [] {
  std::array<const StepRow*, kStepKindCount> rows = {};
  for (const Entry& entry : kEntries) rows[static_cast<size_t>(entry.kind)] = entry.row;
  return rows;
}();

}  // namespace

const StepRow* step_row(uint32_t kind) { return kind < kStepKindCount ? kRows[kind] : nullptr; }

}  // namespace nnefrun
