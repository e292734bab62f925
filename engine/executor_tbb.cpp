#include "engine/executor_tbb.h"

#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <new>

#include "engine/runtime/work_shares.h"

// ThreadSanitizer does not see how oneTBB, which Debian does not instrument, hands work from thread to
// thread. So under it this file is not instrumented either, and says what oneTBB guarantees: tasks begin
// after the call, and end before its return.
#ifdef NNEFRUN_THREAD_SANITIZER
extern "C" {
void __tsan_acquire(void*);
void __tsan_release(void*);
}
#endif

namespace nnefrun {
namespace {

#ifdef NNEFRUN_THREAD_SANITIZER
char handover;
void hand_over() { __tsan_release(&handover); }
void take_over() { __tsan_acquire(&handover); }
#else
void hand_over() {}
void take_over() {}
#endif

struct Pool {
  explicit Pool(int workers) : arena(workers) {}

  tbb::task_arena arena;
  WorkShares shares;

  static void run(void* self, int64_t tasks, int64_t grain, TaskBody body, void* data) {
    auto& pool = *static_cast<Pool*>(self);
    const int workers = pool.arena.max_concurrency();
    pool.shares.deal(static_cast<uint32_t>(workers), tasks, grain);
    hand_over();
    pool.arena.execute([&] {
      // A seat for each worker. Whoever sits down takes what is left, so an empty seat is not waited for.
      tbb::parallel_for(
          0, workers, 1,
          [&](int) {
            take_over();
            const auto worker = static_cast<uint32_t>(tbb::this_task_arena::current_thread_index());
            int64_t begin = 0, end = 0;
            while (pool.shares.take(worker, &begin, &end)) body(data, begin, end, worker);
            hand_over();
          },
          tbb::simple_partitioner());
    });
    take_over();
  }
};

}  // namespace
}  // namespace nnefrun

void* nnefrun_tbb_create(int threads, nnefrun::Executor* executor) {
  using namespace nnefrun;
  try {
    const int cores = std::min(tbb::info::default_concurrency(), static_cast<int>(WorkShares::kMostWorkers));
    const int workers = std::max(1, std::min(threads, cores));
    auto* pool = new Pool(workers);
    *executor = {};
    if (workers > 1) {
      executor->workers = static_cast<uint32_t>(workers);
      executor->run = &Pool::run;
      executor->self = pool;
    }
    return pool;
  } catch (...) {
    return nullptr;
  }
}

void nnefrun_tbb_destroy(void* pool) { delete static_cast<nnefrun::Pool*>(pool); }
