#include "tests/engine/ops/run_op.h"

using namespace nnefrun;

namespace {

const Tensor kSix = floats({6}, {0, 1, 2, 3, 4, 5});

Tensor slice(int64_t begin, int64_t length, int64_t stride) {
  return op("nnefrun_slice", {kSix}, {ints({0}), ints({begin}), ints({length}), ints({stride})});
}
std::string slice_code(int64_t begin, int64_t length, int64_t stride) {
  return op_code("nnefrun_slice", {kSix}, {ints({0}), ints({begin}), ints({length}), ints({stride})});
}
Attribute pairs(const std::vector<std::pair<int64_t, int64_t>>& p) { return Attribute::of_pairs(p); }

}  // namespace

TEST_CASE("slices in both directions", "[ops]") {
  require_close(slice(1, 3, 2), floats({3}, {1, 3, 5}), 0);
  require_close(slice(0, 2, 4), floats({2}, {0, 4}), 0);
  require_close(slice(5, 6, -1), floats({6}, {5, 4, 3, 2, 1, 0}), 0);
  require_close(slice(4, 2, -2), floats({2}, {4, 2}), 0);
  REQUIRE(slice(6, 0, 1).shape() == Shape{0});
  REQUIRE(slice_code(4, 3, 1) == "slice-out-of-range");
  REQUIRE(slice_code(-1, 2, 1) == "slice-out-of-range");
  REQUIRE(slice_code(1, 3, -1) == "slice-out-of-range");
  REQUIRE(slice_code(0, -1, 1) == "slice-out-of-range");
  REQUIRE(slice_code(0, 1, 0) == "attribute-range");
  REQUIRE(op_code("nnefrun_slice", {kSix}, {ints({0}), ints({0, 1}), ints({1})}) == "attribute-length");
  const Tensor x = floats({2, 3}, {0, 1, 2, 3, 4, 5});
  require_close(op("nnefrun_slice", {x}, {ints({1, 0}), ints({2, 1}), ints({2, 1}), ints({-1, 1})}),
                floats({1, 2}, {5, 4}), 0);
  REQUIRE(op_code("nnefrun_slice", {x}, {ints({1, 1}), ints({0, 0}), ints({1, 1})}) == "axis-repeated");
}

TEST_CASE("a slice with symbols is checked in the run", "[ops]") {
  Graph graph;
  const Dim s = Dim::symbol("S");
  const Outlet x = graph.add_external(fact_of(DataType::f32, {s}), "x");
  const Outlet last = graph.add("nnefrun_slice", {x}, {ints({0}), Attribute::of_dims({s - 2}), ints({2})});
  REQUIRE(to_string(graph.fact(last).shape) == "[2]");
  graph.outputs = {{last, "y"}};
  GraphState state;
  require_close(interpret(graph, {kSix}, {}, state)[0], floats({2}, {4, 5}), 0);
  REQUIRE(code_of([&] { interpret(graph, {floats({1}, {0})}, {}, state); }) == "slice-out-of-range");
}

TEST_CASE("slices with computed bounds", "[ops]") {
  const auto at = [](int64_t v) { return integers({}, {v}); };
  require_close(op("tract_core_dyn_slice", {kSix, at(1), at(4)}, {3, 0}), floats({3}, {1, 2, 3}), 0);
  require_close(op("tract_core_dyn_slice", {kSix, at(1), at(4)}, {Attribute(), 0}), floats({3}, {1, 2, 3}),
                0);
  REQUIRE(op_code("tract_core_dyn_slice", {kSix, at(1), at(4)}, {2, 0}) == "shape-mismatch");
  REQUIRE(op_code("tract_core_dyn_slice", {kSix, at(4), at(7)}, {3, 0}) == "slice-out-of-range");
  REQUIRE(op_code("tract_core_dyn_slice", {kSix, at(-1), at(2)}, {3, 0}) == "slice-out-of-range");
  REQUIRE(op_code("tract_core_dyn_slice", {kSix, at(4), at(1)}, {Attribute(), 0}) == "slice-out-of-range");
  REQUIRE(op_code("tract_core_dyn_slice", {kSix, floats({}, {1}), at(1)}, {0, 0}) == "dtype-mismatch");
}

