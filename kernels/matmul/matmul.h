// Products of f32 matrices:
//
//   C[i,j] = epilogue( (accumulate ? C[i,j] : 0) + sum over p of A[i,p] * B[p,j] )     0 <= i < m, 0 <= j <
//   n, 0 <= p < k
//
// A and B may have any row and column strides (a transpose is a pair of swapped strides, a broadcast a stride
// of 0), or come packed: constant weights are packed once, when a plan is built, by pack_a_f32 or pack_b_f32.
// C has unit column stride.
//
// Packed layouts. k is cut into blocks of matmul_k_block(kernel, k) (the last may be shorter). Within a
// block, A is cut into panels of mr rows, B into panels of nr columns. The last panel of A is filled up with
// zeros to mr, that of B to a multiple of 8 columns, or of `lanes` where that is less:
//   packed A: for each k block, for each panel, for each p in the block: mr items     (layout "a_f32_<mr>")
//   packed B: for each k block, for each panel, for each p in the block: nr items     (layout "b_f32_<nr>")
//   by panels: for each panel of B, for each p in k: nr items
// The last is for products of one row: a B whose columns are contiguous, as weights mostly are stored, is
// then packed from first to last into memory that is written from first to last. With many rows it is slower:
// the panels that are read one after the other do not lie one after the other.
//
// Order of summation: the products of one k block are added in order of p by one accumulator, starting from
// 0; the sums of the blocks are added to C in order. So a result depends on k and on the row, not on m, n,
// packing or threads. The exception: a product of unpacked operands with fewer than kThin rows and B
// contiguous along k (or fewer than kThin columns and A contiguous along k) is done by dot products with one
// partial sum in each lane, added pairwise at the end. Rows with FMA round each step once, the generic row
// twice.
//
// Threads: kernels own none. The window of MatmulArgs splits one product among threads; each call needs its
// own workspace.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"
#include "kernels/isa.h"

namespace nnefrun::kernels {

struct MatmulArgs {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;  // unused when packed_a is set
  int64_t a_row_stride = 0, a_col_stride = 1;
  const float* b = nullptr;  // unused when packed_b is set
  int64_t b_row_stride = 0, b_col_stride = 1;
  const float* packed_a = nullptr;
  const float* packed_b = nullptr;
  bool b_by_panels = false;  // how packed_b lies
  bool wide_tail = false;    // packed_b's last panel has nr columns like all others
  float* c = nullptr;
  int64_t c_row_stride = 0;
  bool accumulate = false;
  Epilogue epilogue;
  // The window of C to compute; the pointers above stay those of the whole. Ends of -1 mean m and n.
  // REQUIRES: with packed_a, row_begin is a multiple of mr; with packed_b, column_begin is a multiple of nr.
  int64_t row_begin = 0, row_end = -1;
  int64_t column_begin = 0, column_end = -1;
};

// One row of kernels.inc. The functions are internal to this room; callers pass the row around as a whole.
struct MatmulBlock;
struct GemvBlock;
struct DotBlock;
struct MatmulKernel {
  const char* name;
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  int mr, nr;       // register tile
  int lanes;        // items of a vector
  int mc, kc, nc;   // cache blocks: rows of A, depth, columns of B that is packed for the product
  bool reads_rows;  // takes rows of A in place
  // C block (+)= packed A block x packed B block, epilogue on the last k block.
  void (*block)(const MatmulBlock&);
  // dst gets panels of one k block; see the layouts above.
  void (*pack_a)(const float* a, int64_t row_stride, int64_t col_stride, int64_t rows, int64_t depth,
                 float* dst);
  void (*pack_b)(const float* b, int64_t row_stride, int64_t col_stride, int64_t depth, int64_t columns,
                 float* dst);
  // The thin forms: few rows against operands contiguous along k; one row against panels or a row-major
  // matrix.
  void (*dot)(const DotBlock&);
  void (*gemv)(const GemvBlock&);
  // The epilogue alone, in place, over `count` items of a row of C.
  void (*epilogue_row)(const Epilogue&, float* c, int64_t row, int64_t column, int64_t count);
};

// Which thin products (m or n below this) avoid packing the large operand.
inline constexpr int64_t kThin = 6;

// The best row that `features` allows. There is always a generic one.
const MatmulKernel& choose_matmul_f32(IsaFeatures features = host_isa());
// All rows built into this program, best first.
const MatmulKernel* const* matmul_f32_rows(int* count);

int64_t matmul_k_block(const MatmulKernel& kernel, int64_t k);

// Sizes in floats (a little more than the layout, so that kernels may load whole vectors at its end).
size_t packed_a_size(int64_t m, int64_t k, const MatmulKernel& kernel = choose_matmul_f32());
size_t packed_b_size(int64_t k, int64_t n, const MatmulKernel& kernel = choose_matmul_f32());
// REQUIRES: packed is 64-byte aligned and holds packed_a_size / packed_b_size floats.
void pack_a_f32(int64_t m, int64_t k, const float* a, int64_t row_stride, int64_t col_stride, float* packed,
                const MatmulKernel& kernel = choose_matmul_f32());
void pack_b_f32(int64_t k, int64_t n, const float* b, int64_t row_stride, int64_t col_stride, float* packed,
                const MatmulKernel& kernel = choose_matmul_f32());

// Whether a plain A with these strides is read in place; otherwise each call packs the rows of its window.
bool matmul_reads_in_place(int64_t a_row_stride, int64_t a_col_stride,
                           const MatmulKernel& kernel = choose_matmul_f32());

// Bytes of workspace that suffice for any product with at most these extents; a packed operand needs none.
size_t matmul_workspace_size(int64_t m, int64_t n, int64_t k, bool a_is_packed, bool b_is_packed,
                             const MatmulKernel& kernel = choose_matmul_f32());
// REQUIRES: workspace is 64-byte aligned; C overlaps no operand, nor the residual (to add
// to C in place, say accumulate); packed operands were packed for the same row. m, n or k may be 0 (k = 0:
// the sum is 0).
void matmul_f32(const MatmulArgs& args, void* workspace, const MatmulKernel& kernel = choose_matmul_f32());

}  // namespace nnefrun::kernels
