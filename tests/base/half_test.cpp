#include "base/half.h"

#include <cmath>
#include <catch2/catch.hpp>

using namespace nnefrun;

TEST_CASE("every f16 value survives the way to float and back", "[base]") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = float_from_half_bits(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      REQUIRE(std::isnan(float_from_half_bits(half_bits_from_float(value))));
    } else {
      REQUIRE(half_bits_from_float(value) == bits);
    }
  }
}

TEST_CASE("float to f16 rounds to nearest, ties to even", "[base]") {
  for (uint32_t bits = 0; bits < 0x7BFF; ++bits) {  // between each two neighbours of the finite positive range
    const float low = float_from_half_bits(static_cast<uint16_t>(bits));
    const float high = float_from_half_bits(static_cast<uint16_t>(bits + 1));
    const float middle = low + (high - low) / 2;
    REQUIRE(half_bits_from_float(middle) == (bits % 2 == 0 ? bits : bits + 1));
    REQUIRE(half_bits_from_float(std::nextafterf(middle, 0.0F)) == bits);
    REQUIRE(half_bits_from_float(std::nextafterf(middle, 1e9F)) == bits + 1);
  }
  REQUIRE(half_bits_from_float(65519.0F) == 0x7BFF);
  REQUIRE(half_bits_from_float(65520.0F) == 0x7C00);
}
