// Products of unsigned with signed bytes by matrix instructions. No machine has run them, an emulator has:
// the row is not chosen, and machines that could take it use dot products (neon_dotprod).
#define NNEFRUN_ISA neon_i8mm
#define NNEFRUN_UNVERIFIED
#define NNEFRUN_OWN_PRODUCT "kernels/int8/i8mm_product.inc"
#define NNEFRUN_OWN_TILES
#include "kernels/int8/ops_neon.h"

namespace nnefrun::kernels {
namespace {

constexpr int kGroup = 8, kRows = 8, kVectors = 1;
constexpr bool kWidens = false;
constexpr int kOffset = 0, kSlack = 0;

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/int8/body.h"
