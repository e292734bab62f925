#define NNEFRUN_ISA avx2
#define NNEFRUN_MATMUL_NAME matmul_f32_f32_f32_6x16_avx2
#include "kernels/vec/avx2.h"

namespace nnefrun::kernels {
namespace {
// 12 accumulators, 2 vectors of B, 1 of A. A block 180 KB, B panel 24 KB (first cache), B block 768 KB.
constexpr int kMr = 6, kVectors = 2, kMc = 120, kKc = 384, kNc = 512;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/matmul/x86_loops.h"

#include "kernels/matmul/body.h"
