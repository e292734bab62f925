// Executors for tests: threads of the standard library, and one thread that cuts and orders at random.
#pragma once

#include <algorithm>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "engine/runtime/executor.h"
#include "engine/runtime/work_shares.h"

namespace nnefrun {

// Starts its threads anew for each call. Nothing is too short for it.
class StandardThreads {
 public:
  explicit StandardThreads(uint32_t workers) : workers_(workers) {}
  Executor executor() {
    Executor e;
    e.workers = workers_;
    e.self = this;
    e.least_step = e.least_range = 0;
    e.run = [](void* self, int64_t tasks, int64_t grain, TaskBody body, void* data) {
      auto& threads = *static_cast<StandardThreads*>(self);
      ++threads.calls;
      threads.shares_.deal(threads.workers_, tasks, grain);
      const auto work = [&](uint32_t worker) {
        int64_t begin = 0, end = 0;
        while (threads.shares_.take(worker, &begin, &end)) body(data, begin, end, worker);
      };
      std::vector<std::thread> others;
      for (uint32_t w = 1; w < threads.workers_; ++w) others.emplace_back(work, w);
      work(0);
      for (std::thread& other : others) other.join();
    };
    return e;
  }
  int calls = 0;

 private:
  uint32_t workers_;
  WorkShares shares_;
};

// One thread: random ranges in random order by random workers.
class RandomRanges {
 public:
  explicit RandomRanges(uint32_t seed) : random_(seed) {}
  Executor executor() {
    Executor e;
    e.workers = 3;
    e.self = this;
    e.least_step = e.least_range = 0;
    e.run = [](void* self, int64_t tasks, int64_t grain, TaskBody body, void* data) {
      auto& ranges = *static_cast<RandomRanges*>(self);
      ++ranges.calls;
      std::vector<std::pair<int64_t, int64_t>> cuts;
      const int64_t longest = 1 + static_cast<int64_t>(ranges.random_()) % tasks;
      for (int64_t begin = 0; begin < tasks;) {
        const int64_t count =
            (1 + static_cast<int64_t>(ranges.random_()) % longest + grain - 1) / grain * grain;
        cuts.emplace_back(begin, begin + count < tasks ? begin + count : tasks);
        begin = cuts.back().second;
      }
      std::shuffle(cuts.begin(), cuts.end(), ranges.random_);
      for (const auto& cut : cuts) body(data, cut.first, cut.second, ranges.random_() % 3);
    };
    return e;
  }
  int calls = 0;

 private:
  std::mt19937 random_;
};

}  // namespace nnefrun
