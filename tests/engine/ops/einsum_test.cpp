#include "tests/engine/ops/run_op.h"

using namespace nnefrun;

namespace {

const Tensor kA = floats({2, 3}, {1, 2, 3, 4, 5, 6}), kB = floats({3, 2}, {1, 2, 3, 4, 5, 6});

Tensor einsum(const std::string& expression, const std::vector<Tensor>& operands,
              const std::string& type = "f32") {
  return op("tract_core_einsum", operands, {expression, type});
}
std::string einsum_code(const std::string& expression, const std::vector<Tensor>& operands,
                        const std::string& type = "f32") {
  return op_code("tract_core_einsum", operands, {expression, type});
}

}  // namespace

TEST_CASE("einsum of one operand: sums, diagonals, orders", "[ops]") {
  require_close(einsum("ab->ba", {kA}), floats({3, 2}, {1, 4, 2, 5, 3, 6}));
  require_close(einsum("ab->a", {kA}), floats({2}, {6, 15}));
  require_close(einsum("ab->", {kA}), floats({}, {21}));
  const Tensor square = floats({2, 2}, {1, 2, 3, 4});
  require_close(einsum("ii->i", {square}), floats({2}, {1, 4}));
  require_close(einsum("ii->", {square}), floats({}, {5}));
  require_close(einsum("ii", {square}), floats({}, {5}));
  require_close(einsum("ba", {kA}), floats({3, 2}, {1, 4, 2, 5, 3, 6}));
}

TEST_CASE("einsum of two operands", "[ops]") {
  require_close(einsum("mk, kn -> mn", {kA, kB}), floats({2, 2}, {22, 28, 49, 64}));
  require_close(einsum("mk,kn->nm", {kA, kB}), floats({2, 2}, {22, 49, 28, 64}));
  require_close(einsum("a,b->ab", {floats({2}, {1, 2}), floats({2}, {3, 4})}), floats({2, 2}, {3, 4, 6, 8}));
  require_close(einsum("ab,ab->", {kA, kA}), floats({}, {91}));
  require_close(einsum("ab,cd->", {kA, kB}), floats({}, {441}));
  require_close(einsum("bmk,bkn->bmn", {floats({2, 1, 2}, {1, 2, 3, 4}), floats({2, 2, 1}, {1, 10, 2, 20})}),
                floats({2, 1, 1}, {21, 86}));
}

TEST_CASE("an extent of 1 broadcasts, also under a sum", "[ops]") {
  require_close(einsum("bmk,bkn->bmn", {floats({1, 1, 2}, {1, 2}), floats({2, 2, 1}, {1, 10, 2, 20})}),
                floats({2, 1, 1}, {21, 42}));
  require_close(einsum("k,k->", {floats({1}, {2}), floats({3}, {1, 2, 3})}), floats({}, {12}));
}

TEST_CASE("einsum of three operands, of integers, of nothing", "[ops]") {
  const Tensor x = floats({2}, {1, 2});
  require_close(einsum("a,ab,b->", {x, floats({2, 2}, {1, 2, 3, 4}), x}), floats({}, {27}));
  require_close(einsum("a,a,a->a", {x, x, x}), floats({2}, {1, 8}));
  require_close(
      einsum("mk,kn->mn", {Tensor::of<int8_t>({1, 2}, {100, 100}), Tensor::of<int8_t>({2, 1}, {100, 100})},
             "i32"),
      Tensor::of<int32_t>({1, 1}, {20000}), 0);
  require_close(einsum("mk,kn->mn", {integers({1, 1}, {INT64_MAX}), integers({1, 1}, {3})}, "i64"),
                integers({1, 1}, {INT64_MAX - 2}), 0);
  require_close(einsum("mk,kn->mn", {floats({2, 0}, {}), floats({0, 1}, {})}), floats({2, 1}, {0, 0}), 0);
  require_close(einsum("\xC3\xA9k,k->\xC3\xA9", {kA, floats({3}, {1, 1, 1})}), floats({2}, {6, 15}));
  require_close(einsum("mk,kn->mn", {kA, kB}, "f64"), Tensor::of<double>({2, 2}, {22, 28, 49, 64}));
}

TEST_CASE("einsum refuses what it cannot read", "[ops]") {
  REQUIRE(einsum_code("...a->a", {kA}) == "einsum-expression");
  REQUIRE(einsum_code("ab->aa", {kA}) == "einsum-expression");
  REQUIRE(einsum_code("ab->c", {kA}) == "einsum-expression");
  REQUIRE(einsum_code("ab,b->a", {kA}) == "einsum-expression");
  REQUIRE(einsum_code("ab->a->b", {kA}) == "einsum-expression");
  REQUIRE(einsum_code("abc->a", {kA}) == "rank-mismatch");
  REQUIRE(einsum_code("aa->a", {kA}) == "shape-mismatch");
  REQUIRE(einsum_code("ab,ab->a", {kA, kB}) == "shape-mismatch");
  REQUIRE(einsum_code("ab->a", {kA}, "string") == "unknown-dtype");
}

TEST_CASE("tract's older matmul names six axes", "[ops]") {
  require_close(op("tract_core_matmul", {kA, kB}, {ints({0, 1, 0, 1, 0, 1})}),
                floats({2, 2}, {22, 28, 49, 64}));
  require_close(op("tract_core_matmul", {kA, kB}, {ints({0, 1, 0, 1, 1, 0})}),
                floats({2, 2}, {22, 49, 28, 64}));
  require_close(op("tract_core_matmul", {floats({2, 1, 2}, {1, 2, 3, 4}), floats({2, 2, 1}, {1, 10, 2, 20})},
                   {ints({1, 2, 1, 2, 1, 2})}),
                floats({2, 1, 1}, {21, 86}));
  REQUIRE(op_code("tract_core_matmul", {kA, kB}, {ints({0, 1, 0, 1})}) == "attribute-length");
  REQUIRE(op_code("tract_core_matmul", {kA, kB}, {ints({0, 0, 0, 1, 0, 1})}) == "axis-repeated");
}
