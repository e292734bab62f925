// The vector operations of body.h in AVX-512 (F, BW, DQ, VL): sixteen columns.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

constexpr int kIsaLanes = 16, kDepthwise = 4;
#if defined(NNEFRUN_INT8_TILE)
constexpr int kTile[] = {NNEFRUN_INT8_TILE};
constexpr int kRows = kTile[0], kVectors = kTile[1];
#else
constexpr int kRows = 8, kVectors = 3;
#endif
typedef __m512i I32;
typedef __m512 F32;

NNEFRUN_INLINE I32 load_i32(const int32_t* p) { return _mm512_loadu_si512(p); }
NNEFRUN_INLINE I32 load_i16(const int16_t* p) {
  return _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
NNEFRUN_INLINE void store_i32(int32_t* p, I32 v) { _mm512_storeu_si512(p, v); }
NNEFRUN_INLINE I32 set_i32(int32_t x) { return _mm512_set1_epi32(x); }
NNEFRUN_INLINE I32 add_i32(I32 a, I32 b) { return _mm512_add_epi32(a, b); }
NNEFRUN_INLINE I32 min_i32(I32 a, I32 b) { return _mm512_min_epi32(a, b); }
NNEFRUN_INLINE I32 max_i32(I32 a, I32 b) { return _mm512_max_epi32(a, b); }

NNEFRUN_INLINE __mmask16 first_lanes(int64_t n) {
  return n >= 16 ? static_cast<__mmask16>(0xFFFF) : static_cast<__mmask16>((1U << n) - 1);
}
NNEFRUN_INLINE I32 load_codes(const uint8_t* p, int64_t n) {
  if (n >= 16) return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first_lanes(n), p));
}
NNEFRUN_INLINE void store_codes(uint8_t* p, I32 v, uint8_t flip, int64_t n) {
  const __m128i codes = _mm_xor_si128(_mm512_cvtepi32_epi8(v), _mm_set1_epi8(static_cast<char>(flip)));
  if (n >= 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), codes);
  } else {
    _mm_mask_storeu_epi8(p, first_lanes(n), codes);
  }
}
NNEFRUN_INLINE I32 flip_codes(I32 v, uint8_t flip) { return _mm512_xor_si512(v, _mm512_set1_epi32(flip)); }

// Both bounds and the flip, for bytes.
struct Bounds {
  __m512i low, high, flip;
};
NNEFRUN_INLINE Bounds bounds_of(int low, int high, uint8_t flip) {
  return {_mm512_set1_epi8(static_cast<char>(low)), _mm512_set1_epi8(static_cast<char>(high)),
          _mm512_set1_epi8(static_cast<char>(flip))};
}
template <int V>
NNEFRUN_INLINE void store_row(uint8_t* p, const __m512i* v, const Bounds& b, int64_t n) {
  // Packing works in quarters: the columns of a quarter of each vector come to lie beside each other.
  const __m512i first = _mm512_packs_epi32(v[0], v[V > 1 ? 1 : 0]);
  const __m512i second = V > 2 ? _mm512_packs_epi32(v[V > 2 ? 2 : 0], v[V > 3 ? 3 : 0]) : first;
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m512i codes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first, second));
  codes = _mm512_xor_si512(_mm512_min_epu8(_mm512_max_epu8(codes, b.low), b.high), b.flip);
  if (n >= V * 16 && V == 1) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_castsi512_si128(codes));
  } else if (n >= V * 16 && V == 2) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(codes));
  } else if (n >= V * 16 && V == 4) {
    _mm512_storeu_si512(p, codes);
  } else {
    const int64_t count = n < V * 16 ? n : V * 16;
    _mm512_mask_storeu_epi8(p, count == 64 ? ~__mmask64{0} : (__mmask64{1} << count) - 1, codes);
  }
}
// Two rows of two vectors, whole ones.
#define NNEFRUN_STORES_TWO_ROWS
NNEFRUN_INLINE void store_two_rows(uint8_t* p, uint8_t* q, const __m512i* v, const Bounds& b) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m512i codes = _mm512_packus_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
  codes = _mm512_permutexvar_epi32(order, codes);
  codes = _mm512_xor_si512(_mm512_min_epu8(_mm512_max_epu8(codes, b.low), b.high), b.flip);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(codes));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), _mm512_extracti64x4_epi64(codes, 1));
}
// Of products below 2^22: rounded once, by the multiply-add.
NNEFRUN_INLINE I32 round_narrow(I32 v, F32 scale, I32 offset) {
  const __m512 moved = _mm512_fmadd_ps(_mm512_cvtepi32_ps(v), scale, _mm512_set1_ps(0x1.8p23F));
  return _mm512_add_epi32(_mm512_castps_si512(moved), offset);
}

