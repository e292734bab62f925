#include "engine/executor_tbb.h"

#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <thread>

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

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// While held, the workers sit in serve() between calls and watch for the next one: a step is shorter than it
// takes the kernel to wake a thread. They watch for some ten microseconds, then sleep until they are called,
// and leave at the end.
class Pool {
 public:
  explicit Pool(int workers) : arena_(workers) {}

  static void run(void* self, int64_t tasks, int64_t grain, TaskBody body, void* data) {
    auto& pool = *static_cast<Pool*>(self);
    const auto workers = static_cast<uint32_t>(pool.arena_.max_concurrency());
    pool.shares_.deal(workers, tasks, grain);
    pool.body_ = body;
    pool.data_ = data;
    hand_over();
    if (pool.held_.load(std::memory_order_relaxed)) {
      pool.call_workers();
    } else {
      // A seat for each worker. Whoever sits down takes what is left, so an empty seat is not waited for.
      pool.arena_.execute([&] {
        tbb::parallel_for(
            0U, workers, 1U, [&](uint32_t) { pool.work(); }, tbb::simple_partitioner());
      });
    }
    take_over();
  }

  static void hold(void* self, void (*during)(void*), void* data) {
    auto& pool = *static_cast<Pool*>(self);
    if (pool.held_.load(std::memory_order_relaxed)) return during(data);
    pool.arena_.execute([&] {
      const Hold hold(pool);
      during(data);
    });
  }

 private:
  class Hold {
   public:
    explicit Hold(Pool& pool) : pool_(pool) {
      pool_.held_.store(true, std::memory_order_release);
      for (int w = 1; w < pool_.arena_.max_concurrency(); ++w) workers_.run([&pool] { pool.serve(); });
    }
    ~Hold() {
      pool_.held_.store(false, std::memory_order_release);
      pool_.calls_.fetch_add(2);
      pool_.calls_.notify_all();
      workers_.wait();
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    Pool& pool_;
    tbb::task_group workers_;
  };

  // Takes what is left of the call.
  void work() {
    take_over();
    const auto worker = static_cast<uint32_t>(tbb::this_task_arena::current_thread_index());
    int64_t begin = 0, end = 0;
    while (shares_.take(worker, &begin, &end)) body_(data_, begin, end, worker);
    hand_over();
  }

  void call_workers() {
    calls_.fetch_add(1);
    calls_.notify_all();
    work();
    calls_.fetch_add(1);
    // Nobody enters from here on; whoever is inside is at the last of its tasks.
    for (int turns = 0; inside_.load() != 0; ++turns) {
      if (turns < kTurns) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

  void serve() {
    uint32_t served = 0;  // the last call that this worker took part in
    int turns = 0;
    for (;;) {
      // Before the look at held_: the end of the hold counts, too, so that nobody sleeps through it.
      const uint32_t call = calls_.load();
      if (!held_.load(std::memory_order_acquire)) return;
      if (call % 2 == 1 && call != served) {
        inside_.fetch_add(1);
        if (calls_.load() == call) work();  // else it ended meanwhile
        inside_.fetch_sub(1);
        served = call;
        turns = 0;
      } else if (turns < kTurns) {
        ++turns;
        pause();
      } else {
        calls_.wait(call);
      }
    }
  }

  static constexpr int kTurns = 2000;

  tbb::task_arena arena_;
  WorkShares shares_;
  TaskBody body_ = nullptr;
  void* data_ = nullptr;
  std::atomic<bool> held_{false};
  alignas(64) std::atomic<uint32_t> calls_{0};   // odd: a call is open
  alignas(64) std::atomic<uint32_t> inside_{0};  // workers that take part in a call
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
      executor->hold = &Pool::hold;
      executor->self = pool;
    }
    return pool;
  } catch (...) {
    return nullptr;
  }
}

void nnefrun_tbb_destroy(void* pool) { delete static_cast<nnefrun::Pool*>(pool); }
