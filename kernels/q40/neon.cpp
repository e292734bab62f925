#define NNEFRUN_ISA neon
#include "kernels/vec/neon.h"

namespace nnefrun::kernels {
namespace {

constexpr int kRows = 4, kCols = 2, kVectorCols = 4, kChains = 1;
constexpr int kFewRows = 12;

template <int kCode>
NNEFRUN_INLINE V weight(I codes) {
  return vfrom_int(isub(iand(ishr<4 * kCode>(codes), iset(15)), iset(8)));
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/q40/body.h"
