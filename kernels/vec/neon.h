// The vector of kernels/vec.h in 64-bit Advanced SIMD (Armv8.0): four lanes.
#pragma once

#include <arm_neon.h>

#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

constexpr int kLanes = 4;
typedef float32x4_t V;
typedef int32x4_t I;
typedef uint32x4_t M;

NNEFRUN_INLINE V vset(float x) { return vdupq_n_f32(x); }
NNEFRUN_INLINE I iset(int32_t x) { return vdupq_n_s32(x); }
NNEFRUN_INLINE V vload(const float* p) { return vld1q_f32(p); }
NNEFRUN_INLINE void vstore(float* p, V v) { vst1q_f32(p, v); }
NNEFRUN_INLINE V vload_n(const float* p, int64_t n) {
  const float32x2_t none = vdup_n_f32(0.0F);
  if (n >= 4) return vld1q_f32(p);
  if (n == 3) return vcombine_f32(vld1_f32(p), vld1_lane_f32(p + 2, none, 0));
  if (n == 2) return vcombine_f32(vld1_f32(p), none);
  if (n == 1) return vcombine_f32(vld1_lane_f32(p, none, 0), none);
  return vdupq_n_f32(0.0F);
}
NNEFRUN_INLINE void vstore_n(float* p, V v, int64_t n) {
  if (n >= 4) {
    vst1q_f32(p, v);
    return;
  }
  if (n >= 2) vst1_f32(p, vget_low_f32(v));
  if (n == 3) vst1q_lane_f32(p + 2, v, 2);
  if (n == 1) vst1q_lane_f32(p, v, 0);
}

NNEFRUN_INLINE I vbits(V v) { return vreinterpretq_s32_f32(v); }
NNEFRUN_INLINE V vfrom_bits(I i) { return vreinterpretq_f32_s32(i); }
NNEFRUN_INLINE I iadd(I a, I b) { return vaddq_s32(a, b); }
NNEFRUN_INLINE I isub(I a, I b) { return vsubq_s32(a, b); }
NNEFRUN_INLINE I iand(I a, I b) { return vandq_s32(a, b); }
NNEFRUN_INLINE I ior(I a, I b) { return vorrq_s32(a, b); }
template <int kShift>
NNEFRUN_INLINE I ishl(I a) {
  return vshlq_n_s32(a, kShift);
}
template <int kShift>
NNEFRUN_INLINE I ishr(I a) {
  return vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a), kShift));
}
template <int kShift>
NNEFRUN_INLINE I isar(I a) {
  return vshrq_n_s32(a, kShift);
}

NNEFRUN_INLINE M vlt(V a, V b) { return vcltq_f32(a, b); }
NNEFRUN_INLINE M vle(V a, V b) { return vcleq_f32(a, b); }
NNEFRUN_INLINE M veq(V a, V b) { return vceqq_f32(a, b); }
NNEFRUN_INLINE M vunord(V a, V b) { return vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b))); }
NNEFRUN_INLINE M mand(M a, M b) { return vandq_u32(a, b); }
NNEFRUN_INLINE M mor(M a, M b) { return vorrq_u32(a, b); }
NNEFRUN_INLINE M mnot(M a) { return vmvnq_u32(a); }
NNEFRUN_INLINE bool many(M m) { return vmaxvq_u32(m) != 0; }
NNEFRUN_INLINE bool mall(M m) { return vminvq_u32(m) != 0; }
NNEFRUN_INLINE void mbytes(uint8_t* p, M m) {
  const uint16x4_t words = vmovn_u32(vshrq_n_u32(m, 31));
  const uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
  const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
  __builtin_memcpy(p, &four, sizeof(four));
}
NNEFRUN_INLINE V vselect(M m, V a, V b) { return vbslq_f32(m, a, b); }

