#define NNEFRUN_ISA neon
#include "kernels/vec/neon.h"

namespace nnefrun::kernels {
namespace {
// 16 accumulators, 2 vectors of rows, 2 of items.
constexpr int kMr = 8;
constexpr int64_t kKeyBlock = 96;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/attention/body.h"
