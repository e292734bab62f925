// The vector of kernels/vec.h without intrinsics: four lanes in the compilers' own vector type, any CPU.
#pragma once

#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

constexpr int kLanes = 4;
typedef float V __attribute__((vector_size(16)));
typedef int32_t I __attribute__((vector_size(16)));
typedef I M;
typedef uint32_t GenericUnsigned __attribute__((vector_size(16)));

NNEFRUN_INLINE V vset(float x) { return V{x, x, x, x}; }
NNEFRUN_INLINE I iset(int32_t x) { return I{x, x, x, x}; }
NNEFRUN_INLINE V vload(const float* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
NNEFRUN_INLINE void vstore(float* p, V v) { __builtin_memcpy(p, &v, sizeof(v)); }
NNEFRUN_INLINE V vload_n(const float* p, int64_t n) {
  V v = vset(0.0F);
  for (int i = 0; i < kLanes; ++i) {
    if (i < n) v[i] = p[i];
  }
  return v;
}
NNEFRUN_INLINE void vstore_n(float* p, V v, int64_t n) {
  for (int i = 0; i < kLanes; ++i) {
    if (i < n) p[i] = v[i];
  }
}

NNEFRUN_INLINE I vbits(V v) { return reinterpret_cast<I>(v); }
NNEFRUN_INLINE V vfrom_bits(I i) { return reinterpret_cast<V>(i); }
// wrap around, as the instructions of the other ISAs do
NNEFRUN_INLINE I iadd(I a, I b) {
  return reinterpret_cast<I>(reinterpret_cast<GenericUnsigned>(a) + reinterpret_cast<GenericUnsigned>(b));
}
NNEFRUN_INLINE I isub(I a, I b) {
  return reinterpret_cast<I>(reinterpret_cast<GenericUnsigned>(a) - reinterpret_cast<GenericUnsigned>(b));
}
NNEFRUN_INLINE I iand(I a, I b) { return a & b; }
NNEFRUN_INLINE I ior(I a, I b) { return a | b; }
template <int kShift>
NNEFRUN_INLINE I ishl(I a) {
  return reinterpret_cast<I>(reinterpret_cast<GenericUnsigned>(a) << kShift);
}
template <int kShift>
NNEFRUN_INLINE I ishr(I a) {
  return reinterpret_cast<I>(reinterpret_cast<GenericUnsigned>(a) >> kShift);
}
template <int kShift>
NNEFRUN_INLINE I isar(I a) {
  return a >> kShift;
}

NNEFRUN_INLINE M vlt(V a, V b) { return a < b; }
NNEFRUN_INLINE M vle(V a, V b) { return a <= b; }
NNEFRUN_INLINE M veq(V a, V b) { return a == b; }
NNEFRUN_INLINE M vunord(V a, V b) { return ~((a == a) & (b == b)); }
NNEFRUN_INLINE M mand(M a, M b) { return a & b; }
NNEFRUN_INLINE M mor(M a, M b) { return a | b; }
NNEFRUN_INLINE M mnot(M a) { return ~a; }
NNEFRUN_INLINE bool many(M m) { return (m[0] | m[1] | m[2] | m[3]) != 0; }
NNEFRUN_INLINE bool mall(M m) { return (m[0] & m[1] & m[2] & m[3]) != 0; }
NNEFRUN_INLINE void mbytes(uint8_t* p, M m) {
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<uint8_t>(m[i] & 1);
}
NNEFRUN_INLINE V vselect(M m, V a, V b) { return vfrom_bits((m & vbits(a)) | (~m & vbits(b))); }

NNEFRUN_INLINE V vfma(V a, V b, V c) { return a * b + c; }
NNEFRUN_INLINE V vfnma(V a, V b, V c) { return c - a * b; }
NNEFRUN_INLINE V vmin(V a, V b) { return vselect(a < b, a, b); }
NNEFRUN_INLINE V vmax(V a, V b) { return vselect(a > b, a, b); }
NNEFRUN_INLINE V vabs(V v) { return vfrom_bits(vbits(v) & iset(0x7FFFFFFF)); }
NNEFRUN_INLINE V vneg(V v) { return -v; }
NNEFRUN_INLINE V vcopysign(V magnitude, V sign) {
  const I bit = iset(INT32_MIN);
  return vfrom_bits((vbits(magnitude) & ~bit) | (vbits(sign) & bit));
}
NNEFRUN_INLINE V vsqrt(V v) {
  for (int i = 0; i < kLanes; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
}
NNEFRUN_INLINE I vto_int(V v) { return __builtin_convertvector(v, I); }
NNEFRUN_INLINE V vfrom_int(I i) { return __builtin_convertvector(i, V); }
// From 2^23 on every float is whole; below it the integers hold the value. The sign survives for -0.
NNEFRUN_INLINE V vtrunc(V v) {
  const M small = vlt(vabs(v), vset(8388608.0F));
  const V whole = vfrom_int(vto_int(vselect(small, v, vset(0.0F))));
  return vselect(small, vcopysign(whole, v), v);
}
NNEFRUN_INLINE V vfloor(V v) {
  const V whole = vtrunc(v);
  return vselect(vlt(v, whole), whole - vset(1.0F), whole);
}
NNEFRUN_INLINE V vceil(V v) {
  const V whole = vtrunc(v);
  return vselect(vlt(whole, v), vcopysign(whole + vset(1.0F), v), whole);
}
// Adding and taking away 2^23 rounds to a whole number in the mode of the float unit, to even.
NNEFRUN_INLINE V vround(V v) {
  const V big = vset(8388608.0F), magnitude = vabs(v);
  const V whole = (magnitude + big) - big;
  return vselect(vlt(magnitude, big), vcopysign(whole, v), v);
}

NNEFRUN_INLINE float vsum(V v) { return (v[0] + v[2]) + (v[1] + v[3]); }
NNEFRUN_INLINE float vhmax(V v) {
  const float a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];
  return a > b ? a : b;
}
NNEFRUN_INLINE float vhmin(V v) {
  const float a = v[0] < v[1] ? v[0] : v[1], b = v[2] < v[3] ? v[2] : v[3];
  return a < b ? a : b;
}

constexpr int kLaneGroup = 1;
typedef V Lanes;
NNEFRUN_INLINE Lanes lanes_load(const float* p) { return vset(*p); }
template <int kLane>
NNEFRUN_INLINE V vfma_lane(V v, Lanes lanes, V c) {
  return vfma(v, lanes, c);
}

NNEFRUN_INLINE void vload_even_odd(const float* p, V* even, V* odd) {
  *even = V{p[0], p[2], p[4], p[6]};
  *odd = V{p[1], p[3], p[5], p[7]};
}

NNEFRUN_INLINE void vtranspose(V (&r)[kLanes]) {
  const V a = r[0], b = r[1], c = r[2], d = r[3];
  r[0] = V{a[0], b[0], c[0], d[0]};
  r[1] = V{a[1], b[1], c[1], d[1]};
  r[2] = V{a[2], b[2], c[2], d[2]};
  r[3] = V{a[3], b[3], c[3], d[3]};
}

NNEFRUN_INLINE uint32_t generic_float_bits(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  return bits;
}
NNEFRUN_INLINE float generic_bits_float(uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, sizeof(x));
  return x;
}
// The same steps as base/half.h, which has linkage and so cannot be used in an ISA file.
NNEFRUN_INLINE float generic_from_half(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000U) << 16, exponent = (h >> 10) & 0x1FU,
                 mantissa = h & 0x3FFU;
  if (exponent == 0x1F)
    return generic_bits_float(sign | 0x7F800000U | (mantissa == 0 ? 0 : 0x400000U | mantissa << 13));
  if (exponent != 0) return generic_bits_float(sign | (exponent + 112) << 23 | mantissa << 13);
  return generic_bits_float(generic_float_bits(static_cast<float>(mantissa) * 0x1p-24F) | sign);
}
NNEFRUN_INLINE uint16_t generic_to_half(float x) {
  const uint32_t bits = generic_float_bits(x), magnitude = bits & 0x7FFFFFFFU;
  const uint32_t sign = (bits >> 16) & 0x8000U;
  if (magnitude > 0x7F800000U) return static_cast<uint16_t>(sign | 0x7E00U | ((magnitude >> 13) & 0x3FFU));
  if (magnitude >= 0x477FF000U) return static_cast<uint16_t>(sign | 0x7C00U);
  if (magnitude < 0x38800000U) {
    return static_cast<uint16_t>(sign |
                                 (generic_float_bits(generic_bits_float(magnitude) + 0.5F) - 0x3F000000U));
  }
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000U + 0xFFFU + ((magnitude >> 13) & 1U)) >> 13));
}
NNEFRUN_INLINE V load_f16(const uint16_t* p) {
  return V{generic_from_half(p[0]), generic_from_half(p[1]), generic_from_half(p[2]),
           generic_from_half(p[3])};
}
NNEFRUN_INLINE void store_f16(uint16_t* p, V v) {
  for (int i = 0; i < kLanes; ++i) p[i] = generic_to_half(v[i]);
}
NNEFRUN_INLINE V load_bf16(const uint16_t* p) {
  const I wide = {p[0], p[1], p[2], p[3]};
  return vfrom_bits(ishl<16>(wide));
}
NNEFRUN_INLINE void store_bf16(uint16_t* p, V v) {
  const I bits = vbits(v);
  const I rounded = ishr<16>(iadd(bits, iadd(iset(0x7FFF), iand(ishr<16>(bits), iset(1)))));
  const I quiet = ior(ishr<16>(bits), iset(0x40));
  const M nan = vunord(v, v);
  const I out = (nan & quiet) | (~nan & rounded);
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<uint16_t>(out[i]);
}

}  // namespace
}  // namespace nnefrun::kernels
