#include <algorithm>
#include <bit>
#include <numeric>
#include <set>
#include <unordered_map>

#include "base/hash.h"
#include "engine/graph/constant_pool.h"
#include "engine/graph/variable.h"
#include "engine/rewrites/match.h"

namespace nnefrun {

PatchWire Patch::add(std::string op, std::vector<PatchWire> inputs, std::vector<Attribute> attributes,
                     std::string name, std::vector<uint32_t> input_counts) {
  NewNode& node = nodes.emplace_back();
  node.op = std::move(op);
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  node.name = std::move(name);
  node.input_counts = std::move(input_counts);
  return last();
}

PatchWire Patch::constant(Tensor value, std::string label, std::optional<AffineQuantization> quant) {
  NewNode& node = nodes.emplace_back();
  node.constant.emplace(std::move(value));
  node.quant = quant;
  node.name = std::move(label);
  return last();
}

PatchWire Patch::constant_of(Outlet source, std::function<Tensor(Tensor)> make, std::string label) {
  NewNode& node = nodes.emplace_back();
  node.inputs = {tap(source)};
  node.make = std::move(make);
  node.name = std::move(label);
  return last();
}

PatchWire Patch::variable(Tensor initial, DimShape shape, std::string label) {
  const PatchWire wire = constant(std::move(initial), std::move(label));
  nodes.back().variable = std::move(shape);
  return wire;
}

const Node* RewriteContext::producer(Outlet outlet, std::string_view op, bool only_reader) const {
  const Node& node = graph.node(outlet);
  if (node.op->name != op || (node.facts[outlet.result].constant && op != "variable")) return nullptr;
  return only_reader && uses(outlet) != 1 ? nullptr : &node;
}

const Tensor* RewriteContext::constant(Outlet outlet) const { return fact(outlet).constant.get(); }

std::optional<double> RewriteContext::scalar(Outlet outlet) const {
  const Tensor* value = constant(outlet);
  if (value == nullptr || value->size() != 1 || fact(outlet).quant) return std::nullopt;
  if (!is_float(value->dtype()) && !is_integer(value->dtype()) && value->dtype() != DataType::boolean)
    return std::nullopt;
  return value->as_double(0);
}

Graph empty_like(const Graph& graph) {
  Graph out;
  out.name = graph.name;
  out.symbols = graph.symbols;
  out.assertions = graph.assertions;
  out.properties = graph.properties;
  return out;
}

void copy_interface(const Graph& graph, const std::vector<uint32_t>& moved, Graph& out) {
  const auto map = [&](Outlet outlet) { return Outlet{moved[outlet.node], outlet.result}; };
  for (const Outlet& input : graph.inputs) out.inputs.push_back(map(input));
  for (const GraphOutput& output : graph.outputs) out.outputs.push_back({map(output.outlet), output.name});
  for (const auto& update : graph.updates) out.updates.emplace_back(map(update.first), map(update.second));
}

namespace {

// The rewrites that look at nodes of one operator, and those that look at all.
class Rules {
 public:
  explicit Rules(const std::vector<const Rewrite*>& rewrites) {
    for (const Rewrite* rewrite : rewrites) {
      if (rewrite->op.empty()) {
        general_.push_back(rewrite);
      } else if (const OpDef* op = find_op(rewrite->op)) {
        by_op_[op].push_back(rewrite);
      }
    }
    external_ = find_op("tract_core_external");
    variable_ = find_op("variable");
  }

  // Whether there are any for one of the nodes.
  bool concern(const Graph& graph) const {
    return !general_.empty() || std::ranges::any_of(graph.nodes(), [this](const Node& node) {
      return by_op_.find(node.op) != by_op_.end();
    });
  }

  // The first that applies to a node, and its patch.
  const Rewrite* first(const RewriteContext& context, std::optional<Patch>& patch) const {
    const OpDef* op = context.node().op;
    if (op == external_ || op == variable_) return nullptr;
    const auto own = by_op_.find(op);
    for (const auto* list : {own == by_op_.end() ? nullptr : &own->second, &general_}) {
      for (size_t k = 0; list != nullptr && k < list->size(); ++k) {
        patch = (*list)[k]->apply(context);
        if (patch) return (*list)[k];
      }
    }
    return nullptr;
  }

 private:
  std::unordered_map<const OpDef*, std::vector<const Rewrite*>> by_op_;
  std::vector<const Rewrite*> general_;
  const OpDef *external_, *variable_;
};

// Builds the rewritten graph node by node: everything a node depends on has been rewritten before it is
// looked at.
class Sweep {
 public:
  // None of the rules applies to a node before `first`. `uses` are those of the graph.
  Sweep(Graph old, const Rules& rules, uint32_t first, UseCounts uses, RewriteOptions& options)
      : old_(std::move(old)), rules_(rules), first_(first), options_(options), old_uses_(std::move(uses)) {}

