// Steps over the channel-blocked layout: values [N, ceil(C / b), D..., b].

#include "engine/runtime/conv_shapes.h"
#include "engine/runtime/epilogue.h"
#include "engine/runtime/parts.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/blocked/blocked.h"

namespace nnefrun {
namespace {

const float* floats(const View* view) { return reinterpret_cast<const float*>(view->data); }
float* floats_of(View* view) { return reinterpret_cast<float*>(view->data); }

// Whether the last axis is the block of this machine's kernels.
bool fits_block(const View& v, uint32_t block) {
  return block == static_cast<uint32_t>(kernels::channel_block()) && v.rank >= 3 &&
         v.dims[v.rank - 1] == block;
}

int64_t positions_of(const View& blocked) {
  int64_t positions = 1;
  for (int axis = 2; axis + 1 < blocked.rank; ++axis) positions *= blocked.dims[axis];
  return positions;
}

Status conv_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<BlockedConvParameters>();
  auto& shape = *static_cast<kernels::ConvShape*>(c.bound);
  const View& y = *c.outputs[0];
  if (!fits_block(y, p.block)) return failed(StatusCode::bad_plan, p.block, kernels::channel_block());
  shape = conv_shape(c, p, p.in_channels, p.out_channels, p.groups, y.rank - 3);
  *scratch = kernels::blocked_conv_workspace_size(shape, static_cast<kernels::BlockedMethod>(p.method),
                                                  p.x_is_plain != 0);
  return {};
}
StepParts conv_parts(const StepContext& c) {
  const auto& shape = *static_cast<kernels::ConvShape*>(c.bound);
  const auto& p = c.as<BlockedConvParameters>();
  const int64_t taps = shape.filter[0] * shape.filter[1] * shape.filter[2];
  return {kernels::blocked_conv_tasks(shape, static_cast<kernels::BlockedMethod>(p.method)),
          cost_of_products(c.outputs[0]->size() * (shape.in_channels / shape.groups) * taps)};
}
Status conv_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<BlockedConvParameters>();
  kernels::BlockedConvArgs args;
  args.shape = *static_cast<kernels::ConvShape*>(c.bound);
  args.method = static_cast<kernels::BlockedMethod>(p.method);
  args.x_is_plain = p.x_is_plain != 0;
  args.x = floats(c.inputs[0]);
  args.packed_weights = floats(c.inputs[1]);
  args.y = floats_of(c.outputs[0]);
  args.epilogue = epilogue_of(c, p.epilogue, kernels::BiasAxis::row);
  kernels::blocked_conv(args, begin, end, c.scratch);
  return {};
}

// The bound data is the shape of the depthwise convolution.
Status pair_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<BlockedPairParameters>();
  auto& shape = *static_cast<kernels::ConvShape*>(c.bound);
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  if (!fits_block(x, p.block) || !fits_block(y, p.block))
    return failed(StatusCode::bad_plan, p.block, kernels::channel_block());
  shape = conv_shape(c, p, p.channels, p.channels, p.channels, y.rank - 3);
  if (!kernels::blocked_pair_takes(shape)) return failed(StatusCode::bad_plan);
  *scratch = kernels::blocked_pair_workspace_size(shape, p.in_channels);
  return {};
}
StepParts pair_parts(const StepContext& c) {
  const auto& shape = *static_cast<kernels::ConvShape*>(c.bound);
  const auto& p = c.as<BlockedPairParameters>();
  const int64_t pointwise = shape.in[1] * shape.in[2] * p.in_channels;
  const int64_t depthwise = shape.out[1] * shape.out[2] * shape.filter[1] * shape.filter[2];
  return {kernels::blocked_pair_tasks(shape, p.in_channels),
          cost_of_products(shape.batch * p.channels * (pointwise + depthwise))};
}
kernels::Epilogue pair_epilogue(const EpilogueParameters& p, const View* bias) {
  kernels::Epilogue e;
  e.activation = static_cast<kernels::Activation>(p.activation);
  e.a = p.a;
  e.b = p.b;
  if (p.has_bias != 0) {
    e.bias_axis = kernels::BiasAxis::row;
    e.bias = floats(bias);
  }
  return e;
}
Status pair_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<BlockedPairParameters>();
  kernels::BlockedPairArgs args;
  args.depthwise = *static_cast<kernels::ConvShape*>(c.bound);
  args.in_channels = p.in_channels;
  args.x = floats(c.inputs[0]);
  args.packed_pointwise = floats(c.inputs[1]);
  args.packed_depthwise = floats(c.inputs[2]);
  args.first = pair_epilogue(p.first, p.first.has_bias != 0 ? c.inputs[3] : nullptr);
  args.second =
      pair_epilogue(p.second, p.second.has_bias != 0 ? c.inputs[p.first.has_bias != 0 ? 4 : 3] : nullptr);
  args.y = floats_of(c.outputs[0]);
  kernels::blocked_pair(args, begin, end, c.scratch);
  return {};
}

