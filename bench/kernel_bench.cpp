// Rates of the kernel families at sizes from real networks, for every row that this machine can run.
//
// At the start the peak rate of fused multiply-adds of each ISA is measured, in a loop of independent chains;
// "peak" is then the share of it that a kernel reached. Elementwise and moving kernels report bytes per
// second instead. Each case is checked once against the generic row before it is timed.
//
//   kernel_bench --benchmark_filter='matmul.*avx2'
#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>

#include "bench/kernel_bench.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/isa.h"
#include "kernels/matmul/matmul.h"
#include "kernels/move/move.h"
#include "kernels/pool/pool.h"
#include "kernels/recurrent/recurrent.h"
#include "kernels/reduce/reduce.h"

using namespace nnefrun::kernels;

namespace {

enum class Packing { none, a, b };

void bench_matmul(benchmark::State& state, const MatmulKernel* kernel, int64_t m, int64_t n, int64_t k,
                  Packing packing, bool b_transposed) {
  Buffer a(static_cast<size_t>(m * k)), b(static_cast<size_t>(k * n)), c(static_cast<size_t>(m * n)),
      expected(c.size);
  a.randomize();
  b.randomize();
  MatmulArgs g;
  g.m = m, g.n = n, g.k = k;
  g.a = a.data, g.a_row_stride = k;
  g.b = b.data, g.b_row_stride = b_transposed ? 1 : n, g.b_col_stride = b_transposed ? k : 1;
  g.c_row_stride = n;
  int count = 0;
  const MatmulKernel* const* rows = matmul_f32_rows(&count);
  const MatmulKernel* generic = rows[count - 1];
  for (const MatmulKernel* row : {generic, kernel}) {
    g.c = row == kernel ? c.data : expected.data;
    Buffer space(matmul_workspace_size(m, n, k, false, false, *row) / sizeof(float));
    matmul_f32(g, space.data, *row);
  }
  if (kernel != generic && !close(c, expected)) {
    state.SkipWithError("wrong result");
    return;
  }
  g.c = c.data;
  Buffer packed_a(packed_a_size(m, k, *kernel)), packed_b(packed_b_size(k, n, *kernel));
  if (packing == Packing::a) {
    pack_a_f32(m, k, g.a, g.a_row_stride, g.a_col_stride, packed_a.data, *kernel);
    g.packed_a = packed_a.data;
  }
  if (packing == Packing::b) {
    pack_b_f32(k, n, g.b, g.b_row_stride, g.b_col_stride, packed_b.data, *kernel);
    g.packed_b = packed_b.data;
  }
  Buffer workspace(matmul_workspace_size(m, n, k, false, false, *kernel) / sizeof(float));
  for (auto _ : state) {
    matmul_f32(g, workspace.data, *kernel);
    benchmark::ClobberMemory();
  }
  report_flops(state, 2.0 * static_cast<double>(m * n * k), kernel->isa_suffix);
  if (m == 1 || n == 1)
    state.SetBytesProcessed(state.iterations() * m * n * k * 4);  // the matrix is read once
}

// Units for each second.
void bench_cell(benchmark::State& state, void (*cell)(const CellArgs&), int64_t gates, int64_t rows,
                int64_t hidden) {
  const auto units = static_cast<size_t>(rows * hidden), columns = static_cast<size_t>(gates * hidden);
  Buffer x(columns * static_cast<size_t>(rows)), s(x.size), bias(columns), h(units), c(units), h_out(units),
      c_out(units);
  for (Buffer* operand : {&x, &s, &bias, &h, &c}) operand->randomize();
  CellArgs a;
  a.rows = rows, a.hidden = hidden;
  a.x = x.data, a.s = s.data, a.bias = bias.data, a.h = h.data, a.c = c.data;
  a.h_out = h_out.data, a.c_out = c_out.data;
  for (auto _ : state) {
    cell(a);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * rows * hidden);
}

void bench_conv(benchmark::State& state, const MatmulKernel* kernel, ConvShape s) {
  const int64_t in = s.in[0] * s.in[1] * s.in[2], out = s.out[0] * s.out[1] * s.out[2];
  const int64_t taps = s.filter[0] * s.filter[1] * s.filter[2] * s.in_channels / s.groups;
  Buffer x(static_cast<size_t>(s.in_channels * in)), w(static_cast<size_t>(s.out_channels * taps));
  Buffer y(static_cast<size_t>(s.out_channels * out)), expected(y.size),
      bias(static_cast<size_t>(s.out_channels), 0.1F);
  x.randomize();
  w.randomize();
  int count = 0;
  const MatmulKernel* const* rows = matmul_f32_rows(&count);
  ConvArgs args;
  args.shape = s;
  args.x = x.data;
  args.epilogue.bias_axis = BiasAxis::row, args.epilogue.bias = bias.data,
  args.epilogue.activation = Activation::relu;
  const MatmulKernel* generic = rows[count - 1];
  const auto run = [&](const MatmulKernel& row, float* result, bool timed) {
    Buffer packed(packed_conv_weights_size(s, row)), workspace(conv_workspace_size(s, row) / sizeof(float));
    pack_conv_weights(s, w.data, packed.data, row);
    args.packed_weights = packed.data;
    args.y = result;
    conv_f32(args, workspace.data, row);
    if (!timed) return;
    for (auto _ : state) {
      conv_f32(args, workspace.data, row);
      benchmark::ClobberMemory();
    }
  };
  if (kernel != generic) {
    run(*generic, expected.data, false);
    run(*kernel, y.data, false);
    if (!close(y, expected)) {
      state.SkipWithError("wrong result");
      return;
    }
  }
  run(*kernel, y.data, true);
  report_flops(state, 2.0 * static_cast<double>(s.out_channels * out * taps), kernel->isa_suffix);
}

void bench_unary(benchmark::State& state, const ElementwiseKernels* row, int op) {
  Buffer x(16384), y(16384);
  x.randomize(0.1F, 0.9F);
  for (auto _ : state) {
    row->unary[op](x.data, y.data, 16384, {0.2F, 0.7F});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * 16384);
}
void bench_binary(benchmark::State& state, const ElementwiseKernels* row, int op, int64_t y_stride) {
  Buffer x(16384), y(16384), z(16384);
  x.randomize(0.1F, 0.9F);
  y.randomize(0.1F, 0.9F);
  for (auto _ : state) {
    row->binary[op](x.data, 1, y.data, y_stride, z.data, 16384);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * 16384);
}
void bench_reduce(benchmark::State& state, const ReduceKernels* row, int form, int64_t outer, int64_t n,
                  int64_t inner) {
  Buffer x(static_cast<size_t>(outer * n * inner)), y(x.size);
  x.randomize();
  for (auto _ : state) {
    if (form < kReduceOps) row->reduce[form](x.data, y.data, outer, n, inner);
    if (form == kReduceOps) row->softmax(x.data, y.data, outer, n, inner);
    if (form == kReduceOps + 1) row->layer_norm(x.data, y.data, outer, n, 1e-5F, nullptr, nullptr);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(x.size));
}
void bench_pool(benchmark::State& state, const PoolKernels* row, PoolOp op, PoolShape s) {
  Buffer x(static_cast<size_t>(s.planes * s.in[1] * s.in[2])),
      y(static_cast<size_t>(s.planes * s.out[1] * s.out[2]));
  x.randomize();
  Buffer workspace(pool_workspace_size(s) / sizeof(float));
  for (auto _ : state) {
    pool_f32(op, s, x.data, y.data, workspace.data, row->requires_isa);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(x.size));
}
void bench_transpose(benchmark::State& state, const MoveKernels* row, int64_t rows, int64_t columns) {
  Buffer x(static_cast<size_t>(rows * columns)), y(x.size);
  x.randomize();
  CopyShape s;
  s.rank = 2;
  s.dims[0] = columns, s.dims[1] = rows;
  s.src_strides[0] = 4, s.src_strides[1] = 4 * columns;
  s.dst_strides[0] = 4 * rows, s.dst_strides[1] = 4;
  for (auto _ : state) {
    copy_strided(s, x.data, y.data, row->requires_isa);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(x.size) * 8);
}

ConvShape conv_shape(int64_t in, int64_t out, int64_t groups, int64_t size, int64_t filter, int64_t stride) {
  ConvShape s;
  s.in_channels = in, s.out_channels = out, s.groups = groups;
  for (int axis = 1; axis < 3; ++axis) {
    s.in[axis] = size, s.filter[axis] = filter, s.stride[axis] = stride, s.pad_before[axis] = filter / 2;
    s.out[axis] = (size + 2 * (filter / 2) - filter) / stride + 1;
  }
  return s;
}

template <class Row, class Body>
void for_rows(const Row* const* rows, int count, Body body) {
  for (int i = 0; i < count; ++i) {
    // a row for the Cortex-A53 is a preference and runs on every 64-bit Arm
    if (supports(detected_isa(), rows[i]->requires_isa & ~kFeatureCortexA53)) body(rows[i]);
  }
}

void register_all() {
  int count = 0;
  const MatmulKernel* const* products = matmul_f32_rows(&count);
  for_rows(products, count, [](const MatmulKernel* row) {
    const std::string name = row->name;
    const auto product = [&](const char* what, int64_t m, int64_t n, int64_t k, Packing packing,
                             bool transposed) {
      const std::string title =
          name + "/" + what + "/" + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
      benchmark::RegisterBenchmark(title.c_str(), [=](benchmark::State& state) {
        bench_matmul(state, row, m, n, k, packing, transposed);
      });
    };
    product("square", 512, 512, 512, Packing::none, false);
    product("square_packed_a", 512, 512, 512, Packing::a, false);
    product("square_b_transposed", 512, 512, 512, Packing::none, true);
    product("square_packed_b", 512, 512, 512, Packing::b, false);
    product("square_packed_b", 128, 128, 128, Packing::b, false);
    product("large", 1024, 1024, 1024, Packing::none, false);
    product("small", 64, 64, 64, Packing::none, false);
    product("attention", 128, 128, 64, Packing::none, true);
    product("pointwise", 64, 3136, 64, Packing::a, false);
    product("linear", 128, 3072, 768, Packing::b, false);
    product("thin", 4, 3072, 768, Packing::b, false);
    product("thin_in_place", 4, 3072, 768, Packing::none, false);
    product("thin_transposed", 4, 3072, 768, Packing::none, true);
    product("gemv", 1, 3072, 768, Packing::b, false);
    product("gemv_in_place", 1, 3072, 768, Packing::none, false);
    product("gemv_transposed", 1, 3072, 768, Packing::none, true);
    product("gemv_packed_a", 1000, 1, 1280, Packing::a, false);
    const auto conv = [&](const char* what, ConvShape s) {
      const std::string title = "conv_f32_" + std::string(row->isa_suffix) + "/" + what;
      benchmark::RegisterBenchmark(title.c_str(),
                                   [=](benchmark::State& state) { bench_conv(state, row, s); });
    };
    conv("resnet_stem_7x7s2_3x64x224", conv_shape(3, 64, 1, 224, 7, 2));
    conv("resnet_3x3_64x56", conv_shape(64, 64, 1, 56, 3, 1));
    conv("resnet_3x3_128x28", conv_shape(128, 128, 1, 28, 3, 1));
    conv("resnet_3x3_256x14", conv_shape(256, 256, 1, 14, 3, 1));
    conv("resnet_3x3_512x7", conv_shape(512, 512, 1, 7, 3, 1));
    conv("resnet_1x1_256to64x56", conv_shape(256, 64, 1, 56, 1, 1));
    conv("resnet_1x1s2_256to512x56", conv_shape(256, 512, 1, 56, 1, 2));
    conv("mobilenet_1x1_96to24x56", conv_shape(96, 24, 1, 56, 1, 1));
    conv("mobilenet_1x1_160to960x7", conv_shape(160, 960, 1, 7, 1, 1));
    conv("mobilenet_dw3x3_144x56", conv_shape(144, 144, 144, 56, 3, 1));
    conv("mobilenet_dw3x3s2_96x112", conv_shape(96, 96, 96, 112, 3, 2));
    conv("mobilenet_dw3x3_960x7", conv_shape(960, 960, 960, 7, 3, 1));
    conv("efficientnet_dw5x5_240x28", conv_shape(240, 240, 240, 28, 5, 1));
    ConvShape audio;
    audio.in_channels = 128, audio.out_channels = 128;
    audio.in[2] = 1000, audio.out[2] = 1000, audio.filter[2] = 3, audio.pad_before[2] = 1;
    conv("audio_1d_3_128x1000", audio);
  });
  const ElementwiseKernels* const* elementwise = elementwise_rows(&count);
  for_rows(elementwise, count, [](const ElementwiseKernels* row) {
    const auto unary = [&](const char* name, UnaryOp op) {
      benchmark::RegisterBenchmark(
          (std::string(name) + "_f32_f32_" + row->isa_suffix).c_str(),
          [=](benchmark::State& state) { bench_unary(state, row, static_cast<int>(op)); });
    };
#define NNEFRUN_UNARY(op, ulp, absolute, low, high) unary(#op, UnaryOp::op);
#include "kernels/elementwise/kernels.inc"
    const auto binary = [&](const char* name, BinaryOp op) {
      for (const int64_t stride : {1, 0}) {
        const std::string title =
            std::string(name) + "_f32_f32_f32_" + row->isa_suffix + (stride == 0 ? "/scalar" : "/vector");
        benchmark::RegisterBenchmark(title.c_str(), [=](benchmark::State& state) {
          bench_binary(state, row, static_cast<int>(op), stride);
        });
      }
    };
#define NNEFRUN_BINARY(op) binary(#op, BinaryOp::op);
#include "kernels/elementwise/kernels.inc"
  });
  const ReduceKernels* const* reductions = reduce_rows(&count);
  for_rows(reductions, count, [](const ReduceKernels* row) {
    const auto reduce = [&](const char* name, int form, int64_t outer, int64_t n, int64_t inner) {
      const std::string title = std::string(name) + "_" + row->isa_suffix + "/" + std::to_string(outer) +
                                "x" + std::to_string(n) + "x" + std::to_string(inner);
      benchmark::RegisterBenchmark(
          title.c_str(), [=](benchmark::State& state) { bench_reduce(state, row, form, outer, n, inner); });
    };
#define NNEFRUN_REDUCE(op)                                                      \
  reduce("reduce_" #op "_f32_f32", static_cast<int>(ReduceOp::op), 512, 49, 1); \
  reduce("reduce_" #op "_f32_f32", static_cast<int>(ReduceOp::op), 1, 256, 768);
#include "kernels/reduce/kernels.inc"
    reduce("softmax_f32_f32", kReduceOps, 512, 128, 1);
    reduce("softmax_f32_f32", kReduceOps, 1, 21, 4096);
    reduce("layer_norm_f32_f32", kReduceOps + 1, 128, 768, 1);
  });
  const PoolKernels* const* pools = pool_rows(&count);
  for_rows(pools, count, [](const PoolKernels* row) {
    PoolShape s;
    s.planes = 64;
    for (int axis = 1; axis < 3; ++axis) {
      s.in[axis] = 112, s.out[axis] = 56, s.window[axis] = 3, s.stride[axis] = 2, s.pad_before[axis] = 1;
    }
    const auto pool = [&](const char* name, PoolOp op) {
      benchmark::RegisterBenchmark(
          (std::string("pool_") + name + "_f32_f32_" + row->isa_suffix + "/3x3s2_64x112").c_str(),
          [=](benchmark::State& state) { bench_pool(state, row, op, s); });
    };
#define NNEFRUN_POOL(op) pool(#op, PoolOp::op);
#include "kernels/pool/kernels.inc"
  });
  const RecurrentKernels* const* cells = recurrent_rows(&count);
  for_rows(cells, count, [](const RecurrentKernels* row) {
    const auto cell = [&](const char* name, void (*function)(const CellArgs&), int64_t gates) {
      for (const int64_t hidden : {48, 128}) {
        const std::string title = std::string(name) + "_" + row->isa_suffix + "/1x" + std::to_string(hidden);
        benchmark::RegisterBenchmark(
            title.c_str(), [=](benchmark::State& state) { bench_cell(state, function, gates, 1, hidden); });
      }
    };
    cell("lstm_cell_f32_f32", row->lstm_cell, 4);
    cell("gru_cell_f32_f32", row->gru_cell, 3);
    cell("gru_reset_f32_f32", row->gru_reset, 3);
    cell("gru_update_f32_f32", row->gru_update, 3);
    cell("rnn_tanh_cell_f32_f32", row->rnn_tanh_cell, 1);
    cell("rnn_relu_cell_f32_f32", row->rnn_relu_cell, 1);
  });
  const MoveKernels* const* moves = move_rows(&count);
  for_rows(moves, count, [](const MoveKernels* row) {
    for (const int64_t n : {64, 512, 2048}) {
      benchmark::RegisterBenchmark(
          ("transpose_b32_b32_" + std::string(row->isa_suffix) + "/" + std::to_string(n)).c_str(),
          [=](benchmark::State& state) { bench_transpose(state, row, n, n); });
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (const char* set : {"avx2", "avx512", "neon"}) {
    const bool able = std::string(set) == "avx2"     ? supports(detected_isa(), isa::avx2)
                      : std::string(set) == "avx512" ? supports(detected_isa(), isa::avx512)
                                                     : supports(detected_isa(), isa::neon);
    if (able) std::printf("peak of %s: %.1f GFLOP/s\n", set, peak_of(set));
  }
  register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
