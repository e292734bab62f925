#include "kernels/half/half.h"

#include <cassert>

#include "kernels/choose.h"
#include "kernels/matmul/decoded.h"
#include "kernels/matmul/matmul.h"
#include "kernels/move/move.h"

namespace nnefrun::kernels {

#define NNEFRUN_FLOAT_ISA(suffix) extern const HalfKernels half_##suffix;
#include "kernels/float_isas.inc"

namespace {

const HalfKernels* const kRows[] = {
#define NNEFRUN_FLOAT_ISA(suffix) &half_##suffix,
#include "kernels/float_isas.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

// Columns that become floats at once, a multiple of kHalfColumns.
constexpr int64_t kWindow = 256;

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t ceil_of(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }
// Depths that become floats at once: one block of the product's own.
int64_t depth_step(int64_t k, const MatmulKernel& product) { return ceil_of(k, ceil_of(k, product.kc)); }
size_t window_bytes(int64_t step) {
  return (static_cast<size_t>((step + 2) * (kWindow + 32)) * sizeof(float) + 63) / 64 * 64;
}

bool is_plain(const Epilogue& e) {
  return e.scale == 1.0F && e.bias_axis == BiasAxis::none && e.residual == nullptr &&
         e.activation == Activation::none;
}

void multiply_widened(const HalfArgs& a, std::byte* workspace, IsaFeatures features) {
  const MatmulKernel& product = choose_matmul_f32(features);
  const int64_t step = depth_step(a.k, product);
  auto* floats = reinterpret_cast<float*>(workspace);
  auto* packed = reinterpret_cast<float*>(workspace + window_bytes(step));
  for (int64_t column = a.column_begin; column < a.column_end; column += kWindow) {
    const int64_t columns = smaller(kWindow, a.column_end - column);
    for (int64_t depth = 0; depth < a.k; depth += step) {
      const int64_t depths = smaller(step, a.k - depth);
      for (int64_t j = 0; j < columns; ++j) {
        convert(DataType::f16, DataType::f32, a.w + (column + j) * a.k + depth, floats + j * depths, depths,
                features);
      }
      pack_b_f32(depths, columns, floats, 1, depths, packed, product);
      matmul_f32(window_product(a, column, columns, depth, depths, packed),
                 workspace + 2 * window_bytes(step), product);
    }
  }
}

}  // namespace

const HalfKernels& choose_half(IsaFeatures features) { return choose_row(kRows, kRowCount, features); }
const HalfKernels* const* half_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

size_t half_workspace_size(int64_t m, int64_t n, int64_t k, IsaFeatures features) {
  if (m < kFewHalfRows || k == 0) return 0;
  const MatmulKernel& product = choose_matmul_f32(features);
  const int64_t step = depth_step(k, product);
  return 2 * window_bytes(step) + matmul_workspace_size(m, smaller(kWindow, n), step, false, true, product);
}

void matmul_half(const HalfArgs& given, void* workspace, IsaFeatures features) {
  HalfArgs a = given;
  if (a.row_end < 0) a.row_end = a.m;
  if (a.column_end < 0) a.column_end = a.n;
  assert(a.row_begin >= 0 && a.row_end <= a.m && a.column_begin >= 0 && a.column_end <= a.n);
  if (a.row_begin >= a.row_end || a.column_begin >= a.column_end) return;
  if (a.m >= kFewHalfRows && a.k > 0) {
    multiply_widened(a, static_cast<std::byte*>(workspace), features);
    return;
  }
  HalfTile t;
  t.rows = a.row_end - a.row_begin;
  t.columns = a.column_end - a.column_begin;
  t.depth = a.k;
  t.x = a.x + a.row_begin * a.x_row_stride;
  t.x_row_stride = a.x_row_stride;
  t.w = a.w + a.column_begin * a.k;
  t.w_row_stride = a.k;
  t.c = a.c + a.row_begin * a.c_row_stride + a.column_begin;
  t.c_row_stride = a.c_row_stride;
  choose_half(features).multiply(t);
  if (is_plain(a.epilogue)) return;
  const auto epilogue = choose_matmul_f32(features).epilogue_row;
  for (int64_t i = a.row_begin; i < a.row_end; ++i) {
    epilogue(a.epilogue, a.c + i * a.c_row_stride + a.column_begin, i, a.column_begin, t.columns);
  }
}

}  // namespace nnefrun::kernels
