#include "tests/kernels/blocked_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

constexpr BlockedMethod kMethods[] = {BlockedMethod::winograd_2, BlockedMethod::winograd_4};

// Relative to the sum of magnitudes of an output's products. The error of a tile comes from all of its
// inputs, also from those that an output at the border does not see.
double budget(BlockedMethod method) { return (method == BlockedMethod::winograd_2 ? 4 : 20) * kSumBudget; }

void check_winograd(const BlockedKernels& kernels, const ConvShape& s, Style style, Random& random) {
  for (const BlockedMethod method : kMethods) {
    check_conv(kernels, s, method, false, style, random, budget(method));
  }
}

// A filter of 3 along one axis or two, stride 1.
ConvShape random_shape(Random& random, int rank, int64_t channels) {
  ConvShape s;
  s.batch = random.whole(1, 2);
  s.in_channels = random.whole(1, channels);
  s.out_channels = random.whole(1, channels);
  int64_t pad_after[3] = {0, 0, 0};
  for (int axis = 3 - rank; axis < 3; ++axis) {
    s.filter[axis] = 3;
    s.in[axis] = random.whole(1, rank == 1 ? 150 : 18);
    const bool same = random.whole(0, 2) == 0;
    s.pad_before[axis] = same ? 1 : random.whole(-2, random.whole(0, 3) == 0 ? 9 : 3);
    pad_after[axis] = same ? 1 : random.whole(-2, 4);
  }
  set_out(s, pad_after);
  return s;
}

// The error of a method against f64, over an image, as a root of mean squares.
double rms_error(const BlockedKernels& kernels, const ConvShape& s, BlockedMethod method,
                 const std::vector<float>& x, const std::vector<float>& weights,
                 const std::vector<double>& expected) {
  const int64_t in_items = volume(s.in), out_items = volume(s.out);
  Aligned x_blocked(static_cast<size_t>(stored(kernels, s.in_channels) * in_items));
  to_blocked(kernels, x, 1, s.in_channels, in_items, x_blocked.data());
  Guarded<float> packed(packed_blocked_conv_size(s, method, false, kernels));
  pack_blocked_conv(s, method, false, weights.data(), packed.data(), kernels);
  Guarded<float> y(static_cast<size_t>(stored(kernels, s.out_channels) * out_items));
  Guarded<char> workspace(blocked_conv_workspace_size(s, method, false, kernels));
  BlockedConvArgs args;
  args.shape = s;
  args.method = method;
  args.x = x_blocked.data();
  args.packed_weights = packed.data();
  args.y = y.data();
  blocked_conv(args, 0, blocked_conv_tasks(s, method, kernels), workspace.data(), kernels);
  double sum = 0;
  for (int64_t o = 0; o < s.out_channels; ++o) {
    for (int64_t q = 0; q < out_items; ++q) {
      const double error = y[blocked_index(kernels, s.out_channels, out_items, 0, o, q)] -
                           expected[static_cast<size_t>(o * out_items + q)];
      sum += error * error;
    }
  }
  return std::sqrt(sum / static_cast<double>(s.out_channels * out_items));
}

}  // namespace

TEST_CASE("Winograd convolutions agree with the reference", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(71);
    for (int round = 0; round < 60; ++round) {
      const int rank = 1 + round % 2;
      check_winograd(kernels, random_shape(random, rank, round % 8 < 4 ? 20 : 40), random_style(random),
                     random);
    }
    for (int64_t size = 1; size < 20; ++size) {  // every way to cut off a tile
      check_winograd(kernels, square(kernels.block, kernels.block, 1, size, 3, 1, 1), bias_relu, random);
    }
  });
}

TEST_CASE("Winograd convolutions of several bands and groups", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(72);
    check_winograd(kernels, square(24, 36, 1, 40, 3, 1, 1), bias_relu, random);
    check_winograd(kernels, square(130, 34, 1, 14, 3, 1, 1), bias_residual_silu, random);
    ConvShape s = square(160, 20, 1, 7, 3, 1, 1);
    s.batch = 5;  // bands that hold more than one image
    check_winograd(kernels, s, in_place_clamp, random);
    ConvShape line;
    line.in_channels = 70, line.out_channels = 20, line.in[2] = 1100, line.filter[2] = 3;
    line.pad_before[2] = 1;
    set_out(line, {0, 0, 1});
    for (const BlockedMethod method : kMethods) REQUIRE(blocked_conv_tasks(line, method, kernels) > 1);
    check_winograd(kernels, line, bias_relu, random);
  });
}

