// The gates of recurrent cells as a text spells them: sums of products and numbers, slices of them, and the
// cells that these make.
//
// Wires are compared by their rows: a value is [rows, columns] with columns along its last axis, whatever
// units squeezes and reshapes put in front.
#pragma once

#include <optional>
#include <vector>

#include "engine/rewrites/rewrite.h"

namespace nnefrun {

// The wire behind reshapes that keep the last axis: the same rows.
Outlet rows_behind(const RewriteContext& c, Outlet outlet);

// Columns from `begin` on of a wire.
struct GateTerm {
  Outlet wire;
  int64_t begin = 0;
};
// What a gate of so many columns adds up, apart from numbers.
struct GateSum {
  std::vector<GateTerm> terms;
  std::vector<double> bias;  // one for each column
};
// `count` columns of a wire from `begin` on as a sum, through sums, slices and splits.
GateSum gate_sum(const RewriteContext& c, Outlet outlet, int64_t begin, int64_t count);

// A product with constant weights: rows of `a` [.., inputs] times weights, plus a bias.
struct ConstantProduct {
  Outlet a;
  const Tensor* weights = nullptr;
  bool transposed = false;  // the weights are [columns, inputs]
  int64_t inputs = 0, columns = 0;
  std::vector<double> bias;  // of each column; empty: none
  float weight(int64_t column, int64_t input) const;
};
std::optional<ConstantProduct> constant_product(const RewriteContext& c, Outlet outlet);

// A cell. Recurrent weights and bias are those of the engine's rows, the inputs' part of each gate is what is
// left of its sum.
struct Cell {
  int64_t hidden = 0;
  Outlet h, next_h;             // before and after
  Outlet c, next_c;             // of an LSTM
  std::vector<float> weights;   // [gates * hidden, hidden]
  std::vector<double> bias;     // [gates * hidden]
  std::vector<GateSum> inputs;  // of each gate, without numbers
  bool reset_before = false;    // of a GRU
  bool is_tanh = false;         // of a plain cell
};
// The cell whose next state is `next_h`. `h` (by rows_behind) is its state before; for an LSTM it may be left
// open.
std::optional<Cell> lstm_cell(const RewriteContext& c, Outlet next_h, std::optional<Outlet> h);
std::optional<Cell> gru_cell(const RewriteContext& c, Outlet next_h);
std::optional<Cell> plain_cell(const RewriteContext& c, Outlet next_h, Outlet h);

// Wires of a patch, [time, rows, columns] each: what a gate's term is there.
struct PatchTerm {
  PatchWire wire;
  int64_t columns = 0;
  int64_t begin = 0;
};
// The gates side by side, [time, rows, gates * hidden]. REQUIRES: each gate has a term.
PatchWire joined_gates(Patch& patch, const std::vector<std::vector<PatchTerm>>& gates, int64_t hidden);
// The cell as a node of the patch. x [time, rows, gates * hidden], states [rows, hidden]; nullopt when a
// number does not fit f32. `c` counts for an LSTM.
enum class CellKind : uint8_t { lstm, gru, plain };
std::optional<PatchWire> add_cell(Patch& patch, CellKind kind, const Cell& cell, PatchWire x, PatchWire h,
                                  PatchWire c, bool reverse);

// The wire under another shape of the same volume; itself when that is its own.
PatchWire reshaped(Patch& patch, PatchWire wire, const DimShape& from, const DimShape& to);

}  // namespace nnefrun