  Graph run(int64_t* applied, std::string* last) {
    next_ = Graph::successor_of(old_);
    const auto count = static_cast<uint32_t>(old_.nodes().size());
    moved_.reserve(count);
    moved_first_.reserve(count);
    uses_.reserve(count);
    std::vector<Outlet> results;
    for (uint32_t i = 0; i < count; ++i) {
      Node node = old_.take_node(i);
      const auto result_count = static_cast<uint32_t>(node.facts.size());
      for (Outlet& input : node.inputs) input = moved(input);
      const uint32_t added = next_.adopt(std::move(node)).node;
      uses_.add_node(result_count);
      std::ranges::copy(old_uses_.of_node(i), uses_.of_node(added).begin());
      results.clear();
      for (uint32_t r = 0; r < result_count; ++r) results.push_back({added, r});
      for (const auto& update : old_.updates) {
        if (update.first.node == i) next_.updates.emplace_back(Outlet{added, 0}, Outlet{});
      }
      if (i >= first_) look(added, results, applied, last);
      moved_first_.push_back(static_cast<uint32_t>(moved_.size()));
      moved_.insert(moved_.end(), results.begin(), results.end());
    }
    for (const Outlet& input : old_.inputs) next_.inputs.push_back(moved(input));
    for (const GraphOutput& output : old_.outputs)
      next_.outputs.push_back({moved(output.outlet), output.name});
    for (size_t u = 0; u < old_.updates.size(); ++u) {
      next_.updates[u] = {moved(old_.updates[u].first), moved(old_.updates[u].second)};
    }
    next_.updates.insert(next_.updates.end(), new_updates_.begin(), new_updates_.end());
    return std::move(next_);
  }

  // Stateful nodes of the new graph in whose place a patch has put others.
  const std::set<uint32_t>& replaced() const { return replaced_; }

 private:
  Outlet moved(Outlet outlet) const { return moved_[moved_first_[outlet.node] + outlet.result]; }

  // Tries the rewrites on one node of the new graph, and on what a patch put in its place.
  void look(uint32_t index, std::vector<Outlet>& results, int64_t* applied, std::string* last) {
    for (int depth = 0; depth < 64; ++depth) {
      if (options_.max_rewrites == 0) return;
      std::optional<Patch> patch;
      const Rewrite* used = rules_.first(RewriteContext(next_, index, uses_, options_.in_body), patch);
      if (used == nullptr) return;
      const std::vector<Outlet> replacements = splice(*patch, index, *used);
      ++*applied;
      if (options_.on_applied) options_.on_applied(used->name);
      *last = std::string(used->name);
      if (options_.max_rewrites > 0) --options_.max_rewrites;
      results = replacements;
      const bool own = replacements.size() == 1 && replacements[0].node > index;
      if (!own) return;
      index = replacements[0].node;
    }
  }

