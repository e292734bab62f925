// A thin vector of f32 over which the float bodies are written once.
//
// An ISA file includes one of vec/generic.h, vec/avx2.h, vec/avx512.h, vec/neon.h, then the bodies. Each of
// them defines, in an unnamed namespace (so that nothing compiled for a newer CPU has linkage that others
// could be given):
//
//   kLanes                          number of f32 in a vector
//   V, I, M                         vectors of f32, of int32, and of truth values. V has + - * / of its own.
//   vset(x) vload(p) vstore(p, v)   any alignment
//   vload_n(p, n) vstore_n(p, v, n) the first n lanes, 0 <= n <= kLanes; memory beyond is not touched, other
//   lanes load 0 vfma(a, b, c) = a*b + c         rounded once; twice in generic.h vfnma(a, b, c) = c - a*b
//   vmin(a, b) = a < b ? a : b      also for NaN: b when the two do not compare, in every ISA
//   vmax(a, b) = a > b ? a : b
//   vlt vle veq vunord              comparisons (unord: either is NaN);  mand mor mnot many mall mbytes
//   vselect(m, a, b)                m ? a : b
//   vabs vneg vcopysign(mag, sign) vsqrt vfloor vceil vtrunc vround (half to even)
//   vbits(v) vfrom_bits(i)          reinterpretation
//   vto_int(v) vfrom_int(i)         conversion; vto_int truncates, REQUIRES |v| < 2^31
//   iset iadd isub iand ior ishl<s> ishr<s> isar<s>
//   vsum vhmax vhmin                across lanes, pairwise; vhmax and vhmin REQUIRE no NaN
//   Lanes, kLaneGroup, lanes_load(p), vfma_lane<l>(v, lanes, c)   multiply by one of kLaneGroup scalars at p
//   vload_even_odd(p, &even, &odd)  2*kLanes items, deinterleaved
//   vtranspose(rows)               kLanes vectors as a square, transposed in place
//   load_f16 store_f16 load_bf16 store_bf16   kLanes items, converted
//
// The remainder of this header holds what all of them share.
#pragma once

#include <stdint.h>

#define NNEFRUN_INLINE inline __attribute__((always_inline))
#define NNEFRUN_UNROLL _Pragma("GCC unroll 32")
#define NNEFRUN_LAMBDA __attribute__((always_inline))

// An ISA file defines NNEFRUN_ISA (the suffix, e.g. avx2) before anything else; a family's table is then
// `family_avx2`.
#define NNEFRUN_PASTE_(a, b) a##_##b
#define NNEFRUN_PASTE(a, b) NNEFRUN_PASTE_(a, b)
#define NNEFRUN_STRING_(a) #a
#define NNEFRUN_STRING(a) NNEFRUN_STRING_(a)
#define NNEFRUN_TABLE(family) NNEFRUN_PASTE(family, NNEFRUN_ISA)
