#include "kernels/reduce/reduce.h"

#include "kernels/choose.h"

namespace nnefrun::kernels {

#define NNEFRUN_FLOAT_ISA(suffix) extern const ReduceKernels reduce_##suffix;
#include "kernels/float_isas.inc"

namespace {

const ReduceKernels* const kRows[] = {
#define NNEFRUN_FLOAT_ISA(suffix) &reduce_##suffix,
#include "kernels/float_isas.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

}  // namespace

const ReduceKernels& choose_reduce(IsaFeatures features) { return choose_row(kRows, kRowCount, features); }

const ReduceKernels* const* reduce_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

void reduce_f32(ReduceOp op, const float* x, float* y, int64_t outer, int64_t n, int64_t inner,
                IsaFeatures features) {
  choose_reduce(features).reduce[static_cast<int>(op)](x, y, outer, n, inner);
}
void argmax_f32(const float* x, int64_t* y, int64_t outer, int64_t n, int64_t inner, bool take_last,
                IsaFeatures features) {
  choose_reduce(features).argmax(x, y, outer, n, inner, take_last);
}
void argmin_f32(const float* x, int64_t* y, int64_t outer, int64_t n, int64_t inner, bool take_last,
                IsaFeatures features) {
  choose_reduce(features).argmin(x, y, outer, n, inner, take_last);
}
void softmax_f32(const float* x, float* y, int64_t outer, int64_t n, int64_t inner, IsaFeatures features) {
  choose_reduce(features).softmax(x, y, outer, n, inner);
}
void log_softmax_f32(const float* x, float* y, int64_t outer, int64_t n, int64_t inner,
                     IsaFeatures features) {
  choose_reduce(features).log_softmax(x, y, outer, n, inner);
}
void layer_norm_f32(const float* x, float* y, int64_t rows, int64_t n, float eps, const float* scale,
                    const float* offset, IsaFeatures features) {
  choose_reduce(features).layer_norm(x, y, rows, n, eps, scale, offset);
}
void rms_norm_f32(const float* x, float* y, int64_t rows, int64_t n, float eps, const float* scale,
                  IsaFeatures features) {
  choose_reduce(features).rms_norm(x, y, rows, n, eps, scale);
}

}  // namespace nnefrun::kernels