  std::vector<Outlet> splice(const Patch& patch, uint32_t index, const Rewrite& rewrite) {
    // Of the node that goes; adding others moves it.
    const OpDef* const op_before = next_.node(index).op;
    const SourceLocation where = next_.node(index).where;
    const std::string call_chain = next_.node(index).call_chain;
    const auto result_count = static_cast<uint32_t>(next_.node(index).facts.size());
    std::vector<Outlet> added;
    const auto resolve = [&](const PatchWire& wire) {
      return wire.is_tap ? wire.tap : Outlet{added[wire.node].node, wire.result};
    };
    for (const Patch::NewNode& node : patch.nodes) {
      if (node.variable) {
        added.push_back(next_.add_copy(variable_node(*node.constant, *node.variable, node.name), {}));
      } else if (node.constant) {
        added.push_back(next_.add_constant(*node.constant, node.name, node.quant));
      } else if (node.make) {
        added.push_back(next_.add_constant(node.make(last_read(node.inputs[0].tap)), node.name, node.quant));
      } else {
        const OpDef* op = find_op(node.op);
        if (op == nullptr)
          throw Error("internal", "rewrite " + std::string(rewrite.name) + " adds unknown `" + node.op + "`");
        const Signature& signature = signature_of(op);
        std::vector<uint32_t> counts = node.input_counts;
        if (counts.empty()) {
          counts.assign(signature.tensors.size(), 1);
          if (signature.tensors.size() == 1 && signature.parameters[signature.tensors[0]].is_array) {
            counts[0] = static_cast<uint32_t>(node.inputs.size());
          }
          for (size_t i = node.inputs.size(); i < counts.size(); ++i) counts[i] = 0;
        }
        std::vector<Outlet> inputs;
        for (const PatchWire& wire : node.inputs) inputs.push_back(resolve(wire));
        added.push_back(next_.add(op, std::move(inputs), std::move(counts), node.attributes, {node.name},
                                  node.bodies, where, call_chain));
      }
      uses_.add_node(next_.node(added.back()).facts.size());
    }
    // Readers: those inside the patch, and those of the wires it replaces.
    for (const Patch::NewNode& node : patch.nodes) {
      if (node.make) continue;
      for (const PatchWire& wire : node.inputs) ++uses_[resolve(wire)];
    }
    // Readers of `old` that come later read `outlet`.
    const auto take_place = [&](Outlet old, Outlet outlet) {
      const Fact before = next_.fact(old);
      const std::string name = next_.name_of(old);
      if (!next_.fact(outlet).same_type(before)) {
        throw Error("rewrite-fact", "rewrite " + std::string(rewrite.name) + " would change `" + name +
                                        "` from " + before.to_string() + " to " +
                                        next_.fact(outlet).to_string())
            .at(where)
            .note("--disable " + std::string(rewrite.name) + " leaves it out");
      }
      uses_[outlet] += uses_[old];
      for (auto& update : new_updates_) {
        if (update.second == old) update.second = outlet;
      }
      if (outlet.node > index && next_.node(outlet).op->name != "variable") {
        next_.rename(old, name + "_before");  // the new wire takes the name that people know
        next_.rename(outlet, name);
      }
    };
    std::vector<Outlet> results;
    for (uint32_t r = 0; r < result_count; ++r) {
      results.push_back(resolve(patch.results.at(r)));
      take_place({index, r}, results.back());
    }
    for (const auto& [old, wire] : patch.also) {
      const Outlet outlet = resolve(wire);
      take_place(old, outlet);
      std::replace(moved_.begin(), moved_.end(), old, outlet);
    }
    for (const auto& [variable, next] : patch.updates) {
      for (const PatchWire& wire : {variable, next}) ++uses_[resolve(wire)];
      new_updates_.emplace_back(resolve(variable), resolve(next));
    }
    std::ranges::fill(uses_.of_node(index), 0);
    lose_readers(index);
    if (op_before->stateful) replaced_.insert(index);
    return results;
  }

  // A constant that a patch makes another of. Without other readers it is taken from the graph, so that the
  // other can be made in its memory.
  Tensor last_read(Outlet outlet) {
    std::shared_ptr<const Tensor>& constant = next_.mutable_fact(outlet).constant;
    Tensor tensor = *constant;
    if (uses_[outlet] > 1 || tensor.byte_size() < kLargeConstant) return tensor;
    constant = nullptr;
    return taken_from_pool(std::move(tensor));
  }

  // What a node read that nobody reads any more has one reader less; so have the arguments of what dies of
  // it. Large constants that die are let go at once: their replacements exist already.
  void lose_readers(uint32_t index) {
    std::vector<uint32_t> dead{index};
    while (!dead.empty()) {
      const uint32_t node = dead.back();
      dead.pop_back();
      for (const Outlet& input : next_.node(node).inputs) {
        if (uses_[input] == 0 || --uses_[input] > 0) continue;
        if (std::ranges::any_of(uses_.of_node(input.node), [](uint32_t n) { return n > 0; })) continue;
        if (next_.node(input).op->stateful) continue;
        dead.push_back(input.node);
        const auto& constant = next_.fact({input.node, 0}).constant;
        if (next_.node(input).inputs.empty() && constant && constant->byte_size() >= kLargeConstant)
          next_.mutable_fact({input.node, 0}).constant = nullptr;
      }
    }
  }

  static constexpr size_t kLargeConstant = size_t{1} << 16;

