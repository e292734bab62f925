// Step kinds: the instructions of a plan. Each has a parameter block (a struct in step_parameters.h), decides
// at bind time how to run for the sizes at hand, and runs without allocating.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/tensor.h"
#include "engine/runtime/plan.h"
#include "engine/runtime/status.h"

namespace nnefrun {

// Persistent: written into plans. Append, never renumber.
enum class StepKind : uint32_t {
  evaluate = 0,  // the host evaluates node `step.node` (operators without a tuned step); refused by `compile`
  copy = 1,
  unary = 2,
  binary = 3,
  matmul = 4,
  conv = 5,
  pool = 6,
  reduce = 7,
  softmax = 8,
  normalize = 9,
  gather = 10,
  cast = 11,
  select = 12,
  pad = 13,
  sizes = 14,  // writes evaluated size expressions as i64
  blocked_conv = 15,
  repack = 16,
  blocked_pool = 17,  // PoolParameters
  blocked_sum = 18,
  blocked_gate = 19,
  recurrent = 20,
  loop = 21,
  gather_elements = 22,
  gather_nd = 23,
  deconv = 24,
  rope = 25,
  quantize_q80 = 26,  // no parameters
  matmul_q40 = 27,
  gather_q40 = 28,
  blocked_pair = 29,
  attention = 30,
  resample = 31,
  integer = 32,
  range = 33,
  select_items = 34,  // of any type but f32
  matmul_half = 35,   // f16 weights
  matmul_groups = 36,
  gather_groups = 37,
  // 38 to 49 are free
  // 8-bit codes, channels-last (kernels/int8) except where it says plain
  code_conv = 50,    // also plain matrix products
  code_repack = 51,  // plain <-> channels-last
  quantize = 52,     // plain f32 -> plain codes
  dequantize = 53,
  code_map = 54,     // any layout
  code_binary = 55,  // any layout
  code_mean = 56,
  code_pool = 57,
  code_softmax = 58,  // plain
};
inline constexpr uint32_t kStepKindCount = 59;  // one more than the largest

class Runtime;

// What a step sees. Views have their final shapes when bind runs and their data when run does.
struct StepContext {
  const PlanStep* step = nullptr;
  const uint8_t* parameters = nullptr;
  const View* const* inputs = nullptr;
  View* const* outputs = nullptr;
  const int64_t* sizes = nullptr;  // the evaluated size expressions
  void* bound = nullptr;           // bound_size bytes that bind fills and run reads
  std::byte* scratch = nullptr;    // as many bytes as bind asked for, 64-byte aligned; undefined content
  Runtime* body = nullptr;         // of a loop

  template <class P>
  const P& as() const {
    return *reinterpret_cast<const P*>(parameters);
  }
};

// How a step may be cut for the sizes of the last bind: into `tasks` independent pieces, numbered from 0.
// Ranges of them may run at once, each with a scratch of its own, and the result does not depend on how they
// were cut into ranges: so it is the same for any number of threads.
struct StepParts {
  int64_t tasks = 1;
  int64_t cost = 0;  // of all tasks on one thread, in nanoseconds, estimated from the shapes
};

struct StepRow {
  const char* name;
  uint32_t bound_size;
  // Checks the shapes, chooses a kernel, sets *scratch_bytes (0 before the call). Called again for new sizes.
  Status (*bind)(StepContext& context, size_t* scratch_bytes);
  // The whole step; null in rows that run in parts.
  Status (*run)(const StepContext& context);
  // Asked after bind; null in rows that run as a whole.
  StepParts (*parts)(const StepContext& context) = nullptr;
  // Tasks [begin, end), any range within [0, tasks), also an empty one. The first failure in order of tasks
  // is the one that is reported.
  Status (*run_part)(const StepContext& context, int64_t begin, int64_t end) = nullptr;
};

// The row of a kind; null for an unknown one and for `evaluate`.
const StepRow* step_row(uint32_t kind);

// Each is defined by the file that runs it.
extern const StepRow kCopyStep, kUnaryStep, kBinaryStep, kMatmulStep, kConvStep, kPoolStep, kReduceStep,
    kSoftmaxStep, kNormalizeStep, kGatherStep, kCastStep, kSelectStep, kPadStep, kSizesStep, kBlockedConvStep,
    kRepackStep, kBlockedPoolStep, kBlockedSumStep, kBlockedGateStep, kAttentionStep, kResampleStep,
    kIntegerStep, kRangeStep, kSelectItemsStep, kRecurrentStep, kLoopStep, kGatherElementsStep, kGatherNdStep,
    kDeconvStep, kRopeStep, kBlockedPairStep, kCodeConvStep, kCodeRepackStep, kQuantizeStep, kDequantizeStep,
    kCodeMapStep, kCodeBinaryStep, kCodeMeanStep, kCodePoolStep, kCodeSoftmaxStep, kQuantizeQ80Step,
    kMatmulQ40Step, kGatherQ40Step, kMatmulHalfStep, kMatmulGroupsStep, kGatherGroupsStep;

}  // namespace nnefrun
