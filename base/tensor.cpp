#include "base/tensor.h"

#include <cstring>

#include "base/bytes.h"
#include "base/error.h"

namespace nnefrun {

int64_t volume_of(const Shape& shape) {
  int64_t volume = 1;
  bool zero = false;
  for (const int64_t extent : shape) {
    if (extent < 0) throw Error("shape-overflow", "negative extent in shape " + to_string(shape));
    if (extent == 0) {
      zero = true;
    } else if (__builtin_mul_overflow(volume, extent, &volume)) {
      throw Error("shape-overflow", "the volume of shape " + to_string(shape) + " does not fit in 64 bits");
    }
  }
  return zero ? 0 : volume;
}

std::string to_string(const Shape& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? "," : "") + std::to_string(shape[i]);
  return out + "]";
}

size_t byte_size_of(DataType dtype, const Shape& shape) {
  const int64_t volume = volume_of(shape);
  if (is_block_quantized(dtype)) {
    const auto block = static_cast<int64_t>(block_items(dtype));
    if (volume % block != 0 || shape.empty()) {
      throw Error("block-shape", "shape " + to_string(shape) + " does not divide into blocks of " +
                                     std::to_string(block) + " items of " + std::string(name_of(dtype)));
    }
    return static_cast<size_t>(volume / block) * block_bytes(dtype);
  }
  size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<size_t>(volume), item_size(dtype), &bytes) || bytes > size_t{1} << 62) {
    throw Error("shape-overflow", "a tensor of shape " + to_string(shape) + " does not fit in memory");
  }
  return bytes;
}

Tensor::Tensor() : shape_{0} {}

Tensor Tensor::uninitialized(DataType dtype, Shape shape) {
  Tensor t;
  t.dtype_ = dtype;
  t.size_ = volume_of(shape);
  t.byte_size_ = byte_size_of(dtype, shape);
  t.shape_ = std::move(shape);
  if (dtype == DataType::string) {
    t.strings_ = std::make_shared<std::vector<std::string>>(static_cast<size_t>(t.size_));
    return t;
  }
  auto memory = allocate_bytes(t.byte_size_);
  t.data_ = memory.get();
  t.owner_ = std::move(memory);
  return t;
}

Tensor Tensor::zeros(DataType dtype, Shape shape) {
  Tensor t = uninitialized(dtype, std::move(shape));
  if (t.byte_size_ > 0) std::memset(t.mutable_bytes(), 0, t.byte_size_);
  return t;
}

Tensor Tensor::wrap(DataType dtype, Shape shape, std::shared_ptr<const void> owner, const std::byte* data) {
  Tensor t;
  t.dtype_ = dtype;
  t.size_ = volume_of(shape);
  t.byte_size_ = byte_size_of(dtype, shape);
  t.shape_ = std::move(shape);
  t.owner_ = std::move(owner);
  t.data_ = data;
  return t;
}

Tensor Tensor::of_strings(Shape shape, std::vector<std::string> strings) {
  Tensor t = uninitialized(DataType::string, std::move(shape));
  if (static_cast<int64_t>(strings.size()) != t.size_) {
    throw Error("shape-mismatch", std::to_string(strings.size()) + " strings for shape " + to_string(t.shape_));
  }
  t.strings_ = std::make_shared<const std::vector<std::string>>(std::move(strings));
  return t;
}

std::byte* Tensor::mutable_bytes() {
  if (!is_exclusive()) {
    auto memory = allocate_bytes(byte_size_);
    if (byte_size_ > 0) std::memcpy(memory.get(), data_, byte_size_);
    data_ = memory.get();
    owner_ = std::move(memory);
  }
  return const_cast<std::byte*>(data_);
}

bool Tensor::is_exclusive() const { return owner_.use_count() == 1 && is_allocated(owner_); }

void Tensor::release(size_t begin, size_t end) const { release_pages(data_ + begin, data_ + end); }

Tensor Tensor::reshaped(Shape shape) const {
  if (volume_of(shape) != size_) {
    throw Error("shape-mismatch", "cannot view " + to_string(shape_) + " as " + to_string(shape));
  }
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::reinterpreted(DataType dtype) const {
  if (item_size(dtype) != item_size(dtype_) || item_size(dtype) == 0) {
    throw Error("dtype-mismatch", "cannot read " + std::string(name_of(dtype_)) + " items as " + std::string(name_of(dtype)));
  }
  Tensor t = *this;
  t.dtype_ = dtype;
  return t;
}

double Tensor::as_double(int64_t i) const {
  switch (dtype_) {
    case DataType::boolean: return data<uint8_t>()[i] != 0 ? 1.0 : 0.0;
    case DataType::u8: return data<uint8_t>()[i];
    case DataType::u16: return data<uint16_t>()[i];
    case DataType::u32: return data<uint32_t>()[i];
    case DataType::u64: return static_cast<double>(data<uint64_t>()[i]);
    case DataType::i8: return data<int8_t>()[i];
    case DataType::i16: return data<int16_t>()[i];
    case DataType::i32: return data<int32_t>()[i];
    case DataType::i64: return static_cast<double>(data<int64_t>()[i]);
    case DataType::f16: return static_cast<float>(data<Half>()[i]);
    case DataType::bf16: return static_cast<float>(data<BFloat16>()[i]);
    case DataType::f32: return data<float>()[i];
    case DataType::f64: return data<double>()[i];
    case DataType::complex32: return static_cast<float>(data<Half>()[2 * i]);
    case DataType::complex64: return data<float>()[2 * i];
    case DataType::complex128: return data<double>()[2 * i];
    default: throw Error("dtype-mismatch", "items of type " + std::string(name_of(dtype_)) + " are not numbers");
  }
}

int64_t Tensor::as_int(int64_t i) const {
  switch (dtype_) {
    case DataType::u64: return static_cast<int64_t>(data<uint64_t>()[i]);
    case DataType::i64: return data<int64_t>()[i];
    default: {
      const double value = as_double(i);
      if (!(value >= -0x1p63 && value < 0x1p63)) return value < 0 ? INT64_MIN : value > 0 ? INT64_MAX : 0;
      return static_cast<int64_t>(value);
    }
  }
}

bool Tensor::identical(const Tensor& other) const {
  if (dtype_ != other.dtype_ || shape_ != other.shape_) return false;
  if (dtype_ == DataType::string) return *strings_ == *other.strings_;
  return byte_size_ == 0 || std::memcmp(data_, other.data_, byte_size_) == 0;
}

}  // namespace nnefrun
