#include "engine/executor_tbb.h"

#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <new>

#include "engine/runtime/work_shares.h"

namespace nnefrun {
namespace {

struct Pool {
  explicit Pool(int workers) : arena(workers) {}

  tbb::task_arena arena;
  WorkShares shares;

  static void run(void* self, int64_t tasks, int64_t grain, TaskBody body, void* data) {
    auto& pool = *static_cast<Pool*>(self);
    const int workers = pool.arena.max_concurrency();
    pool.shares.deal(static_cast<uint32_t>(workers), tasks, grain);
    pool.arena.execute([&] {
      // A seat for each worker. Whoever sits down takes what is left, so an empty seat is not waited for.
      tbb::parallel_for(
          0, workers, 1,
          [&](int) {
            const auto worker = static_cast<uint32_t>(tbb::this_task_arena::current_thread_index());
            int64_t begin = 0, end = 0;
            while (pool.shares.take(worker, &begin, &end)) body(data, begin, end, worker);
          },
          tbb::simple_partitioner());
    });
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
