// What the module of engine/executor_tbb.cpp offers to engine/thread_pool.cpp, which loads it when threads
// are first asked for: oneTBB costs nothing to those who run on one thread. Plain C across the border.
#pragma once

#include "engine/runtime/executor.h"

extern "C" {

// A pool of up to `threads` threads, the caller's included, and its executor. Null when there is no memory.
void* nnefrun_tbb_create(int threads, nnefrun::Executor* executor);
// REQUIRES: nobody runs on it. Null is allowed.
void nnefrun_tbb_destroy(void* pool);
}
