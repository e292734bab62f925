// What this machine can do at best, measured: the roofs that `nnefrun profile` compares steps with.
#pragma once

#include <string>

namespace nnefrun::cli {

// What is no larger is taken to lie in the core's own caches from one step to the next.
inline constexpr double kCachedBytes = 256 << 10;

struct MachinePeak {
  double gflops = 0;  // of a product whose operands stay in the caches, by the kernel that a model would use
  double gbytes = 0;  // a second, read and written, of a copy that is larger than most caches
  double cached_gbytes = 0;  // and of one of kCachedBytes
};

// One core, a few hundredths of a second. Zeros where the limit of memory is too low for it.
MachinePeak measure_peak();

// "AMD EPYC 9R14", as the system calls it; empty where it does not.
std::string cpu_name();

}  // namespace nnefrun::cli