  Graph old_;
  const Rules& rules_;
  const uint32_t first_;
  RewriteOptions& options_;
  UseCounts old_uses_;
  Graph next_;
  UseCounts uses_;
  // Where the results of the old nodes are now; of each node the first.
  std::vector<Outlet> moved_;
  std::vector<uint32_t> moved_first_;
  std::vector<std::pair<Outlet, Outlet>> new_updates_;
  std::set<uint32_t> replaced_;
};

// What keeps a state is not kept for its sake when something else does its work.
Graph without_replaced(Graph graph, const std::set<uint32_t>& replaced) {
  if (replaced.empty()) return graph;
  std::vector<uint32_t> stands_for(graph.nodes().size());
  std::iota(stands_for.begin(), stands_for.end(), 0);
  for (const uint32_t node : replaced) stands_for[node] = Graph::kNobody;
  graph.retain(stands_for);
  return graph;
}

constexpr int kMaxRounds = 50;

// The first node that one of them would change: cheaper to ask than to build the graph anew.
std::optional<uint32_t> first_applies(const Graph& graph, const Rules& rules, const UseCounts& uses,
                                      bool in_body) {
  std::optional<Patch> patch;
  for (uint32_t i = 0; i < graph.nodes().size(); ++i) {
    if (rules.first(RewriteContext(graph, i, uses, in_body), patch) != nullptr) return i;
  }
  return std::nullopt;
}

}  // namespace

Graph apply_rewrites(Graph graph, const std::vector<const Rewrite*>& rewrites, RewriteOptions& options,
                     int64_t* applied) {
  std::vector<const Rewrite*> enabled;
  for (const Rewrite* rewrite : rewrites) {
    if (std::find(options.disabled.begin(), options.disabled.end(), rewrite->name) == options.disabled.end())
      enabled.push_back(rewrite);
  }
  const Rules rules(enabled);
  std::string last;
  if (!rules.concern(graph)) return graph;  // cheaper than counting readers
  for (int round = 0; round < kMaxRounds; ++round) {
    int64_t now = 0;
    UseCounts uses = graph.use_counts();
    const std::optional<uint32_t> first = first_applies(graph, rules, uses, options.in_body);
    if (!first) return graph;
    Sweep sweep(std::move(graph), rules, *first, std::move(uses), options);
    graph = sweep.run(&now, &last);
    graph = without_dead_nodes(without_replaced(std::move(graph), sweep.replaced()));
    *applied += now;
    if (now == 0 || options.max_rewrites == 0) return graph;
  }
  throw Error("rewrite-loop",
              "rewrite " + last + " still applies after " + std::to_string(kMaxRounds) + " rounds")
      .note("--disable " + last + " leaves it out");
}

Graph with_rewritten_bodies(const Graph& graph, const std::function<Graph(Graph)>& rewrite) {
  Graph out = empty_like(graph);
  std::vector<uint32_t> moved(graph.nodes().size());
  for (uint32_t i = 0; i < graph.nodes().size(); ++i) {
    Node node = graph.node(i);
    for (auto& body : node.bodies) body = std::make_shared<const Graph>(rewrite(*body));
    std::vector<Outlet> inputs;
    for (const Outlet& input : node.inputs) inputs.push_back({moved[input.node], input.result});
    moved[i] = out.add_copy(node, std::move(inputs)).node;
  }
  copy_interface(graph, moved, out);
  return out;
}

namespace {

size_t hash_of(const Attribute& a) {
  const size_t kind = a.value.index();
  if (const auto* truth = std::get_if<bool>(&a.value)) return mixed(kind, *truth ? 1 : 0);
  if (const auto* text = std::get_if<std::string>(&a.value))
    return mixed(kind, std::hash<std::string>()(*text));
  if (const auto* real = std::get_if<double>(&a.value)) return mixed(kind, std::bit_cast<uint64_t>(*real));
  if (const auto* dim = std::get_if<Dim>(&a.value)) {
    return mixed(kind, dim->is_constant() ? static_cast<size_t>(dim->value())
                                          : std::hash<std::string>()(dim->to_string()));
  }
  size_t hash = kind;
  if (const auto* list = std::get_if<Attribute::List>(&a.value)) {
    for (const Attribute& item : *list) hash = mixed(hash, hash_of(item));
  }
  return hash;
}

}  // namespace

Graph without_repetitions(Graph graph, int64_t* merged) {
  const std::vector<Node>& nodes = graph.nodes();
  std::vector<uint32_t> stands_for(nodes.size());
  // Open addressing: of each place the node, and some bits of its hash, so that others are rarely looked at.
  struct Entry {
    uint32_t node = Graph::kNobody, hash = 0;
  };
  std::vector<Entry> table(std::bit_ceil(2 * nodes.size() + 1));
  const int64_t before = *merged;
  const auto same_wire = [&](Outlet a, Outlet b) {
    return stands_for[a.node] == stands_for[b.node] && a.result == b.result;
  };
  for (uint32_t i = 0; i < nodes.size(); ++i) {
    stands_for[i] = i;
    const Node& node = nodes[i];
    if (!is_computable(node)) continue;
    size_t hash = std::hash<const OpDef*>()(node.op);
    for (const Outlet& input : node.inputs) hash = mixed(mixed(hash, stands_for[input.node]), input.result);
    for (const Attribute& attribute : node.attributes) hash = mixed(hash, hash_of(attribute));
    const auto bits = static_cast<uint32_t>(hash >> 32);
    size_t place = hash & (table.size() - 1);
    for (; table[place].node != Graph::kNobody; place = (place + 1) & (table.size() - 1)) {
      if (table[place].hash != bits) continue;
      const Node& other = nodes[table[place].node];
      if (other.op == node.op && other.input_counts == node.input_counts &&
          std::ranges::equal(other.inputs, node.inputs, same_wire) && other.attributes == node.attributes)
        break;
    }
    if (table[place].node == Graph::kNobody) {
      table[place] = {i, bits};
    } else {
      stands_for[i] = table[place].node;
      ++*merged;
    }
  }
  if (*merged != before) graph.retain(stands_for);
  return graph;
}

}  // namespace nnefrun
