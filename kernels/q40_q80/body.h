// The fast rows of kernels/q40/q40.h, written once. An ISA file includes one of vec/*.h and defines:
//
//   Sums                          sums of products in each 32-bit lane
//   sums_zero()
//   sums_dot(s, I u, I q)         s + the products of the four bytes of each lane: u 0 ... 15, q signed. At
//   most
//                                 8 such steps between zero and total
//   sums_total(s) -> I            32-bit sums
//   codes_low(I), codes_high(I)   the low and high half of each byte
//   kRows, kCols, kVectorCols     the register tile for several rows; vectors of a panel for one row
#pragma once

#include "kernels/q40/panel_body.h"
#include "kernels/q40_q80/quantize.h"

namespace nnefrun::kernels {
namespace {

NNEFRUN_INLINE I four_activations(const int8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  return iset(four);
}

template <int kR, int kC>
NNEFRUN_INLINE void multiply_tile(const Q40Tile& t, const uint8_t* panel, int64_t row, int vector,
                                  int64_t column) {
  constexpr int kBytes = kLanes * 4;
  const ActivationQ80* x = t.activations + row * t.blocks;
  const uint8_t* w = panel + vector * kLanes * 2;
  const uint8_t* c = panel + kQ40PanelCodes + vector * kBytes;
  V sum[kR][kC];
  NNEFRUN_UNROLL
  for (int r = 0; r < kR; ++r) {
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) sum[r][q] = vset(0.0F);
  }
  for (int64_t b = 0; b < t.blocks; ++b) {
    Sums part[kR][kC];
    NNEFRUN_UNROLL
    for (int r = 0; r < kR; ++r) {
      NNEFRUN_UNROLL
      for (int q = 0; q < kC; ++q) part[r][q] = sums_zero();
    }
    if (vector == 0) {
      NNEFRUN_UNROLL
      for (int line = 0; line < 9; ++line) __builtin_prefetch(w + kAhead + line * 64);
    }
    NNEFRUN_UNROLL
    for (int d = 0; d < 4; ++d) {
      I low[kC], high[kC];
      NNEFRUN_UNROLL
      for (int q = 0; q < kC; ++q) {
        const I codes = load_codes(c + d * kQ40PanelDepths + q * kBytes);
        low[q] = codes_low(codes);
        high[q] = codes_high(codes);
      }
      NNEFRUN_UNROLL
      for (int r = 0; r < kR; ++r) {
        const int8_t* codes = x[r * t.blocks].q + d * 8;
        const I first = four_activations(codes), second = four_activations(codes + 4);
        NNEFRUN_UNROLL
        for (int q = 0; q < kC; ++q) {
          part[r][q] = sums_dot(sums_dot(part[r][q], low[q], first), high[q], second);
        }
      }
    }
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) {
      const V scale = load_scales(w + q * kLanes * 2);
      NNEFRUN_UNROLL
      for (int r = 0; r < kR; ++r) {
        const ActivationQ80& a = x[r * t.blocks];
        const V dots = vfrom_int(iadd(sums_total(part[r][q]), iset(a.minus_8_sum)));
        sum[r][q] = vfma(dots, scale * vset(a.d), sum[r][q]);
      }
    }
    ++x;
    w += kQ40PanelBlock;
    c += kQ40PanelBlock;
  }
  store_sums(t, sum, row, vector, column);
}

template <int kR>
NNEFRUN_INLINE void multiply_rows(const Q40Tile& t, const uint8_t* panel, int64_t row, int vector,
                                  int64_t column) {
  multiply_tile<kR, kR == 1 ? kVectorCols : kCols>(t, panel, row, vector, column);
}

}  // namespace

extern const Q40Q80Kernels NNEFRUN_TABLE(q40_q80);
const Q40Q80Kernels NNEFRUN_TABLE(q40_q80) = {
    NNEFRUN_STRING(NNEFRUN_ISA), isa::NNEFRUN_ISA, true, kQ40Panel, multiply, quantize, nullptr,
};

}  // namespace nnefrun::kernels
