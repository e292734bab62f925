// Arithmetic in f16 becomes arithmetic in f32 between casts, for operators that have steps in f32 only: every
// result is still rounded to f16, as evaluation does it; comparisons and indices need no rounding. Products
// keep constant f16 weights as they are.
#include <algorithm>
#include <map>
#include <optional>

#include "base/half.h"
#include "engine/rewrites/rewrite.h"

namespace nnefrun {
namespace {

bool is_half(const Fact& fact) { return fact.dtype == DataType::f16 && !fact.quant; }

// The extremes of nothing are the largest numbers of their own type.
bool may_be_extreme_of_nothing(const Graph& graph, const Node& node) {
  if (node.op->name != "min_reduce" && node.op->name != "max_reduce") return false;
  const DimShape& shape = graph.fact(node.inputs[0]).shape;
  return !std::all_of(shape.begin(), shape.end(),
                      [](const Dim& extent) { return extent.is_constant() && extent.value() > 0; });
}

bool is_arithmetic_in_halves(const Graph& graph, const Node& node) {
  const OpDef& op = *node.op;
  if (!op.tuned.contains(DataType::f32) || op.tuned.contains(DataType::f16) || op.stateful ||
      !node.bodies.empty() || node.facts.size() != 1 || node.facts[0].constant)
    return false;
  const Fact& result = node.facts[0];
  const bool tells = !result.quant && (result.dtype == DataType::boolean || result.dtype == DataType::i64);
  if (may_be_extreme_of_nothing(graph, node)) return false;
  if (!is_half(result) && !tells) return false;  // arithmetic, a comparison or an index
  return std::any_of(node.inputs.begin(), node.inputs.end(),
                     [&](Outlet input) { return is_half(graph.fact(input)); });
}

class Widened {
 public:
  explicit Widened(const Graph& from) : from_(from), out_(empty_like(from)) {}

  Graph run(int64_t* applied) {
    for (const Node& node : from_.nodes()) {
      std::vector<Outlet> inputs;
      for (const Outlet& input : node.inputs) inputs.push_back(moved(input));
      if (is_arithmetic_in_halves(from_, node) && widen(node, inputs)) {
        ++*applied;
        continue;
      }
      moved_.push_back(out_.add_copy(node, std::move(inputs)).node);
    }
    copy_interface(from_, moved_, out_);
    return std::move(out_);
  }

 private:
  Outlet moved(Outlet outlet) const { return {moved_[outlet.node], outlet.result}; }

  // A wire of the new graph in f32.
  Outlet wide(Outlet outlet) {
    const Fact& fact = out_.fact(outlet);
    if (!is_half(fact)) return outlet;
    const auto [it, fresh] = wide_.try_emplace(outlet, Outlet{});
    if (!fresh) return it->second;
    const std::string name = out_.name_of(outlet) + "_f32";
    if (fact.constant) {
      Tensor floats = Tensor::uninitialized(DataType::f32, fact.constant->shape());
      for (int64_t i = 0; i < floats.size(); ++i)
        floats.mutable_data<float>()[i] = static_cast<float>(fact.constant->data<Half>()[i]);
      return it->second = out_.add_constant(std::move(floats), name);
    }
    return it->second = out_.add("tract_core_cast", {outlet}, {Attribute("f32")}, name);
  }

  // matmul and linear with weights that stay f16, as nnefrun_matmul; nullopt for other nodes.
  std::optional<Outlet> product(const Node& node, const std::vector<Outlet>& inputs,
                                const std::string& name) {
    const bool is_linear = node.op->name == "linear";
    if (!is_linear && node.op->name != "matmul") return std::nullopt;
    const Fact a = out_.fact(inputs[0]), weights = out_.fact(inputs[1]);  // nodes are added below
    const NodeReader r(node, signature_of(node.op), nullptr);
    const bool leading_ones =
        std::all_of(weights.shape.begin(), weights.shape.end() - 2, [](const Dim& d) { return d.is(1); });
    if (!weights.constant || !is_half(weights) || !is_half(a) || !leading_ones ||
        a.rank() != weights.rank() || (!is_linear && r.logical("transposeA")))
      return std::nullopt;
    std::vector<Outlet> operands{wide(inputs[0]), inputs[1]};
    if (inputs.size() > 2) {
      const Fact bias = out_.fact(inputs[2]);
      const bool column =
          bias.constant && is_half(bias) && bias.rank() == a.rank() &&
          std::all_of(bias.shape.begin(), bias.shape.end() - 1, [](const Dim& d) { return d.is(1); }) &&
          bias.shape.back() == node.facts[0].shape.back();
      if (!column) return std::nullopt;
      operands.push_back(wide(inputs[2]));
    }
    const bool transposed = is_linear || r.logical("transposeB");
    return out_.add(find_op("nnefrun_matmul"), operands, {1, 1, inputs.size() > 2 ? 1U : 0U, 0},
                    {Attribute(false), Attribute(transposed)}, {name}, {}, node.where, node.call_chain);
  }

  bool widen(const Node& node, const std::vector<Outlet>& inputs) {
    const Fact& fact = node.facts[0];
    const bool rounds = is_half(fact);
    const std::string name = node.result_names[0] + (rounds ? "_f32" : "");
    std::optional<Outlet> sum;
    try {
      sum = product(node, inputs, name);
      if (!sum) {
        std::vector<Outlet> operands;
        for (const Outlet& input : inputs) operands.push_back(wide(input));
        sum = out_.add(node.op, operands, node.input_counts, node.attributes, {name}, {}, node.where,
                       node.call_chain);
      }
    } catch (const Error&) {  // an attribute that insists on f16
      return false;
    }
    const Fact& computed = out_.fact(*sum);
    if (computed.dtype != (rounds ? DataType::f32 : fact.dtype) || computed.shape != fact.shape) return false;
    if (rounds) sum = out_.add("tract_core_cast", {*sum}, {Attribute("f16")}, node.result_names[0]);
    moved_.push_back(sum->node);
    return true;
  }

  const Graph& from_;
  Graph out_;
  std::vector<uint32_t> moved_;
  std::map<Outlet, Outlet> wide_;
};

}  // namespace

Graph with_f32_arithmetic(Graph graph, int64_t* applied) {
  const bool any = std::any_of(graph.nodes().begin(), graph.nodes().end(),
                               [&](const Node& node) { return is_arithmetic_in_halves(graph, node); });
  return any ? Widened(graph).run(applied) : std::move(graph);
}

}  // namespace nnefrun
