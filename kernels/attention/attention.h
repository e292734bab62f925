// Scaled dot product attention in f32, in blocks, without the matrix of all scores:
//
//   s[b,h,i,j]   = scale * sum over p of q[b,h,i,p] * k[b,g,j,p]  +  mask[b,h,i,j]       g = h / (heads /
//   groups) out[b,h,i,:] = sum over j of w[j] * v[b,g,j,:],   w = softmax over j of s[b,h,i,j]
//
// With `causal` row i sees the keys j <= i + (keys - rows) only: the last row sees all of them. A boolean
// mask adds 0 where it is true and minus infinity where it is false. A row that sees nothing (no keys, or all
// of its scores are minus infinity) is 0. A score that is NaN or plus infinity makes its row NaN.
//
// The batch, head and row axes of all operands have strides of their own (0 repeats an operand), so a
// transposed layout [batch, rows, heads, width] or a cache with spare capacity is read in place. Width and
// depth are contiguous.
//
// How. Keys are taken in blocks of a fixed number; a running maximum and sum of each row are corrected from
// block to block (online softmax). Many rows: a strip of two vectors of rows lies across the lanes, scores
// are kept as [key][row], so that the items of keys and values are scalars, and nothing is summed across
// lanes. On x86 consecutive strips of a range share blocks of keys and values that are packed as the matrix
// product's panels. Few rows (decoding): the lanes lie along width and depth. The rows of all heads that
// share a group are one sequence of rows, so keys and values are read once for them. Blocks of keys that
// `causal` hides from a whole strip are skipped.
//
// Keys and values in f16 (a cache is often kept so) become floats a block at a time in the workspace, which
// is exact: the result is that over their floats, bit for bit.
//
// Error, for finite scores: with A = the largest over j of |scale| * sum over p of |q * k| + |mask| for the
// row, each item of the result is within (4 A + 24) * 2^-24 * max |v| of the exact value. Weights below
// exp(-86) of the largest are 0. A hidden key has weight 0 but is multiplied: infinities and NaNs in its
// value reach the result.
//
// Threads: kernels own none. An attention is a number of tasks with independent results; a thread runs a
// range of them with a workspace of its own. A result does not depend on how the tasks are divided.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"

namespace nnefrun::kernels {

enum class AttentionMask : uint8_t { none, f32, boolean };

struct AttentionShape {
  int64_t batch = 1, heads = 1;
  int64_t groups = 1;  // heads of keys and values; REQUIRES: > 0 and a divisor of `heads`
  int64_t rows = 0, keys = 0, width = 0, depth = 0;  // REQUIRES with causal: rows and keys below 2^24
  int64_t q_strides[3] = {}, k_strides[3] = {}, v_strides[3] = {},
          out_strides[3] = {};  // items: batch, head, row
  AttentionMask mask = AttentionMask::none;
  int64_t mask_strides[4] = {};  // items: batch, head, row, key; 0 repeats
  bool causal = false;
  bool half_keys = false;  // keys and values are f16
  float scale = 1.0F;
};

struct AttentionArgs {
  AttentionShape shape;
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  const uint16_t *half_k = nullptr, *half_v = nullptr;  // instead of k and v, with half_keys
  const void* mask = nullptr;
  float* out = nullptr;  // overlaps no operand
};

struct AttentionKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  int strip_rows;  // of a task
  int few_rows;    // up to so many rows of a group are one task, done along width and depth
  size_t (*workspace_floats)(const AttentionShape& shape);
  void (*run)(const AttentionArgs& args, int64_t task_begin, int64_t task_end, float* workspace);
};
const AttentionKernels& choose_attention(IsaFeatures features = host_isa());
const AttentionKernels* const* attention_rows(int* count);

int64_t attention_task_count(const AttentionShape& shape, const AttentionKernels& row = choose_attention());
// Bytes that a range of tasks needs; they stay in the second cache.
size_t attention_workspace_size(const AttentionShape& shape,
                                const AttentionKernels& row = choose_attention());
// Runs the tasks [task_begin, task_end). REQUIRES: workspace is 64-byte aligned and not shared between
// threads.
void attention_f32(const AttentionArgs& args, int64_t task_begin, int64_t task_end, void* workspace,
                   const AttentionKernels& row = choose_attention());

}  // namespace nnefrun::kernels
