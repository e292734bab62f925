// Item by item in f32: functions, arithmetic, comparisons, selection. The binary ones and selection also for
// the integers and truth values of index arithmetic.

#include "engine/ops/lowering.h"
#include "engine/runtime/step_parameters.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/integers.h"

namespace nnefrun {
namespace {

using kernels::BinaryOp;
using kernels::CompareOp;
using kernels::UnaryOp;

bool all_f32(const Graph& graph, const Node& node) {
  for (const Outlet& input : node.inputs) {
    if (graph.fact(input).dtype != DataType::f32) return false;
  }
  return node.facts[0].dtype == DataType::f32;
}

void unary_step(PlanBuilder& b, const Graph& graph, uint32_t index, UnaryOp op, float a = 0, float c = 0) {
  UnaryParameters p;
  p.op = static_cast<uint8_t>(op);
  p.a = a;
  p.b = c;
  b.step(StepKind::unary, {b.value_of(graph.node(index).inputs[0])}, {b.result(index)}, p);
}

struct UnaryEntry {
  std::string_view op;
  UnaryOp kernel;
};
constexpr UnaryEntry kUnary[] = {
    {"neg", UnaryOp::neg},
    {"abs", UnaryOp::abs},
    {"rcp", UnaryOp::rcp},
    {"sqr", UnaryOp::sqr},
    {"sqrt", UnaryOp::sqrt},
    {"rsqr", UnaryOp::rsqr},
    {"rsqrt", UnaryOp::rsqrt},
    {"exp", UnaryOp::exp},
    {"log", UnaryOp::log},
    {"log2", UnaryOp::log2},
    {"sin", UnaryOp::sin},
    {"cos", UnaryOp::cos},
    {"tan", UnaryOp::tan},
    {"asin", UnaryOp::asin},
    {"acos", UnaryOp::acos},
    {"atan", UnaryOp::atan},
    {"sinh", UnaryOp::sinh},
    {"cosh", UnaryOp::cosh},
    {"tanh", UnaryOp::tanh},
    {"asinh", UnaryOp::asinh},
    {"acosh", UnaryOp::acosh},
    {"atanh", UnaryOp::atanh},
    {"sigmoid", UnaryOp::sigmoid},
    {"silu", UnaryOp::silu},
    {"tract_core_erf", UnaryOp::erf},
    {"softplus", UnaryOp::softplus},
    {"floor", UnaryOp::floor},
    {"ceil", UnaryOp::ceil},
    {"round", UnaryOp::round_half_up},
    {"nnefrun_round_half_away", UnaryOp::round_half_away},
    {"tract_core_round_even", UnaryOp::round_half_even},
    {"tract_core_hard_swish", UnaryOp::hard_swish},
    {"relu", UnaryOp::relu},
};

bool lower_unary(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!all_f32(graph, node)) return false;
  for (const UnaryEntry& entry : kUnary) {
    if (entry.op == node.op->name) {
      unary_step(b, graph, index, entry.kernel);
      return true;
    }
  }
  return false;
}

bool lower_leaky_relu(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!all_f32(graph, node)) return false;
  unary_step(b, graph, index, UnaryOp::leaky_relu,
             static_cast<float>(NodeReader(node, signature_of(node.op), nullptr).scalar("alpha")));
  return true;
}
bool lower_elu(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!all_f32(graph, node)) return false;
  unary_step(b, graph, index, UnaryOp::elu,
             static_cast<float>(NodeReader(node, signature_of(node.op), nullptr).scalar("alpha")));
  return true;
}
bool lower_gelu(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!all_f32(graph, node)) return false;
  const std::string& form = NodeReader(node, signature_of(node.op), nullptr).string("approximation");
  unary_step(b, graph, index, form == "tanh" ? UnaryOp::gelu_tanh : UnaryOp::gelu_erf);
  return true;
}

