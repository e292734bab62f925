// What the benchmarks of kernels share: the peak rate of fused multiply-adds of each ISA, measured in a loop
// of independent chains, buffers, and the report of a rate as a share of the peak. For one source file of a
// program.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

constexpr int kChains = 12;

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) float fma_loop_avx2(int64_t rounds) {
  __m256 acc[kChains];
  for (__m256& a : acc) a = _mm256_set1_ps(1.0F);
  const __m256 x = _mm256_set1_ps(0.999999F), y = _mm256_set1_ps(1e-6F);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) acc[c] = _mm256_fmadd_ps(acc[c], x, y);
  }
  float lanes[8];
  for (int c = 1; c < kChains; ++c) acc[0] = _mm256_add_ps(acc[0], acc[c]);
  _mm256_storeu_ps(lanes, acc[0]);
  return lanes[0];
}
__attribute__((target("avx512f"))) float fma_loop_avx512(int64_t rounds) {
  __m512 acc[kChains];
  for (__m512& a : acc) a = _mm512_set1_ps(1.0F);
  const __m512 x = _mm512_set1_ps(0.999999F), y = _mm512_set1_ps(1e-6F);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) acc[c] = _mm512_fmadd_ps(acc[c], x, y);
  }
  float lanes[16];
  for (int c = 1; c < kChains; ++c) acc[0] = _mm512_add_ps(acc[0], acc[c]);
  _mm512_storeu_ps(lanes, acc[0]);
  return lanes[0];
}
#elif defined(__aarch64__)
float fma_loop_neon(int64_t rounds) {
  float32x4_t acc[kChains];
  for (float32x4_t& a : acc) a = vdupq_n_f32(1.0F);
  const float32x4_t x = vdupq_n_f32(0.999999F);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) acc[c] = vfmaq_f32(acc[c], acc[c], x);
  }
  for (int c = 1; c < kChains; ++c) acc[0] = vaddq_f32(acc[0], acc[c]);
  return vgetq_lane_f32(acc[0], 0);
}
#endif

// GFLOP/s of the named set; 0 where there is no loop for it (generic).
double measure_peak(const std::string& set) {
  float (*loop)(int64_t) = nullptr;
  int lanes = 4;
#if defined(__x86_64__)
  if (set == "avx2") loop = fma_loop_avx2, lanes = 8;
  if (set == "avx512") loop = fma_loop_avx512, lanes = 16;
#elif defined(__aarch64__)
  if (set == "neon" || set == "neon_a53") loop = fma_loop_neon;
#endif
  if (loop == nullptr) return 0;
  double best = 0;
  constexpr int64_t kRounds = 200000;
  for (int attempt = 0; attempt < 30; ++attempt) {  // the machine may be shared: the best of many short runs
    const auto start = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(loop(kRounds));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, 2.0 * kRounds * kChains * lanes / seconds.count() * 1e-9);
  }
  return best;
}
inline double peak_of(const char* set) {
  static std::vector<std::pair<std::string, double>> known;
  for (const auto& [name, rate] : known) {
    if (name == set) return rate;
  }
  known.emplace_back(set, measure_peak(set));
  return known.back().second;
}

struct Buffer {
  explicit Buffer(size_t floats, float fill = 0.0F) : size(floats) {
    data = static_cast<float*>(std::aligned_alloc(64, (floats * sizeof(float) / 64 + 1) * 64));
    for (size_t i = 0; i < floats; ++i) data[i] = fill;
  }
  ~Buffer() { std::free(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void randomize(float low = -1.0F, float high = 1.0F) {
    std::mt19937 engine(7);
    std::uniform_real_distribution<float> draw(low, high);
    for (size_t i = 0; i < size; ++i) data[i] = draw(engine);
  }
  float* data;
  size_t size;
};

inline bool close(const Buffer& a, const Buffer& b) {
  for (size_t i = 0; i < a.size; ++i) {
    if (!(std::fabs(a.data[i] - b.data[i]) <= 1e-4F * (1 + std::fabs(b.data[i])))) return false;
  }
  return true;
}

inline void report_flops(benchmark::State& state, double flops, const char* set) {
  const double total = flops * static_cast<double>(state.iterations());
  state.counters["FLOP/s"] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  const double peak = peak_of(set) * 1e9;
  if (peak > 0) state.counters["peak"] = benchmark::Counter(total / peak, benchmark::Counter::kIsRate);
}

}  // namespace
