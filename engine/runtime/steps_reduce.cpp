// Steps that consume or normalise over axes: reductions, softmax, row norms, pooling; in f32.

#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/pool/pool.h"
#include "kernels/reduce/reduce.h"

namespace nnefrun {
namespace {

const float* floats(const View* view) { return reinterpret_cast<const float*>(view->data); }
float* floats(View* view) { return reinterpret_cast<float*>(view->data); }

// A shape seen as [outer, n, inner] about adjacent axes.
struct Split {
  int64_t outer = 1, n = 1, inner = 1;
};
Split split_at(const View& x, uint32_t first_axis, uint32_t axis_count) {
  Split s;
  for (int i = 0; i < x.rank; ++i) {
    const auto axis = static_cast<uint32_t>(i);
    (axis < first_axis ? s.outer : axis < first_axis + axis_count ? s.n : s.inner) *= x.dims[i];
  }
  return s;
}

Status reduce_bind(StepContext& c, size_t*) {
  const auto& p = c.as<ReduceParameters>();
  auto& split = *static_cast<Split*>(c.bound);
  split = split_at(*c.inputs[0], p.first_axis, p.axis_count);
  return c.outputs[0]->size() == split.outer * split.inner ? Status{} : failed(StatusCode::shape_mismatch);
}
Status reduce_run(const StepContext& c) {
  const auto& p = c.as<ReduceParameters>();
  const auto& s = *static_cast<Split*>(c.bound);
  const float* x = floats(c.inputs[0]);
  auto* index = reinterpret_cast<int64_t*>(c.outputs[0]->data);
  if (p.kind == 0) {
    kernels::reduce_f32(static_cast<kernels::ReduceOp>(p.op), x, floats(c.outputs[0]), s.outer, s.n, s.inner);
  } else if (p.kind == 1) {
    kernels::argmax_f32(x, index, s.outer, s.n, s.inner, p.take_last != 0);
  } else {
    kernels::argmin_f32(x, index, s.outer, s.n, s.inner, p.take_last != 0);
  }
  return {};
}

Status softmax_bind(StepContext& c, size_t*) {
  const auto& p = c.as<SoftmaxParameters>();
  *static_cast<Split*>(c.bound) = split_at(*c.inputs[0], p.first_axis, p.axis_count);
  return c.inputs[0]->size() == c.outputs[0]->size() ? Status{} : failed(StatusCode::shape_mismatch);
}
Status softmax_run(const StepContext& c) {
  const auto& s = *static_cast<Split*>(c.bound);
  const auto function = c.as<SoftmaxParameters>().log != 0 ? kernels::log_softmax_f32 : kernels::softmax_f32;
  function(floats(c.inputs[0]), floats(c.outputs[0]), s.outer, s.n, s.inner, kernels::host_isa());
  return {};
}

Status normalize_bind(StepContext& c, size_t*) {
  const auto& p = c.as<NormalizeParameters>();
  auto& split = *static_cast<Split*>(c.bound);
  split = split_at(*c.inputs[0], p.first_axis, static_cast<uint32_t>(c.inputs[0]->rank) - p.first_axis);
  for (uint32_t i = 1; i < c.step->input_count; ++i) {
    if (c.inputs[i]->size() != split.n)
      return failed(StatusCode::shape_mismatch, c.inputs[i]->size(), split.n);
  }
  return c.inputs[0]->size() == c.outputs[0]->size() ? Status{} : failed(StatusCode::shape_mismatch);
}
Status normalize_run(const StepContext& c) {
  const auto& p = c.as<NormalizeParameters>();
  const auto& s = *static_cast<Split*>(c.bound);
  const float* scale = p.has_scale != 0 ? floats(c.inputs[1]) : nullptr;
  const float* offset = p.has_offset != 0 ? floats(c.inputs[1 + p.has_scale]) : nullptr;
  if (p.rms != 0) {
    kernels::rms_norm_f32(floats(c.inputs[0]), floats(c.outputs[0]), s.outer, s.n, p.epsilon, scale);
  } else {
    kernels::layer_norm_f32(floats(c.inputs[0]), floats(c.outputs[0]), s.outer, s.n, p.epsilon, scale,
                            offset);
  }
  return {};
}

Status pool_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<PoolParameters>();
  auto& shape = *static_cast<kernels::PoolShape*>(c.bound);
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  const int spatial = x.rank - 2, shift = 3 - spatial;
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
  *scratch = kernels::pool_workspace_size(shape);
  return {};
}
Status pool_run(const StepContext& c) {
  kernels::pool_f32(static_cast<kernels::PoolOp>(c.as<PoolParameters>().op),
                    *static_cast<kernels::PoolShape*>(c.bound), floats(c.inputs[0]), floats(c.outputs[0]),
                    c.scratch);
  return {};
}

}  // namespace

const StepRow kReduceStep = {"reduce", sizeof(Split), reduce_bind, reduce_run};
const StepRow kSoftmaxStep = {"softmax", sizeof(Split), softmax_bind, softmax_run};
const StepRow kNormalizeStep = {"normalize", sizeof(Split), normalize_bind, normalize_run};
const StepRow kPoolStep = {"pool", sizeof(kernels::PoolShape), pool_bind, pool_run};

}  // namespace nnefrun
