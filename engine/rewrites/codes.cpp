// Chains that dequantise 8-bit codes, compute in f32 and quantise again become one operator on codes, which
// computes the same bit for bit: a table of 256 entries is made by evaluating the chain itself.
#include <algorithm>
#include <limits>

#include "engine/rewrites/match.h"

namespace nnefrun {
namespace {

constexpr size_t kLongestChain = 8;

bool is_code(const Fact& fact) {
  return fact.quant && (fact.dtype == DataType::i8 || fact.dtype == DataType::u8);
}

// The node that makes f32 of codes behind a wire; null when there is none.
const Node* reals_of_codes(const RewriteContext& c, Outlet wire) {
  const Node* cast = c.producer(wire, "tract_core_cast");
  if (cast == nullptr || !is_plain_f32(cast->facts[0]) || !is_code(c.fact(cast->inputs[0]))) return nullptr;
  return c.constant(cast->inputs[0]) == nullptr ? cast : nullptr;
}

// Functions of one f32 tensor (the other arguments are numbers), last first, and what they begin with.
struct Chain {
  std::vector<const Node*> nodes;
  Outlet begin;
};
Chain chain_behind(const RewriteContext& c, Outlet wire) {
  Chain chain{{}, wire};
  while (chain.nodes.size() < kLongestChain) {
    const Node& node = c.graph.node(chain.begin);
    const bool clamps = node.op->name == "clamp" || node.op->name == "nnefrun_clip";
    if ((!node.op->elementwise && !clamps) || node.op->stateful || node.facts.size() != 1 ||
        !is_plain_f32(node.facts[0]))
      break;
    std::optional<Outlet> argument;
    bool fits = true;
    for (const Outlet& input : node.inputs) {
      const Tensor* constant = c.constant(input);
      if (constant != nullptr) {
        fits = fits && constant->size() == 1 && is_plain_f32(c.fact(input));
      } else {
        fits = fits && !argument && is_plain_f32(c.fact(input)) && c.fact(input).shape == node.facts[0].shape;
        argument = input;
      }
    }
    if (!fits || !argument) break;
    chain.nodes.push_back(&node);
    chain.begin = *argument;
  }
  return chain;
}

std::optional<Tensor> evaluated(const RewriteContext& c, const Node& node, const Tensor& value) {
  std::vector<Tensor> arguments;
  for (const Outlet& input : node.inputs) {
    const Tensor* constant = c.constant(input);
    arguments.push_back(constant != nullptr ? *constant : value);
  }
  const SymbolValues no_symbols;
  EvalContext context(node, signature_of(node.op), c.graph, std::move(arguments), no_symbols, nullptr);
  try {
    return node.op->eval(context)[0];
  } catch (const Error&) {
    return std::nullopt;
  }
}
// The chain and the cast that ends it, of these reals.
std::optional<Tensor> evaluated(const RewriteContext& c, const Chain& chain, Tensor value) {
  for (size_t i = chain.nodes.size(); i-- > 0;) {
    const auto next = evaluated(c, *chain.nodes[i], value);
    if (!next || next->size() != value.size()) return std::nullopt;
    value = *next;
  }
  return evaluated(c, c.node(), value);
}

Tensor table_of(const Tensor& codes) {
  std::vector<int64_t> table;
  for (int64_t i = 0; i < codes.size(); ++i) table.push_back(codes.as_int(i));
  return Tensor::of<int64_t>({256}, table);
}

const std::string& target_of(const RewriteContext& c) {
  return std::get<std::string>(c.read(c.node()).attribute("to").value);
}
bool makes_codes(const RewriteContext& c) {
  return is_code(c.node().facts[0]) && is_plain_f32(c.fact(c.node().inputs[0])) &&
         c.constant(c.node().inputs[0]) == nullptr;
}

PatchWire map(const RewriteContext& c, Patch& patch, PatchWire x, Tensor table, std::string name = {}) {
  const PatchWire wire = patch.constant(std::move(table), c.node().result_names[0] + "_table");
  return patch.add("nnefrun_qmap", {x, wire}, {Attribute(target_of(c))}, std::move(name));
}

std::optional<Patch> as_map(const RewriteContext& c) {
  if (!makes_codes(c)) return std::nullopt;
  const Chain chain = chain_behind(c, c.node().inputs[0]);
  const Node* reals = reals_of_codes(c, chain.begin);
  if (reals == nullptr) return std::nullopt;
  const Fact& from = c.fact(reals->inputs[0]);
  std::vector<int64_t> all(256);
  for (int i = 0; i < 256; ++i) all[static_cast<size_t>(i)] = from.dtype == DataType::i8 ? i - 128 : i;
  Tensor codes = Tensor::uninitialized(from.dtype, {256});
  for (size_t i = 0; i < 256; ++i) codes.mutable_bytes()[i] = static_cast<std::byte>(all[i]);
  const auto real = evaluated(c, *reals, codes);
  const auto mapped = real ? evaluated(c, chain, *real) : std::nullopt;
  if (!mapped || mapped->size() != 256) return std::nullopt;
  const Tensor table = table_of(*mapped);
  const bool same =
      std::equal(all.begin(), all.end(), table.data<int64_t>()) && from.same_type(c.node().facts[0]);
  if (same) return replace_by(reals->inputs[0]);
  Patch patch;
  patch.results = {map(c, patch, Patch::tap(reals->inputs[0]), table)};
  return patch;
}

// A chain that only clamps: rounding keeps order, so it may clamp the codes instead. The table, or nothing
// when the chain is empty; nullopt when it does something else.
std::optional<std::optional<Tensor>> clamp_of(const RewriteContext& c, const Chain& chain) {
  if (chain.nodes.empty()) return std::optional<Tensor>();
  for (const Node* node : chain.nodes) {
    const std::string_view op = node->op->name;
    if (op != "relu" && op != "clamp" && op != "nnefrun_clip" && op != "max" && op != "min")
      return std::nullopt;
    for (const Outlet& input : node->inputs) {
      const auto number = c.scalar(input);
      if (number && *number != *number) return std::nullopt;
    }
  }
  constexpr float kLargest = std::numeric_limits<float>::max();
  const auto ends = evaluated(c, chain, Tensor::of<float>({2}, {-kLargest, kLargest}));
  if (!ends || ends->size() != 2 || ends->as_int(0) > ends->as_int(1)) return std::nullopt;
  std::vector<int64_t> table;
  const int64_t lowest = ends->dtype() == DataType::i8 ? -128 : 0;
  for (int64_t code = lowest; code < lowest + 256; ++code)
    table.push_back(std::clamp(code, ends->as_int(0), ends->as_int(1)));
  return std::optional<Tensor>(Tensor::of<int64_t>({256}, table));
}

// op(reals) as one operator, then the clamp.
Patch with_clamp(const RewriteContext& c, const std::optional<Tensor>& clamp, const std::string& op,
                 const std::vector<Outlet>& inputs, std::vector<Attribute> attributes) {
  Patch patch;
  std::vector<PatchWire> wires;
  for (const Outlet& input : inputs) wires.push_back(Patch::tap(input));
  const PatchWire result = patch.add(op, wires, std::move(attributes));
  patch.results = {clamp ? map(c, patch, result, *clamp) : result};
  return patch;
}

bool is_gate(const DimShape& x, const DimShape& y) {
  return x.size() >= 3 && x.size() <= 5 && x.size() == y.size() && x[0] == y[0] && x[1] == y[1] &&
         std::all_of(y.begin() + 2, y.end(), [](const Dim& d) { return d.is(1); });
}

std::optional<Patch> as_binary(const RewriteContext& c) {
  if (!makes_codes(c)) return std::nullopt;
  const Chain chain = chain_behind(c, c.node().inputs[0]);
  const Node& node = c.graph.node(chain.begin);
  const std::string op(node.op->name);
  if (op != "add" && op != "sub" && op != "mul" && op != "max" && op != "min") return std::nullopt;
  const Node *x = reals_of_codes(c, node.inputs[0]), *y = reals_of_codes(c, node.inputs[1]);
  if (x == nullptr || y == nullptr) return std::nullopt;
  Outlet first = x->inputs[0], second = y->inputs[0];
  // The operand of the result's shape comes first.
  if (c.fact(first).shape != node.facts[0].shape) {
    if (op == "sub") return std::nullopt;
    std::swap(first, second);
  }
  const DimShape &full = c.fact(first).shape, &other = c.fact(second).shape;
  if (full != node.facts[0].shape || (other != full && !is_gate(full, other))) return std::nullopt;
  const auto clamp = clamp_of(c, chain);
  if (!clamp) return std::nullopt;
  return with_clamp(c, *clamp, "nnefrun_qbinary", {first, second}, {Attribute(op), Attribute(target_of(c))});
}

std::optional<Patch> as_mean(const RewriteContext& c) {
  if (!makes_codes(c)) return std::nullopt;
  const Chain chain = chain_behind(c, c.node().inputs[0]);
  const Node* mean = c.producer(chain.begin, "mean_reduce");
  const Node* reals = mean == nullptr ? nullptr : reals_of_codes(c, mean->inputs[0]);
  if (reals == nullptr) return std::nullopt;
  auto axes = c.read(*mean).integers("axes");
  const DimShape& shape = c.fact(mean->inputs[0]).shape;
  std::sort(axes.begin(), axes.end());
  if (shape.size() < 3 || shape.size() > 5 || axes.size() != shape.size() - 2) return std::nullopt;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != static_cast<int64_t>(i + 2) || !shape[i + 2].is_constant()) return std::nullopt;
  }
  const auto clamp = clamp_of(c, chain);
  if (!clamp) return std::nullopt;
  return with_clamp(c, *clamp, "nnefrun_qmean", {reals->inputs[0]},
                    {Attribute::of_ints(axes), Attribute(target_of(c))});
}

