// Values made or widened for inputs.
#include <cmath>

#include "cli/inputs.h"

namespace nnefrun::cli {
namespace {

// Whole numbers of magnitude up to 2^bits, negative ones too when `is_signed`; floats hold fractions as well.
struct Range {
  int bits = 0;
  bool is_signed = false;
  bool is_float = false;
};

std::optional<Range> range_of(DataType type) {
  switch (type) {
    case DataType::boolean: return Range{1, false, false};
    case DataType::u8: return Range{8, false, false};
    case DataType::u16: return Range{16, false, false};
    case DataType::u32: return Range{32, false, false};
    case DataType::u64: return Range{64, false, false};
    case DataType::i8: return Range{7, true, false};
    case DataType::i16: return Range{15, true, false};
    case DataType::i32: return Range{31, true, false};
    case DataType::i64: return Range{63, true, false};
    case DataType::bf16: return Range{8, true, true};
    case DataType::f16: return Range{11, true, true};
    case DataType::f32: return Range{24, true, true};
    case DataType::f64: return Range{53, true, true};
    default: return std::nullopt;
  }
}

bool holds_all_of(DataType wide, DataType narrow) {
  if (wide == DataType::boolean) return false;
  if (narrow == DataType::bf16 && wide == DataType::f16) return false;  // its exponents are too large
  const auto w = range_of(wide), n = range_of(narrow);
  if (!w || !n) return false;
  return w->bits >= n->bits && (w->is_signed || !n->is_signed) && (w->is_float || !n->is_float);
}

template <class T>
void fill_from(const Tensor& from, Tensor& to) {
  T* out = to.mutable_data<T>();
  for (int64_t i = 0; i < from.size(); ++i) out[i] = static_cast<T>(from.as_double(i));
}

// SplitMix64 (Steele, Lea and Flood 2014).
uint64_t next_random(uint64_t& state) {
  uint64_t z = state += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

float uniform(uint64_t& state) { return static_cast<float>(next_random(state) >> 40) * 0x1p-23F - 1.0F; }

}  // namespace

std::optional<Tensor> widened(const Tensor& tensor, DataType to) {
  if (tensor.dtype() == to) return tensor;
  if (!holds_all_of(to, tensor.dtype())) return std::nullopt;
  Tensor out = Tensor::uninitialized(to, tensor.shape());
  switch (to) {
    case DataType::u8: fill_from<uint8_t>(tensor, out); break;
    case DataType::u16: fill_from<uint16_t>(tensor, out); break;
    case DataType::u32: fill_from<uint32_t>(tensor, out); break;
    case DataType::u64: fill_from<uint64_t>(tensor, out); break;
    case DataType::i8: fill_from<int8_t>(tensor, out); break;
    case DataType::i16: fill_from<int16_t>(tensor, out); break;
    case DataType::i32: fill_from<int32_t>(tensor, out); break;
    case DataType::i64: fill_from<int64_t>(tensor, out); break;
    case DataType::f16:
      for (int64_t i = 0; i < out.size(); ++i)
        out.mutable_data<Half>()[i] = Half(static_cast<float>(tensor.as_double(i)));
      break;
    case DataType::bf16:
      for (int64_t i = 0; i < out.size(); ++i)
        out.mutable_data<BFloat16>()[i] = BFloat16(static_cast<float>(tensor.as_double(i)));
      break;
    case DataType::f32: fill_from<float>(tensor, out); break;
    default: fill_from<double>(tensor, out); break;
  }
  return out;
}

Tensor random_tensor(DataType dtype, const Shape& shape, uint64_t seed) {
  Tensor out = Tensor::zeros(dtype, shape);
  if (dtype == DataType::string || is_block_quantized(dtype)) {
    throw Error("input-dtype", "there are no random values of type " + std::string(name_of(dtype)));
  }
  uint64_t state = seed * 0x2545F4914F6CDD1D + 0x5DEECE66D;
  const bool paired = is_complex(dtype);
  const int64_t count = out.size() * (paired ? 2 : 1);
  std::byte* bytes = out.mutable_bytes();
  const size_t item = item_size(dtype) / (paired ? 2 : 1);
  for (int64_t i = 0; i < count; ++i) {
    std::byte* at = bytes + static_cast<size_t>(i) * item;
    if (is_float(dtype) || paired) {
      const float value = uniform(state);
      if (item == 8) {
        *reinterpret_cast<double*>(at) = value;
      } else if (item == 4) {
        *reinterpret_cast<float*>(at) = value;
      } else if (dtype == DataType::bf16) {
        *reinterpret_cast<BFloat16*>(at) = BFloat16(value);
      } else {
        *reinterpret_cast<Half*>(at) = Half(value);
      }
    } else {
      const bool code = dtype == DataType::u8 || dtype == DataType::i8;
      *at = static_cast<std::byte>(next_random(state) >> 56 & (code ? 0xFF : 1));
    }
  }
  return out;
}

}  // namespace nnefrun::cli
