// Graph: nodes in an order in which they can be computed, wires between them, and a fact for every wire.
//
// A node keeps its operator's NNEF name (op->name) and its attributes in the order of the operator's
// signature, so printing, reloading and equality follow from the signature. Indices are dense and there are
// no pointers between nodes: an Outlet is (node, result), and the inputs of a node always have smaller node
// indices. Facts are complete at all times: add() infers them and throws when the operator refuses.
//
// A Graph is a value: copy it to change it. A const Graph may be read from several threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "engine/graph/fact.h"

namespace nnefrun {

struct OpDef;
class Graph;

// A compile-time argument. All integers are Dims, since any of them may hold symbols.
struct Attribute {
  using List = std::vector<Attribute>;
  // monostate: not given and no default (tract's optional arguments)
  std::variant<std::monostate, bool, Dim, double, std::string, List> value;
  bool is_tuple = false;  // a List that the text writes with parentheses

  Attribute() = default;
  Attribute(bool v) : value(v) {}                      // NOLINT: literals are attributes
  Attribute(Dim v) : value(std::move(v)) {}            // NOLINT
  Attribute(int64_t v) : value(Dim(v)) {}              // NOLINT
  Attribute(int v) : value(Dim(v)) {}                  // NOLINT
  Attribute(double v) : value(v) {}                    // NOLINT
  Attribute(std::string v) : value(std::move(v)) {}    // NOLINT
  Attribute(const char* v) : value(std::string(v)) {}  // NOLINT
  Attribute(List v) : value(std::move(v)) {}           // NOLINT
  static Attribute of_ints(const std::vector<int64_t>& values);
  static Attribute of_dims(const std::vector<Dim>& values);
  static Attribute of_pairs(const std::vector<std::pair<int64_t, int64_t>>& pairs);
  bool is_given() const { return value.index() != 0; }
  friend bool operator==(const Attribute& a, const Attribute& b);
};

struct Outlet {
  uint32_t node = 0;
  uint32_t result = 0;
  friend bool operator==(const Outlet&, const Outlet&) = default;
  friend auto operator<=>(const Outlet&, const Outlet&) = default;
};

struct Node {
  const OpDef* op = nullptr;
  // One for each attribute parameter of the signature, in its order (also those at their default).
  std::vector<Attribute> attributes;
  // Tensor arguments, flattened in signature order...
  std::vector<Outlet> inputs;
  // ...and how many each tensor parameter takes: 1, 0 for an optional one left out, n for an array (concat's
  // values).
  std::vector<uint32_t> input_counts;
  std::vector<Fact> facts;                // one for each result
  std::vector<std::string> result_names;  // unique in the graph; NNEF identifiers or i"..." text
  // Graphs that belong to the node: the body of a scan, a sub-model.
  std::vector<std::shared_ptr<const Graph>> bodies;
  // The first value of a variable that `update` writes; such a variable is no constant.
  std::shared_ptr<const Tensor> initial;
  SourceLocation where;
  std::string call_chain;  // "in fragment `stem` called at graph.nnef:40:5", or empty
};

struct GraphOutput {
  Outlet outlet;
  std::string name;
};

// A relation between symbols: `expression >= 0` (or == 0), from `extension tract_assert`.
struct Assertion {
  std::string text;  // as written
  Dim expression;    // the claim is expression >= 0, or == 0
  bool equality = false;
  std::string scenario;  // "" holds always; else one of several alternatives (tract-opl 6.2)
};

// How many nodes and outputs read each result of a graph.
class UseCounts {
 public:
  uint32_t& operator[](Outlet outlet) { return counts_[first_[outlet.node] + outlet.result]; }
  uint32_t operator[](Outlet outlet) const { return counts_[first_[outlet.node] + outlet.result]; }
  std::span<uint32_t> of_node(uint32_t node) {
    const size_t end = node + 1 < first_.size() ? first_[node + 1] : counts_.size();
    return {counts_.data() + first_[node], end - first_[node]};
  }
  bool empty() const { return first_.empty(); }
  void reserve(size_t nodes) {
    first_.reserve(nodes);
    counts_.reserve(nodes);
  }
  // Behind those that are there: a node whose results nobody reads.
  void add_node(size_t results) {
    first_.push_back(static_cast<uint32_t>(counts_.size()));
    counts_.resize(counts_.size() + results, 0);
  }

