// Loops: what is constant outside becomes so inside, what they keep between runs becomes variables, and those
// whose body is a recurrent cell become that cell over time.
#include <algorithm>
#include <map>

#include "engine/rewrites/gates.h"
#include "engine/rewrites/match.h"

namespace nnefrun {
namespace {

std::vector<std::string> strings_of(const NodeReader& r, std::string_view name) {
  std::vector<std::string> out;
  for (const Attribute& item : std::get<Attribute::List>(r.attribute(name).value))
    out.push_back(std::get<std::string>(item.value));
  return out;
}
Attribute of_strings(const std::vector<std::string>& values) {
  Attribute::List list;
  for (const std::string& value : values) list.emplace_back(value);
  return list;
}

// A nnefrun_scan as its lists.
struct Loop {
  const Node* node = nullptr;
  const Graph* body = nullptr;
  std::string name;
  std::vector<std::string> kinds;
  std::vector<int64_t> axes, chunks, next_states, output_results;
  std::vector<std::string> output_kinds;
  std::vector<int64_t> output_axes, output_chunks;
  int64_t skip = 0;
  bool reset = false;

  explicit Loop(const RewriteContext& c) : node(&c.node()), body(c.node().bodies.at(0).get()) {
    const NodeReader r = c.read(*node);
    name = r.string("body");
    kinds = strings_of(r, "kinds");
    axes = r.integers("axes");
    chunks = r.integers("chunks");
    next_states = r.integers("next_states");
    output_results = r.integers("output_results");
    output_kinds = strings_of(r, "output_kinds");
    output_axes = r.integers("output_axes");
    output_chunks = r.integers("output_chunks");
    skip = r.integer("skip");
    reset = r.logical("reset_every_turn");
  }
  std::vector<Attribute> attributes() const {
    return {Attribute(name),
            of_strings(kinds),
            Attribute::of_ints(axes),
            Attribute::of_ints(chunks),
            Attribute::of_ints(next_states),
            Attribute::of_ints(output_results),
            of_strings(output_kinds),
            Attribute::of_ints(output_axes),
            Attribute::of_ints(output_chunks),
            Attribute(skip),
            Attribute(reset)};
  }
  // Inputs that are states, in order.
  std::vector<size_t> states() const {
    std::vector<size_t> out;
    for (size_t i = 0; i < kinds.size(); ++i) {
      if (kinds[i] == "state") out.push_back(i);
    }
    return out;
  }
};

std::vector<PatchWire> results_of(PatchWire node, size_t count) {
  std::vector<PatchWire> out;
  for (uint32_t r = 0; r < count; ++r) out.push_back({false, {}, node.node, r});
  return out;
}

// ---- constants ----

std::optional<Patch> constants_into_body(const RewriteContext& c) {
  Loop loop(c);
  std::vector<bool> moves;
  for (size_t i = 0; i < loop.kinds.size(); ++i) {
    const Fact& fact = c.fact(loop.node->inputs[i]);
    moves.push_back(loop.kinds[i] == "full" && fact.constant && !fact.quant && item_size(fact.dtype) != 0);
  }
  if (std::find(moves.begin(), moves.end(), true) == moves.end()) return std::nullopt;
  auto body = std::make_shared<Graph>();
  body->name = loop.body->name;
  body->symbols = loop.body->symbols;
  body->assertions = loop.body->assertions;
  std::map<uint32_t, size_t> input_of;
  for (size_t i = 0; i < loop.body->inputs.size(); ++i) input_of[loop.body->inputs[i].node] = i;
  std::vector<uint32_t> moved;
  std::vector<Outlet> new_inputs(loop.body->inputs.size());
  for (uint32_t n = 0; n < loop.body->nodes().size(); ++n) {
    const Node& node = loop.body->node(n);
    const auto input = input_of.find(n);
    if (input != input_of.end() && moves[input->second]) {
      moved.push_back(
          body->add_constant(*c.constant(loop.node->inputs[input->second]), node.result_names[0]).node);
      continue;
    }
    std::vector<Outlet> inputs;
    for (const Outlet& from : node.inputs) inputs.push_back({moved[from.node], from.result});
    moved.push_back(body->add_copy(node, std::move(inputs)).node);
    if (input != input_of.end()) new_inputs[input->second] = {moved.back(), 0};
  }
  std::vector<PatchWire> inputs;
  Loop next = loop;
  next.kinds.clear(), next.axes.clear(), next.chunks.clear();
  for (size_t i = 0; i < moves.size(); ++i) {
    if (moves[i]) continue;
    body->inputs.push_back(new_inputs[i]);
    inputs.push_back(Patch::tap(loop.node->inputs[i]));
    next.kinds.push_back(loop.kinds[i]);
    next.axes.push_back(loop.axes[i]);
    next.chunks.push_back(loop.chunks[i]);
  }
  for (const GraphOutput& output : loop.body->outputs)
    body->outputs.push_back({{moved[output.outlet.node], output.outlet.result}, output.name});
  Patch patch;
  const PatchWire node = patch.add("nnefrun_scan", std::move(inputs), next.attributes());
  patch.nodes.back().bodies = {body};
  patch.results = results_of(node, loop.node->facts.size());
  return patch;
}

// ---- states that outlive a run ----

// A constant, or one that is repeated along axes whose extents are symbols.
const Tensor* repeated_constant(const RewriteContext& c, Outlet outlet) {
  if (const Tensor* value = c.constant(outlet)) return value;
  const Node* node = c.producer(outlet, "tile");
  if (node == nullptr) node = c.producer(outlet, "tract_core_broadcast");
  const Tensor* value = node == nullptr ? nullptr : c.constant(node->inputs[0]);
  const DimShape& shape = c.fact(outlet).shape;
  if (value == nullptr || value->shape().size() != shape.size() || c.fact(node->inputs[0]).quant)
    return nullptr;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const int64_t extent = value->dim(static_cast<int>(axis));
    if (shape[axis].is_constant() ? !shape[axis].is(extent) : extent != 1) return nullptr;
  }
  return value;
}

std::optional<Patch> state_as_variables(const RewriteContext& c) {
  Loop loop(c);
  const std::vector<size_t> states = loop.states();
  if (c.in_body || loop.reset || loop.skip != 0 || states.empty()) return std::nullopt;
  for (size_t k = 0; k < states.size(); ++k) {
    const Fact& fact = c.fact(loop.node->inputs[states[k]]);
    const Outlet next = loop.body->outputs[static_cast<size_t>(loop.next_states[k])].outlet;
    if (!loop.body->fact(next).same_type(fact)) return std::nullopt;
    if (fact.quant || !kPlain.contains(fact.dtype)) return std::nullopt;
  }
  Patch patch;
  std::vector<PatchWire> inputs;
  for (const Outlet& input : loop.node->inputs) inputs.push_back(Patch::tap(input));
  std::optional<PatchWire> started;  // whether there was a run before
  std::vector<PatchWire> variables;
  for (const size_t i : states) {
    const Outlet first = loop.node->inputs[i];
    const Fact& fact = c.fact(first);
    const std::string label = c.graph.name_of(first) + "_kept";
    if (const Tensor* value = repeated_constant(c, first)) {
      variables.push_back(patch.variable(*value, fact.shape, label));
      inputs[i] = variables.back();
      continue;
    }
    if (!started) started = patch.variable(Tensor::scalar(false), {}, "started");
    Shape least;  // of zeros that are repeated along symbols
    for (const Dim& extent : fact.shape) least.push_back(extent.is_constant() ? extent.value() : 1);
    variables.push_back(patch.variable(Tensor::zeros(fact.dtype, least), fact.shape, label));
    inputs[i] = patch.add("select", {*started, variables.back(), Patch::tap(first)});
  }
  Loop next = loop;
  next.reset = true;
  for (const int64_t result : loop.next_states) {
    next.output_results.push_back(result);
    next.output_kinds.emplace_back("last");
    next.output_axes.push_back(0);
    next.output_chunks.push_back(0);
  }
  const PatchWire node = patch.add("nnefrun_scan", std::move(inputs), next.attributes());
  patch.nodes.back().bodies = loop.node->bodies;
  const auto count = static_cast<uint32_t>(loop.node->facts.size());
  patch.results = results_of(node, count);
  for (uint32_t s = 0; s < variables.size(); ++s)
    patch.updates.emplace_back(variables[s], PatchWire{false, {}, node.node, count + s});
  if (started) patch.updates.emplace_back(*started, patch.constant(Tensor::scalar(true), "has_started"));
  return patch;
}

// ---- bodies that are cells ----

DimShape leading_of(const DimShape& shape) { return {shape.begin(), shape.end() - 1}; }

// Wires of a body that its states do not reach, over all of time at once: [time, rows, columns].
class OverTime {
 public:
  OverTime(const RewriteContext& outside, const RewriteContext& inside, const Loop& loop, Patch& patch)
      : outside_(outside), inside_(inside), loop_(loop), patch_(patch) {
    for (size_t i = 0; i < loop.kinds.size(); ++i) {
      if (loop.kinds[i] == "scan") scans_[loop.body->inputs[i].node] = i;
    }
  }

