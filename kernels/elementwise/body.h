// The elementwise rows, written once over the vector of kernels/vec.h. An ISA file defines NNEFRUN_ISA and
// includes its vector, then this.
#pragma once

#include <math.h>

#include "kernels/elementwise/elementwise.h"
#include "kernels/vec_math.h"

namespace nnefrun::kernels {
namespace {

// Lane by lane through the C library, for functions that are rare in networks.
template <float (*kFunction)(float)>
NNEFRUN_INLINE V by_lane(V x) {
  float lanes[kLanes];
  vstore(lanes, x);
  for (float& lane : lanes) lane = kFunction(lane);
  return vload(lanes);
}

#define NNEFRUN_UNARY_BODY(op, expression)                                   \
  struct Unary_##op {                                                        \
    NNEFRUN_INLINE static V apply(V x, UnaryParams p) { return expression; } \
  }
NNEFRUN_UNARY_BODY(copy, x);
NNEFRUN_UNARY_BODY(neg, vneg(x));
NNEFRUN_UNARY_BODY(abs, vabs(x));
NNEFRUN_UNARY_BODY(sign, vselect(vlt(vset(0.0F), x), vset(1.0F),
                                 vselect(vlt(x, vset(0.0F)), vset(-1.0F), vset(0.0F))));
NNEFRUN_UNARY_BODY(rcp, vset(1.0F) / x);
NNEFRUN_UNARY_BODY(sqr, x* x);
NNEFRUN_UNARY_BODY(sqrt, vsqrt(x));
NNEFRUN_UNARY_BODY(rsqr, vset(1.0F) / (x * x));
NNEFRUN_UNARY_BODY(rsqrt, vset(1.0F) / vsqrt(x));
NNEFRUN_UNARY_BODY(exp, vexp(x));
NNEFRUN_UNARY_BODY(log, vlog(x));
NNEFRUN_UNARY_BODY(log2, vlog2(x));
NNEFRUN_UNARY_BODY(sin, by_lane<::sinf>(x));
NNEFRUN_UNARY_BODY(cos, by_lane<::cosf>(x));
NNEFRUN_UNARY_BODY(tan, by_lane<::tanf>(x));
NNEFRUN_UNARY_BODY(asin, by_lane<::asinf>(x));
NNEFRUN_UNARY_BODY(acos, by_lane<::acosf>(x));
NNEFRUN_UNARY_BODY(atan, by_lane<::atanf>(x));
NNEFRUN_UNARY_BODY(sinh, by_lane<::sinhf>(x));
NNEFRUN_UNARY_BODY(cosh, by_lane<::coshf>(x));
NNEFRUN_UNARY_BODY(tanh, vtanh(x));
NNEFRUN_UNARY_BODY(asinh, by_lane<::asinhf>(x));
NNEFRUN_UNARY_BODY(acosh, by_lane<::acoshf>(x));
NNEFRUN_UNARY_BODY(atanh, by_lane<::atanhf>(x));
NNEFRUN_UNARY_BODY(sigmoid, vsigmoid(x));
NNEFRUN_UNARY_BODY(silu, vsilu(x));
NNEFRUN_UNARY_BODY(erf, verf(x));
NNEFRUN_UNARY_BODY(gelu_erf, vgelu_erf(x));
NNEFRUN_UNARY_BODY(gelu_tanh, vgelu_tanh(x));
NNEFRUN_UNARY_BODY(relu, vrelu(x));
NNEFRUN_UNARY_BODY(clamp, vclamp(x, p.a, p.b));
NNEFRUN_UNARY_BODY(clip, vclip(x, p.a, p.b));
NNEFRUN_UNARY_BODY(leaky_relu, vleaky_relu(x, p.a));
NNEFRUN_UNARY_BODY(elu, velu(x, p.a));
NNEFRUN_UNARY_BODY(selu, vselu(x));
NNEFRUN_UNARY_BODY(softplus, vsoftplus(x));
NNEFRUN_UNARY_BODY(hard_sigmoid, vhard_sigmoid(x));
NNEFRUN_UNARY_BODY(hard_swish, vhard_swish(x));
NNEFRUN_UNARY_BODY(floor, vfloor(x));
NNEFRUN_UNARY_BODY(ceil, vceil(x));
NNEFRUN_UNARY_BODY(round_half_even, vround(x));
NNEFRUN_UNARY_BODY(exp2, vexp2(x));
NNEFRUN_UNARY_BODY(log10, vlog10(x));
NNEFRUN_UNARY_BODY(mish, vmish(x));
#undef NNEFRUN_UNARY_BODY

// x - trunc(x) is exact, so comparing it with one half sees no rounding: 0.49999997 stays 0.
struct Unary_round_half_away {
  NNEFRUN_INLINE static V apply(V x, UnaryParams) {
    const V whole = vtrunc(x);
    const M up = vle(vset(0.5F), vabs(x - whole));
    return vcopysign(vselect(up, vabs(whole) + vset(1.0F), whole), x);
  }
};
struct Unary_round_half_up {
  NNEFRUN_INLINE static V apply(V x, UnaryParams) {
    const V whole = vfloor(x);
    // + 0 makes a +0 of -0, as x + 0.5 does
    return vselect(vle(vset(0.5F), x - whole), whole + vset(1.0F), whole) + vset(0.0F);
  }
};

template <class Op>
void unary_row(const float* x, float* y, int64_t n, UnaryParams params) {
  int64_t i = 0;
  // two at a time: an in-order core fills the latency of one chain with the other
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    const V first = Op::apply(vload(x + i), params), second = Op::apply(vload(x + i + kLanes), params);
    vstore(y + i, first);
    vstore(y + i + kLanes, second);
  }
  for (; i < n; i += kLanes) {
    const int64_t left = n - i < kLanes ? n - i : kLanes;
    vstore_n(y + i, Op::apply(vload_n(x + i, left), params), left);
  }
}

