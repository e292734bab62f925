// What a step of a plan does to the machine: which kernel it calls and how many bytes it moves. For profiles.
#pragma once

#include <cstdint>
#include <string>

#include "engine/runtime/steps.h"

namespace nnefrun {

struct StepFacts {
  // The row of `nnefrun kernels` that does the work; the name of the step's kind where no row of its own
  // does; empty for a node that the host evaluates. A convolution over a product is named by the row of the
  // product.
  std::string kernel;
  // Each operand once, as the step needs it at least: a gather reads the rows that it takes, a copy its part.
  // Caches and repeated reads are not counted.
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
};

// REQUIRES: the step was bound, its views have their shapes.
StepFacts step_facts(const StepContext& context);

}  // namespace nnefrun
