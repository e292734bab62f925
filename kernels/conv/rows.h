// What the convolution driver (conv.cpp) hands to the rows of one ISA.
//
// Staging. Input rows are copied into a scratch where padding is real zeros and columns are sorted by their
// residue modulo the stride ("phases"): item i of phase f is input column i * stride + f - pad_before. Then
// output column j at tap t reads phase (t * dilation) % stride at j + (t * dilation) / stride: always
// contiguous over j, whatever the stride, and without bounds checks. An input that needs neither padding nor
// sorting is read where it is.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace nnefrun::kernels {

struct StageRow {
  const float* x;  // the input row; null: a row of zeros
  int64_t width;   // its items
  int64_t first;   // input column of item 0 of phase 0, may be negative
  int64_t stride;
  int64_t phases;  // 1 to stride
  int64_t length;  // items of each phase
  float* out;      // phases * length
};

// One run of neighbouring output columns within a panel.
struct GatherRun {
  int64_t offset;  // items from the base of a tap
  int32_t begin;   // first column in the panel
  int32_t count;
};
struct GatherPanel {
  const float* const* bases;  // one for each p of the k block
  int64_t depth;              // how many
  const GatherRun* runs;
  int32_t run_count;
  int32_t columns;   // nr: items of the panel for each p
  bool may_overrun;  // whole vectors may be read and (in the panel) written beyond a run
  float* panel;
};

struct DepthwiseRows {
  const float* x;       // staged rows
  const int64_t* taps;  // filter.height * filter.width offsets from the first item of an output row
  const float* weights;
  int32_t height, width;  // of the filter
  int64_t row_step;       // items from the input of one output row to that of the next
  int64_t input_row;      // items from one staged row to the next
  bool rows_overlap;      // stride and dilation along the height are 1: neighbours share input rows
  int64_t rows, columns;  // of the output
  float* y;               // contiguous
  bool load_y;
};

struct ConvKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  void (*stage)(const StageRow&);
  void (*gather)(const GatherPanel&);
  void (*depthwise)(const DepthwiseRows&);
};
const ConvKernels& choose_conv(IsaFeatures features = host_isa());
const ConvKernels* const* conv_rows(int* count);

}  // namespace nnefrun::kernels
