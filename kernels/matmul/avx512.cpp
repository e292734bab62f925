#define NNEFRUN_ISA avx512
#define NNEFRUN_MATMUL_NAME matmul_f32_f32_f32_12x32_avx512
#include "kernels/vec/avx512.h"

namespace nnefrun::kernels {
namespace {
// 24 accumulators, 2 vectors of B, 1 of A. A block 216 KB and B block 768 KB (second cache); the B panel, 48
// KB, streams.
constexpr int kMr = 12, kVectors = 2, kMc = 144, kKc = 384, kNc = 512;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/matmul/body.h"
