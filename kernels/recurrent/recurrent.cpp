#include "kernels/recurrent/recurrent.h"

#include "kernels/choose.h"

namespace nnefrun::kernels {

#define NNEFRUN_FLOAT_ISA(suffix) extern const RecurrentKernels recurrent_##suffix;
#include "kernels/float_isas.inc"

namespace {

const RecurrentKernels* const kRows[] = {
#define NNEFRUN_FLOAT_ISA(suffix) &recurrent_##suffix,
#include "kernels/float_isas.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

}  // namespace

const RecurrentKernels& choose_recurrent(IsaFeatures features) {
  return choose_row(kRows, kRowCount, features);
}

const RecurrentKernels* const* recurrent_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

}  // namespace nnefrun::kernels
