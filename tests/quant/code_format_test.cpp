#include "quant/code_format.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace nnefrun;

TEST_CASE("codes become reals, parameters run along leading axes", "[quant]") {
  CodeFormat format;
  format.first = {{}, {1}};
  format.second = {{}, {0.5}};
  REQUIRE(format.affine().has_value());
  CHECK(format.affine()->zero_point == 1);
  CHECK(decode_codes(Tensor::of<int8_t>({2}, {3, -1}), format).identical(Tensor::of<float>({2}, {1, -1})));

  const Tensor codes = Tensor::of<int8_t>({2, 3}, {1, 2, 3, 4, 5, 6});
  format.first = {{2}, {1, -2}};
  format.second = {{2}, {0.125, 0.25}};
  CHECK_FALSE(format.affine().has_value());
  CHECK(decode_codes(codes, format).identical(Tensor::of<float>({2, 3}, {0, 0.125F, 0.25F, 1.5F, 1.75F, 2})));
  format.first = {{1, 3}, {1, -2, 0}};
  format.second = {{}, {1}};
  CHECK(decode_codes(codes, format).identical(Tensor::of<float>({2, 3}, {0, 4, 3, 3, 7, 6})));
  format.first = {{3}, {0, 0, 0}};
  CHECK_THROWS_AS(decode_codes(codes, format), Error);
  format.first = {{1, 1, 1}, {0}};
  CHECK_THROWS_AS(decode_codes(codes, format), Error);
  format.first = {{}, {0}};
  CHECK_THROWS_AS(decode_codes(Tensor::of<float>({1}, {0}), format), Error);

  CodeFormat min_max;
  min_max.kind = CodeFormat::Kind::min_max;
  min_max.is_signed = false;
  min_max.first = {{}, {-1}};
  min_max.second = {{}, {1}};
  CHECK(decode_codes(Tensor::of<uint8_t>({2}, {0, 255}), min_max).identical(Tensor::of<float>({2}, {-1, 1})));

  CodeFormat logarithmic;
  logarithmic.kind = CodeFormat::Kind::logarithmic;
  logarithmic.bits = 4;
  logarithmic.second = {{}, {4}};
  CHECK(decode_codes(Tensor::of<uint8_t>({2}, {15, 13}), logarithmic)
            .identical(Tensor::of<float>({2}, {4, 1})));
}
