// Tensor: dtype, shape and shared immutable bytes. View: the same without ownership, with byte strides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/data_type.h"
#include "base/half.h"

namespace nnefrun {

using Shape = std::vector<int64_t>;  // outermost first; row-major

// Product of the extents; throws Error[shape-overflow] when it does not fit or an extent is negative.
int64_t volume_of(const Shape& shape);
// "[1, 3, 224, 224]"
std::string to_string(const Shape& shape);

template <class T>
struct DataTypeOf;
#define NNEFRUN_DATA_TYPE(cpp, tag) \
  template <>                       \
  struct DataTypeOf<cpp> {          \
    static constexpr DataType value = DataType::tag; \
  }
NNEFRUN_DATA_TYPE(bool, boolean);
NNEFRUN_DATA_TYPE(uint8_t, u8);
NNEFRUN_DATA_TYPE(uint16_t, u16);
NNEFRUN_DATA_TYPE(uint32_t, u32);
NNEFRUN_DATA_TYPE(uint64_t, u64);
NNEFRUN_DATA_TYPE(int8_t, i8);
NNEFRUN_DATA_TYPE(int16_t, i16);
NNEFRUN_DATA_TYPE(int32_t, i32);
NNEFRUN_DATA_TYPE(int64_t, i64);
NNEFRUN_DATA_TYPE(Half, f16);
NNEFRUN_DATA_TYPE(BFloat16, bf16);
NNEFRUN_DATA_TYPE(float, f32);
NNEFRUN_DATA_TYPE(double, f64);
#undef NNEFRUN_DATA_TYPE

// Cheap to copy: copies share the bytes. Bytes that are shared are never written (mutable_data clones them), so a
// Tensor may be read from several threads at once. Default: f32 of shape [0].
class Tensor {
 public:
  Tensor();
  // New bytes, 64-byte aligned, zeroed. Strings start empty. Throws Error[shape-overflow].
  static Tensor zeros(DataType dtype, Shape shape);
  // New bytes, 64-byte aligned, not initialised: for results that are about to be written whole.
  static Tensor uninitialized(DataType dtype, Shape shape);
  // Bytes that somebody else owns: `owner` keeps them alive (null: the caller does, for as long as any copy lives).
  // REQUIRES: size = byte_size_of(dtype, shape), alignment of the item type.
  static Tensor wrap(DataType dtype, Shape shape, std::shared_ptr<const void> owner, const std::byte* data);
  static Tensor of_strings(Shape shape, std::vector<std::string> strings);
  // Values converted to nothing: T names the dtype. REQUIRES: values.size() = volume of shape.
  template <class T>
  static Tensor of(Shape shape, const std::vector<T>& values) {
    Tensor t = uninitialized(DataTypeOf<T>::value, std::move(shape));
    T* out = t.mutable_data<T>();
    for (size_t i = 0; i < values.size(); ++i) out[i] = values[i];
    return t;
  }
  template <class T>
  static Tensor scalar(T value) {
    return of<T>({}, std::vector<T>(1, value));
  }

  DataType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  int64_t dim(int axis) const { return shape_[static_cast<size_t>(axis)]; }
  int64_t size() const { return size_; }  // items
  size_t byte_size() const { return byte_size_; }

  const std::byte* bytes() const { return data_; }
  // Clones first when the bytes are shared or not ours.
  std::byte* mutable_bytes();
  // REQUIRES: sizeof(T) is the item size (signedness and kind are the caller's business).
  template <class T>
  const T* data() const {
    return reinterpret_cast<const T*>(data_);
  }
  template <class T>
  T* mutable_data() {
    return reinterpret_cast<T*>(mutable_bytes());
  }
  template <class T>
  std::span<const T> items() const {
    return {data<T>(), static_cast<size_t>(size_)};
  }
  const std::vector<std::string>& strings() const { return *strings_; }  // REQUIRES: dtype is string

  // Whether the bytes are memory of ours (allocate_bytes) that nothing else holds: no other tensor, no archive.
  bool is_exclusive() const;
  // Gives the memory of bytes [begin, end) back to the system, by whole pages; what they hold afterwards is
  // unspecified. For large tensors that are read for the last time, piece by piece. REQUIRES: is_exclusive().
  void release(size_t begin, size_t end) const;

  // Same bytes under another shape of equal volume, or another dtype of equal item size. Shares the bytes.
  Tensor reshaped(Shape shape) const;
  Tensor reinterpreted(DataType dtype) const;
  // Any number or bool as double / int64 (complex: the real part). REQUIRES: 0 <= index < size().
  double as_double(int64_t index) const;
  int64_t as_int(int64_t index) const;
  // dtype, shape and bytes equal (NaNs by their bits).
  bool identical(const Tensor& other) const;

 private:
  std::shared_ptr<const void> owner_;
  std::shared_ptr<const std::vector<std::string>> strings_;
  const std::byte* data_ = nullptr;
  DataType dtype_ = DataType::f32;
  Shape shape_;
  int64_t size_ = 0;
  size_t byte_size_ = 0;
};

// Bytes of a dense tensor; block types need a last extent that is a multiple of the block (checked, Error[block-shape]).
size_t byte_size_of(DataType dtype, const Shape& shape);

inline constexpr int kMaxRank = 8;  // NNEF's files hold no more; steps and views neither

// What steps and kernels see: no ownership, any byte strides (also 0 and negative).
struct View {
  std::byte* data = nullptr;
  DataType dtype = DataType::f32;
  int rank = 0;
  int64_t dims[kMaxRank] = {};
  int64_t strides[kMaxRank] = {};  // bytes

  int64_t size() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
  bool is_contiguous() const {
    int64_t expected = static_cast<int64_t>(item_size(dtype));
    for (int i = rank - 1; i >= 0; --i) {
      if (dims[i] != 1 && strides[i] != expected) return false;
      expected *= dims[i];
    }
    return true;
  }
};

}  // namespace nnefrun
