// Measuring, for bench and profile.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/session.h"

namespace nnefrun::cli {

// Durations of many runs in little memory: past a bound every second one is forgotten, so that the figures of
// the process (its peak of memory) stay those of the model. Minimum, maximum and number count all.
class Timings {
 public:
  void add(int64_t nanoseconds);
  int64_t count() const { return count_; }
  int64_t min() const { return min_; }
  int64_t max() const { return max_; }
  int64_t percentile(double percent) const;  // between the two nearest durations

 private:
  static constexpr size_t kMostKept = 1 << 15;
  std::vector<int64_t> kept_;
  int64_t count_ = 0, stride_ = 1, min_ = 0, max_ = 0;
};

// Calls `body` for so many seconds, and at least `least` times unless that takes ten times as long; once at
// least.
void repeat_for(double seconds, int64_t least, const std::function<void()>& body);

// Whether a state of the graph becomes longer with every run, such as a cache of keys: repeated runs start
// afresh.
bool grows(const Graph& graph);

// Bytes of the constants that the session's model holds, however it runs.
size_t weight_bytes(const Session& session);

}  // namespace nnefrun::cli
