#include "quant/affine.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"
#include "quant/tensors.h"

using namespace nnefrun;

TEST_CASE("affine codes: halves go to the even code, the ends saturate, NaN is 0", "[quant]") {
  const AffineQuantization q{3, 0.5F};
  const CodeRange range = code_range(DataType::i8);
  CHECK(quantize_affine(0.25F, q, range) == 4);   // 3.5
  CHECK(quantize_affine(-0.25F, q, range) == 2);  // 2.5
  CHECK(quantize_affine(1e9F, q, range) == 127);
  CHECK(quantize_affine(-std::numeric_limits<float>::infinity(), q, range) == -128);
  CHECK(quantize_affine(std::numeric_limits<float>::quiet_NaN(), q, range) == 0);
  CHECK(dequantize_affine(-128, q) == -65.5F);
  CHECK(quantize_affine(1e30F, {0, 1.0F}, code_range(DataType::i32)) == INT32_MAX);
  CHECK(quantize_affine(1e30F, {0, 1.0F}, code_range(DataType::u32)) == UINT32_MAX);
}

TEST_CASE("every code of 8 bits survives the way to real and back", "[quant]") {
  for (const DataType type : {DataType::u8, DataType::i8}) {
    const CodeRange range = code_range(type);
    for (const float scale : {0.0157F, 0.5F, 3.7F}) {
      for (const int zero_point : {-5, 0, 100}) {
        const AffineQuantization q{zero_point, scale};
        for (int64_t code = range.low; code <= range.high; ++code) {
          REQUIRE(quantize_affine(dequantize_affine(code, q), q, range) == code);
          REQUIRE(requantize_affine(code, q, q, range, true) == code);
          REQUIRE(requantize_affine(code, q, q, range, false) == code);
        }
      }
    }
  }
}

TEST_CASE("the range of a width in bits", "[quant]") {
  CHECK(code_range(4, true).low == -8);
  CHECK(code_range(4, true).high == 7);
  CHECK(code_range(1, false).high == 1);
  CHECK(code_range(32, false).high == 4294967295);
}

TEST_CASE("fixed-point scale: the exact product rounded half to even", "[quant]") {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> exponent(-20.0F, 8.0F);
  for (int n = 0; n < 20000; ++n) {
    // 24 bits of scale times 29 bits of accumulator are exact in 64-bit-mantissa long double
    const float scale = n % 4 == 0 ? std::exp2(std::floor(exponent(random))) : std::exp2(exponent(random));
    const auto accumulator = static_cast<int32_t>(random()) >> (2 + random() % 20);
    const long double exact = static_cast<long double>(accumulator) * scale;
    const long double expected = std::clamp(std::nearbyint(exact), -2147483648.0L, 2147483647.0L);
    INFO(scale << " * " << accumulator);
    REQUIRE(FixedPointScale(scale)(accumulator) == static_cast<int32_t>(expected));
  }
}

TEST_CASE("fixed-point scale: ties, shifts and ends", "[quant]") {
  CHECK(FixedPointScale(0.5F)(1) == 0);
  CHECK(FixedPointScale(0.5F)(3) == 2);
  CHECK(FixedPointScale(0.5F)(-3) == -2);
  CHECK(FixedPointScale(0.75F)(2) == 2);  // 1.5
  CHECK(FixedPointScale(1.0F)(-7) == -7);
  CHECK(FixedPointScale(4.0F)(INT32_MAX) == INT32_MAX);
  CHECK(FixedPointScale(4.0F)(INT32_MIN) == INT32_MIN);
  CHECK(FixedPointScale(1.0F)(INT32_MIN) == INT32_MIN);
  CHECK(FixedPointScale(3e38F)(-1) == INT32_MIN);
  CHECK(FixedPointScale(3e38F)(0) == 0);
  CHECK(FixedPointScale(1e-30F)(INT32_MAX) == 0);
  CHECK(FixedPointScale(0.0F)(100) == 0);
  CHECK(FixedPointScale(1e-40F)(100) == 0);
}

TEST_CASE("scale_by keeps the sign and rounds half to even", "[quant]") {
  CHECK(scale_by(5.0F, 0.5F) == 2.0F);
  CHECK(scale_by(-7.0F, 0.5F) == -4.0F);
  CHECK(scale_by(-3.0F, 0.5F) == -2.0F);
}

TEST_CASE("min and max as the two dialects read them", "[quant]") {
  const AffineQuantization q = affine_from_min_max(0.0F, 2.55F);
  CHECK(q.scale == Approx(0.01));
  CHECK(q.zero_point == -127);
  CHECK(dequantize_min_max(0, -1, 1.55F, 8, false, false) == -1.0F);
  CHECK(dequantize_min_max(255, -1, 1.55F, 8, false, false) == 1.55F);
  CHECK(dequantize_min_max(-128, -1, 1.55F, 8, true, false) == -1.0F);
  CHECK(dequantize_min_max(-127, -1, 1, 8, true, true) == -1.0F);
  CHECK(dequantize_min_max(0, -1, 1, 8, true, true) == 0.0F);
}

TEST_CASE("whole tensors of codes", "[quant]") {
  const AffineQuantization q{1, 0.5F};
  const Tensor x = Tensor::of<float>({4}, {-100, -0.5F, 0, 1000});
  CHECK(quantize_codes(x, DataType::u8, q).identical(Tensor::of<uint8_t>({4}, {0, 0, 1, 255})));
  CHECK(quantize_codes(x, DataType::i8, q).identical(Tensor::of<int8_t>({4}, {-128, 0, 1, 127})));
  CHECK(dequantize_codes(Tensor::of<int32_t>({2}, {5, -1}), q).identical(Tensor::of<float>({2}, {2, -1})));
  CHECK_THROWS_AS(quantize_codes(x, DataType::f32, q), Error);
  CHECK_THROWS_AS(dequantize_codes(x, q), Error);
}
