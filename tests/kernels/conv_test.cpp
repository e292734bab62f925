#include "kernels/conv/conv.h"

#include "kernels/conv/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

// See matmul_test.cpp.
constexpr double kSumBudget = 4 * 0x1p-24;
constexpr double kActivationBudget = 8 * 0x1p-24;

int64_t volume(const int64_t (&v)[3]) { return v[0] * v[1] * v[2]; }

// Sets `out` as a convolution with this padding behind would.
void set_out(ConvShape& s, const int64_t (&pad_after)[3]) {
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t reach = (s.filter[axis] - 1) * s.dilation[axis] + 1;
    const int64_t room = s.in[axis] + s.pad_before[axis] + pad_after[axis] - reach;
    s.out[axis] = room < 0 ? 0 : room / s.stride[axis] + 1;
  }
}

void check(const MatmulKernel& kernel, const ConvShape& s, int style, Random& random) {
  INFO(kernel.name << " batch " << s.batch << " channels " << s.in_channels << " -> " << s.out_channels
                   << " groups " << s.groups << " in " << s.in[0] << "x" << s.in[1] << "x" << s.in[2]
                   << " out " << s.out[0] << "x" << s.out[1] << "x" << s.out[2] << " filter " << s.filter[0]
                   << "x" << s.filter[1] << "x" << s.filter[2] << " stride " << s.stride[1] << ","
                   << s.stride[2] << " dilation " << s.dilation[1] << "," << s.dilation[2] << " pad "
                   << s.pad_before[1] << "," << s.pad_before[2] << " style " << style);
  const size_t weight_count =
      static_cast<size_t>(s.out_channels * s.in_channels / s.groups * volume(s.filter));
  const size_t y_count = static_cast<size_t>(s.batch * s.out_channels * volume(s.out));
  // exactly sized, so that a sanitizer sees a read beyond the input
  const std::vector<float> x = random.floats(static_cast<size_t>(s.batch * s.in_channels * volume(s.in)));
  const std::vector<float> weights = random.floats(weight_count);
  const std::vector<float> bias = random.floats(static_cast<size_t>(s.out_channels)),
                           residual = random.floats(y_count);
  Guarded<float> y(random.floats(y_count));
  ConvArgs args;
  args.shape = s;
  args.x = x.data();
  args.y = y.data();
  if (style != 0) args.epilogue.bias_axis = BiasAxis::row, args.epilogue.bias = bias.data();
  if (style == 1) args.epilogue.activation = Activation::relu;
  if (style == 2) args.epilogue.activation = Activation::silu, args.epilogue.residual = residual.data();
  if (style == 3) args.accumulate = true, args.epilogue.scale = 0.75F;
  std::vector<double> expected(y_count), magnitude(y_count);
  size_t index = 0;
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t o = 0; o < s.out_channels; ++o) {
      for (int64_t q = 0; q < volume(s.out); ++q, ++index) {
        const int64_t at[3] = {q / (s.out[1] * s.out[2]), q / s.out[2] % s.out[1], q % s.out[2]};
        expected[index] = conv_reference(args, weights.data(), b, o, at, &magnitude[index]);
      }
    }
  }
  Guarded<float> packed(packed_conv_weights_size(s, kernel));
  pack_conv_weights(s, weights.data(), packed.data(), kernel);
  Guarded<char> workspace(conv_workspace_size(s, kernel));
  args.packed_weights = packed.data();
  const int64_t granule = conv_channel_granule(s, kernel);
  if (style == 1 && s.out_channels > granule) {  // in two windows
    args.channel_end = granule;
    conv_f32(args, workspace.data(), kernel);
    args.channel_begin = granule, args.channel_end = -1;
  }
  conv_f32(args, workspace.data(), kernel);
  REQUIRE(y.intact());
  REQUIRE(packed.intact());
  REQUIRE(workspace.intact());
  double worst = 0;
  for (size_t i = 0; i < y_count; ++i) {
    const double allowed = kSumBudget * magnitude[i] + kActivationBudget * std::fabs(expected[i]) + 1e-30;
    const double error = std::fabs(y[i] - expected[i]) / allowed;
    if (!(error <= worst)) worst = error;
  }
  REQUIRE(worst <= 1);
}

template <class Body>
void for_each_matmul(Body body) {
  int count = 0;
  const MatmulKernel* const* rows = matmul_f32_rows(&count);
  for_each_row("conv_f32", rows, count, body);
}