#define NNEFRUN_BINARY_BODY(op, expression)                        \
  struct Binary_##op {                                             \
    NNEFRUN_INLINE static V apply(V x, V y) { return expression; } \
  }
NNEFRUN_BINARY_BODY(add, x + y);
NNEFRUN_BINARY_BODY(sub, x - y);
NNEFRUN_BINARY_BODY(mul, x* y);
NNEFRUN_BINARY_BODY(div, x / y);
NNEFRUN_BINARY_BODY(min, vmin(x, y));
NNEFRUN_BINARY_BODY(max, vmax(x, y));
NNEFRUN_BINARY_BODY(min_number, vselect(vunord(y, y), x, vmin(x, y)));
NNEFRUN_BINARY_BODY(max_number, vselect(vunord(y, y), x, vmax(x, y)));
NNEFRUN_BINARY_BODY(squared_difference, (x - y) * (x - y));
NNEFRUN_BINARY_BODY(prelu, vselect(vlt(x, vset(0.0F)), x* y, x));
#undef NNEFRUN_BINARY_BODY

struct Binary_pow {
  NNEFRUN_INLINE static V apply(V x, V y) {
    if (mall(veq(y, vset(2.0F)))) return x * x;
    float base[kLanes], exponent[kLanes];
    vstore(base, x);
    vstore(exponent, y);
    for (int i = 0; i < kLanes; ++i) base[i] = ::powf(base[i], exponent[i]);
    return vload(base);
  }
};

#define NNEFRUN_COMPARE_BODY(op, expression)                       \
  struct Compare_##op {                                            \
    NNEFRUN_INLINE static M apply(V x, V y) { return expression; } \
  }
NNEFRUN_COMPARE_BODY(lt, vlt(x, y));
NNEFRUN_COMPARE_BODY(le, vle(x, y));
NNEFRUN_COMPARE_BODY(gt, vlt(y, x));
NNEFRUN_COMPARE_BODY(ge, vle(y, x));
NNEFRUN_COMPARE_BODY(eq, veq(x, y));
NNEFRUN_COMPARE_BODY(ne, mnot(veq(x, y)));
#undef NNEFRUN_COMPARE_BODY

// An operand with stride 0 is loaded once; the two loops over memory differ in nothing else.
template <bool kScalarX, bool kScalarY, class Op>
NNEFRUN_INLINE void binary_loop(const float* x, const float* y, float* z, int64_t n) {
  const V first_x = kScalarX ? vset(*x) : vset(0.0F), first_y = kScalarY ? vset(*y) : vset(0.0F);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    vstore(z + i, Op::apply(kScalarX ? first_x : vload(x + i), kScalarY ? first_y : vload(y + i)));
  }
  if (i < n) {
    const int64_t left = n - i;
    vstore_n(z + i,
             Op::apply(kScalarX ? first_x : vload_n(x + i, left), kScalarY ? first_y : vload_n(y + i, left)),
             left);
  }
}
template <class Op>
void binary_row(const float* x, int64_t x_stride, const float* y, int64_t y_stride, float* z, int64_t n) {
  if (n == 0) return;
  if (x_stride != 0 && y_stride != 0) {
    binary_loop<false, false, Op>(x, y, z, n);
  } else if (x_stride != 0) {
    binary_loop<false, true, Op>(x, y, z, n);
  } else if (y_stride != 0) {
    binary_loop<true, false, Op>(x, y, z, n);
  } else {
    binary_loop<true, true, Op>(x, y, z, n);
  }
}

template <class Op>
void compare_row(const float* x, int64_t x_stride, const float* y, int64_t y_stride, uint8_t* z, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    mbytes(z + i,
           Op::apply(x_stride == 0 ? vset(*x) : vload(x + i), y_stride == 0 ? vset(*y) : vload(y + i)));
  }
  if (i < n) {
    const int64_t left = n - i;
    uint8_t bytes[kLanes];
    mbytes(bytes, Op::apply(x_stride == 0 ? vset(*x) : vload_n(x + i, left),
                            y_stride == 0 ? vset(*y) : vload_n(y + i, left)));
    for (int64_t j = 0; j < left; ++j) z[i + j] = bytes[j];
  }
}

void select_row(const uint8_t* condition, const float* x, int64_t x_stride, const float* y, int64_t y_stride,
                float* z, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t left = n - i < kLanes ? n - i : kLanes;
    float chosen[kLanes] = {};
    for (int64_t j = 0; j < left; ++j) chosen[j] = condition[i + j] != 0 ? 1.0F : 0.0F;
    const V a = x_stride == 0 ? vset(*x) : vload_n(x + i, left),
            b = y_stride == 0 ? vset(*y) : vload_n(y + i, left);
    vstore_n(z + i, vselect(vlt(vset(0.0F), vload(chosen)), a, b), left);
  }
}

}  // namespace

extern const ElementwiseKernels NNEFRUN_TABLE(elementwise);
const ElementwiseKernels NNEFRUN_TABLE(elementwise) = {
    NNEFRUN_STRING(NNEFRUN_ISA),
    isa::NNEFRUN_ISA,
    true,
    {
#define NNEFRUN_UNARY(op, ulp, absolute, low, high) unary_row<Unary_##op>,
#include "kernels/elementwise/kernels.inc"
    },
    {
#define NNEFRUN_BINARY(op) binary_row<Binary_##op>,
#include "kernels/elementwise/kernels.inc"
    },
    {
#define NNEFRUN_COMPARE(op) compare_row<Compare_##op>,
#include "kernels/elementwise/kernels.inc"
    },
    select_row,
};

}  // namespace nnefrun::kernels
