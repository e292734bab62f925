// What the convolution driver (conv.cpp) hands to the rows of one ISA.
//
// Input rows come staged (kernels/stage.h), or as they are when they need neither padding nor sorting.
#pragma once

#include <cstdint>

#include "kernels/isa.h"
#include "kernels/stage.h"

namespace nnefrun::kernels {

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
  void (*stage)(const StagePlane&);
  void (*gather)(const GatherPanel&);
  void (*depthwise)(const DepthwiseRows&);
};
const ConvKernels& choose_conv(IsaFeatures features = host_isa());
const ConvKernels* const* conv_rows(int* count);

}  // namespace nnefrun::kernels
