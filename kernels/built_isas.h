// Which instruction sets this build has kernels for: NNEFRUN_IF_<set>(rows) is the rows, or nothing. Those of
// the processor, but for the ones that the option NNEFRUN_ISAS leaves out (NNEFRUN_WITHOUT_<set>); generic
// always.
#pragma once

#if defined(__x86_64__) && !defined(NNEFRUN_WITHOUT_avx2)
#define NNEFRUN_IF_avx2(...) __VA_ARGS__
#define NNEFRUN_HAS_avx2 1
#else
#define NNEFRUN_IF_avx2(...)
#define NNEFRUN_HAS_avx2 0
#endif
#if defined(__x86_64__) && !defined(NNEFRUN_WITHOUT_avxvnni)
#define NNEFRUN_IF_avxvnni(...) __VA_ARGS__
#define NNEFRUN_HAS_avxvnni 1
#else
#define NNEFRUN_IF_avxvnni(...)
#define NNEFRUN_HAS_avxvnni 0
#endif
#if defined(__x86_64__) && !defined(NNEFRUN_WITHOUT_avx512)
#define NNEFRUN_IF_avx512(...) __VA_ARGS__
#define NNEFRUN_HAS_avx512 1
#else
#define NNEFRUN_IF_avx512(...)
#define NNEFRUN_HAS_avx512 0
#endif
#if defined(__x86_64__) && !defined(NNEFRUN_WITHOUT_avx512vnni)
#define NNEFRUN_IF_avx512vnni(...) __VA_ARGS__
#define NNEFRUN_HAS_avx512vnni 1
#else
#define NNEFRUN_IF_avx512vnni(...)
#define NNEFRUN_HAS_avx512vnni 0
#endif
#if defined(__x86_64__) && !defined(NNEFRUN_WITHOUT_amx_int8)
#define NNEFRUN_IF_amx_int8(...) __VA_ARGS__
#define NNEFRUN_HAS_amx_int8 1
#else
#define NNEFRUN_IF_amx_int8(...)
#define NNEFRUN_HAS_amx_int8 0
#endif
#if defined(__aarch64__) && !defined(NNEFRUN_WITHOUT_neon)
#define NNEFRUN_IF_neon(...) __VA_ARGS__
#define NNEFRUN_HAS_neon 1
#else
#define NNEFRUN_IF_neon(...)
#define NNEFRUN_HAS_neon 0
#endif
#if defined(__aarch64__) && !defined(NNEFRUN_WITHOUT_neon_a53)
#define NNEFRUN_IF_neon_a53(...) __VA_ARGS__
#define NNEFRUN_HAS_neon_a53 1
#else
#define NNEFRUN_IF_neon_a53(...)
#define NNEFRUN_HAS_neon_a53 0
#endif
#if defined(__aarch64__) && !defined(NNEFRUN_WITHOUT_neon_dotprod)
#define NNEFRUN_IF_neon_dotprod(...) __VA_ARGS__
#define NNEFRUN_HAS_neon_dotprod 1
#else
#define NNEFRUN_IF_neon_dotprod(...)
#define NNEFRUN_HAS_neon_dotprod 0
#endif
#if defined(__aarch64__) && !defined(NNEFRUN_WITHOUT_neon_fp16)
#define NNEFRUN_IF_neon_fp16(...) __VA_ARGS__
#define NNEFRUN_HAS_neon_fp16 1
#else
#define NNEFRUN_IF_neon_fp16(...)
#define NNEFRUN_HAS_neon_fp16 0
#endif
#if defined(__aarch64__) && !defined(NNEFRUN_WITHOUT_neon_i8mm)
#define NNEFRUN_IF_neon_i8mm(...) __VA_ARGS__
#define NNEFRUN_HAS_neon_i8mm 1
#else
#define NNEFRUN_IF_neon_i8mm(...)
#define NNEFRUN_HAS_neon_i8mm 0
#endif
