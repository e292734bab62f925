// Products with f16 weights.

#include "engine/runtime/epilogue.h"
#include "engine/runtime/parts.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/half/half.h"

namespace nnefrun {
namespace {

int64_t ceil_of(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }
int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

struct BoundHalf {
  int64_t m, n, k;
  int64_t piece;  // columns of a task
};

Status half_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<MatmulHalfParameters>();
  auto& bound = *static_cast<BoundHalf*>(c.bound);
  const View &x = *c.inputs[0], &w = *c.inputs[1], &out = *c.outputs[0];
  bound.n = c.sizes[p.n];
  bound.k = c.sizes[p.k];
  bound.m = 1;
  for (int i = 0; i + 1 < out.rank; ++i) bound.m *= out.dims[i];
  if (x.size() != bound.m * bound.k || out.size() != bound.m * bound.n)
    return failed(StatusCode::shape_mismatch);
  if (w.dtype != DataType::f16 || w.size() != bound.n * bound.k) return failed(StatusCode::bad_plan);
  constexpr int64_t kEnoughTasks = 32;
  const int64_t units = ceil_of(bound.n, kernels::kHalfColumns);
  bound.piece = ceil_of(units, smaller(units > 0 ? units : 1, kEnoughTasks)) * kernels::kHalfColumns;
  *scratch = kernels::half_workspace_size(bound.m, bound.n, bound.k);
  return {};
}
StepParts half_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundHalf*>(c.bound);
  const int64_t read = cost_of_bytes(bound.n * bound.k * 2),
                computed = cost_of_products(bound.m * bound.n * bound.k);
  return {bound.piece == 0 ? 0 : ceil_of(bound.n, bound.piece), read > computed ? read : computed};
}
Status half_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& bound = *static_cast<BoundHalf*>(c.bound);
  kernels::HalfArgs args;
  args.m = bound.m;
  args.n = bound.n;
  args.k = bound.k;
  args.x = reinterpret_cast<const float*>(c.inputs[0]->data);
  args.x_row_stride = bound.k;
  args.w = reinterpret_cast<const uint16_t*>(c.inputs[1]->data);
  args.c = reinterpret_cast<float*>(c.outputs[0]->data);
  args.c_row_stride = bound.n;
  args.epilogue = epilogue_of(c, c.as<MatmulHalfParameters>().epilogue, kernels::BiasAxis::column);
  args.epilogue.residual_row_stride = bound.n;
  args.column_begin = begin * bound.piece;
  args.column_end = smaller(bound.n, end * bound.piece);
  kernels::matmul_half(args, c.scratch);
  return {};
}

}  // namespace

const StepRow kMatmulHalfStep = {"matmul_half", sizeof(BoundHalf), half_bind, nullptr, half_parts, half_run};

}  // namespace nnefrun
