// Products of f32 activations with Q4_0 weights (quant/q40.h), the weights as they come: a row of W for each
// column of the result, blocks along the depth.
//
//   C[i,j] = epilogue( sum over p of X[i,p] * W[j,p] )     0 <= i < m, 0 <= j < n, 0 <= p < k, k % 32 == 0
//
// Two ways, chosen when a plan is built:
//   exact   activations stay f32. Few rows: codes become floats in registers, the products of one block of 32
//           are added first and then multiplied by the block's scale. Many rows: a window of W becomes floats
//           (code times scale, which f32 holds exactly) in the workspace and goes through matmul_f32.
//   fast    activations are first quantised to 8 bits in blocks of 32 (ActivationQ80 of quant/q80.h,
//           quantize_q80); the products of one block are added in integers, exactly, and multiplied by both
//           scales. Another error comes on top of the exact way's: each activation is off by at most half a
//           step of its block, max|x| / 254.
//
// Packed weights, for every instruction set alike ("q40_n32"): panels of 32 columns of the result, the last
// one filled up with zeros. A panel is its blocks of the depth in order, 576 bytes each:
//
//   byte   0 ... 63            64 ... 191         192 ... 319   320 ... 447   448 ... 575
//        +--------------------+------------------+-------------+-------------+-------------+
//        | 32 scales (f16)    | depths 0 ... 7   | 8 ... 15    | 16 ... 23   | 24 ... 31   |
//        +--------------------+------------------+-------------+-------------+-------------+
//                              4 bytes for each of the 32 columns; byte j: depth j low, depth 4 + j high
//
// Fast products of the Cortex-A53 have a layout of their own ("q40_n8"): panels of 8 columns, blocks of 144
// bytes: 8 scales, then the 16 bytes of each column's block as Q4_0 has them. 64 bytes behind the last may be
// read.
//
// Order of summation: a sum of block sums in order of the depth. It depends on k, on the way, on the rows of
// the whole product (m) and on the instruction set, never on windows: so a result is the same for any number
// of threads. Between instruction sets: exact, each within 4 * 2^-24 * sum |x w| of the true sum on random
// data, as matmul_f32 is (k * 2^-24 * sum |x w| at worst); fast, the integers are the same everywhere, and
// the sums of block sums differ by at most k / 32 roundings of the sum of their absolute values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"
#include "kernels/isa.h"
#include "quant/q40.h"
#include "quant/q80.h"

namespace nnefrun::kernels {

inline constexpr int64_t kQ40Panel = 32;         // columns
inline constexpr int64_t kQ40PanelBlock = 576;   // bytes of 32 depths of a panel
inline constexpr int64_t kQ40PanelCodes = 64;    // where the codes begin
inline constexpr int64_t kQ40PanelDepths = 128;  // bytes of 8 depths

// What the driver hands to a row: whole panels against rows of activations.
struct Q40Tile {
  int64_t rows = 0, columns = 0, blocks = 0;  // rows and columns of C, blocks of 32 depths
  const float* x = nullptr;                   // exact: contiguous along the depth
  int64_t x_row_stride = 0;
  const ActivationQ80* activations = nullptr;  // fast: `blocks` for each row
  const uint8_t* w = nullptr;                  // the panel of the first column
  uint8_t* workspace = nullptr;                // Q40Q80Kernels::workspace
  float* c = nullptr;
  int64_t c_row_stride = 0;
};

// Blocks of one panel as floats: column j of depth p goes to dst[(j / group) * group_stride + p *
// depth_stride
// + j % group]. REQUIRES: 32 is a multiple of `group`.
struct Q40Decode {
  const uint8_t* w = nullptr;
  int64_t blocks = 0;
  float* dst = nullptr;
  int64_t depth_stride = 0, group = 32, group_stride = 0;
};

// The rows of one instruction set.
struct Q40Kernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  int64_t few_rows;  // products with fewer rows than this read the codes, others decode them
  void (*multiply)(const Q40Tile&);
  void (*decode)(const Q40Decode&);
};
struct Q40Q80Kernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  int64_t panel;  // columns: 32 or 8, the layout of the packed weights
  void (*multiply)(const Q40Tile&);
  void (*quantize)(const float* x, int64_t blocks, ActivationQ80* out);
  int64_t (*workspace)(int64_t rows, int64_t blocks);  // bytes that multiply needs; null: none
};

const Q40Kernels& choose_q40(IsaFeatures features = host_isa());
const Q40Q80Kernels& choose_q40_q80(IsaFeatures features = host_isa());
// All tables built into this program, best first.
const Q40Kernels* const* q40_rows(int* count);
const Q40Q80Kernels* const* q40_q80_rows(int* count);

// Columns of a panel in the layout that products of this kind read.
int64_t q40_panel(bool fast, IsaFeatures features = host_isa());
// Bytes. n and k in items; k is a multiple of 32. `panel` is 32 or 8.
size_t packed_q40_size(int64_t n, int64_t k, int64_t panel = kQ40Panel);
// Rows [begin, end) of W, each k / 32 blocks, into `packed`; all windows together give the whole. REQUIRES:
// `begin`, and an `end` other than n, are multiples of 32.
void pack_q40_window(int64_t n, int64_t k, const BlockQ40* w, uint8_t* packed, int64_t begin, int64_t end,
                     int64_t panel = kQ40Panel);
inline void pack_q40(int64_t n, int64_t k, const BlockQ40* w, uint8_t* packed, int64_t panel = kQ40Panel) {
  pack_q40_window(n, k, w, packed, 0, n, panel);
}
// Row `row` of W as k floats.
void decode_q40_row(const uint8_t* packed, int64_t k, int64_t row, float* out, int64_t panel = kQ40Panel);

struct Q40Args {
  int64_t m = 0, n = 0, k = 0;
  const float* x = nullptr;  // [m, k], rows x_row_stride apart; unused when `activations` is set
  int64_t x_row_stride = 0;
  const ActivationQ80* activations = nullptr;  // [m, k / 32]: the fast way
  const uint8_t* packed = nullptr;
  float* c = nullptr;  // unit column stride
  int64_t c_row_stride = 0;
  Epilogue epilogue;
  // The window of C to compute. Ends of -1 mean m and n. REQUIRES: column_begin is a multiple of 32; exact
  // products of fewer than Q40Kernels::few_rows rows are cut along the columns only.
  int64_t row_begin = 0, row_end = -1;
  int64_t column_begin = 0, column_end = -1;
};

// Bytes of workspace that suffice for any window of the product.
size_t q40_workspace_size(int64_t m, int64_t n, int64_t k, bool fast, IsaFeatures features = host_isa());
// REQUIRES: the workspace is 64-byte aligned; C overlaps no operand.
void matmul_q40(const Q40Args& args, void* workspace, IsaFeatures features = host_isa());
// [m, k] to [m, k / 32] blocks.
inline void quantize_q80(const float* x, int64_t blocks, ActivationQ80* out,
                         IsaFeatures features = host_isa()) {
  choose_q40_q80(features).quantize(x, blocks, out);
}

}  // namespace nnefrun::kernels
