#define NNEFRUN_ISA avx2
#define NNEFRUN_MATMUL_NAME matmul_f32_f32_f32_6x16_avx2
#include "kernels/vec/avx2.h"

namespace nnefrun::kernels {
namespace {
// 12 accumulators, 2 vectors of B, 1 of A. A block 120 KB (second cache), B panel 16 KB, B block 1 MB.
constexpr int kMr = 6, kMc = 120, kKc = 256, kNc = 1024;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/matmul/body.h"
