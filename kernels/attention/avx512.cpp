#define NNEFRUN_ISA avx512
#include "kernels/vec/avx512.h"

namespace nnefrun::kernels {
namespace {
constexpr int kTileRows = 12;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/attention/body.h"
