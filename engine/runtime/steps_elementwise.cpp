// Steps that compute item by item, in f32.

#include "engine/runtime/leading_strides.h"
#include "engine/runtime/parts.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/elementwise/elementwise.h"

namespace nnefrun {
namespace {

const float* floats(const View* view) { return reinterpret_cast<const float*>(view->data); }
float* floats(View* view) { return reinterpret_cast<float*>(view->data); }

Status unary_bind(StepContext& c, size_t*) {
  return c.inputs[0]->size() == c.outputs[0]->size() ? Status{} : failed(StatusCode::shape_mismatch);
}
StepParts unary_parts(const StepContext& c) { return flat_parts(c.outputs[0]->size()); }
Status unary_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<UnaryParameters>();
  const FlatRange range = flat_range(c.outputs[0]->size(), begin, end);
  kernels::unary_f32(static_cast<kernels::UnaryOp>(p.op), floats(c.inputs[0]) + range.begin,
                     floats(c.outputs[0]) + range.begin, range.count, {p.a, p.b});
  return {};
}

struct BoundBinary {
  kernels::BinaryShape shape;
  SpaceCut cut;
};

Status binary_bind(StepContext& c, size_t*) {
  auto& bound = *static_cast<BoundBinary*>(c.bound);
  kernels::BinaryShape& shape = bound.shape;
  const View& out = *c.outputs[0];
  shape = {};
  shape.rank = out.rank;
  for (int i = 0; i < out.rank; ++i) shape.dims[i] = out.dims[i];
  bound.cut = cut_space(shape.dims, shape.rank);
  const bool fits = leading_strides(*c.inputs[0], out, shape.x_strides) &&
                    leading_strides(*c.inputs[1], out, shape.y_strides) &&
                    leading_strides(out, out, shape.z_strides);
  return fits ? Status{} : failed(StatusCode::shape_mismatch);
}
StepParts binary_parts(const StepContext& c) {
  return {static_cast<BoundBinary*>(c.bound)->cut.tasks, cost_of_items(c.outputs[0]->size())};
}
void binary_run_at(const StepContext& c, const kernels::BinaryShape& shape, int64_t x, int64_t y, int64_t z) {
  const auto& p = c.as<BinaryParameters>();
  if (p.compare != 0) {
    kernels::compare_f32(static_cast<kernels::CompareOp>(p.op), shape, floats(c.inputs[0]) + x,
                         floats(c.inputs[1]) + y, reinterpret_cast<uint8_t*>(c.outputs[0]->data) + z);
  } else {
    kernels::binary_f32(static_cast<kernels::BinaryOp>(p.op), shape, floats(c.inputs[0]) + x,
                        floats(c.inputs[1]) + y, floats(c.outputs[0]) + z);
  }
}
Status binary_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& bound = *static_cast<BoundBinary*>(c.bound);
  if (begin == 0 && end == bound.cut.tasks) {
    binary_run_at(c, bound.shape, 0, 0, 0);
    return {};
  }
  kernels::BinaryShape run = bound.shape;
  for_each_run(bound.cut, bound.shape.dims, begin, end, [&](const int64_t* index, int64_t count) {
    run_dims(bound.cut, count, run.dims);
    binary_run_at(c, run, run_offset(bound.cut, index, run.x_strides),
                  run_offset(bound.cut, index, run.y_strides), run_offset(bound.cut, index, run.z_strides));
  });
  return {};
}

struct BoundSelect {
  kernels::SelectShape shape;
  SpaceCut cut;
};

Status select_bind(StepContext& c, size_t*) {
  auto& bound = *static_cast<BoundSelect*>(c.bound);
  kernels::SelectShape& shape = bound.shape;
  const View& out = *c.outputs[0];
  shape = {};
  shape.rank = out.rank;
  for (int i = 0; i < out.rank; ++i) shape.dims[i] = out.dims[i];
  bound.cut = cut_space(shape.dims, shape.rank);
  const bool fits = leading_strides(*c.inputs[0], out, shape.condition_strides) &&
                    leading_strides(*c.inputs[1], out, shape.x_strides) &&
                    leading_strides(*c.inputs[2], out, shape.y_strides) &&
                    leading_strides(out, out, shape.z_strides);
  return fits ? Status{} : failed(StatusCode::shape_mismatch);
}
StepParts select_parts(const StepContext& c) {
  return {static_cast<BoundSelect*>(c.bound)->cut.tasks, cost_of_items(c.outputs[0]->size())};
}
Status select_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& bound = *static_cast<BoundSelect*>(c.bound);
  const auto* condition = reinterpret_cast<const uint8_t*>(c.inputs[0]->data);
  const float *x = floats(c.inputs[1]), *y = floats(c.inputs[2]);
  float* z = floats(c.outputs[0]);
  if (begin == 0 && end == bound.cut.tasks) {
    kernels::select_f32(bound.shape, condition, x, y, z);
    return {};
  }
  kernels::SelectShape run = bound.shape;
  for_each_run(bound.cut, bound.shape.dims, begin, end, [&](const int64_t* index, int64_t count) {
    run_dims(bound.cut, count, run.dims);
    kernels::select_f32(run, condition + run_offset(bound.cut, index, run.condition_strides),
                        x + run_offset(bound.cut, index, run.x_strides),
                        y + run_offset(bound.cut, index, run.y_strides),
                        z + run_offset(bound.cut, index, run.z_strides));
  });
  return {};
}

}  // namespace

const StepRow kUnaryStep = {"unary", 0, unary_bind, nullptr, unary_parts, unary_run};
const StepRow kBinaryStep = {"binary", sizeof(BoundBinary), binary_bind, nullptr, binary_parts, binary_run};
const StepRow kSelectStep = {"select", sizeof(BoundSelect), select_bind, nullptr, select_parts, select_run};

}  // namespace nnefrun
