#include "tests/engine/ops/call_row.h"

using namespace nnefrun;

namespace {

// n = x + s, with x and s of shape [chunk, 2].
Graph sum_body(int64_t chunk) {
  Graph body;
  const Outlet x = body.add_external(fact_of(DataType::f32, {chunk, 2}), "x");
  const Outlet s = body.add_external(fact_of(DataType::f32, {chunk, 2}), "s");
  body.outputs = {{body.add("add", {x, s}), "n"}};
  return body;
}

// A running sum over axis 0 of x [length, 2].
Row running_sum(Tensor x, int64_t chunk, const char* output = "full") {
  const int64_t cells = chunk < 0 ? -chunk : chunk;
  Row row("nnefrun_scan");
  row.in("inputs", std::move(x))
      .constant("inputs", Tensor::zeros(DataType::f32, {cells, 2}))
      .body(sum_body(cells));
  row.set("body", Attribute("body")).set("kinds", strings({"scan", "state"})).set("axes", ints({0, 0}));
  row.set("chunks", ints({chunk, 0})).set("next_states", ints({0})).set("output_results", ints({0}));
  row.set("output_kinds", strings({output}))
      .set("output_axes", ints({0}))
      .set("output_chunks", ints({chunk}));
  return row;
}
const std::vector<float> kRows = {1, 10, 2, 20, 3, 30};

}  // namespace

TEST_CASE("scan: forward, backward, last, chunks") {
  const Tensor x = f32({3, 2}, kRows);
  require_items(running_sum(x, 1).one(), {3, 2}, {1, 10, 3, 30, 6, 60});
  require_items(running_sum(x, -1).one(), {3, 2}, {6, 60, 5, 50, 3, 30});
  require_items(running_sum(x, 1, "last").one(), {1, 2}, {6, 60});
  require_items(running_sum(x, 2).one(), {4, 2}, {1, 10, 2, 20, 4, 40, 2, 20});  // the missing row is zero
  require_items(running_sum(x, -2).one(), {4, 2}, {2, 20, 4, 40, 2, 20, 3, 30});
  REQUIRE(running_sum(Tensor::zeros(DataType::f32, {0, 2}), 1).one().shape() == Shape{0, 2});
}

TEST_CASE("scan: the state lives on between runs, unless it is reset") {
  const Tensor x = f32({1, 2}, {1, 10});
  Stream kept(running_sum(x, 1));
  require_items(kept.one(x), {1, 2}, {1, 10});
  require_items(kept.one(x), {1, 2}, {2, 20});
  Stream reset(running_sum(x, 1).set("reset_every_turn", Attribute(true)));
  require_items(reset.one(x), {1, 2}, {1, 10});
  require_items(reset.one(x), {1, 2}, {1, 10});
}

TEST_CASE("scan: the first iterations ever may be skipped") {
  const Tensor x = f32({2, 2}, {1, 10, 2, 20});
  Stream stream(running_sum(x, 1).set("skip", Attribute(3)));
  require_items(stream.one(x), {2, 2}, {0, 0, 0, 0});
  require_items(stream.one(x), {2, 2}, {0, 0, 2, 20});
  require_items(stream.one(x), {2, 2}, {3, 30, 5, 50});
}

TEST_CASE("scan: a stateful body keeps its own state") {
  Graph body;
  const Outlet x = body.add_external(fact_of(DataType::f32, {1, 1}), "x");
  const Outlet late = body.add("tract_pulse_delay", {x}, {Attribute(0), Attribute(1), Attribute(0)});
  body.outputs = {{late, "y"}};
  Row row("nnefrun_scan");
  row.in("inputs", f32({2, 1}, {1, 2}))
      .body(body)
      .set("body", Attribute("body"))
      .set("kinds", strings({"scan"}));
  row.set("axes", ints({0}))
      .set("chunks", ints({1}))
      .set("next_states", ints({}))
      .set("output_results", ints({0}));
  row.set("output_kinds", strings({"full"})).set("output_axes", ints({0})).set("output_chunks", ints({1}));
  Stream stream(row);
  require_items(stream.one(f32({2, 1}, {1, 2})), {2, 1}, {0, 1});
  require_items(stream.one(f32({2, 1}, {3, 4})), {2, 1}, {2, 3});
}

