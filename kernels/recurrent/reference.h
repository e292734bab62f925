// The cells of recurrent.h in plain loops and double precision: the oracle of their tests.
#pragma once

#include <cmath>

#include "kernels/recurrent/recurrent.h"

namespace nnefrun::kernels {

struct CellReference {
  const CellArgs& a;
  int64_t gates;
  static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
  double state(const float* p, int64_t row, int64_t j) const { return p[row * a.hidden + j]; }
  double x(int64_t row, int64_t j, int64_t gate) const { return a.x[(row * gates + gate) * a.hidden + j]; }
  // s + bias
  double s(int64_t row, int64_t j, int64_t gate) const {
    return static_cast<double>(a.s[(row * gates + gate) * a.hidden + j]) + a.bias[gate * a.hidden + j];
  }
  double sum(int64_t row, int64_t j, int64_t gate) const { return x(row, j, gate) + s(row, j, gate); }
};

// h' and c' of unit j of a row.
inline double lstm_reference(const CellArgs& a, int64_t row, int64_t j, double* c) {
  const CellReference r{a, 4};
  *c = r.sigmoid(r.sum(row, j, 1)) * r.state(a.c, row, j) +
       r.sigmoid(r.sum(row, j, 0)) * std::tanh(r.sum(row, j, 2));
  return r.sigmoid(r.sum(row, j, 3)) * std::tanh(*c);
}
inline double gru_reference(const CellArgs& a, int64_t row, int64_t j) {
  const CellReference r{a, 3};
  const double n = std::tanh(r.x(row, j, 2) + r.sigmoid(r.sum(row, j, 0)) * r.s(row, j, 2));
  return n + r.sigmoid(r.sum(row, j, 1)) * (r.state(a.h, row, j) - n);
}
inline double gru_reset_reference(const CellArgs& a, int64_t row, int64_t j) {
  const CellReference r{a, 3};
  return r.sigmoid(r.sum(row, j, 0)) * r.state(a.h, row, j);
}
inline double gru_update_reference(const CellArgs& a, int64_t row, int64_t j) {
  const CellReference r{a, 3};
  const double n = std::tanh(r.sum(row, j, 2));
  return n + r.sigmoid(r.sum(row, j, 1)) * (r.state(a.h, row, j) - n);
}
inline double rnn_reference(const CellArgs& a, int64_t row, int64_t j, bool is_tanh) {
  const double sum = CellReference{a, 1}.sum(row, j, 0);
  return is_tanh ? std::tanh(sum) : std::fmax(sum, 0);
}

}  // namespace nnefrun::kernels
