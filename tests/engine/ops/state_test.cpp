#include "tests/engine/ops/call_row.h"

using namespace nnefrun;

namespace {

Row along(const char* op, int64_t pulse) {
  Row row(op);
  row.in("input", Tensor::zeros(DataType::f32, {pulse})).set("axis", Attribute(0));
  return row;
}

}  // namespace

TEST_CASE("pulse delay: zeros first, overlap is seen again") {
  Stream late(along("tract_pulse_delay", 2).set("delay", Attribute(3)).set("overlap", Attribute(0)));
  require_items(late.one(f32({2}, {1, 2})), {2}, {0, 0});
  require_items(late.one(f32({2}, {3, 4})), {2}, {0, 1});
  require_items(late.one(f32({2}, {5, 6})), {2}, {2, 3});
  Stream wide(along("tract_pulse_delay", 2).set("delay", Attribute(0)).set("overlap", Attribute(1)));
  require_items(wide.one(f32({2}, {1, 2})), {3}, {0, 1, 2});
  require_items(wide.one(f32({2}, {3, 4})), {3}, {2, 3, 4});
}

TEST_CASE("pulse delay: an input of another shape is refused") {
  Row row("tract_pulse_delay");
  row.in("input", Tensor::zeros(DataType::f32, {2, 1}), DimShape{2, Dim::symbol("B")})
      .set("axis", Attribute(0));
  Stream stream(row.set("delay", Attribute(1)).set("overlap", Attribute(0)));
  stream.one(Tensor::zeros(DataType::f32, {2, 1}));
  REQUIRE_THROWS_AS(stream.one(Tensor::zeros(DataType::f32, {2, 3})), Error);
}

TEST_CASE("pulse mask counts from the first frame ever") {
  Stream stream(along("tract_pulse_mask", 3)
                    .set("begin", Attribute(2))
                    .set("end", Attribute(5))
                    .set("value", Attribute(-1.0)));
  require_items(stream.one(f32({3}, {1, 2, 3})), {3}, {-1, -1, 3});
  require_items(stream.one(f32({3}, {4, 5, 6})), {3}, {4, 5, -1});
  require_items(stream.one(f32({3}, {7, 8, 9})), {3}, {-1, -1, -1});
  Stream open(along("tract_pulse_mask", 1)
                  .set("begin", Attribute(0))
                  .set("end", Dim::symbol("S"))
                  .set("value", Attribute(0.0)));
  require_items(open.one(f32({1}, {5})), {1}, {5});
}

TEST_CASE("pulse pad: a constant, or the first and the last frame") {
  const auto row = [](const char* border) {
    return along("tract_pulse_pulse_pad", 2)
        .set("before", Attribute(1))
        .set("after", Attribute(2))
        .set("begin_input", Attribute(1))
        .set("end_input", Attribute(3))
        .set("border", Attribute(border))
        .set("value", Attribute(9.0))
        .set("overlap", Attribute(0));
  };
  Stream constant(row("constant"));
  require_items(constant.one(f32({2}, {1, 2})), {2}, {9, 2});
  require_items(constant.one(f32({2}, {3, 4})), {2}, {3, 9});
  require_items(constant.one(f32({2}, {5, 6})), {2}, {9, 9});
  require_items(constant.one(f32({2}, {7, 8})), {2}, {7, 8});
  Stream edge(row("replicated"));
  require_items(edge.one(f32({2}, {1, 2})), {2}, {2, 2});
  require_items(edge.one(f32({2}, {3, 4})), {2}, {3, 3});
  require_items(edge.one(f32({2}, {5, 6})), {2}, {3, 3});
  REQUIRE(row("reflect").code() == "attribute-value");
}

TEST_CASE("exponential norms: running values, skip, stateless") {
  const auto unit = [] {
    Row r("tract_extra_exp_unit_norm");
    return r.in("input", f32({2, 1}, {-4, 2}))
        .in("state", f32({1}, {1}))
        .set("axis", Attribute(0))
        .set("alpha", Attribute(0.5));
  };
  const double s1 = 2.5, s2 = 2.25;
  require_items(unit().one(), {2, 1}, {-4 / std::sqrt(s1), 2 / std::sqrt(s2)});
  require_items(unit().set("skip", Attribute(1)).one(), {2, 1}, {-4, 2 / std::sqrt(1.5)});
  Stream kept(unit());
  const std::vector<Tensor> inputs = {f32({2, 1}, {-4, 2}), f32({1}, {1})};
  kept.all(inputs);
  require_items(kept.all(inputs)[0], {2, 1}, {-4 / std::sqrt(3.125), 2 / std::sqrt(2.5625)});
  Stream fresh(unit().set("stateless", Attribute(true)));
  fresh.all(inputs);
  require_items(fresh.all(inputs)[0], {2, 1}, {-4 / std::sqrt(s1), 2 / std::sqrt(s2)});
  Row pairs_of("tract_extra_exp_unit_norm");
  pairs_of.in("input", f32({1, 1, 2}, {3, 4}))
      .in("state", f32({1}, {1}))
      .set("axis", Attribute(0))
      .set("alpha", Attribute(0.0));
  require_items(pairs_of.set("complex", Attribute(true)).one(), {1, 1, 2},
                {3 / std::sqrt(5.0), 4 / std::sqrt(5.0)});
  Row mean("tract_extra_exp_mean_norm");
  mean.in("input", f32({2, 1}, {4, 2}))
      .in("state", f32({1}, {0}))
      .set("axis", Attribute(0))
      .set("alpha", Attribute(0.5));
  require_items(mean.set("scaling_factor", Attribute(2.0)).one(), {2, 1}, {1, 0});
  Row wrong("tract_extra_exp_mean_norm");
  wrong.in("input", noise({2, 3}, 1))
      .in("state", noise({2}, 1))
      .set("axis", Attribute(0))
      .set("alpha", Attribute(0.5));
  REQUIRE(wrong.code() == "shape-mismatch");
}
