// Rates of the 8-bit kernels at sizes from real networks, for every row that this machine can run.
//
// "peak" is the rate (two operations for each product) over the machine's measured peak of f32 multiply-adds:
// above 1 a row does more than any f32 kernel can. Each case is checked once against the generic row before
// it is timed.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "bench/kernel_bench.h"
#include "kernels/int8/conv.h"
#include "kernels/int8/pack.h"

using namespace nnefrun::kernels;

namespace {

// The set whose f32 peak a row is compared with.
const char* float_set(const char* suffix) {
  if (std::strncmp(suffix, "avx512", 6) == 0 || std::strncmp(suffix, "amx", 3) == 0) return "avx512";
  if (std::strncmp(suffix, "avx", 3) == 0) return "avx2";
  return std::strncmp(suffix, "neon", 4) == 0 ? "neon" : "generic";
}

struct Case {
  ConvShape shape;
  std::vector<uint8_t> x;
  std::vector<int8_t> w;
  std::vector<int32_t> wide;
  explicit Case(const ConvShape& s) : shape(s) {
    std::mt19937 engine(11);
    const int64_t taps = s.filter[0] * s.filter[1] * s.filter[2];
    x.resize(static_cast<size_t>(s.in[0] * s.in[1] * s.in[2] * round_up_to(s.in_channels, 4)));
    w.resize(static_cast<size_t>(s.out_channels * (s.in_channels / s.groups) * taps));
    for (uint8_t& v : x) v = static_cast<uint8_t>(engine());
    for (int8_t& v : w) v = static_cast<int8_t>(engine());
    wide.assign(w.begin(), w.end());
  }
};

void bench_conv(benchmark::State& state, const Int8Kernels* row, const ConvShape& s) {
  const Case c(s);
  const int64_t taps = s.filter[0] * s.filter[1] * s.filter[2], group_in = s.in_channels / s.groups;
  const bool depthwise = is_depthwise_codes(s);
  int count = 0;
  const Int8Kernels* const* rows = int8_rows(&count);
  const Int8Kernels* generic = rows[count - 1];
  std::vector<uint8_t> results[2];
  for (const Int8Kernels* kernels : {generic, row}) {
    std::vector<int8_t> packed(packed_group_size(s, *kernels) * static_cast<size_t>(s.groups));
    std::vector<int16_t> packed_depthwise(packed_depthwise_codes_size(s.out_channels, taps, *kernels));
    std::vector<int8_t> packed_dots(packed_depthwise_dots_size(s.out_channels, taps));
    const auto channels = static_cast<size_t>(code_channels(s, *kernels));
    // The sum of a column takes the offset that some rows subtract from x.
    std::vector<int32_t> start(channels, 0);
    std::vector<float> scales(channels, 0.0005F);
    CodeWeights from;
    from.w = c.w.data();
    from.columns = s.out_channels;
    from.channels = group_in;
    from.taps = taps;
    from.column_stride = group_in * taps;
    from.channel_stride = taps;
    from.tap_stride = 1;
    if (depthwise) {
      pack_depthwise_codes(c.wide.data(), s.out_channels, taps, packed_depthwise.data(), *kernels);
      pack_depthwise_dots(c.wide.data(), s.out_channels, taps, packed_dots.data());
    } else {
      pack_codes(from, packed.data(), *kernels);
      sum_codes(from, start.data());
      for (int32_t& v : start) v *= kernels->x_offset;
    }
    CodeConvArgs a;
    a.shape = s;
    a.x = c.x.data();
    a.x_stride = round_up_to(s.in_channels, 4);
    a.x_zero = 128;
    a.weights = packed.data();
    a.depthwise_weights = packed_depthwise.data();
    if (takes_depthwise_dots(s, *kernels)) a.depthwise_dots = packed_dots.data();
    a.start = start.data();
    a.epilogue.scales = scales.data();
    a.epilogue.zero_point = 120;
    a.y_stride = round_up_to(s.out_channels, 4);
    std::vector<uint8_t>& y = results[kernels == row ? 1 : 0];
    y.assign(static_cast<size_t>(s.out[0] * s.out[1] * s.out[2] * a.y_stride), 0);
    a.y = y.data();
    const CodeConvCut cut = cut_code_conv(a, *kernels);
    const Buffer workspace(cut.workspace / sizeof(float) + 1);
    code_conv(a, 0, cut.tasks, workspace.data, *kernels);
    if (kernels != row) continue;
    if (row != generic && results[0] != results[1]) {
      state.SkipWithError("wrong result");
      return;
    }
    for (auto _ : state) {
      code_conv(a, 0, cut.tasks, workspace.data, *kernels);
      benchmark::ClobberMemory();
    }
  }
  const int64_t macs = s.out[0] * s.out[1] * s.out[2] * s.out_channels * group_in * taps;
  report_flops(state, 2.0 * static_cast<double>(macs), float_set(row->isa_suffix));
}

ConvShape conv_shape(int64_t in, int64_t out, int64_t groups, int64_t extent, int64_t filter,
                     int64_t stride) {
  ConvShape s;
  s.in_channels = in;
  s.out_channels = out;
  s.groups = groups;
  for (int axis = 1; axis < 3; ++axis) {
    s.in[axis] = extent;
    s.filter[axis] = filter;
    s.stride[axis] = stride;
    s.pad_before[axis] = filter / 2;
    s.out[axis] = (extent - 1) / stride + 1;
  }
  return s;
}
ConvShape product_shape(int64_t m, int64_t n, int64_t k) {
  ConvShape s;
  s.in_channels = k;
  s.out_channels = n;
  s.in[1] = s.out[1] = m;
  return s;
}

void bench_add(benchmark::State& state, const Int8Kernels* row) {
  constexpr int64_t kCount = 256 * 56 * 56;
  std::vector<uint8_t> x(kCount, 100), y(kCount, 7), z(kCount);
  CodeBinary b;
  b.x_scale = 0.1F, b.y_scale = 0.2F, b.scale = 0.3F;
  for (auto _ : state) {
    row->binary(b, x.data(), y.data(), z.data(), kCount);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * kCount * 3);
}

void register_all() {
  int count = 0;
  const Int8Kernels* const* rows = int8_rows(&count);
  for (int i = 0; i < count; ++i) {
    const Int8Kernels* row = rows[i];
    if (!supports(detected_isa(), row->requires_isa)) {
      std::printf("NOT RUN: rows of %s (this machine lacks it)\n", row->isa_suffix);
      continue;
    }
    const auto conv = [&](const char* name, const ConvShape& s) {
      const char* op = is_depthwise_codes(s) ? "depthwise" : "matmul";
      const std::string title = std::string(op) + "_u8_u8_i8_" + row->isa_suffix + "/" + name;
      benchmark::RegisterBenchmark(title.c_str(),
                                   [=](benchmark::State& state) { bench_conv(state, row, s); });
    };
    conv("512x512x512", product_shape(512, 512, 512));
    conv("1x1001x1280", product_shape(1, 1001, 1280));
    conv("resnet_3x3_64x56", conv_shape(64, 64, 1, 56, 3, 1));
    conv("resnet_3x3_512x7", conv_shape(512, 512, 1, 7, 3, 1));
    conv("resnet_1x1_256-64x56", conv_shape(256, 64, 1, 56, 1, 1));
    conv("mobilenet_first_3-32x224", conv_shape(3, 32, 1, 224, 3, 2));
    conv("mobilenet_1x1_24-144x56", conv_shape(24, 144, 1, 56, 1, 1));
    conv("mobilenet_1x1_144-24x56", conv_shape(144, 24, 1, 56, 1, 1));
    conv("mobilenet_1x1_160-960x7", conv_shape(160, 960, 1, 7, 1, 1));
    conv("mobilenet_dw3x3_144x56", conv_shape(144, 144, 144, 56, 3, 1));
    conv("mobilenet_dw3x3s2_96x112", conv_shape(96, 96, 96, 112, 3, 2));
    benchmark::RegisterBenchmark((std::string("add_u8_u8_u8_") + row->isa_suffix + "/256x56x56").c_str(),
                                 [=](benchmark::State& state) { bench_add(state, row); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
