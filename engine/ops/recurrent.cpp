// Loops, sub-models and the epilogues of recurrent cells (tract-opl 5.4.8 and 5.4.9).
//
// The bodies of loops and sub-models are graphs of the node, evaluated by the interpreter. What they keep
// between runs lies in the node's state: for a loop the values of its states and the number of iterations
// ever started, and for both the states of the stateful nodes of the body.
#include <algorithm>
#include <cmath>

#include "engine/graph/interpreter.h"
#include "engine/ops/checks.h"
#include "engine/ops/items.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// ---- states of a body's nodes, in the order of the nodes ----

std::vector<uint32_t> stateful_nodes(const Graph& body) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < body.nodes().size(); ++i) {
    if (body.node(i).op->stateful) out.push_back(i);
  }
  return out;
}

// Moves the nested states out for the time of a run.
GraphState take_nested(const Graph& body, OpState& state) {
  GraphState out;
  const auto nodes = stateful_nodes(body);
  state.nested.resize(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) out.nodes[nodes[i]] = std::move(state.nested[i]);
  return out;
}

void put_nested(const Graph& body, GraphState from, OpState& state) {
  const auto nodes = stateful_nodes(body);
  for (size_t i = 0; i < nodes.size(); ++i) state.nested[i] = std::move(from.nodes[nodes[i]]);
}

const Graph& body_of(const NodeReader& c) {
  if (c.node().bodies.size() != 1 || !c.node().bodies[0]) {
    throw c.fail("internal", c.signature().name + " needs exactly one body");
  }
  const Graph& body = *c.node().bodies[0];
  if (!body.updates.empty()) {
    throw c.fail("body-update", c.signature().name + ": the body must not update variables");
  }
  return body;
}

// ---- scan ----

enum class InputKind { scan, full, state };
enum class OutputKind { full, last };

struct ScanInput {
  InputKind kind;
  int64_t axis, chunk;
};
struct ScanOutput {
  size_t result;  // of the body
  OutputKind kind;
  int64_t axis, chunk;
};
struct Scan {
  std::vector<ScanInput> inputs;
  std::vector<size_t> next_states;  // body result for each state, in order
  std::vector<ScanOutput> outputs;
  int64_t skip;
  bool reset_every_turn;
};

std::vector<std::string> read_strings(const NodeReader& c, std::string_view name) {
  std::vector<std::string> out;
  const auto* list = std::get_if<Attribute::List>(&c.attribute(name).value);
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const auto* text = std::get_if<std::string>(&(*list)[i].value);
    if (text == nullptr)
      throw c.fail("attribute-type", c.signature().name + ": " + std::string(name) + " holds strings");
    out.push_back(*text);
  }
  if (list == nullptr)
    throw c.fail("attribute-type", c.signature().name + ": " + std::string(name) + " holds strings");
  return out;
}

void check_count(const NodeReader& c, std::string_view what, size_t got, size_t expected) {
  if (got == expected) return;
  throw c.fail("attribute-length", c.signature().name + ": " + std::to_string(got) + " " + std::string(what) +
                                       ", expected " + std::to_string(expected));
}

size_t checked_result(const NodeReader& c, int64_t result, const Graph& body) {
  if (result < 0 || result >= static_cast<int64_t>(body.outputs.size())) {
    throw c.fail("scan-result", c.signature().name + ": the body has " + std::to_string(body.outputs.size()) +
                                    " results, there is none with index " + std::to_string(result));
  }
  return static_cast<size_t>(result);
}

void check_chunk(const NodeReader& c, int64_t chunk) {
  require_range(c, "a chunk", chunk, -(int64_t{1} << 31), int64_t{1} << 31);
  if (chunk == 0) throw c.fail("attribute-range", c.signature().name + ": a chunk must not be 0");
}

