#include "engine/runtime/steps.h"

namespace nnefrun {

const StepRow* step_row(uint32_t kind) {
  static const StepRow* const kRows[kStepKindCount] = {
      nullptr,  // evaluate: the host's
      &kCopyStep,   &kUnaryStep,       &kBinaryStep,     &kMatmulStep,     &kConvStep,
      &kPoolStep,   &kReduceStep,      &kSoftmaxStep,    &kNormalizeStep,  &kGatherStep,
      &kCastStep,   &kSelectStep,      &kPadStep,        &kSizesStep,      &kBlockedConvStep,
      &kRepackStep, &kBlockedPoolStep, &kBlockedSumStep, &kBlockedGateStep};
  return kind < kStepKindCount ? kRows[kind] : nullptr;
}

}  // namespace nnefrun
