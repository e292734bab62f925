#define NNEFRUN_ISA avx512
#define NNEFRUN_MATMUL_NAME matmul_f32_f32_f32_14x32_avx512
#include "kernels/vec/avx512.h"

namespace nnefrun::kernels {
namespace {
// 28 accumulators, 2 vectors of B, 1 of A. A block 430 KB and B block 768 KB (second cache). Neither a panel
// of B (96 KB) nor one of A stays in the first cache: a step of 14 cycles or more needs 184 bytes of the
// second.
constexpr int kMr = 14, kVectors = 2, kMc = 140, kKc = 768, kNc = 256;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/matmul/x86_loops.h"

#include "kernels/matmul/body.h"