// clamp is max(min(x, b), a), nnefrun_clip min(max(x, a), b): one step for bounds that are numbers, else two.
bool lower_clamp(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!all_f32(graph, node) || graph.fact(node.inputs[0]).shape != node.facts[0].shape) return false;
  const bool low_last = node.op->name == "clamp";
  const Tensor* low = graph.fact(node.inputs[1]).constant.get();
  const Tensor* high = graph.fact(node.inputs[2]).constant.get();
  if (low != nullptr && high != nullptr && low->size() == 1 && high->size() == 1) {
    unary_step(b, graph, index, low_last ? UnaryOp::clamp : UnaryOp::clip, low->data<float>()[0],
               high->data<float>()[0]);
    return true;
  }
  const uint32_t between = b.temporary(DataType::f32, node.facts[0].shape);
  BinaryParameters p;
  p.op = static_cast<uint8_t>(low_last ? BinaryOp::min : BinaryOp::max);
  b.step(StepKind::binary, {b.value_of(node.inputs[0]), b.value_of(node.inputs[low_last ? 2 : 1])}, {between},
         p);
  p.op = static_cast<uint8_t>(low_last ? BinaryOp::max : BinaryOp::min);
  b.step(StepKind::binary, {between, b.value_of(node.inputs[low_last ? 1 : 2])}, {b.result(index)}, p);
  return true;
}

struct BinaryEntry {
  std::string_view op;
  BinaryOp kernel;
};
constexpr BinaryEntry kBinary[] = {
    {"add", BinaryOp::add},
    {"sub", BinaryOp::sub},
    {"mul", BinaryOp::mul},
    {"div", BinaryOp::div},
    {"min", BinaryOp::min},
    {"max", BinaryOp::max},
    {"pow", BinaryOp::pow},
    {"nnefrun_fmin", BinaryOp::min_number},
    {"nnefrun_fmax", BinaryOp::max_number},
    {"prelu", BinaryOp::prelu},
};
struct CompareEntry {
  std::string_view op;
  CompareOp kernel;
};
constexpr CompareEntry kCompare[] = {
    {"lt", CompareOp::lt}, {"le", CompareOp::le}, {"gt", CompareOp::gt},
    {"ge", CompareOp::ge}, {"eq", CompareOp::eq}, {"ne", CompareOp::ne},
};

struct IntegerEntry {
  std::string_view op;
  kernels::IntegerOp kernel;
};
constexpr IntegerEntry kInteger[] = {
    {"add", kernels::IntegerOp::add},
    {"sub", kernels::IntegerOp::sub},
    {"mul", kernels::IntegerOp::mul},
    {"min", kernels::IntegerOp::min},
    {"max", kernels::IntegerOp::max},
    {"nnefrun_fmin", kernels::IntegerOp::min},
    {"nnefrun_fmax", kernels::IntegerOp::max},
    {"and", kernels::IntegerOp::logical_and},
    {"or", kernels::IntegerOp::logical_or},
    {"lt", kernels::IntegerOp::lt},
    {"le", kernels::IntegerOp::le},
    {"gt", kernels::IntegerOp::gt},
    {"ge", kernels::IntegerOp::ge},
    {"eq", kernels::IntegerOp::eq},
    {"ne", kernels::IntegerOp::ne},
};

bool lower_integers(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const Fact &x = graph.fact(node.inputs[0]), &y = graph.fact(node.inputs[1]);
  if (x.quant || y.quant || x.dtype != y.dtype) return false;
  for (const IntegerEntry& entry : kInteger) {
    if (entry.op != node.op->name || !kernels::can_compute(entry.kernel, x.dtype)) continue;
    IntegerParameters p;
    p.op = static_cast<uint8_t>(entry.kernel);
    b.step(StepKind::integer, {b.value_of(node.inputs[0]), b.value_of(node.inputs[1])}, {b.result(index)}, p);
    return true;
  }
  return false;
}

