// Elementary functions over the vector of an ISA file (include one of vec/*.h first). Polynomials are minimax
// fits made for these ranges, with coefficients rounded to f32 one by one from the lowest; errors are stated
// with FMA.
#pragma once

#include <math.h>

#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

constexpr float kLog2e = 1.44269504F;
// ln 2 in two parts; the first has 9 trailing zero bits, so n * kLn2High is exact for |n| < 512 even without
// FMA.
constexpr float kLn2High = 0x1.62E4p-1F, kLn2Low = 0x1.7F7D1Cp-20F;

// Adding kWhole and taking it away again rounds |v| < 2^22 to a whole number, which meanwhile lies in the low
// bits.
constexpr float kWhole = 0x1.8p23F;
constexpr int32_t kWholeBits = 0x4B400000;

// 2^n * v for whole n in [-280, 280], given as n + kWhole: rounded once where the result is subnormal,
// infinite where it is too large.
NNEFRUN_INLINE V vscale(V v, V shifted) {
#if defined(__AVX512F__)
  return _mm512_scalef_ps(v, shifted - vset(kWhole));
#else
  const I n = isub(vbits(shifted), iset(kWholeBits)), half = isar<1>(n);
  const V first = vfrom_bits(ishl<23>(iadd(half, iset(127))));
  const V second = vfrom_bits(ishl<23>(iadd(isub(n, half), iset(127))));
  return v * first * second;
#endif
}
// The same for n in [-126, 127].
NNEFRUN_INLINE V vscale_normal(V v, V shifted) {
#if defined(__AVX512F__)
  return vscale(v, shifted);
#else
  return v * vfrom_bits(iadd(ishl<23>(vbits(shifted)), iset(0x3F800000)));
#endif
}

// 1 / v for v in [2^-100, 2^100], within 1 ULP; a NaN stays. Sixteen divisions take as long as a dozen other
// instructions.
NNEFRUN_INLINE V vreciprocal(V v) {
#if defined(__AVX512F__)
  const V r = _mm512_rcp14_ps(v);
  return vfma(r, vfnma(v, r, vset(1.0F)), r);
#else
  return vset(1.0F) / v;
#endif
}

// exp(r) - 1 - r for |r| <= ln(2)/2, relative to exp(r): 3.3e-9.
NNEFRUN_INLINE V vexp_rest(V r) {
  V p = vset(0x1.6d7154p-10F);
  p = vfma(p, r, vset(0x1.123ad8p-7F));
  p = vfma(p, r, vset(0x1.5554c8p-5F));
  p = vfma(p, r, vset(0x1.55549p-3F));
  p = vfma(p, r, vset(0.5F));
  return p * r * r;
}

// x = n ln 2 + r with |r| <= ln(2)/2; returns r. shifted: n + kWhole.
NNEFRUN_INLINE V vexp_remainder(V x, V* shifted) {
  *shifted = vfma(x, vset(kLog2e), vset(kWhole));
  const V n = *shifted - vset(kWhole);
  return vfnma(n, vset(kLn2Low), vfnma(n, vset(kLn2High), x));
}
// Returns exp(r).
NNEFRUN_INLINE V vexp_parts(V x, V* shifted) {
  const V r = vexp_remainder(x, shifted);
  return vset(1.0F) + (r + vexp_rest(r));
}
// About 1 ULP on all of f32, subnormal results included.
NNEFRUN_INLINE V vexp(V x) {
  // beyond these the result is 0 or infinity whatever it is exactly; a NaN falls through vmin and vmax
  V shifted;
  const V e = vexp_parts(vmax(vset(-110.0F), vmin(vset(100.0F), x)), &shifted);
  return vscale(e, shifted);
}
// exp(x) for x in [-86, 88]. NaN stays NaN.
NNEFRUN_INLINE V vexp_normal(V x) {
  V shifted;
  const V e = vexp_parts(x, &shifted);
  return vscale_normal(e, shifted);
}
// exp(x) for x <= 0, and 0 below -86; about 1 ULP. NaN stays NaN. Its polynomial has all terms from 1 on,
// which takes fewer instructions than the exact sum of vexp_parts.
NNEFRUN_INLINE V vexp_weight(V x) {
  V shifted;
  const V r = vexp_remainder(x, &shifted);
  V p = vset(0x1.6a3d08p-10F);
  p = vfma(p, r, vset(0x1.123856p-7F));
  p = vfma(p, r, vset(0x1.5558bep-5F));
  p = vfma(p, r, vset(0x1.555494p-3F));
  p = vfma(p, r, vset(0x1.fffffcp-2F));
  p = vfma(p, r, vset(1.0F));
  p = vfma(p, r, vset(1.0F));
#if defined(__AVX512F__)
  return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, vset(-86.0F), _CMP_NLT_UQ), p, shifted - vset(kWhole));
