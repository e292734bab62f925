#define NNEFRUN_ISA generic
#define NNEFRUN_MATMUL_NAME matmul_f32_f32_f32_4x8_generic
#include "kernels/vec/generic.h"

namespace nnefrun::kernels {
namespace {
// 8 accumulators, 2 vectors of B, 1 of A in 16 registers.
constexpr int kMr = 4, kVectors = 2, kMc = 64, kKc = 256, kNc = 256;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/matmul/body.h"
