#include <cstring>

#include "quant/q40.h"
#include "tests/engine/ops/run_op.h"

using namespace nnefrun;

namespace {
const Tensor kA = floats({2, 3}, {1, 2, 3, 4, 5, 6}), kB = floats({3, 2}, {1, 2, 3, 4, 5, 6});
}

TEST_CASE("matmul with transposed operands and broadcast batches", "[ops]") {
  const Tensor wanted = floats({2, 2}, {22, 28, 49, 64});
  require_close(op("matmul", {kA, kB}), wanted);
  const Tensor at = floats({3, 2}, {1, 4, 2, 5, 3, 6}), bt = floats({2, 3}, {1, 3, 5, 2, 4, 6});
  require_close(op("matmul", {at, kB}, {true, false}), wanted);
  require_close(op("matmul", {kA, bt}, {false, true}), wanted);
  require_close(op("matmul", {at, bt}, {true, true}), wanted);
  const Tensor batch = floats({2, 1, 1, 2}, {1, 2, 3, 4}), other = floats({1, 2, 2, 1}, {1, 10, 2, 20});
  require_close(op("matmul", {batch, other}), floats({2, 2, 1, 1}, {21, 42, 43, 86}));
  require_close(op("matmul", {floats({2, 0}, {}), floats({0, 1}, {})}), floats({2, 1}, {0, 0}), 0);
  REQUIRE(op_code("matmul", {kA, kA}) == "shape-mismatch");
  REQUIRE(op_code("matmul", {kA, floats({1, 3, 2}, {1, 2, 3, 4, 5, 6})}) == "rank-mismatch");
  REQUIRE(op_code("matmul", {floats({3}, {1, 2, 3}), floats({3}, {1, 2, 3})}) == "rank-mismatch");
  REQUIRE(op_code("matmul", {floats({2, 1, 1}, {1, 2}), floats({3, 1, 1}, {1, 2, 3})}) == "shape-mismatch");
  REQUIRE(op_code("matmul", {kA, Tensor::of<double>({3, 1}, {1, 2, 3})}) == "dtype-mismatch");
}

TEST_CASE("matmul of integers", "[ops]") {
  const Tensor a = Tensor::of<int8_t>({1, 2}, {-128, 127}), b = Tensor::of<uint8_t>({2, 1}, {255, 255});
  require_close(op("matmul", {a, b}), Tensor::of<int32_t>({1, 1}, {-255}), 0);
  require_close(op("matmul", {integers({1, 2}, {INT64_MAX, 1}), integers({2, 1}, {1, 1})}),
                integers({1, 1}, {INT64_MIN}), 0);
}

TEST_CASE("linear is a product with a transposed filter, and a bias", "[ops]") {
  const Tensor x = floats({1, 3}, {1, 2, 3}), filter = floats({2, 3}, {1, 0, 0, 0, 1, 1});
  require_close(op("linear", {x, filter, floats({1, 2}, {0.5F, -1})}), floats({1, 2}, {1.5F, 4}));
  require_close(op("linear", {x, filter, floats({}, {1})}), floats({1, 2}, {2, 6}));
  require_close(op("linear", {x, filter}, {}, {1, 1, 0}), floats({1, 2}, {1, 5}));
  REQUIRE(op_code("linear", {x, kB, floats({}, {1})}) == "shape-mismatch");
  REQUIRE(op_code("linear", {x, filter, floats({1, 3}, {1, 1, 1})}) == "shape-mismatch");
}

namespace {

// Two rows of 32 items: row 0 holds 2 * (i % 8 - 4), row 1 the half of it.
Tensor blocks() {
  BlockQ40 rows[2] = {};
  for (int row = 0; row < 2; ++row) {
    rows[row].d = half_bits_from_float(row == 0 ? 2.0F : 1.0F);
    for (int j = 0; j < 16; ++j) {
      const int code = j % 8 + 4;  // item j and item j + 16 alike
      rows[row].q[j] = static_cast<uint8_t>(code | code << 4);
    }
  }
  Tensor out = Tensor::zeros(DataType::q4_0, {2, 32});
  std::memcpy(out.mutable_bytes(), rows, sizeof rows);
  return out;
}

}  // namespace

TEST_CASE("blocks of 4 bits are multiplied and gathered", "[ops]") {
  std::vector<float> ramp(32);
  double sum = 0;
  for (int i = 0; i < 32; ++i) {
    ramp[static_cast<size_t>(i)] = static_cast<float>(i);
    sum += 2.0 * (i % 8 - 4) * i;
  }
  const Tensor wanted = floats({1, 2}, {static_cast<float>(sum), static_cast<float>(sum / 2)});
  require_close(op("matmul", {floats({1, 32}, ramp), blocks()}, {false, true}), wanted);
  require_close(op("linear", {floats({1, 32}, ramp), blocks()}, {}, {1, 1, 0}), wanted);
  require_close(op("tract_core_einsum", {floats({1, 32}, ramp), blocks()}, {"mk,nk->mn", "f32"}), wanted);
  const Tensor row = op("tract_core_gather", {blocks(), integers({1}, {1})}, {0, "f16"});
  REQUIRE(row.dtype() == DataType::f16);
  REQUIRE(row.shape() == Shape{1, 32});
  REQUIRE(row.as_double(0) == -4);
  REQUIRE(row.as_double(31) == 3);
  REQUIRE(op("reshape", {blocks()}, {ints({1, 64})}).dtype() == DataType::q4_0);
  const Tensor turned = op("transpose", {blocks()}, {ints({1, 0})});
  REQUIRE(turned.dtype() == DataType::f32);
  REQUIRE(turned.shape() == Shape{32, 2});
  REQUIRE(turned.as_double(0) == -8);
  REQUIRE(turned.as_double(1) == -4);
}
