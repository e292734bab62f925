// Constants: what does not depend on any input is computed once, now.
#include <algorithm>

#include "engine/rewrites/match.h"

namespace nnefrun {
namespace {

// Results of this size are always worth keeping; larger ones only when the arguments are as large.
constexpr size_t kSmallBytes = size_t{4} << 20;

bool is_foldable(const Node& node) {
  // Weights that stay codes, unless somebody has said what they are.
  if (node.op->name == "nnefrun_dequantize_groups" && !node.facts[0].constant) return false;
  return is_computable(node);
}

// The values of a node's results; empty when they cannot be had now. An operator that refuses its arguments
// is left alone: the run tells, if it gets there.
std::vector<Tensor> values_of(const RewriteContext& c) {
  const Node& node = c.node();
  const bool known =
      std::ranges::all_of(node.facts, [](const Fact& fact) { return fact.constant != nullptr; });
  if (!known && std::ranges::any_of(node.inputs, [&](Outlet input) { return c.constant(input) == nullptr; }))
    return {};
  std::vector<Tensor> values;
  size_t result_bytes = 0, argument_bytes = 0;
  for (const Fact& fact : node.facts) {
    const auto shape = fact.static_shape();
    if (!shape || fact.dtype == DataType::string || fact.dtype == DataType::dim) return {};
    result_bytes += byte_size_of(fact.dtype, *shape);
    if (fact.constant) values.push_back(*fact.constant);
  }
  if (values.size() == node.facts.size()) return values;
  std::vector<Tensor> arguments;
  for (const Outlet& input : node.inputs) {
    const Tensor* value = c.constant(input);
    // Codes are there to become numbers: once is better than in every run.
    const bool codes = value->dtype() == DataType::u8 || value->dtype() == DataType::i8;
    argument_bytes += value->byte_size() * (codes ? sizeof(int64_t) : 1);
    arguments.push_back(*value);
  }
  if (result_bytes > std::max(argument_bytes, kSmallBytes)) return {};
  const SymbolValues no_symbols;
  EvalContext context(node, signature_of(node.op), c.graph, std::move(arguments), no_symbols, nullptr);
  try {
    values = node.op->eval(context);
  } catch (const Error&) {
    return {};
  }
  for (size_t r = 0; r < node.facts.size(); ++r) {
    if (values[r].dtype() != node.facts[r].dtype || values[r].shape() != *node.facts[r].static_shape())
      return {};
  }
  return values;
}

std::optional<Patch> fold(const RewriteContext& c) {
  const Node& node = c.node();
  if (!is_foldable(node)) return std::nullopt;
  std::vector<Tensor> values = values_of(c);
  if (values.empty()) return std::nullopt;
  // What is made of one stored tensor keeps the name that people know.
  const bool keeps_name = node.inputs.size() == 1 && c.graph.node(node.inputs[0]).op->name == "variable";
  Patch patch;
  for (size_t r = 0; r < values.size(); ++r) {
    const std::string& name = keeps_name ? c.graph.name_of(node.inputs[0]) : node.result_names[r];
    patch.results.push_back(patch.constant(std::move(values[r]), name, node.facts[r].quant));
  }
  return patch;
}

constexpr Rewrite kRewrites[] = {
    {"fold-constants", "", "f(constants) => its value, unless that is much larger than the arguments", fold},
};

}  // namespace

std::span<const Rewrite> constant_rewrites() { return kRewrites; }

}  // namespace nnefrun
