#define NNEFRUN_ISA avx2
#include "kernels/vec/avx2.h"

namespace nnefrun::kernels {
namespace {

constexpr int kRows = 4, kCols = 1, kVectorCols = 2;

typedef I Sums;
NNEFRUN_INLINE Sums sums_zero() { return _mm256_setzero_si256(); }
NNEFRUN_INLINE I codes_low(I codes) { return iand(codes, iset(0x0F0F0F0F)); }
NNEFRUN_INLINE I codes_high(I codes) { return iand(_mm256_srli_epi16(codes, 4), iset(0x0F0F0F0F)); }
// Pairs of products are at most 2 * 15 * 128 = 3840, so eight of them are added in 16 bits and nothing
// saturates.
NNEFRUN_INLINE Sums sums_dot(Sums s, I u, I q) { return _mm256_add_epi16(s, _mm256_maddubs_epi16(u, q)); }
NNEFRUN_INLINE I sums_total(Sums s) { return _mm256_madd_epi16(s, _mm256_set1_epi16(1)); }

NNEFRUN_INLINE void store_bytes(int8_t* to, const I* whole) {
  const I packed =
      _mm256_packs_epi16(_mm256_packs_epi32(whole[0], whole[1]), _mm256_packs_epi32(whole[2], whole[3]));
  const I order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // packing goes by halves
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(packed, order));
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/q40_q80/body.h"
