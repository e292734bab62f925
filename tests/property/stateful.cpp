// What keeps a state between runs, and what has a graph inside. Cases are several runs of one session.
#include <cmath>

#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

Attribute ints(const std::vector<int64_t>& values) { return Attribute::of_ints(values); }
Attribute strings(const std::vector<std::string>& values) {
  Attribute::List list;
  for (const std::string& value : values) list.emplace_back(value);
  return list;
}
// The state has the shape of the first run, so a case has one binding.
void keep_one_binding(Draw& d) {
  d.bindings.resize(1);
  d.runs = static_cast<int>(d.between(2, 4));
}
Outlet wire(Draw& d, DataType dtype, const DimShape& shape) {
  return d.input(fact_of(dtype, shape),
                 [&d, dtype](const Shape& known, const SymbolValues&) { return d.values(dtype, known); });
}

void delay(Draw& d, std::string_view op) {
  keep_one_binding(d);
  const Outlet x = wire(d, d.any(), d.shape(1, 3));
  d.follow(d.call(op, {{"input", x}},
                  {{"axis", d.axis_of(x)}, {"delay", d.between(0, 5)}, {"overlap", d.between(0, 2)}}));
}
void mask(Draw& d, std::string_view op) {
  keep_one_binding(d);
  const Outlet x = wire(d, d.floating(), d.shape(1, 3));
  d.follow(d.call(op, {{"input", x}},
                  {{"axis", d.axis_of(x)},
                   {"begin", d.between(0, 4)},
                   {"end", d.between(4, 20)},
                   {"value", d.real(-1, 1)}}));
}
void pulse_pad(Draw& d, std::string_view op) {
  keep_one_binding(d);
  const Outlet x = wire(d, d.floating(), d.shape(1, 3));
  const int64_t before = d.between(0, 3);
  d.follow(d.call(op, {{"input", x}},
                  {{"axis", d.axis_of(x)},
                   {"before", before},
                   {"after", d.between(0, 3)},
                   {"begin_input", before + d.between(0, 2)},
                   {"end_input", d.between(6, 12)},
                   {"border", d.pick({"constant", "replicated"})},
                   {"value", d.real(-1, 1)},
                   {"overlap", d.between(0, 1)}}));
}
void running_norm(Draw& d, std::string_view op) {
  keep_one_binding(d);
  d.inexact(16, false);
  DimShape shape = d.shape(1, 3);
  const bool unit = op == "tract_extra_exp_unit_norm", complex = unit && d.one_in(3);
  if (complex) shape.emplace_back(2);
  const auto axis = d.between(0, static_cast<int64_t>(shape.size()) - (complex ? 2 : 1));
  DimShape state = shape;
  state.erase(state.begin() + axis);
  if (complex) state.pop_back();
  Attributes attributes{
      {"axis", axis}, {"alpha", d.real(0, 1)}, {"skip", d.between(0, 2)}, {"stateless", d.one_in(3)}};
  if (complex) attributes.emplace_back("complex", true);
  const Outlet x = wire(d, DataType::f32, shape);
  d.follow(d.call(op, {{"input", x}, {"state", d.argument(DataType::f32, state, 0.5, 2)}}, attributes));
}

// Caches: [batch, heads, tokens, width], the tokens of a run are S.
void cache(Draw& d, std::string_view op) {
  const bool exact = op == "tract_transformers_dyn_kv_cache";
  const DataType dtype = exact ? d.floating() : DataType::f32;
  if (!exact) d.regime = Regime::tame;
  d.symbolic = true;
  d.graph.declare_symbol("S");
  d.graph.declare_symbol("P");
  d.bindings = {{{"S", d.between(1, 9)}}};
  d.runs = static_cast<int>(d.between(2, 4));
  DimShape shape{d.between(1, 2), d.between(1, 2), Dim::symbol("S"), d.between(1, 6)};
  DimShape past = shape;
  past[2] = Dim::symbol("P");
  Attributes attributes{{"name", "cache"},
                        {"axis", 2},
                        {"datum_type", std::string(name_of(dtype))},
                        {"past_sequence_shape", Attribute::of_dims(past)},
                        {"input_sequence_shape", Attribute::of_dims(shape)}};
  if (!exact) {
    attributes.emplace_back("bits", d.pick({2, 4, 8}));
    attributes.emplace_back("per_channel", d.between(0, 1));
  }
  const Outlet x = d.call("relu", {{"x", wire(d, dtype, shape)}});
  const Outlet all = d.call(op, {{"input", x}}, attributes);
  d.result(all);
  if (d.one_in(2)) d.result(d.call("mul", {{"x", all}, {"y", d.constant(d.reals(dtype, {}, 2, 2))}}));
}
void cached_attention(Draw& d, std::string_view op) {
  d.inexact(64, false);
  d.regime = Regime::tame;
  keep_one_binding(d);
  const bool window = op == "tract_transformers_window_kv_sdpa";
  const DataType dtype = DataType::f32;
  const int64_t batch = d.between(1, 2), groups = d.between(1, 2), share = d.between(1, 2),
                depth = d.between(1, 6);
  const int64_t tokens = d.between(1, 5);
  const Outlet q = wire(d, dtype, {batch, groups * share, tokens, depth});
  const Outlet k = wire(d, dtype, {batch, groups, tokens, depth}),
               v = wire(d, dtype, {batch, groups, tokens, depth});
  Attributes attributes{{"axis", 2}};
  if (window) attributes.emplace_back("window", d.between(1, 6));
  if (d.one_in(2)) attributes.emplace_back("scale", d.real(0.1, 1));
  d.follow(d.call(op, {{"q", q}, {"k", k}, {"v", v}}, attributes));
}

