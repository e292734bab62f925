// Transposed convolutions in f32.

#include "engine/runtime/conv_shapes.h"
#include "engine/runtime/parts.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/conv/deconv.h"

namespace nnefrun {
namespace {

struct BoundDeconv {
  kernels::ConvShape shape;
  int64_t window, windows;  // output channels of a task, and tasks of a group
};

Status deconv_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<DeconvParameters>();
  auto& bound = *static_cast<BoundDeconv*>(c.bound);
  kernels::ConvShape& shape = bound.shape;
  const auto& kernel = kernels::choose_matmul_f32();
  if (p.packed_mr != kernel.mr || p.packed_nr != kernel.nr)
    return failed(StatusCode::bad_plan, p.packed_mr, kernel.mr);
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  shape = conv_shape(c, p, x.dims[1], y.dims[1], p.groups, x.rank - 2);
  if (p.groups < 1 || shape.in_channels % p.groups != 0 || shape.out_channels % p.groups != 0 ||
      y.dims[0] != x.dims[0])
    return failed(StatusCode::shape_mismatch, shape.in_channels, shape.out_channels);
  const auto packed = static_cast<int64_t>(kernels::packed_deconv_weights_size(shape, kernel));
  if (c.inputs[1]->size() != packed) return failed(StatusCode::shape_mismatch, c.inputs[1]->size(), packed);
  const int64_t channels = shape.out_channels / shape.groups;
  bound.window = kernels::deconv_channel_window(shape, kernel);
  bound.windows = (channels + bound.window - 1) / bound.window;
  *scratch = kernels::deconv_workspace_size(shape, kernel);
  return {};
}

StepParts deconv_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundDeconv*>(c.bound);
  const kernels::ConvShape& s = bound.shape;
  const int64_t taps = s.filter[0] * s.filter[1] * s.filter[2];
  const int64_t products = c.inputs[0]->size() * (s.out_channels / s.groups) * taps;
  return {s.batch * s.groups * bound.windows,
          cost_of_products(products) + cost_of_items(products / (s.in_channels / s.groups))};
}

Status deconv_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& bound = *static_cast<BoundDeconv*>(c.bound);
  const kernels::ConvShape& s = bound.shape;
  const int64_t channels = s.out_channels / s.groups;
  const int64_t in_items = s.in_channels * s.in[0] * s.in[1] * s.in[2];
  const int64_t out_items = s.out_channels * s.out[0] * s.out[1] * s.out[2];
  kernels::DeconvArgs args;
  args.shape = s;
  args.packed_weights = reinterpret_cast<const float*>(c.inputs[1]->data);
  if (c.as<DeconvParameters>().has_bias != 0) args.bias = reinterpret_cast<const float*>(c.inputs[2]->data);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t window = task % bound.windows, image = task / bound.windows / s.groups;
    args.group = task / bound.windows % s.groups;
    args.x = reinterpret_cast<const float*>(c.inputs[0]->data) + image * in_items;
    args.y = reinterpret_cast<float*>(c.outputs[0]->data) + image * out_items;
    args.channel_begin = window * bound.window;
    args.channel_end =
        args.channel_begin + bound.window < channels ? args.channel_begin + bound.window : channels;
    kernels::deconv_f32(args, c.scratch);
  }
  return {};
}

}  // namespace

const StepRow kDeconvStep = {"deconv", sizeof(BoundDeconv), deconv_bind, nullptr, deconv_parts, deconv_run};

}  // namespace nnefrun
