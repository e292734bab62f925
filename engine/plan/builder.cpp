#include "engine/plan/builder.h"

#include <algorithm>
#include <set>

#include "engine/graph/constant_pool.h"
#include "engine/runtime/step_parameters.h"

namespace nnefrun {
namespace {

// Symbols that the inputs' shapes determine.
std::set<std::string, std::less<>> bound_by_inputs(const Graph& graph) {
  std::set<std::string, std::less<>> bound;
  for (const Outlet& input : graph.inputs) {
    for (const Dim& extent : graph.fact(input).shape) {
      for (auto& symbol : extent.symbols()) bound.insert(symbol);
    }
  }
  return bound;
}

std::string unplannable(const Graph& graph) {
  const auto bound = bound_by_inputs(graph);
  for (const Node& node : graph.nodes()) {
    for (size_t r = 0; r < node.facts.size(); ++r) {
      const Fact& fact = node.facts[r];
      if (fact.dtype == DataType::string) return "`" + node.result_names[r] + "` holds strings";
      if (fact.shape.size() > static_cast<size_t>(kMaxRank)) {
        return "`" + node.result_names[r] + "` has more than " + std::to_string(kMaxRank) + " axes";
      }
      for (const Dim& extent : fact.shape) {
        if (extent.is_constant() || bound.find(extent.as_symbol()) != bound.end()) continue;
        for (const auto& symbol : extent.symbols()) {
          if (bound.count(symbol) == 0) {
            return "extent `" + extent.to_string() + "` of `" + node.result_names[r] +
                   "` is known only when it runs";
          }
        }
      }
    }
  }
  for (const GraphOutput& output : graph.outputs) {
    if (is_block_quantized(graph.fact(output.outlet).dtype))
      return "result `" + output.name + "` is in blocks";
  }
  return {};
}

}  // namespace

PlanView Plan::view() const {
  PlanView v;
  const auto table = [](const auto& items) {
    return Table<typename std::decay_t<decltype(items)>::value_type>{items.data(),
                                                                     static_cast<uint32_t>(items.size())};
  };
  v.expressions = table(expressions);
  v.dims = table(dims);
  v.values = table(values);
  v.steps = table(steps);
  v.operands = table(operands);
  v.parameters = table(parameters);
  v.inputs = table(inputs);
  v.outputs = table(outputs);
  v.bodies = table(body_views);
  v.symbol_count = static_cast<uint32_t>(symbols.size());
  v.constant_count = static_cast<uint32_t>(constants.size());
  return v;
}

size_t Plan::constant_bytes() const {
  size_t bytes = 0;
  std::set<const std::byte*> counted;  // equal ones share memory
  for (const Tensor& constant : constants) {
    if (counted.insert(constant.bytes()).second) bytes += constant.byte_size();
  }
  for (const auto& body : bodies) bytes += body->constant_bytes();
  return bytes;
}

std::optional<Plan> PlanBuilder::build(const Graph& graph, std::string* why, const PlanOptions& options) {
  const std::string reason = unplannable(graph);
  if (!reason.empty()) {
    if (why != nullptr) *why = reason;
    return std::nullopt;
  }
  PlanBuilder b(graph, options);
  b.known_.reserve(graph.nodes().size());
  for (const Node& node : graph.nodes()) {
    b.marks_.push_back({static_cast<uint32_t>(b.known_.size())});
    b.known_.resize(b.known_.size() + node.facts.size());
  }
  for (const auto& symbol : bound_by_inputs(graph)) b.plan_.symbols.push_back(symbol);
  b.find_caches();
  for (uint32_t i = 0; i < graph.inputs.size(); ++i) {
    const Fact& fact = graph.fact(graph.inputs[i]);
    const auto cached = b.cached_inputs_.find(graph.inputs[i]);
    uint32_t value = 0;
    if (cached == b.cached_inputs_.end()) {
      value = b.add_value(fact.dtype, Storage::input, i, fact.shape);
    } else {
      const Cache& cache = b.caches_.at(cached->second);
      value = b.cache_buffer(fact.shape, fact.dtype, cache.axis, cache.in_pitch, i);
    }
    b.known(graph.inputs[i]).plain = value;
    b.marks_[graph.inputs[i].node].is_given = true;
    b.plan_.inputs.push_back(value);
  }
  for (const auto& update :
       graph.updates) {  // variables that change come in like inputs and go out like outputs
    const Fact& fact = graph.fact(update.first);
    const uint32_t value =
        b.add_value(fact.dtype, Storage::input, static_cast<uint32_t>(b.plan_.inputs.size()), fact.shape);
    b.known(update.first).plain = value;
    b.marks_[update.first.node].is_given = true;
    b.plan_.inputs.push_back(value);
  }
  for (PlanCache& planned : b.plan_.caches) {
    const Outlet outlet = graph.outputs[planned.output].outlet;
    const Fact& fact = graph.fact(outlet);
    Cache& cache = b.caches_.at(outlet.node);
    planned.buffer = static_cast<uint32_t>(b.plan_.inputs.size());
    cache.value = b.cache_buffer(fact.shape, fact.dtype, cache.axis, cache.out_pitch, planned.buffer);
    b.plan_.inputs.push_back(cache.value);
  }
  b.find_readers();
  b.find_places();
  for (b.node_ = 0; b.node_ < graph.nodes().size(); ++b.node_) {
    b.lower_node();
    b.finish_constants();
  }
  for (const GraphOutput& output : graph.outputs) {
    b.node_ = output.outlet.node;
    const auto cache = b.cache_of(output.outlet);
    b.plan_.outputs.push_back(cache ? cache->value : b.value_of(output.outlet));
  }
  for (const auto& update : graph.updates) {
    b.node_ = update.second.node;
    b.plan_.outputs.push_back(b.value_of(update.second));
  }
  b.compute_lives();
  b.overwrite_arguments();
  for (const Tensor& constant : b.plan_.constants) b.plan_.constant_data.push_back(constant.bytes());
  return std::move(b.plan_);
}

void PlanBuilder::lower_node() {
  const Node& node = graph_.node(node_);
  why_evaluated_.clear();
  // An input or a variable, or what an earlier node's lowering computed along with its own results.
  if (known({node_, 0}).plain != kNone && !marks_[node_].is_begun) return;
  if (node.facts.size() == 1 && node.facts[0].constant) return;  // taken when a step asks for it
  const auto cache = caches_.find(node_);
  if (cache != caches_.end()) {
    lower_cache(cache->second);
    return;
  }
  if (options_.layouts.has(node_)) {
    blocked_ = true;
    const bool done = options_.layouts.lower(*this, graph_, node_);
    blocked_ = false;
    if (done) return;
  }
  if (node.op->lower != nullptr && node.op->lower(*this, graph_, node_)) return;
  evaluate_step(node_);
}

// Whether nobody but nodes that are lowered from now on reads the constant.
bool PlanBuilder::is_finished(Outlet constant) const {
  return !marks_[constant.node].is_evaluated && options_.take_constant &&
         std::none_of(graph_.outputs.begin(), graph_.outputs.end(),
                      [&](const GraphOutput& output) { return output.outlet == constant; });
}

void PlanBuilder::find_readers() {
  for (uint32_t n = 0; n < graph_.nodes().size(); ++n) {
    for (const Outlet& input : graph_.node(n).inputs) {
      if (!graph_.fact(input).constant) continue;
      uint32_t& at = marks_[input.node].readers;
      if (at == kNone) {
        at = static_cast<uint32_t>(readers_.size());
        readers_.emplace_back();
      }
      std::vector<uint32_t>& nodes = readers_[at].nodes;
      if (nodes.empty() || nodes.back() != n) nodes.push_back(n);
    }
  }
}

// Constants whose last reader has just been lowered.
void PlanBuilder::finish_constants() {
  for (const Outlet& input : graph_.node(node_).inputs) {
    const uint32_t at = marks_[input.node].readers;
    if (at == kNone) continue;
    Readers& readers = readers_[at];
    // Nodes are lowered in their order; one that reads the constant twice counts once.
    if (readers.lowered == readers.nodes.size() || readers.nodes[readers.lowered] != node_) continue;
    if (++readers.lowered == readers.nodes.size() && is_finished(input))
      options_.take_constant(input, nullptr);
  }
}

// Whether node `other`, which has not been lowered, calls for what the node at hand does: the same operator
// with the same attributes over values of the same types and shapes, and `source` in the same places. Its
// lowering then asks for the same form of `source`. Blocked ones may depend on the layout of what they read:
// not those.
bool PlanBuilder::is_repeated(uint32_t other, Outlet source) const {
  const Node &a = graph_.node(node_), &b = graph_.node(other);
  if (blocked_ || options_.layouts.has(node_) || options_.layouts.has(other)) return false;
  const auto same_fact = [](const Fact& x, const Fact& y) {
    return x.dtype == y.dtype && x.shape == y.shape && (x.constant != nullptr) == (y.constant != nullptr);
  };
  if (a.op != b.op || a.attributes != b.attributes || a.input_counts != b.input_counts) return false;
  if (a.inputs.size() != b.inputs.size() || a.facts.size() != b.facts.size()) return false;
  for (size_t i = 0; i < a.inputs.size(); ++i) {
    if ((a.inputs[i] == source) != (b.inputs[i] == source)) return false;
    if (!same_fact(graph_.fact(a.inputs[i]), graph_.fact(b.inputs[i]))) return false;
  }
  return std::equal(a.facts.begin(), a.facts.end(), b.facts.begin(), same_fact);
}

uint32_t PlanBuilder::add_value(DataType dtype, Storage storage, uint32_t index, const DimShape& shape) {
  PlanValue value;
  value.dtype = dtype;
  value.storage = storage;
  value.index = index;
  value.rank = static_cast<uint8_t>(shape.size());
  value.first_dim = static_cast<uint32_t>(plan_.dims.size());
  for (const Dim& extent : shape) plan_.dims.push_back(size(extent));
  plan_.values.push_back(value);
  return static_cast<uint32_t>(plan_.values.size() - 1);
}

uint32_t PlanBuilder::body(std::shared_ptr<const Plan> plan) {
  plan_.body_views.push_back({plan->view(), plan->constant_data.data()});
  plan_.bodies.push_back(std::move(plan));
  return static_cast<uint32_t>(plan_.bodies.size() - 1);
}

uint32_t PlanBuilder::value_of(Outlet outlet) {
  return blocked_ ? blocked_value_of(outlet) : plain_value_of(outlet);
}

uint32_t PlanBuilder::plain_value_of(Outlet outlet) {
  const Known known_as = known(outlet);
  if (known_as.plain != kNone) return known_as.plain;
  const Fact& fact = graph_.fact(outlet);
  uint32_t value = 0;
  if (known_as.blocked != kNone) {
    value = repack(known_as.blocked, fact.dtype, fact.shape, false);
  } else if (fact.constant) {
    if (fact.constant->bytes() == nullptr && fact.constant->byte_size() > 0)
      throw Error("internal", "the plan asks for `" + graph_.name_of(outlet) + "` after it was packed");
    value = constant(*fact.constant);
  } else if (caches_.count(outlet.node) != 0) {
    value = dense_cache(caches_.at(outlet.node), outlet);
  } else {
    throw Error("internal", "the plan asks for `" + graph_.name_of(outlet) + "` before it is computed");
  }
  known(outlet).plain = value;
  return value;
}

uint32_t PlanBuilder::channels_last_value(Outlet outlet) {
  if (blocked_) return blocked_value_of(outlet);
  const Fact& fact = graph_.fact(outlet);
  return repack_codes(plain_value_of(outlet), fact.dtype, fact.shape, true);
}

uint32_t PlanBuilder::blocked_value_of(Outlet outlet) {
  if (known(outlet).blocked != kNone) return known(outlet).blocked;
  const Fact& fact = graph_.fact(outlet);
  if (fact.constant) return blocked_constant(*fact.constant);
  const uint32_t value = repack(plain_value_of(outlet), fact.dtype, fact.shape, true);
  known(outlet).blocked = value;
  return value;
}

uint32_t PlanBuilder::blocked_constant(const Tensor& source) {
  if (source.size() == 1) return constant(source.reshaped({}));
  const int64_t block = options_.layouts.block;
  Shape shape = source.shape();
  shape.resize(static_cast<size_t>(graph_.node(node_).facts[0].rank()), 1);
  Shape out_shape = shape;
  out_shape[1] = (shape[1] + block - 1) / block;
  out_shape.push_back(block);
  Tensor out = Tensor::zeros(source.dtype(), out_shape);
  const size_t item = item_size(source.dtype());
  int64_t positions = 1;
  for (size_t axis = 2; axis < shape.size(); ++axis) positions *= shape[axis];
  std::byte* to = out.mutable_bytes();
  for (int64_t i = 0; i < source.size(); ++i) {
    const int64_t position = i % positions, channel = i / positions % shape[1],
                  image = i / positions / shape[1];
    const int64_t at =
        ((image * out_shape[1] + channel / block) * positions + position) * block + channel % block;
    std::memcpy(to + static_cast<size_t>(at) * item, source.bytes() + static_cast<size_t>(i) * item, item);
  }
  return constant(std::move(out));
}

// The same items in the other layout. Where positions are single and channels fill their blocks, both are the
// same bytes.
uint32_t PlanBuilder::repack(uint32_t value, DataType dtype, const DimShape& logical, bool to_blocked) {
  if (is_code_type(dtype)) return repack_codes(value, dtype, logical, to_blocked);
  const int64_t block = options_.layouts.block;
  const DimShape shape = to_blocked ? blocked_shape(logical, block) : logical;
  const bool single = std::all_of(logical.begin() + 2, logical.end(), [](const Dim& d) { return d.is(1); });
  if (single && logical[1].is_constant() && logical[1].value() % block == 0)
    return add_alias(dtype, value, shape, 0);
  const uint32_t out = add_value(dtype, Storage::arena, 0, shape);
  RepackParameters p;
  p.block = static_cast<uint32_t>(block);
  p.to_blocked = to_blocked ? 1 : 0;
  step(StepKind::repack, {value}, {out}, p, to_blocked ? "into channel blocks" : "out of channel blocks");
  return out;
}

uint32_t PlanBuilder::repack_codes(uint32_t value, DataType dtype, const DimShape& logical, bool to_last) {
  const DimShape shape = to_last ? channels_last_shape(logical) : logical;
  const bool single = std::all_of(logical.begin() + 2, logical.end(), [](const Dim& d) { return d.is(1); });
  if (single && dtype == DataType::u8 && logical[1].is_constant() && logical[1].value() % kCodeChannels == 0)
    return add_alias(dtype, value, shape, 0);
  const uint32_t out = add_value(dtype, Storage::arena, 0, shape);
  CodeRepackParameters p;
  p.to_last = to_last ? 1 : 0;
  p.channels = size(logical[1]);
  step(StepKind::code_repack, {value}, {out}, p, to_last ? "into channels last" : "out of channels last");
  return out;
}

DimShape PlanBuilder::layout_of(const DimShape& logical, DataType dtype) const {
  if (!blocked_) return logical;
  return is_code_type(dtype) ? channels_last_shape(logical) : blocked_shape(logical, options_.layouts.block);
}

uint32_t PlanBuilder::result(uint32_t node, uint32_t result) {
  uint32_t& in_layout = known_value({node, result});
  if (in_layout != kNone) return in_layout;
  const Fact& fact = graph_.fact({node, result});
  const uint32_t at = known({node, result}).place;
  uint32_t value = 0;
  if (at != kNone && options_.layouts.has(places_[at].concat) == blocked_) {
    const Place& place = places_[at];
    marks_[place.concat].is_begun = true;
    const uint32_t whole = this->result(place.concat);
    value = add_alias(fact.dtype, whole, layout_of(fact.shape, fact.dtype), place.offset);
  } else {
    value = add_value(fact.dtype, Storage::arena, 0, layout_of(fact.shape, fact.dtype));
  }
  plan_.values[value].channels_last = blocked_ && is_code_type(fact.dtype) ? 1 : 0;
  in_layout = value;
  return value;
}

uint32_t PlanBuilder::add_alias(DataType dtype, uint32_t value, const DimShape& shape, const Dim& offset) {
  const uint32_t alias = add_value(dtype, Storage::alias, value, shape);
  if (!offset.is(0)) plan_.values[alias].offset = size(offset);
  return alias;
}

void PlanBuilder::alias_result(uint32_t node, uint32_t result, uint32_t value, const Dim& offset) {
  const Fact& fact = graph_.fact({node, result});
  known_value({node, result}) = add_alias(fact.dtype, value, layout_of(fact.shape, fact.dtype), offset);
}

bool PlanBuilder::lies_in(uint32_t value, uint32_t whole, const Dim& offset) {
  const PlanValue& v = plan_.values[value];
  return v.storage == Storage::alias && v.index == whole &&
         v.offset == (offset.is(0) ? kNoOffset : size(offset));
}

// Where the parts of a concat lie one behind the other, the nodes that compute them write there at once.
void PlanBuilder::find_places() {
  for (uint32_t n = 0; n < graph_.nodes().size(); ++n) {
    const Node& node = graph_.node(n);
    if (node.op->name != "concat" || node.inputs.size() < 2 || node.facts[0].constant) continue;
    if (caches_.count(n) != 0) continue;
    const bool blocked = options_.layouts.has(n);
    const DimShape& out = node.facts[0].shape;
    const auto axis = static_cast<size_t>(NodeReader(node, signature_of(node.op), nullptr).integer("axis"));
    if (!std::all_of(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(axis),
                     [](const Dim& extent) { return extent.is(1); }))
      continue;
    Dim begin = 0;
    for (const Outlet& input : node.inputs) {
      const Fact& fact = graph_.fact(input);
      const DimShape shape = !blocked                   ? fact.shape
                             : is_code_type(fact.dtype) ? channels_last_shape(fact.shape)
                                                        : blocked_shape(fact.shape, options_.layouts.block);
      const bool computed = !fact.constant && !marks_[input.node].is_given && caches_.count(input.node) == 0;
      if (computed && options_.layouts.has(input.node) == blocked && fact.dtype == node.facts[0].dtype &&
          known(input).place == kNone) {
        known(input).place = static_cast<uint32_t>(places_.size());
        places_.push_back({n, begin});
      }
      begin = begin + volume_of(shape);
    }
  }
}

uint32_t PlanBuilder::temporary(DataType dtype, const DimShape& shape) {
  return add_value(dtype, Storage::arena, 0, layout_of(shape, dtype));
}

uint32_t PlanBuilder::derived_constant(Outlet source, const std::string& form,
                                       const std::function<Tensor(const PackSource&)>& make) {
  const auto [it, fresh] = derived_.try_emplace({source, form}, 0);
  if (!fresh) return it->second;
  const std::vector<Outlet>& inputs = graph_.node(node_).inputs;
  const uint32_t found = marks_[source.node].readers;
  bool is_last =
      found != kNone && is_finished(source) && std::count(inputs.begin(), inputs.end(), source) == 1;
  bool is_shared = false;
  if (is_last) {
    const Readers& readers = readers_[found];
    for (size_t i = readers.lowered + 1; is_last && i < readers.nodes.size(); ++i) {
      is_shared = true;
      is_last = is_repeated(readers.nodes[i], source);
    }
  }
  std::shared_ptr<const Tensor> held = graph_.fact(source).constant;
  if (is_last) {
    std::shared_ptr<const Tensor> instead;
    if (is_shared)
      instead = std::make_shared<const Tensor>(Tensor::wrap(held->dtype(), held->shape(), nullptr, nullptr));
    held.reset();
    held = options_.take_constant(source, std::move(instead));
  }
  const bool is_alone = is_last && held.use_count() == 1;
  Tensor tensor = *held;
  if (is_alone) {
    held.reset();
    tensor = taken_from_pool(std::move(tensor));
  }
  it->second = constant(make({tensor, is_alone && tensor.is_exclusive()}));
  return it->second;
}

uint32_t PlanBuilder::derived_value(Outlet source, const std::string& form,
                                    const std::function<uint32_t()>& make) {
  const auto known = derived_values_.find({source, form});
  if (known != derived_values_.end()) return known->second;
  return derived_values_[{source, form}] = make();
}

uint32_t PlanBuilder::constant(Tensor value) {
  const uint32_t index = static_cast<uint32_t>(plan_.constants.size());
  value = pooled_constant(std::move(value));
  // A View has no room for block types: their bytes go as u8.
  const bool blocks = item_size(value.dtype()) == 0;
  const uint32_t id =
      blocks ? add_value(DataType::u8, Storage::constant, index, {static_cast<int64_t>(value.byte_size())})
             : add_value(value.dtype(), Storage::constant, index, to_dims(value.shape()));
  plan_.constants.push_back(std::move(value));
  return id;
}

uint32_t PlanBuilder::readers_of(Outlet outlet) {
  if (use_counts_.empty()) use_counts_ = graph_.use_counts();
  return use_counts_[outlet];
}

void* PlanBuilder::last_parameters(StepKind kind, uint32_t value, size_t size) {
  if (plan_.steps.empty()) return nullptr;
  const PlanStep& step = plan_.steps.back();
  if (step.kind != static_cast<uint32_t>(kind) || step.output_count != 1 || step.parameter_size != size ||
      plan_.operands[step.first_operand + step.input_count] != value)
    return nullptr;
  return plan_.parameters.data() + step.parameters;
}

void PlanBuilder::add_argument_to_last_step(uint32_t value, std::string_view note) {
  PlanStep& step = plan_.steps.back();
  plan_.operands.insert(plan_.operands.begin() + step.first_operand + step.input_count, value);
  ++step.input_count;
  plan_.step_notes.back() += note;
}

uint32_t PlanBuilder::expression(SizeExpression::Kind kind, int64_t a, int64_t b) {
  const auto [it, fresh] = expressions_.try_emplace({static_cast<int64_t>(kind), a, b},
                                                    static_cast<uint32_t>(plan_.expressions.size()));
  if (fresh) {
    SizeExpression e;
    e.kind = kind;
    e.a = a;
    e.b = b;
    plan_.expressions.push_back(e);
  }
  return it->second;
}

uint32_t PlanBuilder::symbol(std::string_view name) {
  const auto it = std::find(plan_.symbols.begin(), plan_.symbols.end(), name);
  if (it == plan_.symbols.end())
    throw Error("symbol-unknown", "no input tells the value of symbol `" + std::string(name) + "`");
  return expression(SizeExpression::Kind::symbol, it - plan_.symbols.begin(), 0);
}

uint32_t PlanBuilder::atom(const Dim::Atom& atom) {
  if (atom.kind == Dim::AtomKind::symbol) return symbol(atom.name);
  using Kind = SizeExpression::Kind;
  const Kind kind = atom.kind == Dim::AtomKind::floor_div  ? Kind::floor_div
                    : atom.kind == Dim::AtomKind::ceil_div ? Kind::ceil_div
                    : atom.kind == Dim::AtomKind::min      ? Kind::min
                    : atom.kind == Dim::AtomKind::max      ? Kind::max
                                                           : Kind::broadcast;
  uint32_t value = size(atom.operands[0]);
  for (size_t i = 1; i < atom.operands.size(); ++i) value = expression(kind, value, size(atom.operands[i]));
  return value;
}

uint32_t PlanBuilder::size(const Dim& dim) {
  using Kind = SizeExpression::Kind;
  if (dim.is_constant()) return expression(Kind::constant, dim.value(), 0);
  if (!dim.as_symbol().empty()) return symbol(dim.as_symbol());
  const std::string key = dim.to_string();
  const auto known = sizes_.find(key);
  if (known != sizes_.end()) return known->second;
  std::optional<uint32_t> sum;
  for (const auto& term : dim.terms()) {
    std::optional<uint32_t> product;
    if (term.coefficient != 1 || term.factors.empty())
      product = expression(Kind::constant, term.coefficient, 0);
    for (const auto& factor : term.factors) {
      const uint32_t f = atom(*factor);
      product = product ? expression(Kind::mul, *product, f) : f;
    }
    sum = sum ? expression(Kind::add, *sum, *product) : *product;
  }
  sizes_[key] = *sum;
  return *sum;
}

void PlanBuilder::add_step(StepKind kind, const std::vector<uint32_t>& inputs,
                           const std::vector<uint32_t>& outputs, const void* parameters, size_t size,
                           std::string note) {
  PlanStep step;
  step.kind = static_cast<uint32_t>(kind);
  step.input_count = static_cast<uint16_t>(inputs.size());
  step.output_count = static_cast<uint16_t>(outputs.size());
  if (inputs.size() > UINT16_MAX || outputs.size() > UINT16_MAX) {
    throw Error("plan-size", "a node with more than 65535 arguments cannot be planned");
  }
  step.first_operand = static_cast<uint32_t>(plan_.operands.size());
  plan_.operands.insert(plan_.operands.end(), inputs.begin(), inputs.end());
  plan_.operands.insert(plan_.operands.end(), outputs.begin(), outputs.end());
  plan_.parameters.resize((plan_.parameters.size() + 7) / 8 * 8);
  step.parameters = static_cast<uint32_t>(plan_.parameters.size());
  step.parameter_size = static_cast<uint32_t>(size);
  plan_.parameters.resize(plan_.parameters.size() + size);
  if (size > 0) std::memcpy(plan_.parameters.data() + step.parameters, parameters, size);
  step.node = node_;
  plan_.steps.push_back(step);
  plan_.step_notes.push_back(std::move(note));
}

void PlanBuilder::evaluate_step(uint32_t index) {
  const Node& node = graph_.node(index);
  std::vector<uint32_t> inputs, outputs;
  for (const Outlet& input : node.inputs) {  // constants are taken from the graph by the host
    if (graph_.fact(input).constant) {
      marks_[input.node].is_evaluated = true;
    } else {
      inputs.push_back(value_of(input));
    }
  }
  for (uint32_t r = 0; r < node.facts.size(); ++r) outputs.push_back(result(index, r));
  add_step(StepKind::evaluate, inputs, outputs, nullptr, 0, why_evaluated_);
}

}  // namespace nnefrun