// A body of a loop: a running combination of a chunk and a state.
void scan(Draw& d, std::string_view op) {
  keep_one_binding(d);
  d.inexact(64, false);
  const DataType dtype = d.pick({DataType::f32, DataType::f32, DataType::f64, DataType::f16});
  const int64_t chunk = d.one_in(3) ? d.between(2, 3) : 1, width = d.between(1, 9);
  const bool backward = d.one_in(4);
  Graph body;
  const Outlet x = body.add_external(fact_of(dtype, {chunk, width}), "x");
  const Outlet s = body.add_external(fact_of(dtype, {chunk, width}), "s");
  const Outlet w = body.add_external(fact_of(dtype, {width, width}), "w");
  const Outlet product = body.add("matmul", {s, w}, {false, false});
  const Outlet next = body.add(d.one_in(2) ? "tanh" : "sigmoid", {body.add("add", {x, product})});
  body.outputs = {{next, "n"}, {body.add("relu", {body.add("neg", {next})}), "m"}};
  const Dim length = d.extent();
  const Outlet input = wire(d, dtype, {length, width});
  const Outlet state = d.argument(dtype, {chunk, width}), weight = d.argument(dtype, {width, width}, -1, 1);
  const int64_t signed_chunk = backward ? -chunk : chunk;
  d.results(d.call_all(op, {{"inputs", input}, {"inputs", state}, {"inputs", weight}},
                       {{"body", "body"},
                        {"kinds", strings({"scan", "state", "full"})},
                        {"axes", ints({0, 0, 0})},
                        {"chunks", ints({signed_chunk, 0, 0})},
                        {"next_states", ints({0})},
                        {"output_results", ints({0, 1, 0})},
                        {"output_kinds", strings({"full", "full", "last"})},
                        {"output_axes", ints({0, 0, 0})},
                        {"output_chunks", ints({signed_chunk, signed_chunk, 0})},
                        {"skip", d.one_in(3) ? d.between(0, 3) : 0},
                        {"reset_every_turn", d.one_in(3)}},
                       {std::make_shared<const Graph>(std::move(body))}));
}
// Cells over time, with computed and with constant weights.
void cell(Draw& d, std::string_view op) {
  d.inexact(256, false);
  d.regime = Regime::tame;
  const DataType dtype = d.pick({DataType::f32, DataType::f32, DataType::f32, DataType::f64, DataType::f16});
  const int64_t gates = op == "nnefrun_lstm" ? 4 : op == "nnefrun_gru" ? 3 : 1;
  const int64_t hidden = d.pick({1, 2, 3, 8, 17});
  const Dim rows = d.one_in(2) ? Dim(1) : d.extent();
  const Shape of_weights{gates * hidden, hidden};
  // So small that the rounding of a step does not grow from step to step.
  const double bound = 1 / std::sqrt(static_cast<double>(hidden));
  const Outlet weights = d.one_in(4) ? d.argument(dtype, {gates * hidden, hidden}, -bound, bound)
                                     : d.constant(d.reals(dtype, of_weights, -bound, bound));
  Arguments arguments{{"x", d.argument(dtype, {d.extent(), rows, gates * hidden})},
                      {"R", weights},
                      {"h", d.argument(dtype, {rows, hidden}, -1, 1)}};
  if (op == "nnefrun_lstm") arguments.emplace_back("c", d.argument(dtype, {rows, hidden}));
  if (d.one_in(2)) arguments.emplace_back("bias", d.argument(dtype, {gates * hidden}, -1, 1));
  Attributes attributes{{"reverse", d.one_in(3)}};
  if (op == "nnefrun_gru") attributes.emplace_back("reset_before", d.one_in(2));
  if (op == "nnefrun_rnn") attributes.emplace_back("activation", d.pick({"tanh", "relu"}));
  d.results(d.call_all(op, arguments, attributes));
}

