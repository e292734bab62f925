// Affine quantisation, item by item: real = (code - zero_point) * scale. The exact arithmetic of conversions
// and of requantisation (tract-opl 4.3 and 4.5; NNEF 1.0.5 section 14), shared by the naive evaluation and
// the kernels' oracle.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/data_type.h"

namespace nnefrun {

// The codes that a storage type can hold. i64 and wider types have none.
struct CodeRange {
  int64_t low = 0;
  int64_t high = 0;
};
constexpr CodeRange code_range(DataType storage) {
  switch (storage) {
    case DataType::u8: return {0, 255};
    case DataType::i8: return {-128, 127};
    case DataType::u16: return {0, 65535};
    case DataType::i16: return {-32768, 32767};
    case DataType::u32: return {0, 4294967295};
    case DataType::i32: return {-2147483648LL, 2147483647LL};
    default: return {};
  }
}
// Of a width in bits, 1 to 32.
constexpr CodeRange code_range(int bits, bool is_signed) {
  const int64_t levels = int64_t{1} << bits;
  return is_signed ? CodeRange{-levels / 2, levels / 2 - 1} : CodeRange{0, levels - 1};
}

// A float that is already rounded, as a code; NaN becomes 0 before clamping, as a saturating cast has it.
inline int64_t clamp_code(float rounded, CodeRange range) {
  if (std::isnan(rounded)) return std::clamp<int64_t>(0, range.low, range.high);
  if (rounded <= static_cast<float>(range.low)) return range.low;
  if (rounded >= static_cast<float>(range.high)) return range.high;
  return static_cast<int64_t>(rounded);
}

// clamp(round_half_even(x / scale + zero_point)), in f32.
inline int64_t quantize_affine(float x, AffineQuantization to, CodeRange range) {
  return clamp_code(std::nearbyintf(x / to.scale + static_cast<float>(to.zero_point)), range);
}

// (code - zero_point) * scale: the difference is exact, the product is rounded once, in f32.
inline float dequantize_affine(int64_t code, AffineQuantization from) {
  return static_cast<float>(code - from.zero_point) * from.scale;
}

// sign(v) * round_half_even(|v| * factor), in f32.
inline float scale_by(float v, float factor) {
  return std::copysign(std::nearbyintf(std::fabs(v) * factor), v);
}

// Code to code. Equal storage types: clamp(zp_to + scale_by(code - zp_from, scale_from / scale_to)); else
// through the real value, all in f32.
inline int64_t requantize_affine(int64_t code, AffineQuantization from, AffineQuantization to,
                                 CodeRange range, bool same_storage) {
  if (!same_storage) return quantize_affine(dequantize_affine(code, from), to, range);
  const float scaled = scale_by(static_cast<float>(code - from.zero_point), from.scale / to.scale);
  return clamp_code(scaled + static_cast<float>(to.zero_point), range);
}

// A constant scale applied to an i32 accumulator in fixed point, rounding half to even: what tract does where
// one scale holds for all channels ("Scaler", policy Even). A power of two is a plain shift. Scales per
// channel and scales known only at run time take scale_by() instead.
class FixedPointScale {
 public:
  // REQUIRES: finite and >= 0. A scale below the normal range of f32 gives 0.
  explicit FixedPointScale(float scale) {
    const uint32_t bits = std::bit_cast<uint32_t>(scale);
    const auto exponent = static_cast<int>((bits >> 23) & 0xFF);
    const uint32_t fraction = bits & 0x7FFFFF;
    if (exponent == 0) {
      multiplier_ = 0;
    } else if (fraction == 0) {
      multiplier_ = 1;
      shift_ = 127 - exponent;
    } else {
      multiplier_ = static_cast<int64_t>(fraction | 0x800000) << 7;  // Q0.31 in [0.5, 1)
      shift_ = 126 - exponent + 31;
    }
  }

  // round_half_even(accumulator * scale), saturated to i32.
  int32_t operator()(int32_t accumulator) const {
    const int64_t value = multiplier_ * accumulator;  // magnitude at most 2^62
    const int64_t magnitude = value < 0 ? -value : value;
    int64_t result = 0;
    if (shift_ > 62) {
      return 0;  // at most one half
    }
    if (shift_ > 0) {
      const int64_t half = int64_t{1} << (shift_ - 1);
      result = (magnitude + half + ((magnitude >> shift_) & 1) - 1) >> shift_;
    } else {
      const int left = -shift_;
      result = magnitude == 0                                 ? 0
               : left > 31 || magnitude > (INT64_MAX >> left) ? INT64_MAX
                                                              : magnitude << left;
    }
    if (result > INT32_MAX) return value < 0 ? INT32_MIN : INT32_MAX;
    return static_cast<int32_t>(value < 0 ? -result : result);
  }

  // The parts, for kernels: round_half_even(accumulator * multiplier / 2^shift).
  int64_t multiplier() const { return multiplier_; }
  int shift() const { return shift_; }

 private:
  int64_t multiplier_ = 1;
  int shift_ = 0;
};

// tract's reading of linear_quantize(min, max, bits): signed codes, 255 steps whatever the width.
inline AffineQuantization affine_from_min_max(float min, float max) {
  const float scale = (max - min) / 255.0F;
  return {static_cast<int32_t>(std::trunc(-(min + max) / 2.0F / scale)), scale};
}

// Khronos' reading of a stored code under min_max_linear_quantize (section 14): (code + p) / r * (max - min)
// + min.
inline float dequantize_min_max(int64_t code, float min, float max, int bits, bool is_signed,
                                bool symmetric) {
  const double narrow = is_signed && symmetric ? 1 : 0;
  const double steps = std::ldexp(1.0, bits) - 1 - narrow;
  const double offset = is_signed ? std::ldexp(1.0, bits - 1) - narrow : 0;
  return static_cast<float>((static_cast<double>(code) + offset) / steps * (static_cast<double>(max) - min) +
                            min);
}

}  // namespace nnefrun
