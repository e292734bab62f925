// Rewrites: small, named changes of a graph that keep its meaning.
//
// A rewrite looks at one node (the last of its pattern) and answers a Patch: a value that says which wires of
// the graph it taps, which nodes it adds, and which wires take the place of the node's results. The driver
// splices it in, checks that each result keeps dtype, quantisation and shape (else Error[rewrite-fact] naming
// the rewrite), and counts it. So any rewrite can be disabled by name, and a wrong one found by bisecting the
// count (--max-rewrites).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/op_def.h"

namespace nnefrun {

// A wire inside a patch: one of the graph's (`tap`), or result `result` of the patch's own node `node`.
struct PatchWire {
  bool is_tap = true;
  Outlet tap;
  uint32_t node = 0;
  uint32_t result = 0;
};

struct Patch {
  struct NewNode {
    std::string op;
    std::vector<PatchWire> inputs;
    std::vector<uint32_t>
        input_counts;  // empty: one for each tensor parameter, arrays take all, the rest is left out
    std::vector<Attribute> attributes;
    std::string name;  // "" invents one
    std::vector<std::shared_ptr<const Graph>> bodies;
    std::optional<Tensor> constant;           // a stored tensor instead of an operator...
    std::optional<AffineQuantization> quant;  // ...which may hold codes
    std::function<Tensor(Tensor)> make;       // ...or what this makes of the constant `inputs[0]`
    std::optional<DimShape> variable;         // it is the first value of a variable of this shape
  };
  std::vector<NewNode> nodes;
  std::vector<PatchWire> results;  // one for each result of the node that was looked at
  // Wires of earlier nodes that are now computed along with it: what comes later reads the new one.
  std::vector<std::pair<Outlet, PatchWire>> also;
  // Variables of the patch, and what each is after a run.
  std::vector<std::pair<PatchWire, PatchWire>> updates;

  static PatchWire tap(Outlet outlet) { return {true, outlet, 0, 0}; }
  PatchWire add(std::string op, std::vector<PatchWire> inputs, std::vector<Attribute> attributes = {},
                std::string name = {}, std::vector<uint32_t> input_counts = {});
  PatchWire constant(Tensor value, std::string label, std::optional<AffineQuantization> quant = std::nullopt);
  // A constant with items of its own, made of the constant `source` when the patch is spliced in. When what
  // the patch replaces was the only reader of `source`, `make` gets its memory to write to
  // (Tensor::mutable_data does not clone).
  PatchWire constant_of(Outlet source, std::function<Tensor(Tensor)> make, std::string label);
  // Needs an entry of `updates`; see variable_node.
  PatchWire variable(Tensor initial, DimShape shape, std::string label);

 private:
  PatchWire last() const { return {false, {}, static_cast<uint32_t>(nodes.size() - 1), 0}; }
};

// What a rewrite may ask.
class RewriteContext {
 public:
  RewriteContext(const Graph& graph, uint32_t index, const UseCounts& uses, bool in_body = false)
      : graph(graph), index(index), in_body(in_body), uses_(uses) {}
  const Graph& graph;
  const uint32_t index;  // the node looked at
  const bool in_body;    // the graph belongs to a loop or sub-model: it must not get variables

  const Node& node() const { return graph.node(index); }
  const Fact& fact(Outlet outlet) const { return graph.fact(outlet); }
  // How many readers a wire has in the graph that is being rewritten.
  uint32_t uses(Outlet outlet) const { return uses_[outlet]; }
  // The node behind a wire when it is `op` (and, with `only_reader`, nobody else reads the wire); null
  // otherwise.
  const Node* producer(Outlet outlet, std::string_view op, bool only_reader = false) const;
  // The value when it is a constant; null otherwise.
  const Tensor* constant(Outlet outlet) const;
  // The one value of a constant of volume 1, as a double.
  std::optional<double> scalar(Outlet outlet) const;
  NodeReader read(const Node& node) const { return NodeReader(node, signature_of(node.op), nullptr); }

