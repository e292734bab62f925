#include "engine/rewrites/gates.h"

#include <algorithm>
#include <utility>

#include "engine/rewrites/match.h"

namespace nnefrun {
namespace {

int64_t columns_of(const RewriteContext& c, Outlet outlet) {
  const DimShape& shape = c.fact(outlet).shape;
  return !shape.empty() && shape.back().is_constant() ? shape.back().value() : -1;
}
Dim rows_of(const RewriteContext& c, Outlet outlet) {
  DimShape shape = c.fact(outlet).shape;
  shape.pop_back();
  return volume_of(shape);
}

// Whether an operand is read by rows and columns as the result is, not repeated.
bool has_rows_of(const RewriteContext& c, Outlet operand, Outlet result) {
  const DimShape &a = c.fact(operand).shape, &b = c.fact(result).shape;
  return !a.empty() && a == b;
}

// A wire that one of the names made, through reshapes.
const Node* made_by(const RewriteContext& c, Outlet outlet, std::string_view op) {
  return c.producer(rows_behind(c, outlet), op);
}

// A product of two factors as `op`(first) and the other one; both ways when both are.
struct Factors {
  Outlet inner;  // the argument of `op`
  Outlet other;
};
std::vector<Factors> factors(const RewriteContext& c, Outlet outlet, std::string_view op) {
  std::vector<Factors> out;
  const Node* mul = made_by(c, outlet, "mul");
  if (mul == nullptr || c.fact(mul->inputs[0]).shape != c.fact(mul->inputs[1]).shape) return out;
  for (size_t side = 0; side < 2; ++side) {
    const Node* function = made_by(c, mul->inputs[side], op);
    if (function != nullptr) out.push_back({function->inputs[0], mul->inputs[1 - side]});
  }
  return out;
}

// Takes the only term of a gate that is a product of `h` out of its sum, and notes its weights and bias.
bool take_recurrent(const RewriteContext& c, GateSum& gate, Outlet h, Cell& cell) {
  std::optional<ConstantProduct> found;
  size_t at = 0;
  for (size_t i = 0; i < gate.terms.size(); ++i) {
    auto product = constant_product(c, gate.terms[i].wire);
    if (!product || rows_behind(c, product->a) != h || product->inputs != cell.hidden) continue;
    if (found) return false;
    found = std::move(product);
    at = i;
  }
  if (!found) return false;
  const int64_t begin = gate.terms[at].begin;
  for (int64_t column = begin; column < begin + cell.hidden; ++column) {
    for (int64_t p = 0; p < cell.hidden; ++p) cell.weights.push_back(found->weight(column, p));
    const auto index = static_cast<size_t>(column - begin);
    cell.bias.push_back(gate.bias[index] +
                        (found->bias.empty() ? 0.0 : found->bias[static_cast<size_t>(column)]));
  }
  gate.terms.erase(gate.terms.begin() + static_cast<std::ptrdiff_t>(at));
  gate.bias.assign(gate.bias.size(), 0.0);
  return !gate.terms.empty();
}

// What may be the state of a cell: the arguments of products in the sum of a gate, those that the graph is
// given first.
std::vector<Outlet> possible_states(const RewriteContext& c, const GateSum& gate, int64_t hidden) {
  std::vector<Outlet> given, computed;
  for (const GateTerm& term : gate.terms) {
    const auto product = constant_product(c, term.wire);
    if (!product || product->inputs != hidden) continue;
    const Outlet h = rows_behind(c, product->a);
    const std::string_view op = c.graph.node(h).op->name;
    (op == "tract_core_external" || op == "variable" ? given : computed).push_back(h);
  }
  // Of two that are equally likely, the later one: texts have the input first.
  std::reverse(given.begin(), given.end());
  std::reverse(computed.begin(), computed.end());
  given.insert(given.end(), computed.begin(), computed.end());
  return given;
}

}  // namespace

Outlet rows_behind(const RewriteContext& c, Outlet outlet) {
  for (;;) {
    const Node& node = c.graph.node(outlet);
    const bool moves =
        node.op->name == "reshape" || node.op->name == "squeeze" || node.op->name == "unsqueeze";
    if (!moves || c.fact(outlet).constant) return outlet;
    const Outlet input = node.inputs[0];
    if (columns_of(c, input) < 1 || columns_of(c, input) != columns_of(c, outlet)) return outlet;
    outlet = input;
  }
}

GateSum gate_sum(const RewriteContext& c, Outlet outlet, int64_t begin, int64_t count) {
  outlet = rows_behind(c, outlet);
  const Node& node = c.graph.node(outlet);
  const std::string_view op = node.op->name;
  const int last = c.fact(outlet).rank() - 1;
  GateSum sum;
  sum.bias.assign(static_cast<size_t>(count), 0.0);
  if (!c.fact(outlet).constant && op == "nnefrun_slice") {
    const NodeReader r = c.read(node);
    const auto axes = r.integers("axes"), stride = r.integers("stride");
    const auto from = r.dims("begin");
    const bool along_columns =
        axes.size() == 1 && axes[0] == last && from[0].is_constant() && (stride.empty() || stride[0] == 1);
    if (along_columns && columns_of(c, node.inputs[0]) > 0)
      return gate_sum(c, node.inputs[0], begin + from[0].value(), count);
  } else if (op == "split") {
    int64_t from = 0;
    bool known = c.read(node).integer("axis") == last && columns_of(c, node.inputs[0]) > 0;
    for (uint32_t r = 0; known && r < outlet.result; ++r) from += columns_of(c, {outlet.node, r});
    if (known) return gate_sum(c, node.inputs[0], begin + from, count);
  } else if (!c.fact(outlet).constant && op == "add") {
    if (const auto operand = constant_operand(c, node)) {
      const auto numbers = along_axis(*operand->value, last + 1, last, columns_of(c, outlet));
      if (numbers) {
        sum = gate_sum(c, operand->other, begin, count);
        for (size_t i = 0; i < sum.bias.size(); ++i)
          sum.bias[i] += (*numbers)[static_cast<size_t>(begin) + i];
        return sum;
      }
    } else if (has_rows_of(c, node.inputs[0], outlet) && has_rows_of(c, node.inputs[1], outlet)) {
      sum = gate_sum(c, node.inputs[0], begin, count);
      const GateSum more = gate_sum(c, node.inputs[1], begin, count);
      sum.terms.insert(sum.terms.end(), more.terms.begin(), more.terms.end());
      for (size_t i = 0; i < sum.bias.size(); ++i) sum.bias[i] += more.bias[i];
      return sum;
    }
  }
  sum.terms.push_back({outlet, begin});
  return sum;
}

float ConstantProduct::weight(int64_t column, int64_t input) const {
  return weights->data<float>()[transposed ? column * inputs + input : input * columns + column];
}

std::optional<ConstantProduct> constant_product(const RewriteContext& c, Outlet outlet) {
  const Node* node = c.producer(outlet, "matmul");
  if (node == nullptr) node = c.producer(outlet, "linear");
  if (node == nullptr || !is_plain_f32(node->facts[0]) || !is_plain_f32(c.fact(node->inputs[1])))
    return std::nullopt;
  const bool is_linear = node->op->name == "linear";
  ConstantProduct p;
  p.a = node->inputs[0];
  p.weights = c.constant(node->inputs[1]);
  if (p.weights == nullptr || (!is_linear && c.read(*node).logical("transposeA"))) return std::nullopt;
  const int rank = p.weights->rank();
  for (int axis = 0; axis + 2 < rank; ++axis) {
    if (p.weights->dim(axis) != 1) return std::nullopt;
  }
  p.transposed = is_linear || c.read(*node).logical("transposeB");
  p.columns = p.weights->dim(rank - (p.transposed ? 2 : 1));
  p.inputs = p.weights->dim(rank - (p.transposed ? 1 : 2));
  // The weights give the result no rows of their own.
  if (c.fact(p.a).rank() != c.fact(outlet).rank() || columns_of(c, outlet) != p.columns ||
      rows_of(c, p.a) != rows_of(c, outlet))
    return std::nullopt;
  if (node->inputs.size() > 2) {
    const Tensor* bias = c.constant(node->inputs[2]);
    const int result_rank = c.fact(outlet).rank();
    if (bias == nullptr || c.fact(node->inputs[2]).quant) return std::nullopt;
    const auto numbers = along_axis(*bias, result_rank, result_rank - 1, p.columns);
    if (!numbers) return std::nullopt;
    p.bias = *numbers;
  }
  return p;
}

// ---- cells ----

std::optional<Cell> lstm_cell(const RewriteContext& c, Outlet next_h, std::optional<Outlet> h) {
  next_h = rows_behind(c, next_h);
  const int64_t hidden = columns_of(c, next_h);
  if (hidden < 1 || !is_plain_f32(c.fact(next_h))) return std::nullopt;
  for (const Factors& outer : factors(c, next_h, "tanh")) {  // tanh(next c) * sigmoid(o)
    const Node* out = made_by(c, outer.other, "sigmoid");
    const Outlet next_c = rows_behind(c, outer.inner);
    const Node* sum = c.producer(next_c, "add");
    if (out == nullptr || sum == nullptr || !has_rows_of(c, sum->inputs[0], next_c) ||
        !has_rows_of(c, sum->inputs[1], next_c))
      continue;
    for (size_t side = 0; side < 2; ++side) {
      for (const Factors& fresh : factors(c, sum->inputs[side], "tanh")) {  // tanh(g) * sigmoid(i)
        const Node* in = made_by(c, fresh.other, "sigmoid");
        if (in == nullptr) continue;
        for (const Factors& kept : factors(c, sum->inputs[1 - side], "sigmoid")) {  // sigmoid(f) * c
          const Outlet gates[] = {in->inputs[0], kept.inner, fresh.inner, out->inputs[0]};
          std::vector<GateSum> sums;
          for (const Outlet gate : gates) {
            if (columns_of(c, gate) == hidden) sums.push_back(gate_sum(c, gate, 0, hidden));
          }
          if (sums.size() != 4) continue;
          for (const Outlet state : h ? std::vector<Outlet>{*h} : possible_states(c, sums[0], hidden)) {
            Cell cell;
            cell.hidden = hidden;
            cell.h = state;
            cell.next_h = next_h;
            cell.c = kept.other;
            cell.next_c = next_c;
            cell.inputs = sums;
            const bool all = std::all_of(cell.inputs.begin(), cell.inputs.end(),
                                         [&](GateSum& gate) { return take_recurrent(c, gate, state, cell); });
            if (all && rows_of(c, state) == rows_of(c, next_h)) return cell;
          }
        }
      }
    }
  }
  return std::nullopt;
}

namespace {

// n + z (h - n), or (1 - z) n + z h, with n = tanh(candidate) and z = sigmoid(update).
struct GruEnd {
  Outlet h, update, candidate;
};
std::vector<GruEnd> gru_ends(const RewriteContext& c, Outlet next_h) {
  std::vector<GruEnd> out;
  const Node* sum = c.producer(next_h, "add");
  if (sum == nullptr) return out;
  for (size_t side = 0; side < 2; ++side) {
    const Outlet first = sum->inputs[side], second = sum->inputs[1 - side];
    if (const Node* tanh = made_by(c, first, "tanh")) {
      for (const Factors& f : factors(c, second, "sigmoid")) {
        const Node* difference = made_by(c, f.other, "sub");
        if (difference != nullptr && rows_behind(c, difference->inputs[1]) == rows_behind(c, first))
          out.push_back({difference->inputs[0], f.inner, tanh->inputs[0]});
      }
    }
    // first = (1 - z) n, second = z h
    const Node* weighted = made_by(c, first, "mul");
    for (size_t k = 0; weighted != nullptr && k < 2; ++k) {
      const Node* rest = made_by(c, weighted->inputs[k], "sub");
      const Node* tanh = made_by(c, weighted->inputs[1 - k], "tanh");
      if (rest == nullptr || tanh == nullptr || c.scalar(rest->inputs[0]) != 1.0) continue;
      const Outlet z = rows_behind(c, rest->inputs[1]);
      for (const Factors& f : factors(c, second, "sigmoid")) {
        const Node* update = c.producer(z, "sigmoid");
        if (update != nullptr && update->inputs[0] == f.inner)
          out.push_back({f.other, f.inner, tanh->inputs[0]});
      }
    }
  }
  return out;
}

}  // namespace

std::optional<Cell> gru_cell(const RewriteContext& c, Outlet next_h) {
  next_h = rows_behind(c, next_h);
  const int64_t hidden = columns_of(c, next_h);
  if (hidden < 1 || !is_plain_f32(c.fact(next_h))) return std::nullopt;
  for (const GruEnd& end : gru_ends(c, next_h)) {
    const Outlet h = rows_behind(c, end.h);
    if (columns_of(c, h) != hidden || rows_of(c, h) != rows_of(c, next_h) ||
        columns_of(c, end.candidate) != hidden || columns_of(c, end.update) != hidden)
      continue;
    Cell cell;
    cell.hidden = hidden;
    cell.h = h;
    cell.next_h = next_h;
    const auto add_gates = [&](Outlet reset, GateSum candidate, const GateSum& recurrent, Outlet state) {
      if (columns_of(c, reset) != hidden) return false;
      cell.inputs = {gate_sum(c, reset, 0, hidden), gate_sum(c, end.update, 0, hidden)};
      if (!take_recurrent(c, cell.inputs[0], h, cell) || !take_recurrent(c, cell.inputs[1], h, cell))
        return false;
      GateSum product = recurrent;  // with something beside it, as take_recurrent wants it
      product.terms.insert(product.terms.end(), candidate.terms.begin(), candidate.terms.end());
      if (candidate.terms.empty() || !take_recurrent(c, product, state, cell)) return false;
      cell.inputs.push_back(std::move(candidate));
      return true;
    };
    // tanh(x + r * s): s is the product alone, the numbers beside x stay with x.
    const Outlet candidate = rows_behind(c, end.candidate);
    const Node* sum = c.producer(candidate, "add");
    for (size_t side = 0; sum != nullptr && side < 2; ++side) {
      if (!has_rows_of(c, sum->inputs[0], candidate) || !has_rows_of(c, sum->inputs[1], candidate)) break;
      for (const Factors& reset : factors(c, sum->inputs[side], "sigmoid")) {
        GateSum x = gate_sum(c, sum->inputs[1 - side], 0, hidden);
        if (std::any_of(x.bias.begin(), x.bias.end(), [](double b) { return b != 0; })) {
          x.terms = {{rows_behind(c, sum->inputs[1 - side]), 0}};
          x.bias.assign(static_cast<size_t>(hidden), 0.0);
        }
        Cell tried = cell;
        const GateSum product = gate_sum(c, reset.other, 0, hidden);
        if (product.terms.size() == 1 && add_gates(reset.inner, x, product, h)) return cell;
        cell = std::move(tried);
      }
    }
    // tanh(x + product of (r * h))
    const GateSum all = gate_sum(c, end.candidate, 0, hidden);
    for (size_t i = 0; i < all.terms.size(); ++i) {
      const auto product = constant_product(c, all.terms[i].wire);
      if (!product) continue;
      const Outlet kept = rows_behind(c, product->a);
      for (const Factors& reset : factors(c, kept, "sigmoid")) {
        if (rows_behind(c, reset.other) != h) continue;
        GateSum x = all, own;
        x.terms.erase(x.terms.begin() + static_cast<std::ptrdiff_t>(i));
        own.bias = std::exchange(x.bias, std::vector<double>(static_cast<size_t>(hidden), 0.0));
        own.terms = {all.terms[i]};
        Cell tried = cell;
        cell.reset_before = true;
        if (add_gates(reset.inner, x, own, kept)) return cell;
        cell = std::move(tried);
      }
    }
  }
  return std::nullopt;
}

std::optional<Cell> plain_cell(const RewriteContext& c, Outlet next_h, Outlet h) {
  next_h = rows_behind(c, next_h);
  const Node* tanh = c.producer(next_h, "tanh");
  const Node* function = tanh != nullptr ? tanh : c.producer(next_h, "relu");
  const int64_t hidden = columns_of(c, next_h);
  if (function == nullptr || hidden < 1 || !is_plain_f32(c.fact(next_h))) return std::nullopt;
  Cell cell;
  cell.hidden = hidden;
  cell.h = h;
  cell.next_h = next_h;
  cell.is_tanh = tanh != nullptr;
  cell.inputs = {gate_sum(c, function->inputs[0], 0, hidden)};
  if (!take_recurrent(c, cell.inputs[0], h, cell)) return std::nullopt;
  return cell;
}

// ---- patches ----

PatchWire reshaped(Patch& patch, PatchWire wire, const DimShape& from, const DimShape& to) {
  return from == to ? wire : patch.add("reshape", {wire}, {Attribute::of_dims(to)});
}

PatchWire joined_gates(Patch& patch, const std::vector<std::vector<PatchTerm>>& gates, int64_t hidden) {
  const auto same = [](const PatchWire& a, const PatchWire& b) {
    return a.is_tap == b.is_tap && (a.is_tap ? a.tap == b.tap : a.node == b.node && a.result == b.result);
  };
  // One wire that has them side by side already.
  bool whole = true;
  for (size_t g = 0; g < gates.size(); ++g) {
    whole = whole && gates[g].size() == 1 && same(gates[g][0].wire, gates[0][0].wire) &&
            gates[g][0].begin == static_cast<int64_t>(g) * hidden &&
            gates[g][0].columns == static_cast<int64_t>(gates.size()) * hidden;
  }
  if (whole) return gates[0][0].wire;
  std::vector<PatchWire> parts;
  for (const auto& terms : gates) {
    std::optional<PatchWire> sum;
    for (const PatchTerm& term : terms) {
      PatchWire part = term.wire;
      if (term.columns != hidden) {
        part = patch.add("nnefrun_slice", {part},
                         {Attribute::of_ints({2}), Attribute::of_ints({term.begin}),
                          Attribute::of_ints({hidden}), Attribute::of_ints({})});
      }
      sum = sum ? patch.add("add", {*sum, part}) : part;
    }
    parts.push_back(*sum);
  }
  return parts.size() == 1 ? parts[0] : patch.add("concat", parts, {Attribute(2)});
}

std::optional<PatchWire> add_cell(Patch& patch, CellKind kind, const Cell& cell, PatchWire x, PatchWire h,
                                  PatchWire c, bool reverse) {
  const auto columns = static_cast<int64_t>(cell.bias.size());
  std::vector<PatchWire> inputs{
      x, patch.constant(Tensor::of<float>({columns, cell.hidden}, cell.weights), "recurrent_weights"), h};
  std::vector<uint32_t> counts{1, 1, 1};
  if (kind == CellKind::lstm) {
    inputs.push_back(c);
    counts.push_back(1);
  }
  const bool has_bias = std::any_of(cell.bias.begin(), cell.bias.end(), [](double b) { return b != 0; });
  counts.push_back(has_bias ? 1 : 0);
  if (has_bias) {
    const auto bias = rounded({columns}, cell.bias);
    if (!bias) return std::nullopt;
    inputs.push_back(patch.constant(*bias, "recurrent_bias"));
  }
  std::vector<Attribute> attributes;
  if (kind == CellKind::gru) attributes.emplace_back(cell.reset_before);
  if (kind == CellKind::plain) attributes.emplace_back(cell.is_tanh ? "tanh" : "relu");
  attributes.emplace_back(reverse);
  const char* op = kind == CellKind::lstm  ? "nnefrun_lstm"
                   : kind == CellKind::gru ? "nnefrun_gru"
                                           : "nnefrun_rnn";
  return patch.add(op, inputs, attributes, {}, counts);
}

}  // namespace nnefrun