Scan read_scan(const NodeReader& c, const Graph& body) {
  Scan scan;
  const auto kinds = read_strings(c, "kinds");
  const auto axes = c.integers("axes"), chunks = c.integers("chunks"),
             next_states = c.integers("next_states");
  check_count(c, "kinds", kinds.size(), body.inputs.size());
  check_count(c, "axes", axes.size(), kinds.size());
  check_count(c, "chunks", chunks.size(), kinds.size());
  size_t states = 0;
  for (size_t i = 0; i < kinds.size(); ++i) {
    ScanInput input{InputKind::full, axes[i], chunks[i]};
    if (kinds[i] == "scan") {
      input.kind = InputKind::scan;
      check_chunk(c, input.chunk);
    } else if (kinds[i] == "state") {
      input.kind = InputKind::state;
      ++states;
    } else if (kinds[i] != "full") {
      throw c.fail("attribute-value",
                   c.signature().name + ": the kind '" + kinds[i] + "' is not one of scan, full, state");
    }
    scan.inputs.push_back(input);
  }
  check_count(c, "next states", next_states.size(), states);
  for (const int64_t result : next_states) scan.next_states.push_back(checked_result(c, result, body));
  const auto results = c.integers("output_results"), output_axes = c.integers("output_axes"),
             output_chunks = c.integers("output_chunks");
  const auto output_kinds = read_strings(c, "output_kinds");
  check_count(c, "output kinds", output_kinds.size(), results.size());
  check_count(c, "output axes", output_axes.size(), results.size());
  check_count(c, "output chunks", output_chunks.size(), results.size());
  for (size_t i = 0; i < results.size(); ++i) {
    ScanOutput output{checked_result(c, results[i], body), OutputKind::last, output_axes[i],
                      output_chunks[i]};
    if (output_kinds[i] == "full") {
      output.kind = OutputKind::full;
      check_chunk(c, output.chunk);
    } else if (output_kinds[i] != "last") {
      throw c.fail("attribute-value", c.signature().name + ": the output kind '" + output_kinds[i] +
                                          "' is not one of full, last");
    }
    scan.outputs.push_back(output);
  }
  scan.skip = c.integer("skip");
  require_range(c, "skip", scan.skip, 0, int64_t{1} << 62);
  scan.reset_every_turn = c.logical("reset_every_turn");
  return scan;
}

int64_t magnitude(int64_t chunk) { return chunk < 0 ? -chunk : chunk; }

const Fact& body_input_fact(const Graph& body, size_t i) { return body.fact(body.inputs[i]); }
const Fact& body_output_fact(const Graph& body, size_t i) { return body.fact(body.outputs[i].outlet); }

std::vector<Fact> infer_scan(InferContext& c) {
  const Graph& body = body_of(c);
  const Scan scan = read_scan(c, body);
  const auto arguments = c.inputs_of("inputs");
  check_count(c, "inputs", arguments.size(), scan.inputs.size());
  std::optional<Dim> iterations;
  size_t state = 0;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const ScanInput& input = scan.inputs[i];
    Fact handed = *arguments[i];
    if (input.kind == InputKind::scan) {
      checked_axis(c, input.axis, handed.rank());
      Dim& extent = handed.shape[static_cast<size_t>(input.axis)];
      if (!iterations) iterations = Dim::ceil_div(extent, magnitude(input.chunk));
      extent = magnitude(input.chunk);
    }
    const Fact& expected = body_input_fact(body, i);
    const std::string what = "input " + std::to_string(i) + " of the body";
    const auto mismatch = [&](const Fact& got, const Fact& wanted) {
      bool differs = got.dtype != wanted.dtype || got.quant != wanted.quant || got.rank() != wanted.rank();
      for (size_t axis = 0; !differs && axis < got.shape.size(); ++axis) {
        differs = certainly_different(got.shape[axis], wanted.shape[axis]);
      }
      return differs;
    };
    if (mismatch(handed, expected)) {
      throw c.fail("scan-input", c.signature().name + ": " + what + " is " + expected.to_string() +
                                     ", but it gets " + handed.to_string());
    }
    if (input.kind == InputKind::state) {
      const Fact& next = body_output_fact(body, scan.next_states[state++]);
      if (mismatch(next, expected)) {
        throw c.fail("scan-state", c.signature().name + ": the state for " + what + " is " +
                                       expected.to_string() + ", but its next value is " + next.to_string());
      }
    }
  }
  if (!iterations)
    throw c.fail("scan-input", c.signature().name + ": at least one input must be of kind scan");
  std::vector<Fact> facts;
  for (const ScanOutput& output : scan.outputs) {
    const Fact& result = body_output_fact(body, output.result);
    Fact fact = fact_of(result.dtype, result.shape);
    fact.quant = result.quant;
    if (output.kind == OutputKind::full) {
      checked_axis(c, output.axis, fact.rank());
      Dim& extent = fact.shape[static_cast<size_t>(output.axis)];
      extent = extent * *iterations;
    }
    facts.push_back(std::move(fact));
  }
  return facts;
}

