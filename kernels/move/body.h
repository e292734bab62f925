// Data movement rows, written once over the vector of kernels/vec.h.
#pragma once

#include "kernels/move/move.h"
#include "kernels/vec_half.h"

namespace nnefrun::kernels {
namespace {

// Squares of kLanes in registers; what is left over item by item. Columns are the outer loop, so that each
// line of the destination is finished before it is left.
void transpose_b32(const uint32_t* src, int64_t src_stride, uint32_t* dst, int64_t dst_stride, int64_t rows,
                   int64_t columns) {
  for (int64_t c = 0; c < columns; c += kLanes) {
    const int64_t width = columns - c < kLanes ? columns - c : kLanes;
    for (int64_t r = 0; r < rows; r += kLanes) {
      const int64_t height = rows - r < kLanes ? rows - r : kLanes;
      // only moved, never computed with, so bits that are no f32 survive
      const float* from = reinterpret_cast<const float*>(src + r * src_stride + c);
      float* to = reinterpret_cast<float*>(dst + c * dst_stride + r);
      V square[kLanes];
      if (width == kLanes && height == kLanes) {
        NNEFRUN_UNROLL
        for (int i = 0; i < kLanes; ++i) square[i] = vload(from + i * src_stride);
        vtranspose(square);
        NNEFRUN_UNROLL
        for (int i = 0; i < kLanes; ++i) vstore(to + i * dst_stride, square[i]);
      } else {
        for (int64_t j = 0; j < width; ++j) {
          for (int64_t i = 0; i < height; ++i) to[j * dst_stride + i] = from[i * src_stride + j];
        }
      }
    }
  }
}

// Whole vectors in place, the rest through a buffer.
void f16_from_f32(const float* src, uint16_t* dst, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store_f16(dst + i, vload(src + i));
  if (i == n) return;
  uint16_t rest[kLanes];
  store_f16(rest, vload_n(src + i, n - i));
  for (int64_t j = i; j < n; ++j) dst[j] = rest[j - i];
}
void f32_from_bf16(const uint16_t* src, float* dst, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) vstore(dst + i, load_bf16(src + i));
  uint16_t rest[kLanes] = {};
  for (int64_t j = i; j < n; ++j) rest[j - i] = src[j];
  if (i < n) vstore_n(dst + i, load_bf16(rest), n - i);
}
void bf16_from_f32(const float* src, uint16_t* dst, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store_bf16(dst + i, vload(src + i));
  if (i == n) return;
  uint16_t rest[kLanes];
  store_bf16(rest, vload_n(src + i, n - i));
  for (int64_t j = i; j < n; ++j) dst[j] = rest[j - i];
}

}  // namespace

extern const MoveKernels NNEFRUN_TABLE(move);
const MoveKernels NNEFRUN_TABLE(move) = {
    NNEFRUN_STRING(NNEFRUN_ISA),
    isa::NNEFRUN_ISA,
    true,
    transpose_b32,
    f32_from_f16,
    f16_from_f32,
    f32_from_bf16,
    bf16_from_f32,
};

}  // namespace nnefrun::kernels
