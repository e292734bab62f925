#include "kernels/resample/resample.h"

#include "kernels/choose.h"

namespace nnefrun::kernels {

#define NNEFRUN_FLOAT_ISA(suffix) extern const ResampleKernels resample_##suffix;
#include "kernels/float_isas.inc"

namespace {

const ResampleKernels* const kRows[] = {
#define NNEFRUN_FLOAT_ISA(suffix) &resample_##suffix,
#include "kernels/float_isas.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

}  // namespace

const ResampleKernels& choose_resample(IsaFeatures features) {
  return choose_row(kRows, kRowCount, features);
}

const ResampleKernels* const* resample_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

void resample_f32(const ResampleAxis& axis, const float* x, float* y, IsaFeatures features) {
  choose_resample(features).resample(axis, x, y);
}

}  // namespace nnefrun::kernels
