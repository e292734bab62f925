#include "tests/kernels/blocked_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

TEST_CASE("blocked direct convolutions of every rank agree with the reference", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(61);
    for (int round = 0; round < 240; ++round) {
      ConvShape s;
      s.batch = random.whole(1, 2);
      s.in_channels = random.whole(1, round % 4 == 0 ? 70 : 20);
      s.out_channels = random.whole(1, round % 4 == 1 ? 70 : 20);
      random_space(random, 1 + round % 3, s);
      check_conv(kernels, s, BlockedMethod::direct, false, random_style(random), random);
    }
  });
}

TEST_CASE("blocked direct convolutions of plain inputs agree with the reference", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(62);
    for (int round = 0; round < 240; ++round) {
      ConvShape s;
      s.batch = random.whole(1, 2);
      s.in_channels = random.whole(1, 5);
      s.out_channels = random.whole(1, 50);
      random_space(random, 1 + round % 3, s);
      check_conv(kernels, s, BlockedMethod::direct, true, random_style(random), random);
    }
  });
}

TEST_CASE("blocked grouped convolutions agree with the reference", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(63);
    for (int round = 0; round < 60; ++round) {
      ConvShape s;
      s.groups = random.whole(2, 3);
      s.in_channels = s.groups * kernels.block * random.whole(1, 2);
      s.out_channels = s.groups * kernels.block * random.whole(1, 3);
      random_space(random, 1 + round % 3, s);
      check_conv(kernels, s, BlockedMethod::direct, false, random_style(random), random);
    }
    ConvShape s = square(kernels.block * 3, kernels.block * 2 + 2, 2, 5, 3, 1, 1);
    REQUIRE_FALSE(blocked_conv_takes(s, BlockedMethod::direct, false, kernels));
    REQUIRE_FALSE(blocked_conv_takes(s, BlockedMethod::depthwise, false, kernels));
  });
}

TEST_CASE("blocked depthwise convolutions agree with the reference", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(64);
    for (int round = 0; round < 300; ++round) {
      ConvShape s;
      s.batch = random.whole(1, 2);
      s.groups = s.in_channels = s.out_channels = random.whole(2, 40);
      random_space(random, 1 + round % 3, s);
      REQUIRE(choose_blocked_method(s, true, kernels) == BlockedMethod::depthwise);
      check_conv(kernels, s, BlockedMethod::depthwise, false, random_style(random), random);
    }
    for (int64_t width = 1; width < 40; ++width) {  // every way to cut a row
      for (const int64_t filter : {3, 5}) {
        for (const int64_t stride : {1, 2}) {
          const ConvShape s = square(5, 5, 5, width, filter, stride, filter / 2);
          check_conv(kernels, s, BlockedMethod::depthwise, false, random_style(random), random);
        }
      }
      ConvShape s;  // one axis
      s.groups = s.in_channels = s.out_channels = 6;
      s.in[2] = 3 * width, s.filter[2] = width, s.pad_before[2] = width - 1;
      set_out(s, {0, 0, 0});
      check_conv(kernels, s, BlockedMethod::depthwise, false, bias_relu, random);
    }
  });
}

