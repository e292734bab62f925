// Products with f16 weights beside those with f32 weights of the same instruction set: GFLOP/s and bytes of
// weights per second.
//
//   half_bench --benchmark_filter='gemv'
#include "base/half.h"
#include "bench/kernel_bench.h"
#include "kernels/half/half.h"
#include "kernels/matmul/matmul.h"

using namespace nnefrun;
using namespace nnefrun::kernels;

namespace {

void bench_product(benchmark::State& state, IsaFeatures features, bool half, int64_t m, int64_t n,
                   int64_t k) {
  const auto count = static_cast<size_t>(n * k);
  Buffer x(static_cast<size_t>(m * k)), c(static_cast<size_t>(m * n)), w(half ? count / 2 + 1 : count);
  x.randomize();
  const MatmulKernel& kernel = choose_matmul_f32(features);
  Buffer packed(half ? 1 : packed_b_size(k, n, kernel));
  HalfArgs g;
  MatmulArgs f;
  size_t workspace_bytes = 0;
  if (half) {
    auto* bits = reinterpret_cast<uint16_t*>(w.data);
    std::mt19937 engine(3);
    for (size_t i = 0; i < count; ++i)
      bits[i] = static_cast<uint16_t>(0x2c00 + engine() % 0x800);  // 0.06 to 0.25
    g.m = m, g.n = n, g.k = k, g.x = x.data, g.x_row_stride = k, g.w = bits, g.c = c.data, g.c_row_stride = n;
    workspace_bytes = half_workspace_size(m, n, k, features);
  } else {
    w.randomize();
    pack_b_f32(k, n, w.data, 1, k, packed.data, kernel);
    f.m = m, f.n = n, f.k = k, f.a = x.data, f.a_row_stride = k, f.packed_b = packed.data;
    f.c = c.data, f.c_row_stride = n;
    workspace_bytes = matmul_workspace_size(m, n, k, false, true, kernel);
  }
  Buffer workspace(workspace_bytes / sizeof(float) + 1);
  for (auto _ : state) {
    if (half) {
      matmul_half(g, workspace.data, features);
    } else {
      matmul_f32(f, workspace.data, kernel);
    }
    benchmark::ClobberMemory();
  }
  const double runs = static_cast<double>(state.iterations());
  state.counters["FLOP/s"] =
      benchmark::Counter(2.0 * static_cast<double>(m * n * k) * runs, benchmark::Counter::kIsRate);
  state.counters["weights/s"] =
      benchmark::Counter(static_cast<double>(count * (half ? 2 : 4)) * runs, benchmark::Counter::kIsRate);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  int count = 0;
  const HalfKernels* const* rows = half_rows(&count);
  for (int i = 0; i < count; ++i) {
    const IsaFeatures features = rows[i]->requires_isa;
    if (!supports(detected_isa(), features)) continue;
    for (const bool half : {true, false}) {
      const auto product = [&](const char* what, int64_t m, int64_t n, int64_t k) {
        const std::string title = std::string(half ? "matmul_f32_f32_f16_" : "matmul_f32_f32_f32_") +
                                  rows[i]->isa_suffix + "/" + what + "/" + std::to_string(m) + "x" +
                                  std::to_string(n) + "x" + std::to_string(k);
        benchmark::RegisterBenchmark(
            title.c_str(), [=](benchmark::State& state) { bench_product(state, features, half, m, n, k); });
      };
      product("gemv", 1, 14336, 4096);
      product("gemv", 1, 32000, 768);
      product("gemv_cached", 1, 768, 768);
      product("thin", 4, 14336, 4096);
      product("thin", 7, 32000, 768);
      product("gemm", 128, 768, 768);
      product("gemm", 128, 3072, 768);
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
