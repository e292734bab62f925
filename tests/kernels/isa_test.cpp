#include "kernels/isa.h"

#include <cstdlib>
#include <string>

#include "kernels/built_isas.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "kernels/registry.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun::kernels;

namespace {

// Leaves the choice as it was found.
struct Restore {
  Restore() = default;
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;
  ~Restore() {
    if (force_isa(std::getenv("NNEFRUN_ISA")) != IsaStatus::ok) force_isa(nullptr);
  }
};

}  // namespace

TEST_CASE("a forced ISA is what choosers see", "[kernels][isa]") {
  const Restore restore;
  int count = 0;
  const IsaName* names = isa_names(&count);
  int forced = 0;
  for (int i = 0; i < count; ++i) {
    const IsaStatus status = force_isa(names[i].name);
    if (status == IsaStatus::unsupported) {
      std::printf("NOT RUN: forcing %s (this machine lacks it)\n", names[i].name);
      continue;
    }
    REQUIRE(status == IsaStatus::ok);
    REQUIRE(host_isa() == names[i].features);
    REQUIRE(std::string(isa_name(host_isa())) == names[i].name);
    // the best row that the set allows, and nothing that it does not
    REQUIRE(supports(names[i].features, choose_matmul_f32().requires_isa));
    REQUIRE(supports(names[i].features, choose_elementwise().requires_isa));
    if (names[i].features == isa::generic) REQUIRE(std::string(choose_matmul_f32().isa_suffix) == "generic");
    if (names[i].features == isa::avx2) REQUIRE(std::string(choose_matmul_f32().isa_suffix) == "avx2");
    if (names[i].features == isa::neon) REQUIRE(std::string(choose_matmul_f32().isa_suffix) == "neon");
    if (names[i].features == isa::neon_a53)
      REQUIRE(std::string(choose_matmul_f32().isa_suffix) == "neon_a53");
    ++forced;
  }
  REQUIRE(forced >= 1);
  REQUIRE(force_isa(nullptr) == IsaStatus::ok);
  REQUIRE(host_isa() == detected_isa());
}

#if defined(__aarch64__)
TEST_CASE("the core is recognised", "[kernels][isa]") {
  // ctest runs this program on an emulated Cortex-A53; see tests/kernels/CMakeLists.txt
  const char* core = std::getenv("NNEFRUN_TEST_CORE");
  if (core != nullptr && std::string(core) == "a53") {
    REQUIRE(supports(detected_isa(), isa::neon_a53));
    REQUIRE(std::string(choose_matmul_f32(detected_isa()).isa_suffix) == "neon_a53");
  } else {
    REQUIRE(supports(detected_isa(), isa::neon));
  }
}
#endif

TEST_CASE("an unknown or unsupported ISA changes nothing", "[kernels][isa]") {
  const Restore restore;
  REQUIRE(force_isa("generic") == IsaStatus::ok);
  REQUIRE(force_isa("sse9") == IsaStatus::unknown);
  REQUIRE(force_isa("AVX2") == IsaStatus::unknown);  // names are lower case
  REQUIRE(host_isa() == isa::generic);
#if defined(__x86_64__)
  REQUIRE(force_isa("neon") == IsaStatus::unsupported);
#else
  REQUIRE(force_isa("avx2") == IsaStatus::unsupported);
#endif
  REQUIRE(host_isa() == isa::generic);
}

TEST_CASE("NNEFRUN_ISA forces an ISA from outside", "[kernels][isa]") {
  // ctest runs this program again with the variable set; see tests/kernels/CMakeLists.txt
  const char* name = std::getenv("NNEFRUN_ISA");
  if (name == nullptr || *name == '\0') {
    REQUIRE(host_isa() == detected_isa());
    REQUIRE(environment_isa_status() == IsaStatus::ok);
    return;
  }
  int count = 0;
  const IsaName* names = isa_names(&count);
  IsaStatus expected = IsaStatus::unknown;
  for (int i = 0; i < count; ++i) {
    if (std::string(names[i].name) != name) continue;
    const bool able = supports(detected_isa(), names[i].features & ~kFeatureCortexA53);
    expected = able ? IsaStatus::ok : IsaStatus::unsupported;
    if (able) REQUIRE(host_isa() == names[i].features);
  }
  REQUIRE(environment_isa_status() == expected);
  if (expected != IsaStatus::ok) REQUIRE(host_isa() == detected_isa());
}

namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c == '_') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}
bool is_type(const std::string& word) {
  for (const char* type :
       {"f32", "f16", "bf16", "f64", "i64", "i8", "u8", "bool", "b32", "q40", "q80", "group"}) {
    if (word == type) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("every kernel's name is the sentence of its row", "[kernels][registry]") {
  REQUIRE(kernel_row_count() > 100);
  for (int i = 0; i < kernel_row_count(); ++i) {
    const KernelRow& row = kernel_row(i);
    const std::string name = row.name, suffix = std::string("_") + row.isa_suffix;
    INFO(name);
    REQUIRE(name.size() > suffix.size());
    REQUIRE(name.substr(name.size() - suffix.size()) == suffix);
    int count = 0;
    const IsaName* names = isa_names(&count);
    bool known = false;
    for (int n = 0; n < count; ++n) {
      known =
          known || (std::string(names[n].name) == row.isa_suffix && names[n].features == row.requires_isa);
    }
    REQUIRE(known);
    // before the ISA: an optional tile, before that two or three types, before that the operation
    std::vector<std::string> words = split(name.substr(0, name.size() - suffix.size()));
    if (words.back().find('x') != std::string::npos &&
        std::isdigit(static_cast<unsigned char>(words.back()[0]))) {
      words.pop_back();
    }
    int types = 0;
    while (!words.empty() && is_type(words.back())) words.pop_back(), ++types;
    REQUIRE((types == 2 || types == 3));
    REQUIRE_FALSE(words.empty());
    for (int j = 0; j < i; ++j) REQUIRE(name != kernel_row(j).name);
  }
}

TEST_CASE("the f32 product rows are what their names say", "[kernels][registry]") {
  int count = 0;
  const MatmulKernel* const* rows = matmul_f32_rows(&count);
  REQUIRE(count == 1 + NNEFRUN_HAS_avx2 + NNEFRUN_HAS_avx512 + NNEFRUN_HAS_neon + NNEFRUN_HAS_neon_a53);
#define NNEFRUN_MATMUL_F32(row_name, set, tile_rows, tile_columns)                                 \
  {                                                                                                \
    REQUIRE(std::string(#row_name) == "matmul_f32_f32_f32_" + std::to_string(tile_rows) + "x" +    \
                                          std::to_string(tile_columns) + "_" + #set);              \
    bool found = false;                                                                            \
    for (int i = 0; i < count; ++i) {                                                              \
      const MatmulKernel& row = *rows[i];                                                          \
      if (std::string(row.name) != #row_name) continue;                                            \
      found = row.mr == (tile_rows) && row.nr == (tile_columns) && row.requires_isa == isa::set && \
              row.mc % row.mr == 0 && row.nc % row.nr == 0;                                        \
    }                                                                                              \
    REQUIRE(found);                                                                                \
  }
#include "kernels/matmul/kernels.inc"
}

TEST_CASE("exactly one row of each operation is chosen", "[kernels][registry]") {
  int count = 0;
  const IsaName* names = isa_names(&count);
  for (int n = 0; n < count; ++n) {
    int chosen_exp = 0, chosen_matmul = 0;
    for (int i = 0; i < kernel_row_count(); ++i) {
      const KernelRow& row = kernel_row(i);
      if (!is_chosen(row, names[n].features)) continue;
      REQUIRE(supports(names[n].features, row.requires_isa));
      if (std::string(row.name).rfind("exp_f32_f32_", 0) == 0) ++chosen_exp;
      if (std::string(row.name).rfind("matmul_f32_f32_f32_", 0) == 0) {
        ++chosen_matmul;
        REQUIRE(std::string(row.name) == choose_matmul_f32(names[n].features).name);
      }
    }
    REQUIRE(chosen_exp == 1);
    REQUIRE(chosen_matmul == 1);
  }
}
