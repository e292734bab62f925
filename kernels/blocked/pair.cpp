// Two convolutions in one, see blocked_pair in blocked.h.
//
// A task is a band of output lines times a pair of channel blocks: the pointwise convolution computes the
// rows that the band needs into the workspace, and the depthwise one reads them there, out of the second
// cache or nearer. Rows that two bands need are computed for both; bands are as high as the workspace allows.
#include <cassert>

#include "kernels/blocked/rows.h"

namespace nnefrun::kernels {
namespace {

constexpr int64_t kPair = 2;                // blocks that are packed together
constexpr int64_t kBandBytes = 320 << 10;   // of the values between the two, for a pair of blocks
constexpr int64_t kTaskProducts = 1 << 19;  // multiply-adds that are worth a task
constexpr int64_t kTasks = 8;               // so many suffice for balance
constexpr int64_t kLeastLines = 8;          // of a band that is cut for balance

int64_t reach(const ConvShape& s, int64_t lines) {
  return (lines - 1) * s.stride[1] + (s.filter[1] - 1) * s.dilation[1] + 1;
}

struct Cut {
  int64_t lines, bands;  // of an image
  int64_t pairs;         // of channel blocks
};
Cut cut_of(const ConvShape& s, int64_t in_channels, const BlockedKernels& kernels) {
  Cut c;
  c.pairs = blocked_ceil(blocked_ceil(s.out_channels, kernels.block), kPair);
  const int64_t row_bytes = blocked_larger(1, kPair * kernels.block * 4 * s.in[2]);
  const int64_t more = (kBandBytes / row_bytes - reach(s, 1)) / s.stride[1];
  c.bands = s.in[1] * row_bytes <= kBandBytes ? 1 : blocked_ceil(s.out[1], 1 + blocked_larger(0, more));
  const int64_t products =
      s.batch * s.in[1] * s.in[2] * s.out_channels * (in_channels + blocked_volume(s.filter));
  const int64_t wanted = blocked_smaller(kTasks, products / kTaskProducts);
  while (s.batch * c.pairs * c.bands < wanted && blocked_ceil(s.out[1], 2 * c.bands) >= kLeastLines)
    c.bands *= 2;
  c.lines = blocked_ceil(s.out[1], c.bands);
  c.bands = blocked_ceil(s.out[1], c.lines);
  return c;
}
int64_t band_rows(const ConvShape& s, const Cut& c) { return blocked_smaller(s.in[1], reach(s, c.lines)); }

bool is_empty(const ConvShape& s) {
  return s.batch == 0 || s.out_channels == 0 || blocked_volume(s.out) == 0;
}

}  // namespace

bool blocked_pair_takes(const ConvShape& depthwise, const BlockedKernels& kernels) {
  return blocked_conv_takes(depthwise, BlockedMethod::depthwise, false, kernels) && depthwise.in[0] == 1 &&
         depthwise.out[0] == 1 && depthwise.filter[0] == 1 && depthwise.pad_before[0] == 0;
}

size_t blocked_pair_workspace_size(const ConvShape& depthwise, int64_t in_channels,
                                   const BlockedKernels& kernels) {
  if (is_empty(depthwise)) return 0;
  const Cut c = cut_of(depthwise, in_channels, kernels);
  const int64_t rows = blocked_larger(0, band_rows(depthwise, c));
  return static_cast<size_t>(blocked_ceil(kPair * rows * depthwise.in[2] * kernels.block, 16) * 16) *
         sizeof(float);
}

int64_t blocked_pair_tasks(const ConvShape& depthwise, int64_t in_channels, const BlockedKernels& kernels) {
  if (is_empty(depthwise)) return 0;
  const Cut c = cut_of(depthwise, in_channels, kernels);
  return depthwise.batch * c.bands * c.pairs;
}

void blocked_pair(const BlockedPairArgs& args, int64_t task_begin, int64_t task_end, void* workspace,
                  const BlockedKernels& kernels) {
  const ConvShape& s = args.depthwise;
  assert(blocked_pair_takes(s, kernels));
  assert(args.first.residual == nullptr && args.second.residual == nullptr);
  const Cut c = cut_of(s, args.in_channels, kernels);
  const int64_t block = kernels.block, blocks = blocked_ceil(s.out_channels, block);
  const int64_t in_blocks = blocked_ceil(args.in_channels, block);
  const int64_t in_plane = s.in[1] * s.in[2] * block, out_plane = s.out[1] * s.out[2] * block;
  float* between = static_cast<float*>(workspace);
  Epilogue first = args.first, second = args.second;
  BlockedDirect p = {};
  p.x_column = block;
  p.x_outer = in_plane;
  p.outer = in_blocks;
  p.run = block;
  p.last_run = args.in_channels - (in_blocks - 1) * block;
  p.taps[0] = p.taps[1] = p.taps[2] = 1;
  p.depth_end = 1;
  p.row_stride = p.row_dilation = p.height = p.lines = 1;
  p.epilogue = blocked_has_epilogue(first) ? &first : nullptr;
  BlockedDepthwise d = {};
  d.shape = &s;
  d.epilogue = blocked_has_epilogue(second) ? &second : nullptr;
  for (int64_t task = task_begin; task < task_end; ++task) {
    const int64_t pair = task % c.pairs, band = task / c.pairs % c.bands, image = task / c.pairs / c.bands;
    const int64_t block_begin = pair * kPair, count = blocked_smaller(kPair, blocks - block_begin);
    d.line_begin = band * c.lines;
    d.line_end = blocked_smaller(s.out[1], d.line_begin + c.lines);
    const int64_t top = d.line_begin * s.stride[1] - s.pad_before[1];
    const int64_t row_begin = blocked_smaller(s.in[1], blocked_larger(0, top));
    const int64_t row_end =
        blocked_larger(row_begin, blocked_smaller(s.in[1], top + reach(s, d.line_end - d.line_begin)));
    const int64_t rows = row_end - row_begin;
    const int64_t plane = rows * s.in[2] * block;
    p.x = args.x + image * in_blocks * in_plane + row_begin * s.in[2] * block;
    p.columns = rows * s.in[2];
    p.w = args.packed_pointwise + block_begin * block * args.in_channels;
    p.blocks = count;
    p.y = between;
    p.y_line = p.y_block = plane;
    if (args.first.bias != nullptr) first.bias = args.first.bias + block_begin * block;
    if (plane > 0) kernels.direct(p);
    for (int64_t b = 0; b < count; ++b) {
      const int64_t channel_block = block_begin + b;
      d.x = between + b * plane - row_begin * s.in[2] * block;  // where the plane of the image would begin
      d.w = args.packed_depthwise + channel_block * block * blocked_volume(s.filter);
      d.y = args.y + (image * blocks + channel_block) * out_plane;
      if (args.second.bias != nullptr) second.bias = args.second.bias + channel_block * block;
      kernels.depthwise(d);
    }
  }
}

}  // namespace nnefrun::kernels
