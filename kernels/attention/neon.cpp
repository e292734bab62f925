#define NNEFRUN_ISA neon
#include "kernels/vec/neon.h"

namespace nnefrun::kernels {
namespace {
constexpr int kTileRows = 8;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/attention/body.h"
