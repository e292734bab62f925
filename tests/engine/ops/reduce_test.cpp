#include "tests/engine/ops/run_op.h"

using namespace nnefrun;

namespace {
const Tensor kX = floats({2, 3}, {1, 5, 3, 4, 2, 6});
}

TEST_CASE("reductions keep the rank", "[ops]") {
  require_close(op("sum_reduce", {kX}, {ints({1})}), floats({2, 1}, {9, 12}));
  require_close(op("sum_reduce", {kX}, {ints({1}), true}), floats({2, 1}, {3, 4}));
  require_close(op("mean_reduce", {kX}, {ints({0})}), floats({1, 3}, {2.5F, 3.5F, 4.5F}));
  require_close(op("max_reduce", {kX}, {ints({0, 1})}), floats({1, 1}, {6}));
  require_close(op("min_reduce", {kX}, {ints({1})}), floats({2, 1}, {1, 2}));
  require_close(op("tract_core_product_reduce", {kX}, {ints({1})}), floats({2, 1}, {15, 48}));
  require_close(op("sum_reduce", {kX}, {ints({})}), kX);
  REQUIRE(op_code("sum_reduce", {kX}, {ints({-1})}) == "axis-out-of-range");
  REQUIRE(op_code("sum_reduce", {kX}, {ints({2})}) == "axis-out-of-range");
  REQUIRE(op_code("sum_reduce", {kX}, {ints({0, 0})}) == "axis-repeated");
  REQUIRE(op_code("sum_reduce", {logicals({1}, {true})}, {ints({0})}) == "dtype-unsupported");
}

TEST_CASE("sums of many short floats are rounded once", "[ops]") {
  const std::vector<Half> ones(5000, Half(1.0F));
  require_close(op("sum_reduce", {Tensor::of<Half>({5000}, ones)}, {ints({0})}),
                Tensor::of<Half>({1}, {Half(5000.0F)}), 0);
}

TEST_CASE("reductions of integers", "[ops]") {
  const Tensor x = Tensor::of<int8_t>({3}, {100, 100, -5});
  require_close(op("sum_reduce", {x}, {ints({0})}), Tensor::of<int8_t>({1}, {127}), 0);
  require_close(op("max_reduce", {x}, {ints({0})}), Tensor::of<int8_t>({1}, {100}), 0);
  require_close(op("mean_reduce", {x}, {ints({0})}), Tensor::of<int8_t>({1}, {65}), 0);
  require_close(op("sum_reduce", {integers({2}, {INT64_MAX, 1})}, {ints({0})}), integers({1}, {INT64_MIN}),
                0);
  require_close(op("tract_core_product_reduce", {integers({3}, {2, 3, -7})}, {ints({0})}),
                integers({1}, {-42}), 0);
  REQUIRE(op_code("mean_reduce", {integers({0}, {})}, {ints({0})}) == "division-by-zero");
}

TEST_CASE("what is left of no items", "[ops]") {
  const Tensor none = floats({2, 0}, {});
  require_close(op("sum_reduce", {none}, {ints({1})}), floats({2, 1}, {0, 0}), 0);
  require_close(op("tract_core_product_reduce", {none}, {ints({1})}), floats({2, 1}, {1, 1}), 0);
  require_close(op("max_reduce", {none}, {ints({1})}), floats({2, 1}, {-3.4028235e38F, -3.4028235e38F}), 0);
  require_close(op("mean_reduce", {none}, {ints({1})}), floats({2, 1}, {NAN, NAN}), 0);
  require_close(op("all_reduce", {logicals({0}, {})}, {ints({0})}), logicals({1}, {true}), 0);
  require_close(op("any_reduce", {logicals({0}, {})}, {ints({0})}), logicals({1}, {false}), 0);
  REQUIRE(op("max_reduce", {none}, {ints({0})}).shape() == Shape{1, 0});
}

TEST_CASE("all and any", "[ops]") {
  const Tensor x = logicals({2, 2}, {true, false, true, true});
  require_close(op("all_reduce", {x}, {ints({1})}), logicals({2, 1}, {false, true}), 0);
  require_close(op("any_reduce", {x}, {ints({0})}), logicals({1, 2}, {true, true}), 0);
  REQUIRE(op_code("all_reduce", {kX}, {ints({1})}) == "dtype-mismatch");
}

TEST_CASE("positions of the largest and smallest", "[ops]") {
  require_close(op("argmax_reduce", {kX}, {ints({1})}), integers({2, 1}, {1, 2}), 0);
  require_close(op("argmin_reduce", {kX}, {ints({0})}), integers({1, 3}, {0, 1, 0}), 0);
  require_close(op("argmax_reduce", {kX}, {ints({0, 1})}), integers({1, 1}, {5}), 0);
  const Tensor ties = floats({4}, {5, 5, 0, 0});
  require_close(op("argmax_reduce", {ties}, {ints({0})}), integers({1}, {0}), 0);
  require_close(op("tract_core_argmax_reduce_last", {ties}, {ints({0})}), integers({1}, {1}), 0);
  require_close(op("argmin_reduce", {ties}, {ints({0})}), integers({1}, {2}), 0);
  require_close(op("tract_core_argmin_reduce_last", {ties}, {ints({0})}), integers({1}, {3}), 0);
}

TEST_CASE("moments and sums of many", "[ops]") {
  const auto moments = run_op("moments", {kX}, {ints({1})});
  REQUIRE(moments.size() == 2);
  require_close(moments[0], floats({2, 1}, {3, 4}));
  require_close(moments[1], floats({2, 1}, {8.0F / 3, 8.0F / 3}));
  require_close(op("add_n", {kX, kX, floats({2}, {10, 20})}), floats({2, 3}, {12, 20, 16, 28, 24, 32}));
  require_close(op("add_n", {}), floats({}, {0}), 0);
  REQUIRE(op_code("add_n", {kX, integers({1}, {1})}) == "dtype-mismatch");
}
