// f32 convolution over one to three spatial axes, batch and channels outermost (NCHW and its relatives):
//
//   y[b,o,q] = epilogue( sum over c, t of w[o,c,t] * x[b, g*C/groups + c, q*stride + t*dilation - pad_before]
//   )
//
// with q an output position, t a position of the filter, g = o / (O/groups); x outside its bounds is 0. Fewer
// than three spatial axes are written with the outer ones 1: a 1-D convolution has extents [1, 1, W], stride
// 1, no padding there.
//
// How. The filter is packed once as the left operand of a product (matmul.h) with m = O/groups and
// k = C/groups * filter volume; the right operand is never stored whole: blocks of it are gathered on the
// fly. A 1x1 filter with stride 1 and no padding multiplies the input itself. A depthwise convolution (C =
// groups, one filter for each output channel) has kernels of its own and packs nothing.
//
// Layout: plain (channels outermost). ConvShape names its layout so that a channel-blocked one can be added.
//
// Threads: kernels own none; calls on different `batch` items or on disjoint windows of output channels
// ([channel_begin, channel_end), multiples of conv_channel_granule) may run at once, each with its own
// workspace.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"
#include "kernels/isa.h"
#include "kernels/matmul/matmul.h"

namespace nnefrun::kernels {

enum class ConvLayout : uint8_t { plain = 0 };

struct ConvShape {
  int64_t batch = 1, in_channels = 1, out_channels = 1, groups = 1;
  // Spatial quantities, outermost first: depth, height, width. The outer ones stay 1 (padding 0) for lower
  // ranks.
  int64_t in[3] = {1, 1, 1};
  int64_t out[3] = {1, 1, 1};
  int64_t filter[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1};
  int64_t dilation[3] = {1, 1, 1};
  int64_t pad_before[3] = {0, 0, 0};  // the padding behind follows from `out`; may be negative (cropping)
  ConvLayout layout = ConvLayout::plain;
};

// Everything conv_f32 needs to know besides the data. Plain data: may be stored in a plan.
struct ConvArgs {
  ConvShape shape;
  const float* x = nullptr;               // [batch, in_channels, in...], contiguous
  const float* packed_weights = nullptr;  // from pack_conv_weights
  float* y = nullptr;                     // [batch, out_channels, out...], contiguous
  // bias_axis row = one value for each output channel (column is not allowed); residual has the shape of y,
  // contiguous (residual_row_stride is ignored).
  Epilogue epilogue;
  bool accumulate = false;                      // the sum starts from y instead of 0
  int64_t channel_begin = 0, channel_end = -1;  // window of output channels, -1: all
};

// True when the depthwise kernels take the shape: groups > 1, one input channel for each group.
bool conv_is_depthwise(const ConvShape& shape);
// Windows of output channels must begin at multiples of this.
int64_t conv_channel_granule(const ConvShape& shape, const MatmulKernel& kernel = choose_matmul_f32());

// Floats of the packed filter, and the packing. weights: [out_channels, in_channels / groups, filter...],
// contiguous.
size_t packed_conv_weights_size(const ConvShape& shape, const MatmulKernel& kernel = choose_matmul_f32());
void pack_conv_weights(const ConvShape& shape, const float* weights, float* packed,
                       const MatmulKernel& kernel = choose_matmul_f32());

// Bytes of workspace that suffice for one call.
size_t conv_workspace_size(const ConvShape& shape, const MatmulKernel& kernel = choose_matmul_f32());
// REQUIRES: workspace and packed weights are 64-byte aligned; groups divides both channel counts; strides,
// dilations and filter extents are at least 1; y overlaps neither x, nor the weights, nor the residual; the
// weights were packed for the same row. Any extent of x or y may be 0.
void conv_f32(const ConvArgs& args, void* workspace, const MatmulKernel& kernel = choose_matmul_f32());

}  // namespace nnefrun::kernels
