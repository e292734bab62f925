// What the steps of products and convolutions share.
#pragma once

#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/epilogue.h"

namespace nnefrun {

// The epilogue with its operands: the bias is input 2 where there is one, the residual the input after that.
inline kernels::Epilogue epilogue_of(const StepContext& c, const EpilogueParameters& p,
                                     kernels::BiasAxis axis) {
  kernels::Epilogue e;
  e.activation = static_cast<kernels::Activation>(p.activation);
  e.a = p.a;
  e.b = p.b;
  uint32_t operand = 2;
  if (p.has_bias != 0) {
    e.bias_axis = axis;
    e.bias = reinterpret_cast<const float*>(c.inputs[operand++]->data);
  }
  if (p.has_residual != 0) e.residual = reinterpret_cast<const float*>(c.inputs[operand]->data);
  return e;
}

}  // namespace nnefrun