// `length` cells of `axis` from `begin`; what lies outside is zero.
Tensor chunk_of(const Tensor& value, int64_t axis, int64_t begin, int64_t length) {
  const int64_t extent = value.dim(static_cast<int>(axis));
  const int64_t first = std::clamp<int64_t>(begin, 0, extent),
                last = std::clamp<int64_t>(begin + length, first, extent);
  Shape shape = value.shape();
  const auto strides = strides_of(shape);
  const auto with = [&](int64_t cells) {
    Shape s = shape;
    s[static_cast<size_t>(axis)] = cells;
    return s;
  };
  const int64_t offset = first * strides[static_cast<size_t>(axis)];
  const Tensor middle = take_strided(value, with(last - first), first == last ? 0 : offset, strides);
  if (last - first == length) return middle;
  return concat_items({Tensor::zeros(value.dtype(), with(first - begin)), middle,
                       Tensor::zeros(value.dtype(), with(begin + length - last))},
                      static_cast<size_t>(axis));
}

std::vector<Tensor> eval_scan(EvalContext& c) {
  const Graph& body = body_of(c);
  const Scan scan = read_scan(c, body);
  const auto arguments = c.inputs_of("inputs");
  int64_t iterations = -1;
  for (size_t i = 0; i < arguments.size() && iterations < 0; ++i) {
    const ScanInput& input = scan.inputs[i];
    if (input.kind != InputKind::scan) continue;
    const int64_t chunk = magnitude(input.chunk);
    iterations = (arguments[i].dim(static_cast<int>(input.axis)) + chunk - 1) / chunk;
  }
  OpState& state = *c.state;
  if (state.counters.empty()) state.counters = {0};
  if (!state.started || scan.reset_every_turn) {
    state.tensors.clear();
    for (size_t i = 0; i < arguments.size(); ++i) {
      if (scan.inputs[i].kind == InputKind::state) state.tensors.push_back(arguments[i]);
    }
    state.started = true;
  }

  std::vector<std::vector<std::optional<Tensor>>> parts(
      scan.outputs.size());  // of full outputs, in order of time
  std::vector<Tensor> last(scan.outputs.size());
  bool ran = false;
  GraphState nested = take_nested(body, state);
  for (int64_t iteration = 0; iteration < iterations; ++iteration) {
    if (state.counters[0]++ < scan.skip) {
      for (auto& list : parts) list.emplace_back();
      continue;
    }
    std::vector<Tensor> inputs;
    size_t s = 0;
    for (size_t i = 0; i < arguments.size(); ++i) {
      const ScanInput& input = scan.inputs[i];
      if (input.kind == InputKind::full) {
        inputs.push_back(arguments[i]);
      } else if (input.kind == InputKind::state) {
        inputs.push_back(state.tensors[s++]);
      } else {
        const int64_t chunk = magnitude(input.chunk);
        const int64_t extent = arguments[i].dim(static_cast<int>(input.axis));
        const int64_t begin = input.chunk > 0 ? iteration * chunk : extent - (iteration + 1) * chunk;
        inputs.push_back(chunk_of(arguments[i], input.axis, begin, chunk));
      }
    }
    const std::vector<Tensor> results = interpret(body, inputs, c.symbols, nested);
    for (size_t i = 0; i < scan.next_states.size(); ++i) state.tensors[i] = results[scan.next_states[i]];
    for (size_t i = 0; i < scan.outputs.size(); ++i) {
      last[i] = results[scan.outputs[i].result];
      parts[i].push_back(last[i]);
    }
    ran = true;
  }
  put_nested(body, std::move(nested), state);

  std::vector<Tensor> out;
  for (size_t i = 0; i < scan.outputs.size(); ++i) {
    const ScanOutput& output = scan.outputs[i];
    const DataType dtype = c.output_fact(static_cast<uint32_t>(i)).dtype;
    if (!ran) {
      // Nothing was computed: a state keeps its value, all else is zero.
      const auto kept = std::find(scan.next_states.begin(), scan.next_states.end(), output.result);
      if (output.kind == OutputKind::last && kept != scan.next_states.end()) {
        out.push_back(state.tensors[static_cast<size_t>(kept - scan.next_states.begin())]);
      } else {
        out.push_back(Tensor::zeros(dtype, c.output_shape(static_cast<uint32_t>(i))));
      }
      continue;
    }
    if (output.kind == OutputKind::last) {
      out.push_back(last[i]);
      continue;
    }
    std::vector<Tensor> chunks;
    for (const auto& part : parts[i]) {
      chunks.push_back(part ? *part : Tensor::zeros(dtype, last[i].shape()));  // zeros where it was skipped
    }
    if (output.chunk < 0) std::reverse(chunks.begin(), chunks.end());
    out.push_back(concat_items(chunks, static_cast<size_t>(output.axis)));
  }
  return out;
}

