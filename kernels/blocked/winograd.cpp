#include "kernels/blocked/rows.h"

namespace nnefrun::kernels {

namespace {

constexpr int64_t kVectors = 2;  // of a group of output channels

// Everything that follows from the shape. Tiles are numbered through all images; a band is a run of them; a
// task is a group of output channels of a band, and those of one band follow each other.
struct Cut {
  int64_t out;   // outputs of a tile along an axis
  int64_t axes;  // 1: the width alone
  int64_t taps;
  int64_t tile_rows, tile_columns, image_tiles;
  int64_t tiles, band;  // in all, in a band
  int64_t bands, groups;
  int64_t in_blocks, out_blocks;
  int64_t channels;        // in, rounded up to lane groups
  int64_t u_block, u_tap;  // items
  int64_t m_tap;
};

int64_t axes_of(const ConvShape& s) { return s.filter[1] == 3 ? 2 : 1; }

Cut cut_of(const ConvShape& s, BlockedMethod method, const BlockedKernels& k) {
  Cut c;
  c.out = method == BlockedMethod::winograd_2 ? 2 : 4;
  c.axes = axes_of(s);
  c.taps = c.axes == 2 ? (c.out + 2) * (c.out + 2) : c.out + 2;
  c.tile_rows = c.axes == 2 ? blocked_ceil(s.out[1], c.out) : s.out[1];
  c.tile_columns = blocked_ceil(s.out[2], c.out);
  c.image_tiles = c.tile_rows * c.tile_columns;
  c.tiles = s.batch * c.image_tiles;
  c.in_blocks = blocked_ceil(s.in_channels, k.block);
  c.out_blocks = blocked_ceil(s.out_channels, k.block);
  c.groups = blocked_ceil(c.out_blocks, kVectors);
  c.channels = blocked_ceil(s.in_channels, k.winograd.lane_group) * k.winograd.lane_group;
  const int64_t tile_bytes =
      c.taps * (c.in_blocks + kVectors) * k.block * static_cast<int64_t>(sizeof(float));
  int64_t most = k.winograd.cache / tile_bytes;
  if (most < k.winograd.rows) most = k.winograd.rows;
  c.bands = blocked_ceil(c.tiles, most);
  c.band = c.bands == 0 ? 0 : blocked_ceil(c.tiles, c.bands);
  // An odd number of lines from tap to tap: a tile's taps then lie in different sets of the first cache.
  const int64_t line = 16;
  c.u_block = c.band * k.block;
  c.u_tap = (blocked_ceil(c.in_blocks * c.u_block, line) | 1) * line;
  c.m_tap = (blocked_ceil(kVectors * c.u_block, line) | 1) * line;
  return c;
}

// G of the two methods, in rows of 3; the factors that B and A leave out are all here, in f64.
constexpr double kG2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
// Row of point p: (1, p, p^2) / product of (p - q) over the other points q.
constexpr double kG4[6][3] = {{1, 0, 0},
                              {1.0 / 3, 1.0 / 3, 1.0 / 3},
                              {-1.0 / 3, 1.0 / 3, -1.0 / 3},
                              {-16.0 / 15, -8.0 / 15, -4.0 / 15},
                              {1.0 / 15, -2.0 / 15, 4.0 / 15},
                              {0, 0, 1}};

// The runs of a band: tiles of one image each.
template <class Body>
void for_each_run(const Cut& c, int64_t first, int64_t tiles, Body body) {
  for (int64_t done = 0; done < tiles;) {
    const int64_t image = (first + done) / c.image_tiles, at = (first + done) % c.image_tiles;
    WinogradRun run;
    run.tiles = blocked_smaller(tiles - done, c.image_tiles - at);
    run.tile_row = at / c.tile_columns;
    run.tile_column = at % c.tile_columns;
    run.tile_columns = c.tile_columns;
    body(image, done, run);
    done += run.tiles;
  }
}

bool takes(const ConvShape& s, bool x_is_plain, const BlockedKernels&) {
  const bool plane = s.filter[1] == 3;
  const bool line = s.filter[1] == 1 && s.in[1] == 1 && s.out[1] == 1 && s.pad_before[1] == 0;
  return !x_is_plain && s.groups == 1 && s.filter[2] == 3 && (plane || line) && s.stride[1] == 1 &&
         s.stride[2] == 1 && s.dilation[1] == 1 && s.dilation[2] == 1 && s.filter[0] == 1 && s.in[0] == 1 &&
         s.out[0] == 1 && s.pad_before[0] == 0;
}

template <BlockedMethod kMethod>
size_t packed_size(const ConvShape& s, bool, const BlockedKernels& k) {
  const Cut c = cut_of(s, kMethod, k);
  return static_cast<size_t>(c.out_blocks * k.block * c.taps * c.channels);
}

// The lanes of a group side by side, so that the compiler finds vectors.
template <BlockedMethod kMethod>
void pack(const ConvShape& s, bool, const float* weights, float* packed, const BlockedKernels& k) {
  constexpr int64_t kMost = kVectors * 16;  // lanes
  constexpr int kSide = kMethod == BlockedMethod::winograd_2 ? 4 : 6;
  const Cut c = cut_of(s, kMethod, k);
  const int filter_rows = c.axes == 2 ? 3 : 1, tap_rows = c.axes == 2 ? kSide : 1;
  const double(*g)[3] = kMethod == BlockedMethod::winograd_2 ? kG2 : kG4;
  float w[9][kMost];
  double rows[3][kSide][kMost];  // each row of the filters, transformed
  for (int64_t block = 0; block < c.out_blocks; block += kVectors) {
    const int64_t width = blocked_smaller(kVectors, c.out_blocks - block) * k.block;
    const int64_t step = c.channels * width;  // from tap to tap
    for (int64_t i = 0; i < c.channels; ++i) {
      for (int64_t lane = 0; lane < width; ++lane) {
        const int64_t o = block * k.block + lane;
        const bool is_there = i < s.in_channels && o < s.out_channels;
        const float* from = weights + (o * s.in_channels + i) * filter_rows * 3;
        for (int t = 0; t < filter_rows * 3; ++t) w[t][lane] = is_there ? from[t] : 0.0F;
      }
      for (int r = 0; r < filter_rows; ++r) {
        for (int t = 0; t < kSide; ++t) {
          const double a = g[t][0], b = g[t][1], d = g[t][2];
          for (int64_t lane = 0; lane < width; ++lane) {
            rows[r][t][lane] = a * static_cast<double>(w[r * 3][lane]) +
                               b * static_cast<double>(w[r * 3 + 1][lane]) +
                               d * static_cast<double>(w[r * 3 + 2][lane]);
          }
        }
      }
      for (int r = 0; r < tap_rows; ++r) {
        const double a = g[r][0], b = g[r][1], d = g[r][2];
        for (int t = 0; t < kSide; ++t) {
          float* to = packed + (r * kSide + t) * step + i * width;
          for (int64_t lane = 0; lane < width; ++lane) {
            const double value = filter_rows == 1
                                     ? rows[0][t][lane]
                                     : a * rows[0][t][lane] + b * rows[1][t][lane] + d * rows[2][t][lane];
            to[lane] = static_cast<float>(value);
          }
        }
      }
    }
    packed += c.taps * step;
  }
}

template <BlockedMethod kMethod>
size_t workspace_size(const ConvShape& s, bool, const BlockedKernels& k) {
  const Cut c = cut_of(s, kMethod, k);
  return static_cast<size_t>(c.taps * (c.u_tap + c.m_tap)) * sizeof(float);
}

template <BlockedMethod kMethod>
int64_t tasks(const ConvShape& s, const BlockedKernels& k) {
  const Cut c = cut_of(s, kMethod, k);
  return c.bands * c.groups;
}

void run(const BlockedConvArgs& args, int64_t task_begin, int64_t task_end, void* workspace,
         const BlockedKernels& kernels) {
  const ConvShape& s = args.shape;
  const Cut c = cut_of(s, args.method, kernels);
  const int64_t lanes = kernels.block;
  const int form = c.out == 2 ? 0 : 1, axes = static_cast<int>(c.axes) - 1;
  float* u = static_cast<float*>(workspace);
  float* m = u + c.taps * c.u_tap;
  const int64_t in_plane = s.in[1] * s.in[2] * lanes, out_plane = s.out[1] * s.out[2] * lanes;
  int64_t held = -1;  // the band in u
  for (int64_t task = task_begin; task < task_end; ++task) {
    const int64_t band = task / c.groups, group = task % c.groups;
    const int64_t first = band * c.band, tiles = blocked_smaller(c.band, c.tiles - first);
    if (band != held) {
      held = band;
      for_each_run(c, first, tiles, [&](int64_t image, int64_t done, const WinogradRun& run) {
        WinogradInput in;
        in.run = run;
        in.height = s.in[1], in.width = s.in[2];
        in.pad_row = s.pad_before[1], in.pad_column = s.pad_before[2];
        in.u_tap = c.u_tap;
        for (int64_t block = 0; block < c.in_blocks; ++block) {
          in.x = args.x + (image * c.in_blocks + block) * in_plane;
          in.lanes = blocked_smaller(lanes, s.in_channels - block * lanes);
          in.u = u + block * c.u_block + done * lanes;
          kernels.winograd.input[form][axes](in);
        }
      });
    }
    WinogradProduct p;
    p.u = u;
    p.u_tap = c.u_tap, p.u_block = c.u_block;
    p.vectors = blocked_smaller(kVectors, c.out_blocks - group * kVectors);
    p.w = args.packed_weights + group * kVectors * lanes * c.taps * c.channels;
    p.channels = c.channels;
    p.taps = c.taps, p.tiles = tiles;
    p.m = m, p.m_tap = c.m_tap;
    kernels.winograd.product(p);
    for_each_run(c, first, tiles, [&](int64_t image, int64_t done, const WinogradRun& run) {
      WinogradOutput o;
      o.run = run;
      o.m_tap = c.m_tap, o.m_tile = p.vectors * lanes;
      o.height = s.out[1], o.width = s.out[2];
      o.epilogue = &args.epilogue;
      for (int64_t v = 0; v < p.vectors; ++v) {
        const int64_t block = group * kVectors + v, plane = (image * c.out_blocks + block) * out_plane;
        o.m = m + done * o.m_tile + v * lanes;
        o.y = args.y + plane;
        o.residual = args.epilogue.residual == nullptr ? nullptr : args.epilogue.residual + plane;
        o.bias = args.epilogue.bias_axis == BiasAxis::row ? args.epilogue.bias + block * lanes : nullptr;
        kernels.winograd.output[form][axes](o);
      }
    });
  }
}

}  // namespace

constexpr BlockedMethod kTwo = BlockedMethod::winograd_2, kFour = BlockedMethod::winograd_4;
const BlockedMethodRow kBlockedWinograd2 = {
    takes, packed_size<kTwo>, pack<kTwo>, workspace_size<kTwo>, tasks<kTwo>, run,
};
const BlockedMethodRow kBlockedWinograd4 = {
    takes, packed_size<kFour>, pack<kFour>, workspace_size<kFour>, tasks<kFour>, run,
};

// Estimates in the time of one multiplication of vectors; the factors were measured on Zen 4, where the
// transforms of a tile take 240 such times for each block of channels (F(2,3): 72; one axis: 32 and 22), and
// where the filter arrives at 8 bytes in one. Sapphire Rapids, and what follows it, multiplies twice in a
// cycle and has a slower third cache: 2.5 bytes. Such a machine is known by its AMX.
BlockedMethod choose_winograd(const ConvShape& s, const BlockedKernels& k) {
  const double bytes = supports(detected_isa(), kFeatureAmxInt8) ? 2.5 : 8;
  const Cut two = cut_of(s, kTwo, k), four = cut_of(s, kFour, k);
  const auto product = [&](int64_t taps, int64_t places) {
    const double filter = static_cast<double>(taps * s.in_channels * two.out_blocks);
    const double multiplications = filter * static_cast<double>(places);
    const double arrival = filter * static_cast<double>(k.block) * sizeof(float) / bytes;
    return multiplications > arrival ? multiplications : arrival;
  };
  const auto winograd = [&](const Cut& c, double transform) {
    const int64_t blocks = c.in_blocks + c.out_blocks;
    return product(c.taps, c.tiles) + transform * static_cast<double>(c.tiles * blocks);
  };
  const double by_two = winograd(two, two.axes == 2 ? 72 : 22);
  const double by_four = winograd(four, four.axes == 2 ? 240 : 32);
  const double direct = product(s.filter[1] * s.filter[2], s.batch * blocked_volume(s.out));
  // exactness decides when it is close
  const bool use_four = by_four < 0.9 * by_two;
  if ((use_four ? by_four : by_two) > 0.9 * direct) return BlockedMethod::direct;
  return use_four ? kFour : kTwo;
}

}  // namespace nnefrun::kernels
