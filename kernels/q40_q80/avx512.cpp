#define NNEFRUN_ISA avx512
#include "kernels/vec/avx512.h"

namespace nnefrun::kernels {
namespace {

constexpr int kRows = 4, kCols = 2, kVectorCols = 2;

typedef I Sums;
NNEFRUN_INLINE Sums sums_zero() { return _mm512_setzero_si512(); }
NNEFRUN_INLINE I codes_low(I codes) { return iand(codes, iset(0x0F0F0F0F)); }
NNEFRUN_INLINE I codes_high(I codes) { return iand(_mm512_srli_epi16(codes, 4), iset(0x0F0F0F0F)); }
// Pairs of products are at most 2 * 15 * 128 = 3840, so eight of them are added in 16 bits and nothing
// saturates.
NNEFRUN_INLINE Sums sums_dot(Sums s, I u, I q) { return _mm512_add_epi16(s, _mm512_maddubs_epi16(u, q)); }
NNEFRUN_INLINE I sums_total(Sums s) { return _mm512_madd_epi16(s, _mm512_set1_epi16(1)); }

NNEFRUN_INLINE void store_bytes(int8_t* to, const I* whole) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(whole[0]));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 16), _mm512_cvtepi32_epi8(whole[1]));
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/q40_q80/body.h"
