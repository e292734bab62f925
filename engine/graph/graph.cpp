#include "engine/graph/graph.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/graph/op_def.h"

namespace nnefrun {

Attribute Attribute::of_ints(const std::vector<int64_t>& values) {
  List list;
  for (const int64_t v : values) list.emplace_back(v);
  return list;
}

Attribute Attribute::of_dims(const std::vector<Dim>& values) {
  List list;
  for (const Dim& v : values) list.emplace_back(v);
  return list;
}

Attribute Attribute::of_pairs(const std::vector<std::pair<int64_t, int64_t>>& pairs) {
  List list;
  for (const auto& pair : pairs) {
    Attribute item(List{pair.first, pair.second});
    item.is_tuple = true;
    list.push_back(std::move(item));
  }
  return list;
}

bool operator==(const Attribute& a, const Attribute& b) {
  const auto *x = std::get_if<double>(&a.value), *y = std::get_if<double>(&b.value);
  if (x != nullptr && y != nullptr && std::signbit(*x) != std::signbit(*y)) return false;  // 0 and -0
  return a.value == b.value;
}

namespace {

size_t hash_of(std::string_view name) {
  const size_t hash = std::hash<std::string_view>()(name);
  return hash == 0 ? 1 : hash;
}

}  // namespace

// Where the hash is, or the free place where it would be.
size_t NameSet::place_of(size_t hash) const {
  size_t place = hash & (places_.size() - 1);
  while (places_[place] != 0 && places_[place] != hash) place = (place + 1) & (places_.size() - 1);
  return place;
}

bool NameSet::contains(std::string_view name) const {
  return !places_.empty() && places_[place_of(hash_of(name))] != 0;
}

void NameSet::insert(std::string_view name) {
  if (2 * (size_ + 1) > places_.size()) {
    const std::vector<size_t> before =
        std::exchange(places_, std::vector<size_t>(std::max<size_t>(16, 2 * places_.size())));
    for (const size_t hash : before) {
      if (hash != 0) places_[place_of(hash)] = hash;
    }
  }
  const size_t hash = hash_of(name);
  size_t& place = places_[place_of(hash)];
  if (place == 0) ++size_;
  place = hash;
}

void NameSet::erase(std::string_view name) {
  if (!contains(name)) return;
  const size_t mask = places_.size() - 1;
  size_t free = place_of(hash_of(name));
  // Those behind it that were put off by it move up.
  for (size_t next = (free + 1) & mask; places_[next] != 0; next = (next + 1) & mask) {
    const size_t home = places_[next] & mask;
    if (((next - home) & mask) < ((next - free) & mask)) continue;
    places_[free] = places_[next];
    free = next;
  }
  places_[free] = 0;
  --size_;
}

std::string Graph::unique_name(std::string wanted) {
  if (wanted.empty()) wanted = "t";
  if (!has_name(wanted)) return wanted;
  for (size_t k = names_.size();; ++k) {  // the count of names is a fresh suffix nearly always
    std::string candidate = wanted + "_" + std::to_string(k);
    if (!has_name(candidate)) return candidate;
  }
}

Outlet Graph::add(const OpDef* op, std::vector<Outlet> inputs, std::vector<uint32_t> input_counts,
                  std::vector<Attribute> attributes, std::vector<std::string> result_names,
                  std::vector<std::shared_ptr<const Graph>> bodies, SourceLocation where,
                  std::string call_chain) {
  const Signature& signature = signature_of(op);
  Node node;
  node.op = op;
  node.inputs = std::move(inputs);
  node.input_counts = std::move(input_counts);
  node.attributes = std::move(attributes);
  node.bodies = std::move(bodies);
  node.where = std::move(where);
  node.call_chain = std::move(call_chain);
  node.attributes.reserve(signature.attributes.size());
  for (size_t i = node.attributes.size(); i < signature.attributes.size(); ++i) {
    const auto& parameter = signature.parameters[signature.attributes[i]];
    node.attributes.push_back(parameter.default_value ? *parameter.default_value : Attribute());
  }
  std::vector<const Fact*> facts;
  for (const Outlet& outlet : node.inputs) facts.push_back(&fact(outlet));
  InferContext context(node, signature, std::move(facts), *this);
  if (node.input_counts.size() != signature.tensors.size() ||
      node.attributes.size() != signature.attributes.size()) {
    throw context.fail("internal", std::string(op->name) + ": the node does not fit its signature");
  }
  std::vector<Fact> results;
  try {
    results = op->infer(context);
  } catch (Error& error) {
    if (!node.call_chain.empty() && error.call_chain().empty() && !error.where())
      error.called_from(node.call_chain);
    error.at(node.where);
    throw;
  }
  for (Fact& result : results) {
    for (const Dim& extent : result.shape) {
      if (extent.is_constant() && extent.value() < 0) {
        throw context.fail("shape-negative", std::string(op->name) + ": a result would have shape " +
                                                 nnefrun::to_string(result.shape));
      }
    }
  }
  node.facts = std::move(results);
  result_names.resize(node.facts.size());
  const auto index = static_cast<uint32_t>(nodes_.size());
  for (std::string& result : result_names) {
    result = unique_name(result.empty() ? std::string(op->name) : std::move(result));
    names_.insert(result);
  }
  node.result_names = std::move(result_names);
  nodes_.push_back(std::move(node));
  return {index, 0};
}

Outlet Graph::add(std::string_view op, std::vector<Outlet> inputs, std::vector<Attribute> attributes,
                  std::string name) {
  const OpDef* row = find_op(op);
  if (row == nullptr) throw Error("internal", "no operator row `" + std::string(op) + "`");
  const Signature& signature = signature_of(row);
  std::vector<uint32_t> counts(signature.tensors.size(), 1);
  if (signature.tensors.size() == 1 && signature.parameters[signature.tensors[0]].is_array) {
    counts[0] = static_cast<uint32_t>(inputs.size());
  }
  for (size_t i = inputs.size(); i < counts.size(); ++i) counts[i] = 0;  // optional ones at the end
  return add(row, std::move(inputs), std::move(counts), std::move(attributes), {std::move(name)});
}

Outlet Graph::add_copy(Node node, std::vector<Outlet> inputs) {
  node.inputs = std::move(inputs);
  for (std::string& result : node.result_names) {
    result = unique_name(std::move(result));
    names_.insert(result);
  }
  return adopt(std::move(node));
}

Graph Graph::successor_of(Graph& old) {
  Graph next;
  next.name = std::move(old.name);
  next.symbols = std::move(old.symbols);
  next.assertions = std::move(old.assertions);
  next.properties = std::move(old.properties);
  next.names_ = std::move(old.names_);
  next.nodes_.reserve(old.nodes_.size());
  return next;
}

Outlet Graph::adopt(Node&& node) {
  nodes_.push_back(std::move(node));
  return {static_cast<uint32_t>(nodes_.size() - 1), 0};
}

void Graph::retain(const std::vector<uint32_t>& stands_for) {
  std::vector<uint32_t> moved(stands_for.size(), kNobody);
  const auto follow = [&](Outlet& outlet) { outlet.node = moved[outlet.node]; };
  uint32_t count = 0;
  for (uint32_t i = 0; i < stands_for.size(); ++i) {
    Node& node = nodes_[i];
    if (stands_for[i] != i) {
      for (const std::string& result : node.result_names) names_.erase(result);
      if (stands_for[i] != kNobody) moved[i] = moved[stands_for[i]];
      continue;
    }
    for (Outlet& input : node.inputs) follow(input);
    moved[i] = count;
    if (i != count) nodes_[count] = std::move(node);
    ++count;
  }
  nodes_.erase(nodes_.begin() + count, nodes_.end());
  for (Outlet& input : inputs) follow(input);
  for (GraphOutput& output : outputs) follow(output.outlet);
  for (auto& [variable, next] : updates) {
    follow(variable);
    follow(next);
  }
}

Outlet Graph::add_constant(Tensor value, std::string label, std::optional<AffineQuantization> quant) {
  static const OpDef* const variable = find_op("variable");
  Node node;
  node.op = variable;
  node.attributes = {Attribute::of_ints(value.shape()), Attribute(label)};
  node.facts = {fact_of_constant(std::move(value))};
  node.facts[0].quant = quant;
  node.result_names = {std::move(label)};
  return add_copy(node, {});
}

void Graph::make_variable(Outlet outlet) {
  Node& node = nodes_[outlet.node];
  node.initial = std::exchange(node.facts[0].constant, nullptr);
  node.facts[0].dims = nullptr;
}

Outlet Graph::add_external(Fact fact, std::string result_name, SourceLocation where) {
  static const OpDef* const external = find_op("tract_core_external");
  Node node;
  node.op = external;
  node.attributes = {Attribute::of_dims(fact.shape), Attribute(std::string(nnefrun::name_of(fact.dtype)))};
  node.facts = {std::move(fact)};
  node.result_names = {std::move(result_name)};
  node.where = std::move(where);
  const Outlet outlet = add_copy(node, {});
  inputs.push_back(outlet);
  return outlet;
}

void Graph::rename(Outlet outlet, std::string name) {
  std::string& current = nodes_[outlet.node].result_names[outlet.result];
  if (current == name) return;
  names_.erase(current);
  current = unique_name(std::move(name));
  names_.insert(current);
}

void Graph::declare_symbol(std::string_view symbol) {
  if (std::find(symbols.begin(), symbols.end(), symbol) == symbols.end()) symbols.emplace_back(symbol);
}

std::string Graph::fresh_symbol(std::string_view prefix) {
  std::string symbol(prefix);
  for (int k = 1; std::find(symbols.begin(), symbols.end(), symbol) != symbols.end(); ++k) {
    symbol = std::string(prefix) + "_" + std::to_string(k);
  }
  symbols.push_back(symbol);
  return symbol;
}

UseCounts Graph::use_counts() const {
  UseCounts uses;
  uses.reserve(nodes_.size());
  for (const Node& node : nodes_) {  // whose inputs come before it
    uses.add_node(node.facts.size());
    for (const Outlet& input : node.inputs) ++uses[input];
  }
  for (const GraphOutput& output : outputs) ++uses[output.outlet];
  for (const auto& [variable, next] : updates) {
    ++uses[variable];
    ++uses[next];
  }
  return uses;
}

Graph without_dead_nodes(Graph graph) {
  const auto& nodes = graph.nodes();
  constexpr uint32_t kNobody = Graph::kNobody;
  std::vector<uint32_t> stands_for(nodes.size(), kNobody);
  const auto keep = [&](Outlet outlet) { stands_for[outlet.node] = outlet.node; };
  for (const Outlet& input : graph.inputs) keep(input);
  for (const GraphOutput& output : graph.outputs) keep(output.outlet);
  for (const auto& [variable, next] : graph.updates) {
    keep(variable);
    keep(next);
  }
  for (auto i = static_cast<uint32_t>(nodes.size()); i-- > 0;) {
    if (nodes[i].op->stateful) keep({i, 0});
    if (stands_for[i] == kNobody) continue;
    for (const Outlet& input : nodes[i].inputs) keep(input);
  }
  if (std::find(stands_for.begin(), stands_for.end(), kNobody) != stands_for.end()) graph.retain(stands_for);
  return graph;
}

}  // namespace nnefrun
