#define NNEFRUN_ISA neon_dotprod
#include "kernels/vec/neon.h"

namespace nnefrun::kernels {
namespace {

constexpr int kRows = 4, kCols = 2, kVectorCols = 4;

typedef I Sums;
NNEFRUN_INLINE Sums sums_zero() { return vdupq_n_s32(0); }
NNEFRUN_INLINE I codes_low(I codes) { return vandq_s32(codes, vdupq_n_s32(0x0F0F0F0F)); }
NNEFRUN_INLINE I codes_high(I codes) {
  return vreinterpretq_s32_u8(vshrq_n_u8(vreinterpretq_u8_s32(codes), 4));
}
NNEFRUN_INLINE Sums sums_dot(Sums s, I u, I q) {
  return vdotq_s32(s, vreinterpretq_s8_s32(u), vreinterpretq_s8_s32(q));
}
NNEFRUN_INLINE I sums_total(Sums s) { return s; }

NNEFRUN_INLINE void store_bytes(int8_t* to, const I* whole) {
  for (int i = 0; i < 4; ++i) {
    const int16x8_t eight = vcombine_s16(vmovn_s32(whole[2 * i]), vmovn_s32(whole[2 * i + 1]));
    vst1_s8(to + 8 * i, vmovn_s16(eight));
  }
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/q40_q80/body.h"
