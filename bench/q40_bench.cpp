// Products with Q4_0 weights, exact and fast: GFLOP/s, and for few rows the bytes of weights per second
// beside what a plain loop reads from memory in the same run. The loop reads the same packed weights.
//
//   q40_bench --benchmark_filter='gemv'
#include "bench/kernel_bench.h"
#include "kernels/matmul/matmul.h"
#include "kernels/q40/q40.h"

using namespace nnefrun;
using namespace nnefrun::kernels;

namespace {

struct Weights {
  Weights(int64_t n, int64_t k, int64_t panel) : floats(packed_q40_size(n, k, panel) / sizeof(float)) {
    data = reinterpret_cast<uint8_t*>(floats.data);
    std::mt19937 engine(3);
    for (size_t i = 0; i < packed_q40_size(n, k, panel); ++i) data[i] = static_cast<uint8_t>(engine());
    for (int64_t block = 0; block < n / panel * (k / 32); ++block) {
      for (int64_t j = 0; j < panel; ++j) data[block * 18 * panel + 2 * j + 1] = 0x20;  // about 0.01
    }
  }
  Buffer floats;
  uint8_t* data;
};

// Bytes per second of a loop that only reads: several streams of whole lines. The best of some rounds.
double read_rate(const uint8_t* data, size_t size) {
  double best = 0;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    uint64_t sums[8] = {};
    const auto* words = reinterpret_cast<const uint64_t*>(data);
    for (size_t i = 0; i + 8 <= size / 8; i += 8) {
      for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
    }
    benchmark::DoNotOptimize(sums);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(size) / seconds.count());
  }
  return best;
}

void bench_product(benchmark::State& state, IsaFeatures features, bool fast, int64_t m, int64_t n,
                   int64_t k) {
  const int64_t panel = q40_panel(fast, features);
  const Weights w(n, k, panel);
  Buffer x(static_cast<size_t>(m * k)), c(static_cast<size_t>(m * n));
  x.randomize();
  Buffer activations(static_cast<size_t>(m * k / 32) * sizeof(ActivationQ80) / sizeof(float));
  Buffer workspace(q40_workspace_size(m, n, k, fast, features) / sizeof(float) + 1);
  auto* blocks = reinterpret_cast<ActivationQ80*>(activations.data);
  Q40Args g;
  g.m = m, g.n = n, g.k = k, g.x = x.data, g.x_row_stride = k, g.packed = w.data, g.c = c.data,
  g.c_row_stride = n;
  if (fast) g.activations = blocks;
  const size_t bytes = packed_q40_size(n, k, panel);
  const double rate = m < 12 ? read_rate(w.data, bytes) : 0;
  double best = 1e9;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    if (fast) quantize_q80(x.data, m * k / 32, blocks, features);
    matmul_q40(g, workspace.data, features);
    benchmark::ClobberMemory();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::min(best, seconds.count());
  }
  const double runs = static_cast<double>(state.iterations());
  state.counters["FLOP/s"] =
      benchmark::Counter(2.0 * static_cast<double>(m * n * k) * runs, benchmark::Counter::kIsRate);
  if (rate > 0) {
    state.counters["read/s"] = rate;
    state.counters["best of read"] = static_cast<double>(bytes) / best / rate;
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const auto add = [](const char* isa_suffix, IsaFeatures features, bool fast) {
    if (!supports(detected_isa(), features & ~kFeatureCortexA53)) return;
    const std::string name = std::string(fast ? "matmul_f32_q80_q40_" : "matmul_f32_f32_q40_") + isa_suffix;
    const auto product = [&](const char* what, int64_t m, int64_t n, int64_t k) {
      const std::string title =
          name + "/" + what + "/" + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
      benchmark::RegisterBenchmark(
          title.c_str(), [=](benchmark::State& state) { bench_product(state, features, fast, m, n, k); });
    };
    product("gemv", 1, 14336, 4096);
    product("gemv_cached", 1, 768, 768);
    product("thin", 4, 14336, 4096);
    product("gemm", 128, 768, 768);
    product("gemm", 128, 3072, 768);
  };
  int count = 0;
  const Q40Kernels* const* exact = q40_rows(&count);
  for (int i = 0; i < count; ++i) add(exact[i]->isa_suffix, exact[i]->requires_isa, false);
  const Q40Q80Kernels* const* fast = q40_q80_rows(&count);
  for (int i = 0; i < count; ++i) add(fast[i]->isa_suffix, fast[i]->requires_isa, true);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
