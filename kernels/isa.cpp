#include "kernels/isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "kernels/built_isas.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>
#endif

namespace nnefrun::kernels {
namespace {

constexpr IsaName kNames[] = {
    {"generic", isa::generic},
    {"avx2", isa::avx2},
    {"avxvnni", isa::avxvnni},
    {"avx512", isa::avx512},
    {"avx512vnni", isa::avx512vnni},
    {"amx_int8", isa::amx_int8},
    {"neon", isa::neon},
    {"neon_a53", isa::neon_a53},
    {"neon_fp16", isa::neon_fp16},
    {"neon_dotprod", isa::neon_dotprod},
    {"neon_i8mm", isa::neon_i8mm},
};
constexpr int kNameCount = static_cast<int>(sizeof(kNames) / sizeof(kNames[0]));

#if defined(__x86_64__)

uint64_t enabled_state() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

// Linux hands out the tile registers on demand only: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
bool request_amx() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
  return false;
#endif
}

IsaFeatures detect() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  constexpr uint32_t kFma = 1U << 12, kOsxsave = 1U << 27, kAvx = 1U << 28, kF16c = 1U << 29;
  constexpr uint32_t kWanted = kFma | kOsxsave | kAvx | kF16c;
  if ((c & kWanted) != kWanted) return 0;
  const uint64_t state = enabled_state();
  if ((state & 0x6) != 0x6) return 0;  // the system saves xmm and ymm
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  if ((b & (1U << 5)) == 0) return 0;
  IsaFeatures features = kFeatureAvx2;
  constexpr uint32_t kF = 1U << 16, kDq = 1U << 17, kBw = 1U << 30, kVl = 1U << 31;
  constexpr uint32_t k512 = kF | kDq | kBw | kVl;
  const bool zmm_saved = (state & 0xE0) == 0xE0;
  if ((b & k512) == k512 && zmm_saved) {
    features |= kFeatureAvx512;
    if ((c & (1U << 11)) != 0) features |= kFeatureAvx512Vnni;
    const bool tiles_saved = (state & 0x60000) == 0x60000;
    const bool amx = (d & (1U << 24)) != 0 && (d & (1U << 25)) != 0;
    if (amx && tiles_saved && request_amx()) features |= kFeatureAmxInt8;
  }
  if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1U << 4)) != 0) features |= kFeatureAvxVnni;
  return features;
}

#elif defined(__aarch64__)

#if defined(__linux__)
// Implementer and part number of MIDR_EL1. The A35 and A55 are in order too and fare better with the A53's
// order of instructions than with one that expects a core to find its own.
constexpr uint64_t kInOrderParts[] = {0x4100D030, 0x4100D040, 0x4100D050};
constexpr uint64_t kPartMask = 0xFF00FFF0;
bool is_in_order(uint64_t midr) {
  for (const uint64_t part : kInOrderParts) {
    if ((midr & kPartMask) == part) return true;
  }
  return false;
}

// MIDR_EL1 of one core from sysfs; 0 where there is no such core or no such file.
uint64_t midr_from_sysfs(int core) {
  char path[96] = "/sys/devices/system/cpu/cpu";
  char* end = path + std::strlen(path);
  if (core >= 100) *end++ = static_cast<char>('0' + core / 100 % 10);
  if (core >= 10) *end++ = static_cast<char>('0' + core / 10 % 10);
  *end++ = static_cast<char>('0' + core % 10);
  std::strcpy(end, "/regs/identification/midr_el1");
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[32] = {};
  const ssize_t got = read(file, text, sizeof(text) - 1);
  close(file);
  return got > 0 ? std::strtoull(text, nullptr, 16) : 0;
}

// The value of a line like "CPU part\t: 0xd03" when `line` begins with `key`; 0 otherwise.
uint64_t cpuinfo_value(const char* line, const char* key) {
  if (std::strncmp(line, key, std::strlen(key)) != 0) return 0;
  const char* colon = std::strchr(line, ':');
  return colon == nullptr ? 0 : std::strtoull(colon + 1, nullptr, 0);
}
// The same from /proc/cpuinfo, for kernels before 4.7 and sandboxes without sysfs.
bool every_core_is_in_order_by_cpuinfo() {
  const int file = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  uint64_t implementer = 0;
  int seen = 0;
  bool all = true;
  char buffer[4096], line[64];
  size_t length = 0;
  for (ssize_t got = read(file, buffer, sizeof(buffer)); got > 0; got = read(file, buffer, sizeof(buffer))) {
    for (ssize_t i = 0; i < got; ++i) {
      if (buffer[i] != '\n') {  // of long lines only the beginning is kept
        if (length + 1 < sizeof(line)) line[length++] = buffer[i];
        continue;
      }
      line[length] = '\0';
      length = 0;
      if (const uint64_t value = cpuinfo_value(line, "CPU implementer")) implementer = value;
      if (const uint64_t part = cpuinfo_value(line, "CPU part")) {
        all = all && is_in_order(implementer << 24 | part << 4);
        ++seen;
      }
    }
  }
  close(file);
  return all && seen > 0;
}

