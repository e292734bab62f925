#include "kernels/attention/attention.h"

#include "kernels/choose.h"

namespace nnefrun::kernels {

#define NNEFRUN_FLOAT_ISA(suffix) extern const AttentionKernels attention_##suffix;
#include "kernels/float_isas.inc"

namespace {

const AttentionKernels* const kRows[] = {
#define NNEFRUN_FLOAT_ISA(suffix) &attention_##suffix,
#include "kernels/float_isas.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

}  // namespace

const AttentionKernels& choose_attention(IsaFeatures features) {
  return choose_row(kRows, kRowCount, features);
}

const AttentionKernels* const* attention_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

int64_t attention_task_count(const AttentionShape& s, const AttentionKernels& row) {
  const int64_t group_rows = s.heads / s.groups * s.rows;
  const int64_t tasks = group_rows <= row.few_rows ? 1 : (group_rows + row.strip_rows - 1) / row.strip_rows;
  return group_rows == 0 || s.depth == 0 ? 0 : s.batch * s.groups * tasks;
}

size_t attention_workspace_size(const AttentionShape& s, const AttentionKernels& row) {
  return row.workspace_floats(s) * sizeof(float);
}

void attention_f32(const AttentionArgs& args, int64_t task_begin, int64_t task_end, void* workspace,
                   const AttentionKernels& row) {
  row.run(args, task_begin, task_end, static_cast<float*>(workspace));
}

}  // namespace nnefrun::kernels
