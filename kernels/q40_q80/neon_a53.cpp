// The row for in-order cores, the Cortex-A53 above all: weights in panels of 8 columns, activations in fours,
// loops in assembly in an order made for it (kernels/schedule_a53_q40.py draws the layouts).
#define NNEFRUN_ISA neon_a53
#include "kernels/vec/neon.h"

namespace nnefrun::kernels {
namespace {

NNEFRUN_INLINE void store_bytes(int8_t* to, const I* whole) {
  for (int i = 0; i < 4; ++i) {
    const int16x8_t eight = vcombine_s16(vmovn_s32(whole[2 * i]), vmovn_s32(whole[2 * i + 1]));
    vst1_s8(to + 8 * i, vmovn_s16(eight));
  }
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/q40_q80/quantize.h"

namespace nnefrun::kernels {
namespace {

#include "kernels/q40_q80/neon_a53_loops.inc"

constexpr int64_t kPanel = 8, kFour = 4;
constexpr int64_t kPanelBlock = kPanel * 18;
constexpr int64_t kFourBlock = 160, kOneBlock = 64;

// The loops read one block of activations more than there is.
int64_t workspace(int64_t rows, int64_t blocks) {
  return rows == 1 ? (blocks + 1) * kOneBlock : (rows + kFour - 1) / kFour * (blocks + 1) * kFourBlock;
}

void four_copies(const void* item, uint8_t* to) {
  for (int i = 0; i < 4; ++i) __builtin_memcpy(to + 4 * i, item, 4);
}
// Rows that are missing are zeros.
void arrange(const Q40Tile& t, uint8_t* to) {
  if (t.rows == 1) {
    for (int64_t b = 0; b < t.blocks; ++b, to += kOneBlock) {
      const ActivationQ80& a = t.activations[b];
      __builtin_memcpy(to, a.q, 32);
      four_copies(&a.d, to + 32);
      four_copies(&a.minus_8_sum, to + 48);
    }
    return;
  }
  for (int64_t row = 0; row < t.rows; row += kFour) {
    for (int64_t b = 0; b < t.blocks; ++b, to += kFourBlock) {
      for (int64_t r = 0; r < kFour; ++r) {
        if (row + r < t.rows) {
          const ActivationQ80& a = t.activations[(row + r) * t.blocks + b];
          __builtin_memcpy(to + 32 * r, a.q, 32);
          __builtin_memcpy(to + 128 + 4 * r, &a.d, 4);
          __builtin_memcpy(to + 144 + 4 * r, &a.minus_8_sum, 4);
        } else {
          __builtin_memset(to + 32 * r, 0, 32);
          __builtin_memset(to + 128 + 4 * r, 0, 4);
          __builtin_memset(to + 144 + 4 * r, 0, 4);
        }
      }
    }
    to += kFourBlock;  // read, not used
  }
}

void multiply(const Q40Tile& t) {
  arrange(t, t.workspace);
  const uint8_t* panel = t.w;
  for (int64_t column = 0; column < t.columns; column += kPanel, panel += t.blocks * kPanelBlock) {
    const int64_t columns = t.columns - column < kPanel ? t.columns - column : kPanel;
    if (t.rows == 1) {
      float sums[kPanel];
      multiply_one_row(panel, t.workspace, t.blocks, sums);
      for (int64_t j = 0; j < columns; ++j) t.c[column + j] = sums[j];
      continue;
    }
    const uint8_t* x = t.workspace;
    for (int64_t row = 0; row < t.rows; row += kFour, x += (t.blocks + 1) * kFourBlock) {
      float sums[kPanel * kFour];
      multiply_four_rows(panel, x, t.blocks, sums);
      for (int64_t r = 0; r < kFour && row + r < t.rows; ++r) {
        float* to = t.c + (row + r) * t.c_row_stride + column;
        for (int64_t j = 0; j < columns; ++j) to[j] = sums[j * kFour + r];
      }
    }
  }
}

}  // namespace

extern const Q40Q80Kernels q40_q80_neon_a53;
const Q40Q80Kernels q40_q80_neon_a53 = {
    "neon_a53", isa::neon_a53, true, kPanel, multiply, quantize, workspace,
};

}  // namespace nnefrun::kernels
