#include "cli/peak.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "base/bytes.h"
#include "cli/common.h"
#include "kernels/matmul/matmul.h"

namespace nnefrun::cli {
namespace {

// The shortest of at least three calls, in nanoseconds.
template <class Body>
double shortest(const Body& body) {
  constexpr int64_t kEnough = 4'000'000;
  double best = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 3 || (i < 100 && nanoseconds_since(begin) < kEnough); ++i) {
    const auto start = std::chrono::steady_clock::now();
    body();
    const auto time = static_cast<double>(std::max<int64_t>(nanoseconds_since(start), 1));
    best = i == 0 ? time : std::min(best, time);
  }
  return best;
}

double peak_gflops() {
  constexpr int64_t kRows = 192, kColumns = 192, kDepth = 256;  // whole tiles of every kernel
  const auto& kernel = kernels::choose_matmul_f32();
  const auto ones = [](size_t count) {
    auto bytes = allocate_bytes(count * sizeof(float));
    std::fill_n(reinterpret_cast<float*>(bytes.get()), count, 1.0F);
    return bytes;
  };
  const auto floats = [](const std::shared_ptr<std::byte>& bytes) {
    return reinterpret_cast<float*>(bytes.get());
  };
  const auto a = ones(kernels::packed_a_size(kRows, kDepth)),
             b = ones(kernels::packed_b_size(kDepth, kColumns));
  const auto c = ones(kRows * kColumns);
  const auto workspace =
      allocate_bytes(kernels::matmul_workspace_size(kRows, kColumns, kDepth, true, true, kernel));
  kernels::MatmulArgs args;
  args.m = kRows;
  args.n = kColumns;
  args.k = kDepth;
  args.packed_a = floats(a);
  args.packed_b = floats(b);
  args.c = floats(c);
  args.c_row_stride = kColumns;
  return 2.0 * kRows * kColumns * kDepth /
         shortest([&] { kernels::matmul_f32(args, workspace.get(), kernel); });
}

// Of a copy that reads and writes that many bytes together.
double peak_gbytes(size_t bytes) {
  const size_t half = bytes / 2;
  const auto from = allocate_bytes(half), to = allocate_bytes(half);
  std::memset(from.get(), 1, half);
  std::memset(to.get(), 2, half);
  return static_cast<double>(bytes) / shortest([&] { std::memcpy(to.get(), from.get(), half); });
}

}  // namespace

MachinePeak measure_peak() {
  try {
    return {peak_gflops(), peak_gbytes(size_t{64} << 20), peak_gbytes(static_cast<size_t>(kCachedBytes))};
  } catch (const Error&) {  // out-of-memory
    return {};
  }
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

}  // namespace nnefrun::cli
