#include "tests/engine/ops/call_row.h"

using namespace nnefrun;

namespace {

const std::vector<float> kQueries = {1, 0, 0, 1};     // two rows of width 2
const std::vector<float> kKeys = {2, 0, 0, 2, 2, 2};  // three keys
const std::vector<float> kValues = {1, 10, 2, 20, 3, 30};

Row attention() {
  Row row("tract_transformers_sdpa");
  row.in("q", f32({1, 2, 2}, kQueries)).in("k", f32({1, 3, 2}, kKeys)).in("v", f32({1, 3, 2}, kValues));
  return row.set("datum_type", Attribute("f32")).set("acc_datum_type", Attribute("f32"));
}

// Softmax of three scores, as weights of 1, 2 and 3.
double mean_of(double a, double b, double c) {
  const double x = std::exp(a), y = std::exp(b), z = std::exp(c);
  return (x + 2 * y + 3 * z) / (x + y + z);
}

}  // namespace

TEST_CASE("sdpa: scores, scale, values") {
  const double s = std::sqrt(2.0), first = mean_of(s, 0, s), second = mean_of(0, s, s);
  require_items(attention().one(), {1, 2, 2}, {first, 10 * first, second, 10 * second});
  const double one = mean_of(1, 0, 1), two = mean_of(0, 1, 1);
  require_items(attention().set("scale", Attribute(0.5)).one(), {1, 2, 2}, {one, 10 * one, two, 10 * two});
}

TEST_CASE("sdpa: masks add, hide, or follow from the order of time") {
  const double minus = -INFINITY, s = std::sqrt(2.0);
  const double first = mean_of(s, 0, minus), second = mean_of(0, s, s);
  const std::vector<double> wanted = {first, 10 * first, second, 10 * second};
  require_items(attention().set("is_causal", Attribute(true)).one(), {1, 2, 2}, wanted);
  const auto bools = Tensor::of<bool>({2, 3}, {true, true, false, true, true, true});
  require_items(attention().in("mask", bools).one(), {1, 2, 2}, wanted);
  require_items(attention().in("mask", f32({1, 2, 3}, {0, 0, -INFINITY, 0, 0, 0})).one(), {1, 2, 2}, wanted);
  const double third = mean_of(s + 1, 0, s), fourth = mean_of(1, s, s);
  require_items(attention().in("mask", f32({1, 1, 3}, {1, 0, 0})).one(), {1, 2, 2},
                {third, 10 * third, fourth, 10 * fourth});
  const auto blind = Tensor::of<bool>({1, 3}, {false, false, false});
  require_items(attention().in("mask", blind).one(), {1, 2, 2}, {0, 0, 0, 0});
}

TEST_CASE("sdpa: groups of heads share keys and values") {
  const Tensor q = noise({2, 4, 3, 5}, 1), k = noise({2, 2, 4, 5}, 2), v = noise({2, 2, 4, 6}, 3);
  Row grouped("tract_transformers_sdpa");
  const Tensor y = grouped.in("q", q).in("k", k).in("v", v).one();
  REQUIRE(y.shape() == Shape{2, 4, 3, 6});
  // Head 3 of batch 1 reads group 1.
  const auto part = [](const Tensor& t, int64_t index, int64_t rows, int64_t width) {
    std::vector<float> items(t.data<float>() + index * rows * width,
                             t.data<float>() + (index + 1) * rows * width);
    return f32({1, rows, width}, items);
  };
  Row single("tract_transformers_sdpa");
  const Tensor one =
      single.in("q", part(q, 7, 3, 5)).in("k", part(k, 3, 4, 5)).in("v", part(v, 3, 4, 6)).one();
  std::vector<double> wanted;
  for (int64_t i = 0; i < one.size(); ++i) wanted.push_back(one.as_double(i));
  require_items(part(y, 7, 3, 6), {1, 3, 6}, wanted);
}

TEST_CASE("sdpa: what does not belong together is refused") {
  Row masked = attention();
  REQUIRE(masked.in("mask", noise({2, 3}, 1)).set("is_causal", Attribute(true)).code() == "attribute-value");
  REQUIRE(attention().in("mask", noise({2, 2}, 1)).code() == "shape-mismatch");
  Row heads("tract_transformers_sdpa");
  heads.in("q", noise({1, 3, 2, 4}, 1)).in("k", noise({1, 2, 2, 4}, 1)).in("v", noise({1, 2, 2, 4}, 1));
  REQUIRE(heads.code() == "shape-mismatch");
}

TEST_CASE("apply_rope rotates the halves of the last axis") {
  Row row("tract_transformers_apply_rope");
  row.in("input", f32({1, 4}, {1, 2, 3, 4}))
      .in("cos", f32({1, 4}, {1, 0, 1, 0}))
      .in("sin", f32({1, 4}, {0, 1, 0, 1}));
  require_items(row.one(), {1, 4}, {1, -4, 3, 2});
  Row odd("tract_transformers_apply_rope");
  REQUIRE(odd.in("input", noise({1, 3}, 1)).in("cos", noise({1, 3}, 1)).in("sin", noise({1, 3}, 1)).code() ==
          "shape-mismatch");
}