// On a big.LITTLE chip a thread may wake up on another core, so all of them must be in order.
bool every_core_is_in_order(bool midr_readable) {
  int seen = 0;
  for (int core = 0; core < 1000; ++core) {
    const uint64_t midr = midr_from_sysfs(core);
    if (midr == 0) break;
    if (!is_in_order(midr)) return false;
    ++seen;
  }
  if (seen > 0) return true;
  if (!midr_readable) return every_core_is_in_order_by_cpuinfo();
  uint64_t midr = 0;
  __asm__("mrs %0, MIDR_EL1" : "=r"(midr));  // trapped and answered by the kernel
  return is_in_order(midr);
}
#endif

IsaFeatures detect() {
  IsaFeatures features = kFeatureNeon;
#if defined(__linux__)
  const unsigned long caps = getauxval(AT_HWCAP), caps2 = getauxval(AT_HWCAP2);
  if ((caps & (1UL << 10)) != 0) features |= kFeatureNeonFp16;     // ASIMDHP
  if ((caps & (1UL << 20)) != 0) features |= kFeatureNeonDotprod;  // ASIMDDP
  if ((caps2 & (1UL << 13)) != 0) features |= kFeatureNeonI8mm;    // I8MM
  if (every_core_is_in_order((caps & (1UL << 11)) != 0)) features |= kFeatureCortexA53;
#endif
  return features;
}

#else

IsaFeatures detect() { return 0; }

#endif

// What the rows of this build require, all together.
#define NNEFRUN_BUILT(set) (NNEFRUN_HAS_##set ? isa::set : isa::generic)
constexpr IsaFeatures kBuilt = NNEFRUN_BUILT(avx2) | NNEFRUN_BUILT(avxvnni) | NNEFRUN_BUILT(avx512) |
                               NNEFRUN_BUILT(avx512vnni) | NNEFRUN_BUILT(amx_int8) | NNEFRUN_BUILT(neon) |
                               NNEFRUN_BUILT(neon_a53) | NNEFRUN_BUILT(neon_fp16) |
                               NNEFRUN_BUILT(neon_dotprod) | NNEFRUN_BUILT(neon_i8mm);
#undef NNEFRUN_BUILT

// The forced set, or kNotForced.
constexpr IsaFeatures kNotForced = ~0U;

IsaStatus resolve(const char* name, IsaFeatures* out) {
  if (name == nullptr || *name == '\0') {
    *out = kNotForced;
    return IsaStatus::ok;
  }
  for (const IsaName& candidate : kNames) {
    if (std::strcmp(candidate.name, name) != 0) continue;
    if (!supports(detected_isa(), candidate.features & ~kFeatureCortexA53)) return IsaStatus::unsupported;
    *out = candidate.features;
    return IsaStatus::ok;
  }
  return IsaStatus::unknown;
}

struct Forced {
  std::atomic<IsaFeatures> features{kNotForced};
  IsaStatus status = IsaStatus::ok;
  Forced() {
    IsaFeatures set = kNotForced;
    status = resolve(std::getenv("NNEFRUN_ISA"), &set);
    features.store(set, std::memory_order_relaxed);
  }
};

Forced& forced() {
  static Forced state;
  return state;
}

}  // namespace

const IsaName* isa_names(int* count) {
  *count = kNameCount;
  return kNames;
}

IsaFeatures detected_isa() {
  static const IsaFeatures features = detect() & kBuilt;
  return features;
}

IsaFeatures host_isa() {
  const IsaFeatures set = forced().features.load(std::memory_order_relaxed);
  return set == kNotForced ? detected_isa() : set;
}

IsaStatus force_isa(const char* name) {
  IsaFeatures set = kNotForced;
  const IsaStatus status = resolve(name, &set);
  if (status == IsaStatus::ok) forced().features.store(set, std::memory_order_relaxed);
  return status;
}

IsaStatus environment_isa_status() { return forced().status; }

const char* isa_name(IsaFeatures features) {
  const char* best = kNames[0].name;
  for (const IsaName& candidate : kNames) {
    if (supports(features, candidate.features)) best = candidate.name;
  }
  return best;
}

}  // namespace nnefrun::kernels