std::optional<Patch> as_pool(const RewriteContext& c) {
  if (!makes_codes(c)) return std::nullopt;
  const Chain chain = chain_behind(c, c.node().inputs[0]);
  const Node& pool = c.graph.node(chain.begin);
  const std::string_view op = pool.op->name;
  if (op != "avg_pool" && op != "max_pool" && op != "box") return std::nullopt;
  const NodeReader r = c.read(pool);
  const std::string& border = r.string("border");
  const Node* reals = reals_of_codes(c, pool.inputs[0]);
  if (reals == nullptr || (border != "constant" && border != "ignore")) return std::nullopt;
  const DimShape& shape = c.fact(pool.inputs[0]).shape;
  const auto size = r.dims("size");
  const bool over_positions = shape.size() >= 3 && shape.size() <= 5 && size[0].is(1) && size[1].is(1);
  if (!over_positions || !shape[1].is_constant()) return std::nullopt;
  if (op == "max_pool") {
    // The codes' order is that of the reals: what follows is a table.
    Patch patch;
    const PatchWire codes = patch.add("max_pool", {Patch::tap(reals->inputs[0])}, pool.attributes);
    PatchWire wire = patch.add("tract_core_cast", {codes}, reals->attributes);
    for (size_t i = chain.nodes.size(); i-- > 0;) {
      std::vector<PatchWire> inputs;
      for (const Outlet& input : chain.nodes[i]->inputs)
        inputs.push_back(c.constant(input) != nullptr ? Patch::tap(input) : wire);
      wire = patch.add(std::string(chain.nodes[i]->op->name), inputs, chain.nodes[i]->attributes, {},
                       chain.nodes[i]->input_counts);
    }
    patch.results = {patch.add("tract_core_cast", {wire}, c.node().attributes)};
    return patch;
  }
  if (op == "box" && !r.logical("normalize")) return std::nullopt;
  const auto clamp = clamp_of(c, chain);
  if (!clamp) return std::nullopt;
  return with_clamp(c, *clamp, "nnefrun_qavg_pool", {reals->inputs[0]},
                    {r.attribute("size"), r.attribute("border"), r.attribute("padding"),
                     r.attribute("stride"), r.attribute("dilation"), Attribute(target_of(c))});
}

