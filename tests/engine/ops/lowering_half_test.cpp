#include "engine/ops/support.h"
#include "tests/engine/ops/run_plan.h"

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
