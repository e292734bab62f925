// From which step to which the bytes of a value are needed, and which results may take an argument's.

#include <algorithm>

#include "engine/plan/builder.h"

namespace nnefrun {
namespace {

constexpr uint32_t kForever = UINT32_MAX;

}  // namespace

void PlanBuilder::compute_lives() {
  const auto root = [&](uint32_t v) {
    while (plan_.values[v].storage == Storage::alias) v = plan_.values[v].index;
    return v;
  };
  for (PlanValue& value : plan_.values) value.first_step = kForever, value.last_step = 0;
  for (uint32_t s = 0; s < plan_.steps.size(); ++s) {
    const PlanStep& step = plan_.steps[s];
    for (uint32_t i = 0; i < step.input_count + uint32_t{step.output_count}; ++i) {
      const uint32_t v = plan_.operands[step.first_operand + i];
      for (PlanValue* value : {&plan_.values[v], &plan_.values[root(v)]}) {
        value->first_step = std::min(value->first_step, s);
        value->last_step = std::max(value->last_step, s);
      }
    }
  }
  for (const uint32_t v : plan_.outputs) {
    for (PlanValue* value : {&plan_.values[v], &plan_.values[root(v)]}) value->last_step = kForever;
  }
  for (PlanValue& value : plan_.values) {
    if (value.first_step == kForever) value.first_step = 0;
  }
}

void PlanBuilder::overwrite_arguments() {
  const auto root = [&](uint32_t v) {
    while (plan_.values[v].storage == Storage::alias) v = plan_.values[v].index;
    return v;
  };
  const auto same_bytes = [&](const PlanValue& a, const PlanValue& b) {
    if (item_size(a.dtype) != item_size(b.dtype) || a.rank != b.rank) return false;
    return std::equal(plan_.dims.begin() + a.first_dim, plan_.dims.begin() + a.first_dim + a.rank,
                      plan_.dims.begin() + b.first_dim);
  };
  for (uint32_t s = 0; s < plan_.steps.size(); ++s) {
    const PlanStep& step = plan_.steps[s];
    const auto kind = static_cast<StepKind>(step.kind);
    // These steps read each item of an argument before they write it.
    if (kind != StepKind::unary && kind != StepKind::binary && kind != StepKind::softmax &&
        kind != StepKind::blocked_gate && kind != StepKind::code_map && kind != StepKind::code_binary)
      continue;
    const uint32_t out = plan_.operands[step.first_operand + step.input_count];
    if (plan_.values[out].storage != Storage::arena) continue;
    for (uint32_t i = 0; i < step.input_count; ++i) {
      const uint32_t in = plan_.operands[step.first_operand + i], owner = root(in);
      if (plan_.values[owner].storage != Storage::arena || plan_.values[owner].last_step != s || in >= out)
        continue;
      if (!same_bytes(plan_.values[in], plan_.values[out])) continue;
      // Another argument of the step may read the same bytes in another order (a broadcast of itself).
      bool shared = false;
      for (uint32_t j = 0; j < step.input_count; ++j) {
        const uint32_t other = plan_.operands[step.first_operand + j];
        shared =
            shared || (j != i && root(other) == owner && !same_bytes(plan_.values[other], plan_.values[out]));
      }
      if (shared) continue;
      plan_.values[owner].last_step = plan_.values[out].last_step;
      plan_.values[out].storage = Storage::alias;
      plan_.values[out].index = in;
      break;
    }
  }
}

}  // namespace nnefrun