TEST_CASE("downsampling in both directions", "[ops]") {
  require_close(op("tract_core_downsample", {kSix}, {0, 2}), floats({3}, {0, 2, 4}), 0);
  require_close(op("tract_core_downsample", {kSix}, {0, 4, 1}), floats({2}, {1, 5}), 0);
  require_close(op("tract_core_downsample", {kSix}, {0, -2}), floats({3}, {5, 3, 1}), 0);
  require_close(op("tract_core_downsample", {kSix}, {0, -4, 1}), floats({2}, {5, 1}), 0);
  REQUIRE(op("tract_core_downsample", {kSix}, {0, 2, 9}).shape() == Shape{0});
  REQUIRE(op_code("tract_core_downsample", {kSix}, {0, 0}) == "attribute-range");
  REQUIRE(op_code("tract_core_downsample", {kSix}, {1, 2}) == "axis-out-of-range");
}

TEST_CASE("pad with each border", "[ops]") {
  const Tensor x = floats({4}, {0, 1, 2, 3});
  require_close(op("pad", {x}, {pairs({{3, 3}}), "reflect"}), floats({10}, {3, 2, 1, 0, 1, 2, 3, 2, 1, 0}),
                0);
  require_close(op("pad", {x}, {pairs({{3, 3}}), "reflect-even"}),
                floats({10}, {2, 1, 0, 0, 1, 2, 3, 3, 2, 1}), 0);
  require_close(op("pad", {x}, {pairs({{2, 1}}), "replicate"}), floats({7}, {0, 0, 0, 1, 2, 3, 3}), 0);
  require_close(op("pad", {x}, {pairs({{-1, 2}}), "constant", 9.0}), floats({5}, {1, 2, 3, 9, 9}), 0);
  require_close(op("pad", {floats({1, 2}, {1, 2})}, {pairs({{1, 0}, {0, 1}})}),
                floats({2, 3}, {0, 0, 0, 1, 2, 0}), 0);
  require_close(op("pad", {integers({1}, {7})}, {pairs({{1, 0}}), "constant", 2.0}), integers({2}, {2, 7}),
                0);
  REQUIRE(op_code("pad", {x}, {pairs({{4, 0}}), "reflect"}) == "border-domain");
  REQUIRE(op_code("pad", {x}, {pairs({{0, 5}}), "reflect-even"}) == "border-domain");
  REQUIRE(op_code("pad", {x}, {pairs({{-3, -2}})}) == "shape-negative");
  REQUIRE(op_code("pad", {x}, {pairs({{1, 1}}), "ignore"}) == "attribute-value");
  REQUIRE(op_code("pad", {x}, {pairs({{1, 1}, {0, 0}})}) == "attribute-length");
  REQUIRE(op_code("pad", {x}, {pairs({{INT64_MAX, 1}})}) != "");
  REQUIRE(op_code("pad", {floats({0}, {})}, {pairs({{1, 0}}), "replicate"}) == "border-domain");
}

TEST_CASE("padding of codes holds the zero point", "[ops]") {
  Graph graph;
  Fact fact = fact_of(DataType::u8, {Dim(2)});
  fact.quant = AffineQuantization{128, 0.5F};
  const Outlet x = graph.add_external(fact, "x");
  const Outlet y = graph.add("pad", {x}, {pairs({{1, 1}}), "constant", 0.0});
  REQUIRE(graph.fact(y).quant == fact.quant);
  graph.outputs = {{y, "y"}, {graph.add("pad", {x}, {pairs({{1, 0}}), "constant", 2.0}), "z"}};
  GraphState state;
  const auto results = interpret(graph, {Tensor::of<uint8_t>({2}, {1, 2})}, {}, state);
  require_close(results[0], Tensor::of<uint8_t>({4}, {128, 1, 2, 128}), 0);
  require_close(results[1], Tensor::of<uint8_t>({3}, {132, 1, 2}), 0);
}

