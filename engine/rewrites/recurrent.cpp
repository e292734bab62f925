// Recurrent cells that a text spells out for a single step, and products of one tensor that lie side by side.
#include <algorithm>

#include "engine/rewrites/gates.h"
#include "engine/rewrites/match.h"

namespace nnefrun {
namespace {

DimShape leading_of(const DimShape& shape) { return {shape.begin(), shape.end() - 1}; }

// One step of a cell as a node over a time of 1.
std::optional<Patch> one_step(const RewriteContext& c, CellKind kind, const Cell& cell) {
  const DimShape shape = c.node().facts[0].shape;
  const Dim rows = volume_of(leading_of(shape)), hidden(cell.hidden);
  if (!has_no_zero_extent(shape)) return std::nullopt;
  Patch patch;
  std::vector<std::vector<PatchTerm>> gates;
  std::vector<std::pair<Outlet, PatchWire>> known;  // each wire once
  for (const GateSum& gate : cell.inputs) {
    gates.emplace_back();
    for (const GateTerm& term : gate.terms) {
      const DimShape& from = c.fact(term.wire).shape;
      if (!has_no_zero_extent(from) || volume_of(leading_of(from)) != rows) return std::nullopt;
      auto it = std::find_if(known.begin(), known.end(), [&](const auto& k) { return k.first == term.wire; });
      if (it == known.end()) {
        known.emplace_back(term.wire,
                           reshaped(patch, Patch::tap(term.wire), from, {Dim(1), rows, from.back()}));
        it = known.end() - 1;
      }
      gates.back().push_back({it->second, from.back().value(), term.begin});
    }
  }
  const DimShape state{rows, hidden};
  const auto state_of = [&](Outlet outlet) {
    return reshaped(patch, Patch::tap(outlet), c.fact(outlet).shape, state);
  };
  const PatchWire x = joined_gates(patch, gates, cell.hidden), h = state_of(cell.h);
  const PatchWire memory = kind == CellKind::lstm ? state_of(cell.c) : h;
  const auto node = add_cell(patch, kind, cell, x, h, memory, false);
  if (!node) return std::nullopt;
  const auto result = [&](uint32_t index, const DimShape& to) {
    PatchWire wire = *node;
    wire.result = index;
    return reshaped(patch, wire, state, to);
  };
  patch.results = {result(1, shape)};
  if (kind == CellKind::lstm) patch.also = {{cell.next_c, result(2, c.fact(cell.next_c).shape)}};
  return patch;
}

std::optional<Patch> lstm_of_step(const RewriteContext& c) {
  const auto cell = lstm_cell(c, {c.index, 0}, std::nullopt);
  return cell ? one_step(c, CellKind::lstm, *cell) : std::nullopt;
}

std::optional<Patch> gru_of_step(const RewriteContext& c) {
  const auto cell = gru_cell(c, {c.index, 0});
  return cell ? one_step(c, CellKind::gru, *cell) : std::nullopt;
}

constexpr Rewrite kCellRewrites[] = {
    {"lstm-cell", "mul",
     "sigmoid(o) * tanh(c'), c' = sigmoid(f) * c + sigmoid(i) * tanh(g), gates x + h R => nnefrun_lstm",
     lstm_of_step},
    {"gru-cell", "add", "n + z * (h - n), n = tanh(x_n + r * (h R_n)), gates x + h R => nnefrun_gru",
     gru_of_step},
};

}  // namespace

std::span<const Rewrite> cell_rewrites() { return kCellRewrites; }

}  // namespace nnefrun
