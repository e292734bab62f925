// Session: runs a compiled model, once or many times, and owns what persists between runs.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/compiler.h"
#include "engine/graph/interpreter.h"
#include "engine/plan/step_facts.h"
#include "engine/runtime/executor.h"

namespace nnefrun {

struct SessionOptions {
  size_t memory_limit = SIZE_MAX;  // bytes of arena and scratch; more is refused with Error[memory-limit]
  // With the caller's thread; more than the machine has cores are as good as the cores. Results do not
  // depend on it. More than 1 needs the module with oneTBB, else Error[threads-unavailable]
  // (engine/thread_pool.h). Models that run by evaluation stay on the caller's thread.
  int threads = 1;
  // Runs the parts of steps instead of threads of the session's own; must outlive the session, which calls
  // it from one thread at a time.
  const Executor* executor = nullptr;
};

// What one step of a run cost; see Session::profile.
struct StepProfile {
  uint32_t node = 0;  // of model().graph
  uint32_t step = 0;
  std::string note;  // what the step says of itself
  int64_t nanoseconds = 0;
  int64_t start = 0;  // nanoseconds of the steady clock
};

class FeedbackLoops;

// A result that is the next run's input; see Session::feedback. For as long as the session lives.
class Feedback {
 public:
  // Extent of the axis along which the result is longer than the input; 0 when there is none.
  int64_t length() const;
  // Forgets what is behind the first `length` places of that axis. Nothing is copied. Throws
  // Error[feedback-length].
  void truncate(int64_t length);
  // What the next run takes. Throws Error[feedback-type].
  void assign(const Tensor& value);
  // A copy of what the next run takes.
  Tensor value() const;
  // Whether runs append to one buffer in place; otherwise each hands over a tensor of its own.
  bool is_in_place() const;

 private:
  friend class Session;
  Feedback(FeedbackLoops* loops, size_t pair) : loops_(loops), pair_(pair) {}
  FeedbackLoops* loops_;
  size_t pair_;
};

// One thread at a time; any number of Sessions may share one model.
class Session {
 public:
  explicit Session(std::shared_ptr<const CompiledModel> model, const SessionOptions& options = {});
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  const CompiledModel& model() const;
  // Inputs in the order of the graph's externals; results in the order of its header. Checks number, dtype,
  // shape and the assertions on symbols at the door and throws Error. A failure inside a run throws Error
  // naming the node; the session is then as it was, except that stateful operators which had already run keep
  // their step.
  std::vector<Tensor> run(const std::vector<Tensor>& inputs);
  // The same without copies of the results: they are views of the arena, valid until the next call. For
  // benchmarks.
  void run_in_place(const std::vector<Tensor>& inputs);
  // Checks inputs of these types and shapes and makes the memory ready for them, without running: their data
  // is not looked at. Nothing to do when the model runs by evaluation.
  void prepare(const std::vector<Tensor>& inputs);
  // From now on `input` is what the run before gave as `result`: zeros (nothing along an axis of unknown
  // extent) before the first run, or what Feedback::assign says. What callers hand in for that input is not
  // looked at. A planned cache (concat([input, new], axis) that is a result, nothing else reading the input)
  // has `capacity` places along its axis and is appended to in place; when it is full, it grows to twice as
  // much. run() then returns an empty tensor for it, so that nothing is copied; Feedback::value has it. From
  // the second binding on, memory is there for runs of the same other sizes until the cache is full: they
  // allocate nothing.
  // Throws Error[feedback-unknown | input-unknown | feedback-type | input-repeated].
  Feedback feedback(const std::string& result, const std::string& input, int64_t capacity = 0);
  // Forgets all state: the next run is the first again. Pairs of feedback() stay, empty.
  void reset();

  // Every intermediate result of the following runs, by node and result index; empty function: no more.
  void observe(std::function<void(const Node&, uint32_t, const Tensor&)> callback);
  // Runs once and returns the time of each step (of each node when the model runs by evaluation).
  std::vector<StepProfile> profile(const std::vector<Tensor>& inputs);
  // Kernel and bytes of each step of the plan for the sizes of the last run; empty when the model runs by
  // evaluation. REQUIRES: a run succeeded.
  std::vector<StepFacts> plan_facts() const;

  size_t arena_bytes() const;  // arena and scratch; 0 when the model runs by evaluation
  // Of arena_bytes: the arena alone, and the least that any arena could have (the largest set of values that
  // live at one time).
  size_t arena_buffer_bytes() const;
  size_t arena_lower_bound() const;
  size_t weight_bytes() const;  // constants that the plan holds

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nnefrun
