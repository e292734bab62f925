// Reductions, softmax and row normalisation over f32, on an index space [outer, n, inner] whose middle axis
// is consumed (reduce, arg) or normalised over (softmax). Adjacent axes that play the same part are merged by
// the caller.
//
//   reduce      y[o,i]   = op over j of x[o,j,i]
//   arg         y[o,i]   = the smallest (or largest) j at which x[o,j,i] is extreme
//   softmax     y[o,j,i] = exp(x[o,j,i] - M) / sum over j of exp(x[o,j,i] - M),  M = max over j of x[o,j,i]
//   log_softmax y[o,j,i] = x[o,j,i] - M - log(sum over j of exp(x[o,j,i] - M))
//   layer_norm  y[r,j]   = (x[r,j] - mean) / sqrt(variance + eps) * scale[j] + offset[j],  variance with
//   divisor n rms_norm    y[r,j]   = x[r,j] / sqrt(mean over j of x[r,j]^2 + eps) * scale[j]
//
// Summation: over contiguous data, four vectors of partial sums, folded every 512 items into a compensated
// (Kahan) total, and pairwise across lanes at the end. Over strided data (inner > 1) blocks of 32 items are
// summed in order into a compensated total. So the error does not grow with n. Variances are computed about
// the mean, in two passes.
//
// Empty (n = 0): sum 0, sum_of_squares 0, mean NaN, max the lowest and min the highest finite number; arg gives 0; softmax writes
// nothing. NaN: max and min give NaN if any item is NaN; arg gives the first NaN. In softmax a NaN makes its
// whole row NaN; a row of -infinity gives NaN, as the formula says.
//
// Threads: pure functions; split along outer. y may be x in softmax, log_softmax and the norms.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace nnefrun::kernels {

enum class ReduceOp : uint8_t {
#define NNEFRUN_REDUCE(op) op,
#include "kernels/reduce/kernels.inc"
};
inline constexpr int kReduceOps = 0
#define NNEFRUN_REDUCE(op) +1
#include "kernels/reduce/kernels.inc"
    ;

void reduce_f32(ReduceOp op, const float* x, float* y, int64_t outer, int64_t n, int64_t inner,
                IsaFeatures features = host_isa());
// take_last: among equal extremes, the last one instead of the first.
void argmax_f32(const float* x, int64_t* y, int64_t outer, int64_t n, int64_t inner, bool take_last = false,
                IsaFeatures features = host_isa());
void argmin_f32(const float* x, int64_t* y, int64_t outer, int64_t n, int64_t inner, bool take_last = false,
                IsaFeatures features = host_isa());
void softmax_f32(const float* x, float* y, int64_t outer, int64_t n, int64_t inner,
                 IsaFeatures features = host_isa());
void log_softmax_f32(const float* x, float* y, int64_t outer, int64_t n, int64_t inner,
                     IsaFeatures features = host_isa());
// scale and offset hold n items each, or are null (1 and 0). Rows are contiguous.
void layer_norm_f32(const float* x, float* y, int64_t rows, int64_t n, float eps, const float* scale,
                    const float* offset, IsaFeatures features = host_isa());
void rms_norm_f32(const float* x, float* y, int64_t rows, int64_t n, float eps, const float* scale,
                  IsaFeatures features = host_isa());

struct ReduceKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  void (*reduce[kReduceOps])(const float* x, float* y, int64_t outer, int64_t n, int64_t inner);
  void (*softmax)(const float* x, float* y, int64_t outer, int64_t n, int64_t inner);
  void (*log_softmax)(const float* x, float* y, int64_t outer, int64_t n, int64_t inner);
  void (*argmax)(const float* x, int64_t* y, int64_t outer, int64_t n, int64_t inner, bool take_last);
  void (*argmin)(const float* x, int64_t* y, int64_t outer, int64_t n, int64_t inner, bool take_last);
  void (*layer_norm)(const float* x, float* y, int64_t rows, int64_t n, float eps, const float* scale,
                     const float* offset);
  void (*rms_norm)(const float* x, float* y, int64_t rows, int64_t n, float eps, const float* scale);
};
const ReduceKernels& choose_reduce(IsaFeatures features = host_isa());
const ReduceKernels* const* reduce_rows(int* count);

}  // namespace nnefrun::kernels
