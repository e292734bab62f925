#define NNEFRUN_ISA avx2
#include "kernels/vec/avx2.h"

namespace nnefrun::kernels {
namespace {

constexpr int kRows = 4, kCols = 1, kVectorCols = 2, kChains = 2;
constexpr int kFewRows = 12;

// Two halves, chosen by bit 3 of the code.
struct Table {
  V low, high;
};
NNEFRUN_INLINE Table load_table(const float* book) { return {vload(book), vload(book + 8)}; }
NNEFRUN_INLINE V look_up(const Table& table, I codes) {
  const V low = _mm256_permutevar8x32_ps(table.low, codes),
          high = _mm256_permutevar8x32_ps(table.high, codes);
  return _mm256_blendv_ps(low, high, vfrom_bits(ishl<28>(codes)));
}
NNEFRUN_INLINE V look_up_far(const float* book, I codes) { return _mm256_i32gather_ps(book, codes, 4); }

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/groups/body.h"