// Moves of reals that were codes, and become codes, are moves of codes.
std::optional<Patch> through_move(const RewriteContext& c) {
  if (!makes_codes(c)) return std::nullopt;
  const Node& move = c.graph.node(c.node().inputs[0]);
  static constexpr std::string_view kMoves[] = {
      "reshape", "squeeze", "unsqueeze", "transpose", "nnefrun_slice", "concat", "stack", "tile", "copy"};
  if (std::find(std::begin(kMoves), std::end(kMoves), move.op->name) == std::end(kMoves)) return std::nullopt;
  Patch patch;
  std::vector<PatchWire> inputs;
  for (const Outlet& input : move.inputs) {
    if (reals_of_codes(c, input) == nullptr) return std::nullopt;
    inputs.push_back(patch.add("tract_core_cast", {Patch::tap(input)}, c.node().attributes));
  }
  patch.results = {patch.add(std::string(move.op->name), inputs, move.attributes, {}, move.input_counts)};
  return patch;
}

constexpr Rewrite kRewrites[] = {
    {"codes-map", "tract_core_cast", "quantise(f(dequantise(x))) => a table of 256 codes, or x", as_map},
    {"codes-binary", "tract_core_cast", "quantise(clamp(dequantise(x) op dequantise(y))) => one sum of codes",
     as_binary},
    {"codes-mean", "tract_core_cast", "quantise(clamp(mean(dequantise(x)))) => one mean of codes", as_mean},
    {"codes-pool", "tract_core_cast", "quantise(f(pool(dequantise(x)))) => a pool of codes", as_pool},
    {"codes-through-move", "tract_core_cast",
     "quantise(move(dequantise(x))) => move(quantise(dequantise(x)))", through_move},
};

}  // namespace

std::span<const Rewrite> code_rewrites() { return kRewrites; }

}  // namespace nnefrun
