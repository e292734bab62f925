#include "kernels/conv/deconv.h"

#include <algorithm>

#include "tests/kernels/kernel_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

constexpr double kSumBudget = 4 * 0x1p-24;  // see matmul_test.cpp

int64_t volume(const int64_t (&v)[3]) { return v[0] * v[1] * v[2]; }
void position(int64_t flat, const int64_t (&dims)[3], int64_t (&at)[3]) {
  at[0] = flat / (dims[1] * dims[2]);
  at[1] = flat / dims[2] % dims[1];
  at[2] = flat % dims[2];
}

// One image, every group and window of channels, against the definition in double.
void check(const MatmulKernel& kernel, const ConvShape& s, Random& random) {
  INFO(kernel.name << " channels " << s.in_channels << " -> " << s.out_channels << " groups " << s.groups
                   << " in " << s.in[0] << "x" << s.in[1] << "x" << s.in[2] << " out " << s.out[0] << "x"
                   << s.out[1] << "x" << s.out[2] << " filter " << s.filter[0] << "x" << s.filter[1] << "x"
                   << s.filter[2] << " stride " << s.stride[1] << "," << s.stride[2] << " dilation "
                   << s.dilation[2] << " pad " << s.pad_before[1] << "," << s.pad_before[2]);
  const int64_t in_channels = s.in_channels / s.groups, channels = s.out_channels / s.groups;
  const int64_t taps = volume(s.filter), in_cells = volume(s.in), out_cells = volume(s.out);
  const std::vector<float> x = random.floats(static_cast<size_t>(s.in_channels * in_cells));
  const std::vector<float> w = random.floats(static_cast<size_t>(s.in_channels * channels * taps));
  const std::vector<float> bias = random.floats(static_cast<size_t>(s.out_channels));
  Guarded<float> y(static_cast<size_t>(s.out_channels * out_cells));
  Guarded<float> packed(packed_deconv_weights_size(s, kernel));
  Guarded<char> workspace(deconv_workspace_size(s, kernel));
  pack_deconv_weights(s, w.data(), packed.data(), kernel);
  DeconvArgs args;
  args.shape = s;
  args.x = x.data();
  args.packed_weights = packed.data();
  args.bias = bias.data();
  args.y = y.data();
  const int64_t window = deconv_channel_window(s, kernel);
  for (args.group = 0; args.group < s.groups; ++args.group) {
    for (int64_t begin = 0; begin < channels; begin += window) {
      args.channel_begin = begin;
      args.channel_end = std::min(channels, begin + window);
      deconv_f32(args, workspace.data(), kernel);
    }
  }
  REQUIRE(y.intact());
  REQUIRE(packed.intact());
  REQUIRE(workspace.intact());
  std::vector<double> expected(y.size()), magnitude(y.size());
  for (int64_t o = 0; o < s.out_channels; ++o) {
    const int64_t group = o / channels;
    for (int64_t i = 0; i < out_cells; ++i)
      expected[static_cast<size_t>(o * out_cells + i)] = bias[static_cast<size_t>(o)];
    for (int64_t c = group * in_channels; c < (group + 1) * in_channels; ++c) {
      for (int64_t cell = 0; cell < in_cells; ++cell) {
        for (int64_t tap = 0; tap < taps; ++tap) {
          int64_t at[3], t[3], p[3];
          position(cell, s.in, at);
          position(tap, s.filter, t);
          bool inside = true;
          for (int axis = 0; axis < 3; ++axis) {
            p[axis] = at[axis] * s.stride[axis] + t[axis] * s.dilation[axis] - s.pad_before[axis];
            inside = inside && p[axis] >= 0 && p[axis] < s.out[axis];
          }
          if (!inside) continue;
          const double product = static_cast<double>(x[static_cast<size_t>(c * in_cells + cell)]) *
                                 w[static_cast<size_t>((c * channels + o % channels) * taps + tap)];
          const auto index = static_cast<size_t>(o * out_cells + (p[0] * s.out[1] + p[1]) * s.out[2] + p[2]);
          expected[index] += product;
          magnitude[index] += std::fabs(product);
        }
      }
    }
  }
  double worst = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const double allowed = kSumBudget * (magnitude[i] + 1);
    worst = std::max(worst, std::fabs(static_cast<double>(y[i]) - expected[i]) / allowed);
  }
  REQUIRE(worst <= 1);
}

// `out` as the mirror image of a convolution with this padding on both sides.
void set_out(ConvShape& s) {
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t full =
        s.in[axis] == 0 ? 0 : (s.in[axis] - 1) * s.stride[axis] + (s.filter[axis] - 1) * s.dilation[axis] + 1;
    s.out[axis] = std::max<int64_t>(0, full - 2 * s.pad_before[axis]);
  }
}

}  // namespace

TEST_CASE("transposed convolution agrees with its definition", "[kernels][conv]") {
  int count = 0;
  const MatmulKernel* const* rows = matmul_f32_rows(&count);
  for_each_row("deconv", rows, count, [](const MatmulKernel& kernel) {
    Random random(57);
    for (const int64_t stride : {1, 2, 3}) {
      for (const int64_t pad : {-1, 0, 1, 3}) {
        ConvShape s;
        s.in_channels = 5, s.out_channels = 7;
        s.in[1] = 6, s.in[2] = 9;
        for (int axis = 1; axis < 3; ++axis)
          s.filter[axis] = 4, s.stride[axis] = stride, s.pad_before[axis] = pad;
        set_out(s);
        check(kernel, s, random);
        s.groups = 3, s.in_channels = 6, s.out_channels = 9, s.dilation[2] = 2;
        set_out(s);
        check(kernel, s, random);
      }
    }
    ConvShape line;  // one axis, one filter for each channel, several windows of channels
    line.in_channels = line.out_channels = line.groups = 4;
    line.in[2] = 33, line.filter[2] = 5, line.stride[2] = 4;
    set_out(line);
    check(kernel, line, random);
    line.groups = 1, line.out_channels = 150, line.filter[2] = 3;
    set_out(line);
    check(kernel, line, random);
    ConvShape cube;
    cube.in_channels = 3, cube.out_channels = 2;
    cube.in[0] = 2, cube.in[1] = 3, cube.in[2] = 4, cube.filter[0] = 2, cube.filter[1] = 1,
    cube.filter[2] = 3;
    cube.stride[0] = 2, cube.stride[1] = 3;
    set_out(cube);
    check(kernel, cube, random);
    ConvShape large;  // more cells than a block has
    large.in_channels = 2, large.out_channels = 3;
    large.in[1] = 61, large.in[2] = 67, large.filter[1] = large.filter[2] = 7, large.stride[1] = 2;
    set_out(large);
    check(kernel, large, random);
    large.in[1] = 0;
    set_out(large);
    check(kernel, large, random);
  });
}
