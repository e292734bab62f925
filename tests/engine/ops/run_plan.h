// Running a graph by its plan, against the interpreter.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "engine/session.h"
#include "tests/engine/ops/call_row.h"

namespace nnefrun {

// The graph with its plan, without rewrites.
inline std::shared_ptr<const CompiledModel> planned(Graph graph) {
  auto model = std::make_shared<CompiledModel>();
  model->graph = std::move(graph);
  model->plan = PlanBuilder::build(model->graph, &model->why_no_plan);
  INFO(model->why_no_plan);
  REQUIRE(model->plan.has_value());
  return model;
}

// How many steps of that kind a plan has.
inline int steps_of(const CompiledModel& model, StepKind kind) {
  int count = 0;
  for (const PlanStep& step : model.plan->steps) count += step.kind == static_cast<uint32_t>(kind) ? 1 : 0;
  return count;
}

// Requires that no node is evaluated, and that the results are those of the interpreter within `tolerance`,
// absolute and relative; NaN equals NaN. Returns the plan for further questions.
inline std::shared_ptr<const CompiledModel> require_planned(const Graph& graph,
                                                            const std::vector<Tensor>& inputs,
                                                            double tolerance = 0) {
  GraphState state;
  const auto wanted = interpret(graph, inputs, {}, state);
  const auto model = planned(graph);
  REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
  Session session(model);
  const auto got = session.run(inputs);
  REQUIRE(got.size() == wanted.size());
  for (size_t r = 0; r < got.size(); ++r) {
    REQUIRE(got[r].dtype() == wanted[r].dtype());
    REQUIRE(got[r].shape() == wanted[r].shape());
    for (int64_t i = 0; i < got[r].size(); ++i) {
      const double a = got[r].as_double(i), b = wanted[r].as_double(i);
      INFO("result " << r << ", item " << i << " is " << a << ", wanted " << b);
      const bool close =
          a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= tolerance * (1 + std::abs(b));
      REQUIRE(close);
    }
  }
  return model;
}
inline std::shared_ptr<const CompiledModel> require_planned(const Row& row, double tolerance = 0) {
  return require_planned(row.graph(), row.inputs(), tolerance);
}

}  // namespace nnefrun
