// Products of many rows whose weights are kept as codes: windows of W become floats in the workspace, as
// panels of the f32 kernel, and go through matmul_f32. For the drivers of packed weights; portable code.
#pragma once

#include <cstddef>

#include "kernels/matmul/matmul.h"

namespace nnefrun::kernels {

// Columns of a panel of codes, and what a depth is rounded up to.
inline constexpr int64_t kDecodedPanel = 32, kDecodedDepths = 32;
// Columns that are decoded at once.
inline constexpr int64_t kDecodedColumns = 256;

inline int64_t decoded_ceil(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }

// Depths that are decoded at once, a multiple of 32: one block of the product's own, so that its panels are
// plain.
inline int64_t decoded_depth_step(int64_t k, const MatmulKernel& product) {
  const int64_t most = product.kc / kDecodedDepths * kDecodedDepths;
  return decoded_ceil(decoded_ceil(k, decoded_ceil(k, most)), kDecodedDepths) * kDecodedDepths;
}

// Of the floats of a window, packed or not: panels of any width, and what a vector load reaches beyond.
inline size_t decoded_window_bytes(int64_t step) {
  const size_t bytes = static_cast<size_t>((step + 2) * (kDecodedColumns + kDecodedPanel)) * sizeof(float);
  return (bytes + 63) / 64 * 64;
}

// Bytes of workspace that suffice for any window of the product. REQUIRES: k > 0.
inline size_t decoded_workspace_size(int64_t m, int64_t n, int64_t k, IsaFeatures features) {
  const MatmulKernel& product = choose_matmul_f32(features);
  const bool panels = kDecodedPanel % product.nr == 0;
  const int64_t step = decoded_depth_step(k, product);
  return decoded_window_bytes(step) * (panels ? 1 : 2) +
         matmul_workspace_size(m, n < kDecodedColumns ? n : kDecodedColumns, step, false, true, product);
}

// Where the floats of one panel go: column j of depth p to dst[(j / group) * group_stride + p * depth_stride
// + j % group]. REQUIRES: 32 is a multiple of `group`.
struct DecodedPlace {
  float* dst = nullptr;
  int64_t depth_stride = 0, group = kDecodedPanel, group_stride = 0;
};

// The product of the rows of `a` (a struct with the members of Q40Args) and a window of its weights that lies
// packed: `columns` from `column` on, `depths` from `depth` on. What `a` has behind the product comes with
// the last depths.
template <class Args>
MatmulArgs window_product(const Args& a, int64_t column, int64_t columns, int64_t depth, int64_t depths,
                          const float* packed) {
  MatmulArgs g;
  g.m = a.row_end - a.row_begin;
  g.n = columns;
  g.k = depths;
  g.a = a.x + a.row_begin * a.x_row_stride + depth;
  g.a_row_stride = a.x_row_stride;
  g.packed_b = packed;
  g.c = a.c + a.row_begin * a.c_row_stride + column;
  g.c_row_stride = a.c_row_stride;
  g.accumulate = depth > 0;
  if (depth + depths < a.k) return g;
  g.epilogue = a.epilogue;
  if (a.epilogue.bias_axis == BiasAxis::column) g.epilogue.bias += column;
  if (a.epilogue.bias_axis == BiasAxis::row) g.epilogue.bias += a.row_begin;
  if (a.epilogue.residual != nullptr)
    g.epilogue.residual += a.row_begin * a.epilogue.residual_row_stride + column;
  return g;
}

// The window of `a` (a struct with the members of Q40Args). decode(column, depth, depths, place) writes
// `depths` depths of one panel of 32 columns; `depth` is a multiple of 32.
template <class Args, class Decode>
void multiply_decoded(const Args& a, std::byte* workspace, IsaFeatures features, const Decode& decode) {
  const MatmulKernel& product = choose_matmul_f32(features);
  const bool panels = kDecodedPanel % product.nr == 0;  // else they are packed once more
  const int64_t step = decoded_depth_step(a.k, product);
  auto* floats = reinterpret_cast<float*>(workspace);
  const size_t window = decoded_window_bytes(step);
  auto* packed = panels ? floats : reinterpret_cast<float*>(workspace + window);
  std::byte* rest = workspace + (panels ? window : 2 * window);
  for (int64_t column = a.column_begin; column < a.column_end; column += kDecodedColumns) {
    const int64_t left = a.column_end - column, columns = left < kDecodedColumns ? left : kDecodedColumns;
    const int64_t padded = decoded_ceil(columns, kDecodedPanel) * kDecodedPanel;
    for (int64_t depth = 0; depth < a.k; depth += step) {
      const int64_t depths = a.k - depth < step ? a.k - depth : step;
      for (int64_t j = 0; j < padded; j += kDecodedPanel) {
        DecodedPlace place;
        place.group = panels ? product.nr : kDecodedPanel;
        place.group_stride = panels ? depths * product.nr : 0;
        place.depth_stride = panels ? product.nr : padded;
        place.dst = floats + (panels ? j * depths : j);
        decode(column + j, depth, depths, place);
      }
      if (!panels) pack_b_f32(depths, columns, floats, padded, 1, packed, product);
      MatmulArgs g = window_product(a, column, columns, depth, depths, packed);
      g.wide_tail = panels;
      matmul_f32(g, rest, product);
    }
  }
}

}  // namespace nnefrun::kernels
