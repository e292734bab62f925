#define NNEFRUN_ISA avx2
#include "kernels/vec/avx2.h"

namespace nnefrun::kernels {
namespace {
constexpr int kTileRows = 6;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/attention/body.h"
