#define NNEFRUN_ISA neon
#include "kernels/int8/ops_neon.h"

// 16-bit numbers, multiplied and added into 32 bits.
namespace nnefrun::kernels {
namespace {

constexpr int kGroup = 4, kRows = 4, kVectors = 2;
constexpr bool kWidens = true;
constexpr int kOffset = 0, kSlack = 0;
struct W {
  int16x8_t of[4];  // of each item of the group
};
typedef int16x4_t A;

NNEFRUN_INLINE W load_w(const int8_t* p) {
  const int8x8x4_t items = vld4_s8(p);
  return {{vmovl_s8(items.val[0]), vmovl_s8(items.val[1]), vmovl_s8(items.val[2]), vmovl_s8(items.val[3])}};
}
NNEFRUN_INLINE A repeat_a(const int16_t* p) { return vld1_s16(p); }
NNEFRUN_INLINE I32 dot(I32 acc, A a, const W& w) {
  acc.low = vmlal_lane_s16(acc.low, vget_low_s16(w.of[0]), a, 0);
  acc.high = vmlal_high_lane_s16(acc.high, w.of[0], a, 0);
  acc.low = vmlal_lane_s16(acc.low, vget_low_s16(w.of[1]), a, 1);
  acc.high = vmlal_high_lane_s16(acc.high, w.of[1], a, 1);
  acc.low = vmlal_lane_s16(acc.low, vget_low_s16(w.of[2]), a, 2);
  acc.high = vmlal_high_lane_s16(acc.high, w.of[2], a, 2);
  acc.low = vmlal_lane_s16(acc.low, vget_low_s16(w.of[3]), a, 3);
  acc.high = vmlal_high_lane_s16(acc.high, w.of[3], a, 3);
  return acc;
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/int8/body.h"
