// Rates of the kernels over the channel-blocked layout at sizes from real networks, for every row that this
// machine can run. "peak" is the share of the peak rate of fused multiply-adds; results are the tests'
// business.
//
//   blocked_bench --benchmark_filter='avx512.*mobilenet'
#include <cstdio>

#include "bench/kernel_bench.h"
#include "kernels/blocked/blocked.h"
#include "kernels/blocked/rows.h"

using namespace nnefrun::kernels;

namespace {

struct Case {
  const char* name;
  ConvShape shape;
  bool x_is_plain;
};

ConvShape square(int64_t in, int64_t out, int64_t groups, int64_t size, int64_t filter, int64_t stride) {
  ConvShape s;
  s.in_channels = in, s.out_channels = out, s.groups = groups;
  for (int axis = 1; axis < 3; ++axis) {
    s.in[axis] = size, s.filter[axis] = filter, s.stride[axis] = stride, s.pad_before[axis] = filter / 2;
    s.out[axis] = (size + 2 * (filter / 2) - filter) / stride + 1;
  }
  return s;
}
// Sees no later position.
ConvShape causal(int64_t in, int64_t out, int64_t groups, int64_t length, int64_t filter, int64_t dilation) {
  ConvShape s;
  s.in_channels = in, s.out_channels = out, s.groups = groups;
  s.in[2] = s.out[2] = length, s.filter[2] = filter, s.dilation[2] = dilation;
  s.pad_before[2] = (filter - 1) * dilation;
  return s;
}
ConvShape words_first() {
  ConvShape s;
  s.in_channels = 1, s.out_channels = 64;
  s.in[1] = 49, s.in[2] = 10, s.out[1] = 25, s.out[2] = 5;
  s.filter[1] = 10, s.filter[2] = 4, s.stride[1] = s.stride[2] = 2, s.pad_before[1] = 4, s.pad_before[2] = 1;
  return s;
}
ConvShape words(int64_t groups, int64_t filter) {
  ConvShape s = square(64, 64, groups, 25, filter, 1);
  s.in[2] = s.out[2] = 5;
  return s;
}

std::vector<Case> cases() {
  return {
      {"mobilenet_first_3x3s2_3to32x224", square(3, 32, 1, 224, 3, 2), true},
      {"resnet_first_7x7s2_3to64x224", square(3, 64, 1, 224, 7, 2), true},
      {"yolo_first_3x3s2_3to16x320", square(3, 16, 1, 320, 3, 2), true},
      {"digits_first_3x3_1to32x28", square(1, 32, 1, 28, 3, 1), true},
      {"words_first_10x4s2_1to64", words_first(), true},
      {"resnet_3x3_64x56", square(64, 64, 1, 56, 3, 1), false},
      {"resnet_3x3_128x28", square(128, 128, 1, 28, 3, 1), false},
      {"resnet_3x3_256x14", square(256, 256, 1, 14, 3, 1), false},
      {"resnet_3x3_512x7", square(512, 512, 1, 7, 3, 1), false},
      {"resnet_3x3s2_64to128x56", square(64, 128, 1, 56, 3, 2), false},
      {"resnet_3x3s2_256to512x14", square(256, 512, 1, 14, 3, 2), false},
      {"resnet_1x1_64to256x56", square(64, 256, 1, 56, 1, 1), false},
      {"resnet_1x1_256to64x56", square(256, 64, 1, 56, 1, 1), false},
      {"resnet_1x1_256to1024x14", square(256, 1024, 1, 14, 1, 1), false},
      {"resnet_1x1_2048to512x7", square(2048, 512, 1, 7, 1, 1), false},
      {"resnet_1x1s2_256to512x56", square(256, 512, 1, 56, 1, 2), false},
      {"mobilenet_1x1_32to16x112", square(32, 16, 1, 112, 1, 1), false},
      {"mobilenet_1x1_16to96x112", square(16, 96, 1, 112, 1, 1), false},
      {"mobilenet_1x1_96to24x56", square(96, 24, 1, 56, 1, 1), false},
      {"mobilenet_1x1_24to144x56", square(24, 144, 1, 56, 1, 1), false},
      {"mobilenet_1x1_192to32x28", square(192, 32, 1, 28, 1, 1), false},
      {"mobilenet_1x1_96to576x14", square(96, 576, 1, 14, 1, 1), false},
      {"mobilenet_1x1_160to960x7", square(160, 960, 1, 7, 1, 1), false},
      {"mobilenet_1x1_320to1280x7", square(320, 1280, 1, 7, 1, 1), false},
      {"squeezenet_1x1_128to16x54", square(128, 16, 1, 54, 1, 1), false},
      {"squeezenet_3x3_16to64x54", square(16, 64, 1, 54, 3, 1), false},
      {"squeezenet_1x1_512to1000x13", square(512, 1000, 1, 13, 1, 1), false},
      {"yolo_3x3s2_16to32x160", square(16, 32, 1, 160, 3, 2), false},
      {"yolo_3x3_16x80", square(16, 16, 1, 80, 3, 1), false},
      {"yolo_3x3_64x40", square(64, 64, 1, 40, 3, 1), false},
      {"yolo_3x3_128x20", square(128, 128, 1, 20, 3, 1), false},
      {"causal_3_64x1000", causal(64, 64, 1, 1000, 3, 1), false},
      {"causal_3_dilated_128x1000", causal(128, 128, 1, 1000, 3, 4), false},
      {"words_1x1_64", words(1, 1), false},
      {"efficientnet_squeeze_240to10", causal(240, 10, 1, 1, 1, 1), false},
      {"linear_1280to1000", causal(1280, 1000, 1, 1, 1, 1), false},
      {"grouped_3x3_4x32x28", square(128, 128, 4, 28, 3, 1), false},
      {"mobilenet_depthwise_3x3_32x112", square(32, 32, 32, 112, 3, 1), false},
      {"mobilenet_depthwise_3x3s2_96x112", square(96, 96, 96, 112, 3, 2), false},
      {"mobilenet_depthwise_3x3_144x56", square(144, 144, 144, 56, 3, 1), false},
      {"mobilenet_depthwise_3x3_192x28", square(192, 192, 192, 28, 3, 1), false},
      {"mobilenet_depthwise_3x3_384x14", square(384, 384, 384, 14, 3, 1), false},
      {"mobilenet_depthwise_3x3_960x7", square(960, 960, 960, 7, 3, 1), false},
      {"efficientnet_depthwise_5x5_240x28", square(240, 240, 240, 28, 5, 1), false},
      {"efficientnet_depthwise_5x5s2_144x56", square(144, 144, 144, 56, 5, 2), false},
      {"efficientnet_depthwise_5x5_1152x7", square(1152, 1152, 1152, 7, 5, 1), false},
      {"words_depthwise_3x3_64", words(64, 3), false},
      {"causal_depthwise_3_128x1000", causal(128, 128, 128, 1000, 3, 1), false},
      {"causal_depthwise_15_256x100", causal(256, 256, 256, 100, 15, 1), false},
      {"causal_depthwise_31_64x200", causal(64, 64, 64, 200, 31, 1), false},
  };
}

void bench_conv(benchmark::State& state, const BlockedKernels& kernels, const Case& c, BlockedMethod method) {
  const ConvShape& s = c.shape;
  const auto stored = [&](int64_t channels) { return blocked_ceil(channels, kernels.block) * kernels.block; };
  const int64_t taps = blocked_volume(s.filter) * s.in_channels / s.groups;
  Buffer x(static_cast<size_t>(stored(s.in_channels) * blocked_volume(s.in))),
      w(static_cast<size_t>(s.out_channels * taps)),
      y(static_cast<size_t>(stored(s.out_channels) * blocked_volume(s.out))),
      bias(static_cast<size_t>(stored(s.out_channels)), 0.1F);
  x.randomize();
  w.randomize();
  Buffer packed(packed_blocked_conv_size(s, method, c.x_is_plain, kernels)),
      workspace(blocked_conv_workspace_size(s, method, c.x_is_plain, kernels) / sizeof(float));
  pack_blocked_conv(s, method, c.x_is_plain, w.data, packed.data, kernels);
  BlockedConvArgs args;
  args.shape = s;
  args.method = method;
  args.x_is_plain = c.x_is_plain;
  args.x = x.data;
  args.packed_weights = packed.data;
  args.y = y.data;
  args.epilogue.bias_axis = BiasAxis::row, args.epilogue.bias = bias.data;
  args.epilogue.activation = Activation::relu;
  const int64_t tasks = blocked_conv_tasks(s, method, kernels);
  for (auto _ : state) {
    blocked_conv(args, 0, tasks, workspace.data, kernels);
    benchmark::ClobberMemory();
  }
  report_flops(state, 2.0 * static_cast<double>(s.out_channels * taps * blocked_volume(s.out)),
               kernels.isa_suffix);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(x.size + y.size) * 4);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  int count = 0;
  const BlockedKernels* const* rows = blocked_rows(&count);
  const std::vector<Case> all = cases();
  for (int i = 0; i < count; ++i) {
    const BlockedKernels& kernels = *rows[i];
    if (!supports(detected_isa(), kernels.requires_isa)) continue;
    std::printf("peak of %s: %.1f GFLOP/s\n", kernels.isa_suffix, peak_of(kernels.isa_suffix));
    const std::pair<const char*, BlockedMethod> methods[] = {{"direct", BlockedMethod::direct},
                                                             {"depthwise", BlockedMethod::depthwise},
                                                             {"winograd_2", BlockedMethod::winograd_2},
                                                             {"winograd_4", BlockedMethod::winograd_4}};
    for (const Case& c : all) {
      for (const auto& method : methods) {
        if (!blocked_conv_takes(c.shape, method.second, c.x_is_plain, kernels)) continue;
        const std::string title =
            std::string("blocked_") + method.first + "_" + kernels.isa_suffix + "/" + c.name;
        const BlockedMethod chosen = method.second;
        benchmark::RegisterBenchmark(title.c_str(), [&kernels, &c, chosen](benchmark::State& state) {
          bench_conv(state, kernels, c, chosen);
        });
      }
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
