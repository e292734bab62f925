// What the drivers (matmul.cpp, conv.cpp) hand to a row: one block of the product that fits the caches.
#pragma once

#include <cstdint>

#include "kernels/epilogue.h"

namespace nnefrun::kernels {

// What the width of a last panel of packed B is a multiple of: kTailColumns, or a vector where that is less.
// Wider vectors reach into the next p, in the last one beyond the panel.
constexpr int64_t kTailColumns = 8;
constexpr int64_t tail_unit(int64_t lanes) { return lanes < kTailColumns ? lanes : kTailColumns; }

// C (+)= A * B for one k block. See matmul.h for the panels.
struct MatmulBlock {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;       // panels of mr rows: the next panel is k * mr items on
  int64_t a_row_stride = 0;       // not 0: no panels but rows, contiguous along p, so many items apart
  const float* b = nullptr;       // panels of nr columns
  int64_t b_step = 0;             // items from p to p + 1: nr when packed, the row stride when read in place
  const float* b_tail = nullptr;  // a last panel of fewer columns than nr that lies elsewhere
  int64_t b_tail_step = 0;        // items from p to p + 1 in it
  int64_t b_panel = 0;            // items from one panel to the next; nr in place
  bool b_in_place = false;        // the last panel is not filled up: load only what is there
  float* c = nullptr;
  int64_t c_row_stride = 0;
  bool load_c = false;                 // start from C instead of 0
  const Epilogue* epilogue = nullptr;  // set for the last k block
  int64_t row = 0, column = 0;         // of c[0] in the whole result: for bias and residual
};

// y[i,j] (+)= sum over p of x[i,p] * W[p,j] for one k block and few rows; W is read about once.
struct GemvBlock {
  int64_t m = 1, n = 0, k = 0;
  const float* x = nullptr;  // contiguous along p
  int64_t x_row_stride = 0;
  const float* w = nullptr;
  int64_t w_row_stride = 0;  // row-major form: items from p to p + 1, unit column stride
  int64_t panel = 0;         // packed form (REQUIRES: m = 1): the width of the panels (mr or nr; or less, a
                             // multiple of tail_unit(), REQUIRES: n <= panel), else 0
  int64_t panel_stride = 0;  // items from one panel to the next
  float* y = nullptr;
  int64_t y_row_stride = 0;
  bool load_y = false;
};

// C[i,j] = (accumulate ? C[i,j] : 0) + sum over p of A[i,p] * B[j,p], both contiguous along p. m is small.
struct DotBlock {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  int64_t a_row_stride = 0;
  const float* b = nullptr;
  int64_t b_row_stride = 0;
  float* c = nullptr;
  int64_t c_row_stride = 0, c_col_stride = 1;
  bool accumulate = false;
};

}  // namespace nnefrun::kernels
