// Steps that consume or normalise over axes: reductions, softmax, row norms, pooling; in f32.

#include "engine/runtime/parts.h"
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
// Every row here that splits consumes or normalises within items of the outer axis.
StepParts outer_parts(const StepContext& c) {
  return {static_cast<Split*>(c.bound)->outer, cost_of_items(c.inputs[0]->size())};
}
Status reduce_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<ReduceParameters>();
  const auto& s = *static_cast<Split*>(c.bound);
  const float* x = floats(c.inputs[0]) + begin * s.n * s.inner;
  auto* index = reinterpret_cast<int64_t*>(c.outputs[0]->data) + begin * s.inner;
  if (p.kind == 0) {
    kernels::reduce_f32(static_cast<kernels::ReduceOp>(p.op), x, floats(c.outputs[0]) + begin * s.inner,
                        end - begin, s.n, s.inner);
  } else if (p.kind == 1) {
    kernels::argmax_f32(x, index, end - begin, s.n, s.inner, p.take_last != 0);
  } else {
    kernels::argmin_f32(x, index, end - begin, s.n, s.inner, p.take_last != 0);
  }
  return {};
}

Status softmax_bind(StepContext& c, size_t*) {
  const auto& p = c.as<SoftmaxParameters>();
  *static_cast<Split*>(c.bound) = split_at(*c.inputs[0], p.first_axis, p.axis_count);
  return c.inputs[0]->size() == c.outputs[0]->size() ? Status{} : failed(StatusCode::shape_mismatch);
}
Status softmax_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& s = *static_cast<Split*>(c.bound);
  const auto function = c.as<SoftmaxParameters>().log != 0 ? kernels::log_softmax_f32 : kernels::softmax_f32;
  const int64_t at = begin * s.n * s.inner;
  function(floats(c.inputs[0]) + at, floats(c.outputs[0]) + at, end - begin, s.n, s.inner,
           kernels::host_isa());
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
Status normalize_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<NormalizeParameters>();
  const auto& s = *static_cast<Split*>(c.bound);
  const float* scale = p.has_scale != 0 ? floats(c.inputs[1]) : nullptr;
  const float* offset = p.has_offset != 0 ? floats(c.inputs[1 + p.has_scale]) : nullptr;
  const float* x = floats(c.inputs[0]) + begin * s.n;
  float* y = floats(c.outputs[0]) + begin * s.n;
  if (p.rms != 0) {
    kernels::rms_norm_f32(x, y, end - begin, s.n, p.epsilon, scale);
  } else {
    kernels::layer_norm_f32(x, y, end - begin, s.n, p.epsilon, scale, offset);
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
StepParts pool_parts(const StepContext& c) {
  const auto& shape = *static_cast<kernels::PoolShape*>(c.bound);
  const int64_t taps = shape.window[0] * shape.window[1] * shape.window[2];
  return {shape.planes, cost_of_items(c.outputs[0]->size() * taps / 2)};
}
Status pool_run(const StepContext& c, int64_t begin, int64_t end) {
  kernels::PoolShape part = *static_cast<kernels::PoolShape*>(c.bound);
  const int64_t in = part.in[0] * part.in[1] * part.in[2], out = part.out[0] * part.out[1] * part.out[2];
  part.planes = end - begin;
  kernels::pool_f32(static_cast<kernels::PoolOp>(c.as<PoolParameters>().op), part,
                    floats(c.inputs[0]) + begin * in, floats(c.outputs[0]) + begin * out, c.scratch);
  return {};
}

}  // namespace

const StepRow kReduceStep = {"reduce", sizeof(Split), reduce_bind, nullptr, outer_parts, reduce_run};
const StepRow kSoftmaxStep = {"softmax", sizeof(Split), softmax_bind, nullptr, outer_parts, softmax_run};
const StepRow kNormalizeStep = {"normalize", sizeof(Split), normalize_bind,
                                nullptr,     outer_parts,   normalize_run};
const StepRow kPoolStep = {"pool", sizeof(kernels::PoolShape), pool_bind, nullptr, pool_parts, pool_run};

}  // namespace nnefrun
