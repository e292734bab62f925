// The row for in-order cores, the Cortex-A53 above all: products in assembly in an order made for it.
#define NNEFRUN_ISA neon_a53
#define NNEFRUN_OWN_PRODUCT "kernels/int8/a53_product.inc"
#define NNEFRUN_OWN_TILES
#include "kernels/int8/ops_neon.h"

namespace nnefrun::kernels {
namespace {

constexpr int kGroup = 1, kRows = 8, kVectors = 1;
constexpr bool kWidens = true;
constexpr int kOffset = 0;
constexpr int kSlack =
    96;  // the loops load a turn ahead, and one row takes eight steps of the depth at a time

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/int8/body.h"