  // nullopt when the wire cannot be computed so.
  std::optional<PatchWire> wire(Outlet outlet) {
    outlet = rows_behind(inside_, outlet);
    const auto it = known_.find(outlet);
    if (it != known_.end()) return it->second;
    const auto found = make(outlet);
    if (found) known_.emplace(outlet, *found);
    return found;
  }

 private:
  const DimShape& shape(Outlet outlet) const { return inside_.fact(outlet).shape; }

  std::optional<PatchWire> make(Outlet outlet) {
    const auto scan = scans_.find(outlet.node);
    if (scan != scans_.end()) return scanned(scan->second);
    const Node& node = inside_.graph.node(outlet);
    if (inside_.fact(outlet).constant || node.facts.size() != 1 || !is_plain_f32(node.facts[0]))
      return std::nullopt;
    const std::string_view op = node.op->name;
    if (op == "concat") return joined(node);
    if (op == "add" || op == "sub" || op == "mul") return combined(node);
    if (const auto product = constant_product(inside_, outlet)) return multiplied(*product);
    if (node.op->elementwise && node.inputs.size() == 1) {
      const auto x = wire(node.inputs[0]);
      if (x) return patch_.add(std::string(op), {*x}, node.attributes);
    }
    return std::nullopt;
  }

  // An input that is cut along its time axis by single cells: [.., time, ..] with time in front of all rows,
  // or between two axes.
  std::optional<PatchWire> scanned(size_t index) {
    const auto axis = static_cast<size_t>(loop_.axes[index]);
    const Outlet input = loop_.node->inputs[index];
    const DimShape& all = outside_.fact(input).shape;
    if (axis + 1 >= all.size() || !is_plain_f32(outside_.fact(input)) || !has_no_zero_extent(all))
      return std::nullopt;
    const DimShape& cell = shape(loop_.body->inputs[index]);
    const DimShape wanted{all[axis], volume_of(leading_of(cell)), all.back()};
    const bool first = std::all_of(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(axis),
                                   [](const Dim& extent) { return extent.is(1); });
    if (first) return reshaped(patch_, Patch::tap(input), all, wanted);
    if (axis != 1 || all.size() != 3) return std::nullopt;
    return patch_.add("transpose", {Patch::tap(input)}, {Attribute::of_ints({1, 0, 2})});
  }

