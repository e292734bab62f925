#include "kernels/blocked/blocked.h"

#include <cassert>

#include "kernels/blocked/rows.h"
#include "kernels/built_isas.h"
#include "kernels/choose.h"

namespace nnefrun::kernels {

#define NNEFRUN_FLOAT_ISA(suffix) extern const BlockedKernels blocked_##suffix;
#include "kernels/float_isas.inc"
#if NNEFRUN_HAS_neon_a53
extern const BlockedKernels blocked_neon_a53;
#endif

namespace {

const BlockedKernels* const kRows[] = {
#if NNEFRUN_HAS_neon_a53
    &blocked_neon_a53,
#endif
#define NNEFRUN_FLOAT_ISA(suffix) &blocked_##suffix,
#include "kernels/float_isas.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

// Null: not available.
const BlockedMethodRow* row_of(BlockedMethod method) {
  switch (method) {
    case BlockedMethod::direct: return &kBlockedDirect;
    case BlockedMethod::depthwise: return &kBlockedDepthwise;
    case BlockedMethod::winograd_2: return &kBlockedWinograd2;
    case BlockedMethod::winograd_4: return &kBlockedWinograd4;
  }
  return nullptr;
}
const BlockedMethodRow& known_row_of(BlockedMethod method) {
  const BlockedMethodRow* row = row_of(method);
  assert(row != nullptr);
  return *row;
}

bool is_empty(const ConvShape& s) {
  return s.batch == 0 || s.out_channels == 0 || blocked_volume(s.out) == 0;
}

}  // namespace

const BlockedKernels& choose_blocked(IsaFeatures features) { return choose_row(kRows, kRowCount, features); }
const BlockedKernels* const* blocked_rows(int* count) {
  *count = kRowCount;
  return kRows;
}
int64_t channel_block(const BlockedKernels& kernels) { return kernels.block; }

bool blocked_conv_takes(const ConvShape& shape, BlockedMethod method, bool x_is_plain,
                        const BlockedKernels& kernels) {
  const BlockedMethodRow* row = row_of(method);
  return row != nullptr && row->takes(shape, x_is_plain, kernels);
}

BlockedMethod choose_blocked_method(const ConvShape& shape, bool winograd, const BlockedKernels& kernels) {
  if (kBlockedDepthwise.takes(shape, false, kernels)) return BlockedMethod::depthwise;
  if (winograd && kBlockedWinograd2.takes(shape, false, kernels)) return choose_winograd(shape, kernels);
  return BlockedMethod::direct;
}

size_t packed_blocked_conv_size(const ConvShape& shape, BlockedMethod method, bool x_is_plain,
                                const BlockedKernels& kernels) {
  return known_row_of(method).packed_size(shape, x_is_plain, kernels);
}
void pack_blocked_conv(const ConvShape& shape, BlockedMethod method, bool x_is_plain, const float* weights,
                       float* packed, const BlockedKernels& kernels) {
  known_row_of(method).pack(shape, x_is_plain, weights, packed, kernels);
}
size_t blocked_conv_workspace_size(const ConvShape& shape, BlockedMethod method, bool x_is_plain,
                                   const BlockedKernels& kernels) {
  if (is_empty(shape)) return 0;
  return known_row_of(method).workspace_size(shape, x_is_plain, kernels);
}
int64_t blocked_conv_tasks(const ConvShape& shape, BlockedMethod method, const BlockedKernels& kernels) {
  if (is_empty(shape)) return 0;
  return known_row_of(method).tasks(shape, kernels);
}
void blocked_conv(const BlockedConvArgs& args, int64_t task_begin, int64_t task_end, void* workspace,
                  const BlockedKernels& kernels) {
  assert(args.epilogue.bias_axis != BiasAxis::column);
  if (task_begin >= task_end) return;
  known_row_of(args.method).run(args, task_begin, task_end, workspace, kernels);
}

void blocked_pool(PoolOp op, const PoolShape& shape, const float* x, float* y, int64_t plane_begin,
                  int64_t plane_end, const BlockedKernels& kernels) {
  kernels.pool(op, shape, x, y, plane_begin, plane_end);
}
void blocked_sum(const float* x, int64_t planes, int64_t positions, float scale, float* y,
                 const BlockedKernels& kernels) {
  kernels.sum(x, planes, positions, scale, y);
}
void blocked_gate(BlockedGate op, const float* x, const float* y, float* z, int64_t planes, int64_t positions,
                  const BlockedKernels& kernels) {
  kernels.gate(op, x, y, z, planes, positions);
}
void block_channels(const float* plain, float* blocked, int64_t images, int64_t channels, int64_t positions,
                    const BlockedKernels& kernels) {
  const int64_t stored = blocked_ceil(channels, kernels.block) * kernels.block;
  for (int64_t i = 0; i < images; ++i) {
    kernels.block_channels(plain + i * channels * positions, blocked + i * stored * positions, channels,
                           positions);
  }
}
void unblock_channels(const float* blocked, float* plain, int64_t images, int64_t channels, int64_t positions,
                      const BlockedKernels& kernels) {
  const int64_t stored = blocked_ceil(channels, kernels.block) * kernels.block;
  for (int64_t i = 0; i < images; ++i) {
    kernels.unblock_channels(blocked + i * stored * positions, plain + i * channels * positions, channels,
                             positions);
  }
}

}  // namespace nnefrun::kernels
