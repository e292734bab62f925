// Products of f32 activations with f16 weights, which stay f16 in memory: a row of W for each column of the
// result.
//
//   C[i,j] = epilogue( sum over p of X[i,p] * W[j,p] )     0 <= i < m, 0 <= j < n, 0 <= p < k
//
// W is not packed: its rows are contiguous along p. Few rows of X: weights become floats in registers, lanes
// of partial sums along p are added pairwise at the end; W is read once, as several streams, since one core
// reads memory faster that way than as one (18 GB/s for 11 on Sapphire Rapids). Many rows: a window of W
// becomes floats in the workspace and goes through matmul_f32. f32 holds every f16, so weights are exact
// either way; a sum is within 4 * 2^-24 * sum |x w| of the true one on random data, as matmul_f32 is. It
// depends on k, on the rows of the whole product (m) and on the instruction set, never on windows: so a
// result is the same for any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"
#include "kernels/isa.h"

namespace nnefrun::kernels {

// What the driver hands to a row.
struct HalfTile {
  int64_t rows = 0, columns = 0, depth = 0;
  const float* x = nullptr;
  int64_t x_row_stride = 0;
  const uint16_t* w = nullptr;
  int64_t w_row_stride = 0;
  float* c = nullptr;
  int64_t c_row_stride = 0;
};

struct HalfKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  void (*multiply)(const HalfTile&);
};
const HalfKernels& choose_half(IsaFeatures features = host_isa());
const HalfKernels* const* half_rows(int* count);

struct HalfArgs {
  int64_t m = 0, n = 0, k = 0;
  const float* x = nullptr;  // rows x_row_stride apart
  int64_t x_row_stride = 0;
  const uint16_t* w = nullptr;  // [n, k], dense
  float* c = nullptr;           // unit column stride
  int64_t c_row_stride = 0;
  Epilogue epilogue;
  // The window of C to compute. Ends of -1 mean m and n. REQUIRES: products of few rows (below kFewHalfRows)
  // are cut along the columns only, all others at multiples of kHalfColumns.
  int64_t row_begin = 0, row_end = -1;
  int64_t column_begin = 0, column_end = -1;
};
inline constexpr int64_t kFewHalfRows = 8;
inline constexpr int64_t kHalfColumns = 32;

// Bytes of workspace that suffice for any window of the product.
size_t half_workspace_size(int64_t m, int64_t n, int64_t k, IsaFeatures features = host_isa());
// REQUIRES: the workspace is 64-byte aligned; C overlaps no operand.
void matmul_half(const HalfArgs& args, void* workspace, IsaFeatures features = host_isa());

}  // namespace nnefrun::kernels
