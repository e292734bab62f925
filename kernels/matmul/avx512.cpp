#define NNEFRUN_ISA avx512
#define NNEFRUN_MATMUL_NAME matmul_f32_f32_f32_12x32_avx512
#include "kernels/vec/avx512.h"

namespace nnefrun::kernels {
namespace {
// 24 accumulators, 2 vectors of B, 1 of A. A block 144 KB (second cache), B panel 32 KB, B block 1 MB.
constexpr int kMr = 12, kMc = 144, kKc = 256, kNc = 1024;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/matmul/body.h"
