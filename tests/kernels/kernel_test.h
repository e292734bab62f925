// What the kernel tests share: seeded inputs, guarded buffers, and the walk over every row that this machine
// can run.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/isa.h"

namespace nnefrun::kernels::test {

// One seed for the whole run: NNEFRUN_TEST_SEED reproduces a run, otherwise it is fixed.
inline uint32_t seed() {
  static const uint32_t value = [] {
    const char* text = std::getenv("NNEFRUN_TEST_SEED");
    const uint32_t chosen =
        text == nullptr ? 20240607U : static_cast<uint32_t>(std::strtoul(text, nullptr, 0));
    std::printf("kernel tests: NNEFRUN_TEST_SEED=%u\n", chosen);
    return chosen;
  }();
  return value;
}

class Random {
 public:
  explicit Random(uint32_t salt) : engine_(seed() * 2654435761U + salt) {}
  // Not the standard library's distribution: its values differ between libraries, and it takes logarithms.
  float uniform(float low, float high) {
    return low + (high - low) * (static_cast<float>(engine_() >> 8) * 0x1p-24F);
  }
  int64_t whole(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  std::vector<float> floats(size_t n, float low = -1.0F, float high = 1.0F) {
    std::vector<float> v(n);
    for (float& x : v) x = uniform(low, high);
    return v;
  }

 private:
  std::mt19937 engine_;
};

// A 64-byte aligned buffer with a pattern behind it; intact() tells whether a kernel wrote past the end.
template <class T>
class Guarded {
 public:
  explicit Guarded(size_t n) : n_(n), bytes_(n * sizeof(T) + kGuard + 64) {
    const size_t misaligned = reinterpret_cast<uintptr_t>(bytes_.data()) % 64;
    data_ = reinterpret_cast<T*>(bytes_.data() + (64 - misaligned) % 64);
    std::memset(reinterpret_cast<unsigned char*>(data_ + n_), kPattern, kGuard);
  }
  explicit Guarded(const std::vector<T>& values) : Guarded(values.size()) {
    if (n_ != 0) std::memcpy(data_, values.data(), n_ * sizeof(T));
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  T* data() { return data_; }
  T& operator[](size_t i) { return data_[i]; }
  size_t size() const { return n_; }
  bool intact() const {
    const unsigned char* end = reinterpret_cast<const unsigned char*>(data_ + n_);
    for (size_t i = 0; i < kGuard; ++i) {
      if (end[i] != kPattern) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kGuard = 128;
  static constexpr unsigned char kPattern = 0xA5;
  size_t n_;
  std::vector<unsigned char> bytes_;
  T* data_;
};

// Calls body(row) for every row that the machine has the features for, and says of the others that they did
// not run. Row is one of the families' table types.
template <class Row, class Body>
void for_each_row(const char* family, const Row* const* rows, int count, Body body) {
  int ran = 0;
  for (int i = 0; i < count; ++i) {
    // a schedule for the Cortex-A53 runs on every 64-bit Arm
    if (!supports(detected_isa(), rows[i]->requires_isa & ~kFeatureCortexA53)) {
      std::printf("NOT RUN: %s rows of %s (this machine lacks it)\n", family, rows[i]->isa_suffix);
      continue;
    }
    INFO(family << " " << rows[i]->isa_suffix << ", seed " << seed());
    body(*rows[i]);
    ++ran;
  }
  REQUIRE(ran >= 1);  // generic, everywhere
}

// Distance of `got` from `expected` in units in the last place of the f32 nearest to `expected`.
inline double ulp_error(double expected, float got) {
  const float nearest = static_cast<float>(expected);
  if (nearest == got) return 0;  // infinities too, and zeros of either sign
  if (std::isnan(nearest) || std::isnan(got)) return std::isnan(nearest) && std::isnan(got) ? 0 : 1e30;
  if (std::isinf(nearest) || std::isinf(got)) return 1e30;
  int exponent = 0;
  std::frexp(std::fabs(expected) > 0x1p-126 ? expected : 0x1p-126, &exponent);
  return std::fabs(expected - static_cast<double>(got)) / std::ldexp(1.0, exponent - 24);
}

// Sizes around a vector width and some primes.
inline std::vector<int64_t> sizes_around_width() {
  return {0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 61, 64, 127};
}

}  // namespace nnefrun::kernels::test
