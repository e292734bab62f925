#define NNEFRUN_ISA avxvnni
#include "kernels/int8/ops_avx2.h"

namespace nnefrun::kernels {
namespace {

constexpr int kGroup = 4;
constexpr bool kWidens = false;
constexpr int kOffset = 0, kSlack = 0;
typedef __m256i W;
typedef __m256i A;

NNEFRUN_INLINE W load_w(const int8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
NNEFRUN_INLINE A repeat_a(const uint8_t* p) {
  int32_t four = 0;
  memcpy(&four, p, sizeof four);
  return _mm256_set1_epi32(four);
}
NNEFRUN_INLINE I32 dot(I32 acc, A a, W w) { return _mm256_dpbusd_avx_epi32(acc, a, w); }
NNEFRUN_INLINE I32 mul_add16(I32 acc, I32 x, I32 w) { return _mm256_dpwssd_avx_epi32(acc, x, w); }

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/int8/body.h"
