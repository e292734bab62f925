// WorkShares: [0, tasks) dealt out to workers, for executors with threads.
//
// Each worker gets an equal share of neighbouring tasks, the same one for the same number of tasks: what a
// worker wrote in one step, it often reads in the next, from its own cache. It takes its share from the front
// in shrinking bites of three quarters of what is left: few, since each range may begin with work of its own.
// A worker whose share is done takes halves from the back of the others'. So a worker that comes late, or not
// at all, costs little.
//
// No locks: a share is one word, the bounds of what is left.
#pragma once

#include <atomic>
#include <cstdint>

namespace nnefrun {

class WorkShares {
 public:
  static constexpr uint32_t kMostWorkers = 256;

  // REQUIRES: 1 <= workers <= kMostWorkers; tasks >= 0; grain >= 1; no worker is taking.
  void deal(uint32_t workers, int64_t tasks, int64_t grain) {
    constexpr int64_t kMostUnits = UINT32_MAX;
    workers_ = workers;
    tasks_ = tasks;
    grain_ = grain;
    if ((tasks - 1) / kMostUnits >= grain_) grain_ = (tasks - 1) / kMostUnits + 1;
    const int64_t units = (tasks + grain_ - 1) / grain_;
    for (uint32_t w = 0; w < workers; ++w) {
      const auto begin = static_cast<uint32_t>(units * w / workers);
      const auto end = static_cast<uint32_t>(units * (w + 1) / workers);
      shares_[w].left.store(word(begin, end), std::memory_order_release);
    }
  }

  // The next range for a worker; false when nothing is left. From any thread.
  bool take(uint32_t worker, int64_t* begin, int64_t* end) {
    for (uint32_t i = 0; i < workers_; ++i) {
      if (bite((worker + i) % workers_, i == 0, begin, end)) return true;
    }
    return false;
  }

 private:
  struct alignas(64) Share {
    std::atomic<uint64_t> left{0};
  };
  static uint64_t word(uint32_t begin, uint32_t end) { return uint64_t{end} << 32 | begin; }

  bool bite(uint32_t share, bool own, int64_t* begin, int64_t* end) {
    std::atomic<uint64_t>& left = shares_[share].left;
    uint64_t seen = left.load(std::memory_order_acquire);
    for (;;) {
      auto first = static_cast<uint32_t>(seen), last = static_cast<uint32_t>(seen >> 32);
      if (first >= last) return false;
      const uint32_t left_over = last - first, count = left_over - (own ? left_over / 4 : left_over / 2);
      const uint64_t rest = own ? word(first + count, last) : word(first, last - count);
      if (!left.compare_exchange_weak(seen, rest, std::memory_order_acq_rel, std::memory_order_acquire))
        continue;
      (own ? last : first) = own ? first + count : last - count;
      *begin = first * grain_;
      *end = last * grain_ < tasks_ ? last * grain_ : tasks_;
      return true;
    }
  }

  Share shares_[kMostWorkers];
  uint32_t workers_ = 1;
  int64_t tasks_ = 0, grain_ = 1;
};

}  // namespace nnefrun
