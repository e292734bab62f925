// The vector operations of body.h in Advanced SIMD: eight columns in two registers.
#pragma once

#include <arm_neon.h>
#include <string.h>

#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

constexpr int kIsaLanes = 8, kDepthwise = 2;
struct I32 {
  int32x4_t low, high;
};
struct F32 {
  float32x4_t low, high;
};

NNEFRUN_INLINE I32 load_i32(const int32_t* p) { return {vld1q_s32(p), vld1q_s32(p + 4)}; }
NNEFRUN_INLINE I32 load_i16(const int16_t* p) { return {vmovl_s16(vld1_s16(p)), vmovl_s16(vld1_s16(p + 4))}; }
NNEFRUN_INLINE void store_i32(int32_t* p, I32 v) {
  vst1q_s32(p, v.low);
  vst1q_s32(p + 4, v.high);
}
NNEFRUN_INLINE I32 set_i32(int32_t x) { return {vdupq_n_s32(x), vdupq_n_s32(x)}; }
NNEFRUN_INLINE I32 add_i32(I32 a, I32 b) { return {vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high)}; }
NNEFRUN_INLINE I32 min_i32(I32 a, I32 b) { return {vminq_s32(a.low, b.low), vminq_s32(a.high, b.high)}; }
NNEFRUN_INLINE I32 max_i32(I32 a, I32 b) { return {vmaxq_s32(a.low, b.low), vmaxq_s32(a.high, b.high)}; }

NNEFRUN_INLINE I32 load_codes(const uint8_t* p, int64_t n) {
  uint8x8_t bytes;
  if (n >= 8) {
    bytes = vld1_u8(p);
  } else {
    uint64_t part = 0;
    memcpy(&part, p, static_cast<size_t>(n));
    bytes = vcreate_u8(part);
  }
  const uint16x8_t words = vmovl_u8(bytes);
  return {vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words))),
          vreinterpretq_s32_u32(vmovl_high_u16(words))};
}
NNEFRUN_INLINE void store_codes(uint8_t* p, I32 v, uint8_t flip, int64_t n) {
  const int16x8_t words = vcombine_s16(vmovn_s32(v.low), vmovn_s32(v.high));
  const uint8x8_t codes = veor_u8(vreinterpret_u8_s8(vmovn_s16(words)), vdup_n_u8(flip));
  if (n >= 8) {
    vst1_u8(p, codes);
  } else {
    const uint64_t part = vget_lane_u64(vreinterpret_u64_u8(codes), 0);
    memcpy(p, &part, static_cast<size_t>(n));
  }
}
NNEFRUN_INLINE I32 flip_codes(I32 v, uint8_t flip) {
  return {veorq_s32(v.low, vdupq_n_s32(flip)), veorq_s32(v.high, vdupq_n_s32(flip))};
}
NNEFRUN_INLINE I32 mul_add16(I32 acc, I32 x, I32 w) {
  return {vmlaq_s32(acc.low, x.low, w.low), vmlaq_s32(acc.high, x.high, w.high)};
}

// Both bounds and the flip, for bytes.
struct Bounds {
  uint8x8_t low, high, flip;
};
NNEFRUN_INLINE Bounds bounds_of(int low, int high, uint8_t flip) {
  return {vdup_n_u8(static_cast<uint8_t>(low)), vdup_n_u8(static_cast<uint8_t>(high)), vdup_n_u8(flip)};
}
template <int V>
NNEFRUN_INLINE void store_row(uint8_t* p, const I32* v, const Bounds& b, int64_t n) {
  for (int i = 0; i < V && n > 0; ++i, p += 8, n -= 8) {
    const int16x8_t words = vcombine_s16(vqmovn_s32(v[i].low), vqmovn_s32(v[i].high));
    const uint8x8_t codes = veor_u8(vmin_u8(vmax_u8(vqmovun_s16(words), b.low), b.high), b.flip);
    if (n >= 8) {
      vst1_u8(p, codes);
    } else {
      const uint64_t part = vget_lane_u64(vreinterpret_u64_u8(codes), 0);
      memcpy(p, &part, static_cast<size_t>(n));
    }
  }
}
// Of products below 2^22: rounded once, by the multiply-add.
NNEFRUN_INLINE I32 round_narrow(I32 v, F32 scale, I32 offset) {
  const float32x4_t magic = vdupq_n_f32(0x1.8p23F);
  return {vaddq_s32(vreinterpretq_s32_f32(vfmaq_f32(magic, vcvtq_f32_s32(v.low), scale.low)), offset.low),
          vaddq_s32(vreinterpretq_s32_f32(vfmaq_f32(magic, vcvtq_f32_s32(v.high), scale.high)), offset.high)};
}

