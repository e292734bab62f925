#include "kernels/conv/deconv.h"

#include <cassert>

#include "kernels/matmul/matmul.h"

namespace nnefrun::kernels {
namespace {

// Floats of a block's product.
constexpr int64_t kBlockItems = int64_t{1} << 17;
constexpr int64_t kLine = 16;  // floats: what begins aligned

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
int64_t common_divisor(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}
int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0 ? 1 : 0); }

struct Sizes {
  int64_t taps, in_cells, out_cells, out_channels, in_channels, rows;  // channels of a group
  explicit Sizes(const ConvShape& s)
      : taps(s.filter[0] * s.filter[1] * s.filter[2]),
        in_cells(s.in[0] * s.in[1] * s.in[2]),
        out_cells(s.out[0] * s.out[1] * s.out[2]),
        out_channels(s.out_channels / s.groups),
        in_channels(s.in_channels / s.groups),
        rows(out_channels * taps) {}
};

int64_t group_size(const Sizes& z, const MatmulKernel& kernel) {
  return round_up(static_cast<int64_t>(packed_a_size(z.rows, z.in_channels, kernel)), kLine);
}

// Input cells of a block.
int64_t block_cells(const ConvShape& s, const Sizes& z, const MatmulKernel& kernel) {
  const int64_t rows = smaller(deconv_channel_window(s, kernel), z.out_channels) * z.taps;
  const int64_t cells = round_up(larger(1, kBlockItems / larger(1, rows)), kernel.nr);
  return smaller(cells, larger(1, z.in_cells));
}

// Adds `count` products of one tap, for neighbouring cells of an input row from column `column` on, to a row
// of the result.
void add_run(const ConvShape& s, const float* from, int64_t column, int64_t count, int64_t tap, float* row) {
  const int64_t stride = s.stride[2];
  const int64_t offset = tap * s.dilation[2] - s.pad_before[2] + column * stride;
  const int64_t begin = offset < 0 ? ceil_div(-offset, stride) : 0;
  const int64_t end = smaller(count, offset < s.out[2] ? ceil_div(s.out[2] - offset, stride) : 0);
  float* to = row + offset;
  if (stride == 1) {
    for (int64_t i = begin; i < end; ++i) to[i] += from[i];
  } else if (stride == 2) {
    for (int64_t i = begin; i < end; ++i) to[2 * i] += from[i];
  } else {
    for (int64_t i = begin; i < end; ++i) to[i * stride] += from[i];
  }
}

// The products [channels * taps, cells] of the cells [first, first + cells), into the planes of the channels.
void spread(const ConvShape& s, const Sizes& z, const float* products, int64_t first, int64_t cells,
            int64_t channels, float* planes) {
  for (int64_t channel = 0; channel < channels; ++channel) {
    float* plane = planes + channel * z.out_cells;
    for (int64_t tap = 0; tap < z.taps; ++tap, products += cells) {
      const int64_t tap_d = tap / s.filter[2] / s.filter[1], tap_h = tap / s.filter[2] % s.filter[1];
      for (int64_t cell = first; cell < first + cells;) {
        const int64_t column = cell % s.in[2], line = cell / s.in[2];
        const int64_t count = smaller(s.in[2] - column, first + cells - cell);
        const int64_t d = line / s.in[1] * s.stride[0] + tap_d * s.dilation[0] - s.pad_before[0];
        const int64_t h = line % s.in[1] * s.stride[1] + tap_h * s.dilation[1] - s.pad_before[1];
        if (d >= 0 && d < s.out[0] && h >= 0 && h < s.out[1]) {
          add_run(s, products + (cell - first), column, count, tap % s.filter[2],
                  plane + (d * s.out[1] + h) * s.out[2]);
        }
        cell += count;
      }
    }
  }
}

}  // namespace

size_t packed_deconv_weights_size(const ConvShape& shape, const MatmulKernel& kernel) {
  return static_cast<size_t>(shape.groups * group_size(Sizes(shape), kernel));
}

void pack_deconv_weights(const ConvShape& shape, const float* weights, float* packed,
                         const MatmulKernel& kernel) {
  const Sizes z(shape);
  for (int64_t group = 0; group < shape.groups; ++group) {
    pack_a_f32(z.rows, z.in_channels, weights + group * z.in_channels * z.rows, 1, z.rows,
               packed + group * group_size(z, kernel), kernel);
  }
}

int64_t deconv_channel_window(const ConvShape& shape, const MatmulKernel& kernel) {
  // So many channels fill whole panels of rows.
  constexpr int64_t kWorthwhileRows = 64;
  const Sizes z(shape);
  const int64_t unit = kernel.mr / common_divisor(kernel.mr, larger(1, z.taps));
  return round_up(ceil_div(kWorthwhileRows, larger(1, z.taps)), unit);
}

size_t deconv_workspace_size(const ConvShape& shape, const MatmulKernel& kernel) {
  const Sizes z(shape);
  const int64_t rows = smaller(deconv_channel_window(shape, kernel), z.out_channels) * z.taps;
  const int64_t cells = block_cells(shape, z, kernel);
  return static_cast<size_t>(round_up(rows * cells, kLine)) * sizeof(float) +
         matmul_workspace_size(rows, cells, z.in_channels, true, false, kernel);
}

void deconv_f32(const DeconvArgs& args, void* workspace, const MatmulKernel& kernel) {
  const ConvShape& s = args.shape;
  const Sizes z(s);
  const int64_t channels = args.channel_end - args.channel_begin;
  assert(channels <= deconv_channel_window(s, kernel));
  const int64_t first_channel = args.group * z.out_channels + args.channel_begin;
  float* planes = args.y + first_channel * z.out_cells;
  for (int64_t channel = 0; channel < channels; ++channel) {
    const float bias = args.bias == nullptr ? 0.0F : args.bias[first_channel + channel];
    float* plane = planes + channel * z.out_cells;
    for (int64_t i = 0; i < z.out_cells; ++i) plane[i] = bias;
  }
  auto* products = static_cast<float*>(workspace);
  const int64_t rows = channels * z.taps, block = block_cells(s, z, kernel);
  const int64_t window = smaller(deconv_channel_window(s, kernel), z.out_channels) * z.taps;
  float* rest = products + round_up(window * block, kLine);
  for (int64_t first = 0; first < z.in_cells; first += block) {
    const int64_t cells = smaller(block, z.in_cells - first);
    MatmulArgs m;
    m.m = z.rows;
    m.n = cells;
    m.k = z.in_channels;
    m.packed_a = args.packed_weights + args.group * group_size(z, kernel);
    m.b = args.x + args.group * z.in_channels * z.in_cells + first;
    m.b_row_stride = z.in_cells;
    m.row_begin = args.channel_begin * z.taps;
    m.row_end = m.row_begin + rows;
    // The window's first row is the first of the block.
    m.c = products - m.row_begin * cells;
    m.c_row_stride = cells;
    matmul_f32(m, rest, kernel);
    spread(s, z, products, first, cells, channels, planes);
  }
}

}  // namespace nnefrun::kernels
