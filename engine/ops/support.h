// What the rows' infer and eval functions share: dispatch over element types, broadcasting, odometers.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "base/tensor.h"
#include "engine/graph/op_def.h"

namespace nnefrun {

// Calls f(T{}) with the C++ type of the items (Half and BFloat16 for the short floats, bool for boolean).
// Throws Error[dtype-unsupported] for string, dim, complex and block types.
template <class F>
auto dispatch(DataType dtype, F&& f) {
  switch (dtype) {
    case DataType::boolean: return f(bool{});
    case DataType::u8: return f(uint8_t{});
    case DataType::u16: return f(uint16_t{});
    case DataType::u32: return f(uint32_t{});
    case DataType::u64: return f(uint64_t{});
    case DataType::i8: return f(int8_t{});
    case DataType::i16: return f(int16_t{});
    case DataType::i32: return f(int32_t{});
    case DataType::i64: return f(int64_t{});
    case DataType::f16: return f(Half{});
    case DataType::bf16: return f(BFloat16{});
    case DataType::f32: return f(float{});
    case DataType::f64: return f(double{});
    default: throw Error("dtype-unsupported", "items of type " + std::string(name_of(dtype)) + " are not supported here");
  }
}
// The same for the float types only.
template <class F>
auto dispatch_float(DataType dtype, F&& f) {
  switch (dtype) {
    case DataType::f16: return f(Half{});
    case DataType::bf16: return f(BFloat16{});
    case DataType::f32: return f(float{});
    case DataType::f64: return f(double{});
    default: throw Error("dtype-unsupported", "a float type is expected, not " + std::string(name_of(dtype)));
  }
}

// The type in which items are computed: short floats in float, everything else in itself.
template <class T>
using ComputeType = std::conditional_t<std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, float, T>;
template <class T>
ComputeType<T> widen(T value) {
  return static_cast<ComputeType<T>>(value);
}
template <class T>
T narrow(ComputeType<T> value) {
  return static_cast<T>(value);
}

// Row-major element strides (not bytes).
std::vector<int64_t> strides_of(const Shape& shape);

// NNEF broadcasting (nnef-1.0 section 10): shapes aligned at the leading axis, the shorter padded with 1s at its end.
// Throws Error[shape-mismatch] naming `op`.
DimShape broadcast_leading(std::string_view op, const std::vector<const DimShape*>& shapes);
Shape broadcast_leading(std::string_view op, const std::vector<const Shape*>& shapes);
// NumPy broadcasting (aligned at the trailing axis), for the operators that want it.
DimShape broadcast_trailing(std::string_view op, const std::vector<const DimShape*>& shapes);
Shape broadcast_trailing(std::string_view op, const std::vector<const Shape*>& shapes);
// Element strides with which an operand of `shape` is read over the result's axes: 0 where it is repeated.
std::vector<int64_t> broadcast_strides(const Shape& shape, const Shape& result, bool leading = true);

// Counts through a shape in row-major order, and keeps N linear offsets for given strides:
//   for (Odometer<2> o(shape, {sa, sb}); o.more(); o.next()) use(o.offset(0), o.offset(1), o.index());
template <size_t N>
class Odometer {
 public:
  Odometer(const Shape& shape, const std::vector<int64_t> (&strides)[N]) : shape_(shape), index_(shape.size(), 0) {
    for (size_t k = 0; k < N; ++k) strides_[k] = strides[k];
    remaining_ = volume_of(shape);
  }
  bool more() const { return remaining_ > 0; }
  int64_t offset(size_t k) const { return offsets_[k]; }
  const std::vector<int64_t>& index() const { return index_; }
  void next() {
    --remaining_;
    for (size_t axis = shape_.size(); axis-- > 0;) {
      ++index_[axis];
      for (size_t k = 0; k < N; ++k) offsets_[k] += strides_[k][axis];
      if (index_[axis] < shape_[axis]) return;
      for (size_t k = 0; k < N; ++k) offsets_[k] -= strides_[k][axis] * shape_[axis];
      index_[axis] = 0;
    }
  }

 private:
  Shape shape_;
  std::vector<int64_t> index_;
  std::vector<int64_t> strides_[N];
  int64_t offsets_[N] = {};
  int64_t remaining_ = 0;
};

// Converts items: float to integer truncates toward zero and saturates, NaN becomes 0; number to bool is `!= 0`;
// integer to integer wraps; string from and to numbers by their text. Complex from real gets a zero imaginary part.
Tensor cast_items(const Tensor& value, DataType to);
// Block-quantised (q4_0, q8_0, q8_1) to f32; other types unchanged.
Tensor dequantized(const Tensor& value);
// Items as doubles; any number type.
std::vector<double> as_doubles(const Tensor& value);

// 0 <= axis < rank, else Error[axis-out-of-range] from c.
int64_t checked_axis(const NodeReader& c, int64_t axis, int64_t rank);

}  // namespace nnefrun
