#include "tests/engine/ops/run_op.h"

using namespace nnefrun;

TEST_CASE("binary operators broadcast from the leading axis", "[ops]") {
  const Tensor x = floats({2}, {10, 20}), y = floats({2, 3}, {0, 1, 2, 3, 4, 5});
  require_close(op("add", {x, y}), floats({2, 3}, {10, 11, 12, 23, 24, 25}), 0);
  require_close(op("sub", {y, x}), floats({2, 3}, {-10, -9, -8, -17, -16, -15}), 0);
  require_close(op("mul", {floats({}, {2}), y}), floats({2, 3}, {0, 2, 4, 6, 8, 10}), 0);
  require_close(op("add", {floats({1, 3}, {1, 2, 3}), floats({2, 1}, {10, 20})}),
                floats({2, 3}, {11, 12, 13, 21, 22, 23}), 0);
  REQUIRE(op_code("add", {floats({3}, {1, 2, 3}), y}) == "shape-mismatch");
  REQUIRE(op_code("add", {x, integers({2}, {1, 2})}) == "dtype-mismatch");
  REQUIRE(op("add", {floats({0}, {}), floats({1}, {1})}).shape() == Shape{0});
}

TEST_CASE("integer arithmetic wraps, division is checked", "[ops]") {
  const Tensor x = Tensor::of<int8_t>({3}, {127, -128, 7}), y = Tensor::of<int8_t>({3}, {1, -1, -2});
  require_close(op("add", {x, y}), Tensor::of<int8_t>({3}, {-128, 127, 5}), 0);
  require_close(op("mul", {x, y}), Tensor::of<int8_t>({3}, {127, -128, -14}), 0);
  require_close(op("add", {integers({1}, {INT64_MAX}), integers({1}, {1})}), integers({1}, {INT64_MIN}), 0);
  require_close(op("div", {integers({3}, {7, -7, 7}), integers({3}, {2, 2, -2})}), integers({3}, {3, -3, -3}),
                0);
  require_close(op("div", {Tensor::of<uint64_t>({1}, {UINT64_MAX}), Tensor::of<uint64_t>({1}, {2})}),
                Tensor::of<uint64_t>({1}, {UINT64_MAX / 2}), 0);
  REQUIRE(op_code("div", {integers({1}, {1}), integers({1}, {0})}) == "division-by-zero");
  REQUIRE(op_code("div", {Tensor::of<uint8_t>({1}, {1}), Tensor::of<uint8_t>({1}, {0})}) ==
          "division-by-zero");
  REQUIRE(op_code("div", {integers({1}, {INT64_MIN}), integers({1}, {-1})}) == "integer-overflow");
  REQUIRE(op_code("div", {Tensor::of<int8_t>({1}, {-128}), Tensor::of<int8_t>({1}, {-1})}) ==
          "integer-overflow");
  require_close(op("div", {floats({2}, {1, 0}), floats({2}, {0, 0})}), floats({2}, {INFINITY, NAN}), 0);
}

TEST_CASE("powers of floats and integers", "[ops]") {
  require_close(op("pow", {floats({3}, {2, 9, 2}), floats({3}, {3, 0.5F, -1})}), floats({3}, {8, 3, 0.5F}));
  require_close(op("pow", {integers({5}, {2, -2, 5, -1, 7}), integers({5}, {10, 3, 0, -3, -1})}),
                integers({5}, {1024, -8, 1, -1, 0}), 0);
  REQUIRE(op_code("pow", {integers({1}, {0}), integers({1}, {-1})}) == "division-by-zero");
}

TEST_CASE("min and max as the standard's selects, and those that ignore NaN", "[ops]") {
  const Tensor x = floats({3}, {1, NAN, 3}), y = floats({3}, {2, 5, NAN});
  require_close(op("min", {x, y}), floats({3}, {1, 5, NAN}), 0);
  require_close(op("max", {x, y}), floats({3}, {2, 5, NAN}), 0);
  require_close(op("nnefrun_fmin", {x, y}), floats({3}, {1, 5, 3}), 0);
  require_close(op("nnefrun_fmax", {x, y}), floats({3}, {2, 5, 3}), 0);
  require_close(op("max", {integers({2}, {1, 5}), integers({2}, {3, 2})}), integers({2}, {3, 5}), 0);
}

TEST_CASE("bits and shifts", "[ops]") {
  const Tensor x = Tensor::of<uint8_t>({3}, {12, 255, 1}), y = Tensor::of<uint8_t>({3}, {10, 15, 0});
  require_close(op("tract_core_bitand", {x, y}), Tensor::of<uint8_t>({3}, {8, 15, 0}), 0);
  require_close(op("tract_core_bitor", {x, y}), Tensor::of<uint8_t>({3}, {14, 255, 1}), 0);
  require_close(op("tract_core_bitxor", {x, y}), Tensor::of<uint8_t>({3}, {6, 240, 1}), 0);
  require_close(op("tract_core_bitand", {Tensor::of<int8_t>({1}, {-1}), Tensor::of<int8_t>({1}, {-4})}),
                Tensor::of<int8_t>({1}, {-4}), 0);
  require_close(op("tract_shl", {x, Tensor::of<uint8_t>({3}, {1, 1, 9})}),
                Tensor::of<uint8_t>({3}, {24, 254, 0}), 0);
  require_close(op("tract_shr", {integers({3}, {-5, 8, -1}), integers({3}, {1, 70, 100})}),
                integers({3}, {-3, 0, -1}), 0);
  REQUIRE(op_code("tract_shr", {integers({1}, {1}), integers({1}, {-1})}) == "shift-out-of-range");
  REQUIRE(op_code("tract_core_bitand", {floats({1}, {1}), floats({1}, {1})}) == "dtype-unsupported");
  const Tensor p = logicals({4}, {true, true, false, false}), q = logicals({4}, {true, false, true, false});
  require_close(op("and", {p, q}), logicals({4}, {true, false, false, false}), 0);
  require_close(op("or", {p, q}), logicals({4}, {true, true, true, false}), 0);
  require_close(op("tract_core_xor", {p, q}), logicals({4}, {false, true, true, false}), 0);
  require_close(op("and", {integers({2}, {2, 0}), integers({2}, {4, 1})}), integers({2}, {1, 0}), 0);
  REQUIRE(op_code("tract_core_xor", {x, y}) == "dtype-unsupported");
}

