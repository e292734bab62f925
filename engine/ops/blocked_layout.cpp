#include "engine/ops/blocked_layout.h"

#include <numeric>
#include <unordered_map>

#include "engine/ops/blocked_rows.h"
#include "engine/ops/lowering_quant.h"
#include "kernels/blocked/blocked.h"

namespace nnefrun {
namespace {

constexpr double kBytesPerNanosecond = 8;  // of a repack, read and write together
constexpr int64_t kGuess = 32;             // an extent that only the run knows

// Sets of nodes, joined by wires.
class Islands {
 public:
  explicit Islands(size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), 0U); }
  uint32_t find(uint32_t node) {
    while (parent_[node] != node) node = parent_[node] = parent_[parent_[node]];
    return node;
  }
  void join(uint32_t a, uint32_t b) { parent_[find(a)] = find(b); }

 private:
  std::vector<uint32_t> parent_;
};

bool lower_blocked(PlanBuilder& b, const Graph& graph, uint32_t node) {
  if (b.layouts().nodes[node] == 2) return graph.node(node).op->lower(b, graph, node);
  const BlockedRow* row = find_blocked_row(graph.node(node).op);
  return row != nullptr && row->lower(b, graph, node);
}

}  // namespace

ExtentGuess::ExtentGuess(const Graph& graph) {
  for (const std::string& symbol : graph.symbols) symbols[symbol] = kGuess;
}
double ExtentGuess::operator()(const Dim& extent) const {
  return static_cast<double>(extent.evaluate(symbols).value_or(kGuess));
}
double ExtentGuess::operator()(const DimShape& shape) const {
  double volume = 1;
  for (const Dim& extent : shape) volume *= (*this)(extent);
  return volume;
}

const BlockedRow* find_blocked_row(const OpDef* op) {
  static const auto* const by_op = [] {
    auto* map = new std::unordered_map<const OpDef*, const BlockedRow*>;
    for (const auto rows : {blocked_conv_rows(), blocked_other_rows()}) {
      for (const BlockedRow& row : rows) map->emplace(find_op(row.op), &row);
    }
    return map;
  }();
  const auto it = by_op->find(op);
  return it == by_op->end() ? nullptr : it->second;
}

BlockedLayouts choose_blocked_layouts(const Graph& graph, const BlockedLayoutOptions& options) {
  BlockedLayouts layouts;
  layouts.block = kernels::channel_block();
  layouts.winograd = options.winograd;
  layouts.lower = lower_blocked;
  const auto count = static_cast<uint32_t>(graph.nodes().size());
  layouts.nodes.assign(count, 0);

  const ExtentGuess guess(graph);
  std::vector<BlockedFit> fits(count);
  Islands islands(count);
  for (uint32_t n = 0; n < count; ++n) {
    const Node& node = graph.node(n);
    const BlockedRow* row = find_blocked_row(node.op);
    if (row == nullptr || (node.facts.size() == 1 && node.facts[0].constant)) continue;
    fits[n] = row->fit(graph, n, layouts, guess);
    if (!fits[n].fits) continue;
    for (const Outlet& input : node.inputs) {
      if (fits[input.node].fits) islands.join(n, input.node);
    }
  }

  // What each island saves; every wire that crosses its shore is repacked once.
  std::vector<double> balance(count, 0);
  std::vector<uint8_t> has_convolution(count, 0);
  const auto repack_time = [&](Outlet wire) {
    return 2 * 4 * guess(graph.fact(wire).shape) / kBytesPerNanosecond;
  };
  std::vector<uint8_t> paid(count, 0);  // for the way in, the way out
  const auto pay = [&](Outlet wire, uint32_t island, uint8_t bit) {
    if ((paid[wire.node] & bit) != 0) return;
    paid[wire.node] |= bit;
    balance[island] -= repack_time(wire);
  };
  for (uint32_t n = 0; n < count; ++n) {
    const Node& node = graph.node(n);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Outlet wire = node.inputs[i];
      if (graph.fact(wire).constant) continue;
      if (fits[n].fits && !fits[wire.node].fits && !(i == 0 && fits[n].takes_plain))
        pay(wire, islands.find(n), 1);
      if (!fits[n].fits && fits[wire.node].fits) pay(wire, islands.find(wire.node), 2);
    }
    if (!fits[n].fits) continue;
    balance[islands.find(n)] += fits[n].gain;
    if (fits[n].is_convolution) has_convolution[islands.find(n)] = 1;
  }
  for (const GraphOutput& output : graph.outputs) {
    if (fits[output.outlet.node].fits) pay(output.outlet, islands.find(output.outlet.node), 2);
  }
  for (uint32_t n = 0; n < count; ++n) {
    const uint32_t island = islands.find(n);
    layouts.nodes[n] = fits[n].fits && has_convolution[island] != 0 && balance[island] > 0 ? 1 : 0;
  }
  // Codes: repacks cost little beside what they feed.
  for (uint32_t n = 0; n < count; ++n) {
    const Node& node = graph.node(n);
    const bool constant = node.facts.size() == 1 && node.facts[0].constant;
    if (!constant && node.op->lower != nullptr && fits_channels_last(graph, n, layouts.nodes))
      layouts.nodes[n] = 2;
  }
  return layouts;
}

}  // namespace nnefrun
