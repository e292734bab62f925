// Every kernel row of this program as one list, made from all kernels.inc files: for `nnefrun kernels`, the
// tests and people.
//
// A name is a sentence: <op>_<dst>_<lhs>[_<rhs>][_<mr>x<nr>]_<isa>, with the element types of the result and
// the operands, the register tile where there is one, and the set of kernels/isa.h that the row requires.
#pragma once

#include "kernels/isa.h"

namespace nnefrun::kernels {

struct KernelRow {
  const char* name;
  const char* family;  // the folder: "matmul", "int8", "q40", "half", "conv", "blocked", "attention",
                       // "elementwise", "reduce", "pool", "move", "resample", "recurrent", "rope"
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;  // a machine (or an emulator) has run it against its reference
};

int kernel_row_count();
// In the order of the families, within an operation best first. REQUIRES: 0 <= index < kernel_row_count().
const KernelRow& kernel_row(int index);
// Whether a chooser that is asked for this row's operation under `features` takes this row.
bool is_chosen(const KernelRow& row, IsaFeatures features = host_isa());

}  // namespace nnefrun::kernels