TEST_CASE("comparisons of numbers, logicals and strings", "[ops]") {
  const Tensor x = floats({4}, {1, 2, 3, NAN}), y = floats({4}, {2, 2, 2, NAN});
  require_close(op("lt", {x, y}), logicals({4}, {true, false, false, false}), 0);
  require_close(op("le", {x, y}), logicals({4}, {true, true, false, false}), 0);
  require_close(op("gt", {x, y}), logicals({4}, {false, false, true, false}), 0);
  require_close(op("ge", {x, y}), logicals({4}, {false, true, true, false}), 0);
  require_close(op("eq", {x, y}), logicals({4}, {false, true, false, false}), 0);
  require_close(op("ne", {x, y}), logicals({4}, {true, false, true, true}), 0);
  require_close(op("eq", {logicals({2}, {true, false}), logicals({2}, {true, true})}),
                logicals({2}, {true, false}), 0);
  const Tensor a = Tensor::of_strings({2}, {"ab", "b"}), b = Tensor::of_strings({2}, {"ab", "a"});
  require_close(op("eq", {a, b}), logicals({2}, {true, false}), 0);
  require_close(op("gt", {a, b}), logicals({2}, {false, true}), 0);
  REQUIRE(op("add", {a, b}).strings() == std::vector<std::string>{"abab", "ba"});
  REQUIRE(op_code("mul", {a, b}) == "dtype-unsupported");
}

TEST_CASE("select takes items of either branch, and lets no NaN through", "[ops]") {
  const Tensor condition = logicals({2}, {true, false}), yes = floats({2, 2}, {1, 2, NAN, NAN}),
               no = floats({}, {7});
  require_close(op("select", {condition, yes, no}), floats({2, 2}, {1, 2, 7, 7}), 0);
  const Tensor strings =
      op("select", {condition, Tensor::of_strings({2}, {"a", "b"}), Tensor::of_strings({2}, {"c", "d"})});
  REQUIRE(strings.strings() == std::vector<std::string>{"a", "d"});
  require_close(op("select", {condition, Tensor::of<uint8_t>({2}, {1, 2}), Tensor::of<uint8_t>({2}, {3, 4})}),
                Tensor::of<uint8_t>({2}, {1, 4}), 0);
  REQUIRE(op_code("select", {yes, yes, no}) == "dtype-mismatch");
  REQUIRE(op_code("select", {condition, yes, integers({}, {7})}) == "dtype-mismatch");
}

TEST_CASE("clamp between tensors; the lower bound wins where they cross", "[ops]") {
  require_close(op("clamp", {floats({3}, {-5, 0.5F, 5}), floats({}, {-1}), floats({}, {1})}),
                floats({3}, {-1, 0.5F, 1}), 0);
  require_close(op("clamp", {floats({3}, {-5, 0.5F, 5}), floats({}, {1}), floats({}, {-1})}),
                floats({3}, {1, 1, 1}), 0);
  require_close(op("clamp", {floats({1}, {NAN}), floats({}, {-1}), floats({}, {1})}), floats({1}, {1}), 0);
  require_close(op("clamp", {integers({2}, {-5, 5}), integers({2}, {0, 1}), integers({1}, {3})}),
                integers({2}, {0, 3}), 0);
}

TEST_CASE("shape values pass through arithmetic as expressions", "[ops]") {
  Graph graph;
  const Dim s = Dim::symbol("S");
  const auto value = [&](const Dim& d) {
    return graph.add("nnefrun_dims", {}, {Attribute::of_dims({d}), Attribute(Attribute::List{})});
  };
  const auto known = [&](Outlet outlet) {
    REQUIRE(graph.fact(outlet).dims);
    return graph.fact(outlet).dims->at(0).to_string();
  };
  const Outlet two = value(2), length = value(s * 2 + 4);
  REQUIRE(known(graph.add("add", {length, two})) == "2*S+6");
  REQUIRE(known(graph.add("div", {length, two})) == "S+2");
  REQUIRE(known(graph.add("mul", {length, length})) == (Dim(4) * s * s + s * 16 + 16).to_string());
  REQUIRE(known(graph.add("sub", {two, length})) == (Dim(-2) - s * 2).to_string());
  REQUIRE(known(graph.add("neg", {length})) == (-(s * 2 + 4)).to_string());
  const Outlet longer = graph.add("gt", {length, two});
  REQUIRE(graph.fact(longer).constant);
  REQUIRE(graph.fact(longer).constant->data<bool>()[0]);
  REQUIRE_FALSE(graph.fact(graph.add("eq", {value(s), two})).constant);
  REQUIRE(known(graph.add("select", {longer, length, two})) == "2*S+4");
}
