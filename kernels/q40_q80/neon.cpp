#define NNEFRUN_ISA neon
#include "kernels/vec/neon.h"

namespace nnefrun::kernels {
namespace {

constexpr int kRows = 4, kCols = 1, kVectorCols = 2;

// Pairs of products are at most 2 * 15 * 128 = 3840, so eight of them are added in 16 bits.
typedef struct {
  int16x8_t low, high;  // bytes 0 to 7 and 8 to 15, each a single product or a sum of them
} Sums;
NNEFRUN_INLINE Sums sums_zero() { return Sums{vdupq_n_s16(0), vdupq_n_s16(0)}; }
NNEFRUN_INLINE I codes_low(I codes) { return vandq_s32(codes, vdupq_n_s32(0x0F0F0F0F)); }
NNEFRUN_INLINE I codes_high(I codes) {
  return vreinterpretq_s32_u8(vshrq_n_u8(vreinterpretq_u8_s32(codes), 4));
}
NNEFRUN_INLINE Sums sums_dot(Sums s, I u, I q) {
  const int8x16_t a = vreinterpretq_s8_s32(u), b = vreinterpretq_s8_s32(q);
  return Sums{vmlal_s8(s.low, vget_low_s8(a), vget_low_s8(b)), vmlal_high_s8(s.high, a, b)};
}
NNEFRUN_INLINE I sums_total(Sums s) { return vpaddlq_s16(vpaddq_s16(s.low, s.high)); }

NNEFRUN_INLINE void store_bytes(int8_t* to, const I* whole) {
  for (int i = 0; i < 4; ++i) {
    const int16x8_t eight = vcombine_s16(vmovn_s32(whole[2 * i]), vmovn_s32(whole[2 * i + 1]));
    vst1_s8(to + 8 * i, vmovn_s16(eight));
  }
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/q40_q80/body.h"
