// Products of f32 activations with weights in groups (quant/group_format.h): W[j,p] = book[code[j,p]] *
// scale[j, p / group] + offset[j, p / group].
//
//   C[i,j] = epilogue( sum over p of X[i,p] * W[j,p] )     0 <= i < m, 0 <= j < n, 0 <= p < k
//
// Few rows: codes become numbers of the book in registers; the products of one group are added first, then
// multiplied by its scale, and its offset times the sum of the activations is added. Many rows: a window of W
// becomes floats in the workspace and goes through matmul_f32.
//
// Packed weights, for every instruction set alike ("groups_n32"): panels of 32 columns of the result, the
// last one filled up with codes 0 and scales 0; k is filled up to a multiple of 8.
//
//   codes    [panel][k / 8] units of 32 * bits bytes: 4 bits: 4 bytes for each of the 32 columns; 8 bits:
//   twice
//            4 bytes for each (depths 0 ... 3, then 4 ... 7); 2 bits: 2 bytes for each; 3 bits: as 2 bits,
//            then 1 byte for each. The bits of a column are those of quant/group_format.h.
//   scales, offsets   [panel][groups][32], f32 or f16 each
//
// Order of summation: by groups in order of the depth. It depends on k, the group, the rows of the whole
// product (m) and the instruction set, never on windows. Each result is within 4 * 2^-24 * sum |x| (|book *
// scale| + |offset|) of the true sum on random data.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"
#include "kernels/isa.h"
#include "quant/group_format.h"

namespace nnefrun::kernels {

inline constexpr int64_t kGroupPanel = 32;  // columns

// Packed weights [n, k].
struct GroupWeights {
  GroupForm form = GroupForm::four;
  bool half_scales = false, half_offsets = false;
  int64_t n = 0, k = 0;
  int64_t group = 8;  // depths of a scale, a multiple of 8
  const uint8_t* codes = nullptr;
  const float* book = nullptr;  // book_items(form); null for none
  const uint8_t* scales = nullptr;
  const uint8_t* offsets = nullptr;  // null: none

  int64_t units() const { return (k + kGroupUnit - 1) / kGroupUnit; }
  int64_t units_of_group() const { return group / kGroupUnit; }
  int64_t groups() const { return (units() + units_of_group() - 1) / units_of_group(); }
};

// What the driver hands to a row: the panels from `column` on (a multiple of 32) against rows of activations.
struct GroupTile {
  const GroupWeights* w = nullptr;
  int64_t rows = 0, column = 0, columns = 0;
  const float* x = nullptr;  // contiguous along the depth, readable up to the next multiple of 8, zeros there
  int64_t x_row_stride = 0;
  const float* sums = nullptr;  // [rows][groups]: of the activations; when there are offsets
  float* c = nullptr;           // of the first row and column
  int64_t c_row_stride = 0;
};

// Depths [8 * unit, 8 * unit + depths) of the panel of `column` as floats: column j of depth p goes to
// dst[(j / group) * group_stride + p * depth_stride + j % group]. REQUIRES: 32 is a multiple of `group`.
struct GroupDecode {
  const GroupWeights* w = nullptr;
  int64_t column = 0, unit = 0, depths = 0;
  float* dst = nullptr;
  int64_t depth_stride = 0, group = 32, group_stride = 0;
};

// The rows of one instruction set.
struct GroupKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  int64_t few_rows;  // products with fewer rows than this read the codes, others decode them
  void (*multiply[kGroupFormCount])(const GroupTile&);
  void (*decode[kGroupFormCount])(const GroupDecode&);
};

const GroupKernels& choose_groups(IsaFeatures features = host_isa());
// All tables built into this program, best first.
const GroupKernels* const* groups_rows(int* count);

// Bytes of the codes, items of the scales (and of the offsets).
int64_t packed_group_codes_size(const GroupWeights& w);
int64_t packed_group_scales_size(const GroupWeights& w);
// Rows [begin, end) of W into `packed`. `row(j, codes)` writes the k codes of row j. REQUIRES: `begin`, and
// an `end` other than n, are multiples of 32.
template <class Row>
void pack_group_codes(const GroupWeights& w, uint8_t* packed, int64_t begin, int64_t end, uint8_t* row_codes,
                      const Row& row);
// The unit of one column into its place in the panel's unit.
void place_group_unit(GroupForm form, const uint8_t* unit, int64_t column, uint8_t* panel_unit);
void take_group_unit(GroupForm form, const uint8_t* panel_unit, int64_t column, uint8_t* unit);
// Row `row` of W as k floats.
void decode_group_row(const GroupWeights& w, int64_t row, float* out);

struct GroupArgs {
  int64_t m = 0, n = 0, k = 0;
  const float* x = nullptr;  // unit stride along the depth
  int64_t x_row_stride = 0;
  GroupWeights w;
  float* c = nullptr;  // unit column stride
  int64_t c_row_stride = 0;
  Epilogue epilogue;
  // The window of C to compute. Ends of -1 mean m and n. REQUIRES: column_begin is a multiple of 32; products
  // of fewer than GroupKernels::few_rows rows are cut along the columns only.
  int64_t row_begin = 0, row_end = -1;
  int64_t column_begin = 0, column_end = -1;
};

// Bytes of workspace that suffice for any window of the product.
size_t groups_workspace_size(int64_t m, const GroupWeights& w, IsaFeatures features = host_isa());
// REQUIRES: the workspace is 64-byte aligned; C overlaps no operand; the book holds finite numbers.
void matmul_groups(const GroupArgs& args, void* workspace, IsaFeatures features = host_isa());

template <class Row>
void pack_group_codes(const GroupWeights& w, uint8_t* packed, int64_t begin, int64_t end, uint8_t* row_codes,
                      const Row& row) {
  const int64_t units = w.units(), unit_bytes = kGroupPanel * bits_of(w.form);
  for (int64_t j = begin; j < (end == w.n ? (end + kGroupPanel - 1) / kGroupPanel * kGroupPanel : end); ++j) {
    for (int64_t p = w.k; p < units * kGroupUnit; ++p) row_codes[p] = 0;
    if (j < w.n) {
      row(j, row_codes);
    } else {
      for (int64_t p = 0; p < w.k; ++p) row_codes[p] = 0;
    }
    uint8_t* to = packed + j / kGroupPanel * units * unit_bytes;
    for (int64_t u = 0; u < units; ++u, to += unit_bytes) {
      uint8_t unit[kGroupUnit];
      pack_group_unit(w.form, row_codes + u * kGroupUnit, unit);
      place_group_unit(w.form, unit, j % kGroupPanel, to);
    }
  }
}

}  // namespace nnefrun::kernels
