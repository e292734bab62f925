// Steps over the channel-blocked layout: values [N, ceil(C / b), D..., b].

#include "engine/runtime/epilogue.h"
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
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  if (!fits_block(y, p.block)) return failed(StatusCode::bad_plan, p.block, kernels::channel_block());
  shape = {};
  shape.batch = x.dims[0];
  shape.in_channels = p.in_channels;
  shape.out_channels = p.out_channels;
  shape.groups = p.groups;
  const int spatial = y.rank - 3, shift = 3 - spatial;
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
  *scratch = kernels::blocked_conv_workspace_size(shape, static_cast<kernels::BlockedMethod>(p.method),
                                                  p.x_is_plain != 0);
  return {};
}
Status conv_run(const StepContext& c) {
  const auto& p = c.as<BlockedConvParameters>();
  kernels::BlockedConvArgs args;
  args.shape = *static_cast<kernels::ConvShape*>(c.bound);
  args.method = static_cast<kernels::BlockedMethod>(p.method);
  args.x_is_plain = p.x_is_plain != 0;
  args.x = floats(c.inputs[0]);
  args.packed_weights = floats(c.inputs[1]);
  args.y = floats_of(c.outputs[0]);
  args.epilogue = epilogue_of(c, p.epilogue, kernels::BiasAxis::row);
  kernels::blocked_conv(args, 0, kernels::blocked_conv_tasks(args.shape, args.method), c.scratch);
  return {};
}

Status repack_bind(StepContext& c, size_t*) {
  const auto& p = c.as<RepackParameters>();
  const View& blocked = p.to_blocked != 0 ? *c.outputs[0] : *c.inputs[0];
  return fits_block(blocked, p.block) ? Status{}
                                      : failed(StatusCode::bad_plan, p.block, kernels::channel_block());
}
Status repack_run(const StepContext& c) {
  const View &from = *c.inputs[0], &to = *c.outputs[0];
  if (c.as<RepackParameters>().to_blocked != 0) {
    kernels::block_channels(floats(&from), floats_of(c.outputs[0]), from.dims[0], from.dims[1],
                            positions_of(to));
  } else {
    kernels::unblock_channels(floats(&from), floats_of(c.outputs[0]), from.dims[0], to.dims[1],
                              positions_of(from));
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
Status pool_run(const StepContext& c) {
  const auto& shape = *static_cast<kernels::PoolShape*>(c.bound);
  kernels::blocked_pool(static_cast<kernels::PoolOp>(c.as<PoolParameters>().op), shape, floats(c.inputs[0]),
                        floats_of(c.outputs[0]), 0, shape.planes);
  return {};
}

Status sum_bind(StepContext& c, size_t*) {
  return fits_block(*c.inputs[0], static_cast<uint32_t>(kernels::channel_block()))
             ? Status{}
             : failed(StatusCode::bad_plan);
}
Status sum_run(const StepContext& c) {
  const View& x = *c.inputs[0];
  const int64_t positions = positions_of(x);
  const float scale = c.as<BlockedSumParameters>().mean != 0 ? 1.0F / static_cast<float>(positions) : 1.0F;
  kernels::blocked_sum(floats(&x), x.dims[0] * x.dims[1], positions, scale, floats_of(c.outputs[0]));
  return {};
}

Status gate_bind(StepContext& c, size_t*) {
  const View &x = *c.inputs[0], &y = *c.inputs[1];
  const bool fits = fits_block(x, static_cast<uint32_t>(kernels::channel_block())) &&
                    y.dims[0] == x.dims[0] && y.dims[1] == x.dims[1] && positions_of(y) == 1;
  return fits ? Status{} : failed(StatusCode::shape_mismatch);
}
Status gate_run(const StepContext& c) {
  const View& x = *c.inputs[0];
  kernels::blocked_gate(static_cast<kernels::BlockedGate>(c.as<BlockedGateParameters>().op), floats(&x),
                        floats(c.inputs[1]), floats_of(c.outputs[0]), x.dims[0] * x.dims[1], positions_of(x));
  return {};
}

}  // namespace

const StepRow kBlockedConvStep = {"blocked_conv", sizeof(kernels::ConvShape), conv_bind, conv_run};
const StepRow kRepackStep = {"repack", 0, repack_bind, repack_run};
const StepRow kBlockedPoolStep = {"blocked_pool", sizeof(kernels::PoolShape), pool_bind, pool_run};
const StepRow kBlockedSumStep = {"blocked_sum", 0, sum_bind, sum_run};
const StepRow kBlockedGateStep = {"blocked_gate", 0, gate_bind, gate_run};

}  // namespace nnefrun