  std::optional<PatchWire> joined(const Node& node) {
    if (inside_.read(node).integer("axis") + 1 != node.facts[0].rank()) return std::nullopt;
    std::vector<PatchWire> parts;
    for (const Outlet& input : node.inputs) {
      const auto part = wire(input);
      if (!part) return std::nullopt;
      parts.push_back(*part);
    }
    return patch_.add("concat", parts, {Attribute(2)});
  }

  std::optional<PatchWire> combined(const Node& node) {
    const std::string op(node.op->name);
    if (const auto operand = constant_operand(inside_, node)) {
      const int rank = node.facts[0].rank();
      const Dim& columns = node.facts[0].shape.back();
      if (!columns.is_constant()) return std::nullopt;
      const auto numbers = along_axis(*operand->value, rank, rank - 1, columns.value());
      const auto value = numbers ? rounded({1, 1, columns.value()}, *numbers) : std::nullopt;
      const auto x = value ? wire(operand->other) : std::nullopt;
      if (!x) return std::nullopt;
      const PatchWire constant = patch_.constant(*value, "of_columns");
      return operand->is_first ? patch_.add(op, {constant, *x}) : patch_.add(op, {*x, constant});
    }
    if (shape(node.inputs[0]) != shape(node.inputs[1])) return std::nullopt;
    const auto a = wire(node.inputs[0]), b = a ? wire(node.inputs[1]) : std::nullopt;
    return b ? std::optional(patch_.add(op, {*a, *b})) : std::nullopt;
  }

