// What this CPU can do, and the names under which people speak of it.
//
// A kernel row requires a set of features; a chooser walks its rows best first and takes the first one whose
// set is contained in `features`, an argument that defaults to host_isa(). So a test can ask "what would a
// plainer machine run?" without owning one. host_isa() is what the CPU (and the operating system, which must
// save the registers) offers, unless a name was forced: by the environment variable NNEFRUN_ISA, read once,
// or by force_isa().
//
// Threads: everything here may be called from any thread. force_isa() takes effect for choices made after it;
// weights packed before it keep the layout of the row they were packed for.
#pragma once

#include <cstdint>

namespace nnefrun::kernels {

// Bits of IsaFeatures. Persistent: written into ahead-of-time plans. Append, never renumber.
enum IsaFeature : uint32_t {
  kFeatureAvx2 = 1U << 0,        // AVX2, FMA and F16C together
  kFeatureAvx512 = 1U << 1,      // F, BW, DQ and VL together
  kFeatureAvx512Vnni = 1U << 2,  // 8-bit dot products in 512-bit registers
  kFeatureAvxVnni = 1U << 3,     // the same, VEX-encoded, in 256-bit registers
  kFeatureAmxInt8 = 1U << 4,     // 8-bit tiles, and the kernel gave this process permission to use them
  kFeatureNeon = 1U << 8,        // Advanced SIMD of Armv8.0, 64-bit
  kFeatureNeonFp16 = 1U << 9,    // arithmetic in half precision (Armv8.2)
  kFeatureNeonDotprod = 1U << 10,
  kFeatureNeonI8mm = 1U << 11,
  kFeatureCortexA53 =
      1U << 12,  // every core is in order (A53, A35, A55): prefer rows in an order made for it
};
using IsaFeatures = uint32_t;

// The named sets: what a row with that suffix requires, and what forcing that name leaves available.
namespace isa {
inline constexpr IsaFeatures generic = 0;
inline constexpr IsaFeatures avx2 = kFeatureAvx2;
inline constexpr IsaFeatures avxvnni = avx2 | kFeatureAvxVnni;
inline constexpr IsaFeatures avx512 = avx2 | kFeatureAvx512;
inline constexpr IsaFeatures avx512vnni = avx512 | kFeatureAvx512Vnni;
inline constexpr IsaFeatures amx_int8 = avx512vnni | kFeatureAmxInt8;
inline constexpr IsaFeatures neon = kFeatureNeon;
inline constexpr IsaFeatures neon_a53 = neon | kFeatureCortexA53;
inline constexpr IsaFeatures neon_fp16 = neon | kFeatureNeonFp16;
inline constexpr IsaFeatures neon_dotprod = neon | kFeatureNeonDotprod;
inline constexpr IsaFeatures neon_i8mm = neon_dotprod | kFeatureNeonI8mm;
}  // namespace isa

struct IsaName {
  const char* name;
  IsaFeatures features;
};
// All names above, plainest first. `count` receives how many.
const IsaName* isa_names(int* count);

// What the machine offers of the sets that this build has kernels for (option NNEFRUN_ISAS), whatever is
// forced. Detected once.
IsaFeatures detected_isa();
// What choosers use by default: detected_isa(), or the forced set.
IsaFeatures host_isa();

enum class IsaStatus : uint8_t {
  ok,
  unknown,      // no such name
  unsupported,  // this CPU, or this build, lacks a feature of that set
};
// Restricts host_isa() to the named set ("avx2"); null or "" lifts the restriction. On failure nothing
// changes. `neon_a53` may be forced on any 64-bit Arm: it is a preference for a schedule, not a capability.
IsaStatus force_isa(const char* name);
// How reading NNEFRUN_ISA went. When it is not ok, host_isa() is detected_isa() and a front end should
// complain.
IsaStatus environment_isa_status();
// The name of the largest named set contained in `features`: "avx512vnni" on a Zen 4.
const char* isa_name(IsaFeatures features);

constexpr bool supports(IsaFeatures available, IsaFeatures required) {
  return (available & required) == required;
}

}  // namespace nnefrun::kernels
