// nnefrun_conv and nnefrun_matmul: values by hand, and what they refuse.
#include <catch2/catch.hpp>
#include <cmath>

#include "engine/graph/interpreter.h"

using namespace nnefrun;

namespace {

Outlet input(Graph& graph, Shape shape, const char* name) {
  return graph.add_external(fact_of(DataType::f32, to_dims(shape)), name);
}

Attribute pads(int64_t before, int64_t after) { return Attribute::of_pairs({{before, after}}); }

std::vector<float> run(Graph& graph, Outlet result, const std::vector<Tensor>& inputs) {
  graph.outputs = {{result, "y"}};
  GraphState state;
  const auto items = interpret(graph, inputs, {}, state).at(0);
  return {items.data<float>(), items.data<float>() + items.size()};
}

// activation(a * 1 + 0 + 0) through nnefrun_matmul, a column of values.
std::vector<float> activated(const std::vector<float>& values, const char* name, double alpha, double beta) {
  Graph graph;
  const auto rows = static_cast<int64_t>(values.size());
  const Outlet a = input(graph, {rows, 1}, "a"),
               one = graph.add_constant(Tensor::of<float>({1, 1}, {1}), "one");
  const Outlet y =
      graph.add(find_op("nnefrun_matmul"), {a, one}, {1, 1, 0, 0}, {false, false, name, alpha, beta});
  return run(graph, y, {Tensor::of<float>({rows, 1}, values)});
}

template <class F>
std::string code_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return std::string(error.code());
  }
  return "no error";
}

}  // namespace

TEST_CASE("nnefrun_matmul adds bias and residual before the activation", "[fused]") {
  Graph graph;
  const Outlet a = input(graph, {2, 2}, "a"), r = input(graph, {2, 3}, "r");
  const Outlet b = graph.add_constant(Tensor::of<float>({3, 2}, {1, 0, 0, 1, 1, 1}), "b");
  const Outlet bias = graph.add_constant(Tensor::of<float>({3}, {10, 20, -30}), "bias");
  const Outlet y =
      graph.add(find_op("nnefrun_matmul"), {a, b, bias, r}, {1, 1, 1, 1}, {false, true, "relu", 0.0, 0.0});
  const auto got = run(
      graph, y, {Tensor::of<float>({2, 2}, {1, 2, 3, 4}), Tensor::of<float>({2, 3}, {1, 1, 1, -20, 1, 24})});
  CHECK(got == std::vector<float>{12, 23, 0, 0, 25, 1});
}

TEST_CASE("nnefrun_conv adds bias and residual before the activation", "[fused]") {
  Graph graph;
  const Outlet x = input(graph, {1, 1, 4}, "x"), r = input(graph, {1, 2, 2}, "r");
  const Outlet w = graph.add_constant(Tensor::of<float>({2, 1, 3}, {1, 1, 1, 0, 1, 0}), "w");
  const Outlet bias = graph.add_constant(Tensor::of<float>({1, 2}, {100, -100}), "bias");
  const std::vector<Attribute> attributes = {
      "constant", pads(1, 0), Attribute::of_ints({2}), Attribute::List{}, 1, "clamp", -98.0, 102.0};
  const Outlet y = graph.add(find_op("nnefrun_conv"), {x, w, bias, r}, {1, 1, 1, 1}, attributes);
  // Windows [0 1 2] and [2 3 4].
  const auto got = run(
      graph, y, {Tensor::of<float>({1, 1, 4}, {1, 2, 3, 4}), Tensor::of<float>({1, 2, 2}, {-3, 1, 0.5F, 0})});
  CHECK(got == std::vector<float>{100, 102, -98, -97});
}

TEST_CASE("activations of the fused rows", "[fused]") {
  const float nan = std::nanf("");
  CHECK(activated({-1, 0, 2, nan}, "relu", 0, 0) == std::vector<float>{0, 0, 2, 0});
  CHECK(activated({-1, 0.5F, 7, nan}, "clamp", 0, 6) == std::vector<float>{0, 0.5F, 6, 6});
  CHECK(activated({-2, 3}, "leaky_relu", 0.25, 0) == std::vector<float>{-0.5F, 3});
  const auto near = [](const std::vector<float>& got, const std::vector<double>& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == Approx(wanted[i]).margin(1e-7));
  };
  near(activated({0, 1}, "sigmoid", 0, 0), {0.5, 0.7310585786300049});
  near(activated({0, 1}, "tanh", 0, 0), {0, 0.7615941559557649});
  near(activated({0, 1}, "silu", 0, 0), {0, 0.7310585786300049});
  near(activated({-1, 1}, "gelu_erf", 0, 0), {-0.15865525393145707, 0.8413447460685429});
  near(activated({1}, "gelu_tanh", 0, 0), {0.8411919906082768});
  near(activated({-4, -1, 1, 4}, "hard_swish", 0, 0), {0, -1.0 / 3, 2.0 / 3, 4});
  near(activated({-1, 2}, "elu", 0.5, 0), {0.5 * std::expm1(-1.0), 2});
  CHECK(activated({-1, 2}, "", 0, 0) == std::vector<float>{-1, 2});
}

TEST_CASE("what the fused rows refuse", "[fused]") {
  Graph graph;
  const Outlet a = input(graph, {2, 2}, "a"), b = input(graph, {2, 3}, "b"),
               wrong = input(graph, {2, 2}, "wrong");
  const Outlet whole = graph.add_external(fact_of(DataType::i8, {Dim(2), Dim(2)}), "whole");
  const OpDef* op = find_op("nnefrun_matmul");
  const auto matmul = [&](std::vector<Outlet> inputs, std::vector<uint32_t> counts, const char* activation,
                          double alpha, double beta) {
    return code_of([&] { graph.add(op, inputs, counts, {false, false, activation, alpha, beta}); });
  };
  CHECK(matmul({a, b}, {1, 1, 0, 0}, "swish", 0, 0) == "attribute-value");
  CHECK(matmul({a, b}, {1, 1, 0, 0}, "clamp", 1, 0) == "attribute-range");
  CHECK(matmul({a, b, wrong}, {1, 1, 0, 1}, "", 0, 0) == "shape-mismatch");
  CHECK(matmul({a, b, wrong}, {1, 1, 1, 0}, "", 0, 0) == "shape-mismatch");
  CHECK(matmul({a, wrong, b}, {1, 1, 0, 1}, "", 0, 0) == "shape-mismatch");
  CHECK(matmul({whole, whole}, {1, 1, 0, 0}, "", 0, 0) == "dtype-mismatch");
  CHECK(matmul({b, a}, {1, 1, 0, 0}, "", 0, 0) == "shape-mismatch");  // matmul's own refusal
  CHECK(matmul({a, b}, {1, 1, 0, 0}, "relu", 0, 0) == "no error");
}
