// Recurrent cells over time: for each step one product of the state with the packed weights, and the gates.

#include <cstring>

#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/matmul/matmul.h"
#include "kernels/recurrent/recurrent.h"

namespace nnefrun {
namespace {

const float* floats(const View* view) { return reinterpret_cast<const float*>(view->data); }
float* results(const View* view) { return reinterpret_cast<float*>(view->data); }

struct BoundRecurrent {
  int64_t time, rows, hidden, columns;
  size_t sums,
      kept;  // bytes of the scratch: s, and sigmoid(r) h of a GRU that resets before; then the workspace
};

RecurrentCell cell_of(const StepContext& c) {
  return static_cast<RecurrentCell>(c.as<RecurrentParameters>().cell);
}
int64_t gates_of(RecurrentCell cell) {
  switch (cell) {
    case RecurrentCell::lstm: return 4;
    case RecurrentCell::gru:
    case RecurrentCell::gru_before: return 3;
    default: return 1;
  }
}
size_t aligned(int64_t items) { return (static_cast<size_t>(items) * sizeof(float) + 63) / 64 * 64; }

Status recurrent_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<RecurrentParameters>();
  auto& bound = *static_cast<BoundRecurrent*>(c.bound);
  const auto& kernel = kernels::choose_matmul_f32();
  if (p.packed_nr != kernel.nr) return failed(StatusCode::bad_plan, p.packed_nr, kernel.nr);
  const View &x = *c.inputs[0], &h = *c.inputs[3];
  bound.time = x.dims[0];
  bound.rows = x.dims[1];
  bound.hidden = p.hidden;
  bound.columns = gates_of(cell_of(c)) * p.hidden;
  const auto is_state = [&](const View& v) {
    return v.rank == 2 && v.dims[0] == bound.rows && v.dims[1] == bound.hidden;
  };
  const bool is_lstm = cell_of(c) == RecurrentCell::lstm;
  if (x.dims[2] != bound.columns || c.inputs[2]->size() != bound.columns || !is_state(h) ||
      (is_lstm && !is_state(*c.inputs[4])))
    return failed(StatusCode::shape_mismatch, x.dims[2], bound.columns);
  bound.sums = aligned(bound.rows * bound.columns);
  bound.kept = cell_of(c) == RecurrentCell::gru_before ? aligned(bound.rows * bound.hidden) : 0;
  *scratch = bound.sums + bound.kept +
             kernels::matmul_workspace_size(bound.rows, bound.columns, bound.hidden, false, true, kernel);
  return {};
}

Status recurrent_run(const StepContext& c) {
  const auto& p = c.as<RecurrentParameters>();
  const auto& bound = *static_cast<BoundRecurrent*>(c.bound);
  const auto& kernel = kernels::choose_matmul_f32();
  const auto& cells = kernels::choose_recurrent();
  const int64_t state = bound.rows * bound.hidden, gates = bound.rows * bound.columns;
  if (state == 0) return {};  // nothing to compute, and perhaps no memory to point at
  auto* sums = reinterpret_cast<float*>(c.scratch);
  auto* kept = reinterpret_cast<float*>(c.scratch + bound.sums);
  std::byte* workspace = c.scratch + bound.sums + bound.kept;
  const RecurrentCell cell = cell_of(c);

  // s[rows, columns from `column` on] = from * packed weights
  const auto multiply = [&](const float* from, const float* packed, int64_t column, int64_t columns) {
    kernels::MatmulArgs m;
    m.m = bound.rows;
    m.n = columns;
    m.k = bound.hidden;
    m.a = from;
    m.a_row_stride = bound.hidden;
    m.packed_b = packed;
    m.c = sums + column;
    m.c_row_stride = bound.columns;
    kernels::matmul_f32(m, workspace, kernel);
  };

  kernels::CellArgs a;
  a.rows = bound.rows;
  a.hidden = bound.hidden;
  a.s = sums;
  a.bias = floats(c.inputs[2]);
  const float* h = floats(c.inputs[3]);
  if (cell == RecurrentCell::lstm) {
    std::memmove(results(c.outputs[2]), floats(c.inputs[4]), static_cast<size_t>(state) * sizeof(float));
    a.c = a.c_out = results(c.outputs[2]);
  }
  for (int64_t i = 0; i < bound.time; ++i) {
    const int64_t t = p.reverse != 0 ? bound.time - 1 - i : i;
    float* next = results(c.outputs[0]) + t * state;
    a.x = floats(c.inputs[0]) + t * gates;
    a.h = h;
    a.h_out = next;
    if (cell == RecurrentCell::gru_before) {
      multiply(h, floats(c.inputs[1]), 0, 2 * bound.hidden);
      a.h_out = kept;
      cells.gru_reset(a);
      multiply(kept, floats(c.inputs[1]) + p.second, 2 * bound.hidden, bound.hidden);
      a.h_out = next;
      cells.gru_update(a);
    } else {
      multiply(h, floats(c.inputs[1]), 0, bound.columns);
      switch (cell) {
        case RecurrentCell::lstm: cells.lstm_cell(a); break;
        case RecurrentCell::gru: cells.gru_cell(a); break;
        case RecurrentCell::rnn_tanh: cells.rnn_tanh_cell(a); break;
        default: cells.rnn_relu_cell(a); break;
      }
    }
    h = next;
  }
  std::memmove(results(c.outputs[1]), h, static_cast<size_t>(state) * sizeof(float));
  return {};
}

}  // namespace

const StepRow kRecurrentStep = {"recurrent", sizeof(BoundRecurrent), recurrent_bind, recurrent_run};

}  // namespace nnefrun