ConvShape random_shape(Random& random, bool depthwise, int rank) {
  ConvShape s;
  s.batch = random.whole(1, 2);
  s.groups = depthwise ? random.whole(2, 5) : random.whole(1, 2);
  s.in_channels = s.groups * (depthwise ? 1 : random.whole(1, 7));
  s.out_channels = s.groups * random.whole(1, depthwise ? 2 : 15);
  int64_t pad_after[3] = {0, 0, 0};
  for (int axis = 3 - rank; axis < 3; ++axis) {
    const int64_t filters[] = {1, 2, 3, 3, 5, 5, 7};
    s.filter[axis] = filters[random.whole(0, rank == 3 ? 3 : 6)];
    s.stride[axis] = random.whole(1, 3);
    s.dilation[axis] = random.whole(0, 2) == 0 ? 2 : 1;
    s.in[axis] = random.whole(1, rank == 1 ? 200 : rank == 2 ? 40 : 9);
    s.pad_before[axis] = random.whole(-1, 3);
    pad_after[axis] = random.whole(-1, 3);
  }
  if (random.whole(0, 3) == 0) {  // the common case: one filter size, stride 1, same padding
    for (int axis = 3 - rank; axis < 3; ++axis) {
      s.filter[axis] = s.filter[2], s.stride[axis] = s.dilation[axis] = 1;
      s.pad_before[axis] = pad_after[axis] = s.filter[axis] / 2;
    }
  }
  set_out(s, pad_after);
  return s;
}

}  // namespace

TEST_CASE("convolutions of every rank agree with the reference", "[kernels][conv]") {
  for_each_matmul([](const MatmulKernel& kernel) {
    Random random(21);
    for (int round = 0; round < 240; ++round) {
      check(kernel, random_shape(random, false, 1 + round % 3), static_cast<int>(random.whole(0, 3)), random);
    }
  });
}

TEST_CASE("depthwise convolutions agree with the reference", "[kernels][conv]") {
  for_each_matmul([](const MatmulKernel& kernel) {
    Random random(22);
    for (int round = 0; round < 240; ++round) {
      const ConvShape s = random_shape(random, true, 1 + round % 3);
      REQUIRE(conv_is_depthwise(s));
      check(kernel, s, static_cast<int>(random.whole(0, 3)), random);
    }
  });
}

TEST_CASE("convolutions of the shapes that networks have", "[kernels][conv]") {
  for_each_matmul([](const MatmulKernel& kernel) {
    Random random(23);
    const auto shape = [](int64_t in, int64_t out, int64_t groups, int64_t size, int64_t filter,
                          int64_t stride, int64_t pad) {
      ConvShape s;
      s.in_channels = in, s.out_channels = out, s.groups = groups;
      s.in[1] = s.in[2] = size, s.filter[1] = s.filter[2] = filter, s.stride[1] = s.stride[2] = stride;
      s.pad_before[1] = s.pad_before[2] = pad;
      set_out(s, {0, pad, pad});
      return s;
    };
    check(kernel, shape(3, 16, 1, 64, 7, 2, 3), 1, random);   // stem
    check(kernel, shape(40, 24, 1, 28, 3, 1, 1), 2, random);  // more than one k block
    check(kernel, shape(32, 48, 1, 14, 1, 1, 0), 1, random);  // pointwise
    check(kernel, shape(32, 48, 1, 15, 1, 2, 0), 1, random);  // strided shortcut
    check(kernel, shape(20, 33, 1, 7, 7, 1, 0), 1, random);   // the filter covers the input
    check(kernel, shape(40, 40, 1, 1, 1, 1, 0), 3, random);   // squeeze and excite
    check(kernel, shape(6, 6, 6, 112, 3, 1, 1), 1, random);   // several bands
    check(kernel, shape(6, 6, 6, 57, 5, 2, 2), 1, random);
    ConvShape audio;  // a long row: several patches in it
    audio.in_channels = 2, audio.out_channels = 5, audio.in[2] = 9000;
    audio.filter[2] = 10, audio.stride[2] = 5, audio.pad_before[2] = 3;
    set_out(audio, {0, 0, 3});
    check(kernel, audio, 1, random);
    audio.stride[2] = 1, audio.pad_before[2] = 0;
    set_out(audio, {0, 0, 0});
    check(kernel, audio, 2, random);
  });
}

TEST_CASE("convolutions with nothing to do", "[kernels][conv]") {
  for_each_matmul([](const MatmulKernel& kernel) {
    Random random(24);
    ConvShape s;
    s.in_channels = 0, s.out_channels = 3, s.in[2] = s.out[2] = 5;
    check(kernel, s, 1, random);  // no input channels: bias alone
    s.in_channels = 2, s.in[2] = s.out[2] = 0;
    check(kernel, s, 0, random);
    s.in[2] = 0, s.filter[2] = 3, s.pad_before[2] = 2, s.out[2] = 2;
    check(kernel, s, 1, random);  // padding only
  });
}
