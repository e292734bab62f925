#include "kernels/registry.h"

#include <cstring>

namespace nnefrun::kernels {
namespace {

constexpr KernelRow kRows[] = {
#define NNEFRUN_MATMUL_F32(name, set, mr, nr) {#name, "matmul", #set, isa::set, true},
#include "kernels/matmul/kernels.inc"
#define NNEFRUN_INT8(name, set) {#name, "int8", #set, isa::set, true},
#include "kernels/int8/kernels.inc"
#define NNEFRUN_Q40(name, set) {#name, "q40", #set, isa::set, true},
#include "kernels/q40/kernels.inc"
#define NNEFRUN_GROUPS(name, set) {#name, "groups", #set, isa::set, true},
#include "kernels/groups/kernels.inc"
#if NNEFRUN_HAS_avx512
#define NNEFRUN_SET avx512
#include "kernels/registry_rows.inc"
#endif
#if NNEFRUN_HAS_avx2
#define NNEFRUN_SET avx2
#include "kernels/registry_rows.inc"
#endif
#if NNEFRUN_HAS_neon_a53
#define NNEFRUN_BLOCKED(name) {#name "_neon_a53", "blocked", "neon_a53", isa::neon_a53, true},
#include "kernels/blocked/kernels.inc"
#endif
#if NNEFRUN_HAS_neon
#define NNEFRUN_SET neon
#include "kernels/registry_rows.inc"
#endif
#define NNEFRUN_SET generic
#include "kernels/registry_rows.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Length of a name without its ISA and without its tile: rows that share it compete.
size_t operation_length(const KernelRow& row) {
  size_t length = std::strlen(row.name) - std::strlen(row.isa_suffix) - 1;
  size_t tile = length;
  while (tile > 0 && (is_digit(row.name[tile - 1]) || row.name[tile - 1] == 'x')) --tile;
  return tile > 0 && tile < length && row.name[tile - 1] == '_' ? tile - 1 : length;
}
bool compete(const KernelRow& a, const KernelRow& b) {
  const size_t length = operation_length(a);
  return length == operation_length(b) && std::strncmp(a.name, b.name, length) == 0;
}

}  // namespace

int kernel_row_count() { return kRowCount; }
const KernelRow& kernel_row(int index) { return kRows[index]; }

bool is_chosen(const KernelRow& row, IsaFeatures features) {
  for (const KernelRow& candidate : kRows) {
    if (compete(candidate, row) && candidate.verified && supports(features, candidate.requires_isa)) {
      return &candidate == &row;
    }
  }
  return false;
}

}  // namespace nnefrun::kernels
