// Executor: who runs the parts of a step. The runtime owns no threads; it is given an executor, and the
// serial one is what there is without any.
//
// Plain data and a function pointer: no allocation, no exceptions, so that firmware may bring its own.
#pragma once

#include <cstdint>

namespace nnefrun {

// Runs tasks [begin, end). `worker` is below Executor::workers, and no two calls with the same one overlap:
// it chooses scratch.
using TaskBody = void (*)(void* data, int64_t begin, int64_t end, uint32_t worker);

inline void run_tasks_serially(void*, int64_t tasks, int64_t, TaskBody body, void* data) {
  body(data, 0, tasks, 0);
}

struct Executor {
  uint32_t workers = 1;  // at least 1, the caller's thread included
  // Covers [0, tasks) by calls of `body` on disjoint ranges, in any order and on any threads, and returns
  // when all have returned; what they wrote is then visible to the caller. Ranges begin at multiples of
  // `grain` (at least 1) tasks. One call at a time.
  void (*run)(void* self, int64_t tasks, int64_t grain, TaskBody body, void* data) = &run_tasks_serially;
  void* self = nullptr;
  // Runs during(data) on the caller's thread, with the other threads ready for calls of run() from it: those
  // are cheaper then. Null: there is nothing to get ready. A call inside of `during` only runs its own.
  void (*hold)(void* self, void (*during)(void*), void* data) = nullptr;
  // What a call costs, as the user of the executor reckons with it, in nanoseconds of estimated work: a step
  // shorter than `least_step` stays on the caller's thread, and a range is no shorter than `least_range`.
  int64_t least_step = 15000, least_range = 4000;
};

}  // namespace nnefrun
