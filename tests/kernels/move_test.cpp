#include "kernels/move/move.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "base/half.h"
#include "kernels/move/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun;
using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

template <class Body>
void for_each_move(Body body) {
  int count = 0;
  const MoveKernels* const* rows = move_rows(&count);
  for_each_row("move", rows, count, body);
}

void check(CopyShape shape, const std::vector<int>& order, int64_t gap, const MoveKernels& row) {
  // the destination is dense in the order of the axes; the source is dense in `order`, with a gap between its
  // rows
  const int64_t size = static_cast<int64_t>(shape.item_size);
  int64_t dst = size, src = size;
  for (int axis = shape.rank - 1; axis >= 0; --axis) {
    shape.dst_strides[axis] = dst;
    dst *= shape.dims[axis];
  }
  for (size_t i = order.size(); i-- > 0;) {
    shape.src_strides[order[i]] = src;
    src = src * shape.dims[order[i]] + (i + 1 == order.size() ? gap * size : 0);
  }
  Guarded<unsigned char> from(static_cast<size_t>(src)), to(static_cast<size_t>(dst)),
      expected(static_cast<size_t>(dst));
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<unsigned char>(i * 131 + i / 251);
  copy_strided(shape, from.data(), to.data(), row.requires_isa);
  copy_reference(shape, 0, from.data(), expected.data());
  INFO("rank " << shape.rank << " item " << shape.item_size << " dims " << shape.dims[0] << " "
               << shape.dims[1] << " " << shape.dims[2]);
  REQUIRE(to.intact());
  REQUIRE(std::memcmp(to.data(), expected.data(), static_cast<size_t>(dst)) == 0);
}

}  // namespace

TEST_CASE("strided copies of every item size and order of axes", "[kernels][move]") {
  for_each_move([](const MoveKernels& row) {
    Random random(51);
    for (int round = 0; round < 300; ++round) {
      CopyShape shape;
      shape.rank = static_cast<int>(random.whole(0, 4));
      const size_t sizes[] = {1, 2, 4, 4, 4, 8, 16, 3};
      shape.item_size = sizes[random.whole(0, 7)];
      for (int axis = 0; axis < shape.rank; ++axis)
        shape.dims[axis] = random.whole(1, axis + 2 < shape.rank ? 4 : 37);
      std::vector<int> order(static_cast<size_t>(shape.rank));
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<uint32_t>(round)));
      check(shape, order, random.whole(0, 2), row);
    }
  });
}

TEST_CASE("broadcast, reversal and concatenation are strided copies", "[kernels][move]") {
  const float x[6] = {1, 2, 3, 4, 5, 6};
  CopyShape broadcast;  // [2, 3] <- [3]
  broadcast.rank = 2;
  broadcast.dims[0] = 2, broadcast.dims[1] = 3;
  broadcast.src_strides[1] = 4;
  broadcast.dst_strides[0] = 12, broadcast.dst_strides[1] = 4;
  float y[6] = {};
  copy_strided(broadcast, x, y);
  REQUIRE(std::vector<float>(y, y + 6) == std::vector<float>{1, 2, 3, 1, 2, 3});

  CopyShape reversed;
  reversed.rank = 1;
  reversed.dims[0] = 6;
  reversed.src_strides[0] = -4, reversed.dst_strides[0] = 4;
  copy_strided(reversed, x + 5, y);
  REQUIRE(std::vector<float>(y, y + 6) == std::vector<float>{6, 5, 4, 3, 2, 1});

  CopyShape part;  // one column of a [3, 2]
  part.rank = 1;
  part.dims[0] = 3;
  part.src_strides[0] = 4, part.dst_strides[0] = 8;
  copy_strided(part, x, y);
  copy_strided(part, x + 3, y + 1);
  REQUIRE(std::vector<float>(y, y + 6) == std::vector<float>{1, 4, 2, 5, 3, 6});

  CopyShape nothing = part;
  nothing.dims[0] = 0;
  copy_strided(nothing, nullptr, nullptr);
  const float seven = 7;
  fill_strided(part, &seven, y + 1);
  REQUIRE(std::vector<float>(y, y + 6) == std::vector<float>{1, 7, 2, 7, 3, 7});
}

