#define NNEFRUN_ISA neon
#define NNEFRUN_MATMUL_NAME matmul_f32_f32_f32_8x12_neon
#include "kernels/vec/neon.h"

namespace nnefrun::kernels {
namespace {
// 24 accumulators, 3 vectors of B, 2 of A. For small cores: A block 64 KB, B panel 12 KB, B block 252 KB.
constexpr int kMr = 8, kVectors = 3, kMc = 64, kKc = 256, kNc = 252;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/matmul/body.h"
