// The gates of recurrent cells, written once over the vector of kernels/vec.h.
#pragma once

#include "kernels/recurrent/recurrent.h"
#include "kernels/vec_math.h"

namespace nnefrun::kernels {
namespace {

// kLanes units of one row: loads and stores, whole or the first `left` lanes.
struct Units {
  int64_t left;
  NNEFRUN_INLINE V load(const float* p) const { return left == kLanes ? vload(p) : vload_n(p, left); }
  NNEFRUN_INLINE void store(float* p, V v) const {
    if (left == kLanes) {
      vstore(p, v);
    } else {
      vstore_n(p, v, left);
    }
  }
};

// Calls unit(units, first, at) for all units: `first` of the state, `at` of the gates, `of_bias` of the bias.
template <class Unit>
NNEFRUN_INLINE void for_units(const CellArgs& a, int64_t gates, Unit unit) {
  for (int64_t row = 0; row < a.rows; ++row) {
    for (int64_t j = 0; j < a.hidden; j += kLanes) {
      const int64_t left = a.hidden - j < kLanes ? a.hidden - j : kLanes;
      unit(Units{left}, row * a.hidden + j, row * gates * a.hidden + j, j);
    }
  }
}

NNEFRUN_INLINE V recurrent_sum(const CellArgs& a, Units u, int64_t at, int64_t of_bias) {
  return u.load(a.s + at) + u.load(a.bias + of_bias);
}
NNEFRUN_INLINE V gate_sum(const CellArgs& a, Units u, int64_t at, int64_t of_bias) {
  return u.load(a.x + at) + recurrent_sum(a, u, at, of_bias);
}

void lstm_cell(const CellArgs& a) {
  const int64_t n = a.hidden;
  for_units(a, 4, [&](Units u, int64_t first, int64_t at, int64_t of_bias) NNEFRUN_LAMBDA {
    const V in = vsigmoid(gate_sum(a, u, at, of_bias));
    const V forget = vsigmoid(gate_sum(a, u, at + n, of_bias + n));
    const V next = vtanh(gate_sum(a, u, at + 2 * n, of_bias + 2 * n));
    const V out = vsigmoid(gate_sum(a, u, at + 3 * n, of_bias + 3 * n));
    const V c = vfma(forget, u.load(a.c + first), in * next);
    u.store(a.c_out + first, c);
    u.store(a.h_out + first, out * vtanh(c));
  });
}

// n + z (h - n)
NNEFRUN_INLINE void gru_store(const CellArgs& a, Units u, int64_t first, V z, V n) {
  u.store(a.h_out + first, vfma(z, u.load(a.h + first) - n, n));
}

void gru_cell(const CellArgs& a) {
  const int64_t n = a.hidden;
  for_units(a, 3, [&](Units u, int64_t first, int64_t at, int64_t of_bias) NNEFRUN_LAMBDA {
    const V reset = vsigmoid(gate_sum(a, u, at, of_bias));
    const V update = vsigmoid(gate_sum(a, u, at + n, of_bias + n));
    const V sum = recurrent_sum(a, u, at + 2 * n, of_bias + 2 * n);
    gru_store(a, u, first, update, vtanh(vfma(reset, sum, u.load(a.x + at + 2 * n))));
  });
}
void gru_reset(const CellArgs& a) {
  for_units(a, 3, [&](Units u, int64_t first, int64_t at, int64_t of_bias) NNEFRUN_LAMBDA {
    u.store(a.h_out + first, vsigmoid(gate_sum(a, u, at, of_bias)) * u.load(a.h + first));
  });
}
void gru_update(const CellArgs& a) {
  const int64_t n = a.hidden;
  for_units(a, 3, [&](Units u, int64_t first, int64_t at, int64_t of_bias) NNEFRUN_LAMBDA {
    const V update = vsigmoid(gate_sum(a, u, at + n, of_bias + n));
    gru_store(a, u, first, update, vtanh(gate_sum(a, u, at + 2 * n, of_bias + 2 * n)));
  });
}

void rnn_tanh_cell(const CellArgs& a) {
  for_units(a, 1, [&](Units u, int64_t first, int64_t at, int64_t of_bias) NNEFRUN_LAMBDA {
    u.store(a.h_out + first, vtanh(gate_sum(a, u, at, of_bias)));
  });
}
void rnn_relu_cell(const CellArgs& a) {
  for_units(a, 1, [&](Units u, int64_t first, int64_t at, int64_t of_bias) NNEFRUN_LAMBDA {
    u.store(a.h_out + first, vrelu(gate_sum(a, u, at, of_bias)));
  });
}

}  // namespace

extern const RecurrentKernels NNEFRUN_TABLE(recurrent);
const RecurrentKernels NNEFRUN_TABLE(recurrent) = {
    NNEFRUN_STRING(NNEFRUN_ISA),
    isa::NNEFRUN_ISA,
    true,
    lstm_cell,
    gru_cell,
    gru_reset,
    gru_update,
    rnn_tanh_cell,
    rnn_relu_cell,
};

}  // namespace nnefrun::kernels
