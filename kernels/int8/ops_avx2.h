// The vector operations of body.h in AVX2 with FMA: eight columns.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

constexpr int kIsaLanes = 8, kDepthwise = 2;
constexpr int kRows = 6, kVectors = 2;
typedef __m256i I32;
typedef __m256 F32;

NNEFRUN_INLINE I32 load_i32(const int32_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
NNEFRUN_INLINE I32 load_i16(const int16_t* p) {
  return _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
NNEFRUN_INLINE void store_i32(int32_t* p, I32 v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
NNEFRUN_INLINE I32 set_i32(int32_t x) { return _mm256_set1_epi32(x); }
NNEFRUN_INLINE I32 add_i32(I32 a, I32 b) { return _mm256_add_epi32(a, b); }
NNEFRUN_INLINE I32 min_i32(I32 a, I32 b) { return _mm256_min_epi32(a, b); }
NNEFRUN_INLINE I32 max_i32(I32 a, I32 b) { return _mm256_max_epi32(a, b); }

NNEFRUN_INLINE I32 load_codes(const uint8_t* p, int64_t n) {
  int64_t bytes = 0;
  if (n >= 8) {
    memcpy(&bytes, p, 8);
  } else if (n == 4) {
    int32_t four = 0;
    memcpy(&four, p, 4);
    bytes = four;
  } else {
    memcpy(&bytes, p, static_cast<size_t>(n));
  }
  return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes));
}
NNEFRUN_INLINE void store_codes(uint8_t* p, I32 v, uint8_t flip, int64_t n) {
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i codes = _mm_xor_si128(_mm_packus_epi16(words, words), _mm_set1_epi8(static_cast<char>(flip)));
  const int64_t bytes = _mm_cvtsi128_si64(codes);
  memcpy(p, &bytes, n >= 8 ? 8 : static_cast<size_t>(n));
}
NNEFRUN_INLINE I32 flip_codes(I32 v, uint8_t flip) { return _mm256_xor_si256(v, _mm256_set1_epi32(flip)); }

// Both bounds and the flip, for bytes.
struct Bounds {
  __m128i low, high, flip;
};
NNEFRUN_INLINE Bounds bounds_of(int low, int high, uint8_t flip) {
  return {_mm_set1_epi8(static_cast<char>(low)), _mm_set1_epi8(static_cast<char>(high)),
          _mm_set1_epi8(static_cast<char>(flip))};
}
template <int V>
NNEFRUN_INLINE void store_row(uint8_t* p, const __m256i* v, const Bounds& b, int64_t n) {
  const __m256i words = _mm256_packs_epi32(v[0], v[V > 1 ? 1 : 0]);
  const __m256i halves = _mm256_packus_epi16(words, words);
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5);
  __m128i codes = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(halves, order));
  codes = _mm_xor_si128(_mm_min_epu8(_mm_max_epu8(codes, b.low), b.high), b.flip);
  if (V == 2 && n >= 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), codes);
  } else if (n >= 8) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), codes);
    const int64_t rest = _mm_extract_epi64(codes, 1);
    if (V == 2 && n > 8) memcpy(p + 8, &rest, static_cast<size_t>(n - 8));
  } else {
    const int64_t bytes = _mm_cvtsi128_si64(codes);
    memcpy(p, &bytes, static_cast<size_t>(n));
  }
}
// Of products below 2^22: rounded once, by the multiply-add.
NNEFRUN_INLINE I32 round_narrow(I32 v, F32 scale, I32 offset) {
  const __m256 moved = _mm256_fmadd_ps(_mm256_cvtepi32_ps(v), scale, _mm256_set1_ps(0x1.8p23F));
  return _mm256_add_epi32(_mm256_castps_si256(moved), offset);
}

// The product with the scale is exact inside the multiply-add, and 1.5 * 2^52 leaves an integer in the low
// half.
NNEFRUN_INLINE I32 round_exact(I32 v, double scale) {
  const __m256d factor = _mm256_set1_pd(scale), magic = _mm256_set1_pd(0x1.8p52);
  const __m256d low = _mm256_fmadd_pd(_mm256_cvtepi32_pd(_mm256_castsi256_si128(v)), factor, magic);
  const __m256d high = _mm256_fmadd_pd(_mm256_cvtepi32_pd(_mm256_extracti128_si256(v, 1)), factor, magic);
  const __m256 even = _mm256_shuffle_ps(_mm256_castpd_ps(low), _mm256_castpd_ps(high), 0x88);
  return _mm256_permute4x64_epi64(_mm256_castps_si256(even), 0xD8);
}
NNEFRUN_INLINE I32 round_f32(I32 v, const float* scales) {
  return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(v), _mm256_loadu_ps(scales)));
}

