// Attention, rotations, experts, linear attention, epilogues of recurrent cells.
#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

// Finite values: whether a NaN among the values of a key counts whose weight is 0 is not said.
void sdpa(Draw& d, std::string_view op) {
  d.inexact(64, false);
  d.keep_finite();
  const DataType dtype = d.floating();
  DimShape lead{d.one_in(4) && d.symbolic ? Dim::symbol("B") : Dim(d.between(1, 2))};
  const bool heads = d.one_in(2);
  const int64_t groups = d.between(1, 3), share = d.between(1, 2);
  const Dim rows = d.extent(), keys = d.one_in(2) ? rows : d.extent(), depth = d.between(1, 9),
            width = d.between(1, 9);
  const auto shape = [&](int64_t n, const Dim& length, const Dim& size) {
    DimShape out = lead;
    if (heads) out.emplace_back(n);
    out.push_back(length);
    out.push_back(size);
    return out;
  };
  Arguments arguments{{"q", d.argument(dtype, shape(groups * share, rows, depth))},
                      {"k", d.argument(dtype, shape(groups, keys, depth))},
                      {"v", d.argument(dtype, shape(groups, keys, width))}};
  Attributes attributes{{"datum_type", std::string(name_of(dtype))}, {"acc_datum_type", "f32"}};
  if (d.one_in(3)) {
    attributes.emplace_back("is_causal", true);
  } else if (d.one_in(2)) {
    const DataType mask = d.one_in(2) ? DataType::boolean : dtype;
    DimShape of = shape(1, rows, keys);
    of[0] = 1;
    arguments.emplace_back("mask", d.argument(mask, of));
  }
  if (d.one_in(2)) attributes.emplace_back("scale", d.real(0.1, 1));
  d.follow(d.call(op, arguments, attributes));
}

void rope(Draw& d, std::string_view op) {
  d.inexact(8, false);
  const DataType dtype = d.floating();
  DimShape shape = d.shape(2, 4);
  shape.back() = 2 * d.between(1, 9);
  DimShape angles(shape.size(), Dim(1));
  angles.back() = shape.back();
  angles[angles.size() - 2] = shape[shape.size() - 2];
  const Outlet x = d.argument(dtype, shape), cos = d.argument(dtype, angles, -1, 1),
               sin = d.argument(dtype, angles, -1, 1);
  d.follow(d.call(op, {{"input", x}, {"cos", cos}, {"sin", sin}}));
}

void masked_softmax(Draw& d, std::string_view op) {
  d.inexact(64, false);
  const DataType dtype = d.floating();
  const DimShape shape = d.shape(1, 4);
  DimShape of = shape;
  for (Dim& extent : of) {
    if (d.one_in(3)) extent = 1;
  }
  const DataType mask = d.one_in(2) ? DataType::boolean : dtype;
  d.follow(
      d.call(op, {{"input", d.argument(dtype, shape)}, {"mask", d.argument(mask, of)}},
             {{"scale", d.real(0.1, 2)}, {"post_softmax_mask", mask == DataType::boolean && d.one_in(2)}}));
}

void experts(Draw& d, std::string_view op) {
  d.inexact(256, false);
  d.regime = Regime::tame;
  const DataType dtype = d.pick({DataType::f32, DataType::f32, DataType::f64, DataType::f16});
  const int64_t count = d.between(1, 4), width = d.between(1, 5), hidden = d.between(1, 6);
  const bool linear = d.one_in(2);
  const auto weights = [&](int64_t in, int64_t out) {
    const DimShape shape = linear ? DimShape{count, out, in} : DimShape{count, in, out};
    return d.argument(dtype, shape);
  };
  Arguments arguments{{"x", d.argument(dtype, {d.extent(), width})},
                      {"wg", d.argument(dtype, {count, width})},
                      {"w1", weights(width, hidden)},
                      {"w2", weights(hidden, width)},
                      {"w3", weights(width, hidden)}};
  d.follow(d.call(op, arguments,
                  {{"k", d.between(1, count)},
                   {"gate", d.pick({"softmax_topk", "softmax_all", "raw", "sigmoid"})},
                   {"expert_layout", linear ? "linear" : "canonical"}}));
}

void causal_conv(Draw& d, std::string_view op) {
  d.inexact(64, false);
  const DataType dtype = d.floating();
  const int64_t channels = d.between(1, 9), taps = d.between(1, 5);
  const Outlet x = d.argument(dtype, {1, channels, d.between(1, 4)});
  const Outlet weight = d.argument(dtype, {channels, taps});
  d.results(d.call_all(
      op, {{"input", x}, {"weight", weight}, {"initial_state", d.argument(dtype, {1, channels, taps})}}));
}
void gated_delta(Draw& d, std::string_view op) {
  d.inexact(256, false);
  d.regime = Regime::tame;
  const DataType dtype = DataType::f32;
  const int64_t steps = d.between(1, 4), groups = d.between(1, 2), heads = groups * d.between(1, 2);
  const int64_t keys = d.between(1, 5), values = d.between(1, 5);
  d.results(d.call_all(op, {{"query", d.argument(dtype, {1, steps, groups, keys})},
                            {"key", d.argument(dtype, {1, steps, groups, keys})},
                            {"value", d.argument(dtype, {1, steps, heads, values})},
                            {"log_decay", d.argument(dtype, {1, steps, heads}, -2, 0)},
                            {"beta", d.argument(dtype, {1, steps, heads}, 0, 1)},
                            {"initial_state", d.argument(dtype, {1, heads, keys, values})}}));
}

void gru(Draw& d, std::string_view op) {
  d.inexact(64, false);
  const DataType dtype = d.floating();
  const Dim batch = d.extent();
  const int64_t hidden = d.between(1, 9);
  const Outlet xh = d.argument(dtype, {batch, 3 * hidden}), rh = d.argument(dtype, {batch, 3 * hidden});
  d.follow(d.call(op, {{"xh", xh}, {"rh", rh}, {"h_prev", d.argument(dtype, {batch, hidden})}},
                  {{"hidden", hidden}}));
}
void lstm(Draw& d, std::string_view op) {
  d.inexact(64, false);
  const DataType dtype = d.floating();
  const Dim batch = d.extent();
  const int64_t hidden = d.between(1, 9);
  const Outlet x = d.argument(dtype, {batch, 4 * hidden}), c = d.argument(dtype, {batch, hidden});
  for (const Outlet& y : d.call_all(op, {{"preact", x}, {"c_prev", c}}, {{"hidden", hidden}})) d.follow(y);
}

constexpr Generator kGenerators[] = {
    {"tract_transformers_sdpa", sdpa},
    {"tract_transformers_apply_rope", rope},
    {"tract_transformers_scaled_masked_softmax", masked_softmax},
    {"tract_moe_ffn", experts},
    {"tract_transformers_causal_conv1d_update", causal_conv},
    {"tract_transformers_gdn_recurrent", gated_delta},
    {"tract_core_gru_epilogue", gru},
    {"tract_core_lstm_epilogue", lstm},
};

}  // namespace

std::span<const Generator> attention_generators() { return kGenerators; }

}  // namespace nnefrun::property