NNEFRUN_INLINE V vfma(V a, V b, V c) { return vfmaq_f32(c, a, b); }
NNEFRUN_INLINE V vfnma(V a, V b, V c) { return vfmsq_f32(c, a, b); }
// fmin and fmax treat NaN in their own way, so the definition is spelled out.
NNEFRUN_INLINE V vmin(V a, V b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
NNEFRUN_INLINE V vmax(V a, V b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
NNEFRUN_INLINE V vabs(V v) { return vabsq_f32(v); }
NNEFRUN_INLINE V vneg(V v) { return vnegq_f32(v); }
NNEFRUN_INLINE V vcopysign(V magnitude, V sign) {
  return vbslq_f32(vdupq_n_u32(0x80000000U), sign, magnitude);
}
NNEFRUN_INLINE V vsqrt(V v) { return vsqrtq_f32(v); }
NNEFRUN_INLINE I vto_int(V v) { return vcvtq_s32_f32(v); }
NNEFRUN_INLINE V vfrom_int(I i) { return vcvtq_f32_s32(i); }
NNEFRUN_INLINE V vtrunc(V v) { return vrndq_f32(v); }
NNEFRUN_INLINE V vfloor(V v) { return vrndmq_f32(v); }
NNEFRUN_INLINE V vceil(V v) { return vrndpq_f32(v); }
NNEFRUN_INLINE V vround(V v) { return vrndnq_f32(v); }

NNEFRUN_INLINE float vsum(V v) {
  const float32x2_t s = vadd_f32(vget_low_f32(v), vget_high_f32(v));
  return vget_lane_f32(s, 0) + vget_lane_f32(s, 1);
}
NNEFRUN_INLINE float vhmax(V v) { return vmaxvq_f32(v); }
NNEFRUN_INLINE float vhmin(V v) { return vminvq_f32(v); }

constexpr int kLaneGroup = 4;
typedef float32x4_t Lanes;
NNEFRUN_INLINE Lanes lanes_load(const float* p) { return vld1q_f32(p); }
template <int kLane>
NNEFRUN_INLINE V vfma_lane(V v, Lanes lanes, V c) {
  return vfmaq_laneq_f32(c, v, lanes, kLane);
}

NNEFRUN_INLINE void vload_even_odd(const float* p, V* even, V* odd) {
  const float32x4x2_t both = vld2q_f32(p);
  *even = both.val[0];
  *odd = both.val[1];
}

NNEFRUN_INLINE float64x2_t neon_pairs(float32x4_t v) { return vreinterpretq_f64_f32(v); }
NNEFRUN_INLINE V neon_singles(float64x2_t v) { return vreinterpretq_f32_f64(v); }
NNEFRUN_INLINE void vtranspose(V (&r)[kLanes]) {
  const float64x2_t ab0 = neon_pairs(vtrn1q_f32(r[0], r[1])), ab1 = neon_pairs(vtrn2q_f32(r[0], r[1]));
  const float64x2_t cd0 = neon_pairs(vtrn1q_f32(r[2], r[3])), cd1 = neon_pairs(vtrn2q_f32(r[2], r[3]));
  r[0] = neon_singles(vtrn1q_f64(ab0, cd0));
  r[1] = neon_singles(vtrn1q_f64(ab1, cd1));
  r[2] = neon_singles(vtrn2q_f64(ab0, cd0));
  r[3] = neon_singles(vtrn2q_f64(ab1, cd1));
}

NNEFRUN_INLINE V load_f16(const uint16_t* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
NNEFRUN_INLINE void store_f16(uint16_t* p, V v) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v))); }
NNEFRUN_INLINE V load_bf16(const uint16_t* p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
NNEFRUN_INLINE void store_bf16(uint16_t* p, V v) {
  const uint32x4_t bits = vreinterpretq_u32_f32(v);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF)));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  vst1_u16(p, vshrn_n_u32(vbslq_u32(vunord(v, v), quiet, rounded), 16));
}

}  // namespace
}  // namespace nnefrun::kernels