#else
  return vselect(vlt(x, vset(-86.0F)), vset(0.0F), vscale_normal(p, shifted));
#endif
}

NNEFRUN_INLINE V vexp2(V x) {
  const V bounded = vmax(vset(-160.0F), vmin(vset(140.0F), x));
  const V shifted = bounded + vset(kWhole);
  const V r = (bounded - (shifted - vset(kWhole))) * vset(0x1.62E43p-1F);
  return vscale(vset(1.0F) + (r + vexp_rest(r)), shifted);
}

// exp(x) - 1 for x <= 0. About 1 ULP.
NNEFRUN_INLINE V vexpm1_negative(V x) {
  const V bounded = vmax(vset(-30.0F), x);
  const V shifted = vfma(bounded, vset(kLog2e), vset(kWhole));
  const V n = shifted - vset(kWhole);
  V r = vfnma(n, vset(kLn2High), bounded);
  r = vfnma(n, vset(kLn2Low), r);
  V p = vset(0x1.6d5fcep-10F);
  p = vfma(p, r, vset(0x1.1227c2p-7F));
  p = vfma(p, r, vset(0x1.5554d8p-5F));
  p = vfma(p, r, vset(0x1.5554bp-3F));
  const V square = r * r;
  const V e = vfma(p * r, square, vfma(square, vset(0.5F), r));  // expm1(r)
  const V power = vscale_normal(vset(1.0F), shifted);
  return vfma(power, e, power - vset(1.0F));
}

// x = 2^e * m with m in [sqrt(1/2), sqrt(2)) for positive finite x; returns log(m).
NNEFRUN_INLINE V vlog_parts(V x, V* exponent) {
  const M subnormal = vlt(x, vset(0x1p-126F));
  const V normal = vselect(subnormal, x * vset(0x1p23F), x);
  // adding the distance from sqrt(1/2) to 1 in units of the last place carries into the exponent just where m
  // wraps
  const I shifted = iadd(vbits(normal), iset(0x3F800000 - 0x3F3504F3));
  const I biased = isub(isar<23>(shifted), iset(127));
  const V m = vfrom_bits(iadd(iand(shifted, iset(0x7FFFFF)), iset(0x3F3504F3)));
  *exponent = vfrom_int(biased) - vselect(subnormal, vset(23.0F), vset(0.0F));
  const V f = m - vset(1.0F);
  V p = vset(-0x1.41fe3ap-4F);
  p = vfma(p, f, vset(0x1.07d6a8p-3F));
  p = vfma(p, f, vset(-0x1.0cdf74p-3F));
  p = vfma(p, f, vset(0x1.226d1ap-3F));
  p = vfma(p, f, vset(-0x1.54788ep-3F));
  p = vfma(p, f, vset(0x1.99a5aap-3F));
  p = vfma(p, f, vset(-0x1.00022p-2F));
  p = vfma(p, f, vset(0x1.55554ap-2F));
  const V square = f * f;
  return f + vfma(p * f, square, square * vset(-0.5F));
}
// log of 0, of infinity, of negatives and of NaN, where `value` is what the formula gave.
NNEFRUN_INLINE V vlog_special(V x, V value) {
  const V infinity = vset(__builtin_inff());
  value = vselect(veq(x, infinity), infinity, value);
  value = vselect(veq(x, vset(0.0F)), vneg(infinity), value);
  return vselect(mor(vlt(x, vset(0.0F)), vunord(x, x)), vset(__builtin_nanf("")), value);
}
NNEFRUN_INLINE V vlog(V x) {
  V e;
  const V logm = vlog_parts(x, &e);
  return vlog_special(x, vfma(e, vset(kLn2High), vfma(e, vset(kLn2Low), logm)));
}
NNEFRUN_INLINE V vlog2(V x) {
  V e;
  const V logm = vlog_parts(x, &e);
  // log2(e) in two parts, so that the product is as good as logm
  return vlog_special(x, e + vfma(logm, vset(0x1.715476p0F), logm * vset(0x1.4AE0CP-26F)));
}
NNEFRUN_INLINE V vlog10(V x) {
  V e;
  const V logm = vlog_parts(x, &e);
  const V low = vfma(e, vset(0x1.3509F8p-18F), logm * vset(0x1.BCB7B2p-2F));
  return vlog_special(x, vfma(e, vset(0x1.344p-2F), low));
}
// log(1 + t) for t in [0, 1].
NNEFRUN_INLINE V vlog1p_unit(V t) {
  const V u = vset(1.0F) + t;
  V e;
  const V logm = vlog_parts(u, &e);
  const V lost = (t - (u - vset(1.0F))) / u;
  return vfma(e, vset(kLn2High), vfma(e, vset(kLn2Low), logm + lost));
}

