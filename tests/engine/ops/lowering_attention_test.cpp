#include "tests/engine/ops/run_plan.h"

using namespace nnefrun;

namespace {

constexpr double kClose = 2e-6;

Row attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  Row row("tract_transformers_sdpa");
  return row.in("q", q).in("k", k).in("v", v);
}

}  // namespace

TEST_CASE("the attention step agrees with the row", "[lowering]") {
  const Tensor q = noise({2, 4, 21, 6}, 1), k = noise({2, 2, 33, 6}, 2), v = noise({2, 2, 33, 9}, 3);
  require_planned(attention(q, k, v), kClose);
  require_planned(attention(q, k, v).set("scale", Attribute(-0.75)), kClose);
  require_planned(attention(q, k, v).set("scale", Attribute(false)).set("is_causal", Attribute(true)),
                  kClose);
  require_planned(attention(k, noise({2, 1, 21, 6}, 4), noise({2, 1, 21, 3}, 5)).set("scale", Attribute(1.0)),
                  kClose);
}

TEST_CASE("the attention step reads masks of every shape", "[lowering]") {
  const Tensor q = noise({2, 4, 5, 6}, 1), k = noise({2, 4, 7, 6}, 2), v = noise({2, 4, 7, 6}, 3);
  for (const Shape& shape : {Shape{2, 4, 5, 7}, Shape{1, 4, 5, 7}, Shape{2, 1, 1, 7}, Shape{4, 1, 7},
                             Shape{5, 7}, Shape{5, 1}, Shape{7}, Shape{1}, Shape{2, 1, 5, 1}}) {
    require_planned(attention(q, k, v).in("mask", noise(shape, 4)), kClose);
    std::vector<bool> flags;
    for (int64_t i = 0; i < volume_of(shape); ++i) flags.push_back(i % 3 != 0);
    require_planned(attention(q, k, v).in("mask", Tensor::of<bool>(shape, flags)), kClose);
  }
  const Tensor q3 = noise({2, 5, 6}, 1), k3 = noise({2, 7, 6}, 2), v3 = noise({2, 7, 4}, 3);
  for (const Shape& shape : {Shape{2, 5, 7}, Shape{2, 1, 7}, Shape{5, 7}, Shape{1, 5, 1}}) {
    require_planned(attention(q3, k3, v3).in("mask", noise(shape, 4)), kClose);
  }
}

TEST_CASE("rows of an attention step that see nothing are 0", "[lowering]") {
  const Tensor q = noise({1, 2, 9, 4}, 1), k = noise({1, 2, 5, 4}, 2), v = noise({1, 2, 5, 4}, 3);
  require_planned(attention(q, k, v).set("is_causal", Attribute(true)), kClose);
  std::vector<float> mask(45, 0.0F);
  for (size_t i = 0; i < 10; ++i) mask[i] = -INFINITY;
  mask[12] = NAN;
  mask[16] = INFINITY;
  require_planned(attention(q, k, v).in("mask", f32({9, 5}, mask)), kClose);
}

TEST_CASE("transposes around attention are not carried out", "[lowering]") {
  Graph graph;
  std::vector<Outlet> heads;
  std::vector<Tensor> inputs;
  for (int i = 0; i < 3; ++i) {
    inputs.push_back(noise({2, i == 0 ? 11 : 13, 3, 8}, i));
    const Outlet x =
        graph.add_external(fact_of(DataType::f32, to_dims(inputs.back().shape())), "x" + std::to_string(i));
    heads.push_back(graph.add("transpose", {x}, {Attribute::of_ints({0, 2, 1, 3})}));
  }
  const auto sdpa = [&](Graph& g) {
    return g.add(find_op("tract_transformers_sdpa"), heads, {1, 1, 1, 0}, {});
  };
  Graph joined = graph;
  const Outlet result = sdpa(joined);
  joined.outputs.push_back({joined.add("transpose", {result}, {Attribute::of_ints({0, 2, 1, 3})}), "y"});
  REQUIRE(require_planned(joined, inputs, kClose)->plan->steps.size() == 1);

  // a result that is wanted itself, and an argument with another reader, are written
  Graph kept = graph;
  const Outlet y = sdpa(kept);
  kept.outputs.push_back({y, "y"});
  kept.outputs.push_back({kept.add("transpose", {y}, {Attribute::of_ints({0, 2, 1, 3})}), "z"});
  kept.outputs.push_back({kept.add("neg", {heads[1]}), "k"});
  const auto model = require_planned(kept, inputs, kClose);
  REQUIRE(steps_of(*model, StepKind::copy) == 2);
  REQUIRE(steps_of(*model, StepKind::attention) == 1);
}

TEST_CASE("an attention step with extents that the inputs tell", "[lowering]") {
  const Dim s = Dim::symbol("S"), t = Dim::symbol("T");
  for (const int64_t rows : {1, 20}) {
    Row row("tract_transformers_sdpa");
    row.in("q", noise({1, 2, rows, 4}, 1), {1, 2, s, 4});
    row.in("k", noise({1, 2, 30, 4}, 2), {1, 2, t, 4}).in("v", noise({1, 2, 30, 4}, 3), {1, 2, t, 4});
    row.in("mask", noise({rows, 30}, 4), DimShape{s, t});
    require_planned(row, kClose);
  }
}
