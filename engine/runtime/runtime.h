// Runtime: one plan bound to sizes and memory, and the loop that runs its steps.
//
// Binding has two halves. reserve() takes the largest sizes that are expected, places every buffer and
// allocates the arena; bind() takes actual sizes: while each buffer fits its reservation it only evaluates
// the size expressions and lets the steps choose their kernels, without allocating. Larger sizes grow the
// reservation geometrically, unless the memory is fixed.
//
// Steps run one after the other. A step that is worth it is cut into parts, which the executor may run at
// once; its result does not depend on the executor.
//
// A Runtime belongs to one thread at a time: hooks are called on the thread that calls run(). Plans and
// constants may be shared by any number of Runtimes. No exceptions, no RTTI, no parser, no files: this room
// alone is the firmware.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/tensor.h"
#include "engine/runtime/arena.h"
#include "engine/runtime/executor.h"
#include "engine/runtime/plan.h"
#include "engine/runtime/status.h"
#include "engine/runtime/steps.h"

namespace nnefrun {

struct RuntimeOptions {
  // Evaluates a node that has no tuned step; null: such plans are refused. The outputs have their shapes and
  // memory.
  Status (*evaluate)(void* host, uint32_t node, const View* const* inputs, uint32_t input_count,
                     View* const* outputs, uint32_t output_count) = nullptr;
  // Asked between steps; true stops the run.
  bool (*cancelled)(void* host) = nullptr;
  // Called before and after each step, for profiles and traces.
  void (*before_step)(void* host, uint32_t step) = nullptr;
  void (*after_step)(void* host, uint32_t step) = nullptr;
  void* host = nullptr;
  Executor executor;               // one call of run() at a time
  size_t memory_limit = SIZE_MAX;  // bytes of arena and scratch
  bool fixed_memory = false;       // refuse to grow after the first reservation
};

class Runtime {
 public:
  Runtime() = default;
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // `plan` and the bytes of `constants` must outlive the Runtime.
  Status create(const PlanView& plan, const std::byte* const* constants, const RuntimeOptions& options);
  // Places buffers for these values of the symbols and allocates. Values are in the plan's order of symbols.
  Status reserve(const int64_t* symbols);
  // Makes the plan ready for these values; cheap when they are those of the last call, or smaller than
  // reserved.
  Status bind(const int64_t* symbols);
  // Runs all steps. REQUIRES: bind() succeeded; inputs[i] holds input i, dense, aligned for its item type,
  // and stays unchanged during the call.
  Status run(const std::byte* const* inputs);

  // Replaces the hooks around steps; null: none.
  void watch(void (*before_step)(void*, uint32_t), void (*after_step)(void*, uint32_t)) {
    options_.before_step = before_step;
    options_.after_step = after_step;
  }

  // After bind: shapes. After run: data, valid until the next run or bind.
  const View& output(uint32_t index) const { return views_[plan_.outputs[index]]; }
  const View& input(uint32_t index) const { return views_[plan_.inputs[index]]; }
  // Any value of the plan, for traces; its data is only meaningful while it lives.
  const View& value(uint32_t index) const { return views_[index]; }
  const View& step_output(uint32_t step, uint32_t output) const {
    return *bound_[step].context.outputs[output];
  }
  // What a step saw when it was bound, for profiles.
  const StepContext& step_context(uint32_t step) const { return bound_[step].context; }

  // With those of the bodies of loops.
  size_t arena_bytes() const;
  size_t scratch_bytes() const;
  // The least that any arena could have for the reserved sizes.
  size_t arena_lower_bound() const;

 private:
  struct BoundStep {
    const StepRow* row = nullptr;
    StepContext context;
    int64_t tasks = 0;
    int64_t grain = 0;  // tasks that a thread takes at least; 0: the step stays on the caller's thread
  };
  // Where a worker met its first failure in a step, in order of tasks.
  struct Failure {
    int64_t task = INT64_MAX;
    Status status;
  };
  Status evaluate_sizes(const int64_t* symbols);
  Status shape_views();
  Status bind_steps();
  void cut(BoundStep& bound) const;
  Status run_steps();
  Status run_step(const BoundStep& bound);
  Status run_in_parts(const BoundStep& bound);
  void run_part(const BoundStep& bound, int64_t begin, int64_t end, uint32_t worker);
  void point_views();
  uint32_t root_of(uint32_t value) const;
  Status create_bodies();
  size_t body_bytes() const;

  PlanView plan_;
  const std::byte* const* constants_ = nullptr;
  RuntimeOptions options_;
  std::byte* block_ = nullptr;  // one block for all tables below
  int64_t* sizes_ = nullptr;
  int64_t* symbols_ = nullptr;
  View* views_ = nullptr;
  View** operands_ = nullptr;
  BoundStep* bound_ = nullptr;
  ArenaBuffer* buffers_ = nullptr;  // one for each value; size 0 for those that are not in the arena
  uint32_t* placement_scratch_ = nullptr;
  uint32_t* roots_ = nullptr;
  size_t* offsets_ = nullptr;    // where each value begins in the bytes of its root
  size_t* ends_ = nullptr;       // and where it ends
  Failure* failures_ = nullptr;  // one for each worker
  Runtime* bodies_ = nullptr;    // one for each of the plan's
  std::byte* arena_ = nullptr;
  size_t arena_capacity_ = 0;
  std::byte* scratch_ = nullptr;
  size_t scratch_capacity_ = 0;
  size_t scratch_slice_ = 0;  // bytes from the scratch of one worker to the next
  bool reserved_ = false;
  bool ready_ = false;
  bool cut_ = false;  // some step may run on several threads
};

}  // namespace nnefrun
