#include "kernels/elementwise/elementwise.h"

#include <cassert>

#include "kernels/choose.h"

namespace nnefrun::kernels {

#define NNEFRUN_FLOAT_ISA(suffix) extern const ElementwiseKernels elementwise_##suffix;
#include "kernels/float_isas.inc"

namespace {

constexpr int kMaxAxes = 8;
constexpr int kMaxOperands = 4;

const ElementwiseKernels* const kRows[] = {
#define NNEFRUN_FLOAT_ISA(suffix) &elementwise_##suffix,
#include "kernels/float_isas.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

// An index space with the strides of up to four operands; the last operand is the result.
struct Space {
  int rank = 0;
  int operands = 0;
  int64_t dims[kMaxAxes];
  int64_t strides[kMaxOperands][kMaxAxes];
  bool empty = false;
};

// Drops axes of extent 1 and merges neighbours over which every operand advances evenly.
Space collapse(int rank, const int64_t* dims, const int64_t* const* strides, int operands) {
  assert(rank >= 0 && rank <= kMaxAxes);
  Space space;
  space.operands = operands;
  for (int axis = 0; axis < rank; ++axis) {
    if (dims[axis] == 0) space.empty = true;
    if (dims[axis] == 1) continue;
    bool mergeable = space.rank > 0;
    for (int o = 0; mergeable && o < operands; ++o) {
      mergeable = space.strides[o][space.rank - 1] == strides[o][axis] * dims[axis];
    }
    const int slot = mergeable ? space.rank - 1 : space.rank++;
    space.dims[slot] = mergeable ? space.dims[slot] * dims[axis] : dims[axis];
    for (int o = 0; o < operands; ++o) space.strides[o][slot] = strides[o][axis];
  }
  if (space.rank == 0) {
    space.rank = 1;
    space.dims[0] = 1;
    for (int o = 0; o < operands; ++o) space.strides[o][0] = 0;
  }
  return space;
}

// Calls row(offsets) for every index of all axes but the innermost.
template <class Row>
void for_each_row(const Space& space, Row row) {
  int64_t index[kMaxAxes] = {};
  int64_t offsets[kMaxOperands] = {};
  const int last = space.rank - 1;
  for (;;) {
    row(offsets);
    int axis = last - 1;
    for (; axis >= 0; --axis) {
      for (int o = 0; o < space.operands; ++o) offsets[o] += space.strides[o][axis];
      if (++index[axis] < space.dims[axis]) break;
      index[axis] = 0;
      for (int o = 0; o < space.operands; ++o) offsets[o] -= space.strides[o][axis] * space.dims[axis];
    }
    if (axis < 0) return;
  }
}

bool unit_or_zero(int64_t stride) { return stride == 0 || stride == 1; }

constexpr int64_t kGather = 256;  // items gathered at a time when an operand has an uneven stride

const float* gathered(const float* p, int64_t stride, int64_t n, float* buffer) {
  for (int64_t i = 0; i < n; ++i) buffer[i] = p[i * stride];
  return buffer;
}

// The common part of binary and compare: rows whose strides the kernels know go straight to them, others
// through buffers.
template <class Out, class Kernel>
void run_rows(const BinaryShape& shape, const float* x, const float* y, Out* z, Kernel kernel) {
  const int64_t* strides[] = {shape.x_strides, shape.y_strides, shape.z_strides};
  const Space space = collapse(shape.rank, shape.dims, strides, 3);
  if (space.empty) return;
  const int last = space.rank - 1;
  const int64_t n = space.dims[last];
  const int64_t xs = space.strides[0][last], ys = space.strides[1][last], zs = space.strides[2][last];
  if (unit_or_zero(xs) && unit_or_zero(ys) && (zs == 1 || n == 1)) {
    for_each_row(space, [&](const int64_t* at) { kernel(x + at[0], xs, y + at[1], ys, z + at[2], n); });
    return;
  }
  for_each_row(space, [&](const int64_t* at) {
    float x_buffer[kGather], y_buffer[kGather];
    Out z_buffer[kGather];
    for (int64_t i = 0; i < n; i += kGather) {
      const int64_t count = n - i < kGather ? n - i : kGather;
      const float* x_row = x + at[0] + i * xs;
      const float* y_row = y + at[1] + i * ys;
      if (!unit_or_zero(xs)) x_row = gathered(x_row, xs, count, x_buffer);
      if (!unit_or_zero(ys)) y_row = gathered(y_row, ys, count, y_buffer);
      kernel(x_row, xs == 0 ? 0 : 1, y_row, ys == 0 ? 0 : 1, z_buffer, count);
      for (int64_t j = 0; j < count; ++j) z[at[2] + (i + j) * zs] = z_buffer[j];
    }
  });
}

}  // namespace

const ElementwiseKernels& choose_elementwise(IsaFeatures features) {
  return choose_row(kRows, kRowCount, features);
}

const ElementwiseKernels* const* elementwise_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

void unary_f32(UnaryOp op, const float* x, float* y, int64_t n, UnaryParams params, IsaFeatures features) {
  choose_elementwise(features).unary[static_cast<int>(op)](x, y, n, params);
}

void binary_f32(BinaryOp op, const BinaryShape& shape, const float* x, const float* y, float* z,
                IsaFeatures features) {
  run_rows(shape, x, y, z, choose_elementwise(features).binary[static_cast<int>(op)]);
}

void compare_f32(CompareOp op, const BinaryShape& shape, const float* x, const float* y, uint8_t* z,
                 IsaFeatures features) {
  run_rows(shape, x, y, z, choose_elementwise(features).compare[static_cast<int>(op)]);
}

void select_f32(const SelectShape& shape, const uint8_t* condition, const float* x, const float* y, float* z,
                IsaFeatures features) {
  const int64_t* strides[] = {shape.condition_strides, shape.x_strides, shape.y_strides, shape.z_strides};
  const Space space = collapse(shape.rank, shape.dims, strides, 4);
  if (space.empty) return;
  const int last = space.rank - 1;
  const int64_t n = space.dims[last];
  const int64_t cs = space.strides[0][last], xs = space.strides[1][last], ys = space.strides[2][last],
                zs = space.strides[3][last];
  const auto kernel = choose_elementwise(features).select;
  if (cs == 1 && unit_or_zero(xs) && unit_or_zero(ys) && zs == 1) {
    for_each_row(space, [&](const int64_t* at) {
      kernel(condition + at[0], x + at[1], xs, y + at[2], ys, z + at[3], n);
    });
    return;
  }
  for_each_row(space, [&](const int64_t* at) {
    for (int64_t i = 0; i < n; ++i) {
      z[at[3] + i * zs] = condition[at[0] + i * cs] != 0 ? x[at[1] + i * xs] : y[at[2] + i * ys];
    }
  });
}

}  // namespace nnefrun::kernels
