// The depthwise method of blocked.h: tasks are lines of channel blocks.
#include "kernels/blocked/rows.h"

namespace nnefrun::kernels {
namespace {

bool takes(const ConvShape& s, bool x_is_plain, const BlockedKernels&) {
  return !x_is_plain && s.groups > 1 && s.groups == s.in_channels && s.groups == s.out_channels;
}

size_t packed_size(const ConvShape& s, bool, const BlockedKernels& kernels) {
  return static_cast<size_t>(blocked_ceil(s.out_channels, kernels.block) * kernels.block *
                             blocked_volume(s.filter));
}

void pack(const ConvShape& s, bool, const float* weights, float* packed, const BlockedKernels& kernels) {
  const int64_t taps = blocked_volume(s.filter);
  for (int64_t first = 0; first < s.out_channels; first += kernels.block) {
    for (int64_t t = 0; t < taps; ++t) {
      for (int64_t c = first; c < first + kernels.block; ++c) {
        *packed++ = c < s.out_channels ? weights[c * taps + t] : 0.0F;
      }
    }
  }
}

size_t workspace_size(const ConvShape&, bool, const BlockedKernels&) { return 0; }

// Planes are cut into bands of lines when they are few or large.
constexpr int64_t kTaskItems = 1 << 15;  // multiply-adds of vectors that are worth a task
int64_t bands_of(const ConvShape& s, const BlockedKernels& kernels) {
  const int64_t lines = s.out[0] * s.out[1], planes = s.batch * blocked_ceil(s.out_channels, kernels.block);
  const int64_t work = lines * s.out[2] * blocked_volume(s.filter);
  int64_t bands = blocked_larger(1, work / kTaskItems);
  // enough for a few threads, when that is worth it
  if (planes * bands < 8) bands = blocked_larger(bands, blocked_smaller(8 / planes, work * 4 / kTaskItems));
  return blocked_larger(1, blocked_smaller(bands, lines));
}

int64_t tasks(const ConvShape& s, const BlockedKernels& kernels) {
  return s.batch * blocked_ceil(s.out_channels, kernels.block) * bands_of(s, kernels);
}

void run(const BlockedConvArgs& args, int64_t task_begin, int64_t task_end, void*,
         const BlockedKernels& kernels) {
  const ConvShape& s = args.shape;
  const int64_t block = kernels.block, blocks = blocked_ceil(s.out_channels, block);
  const int64_t bands = bands_of(s, kernels), lines = s.out[0] * s.out[1];
  const int64_t in_items = blocked_volume(s.in) * block, out_items = blocked_volume(s.out) * block;
  Epilogue epilogue = args.epilogue;
  BlockedDepthwise d;
  d.shape = &s;
  d.epilogue = blocked_has_epilogue(epilogue) ? &epilogue : nullptr;
  for (int64_t task = task_begin; task < task_end; ++task) {
    const int64_t plane = task / bands, band = task % bands, channel = plane % blocks;
    d.x = args.x + plane * in_items;
    d.w = args.packed_weights + channel * block * blocked_volume(s.filter);
    d.y = args.y + plane * out_items;
    d.line_begin = lines * band / bands;
    d.line_end = lines * (band + 1) / bands;
    if (args.epilogue.bias != nullptr) epilogue.bias = args.epilogue.bias + channel * block;
    if (args.epilogue.residual != nullptr) epilogue.residual = args.epilogue.residual + plane * out_items;
    kernels.depthwise(d);
  }
}

}  // namespace

const BlockedMethodRow kBlockedDepthwise = {takes, packed_size, pack, workspace_size, tasks, run};

}  // namespace nnefrun::kernels
