#include "kernels/rope/rope.h"

#include "kernels/choose.h"

namespace nnefrun::kernels {

#define NNEFRUN_FLOAT_ISA(suffix) extern const RopeKernels rope_##suffix;
#include "kernels/float_isas.inc"

namespace {

const RopeKernels* const kRows[] = {
#define NNEFRUN_FLOAT_ISA(suffix) &rope_##suffix,
#include "kernels/float_isas.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

}  // namespace

const RopeKernels& choose_rope(IsaFeatures features) { return choose_row(kRows, kRowCount, features); }

const RopeKernels* const* rope_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

}  // namespace nnefrun::kernels