TEST_CASE("Winograd convolutions with nothing to do", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(73);
    ConvShape s = square(0, 3, 1, 5, 3, 1, 1);
    check_winograd(kernels, s, bias_relu, random);                            // no input: bias alone
    check_winograd(kernels, square(3, 3, 1, 0, 3, 1, 2), bias_relu, random);  // padding only
    check_winograd(kernels, square(3, 3, 1, 2, 3, 1, 0), plain_sum, random);  // no output
    check_winograd(kernels, square(3, 0, 1, 5, 3, 1, 1), plain_sum, random);
    s.batch = 0;
    check_winograd(kernels, s, bias_relu, random);
  });
}

TEST_CASE("shapes that Winograd does not take", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    const auto takes = [&](const ConvShape& s, bool x_is_plain) {
      const bool two = blocked_conv_takes(s, BlockedMethod::winograd_2, x_is_plain, kernels);
      REQUIRE(blocked_conv_takes(s, BlockedMethod::winograd_4, x_is_plain, kernels) == two);
      return two;
    };
    const ConvShape usual = square(32, 32, 1, 20, 3, 1, 1);
    REQUIRE(takes(usual, false));
    REQUIRE_FALSE(takes(usual, true));
    REQUIRE_FALSE(takes(square(32, 32, 1, 20, 3, 2, 1), false));
    REQUIRE_FALSE(takes(square(32, 32, 1, 20, 5, 1, 2), false));
    REQUIRE_FALSE(takes(square(64, 64, 2, 20, 3, 1, 1), false));
    ConvShape s = usual;
    s.dilation[1] = s.dilation[2] = 2;
    set_out(s, {0, 1, 1});
    REQUIRE_FALSE(takes(s, false));
    s = usual, s.in[0] = s.out[0] = 4;
    REQUIRE_FALSE(takes(s, false));
    s = usual, s.filter[1] = 1, s.pad_before[1] = 0, s.out[1] = 20;
    REQUIRE_FALSE(takes(s, false));

    REQUIRE(choose_blocked_method(usual, false, kernels) == BlockedMethod::direct);
    REQUIRE(choose_blocked_method(square(3, 3, 1, 20, 5, 1, 2), true, kernels) == BlockedMethod::direct);
    REQUIRE(choose_blocked_method(square(64, 64, 1, 56, 3, 1, 1), true, kernels) ==
            BlockedMethod::winograd_4);
    REQUIRE(choose_blocked_method(square(64, 64, 1, 1, 3, 1, 1), true, kernels) == BlockedMethod::direct);
  });
}

// How much is lost against the direct sum, which is what the engine's tolerances are made for.
TEST_CASE("the error of Winograd convolutions relative to direct ones", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    for (const int64_t channels : {64, 256, 512}) {
      Random random(74);
      const ConvShape s = square(channels, 16, 1, 8, 3, 1, 1);
      const std::vector<float> x = random.floats(static_cast<size_t>(channels * volume(s.in)));
      const std::vector<float> weights = random.floats(static_cast<size_t>(16 * channels * 9));
      ConvArgs reference;
      reference.shape = s;
      reference.x = x.data();
      std::vector<double> expected;
      for (int64_t o = 0; o < 16; ++o) {
        for (int64_t q = 0; q < volume(s.out); ++q) {
          double magnitude = 0;
          const int64_t at[3] = {0, q / s.out[2], q % s.out[2]};
          expected.push_back(conv_reference(reference, weights.data(), 0, o, at, &magnitude));
        }
      }
      const double direct = rms_error(kernels, s, BlockedMethod::direct, x, weights, expected);
      const double two = rms_error(kernels, s, BlockedMethod::winograd_2, x, weights, expected);
      const double four = rms_error(kernels, s, BlockedMethod::winograd_4, x, weights, expected);
      CAPTURE(channels, direct, two, four);
      REQUIRE(direct > 0);
      REQUIRE(two <= 1.5 * direct);
      REQUIRE(four <= 4.5 * direct);
    }
  });
}
