// What keeps a state between runs, and what has a graph inside. Cases are several runs of one session.
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
