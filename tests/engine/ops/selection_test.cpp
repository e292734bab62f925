#include <bit>

#include "tests/engine/ops/run_op.h"

using namespace nnefrun;

TEST_CASE("topk keeps the order of equal items, and puts NaN last", "[ops]") {
  const Tensor x = floats({1, 5}, {3, 1, 3, NAN, 2});
  auto top = run_op("tract_core_topk", {x, integers({}, {3})}, {1, true});
  REQUIRE(top.size() == 2);
  require_close(top[0], floats({1, 3}, {3, 3, 2}), 0);
  require_close(top[1], integers({1, 3}, {0, 2, 4}), 0);
  top = run_op("tract_core_topk", {x, integers({}, {2})}, {1, false});
  require_close(top[0], floats({1, 2}, {NAN, 1}), 0);
  require_close(top[1], integers({1, 2}, {3, 1}), 0);
  top = run_op("tract_core_topk", {floats({3, 2}, {1, 6, 2, 5, 3, 4}), integers({}, {1})}, {0, true});
  require_close(top[0], floats({1, 2}, {3, 6}), 0);
  require_close(top[1], integers({1, 2}, {2, 0}), 0);
  REQUIRE(op_code("tract_core_topk", {x, integers({}, {6})}, {1, true}) == "index-out-of-range");
  REQUIRE(op_code("tract_core_topk", {x, integers({}, {-1})}, {1, true}) == "index-out-of-range");
  REQUIRE(op_code("tract_core_topk", {x, integers({}, {1})}, {2, true}) == "axis-out-of-range");
}

TEST_CASE("one_hot inserts an axis", "[ops]") {
  require_close(op("tract_core_one_hot", {integers({2}, {2, -3})}, {1, 3}),
                floats({2, 3}, {0, 0, 1, 1, 0, 0}), 0);
  require_close(op("tract_core_one_hot", {integers({2}, {1, 0})}, {0, 2, -1.0, 2.0}),
                floats({2, 2}, {-1, 2, 2, -1}), 0);
  require_close(op("tract_core_one_hot", {integers({}, {1})}, {0, 2, 0, 5}), integers({2}, {0, 5}), 0);
  REQUIRE(op_code("tract_core_one_hot", {integers({1}, {3})}, {1, 3}) == "index-out-of-range");
  REQUIRE(op_code("tract_core_one_hot", {integers({1}, {3})}, {2, 3}) == "axis-out-of-range");
  REQUIRE(op_code("tract_core_one_hot", {floats({1}, {3})}, {0, 3}) == "dtype-mismatch");
}

TEST_CASE("non_zero lists positions axis by axis", "[ops]") {
  require_close(op("tract_onnx_non_zero", {floats({2, 2}, {0, 3, -1, 0})}), integers({2, 2}, {0, 1, 1, 0}),
                0);
  REQUIRE(op("tract_onnx_non_zero", {logicals({3}, {false, false, false})}).shape() == Shape{1, 0});
  Graph graph;
  const Outlet x = graph.add_external(fact_of(DataType::i64, {Dim(4)}), "x");
  const Outlet y = graph.add("tract_onnx_non_zero", {x}, {"count"});
  REQUIRE(to_string(graph.fact(y).shape) == "[1,count]");
}

