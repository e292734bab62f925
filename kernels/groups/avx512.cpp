#define NNEFRUN_ISA avx512
#include "kernels/vec/avx512.h"

namespace nnefrun::kernels {
namespace {

constexpr int kRows = 4, kCols = 2, kVectorCols = 2, kChains = 2;
constexpr int kFewRows = 12;

typedef V Table;
NNEFRUN_INLINE Table load_table(const float* book) { return vload(book); }
NNEFRUN_INLINE V look_up(Table table, I codes) { return _mm512_permutexvar_ps(codes, table); }
NNEFRUN_INLINE V look_up_far(const float* book, I codes) { return _mm512_i32gather_ps(codes, book, 4); }

}  // namespace
}  // namespace nnefrun::kernels

#include "kernels/groups/body.h"