NNEFRUN_INLINE V vtanh(V x) {
  const V magnitude = vabs(x);
  const V square = x * x;
  V p = vset(-0x1.6a4b52p-8F);
  p = vfma(p, square, vset(0x1.4f975p-6F));
  p = vfma(p, square, vset(-0x1.b7d9fcp-5F));
  p = vfma(p, square, vset(0x1.11044cp-3F));
  p = vfma(p, square, vset(-0x1.555526p-2F));
  const V near = vfma(x * square, p, x);           // |x| < 0.65
  const V bounded = vmin(vset(10.0F), magnitude);  // from there on it is 1
  const V e = vexp_normal(bounded + bounded);
  const V far = vcopysign(vfnma(vset(2.0F), vreciprocal(e + vset(1.0F)), vset(1.0F)), x);
  return vselect(vlt(magnitude, vset(0.625F)), near, far);
}

NNEFRUN_INLINE V vsigmoid(V x) {
  const V e = vexp(vneg(vabs(x)));
  const V r = vreciprocal(vset(1.0F) + e);
  return vselect(vlt(x, vset(0.0F)), e * r, r);
}

// erf(z) for |z| < 1, and erfc(|z|) for larger ones (0 from 6 on), in one go.
NNEFRUN_INLINE V verf_near(V z) {
  const V s = z * z;
  V p = vset(0x1.4c344ep-14F);
  p = vfma(p, s, vset(-0x1.a50b0ep-11F));
  p = vfma(p, s, vset(0x1.542e10p-8F));
  p = vfma(p, s, vset(-0x1.b7fe90p-6F));
  p = vfma(p, s, vset(0x1.ce2d50p-4F));
  p = vfma(p, s, vset(-0x1.812740p-2F));
  p = vfma(p, s, vset(0x1.06eba8p-3F));
  return vfma(z, p, z);
}
NNEFRUN_INLINE V verfc_far(V magnitude) {
  const V t = vmin(magnitude, vset(6.0F));
  V p = vset(-0x1.47fa88p-16F);
  p = vfma(p, t, vset(0x1.b4b32ap-12F));
  p = vfma(p, t, vset(-0x1.0b9a44p-8F));
  p = vfma(p, t, vset(0x1.97be62p-6F));
  p = vfma(p, t, vset(-0x1.ba07d4p-4F));
  p = vfma(p, t, vset(-0x1.44718ap-1F));
  p = vfma(p, t, vset(-0x1.211d0cp+0F));
  p = vfma(p, t, vset(0x1.2593d4p-13F));  // log(erfc(t)) on [0.97, 6]
  return vselect(vlt(magnitude, vset(6.0F)), vexp(p), vset(0.0F));
}
NNEFRUN_INLINE V verf(V z) {
  const V magnitude = vabs(z);
  const V far = vcopysign(vset(1.0F) - verfc_far(magnitude), z);
  return vselect(vlt(magnitude, vset(1.0F)), verf_near(z), vselect(vunord(z, z), z, far));
}

