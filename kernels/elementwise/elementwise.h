// Elementwise f32 operations: y[i] = op(x[i]) and z[i] = op(x[i], y[i]), with broadcasting by strides.
//
// Values. Every unary function is defined on all of f32: outside its mathematical domain it gives NaN, NaN
// gives NaN (sign, relu, clamp, clip and the comparisons excepted), overflow gives infinity, and subnormal arguments and results
// are honoured. The largest error of each is its row in kernels.inc. With the notation of C:
//
//   sign             x > 0 ? 1 : x < 0 ? -1 : 0            (NaN gives 0)
//   rsqr             1 / (x*x)
//   clamp            max(min(x, b), a)                     (max and min as below: NaN gives b)
//   clip             min(max(x, a), b)                     (NaN gives a)
//   relu             x > 0 ? x : 0                         (NaN and -0 give 0)
//   leaky_relu       x < 0 ? a*x : x
//   elu              x < 0 ? a*(exp(x)-1) : x
//   selu             l*(x < 0 ? s*(exp(x)-1) : x), l = 1.0507009873554805, s = 1.6732632423543772
//   softplus         log(1 + exp(x))
//   hard_sigmoid     min(max(x/6 + 0.5, 0), 1)
//   hard_swish       x * hard_sigmoid(x)
//   mish             x * tanh(softplus(x))
//   round_half_away  C's round;  round_half_even  C's nearbyint;  round_half_up  floor(x + 0.5) without the
//   double rounding min, max         x < y ? x : y,  x > y ? x : y         (the definition by `select` of
//   NNEF 1.0.5 section 4.3: when
//                    either is NaN, y)
//   min_number, max_number   IEEE 754 minNum, maxNum: the one that is not NaN (tract's min and max)
//   squared_difference       (x - y)^2
//   prelu            x < 0 ? x * y : x
//   pow              C's powf
//
// REQUIRES, everywhere: the result is either the same memory as an operand with the same strides, or disjoint
// from it. Threads: pure functions; split the range as you like.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace nnefrun::kernels {

enum class UnaryOp : uint8_t {
#define NNEFRUN_UNARY(op, ulp, absolute, low, high) op,
#include "kernels/elementwise/kernels.inc"
};
enum class BinaryOp : uint8_t {
#define NNEFRUN_BINARY(op) op,
#include "kernels/elementwise/kernels.inc"
};
enum class CompareOp : uint8_t {
#define NNEFRUN_COMPARE(op) op,
#include "kernels/elementwise/kernels.inc"
};
inline constexpr int kUnaryOps = 0
#define NNEFRUN_UNARY(op, ulp, absolute, low, high) +1
#include "kernels/elementwise/kernels.inc"
    ;
inline constexpr int kBinaryOps = 0
#define NNEFRUN_BINARY(op) +1
#include "kernels/elementwise/kernels.inc"
    ;
inline constexpr int kCompareOps = 0
#define NNEFRUN_COMPARE(op) +1
#include "kernels/elementwise/kernels.inc"
    ;

struct UnaryParams {
  float a = 0.0F, b = 0.0F;
};

// y[i] = op(x[i]), 0 <= i < n.
void unary_f32(UnaryOp op, const float* x, float* y, int64_t n, UnaryParams params = {},
               IsaFeatures features = host_isa());

// Two operands and a result over one index space. Strides in items; 0 broadcasts an operand. Axes of extent 1
// and axes that can be merged are removed before the loops start, so callers may pass the shapes as they are.
struct BinaryShape {
  int rank = 0;  // at most 8
  int64_t dims[8] = {};
  int64_t x_strides[8] = {}, y_strides[8] = {}, z_strides[8] = {};
};
void binary_f32(BinaryOp op, const BinaryShape& shape, const float* x, const float* y, float* z,
                IsaFeatures features = host_isa());
void compare_f32(CompareOp op, const BinaryShape& shape, const float* x, const float* y, uint8_t* z,
                 IsaFeatures features = host_isa());

// z = condition ? x : y; the condition holds bytes, 0 is false.
struct SelectShape {
  int rank = 0;
  int64_t dims[8] = {};
  int64_t condition_strides[8] = {}, x_strides[8] = {}, y_strides[8] = {}, z_strides[8] = {};
};
void select_f32(const SelectShape& shape, const uint8_t* condition, const float* x, const float* y, float* z,
                IsaFeatures features = host_isa());

// The inner loops of one ISA: what the functions above call once the index space is down to rows.
struct ElementwiseKernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  void (*unary[kUnaryOps])(const float* x, float* y, int64_t n, UnaryParams params);
  // Operand strides 0 or 1, result stride 1.
  void (*binary[kBinaryOps])(const float* x, int64_t x_stride, const float* y, int64_t y_stride, float* z,
                             int64_t n);
  void (*compare[kCompareOps])(const float* x, int64_t x_stride, const float* y, int64_t y_stride, uint8_t* z,
                               int64_t n);
  void (*select)(const uint8_t* condition, const float* x, int64_t x_stride, const float* y, int64_t y_stride,
                 float* z, int64_t n);
};
const ElementwiseKernels& choose_elementwise(IsaFeatures features = host_isa());
const ElementwiseKernels* const* elementwise_rows(int* count);

}  // namespace nnefrun::kernels