TEST_CASE("blocked convolutions of the shapes that networks have", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(65);
    const auto direct = [&](const ConvShape& s, bool x_is_plain, Style style) {
      check_conv(kernels, s, BlockedMethod::direct, x_is_plain, style, random);
    };
    direct(square(3, 16, 1, 64, 7, 2, 3), true, bias_relu);
    direct(square(3, 32, 1, 33, 3, 2, 1), true, bias_relu);
    direct(square(1, 20, 1, 28, 5, 1, 2), true, scaled);
    direct(square(40, 24, 1, 28, 3, 1, 1), false, bias_residual_silu);
    direct(square(64, 64, 1, 28, 3, 1, 1), false, bias_relu);  // several tasks
    direct(square(32, 48, 1, 14, 1, 1, 0), false, in_place_clamp);
    direct(square(32, 48, 1, 15, 1, 2, 0), false, bias_relu);
    direct(square(160, 176, 1, 7, 3, 1, 1), false, bias_relu);  // windows of output channels
    direct(square(328, 40, 1, 7, 3, 1, 1), false, bias_relu);   // more than one part of a sum
    direct(square(328, 24, 1, 7, 3, 1, 1), false, bias_residual_silu);
    direct(square(328, 24, 1, 7, 3, 1, 1), false, in_place_clamp);
    direct(square(260, 264, 1, 9, 1, 1, 0), false, bias_relu);  // tiles of the input are staged
    direct(square(260, 272, 1, 7, 1, 1, 0), false, bias_residual_silu);
    direct(square(300, 24, 1, 33, 1, 2, 0), false, in_place_clamp);
    direct(square(2 * 256, 2 * 256, 2, 6, 1, 1, 0), false, scaled);
    direct(square(20, 33, 1, 7, 7, 1, 0), false, bias_relu);  // the filter covers the input
    direct(square(40, 40, 1, 1, 1, 1, 0), false, scaled);
    check_conv(kernels, square(40, 40, 40, 112, 3, 1, 1), BlockedMethod::depthwise, false, bias_relu, random);
    check_conv(kernels, square(18, 18, 18, 57, 5, 2, 2), BlockedMethod::depthwise, false, bias_relu, random);
    ConvShape audio;  // a long row: several bands in it
    audio.in_channels = 34, audio.out_channels = 40, audio.in[2] = 6000;
    audio.filter[2] = 3, audio.dilation[2] = 4, audio.pad_before[2] = 8;
    set_out(audio, {0, 0, 0});
    direct(audio, false, bias_relu);
    audio.in_channels = 1, audio.filter[2] = 10, audio.stride[2] = 5, audio.dilation[2] = 1;
    set_out(audio, {0, 0, 3});
    direct(audio, true, bias_relu);
    ConvShape words;  // 49 x 10
    words.in_channels = 1, words.out_channels = 64, words.in[1] = 49, words.in[2] = 10;
    words.filter[1] = 10, words.filter[2] = 4, words.stride[1] = words.stride[2] = 2;
    words.pad_before[1] = 4, words.pad_before[2] = 1;
    set_out(words, {0, 5, 1});
    direct(words, true, bias_relu);
  });
}

TEST_CASE("blocked convolutions with nothing to do", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(66);
    for (const bool x_is_plain : {false, true}) {
      ConvShape s;
      s.in_channels = 0, s.out_channels = 3, s.in[2] = s.out[2] = 5;
      check_conv(kernels, s, BlockedMethod::direct, x_is_plain, bias_relu, random);  // no input: bias alone
      s.in_channels = 2, s.in[2] = s.out[2] = 0;
      check_conv(kernels, s, BlockedMethod::direct, x_is_plain, plain_sum, random);
      s.in[2] = 0, s.filter[2] = 3, s.pad_before[2] = 2, s.out[2] = 2;
      check_conv(kernels, s, BlockedMethod::direct, x_is_plain, bias_relu, random);  // padding only
      s.batch = 0;
      check_conv(kernels, s, BlockedMethod::direct, x_is_plain, bias_relu, random);
      s.batch = 1, s.out_channels = 0;
      check_conv(kernels, s, BlockedMethod::direct, x_is_plain, plain_sum, random);
    }
    ConvShape s = square(3, 3, 3, 0, 3, 1, 2);
    check_conv(kernels, s, BlockedMethod::depthwise, false, bias_relu, random);
    s = square(3, 3, 3, 0, 3, 1, 0);
    check_conv(kernels, s, BlockedMethod::depthwise, false, bias_relu, random);
  });
}

TEST_CASE("blocking and unblocking channels", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(67);
    for (const int64_t channels : {1, 3, 4, 5, 8, 15, 16, 17, 40}) {
      for (const int64_t positions : {0, 1, 3, 15, 16, 17, 50}) {
        const std::vector<float> plain = random.floats(static_cast<size_t>(2 * channels * positions));
        Guarded<float> blocked(static_cast<size_t>(2 * stored(kernels, channels) * positions)),
            back(plain.size());
        block_channels(plain.data(), blocked.data(), 2, channels, positions, kernels);
        REQUIRE(blocked.intact());
        bool right = true;
        for (int64_t n = 0; n < 2; ++n) {
          for (int64_t c = 0; c < stored(kernels, channels); ++c) {
            for (int64_t p = 0; p < positions; ++p) {
              const size_t at = blocked_index(kernels, channels, positions, n, c, p);
              const size_t from = static_cast<size_t>((n * channels + c) * positions + p);
              right = right && blocked[at] == (c < channels ? plain[from] : 0.0F);
            }
          }
        }
        REQUIRE(right);
        unblock_channels(blocked.data(), back.data(), 2, channels, positions, kernels);
        REQUIRE(back.intact());
        REQUIRE((plain.empty() || std::memcmp(back.data(), plain.data(), plain.size() * sizeof(float)) == 0));
      }
    }
  });
}
