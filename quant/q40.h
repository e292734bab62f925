// Q4_0: blocks of 32 values of 4 bits with one scale (tract-opl 3.2; the block of GGML).
//
//   byte   0     1     2        3        ...  17
//        +-----+-----+--------+--------+---+--------+
//        |  d (f16)  | 16 | 0 | 17 | 1 |...| 31 |15 |     value i = (q[i] - 8) * d,  q[i] in 0..15
//        +-----+-----+--------+--------+---+--------+
//                      high low                           byte 2 + j: element j low, element j + 16 high
//
// This order (item type 0x3040 in files) is the only one in memory. The legacy order of tract (0x2040) has
// element 2j in the low and 2j + 1 in the high nibble of byte 2 + j; it is turned when a file is read.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/half.h"

namespace nnefrun {

inline constexpr int kQ40Items = 32;

struct BlockQ40 {
  uint16_t d;     // f16 bits, in the machine's order
  uint8_t q[16];  // two codes each
};
static_assert(sizeof(BlockQ40) == 18 && alignof(BlockQ40) == 2);

// 0 to 15. REQUIRES: 0 <= i < 32.
inline int q40_code(const BlockQ40& block, int i) { return i < 16 ? block.q[i] & 15 : block.q[i - 16] >> 4; }

// Multiplied in f32. `out` has 32 * blocks items.
inline void dequantize_q40(const BlockQ40* in, size_t blocks, float* out) {
  for (size_t b = 0; b < blocks; ++b) {
    const float d = float_from_half_bits(in[b].d);
    for (int j = 0; j < 16; ++j) {
      out[32 * b + static_cast<size_t>(j)] = static_cast<float>((in[b].q[j] & 15) - 8) * d;
      out[32 * b + 16 + static_cast<size_t>(j)] = static_cast<float>((in[b].q[j] >> 4) - 8) * d;
    }
  }
}

// As tract does: the item of largest magnitude (the first one on ties) gets the code 0, so d = M / -8. Codes
// are min(15, trunc(x * (1 / d) + 8.5)) with the unrounded d; only the stored d is rounded to f16. NaN gets
// the code 0.
inline void quantize_q40(const float* in, size_t blocks, BlockQ40* out) {
  for (size_t b = 0; b < blocks; ++b) {
    const float* x = in + 32 * b;
    float extreme = 0;
    for (int i = 0; i < kQ40Items; ++i) {
      if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
    }
    const float d = extreme / -8.0F;
    const float reciprocal = d == 0.0F ? 0.0F : 1.0F / d;
    const auto code = [&](int i) {
      const float scaled = x[i] * reciprocal + 8.5F;
      return scaled > 0.0F ? static_cast<int>(std::min(scaled, 15.0F)) : 0;
    };
    out[b].d = half_bits_from_float(d);
    for (int j = 0; j < 16; ++j) out[b].q[j] = static_cast<uint8_t>(code(j) | (code(j + 16) << 4));
  }
}

// From tract's legacy nibble order, and back; `block` may be the same object as the result.
inline BlockQ40 q40_from_legacy(const BlockQ40& block) {
  const auto element = [&](int e) { return (block.q[e / 2] >> (4 * (e % 2))) & 15; };
  BlockQ40 out{block.d, {}};
  for (int j = 0; j < 16; ++j) out.q[j] = static_cast<uint8_t>(element(j) | (element(j + 16) << 4));
  return out;
}
inline BlockQ40 q40_to_legacy(const BlockQ40& block) {
  BlockQ40 out{block.d, {}};
  for (int j = 0; j < 16; ++j) {
    out.q[j] = static_cast<uint8_t>(q40_code(block, 2 * j) | (q40_code(block, 2 * j + 1) << 4));
  }
  return out;
}

}  // namespace nnefrun
