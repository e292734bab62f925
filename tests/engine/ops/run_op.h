// Running one operator row by itself: a graph with the arguments as inputs and the row as its only other
// node.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "engine/graph/interpreter.h"

namespace nnefrun {

// Results of the row on these tensors. `counts` as Node::input_counts; by default each tensor parameter takes
// one, an only array parameter takes all, and parameters beyond the arguments are left out.
inline std::vector<Tensor> run_op(std::string_view name, const std::vector<Tensor>& arguments,
                                  std::vector<Attribute> attributes = {}, std::vector<uint32_t> counts = {}) {
  Graph graph;
  std::vector<Outlet> outlets;
  for (size_t i = 0; i < arguments.size(); ++i) {
    outlets.push_back(graph.add_external(fact_of(arguments[i].dtype(), to_dims(arguments[i].shape())),
                                         "x" + std::to_string(i)));
  }
  Outlet made;
  if (counts.empty()) {
    made = graph.add(name, outlets, std::move(attributes));
  } else {
    made = graph.add(find_op(name), outlets, std::move(counts), std::move(attributes));
  }
  for (uint32_t r = 0; r < graph.node(made).facts.size(); ++r)
    graph.outputs.push_back({{made.node, r}, "y" + std::to_string(r)});
  GraphState state;
  return interpret(graph, arguments, {}, state);
}

// The same for a row with one result.
inline Tensor op(std::string_view name, const std::vector<Tensor>& arguments,
                 std::vector<Attribute> attributes = {}, std::vector<uint32_t> counts = {}) {
  auto results = run_op(name, arguments, std::move(attributes), std::move(counts));
  REQUIRE(results.size() == 1);
  return results[0];
}

// The code of the Error that f throws; "" when it throws none.
template <class F>
std::string code_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    INFO(error.what());
    return error.code();
  }
  return {};
}

inline std::string op_code(std::string_view name, const std::vector<Tensor>& arguments,
                           std::vector<Attribute> attributes = {}, std::vector<uint32_t> counts = {}) {
  return code_of([&] { run_op(name, arguments, attributes, counts); });
}

inline Tensor floats(Shape shape, const std::vector<float>& values) {
  return Tensor::of<float>(std::move(shape), values);
}
inline Tensor integers(Shape shape, const std::vector<int64_t>& values) {
  return Tensor::of<int64_t>(std::move(shape), values);
}
inline Tensor logicals(Shape shape, const std::vector<bool>& values) {
  return Tensor::of<bool>(std::move(shape), values);
}
inline Attribute ints(const std::vector<int64_t>& values) { return Attribute::of_ints(values); }

// Requires shape and dtype to be equal and every item to be within `tolerance` (absolute, and relative to the
// wanted value); NaN equals NaN.
inline void require_close(const Tensor& got, const Tensor& wanted, double tolerance = 1e-6) {
  REQUIRE(got.dtype() == wanted.dtype());
  REQUIRE(got.shape() == wanted.shape());
  for (int64_t i = 0; i < got.size(); ++i) {
    const double a = got.as_double(i), b = wanted.as_double(i);
    INFO("item " << i << " is " << a << ", wanted " << b);
    const bool equal =
        a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= tolerance * (1 + std::abs(b));
    REQUIRE(equal);
  }
}

}  // namespace nnefrun
