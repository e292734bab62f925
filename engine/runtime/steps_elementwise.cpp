// Steps that compute item by item, in f32.

#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/elementwise/elementwise.h"

namespace nnefrun {
namespace {

const float* floats(const View* view) { return reinterpret_cast<const float*>(view->data); }
float* floats(View* view) { return reinterpret_cast<float*>(view->data); }

// Item strides with which `operand`, aligned at the leading axis, is read over the axes of `result`.
bool leading_strides(const View& operand, const View& result, int64_t* strides) {
  if (operand.rank > result.rank) return false;
  const int64_t item = static_cast<int64_t>(item_size(operand.dtype));
  for (int axis = 0; axis < result.rank; ++axis) {
    const int64_t extent = axis < operand.rank ? operand.dims[axis] : 1;
    if (extent != result.dims[axis] && extent != 1) return false;
    strides[axis] = extent == 1 ? 0 : operand.strides[axis] / item;
  }
  return true;
}

Status unary_bind(StepContext& c, size_t*) {
  return c.inputs[0]->size() == c.outputs[0]->size() ? Status{} : failed(StatusCode::shape_mismatch);
}
Status unary_run(const StepContext& c) {
  const auto& p = c.as<UnaryParameters>();
  kernels::unary_f32(static_cast<kernels::UnaryOp>(p.op), floats(c.inputs[0]), floats(c.outputs[0]),
                     c.outputs[0]->size(), {p.a, p.b});
  return {};
}

Status binary_bind(StepContext& c, size_t*) {
  auto& shape = *static_cast<kernels::BinaryShape*>(c.bound);
  const View& out = *c.outputs[0];
  shape = {};
  shape.rank = out.rank;
  for (int i = 0; i < out.rank; ++i) shape.dims[i] = out.dims[i];
  const bool fits = leading_strides(*c.inputs[0], out, shape.x_strides) &&
                    leading_strides(*c.inputs[1], out, shape.y_strides) &&
                    leading_strides(out, out, shape.z_strides);
  return fits ? Status{} : failed(StatusCode::shape_mismatch);
}
Status binary_run(const StepContext& c) {
  const auto& p = c.as<BinaryParameters>();
  const auto& shape = *static_cast<kernels::BinaryShape*>(c.bound);
  if (p.compare != 0) {
    kernels::compare_f32(static_cast<kernels::CompareOp>(p.op), shape, floats(c.inputs[0]),
                         floats(c.inputs[1]), reinterpret_cast<uint8_t*>(c.outputs[0]->data));
  } else {
    kernels::binary_f32(static_cast<kernels::BinaryOp>(p.op), shape, floats(c.inputs[0]), floats(c.inputs[1]),
                        floats(c.outputs[0]));
  }
  return {};
}

Status select_bind(StepContext& c, size_t*) {
  auto& shape = *static_cast<kernels::SelectShape*>(c.bound);
  const View& out = *c.outputs[0];
  shape = {};
  shape.rank = out.rank;
  for (int i = 0; i < out.rank; ++i) shape.dims[i] = out.dims[i];
  const bool fits = leading_strides(*c.inputs[0], out, shape.condition_strides) &&
                    leading_strides(*c.inputs[1], out, shape.x_strides) &&
                    leading_strides(*c.inputs[2], out, shape.y_strides) &&
                    leading_strides(out, out, shape.z_strides);
  return fits ? Status{} : failed(StatusCode::shape_mismatch);
}
Status select_run(const StepContext& c) {
  kernels::select_f32(*static_cast<kernels::SelectShape*>(c.bound),
                      reinterpret_cast<const uint8_t*>(c.inputs[0]->data), floats(c.inputs[1]),
                      floats(c.inputs[2]), floats(c.outputs[0]));
  return {};
}

}  // namespace

const StepRow kUnaryStep = {"unary", 0, unary_bind, unary_run};
const StepRow kBinaryStep = {"binary", sizeof(kernels::BinaryShape), binary_bind, binary_run};
const StepRow kSelectStep = {"select", sizeof(kernels::SelectShape), select_bind, select_run};

}  // namespace nnefrun
