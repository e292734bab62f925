#include "kernels/elementwise/integers.h"

#include <type_traits>

namespace nnefrun::kernels {
namespace {

// Calls row(offsets) for every index of all axes but the last; offsets of `kOperands` operands, in items.
template <int kOperands, class Row>
void for_each_row(int rank, const int64_t* dims, const int64_t* const (&strides)[kOperands], Row row) {
  int64_t index[8] = {}, offsets[kOperands] = {};
  for (int i = 0; i < rank; ++i) {
    if (dims[i] == 0) return;
  }
  for (;;) {
    row(offsets);
    int axis = rank - 2;
    for (; axis >= 0; --axis) {
      for (int o = 0; o < kOperands; ++o) offsets[o] += strides[o][axis];
      if (++index[axis] < dims[axis]) break;
      for (int o = 0; o < kOperands; ++o) offsets[o] -= strides[o][axis] * dims[axis];
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

template <class T, class Z, class F>
void apply(const BinaryShape& s, const void* x, const void* y, void* z, F f) {
  const int last = s.rank - 1;
  const int64_t n = s.rank == 0 ? 1 : s.dims[last];
  const int64_t xs = s.rank == 0 ? 0 : s.x_strides[last], ys = s.rank == 0 ? 0 : s.y_strides[last],
                zs = s.rank == 0 ? 0 : s.z_strides[last];
  const int64_t* const strides[] = {s.x_strides, s.y_strides, s.z_strides};
  for_each_row<3>(s.rank, s.dims, strides, [&](const int64_t* at) {
    const T *a = static_cast<const T*>(x) + at[0], *b = static_cast<const T*>(y) + at[1];
    Z* out = static_cast<Z*>(z) + at[2];
    for (int64_t i = 0; i < n; ++i) out[i * zs] = static_cast<Z>(f(a[i * xs], b[i * ys]));
  });
}

template <class T>
void arithmetic(IntegerOp op, const BinaryShape& s, const void* x, const void* y, void* z) {
  using U = std::make_unsigned_t<T>;  // wraps
  switch (op) {
    case IntegerOp::add: apply<U, U>(s, x, y, z, [](U a, U b) { return a + b; }); break;
    case IntegerOp::sub: apply<U, U>(s, x, y, z, [](U a, U b) { return a - b; }); break;
    case IntegerOp::mul: apply<U, U>(s, x, y, z, [](U a, U b) { return a * b; }); break;
    case IntegerOp::min: apply<T, T>(s, x, y, z, [](T a, T b) { return a < b ? a : b; }); break;
    case IntegerOp::max: apply<T, T>(s, x, y, z, [](T a, T b) { return a > b ? a : b; }); break;
    case IntegerOp::logical_and: apply<T, T>(s, x, y, z, [](T a, T b) { return a != 0 && b != 0; }); break;
    case IntegerOp::logical_or: apply<T, T>(s, x, y, z, [](T a, T b) { return a != 0 || b != 0; }); break;
    case IntegerOp::lt: apply<T, uint8_t>(s, x, y, z, [](T a, T b) { return a < b; }); break;
    case IntegerOp::le: apply<T, uint8_t>(s, x, y, z, [](T a, T b) { return a <= b; }); break;
    case IntegerOp::gt: apply<T, uint8_t>(s, x, y, z, [](T a, T b) { return a > b; }); break;
    case IntegerOp::ge: apply<T, uint8_t>(s, x, y, z, [](T a, T b) { return a >= b; }); break;
    case IntegerOp::eq: apply<T, uint8_t>(s, x, y, z, [](T a, T b) { return a == b; }); break;
    case IntegerOp::ne: apply<T, uint8_t>(s, x, y, z, [](T a, T b) { return a != b; }); break;
  }
}

template <class T>
void select(const SelectShape& s, const uint8_t* condition, const void* x, const void* y, void* z) {
  const int last = s.rank - 1;
  const int64_t n = s.rank == 0 ? 1 : s.dims[last];
  const auto stride = [&](const int64_t* strides) { return s.rank == 0 ? 0 : strides[last]; };
  const int64_t cs = stride(s.condition_strides), xs = stride(s.x_strides), ys = stride(s.y_strides),
                zs = stride(s.z_strides);
  const int64_t* const strides[] = {s.condition_strides, s.x_strides, s.y_strides, s.z_strides};
  for_each_row<4>(s.rank, s.dims, strides, [&](const int64_t* at) {
    const uint8_t* c = condition + at[0];
    const T *a = static_cast<const T*>(x) + at[1], *b = static_cast<const T*>(y) + at[2];
    T* out = static_cast<T*>(z) + at[3];
    for (int64_t i = 0; i < n; ++i) out[i * zs] = c[i * cs] != 0 ? a[i * xs] : b[i * ys];
  });
}

}  // namespace

bool can_compute(IntegerOp op, DataType type) {
  const bool logical = op == IntegerOp::logical_and || op == IntegerOp::logical_or;
  if (type == DataType::boolean) return logical || op == IntegerOp::eq || op == IntegerOp::ne;
  return (type == DataType::i64 || type == DataType::i32) && !logical;
}

void binary_integers(IntegerOp op, DataType type, const BinaryShape& shape, const void* x, const void* y,
                     void* z) {
  if (type == DataType::i64) {
    arithmetic<int64_t>(op, shape, x, y, z);
  } else if (type == DataType::i32) {
    arithmetic<int32_t>(op, shape, x, y, z);
  } else {
    arithmetic<int8_t>(op, shape, x, y, z);
  }
}

void select_items(const SelectShape& shape, size_t item_size, const uint8_t* condition, const void* x,
                  const void* y, void* z) {
  switch (item_size) {
    case 1: select<uint8_t>(shape, condition, x, y, z); break;
    case 2: select<uint16_t>(shape, condition, x, y, z); break;
    case 4: select<uint32_t>(shape, condition, x, y, z); break;
    default: select<uint64_t>(shape, condition, x, y, z);
  }
}

}  // namespace nnefrun::kernels
