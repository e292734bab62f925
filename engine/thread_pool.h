// ThreadPool: an executor on the worker threads of oneTBB.
//
// The caller's thread is one of the workers. The others are oneTBB's, shared by all pools of the process and
// asleep while nobody runs; there are never more of them than cores that the process may use.
#pragma once

#include "engine/runtime/executor.h"

namespace nnefrun {

class ThreadPool {
 public:
  // `threads` with the caller's, at least 1. For more than one, loads the module with oneTBB
  // (libnnefrun_tbb.so, beside the program or library that holds this code, or where the system looks for
  // libraries); throws Error[threads-unavailable] when it is not there, or was not built.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Valid while the pool lives. Its `workers` are the threads asked for, or the cores if those are fewer.
  Executor executor() const { return executor_; }

 private:
  Executor executor_;
  void* pool_ = nullptr;
};

}  // namespace nnefrun