// ---- sub-models ----

std::vector<Fact> infer_submodel(InferContext& c) {
  const Graph& body = body_of(c);
  const auto arguments = c.inputs_of("input");
  check_count(c, "inputs", arguments.size(), body.inputs.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Fact& expected = body_input_fact(body, i);
    bool differs = arguments[i]->dtype != expected.dtype || arguments[i]->rank() != expected.rank();
    for (size_t axis = 0; !differs && axis < expected.shape.size(); ++axis) {
      differs = certainly_different(arguments[i]->shape[axis], expected.shape[axis]);
    }
    if (differs) {
      throw c.fail("submodel-input", c.signature().name + ": input " + std::to_string(i) +
                                         " of the sub-model is " + expected.to_string() + ", but it gets " +
                                         arguments[i]->to_string());
    }
  }
  // The sub-model's symbols are its own; what its inputs are here tells what they mean.
  std::map<std::string, Dim, std::less<>> meaning;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Fact& expected = body_input_fact(body, i);
    for (size_t axis = 0; axis < expected.shape.size(); ++axis) {
      const std::string_view symbol = expected.shape[axis].as_symbol();
      if (!symbol.empty()) meaning.try_emplace(std::string(symbol), arguments[i]->shape[axis]);
    }
  }
  std::vector<Fact> facts;
  for (size_t i = 0; i < body.outputs.size(); ++i) {
    const Fact& result = body_output_fact(body, i);
    Fact fact = fact_of(result.dtype, result.shape);
    fact.quant = result.quant;
    for (Dim& extent : fact.shape) {
      const auto symbols = extent.symbols();
      const bool known = std::all_of(symbols.begin(), symbols.end(),
                                     [&](const std::string& s) { return meaning.count(s) != 0; });
      extent = known ? extent.substitute(meaning) : c.fresh_extent("submodel");
    }
    facts.push_back(std::move(fact));
  }
  return facts;
}

std::vector<Tensor> eval_submodel(EvalContext& c) {
  const Graph& body = body_of(c);
  GraphState nested = take_nested(body, *c.state);
  auto results = interpret(body, c.inputs_of("input"), {}, nested);
  put_nested(body, std::move(nested), *c.state);
  c.state->started = true;
  return results;
}

// ---- epilogues of cells ----

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// [rows, gates * hidden] for a state of [rows, hidden].
void check_cell(const InferContext& c, std::string_view name, const Fact& state, int64_t gates,
                int64_t hidden) {
  const Fact& fact = float_input(c, name);
  require_same_dtype(c, "the previous state", state, name, fact);
  require_rank(c, name, fact, 2, 2);
  require_equal(c, "the number of rows of " + std::string(name), fact.shape[0], state.shape[0]);
  require_equal(c, "the width of " + std::string(name), fact.shape[1], gates * hidden);
}

