// Transposed convolution in f32, plain layout, up to three spatial axes: a product of packed weights with the
// input gives what each cell of it adds to the window it is spread over, and the windows are added up.
//
//   y[b,o,p] = bias[o] + sum over i, taps t and input cells q with q * stride + t * dilation - pad = p of
//              x[b,i,q] * w[i,o,t]
//
// Blocks of output channels and of input cells are chosen so that the product of a block stays in the second
// cache. Order of summation: the bias first, then blocks of cells in order, in a block tap after tap; for
// each of them the products of all input channels as matmul.h has them. It does not depend on how channels
// are cut into windows.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/conv/conv.h"

namespace nnefrun::kernels {

// ConvShape as the mirror image reads it: `in` is the smaller side, `pad_before` is cut off the result.
// Channels [channel_begin, channel_end) of one group of one image.
struct DeconvArgs {
  ConvShape shape;
  const float* x = nullptr;               // the image: [in_channels, in..]
  const float* packed_weights = nullptr;  // of all groups
  const float* bias = nullptr;            // one for each output channel; null: none
  float* y = nullptr;                     // the image: [out_channels, out..]
  int64_t group = 0;
  int64_t channel_begin = 0, channel_end = 0;  // of the group; begin is a multiple of the window
};

// Weights [in_channels, out_channels / groups, taps..], in floats.
size_t packed_deconv_weights_size(const ConvShape& shape, const MatmulKernel& kernel = choose_matmul_f32());
void pack_deconv_weights(const ConvShape& shape, const float* weights, float* packed,
                         const MatmulKernel& kernel = choose_matmul_f32());
// Output channels of a group that are worth a call of their own.
int64_t deconv_channel_window(const ConvShape& shape, const MatmulKernel& kernel = choose_matmul_f32());
// Bytes for a call with one window of channels.
size_t deconv_workspace_size(const ConvShape& shape, const MatmulKernel& kernel = choose_matmul_f32());
// REQUIRES: workspace is 64-byte aligned; at most one window of channels.
void deconv_f32(const DeconvArgs& args, void* workspace, const MatmulKernel& kernel = choose_matmul_f32());

}  // namespace nnefrun::kernels