// The product with the scale is exact inside the multiply-add, and 1.5 * 2^52 leaves an integer in the low
// half.
NNEFRUN_INLINE I32 round_exact(I32 v, double scale) {
  const __m512d factor = _mm512_set1_pd(scale), magic = _mm512_set1_pd(0x1.8p52);
  const __m512d low = _mm512_fmadd_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(v)), factor, magic);
  const __m512d high = _mm512_fmadd_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(v, 1)), factor, magic);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return _mm512_permutex2var_epi32(_mm512_castpd_si512(low), even, _mm512_castpd_si512(high));
}
NNEFRUN_INLINE I32 round_f32(I32 v, const float* scales) {
  return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_loadu_ps(scales)));
}

NNEFRUN_INLINE F32 to_f32(I32 v) { return _mm512_cvtepi32_ps(v); }
NNEFRUN_INLINE I32 round_to_i32(F32 v) { return _mm512_cvtps_epi32(v); }
NNEFRUN_INLINE F32 set_f32(float x) { return _mm512_set1_ps(x); }
NNEFRUN_INLINE F32 load_f32(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
NNEFRUN_INLINE void store_f32(float* p, F32 v, int64_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
NNEFRUN_INLINE F32 add_f32(F32 a, F32 b) { return _mm512_add_ps(a, b); }
NNEFRUN_INLINE F32 sub_f32(F32 a, F32 b) { return _mm512_sub_ps(a, b); }
NNEFRUN_INLINE F32 mul_f32(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
NNEFRUN_INLINE F32 div_f32(F32 a, F32 b) { return _mm512_div_ps(a, b); }
NNEFRUN_INLINE F32 quotient(F32 a, F32 divisor, F32 reciprocal) {
  const __m512 near = _mm512_mul_ps(a, reciprocal);
  return _mm512_fmadd_ps(_mm512_fnmadd_ps(near, divisor, a), reciprocal, near);
}
NNEFRUN_INLINE F32 min_f32(F32 a, F32 b) { return _mm512_min_ps(a, b); }
NNEFRUN_INLINE F32 max_f32(F32 a, F32 b) { return _mm512_max_ps(a, b); }
NNEFRUN_INLINE F32 zero_of_nan(F32 v) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), v); }

NNEFRUN_INLINE int32_t sum_bytes(const uint8_t* p, int64_t n) {
  __m512i sum = _mm512_setzero_si512();
  for (int64_t i = 0; i < n; i += 64) {
    const __mmask64 mask = n - i >= 64 ? ~__mmask64{0} : (__mmask64{1} << (n - i)) - 1;
    sum =
        _mm512_add_epi64(sum, _mm512_sad_epu8(_mm512_maskz_loadu_epi8(mask, p + i), _mm512_setzero_si512()));
  }
  return static_cast<int32_t>(_mm512_reduce_add_epi64(sum));
}

NNEFRUN_INLINE void add_reals(const uint8_t* x, int64_t rows, int64_t stride, int64_t n, I32 minus_zero,
                              F32 factor, double* y) {
  const __mmask16 mask = first_lanes(n);
  const __mmask8 low_mask = static_cast<__mmask8>(mask), high_mask = static_cast<__mmask8>(mask >> 8);
  __m512d low = _mm512_maskz_loadu_pd(low_mask, y), high = _mm512_maskz_loadu_pd(high_mask, y + 8);
  for (int64_t r = 0; r < rows; ++r) {
    const __m512 real = _mm512_mul_ps(
        _mm512_cvtepi32_ps(_mm512_add_epi32(load_codes(x + r * stride, n), minus_zero)), factor);
    low = _mm512_add_pd(low, _mm512_cvtps_pd(_mm512_castps512_ps256(real)));
    high = _mm512_add_pd(high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(real, 1)));
  }
  _mm512_mask_storeu_pd(y, low_mask, low);
  _mm512_mask_storeu_pd(y + 8, high_mask, high);
}

NNEFRUN_INLINE void widen_codes(const uint8_t* p, int16_t* out, int64_t n) {
  for (int64_t i = 0; i < n; i += 32) {
    const __mmask32 mask = n - i >= 32 ? ~__mmask32{0} : (__mmask32{1} << (n - i)) - 1;
    _mm512_mask_storeu_epi16(out + i, mask, _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, p + i)));
  }
}

}  // namespace
}  // namespace nnefrun::kernels
