#define NNEFRUN_ISA neon
#include "kernels/vec/neon.h"

namespace nnefrun::kernels {
namespace {

constexpr int kRows = 4, kCols = 2, kVectorCols = 4, kChains = 1;
constexpr int kFewRows = 12;

// The bytes of sixteen floats: a look-up by the four places of each code.
typedef uint8x16x4_t Table;
NNEFRUN_INLINE Table load_table(const float* book) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(book);
  return {{vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32), vld1q_u8(bytes + 48)}};
}
NNEFRUN_INLINE V look_up(const Table& table, I codes) {
  const I code = iand(codes, iset(15));
  const I places = vaddq_s32(vmulq_s32(code, iset(0x04040404)), iset(0x03020100));
  return vreinterpretq_f32_u8(vqtbl4q_u8(table, vreinterpretq_u8_s32(places)));
}
NNEFRUN_INLINE V look_up_far(const float* book, I codes) {
  const float four[4] = {book[vgetq_lane_s32(codes, 0)], book[vgetq_lane_s32(codes, 1)],
                         book[vgetq_lane_s32(codes, 2)], book[vgetq_lane_s32(codes, 3)]};
  return vload(four);
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/groups/body.h"
