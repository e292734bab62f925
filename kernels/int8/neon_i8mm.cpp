#define NNEFRUN_ISA neon_i8mm
#include "kernels/int8/ops_neon.h"

// Dot products of unsigned with signed bytes.
namespace nnefrun::kernels {
namespace {

constexpr int kGroup = 4, kRows = 6, kVectors = 2;
constexpr bool kWidens = false;
constexpr int kOffset = 0, kSlack = 0;
struct W {
  int8x16_t low, high;
};
typedef uint8x16_t A;

NNEFRUN_INLINE W load_w(const int8_t* p) { return {vld1q_s8(p), vld1q_s8(p + 16)}; }
NNEFRUN_INLINE A repeat_a(const uint8_t* p) {
  uint32_t four = 0;
  memcpy(&four, p, sizeof four);
  return vreinterpretq_u8_u32(vdupq_n_u32(four));
}
NNEFRUN_INLINE I32 dot(I32 acc, A a, const W& w) {
  return {vusdotq_s32(acc.low, a, w.low), vusdotq_s32(acc.high, a, w.high)};
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/int8/body.h"
