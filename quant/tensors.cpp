#include "quant/tensors.h"

#include "base/error.h"
#include "quant/affine.h"
#include "quant/q40.h"
#include "quant/q80.h"

namespace nnefrun {
namespace {

Error no_conversion(DataType from, std::string_view to) {
  return Error("dtype-mismatch",
               "cannot quantise: items are " + std::string(name_of(from)) + ", expected " + std::string(to));
}

template <class T>
void store_codes(const Tensor& from, Tensor& to, AffineQuantization quantization) {
  T* out = to.mutable_data<T>();
  const CodeRange range = code_range(to.dtype());
  for (int64_t i = 0; i < from.size(); ++i) {
    out[i] = static_cast<T>(quantize_affine(from.data<float>()[i], quantization, range));
  }
}

}  // namespace

Tensor dequantize_blocks(const Tensor& tensor) {
  if (!is_block_quantized(tensor.dtype())) throw no_conversion(tensor.dtype(), "q4_0, q8_0 or q8_1");
  Tensor out = Tensor::uninitialized(DataType::f32, tensor.shape());
  const auto blocks = static_cast<size_t>(tensor.size() / 32);
  float* to = out.mutable_data<float>();
  if (tensor.dtype() == DataType::q4_0) {
    dequantize_q40(tensor.data<BlockQ40>(), blocks, to);
  } else if (tensor.dtype() == DataType::q8_0) {
    dequantize_q80(tensor.data<BlockQ80>(), blocks, to);
  } else {
    dequantize_q81(tensor.data<BlockQ81>(), blocks, to);
  }
  return out;
}

Tensor quantize_blocks(const Tensor& tensor, DataType to) {
  if (tensor.dtype() != DataType::f32) throw no_conversion(tensor.dtype(), "f32");
  if (!is_block_quantized(to)) throw no_conversion(to, "q4_0, q8_0 or q8_1 as target");
  if (tensor.rank() > 0 && tensor.shape().back() % 32 != 0) {
    throw Error("block-shape",
                "shape " + to_string(tensor.shape()) + " has no last extent that is a multiple of 32");
  }
  Tensor out = Tensor::uninitialized(to, tensor.shape());
  const auto blocks = static_cast<size_t>(tensor.size() / 32);
  const float* from = tensor.data<float>();
  if (to == DataType::q4_0) {
    quantize_q40(from, blocks, out.mutable_data<BlockQ40>());
  } else if (to == DataType::q8_0) {
    quantize_q80(from, blocks, out.mutable_data<BlockQ80>());
  } else {
    quantize_q81(from, blocks, out.mutable_data<BlockQ81>());
  }
  return out;
}

Tensor dequantize_codes(const Tensor& codes, AffineQuantization from) {
  if (code_range(codes.dtype()).high == 0) throw no_conversion(codes.dtype(), "u8, i8, u16, i16, u32 or i32");
  Tensor out = Tensor::uninitialized(DataType::f32, codes.shape());
  float* to = out.mutable_data<float>();
  for (int64_t i = 0; i < codes.size(); ++i) to[i] = dequantize_affine(codes.as_int(i), from);
  return out;
}

Tensor quantize_codes(const Tensor& tensor, DataType storage, AffineQuantization to) {
  if (tensor.dtype() != DataType::f32) throw no_conversion(tensor.dtype(), "f32");
  Tensor out = Tensor::uninitialized(storage, tensor.shape());
  switch (storage) {
    case DataType::u8: store_codes<uint8_t>(tensor, out, to); break;
    case DataType::i8: store_codes<int8_t>(tensor, out, to); break;
    case DataType::u16: store_codes<uint16_t>(tensor, out, to); break;
    case DataType::i16: store_codes<int16_t>(tensor, out, to); break;
    case DataType::u32: store_codes<uint32_t>(tensor, out, to); break;
    case DataType::i32: store_codes<int32_t>(tensor, out, to); break;
    default: throw no_conversion(storage, "u8, i8, u16, i16, u32 or i32 as target");
  }
  return out;
}

}  // namespace nnefrun
