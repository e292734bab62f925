#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "engine/graph/variable.h"
#include "engine/rewrites/rewrite.h"

namespace nnefrun {

PatchWire Patch::add(std::string op, std::vector<PatchWire> inputs, std::vector<Attribute> attributes,
                     std::string name, std::vector<uint32_t> input_counts) {
  NewNode node;
  node.op = std::move(op);
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  node.name = std::move(name);
  node.input_counts = std::move(input_counts);
  nodes.push_back(std::move(node));
  return {false, {}, static_cast<uint32_t>(nodes.size() - 1), 0};
}

PatchWire Patch::constant(Tensor value, std::string label, std::optional<AffineQuantization> quant) {
  NewNode node;
  node.constant = std::move(value);
  node.quant = quant;
  node.name = std::move(label);
  nodes.push_back(std::move(node));
  return {false, {}, static_cast<uint32_t>(nodes.size() - 1), 0};
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

// Builds the rewritten graph node by node: everything a node depends on has been rewritten before it is
// looked at.
class Sweep {
 public:
  Sweep(Graph old, const std::vector<const Rewrite*>& rewrites, RewriteOptions& options)
      : old_(std::move(old)), options_(options), old_uses_(old_.use_counts()) {
    for (const Rewrite* rewrite : rewrites) {
      if (rewrite->op.empty())
        general_.push_back(rewrite);
      else
        by_op_[rewrite->op].push_back(rewrite);
    }
  }

  Graph run(int64_t* applied, std::string* last) {
    next_.name = std::move(old_.name);
    next_.symbols = std::move(old_.symbols);
    next_.assertions = std::move(old_.assertions);
    next_.properties = std::move(old_.properties);
    moved_.resize(old_.nodes().size());
    for (uint32_t i = 0; i < moved_.size(); ++i) {
      Node node = old_.take_node(i);
      const auto result_count = static_cast<uint32_t>(node.facts.size());
      std::vector<Outlet> inputs;
      for (const Outlet& input : node.inputs) inputs.push_back(moved_[input.node][input.result]);
      Outlet added = next_.add_copy(std::move(node), std::move(inputs));
      uses_.push_back(std::move(old_uses_[i]));
      std::vector<Outlet> results;
      for (uint32_t r = 0; r < result_count; ++r) results.push_back({added.node, r});
      for (const auto& update : old_.updates) {
        if (update.first.node == i) next_.updates.emplace_back(added, Outlet{});
      }
      look(added.node, results, applied, last);
      moved_[i] = results;
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
  Outlet moved(Outlet outlet) const { return moved_[outlet.node][outlet.result]; }

  // Tries the rewrites on one node of the new graph, and on what a patch put in its place.
  void look(uint32_t index, std::vector<Outlet>& results, int64_t* applied, std::string* last) {
    for (int depth = 0; depth < 64; ++depth) {
      const Node& node = next_.node(index);
      if (node.op->name == "tract_core_external" || node.op->name == "variable") return;
      const auto it = by_op_.find(node.op->name);
      std::optional<Patch> patch;
      const Rewrite* used = nullptr;
      for (const std::vector<const Rewrite*>* list :
           {it == by_op_.end() ? nullptr : &it->second, &general_}) {
        for (size_t k = 0; list != nullptr && !patch && k < list->size(); ++k) {
          if (options_.max_rewrites == 0) return;
          used = (*list)[k];
          patch = used->apply(RewriteContext(next_, index, uses_, options_.in_body));
        }
      }
      if (!patch) return;
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
    const Node replaced = next_.node(index);
    std::vector<Outlet> added;
    const auto resolve = [&](const PatchWire& wire) {
      return wire.is_tap ? wire.tap : Outlet{added[wire.node].node, wire.result};
    };
    for (const Patch::NewNode& node : patch.nodes) {
      if (node.variable) {
        added.push_back(next_.add_copy(variable_node(*node.constant, *node.variable, node.name), {}));
      } else if (node.constant) {
        added.push_back(next_.add_constant(*node.constant, node.name, node.quant));
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
                                  node.bodies, replaced.where, replaced.call_chain));
      }
      std::vector<uint32_t> fresh(next_.node(added.back()).facts.size(), 0);
      uses_.push_back(fresh);
    }
    // Readers: those inside the patch, and those of the wires it replaces.
    for (const Patch::NewNode& node : patch.nodes) {
      for (const PatchWire& wire : node.inputs) {
        const Outlet outlet = resolve(wire);
        ++uses_[outlet.node][outlet.result];
      }
    }
    // Readers of `old` that come later read `outlet`.
    const auto take_place = [&](Outlet old, Outlet outlet) {
      const Fact before = next_.fact(old);
      const std::string name = next_.name_of(old);
      if (!next_.fact(outlet).same_type(before)) {
        throw Error("rewrite-fact", "rewrite " + std::string(rewrite.name) + " would change `" + name +
                                        "` from " + before.to_string() + " to " +
                                        next_.fact(outlet).to_string())
            .at(replaced.where)
            .note("--disable " + std::string(rewrite.name) + " leaves it out");
      }
      uses_[outlet.node][outlet.result] += uses_[old.node][old.result];
      for (auto& update : new_updates_) {
        if (update.second == old) update.second = outlet;
      }
      if (outlet.node > index && next_.node(outlet).op->name != "variable") {
        next_.rename(old, name + "_before");  // the new wire takes the name that people know
        next_.rename(outlet, name);
      }
    };
    std::vector<Outlet> results;
    for (uint32_t r = 0; r < replaced.facts.size(); ++r) {
      results.push_back(resolve(patch.results.at(r)));
      take_place({index, r}, results.back());
    }
    for (const auto& [old, wire] : patch.also) {
      const Outlet outlet = resolve(wire);
      take_place(old, outlet);
      for (auto& moved : moved_) std::replace(moved.begin(), moved.end(), old, outlet);
    }
    for (const auto& [variable, next] : patch.updates) {
      for (const PatchWire& wire : {variable, next}) ++uses_[resolve(wire).node][resolve(wire).result];
      new_updates_.emplace_back(resolve(variable), resolve(next));
    }
    uses_[index].assign(uses_[index].size(), 0);
    lose_readers(index);
    if (replaced.op->stateful) replaced_.insert(index);
    return results;
  }

  // What a node read that nobody reads any more has one reader less; so have the arguments of what dies of
  // it. Large constants that die are let go at once: their replacements exist already.
  void lose_readers(uint32_t index) {
    std::vector<uint32_t> dead{index};
    while (!dead.empty()) {
      const uint32_t node = dead.back();
      dead.pop_back();
      for (const Outlet& input : next_.node(node).inputs) {
        std::vector<uint32_t>& uses = uses_[input.node];
        if (uses[input.result] == 0 || --uses[input.result] > 0) continue;
        if (std::any_of(uses.begin(), uses.end(), [](uint32_t n) { return n > 0; })) continue;
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
  RewriteOptions& options_;
  std::vector<std::vector<uint32_t>> old_uses_;
  Graph next_;
  std::vector<std::vector<uint32_t>> uses_;
  std::vector<std::vector<Outlet>> moved_;
  std::vector<std::pair<Outlet, Outlet>> new_updates_;
  std::set<uint32_t> replaced_;
  std::map<std::string_view, std::vector<const Rewrite*>> by_op_;
  std::vector<const Rewrite*> general_;
};

// What keeps a state is not kept for its sake when something else does its work.
Graph without_replaced(Graph graph, const std::set<uint32_t>& replaced) {
  if (replaced.empty()) return graph;
  Graph out = empty_like(graph);
  std::vector<uint32_t> moved(graph.nodes().size());
  for (uint32_t i = 0; i < moved.size(); ++i) {
    if (replaced.count(i) != 0) continue;
    Node node = graph.take_node(i);
    std::vector<Outlet> inputs;
    for (const Outlet& input : node.inputs) inputs.push_back({moved[input.node], input.result});
    moved[i] = out.add_copy(std::move(node), std::move(inputs)).node;
  }
  copy_interface(graph, moved, out);
  return out;
}

constexpr int kMaxRounds = 50;

// Whether any of them would change the graph, which is cheaper to ask than to build it anew.
bool any_applies(const Graph& graph, const std::vector<const Rewrite*>& rewrites, bool in_body) {
  std::unordered_map<std::string_view, std::vector<const Rewrite*>> by_op;
  for (const Rewrite* rewrite : rewrites) by_op[rewrite->op].push_back(rewrite);
  const std::vector<const Rewrite*>& general = by_op[""];
  const auto uses = graph.use_counts();
  for (uint32_t i = 0; i < graph.nodes().size(); ++i) {
    const std::string_view op = graph.node(i).op->name;
    if (op == "tract_core_external" || op == "variable") continue;
    const RewriteContext context(graph, i, uses, in_body);
    const auto applies = [&](const Rewrite* rewrite) { return rewrite->apply(context).has_value(); };
    const auto own = by_op.find(op);
    if (own != by_op.end() && std::any_of(own->second.begin(), own->second.end(), applies)) return true;
    if (std::any_of(general.begin(), general.end(), applies)) return true;
  }
  return false;
}

}  // namespace

Graph apply_rewrites(Graph graph, const std::vector<const Rewrite*>& rewrites, RewriteOptions& options,
                     int64_t* applied) {
  std::vector<const Rewrite*> enabled;
  for (const Rewrite* rewrite : rewrites) {
    if (std::find(options.disabled.begin(), options.disabled.end(), rewrite->name) == options.disabled.end())
      enabled.push_back(rewrite);
  }
  std::string last;
  for (int round = 0; round < kMaxRounds; ++round) {
    int64_t now = 0;
    if (!any_applies(graph, enabled, options.in_body)) return graph;
    Sweep sweep(std::move(graph), enabled, options);
    graph = sweep.run(&now, &last);
    graph = without_dead_nodes(without_replaced(std::move(graph), sweep.replaced()));
    *applied += now;
    if (now == 0 || options.max_rewrites == 0) return graph;
  }
  throw Error("rewrite-loop",
              "rewrite " + last + " still applies after " + std::to_string(kMaxRounds) + " rounds")
      .note("--disable " + last + " leaves it out");
}

namespace {

std::string attribute_key(const Attribute& a) {
  switch (a.value.index()) {
    case 1: return std::get<bool>(a.value) ? "T" : "F";
    case 2: return std::get<Dim>(a.value).to_string();
    case 3: {
      const double v = std::get<double>(a.value);
      return std::string(reinterpret_cast<const char*>(&v), sizeof v);
    }
    case 4: return "'" + std::get<std::string>(a.value) + "'";
    case 5: {
      std::string key = "[";
      for (const Attribute& item : std::get<Attribute::List>(a.value)) key += attribute_key(item) + ",";
      return key + "]";
    }
    default: return "-";
  }
}

}  // namespace

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

// What two nodes share when one of them can go, given the wires that they read; empty for a node that is
// never like another.
std::string repetition_key(const Node& node, const std::vector<Outlet>& inputs) {
  const bool unique = node.op->stateful || !node.bodies.empty() || node.op->name == "tract_core_external" ||
                      node.op->name == "variable" || node.op->name == "tract_onnx_random" ||
                      node.op->name == "tract_onnx_multinomial";
  if (unique) return {};
  std::string key(node.op->name);
  for (const Outlet& input : inputs)
    key += "|" + std::to_string(input.node) + "." + std::to_string(input.result);
  for (const uint32_t count : node.input_counts) key += "#" + std::to_string(count);
  for (const Attribute& a : node.attributes) key += ";" + attribute_key(a);
  return key;
}

bool has_repetitions(const Graph& graph) {
  std::unordered_set<std::string> known;
  for (const Node& node : graph.nodes()) {
    std::string key = repetition_key(node, node.inputs);
    if (!key.empty() && !known.insert(std::move(key)).second) return true;
  }
  return false;
}

}  // namespace

Graph without_repetitions(Graph graph, int64_t* merged) {
  if (!has_repetitions(graph)) return graph;
  Graph out = empty_like(graph);
  std::unordered_map<std::string, uint32_t> known;
  std::vector<uint32_t> moved(graph.nodes().size());
  for (uint32_t i = 0; i < moved.size(); ++i) {
    Node node = graph.take_node(i);
    std::vector<Outlet> inputs;
    for (const Outlet& input : node.inputs) inputs.push_back({moved[input.node], input.result});
    std::string key = repetition_key(node, inputs);
    if (!key.empty()) {
      const auto [it, fresh] = known.try_emplace(std::move(key), static_cast<uint32_t>(out.nodes().size()));
      if (!fresh) {
        moved[i] = it->second;
        ++*merged;
        continue;
      }
    }
    moved[i] = out.add_copy(std::move(node), std::move(inputs)).node;
  }
  copy_interface(graph, moved, out);
  return out;
}

}  // namespace nnefrun
