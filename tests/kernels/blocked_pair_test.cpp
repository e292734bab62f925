#include "tests/kernels/blocked_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

// The pair gives, bit for bit and however its tasks are cut, what the two convolutions give one after the
// other.
void check_pair(const BlockedKernels& kernels, const ConvShape& depthwise, int64_t in_channels,
                Random& random) {
  INFO(kernels.isa_suffix << " batch " << depthwise.batch << " channels " << in_channels << " -> "
                          << depthwise.in_channels << " in " << depthwise.in[1] << "x" << depthwise.in[2]
                          << " out " << depthwise.out[1] << "x" << depthwise.out[2] << " filter "
                          << depthwise.filter[1] << "x" << depthwise.filter[2]);
  const ConvShape& s = depthwise;
  REQUIRE(blocked_pair_takes(s, kernels));
  ConvShape pointwise;
  pointwise.batch = s.batch;
  pointwise.in_channels = in_channels, pointwise.out_channels = s.in_channels;
  for (int axis = 0; axis < 3; ++axis) pointwise.in[axis] = pointwise.out[axis] = s.in[axis];
  const int64_t positions = volume(s.in), channels = stored(kernels, s.in_channels);
  const std::vector<float> x = random.floats(static_cast<size_t>(s.batch * in_channels * positions)),
                           w1 = random.floats(static_cast<size_t>(s.in_channels * in_channels)),
                           w2 = random.floats(static_cast<size_t>(s.in_channels * volume(s.filter)));
  Guarded<float> bias1(random.floats(static_cast<size_t>(channels))),
      bias2(random.floats(static_cast<size_t>(channels)));
  Aligned blocked_x(static_cast<size_t>(s.batch * stored(kernels, in_channels) * positions)),
      between(static_cast<size_t>(s.batch * channels * positions));
  to_blocked(kernels, x, s.batch, in_channels, positions, blocked_x.data());
  Guarded<float> packed1(packed_blocked_conv_size(pointwise, BlockedMethod::direct, false, kernels)),
      packed2(packed_blocked_conv_size(s, BlockedMethod::depthwise, false, kernels));
  pack_blocked_conv(pointwise, BlockedMethod::direct, false, w1.data(), packed1.data(), kernels);
  pack_blocked_conv(s, BlockedMethod::depthwise, false, w2.data(), packed2.data(), kernels);

  BlockedPairArgs pair;
  pair.depthwise = s;
  pair.in_channels = in_channels;
  pair.x = blocked_x.data();
  pair.packed_pointwise = packed1.data(), pair.packed_depthwise = packed2.data();
  pair.first.bias_axis = BiasAxis::row, pair.first.bias = bias1.data();
  pair.first.activation = Activation::clip, pair.first.a = 0.0F, pair.first.b = 6.0F;
  if (random.whole(0, 1) == 1) {
    pair.second.bias_axis = BiasAxis::row, pair.second.bias = bias2.data();
    pair.second.activation = Activation::silu;
  }

  const size_t count = static_cast<size_t>(s.batch * channels * volume(s.out));
  Guarded<float> expected(count), y(count);
  BlockedConvArgs one;
  one.shape = pointwise, one.method = BlockedMethod::direct;
  one.x = blocked_x.data(), one.packed_weights = packed1.data(), one.y = between.data();
  one.epilogue = pair.first;
  BlockedConvArgs two;
  two.shape = s, two.method = BlockedMethod::depthwise;
  two.x = between.data(), two.packed_weights = packed2.data(), two.y = expected.data();
  two.epilogue = pair.second;
  for (const BlockedConvArgs* conv : {&one, &two}) {
    Guarded<char> workspace(blocked_conv_workspace_size(conv->shape, conv->method, false, kernels));
    blocked_conv(*conv, 0, blocked_conv_tasks(conv->shape, conv->method, kernels), workspace.data(), kernels);
  }

  pair.y = y.data();
  const int64_t tasks = blocked_pair_tasks(s, in_channels, kernels);
  const size_t bytes = blocked_pair_workspace_size(s, in_channels, kernels);
  for (int64_t end = tasks; end > 0;) {
    const int64_t begin = random.whole(0, end - 1);
    Guarded<unsigned char> workspace(std::vector<unsigned char>(bytes, 0xFF));  // NaN
    blocked_pair(pair, begin, end, workspace.data(), kernels);
    REQUIRE(workspace.intact());
    end = begin;
  }
  REQUIRE(y.intact());
  bool same = true;
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t o = 0; o < s.out_channels; ++o) {
      for (int64_t q = 0; q < volume(s.out); ++q) {
        const size_t at = blocked_index(kernels, s.out_channels, volume(s.out), n, o, q);
        same = same && std::memcmp(&y[at], &expected[at], sizeof(float)) == 0;
      }
    }
  }
  REQUIRE(same);
}

}  // namespace

TEST_CASE("a pointwise and a depthwise convolution in one step", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(67);
    for (int round = 0; round < 120; ++round) {
      ConvShape s;
      s.batch = random.whole(1, 2);
      s.groups = s.in_channels = s.out_channels = random.whole(2, 70);
      random_space(random, 1 + round % 2, s);
      check_pair(kernels, s, random.whole(1, 40), random);
    }
    check_pair(kernels, square(40, 40, 40, 112, 3, 2, 1), 16, random);  // several bands
    check_pair(kernels, square(33, 33, 33, 90, 5, 1, 2), 24, random);
    check_pair(kernels, square(3, 3, 3, 0, 3, 1, 2), 5, random);  // padding only
    check_pair(kernels, square(3, 3, 3, 0, 3, 1, 0), 5, random);
    ConvShape deep;
    deep.groups = deep.in_channels = deep.out_channels = 4;
    deep.in[0] = 3, deep.filter[0] = 3, deep.out[0] = 1;
    REQUIRE_FALSE(blocked_pair_takes(deep, kernels));
  });
}
