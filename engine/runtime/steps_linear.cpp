// Matrix products and convolutions, in f32, over the blocked and packed kernels.

#include "engine/runtime/conv_shapes.h"
#include "engine/runtime/epilogue.h"
#include "engine/runtime/parts.h"
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
  // Tasks: each product is cut into a grid of pieces of so many rows and columns.
  int64_t piece_rows, piece_columns;
  int64_t grid_rows, grid_columns;
  bool columns_first;  // neighbouring tasks lie below each other instead of side by side
};

int64_t ceil_of(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }
int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// Every range of tasks packs the part of a plain operand that it reads, unless A is read in place, and
// fetches the part of a packed one. So pieces extend along the operand that costs more: rows of A meet all of
// a packed B, or, where that is the larger of the two, columns of B meet all of A. The other axis is cut when
// that gives few tasks.
void cut_products(BoundMatmul& bound, bool packed_a, bool packed_b, bool a_in_place,
                  const kernels::MatmulKernel& kernel) {
  constexpr int64_t kEnoughTasks = 16;
  constexpr int64_t kWorthPacking = 48;  // rows or columns of a piece when both operands are packed for it
  constexpr int64_t kPacking = 16;       // what packing an item of A costs, in items that are fetched
  const bool packs = !packed_a && !packed_b;
  const int64_t row_unit = packs ? ceil_of(kWorthPacking, kernel.mr) * kernel.mr : kernel.mr;
  const int64_t column_unit = packs ? ceil_of(kWorthPacking, kernel.nr) * kernel.nr : kernel.nr;
  const int64_t wanted = ceil_of(packs ? kEnoughTasks / 2 : kEnoughTasks, larger(1, bound.batch));
  const int64_t row_units = ceil_of(bound.m, row_unit), column_units = ceil_of(bound.n, column_unit);
  const bool wide = packed_b && bound.n / (a_in_place ? 1 : kPacking) >= bound.m;
  bound.columns_first = packed_a || wide;
  int64_t rows = row_units, columns = column_units;
  if (bound.columns_first) {
    rows = smaller(row_units, ceil_of(wanted, larger(1, columns)));
  } else {
    if (packs) rows = smaller(row_units, wanted);
    columns = smaller(column_units, ceil_of(wanted, larger(1, rows)));
  }
  bound.piece_rows = rows == 0 ? 0 : ceil_of(row_units, rows) * row_unit;
  bound.piece_columns = columns == 0 ? 0 : ceil_of(column_units, columns) * column_unit;
  bound.grid_rows = rows == 0 ? 0 : ceil_of(bound.m, bound.piece_rows);
  bound.grid_columns = columns == 0 ? 0 : ceil_of(bound.n, bound.piece_columns);
}

// Pieces [begin, end) of one product, as rectangles.
void multiply_pieces(const BoundMatmul& bound, kernels::MatmulArgs& args, int64_t begin, int64_t end,
                     void* scratch) {
  const int64_t line = bound.columns_first ? bound.grid_rows : bound.grid_columns;
  while (begin < end) {
    const int64_t major = begin / line, minor = begin % line;
    const bool whole_lines = minor == 0 && end - begin >= line;
    const int64_t majors = whole_lines ? (end - begin) / line : 1;
    const int64_t minors = whole_lines ? line : smaller(line - minor, end - begin);
    const int64_t row = bound.columns_first ? minor : major, rows = bound.columns_first ? minors : majors;
    const int64_t column = bound.columns_first ? major : minor,
                  columns = bound.columns_first ? majors : minors;
    args.row_begin = row * bound.piece_rows;
    args.row_end = smaller(bound.m, (row + rows) * bound.piece_rows);
    args.column_begin = column * bound.piece_columns;
    args.column_end = smaller(bound.n, (column + columns) * bound.piece_columns);
    kernels::matmul_f32(args, scratch);
    begin += majors * minors;
  }
}

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
  const bool a_in_place =
      p.packed_a == 0 && kernels::matmul_reads_in_place(p.transpose_a != 0 ? 1 : bound.k,
                                                        p.transpose_a != 0 ? bound.m : 1, kernel);
  cut_products(bound, p.packed_a != 0, p.packed_b != 0, a_in_place, kernel);
  *scratch =
      kernels::matmul_workspace_size(bound.m, bound.n, bound.k, p.packed_a != 0, p.packed_b != 0, kernel);
  return {};
}

