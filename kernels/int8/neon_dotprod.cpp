#define NNEFRUN_ISA neon_dotprod
#include "kernels/int8/ops_neon.h"

// Dot products of signed bytes: x - 128 instead of x.
namespace nnefrun::kernels {
namespace {

constexpr int kGroup = 4, kRows = 6, kVectors = 2;
constexpr bool kWidens = false;
constexpr int kOffset = 128, kSlack = 0;
struct W {
  int8x16_t low, high;
};
typedef int8x16_t A;

NNEFRUN_INLINE W load_w(const int8_t* p) { return {vld1q_s8(p), vld1q_s8(p + 16)}; }
NNEFRUN_INLINE A repeat_a(const uint8_t* p) {
  uint32_t four = 0;
  memcpy(&four, p, sizeof four);
  return vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080U));
}
NNEFRUN_INLINE I32 dot(I32 acc, A a, const W& w) {
  return {vdotq_s32(acc.low, w.low, a), vdotq_s32(acc.high, w.high, a)};
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/int8/body.h"
