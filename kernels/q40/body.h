// The exact rows of q40.h, written once over the vector of kernels/vec.h. An ISA file defines, before it
// includes this:
//
//   weight<N>(I codes)    code N of each lane (bits 4 N to 4 N + 3) minus 8, as floats
//   kRows, kCols          the register tile for several rows: rows, vectors of a panel
//   kVectorCols, kChains  for one row: vectors of a panel, and sums in flight for each of them
//   kFewRows              see Q40Kernels
#pragma once

#include "kernels/q40/panel_body.h"

namespace nnefrun::kernels {
namespace {

// The depth, of eight, that code N of a lane belongs to.
constexpr int depth_of(int code) { return code / 2 + (code % 2) * 4; }

template <int kCode, int kR, int kC, int kN>
NNEFRUN_INLINE void multiply_code(V (&part)[kN][kR][kC], const I (&codes)[kC], const float* x, int64_t stride,
                                  bool first) {
  constexpr int chain = kCode % kN;
  V w[kC];
  NNEFRUN_UNROLL
  for (int q = 0; q < kC; ++q) w[q] = weight<kCode>(codes[q]);
  NNEFRUN_UNROLL
  for (int r = 0; r < kR; ++r) {
    const V xv = vset(x[r * stride + depth_of(kCode)]);
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) {
      part[chain][r][q] = first && kCode < kN ? w[q] * xv : vfma(w[q], xv, part[chain][r][q]);
    }
  }
}

// kR rows against kC vectors of one panel, the first of which is `vector`.
template <int kR, int kC, int kN>
NNEFRUN_INLINE void multiply_tile(const Q40Tile& t, const uint8_t* panel, int64_t row, int vector,
                                  int64_t column) {
  constexpr int kBytes = kLanes * 4;
  const float* x = t.x + row * t.x_row_stride;
  const int64_t stride = t.x_row_stride;
  const uint8_t* w = panel + vector * kLanes * 2;
  const uint8_t* c = panel + kQ40PanelCodes + vector * kBytes;
  V sum[kR][kC];
  NNEFRUN_UNROLL
  for (int r = 0; r < kR; ++r) {
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) sum[r][q] = vset(0.0F);
  }
  for (int64_t b = 0; b < t.blocks; ++b) {
    V part[kN][kR][kC];
    NNEFRUN_UNROLL
    for (int d = 0; d < 4; ++d) {
      I codes[kC];
      NNEFRUN_UNROLL
      for (int q = 0; q < kC; ++q) codes[q] = load_codes(c + d * kQ40PanelDepths + q * kBytes);
      if (vector == 0) {
        __builtin_prefetch(w + kAhead + d * 128);
        __builtin_prefetch(w + kAhead + d * 128 + 64);
      }
      const float* at = x + d * 8;
      multiply_code<0>(part, codes, at, stride, d == 0);
      multiply_code<1>(part, codes, at, stride, d == 0);
      multiply_code<2>(part, codes, at, stride, d == 0);
      multiply_code<3>(part, codes, at, stride, d == 0);
      multiply_code<4>(part, codes, at, stride, d == 0);
      multiply_code<5>(part, codes, at, stride, d == 0);
      multiply_code<6>(part, codes, at, stride, d == 0);
      multiply_code<7>(part, codes, at, stride, d == 0);
    }
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) {
      const V scale = load_scales(w + q * kLanes * 2);
      NNEFRUN_UNROLL
      for (int r = 0; r < kR; ++r) {
        const V all = kN == 1 ? part[0][r][q] : part[0][r][q] + part[kN - 1][r][q];
        sum[r][q] = vfma(all, scale, sum[r][q]);
      }
    }
    x += 32;
    w += kQ40PanelBlock;
    c += kQ40PanelBlock;
  }
  store_sums(t, sum, row, vector, column);
}

template <int kR>
NNEFRUN_INLINE void multiply_rows(const Q40Tile& t, const uint8_t* panel, int64_t row, int vector,
                                  int64_t column) {
  multiply_tile<kR, kR == 1 ? kVectorCols : kCols, kR == 1 ? kChains : 1>(t, panel, row, vector, column);
}

template <int kCode>
NNEFRUN_INLINE void decode_code(const Q40Decode& d, I codes, V scale, float* to) {
  vstore(to + depth_of(kCode) * d.depth_stride, weight<kCode>(codes) * scale);
}
void decode(const Q40Decode& d) {
  const uint8_t* w = d.w;
  float* dst = d.dst;
  for (int64_t b = 0; b < d.blocks; ++b, w += kQ40PanelBlock, dst += 32 * d.depth_stride) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const int64_t column = v * kLanes;
      const V scale = load_scales(w + column * 2);
      float* to = dst + column / d.group * d.group_stride + column % d.group;
      for (int eight = 0; eight < 4; ++eight, to += 8 * d.depth_stride) {
        const I codes = load_codes(w + kQ40PanelCodes + eight * kQ40PanelDepths + column * 4);
        decode_code<0>(d, codes, scale, to);
        decode_code<1>(d, codes, scale, to);
        decode_code<2>(d, codes, scale, to);
        decode_code<3>(d, codes, scale, to);
        decode_code<4>(d, codes, scale, to);
        decode_code<5>(d, codes, scale, to);
        decode_code<6>(d, codes, scale, to);
        decode_code<7>(d, codes, scale, to);
      }
    }
  }
}

}  // namespace

extern const Q40Kernels NNEFRUN_TABLE(q40);
const Q40Kernels NNEFRUN_TABLE(q40) = {
    NNEFRUN_STRING(NNEFRUN_ISA), isa::NNEFRUN_ISA, true, kFewRows, multiply, decode,
};

}  // namespace nnefrun::kernels