TEST_CASE("scaled_masked_softmax: float and logical masks") {
  const auto row = [](Tensor mask) {
    Row r("tract_transformers_scaled_masked_softmax");
    return r.in("input", f32({1, 2}, {2, 4})).in("mask", std::move(mask)).set("scale", Attribute(0.5));
  };
  const double low = 1 / (1 + std::exp(2.0));
  require_items(row(f32({1, 2}, {0, 1})).one(), {1, 2}, {low, 1 - low});
  require_items(row(Tensor::of<bool>({2}, {false, true})).one(), {1, 2}, {0, 1});
  const auto nothing = Tensor::of<bool>({1}, {false});
  require_items(row(nothing).one(), {1, 2}, {std::nan(""), std::nan("")});
  require_items(row(nothing).set("post_softmax_mask", Attribute(true)).one(), {1, 2}, {0, 0});
  REQUIRE(row(nothing).set("scale", Attribute(0.0)).code() == "attribute-range");
}

TEST_CASE("tract_moe_ffn: the best experts, their weights, both layouts") {
  // Width 1, hidden width 1, three experts: y = weight * silu(x * w1) * (x * w3) * w2.
  const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  const auto row = [](const char* gate, const char* layout) {
    Row r("tract_moe_ffn");
    r.in("x", f32({1, 1}, {2})).in("wg", f32({3, 1}, {0, 1, 0.5F})).in("w1", f32({3, 1, 1}, {9, 1, 2}));
    r.in("w2", f32({3, 1, 1}, {9, 3, 5})).in("w3", f32({3, 1, 1}, {9, 1, 1})).set("k", Attribute(2));
    return r.set("gate", Attribute(gate)).set("expert_layout", Attribute(layout));
  };
  const double one = silu(2) * 2 * 3, two = silu(4) * 2 * 5, e = std::exp(1.0);
  for (const char* layout : {"canonical", "linear"}) {
    require_items(row("softmax_topk", layout).one(), {1, 1}, {(e * one + two) / (e + 1)});
  }
  require_items(row("softmax_all", "linear").one(), {1, 1}, {(e * one + two) / (e + 1 + std::exp(-1.0))});
  require_items(row("raw", "linear").one(), {1, 1}, {2 * one + two});
  require_items(row("sigmoid", "linear").one(), {1, 1},
                {one / (1 + std::exp(-2.0)) + two / (1 + std::exp(-1.0))});
  Row clamped = row("raw", "linear");
  clamped.set("k", Attribute(1)).set("act_limit", Attribute(1.5)).set("act_alpha", Attribute(2.0));
  require_items(clamped.one(), {1, 1}, {2 * (1.5 + 1) * 1.5 / (1 + std::exp(-3.0)) * 3});
  REQUIRE(row("raw", "linear").set("k", Attribute(4)).code() == "attribute-range");
  REQUIRE(row("best", "linear").code() == "attribute-value");
  REQUIRE(row("raw", "linear").set("act_limit", Attribute(-1.0)).code() == "attribute-range");
}

TEST_CASE("causal_conv1d_update moves its state") {
  Row row("tract_transformers_causal_conv1d_update");
  row.in("input", f32({1, 1, 2}, {3, 4}))
      .in("weight", f32({1, 2}, {1, 10}))
      .in("initial_state", f32({1, 1, 2}, {1, 2}));
  const auto out = row.all();
  const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  require_items(out[0], {1, 1, 2}, {silu(32), silu(43)});
  require_items(out[1], {1, 1, 2}, {3, 4});
}

TEST_CASE("gdn_recurrent: one step of the gated delta rule, heads in groups") {
  Row row("tract_transformers_gdn_recurrent");
  // Width 1: q and k become their signs.
  row.in("query", f32({1, 1, 1, 1}, {2}))
      .in("key", f32({1, 1, 1, 1}, {-3}))
      .in("value", f32({1, 1, 2, 1}, {5, 7}));
  row.in("log_decay", f32({1, 1, 2}, {0, std::log(0.5F)})).in("beta", f32({1, 1, 2}, {1, 0.5F}));
  row.in("initial_state", f32({1, 2, 1, 1}, {1, 4}));
  const auto out = row.all();
  // Head 0: predicted -1, change 6, state 1 - 6. Head 1: state 2 after decay, predicted -2, change 4.5, state
  // 2 - 4.5.
  require_items(out[1], {1, 2, 1, 1}, {-5, -2.5}, 1e-5);
  require_items(out[0], {1, 1, 2, 1}, {-5, -2.5}, 1e-5);
}
