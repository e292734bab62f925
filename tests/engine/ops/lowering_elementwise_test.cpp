#include "tests/engine/ops/run_plan.h"

using namespace nnefrun;

TEST_CASE("arithmetic and comparisons of integers have steps", "[lowering]") {
  const Tensor column = i64({4, 1}, {-3, INT64_MAX, 0, 7}), row = i64({1, 3}, {7, -3, 2}), one = i64({}, {2});
  const auto as_i32 = [](const Tensor& t) {
    std::vector<int32_t> items;
    for (int64_t i = 0; i < t.size(); ++i) items.push_back(static_cast<int32_t>(t.as_int(i)));
    return Tensor::of<int32_t>(t.shape(), items);
  };
  for (const char* op : {"add", "sub", "mul", "min", "max", "nnefrun_fmin", "nnefrun_fmax", "lt", "le", "gt",
                         "ge", "eq", "ne"}) {
    INFO(op);
    for (const auto& [x, y] :
         {std::pair{column, row}, std::pair{row, one}, std::pair{one, one}, std::pair{one, row}}) {
      Row wide(op), narrow(op);
      require_planned(wide.in("x", x).in("y", y));
      require_planned(narrow.in("x", as_i32(x)).in("y", as_i32(y)));
    }
  }
}

TEST_CASE("truth values and selection of any type have steps", "[lowering]") {
  const auto left = Tensor::of<bool>({2, 2}, {true, true, false, false});
  const auto right = Tensor::of<bool>({2, 2}, {true, false, true, false});
  for (const char* op : {"and", "or", "eq", "ne"}) {
    Row row(op);
    INFO(op);
    require_planned(row.in("x", left).in("y", right));
  }
  Row wide("select"), flags("select"), floats("select");
  require_planned(wide.in("condition", left)
                      .in("true_value", i64({2, 2}, {1, 2, 3, 4}))
                      .in("false_value", i64({1, 2}, {5, 6})));
  require_planned(flags.in("condition", left).in("true_value", right).in("false_value", left));
  require_planned(
      floats.in("condition", left).in("true_value", noise({2, 2}, 1)).in("false_value", noise({2, 1}, 2)));
}

TEST_CASE("ranges of known begin and length have steps", "[lowering]") {
  Row row("tract_core_range");
  require_planned(
      row.constant("start", i64({}, {5})).constant("end", i64({}, {-4})).constant("step", i64({}, {-2})));
  Graph graph;
  const Dim s = Dim::symbol("S");
  const Outlet x = graph.add_external(fact_of(DataType::f32, {s}), "x");
  const Outlet from = graph.add("nnefrun_dims", {}, {Attribute::of_dims({s})});
  const Outlet to = graph.add("nnefrun_dims", {}, {Attribute::of_dims({s * 2 + 1})});
  const Outlet step = graph.add_constant(i64({1}, {3}), "step");
  graph.outputs.push_back({graph.add("tract_core_range", {from, to, step}), "y"});
  graph.outputs.push_back({x, "x"});
  for (const int64_t n : {1, 6}) require_planned(graph, {noise({n}, 1)});
}
