// The oracle of this family's tests: sums in 64 bits, the rounding of quant/affine.h.
#pragma once

#include "kernels/int8/conv.h"
#include "quant/affine.h"

namespace nnefrun::kernels {

// The accumulator of output channel `o` at output position `at` of image `image`, as i32 (it wraps): x is
// [batch, in..., in_channels] as u8, w [out_channels, in_channels / groups, filter...] minus its zero point.
inline int32_t code_sum_reference(const ConvShape& s, const uint8_t* x, uint8_t x_zero, const int32_t* w,
                                  int64_t image, int64_t o, const int64_t (&at)[3]) {
  const int64_t group_in = s.in_channels / s.groups, g = o / (s.out_channels / s.groups);
  const int64_t taps = s.filter[0] * s.filter[1] * s.filter[2];
  int64_t sum = 0;
  for (int64_t t = 0; t < taps; ++t) {
    const int64_t tap[3] = {t / (s.filter[1] * s.filter[2]), t / s.filter[2] % s.filter[1], t % s.filter[2]};
    int64_t pixel = image;
    bool inside = true;
    for (int i = 0; i < 3; ++i) {
      const int64_t from = at[i] * s.stride[i] + tap[i] * s.dilation[i] - s.pad_before[i];
      inside = inside && from >= 0 && from < s.in[i];
      pixel = pixel * s.in[i] + from;
    }
    if (!inside) continue;
    for (int64_t c = 0; c < group_in; ++c)
      sum +=
          (int64_t{x[pixel * s.in_channels + g * group_in + c]} - x_zero) * w[(o * group_in + c) * taps + t];
  }
  return static_cast<int32_t>(static_cast<uint32_t>(static_cast<uint64_t>(sum)));
}

// What becomes of an accumulator (bias added): the code as u8, not flipped.
inline uint8_t code_reference(const CodeEpilogue& e, int32_t sum, int64_t channel) {
  int64_t moved = 0;
  if (e.scales != nullptr) {
    moved = clamp_code(scale_by(static_cast<float>(sum), e.scales[channel]), code_range(DataType::i32));
  } else {
    moved = FixedPointScale(static_cast<float>(e.scale))(sum);
  }
  return static_cast<uint8_t>(std::clamp<int64_t>(moved + e.zero_point, e.low, e.high));
}

inline uint8_t code_binary_reference(const CodeBinary& b, uint8_t x, uint8_t y) {
  const float rx = static_cast<float>((x ^ b.x_flip) - b.x_zero) * b.x_scale;
  const float ry = static_cast<float>((y ^ b.y_flip) - b.y_zero) * b.y_scale;
  float real = 0;
  switch (b.op) {
    case CodeBinaryOp::add: real = rx + ry; break;
    case CodeBinaryOp::sub: real = rx - ry; break;
    case CodeBinaryOp::mul: real = rx * ry; break;
    case CodeBinaryOp::max: real = rx > ry ? rx : ry; break;
    case CodeBinaryOp::min: real = rx < ry ? rx : ry; break;
  }
  const int shift = b.is_signed ? 128 : 0;
  const int64_t code = quantize_affine(real, {b.zero - shift, b.scale}, {b.low - shift, b.high - shift});
  return static_cast<uint8_t>(static_cast<uint8_t>(code + shift) ^ b.flip);
}

}  // namespace nnefrun::kernels
