// Staging of input rows for the families that slide a window (conv, pool).
//
// A row is copied into a scratch where padding is real and columns are sorted by their residue modulo the
// stride
// ("phases"): item i of phase f is input column i * stride + f - pad_before. Then output column j at tap t
// reads phase (t * dilation) % stride at j + (t * dilation) / stride: contiguous over j whatever the stride,
// and without bounds checks.
#pragma once

#include <cstdint>

namespace nnefrun::kernels {

struct StageRow {
  const float* x;  // the input row; null: a row of padding
  int64_t width;   // its items
  int64_t first;   // input column of item 0 of phase 0, may be negative
  int64_t stride;
  int64_t phases;  // 1 to stride
  int64_t length;  // items of each phase
  float outside;   // what the padding holds
  float* out;      // phases * length
};

}  // namespace nnefrun::kernels
