// The shape of a convolution from the views of its step, for all steps that convolve.
#pragma once

#include "engine/runtime/steps.h"
#include "kernels/conv/conv.h"

namespace nnefrun {

// x is input 0 and y output 0: [N, C, D...], plain or in blocks, with `spatial` axes. Parameters: the filter,
// stride, dilation and pad_before (size expressions) of the step, each over three axes of which the last ones
// are used.
template <class Parameters>
kernels::ConvShape conv_shape(const StepContext& c, const Parameters& p, int64_t in_channels,
                              int64_t out_channels, int64_t groups, int spatial) {
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  kernels::ConvShape shape = {};
  shape.batch = x.dims[0];
  shape.in_channels = in_channels;
  shape.out_channels = out_channels;
  shape.groups = groups;
  const int shift = 3 - spatial;
  for (int i = 0; i < spatial; ++i) {
    shape.in[shift + i] = x.dims[2 + i];
    shape.out[shift + i] = y.dims[2 + i];
  }
  for (int i = 0; i < 3; ++i) {
    shape.filter[i] = p.filter[i];
    shape.stride[i] = p.stride[i];
    shape.dilation[i] = p.dilation[i];
    shape.pad_before[i] = i < shift ? 0 : c.sizes[p.pad_before[i]];
  }
  return shape;
}

}  // namespace nnefrun
