// Packing of constant operands (matmul.h) piece by piece, for callers that give the source's memory back
// behind the reading.
#pragma once

#include "kernels/matmul/matmul.h"

namespace nnefrun::kernels {

// Rows of A or columns of B [begin, end), and depths [depth_begin, depth_end). REQUIRES: `begin`, and an
// `end` that is not the operand's own, are multiples of the panel (mr or nr).
struct PackWindow {
  int64_t begin = 0, end = 0;
  int64_t depth_begin = 0, depth_end = 0;
  bool by_panels = false;  // B; see matmul.h
};

// What pack_a_f32 and pack_b_f32 do, for one window; all windows together give the whole operand.
void pack_a_f32_window(int64_t m, int64_t k, const float* a, int64_t row_stride, int64_t col_stride,
                       float* packed, const PackWindow& window,
                       const MatmulKernel& kernel = choose_matmul_f32());
void pack_b_f32_window(int64_t k, int64_t n, const float* b, int64_t row_stride, int64_t col_stride,
                       float* packed, const PackWindow& window,
                       const MatmulKernel& kernel = choose_matmul_f32());

}  // namespace nnefrun::kernels
