// Matrix products and convolutions, in f32, over the blocked and packed kernels.

#include "engine/runtime/epilogue.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/conv/conv.h"
#include "kernels/matmul/matmul.h"

namespace nnefrun {
namespace {

const float* floats(const View* view) { return reinterpret_cast<const float*>(view->data); }

constexpr int kMaxBatchRank = kMaxRank - 2;

struct BoundMatmul {
  int64_t m, n, k;
  int64_t batch;  // products
  int batch_rank;
  int64_t batch_dims[kMaxBatchRank];
  int64_t a_strides[kMaxBatchRank], b_strides[kMaxBatchRank];  // items
};

Status matmul_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<MatmulParameters>();
  auto& bound = *static_cast<BoundMatmul*>(c.bound);
  const auto& kernel = kernels::choose_matmul_f32();
  if ((p.packed_a != 0 && p.packed_mr != kernel.mr) || (p.packed_b != 0 && p.packed_nr != kernel.nr)) {
    return failed(StatusCode::bad_plan, p.packed_mr, kernel.mr);  // packed for another instruction set
  }
  bound.m = c.sizes[p.m];
  bound.n = c.sizes[p.n];
  bound.k = c.sizes[p.k];
  const View &a = *c.inputs[0], &b = *c.inputs[1], &out = *c.outputs[0];
  if (p.packed_a == 0 && a.dims[a.rank - (p.transpose_a != 0 ? 2 : 1)] != bound.k)
    return failed(StatusCode::shape_mismatch);
  if (p.packed_b == 0 && b.dims[b.rank - (p.transpose_b != 0 ? 1 : 2)] != bound.k)
    return failed(StatusCode::shape_mismatch);
  // One operand packed, the other plain: its batch axes are rows of one large product when they lie on the m
  // side.
  bound.batch = 1;
  bound.batch_rank = out.rank - 2;
  for (int i = 0; i < bound.batch_rank; ++i) {
    bound.batch_dims[i] = out.dims[i];
    bound.batch *= out.dims[i];
    const auto stride = [&](const View& v, bool packed) -> int64_t {
      return packed || v.dims[i] == 1 ? 0 : v.strides[i] / static_cast<int64_t>(sizeof(float));
    };
    const bool fits = (p.packed_a != 0 || a.dims[i] == out.dims[i] || a.dims[i] == 1) &&
                      (p.packed_b != 0 || b.dims[i] == out.dims[i] || b.dims[i] == 1);
    if (!fits) return failed(StatusCode::shape_mismatch);
    bound.a_strides[i] = stride(a, p.packed_a != 0);
    bound.b_strides[i] = stride(b, p.packed_b != 0);
  }
  const bool b_shared = p.packed_b != 0 || [&] {
    for (int i = 0; i < bound.batch_rank; ++i) {
      if (bound.b_strides[i] != 0) return false;
    }
    return true;
  }();
  if (b_shared && p.packed_a == 0 && p.transpose_a == 0 && p.bias_on_rows == 0 && bound.batch > 1) {
    bool dense = true;  // every batch axis of `a` is its own
    for (int i = 0; i < bound.batch_rank; ++i) dense = dense && a.dims[i] == out.dims[i];
    if (dense) {
      bound.m *= bound.batch;
      bound.batch = 1;
      bound.batch_rank = 0;
    }
  }
  *scratch =
      kernels::matmul_workspace_size(bound.m, bound.n, bound.k, p.packed_a != 0, p.packed_b != 0, kernel);
  return {};
}

Status matmul_run(const StepContext& c) {
  const auto& p = c.as<MatmulParameters>();
  const auto& bound = *static_cast<BoundMatmul*>(c.bound);
  kernels::MatmulArgs args;
  args.m = bound.m;
  args.n = bound.n;
  args.k = bound.k;
  const float *a = floats(c.inputs[0]), *b = floats(c.inputs[1]);
  args.a_row_stride = p.transpose_a != 0 ? 1 : bound.k;
  args.a_col_stride = p.transpose_a != 0 ? bound.m : 1;
  args.b_row_stride = p.transpose_b != 0 ? 1 : bound.n;
  args.b_col_stride = p.transpose_b != 0 ? bound.k : 1;
  args.c_row_stride = bound.n;
  args.epilogue =
      epilogue_of(c, p.epilogue, p.bias_on_rows != 0 ? kernels::BiasAxis::row : kernels::BiasAxis::column);
  args.epilogue.residual_row_stride = bound.n;
  const float* residual = args.epilogue.residual;
  auto* out = reinterpret_cast<float*>(c.outputs[0]->data);
  int64_t index[kMaxBatchRank] = {};
  int64_t a_offset = 0, b_offset = 0;
  for (int64_t batch = 0; batch < bound.batch; ++batch) {
    (p.packed_a != 0 ? args.packed_a : args.a) = a + a_offset;
    (p.packed_b != 0 ? args.packed_b : args.b) = b + b_offset;
    args.c = out + batch * bound.m * bound.n;
    if (residual != nullptr) args.epilogue.residual = residual + batch * bound.m * bound.n;
    kernels::matmul_f32(args, c.scratch);
    for (int axis = bound.batch_rank - 1; axis >= 0; --axis) {
      a_offset += bound.a_strides[axis];
      b_offset += bound.b_strides[axis];
      if (++index[axis] < bound.batch_dims[axis]) break;
      a_offset -= bound.a_strides[axis] * bound.batch_dims[axis];
      b_offset -= bound.b_strides[axis] * bound.batch_dims[axis];
      index[axis] = 0;
    }
  }
  return {};
}

Status conv_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<ConvParameters>();
  auto& shape = *static_cast<kernels::ConvShape*>(c.bound);
  const auto& kernel = kernels::choose_matmul_f32();
  if (p.packed_mr != kernel.mr || p.packed_nr != kernel.nr)
    return failed(StatusCode::bad_plan, p.packed_mr, kernel.mr);
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  shape = {};
  shape.batch = x.dims[0];
  shape.in_channels = x.dims[1];
  shape.out_channels = y.dims[1];
  shape.groups = p.groups;
  const int spatial = x.rank - 2, shift = 3 - spatial;
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
  *scratch = kernels::conv_workspace_size(shape, kernel);
  return {};
}
Status conv_run(const StepContext& c) {
  kernels::ConvArgs args;
  args.shape = *static_cast<kernels::ConvShape*>(c.bound);
  args.x = floats(c.inputs[0]);
  args.packed_weights = floats(c.inputs[1]);
  args.y = reinterpret_cast<float*>(c.outputs[0]->data);
  args.epilogue = epilogue_of(c, c.as<ConvParameters>().epilogue, kernels::BiasAxis::row);
  kernels::conv_f32(args, c.scratch);
  return {};
}

}  // namespace

const StepRow kMatmulStep = {"matmul", sizeof(BoundMatmul), matmul_bind, matmul_run};
const StepRow kConvStep = {"conv", sizeof(kernels::ConvShape), conv_bind, conv_run};

}  // namespace nnefrun
