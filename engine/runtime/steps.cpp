#include "engine/runtime/steps.h"

#include <iterator>

namespace nnefrun {

const StepRow* step_row(uint32_t kind) {
  static const StepRow* const kRows[] = {
      nullptr,  // evaluate: the host's
      &kCopyStep,       &kUnaryStep,          &kBinaryStep,     &kMatmulStep,      &kConvStep,
      &kPoolStep,       &kReduceStep,         &kSoftmaxStep,    &kNormalizeStep,   &kGatherStep,
      &kCastStep,       &kSelectStep,         &kPadStep,        &kSizesStep,       &kBlockedConvStep,
      &kRepackStep,     &kBlockedPoolStep,    &kBlockedSumStep, &kBlockedGateStep, &kRecurrentStep,
      &kLoopStep,       &kGatherElementsStep, &kGatherNdStep,   &kDeconvStep,      &kRopeStep,
      &kBlockedPairStep};
  static const StepRow* const kRowsFrom30[] = {&kAttentionStep, &kResampleStep, &kIntegerStep, &kRangeStep,
                                               &kSelectItemsStep};
  static_assert(30 + std::size(kRowsFrom30) == kStepKindCount);
  if (kind < std::size(kRows)) return kRows[kind];
  return kind >= 30 && kind < kStepKindCount ? kRowsFrom30[kind - 30] : nullptr;
}

}  // namespace nnefrun
