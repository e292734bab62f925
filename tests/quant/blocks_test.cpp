#include <catch2/catch.hpp>
#include <cstring>
#include <limits>
#include <random>

#include "base/error.h"
#include "quant/q40.h"
#include "quant/q80.h"
#include "quant/tensors.h"

using namespace nnefrun;

namespace {

Tensor random_floats(std::mt19937& random, const Shape& shape) {
  std::normal_distribution<float> normal;
  Tensor out = Tensor::uninitialized(DataType::f32, shape);
  float* to = out.mutable_data<float>();
  for (int64_t i = 0; i < out.size(); ++i) to[i] = normal(random);
  return out;
}

}  // namespace

TEST_CASE("q4_0: element i and i + 16 share a byte, the first one low", "[quant]") {
  BlockQ40 block{Half(0.5F).bits, {}};
  block.q[3] = 0x92;
  float out[32];
  dequantize_q40(&block, 1, out);
  CHECK(out[3] == (2 - 8) * 0.5F);
  CHECK(out[19] == (9 - 8) * 0.5F);
  CHECK(q40_code(block, 3) == 2);
  CHECK(q40_code(block, 19) == 9);
}

TEST_CASE("q4_0: the legacy nibble order and back", "[quant]") {
  std::mt19937 random(1);
  for (int n = 0; n < 100; ++n) {
    BlockQ40 legacy{static_cast<uint16_t>(random()), {}};
    for (uint8_t& q : legacy.q) q = static_cast<uint8_t>(random());
    const BlockQ40 block = q40_from_legacy(legacy);
    for (int j = 0; j < 16; ++j) {
      REQUIRE(q40_code(block, 2 * j) == (legacy.q[j] & 15));
      REQUIRE(q40_code(block, 2 * j + 1) == legacy.q[j] >> 4);
    }
    const BlockQ40 back = q40_to_legacy(block);
    REQUIRE(std::memcmp(&back, &legacy, sizeof back) == 0);
  }
}

TEST_CASE("q4_0: the item of largest magnitude gets code 0, whatever its sign", "[quant]") {
  for (const float extreme : {-4.0F, 4.0F}) {
    float x[32] = {};
    x[5] = extreme;
    x[6] = -extreme;  // a tie: the first one counts; the other would need code 16
    BlockQ40 block;
    quantize_q40(x, 1, &block);
    CHECK(float_from_half_bits(block.d) == extreme / -8);
    CHECK(q40_code(block, 5) == 0);
    CHECK(q40_code(block, 6) == 15);
    CHECK(q40_code(block, 0) == 8);
  }
  float zero[32] = {};
  BlockQ40 block;
  quantize_q40(zero, 1, &block);
  CHECK(q40_code(block, 31) == 8);
  zero[0] = std::numeric_limits<float>::quiet_NaN();
  zero[1] = std::numeric_limits<float>::infinity();
  quantize_q40(zero, 1, &block);
  CHECK(q40_code(block, 0) == 0);
}

TEST_CASE("block quantisation errs by at most the step, and is idempotent", "[quant]") {
  std::mt19937 random(2);
  const Tensor x = random_floats(random, {3, 4, 96});
  struct Case {
    DataType type;
    float steps;  // of half the block's range
  };
  for (const auto& [type, steps] :
       {Case{DataType::q4_0, 8}, Case{DataType::q8_0, 127}, Case{DataType::q8_1, 127}}) {
    INFO(name_of(type));
    const Tensor codes = quantize_blocks(x, type);
    CHECK(codes.byte_size() == static_cast<size_t>(x.size()) / 32 * block_bytes(type));
    const Tensor back = dequantize_blocks(codes);
    REQUIRE(back.shape() == x.shape());
    for (int64_t b = 0; b < x.size(); b += 32) {
      float largest = 0;
      for (int64_t i = b; i < b + 32; ++i) largest = std::max(largest, std::fabs(x.data<float>()[i]));
      for (int64_t i = b; i < b + 32; ++i) {
        REQUIRE(std::fabs(x.data<float>()[i] - back.data<float>()[i]) <= largest / steps * 1.01F);
      }
    }
    if (type != DataType::q4_0) CHECK(quantize_blocks(back, type).byte_size() == codes.byte_size());
  }
  CHECK_THROWS_AS(quantize_blocks(random_floats(random, {33}), DataType::q4_0), Error);
  CHECK_THROWS_AS(quantize_blocks(random_floats(random, {32, 3}), DataType::q4_0), Error);
  CHECK_THROWS_AS(quantize_blocks(random_floats(random, {32}), DataType::f16), Error);
  CHECK_THROWS_AS(dequantize_blocks(x), Error);
}

TEST_CASE("q8_1 carries the sum of its block", "[quant]") {
  std::mt19937 random(3);
  const Tensor x = random_floats(random, {32});
  BlockQ81 block;
  quantize_q81(x.data<float>(), 1, &block);
  float out[32], sum = 0;
  dequantize_q81(&block, 1, out);
  for (const float v : out) sum += v;
  CHECK(float_from_half_bits(block.s) == Approx(sum).margin(0.02));
}
