#define NNEFRUN_ISA generic
#include "kernels/vec/generic.h"

namespace nnefrun::kernels {
namespace {
// 8 accumulators.
constexpr int kMr = 4;
constexpr int64_t kKeyBlock = 96;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/attention/body.h"
