// Convolutions and matrix products of 8-bit codes over the tiles of int8.h: implicit products over the
// channels-last layout (1x1 and k x k, strided, dilated, grouped, one to three spatial axes), and depthwise
// ones.
#pragma once

#include "kernels/conv/conv.h"
#include "kernels/int8/int8.h"

namespace nnefrun::kernels {

struct CodeConvArgs {
  ConvShape shape;
  const uint8_t* x = nullptr;       // pixels of x_stride bytes, in the order [batch, in...]
  int64_t x_stride = 0;             // at least in_channels
  uint8_t x_flip = 0;               // 0x80: x holds i8
  uint8_t x_zero = 0;               // what padding holds, as u8
  const int8_t* weights = nullptr;  // packed; of depthwise ones:
  const int16_t* depthwise_weights = nullptr;
  const int8_t* depthwise_dots = nullptr;  // instead, where the row has them
  const int32_t* start = nullptr;          // [groups][out_channels / groups, rounded up to whole vectors]
  const int32_t* factors =
      nullptr;            // null, or one item: times the sum of a pixel's window, added to all channels
  CodeEpilogue epilogue;  // scales as `start`
  void* y = nullptr;      // pixels of y_stride items
  int64_t y_stride = 0;
  const CodeBinary* sum = nullptr;  // see CodeProduct; not of depthwise ones
  const uint8_t* residual = nullptr;
};

// Whether the shape runs by the depthwise rows: one channel in, one out, in each group.
bool is_depthwise_codes(const ConvShape& shape);
// Items of `start` (and of scales).
int64_t code_channels(const ConvShape& shape, const Int8Kernels& kernels = choose_int8());
// Whether a depthwise convolution whose weights have 8 bits is to run by dot products over taps.
bool takes_depthwise_dots(const ConvShape& shape, const Int8Kernels& kernels = choose_int8());
// Bytes of packed weights of one group. Groups lie one behind the other.
size_t packed_group_size(const ConvShape& shape, const Int8Kernels& kernels = choose_int8());

struct CodeConvCut {
  int64_t tasks = 0;
  size_t workspace = 0;  // bytes, for any range of tasks
};
// Only shape, x_stride and x_flip are looked at.
CodeConvCut cut_code_conv(const CodeConvArgs& args, const Int8Kernels& kernels = choose_int8());
// Tasks [begin, end). REQUIRES: workspace is 64-byte aligned; y overlaps neither x nor weights.
void code_conv(const CodeConvArgs& args, int64_t begin, int64_t end, void* workspace,
               const Int8Kernels& kernels = choose_int8());

}  // namespace nnefrun::kernels
