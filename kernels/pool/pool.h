// f32 pooling over one to three spatial axes of independent planes (batch times channels):
//
//   y[p,q] = op over t of x[p, q*stride + t*dilation - pad_before]
//
// with t a position of the window. Border: with `ignore`, positions outside x take no part (max: over the
// rest; avg: divided by the count of the rest); with `constant`, they are zeros that take part (max: a
// candidate 0; avg: divided by the volume of the window). A window wholly outside gives the smallest finite
// number (max), NaN (avg) or 0 (sum) with `ignore`. NaN: max gives NaN when the window holds nothing else.
//
// Fewer than three spatial axes are written with the outer ones 1 (see ConvShape). Axes that the window does
// not touch (channels or batch of extent 1 in the window) are planes; a window over channels is a spatial
// axis.
//
// Threads: kernels own none; split along planes, each call with its own workspace.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"
#include "kernels/stage.h"

namespace nnefrun::kernels {

enum class PoolOp : uint8_t {
#define NNEFRUN_POOL(op) op,
#include "kernels/pool/kernels.inc"
};
inline constexpr int kPoolOps = 0
#define NNEFRUN_POOL(op) +1
#include "kernels/pool/kernels.inc"
    ;

enum class PoolBorder : uint8_t { ignore = 0, constant = 1 };

struct PoolShape {
  int64_t planes = 1;
  int64_t in[3] = {1, 1, 1};
  int64_t out[3] = {1, 1, 1};
  int64_t window[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1};
  int64_t dilation[3] = {1, 1, 1};
  int64_t pad_before[3] = {0, 0, 0};
  PoolBorder border = PoolBorder::ignore;
};

// Bytes of workspace that suffice for one call.
size_t pool_workspace_size(const PoolShape& shape);
// REQUIRES: x is [planes, in...], y is [planes, out...], contiguous and disjoint; workspace is 64-byte
// aligned; strides, dilations and window extents are at least 1.
void pool_f32(PoolOp op, const PoolShape& shape, const float* x, float* y, void* workspace,
              IsaFeatures features = host_isa());

// One output row, folded from the input rows that its window meets. Input rows are staged (kernels/stage.h):
// padding is real (the neutral element, or 0 for a constant border), columns are sorted by phase, so no loop
// checks bounds.
struct PoolRow {
  const float* const* rows;  // staged rows
  int64_t row_count;
  const int64_t* taps;  // offsets into a staged row, one for each column of the window
  int64_t tap_count;
  int64_t columns;  // of the output
  float start;      // the neutral element
  float* y;
};
struct PoolKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  void (*max_row)(const PoolRow&);
  void (*sum_row)(const PoolRow&);
  // y[i] = y[i] / (count[i] * times), where the divisor is not 0
  void (*divide_row)(float* y, const float* count, float times, int64_t n);
  void (*stage)(const StagePlane&);
};
const PoolKernels& choose_pool(IsaFeatures features = host_isa());
const PoolKernels* const* pool_rows(int* count);

}  // namespace nnefrun::kernels
