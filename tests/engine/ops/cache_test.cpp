#include "tests/engine/ops/call_row.h"

using namespace nnefrun;

namespace {

Row cache(const char* op, Tensor x) {
  Row row(op);
  DimShape declared = to_dims(x.shape());
  declared[2] = Dim::symbol("S");
  DimShape past = declared;
  past[2] = Dim::symbol("P");
  row.in("input", std::move(x), declared).set("name", Attribute("cache")).set("axis", Attribute(2));
  row.set("datum_type", Attribute("f32")).set("past_sequence_shape", Attribute::of_dims(past));
  return row.set("input_sequence_shape", Attribute::of_dims(declared));
}

}  // namespace

TEST_CASE("dyn_kv_cache grows, and its length is the symbol of its past") {
  Stream stream(cache("tract_transformers_dyn_kv_cache", f32({1, 1, 2, 1}, {1, 2})));
  require_items(stream.one(f32({1, 1, 2, 1}, {1, 2})), {1, 1, 2, 1}, {1, 2});
  require_items(stream.one(f32({1, 1, 1, 1}, {3})), {1, 1, 3, 1}, {1, 2, 3});

  // Nodes in front of the cache may use P.
  Graph graph;
  const Dim p = Dim::symbol("P");
  const Outlet x = graph.add_external(fact_of(DataType::f32, {1, Dim::symbol("S")}), "x");
  const Outlet length = graph.add("nnefrun_dims", {}, {Attribute::of_dims({p}), Attribute::of_ints({})});
  const Outlet all = graph.add("tract_transformers_dyn_kv_cache", {x},
                               {Attribute("cache"), Attribute(1), Attribute("f32"),
                                Attribute::of_dims({1, p}), Attribute::of_dims({1, Dim::symbol("S")})});
  graph.outputs = {{length, "length"}, {all, "all"}};
  GraphState state;
  const std::vector<Tensor> inputs = {f32({1, 2}, {1, 2})};
  REQUIRE(interpret(graph, inputs, {}, state)[0].as_int(0) == 0);
  const auto second = interpret(graph, inputs, {}, state);
  REQUIRE(second[0].as_int(0) == 2);
  require_items(second[1], {1, 4}, {1, 2, 1, 2});
}

TEST_CASE("dyn_kv_cache: what does not belong to the cache is refused") {
  const Tensor x = f32({1, 1, 2, 1}, {1, 2});
  REQUIRE(cache("tract_transformers_dyn_kv_cache", x).set("axis", Attribute(4)).code() ==
          "axis-out-of-range");
  REQUIRE(cache("tract_transformers_dyn_kv_cache", x).set("datum_type", Attribute("f16")).code() ==
          "dtype-mismatch");
  REQUIRE(cache("tract_transformers_dyn_kv_cache", x).set("past_sequence_shape", ints({1, 1})).code() ==
          "attribute-length");
  REQUIRE(cache("tract_transformers_quantized_dyn_kv_cache", x)
              .set("bits", Attribute(3))
              .set("per_channel", Attribute(0))
              .code() == "attribute-range");
}

TEST_CASE("quantized_dyn_kv_cache: four exact tokens, then codes for each token") {
  const auto row = [](Tensor x, int64_t per_channel) {
    return cache("tract_transformers_quantized_dyn_kv_cache", std::move(x))
        .set("bits", Attribute(4))
        .set("per_channel", Attribute(per_channel));
  };
  std::vector<float> items = {0.1F, 0.7F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F, 0.8F, 0, 1, 1.5F, 0.26F};
  std::vector<double> wanted(items.begin(), items.end());
  // Token 4 holds 0 and 1: exact in steps of 1/15. Token 5: from 0.26 to 1.5.
  require_items(row(f32({1, 1, 6, 2}, items), 0).one(), {1, 1, 6, 2}, wanted);
  // Three values: 0.1 lies between the steps 0 and 1.5 / 15 = 0.1 of [0, 1.5].
  const Tensor wide = f32({1, 1, 5, 3}, {1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 0, 0.13F, 1.5F});
  require_items(row(wide, 0).one(), {1, 1, 5, 3}, {1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 0, 0.1, 1.5});
}

TEST_CASE("quantized_dyn_kv_cache: keys are coded in full blocks of 32 tokens") {
  std::vector<float> items;
  for (int i = 0; i < 36; ++i) items.push_back(static_cast<float>(i));
  Stream stream(
      cache("tract_transformers_quantized_dyn_kv_cache", f32({1, 1, 35, 1}, {items.begin(), items.end() - 1}))
          .set("bits", Attribute(4))
          .set("per_channel", Attribute(1)));
  const Tensor before = stream.one(f32({1, 1, 35, 1}, {items.begin(), items.end() - 1}));
  REQUIRE(before.as_double(5) == 5);  // the block is not full yet
  const Tensor after = stream.one(f32({1, 1, 1, 1}, {35}));
  REQUIRE(after.as_double(3) == 3);
  REQUIRE(after.as_double(4) == 4);
  REQUIRE(after.as_double(5) == Approx(4));  // steps of 31 / 15 from 4
  REQUIRE(after.as_double(6) == Approx(4 + 31.0 / 15));
  REQUIRE(after.as_double(35) == Approx(35));
}

TEST_CASE("window_kv_sdpa sees the last tokens only") {
  Row row("tract_transformers_window_kv_sdpa");
  const Tensor one = f32({1, 1, 1, 1}, {0});
  row.in("q", one).in("k", one).in("v", one).set("axis", Attribute(2)).set("window", Attribute(2));
  Stream stream(row);
  const auto step = [&](float v) { return stream.all({one, one, f32({1, 1, 1, 1}, {v})})[0]; };
  require_items(step(2), {1, 1, 1, 1}, {2});
  require_items(step(4), {1, 1, 1, 1}, {3});
  require_items(step(8), {1, 1, 1, 1}, {6});
  REQUIRE(row.set("window", Attribute(0)).code() == "attribute-range");
}

TEST_CASE("quantized_kv_sdpa: keys in steps that only grow, values token by token") {
  Row row("tract_transformers_quantized_kv_sdpa");
  const Tensor q = f32({1, 1, 1, 1}, {1});
  row.in("q", q).in("k", q).in("v", q).set("axis", Attribute(2)).set("scale", Attribute(1.0));
  Stream stream(row);
  const auto step = [&](float k, float v) {
    return stream.all({q, f32({1, 1, 1, 1}, {k}), f32({1, 1, 1, 1}, {v})})[0];
  };
  require_items(step(0, 2), {1, 1, 1, 1}, {2});
  // 0.4 is coded as 0 while the step is 1, so both keys weigh the same.
  require_items(step(0.4F, 4), {1, 1, 1, 1}, {3});
  const double e = std::exp(1.0);
  require_items(step(1, 10), {1, 1, 1, 1}, {(2 + 4 + 10 * e) / (2 + e)});
}