TEST_CASE("half and bfloat16 conversions match base/half.h for every value", "[kernels][move]") {
  for_each_move([](const MoveKernels& row) {
    std::vector<uint16_t> halves(65536 + 5);
    for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
    std::vector<float> wide(halves.size());
    row.f32_from_f16(halves.data(), wide.data(), static_cast<int64_t>(halves.size()));
    for (size_t i = 0; i < halves.size(); ++i) {
      const float expected = float_from_half_bits(halves[i]);
      if (expected != wide[i] && !(std::isnan(expected) && std::isnan(wide[i]))) FAIL("f16 " << halves[i]);
    }
    row.f32_from_bf16(halves.data(), wide.data(), static_cast<int64_t>(halves.size()));
    for (size_t i = 0; i < halves.size(); ++i) {
      BFloat16 b;
      b.bits = halves[i];
      const float expected = static_cast<float>(b);
      if (std::memcmp(&expected, &wide[i], 4) != 0) FAIL("bf16 " << halves[i]);
    }
    Random random(52);
    std::vector<float> x(50021);
    for (float& v : x) v = std::bit_cast<float>(static_cast<uint32_t>(random.whole(0, 0xFFFFFFFF)));
    for (size_t i = 0; i < x.size(); i += 2)
      x[i] = random.uniform(-70000, 70000) * std::ldexp(1.0F, static_cast<int>(random.whole(-40, 0)));
    std::vector<uint16_t> narrow(x.size());
    row.f16_from_f32(x.data(), narrow.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const bool both_nan = std::isnan(x[i]) && (narrow[i] & 0x7FFF) > 0x7C00;
      if (!both_nan && narrow[i] != half_bits_from_float(x[i]))
        FAIL("f16 of " << x[i] << " is " << narrow[i]);
    }
    row.bf16_from_f32(x.data(), narrow.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const bool both_nan = std::isnan(x[i]) && (narrow[i] & 0x7FFF) > 0x7F80;
      if (!both_nan && narrow[i] != BFloat16(x[i]).bits) FAIL("bf16 of " << x[i] << " is " << narrow[i]);
    }
    SUCCEED();
  });
}

TEST_CASE("conversions follow their rules", "[kernels][move]") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const float x[] = {-1.9F, 0.0F, -0.0F, 2.5F, 300.0F, -300.0F, inf, -inf, nan, 3e9F};
  constexpr int64_t n = 10;
  int8_t i8[n];
  convert(DataType::f32, DataType::i8, x, i8, n);
  REQUIRE(std::vector<int>(i8, i8 + n) == std::vector<int>{-1, 0, 0, 2, 127, -128, 127, -128, 0, 127});
  uint8_t u8[n];
  convert(DataType::f32, DataType::u8, x, u8, n);
  REQUIRE(std::vector<int>(u8, u8 + n) == std::vector<int>{0, 0, 0, 2, 255, 0, 255, 0, 0, 255});
  int64_t i64[n];
  convert(DataType::f32, DataType::i64, x, i64, n);
  REQUIRE(i64[6] == std::numeric_limits<int64_t>::max());
  REQUIRE(i64[7] == std::numeric_limits<int64_t>::min());
  REQUIRE(i64[9] == 3000000000);
  uint8_t boolean[n];
  convert(DataType::f32, DataType::boolean, x, boolean, n);
  REQUIRE(std::vector<int>(boolean, boolean + n) == std::vector<int>{1, 0, 0, 1, 1, 1, 1, 1, 1, 1});
  const int32_t wide[] = {-1, 256, 70000, 128};
  convert(DataType::i32, DataType::i8, wide, i8, 4);
  REQUIRE(std::vector<int>(i8, i8 + 4) == std::vector<int>{-1, 0, 112, -128});
  const uint8_t bytes[] = {0, 1, 7};
  float f[3];
  convert(DataType::boolean, DataType::f32, bytes, f, 3);
  REQUIRE(std::vector<float>(f, f + 3) == std::vector<float>{0, 1, 1});
  // just above the middle between two halves: through float it would become the middle and round to even,
  // downwards
  const double d[] = {1.0 + 0x1p-11 + 0x1p-40, -(1.0 + 0x1p-11 + 0x1p-40), 1.0 + 0x1p-11};
  uint16_t h[3];
  convert(DataType::f64, DataType::f16, d, h, 3);
  REQUIRE(h[0] == 0x3C01);
  REQUIRE(h[1] == 0xBC01);
  REQUIRE(h[2] == 0x3C00);
  REQUIRE_FALSE(can_convert(DataType::string, DataType::f32));
  REQUIRE_FALSE(can_convert(DataType::f32, DataType::q4_0));
}