TEST_CASE("suppression of overlapping boxes", "[ops]") {
  const Tensor boxes = floats({1, 3, 4}, {0, 0, 1, 1, 0, 0.1F, 1, 1.1F, 0, 5, 1, 6}),
               scores = floats({1, 1, 3}, {0.8F, 0.9F, 0.3F});
  const auto limit = integers({}, {0});
  require_close(op("tract_onnx_non_max_suppression", {boxes, scores, limit, floats({}, {0.5F})}),
                integers({2, 3}, {0, 0, 1, 0, 0, 2}), 0);
  require_close(op("tract_onnx_non_max_suppression", {boxes, scores, limit, floats({}, {0.9F})}),
                integers({3, 3}, {0, 0, 1, 0, 0, 0, 0, 0, 2}), 0);
  require_close(op("tract_onnx_non_max_suppression", {boxes, scores, integers({}, {1}), floats({}, {0.5F})}),
                integers({1, 3}, {0, 0, 1}), 0);
  require_close(
      op("tract_onnx_non_max_suppression", {boxes, scores, limit, floats({}, {0.5F}), floats({}, {0.5F})}),
      integers({1, 3}, {0, 0, 1}), 0);
  const Tensor centers = floats({1, 2, 4}, {0.5F, 0.5F, 1, 1, 0.6F, 0.5F, 1, 1}),
               two = floats({1, 1, 2}, {1, 2});
  require_close(op("tract_onnx_non_max_suppression", {centers, two, limit, floats({}, {0.5F})}, {1}),
                integers({1, 3}, {0, 0, 1}), 0);
  REQUIRE(op_code("tract_onnx_non_max_suppression",
                  {boxes, floats({1, 1, 2}, {1, 2}), limit, floats({}, {0.5F})}) == "shape-mismatch");
}

TEST_CASE("look-ups by index and by value", "[ops]") {
  const Tensor values = floats({3}, {10, 20, 30});
  require_close(op("tract_onnx_ml_direct_lookup", {integers({4}, {2, 0, -1, 3}), values, floats({}, {-5})}),
                floats({4}, {30, 10, -5, -5}), 0);
  require_close(
      op("tract_onnx_ml_reverse_lookup", {floats({3}, {30, 11, 10}), values, Tensor::of<int32_t>({}, {-1})}),
      Tensor::of<int32_t>({3}, {2, -1, 0}), 0);
  const Tensor names = Tensor::of_strings({2}, {"cat", "dog"});
  require_close(
      op("tract_onnx_ml_reverse_lookup", {Tensor::of_strings({2}, {"dog", "cow"}), names, integers({}, {9})}),
      Tensor::of<int32_t>({2}, {1, 9}), 0);
  REQUIRE(op("tract_onnx_ml_direct_lookup", {integers({2}, {1, 7}), names, Tensor::of_strings({}, {"?"})})
              .strings() == std::vector<std::string>{"dog", "?"});
}

TEST_CASE("a forest of two trees votes", "[ops]") {
  const auto bits = [](float v) { return std::bit_cast<uint32_t>(v); };
  const auto u32 = [](Shape shape, const std::vector<uint32_t>& v) {
    return Tensor::of<uint32_t>(std::move(shape), v);
  };
  // tree 0: feature 0 <= 0.5 ? leaf 0 : leaf 1; tree 1 is one leaf with two votes
  std::vector<uint32_t> nodes = {0, 1, 2, bits(0.5F), 5 | 0x100, 0, 1, 0, 0, 0, 1, 2, 0, 0, 0, 2, 4, 0, 0, 0};
  const Tensor trees = u32({2}, {0, 3}),
               leaves = u32({4, 2}, {0, bits(1), 1, bits(2), 0, bits(0.25F), 1, bits(0.5F)});
  const Tensor x = floats({3, 1}, {0, 1, NAN});
  const auto classify = [&](const char* how) {
    return op("tract_onnx_ml_tree_ensemble_classifier", {x, trees, u32({4, 5}, nodes), leaves}, {0, 2, how});
  };
  require_close(classify("SUM"), floats({3, 2}, {1.25F, 0.5F, 0.25F, 2.5F, 1.25F, 0.5F}), 0);
  require_close(classify("AVERAGE"), floats({3, 2}, {0.625F, 0.5F, 0.25F, 1.25F, 0.625F, 0.5F}), 0);
  require_close(classify("MAX"), floats({3, 2}, {1, 0.5F, 0.25F, 2, 1, 0.5F}), 0);
  REQUIRE(code_of([&] { classify("MODE"); }) == "attribute-value");
  nodes[1] = 0;  // the first node is its own child
  REQUIRE(code_of([&] { classify("SUM"); }) == "tree-cycle");
  nodes[1] = 77;
  REQUIRE(code_of([&] { classify("SUM"); }) == "index-out-of-range");
  nodes[1] = 1;
  nodes[0] = 5;
  REQUIRE(code_of([&] { classify("SUM"); }) == "index-out-of-range");
}
