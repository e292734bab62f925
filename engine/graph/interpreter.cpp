#include "engine/graph/interpreter.h"

#include <algorithm>

#include "engine/graph/variable.h"

namespace nnefrun {
namespace {

// Binds or checks the symbols of one shape. `place` names the tensor in messages; `origin` remembers who
// bound what.
void bind_shape(const DimShape& declared, const Shape& actual, const std::string& place,
                std::string_view code, SymbolValues& symbols, std::map<std::string, std::string>& origin) {
  if (declared.size() != actual.size()) {
    throw Error(code, place + " has rank " + std::to_string(actual.size()) + " " + to_string(actual) +
                          ", expected rank " + std::to_string(declared.size()) + " " + to_string(declared));
  }
  for (size_t axis = 0; axis < declared.size(); ++axis) {
    if (const auto value = declared[axis].evaluate(symbols)) {
      if (*value == actual[axis]) continue;
      Error error(declared[axis].is_constant() ? code : "symbol-clash",
                  place + " has extent " + std::to_string(actual[axis]) + " on axis " + std::to_string(axis) +
                      ", but `" + declared[axis].to_string() + "` is " + std::to_string(*value));
      for (const auto& symbol : declared[axis].symbols()) {
        const auto it = origin.find(symbol);
        error.note("symbol `" + symbol + "` = " + std::to_string(symbols.at(symbol)) +
                   (it == origin.end() ? " was given" : " was bound by " + it->second));
      }
      error.note("declared shape " + to_string(declared) + ", got " + to_string(actual));
      throw error;
    }
    if (const auto solved = declared[axis].solve(actual[axis], symbols)) {
      if (solved->second < 0) {
        throw Error("symbol-clash", place + " makes symbol `" + solved->first + "` negative: `" +
                                        declared[axis].to_string() + "` is " + std::to_string(actual[axis]));
      }
      symbols[solved->first] = solved->second;
      origin[solved->first] = place;
    }
  }
}

// Scenarios are hints for simplification (tract-opl 6.2): sizes that fit none of them are legal, so they are
// not checked.
bool holds(const Assertion& assertion, const SymbolValues& symbols) {
  const auto value = assertion.expression.evaluate(symbols);
  return !value || !assertion.scenario.empty() || (assertion.equality ? *value == 0 : *value >= 0);
}

void check_assertions(const Graph& graph, const SymbolValues& symbols) {
  for (const Assertion& assertion : graph.assertions) {
    if (holds(assertion, symbols)) continue;
    Error error("assertion", "the inputs contradict `tract_assert " + assertion.text + "`");
    for (const auto& symbol : assertion.expression.symbols()) {
      error.note("symbol `" + symbol + "` = " + std::to_string(symbols.at(symbol)));
    }
    throw error;
  }
}

}  // namespace

void bind_symbols(const Graph& graph, const std::vector<Tensor>& inputs, SymbolValues& symbols) {
  std::vector<InputType> types;
  for (const Tensor& input : inputs) types.push_back({input.dtype(), &input.shape()});
  bind_symbols(graph, types, symbols);
}

void bind_symbols(const Graph& graph, const std::vector<InputType>& inputs, SymbolValues& symbols) {
  if (inputs.size() != graph.inputs.size()) {
    throw Error("input-count", std::to_string(inputs.size()) + " inputs given, the graph has " +
                                   std::to_string(graph.inputs.size()));
  }
  std::map<std::string, std::string> origin;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Fact& fact = graph.fact(graph.inputs[i]);
    const std::string place = "input `" + graph.name_of(graph.inputs[i]) + "`";
    if (fact.dtype != inputs[i].dtype) {
      throw Error("input-dtype", place + " is " + std::string(name_of(inputs[i].dtype)) + ", expected " +
                                     std::string(name_of(fact.dtype)))
          .note("declared as " + fact.to_string());
    }
    bind_shape(fact.shape, *inputs[i].shape, place, "input-shape", symbols, origin);
  }
  // An extent such as `min(S, 4)` is checked once the others have bound its symbols.
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Fact& fact = graph.fact(graph.inputs[i]);
    bind_shape(fact.shape, *inputs[i].shape, "input `" + graph.name_of(graph.inputs[i]) + "`", "input-shape",
               symbols, origin);
  }
  check_assertions(graph, symbols);
}

bool rebind_symbols(const Graph& graph, const std::vector<InputType>& inputs, SymbolValues& symbols) {
  if (inputs.size() != graph.inputs.size()) return false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Fact& fact = graph.fact(graph.inputs[i]);
    const Shape& actual = *inputs[i].shape;
    if (fact.dtype != inputs[i].dtype || fact.shape.size() != actual.size()) return false;
    for (size_t axis = 0; axis < actual.size(); ++axis) {
      const std::string_view symbol = fact.shape[axis].as_symbol();
      if (symbol.empty()) continue;
      const auto it = symbols.find(symbol);
      if (it == symbols.end()) return false;
      it->second = actual[axis];
    }
  }
  // A value that contradicts another extent, or that only such an extent tells, is found here.
  for (size_t i = 0; i < inputs.size(); ++i) {
    const DimShape& declared = graph.fact(graph.inputs[i]).shape;
    for (size_t axis = 0; axis < declared.size(); ++axis) {
      if (declared[axis].evaluate(symbols) != (*inputs[i].shape)[axis]) return false;
    }
  }
  return std::all_of(graph.assertions.begin(), graph.assertions.end(),
                     [&](const Assertion& assertion) { return holds(assertion, symbols); });
}

