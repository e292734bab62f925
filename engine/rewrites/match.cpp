#include "engine/rewrites/match.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace nnefrun {

bool is_plain_f32(const Fact& fact) { return fact.dtype == DataType::f32 && !fact.quant; }
bool is_plain_float(const Fact& fact) { return is_float(fact.dtype) && !fact.quant; }

bool has_no_zero_extent(const DimShape& shape) {
  return std::none_of(shape.begin(), shape.end(), [](const Dim& d) { return d.is(0); });
}

std::optional<ConstantOperand> constant_operand(const RewriteContext& c, const Node& node) {
  if (node.inputs.size() != 2 || node.facts.size() != 1) return std::nullopt;
  const Tensor *first = c.constant(node.inputs[0]), *second = c.constant(node.inputs[1]);
  if ((first == nullptr) == (second == nullptr)) return std::nullopt;
  ConstantOperand out;
  out.is_first = first != nullptr;
  out.value = out.is_first ? first : second;
  out.constant = node.inputs[out.is_first ? 0 : 1];
  out.other = node.inputs[out.is_first ? 1 : 0];
  if (!c.fact(out.other).same_type(node.facts[0]) || c.fact(out.constant).quant) return std::nullopt;
  return out;
}

std::optional<std::pair<Outlet, double>> scalar_operand(const RewriteContext& c, const Node& node,
                                                        bool second_only) {
  const auto operand = constant_operand(c, node);
  if (!operand || (second_only && operand->is_first)) return std::nullopt;
  const auto value = c.scalar(operand->constant);
  if (!value) return std::nullopt;
  return std::make_pair(operand->other, *value);
}

std::vector<double> items_of(const Tensor& value) {
  std::vector<double> out(static_cast<size_t>(value.size()));
  for (int64_t i = 0; i < value.size(); ++i) out[static_cast<size_t>(i)] = value.as_double(i);
  return out;
}

std::optional<std::vector<double>> along_axis(const Tensor& value, int rank, int axis, int64_t count) {
  if (!is_float(value.dtype()) || value.rank() > rank || axis < 0) return std::nullopt;
  for (int i = 0; i < value.rank(); ++i) {
    if (value.dim(i) != 1 && (i != axis || value.dim(i) != count)) return std::nullopt;
  }
  std::vector<double> items = items_of(value);
  if (items.size() == 1) items.assign(static_cast<size_t>(count), items[0]);
  if (static_cast<int64_t>(items.size()) != count) return std::nullopt;
  return items;
}

std::optional<Tensor> rounded(const Shape& shape, const std::vector<double>& values) {
  Tensor out = Tensor::uninitialized(DataType::f32, shape);
  float* items = out.mutable_data<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    items[i] = static_cast<float>(values[i]);
    if (!std::isfinite(items[i])) return std::nullopt;
  }
  return out;
}

bool is_computable(const Node& node) {
  static const std::array kNever = {find_op("tract_core_external"), find_op("variable"), find_op("update"),
                                    find_op("tract_onnx_random"), find_op("tract_onnx_multinomial")};
  return !node.op->stateful && node.bodies.empty() && node.op->eval != nullptr &&
         std::find(kNever.begin(), kNever.end(), node.op) == kNever.end();
}

std::optional<Tensor> constant_value(const RewriteContext& c, Outlet outlet, bool integers, int& nodes) {
  const Fact& fact = c.fact(outlet);
  if (fact.quant || (integers && !is_integer(fact.dtype))) return std::nullopt;
  if (fact.constant) return *fact.constant;
  const Node& node = c.graph.node(outlet);
  if (!is_computable(node) || node.inputs.empty() || !fact.is_static() || --nodes < 0) return std::nullopt;
  std::vector<Tensor> arguments;
  for (const Outlet& input : node.inputs) {
    auto argument = constant_value(c, input, integers, nodes);
    if (!argument) return std::nullopt;
    arguments.push_back(std::move(*argument));
  }
  const SymbolValues no_symbols;
  EvalContext context(node, signature_of(node.op), c.graph, std::move(arguments), no_symbols, nullptr);
  try {
    Tensor value = node.op->eval(context)[outlet.result];
    return value.dtype() == fact.dtype && value.shape() == *fact.static_shape() ? std::optional(value)
                                                                                : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<int64_t> permutation_of(const RewriteContext& c, const Node& transpose) {
  std::vector<int64_t> axes = c.read(transpose).integers("axes");
  for (auto axis = static_cast<int64_t>(axes.size()); axis < transpose.facts[0].rank(); ++axis)
    axes.push_back(axis);
  return axes;
}

bool is_identity(const std::vector<int64_t>& permutation) {
  for (size_t i = 0; i < permutation.size(); ++i) {
    if (permutation[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

Patch replace_by(Outlet outlet) {
  Patch patch;
  patch.results = {Patch::tap(outlet)};
  return patch;
}

Patch replace_by(std::string op, const std::vector<Outlet>& inputs, std::vector<Attribute> attributes,
                 std::vector<uint32_t> input_counts) {
  Patch patch;
  std::vector<PatchWire> wires;
  for (const Outlet& input : inputs) wires.push_back(Patch::tap(input));
  patch.results = {
      patch.add(std::move(op), std::move(wires), std::move(attributes), {}, std::move(input_counts))};
  return patch;
}

}  // namespace nnefrun
