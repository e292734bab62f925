#define NNEFRUN_ISA avx2
#include "kernels/vec/avx2.h"

namespace nnefrun::kernels {
namespace {

constexpr int kRows = 4, kCols = 1, kVectorCols = 2, kChains = 2;
constexpr int kFewRows = 12;

// The lower bits of 2^23 + code: no conversion, which would take the units of the multiplications.
template <int kCode>
NNEFRUN_INLINE V weight(I codes) {
  const I code = iand(kCode == 0 ? codes : ishr<4 * kCode>(codes), iset(15));
  return vfrom_bits(ior(code, iset(0x4B000000))) - vset(8388616.0F);
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/q40/body.h"
