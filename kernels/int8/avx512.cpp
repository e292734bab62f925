#define NNEFRUN_ISA avx512
#include "kernels/int8/ops_avx512.h"

// Pairs of 16-bit numbers: exact, where 8-bit pairs would saturate.
namespace nnefrun::kernels {
namespace {

constexpr int kGroup = 2;
constexpr bool kWidens = true;
constexpr int kOffset = 0, kSlack = 0;
typedef __m512i W;
typedef __m512i A;

NNEFRUN_INLINE W load_w(const int8_t* p) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
NNEFRUN_INLINE A repeat_a(const int16_t* p) {
  int32_t pair = 0;
  memcpy(&pair, p, sizeof pair);
  return _mm512_set1_epi32(pair);
}
NNEFRUN_INLINE I32 dot(I32 acc, A a, W w) { return _mm512_add_epi32(acc, _mm512_madd_epi16(a, w)); }
NNEFRUN_INLINE I32 mul_add16(I32 acc, I32 x, I32 w) { return _mm512_add_epi32(acc, _mm512_madd_epi16(x, w)); }

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/int8/body.h"
