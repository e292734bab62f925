// Q8_0 and Q8_1: blocks of 32 values of 8 bits with one scale (the blocks of GGML; tract-opl 3.2 for Q8_1).
//
//   Q8_0   byte 0     1     2       ...   33
//             +-----+-----+-------+---+-------+
//             |  d (f16)  | q[0]  |...| q[31] |              value i = q[i] * d,  q[i] in -127..127
//             +-----+-----+-------+---+-------+
//
//   Q8_1   byte 0     1     2     3     4       ...   35
//             +-----+-----+-----+-----+-------+---+-------+
//             |  d (f16)  |  s (f16)  | q[0]  |...| q[31] |  s = d * sum of q: a help for products, ignored
//             in decoding
//             +-----+-----+-----+-----+-------+---+-------+
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/half.h"

namespace nnefrun {

inline constexpr int kQ80Items = 32;

struct BlockQ80 {
  uint16_t d;
  int8_t q[32];
};
static_assert(sizeof(BlockQ80) == 34 && alignof(BlockQ80) == 2);

struct BlockQ81 {
  uint16_t d;
  uint16_t s;
  int8_t q[32];
};
static_assert(sizeof(BlockQ81) == 36 && alignof(BlockQ81) == 2);

// Activations of products with Q4_0 weights. They live only inside a run, so the scale keeps all its bits.
//
//   byte 0   ...   3   4    ...    7   8      ...   39
//       +-------------+---------------+------+---+-------+
//       |   d (f32)   | -8 * sum of q | q[0] |...| q[31] |     value i = q[i] * d,  q[i] in -127..127
//       +-------------+---------------+------+---+-------+
//
// d = max|x| / 127, codes x / d rounded, halves to even. The sum stands for the zero point of Q4_0 codes, 8.
// A block whose largest magnitude is below kActivationQ80Least counts as zero; one that holds a NaN or an
// infinity has the scale NaN.
struct ActivationQ80 {
  float d;
  int32_t minus_8_sum;
  int8_t q[32];
};
static_assert(sizeof(ActivationQ80) == 40 && alignof(ActivationQ80) == 4);
inline constexpr float kActivationQ80Least = 1e-30F;

namespace q80_detail {

template <class Block>
void dequantize(const Block* in, size_t blocks, float* out) {
  for (size_t b = 0; b < blocks; ++b) {
    const float d = float_from_half_bits(in[b].d);
    for (int i = 0; i < kQ80Items; ++i) *out++ = static_cast<float>(in[b].q[i]) * d;
  }
}

// Returns the unrounded scale.
template <class Block>
float quantize(const float* x, Block& out) {
  float largest = 0;
  for (int i = 0; i < kQ80Items; ++i) largest = std::max(largest, std::fabs(x[i]));  // a NaN is passed over
  const float d = largest / 127.0F;
  const float reciprocal = d == 0.0F ? 0.0F : 1.0F / d;
  out.d = half_bits_from_float(d);
  for (int i = 0; i < kQ80Items; ++i) {
    const float code = std::round(x[i] * reciprocal);
    out.q[i] = static_cast<int8_t>(code >= -127.0F && code <= 127.0F ? code
                                   : code > 127.0F                   ? 127
                                   : code < -127.0F                  ? -127
                                                                     : 0);
  }
  return d;
}

}  // namespace q80_detail

// Multiplied in f32. `out` has 32 * blocks items.
inline void dequantize_q80(const BlockQ80* in, size_t blocks, float* out) {
  q80_detail::dequantize(in, blocks, out);
}
inline void dequantize_q81(const BlockQ81* in, size_t blocks, float* out) {
  q80_detail::dequantize(in, blocks, out);
}

// d = max|x| / 127, codes round(x / d), halves away from zero; NaN gets the code 0.
inline void quantize_q80(const float* in, size_t blocks, BlockQ80* out) {
  for (size_t b = 0; b < blocks; ++b) q80_detail::quantize(in + 32 * b, out[b]);
}
inline void quantize_q81(const float* in, size_t blocks, BlockQ81* out) {
  for (size_t b = 0; b < blocks; ++b) {
    const float d = q80_detail::quantize(in + 32 * b, out[b]);
    int sum = 0;
    for (const int8_t q : out[b].q) sum += q;
    out[b].s = half_bits_from_float(static_cast<float>(sum) * d);
  }
}

}  // namespace nnefrun
