// Staging of input planes for the families that slide a window (conv, pool).
//
// Rows are copied into a scratch where padding is real and columns are sorted by their residue modulo the
// stride
// ("phases"): item i of phase f is input column first_column + i * stride + f. Then output column j at tap t
// reads phase (t * dilation) % stride at j + (t * dilation) / stride: contiguous over j whatever the stride,
// and without bounds checks.
#pragma once

#include <cstdint>

namespace nnefrun::kernels {

struct StagePlane {
  const float* x = nullptr;  // the input plane; null: all is padding
  int64_t height = 1, width = 0;
  int64_t first_row = 0, first_column = 0;  // of the plane, for the first staged item; may be negative
  int64_t rows = 1;                         // to stage
  int64_t row_step = 1;  // stage only every row_step-th of them; the others are left as they are
  int64_t stride = 1;    // of the columns
  int64_t phases = 1;    // 1 or stride
  int64_t length = 0;    // items of each phase; a staged row is phases * length items
  float outside = 0.0F;  // what the padding holds
  float* out = nullptr;
};

}  // namespace nnefrun::kernels