// The product with the scale is exact inside the multiply-add, and 1.5 * 2^52 leaves an integer in the low
// half.
NNEFRUN_INLINE int32x4_t round_exact(int32x4_t v, double scale) {
  const float64x2_t factor = vdupq_n_f64(scale), magic = vdupq_n_f64(0x1.8p52);
  const float64x2_t low = vfmaq_f64(magic, vcvtq_f64_s64(vmovl_s32(vget_low_s32(v))), factor);
  const float64x2_t high = vfmaq_f64(magic, vcvtq_f64_s64(vmovl_high_s32(v)), factor);
  return vuzp1q_s32(vreinterpretq_s32_f64(low), vreinterpretq_s32_f64(high));
}
NNEFRUN_INLINE I32 round_exact(I32 v, double scale) {
  return {round_exact(v.low, scale), round_exact(v.high, scale)};
}
NNEFRUN_INLINE I32 round_f32(I32 v, const float* scales) {
  return {vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(v.low), vld1q_f32(scales))),
          vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(v.high), vld1q_f32(scales + 4)))};
}

NNEFRUN_INLINE F32 to_f32(I32 v) { return {vcvtq_f32_s32(v.low), vcvtq_f32_s32(v.high)}; }
NNEFRUN_INLINE I32 round_to_i32(F32 v) { return {vcvtnq_s32_f32(v.low), vcvtnq_s32_f32(v.high)}; }
NNEFRUN_INLINE F32 set_f32(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }
NNEFRUN_INLINE F32 load_f32(const float* p, int64_t n) {
  if (n >= 8) return {vld1q_f32(p), vld1q_f32(p + 4)};
  float items[8] = {};
  memcpy(items, p, static_cast<size_t>(n) * sizeof(float));
  return {vld1q_f32(items), vld1q_f32(items + 4)};
}
NNEFRUN_INLINE void store_f32(float* p, F32 v, int64_t n) {
  if (n >= 8) {
    vst1q_f32(p, v.low);
    vst1q_f32(p + 4, v.high);
    return;
  }
  float items[8];
  vst1q_f32(items, v.low);
  vst1q_f32(items + 4, v.high);
  memcpy(p, items, static_cast<size_t>(n) * sizeof(float));
}
NNEFRUN_INLINE F32 add_f32(F32 a, F32 b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
NNEFRUN_INLINE F32 sub_f32(F32 a, F32 b) { return {vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
NNEFRUN_INLINE F32 mul_f32(F32 a, F32 b) { return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
NNEFRUN_INLINE F32 div_f32(F32 a, F32 b) { return {vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)}; }
NNEFRUN_INLINE F32 quotient(F32 a, F32 divisor, F32 reciprocal) {
  const F32 near = {vmulq_f32(a.low, reciprocal.low), vmulq_f32(a.high, reciprocal.high)};
  return {vfmaq_f32(near.low, vfmsq_f32(a.low, near.low, divisor.low), reciprocal.low),
          vfmaq_f32(near.high, vfmsq_f32(a.high, near.high, divisor.high), reciprocal.high)};
}
NNEFRUN_INLINE F32 min_f32(F32 a, F32 b) { return {vminq_f32(a.low, b.low), vminq_f32(a.high, b.high)}; }
NNEFRUN_INLINE F32 max_f32(F32 a, F32 b) { return {vmaxq_f32(a.low, b.low), vmaxq_f32(a.high, b.high)}; }
NNEFRUN_INLINE float32x4_t zero_of_nan(float32x4_t v) {
  return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), vceqq_f32(v, v)));
}
NNEFRUN_INLINE F32 zero_of_nan(F32 v) { return {zero_of_nan(v.low), zero_of_nan(v.high)}; }

NNEFRUN_INLINE int32_t sum_bytes(const uint8_t* p, int64_t n) {
  uint32_t sum = 0;
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) sum += vaddlvq_u8(vld1q_u8(p + i));
  for (; i < n; ++i) sum += p[i];
  return static_cast<int32_t>(sum);
}
NNEFRUN_INLINE void add_reals(const uint8_t* x, int64_t rows, int64_t stride, int64_t n, I32 minus_zero,
                              F32 factor, double* y) {
  double items[8] = {};
  const int64_t count = n < 8 ? n : 8;
  for (int64_t i = 0; i < count; ++i) items[i] = y[i];
  float64x2_t a = vld1q_f64(items), b = vld1q_f64(items + 2), c = vld1q_f64(items + 4),
              d = vld1q_f64(items + 6);
  for (int64_t r = 0; r < rows; ++r) {
    const F32 real = mul_f32(to_f32(add_i32(load_codes(x + r * stride, n), minus_zero)), factor);
    a = vaddq_f64(a, vcvt_f64_f32(vget_low_f32(real.low)));
    b = vaddq_f64(b, vcvt_high_f64_f32(real.low));
    c = vaddq_f64(c, vcvt_f64_f32(vget_low_f32(real.high)));
    d = vaddq_f64(d, vcvt_high_f64_f32(real.high));
  }
  vst1q_f64(items, a);
  vst1q_f64(items + 2, b);
  vst1q_f64(items + 4, c);
  vst1q_f64(items + 6, d);
  for (int64_t i = 0; i < count; ++i) y[i] = items[i];
}
NNEFRUN_INLINE void widen_codes(const uint8_t* p, int16_t* out, int64_t n) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) vst1q_s16(out + i, vreinterpretq_s16_u16(vmovl_u8(vld1_u8(p + i))));
  for (; i < n; ++i) out[i] = p[i];
}

}  // namespace
}  // namespace nnefrun::kernels