int64_t read_hidden(const InferContext& c, std::string_view name, const Fact& state) {
  require_rank(c, name, state, 2, 2);
  const int64_t hidden = c.integer("hidden");
  require_range(c, "hidden", hidden, 1, int64_t{1} << 31);
  require_equal(c, "the width of " + std::string(name), state.shape[1], hidden);
  return hidden;
}

std::vector<Fact> infer_gru_epilogue(InferContext& c) {
  const Fact& state = float_input(c, "h_prev");
  const int64_t hidden = read_hidden(c, "h_prev", state);
  check_cell(c, "xh", state, 3, hidden);
  check_cell(c, "rh", state, 3, hidden);
  return {fact_of(state.dtype, state.shape)};
}

std::vector<Fact> infer_lstm_epilogue(InferContext& c) {
  const Fact& state = float_input(c, "c_prev");
  check_cell(c, "preact", state, 4, read_hidden(c, "c_prev", state));
  return {fact_of(state.dtype, state.shape), fact_of(state.dtype, state.shape)};
}

void check_run_shape(const NodeReader& c, const Tensor& gates, const Tensor& state, int64_t count) {
  if (gates.dim(0) == state.dim(0) && gates.dim(1) == state.dim(1) * count) return;
  throw c.fail("shape-mismatch", c.signature().name + ": gates of shape " + to_string(gates.shape()) +
                                     " for a state of shape " + to_string(state.shape()));
}

std::vector<Tensor> eval_gru_epilogue(EvalContext& c) {
  const Tensor &xh = c.input("xh"), &rh = c.input("rh"), &h_prev = c.input("h_prev");
  check_run_shape(c, xh, h_prev, 3);
  check_run_shape(c, rh, h_prev, 3);
  const auto x = as_doubles(xh), r = as_doubles(rh);
  auto h = as_doubles(h_prev);
  const auto hidden = static_cast<size_t>(h_prev.dim(1));
  for (size_t i = 0; i < h.size(); ++i) {
    const size_t z = i / hidden * 3 * hidden + i % hidden, reset = z + hidden, n = reset + hidden;
    const double update = sigmoid(x[z] + r[z]);
    const double next = std::tanh(x[n] + sigmoid(x[reset] + r[reset]) * r[n]);
    h[i] = next + update * (h[i] - next);
  }
  return {cast_items(Tensor::of<double>(h_prev.shape(), h), h_prev.dtype())};
}

std::vector<Tensor> eval_lstm_epilogue(EvalContext& c) {
  const Tensor &preact = c.input("preact"), &c_prev = c.input("c_prev");
  check_run_shape(c, preact, c_prev, 4);
  const auto gates = as_doubles(preact);
  auto cell = as_doubles(c_prev);
  std::vector<double> h(cell.size());
  const auto hidden = static_cast<size_t>(c_prev.dim(1));
  for (size_t i = 0; i < cell.size(); ++i) {
    const size_t in = i / hidden * 4 * hidden + i % hidden, out = in + hidden, forget = out + hidden,
                 g = forget + hidden;
    cell[i] = sigmoid(gates[forget]) * cell[i] + sigmoid(gates[in]) * std::tanh(gates[g]);
    h[i] = sigmoid(gates[out]) * std::tanh(cell[i]);
  }
  const Shape& shape = c_prev.shape();
  return {cast_items(Tensor::of<double>(shape, h), c_prev.dtype()),
          cast_items(Tensor::of<double>(shape, cell), c_prev.dtype())};
}

constexpr OpDef kRows[] = {
    {.name = "nnefrun_scan", .infer = infer_scan, .eval = eval_scan, .stateful = true, .types = kItems},
    {.name = "tract_core_submodel",
     .infer = infer_submodel,
     .eval = eval_submodel,
     .stateful = true,
     .types = kItems},
    {.name = "tract_core_gru_epilogue",
     .infer = infer_gru_epilogue,
     .eval = eval_gru_epilogue,
     .types = kFloats},
    {.name = "tract_core_lstm_epilogue",
     .infer = infer_lstm_epilogue,
     .eval = eval_lstm_epilogue,
     .types = kFloats},
};

}  // namespace

std::span<const OpDef> recurrent_rows() { return kRows; }

}  // namespace nnefrun
