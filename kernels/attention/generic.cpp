#define NNEFRUN_ISA generic
#include "kernels/vec/generic.h"

namespace nnefrun::kernels {
namespace {
constexpr int kTileRows = 4;
}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/attention/body.h"
