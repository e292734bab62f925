// Quantisation of whole tensors.
#pragma once

#include "base/tensor.h"

namespace nnefrun {

// q4_0, q8_0 or q8_1 to f32 of the same shape. Throws Error[dtype-mismatch] for other types.
Tensor dequantize_blocks(const Tensor& tensor);
// f32 to q4_0, q8_0 or q8_1. Throws Error[dtype-mismatch], Error[block-shape] when the last extent is no
// multiple of 32.
Tensor quantize_blocks(const Tensor& tensor, DataType to);
// Codes (u8, i8, u16, i16, u32, i32) to f32, and f32 to codes, rounding half to even. Throws
// Error[dtype-mismatch].
Tensor dequantize_codes(const Tensor& codes, AffineQuantization from);
Tensor quantize_codes(const Tensor& tensor, DataType storage, AffineQuantization to);

}  // namespace nnefrun
