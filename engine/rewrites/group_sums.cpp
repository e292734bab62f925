// Zero points that are taken off codes as integers, before these become real numbers.
#include <algorithm>

#include "engine/rewrites/groups.h"

namespace nnefrun {
namespace {

bool is_move(const Node& node) {
  const std::string_view op = node.op->name;
  return op == "reshape" || op == "squeeze" || op == "unsqueeze" || op == "transpose";
}
bool is_sum(const Node& node) { return node.op->name == "add" || node.op->name == "sub"; }

// Between which numbers integers are that are computed from constants, where no step of it wraps around.
std::optional<CodeRange> bounds_of(const RewriteContext& c, Outlet outlet, int& nodes) {
  const Fact& fact = c.fact(outlet);
  if (!is_integer(fact.dtype) || fact.quant || --nodes < 0) return std::nullopt;
  const Node& node = c.graph.node(outlet);
  const bool is_cast = node.op->name == "tract_core_cast";
  std::optional<CodeRange> bounds;
  if (!fact.constant && (is_move(node) || is_cast)) {
    bounds = bounds_of(c, node.inputs[0], nodes);
  } else if (!fact.constant && is_sum(node)) {
    const auto a = bounds_of(c, node.inputs[0], nodes), b = bounds_of(c, node.inputs[1], nodes);
    if (!a || !b) return std::nullopt;
    bounds = node.op->name == "add" ? CodeRange{a->low + b->low, a->high + b->high}
                                    : CodeRange{a->low - b->high, a->high - b->low};
  } else {
    const auto value = constant_value(c, outlet, true, nodes);
    if (!value || value->size() == 0) return std::nullopt;
    bounds = CodeRange{value->as_int(0), value->as_int(0)};
    for (int64_t i = 0; i < value->size(); ++i) {
      bounds->low = std::min(bounds->low, value->as_int(i));
      bounds->high = std::max(bounds->high, value->as_int(i));
    }
  }
  constexpr int64_t kExact = int64_t{1} << 24;  // in f32
  if (!bounds || !holds(fact.dtype, *bounds) || bounds->low < -kExact || bounds->high > kExact)
    return std::nullopt;
  return bounds;
}

// f32(codes - zero points) = f32(codes) - f32(zero points), also behind moves: what is added is not made part
// of the codes, which would take more bits.
std::optional<Patch> of_sum(const RewriteContext& c) {
  const Node& node = c.node();
  const Outlet inner = node.inputs[0];
  const auto shape = c.fact(inner).static_shape();
  if (!is_plain_f32(node.facts[0]) || c.fact(inner).constant || !shape || volume_of(*shape) < kLeastCodes)
    return std::nullopt;
  const Node& last = c.graph.node(inner);
  const Node* sum = &last;
  while (is_move(*sum)) sum = &c.graph.node(sum->inputs[0]);
  if (!is_sum(*sum) || sum->facts[0].constant) return std::nullopt;
  const auto small = [&](Outlet outlet) {
    const auto own = c.fact(outlet).static_shape();
    return own && volume_of(*own) <= std::max<int64_t>(1, volume_of(*shape) / kLeastGroup);
  };
  int nodes = kMostOperations;
  if (small(sum->inputs[0]) == small(sum->inputs[1]) || !bounds_of(c, inner, nodes)) return std::nullopt;
  Patch patch;
  std::vector<PatchWire> reals;
  for (const Outlet& input : last.inputs)
    reals.push_back(patch.add("tract_core_cast", {Patch::tap(input)}, {Attribute("f32")}));
  patch.results = {patch.add(std::string(last.op->name), std::move(reals), last.attributes)};
  return patch;
}

constexpr Rewrite kRewrites[] = {
    {"groups-of-sum", "tract_core_cast", "f32(codes - zero) => f32(codes) - f32(zero)", of_sum},
};

}  // namespace

std::span<const Rewrite> group_sum_rewrites() { return kRewrites; }

}  // namespace nnefrun