// A recurrent cell as exporters spell it in the body of a loop: what the rewrites recognise.
void recurrent_loop(Draw& d, std::string_view) {
  keep_one_binding(d);
  d.inexact(256, false);
  d.regime = Regime::tame;
  const DataType dtype = DataType::f32;
  const int64_t kind = d.between(0, 3), hidden = d.pick({1, 2, 5, 16});
  const Dim rows = d.one_in(3) ? d.extent() : Dim(d.between(1, 3));
  const int64_t gates = kind == 0 ? 4 : kind == 3 ? 1 : 3;
  const bool spread = d.one_in(2);  // an input for each gate, or slices of one
  const bool units = d.one_in(2);   // states without the axis of time
  Graph body;
  const auto axes = Attribute::of_ints({0});
  const auto flat = [&](Outlet wire) { return units ? body.add("squeeze", {wire}, {axes}) : wire; };
  std::vector<Outlet> x, externals;
  for (int64_t g = 0; g < (spread ? gates : 1); ++g) {
    externals.push_back(body.add_external(fact_of(dtype, {1, rows, spread ? hidden : gates * hidden}),
                                          "x" + std::to_string(g)));
    x.push_back(flat(externals.back()));
  }
  const Outlet h_in = body.add_external(fact_of(dtype, {1, rows, hidden}), "h");
  const Outlet c_in = kind == 0 ? body.add_external(fact_of(dtype, {1, rows, hidden}), "c") : h_in;
  const Outlet h = flat(h_in), c = kind == 0 ? flat(c_in) : h;
  const int64_t last = units ? 1 : 2;
  const auto slice = [&](Outlet wire, int64_t g) {
    return body.add("nnefrun_slice", {wire},
                    {Attribute::of_ints({last}), Attribute::of_ints({g * hidden}),
                     Attribute::of_ints({hidden}), Attribute::of_ints({})});
  };
  const auto input_of = [&](int64_t g) {
    return spread ? x[static_cast<size_t>(g)] : gates == 1 ? x[0] : slice(x[0], g);
  };
  const auto product = [&](Outlet state) {
    Shape shape{hidden, hidden};
    if (!units) shape.insert(shape.begin(), 1);
    // So small that the rounding of a step does not grow from step to step.
    const double bound = 1 / std::sqrt(static_cast<double>(hidden));
    const Outlet weights =
        body.add_constant(d.reals(dtype, shape, -bound, bound), "w" + std::to_string(body.nodes().size()));
    return body.add("matmul", {state, weights}, {false, d.one_in(2)});
  };
  const auto gate = [&](const char* function, int64_t g, Outlet state) {
    return body.add(function, {body.add("add", {input_of(g), product(state)})});
  };
  Outlet next = h, next_c = c;
  if (kind == 0) {
    const Outlet kept = body.add("mul", {gate("sigmoid", 1, h), c});
    const Outlet fresh = body.add("mul", {gate("sigmoid", 0, h), gate("tanh", 2, h)});
    next_c = body.add("add", {kept, fresh});
    next = body.add("mul", {gate("sigmoid", 3, h), body.add("tanh", {next_c})});
  } else if (kind == 3) {
    next = gate(d.pick({"tanh", "relu"}), 0, h);
  } else {
    const Outlet r = gate("sigmoid", 0, h), z = gate("sigmoid", 1, h);
    Outlet n = h;
    if (kind == 1) {
      n = body.add("tanh", {body.add("add", {input_of(2), body.add("mul", {r, product(h)})})});
    } else {
      n = gate("tanh", 2, body.add("mul", {r, h}));
    }
    next = body.add("add", {n, body.add("mul", {z, body.add("sub", {h, n})})});
  }
  const auto deep = [&](Outlet wire) { return units ? body.add("unsqueeze", {wire}, {axes}) : wire; };
  body.outputs = {{deep(next), "h_n"}};
  if (kind == 0) body.outputs.push_back({deep(next_c), "c_n"});

  const int64_t step = d.one_in(3) ? -1 : 1;
  const Dim time = d.extent();
  Arguments arguments;
  std::vector<std::string> kinds;
  std::vector<int64_t> zeros, chunks;
  for (const Outlet& external : externals) {
    arguments.emplace_back("inputs", wire(d, dtype, {time, rows, body.fact(external).shape[2]}));
    kinds.emplace_back("scan");
    chunks.push_back(step);
  }
  std::vector<int64_t> next_states;
  for (int64_t s = 0; s < (kind == 0 ? 2 : 1); ++s) {
    const bool repeated = !rows.is_constant() && d.one_in(2);  // a constant, as often as there are rows
    arguments.emplace_back(
        "inputs", repeated ? d.call("tile", {{"input", d.constant(d.reals(dtype, {1, 1, hidden}, -1, 1))}},
                                    {{"repeats", Attribute::of_dims({1, rows, 1})}})
                           : d.argument(dtype, {1, rows, hidden}, -1, 1));
    kinds.emplace_back("state");
    chunks.push_back(0);
    next_states.push_back(s);
  }
  zeros.assign(chunks.size(), 0);
  std::vector<int64_t> results{0, 0};
  std::vector<std::string> result_kinds{"full", "last"};
  std::vector<int64_t> result_chunks{step, 0};
  if (kind == 0) results.push_back(1), result_kinds.emplace_back("last"), result_chunks.push_back(0);
  d.results(d.call_all("nnefrun_scan", arguments,
                       {{"body", "body"},
                        {"kinds", strings(kinds)},
                        {"axes", ints(zeros)},
                        {"chunks", ints(chunks)},
                        {"next_states", ints(next_states)},
                        {"output_results", ints(results)},
                        {"output_kinds", strings(result_kinds)},
                        {"output_axes", ints(std::vector<int64_t>(results.size(), 0))},
                        {"output_chunks", ints(result_chunks)},
                        {"reset_every_turn", d.one_in(2)}},
                       {std::make_shared<const Graph>(std::move(body))}));
}
// Random numbers that a seed repeats.
void random(Draw& d, std::string_view op) {
  d.runs = 2;
  d.bindings.resize(1);
  const bool integers = false;
  const Shape shape = d.fixed_shape(0, 3);
  const Outlet low = d.constant(Tensor::scalar(0.0F)), high = d.constant(Tensor::scalar(2.0F));
  d.result(d.call(op, {{"parameters", low}, {"parameters", high}},
                  {{"datum_type", integers ? "i64" : "f32"},
                   {"shape", ints(shape)},
                   {"dist", d.pick({"uniform", "normal"})},
                   {"seed", d.between(0, 1000)}}));
}
void multinomial(Draw& d, std::string_view op) {
  d.runs = 2;
  d.bindings.resize(1);
  const Outlet x = d.argument(DataType::f32, {d.between(1, 3), d.between(1, 6)}, -2, 2);
  d.result(
      d.call(op, {{"input", x}},
             {{"dtype", d.pick({6, 7})}, {"sample_size", d.between(1, 5)}, {"seed", d.between(0, 1000)}}));
}

