// f32 kernels over the channel-blocked layout: convolution, depthwise convolution, Winograd, pooling, and the
// way in and out.
//
// The layout. A tensor [N, C, D...] (one to three spatial axes) is stored as [N, ceil(C/b), D..., b]: b
// channels lie side by side for each position, so that one vector holds b channels of one position, whatever
// the spatial extents, strides and padding. b is the row's `block`. The lanes behind the last channel are
// written with unspecified values, which no lane of a channel ever depends on.
//
//   plain     [n][c][d h w]
//   blocked   [n][c / b][d h w][c % b]
//
// Spatial quantities are those of kernels::ConvShape (kernels/conv/conv.h): depth, height, width, the outer
// ones 1 for lower ranks.
//
// Threads: kernels own none. Every operation is cut into `tasks`, numbered from 0, which are independent: any
// partition of them into ranges may run at once, each range with its own workspace; the result does not
// depend on the partition.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/conv/conv.h"
#include "kernels/epilogue.h"
#include "kernels/isa.h"
#include "kernels/pool/pool.h"

namespace nnefrun::kernels {

// How a convolution is computed. Persistent: written into plans. Append, never renumber.
enum class BlockedMethod : uint8_t {
  direct = 0,      // register tiles of positions x output channels; any filter
  depthwise = 1,   // one filter for each channel: groups = in_channels = out_channels
  winograd_2 = 2,  // F(2,3) on each of the two (or one) spatial axes: filter 3x3 (or 3), stride 1, dilation 1
  winograd_4 = 3,  // F(4,3), points 0, 1, -1, 1/2, -2
};

// One row for each ISA; internal to the room, passed around as a whole.
struct BlockedKernels;
const BlockedKernels& choose_blocked(IsaFeatures features = host_isa());
const BlockedKernels* const* blocked_rows(int* count);
// Channels in a block: 16 for AVX-512, 8 for AVX2, ...
int64_t channel_block(const BlockedKernels& kernels = choose_blocked());

struct BlockedConvArgs {
  ConvShape shape;
  BlockedMethod method = BlockedMethod::direct;
  // x is plain [batch, in_channels, in...] instead of blocked: for the first layer, with few input channels.
  // Direct only.
  bool x_is_plain = false;
  const float* x = nullptr;
  const float* packed_weights = nullptr;  // from pack_blocked_conv for the same shape and method
  float* y = nullptr;                     // blocked
  // bias: BiasAxis::row (one value for each output channel) or none; padded to whole blocks. residual:
  // blocked, the extents of y, residual_row_stride ignored; it may be y itself only when nothing else is read
  // from it (in place: y += ...).
  Epilogue epilogue;
};

// Whether `method` can compute the shape. direct: groups = 1, or both channel counts of a group are whole
// blocks. A shape that neither direct nor depthwise takes is left to the plain convolution.
bool blocked_conv_takes(const ConvShape& shape, BlockedMethod method, bool x_is_plain = false,
                        const BlockedKernels& kernels = choose_blocked());
// The fastest method for the shape, by measured rules; `winograd` false: never one of the Winograd methods,
// whose results differ from the direct one's by a few units of the last place (F(4,3): 3.4 times the error of
// the direct sum over 64 channels). REQUIRES: direct or depthwise takes the shape.
BlockedMethod choose_blocked_method(const ConvShape& shape, bool winograd,
                                    const BlockedKernels& kernels = choose_blocked());

// Floats of the packed filter, and the packing. weights: [out_channels, in_channels / groups, filter...],
// contiguous. Only channels, groups, filter, stride and dilation of the shape are looked at. Winograd's
// filters are transformed in f64.
size_t packed_blocked_conv_size(const ConvShape& shape, BlockedMethod method, bool x_is_plain = false,
                                const BlockedKernels& kernels = choose_blocked());
void pack_blocked_conv(const ConvShape& shape, BlockedMethod method, bool x_is_plain, const float* weights,
                       float* packed, const BlockedKernels& kernels = choose_blocked());

// Bytes of workspace that suffice for any range of tasks, and the number of tasks.
size_t blocked_conv_workspace_size(const ConvShape& shape, BlockedMethod method, bool x_is_plain = false,
                                   const BlockedKernels& kernels = choose_blocked());
int64_t blocked_conv_tasks(const ConvShape& shape, BlockedMethod method,
                           const BlockedKernels& kernels = choose_blocked());
// Runs tasks [begin, end). REQUIRES: pointers are 64-byte aligned except x when it is plain; y overlaps
// neither x nor the weights. Extents of 0 are allowed.
void blocked_conv(const BlockedConvArgs& args, int64_t task_begin, int64_t task_end, void* workspace,
                  const BlockedKernels& kernels = choose_blocked());

// A pointwise convolution (one tap, stride 1, no padding) and the depthwise one that alone reads it: what is
// between them, often the largest tensor of a network, never exists whole. The results are those of the two,
// bit for bit.
struct BlockedPairArgs {
  ConvShape depthwise;
  int64_t in_channels = 0;                  // of the pointwise convolution
  const float* x = nullptr;                 // blocked [batch, in_channels, depthwise.in...]
  const float* packed_pointwise = nullptr;  // from pack_blocked_conv, direct
  const float* packed_depthwise = nullptr;  // and depthwise
  Epilogue first, second;                   // bias as in BlockedConvArgs; no residual
  float* y = nullptr;                       // blocked
};
// At most two spatial axes.
bool blocked_pair_takes(const ConvShape& depthwise, const BlockedKernels& kernels = choose_blocked());
size_t blocked_pair_workspace_size(const ConvShape& depthwise, int64_t in_channels,
                                   const BlockedKernels& kernels = choose_blocked());
int64_t blocked_pair_tasks(const ConvShape& depthwise, int64_t in_channels,
                           const BlockedKernels& kernels = choose_blocked());
// Runs tasks [begin, end). REQUIRES: as blocked_conv.
void blocked_pair(const BlockedPairArgs& args, int64_t task_begin, int64_t task_end, void* workspace,
                  const BlockedKernels& kernels = choose_blocked());

// Pooling in the blocked layout; the shape's `planes` count whole blocks (N * ceil(C/b)). Semantics of
// kernels/pool/pool.h. No workspace; tasks are planes.
void blocked_pool(PoolOp op, const PoolShape& shape, const float* x, float* y, int64_t plane_begin,
                  int64_t plane_end, const BlockedKernels& kernels = choose_blocked());
// y[p, lane] = scale * sum over all positions of plane p: global averages. Order of summation: compensated or
// pairwise, so that the error does not grow with the number of positions.
void blocked_sum(const float* x, int64_t planes, int64_t positions, float scale, float* y,
                 const BlockedKernels& kernels = choose_blocked());

// z = op(x, y) where y holds one vector of b values for each plane ([N, C, 1...] blocked): the gate of
// squeeze-and-excitation. op: add or mul. z may be x.
enum class BlockedGate : uint8_t { add = 0, mul = 1 };
void blocked_gate(BlockedGate op, const float* x, const float* y, float* z, int64_t planes, int64_t positions,
                  const BlockedKernels& kernels = choose_blocked());

// The way in and out: `planes` images of `channels` x `positions`. block_channels unspecified lanes are
// zeroed on the way in.
void block_channels(const float* plain, float* blocked, int64_t images, int64_t channels, int64_t positions,
                    const BlockedKernels& kernels = choose_blocked());
void unblock_channels(const float* blocked, float* plain, int64_t images, int64_t channels, int64_t positions,
                      const BlockedKernels& kernels = choose_blocked());

}  // namespace nnefrun::kernels
