#include "engine/ops/quant_types.h"
#include "tests/engine/ops/run_op.h"

using namespace nnefrun;

namespace {

// A cast between two typed facts, through a graph.
Tensor cast_between(const Tensor& value, const std::string& from, const std::string& to) {
  Graph graph;
  const ItemType type = *parse_item_type(from);
  Fact fact = fact_of(type.dtype, to_dims(value.shape()));
  fact.quant = type.quant;
  const Outlet x = graph.add_external(fact, "x");
  const Outlet y = graph.add("tract_core_cast", {x}, {to});
  REQUIRE(graph.fact(y).quant == parse_item_type(to)->quant);
  graph.outputs.push_back({y, "y"});
  GraphState state;
  return interpret(graph, {value}, {}, state)[0];
}

}  // namespace

TEST_CASE("item types are read and written", "[ops]") {
  REQUIRE(parse_item_type("F32")->dtype == DataType::f32);
  REQUIRE(parse_item_type("TDim")->dtype == DataType::i64);
  const auto codes = parse_item_type("QU8(Z:128 S:0.05)");
  REQUIRE(codes);
  REQUIRE(codes->dtype == DataType::u8);
  REQUIRE(codes->quant == AffineQuantization{128, 0.05F});
  REQUIRE(item_type_text(*codes) == "QU8(Z:128 S:0.05)");
  REQUIRE(parse_item_type("qi8( s:1e-3, z:-4 )")->quant == AffineQuantization{-4, 1e-3F});
  REQUIRE(parse_item_type(item_type_text({DataType::i32, AffineQuantization{7, 0.3333333F}}))->quant ==
          AffineQuantization{7, 0.3333333F});
  for (const char* bad : {"", "QI8", "QI8()", "QI8(Z:1)", "QI8(Z:1 S:0)", "QI8(Z:1 S:-1)", "QI8(Z:1 S:nan)",
                          "QI8(Z:1 S:1", "QI4(Z:1 S:1)", "QI8(Z:1 S:1 Z:1)", "float31"}) {
    INFO(bad);
    REQUIRE_FALSE(parse_item_type(bad));
  }
}

TEST_CASE("casts between numbers", "[ops]") {
  const Tensor x = floats({5}, {-1.9F, 0.5F, 300, NAN, 1e20F});
  require_close(op("tract_core_cast", {x}, {"u8"}), Tensor::of<uint8_t>({5}, {0, 0, 255, 0, 255}), 0);
  require_close(op("tract_core_cast", {x}, {"i64"}), integers({5}, {-1, 0, 300, 0, INT64_MAX}), 0);
  require_close(op("tract_core_cast", {x}, {"bool"}), logicals({5}, {true, true, true, true, true}), 0);
  require_close(op("tract_core_cast", {integers({2}, {257, -1})}, {"u8"}), Tensor::of<uint8_t>({2}, {1, 255}),
                0);
  REQUIRE(op("tract_core_cast", {integers({2}, {257, -1})}, {"string"}).strings() ==
          std::vector<std::string>{"257", "-1"});
  REQUIRE(op_code("tract_core_cast", {x}, {"float31"}) == "unknown-dtype");
  REQUIRE(op_code("tract_core_cast", {Tensor::of_strings({1}, {"abc"})}, {"f32"}) == "cast-string");
}

TEST_CASE("casts from and to codes", "[ops]") {
  const Tensor reals = floats({6}, {-20, -1.25F, 0, 0.375F, 0.625F, 100});
  // x / 0.25 + 3, ties to even, clamped
  require_close(cast_between(reals, "f32", "QI8(Z:3 S:0.25)"),
                Tensor::of<int8_t>({6}, {-77, -2, 3, 4, 6, 127}), 0);
  require_close(cast_between(reals, "f32", "QU8(Z:3 S:0.25)"), Tensor::of<uint8_t>({6}, {0, 0, 3, 4, 6, 255}),
                0);
  require_close(cast_between(Tensor::of<int8_t>({2}, {-1, 7}), "QI8(Z:3 S:0.25)", "f32"),
                floats({2}, {-1, 1}), 0);
  // the same storage: bits are kept
  require_close(cast_between(Tensor::of<uint8_t>({2}, {0, 255}), "u8", "QU8(Z:3 S:0.25)"),
                Tensor::of<uint8_t>({2}, {0, 255}), 0);
  require_close(cast_between(Tensor::of<uint8_t>({2}, {0, 255}), "QU8(Z:3 S:0.25)", "u8"),
                Tensor::of<uint8_t>({2}, {0, 255}), 0);
  // wider plain integers: raw codes out, clamped in
  require_close(cast_between(Tensor::of<int8_t>({2}, {-5, 7}), "QI8(Z:3 S:0.25)", "i32"),
                Tensor::of<int32_t>({2}, {-5, 7}), 0);
  require_close(cast_between(Tensor::of<int32_t>({3}, {-500, 7, 500}), "i32", "QI8(Z:3 S:0.25)"),
                Tensor::of<int8_t>({3}, {-128, 7, 127}), 0);
  // from one grid to another
  require_close(cast_between(Tensor::of<int8_t>({3}, {3, 4, 6}), "QI8(Z:3 S:0.25)", "QI8(Z:0 S:0.5)"),
                Tensor::of<int8_t>({3}, {0, 0, 2}), 0);
  require_close(cast_between(Tensor::of<int8_t>({3}, {3, 7, 127}), "QI8(Z:3 S:0.25)", "QU8(Z:10 S:0.1)"),
                Tensor::of<uint8_t>({3}, {10, 20, 255}), 0);
  require_close(cast_between(Tensor::of<int32_t>({2}, {-40, 4000}), "QI32(Z:0 S:0.01)", "QI8(Z:1 S:0.1)"),
                Tensor::of<int8_t>({2}, {-3, 127}), 0);
  REQUIRE(code_of([] { cast_between(Tensor::of<uint8_t>({1}, {0}), "u8", "QI8(Z:3 S:0.25)"); }) ==
          "cast-unsupported");
}

TEST_CASE("symbolic values are evaluated when the symbols are known", "[ops]") {
  Graph graph;
  const Outlet x = graph.add_external(fact_of(DataType::f32, {Dim::symbol("S")}), "x");
  const Outlet y =
      graph.add("nnefrun_dims", {}, {Attribute::of_dims({Dim::symbol("S") * 2, Dim(3)}), ints({2})});
  graph.outputs = {{y, "y"}, {graph.add("tract_core_shape_of", {x}), "shape"}};
  GraphState state;
  const auto results = interpret(graph, {floats({5}, {1, 2, 3, 4, 5})}, {}, state);
  require_close(results[0], integers({2}, {10, 3}), 0);
  require_close(results[1], integers({1}, {5}), 0);
  REQUIRE(code_of([&] { graph.add("nnefrun_dims", {}, {ints({1, 2}), ints({3})}); }) == "shape-mismatch");
}