 private:
  const UseCounts& uses_;
};

struct Rewrite {
  std::string_view name;     // "fuse-activation": the name of --disable and of its test folder
  std::string_view op;       // looked at for nodes of this operator only; "" for all
  std::string_view meaning;  // before => after, as algebra
  std::optional<Patch> (*apply)(const RewriteContext&);
};

// Themes; each file of engine/rewrites lists its own.
std::span<const Rewrite> constant_rewrites();      // folding, common sub-expressions
std::span<const Rewrite> identity_rewrites();      // what does nothing
std::span<const Rewrite> axes_rewrites();          // transposes, reshapes, squeezes
std::span<const Rewrite> activation_rewrites();    // spelled-out activations
std::span<const Rewrite> linear_rewrites();        // convolutions and products with their neighbours
std::span<const Rewrite> norm_rewrites();          // layer and rms normalisation
std::span<const Rewrite> einsum_rewrites();        // products over named axes
std::span<const Rewrite> code_rewrites();          // 8-bit codes that are computed with as reals
std::span<const Rewrite> group_rewrites();         // arithmetic on constant codes
std::span<const Rewrite> group_sum_rewrites();     // zero points taken off as integers
std::span<const Rewrite> group_reader_rewrites();  // products turned so that weights in groups stay packed
std::span<const Rewrite> attention_rewrites();     // repeated heads, expansions that broadcasting does
std::span<const Rewrite> loop_rewrites();          // loops: their constants, states, recurrent cells
std::span<const Rewrite> cell_rewrites();          // recurrent cells outside of loops

// Weights in groups are recognised before constants are folded. Declutter first: what makes the graph say
// less. Then cells are recognised, before their parts are fused with others. Optimise last: what fuses
// operators into the engine's own.
std::vector<const Rewrite*> pack_rewrites();
std::vector<const Rewrite*> declutter_rewrites();
std::vector<const Rewrite*> recognise_rewrites();
std::vector<const Rewrite*> optimize_rewrites();
std::vector<const Rewrite*> all_rewrites();

struct RewriteOptions {
  std::vector<std::string> disabled;                           // names
  int64_t max_rewrites = -1;                                   // -1: no limit; counts down over calls
  std::function<void(std::string_view name)> on_applied = {};  // told of each patch
  bool in_body = false;                                        // see RewriteContext
};

// Applies the rewrites until none applies. `applied` counts the patches. A set of rules that does not come to
// rest within a bound on rounds is Error[rewrite-loop] naming the rule that still applies.
Graph apply_rewrites(Graph graph, const std::vector<const Rewrite*>& rewrites, RewriteOptions& options,
                     int64_t* applied);

// For a graph that is built anew from another: everything but its nodes and what names them, and, once they
// are there under new indices, its inputs, outputs and updates. `moved`: of each old node, the new one.
Graph empty_like(const Graph& graph);
void copy_interface(const Graph& graph, const std::vector<uint32_t>& moved, Graph& out);

// The graph with the bodies of its loops and sub-models replaced by what `rewrite` makes of them.
Graph with_rewritten_bodies(const Graph& graph, const std::function<Graph(Graph)>& rewrite);

// Equal nodes become one (common sub-expressions); named "common-subexpressions" in --disable.
Graph without_repetitions(Graph graph, int64_t* merged);

// Constants of 8-bit blocks (Q8_0, Q8_1) become weights in groups, for the readers that keep their type with
// them; named "blocks-as-groups" in --disable. `applied` counts the readers.
Graph with_blocks_as_groups(Graph graph, int64_t* applied);

// Arithmetic in f16 becomes arithmetic in f32 between casts where steps know f32 only; named "f16-in-f32" in
// --disable. `applied` counts the nodes.
Graph with_f32_arithmetic(Graph graph, int64_t* applied);

}  // namespace nnefrun
