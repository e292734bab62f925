// PlanBuilder: from a typed graph to the tables of a Plan.
//
// The builder walks the nodes in order and asks each row to lower itself into steps; a node whose row has no
// lowering, or whose lowering declines, becomes an `evaluate` step. Then lives are computed, and results that
// may overwrite their argument are made to. May throw; never runs on a device.
#pragma once

#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/graph/op_def.h"
#include "engine/runtime/plan.h"
#include "engine/runtime/steps.h"

namespace nnefrun {

// An owned plan. Immutable once built; shared by the Runtimes that run it.
struct Plan {
  std::vector<SizeExpression> expressions;
  std::vector<uint32_t> dims;
  std::vector<PlanValue> values;
  std::vector<PlanStep> steps;
  std::vector<uint32_t> operands;
  std::vector<uint8_t> parameters;
  std::vector<uint32_t> inputs;   // the graph's inputs, then one for each updated variable
  std::vector<uint32_t> outputs;  // the graph's outputs, then one for each update
  std::vector<std::string> symbols;
  std::vector<Tensor> constants;                // weights as the steps want them (packed)
  std::vector<const std::byte*> constant_data;  // of each, for the Runtime
  std::vector<std::string> step_notes;          // for profiles: "conv 3x3 s2 32->64", may be empty

  PlanView view() const;
  size_t constant_bytes() const;
};

class PlanBuilder {
 public:
  // nullopt, with the reason in `why`, when the graph cannot be planned: an extent that only the data tells,
  // strings.
  static std::optional<Plan> build(const Graph& graph, std::string* why = nullptr);

  // --- for lower() ---
  // The value of a wire that an earlier node computed, or of a constant.
  uint32_t value_of(Outlet outlet);
  // The value that result `result` of `node` is written to; created by the first call.
  uint32_t result(uint32_t node, uint32_t result = 0);
  // Result `result` of `node` is the bytes of `value` under the result's shape. For reshape and its kin.
  void alias_result(uint32_t node, uint32_t result, uint32_t value);
  // A temporary between two steps of one lowering.
  uint32_t temporary(DataType dtype, const DimShape& shape);
  // A constant that the steps need (a packed weight, a table).
  uint32_t constant(Tensor value);
  // Index of the size expression that computes the Dim.
  uint32_t size(const Dim& dim);
  // Appends a step. P is a struct of step_parameters.h, trivially copyable.
  template <class P>
  void step(StepKind kind, const std::vector<uint32_t>& inputs, const std::vector<uint32_t>& outputs,
            const P& parameters, std::string note = {}) {
    static_assert(std::is_trivially_copyable_v<P>);
    add_step(kind, inputs, outputs, &parameters, sizeof(P), std::move(note));
  }
  void step(StepKind kind, const std::vector<uint32_t>& inputs, const std::vector<uint32_t>& outputs) {
    add_step(kind, inputs, outputs, nullptr, 0, {});
  }
  const Graph& graph() const { return graph_; }

 private:
  explicit PlanBuilder(const Graph& graph) : graph_(graph) {}
  void add_step(StepKind kind, const std::vector<uint32_t>& inputs, const std::vector<uint32_t>& outputs,
                const void* parameters, size_t size, std::string note);
  uint32_t add_value(DataType dtype, Storage storage, uint32_t index, const DimShape& shape);
  uint32_t atom(const Dim::Atom& atom);
  uint32_t expression(SizeExpression::Kind kind, int64_t a, int64_t b);
  void evaluate_step(uint32_t node);
  void compute_lives();
  void overwrite_arguments();

  const Graph& graph_;
  Plan plan_;
  std::map<Outlet, uint32_t> values_;
  std::unordered_map<std::string, uint32_t> sizes_;
  uint32_t node_ = 0;
};

}  // namespace nnefrun
