#define NNEFRUN_ISA neon
#define NNEFRUN_MATMUL_NAME matmul_f32_f32_f32_8x8_neon
#include "kernels/vec/neon.h"

namespace nnefrun::kernels {
namespace {
// 16 accumulators, 2 vectors of B, 2 of A. For small cores: A block 64 KB, B panel 8 KB, B block 256 KB.
constexpr int kMr = 8, kMc = 64, kKc = 256, kNc = 256;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/matmul/body.h"
