// The integers and truth values of index arithmetic. Small, so they run as a whole.

#include "engine/runtime/leading_strides.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/elementwise/integers.h"

namespace nnefrun {
namespace {

Status integer_bind(StepContext& c, size_t*) {
  const auto& p = c.as<IntegerParameters>();
  const View &x = *c.inputs[0], &y = *c.inputs[1], &out = *c.outputs[0];
  const auto op = static_cast<kernels::IntegerOp>(p.op);
  if (p.op >= kernels::kIntegerOps || y.dtype != x.dtype || !kernels::can_compute(op, x.dtype) ||
      out.dtype != (kernels::is_comparison(op) ? DataType::boolean : x.dtype)) {
    return failed(StatusCode::bad_plan);
  }
  auto& shape = *static_cast<kernels::BinaryShape*>(c.bound);
  shape = {};
  shape.rank = out.rank;
  for (int i = 0; i < out.rank; ++i) shape.dims[i] = out.dims[i];
  const bool fits = leading_strides(x, out, shape.x_strides) && leading_strides(y, out, shape.y_strides) &&
                    leading_strides(out, out, shape.z_strides);
  return fits ? Status{} : failed(StatusCode::shape_mismatch);
}
Status integer_run(const StepContext& c) {
  kernels::binary_integers(static_cast<kernels::IntegerOp>(c.as<IntegerParameters>().op), c.inputs[0]->dtype,
                           *static_cast<kernels::BinaryShape*>(c.bound), c.inputs[0]->data, c.inputs[1]->data,
                           c.outputs[0]->data);
  return {};
}

Status select_items_bind(StepContext& c, size_t*) {
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
Status select_items_run(const StepContext& c) {
  kernels::select_items(*static_cast<kernels::SelectShape*>(c.bound), item_size(c.outputs[0]->dtype),
                        reinterpret_cast<const uint8_t*>(c.inputs[0]->data), c.inputs[1]->data,
                        c.inputs[2]->data, c.outputs[0]->data);
  return {};
}

Status range_bind(StepContext& c, size_t*) {
  return c.outputs[0]->dtype == DataType::i64 ? Status{} : failed(StatusCode::bad_plan);
}
Status range_run(const StepContext& c) {
  const auto& p = c.as<RangeParameters>();
  auto value = static_cast<uint64_t>(c.sizes[p.start]);
  auto* items = reinterpret_cast<int64_t*>(c.outputs[0]->data);
  const int64_t count = c.outputs[0]->size();
  for (int64_t i = 0; i < count; ++i, value += static_cast<uint64_t>(p.stride))
    items[i] = static_cast<int64_t>(value);
  return {};
}

}  // namespace

const StepRow kIntegerStep = {"integer", sizeof(kernels::BinaryShape), integer_bind, integer_run};
const StepRow kSelectItemsStep = {"select_items", sizeof(kernels::SelectShape), select_items_bind,
                                  select_items_run};
const StepRow kRangeStep = {"range", 0, range_bind, range_run};

}  // namespace nnefrun