 private:
  std::vector<uint32_t> first_;  // of each node, in counts_
  std::vector<uint32_t> counts_;
};

// Names that are taken, by their hashes alone: one that falls together with another counts as taken.
class NameSet {
 public:
  size_t size() const { return size_; }
  bool contains(std::string_view name) const;
  void insert(std::string_view name);
  void erase(std::string_view name);

 private:
  size_t place_of(size_t hash) const;
  std::vector<size_t> places_;  // open addressing, a power of two; 0: free
  size_t size_ = 0;
};

class Graph {
 public:
  std::string name = "network";

  // Appends a node and infers its facts. `attributes` follow the signature's order; a shorter list is filled
  // with defaults. Result names: empty ones are invented; taken ones get a suffix. Throws Error when the
  // operator refuses.
  Outlet add(const OpDef* op, std::vector<Outlet> inputs, std::vector<uint32_t> input_counts,
             std::vector<Attribute> attributes, std::vector<std::string> result_names = {},
             std::vector<std::shared_ptr<const Graph>> bodies = {}, SourceLocation where = {},
             std::string call_chain = {});
  // The same for an operator found by name whose tensor parameters all take exactly one argument.
  Outlet add(std::string_view op, std::vector<Outlet> inputs, std::vector<Attribute> attributes = {},
             std::string name = {});
  // Appends a node whose facts are known already (copying or moving between graphs).
  Outlet add_copy(Node node, std::vector<Outlet> inputs);
  // For a graph that is taken apart and built anew with changes. The new graph has everything of the old one
  // but its interface, updates and nodes; adopt() appends those one by one, whose inputs the caller has set
  // to outlets of the new graph. The old one is then of no use but for its interface and updates.
  static Graph successor_of(Graph& old);
  Outlet adopt(Node&& node);
  Node take_node(uint32_t index) { return std::move(nodes_[index]); }
  // Removes nodes in place. stands_for[i] == i: node i stays. Another index: node i goes, and what reads its
  // results reads those of that earlier node, which stays. kNobody: it goes, and nothing that stays reads it.
  static constexpr uint32_t kNobody = UINT32_MAX;
  void retain(const std::vector<uint32_t>& stands_for);
  // A stored tensor: node `variable(shape, label)`. The label names the .dat file when the graph is written.
  Outlet add_constant(Tensor value, std::string label,
                      std::optional<AffineQuantization> quant = std::nullopt);
  // Turns a stored tensor into a variable that changes between runs (an entry of updates must follow).
  void make_variable(Outlet outlet);
  // An input: node `tract_core_external(shape, datum_type)`; the next of inputs().
  Outlet add_external(Fact fact, std::string name, SourceLocation where = {});

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(uint32_t index) const { return nodes_[index]; }
  const Node& node(Outlet outlet) const { return nodes_[outlet.node]; }
  const Fact& fact(Outlet outlet) const { return nodes_[outlet.node].facts[outlet.result]; }
  Fact& mutable_fact(Outlet outlet) { return nodes_[outlet.node].facts[outlet.result]; }
  const std::string& name_of(Outlet outlet) const { return nodes_[outlet.node].result_names[outlet.result]; }
  // Renames a result; REQUIRES: the name is free.
  void rename(Outlet outlet, std::string name);
  bool has_name(std::string_view name) const { return names_.contains(name); }

  std::vector<Outlet> inputs;        // externals, in the order of the interface
  std::vector<GraphOutput> outputs;  // results, in the order of the header

  // Symbols in order of declaration, and what is claimed of them.
  std::vector<std::string> symbols;
  std::vector<Assertion> assertions;
  // A symbol that is not taken: prefix, prefix_1, ... It is declared.
  std::string fresh_symbol(std::string_view prefix);
  void declare_symbol(std::string_view name);

  // Named values that describe the model (tract_core_properties).
  std::vector<std::pair<std::string, Tensor>> properties;
  // Variables that `update` writes: variable node -> outlet of the new value, committed after each run.
  std::vector<std::pair<Outlet, Outlet>> updates;

  UseCounts use_counts() const;

 private:
  std::string unique_name(std::string wanted);
  std::vector<Node> nodes_;
  NameSet names_;  // of all results
};

// The graph without nodes that no output, update or stateful node needs. Inputs stay.
Graph without_dead_nodes(Graph graph);

}  // namespace nnefrun