bool lower_binary(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  for (const Outlet& input : node.inputs) {
    if (graph.fact(input).dtype != DataType::f32) return lower_integers(b, graph, index);
  }
  BinaryParameters p;
  bool found = false;
  for (const BinaryEntry& entry : kBinary) {
    if (entry.op == node.op->name) p.op = static_cast<uint8_t>(entry.kernel), found = true;
  }
  for (const CompareEntry& entry : kCompare) {
    if (entry.op == node.op->name) p.op = static_cast<uint8_t>(entry.kernel), p.compare = 1, found = true;
  }
  if (!found) return false;
  b.step(StepKind::binary, {b.value_of(node.inputs[0]), b.value_of(node.inputs[1])}, {b.result(index)}, p);
  return true;
}

bool lower_select(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const size_t item = item_size(node.facts[0].dtype);
  if (node.facts[0].quant || (item != 1 && item != 2 && item != 4 && item != 8)) return false;
  const StepKind kind = node.facts[0].dtype == DataType::f32 ? StepKind::select : StepKind::select_items;
  b.step(kind,
         {b.value_of(node.inputs[0]), b.value_of(node.inputs[1]), b.value_of(node.inputs[2])},
         {b.result(index)});
  return true;
}

constexpr Lowering kLowerings[] = {
    {"neg", lower_unary},
    {"abs", lower_unary},
    {"rcp", lower_unary},
    {"sqr", lower_unary},
    {"sqrt", lower_unary},
    {"rsqr", lower_unary},
    {"rsqrt", lower_unary},
    {"exp", lower_unary},
    {"log", lower_unary},
    {"log2", lower_unary},
    {"sin", lower_unary},
    {"cos", lower_unary},
    {"tan", lower_unary},
    {"asin", lower_unary},
    {"acos", lower_unary},
    {"atan", lower_unary},
    {"sinh", lower_unary},
    {"cosh", lower_unary},
    {"tanh", lower_unary},
    {"asinh", lower_unary},
    {"acosh", lower_unary},
    {"atanh", lower_unary},
    {"sigmoid", lower_unary},
    {"silu", lower_unary},
    {"tract_core_erf", lower_unary},
    {"softplus", lower_unary},
    {"floor", lower_unary},
    {"ceil", lower_unary},
    {"round", lower_unary},
    {"nnefrun_round_half_away", lower_unary},
    {"tract_core_round_even", lower_unary},
    {"tract_core_hard_swish", lower_unary},
    {"leaky_relu", lower_leaky_relu},
    {"elu", lower_elu},
    {"nnefrun_gelu", lower_gelu},
    {"relu", lower_unary},
    {"clamp", lower_clamp},
    {"nnefrun_clip", lower_clamp},
    {"add", lower_binary, kF32 | kI64 | kI32},
    {"sub", lower_binary, kF32 | kI64 | kI32},
    {"mul", lower_binary, kF32 | kI64 | kI32},
    {"div", lower_binary},
    {"min", lower_binary, kF32 | kI64 | kI32},
    {"max", lower_binary, kF32 | kI64 | kI32},
    {"pow", lower_binary},
    {"nnefrun_fmin", lower_binary, kF32 | kI64 | kI32},
    {"nnefrun_fmax", lower_binary, kF32 | kI64 | kI32},
    {"prelu", lower_binary},
    {"lt", lower_binary, kF32 | kI64 | kI32},
    {"le", lower_binary, kF32 | kI64 | kI32},
    {"gt", lower_binary, kF32 | kI64 | kI32},
    {"ge", lower_binary, kF32 | kI64 | kI32},
    {"eq", lower_binary, kF32 | kI64 | kI32 | kBool},
    {"ne", lower_binary, kF32 | kI64 | kI32 | kBool},
    {"and", lower_integers, kBool},
    {"or", lower_integers, kBool},
    {"select", lower_select, kPlain | TypeSet{DataType::complex32, DataType::complex64}},
};

}  // namespace

std::span<const Lowering> elementwise_lowerings() { return kLowerings; }

}  // namespace nnefrun