NNEFRUN_INLINE F32 to_f32(I32 v) { return _mm256_cvtepi32_ps(v); }
NNEFRUN_INLINE I32 round_to_i32(F32 v) { return _mm256_cvtps_epi32(v); }
NNEFRUN_INLINE F32 set_f32(float x) { return _mm256_set1_ps(x); }
NNEFRUN_INLINE __m256i first_lanes(int64_t n) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n < 8 ? n : 8)), index);
}
NNEFRUN_INLINE F32 load_f32(const float* p, int64_t n) {
  return n >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first_lanes(n));
}
NNEFRUN_INLINE void store_f32(float* p, F32 v, int64_t n) {
  if (n >= 8) {
    _mm256_storeu_ps(p, v);
  } else {
    _mm256_maskstore_ps(p, first_lanes(n), v);
  }
}
NNEFRUN_INLINE F32 add_f32(F32 a, F32 b) { return _mm256_add_ps(a, b); }
NNEFRUN_INLINE F32 sub_f32(F32 a, F32 b) { return _mm256_sub_ps(a, b); }
NNEFRUN_INLINE F32 mul_f32(F32 a, F32 b) { return _mm256_mul_ps(a, b); }
NNEFRUN_INLINE F32 div_f32(F32 a, F32 b) { return _mm256_div_ps(a, b); }
NNEFRUN_INLINE F32 quotient(F32 a, F32 divisor, F32 reciprocal) {
  const __m256 near = _mm256_mul_ps(a, reciprocal);
  return _mm256_fmadd_ps(_mm256_fnmadd_ps(near, divisor, a), reciprocal, near);
}
NNEFRUN_INLINE F32 min_f32(F32 a, F32 b) { return _mm256_min_ps(a, b); }
NNEFRUN_INLINE F32 max_f32(F32 a, F32 b) { return _mm256_max_ps(a, b); }
NNEFRUN_INLINE F32 zero_of_nan(F32 v) { return _mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q)); }

NNEFRUN_INLINE int32_t sum_bytes(const uint8_t* p, int64_t n) {
  __m256i sum = _mm256_setzero_si256();
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + i));
    sum = _mm256_add_epi64(sum, _mm256_sad_epu8(v, _mm256_setzero_si256()));
  }
  const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  int64_t total = _mm_cvtsi128_si64(half) + _mm_extract_epi64(half, 1);
  for (; i < n; ++i) total += p[i];
  return static_cast<int32_t>(total);
}

NNEFRUN_INLINE void add_reals(const uint8_t* x, int64_t rows, int64_t stride, int64_t n, I32 minus_zero,
                              F32 factor, double* y) {
  double lanes[8] = {};
  const int64_t count = n < 8 ? n : 8;
  for (int64_t i = 0; i < count; ++i) lanes[i] = y[i];
  __m256d low = _mm256_loadu_pd(lanes), high = _mm256_loadu_pd(lanes + 4);
  for (int64_t r = 0; r < rows; ++r) {
    const __m256 real = _mm256_mul_ps(
        _mm256_cvtepi32_ps(_mm256_add_epi32(load_codes(x + r * stride, n), minus_zero)), factor);
    low = _mm256_add_pd(low, _mm256_cvtps_pd(_mm256_castps256_ps128(real)));
    high = _mm256_add_pd(high, _mm256_cvtps_pd(_mm256_extractf128_ps(real, 1)));
  }
  _mm256_storeu_pd(lanes, low);
  _mm256_storeu_pd(lanes + 4, high);
  for (int64_t i = 0; i < count; ++i) y[i] = lanes[i];
}

NNEFRUN_INLINE void widen_codes(const uint8_t* p, int16_t* out, int64_t n) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), wide);
  }
  for (; i < n; ++i) out[i] = p[i];
}

}  // namespace
}  // namespace nnefrun::kernels