NNEFRUN_INLINE V vsilu(V x) { return x * vsigmoid(x); }
// max(x, 0) - t Q(t) with t = |x| and Q(t) = erfc(t / sqrt 2) / 2 = exp(-t^2 / 2) G(t), where G is a
// polynomial in 1 / (1 + 0.296875 t), within 3.5e-8 of its value on [0, 9]. Nothing cancels for x < 0; beyond
// 9 the second term, less than 1e-17, is left out.
NNEFRUN_INLINE V vgelu_erf(V x) {
  const V t = vmin(vset(9.0F), vabs(x));
  const V u = vreciprocal(vfma(t, vset(0.296875F), vset(1.0F)));
  V p = vset(0x1.3844140p-5F);
  p = vfma(p, u, vset(-0x1.62c986p-3F));
  p = vfma(p, u, vset(0x1.f3f186p-3F));
  p = vfma(p, u, vset(-0x1.68c9dap-4F));
  p = vfma(p, u, vset(0x1.2d3728p-3F));
  p = vfma(p, u, vset(0x1.7de6dap-4F));
  p = vfma(p, u, vset(0x1.ed60fap-4F));
  p = vfma(p, u, vset(0x1.e4a1b0p-4F));
  const V e = vexp_normal(t * t * vset(-0.5F));
  const V beyond = vmin(x, vset(0.0F)) * vset(0.0F);  // NaN for minus infinity, as -infinity times 0 is
  return vfnma(p * u, vselect(vlt(t, vset(9.0F)), e * t, beyond), vmax(x, vset(0.0F)));
}
// (1 + tanh u) / 2 = sigmoid(2u).
NNEFRUN_INLINE V vgelu_tanh(V x) {
  const V cubic = vfma(x * x, vset(0.044715F), vset(1.0F));
  return x * vsigmoid(vset(1.59576912F) * x * cubic);
}
// The second operand of vmin and vmax is what becomes of NaN.
NNEFRUN_INLINE V vrelu(V x) { return vmax(x, vset(0.0F)); }
NNEFRUN_INLINE V vclamp(V x, float low, float high) { return vmax(vmin(x, vset(high)), vset(low)); }
NNEFRUN_INLINE V vclip(V x, float low, float high) { return vmin(vmax(x, vset(low)), vset(high)); }
NNEFRUN_INLINE V vleaky_relu(V x, float slope) { return vselect(vlt(x, vset(0.0F)), x * vset(slope), x); }
NNEFRUN_INLINE V velu(V x, float alpha) {
  return vselect(vlt(x, vset(0.0F)), vset(alpha) * vexpm1_negative(vmin(x, vset(0.0F))), x);
}
NNEFRUN_INLINE V vselu(V x) {
  constexpr float kScale = 1.05070099F, kAlphaScale = 1.75809932F;
  return vselect(vlt(x, vset(0.0F)), vset(kAlphaScale) * vexpm1_negative(vmin(x, vset(0.0F))),
                 vset(kScale) * x);
}
NNEFRUN_INLINE V vsoftplus(V x) {
  const V rest = vlog1p_unit(vexp(vneg(vabs(x))));
  return vselect(vlt(vset(0.0F), x), x + rest, vselect(vunord(x, x), x, rest));
}
NNEFRUN_INLINE V vhard_sigmoid(V x) {  // NaN stays
  return vmin(vset(1.0F), vmax(vset(0.0F), vfma(x, vset(1.0F / 6.0F), vset(0.5F))));
}
NNEFRUN_INLINE V vhard_swish(V x) { return x * vhard_sigmoid(x); }
// tanh(log(1 + e)) = e(e + 2) / (e(e + 2) + 2).
NNEFRUN_INLINE V vmish(V x) {
  const V e = vexp(vmin(vset(20.0F), x));
  const V n = e * (e + vset(2.0F));
  return x * (n / (n + vset(2.0F)));
}

}  // namespace
}  // namespace nnefrun::kernels
