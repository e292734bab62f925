#define NNEFRUN_ISA amx_int8
#define NNEFRUN_OWN_PRODUCT "kernels/int8/amx_product.inc"
#define NNEFRUN_INT8_TILE 8, 2
#define NNEFRUN_DEPTHWISE_DOTS "kernels/int8/depthwise_dots.inc"
#include "kernels/int8/ops_avx512.h"

namespace nnefrun::kernels {
namespace {

constexpr int kGroup = 4;
constexpr bool kWidens = false;
constexpr int kOffset = 0, kSlack = 0;

typedef __m512i W;
typedef __m512i A;

NNEFRUN_INLINE W load_w(const int8_t* p) { return _mm512_loadu_si512(p); }
NNEFRUN_INLINE A repeat_a(const uint8_t* p) {
  int32_t four = 0;
  memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}
NNEFRUN_INLINE I32 dot(I32 acc, A a, W w) { return _mm512_dpbusd_epi32(acc, a, w); }
NNEFRUN_INLINE I32 mul_add16(I32 acc, I32 x, I32 w) { return _mm512_dpwssd_epi32(acc, x, w); }
NNEFRUN_INLINE void copy_codes(const uint8_t* p, uint8_t* out, int64_t n) {
  for (int64_t i = 0; i < n; i += 64) {
    const __mmask64 mask = n - i >= 64 ? ~__mmask64{0} : (__mmask64{1} << (n - i)) - 1;
    _mm512_mask_storeu_epi8(out + i, mask, _mm512_maskz_loadu_epi8(mask, p + i));
  }
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/int8/body.h"
