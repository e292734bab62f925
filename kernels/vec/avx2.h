// The vector of kernels/vec.h in AVX2 with FMA and F16C: eight lanes.
#pragma once

#include <immintrin.h>

#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

constexpr int kLanes = 8;
typedef __m256 V;
typedef __m256i I;
typedef __m256 M;

NNEFRUN_INLINE V vset(float x) { return _mm256_set1_ps(x); }
NNEFRUN_INLINE I iset(int32_t x) { return _mm256_set1_epi32(x); }
NNEFRUN_INLINE V vload(const float* p) { return _mm256_loadu_ps(p); }
NNEFRUN_INLINE void vstore(float* p, V v) { _mm256_storeu_ps(p, v); }
// Lane i is all ones when i < n.
NNEFRUN_INLINE __m256i avx2_mask(int64_t n) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), index);
}
NNEFRUN_INLINE V vload_n(const float* p, int64_t n) { return _mm256_maskload_ps(p, avx2_mask(n)); }
// By halves: where masked loads are fast, masked stores may still be microcode (Zen).
NNEFRUN_INLINE void vstore_n(float* p, V v, int64_t n) {
  if (n >= 8) {
    _mm256_storeu_ps(p, v);
    return;
  }
  __m128 rest = _mm256_castps256_ps128(v);
  if ((n & 4) != 0) {
    _mm_storeu_ps(p, rest);
    rest = _mm256_extractf128_ps(v, 1);
    p += 4;
  }
  if ((n & 2) != 0) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), rest);
    rest = _mm_movehl_ps(rest, rest);
    p += 2;
  }
  if ((n & 1) != 0) _mm_store_ss(p, rest);
}

NNEFRUN_INLINE I vbits(V v) { return _mm256_castps_si256(v); }
NNEFRUN_INLINE V vfrom_bits(I i) { return _mm256_castsi256_ps(i); }
NNEFRUN_INLINE I iadd(I a, I b) { return _mm256_add_epi32(a, b); }
NNEFRUN_INLINE I isub(I a, I b) { return _mm256_sub_epi32(a, b); }
NNEFRUN_INLINE I iand(I a, I b) { return _mm256_and_si256(a, b); }
NNEFRUN_INLINE I ior(I a, I b) { return _mm256_or_si256(a, b); }
template <int kShift>
NNEFRUN_INLINE I ishl(I a) {
  return _mm256_slli_epi32(a, kShift);
}
template <int kShift>
NNEFRUN_INLINE I ishr(I a) {
  return _mm256_srli_epi32(a, kShift);
}
template <int kShift>
NNEFRUN_INLINE I isar(I a) {
  return _mm256_srai_epi32(a, kShift);
}

NNEFRUN_INLINE M vlt(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
NNEFRUN_INLINE M vle(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
NNEFRUN_INLINE M veq(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
NNEFRUN_INLINE M vunord(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_UNORD_Q); }
NNEFRUN_INLINE M mand(M a, M b) { return _mm256_and_ps(a, b); }
NNEFRUN_INLINE M mor(M a, M b) { return _mm256_or_ps(a, b); }
NNEFRUN_INLINE M mnot(M a) { return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))); }
NNEFRUN_INLINE bool many(M m) { return _mm256_movemask_ps(m) != 0; }
NNEFRUN_INLINE bool mall(M m) { return _mm256_movemask_ps(m) == 0xFF; }
NNEFRUN_INLINE void mbytes(uint8_t* p, M m) {
  const __m256i bits = _mm256_srli_epi32(_mm256_castps_si256(m), 31);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
}
NNEFRUN_INLINE V vselect(M m, V a, V b) { return _mm256_blendv_ps(b, a, m); }

NNEFRUN_INLINE V vfma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
NNEFRUN_INLINE V vfnma(V a, V b, V c) { return _mm256_fnmadd_ps(a, b, c); }
NNEFRUN_INLINE V vmin(V a, V b) { return _mm256_min_ps(a, b); }  // the instruction is a < b ? a : b
NNEFRUN_INLINE V vmax(V a, V b) { return _mm256_max_ps(a, b); }
NNEFRUN_INLINE V vabs(V v) { return vfrom_bits(iand(vbits(v), iset(0x7FFFFFFF))); }
NNEFRUN_INLINE V vneg(V v) { return _mm256_xor_ps(v, _mm256_set1_ps(-0.0F)); }
NNEFRUN_INLINE V vcopysign(V magnitude, V sign) {
  const V bit = _mm256_set1_ps(-0.0F);
  return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}
NNEFRUN_INLINE V vsqrt(V v) { return _mm256_sqrt_ps(v); }
NNEFRUN_INLINE I vto_int(V v) { return _mm256_cvttps_epi32(v); }
NNEFRUN_INLINE V vfrom_int(I i) { return _mm256_cvtepi32_ps(i); }
NNEFRUN_INLINE V vtrunc(V v) { return _mm256_round_ps(v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
NNEFRUN_INLINE V vfloor(V v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
NNEFRUN_INLINE V vceil(V v) { return _mm256_round_ps(v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
NNEFRUN_INLINE V vround(V v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

NNEFRUN_INLINE float vsum(V v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
NNEFRUN_INLINE float vhmax(V v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}
NNEFRUN_INLINE float vhmin(V v) {
  __m128 s = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_min_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_min_ss(s, _mm_shuffle_ps(s, s, 1)));
}

constexpr int kLaneGroup = 1;
typedef V Lanes;
NNEFRUN_INLINE Lanes lanes_load(const float* p) { return _mm256_broadcast_ss(p); }
template <int kLane>
NNEFRUN_INLINE V vfma_lane(V v, Lanes lanes, V c) {
  return vfma(v, lanes, c);
}

NNEFRUN_INLINE void vload_even_odd(const float* p, V* even, V* odd) {
  const V a = vload(p), b = vload(p + 8);
  const V lo = _mm256_permute2f128_ps(a, b, 0x20), hi = _mm256_permute2f128_ps(a, b, 0x31);
  *even = _mm256_shuffle_ps(lo, hi, 0x88);
  *odd = _mm256_shuffle_ps(lo, hi, 0xDD);
}

NNEFRUN_INLINE void vtranspose(V (&r)[kLanes]) {
  V pairs[8], fours[8];
  NNEFRUN_UNROLL
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  NNEFRUN_UNROLL
  for (int i = 0; i < 8; i += 4) {
    fours[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
    fours[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
    fours[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
    fours[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
  }
  NNEFRUN_UNROLL
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
    r[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
  }
}

NNEFRUN_INLINE V load_f16(const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
NNEFRUN_INLINE void store_f16(uint16_t* p, V v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
NNEFRUN_INLINE V load_bf16(const uint16_t* p) {
  return vfrom_bits(ishl<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))));
}
NNEFRUN_INLINE void store_bf16(uint16_t* p, V v) {
  const I bits = vbits(v);
  const I rounded = ishr<16>(iadd(bits, iadd(iset(0x7FFF), iand(ishr<16>(bits), iset(1)))));
  const I quiet = ior(ishr<16>(bits), iset(0x40));
  const I out = vbits(vselect(vunord(v, v), vfrom_bits(quiet), vfrom_bits(rounded)));
  const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(out), _mm256_extracti128_si256(out, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), packed);
}

}  // namespace
}  // namespace nnefrun::kernels
