#define NNEFRUN_ISA generic
#include "kernels/vec/generic.h"

namespace nnefrun::kernels {
namespace {

constexpr int kRows = 4, kCols = 1, kVectorCols = 2;

typedef I Sums;
NNEFRUN_INLINE Sums sums_zero() { return iset(0); }
NNEFRUN_INLINE I codes_low(I codes) { return iand(codes, iset(0x0F0F0F0F)); }
NNEFRUN_INLINE I codes_high(I codes) { return iand(ishr<4>(codes), iset(0x0F0F0F0F)); }
NNEFRUN_INLINE Sums sums_dot(Sums s, I u, I q) {
  s = iadd(s, iand(u, iset(255)) * isar<24>(ishl<24>(q)));
  s = iadd(s, iand(ishr<8>(u), iset(255)) * isar<24>(ishl<16>(q)));
  s = iadd(s, iand(ishr<16>(u), iset(255)) * isar<24>(ishl<8>(q)));
  return iadd(s, ishr<24>(u) * isar<24>(q));
}
NNEFRUN_INLINE I sums_total(Sums s) { return s; }

NNEFRUN_INLINE void store_bytes(int8_t* to, const I* whole) {
  for (int i = 0; i < 32; ++i) to[i] = static_cast<int8_t>(whole[i / kLanes][i % kLanes]);
}

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/q40_q80/body.h"