namespace {

// The extents of a variable under the symbols of the first run.
Shape first_shape(const Node& variable, const SymbolValues& symbols) {
  Shape shape;
  for (const Dim& extent : variable.facts[0].shape) {
    const auto value = extent.evaluate(symbols);
    if (!value) {
      throw Error("symbol-unknown", "the inputs do not determine the extent `" + extent.to_string() +
                                        "` of `" + variable.result_names[0] + "`");
    }
    shape.push_back(*value);
  }
  return shape;
}

}  // namespace

void bind_state_symbols(const Graph& graph, const GraphState& state, SymbolValues& symbols) {
  const OpState untouched;
  for (uint32_t index = 0; index < graph.nodes().size(); ++index) {
    const Node& node = graph.node(index);
    if (node.op->bind == nullptr) continue;
    const auto kept = state.nodes.find(index);
    node.op->bind(NodeReader(node, signature_of(node.op), &symbols),
                  kept == state.nodes.end() ? untouched : kept->second, symbols);
  }
}

std::vector<Tensor> interpret(const Graph& graph, const std::vector<Tensor>& inputs, SymbolValues symbols,
                              GraphState& state, const InterpreterOptions& options) {
  bind_symbols(graph, inputs, symbols);
  bind_state_symbols(graph, state, symbols);
  const auto& nodes = graph.nodes();
  std::vector<std::vector<Tensor>> values(nodes.size());
  for (size_t i = 0; i < inputs.size(); ++i) values[graph.inputs[i].node] = {inputs[i]};

  auto uses = graph.use_counts();
  std::map<std::string, std::string> origin;
  for (uint32_t index = 0; index < nodes.size(); ++index) {
    const Node& node = nodes[index];
    if (options.cancelled && options.cancelled()) throw Error("cancelled", "the run was cancelled");
    if (!values[index].empty()) continue;  // an input
    if (node.initial) {
      const auto kept = state.variables.find(index);
      if (kept == state.variables.end()) {
        values[index] = {expanded_initial(*node.initial, first_shape(node, symbols))};
      } else {  // the extents of a symbol are those of the first run
        std::map<std::string, std::string> known;
        bind_shape(node.facts[0].shape, kept->second.shape(), "the kept value `" + node.result_names[0] + "`",
                   "shape-mismatch", symbols, known);
        values[index] = {kept->second};
      }
    } else if (node.facts.size() == 1 && node.facts[0].constant) {
      values[index] = {*node.facts[0].constant};
    } else {
      std::vector<Tensor> arguments;
      for (const Outlet& input : node.inputs) arguments.push_back(values[input.node][input.result]);
      OpState* own = node.op->stateful ? &state.nodes[index] : nullptr;
      EvalContext context(node, signature_of(node.op), graph, std::move(arguments), symbols, own);
      if (node.op->eval == nullptr)
        throw context.fail("internal", std::string(node.op->name) + " cannot be evaluated");
      try {
        values[index] = node.op->eval(context);
      } catch (Error& error) {
        error.at(node.where);
        error.note("while computing `" + node.result_names[0] + "` = " + std::string(node.op->name) +
                   "(...)");
        throw;
      }
      // What only the data could tell is bound now (tract-opl 6.5, step 5).
      for (uint32_t r = 0; r < node.facts.size(); ++r) {
        if (node.facts[r].dtype != values[index][r].dtype()) {
          throw context.fail("internal", std::string(node.op->name) + " computed " +
                                             std::string(name_of(values[index][r].dtype())) + " where " +
                                             node.facts[r].to_string() + " was inferred");
        }
        bind_shape(node.facts[r].shape, values[index][r].shape(), "the value `" + node.result_names[r] + "`",
                   "shape-mismatch", symbols, origin);
      }
    }
    if (options.observe) {
      for (uint32_t r = 0; r < values[index].size(); ++r) options.observe(node, r, values[index][r]);
    }
    // Values are dropped after their last reader.
    for (const Outlet& input : node.inputs) {
      if (--uses[input] == 0) values[input.node][input.result] = Tensor();
    }
  }
  std::vector<Tensor> results;
  for (const GraphOutput& output : graph.outputs)
    results.push_back(values[output.outlet.node][output.outlet.result]);
  // Updates are committed together, after everything has read the old values (nnef-1.0 section 8.2).
  std::vector<std::pair<uint32_t, Tensor>> committed;
  for (const auto& update : graph.updates) {
    committed.emplace_back(update.first.node, values[update.second.node][update.second.result]);
  }
  for (auto& update : committed) state.variables[update.first] = std::move(update.second);
  return results;
}

}  // namespace nnefrun
