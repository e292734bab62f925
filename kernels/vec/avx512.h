// The vector of kernels/vec.h in AVX-512 (F, BW, DQ, VL): sixteen lanes.
#pragma once

#include <immintrin.h>

#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

constexpr int kLanes = 16;
typedef __m512 V;
typedef __m512i I;
typedef __mmask16 M;

NNEFRUN_INLINE V vset(float x) { return _mm512_set1_ps(x); }
NNEFRUN_INLINE I iset(int32_t x) { return _mm512_set1_epi32(x); }
NNEFRUN_INLINE V vload(const float* p) { return _mm512_loadu_ps(p); }
NNEFRUN_INLINE void vstore(float* p, V v) { _mm512_storeu_ps(p, v); }
NNEFRUN_INLINE __mmask16 avx512_mask(int64_t n) {
  return static_cast<__mmask16>((1U << static_cast<unsigned>(n)) - 1U);
}
NNEFRUN_INLINE V vload_n(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(avx512_mask(n), p); }
NNEFRUN_INLINE void vstore_n(float* p, V v, int64_t n) { _mm512_mask_storeu_ps(p, avx512_mask(n), v); }

NNEFRUN_INLINE I vbits(V v) { return _mm512_castps_si512(v); }
NNEFRUN_INLINE V vfrom_bits(I i) { return _mm512_castsi512_ps(i); }
NNEFRUN_INLINE I iadd(I a, I b) { return _mm512_add_epi32(a, b); }
NNEFRUN_INLINE I isub(I a, I b) { return _mm512_sub_epi32(a, b); }
NNEFRUN_INLINE I iand(I a, I b) { return _mm512_and_si512(a, b); }
NNEFRUN_INLINE I ior(I a, I b) { return _mm512_or_si512(a, b); }
template <int kShift>
NNEFRUN_INLINE I ishl(I a) {
  return _mm512_slli_epi32(a, kShift);
}
template <int kShift>
NNEFRUN_INLINE I ishr(I a) {
  return _mm512_srli_epi32(a, kShift);
}
template <int kShift>
NNEFRUN_INLINE I isar(I a) {
  return _mm512_srai_epi32(a, kShift);
}

NNEFRUN_INLINE M vlt(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
NNEFRUN_INLINE M vle(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
NNEFRUN_INLINE M veq(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
NNEFRUN_INLINE M vunord(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); }
NNEFRUN_INLINE M mand(M a, M b) { return static_cast<M>(a & b); }
NNEFRUN_INLINE M mor(M a, M b) { return static_cast<M>(a | b); }
NNEFRUN_INLINE M mnot(M a) { return static_cast<M>(~a); }
NNEFRUN_INLINE bool many(M m) { return m != 0; }
NNEFRUN_INLINE bool mall(M m) { return m == 0xFFFF; }
NNEFRUN_INLINE void mbytes(uint8_t* p, M m) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_maskz_set1_epi8(m, 1));
}
NNEFRUN_INLINE V vselect(M m, V a, V b) { return _mm512_mask_blend_ps(m, b, a); }

