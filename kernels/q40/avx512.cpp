#define NNEFRUN_ISA avx512
#include "kernels/vec/avx512.h"

namespace nnefrun::kernels {
namespace {

constexpr int kRows = 4, kCols = 2, kVectorCols = 2, kChains = 2;
constexpr int kFewRows = 12;

// A table look-up by the low four bits of each lane.
template <int kCode>
NNEFRUN_INLINE V weight(I codes) {
  const V table = _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7);
  return _mm512_permutexvar_ps(kCode == 0 ? codes : ishr<4 * kCode>(codes), table);
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/q40/body.h"