  std::optional<PatchWire> multiplied(const ConstantProduct& p) {
    const auto x = wire(p.a);
    const auto bias =
        rounded({1, 1, p.columns},
                p.bias.empty() ? std::vector<double>(static_cast<size_t>(p.columns), 0.0) : p.bias);
    if (!x || !bias) return std::nullopt;
    const Shape flat = p.transposed ? Shape{1, p.columns, p.inputs} : Shape{1, p.inputs, p.columns};
    const PatchWire weights = patch_.constant(p.weights->reshaped(flat), "input_weights");
    const PatchWire product =
        patch_.add("matmul", {*x, weights}, {Attribute(false), Attribute(p.transposed)});
    return p.bias.empty() ? product : patch_.add("add", {product, patch_.constant(*bias, "input_bias")});
  }

  const RewriteContext& outside_;
  const RewriteContext& inside_;
  const Loop& loop_;
  Patch& patch_;
  std::map<uint32_t, size_t> scans_;  // body node -> input
  std::map<Outlet, PatchWire> known_;
};

// The direction in which a loop goes through its single cells; 0 when it has none.
int64_t direction(const Loop& loop) {
  int64_t found = 0;
  const auto agrees = [&](int64_t chunk) {
    if (found == 0) found = chunk;
    return found == chunk && (chunk == 1 || chunk == -1);
  };
  for (size_t i = 0; i < loop.kinds.size(); ++i) {
    if (loop.kinds[i] == "scan" && !agrees(loop.chunks[i])) return 0;
  }
  for (size_t i = 0; i < loop.output_kinds.size(); ++i) {
    if (loop.output_kinds[i] == "full" && !agrees(loop.output_chunks[i])) return 0;
  }
  return found;
}

// The output of a loop from the cell's [time, rows, hidden].
std::optional<PatchWire> full_output(Patch& patch, PatchWire output, const Dim& time, const DimShape& cell,
                                     size_t axis) {
  const Dim rows = volume_of(leading_of(cell));
  DimShape all = cell;
  if (axis + 1 >= cell.size() || !cell[axis].is(1)) return std::nullopt;
  all[axis] = time;
  const bool first = std::all_of(cell.begin(), cell.begin() + static_cast<std::ptrdiff_t>(axis),
                                 [](const Dim& extent) { return extent.is(1); });
  if (first) return reshaped(patch, output, {time, rows, cell.back()}, all);
  if (axis != 1 || cell.size() != 3) return std::nullopt;
  return patch.add("transpose", {output}, {Attribute::of_ints({1, 0, 2})});
}

std::optional<Cell> cell_of_body(const RewriteContext& inside, CellKind kind, Outlet next_h, Outlet h) {
  auto cell = kind == CellKind::lstm  ? lstm_cell(inside, next_h, h)
              : kind == CellKind::gru ? gru_cell(inside, next_h)
                                      : plain_cell(inside, next_h, h);
  return cell && cell->h == h ? cell : std::nullopt;
}

std::optional<Patch> cell_over_time(const RewriteContext& c, CellKind kind) {
  const Loop loop(c);
  const int64_t step = direction(loop);
  const std::vector<size_t> states = loop.states();
  const size_t count = kind == CellKind::lstm ? 2 : 1;
  if (!loop.reset || loop.skip != 0 || step == 0 || states.size() != count) return std::nullopt;
  std::optional<Dim> time;  // of all inputs that are cut
  for (size_t i = 0; i < loop.kinds.size(); ++i) {
    if (loop.kinds[i] != "scan") continue;
    const Dim& extent = c.fact(loop.node->inputs[i]).shape[static_cast<size_t>(loop.axes[i])];
    if (time && *time != extent) return std::nullopt;
    time = extent;
  }
  const auto uses = loop.body->use_counts();
  const RewriteContext inside(*loop.body, 0, uses, true);
  const auto next_of = [&](size_t state) {
    return loop.body->outputs[static_cast<size_t>(loop.next_states[state])].outlet;
  };
  for (size_t of_h = 0; of_h < count; ++of_h) {
    const Outlet h = loop.body->inputs[states[of_h]];
    const auto cell = cell_of_body(inside, kind, next_of(of_h), h);
    if (!cell) continue;
    const size_t of_c = 1 - of_h;
    if (kind == CellKind::lstm && (rows_behind(inside, cell->c) != loop.body->inputs[states[of_c]] ||
                                   cell->next_c != rows_behind(inside, next_of(of_c))))
      continue;

    Patch patch;
    OverTime over_time(c, inside, loop, patch);
    std::vector<std::vector<PatchTerm>> gates;
    bool known = true;
    for (const GateSum& gate : cell->inputs) {
      gates.emplace_back();
      for (const GateTerm& term : gate.terms) {
        const auto wire = over_time.wire(term.wire);
        known = known && wire;
        if (wire) gates.back().push_back({*wire, inside.fact(term.wire).shape.back().value(), term.begin});
      }
    }
    const DimShape of_state = inside.fact(h).shape;
    if (!known || !has_no_zero_extent(of_state)) continue;
    const DimShape flat{volume_of(leading_of(of_state)), Dim(cell->hidden)};
    const auto state_of = [&](size_t state) {
      const Outlet input = loop.node->inputs[states[state]];
      return reshaped(patch, Patch::tap(input), c.fact(input).shape, flat);
    };
    const PatchWire first_h = state_of(of_h);
    const auto node = add_cell(patch, kind, *cell, joined_gates(patch, gates, cell->hidden), first_h,
                               kind == CellKind::lstm ? state_of(of_c) : first_h, step < 0);
    if (!node) continue;

    for (size_t k = 0; k < loop.output_results.size(); ++k) {
      const Outlet outlet = loop.body->outputs[static_cast<size_t>(loop.output_results[k])].outlet;
      const Outlet rows = rows_behind(inside, outlet);
      const DimShape& shape = inside.fact(outlet).shape;
      const bool is_h = rows == cell->next_h, is_c = kind == CellKind::lstm && rows == cell->next_c;
      PatchWire wire = *node;
      std::optional<PatchWire> result;
      if (loop.output_kinds[k] == "full") {
        if (is_h) result = full_output(patch, wire, *time, shape, static_cast<size_t>(loop.output_axes[k]));
      } else if (is_h || is_c) {
        wire.result = is_h ? 1 : 2;
        result = reshaped(patch, wire, flat, shape);
      }
      if (!result) break;
      patch.results.push_back(*result);
    }
    if (patch.results.size() == loop.output_results.size()) return patch;
  }
  return std::nullopt;
}

std::optional<Patch> lstm_of_loop(const RewriteContext& c) { return cell_over_time(c, CellKind::lstm); }
std::optional<Patch> gru_of_loop(const RewriteContext& c) { return cell_over_time(c, CellKind::gru); }
std::optional<Patch> rnn_of_loop(const RewriteContext& c) { return cell_over_time(c, CellKind::plain); }

// ---- products side by side ----

// concat(x W_1 + b_1, x W_2 + b_2, ..) along the columns => x (W_1, W_2, ..) + (b_1, b_2, ..)
std::optional<Patch> concat_of_products(const RewriteContext& c) {
  const Node& node = c.node();
  const int rank = node.facts[0].rank();
  if (node.inputs.size() < 2 || c.read(node).integer("axis") + 1 != rank || !is_plain_f32(node.facts[0]))
    return std::nullopt;
  std::optional<Outlet> a;
  std::vector<ConstantProduct> products;
  std::vector<double> bias;
  for (const Outlet& input : node.inputs) {
    const DimShape& shape = c.fact(input).shape;
    if (c.uses(input) != 1 || !shape.back().is_constant() || shape.back().value() < 1) return std::nullopt;
    const GateSum sum = gate_sum(c, input, 0, shape.back().value());
    if (sum.terms.size() != 1 || sum.terms[0].begin != 0 || c.uses(sum.terms[0].wire) != 1)
      return std::nullopt;
    auto product = constant_product(c, sum.terms[0].wire);
    const DimShape& from = c.fact(sum.terms[0].wire).shape;
    if (!product || from != shape || (a && *a != product->a)) return std::nullopt;
    a = product->a;
    for (size_t i = 0; i < sum.bias.size(); ++i)
      bias.push_back(sum.bias[i] + (product->bias.empty() ? 0.0 : product->bias[i]));
    products.push_back(std::move(*product));
  }
  const auto columns = static_cast<int64_t>(bias.size());
  std::vector<float> weights;
  for (const ConstantProduct& product : products) {
    for (int64_t column = 0; column < product.columns; ++column) {
      for (int64_t p = 0; p < product.inputs; ++p) weights.push_back(product.weight(column, p));
    }
  }
  Shape of_weights(static_cast<size_t>(rank), 1), of_bias(static_cast<size_t>(rank), 1);
  of_weights[static_cast<size_t>(rank) - 2] = of_bias[static_cast<size_t>(rank) - 1] = columns;
  of_weights[static_cast<size_t>(rank) - 1] = products[0].inputs;
  const auto numbers = rounded(of_bias, bias);
  if (rank < 2 || !numbers) return std::nullopt;
  Patch patch;
  const std::string name = c.graph.name_of({c.index, 0});
  const PatchWire product = patch.add(
      "matmul", {Patch::tap(*a), patch.constant(Tensor::of<float>(of_weights, weights), name + "_weights")},
      {Attribute(false), Attribute(true)});
  const bool has_bias = std::any_of(bias.begin(), bias.end(), [](double b) { return b != 0; });
  patch.results = {has_bias ? patch.add("add", {product, patch.constant(*numbers, name + "_bias")})
                            : product};
  return patch;
}

constexpr Rewrite kRewrites[] = {
    {"loop-constants", "nnefrun_scan", "scan(.., full = constant) => scan(..) with the constant in its body",
     constants_into_body},
    {"loop-state", "nnefrun_scan",
     "scan(state = s) => scan(state = v, reset_every_turn = true), v = update(last state), v = s at first",
     state_as_variables},
    {"lstm-of-loop", "nnefrun_scan", "scan of an LSTM cell => nnefrun_lstm of all steps' inputs",
     lstm_of_loop},
    {"gru-of-loop", "nnefrun_scan", "scan of a GRU cell => nnefrun_gru of all steps' inputs", gru_of_loop},
    {"rnn-of-loop", "nnefrun_scan", "scan of h = tanh(x + h R) => nnefrun_rnn; also relu", rnn_of_loop},
    {"concat-of-products", "concat",
     "concat(x W_1 + b_1, x W_2 + b_2) => x concat(W_1, W_2) + concat(b_1, b_2)", concat_of_products},
};

}  // namespace

std::span<const Rewrite> loop_rewrites() { return kRewrites; }

}  // namespace nnefrun
