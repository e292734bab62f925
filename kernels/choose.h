// The walk that every chooser makes: rows best first, the first that the features allow. Rows that no machine
// has run are passed over. The last row is the generic one, which requires nothing.
#pragma once

#include "kernels/isa.h"

namespace nnefrun::kernels {

template <class Row>
const Row& choose_row(const Row* const* rows, int count, IsaFeatures features) {
  for (int i = 0; i + 1 < count; ++i) {
    if (rows[i]->verified && supports(features, rows[i]->requires_isa)) return *rows[i];
  }
  return *rows[count - 1];
}

}  // namespace nnefrun::kernels
