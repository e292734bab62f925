#define NNEFRUN_ISA avx512
#include "kernels/vec/avx512.h"

namespace nnefrun::kernels {
namespace {
// 28 accumulators, 2 vectors of rows, 1 item. A block of keys 28 KB for a width of 64: it stays in the first
// cache.
constexpr int kMr = 14;
constexpr int64_t kKeyBlock = 112;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/matmul/x86_loops.h"

#include "kernels/attention/body.h"
