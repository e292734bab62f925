// Scaled dot product attention.

#include <initializer_list>

#include "engine/runtime/parts.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/attention/attention.h"
#include "kernels/rope/rope.h"

namespace nnefrun {
namespace {

const float* floats(const View* view) { return reinterpret_cast<const float*>(view->data); }
const uint16_t* halves(const View* view) { return reinterpret_cast<const uint16_t*>(view->data); }

// Whether the last item that these strides reach, `extra` items further on, is one of the view's.
bool reaches_inside(const View& view, const int64_t* dims, const int64_t* strides, int count, int64_t extra) {
  int64_t reach = extra;
  for (int i = 0; i < count; ++i) {
    if (dims[i] <= 0) return true;
    int64_t step = 0;
    if (strides[i] < 0 || __builtin_mul_overflow(dims[i] - 1, strides[i], &step) ||
        __builtin_add_overflow(reach, step, &reach)) {
      return false;
    }
  }
  return extra <= 0 || reach <= view.size();
}

Status attention_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<AttentionParameters>();
  auto& s = *static_cast<kernels::AttentionShape*>(c.bound);
  s = {};
  s.batch = c.sizes[p.batch];
  s.heads = c.sizes[p.heads];
  s.groups = c.sizes[p.groups];
  s.rows = c.sizes[p.rows];
  s.keys = c.sizes[p.keys];
  s.width = c.sizes[p.width];
  s.depth = c.sizes[p.depth];
  for (const int64_t extent : {s.batch, s.heads, s.groups, s.rows, s.keys, s.width, s.depth}) {
    if (extent < 0) return failed(StatusCode::negative_extent, extent);
  }
  if (s.groups == 0 || s.heads % s.groups != 0) return failed(StatusCode::shape_mismatch, s.heads, s.groups);
  constexpr int64_t kLongest = 1 << 24;  // positions are counted in f32
  if (p.causal != 0 && (s.rows >= kLongest || s.keys >= kLongest)) return failed(StatusCode::size_overflow);
  for (int i = 0; i < 3; ++i) {
    s.q_strides[i] = c.sizes[p.q_strides[i]];
    s.k_strides[i] = c.sizes[p.k_strides[i]];
    s.v_strides[i] = c.sizes[p.v_strides[i]];
    s.out_strides[i] = c.sizes[p.out_strides[i]];
  }
  const int64_t of_rows[] = {s.batch, s.heads, s.rows}, of_keys[] = {s.batch, s.groups, s.keys};
  bool inside = reaches_inside(*c.inputs[0], of_rows, s.q_strides, 3, s.width) &&
                reaches_inside(*c.inputs[1], of_keys, s.k_strides, 3, s.width) &&
                reaches_inside(*c.inputs[2], of_keys, s.v_strides, 3, s.depth) &&
                reaches_inside(*c.outputs[0], of_rows, s.out_strides, 3, s.depth);
  if (c.step->input_count > 3) {
    s.mask = c.inputs[3]->dtype == DataType::boolean ? kernels::AttentionMask::boolean
                                                     : kernels::AttentionMask::f32;
    const int64_t of_mask[] = {s.batch, s.heads, s.rows, s.keys};
    for (int i = 0; i < 4; ++i) s.mask_strides[i] = c.sizes[p.mask_strides[i]];
    inside = inside && reaches_inside(*c.inputs[3], of_mask, s.mask_strides, 4, 1);
  }
  if (!inside) return failed(StatusCode::shape_mismatch);
  s.causal = p.causal != 0;
  s.half_keys = c.inputs[1]->dtype == DataType::f16;
  if (s.half_keys != (c.inputs[2]->dtype == DataType::f16)) return failed(StatusCode::bad_plan);
  s.scale = p.has_scale != 0 ? p.scale : 1.0F / __builtin_sqrtf(static_cast<float>(s.width));
  *scratch = kernels::attention_workspace_size(s);
  return {};
}

StepParts attention_parts(const StepContext& c) {
  const auto& s = *static_cast<kernels::AttentionShape*>(c.bound);
  return {kernels::attention_task_count(s),
          cost_of_products(s.batch * s.heads * s.rows * s.keys * (s.width + s.depth))};
}
Status attention_run(const StepContext& c, int64_t begin, int64_t end) {
  kernels::AttentionArgs args;
  args.shape = *static_cast<kernels::AttentionShape*>(c.bound);
  args.q = floats(c.inputs[0]);
  if (args.shape.half_keys) {
    args.half_k = halves(c.inputs[1]);
    args.half_v = halves(c.inputs[2]);
  } else {
    args.k = floats(c.inputs[1]);
    args.v = floats(c.inputs[2]);
  }
  args.mask = c.step->input_count > 3 ? c.inputs[3]->data : nullptr;
  args.out = reinterpret_cast<float*>(c.outputs[0]->data);
  kernels::attention_f32(args, begin, end, c.scratch);
  return {};
}

struct BoundRope {
  int64_t half;
  int64_t strides[2][kMaxRank];  // of cos and sin, in items; 0 where they are repeated
};

Status rope_bind(StepContext& c, size_t*) {
  auto& bound = *static_cast<BoundRope*>(c.bound);
  const View& x = *c.inputs[0];
  if (x.rank < 1) return failed(StatusCode::bad_plan);
  const int64_t width = x.dims[x.rank - 1];
  if (width % 2 != 0) return failed(StatusCode::shape_mismatch, width);
  bound.half = width / 2;
  for (int k = 0; k < 2; ++k) {
    const View& turn = *c.inputs[1 + k];
    if (turn.rank != x.rank || turn.dims[x.rank - 1] != width) return failed(StatusCode::shape_mismatch);
    for (int i = 0; i + 1 < x.rank; ++i) {
      if (turn.dims[i] != x.dims[i] && turn.dims[i] != 1)
        return failed(StatusCode::shape_mismatch, turn.dims[i]);
      bound.strides[k][i] = turn.dims[i] == 1 ? 0 : turn.strides[i] / static_cast<int64_t>(sizeof(float));
    }
  }
  return {};
}
StepParts rope_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundRope*>(c.bound);
  const int64_t items = c.inputs[0]->size();
  return {bound.half == 0 ? 0 : items / (2 * bound.half), cost_of_items(items)};
}
Status rope_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& bound = *static_cast<BoundRope*>(c.bound);
  const auto& kernel = kernels::choose_rope();
  const View& x = *c.inputs[0];
  for (int64_t row = begin; row < end; ++row) {
    int64_t rest = row, offsets[2] = {0, 0};
    for (int axis = x.rank - 2; axis >= 0; --axis) {
      const int64_t at = rest % x.dims[axis];
      rest /= x.dims[axis];
      for (int k = 0; k < 2; ++k) offsets[k] += at * bound.strides[k][axis];
    }
    kernel.row(bound.half, floats(&x) + row * 2 * bound.half, floats(c.inputs[1]) + offsets[0],
               floats(c.inputs[2]) + offsets[1],
               reinterpret_cast<float*>(c.outputs[0]->data) + row * 2 * bound.half);
  }
  return {};
}

}  // namespace

const StepRow kRopeStep = {"rope", sizeof(BoundRope), rope_bind, nullptr, rope_parts, rope_run};
const StepRow kAttentionStep = {
    "attention", sizeof(kernels::AttentionShape), attention_bind, nullptr, attention_parts, attention_run};

}  // namespace nnefrun
