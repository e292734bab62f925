// Products with packed Q4_0 weights, the quantisation of their activations, and rows of such weights.

#include "engine/runtime/epilogue.h"
#include "engine/runtime/panel_grid.h"
#include "engine/runtime/parts.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/q40/q40.h"

namespace nnefrun {
namespace {

int64_t ceil_of(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }
int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
const float* floats(const View* view) { return reinterpret_cast<const float*>(view->data); }

// ---- activations in 8 bits ----

constexpr int64_t kBlocksOfTask = 64;

Status quantize_bind(StepContext& c, size_t*) {
  const int64_t items = c.inputs[0]->size();
  const bool fits = items % kQ80Items == 0 &&
                    c.outputs[0]->size() == items / kQ80Items * static_cast<int64_t>(sizeof(ActivationQ80));
  return fits ? Status{} : failed(StatusCode::shape_mismatch);
}
StepParts quantize_parts(const StepContext& c) {
  const int64_t items = c.inputs[0]->size();
  return {ceil_of(items / kQ80Items, kBlocksOfTask), cost_of_items(items)};
}
Status quantize_run(const StepContext& c, int64_t begin, int64_t end) {
  const int64_t first = begin * kBlocksOfTask;
  const int64_t last = smaller(c.inputs[0]->size() / kQ80Items, end * kBlocksOfTask);
  if (first >= last) return {};
  kernels::quantize_q80(floats(c.inputs[0]) + first * kQ80Items, last - first,
                        reinterpret_cast<ActivationQ80*>(c.outputs[0]->data) + first);
  return {};
}

// ---- products ----

struct BoundProduct {
  PanelGrid grid;
  int64_t m, n, k;
};

Status product_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<MatmulQ40Parameters>();
  auto& bound = *static_cast<BoundProduct*>(c.bound);
  const View &x = *c.inputs[0], &out = *c.outputs[0];
  bound.n = c.sizes[p.n];
  bound.k = c.sizes[p.k];
  bound.m = 1;
  for (int i = 0; i + 1 < out.rank; ++i) bound.m *= out.dims[i];
  const int64_t blocks = bound.k / kQ80Items;
  const int64_t wanted =
      p.fast != 0 ? bound.m * blocks * static_cast<int64_t>(sizeof(ActivationQ80)) : bound.m * bound.k;
  if (bound.k % kQ80Items != 0 || x.size() != wanted || out.size() != bound.m * bound.n)
    return failed(StatusCode::shape_mismatch);
  if (c.inputs[1]->size() != static_cast<int64_t>(kernels::packed_q40_size(bound.n, bound.k, p.panel)) ||
      p.panel != kernels::q40_panel(p.fast != 0))
    return failed(StatusCode::bad_plan);
  bound.grid = panel_grid(bound.m, bound.n);
  *scratch = kernels::q40_workspace_size(bound.m, bound.n, bound.k, p.fast != 0);
  return {};
}
StepParts product_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundProduct*>(c.bound);
  const int64_t read = cost_of_bytes(c.inputs[1]->size()),
                computed = cost_of_products(bound.m * bound.n * bound.k);
  return {bound.grid.tasks(), read > computed ? read : computed};
}
Status product_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<MatmulQ40Parameters>();
  const auto& bound = *static_cast<BoundProduct*>(c.bound);
  kernels::Q40Args args;
  args.m = bound.m;
  args.n = bound.n;
  args.k = bound.k;
  if (p.fast != 0) {
    args.activations = reinterpret_cast<const ActivationQ80*>(c.inputs[0]->data);
  } else {
    args.x = floats(c.inputs[0]);
    args.x_row_stride = bound.k;
  }
  args.packed = reinterpret_cast<const uint8_t*>(c.inputs[1]->data);
  args.c = reinterpret_cast<float*>(c.outputs[0]->data);
  args.c_row_stride = bound.n;
  args.epilogue = epilogue_of(c, p.epilogue, kernels::BiasAxis::column);
  args.epilogue.residual_row_stride = bound.n;
  for_each_piece(bound.grid, args, begin, end,
                 [&](const kernels::Q40Args& piece) { kernels::matmul_q40(piece, c.scratch); });
  return {};
}

// ---- rows ----

struct BoundRows {
  int64_t count, rows, k;
};

Status rows_bind(StepContext& c, size_t*) {
  const auto& p = c.as<GatherQ40Parameters>();
  auto& bound = *static_cast<BoundRows*>(c.bound);
  bound.count = c.inputs[1]->size();
  bound.rows = c.sizes[p.rows];
  bound.k = c.sizes[p.k];
  if (c.inputs[1]->dtype != DataType::i64 || bound.k % kQ80Items != 0 ||
      c.inputs[0]->size() != static_cast<int64_t>(kernels::packed_q40_size(bound.rows, bound.k, p.panel)))
    return failed(StatusCode::bad_plan);
  if (c.outputs[0]->size() != bound.count * bound.k) return failed(StatusCode::shape_mismatch);
  return {};
}
StepParts rows_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundRows*>(c.bound);
  return {bound.count, cost_of_items(bound.count * bound.k)};
}
Status rows_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<GatherQ40Parameters>();
  const auto& bound = *static_cast<BoundRows*>(c.bound);
  const auto* indices = reinterpret_cast<const int64_t*>(c.inputs[1]->data);
  const auto* packed = reinterpret_cast<const uint8_t*>(c.inputs[0]->data);
  auto* out = reinterpret_cast<float*>(c.outputs[0]->data);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t index = indices[i] < 0 && p.wrap != 0 ? indices[i] + bound.rows : indices[i];
    if (index < 0 || index >= bound.rows)
      return failed(StatusCode::index_out_of_range, indices[i], bound.rows);
    kernels::decode_q40_row(packed, bound.k, index, out + i * bound.k, p.panel);
  }
  return {};
}

}  // namespace

const StepRow kQuantizeQ80Step = {"quantize_q80", 0, quantize_bind, nullptr, quantize_parts, quantize_run};
const StepRow kMatmulQ40Step = {"matmul_q40", sizeof(BoundProduct), product_bind,
                                nullptr,      product_parts,        product_run};
const StepRow kGatherQ40Step = {"gather_q40", sizeof(BoundRows), rows_bind, nullptr, rows_parts, rows_run};

}  // namespace nnefrun
