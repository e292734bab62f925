// Arithmetic on codes as kernels take it, from the parameters of a step.
#pragma once

#include "engine/runtime/step_parameters.h"
#include "kernels/int8/int8.h"

namespace nnefrun {

inline kernels::CodeBinary code_binary_of(const CodeBinaryParameters& p) {
  kernels::CodeBinary b;
  b.op = static_cast<kernels::CodeBinaryOp>(p.op);
  b.x_zero = p.x_zero, b.y_zero = p.y_zero, b.zero = p.zero;
  b.x_scale = p.x_scale, b.y_scale = p.y_scale, b.scale = p.scale, b.reciprocal = p.reciprocal;
  b.low = p.low, b.high = p.high;
  b.is_signed = p.is_signed != 0;
  b.x_flip = p.x_flip, b.y_flip = p.y_flip, b.flip = p.flip;
  return b;
}

}  // namespace nnefrun