TEST_CASE("tile by attributes and by computed repeats", "[ops]") {
  const Tensor x = floats({1, 2}, {1, 2});
  require_close(op("tile", {x}, {ints({2, 2})}), floats({2, 4}, {1, 2, 1, 2, 1, 2, 1, 2}), 0);
  REQUIRE(op_code("tile", {x}, {ints({2})}) == "attribute-length");
  REQUIRE(op_code("tile", {x}, {ints({0, 1})}) == "attribute-range");
  REQUIRE(op_code("tile", {x}, {ints({INT64_MAX, 2})}) != "");
  require_close(op("nnefrun_dyn_tile", {x, integers({2}, {1, 3})}), floats({1, 6}, {1, 2, 1, 2, 1, 2}), 0);
  REQUIRE(op("nnefrun_dyn_tile", {x, integers({2}, {0, 3})}).shape() == Shape{0, 6});
  REQUIRE(op_code("nnefrun_dyn_tile", {x, integers({2}, {-1, 3})}) == "shape-negative");
  REQUIRE(op_code("nnefrun_dyn_tile", {x, integers({3}, {1, 1, 1})}) == "shape-mismatch");
}

TEST_CASE("triangles", "[ops]") {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  require_close(op("tract_core_trilu", {x, integers({}, {0})}, {true}), floats({2, 3}, {1, 2, 3, 0, 5, 6}),
                0);
  require_close(op("tract_core_trilu", {x, integers({}, {1})}, {true}), floats({2, 3}, {0, 2, 3, 0, 0, 6}),
                0);
  require_close(op("tract_core_trilu", {x, integers({}, {0})}, {false}), floats({2, 3}, {1, 0, 0, 4, 5, 0}),
                0);
  require_close(op("tract_core_trilu", {x, integers({}, {-1})}, {false}), floats({2, 3}, {0, 0, 0, 4, 0, 0}),
                0);
  REQUIRE(op_code("tract_core_trilu", {floats({3}, {1, 2, 3}), integers({}, {0})}, {true}) ==
          "shape-mismatch");
}

TEST_CASE("ranges of integers and floats", "[ops]") {
  const auto range = [](int64_t a, int64_t b, int64_t c) {
    return op("tract_core_range", {integers({}, {a}), integers({}, {b}), integers({}, {c})});
  };
  require_close(range(0, 5, 2), integers({3}, {0, 2, 4}), 0);
  require_close(range(5, 0, -2), integers({3}, {5, 3, 1}), 0);
  REQUIRE(range(5, 0, 1).shape() == Shape{0});
  require_close(op("tract_core_range", {floats({}, {1}), floats({}, {2}), floats({}, {0.3F})}),
                floats({4}, {1, 1.3F, 1.6F, 1.9F}));
  REQUIRE(op_code("tract_core_range", {integers({}, {0}), integers({}, {1}), integers({}, {0})}) ==
          "attribute-range");
  REQUIRE(op_code("tract_core_range", {floats({}, {0}), floats({}, {INFINITY}), floats({}, {1})}) ==
          "shape-negative");
  Graph graph;
  const auto value = [&](const Dim& d) {
    return graph.add("nnefrun_dims", {}, {Attribute::of_dims({d}), ints({})});
  };
  const Outlet symbolic = graph.add("tract_core_range", {value(0), value(Dim::symbol("S")), value(1)});
  REQUIRE(to_string(graph.fact(symbolic).shape) == "[S]");
  const Outlet fixed =
      graph.add("tract_core_range", {value(Dim::symbol("S")), value(Dim::symbol("S") + 3), value(1)});
  REQUIRE(to_string(*graph.fact(fixed).dims) == "[S,S+1,S+2]");
}