NNEFRUN_INLINE V vfma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
NNEFRUN_INLINE V vfnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }
// The instructions are a < b ? a : b and a > b ? a : b.
NNEFRUN_INLINE V vmin(V a, V b) { return _mm512_min_ps(a, b); }
NNEFRUN_INLINE V vmax(V a, V b) { return _mm512_max_ps(a, b); }
NNEFRUN_INLINE V vabs(V v) { return vfrom_bits(iand(vbits(v), iset(0x7FFFFFFF))); }
NNEFRUN_INLINE V vneg(V v) { return _mm512_xor_ps(v, _mm512_set1_ps(-0.0F)); }
NNEFRUN_INLINE V vcopysign(V magnitude, V sign) {
  const I bit = iset(INT32_MIN);
  // bit ? sign : magnitude, in one instruction
  return vfrom_bits(_mm512_ternarylogic_epi32(bit, vbits(sign), vbits(magnitude), 0xCA));
}
NNEFRUN_INLINE V vsqrt(V v) { return _mm512_sqrt_ps(v); }
NNEFRUN_INLINE I vto_int(V v) { return _mm512_cvttps_epi32(v); }
NNEFRUN_INLINE V vfrom_int(I i) { return _mm512_cvtepi32_ps(i); }
NNEFRUN_INLINE V vtrunc(V v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
NNEFRUN_INLINE V vfloor(V v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
NNEFRUN_INLINE V vceil(V v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
NNEFRUN_INLINE V vround(V v) {
  return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

NNEFRUN_INLINE __m256 avx512_low(V v) { return _mm512_castps512_ps256(v); }
NNEFRUN_INLINE __m256 avx512_high(V v) { return _mm512_extractf32x8_ps(v, 1); }
NNEFRUN_INLINE float vsum(V v) {
  const __m256 w = _mm256_add_ps(avx512_low(v), avx512_high(v));
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
NNEFRUN_INLINE float vhmax(V v) {
  const __m256 w = _mm256_max_ps(avx512_low(v), avx512_high(v));
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}
NNEFRUN_INLINE float vhmin(V v) {
  const __m256 w = _mm256_min_ps(avx512_low(v), avx512_high(v));
  __m128 s = _mm_min_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  s = _mm_min_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_min_ss(s, _mm_shuffle_ps(s, s, 1)));
}

constexpr int kLaneGroup = 1;
typedef V Lanes;
NNEFRUN_INLINE Lanes lanes_load(const float* p) { return _mm512_set1_ps(*p); }
template <int kLane>
NNEFRUN_INLINE V vfma_lane(V v, Lanes lanes, V c) {
  return vfma(v, lanes, c);
}

NNEFRUN_INLINE void vload_even_odd(const float* p, V* even, V* odd) {
  const V a = vload(p), b = vload(p + 16);
  const I evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  *even = _mm512_permutex2var_ps(a, evens, b);
  *odd = _mm512_permutex2var_ps(a, iadd(evens, iset(1)), b);
}

NNEFRUN_INLINE void vtranspose(V (&r)[kLanes]) {
  V pairs[16], fours[16];
  NNEFRUN_UNROLL
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  // each quarter of fours[i + j] holds a column of the rows i to i + 3: column j of that quarter
  NNEFRUN_UNROLL
  for (int i = 0; i < 16; i += 4) {
    fours[i] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
    fours[i + 1] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
    fours[i + 2] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
    fours[i + 3] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
  }
  NNEFRUN_UNROLL
  for (int j = 0; j < 4; ++j) {
    const V low01 = _mm512_shuffle_f32x4(fours[j], fours[j + 4], 0x88);  // quarters 0, 2 of rows 0-3 and 4-7
    const V low23 = _mm512_shuffle_f32x4(fours[j + 8], fours[j + 12], 0x88);
    const V high01 = _mm512_shuffle_f32x4(fours[j], fours[j + 4], 0xDD);  // quarters 1, 3
    const V high23 = _mm512_shuffle_f32x4(fours[j + 8], fours[j + 12], 0xDD);
    r[j] = _mm512_shuffle_f32x4(low01, low23, 0x88);
    r[j + 8] = _mm512_shuffle_f32x4(low01, low23, 0xDD);
    r[j + 4] = _mm512_shuffle_f32x4(high01, high23, 0x88);
    r[j + 12] = _mm512_shuffle_f32x4(high01, high23, 0xDD);
  }
}

NNEFRUN_INLINE V load_f16(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
NNEFRUN_INLINE void store_f16(uint16_t* p, V v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
NNEFRUN_INLINE V load_bf16(const uint16_t* p) {
  return vfrom_bits(ishl<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))));
}
NNEFRUN_INLINE void store_bf16(uint16_t* p, V v) {
  const I bits = vbits(v);
  const I rounded = ishr<16>(iadd(bits, iadd(iset(0x7FFF), iand(ishr<16>(bits), iset(1)))));
  const I quiet = ior(ishr<16>(bits), iset(0x40));
  const I out = _mm512_mask_blend_epi32(vunord(v, v), rounded, quiet);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(out));
}

}  // namespace
}  // namespace nnefrun::kernels
