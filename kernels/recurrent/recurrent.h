// The gates of recurrent cells, f32: what follows the product of the state with the recurrent weights, in one
// pass. For a row and a unit j of `hidden`, gate g lies at g * hidden + j; with a_g = x_g + s_g + bias_g:
//
//   lstm_cell    gates i, f, g, o    c' = sigmoid(a_f) c + sigmoid(a_i) tanh(a_g);  h' = sigmoid(a_o)
//   tanh(c') gru_cell     gates r, z, n       n = tanh(x_n + sigmoid(a_r) (s_n + bias_n));   h' = n +
//   sigmoid(a_z) (h - n) gru_reset    gates r, z, n       out = sigmoid(a_r) h          the first half of a
//   GRU that resets before gru_update   gates r, z, n       n = tanh(a_n);  h' = n + sigmoid(a_z) (h - n) and
//   the second rnn_cell     one gate            h' = tanh(a), or max(a, 0) with NaN becoming 0
//
// Errors: sums are rounded one by one, functions to about 1 ULP; h' and c' are off by less than 6 * 2^-24 of
// the largest of 1, |c|, |h| and what the rounding of a_g lets through (its derivatives are at most 1).
//
// Threads: pure functions; split along rows. `c_out` may be `c`, `h_out` may be `h`; x, s and bias overlap no
// result.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace nnefrun::kernels {

struct CellArgs {
  int64_t rows = 0, hidden = 0;
  const float* x = nullptr;     // [rows, gates * hidden], dense
  const float* s = nullptr;     // the same shape
  const float* bias = nullptr;  // [gates * hidden]
  const float* h = nullptr;     // [rows, hidden], dense, as all below; of GRUs
  const float* c = nullptr;     // of LSTMs
  float* h_out = nullptr;       // gru_reset: sigmoid(a_r) h
  float* c_out = nullptr;
};

struct RecurrentKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  void (*lstm_cell)(const CellArgs&);
  void (*gru_cell)(const CellArgs&);
  void (*gru_reset)(const CellArgs&);
  void (*gru_update)(const CellArgs&);
  void (*rnn_tanh_cell)(const CellArgs&);
  void (*rnn_relu_cell)(const CellArgs&);
};
const RecurrentKernels& choose_recurrent(IsaFeatures features = host_isa());
const RecurrentKernels* const* recurrent_rows(int* count);

}  // namespace nnefrun::kernels