constexpr Generator kGenerators[] = {
    {"tract_pulse_delay", delay, true},
    {"tract_pulse_mask", mask, true},
    {"tract_pulse_pulse_pad", pulse_pad, true},
    {"tract_extra_exp_unit_norm", running_norm},
    {"tract_extra_exp_mean_norm", running_norm},
    {"tract_transformers_dyn_kv_cache", cache},
    {"tract_transformers_quantized_dyn_kv_cache", cache},
    {"tract_transformers_window_kv_sdpa", cached_attention},
    {"tract_transformers_quantized_kv_sdpa", cached_attention},
    {"nnefrun_scan", scan},
    {"recurrent loops", recurrent_loop},
    {"nnefrun_lstm", cell},
    {"nnefrun_gru", cell},
    {"nnefrun_rnn", cell},
    {"tract_onnx_random", random},
    {"tract_onnx_multinomial", multinomial},
};

constexpr Exception kExceptions[] = {
    {"tract_core_external", "an input of the graph: part of every case, and never evaluated"},
    {"variable", "a constant of the graph: part of most cases, and never evaluated"},
    {"tract_core_submodel",
     "its body is a model of its own in the archive, which a printed graph cannot hold"},
};

}  // namespace

std::span<const Generator> stateful_generators() { return kGenerators; }
std::span<const Exception> exceptions() { return kExceptions; }

}  // namespace nnefrun::property