StepParts matmul_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundMatmul*>(c.bound);
  const int64_t pieces = bound.grid_rows * bound.grid_columns;
  // Few rows or columns: as long as it takes to read the other operand.
  const int64_t thin = smaller(bound.m, bound.n), read = bound.k * larger(bound.m, bound.n) * 4;
  const int64_t one =
      larger(cost_of_products(bound.m * bound.n * bound.k), thin == 0 ? 0 : cost_of_bytes(read / 2));
  return {bound.batch * pieces, bound.batch * one};
}
Status matmul_run(const StepContext& c, int64_t begin, int64_t end) {
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
  const int64_t pieces = bound.grid_rows * bound.grid_columns;
  while (begin < end) {
    const int64_t batch = begin / pieces, first = begin % pieces;
    const int64_t last = smaller(pieces, first + (end - begin));
    int64_t a_offset = 0, b_offset = 0, rest = batch;
    for (int axis = bound.batch_rank - 1; axis >= 0; --axis) {
      const int64_t index = rest % bound.batch_dims[axis];
      rest /= bound.batch_dims[axis];
      a_offset += index * bound.a_strides[axis];
      b_offset += index * bound.b_strides[axis];
    }
    (p.packed_a != 0 ? args.packed_a : args.a) = a + a_offset;
    (p.packed_b != 0 ? args.packed_b : args.b) = b + b_offset;
    args.b_by_panels = p.packed_b == 2;
    args.c = out + batch * bound.m * bound.n;
    if (residual != nullptr) args.epilogue.residual = residual + batch * bound.m * bound.n;
    multiply_pieces(bound, args, first, last, c.scratch);
    begin += last - first;
  }
  return {};
}

struct BoundConv {
  kernels::ConvShape shape;
  int64_t window, windows;  // output channels of a task, and tasks of an image
};

Status conv_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<ConvParameters>();
  auto& bound = *static_cast<BoundConv*>(c.bound);
  kernels::ConvShape& shape = bound.shape;
  const auto& kernel = kernels::choose_matmul_f32();
  if (p.packed_mr != kernel.mr || p.packed_nr != kernel.nr)
    return failed(StatusCode::bad_plan, p.packed_mr, kernel.mr);
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  shape = conv_shape(c, p, x.dims[1], y.dims[1], p.groups, x.rank - 2);
  // Every window of one group gathers the input anew.
  constexpr int64_t kWorthGathering = 48;
  const int64_t granule = larger(1, kernels::conv_channel_granule(shape, kernel));
  bound.window = shape.groups > 1 ? granule : ceil_of(kWorthGathering, granule) * granule;
  bound.windows = ceil_of(shape.out_channels, bound.window);
  *scratch = kernels::conv_workspace_size(shape, kernel);
  return {};
}
StepParts conv_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundConv*>(c.bound);
  const kernels::ConvShape& s = bound.shape;
  const int64_t taps = s.filter[0] * s.filter[1] * s.filter[2];
  return {s.batch * bound.windows,
          cost_of_products(c.outputs[0]->size() * (s.in_channels / s.groups) * taps)};
}
Status conv_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& bound = *static_cast<BoundConv*>(c.bound);
  const kernels::ConvShape& s = bound.shape;
  kernels::ConvArgs args;
  args.shape = s;
  args.shape.batch = 1;
  args.packed_weights = floats(c.inputs[1]);
  args.epilogue = epilogue_of(c, c.as<ConvParameters>().epilogue, kernels::BiasAxis::row);
  const int64_t in_items = s.in_channels * s.in[0] * s.in[1] * s.in[2];
  const int64_t out_items = s.out_channels * s.out[0] * s.out[1] * s.out[2];
  const float* residual = args.epilogue.residual;
  while (begin < end) {
    const int64_t image = begin / bound.windows, first = begin % bound.windows;
    const int64_t last = smaller(bound.windows, first + (end - begin));
    args.x = floats(c.inputs[0]) + image * in_items;
    args.y = reinterpret_cast<float*>(c.outputs[0]->data) + image * out_items;
    if (residual != nullptr) args.epilogue.residual = residual + image * out_items;
    args.channel_begin = first * bound.window;
    args.channel_end = smaller(s.out_channels, last * bound.window);
    kernels::conv_f32(args, c.scratch);
    begin += last - first;
  }
  return {};
}

}  // namespace

const StepRow kMatmulStep = {"matmul", sizeof(BoundMatmul), matmul_bind, nullptr, matmul_parts, matmul_run};
const StepRow kConvStep = {"conv", sizeof(BoundConv), conv_bind, nullptr, conv_parts, conv_run};

}  // namespace nnefrun