TEST_CASE("scan: the number of iterations may be a symbol") {
  Row row("nnefrun_scan");
  row.in("inputs", f32({3, 2}, kRows), DimShape{Dim::symbol("S"), 2})
      .constant("inputs", Tensor::zeros(DataType::f32, {1, 2}));
  row.body(sum_body(1))
      .set("body", Attribute("body"))
      .set("kinds", strings({"scan", "state"}))
      .set("axes", ints({0, 0}));
  row.set("chunks", ints({1, 0})).set("next_states", ints({0})).set("output_results", ints({0, 0}));
  row.set("output_kinds", strings({"full", "last"}))
      .set("output_axes", ints({0, 0}))
      .set("output_chunks", ints({1, 0}));
  REQUIRE(row.graph().fact(row.graph().outputs[0].outlet).shape[0] == Dim::symbol("S"));
  const auto out = row.all();
  require_items(out[0], {3, 2}, {1, 10, 3, 30, 6, 60});
  require_items(out[1], {1, 2}, {6, 60});
}

TEST_CASE("scan: lists that do not describe the body are refused") {
  const Tensor x = f32({3, 2}, kRows);
  REQUIRE(running_sum(x, 1).set("chunks", ints({0, 0})).code() == "attribute-range");
  REQUIRE(running_sum(x, 1).set("axes", ints({2, 0})).code() == "axis-out-of-range");
  REQUIRE(running_sum(x, 1).set("kinds", strings({"scan"})).code() == "attribute-length");
  REQUIRE(running_sum(x, 1).set("kinds", strings({"scan", "loop"})).code() == "attribute-value");
  REQUIRE(running_sum(x, 1).set("kinds", strings({"state", "scan"})).set("chunks", ints({0, 1})).code() ==
          "scan-input");
  REQUIRE(running_sum(x, 1).set("next_states", ints({1})).code() == "scan-result");
  REQUIRE(running_sum(x, 1).set("next_states", ints({})).code() == "attribute-length");
  REQUIRE(running_sum(x, 1).set("output_kinds", strings({"some"})).code() == "attribute-value");
  REQUIRE(running_sum(x, 1).set("skip", Attribute(-1)).code() == "attribute-range");
  REQUIRE(running_sum(f32({2, 3}, kRows), 1).code() == "scan-input");
}

TEST_CASE("submodel: its symbols take the extents of the arguments") {
  Graph model;
  const Outlet x = model.add_external(fact_of(DataType::f32, {Dim::symbol("N"), 2}), "x");
  model.outputs = {{model.add("add", {x, x}), "y"}, {x, "same"}};
  Row row("tract_core_submodel");
  row.in("input", f32({3, 2}, kRows)).body(model).set("label", Attribute("inner"));
  REQUIRE(row.graph().fact(row.graph().outputs[0].outlet).shape == DimShape{3, 2});
  const auto out = row.all();
  require_items(out[0], {3, 2}, {2, 20, 4, 40, 6, 60});
  require_items(out[1], {3, 2}, {1, 10, 2, 20, 3, 30});
  Row wrong("tract_core_submodel");
  REQUIRE(wrong.in("input", f32({2, 3}, kRows)).body(model).set("label", Attribute("inner")).code() ==
          "submodel-input");
}

TEST_CASE("epilogues of gru and lstm") {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  Row gru("tract_core_gru_epilogue");
  gru.in("xh", f32({1, 3}, {0.5F, -1, 2}))
      .in("rh", f32({1, 3}, {1, 0.5F, -3}))
      .in("h_prev", f32({1, 1}, {0.25F}));
  gru.set("hidden", Attribute(1));
  const double next = std::tanh(2 + sigmoid(-0.5) * -3);
  require_items(gru.one(), {1, 1}, {next + sigmoid(1.5) * (0.25 - next)});
  Row lstm("tract_core_lstm_epilogue");
  lstm.in("preact", f32({1, 4}, {1, 2, -1, 0.5F})).in("c_prev", f32({1, 1}, {3})).set("hidden", Attribute(1));
  const double cell = sigmoid(-1) * 3 + sigmoid(1) * std::tanh(0.5);
  const auto out = lstm.all();
  require_items(out[0], {1, 1}, {sigmoid(2) * std::tanh(cell)});
  require_items(out[1], {1, 1}, {cell});
  Row wrong("tract_core_lstm_epilogue");
  REQUIRE(wrong.in("preact", noise({1, 3}, 1))
              .in("c_prev", noise({1, 1}, 1))
              .set("hidden", Attribute(1))
              .code() == "shape-mismatch");
}
