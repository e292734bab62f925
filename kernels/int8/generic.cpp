#define NNEFRUN_ISA generic
#include <string.h>

#include "kernels/vec.h"

// Eight columns, for the compiler to arrange.
namespace nnefrun::kernels {
namespace {

constexpr int kIsaLanes = 8, kGroup = 4, kDepthwise = 2;
constexpr int kRows = 2, kVectors = 2;
constexpr bool kWidens = false;
constexpr int kOffset = 0, kSlack = 0;

struct I32 {
  int32_t v[kIsaLanes];
};
struct F32 {
  float v[kIsaLanes];
};
typedef const int8_t* W;
typedef const uint8_t* A;

#define NNEFRUN_EACH for (int i = 0; i < kIsaLanes; ++i)
NNEFRUN_INLINE int32_t wrapping(int64_t x) { return static_cast<int32_t>(static_cast<uint32_t>(x)); }
NNEFRUN_INLINE I32 load_i32(const int32_t* p) {
  I32 out;
  memcpy(out.v, p, sizeof out.v);
  return out;
}
NNEFRUN_INLINE I32 load_i16(const int16_t* p) {
  I32 out;
  NNEFRUN_EACH out.v[i] = p[i];
  return out;
}
NNEFRUN_INLINE void store_i32(int32_t* p, const I32& a) { memcpy(p, a.v, sizeof a.v); }
NNEFRUN_INLINE I32 set_i32(int32_t x) {
  I32 out;
  NNEFRUN_EACH out.v[i] = x;
  return out;
}
NNEFRUN_INLINE I32 add_i32(I32 a, const I32& b) {
  NNEFRUN_EACH a.v[i] = wrapping(static_cast<int64_t>(a.v[i]) + b.v[i]);
  return a;
}
NNEFRUN_INLINE I32 min_i32(I32 a, const I32& b) {
  NNEFRUN_EACH a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
  return a;
}
NNEFRUN_INLINE I32 max_i32(I32 a, const I32& b) {
  NNEFRUN_EACH a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return a;
}
NNEFRUN_INLINE I32 load_codes(const uint8_t* p, int64_t n) {
  I32 out = set_i32(0);
  for (int i = 0; i < kIsaLanes && i < n; ++i) out.v[i] = p[i];
  return out;
}
NNEFRUN_INLINE void store_codes(uint8_t* p, const I32& a, uint8_t flip, int64_t n) {
  for (int i = 0; i < kIsaLanes && i < n; ++i)
    p[i] = static_cast<uint8_t>(static_cast<uint8_t>(a.v[i]) ^ flip);
}
NNEFRUN_INLINE I32 flip_codes(I32 a, uint8_t flip) {
  NNEFRUN_EACH a.v[i] ^= flip;
  return a;
}

NNEFRUN_INLINE W load_w(const int8_t* p) { return p; }
NNEFRUN_INLINE A repeat_a(const uint8_t* p) { return p; }
NNEFRUN_INLINE I32 dot(I32 acc, A a, W w) {
  NNEFRUN_EACH {
    const int8_t* of = w + i * kGroup;
    acc.v[i] = wrapping(static_cast<int64_t>(acc.v[i]) +
                        (a[0] * of[0] + a[1] * of[1] + a[2] * of[2] + a[3] * of[3]));
  }
  return acc;
}
NNEFRUN_INLINE I32 mul_add16(I32 acc, const I32& x, const I32& w) {
  NNEFRUN_EACH acc.v[i] = wrapping(static_cast<int64_t>(acc.v[i]) + x.v[i] * w.v[i]);
  return acc;
}

// In 64-bit fixed point: a fused multiply-add would be a call here. The scale is an f32, limits keep the
// result in 32 bits.
NNEFRUN_INLINE I32 round_exact(I32 a, double scale) {
  const float narrow = static_cast<float>(scale);
  uint32_t bits = 0;
  memcpy(&bits, &narrow, sizeof bits);
  const int exponent = static_cast<int>(bits >> 23 & 0xFF);
  const int64_t factor = exponent == 0 ? 0 : static_cast<int64_t>((bits & 0x7FFFFF) | 0x800000);
  const int shift = 150 - exponent;
  NNEFRUN_EACH {
    const int64_t product = factor * a.v[i], magnitude = product < 0 ? -product : product;
    int64_t rounded = 0;
    if (shift <= 0) {
      rounded = magnitude << -shift;
    } else if (shift < 63) {
      rounded = (magnitude + (int64_t{1} << (shift - 1)) - 1 + (magnitude >> shift & 1)) >> shift;
    }
    a.v[i] = static_cast<int32_t>(product < 0 ? -rounded : rounded);
  }
  return a;
}
// Half to even, for what fits in 22 bits; beyond it every code saturates.
NNEFRUN_INLINE float nearest(float x) {
  x = x > 1e6F ? 1e6F : x < -1e6F ? -1e6F : x;
  return (x + 0x1.8p23F) - 0x1.8p23F;
}
NNEFRUN_INLINE I32 round_f32(I32 a, const float* scales) {
  NNEFRUN_EACH a.v[i] = static_cast<int32_t>(nearest(static_cast<float>(a.v[i]) * scales[i]));
  return a;
}

struct Bounds {
  int32_t low, high;
  uint8_t flip;
};
NNEFRUN_INLINE Bounds bounds_of(int low, int high, uint8_t flip) { return {low, high, flip}; }
template <int V>
NNEFRUN_INLINE void store_row(uint8_t* p, const I32* v, const Bounds& b, int64_t n) {
  for (int64_t i = 0; i < V * kIsaLanes && i < n; ++i) {
    const int32_t code = v[i / kIsaLanes].v[i % kIsaLanes];
    const int32_t clamped = code < b.low ? b.low : code > b.high ? b.high : code;
    p[i] = static_cast<uint8_t>(static_cast<uint8_t>(clamped) ^ b.flip);
  }
}
NNEFRUN_INLINE I32 round_narrow(const I32& a, const F32& scale, const I32& offset) {
  I32 out = round_exact(a, static_cast<double>(scale.v[0]));
  NNEFRUN_EACH out.v[i] = wrapping(int64_t{out.v[i]} + offset.v[i] + 0x4B400000);
  return out;
}

NNEFRUN_INLINE F32 to_f32(const I32& a) {
  F32 out;
  NNEFRUN_EACH out.v[i] = static_cast<float>(a.v[i]);
  return out;
}
NNEFRUN_INLINE I32 round_to_i32(const F32& a) {
  I32 out;
  NNEFRUN_EACH out.v[i] = static_cast<int32_t>(nearest(a.v[i]));
  return out;
}
NNEFRUN_INLINE F32 set_f32(float x) {
  F32 out;
  NNEFRUN_EACH out.v[i] = x;
  return out;
}
NNEFRUN_INLINE F32 load_f32(const float* p, int64_t n) {
  F32 out = set_f32(0);
  for (int i = 0; i < kIsaLanes && i < n; ++i) out.v[i] = p[i];
  return out;
}
NNEFRUN_INLINE void store_f32(float* p, const F32& a, int64_t n) {
  for (int i = 0; i < kIsaLanes && i < n; ++i) p[i] = a.v[i];
}
NNEFRUN_INLINE F32 add_f32(F32 a, const F32& b) {
  NNEFRUN_EACH a.v[i] += b.v[i];
  return a;
}
NNEFRUN_INLINE F32 sub_f32(F32 a, const F32& b) {
  NNEFRUN_EACH a.v[i] -= b.v[i];
  return a;
}
NNEFRUN_INLINE F32 mul_f32(F32 a, const F32& b) {
  NNEFRUN_EACH a.v[i] *= b.v[i];
  return a;
}
NNEFRUN_INLINE F32 div_f32(F32 a, const F32& b) {
  NNEFRUN_EACH a.v[i] /= b.v[i];
  return a;
}
NNEFRUN_INLINE F32 quotient(const F32& a, const F32& divisor, const F32&) { return div_f32(a, divisor); }
NNEFRUN_INLINE F32 min_f32(F32 a, const F32& b) {
  NNEFRUN_EACH a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
  return a;
}
NNEFRUN_INLINE F32 max_f32(F32 a, const F32& b) {
  NNEFRUN_EACH a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return a;
}
NNEFRUN_INLINE F32 zero_of_nan(F32 a) {
  NNEFRUN_EACH a.v[i] = a.v[i] == a.v[i] ? a.v[i] : 0.0F;
  return a;
}

NNEFRUN_INLINE int32_t sum_bytes(const uint8_t* p, int64_t n) {
  int32_t sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += p[i];
  return sum;
}
NNEFRUN_INLINE void add_reals(const uint8_t* x, int64_t rows, int64_t stride, int64_t n,
                              const I32& minus_zero, const F32& factor, double* y) {
  const int64_t count = n < kIsaLanes ? n : kIsaLanes;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < count; ++i)
      y[i] += static_cast<double>(static_cast<float>(x[r * stride + i] + minus_zero.v[i]) * factor.v[i]);
  }
}
NNEFRUN_INLINE void widen_codes(const uint8_t*, int16_t*, int64_t) {}
#undef NNEFRUN_EACH

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/int8/body.h"
