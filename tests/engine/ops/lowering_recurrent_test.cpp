#include <limits>

#include "tests/engine/ops/run_plan.h"

using namespace nnefrun;

namespace {

// Of sums of up to 33 products, with what later steps make of the rounding of earlier ones.
constexpr double kClose = 2e-5;

Attribute strings_of(const std::vector<std::string>& values) {
  Attribute::List list;
  for (const std::string& value : values) list.emplace_back(value);
  return list;
}

Row cell(const char* op, int64_t gates, int64_t time, int64_t rows, int64_t hidden) {
  Row row(op);
  row.in("x", noise({time, rows, gates * hidden}, 1))
      .constant("R", noise({gates * hidden, hidden}, 2))
      .in("h", noise({rows, hidden}, 3));
  if (gates == 4) row.in("c", noise({rows, hidden}, 4));
  return row;
}

// next = tanh(x + s * w), twice = 2 * next, over chunks of x [length, 3].
Row loop(int64_t length, int64_t chunk, bool reset = true) {
  const int64_t cells = chunk < 0 ? -chunk : chunk;
  Graph body;
  const Outlet x = body.add_external(fact_of(DataType::f32, {cells, 3}), "x");
  const Outlet s = body.add_external(fact_of(DataType::f32, {cells, 3}), "s");
  const Outlet w = body.add_external(fact_of(DataType::f32, {1, 3}), "w");
  const Outlet next = body.add("tanh", {body.add("add", {x, body.add("mul", {s, w})})});
  body.outputs = {{next, "next"}, {body.add("add", {next, next}), "twice"}};
  Row row("nnefrun_scan");
  row.in("inputs", noise({length, 3}, 5)).in("inputs", noise({cells, 3}, 6)).in("inputs", noise({1, 3}, 7));
  row.body(std::move(body)).set("body", Attribute("body"));
  row.set("kinds", strings_of({"scan", "state", "full"})).set("axes", Attribute::of_ints({0, 0, 0}));
  row.set("chunks", Attribute::of_ints({chunk, 0, 0})).set("next_states", Attribute::of_ints({0}));
  row.set("output_results", Attribute::of_ints({0, 1, 0, 1}));
  row.set("output_kinds", strings_of({"full", "full", "last", "last"}));
  row.set("output_axes", Attribute::of_ints({0, 0, 0, 0}));
  row.set("output_chunks", Attribute::of_ints({chunk, chunk, 0, 0}));
  return row.set("reset_every_turn", Attribute(reset));
}

}  // namespace

TEST_CASE("cells over time are one step", "[lowering]") {
  for (const int64_t rows : {1, 2, 7}) {
    for (const int64_t hidden : {1, 5, 16, 33}) {
      for (const int64_t time : {0, 1, 4}) {
        for (const bool reverse : {false, true}) {
          const Attribute back(reverse);
          require_planned(cell("nnefrun_lstm", 4, time, rows, hidden).set("reverse", back), kClose);
          require_planned(cell("nnefrun_gru", 3, time, rows, hidden).set("reverse", back), kClose);
          require_planned(
              cell("nnefrun_gru", 3, time, rows, hidden).set("reset_before", true).set("reverse", back),
              kClose);
          require_planned(cell("nnefrun_rnn", 1, time, rows, hidden).set("reverse", back), kClose);
          require_planned(
              cell("nnefrun_rnn", 1, time, rows, hidden).set("activation", "relu").set("reverse", back),
              kClose);
        }
      }
    }
  }
  const auto model =
      require_planned(cell("nnefrun_lstm", 4, 3, 2, 5).constant("bias", noise({20}, 8)), kClose);
  CHECK(steps_of(*model, StepKind::recurrent) == 1);
}

TEST_CASE("loops are steps with a plan inside", "[lowering]") {
  for (const int64_t chunk : {1, -1, 2, -2, 3}) {
    for (const int64_t length : {0, 1, 6, 7}) {
      INFO("chunks of " << chunk << ", length " << length);
      const auto model = require_planned(loop(length, chunk), kClose);
      CHECK(steps_of(*model, StepKind::loop) == 1);
    }
  }
}

TEST_CASE("a loop that keeps its state is evaluated, and the plan says why", "[lowering]") {
  const Row row = loop(4, 1, false);
  const auto model = planned(row.graph());
  REQUIRE(model->plan->steps.size() == 1);
  CHECK(steps_of(*model, StepKind::evaluate) == 1);
  CHECK(model->plan->step_notes[0] == "its state lives on between runs");
}

TEST_CASE("loops count in the limit on memory", "[lowering]") {
  const Row row = loop(6, 2);
  const auto model = planned(row.graph());
  Session session(model);
  session.run(row.inputs());
  const size_t needed = session.arena_bytes();
  SessionOptions options;
  options.memory_limit = needed;
  Session enough(model, options);
  CHECK_NOTHROW(enough.run(row.inputs()));
  options.memory_limit = needed - 1;
  Session too_little(model, options);
  CHECK_THROWS_AS(too_little.run(row.inputs()), Error);
}

TEST_CASE("rotary embedding has a step", "[lowering]") {
  for (const Shape& angle : {Shape{2, 1, 5, 6}, Shape{1, 1, 5, 6}, Shape{2, 3, 5, 6}, Shape{1, 1, 1, 6}}) {
    Row row("tract_transformers_apply_rope");
    row.in("input", noise({2, 3, 5, 6}, 1)).in("cos", noise(angle, 2)).in("sin", noise(angle, 3));
    const auto model = require_planned(row, kClose);
    CHECK(steps_of(*model, StepKind::rope) == 1);
  }
}
