// The element types of tensors: one closed enumeration for the file formats, the graph, the plan and the kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace nnefrun {

// Persistent: the values are written into ahead-of-time plans. Append, never renumber.
enum class DataType : uint8_t {
  boolean = 0,  // one byte an item, 0 or 1
  u8 = 1,
  u16 = 2,
  u32 = 3,
  u64 = 4,
  i8 = 5,
  i16 = 6,
  i32 = 7,
  i64 = 8,
  f16 = 9,    // IEEE 754 binary16, see half.h
  bf16 = 10,  // the upper half of a binary32
  f32 = 11,
  f64 = 12,
  complex32 = 13,   // re, im as f16
  complex64 = 14,   // re, im as f32
  complex128 = 15,  // re, im as f64
  string = 16,      // no fixed size: Tensor::strings()
  dim = 17,   // tract's TDim: a symbolic integer. Exists while a graph is built; a Plan and a Tensor hold i64.
  q4_0 = 18,  // blocks of 32 along the last axis, 18 bytes each (quant/q40.h)
  q8_0 = 19,  // blocks of 32 along the last axis, 34 bytes each (quant/q80.h)
  q8_1 = 20,  // blocks of 32 along the last axis, 36 bytes each (quant/q80.h)
};
inline constexpr int kDataTypeCount = 21;

// "f32", "i64", "bool", "q4_0", ...: the spelling used in messages, reports and the engine's own NNEF text.
std::string_view name_of(DataType type);
// Inverse of name_of; also accepts tract's spellings ("F32", "Bool", "TDim", "ComplexF32", ...), any case.
std::optional<DataType> data_type_from_name(std::string_view name);
// NumPy's descriptor without byte order, e.g. "f4", "i8", "b1", "c8"; empty where NumPy has none.
std::string_view numpy_name_of(DataType type);

// Bytes of one item; 0 for string, dim and the block types.
constexpr size_t item_size(DataType type) {
  switch (type) {
    case DataType::boolean:
    case DataType::u8:
    case DataType::i8: return 1;
    case DataType::u16:
    case DataType::i16:
    case DataType::f16:
    case DataType::bf16: return 2;
    case DataType::u32:
    case DataType::i32:
    case DataType::f32:
    case DataType::complex32: return 4;
    case DataType::u64:
    case DataType::i64:
    case DataType::f64:
    case DataType::complex64: return 8;
    case DataType::complex128: return 16;
    default: return 0;
  }
}

// Items in one block and bytes of one block: 1 and item_size for plain types.
constexpr size_t block_items(DataType type) {
  return type == DataType::q4_0 || type == DataType::q8_0 || type == DataType::q8_1 ? 32 : 1;
}
constexpr size_t block_bytes(DataType type) {
  switch (type) {
    case DataType::q4_0: return 18;
    case DataType::q8_0: return 34;
    case DataType::q8_1: return 36;
    default: return item_size(type);
  }
}

constexpr bool is_block_quantized(DataType t) { return block_items(t) != 1; }
constexpr bool is_float(DataType t) {
  return t == DataType::f16 || t == DataType::bf16 || t == DataType::f32 || t == DataType::f64;
}
constexpr bool is_signed_integer(DataType t) {
  return t == DataType::i8 || t == DataType::i16 || t == DataType::i32 || t == DataType::i64;
}
constexpr bool is_unsigned_integer(DataType t) {
  return t == DataType::u8 || t == DataType::u16 || t == DataType::u32 || t == DataType::u64;
}
constexpr bool is_integer(DataType t) { return is_signed_integer(t) || is_unsigned_integer(t); }
constexpr bool is_complex(DataType t) {
  return t == DataType::complex32 || t == DataType::complex64 || t == DataType::complex128;
}

// real = (code - zero_point) * scale, for i8, u8, i16, u16 and i32 codes (NNEF 1.0.5 section 14, tract-opl 4.1).
struct AffineQuantization {
  int32_t zero_point = 0;
  float scale = 1.0F;
  friend bool operator==(const AffineQuantization&, const AffineQuantization&) = default;
};

}  // namespace nnefrun
