// Loops: the body becomes a plan of its own inside of the plan.

#include <algorithm>

#include "engine/ops/lowering.h"
#include "engine/runtime/step_parameters.h"

namespace nnefrun {
namespace {

std::vector<std::string> strings_of(const NodeReader& r, std::string_view name) {
  std::vector<std::string> out;
  for (const Attribute& item : std::get<Attribute::List>(r.attribute(name).value))
    out.push_back(std::get<std::string>(item.value));
  return out;
}

// Why a loop cannot be a step; empty when it can.
std::string obstacle(const Graph& body, const NodeReader& r) {
  const auto kinds = strings_of(r, "kinds");
  const bool keeps =
      std::find(kinds.begin(), kinds.end(), "state") != kinds.end() && !r.logical("reset_every_turn");
  if (keeps) return "its state lives on between runs";
  if (r.integer("skip") != 0) return "it skips its first iterations";
  if (kinds.size() > kMaxLoopInputs || r.integers("output_results").size() > kMaxLoopOutputs)
    return "it has too many inputs or results";
  for (const Node& node : body.nodes()) {
    if (node.op->stateful && node.bodies.empty())
      return std::string(node.op->name) + " in its body keeps a state";
  }
  return {};
}

bool lower_loop(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const NodeReader r(node, signature_of(node.op), nullptr);
  const Graph& body = *node.bodies.at(0);
  std::string why = obstacle(body, r);
  std::optional<Plan> plan;
  PlanOptions options;
  options.fast = b.is_fast();
  options.caches = false;
  if (why.empty()) plan = PlanBuilder::build(body, &why, options);
  if (plan && plan->symbols.size() > kMaxLoopSymbols) why = "its body has too many symbols";
  for (size_t s = 0; plan && why.empty() && s < plan->steps.size(); ++s) {
    if (plan->steps[s].kind == static_cast<uint32_t>(StepKind::evaluate))
      why = std::string(body.node(plan->steps[s].node).op->name) + " in its body has no step";
  }
  if (!why.empty()) {
    b.decline(why);
    return false;
  }
  const auto kinds = strings_of(r, "kinds"), output_kinds = strings_of(r, "output_kinds");
  const auto axes = r.integers("axes"), chunks = r.integers("chunks"),
             next_states = r.integers("next_states"), results = r.integers("output_results"),
             output_axes = r.integers("output_axes"), output_chunks = r.integers("output_chunks");
  LoopParameters p;
  p.input_count = static_cast<uint32_t>(kinds.size());
  p.output_count = static_cast<uint32_t>(results.size());
  p.symbol_count = static_cast<uint32_t>(plan->symbols.size());
  for (uint32_t i = 0; i < p.symbol_count; ++i) p.symbols[i] = b.size(Dim::symbol(plan->symbols[i]));
  size_t state = 0;
  std::vector<uint32_t> inputs, outputs;
  for (uint32_t i = 0; i < p.input_count; ++i) {
    p.inputs[i].kind = kinds[i] == "scan"    ? LoopInputKind::scan
                       : kinds[i] == "state" ? LoopInputKind::state
                                             : LoopInputKind::full;
    p.inputs[i].axis = static_cast<uint8_t>(axes[i]);
    p.inputs[i].chunk = chunks[i];
    if (kinds[i] == "state") p.inputs[i].next = static_cast<uint16_t>(next_states[state++]);
    inputs.push_back(b.value_of(node.inputs[i]));
  }
  for (uint32_t k = 0; k < p.output_count; ++k) {
    p.outputs[k].is_full = output_kinds[k] == "full" ? 1 : 0;
    p.outputs[k].axis = static_cast<uint8_t>(output_axes[k]);
    p.outputs[k].chunk = output_chunks[k];
    p.outputs[k].result = static_cast<uint16_t>(results[k]);
    outputs.push_back(b.result(index, k));
  }
  const std::string note = "loop of " + std::to_string(plan->steps.size()) + " steps";
  p.body = b.body(std::make_shared<const Plan>(std::move(*plan)));
  b.step(StepKind::loop, inputs, outputs, p, note);
  return true;
}

constexpr Lowering kLowerings[] = {{"nnefrun_scan", lower_loop, kPlain}};

}  // namespace

std::span<const Lowering> loop_lowerings() { return kLowerings; }

}  // namespace nnefrun
