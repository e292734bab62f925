#define NNEFRUN_ISA avx2
#include "kernels/vec/avx2.h"

namespace nnefrun::kernels {
namespace {
// 12 accumulators, 2 vectors of rows, 1 item. A block of keys 24 KB for a width of 64: it stays in the first
// cache.
constexpr int kMr = 6;
constexpr int64_t kKeyBlock = 96;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/matmul/x86_loops.h"

#include "kernels/attention/body.h"
