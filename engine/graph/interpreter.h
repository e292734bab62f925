// The naive evaluation of a graph: node after node, by each row's eval, in f32 or whatever the facts say.
// Slow and clear: the oracle that every plan is compared with (`--no-optimize`), and the way bodies of scans
// are evaluated.
#pragma once

#include <functional>
#include <vector>

#include "engine/graph/op_def.h"

namespace nnefrun {

// What persists between runs of one graph: a state for each stateful node, values of updated variables.
struct GraphState {
  std::map<uint32_t, OpState> nodes;     // by node index
  std::map<uint32_t, Tensor> variables;  // by node index of the variable
};

struct InterpreterOptions {
  // Called with every intermediate result (node, result, value); may be empty.
  std::function<void(const Node&, uint32_t, const Tensor&)> observe;
  // Asked between nodes; true stops the run with Error[cancelled].
  std::function<bool()> cancelled;
};

// Binds the symbols of the graph's input shapes to the extents of `inputs`, checks dtype, rank, extents and
// the assertions. `symbols` may hold values already (from --set); contradictions throw Error[symbol-clash]
// naming the symbol, both values and both places.
void bind_symbols(const Graph& graph, const std::vector<Tensor>& inputs, SymbolValues& symbols);

// What binding looks at of one input.
struct InputType {
  DataType dtype;
  const Shape* shape;
};
void bind_symbols(const Graph& graph, const std::vector<InputType>& inputs, SymbolValues& symbols);
// The same for other extents, when `symbols` holds what an earlier bind_symbols found: allocates nothing.
// False when it cannot tell or something is wrong: `symbols` is then of no use, and bind_symbols says.
bool rebind_symbols(const Graph& graph, const std::vector<InputType>& inputs, SymbolValues& symbols);

// Binds the symbols that states know, such as the past length of a cache. Comes after bind_symbols.
void bind_state_symbols(const Graph& graph, const GraphState& state, SymbolValues& symbols);

// Runs the graph. `inputs` in the order of graph.inputs. Returns the outputs in order. Errors name the node.
std::vector<Tensor> interpret(const Graph& graph, const std::vector<Tensor>& inputs, SymbolValues symbols,
                              GraphState& state, const InterpreterOptions& options = {});

}  // namespace nnefrun
