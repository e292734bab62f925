// Copying and converting items.
//
// copy_strided: dst[i] = src[i] for every index i of a space of up to 8 axes, with any byte strides on both
// sides (also 0 on the source and negative): transposes, slices, concatenation (a copy for each part),
// broadcasts, tiles, reversals. Axes that can be merged are merged; contiguous runs are copied by memcpy,
// transposes of 4-byte items in blocks.
//
// convert: between number types, item by item. Rules:
//   to a float type      rounded to nearest, ties to even; overflow gives infinity; NaN stays NaN (quiet)
//   float to integer     rounded towards zero, saturated to the range of the target, NaN gives 0
//   integer to integer   wraps (two's complement), as a C++ cast does
//   to bool              0 gives 0, everything else (NaN too) 1;  from bool: 0 or 1
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/data_type.h"
#include "kernels/isa.h"

namespace nnefrun::kernels {

struct CopyShape {
  int rank = 0;  // at most 8; 0 copies one item
  int64_t dims[8] = {};
  int64_t src_strides[8] = {}, dst_strides[8] = {};  // bytes
  size_t item_size = 4;  // 1 to 16, a power of two for the fast paths; any size works
};
// REQUIRES: src and dst are disjoint; no two indices share a destination.
void copy_strided(const CopyShape& shape, const void* src, void* dst, IsaFeatures features = host_isa());

// Sets every item of a strided space to the item at `value`; src_strides are ignored.
void fill_strided(const CopyShape& shape, const void* value, void* dst);

// True for the pairs that `convert` knows: bool, integers, f16, bf16, f32, f64, both ways.
bool can_convert(DataType from, DataType to);
// REQUIRES: can_convert; src and dst are disjoint, or the same memory with items of equal size.
void convert(DataType from, DataType to, const void* src, void* dst, int64_t n,
             IsaFeatures features = host_isa());

struct MoveKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  // dst[c * dst_stride + r] = src[r * src_stride + c], strides in items.
  void (*transpose_b32)(const uint32_t* src, int64_t src_stride, uint32_t* dst, int64_t dst_stride,
                        int64_t rows, int64_t columns);
  void (*f32_from_f16)(const uint16_t* src, float* dst, int64_t n);
  void (*f16_from_f32)(const float* src, uint16_t* dst, int64_t n);
  void (*f32_from_bf16)(const uint16_t* src, float* dst, int64_t n);
  void (*bf16_from_f32)(const float* src, uint16_t* dst, int64_t n);
};
const MoveKernels& choose_move(IsaFeatures features = host_isa());
const MoveKernels* const* move_rows(int* count);

}  // namespace nnefrun::kernels
