#include "tests/engine/ops/run_op.h"

using namespace nnefrun;

namespace {
const Tensor kX = floats({2, 3}, {0, 1, 2, 3, 4, 5});
}

TEST_CASE("gather takes cells of an axis", "[ops]") {
  require_close(op("gather", {kX, integers({2}, {1, 0})}), floats({2, 3}, {3, 4, 5, 0, 1, 2}), 0);
  require_close(op("gather", {kX, integers({1, 2}, {2, 2})}, {1}), floats({2, 1, 2}, {2, 2, 5, 5}), 0);
  require_close(op("gather", {kX, integers({}, {1})}, {0}), floats({3}, {3, 4, 5}), 0);
  require_close(op("gather", {kX, Tensor::of<uint8_t>({1}, {1})}, {1}), floats({2, 1}, {1, 4}), 0);
  require_close(op("tract_core_gather", {kX, integers({1}, {-1})}, {1}), floats({2, 1}, {2, 5}), 0);
  REQUIRE(op("gather", {Tensor::of_strings({2}, {"a", "b"}), integers({3}, {1, 1, 0})}).strings() ==
          std::vector<std::string>{"b", "b", "a"});
  REQUIRE(op("gather", {kX, integers({0}, {})}).shape() == Shape{0, 3});
  REQUIRE(op_code("gather", {kX, integers({1}, {-1})}) == "index-out-of-range");
  REQUIRE(op_code("gather", {kX, integers({1}, {2})}) == "index-out-of-range");
  REQUIRE(op_code("tract_core_gather", {kX, integers({1}, {-3})}, {0}) == "index-out-of-range");
  REQUIRE(op_code("gather", {kX, integers({1}, {0})}, {2}) == "axis-out-of-range");
  REQUIRE(op_code("gather", {kX, floats({1}, {0})}) == "dtype-mismatch");
}

TEST_CASE("gather_elements and scatter_elements", "[ops]") {
  const Tensor at = integers({1, 3}, {1, -1, 0});
  require_close(op("tract_core_gather_elements", {kX, at}, {0}), floats({1, 3}, {3, 4, 2}), 0);
  require_close(op("tract_core_gather_elements", {kX, integers({2, 1}, {2, 0})}, {1}), floats({2, 1}, {2, 3}),
                0);
  require_close(op("tract_core_gather_elements", {kX, integers({2, 1}, {2, 0})}, {-1}),
                floats({2, 1}, {2, 3}), 0);
  REQUIRE(op_code("tract_core_gather_elements", {kX, integers({1, 1}, {2})}, {0}) == "index-out-of-range");
  REQUIRE(op_code("tract_core_gather_elements", {kX, integers({3, 1}, {0, 0, 0})}, {1}) == "shape-mismatch");
  REQUIRE(op_code("tract_core_gather_elements", {kX, integers({1}, {0})}, {0}) == "rank-mismatch");
  const Tensor updates = floats({1, 3}, {10, 20, 30});
  const auto scatter = [&](const char* reduction) {
    return op("tract_core_scatter_elements", {kX, at, updates}, {0, reduction});
  };
  require_close(scatter("none"), floats({2, 3}, {0, 1, 30, 10, 20, 5}), 0);
  require_close(scatter("add"), floats({2, 3}, {0, 1, 32, 13, 24, 5}), 0);
  require_close(scatter("mul"), floats({2, 3}, {0, 1, 60, 30, 80, 5}), 0);
  require_close(scatter("max"), floats({2, 3}, {0, 1, 30, 10, 20, 5}), 0);
  require_close(scatter("min"), kX, 0);
  REQUIRE(op_code("tract_core_scatter_elements", {kX, at, updates}, {0, "mean"}) == "attribute-value");
  REQUIRE(op_code("tract_core_scatter_elements", {kX, at, floats({1, 2}, {1, 2})}, {0}) == "shape-mismatch");
  REQUIRE(op_code("tract_core_scatter_elements", {kX, at, integers({1, 3}, {1, 2, 3})}, {0}) ==
          "dtype-mismatch");
  const Tensor twice = op("tract_core_scatter_elements",
                          {integers({1}, {0}), integers({1}, {0}), integers({1}, {7})}, {0, "add"});
  require_close(twice, integers({1}, {7}), 0);
}

TEST_CASE("gather_nd with and without batches", "[ops]") {
  require_close(op("tract_core_gather_nd", {kX, integers({2, 2}, {0, 2, 1, 0})}), floats({2}, {2, 3}), 0);
  require_close(op("tract_core_gather_nd", {kX, integers({1, 1}, {1})}), floats({1, 3}, {3, 4, 5}), 0);
  require_close(op("tract_core_gather_nd", {kX, integers({2, 1}, {2, 0})}, {1}), floats({2}, {2, 3}), 0);
  const Tensor deep = floats({2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  require_close(op("tract_core_gather_nd", {deep, integers({2, 2, 1}, {1, 0, 0, 1})}, {1}),
                floats({2, 2, 2}, {2, 3, 0, 1, 4, 5, 6, 7}), 0);
  require_close(op("tract_core_gather_nd", {kX, integers({1, 0}, {})}), kX.reshaped({1, 2, 3}), 0);
  REQUIRE(op_code("tract_core_gather_nd", {kX, integers({1, 2}, {0, 3})}) == "index-out-of-range");
  REQUIRE(op_code("tract_core_gather_nd", {kX, integers({1, 3}, {0, 0, 0})}) == "shape-mismatch");
  REQUIRE(op_code("tract_core_gather_nd", {kX, integers({3, 1}, {0, 0, 0})}, {1}) == "shape-mismatch");
  REQUIRE(op_code("tract_core_gather_nd", {kX, integers({2, 1}, {0, 0})}, {2}) == "attribute-range");
}

TEST_CASE("scatter_nd writes cells and single items", "[ops]") {
  require_close(op("tract_core_scatter_nd", {kX, integers({1, 1}, {1}), floats({1, 3}, {7, 8, 9})}),
                floats({2, 3}, {0, 1, 2, 7, 8, 9}), 0);
  require_close(op("tract_core_scatter_nd", {kX, integers({2, 2}, {0, 0, 0, 0}), floats({2}, {7, 8})}),
                floats({2, 3}, {8, 1, 2, 3, 4, 5}), 0);
  require_close(
      op("tract_core_scatter_nd", {kX, integers({2, 2}, {0, 0, 0, 0}), floats({2}, {7, 8})}, {"add"}),
      floats({2, 3}, {15, 1, 2, 3, 4, 5}), 0);
  REQUIRE(op_code("tract_core_scatter_nd", {kX, integers({1, 1}, {2}), floats({1, 3}, {7, 8, 9})}) ==
          "index-out-of-range");
  REQUIRE(op_code("tract_core_scatter_nd", {kX, integers({1, 1}, {-1}), floats({1, 3}, {7, 8, 9})}) ==
          "index-out-of-range");
  REQUIRE(op_code("tract_core_scatter_nd", {kX, integers({1, 1}, {0}), floats({1, 2}, {7, 8})}) ==
          "shape-mismatch");
}
