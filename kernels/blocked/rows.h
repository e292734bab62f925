// What the drivers of the blocked family hand to the rows of one ISA, and the seam between its methods.
//
// Whoever adds an operation: a struct of its arguments and a pointer in BlockedKernels here, its body in a
// file of its own that body.h includes, its line in kernels.inc, its driver in a portable file.
#pragma once

#include "kernels/blocked/blocked.h"
#include "kernels/blocked/winograd.h"

namespace nnefrun::kernels {

// A band of a direct convolution: `lines` output rows of `columns` positions each, for one window of output
// blocks. The input of a position is read from `x` on, at offsets that are the same for all positions:
//
//   x + line * x_line + column * x_column + outer * x_outer + kd * x_tap[0] + kh * x_tap[1] + kw * x_tap[2]
//   + i
//
// with `run` neighbouring items i. Blocked: outer counts input blocks, a run is a block's channels. Plain:
// outer counts channels, and a run is a row of the filter (taps[2] = 1) or one tap (when dilated). Every
// column of a line lies inside the input; lines and depths outside are left out by the ranges of the taps.
//
// Weights: for each pair of output blocks (the last may be single, `vectors` = 1 or 2):
//   [outer][kd][kh][kw][run][vectors * block]
struct BlockedDirect {
  const float* x;
  int64_t x_line, x_column, x_outer, x_tap[3];
  int64_t outer, run, last_run;    // last_run: of the last outer index
  int64_t taps[3];                 // filter extents as walked; taps[2] is 1 when the run is a filter row
  int64_t depth_begin, depth_end;  // of taps[0]: the same for the whole band
  int64_t first_row, row_stride, row_dilation, height;  // input row of tap 0 of line 0, and what clips it
  int64_t lines, columns;
  int64_t x_tile;            // not 0: columns are staged by tiles, each so many items behind the one before
  const float* w;            // of the first output block of the window
  int64_t blocks;            // output blocks in the window
  float* y;                  // of the first block, line and column
  int64_t y_line, y_block;   // items
  const Epilogue* epilogue;  // bias and residual are those of y; null: none
};

// Lines of a depthwise convolution for one channel block.
struct BlockedDepthwise {
  const float* x;  // the plane of the block: [in...][block]
  const float* w;  // [filter...][block]
  float* y;        // the plane of the block: [out...][block]
  const ConvShape* shape;
  int64_t line_begin, line_end;  // of out[0] * out[1]
  const Epilogue* epilogue;      // bias: block values; residual: the plane of the block; null: none
};

struct BlockedKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  int block;           // channels in a block
  int tile_positions;  // the most positions of a direct tile
  void (*direct)(const BlockedDirect&);
  void (*depthwise)(const BlockedDepthwise&);
  WinogradKernels winograd;
  // as in blocked.h, for planes [begin, end)
  void (*pool)(PoolOp op, const PoolShape& shape, const float* x, float* y, int64_t begin, int64_t end);
  void (*sum)(const float* x, int64_t planes, int64_t positions, float scale, float* y);
  void (*gate)(BlockedGate op, const float* x, const float* y, float* z, int64_t planes, int64_t positions);
  // one image
  void (*block_channels)(const float* plain, float* blocked, int64_t channels, int64_t positions);
  void (*unblock_channels)(const float* blocked, float* plain, int64_t channels, int64_t positions);
};

// A way to compute convolutions: the functions of blocked.h for one BlockedMethod. `takes` is asked before
// any other. pack and run get what blocked.h's functions get.
struct BlockedMethodRow {
  bool (*takes)(const ConvShape& shape, bool x_is_plain, const BlockedKernels& kernels);
  size_t (*packed_size)(const ConvShape& shape, bool x_is_plain, const BlockedKernels& kernels);
  void (*pack)(const ConvShape& shape, bool x_is_plain, const float* weights, float* packed,
               const BlockedKernels& kernels);
  size_t (*workspace_size)(const ConvShape& shape, bool x_is_plain, const BlockedKernels& kernels);
  int64_t (*tasks)(const ConvShape& shape, const BlockedKernels& kernels);
  void (*run)(const BlockedConvArgs& args, int64_t task_begin, int64_t task_end, void* workspace,
              const BlockedKernels& kernels);
};
extern const BlockedMethodRow kBlockedDirect;     // direct.cpp
extern const BlockedMethodRow kBlockedDepthwise;  // depthwise.cpp
extern const BlockedMethodRow kBlockedWinograd2;  // winograd.cpp
extern const BlockedMethodRow kBlockedWinograd4;
// The better of the two for the shape, or direct. REQUIRES: they and direct take the shape.
BlockedMethod choose_winograd(const ConvShape& shape, const BlockedKernels& kernels);

inline int64_t blocked_volume(const int64_t (&extents)[3]) { return extents[0] * extents[1] * extents[2]; }
inline int64_t blocked_ceil(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }
inline int64_t blocked_smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t blocked_larger(int64_t a, int64_t b) { return a > b ? a : b; }
// Whether the epilogue does anything.
inline bool blocked_has_epilogue(const Epilogue& e) {
  return e.scale != 1.0F || e.bias_axis != BiasAxis::none || e.residual != nullptr ||
         e.activation != Activation::none;
}

}  // namespace nnefrun::kernels
