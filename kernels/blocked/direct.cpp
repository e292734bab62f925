// The direct method of blocked.h.
//
// A task is a band of output positions (some lines of one depth, or a part of a long line) times a window of
// output blocks. Where a band's columns reach beyond the input, the input that it needs is first copied into
// the workspace with real zeros at both ends of its rows; rows and depths outside are left out of the sums.
#include <cstring>

#include "kernels/blocked/pack.h"
#include "kernels/blocked/rows.h"

namespace nnefrun::kernels {
namespace {

constexpr int64_t kBandBytes = 256 << 10;   // input of a band: stays in the second cache beside the weights
constexpr int64_t kTaskProducts = 1 << 19;  // multiply-adds that are worth a task
constexpr int64_t kTasks = 8;               // so many suffice for balance
constexpr int64_t kStagedChannels = 256, kStagedPlane = 8 << 10;  // see stages_tiles
constexpr int64_t kPair = 2;                                      // output blocks that are packed together

bool all_are(const int64_t (&values)[3], int64_t expected) {
  return values[0] == expected && values[1] == expected && values[2] == expected;
}
bool is_pointwise(const ConvShape& s) {
  return all_are(s.filter, 1) && all_are(s.stride, 1) && all_are(s.pad_before, 0) && s.in[0] == s.out[0] &&
         s.in[1] == s.out[1] && s.in[2] == s.out[2];
}
// One long line where the positions need not be told apart.
ConvShape flattened(const ConvShape& s) {
  ConvShape f = s;
  if (is_pointwise(s)) {
    f.in[2] = f.out[2] = blocked_volume(s.in);
    f.in[0] = f.in[1] = f.out[0] = f.out[1] = 1;
  }
  return f;
}
// Input items that `count` output positions reach along an axis.
int64_t reach(const ConvShape& s, int axis, int64_t count) {
  return (count - 1) * s.stride[axis] + (s.filter[axis] - 1) * s.dilation[axis] + 1;
}

struct Cut {
  int64_t lines, columns;            // of a band, the last ones may be smaller
  int64_t line_bands, column_bands;  // for each output depth
  int64_t window, windows;           // output blocks of a task, and windows of each group
  int64_t blocks;                    // output blocks of each group
};
// s is flattened.
Cut cut_of(const ConvShape& s, const BlockedKernels& kernels) {
  const int64_t channels = s.in_channels / s.groups,
                products = s.out_channels / s.groups * channels * blocked_volume(s.filter);
  const int64_t position_bytes = channels * 4 * s.filter[0];
  const int64_t unit = kernels.tile_positions;
  const auto line_bytes = [&](int64_t columns) { return position_bytes * reach(s, 2, columns); };
  Cut c;
  c.blocks = blocked_ceil(s.out_channels / s.groups, kernels.block);
  c.columns = s.out[2], c.lines = s.out[1];
  c.line_bands = c.column_bands = 1;
  if (line_bytes(s.out[2]) * reach(s, 1, 1) > kBandBytes && s.out[2] > 4 * unit) {
    // parts of a line
    const int64_t halo = line_bytes(1), room = kBandBytes / reach(s, 1, 1) - halo;
    const int64_t most =
        blocked_larger(4 * unit, room / blocked_larger(1, position_bytes * s.stride[2]) / unit * unit);
    c.column_bands = blocked_ceil(s.out[2], most);
    c.line_bands = s.out[1];
  } else {
    const int64_t row = blocked_larger(1, line_bytes(s.out[2]));
    const int64_t more = (kBandBytes / row - reach(s, 1, 1)) / s.stride[1];
    const int64_t most = blocked_larger(1, 1 + blocked_larger(0, more));
    c.line_bands = blocked_ceil(s.out[1], most);
  }
  // More tasks, while they are few and large: smaller bands when the weights are little beside the input,
  // else fewer output blocks in each.
  const int64_t outer = s.batch * s.out[0] * s.groups, total = outer * s.out[1] * s.out[2] * products;
  const int64_t wanted = blocked_smaller(kTasks, total / kTaskProducts);
  const int64_t pairs = blocked_ceil(c.blocks, kPair);
  c.windows = 1;
  for (;;) {
    const int64_t now = outer * c.line_bands * c.column_bands * c.windows;
    if (now >= wanted) break;
    const int64_t lines = blocked_ceil(s.out[1], c.line_bands),
                  columns = blocked_ceil(s.out[2], c.column_bands);
    const bool light = products <= channels * lines * columns * s.stride[1] * s.stride[2];
    if (lines > 1 && (light || c.windows == pairs)) {
      c.line_bands = blocked_smaller(s.out[1], c.line_bands * 2);
    } else if (lines == 1 && columns > 2 * unit && (light || c.windows == pairs)) {
      c.column_bands *= 2;
    } else if (c.windows < pairs) {
      c.windows = blocked_smaller(pairs, c.windows * 2);
    } else {
      break;
    }
  }
  c.lines = blocked_ceil(s.out[1], c.line_bands);
  c.line_bands = blocked_ceil(s.out[1], c.lines);
  c.columns = blocked_ceil(s.out[2], c.column_bands);
  if (c.column_bands > 1) c.columns = blocked_ceil(c.columns, unit) * unit;
  c.column_bands = blocked_ceil(s.out[2], c.columns);
  c.window = blocked_ceil(pairs, c.windows) * kPair;
  c.windows = blocked_ceil(c.blocks, c.window);
  return c;
}

bool takes(const ConvShape& s, bool x_is_plain, const BlockedKernels& kernels) {
  if (s.groups == 1) return true;
  return !x_is_plain && s.in_channels / s.groups % kernels.block == 0 &&
         s.out_channels / s.groups % kernels.block == 0;
}

// Floats of the weights of one group.
int64_t group_items(const ConvShape& s, const BlockedKernels& kernels) {
  return blocked_ceil(s.out_channels / s.groups, kernels.block) * kernels.block * (s.in_channels / s.groups) *
         blocked_volume(s.filter);
}
size_t packed_size(const ConvShape& s, bool, const BlockedKernels& kernels) {
  return static_cast<size_t>(s.groups * group_items(s, kernels));
}

void pack(const ConvShape& s, bool x_is_plain, const float* weights, float* packed,
          const BlockedKernels& kernels) {
  const int64_t channels = s.in_channels / s.groups, outputs = s.out_channels / s.groups;
  const int64_t taps = blocked_volume(s.filter), run = x_is_plain ? 1 : kernels.block;
  for (int64_t g = 0; g < s.groups; ++g) {
    const float* from = weights + g * outputs * channels * taps;
    const int64_t blocks = blocked_ceil(outputs, kernels.block);
    for (int64_t first = 0; first < blocks; first += kPair) {
      const int64_t width = blocked_smaller(kPair, blocks - first) * kernels.block,
                    begin = first * kernels.block;
      for (int64_t c0 = 0; c0 < channels; c0 += run) {
        const int64_t stop = blocked_smaller(c0 + run, channels);
        for (int64_t t = 0; t < taps; ++t) {
          for (int64_t c = c0; c < stop; ++c) {
            for (int64_t o = begin; o < begin + width; ++o) {
              *packed++ = o < outputs ? from[(o * channels + c) * taps + t] : 0.0F;
            }
          }
        }
      }
    }
  }
}

}  // namespace

int64_t blocked_conv_pack_unit(const ConvShape& shape, BlockedMethod method, const BlockedKernels& kernels) {
  // Winograd's groups of output channels are as wide, and it takes a single group.
  return method != BlockedMethod::depthwise && shape.groups == 1 ? kPair * kernels.block : 0;
}

namespace {

// Whether the columns [first, first + count) reach beyond the input.
bool is_outside(const ConvShape& s, int64_t first, int64_t count) {
  return first < 0 || first + count > s.in[2];
}

// Whether the input of a band is copied tile by tile first: without that, a tile reads a few cache lines from
// each block of channels, each of them from a page of its own, and no prefetcher sees a stream. The copy pays
// when many results share it.
bool stages_tiles(const ConvShape& s, bool x_is_plain, const BlockedKernels& kernels) {
  if (x_is_plain || !all_are(s.filter, 1) || is_outside(s, -s.pad_before[2], reach(s, 2, s.out[2])))
    return false;
  if (!all_are(s.pad_before, 0) || blocked_volume(s.out) <= 2 * kernels.tile_positions) return false;
  const int64_t plane_bytes = blocked_volume(s.in) * kernels.block * 4;
  return s.in_channels / s.groups >= kStagedChannels &&
         (s.out_channels / s.groups >= kStagedChannels || plane_bytes >= kStagedPlane);
}
// Tiles of a band of `positions`, and where the position `first` of tile `tile` lies.
struct Tiles {
  int64_t count, least, wider;  // the first `wider` have one position more than `least`
  int64_t first(int64_t tile) const { return tile * least + blocked_smaller(tile, wider); }
};
Tiles tiles_of(int64_t positions, const BlockedKernels& kernels) {
  const int64_t count = blocked_ceil(positions, kernels.tile_positions);
  return {count, positions / count, positions % count};
}
// x: the first position of the band in the first of `blocks` blocks, each `plane` items behind the one
// before; lines of `columns` positions, one every `x_line` items, columns every `x_column`.
struct StagedBand {
  const float* x;
  int64_t blocks, plane, lines, columns, x_line, x_column;
};
// to: [tiles][blocks][tile_positions][block]
void stage_tiles(const StagedBand& b, const BlockedKernels& kernels, float* to) {
  const int64_t block = kernels.block, unit = kernels.tile_positions * block;
  const Tiles tiles = tiles_of(b.lines * b.columns, kernels);
  for (int64_t o = 0; o < b.blocks; ++o) {
    const float* from = b.x + o * b.plane;
    int64_t line = 0, column = 0;
    for (int64_t tile = 0; tile < tiles.count; ++tile) {
      float* at = to + (tile * b.blocks + o) * unit;
      int64_t left = tiles.first(tile + 1) - tiles.first(tile);
      while (left > 0) {
        const int64_t count = blocked_smaller(left, b.columns - column);
        const float* run = from + line * b.x_line + column * b.x_column;
        if (b.x_column == block) {
          std::memcpy(at, run, static_cast<size_t>(count * block) * sizeof(float));
        } else {
          for (int64_t i = 0; i < count; ++i)
            std::memcpy(at + i * block, run + i * b.x_column, static_cast<size_t>(block) * sizeof(float));
        }
        at += count * block;
        left -= count;
        column += count;
        if (column == b.columns) column = 0, ++line;
      }
    }
  }
}

size_t workspace_size(const ConvShape& shape, bool x_is_plain, const BlockedKernels& kernels) {
  const ConvShape s = flattened(shape);
  if (stages_tiles(s, x_is_plain, kernels)) {
    const Cut c = cut_of(s, kernels);
    const int64_t blocks = blocked_ceil(s.in_channels / s.groups, kernels.block);
    const int64_t floats =
        tiles_of(c.lines * c.columns, kernels).count * blocks * kernels.tile_positions * kernels.block;
    return static_cast<size_t>(blocked_ceil(floats, 16) * 16) * sizeof(float);
  }
  if (!is_outside(s, -s.pad_before[2], reach(s, 2, s.out[2]))) return 0;
  const Cut c = cut_of(s, kernels);
  const int64_t channels = s.in_channels / s.groups;
  const int64_t items = x_is_plain ? channels : blocked_ceil(channels, kernels.block) * kernels.block;
  const int64_t rows = blocked_smaller(s.in[1], reach(s, 1, c.lines));
  const int64_t floats = items * blocked_smaller(s.in[0], s.filter[0]) * rows * reach(s, 2, c.columns);
  return static_cast<size_t>(blocked_ceil(floats, 16) * 16) * sizeof(float);
}

int64_t tasks(const ConvShape& shape, const BlockedKernels& kernels) {
  const ConvShape s = flattened(shape);
  const Cut c = cut_of(s, kernels);
  return s.batch * s.out[0] * c.line_bands * c.column_bands * s.groups * c.windows;
}

void run(const BlockedConvArgs& args, int64_t task_begin, int64_t task_end, void* workspace,
         const BlockedKernels& kernels) {
  const ConvShape s = flattened(args.shape);
  const Cut c = cut_of(s, kernels);
  const int64_t block = kernels.block, channels = s.in_channels / s.groups;
  const int64_t lanes = args.x_is_plain ? 1 : block;  // items of a position that lie together
  const int64_t in_blocks = blocked_ceil(channels, lanes);
  const int64_t in_plane = blocked_volume(s.in) * lanes, out_plane = blocked_volume(s.out) * block;
  const bool fused = args.x_is_plain && s.dilation[2] == 1;  // runs of whole filter rows
  float* staged = static_cast<float*>(workspace);
  Epilogue epilogue = args.epilogue;
  BlockedDirect d;
  d.epilogue = blocked_has_epilogue(epilogue) ? &epilogue : nullptr;
  d.outer = in_blocks;
  d.run = fused ? s.filter[2] : lanes;
  d.last_run = fused ? s.filter[2] : channels - (in_blocks - 1) * lanes;
  d.taps[0] = s.filter[0], d.taps[1] = s.filter[1], d.taps[2] = fused ? 1 : s.filter[2];
  d.x_column = s.stride[2] * lanes;
  d.x_tap[2] = s.dilation[2] * lanes;
  d.row_stride = s.stride[1], d.row_dilation = s.dilation[1], d.height = s.in[1];
  d.y_line = s.out[2] * block;
  d.y_block = out_plane;
  const bool stages = stages_tiles(s, args.x_is_plain, kernels);
  int64_t held = -1;  // the band whose input is staged
  for (int64_t task = task_begin; task < task_end; ++task) {
    const int64_t window = task % c.windows, band = task / c.windows;
    int64_t rest = band;
    const int64_t group = rest % s.groups;
    rest /= s.groups;
    const int64_t column = rest % c.column_bands * c.columns;
    rest /= c.column_bands;
    const int64_t line = rest % c.line_bands * c.lines;
    rest /= c.line_bands;
    const int64_t depth = rest % s.out[0], batch = rest / s.out[0];
    d.lines = blocked_smaller(c.lines, s.out[1] - line);
    d.columns = blocked_smaller(c.columns, s.out[2] - column);
    d.blocks = blocked_smaller(c.window, c.blocks - window * c.window);

    const int64_t first_depth = depth * s.stride[0] - s.pad_before[0];
    const int64_t first_column = column * s.stride[2] - s.pad_before[2], width = reach(s, 2, d.columns);
    d.first_row = line * s.stride[1] - s.pad_before[1];
    d.depth_begin = 0, d.depth_end = s.filter[0];
    while (d.depth_begin < d.depth_end && first_depth + d.depth_begin * s.dilation[0] < 0) ++d.depth_begin;
    while (d.depth_end > d.depth_begin && first_depth + (d.depth_end - 1) * s.dilation[0] >= s.in[0])
      --d.depth_end;
    const float* x = args.x + (batch * s.groups + group) * in_blocks * in_plane;
    d.x_tile = 0;
    if (stages) {
      const int64_t x_line = s.stride[1] * s.in[2] * lanes;
      if (held != band) {
        const int64_t at = (first_depth * s.in[1] + d.first_row) * s.in[2] + first_column;
        stage_tiles({x + at * lanes, in_blocks, in_plane, d.lines, d.columns, x_line, s.stride[2] * lanes},
                    kernels, staged);
        held = band;
      }
      d.columns *= d.lines, d.lines = 1, d.first_row = 0;
      d.x_column = lanes;
      d.x_outer = kernels.tile_positions * lanes;
      d.x_tile = in_blocks * d.x_outer;
      d.x_line = d.x_tap[0] = d.x_tap[1] = 0;
      d.x = staged;
    } else if (is_outside(s, first_column, width)) {
      const int64_t row_begin = blocked_larger(0, d.first_row);
      const int64_t row_end = blocked_smaller(s.in[1], d.first_row + reach(s, 1, d.lines));
      const int64_t rows = blocked_larger(0, row_end - row_begin), depths = d.depth_end - d.depth_begin;
      const int64_t row_items = width * lanes;
      if (held != band) {
        const int64_t left = blocked_smaller(width, blocked_larger(0, -first_column));
        const int64_t end = blocked_larger(left, blocked_smaller(width, s.in[2] - first_column));
        float* to = staged;
        for (int64_t o = 0; o < in_blocks; ++o) {
          for (int64_t kd = d.depth_begin; kd < d.depth_end; ++kd) {
            const int64_t z = first_depth + kd * s.dilation[0];
            for (int64_t r = row_begin; r < row_end; ++r, to += row_items) {
              const int64_t at = (z * s.in[1] + r) * s.in[2] + first_column + left;
              std::memset(to, 0, static_cast<size_t>(left * lanes) * sizeof(float));
              if (end > left) {
                std::memcpy(to + left * lanes, x + o * in_plane + at * lanes,
                            static_cast<size_t>((end - left) * lanes) * sizeof(float));
              }
              std::memset(to + end * lanes, 0, static_cast<size_t>((width - end) * lanes) * sizeof(float));
            }
          }
        }
        held = band;
      }
      d.x_line = s.stride[1] * row_items;
      d.x_tap[1] = s.dilation[1] * row_items;
      d.x_tap[0] = rows * row_items;
      d.x_outer = depths * rows * row_items;
      d.x = staged + (d.first_row - row_begin) * row_items - d.depth_begin * d.x_tap[0];
    } else {
      const int64_t row_items = s.in[2] * lanes;
      d.x_line = s.stride[1] * row_items;
      d.x_tap[1] = s.dilation[1] * row_items;
      d.x_tap[0] = s.dilation[0] * s.in[1] * row_items;
      d.x_outer = in_plane;
      d.x = x + ((first_depth * s.in[1] + d.first_row) * s.in[2] + first_column) * lanes;
    }
    const int64_t first_block = group * c.blocks + window * c.window;
    d.w = args.packed_weights + group * group_items(s, kernels) +
          window * c.window * block * channels * blocked_volume(s.filter);
    const int64_t out_blocks = blocked_ceil(s.out_channels, block);
    const int64_t y = (batch * out_blocks + first_block) * out_plane +
                      ((depth * s.out[1] + line) * s.out[2] + column) * block;
    d.y = args.y + y;
    if (args.epilogue.bias != nullptr) epilogue.bias = args.epilogue.bias + first_block * block;
    if (args.epilogue.residual != nullptr) epilogue.residual = args.epilogue.residual + y;
    kernels.direct(d);
  }
}

}  // namespace

const BlockedMethodRow kBlockedDirect = {takes, packed_size, pack, workspace_size, tasks, run};

}  // namespace nnefrun::kernels
