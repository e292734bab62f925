// Products with weights in groups of codes, and rows of such weights.

#include "engine/runtime/epilogue.h"
#include "engine/runtime/panel_grid.h"
#include "engine/runtime/parts.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/groups/groups.h"

namespace nnefrun {
namespace {

const uint8_t* bytes_of(const View* view) { return reinterpret_cast<const uint8_t*>(view->data); }

// The operands of packed weights: codes, and from `first` on scales, book, offsets. False when they do not
// fit together.
struct Operands {
  uint8_t form, has_offsets;
  int64_t group, n, k;
  uint32_t codes, first;
};
bool weights_of(const StepContext& c, const Operands& o, kernels::GroupWeights* w) {
  const View &codes = *c.inputs[o.codes], &scales = *c.inputs[o.first], &book = *c.inputs[o.first + 1];
  if (o.form >= kGroupFormCount || o.group < kGroupUnit || o.group % kGroupUnit != 0) return false;
  w->form = static_cast<GroupForm>(o.form);
  w->n = o.n;
  w->k = o.k;
  w->group = o.group;
  w->codes = bytes_of(&codes);
  w->book = reinterpret_cast<const float*>(book.data);
  w->scales = bytes_of(&scales);
  w->half_scales = scales.dtype == DataType::f16;
  if (codes.size() != kernels::packed_group_codes_size(*w) ||
      scales.size() != kernels::packed_group_scales_size(*w) || book.size() < book_items(w->form))
    return false;
  if (o.has_offsets == 0) return true;
  const View& offsets = *c.inputs[o.first + 2];
  w->offsets = bytes_of(&offsets);
  w->half_offsets = offsets.dtype == DataType::f16;
  return offsets.size() == scales.size();
}

// ---- products ----

struct BoundProduct {
  PanelGrid grid;
  int64_t k;
};

Operands operands_of(const StepContext& c, const MatmulGroupsParameters& p) {
  const auto more = static_cast<uint32_t>(p.epilogue.has_bias + p.epilogue.has_residual);
  return {p.form, p.has_offsets, p.group, c.sizes[p.n], c.sizes[p.k], 1, 2 + more};
}

Status product_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<MatmulGroupsParameters>();
  auto& bound = *static_cast<BoundProduct*>(c.bound);
  const View& out = *c.outputs[0];
  int64_t m = 1;
  for (int i = 0; i + 1 < out.rank; ++i) m *= out.dims[i];
  const int64_t n = c.sizes[p.n];
  bound.k = c.sizes[p.k];
  if (c.inputs[0]->size() != m * bound.k || out.size() != m * n) return failed(StatusCode::shape_mismatch);
  kernels::GroupWeights w;
  if (!weights_of(c, operands_of(c, p), &w)) return failed(StatusCode::bad_plan);
  bound.grid = panel_grid(m, n);
  *scratch = kernels::groups_workspace_size(m, w);
  return {};
}
StepParts product_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundProduct*>(c.bound);
  const int64_t read = cost_of_bytes(c.inputs[1]->size()),
                computed = cost_of_products(bound.grid.m * bound.grid.n * bound.k);
  return {bound.grid.tasks(), read > computed ? read : computed};
}
Status product_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<MatmulGroupsParameters>();
  const auto& bound = *static_cast<BoundProduct*>(c.bound);
  kernels::GroupArgs args;
  args.m = bound.grid.m;
  args.n = bound.grid.n;
  args.k = bound.k;
  args.x = reinterpret_cast<const float*>(c.inputs[0]->data);
  args.x_row_stride = bound.k;
  weights_of(c, operands_of(c, p), &args.w);
  args.c = reinterpret_cast<float*>(c.outputs[0]->data);
  args.c_row_stride = args.n;
  args.epilogue = epilogue_of(c, p.epilogue, kernels::BiasAxis::column);
  args.epilogue.residual_row_stride = args.n;
  for_each_piece(bound.grid, args, begin, end,
                 [&](const kernels::GroupArgs& piece) { kernels::matmul_groups(piece, c.scratch); });
  return {};
}

// ---- rows ----

struct BoundRows {
  int64_t count;
};

Operands operands_of(const StepContext& c, const GatherGroupsParameters& p) {
  return {p.form, p.has_offsets, p.group, c.sizes[p.rows], c.sizes[p.k], 0, 2};
}

Status rows_bind(StepContext& c, size_t*) {
  const auto& p = c.as<GatherGroupsParameters>();
  auto& bound = *static_cast<BoundRows*>(c.bound);
  bound.count = c.inputs[1]->size();
  kernels::GroupWeights w;
  if (c.inputs[1]->dtype != DataType::i64 || !weights_of(c, operands_of(c, p), &w))
    return failed(StatusCode::bad_plan);
  if (c.outputs[0]->size() != bound.count * w.k) return failed(StatusCode::shape_mismatch);
  return {};
}
StepParts rows_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundRows*>(c.bound);
  return {bound.count, cost_of_items(c.outputs[0]->size())};
}
Status rows_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<GatherGroupsParameters>();
  const auto* indices = reinterpret_cast<const int64_t*>(c.inputs[1]->data);
  auto* out = reinterpret_cast<float*>(c.outputs[0]->data);
  kernels::GroupWeights w;
  weights_of(c, operands_of(c, p), &w);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t index = indices[i] < 0 && p.wrap != 0 ? indices[i] + w.n : indices[i];
    if (index < 0 || index >= w.n) return failed(StatusCode::index_out_of_range, indices[i], w.n);
    kernels::decode_group_row(w, index, out + i * w.k);
  }
  return {};
}

}  // namespace

const StepRow kMatmulGroupsStep = {"matmul_groups", sizeof(BoundProduct), product_bind,
                                   nullptr,         product_parts,        product_run};
const StepRow kGatherGroupsStep = {"gather_groups", sizeof(BoundRows), rows_bind,
                                   nullptr,         rows_parts,        rows_run};

}  // namespace nnefrun
