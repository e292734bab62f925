#include "engine/ops/support.h"
#include "tests/engine/cached_attention.h"

using namespace nnefrun;

namespace {

Tensor half(const Shape& shape, int seed) { return cast_items(noise(shape, seed), DataType::f16); }

// The graph as the whole pipeline makes it, against its evaluation.
std::shared_ptr<const CompiledModel> require_steps(const Graph& graph, const std::vector<Tensor>& inputs) {
  GraphState state;
  const auto wanted = interpret(graph, inputs, {}, state);
  const auto model = compile_graph(graph, {});
  REQUIRE(model->plan.has_value());
  REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
  Session session(model);
  const auto got = session.run(inputs);
  for (size_t r = 0; r < got.size(); ++r) {
    REQUIRE(got[r].dtype() == wanted[r].dtype());
    REQUIRE(got[r].shape() == wanted[r].shape());
    for (int64_t i = 0; i < got[r].size(); ++i) {
      // a unit in the last place of f16: both ways round once, of sums in another order
      REQUIRE(std::abs(got[r].as_double(i) - wanted[r].as_double(i)) <=
              1e-3 * (1 + std::abs(wanted[r].as_double(i))));
    }
  }
  return model;
}

}  // namespace

TEST_CASE("arithmetic in f16 has steps", "[lowering][half]") {
  Graph graph;
  const Outlet x = graph.add_external(fact_of(DataType::f16, {3, 40}), "x");
  const Outlet w = graph.add_constant(half({24, 40}, 1), "w"), v = graph.add_constant(half({40, 24}, 2), "v");
  const Outlet bias = graph.add_constant(half({1, 24}, 3), "bias"),
               factor = graph.add_constant(half({1, 24}, 4), "f");
  const Outlet a = graph.add("matmul", {x, w}, {false, true}),
               b = graph.add("matmul", {x, v}, {false, false});
  const Outlet c = graph.add("linear", {x, w, bias});
  const Outlet sum = graph.add("add", {graph.add("mul", {a, factor}), graph.add("silu", {b})});
  graph.outputs = {{graph.add("add", {sum, graph.add("neg", {c})}), "y"}};
  const auto model = require_steps(graph, {half({3, 40}, 5)});
  REQUIRE(steps_of(*model, StepKind::matmul_half) == 3);
  size_t bytes = 0;  // no weight is there in f32
  for (const Tensor& constant : model->plan->constants) bytes = std::max(bytes, constant.byte_size());
  REQUIRE(bytes <= 24 * 40 * 2);
}

TEST_CASE("a cache of f16 keys and values is appended to and read in place", "[lowering][half][feedback]") {
  const Graph graph = cached_attention(false, DataType::f16);
  const auto model = compile_graph(graph, {});
  REQUIRE(model->plan.has_value());
  REQUIRE(model->plan->caches.size() == 1);
  REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
  REQUIRE(steps_of(*model, StepKind::cast) == 2);  // the queries and the result, not the cache
  REQUIRE(steps_of(*model, StepKind::copy) == 2);  // into the cache, not out of it
  Session session(model);
  Feedback state = session.feedback("out", "past", 3);
  Tensor held = Tensor::zeros(DataType::f16, {1, 2, 0, 4});
  for (int step = 0; step < 7; ++step) {
    const Tensor token = half({1, 2, 1, 4}, step + 1);
    GraphState evaluation;
    const auto wanted = interpret(graph, {token, held}, {}, evaluation);
    const auto got = session.run({token, Tensor()});
    for (int64_t i = 0; i < wanted[0].size(); ++i)
      REQUIRE(std::abs(got[0].as_double(i) - wanted[0].as_double(i)) <= 1e-3);
    held = wanted[1];
    const Tensor kept = state.value();
    REQUIRE(kept.dtype() == DataType::f16);
    REQUIRE(kept.shape() == held.shape());
    for (int64_t i = 0; i < held.size(); ++i) REQUIRE(kept.as_double(i) == held.as_double(i));
  }
}

TEST_CASE("attention reads keys and values in f16 through transposes", "[lowering][half]") {
  // [batch, position, head, item], as a projection leaves them
  const auto graph_of = [](bool half_values, bool keeps) {
    Graph graph;
    const DimShape keys{2, 11, 3, 8};
    const auto heads = [&](Outlet x) {
      return graph.add("transpose", {x}, {Attribute::of_ints({0, 2, 1, 3})});
    };
    const auto floats = [&](Outlet x) { return graph.add("tract_core_cast", {x}, {Attribute("f32")}); };
    const Outlet q = graph.add_external(fact_of(DataType::f32, {2, 3, 5, 8}), "q");
    const Outlet k = floats(heads(graph.add_external(fact_of(DataType::f16, keys), "k")));
    const Outlet v = graph.add_external(fact_of(half_values ? DataType::f16 : DataType::f32, keys), "v");
    const Outlet values = half_values ? floats(heads(v)) : heads(v);
    graph.outputs = {{graph.add(find_op("tract_transformers_sdpa"), {q, k, values}, {1, 1, 1, 0}, {}), "y"}};
    if (keeps) graph.outputs.push_back({k, "k_f32"});
    return graph;
  };
  const auto cast_steps = [&](bool half_values, bool keeps) {
    const std::vector<Tensor> inputs{noise({2, 3, 5, 8}, 1), half({2, 11, 3, 8}, 2),
                                     half_values ? half({2, 11, 3, 8}, 3) : noise({2, 11, 3, 8}, 3)};
    return steps_of(*require_steps(graph_of(half_values, keeps), inputs), StepKind::cast);
  };
  REQUIRE(cast_steps(true, false) == 0);
  REQUIRE(cast_steps(false, false) == 1);  // of keys alone: the step takes both in one type
  REQUIRE(cast_steps(true, true) == 1);    // a result of the model, too
}

TEST_CASE("operators with kernels for f16 operands say so", "[lowering][half]") {
  std::vector<std::string_view> names;
  for (const OpDef* op : all_ops()) {
    if (op->reads_halves) names.push_back(op->name);
  }
  REQUIRE(names ==
          std::vector<std::string_view>{"linear", "matmul", "nnefrun_matmul", "tract_transformers_sdpa"});
}