Status repack_bind(StepContext& c, size_t*) {
  const auto& p = c.as<RepackParameters>();
  const View& blocked = p.to_blocked != 0 ? *c.outputs[0] : *c.inputs[0];
  return fits_block(blocked, p.block) ? Status{}
                                      : failed(StatusCode::bad_plan, p.block, kernels::channel_block());
}
// Tasks are blocks of channels of an image.
StepParts repack_parts(const StepContext& c) {
  const View& blocked = c.as<RepackParameters>().to_blocked != 0 ? *c.outputs[0] : *c.inputs[0];
  return {blocked.dims[0] * blocked.dims[1], cost_of_bytes(blocked.size() * 4)};
}
Status repack_run(const StepContext& c, int64_t begin, int64_t end) {
  const bool to_blocked = c.as<RepackParameters>().to_blocked != 0;
  const View &plain = to_blocked ? *c.inputs[0] : *c.outputs[0],
             &blocked = to_blocked ? *c.outputs[0] : *c.inputs[0];
  const int64_t channels = plain.dims[1], block = blocked.dims[blocked.rank - 1], blocks = blocked.dims[1];
  const int64_t positions = positions_of(blocked);
  while (begin < end) {
    const int64_t image = begin / blocks, first = begin % blocks;
    const int64_t last = blocks - first < end - begin ? blocks : first + (end - begin);
    const int64_t count = (last * block < channels ? last * block : channels) - first * block;
    const int64_t at = (image * channels + first * block) * positions, blocked_at = begin * block * positions;
    if (to_blocked) {
      kernels::block_channels(floats(c.inputs[0]) + at, floats_of(c.outputs[0]) + blocked_at, 1, count,
                              positions);
    } else {
      kernels::unblock_channels(floats(c.inputs[0]) + blocked_at, floats_of(c.outputs[0]) + at, 1, count,
                                positions);
    }
    begin += last - first;
  }
  return {};
}

Status pool_bind(StepContext& c, size_t*) {
  const auto& p = c.as<PoolParameters>();
  auto& shape = *static_cast<kernels::PoolShape*>(c.bound);
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  if (!fits_block(x, static_cast<uint32_t>(kernels::channel_block()))) return failed(StatusCode::bad_plan);
  const int spatial = x.rank - 3, shift = 3 - spatial;
  shape = {};
  shape.planes = x.dims[0] * x.dims[1];
  shape.border = static_cast<kernels::PoolBorder>(p.border);
  for (int i = 0; i < spatial; ++i) {
    shape.in[shift + i] = x.dims[2 + i];
    shape.out[shift + i] = y.dims[2 + i];
  }
  for (int i = 0; i < 3; ++i) {
    shape.window[i] = p.window[i];
    shape.stride[i] = p.stride[i];
    shape.dilation[i] = p.dilation[i];
    shape.pad_before[i] = i < shift ? 0 : c.sizes[p.pad_before[i]];
  }
  return {};
}
StepParts pool_parts(const StepContext& c) {
  const auto& shape = *static_cast<kernels::PoolShape*>(c.bound);
  const int64_t taps = shape.window[0] * shape.window[1] * shape.window[2];
  return {shape.planes, cost_of_items(c.outputs[0]->size() * taps / 4)};
}
Status pool_run(const StepContext& c, int64_t begin, int64_t end) {
  kernels::blocked_pool(static_cast<kernels::PoolOp>(c.as<PoolParameters>().op),
                        *static_cast<kernels::PoolShape*>(c.bound), floats(c.inputs[0]),
                        floats_of(c.outputs[0]), begin, end);
  return {};
}

Status sum_bind(StepContext& c, size_t*) {
  return fits_block(*c.inputs[0], static_cast<uint32_t>(kernels::channel_block()))
             ? Status{}
             : failed(StatusCode::bad_plan);
}
// Tasks of sum and gate are planes.
StepParts plane_parts(const StepContext& c) {
  const View& x = *c.inputs[0];
  return {x.dims[0] * x.dims[1], cost_of_bytes(x.size() * 4)};
}
Status sum_run(const StepContext& c, int64_t begin, int64_t end) {
  const View& x = *c.inputs[0];
  const int64_t positions = positions_of(x), block = x.dims[x.rank - 1];
  const float scale = c.as<BlockedSumParameters>().mean != 0 ? 1.0F / static_cast<float>(positions) : 1.0F;
  kernels::blocked_sum(floats(&x) + begin * positions * block, end - begin, positions, scale,
                       floats_of(c.outputs[0]) + begin * block);
  return {};
}

Status gate_bind(StepContext& c, size_t*) {
  const View &x = *c.inputs[0], &y = *c.inputs[1];
  const bool fits = fits_block(x, static_cast<uint32_t>(kernels::channel_block())) &&
                    y.dims[0] == x.dims[0] && y.dims[1] == x.dims[1] && positions_of(y) == 1;
  return fits ? Status{} : failed(StatusCode::shape_mismatch);
}
Status gate_run(const StepContext& c, int64_t begin, int64_t end) {
  const View& x = *c.inputs[0];
  const int64_t positions = positions_of(x), block = x.dims[x.rank - 1], at = begin * positions * block;
  kernels::blocked_gate(static_cast<kernels::BlockedGate>(c.as<BlockedGateParameters>().op), floats(&x) + at,
                        floats(c.inputs[1]) + begin * block, floats_of(c.outputs[0]) + at, end - begin,
                        positions);
  return {};
}

}  // namespace

const StepRow kBlockedConvStep = {"blocked_conv", sizeof(kernels::ConvShape), conv_bind, nullptr, conv_parts,
                                  conv_run};
const StepRow kBlockedPairStep = {"blocked_pair", sizeof(kernels::ConvShape), pair_bind, nullptr, pair_parts,
                                  pair_run};
const StepRow kRepackStep = {"repack", 0, repack_bind, nullptr, repack_parts, repack_run};
const StepRow kBlockedPoolStep = {"blocked_pool", sizeof(kernels::PoolShape), pool_bind, nullptr, pool_parts,
                                  pool_run};
const StepRow kBlockedSumStep = {"blocked_sum", 0, sum_bind, nullptr, plane_parts, sum_run};
const StepRow kBlockedGateStep = {"blocked_gate", 0, gate_bind, nullptr, plane_parts, gate_run};

}  // namespace nnefrun
