// Convolutions and products with what follows them in one node: bias, a sum with another tensor, an
// activation. Rewrites make these rows; a text of the engine's own dialect may call them too.
#include <algorithm>
#include <cmath>

#include "engine/ops/checks.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// ---- activations, in double ----

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

// As the selects of the standard have it: NaN becomes 0, the upper bound, and the lower bound.
double relu(double x, double, double) { return x > 0 ? x : 0; }
double clamp(double x, double low, double high) {
  const double below = x < high ? x : high;
  return below > low ? below : low;
}
double clip(double x, double low, double high) {
  const double above = x > low ? x : low;
  return above < high ? above : high;
}

struct Activation {
  std::string_view name;
  double (*apply)(double x, double alpha, double beta);
};
constexpr Activation kActivations[] = {
    {"", [](double x, double, double) { return x; }},
    {"relu", relu},
    {"clamp", clamp},
    {"clip", clip},
    {"leaky_relu", [](double x, double alpha, double) { return x < 0 ? alpha * x : x; }},
    {"sigmoid", [](double x, double, double) { return logistic(x); }},
    {"tanh", [](double x, double, double) { return std::tanh(x); }},
    {"silu", [](double x, double, double) { return x * logistic(x); }},
    {"gelu_erf", [](double x, double, double) { return 0.5 * x * std::erfc(x * -0.7071067811865476); }},
    {"gelu_tanh",
     [](double x, double, double) {
       return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
     }},
    {"hard_swish", [](double x, double, double) { return x * std::min(std::max(x + 3, 0.0), 6.0) / 6; }},
    {"elu", [](double x, double alpha, double) { return x < 0 ? alpha * std::expm1(x) : x; }},
};

const Activation& activation_of(const NodeReader& c) {
  const std::string& wanted = c.string("activation");
  std::string known;
  for (const Activation& activation : kActivations) {
    if (activation.name == wanted) return activation;
    if (!activation.name.empty()) known += (known.empty() ? "" : ", ") + std::string(activation.name);
  }
  throw c.fail("attribute-value", c.signature().name + ": there is no activation '" + wanted + "'")
      .note("activations are " + known);
}

// ---- the operator inside ----

// The plain operator with the first arguments of the fused one. Both signatures start alike.
Node plain_node(const Node& fused, std::string_view name, size_t tensors) {
  Node node;
  node.op = find_op(name);
  node.attributes.assign(
      fused.attributes.begin(),
      fused.attributes.begin() + static_cast<std::ptrdiff_t>(signature_of(node.op).attributes.size()));
  node.input_counts.assign(fused.input_counts.begin(),
                           fused.input_counts.begin() + static_cast<std::ptrdiff_t>(tensors));
  size_t inputs = 0;
  for (const uint32_t count : node.input_counts) inputs += count;
  node.inputs.assign(fused.inputs.begin(), fused.inputs.begin() + static_cast<std::ptrdiff_t>(inputs));
  node.where = fused.where;
  node.call_chain = fused.call_chain;
  return node;
}

Fact plain_fact(const InferContext& c, std::string_view name, size_t tensors) {
  const Node node = plain_node(c.node(), name, tensors);
  InferContext inner(node, signature_of(node.op),
                     {c.inputs.begin(), c.inputs.begin() + static_cast<std::ptrdiff_t>(node.inputs.size())},
                     c.graph);
  const Fact fact = node.op->infer(inner).at(0);
  if (!is_float(fact.dtype) || fact.quant) {
    throw c.fail("dtype-mismatch", c.signature().name + ": the operands must be floats")
        .note(describe("the result", fact));
  }
  return fact;
}

Tensor plain_value(const EvalContext& c, std::string_view name, size_t tensors) {
  Node node = plain_node(c.node(), name, tensors);
  node.facts = c.node().facts;
  EvalContext inner(node, signature_of(node.op), c.graph,
                    {c.inputs.begin(), c.inputs.begin() + static_cast<std::ptrdiff_t>(node.inputs.size())},
                    c.symbols, nullptr);
  return node.op->eval(inner).at(0);
}

// ---- what follows it ----

std::vector<Fact> with_epilogue(const InferContext& c, const Fact& result) {
  activation_of(c);
  const double alpha = c.scalar("alpha"), beta = c.scalar("beta");
  if (std::isnan(alpha) || std::isnan(beta) ||
      ((c.string("activation") == "clamp" || c.string("activation") == "clip") && alpha > beta)) {
    throw c.fail("attribute-range", c.signature().name + ": alpha = " + std::to_string(alpha) +
                                        " and beta = " + std::to_string(beta) +
                                        " do not fit the activation '" + c.string("activation") + "'");
  }
  if (c.has_input("residual")) {
    const Fact& residual = c.input("residual");
    bool fits = residual.dtype == result.dtype && !residual.quant && residual.rank() == result.rank();
    for (size_t i = 0; fits && i < result.shape.size(); ++i) {
      fits = !certainly_different(residual.shape[i], result.shape[i]);
    }
    if (!fits) {
      throw c
          .fail("shape-mismatch",
                c.signature().name + ": residual must have the type and shape of the result")
          .note(describe("the result", result))
          .note(describe("residual", residual));
    }
  }
  return {fact_of(result.dtype, result.shape)};
}

// activation(value + bias + residual), rounded once; `bias` has one item for each index of the last axis, one
// in all, or none.
Tensor with_epilogue(const EvalContext& c, const Tensor& value, const std::vector<double>& bias) {
  std::vector<double> items = as_doubles(value);
  if (!bias.empty()) {
    const size_t columns = value.shape().empty() ? 1 : static_cast<size_t>(value.shape().back());
    if (bias.size() != 1 && bias.size() != columns) {
      throw c.fail("shape-mismatch", c.signature().name + ": bias has " + std::to_string(bias.size()) +
                                         " items for " + std::to_string(columns) + " columns");
    }
    for (size_t i = 0; i < items.size(); ++i) items[i] += bias[bias.size() == 1 ? 0 : i % columns];
  }
  if (c.has_input("residual")) {
    const Tensor& residual = c.input("residual");
    if (residual.shape() != value.shape()) {
      throw c.fail("shape-mismatch", c.signature().name + ": residual has shape " +
                                         to_string(residual.shape()) + ", the result " +
                                         to_string(value.shape()));
    }
    const std::vector<double> more = as_doubles(residual);
    for (size_t i = 0; i < items.size(); ++i) items[i] += more[i];
  }
  const auto apply = activation_of(c).apply;
  const double alpha = c.scalar("alpha"), beta = c.scalar("beta");
  for (double& item : items) item = apply(item, alpha, beta);
  return cast_items(Tensor::of<double>(value.shape(), items), value.dtype());
}

// ---- rows ----

// input, filter and bias are conv's own.
std::vector<Fact> infer_conv(InferContext& c) { return with_epilogue(c, plain_fact(c, "conv", 3)); }
std::vector<Tensor> eval_conv(EvalContext& c) { return {with_epilogue(c, plain_value(c, "conv", 3), {})}; }

// Weights in f16 may stay so beside operands in f32.
bool has_half_weights(const Fact& a, const Fact& b) {
  return a.dtype == DataType::f32 && !a.quant && b.dtype == DataType::f16 && !b.quant;
}

std::vector<Fact> infer_matmul(InferContext& c) {
  Fact widened = *c.inputs[1];
  if (has_half_weights(*c.inputs[0], widened)) {
    widened.dtype = DataType::f32;
    widened.constant = nullptr;
    c.inputs[1] = &widened;
  }
  const Fact result = plain_fact(c, "matmul", 2);
  if (c.has_input("bias")) {
    const Fact& bias = c.input("bias");
    const Dim volume = volume_of(bias.shape);
    if (bias.dtype != result.dtype || bias.quant ||
        (!volume.is(1) && certainly_different(volume, result.shape.back()))) {
      throw c
          .fail("shape-mismatch", "nnefrun_matmul: bias must be one number, or one for each of the " +
                                      result.shape.back().to_string() + " columns")
          .note(describe("the result", result))
          .note(describe("bias", bias));
    }
  }
  return with_epilogue(c, result);
}

std::vector<Tensor> eval_matmul(EvalContext& c) {
  const std::vector<double> bias = c.has_input("bias") ? as_doubles(c.input("bias")) : std::vector<double>();
  return {with_epilogue(c, plain_value(c, "matmul", 2), bias)};
}

constexpr OpDef kRows[] = {
    {.name = "nnefrun_conv", .infer = infer_conv, .eval = eval_conv, .types = kFloats},
    {.name = "nnefrun_matmul", .infer = infer_matmul, .eval = eval_matmul, .types = kFloats},
};

}  // namespace

std::span<const OpDef> fused_rows() { return kRows; }

}  // namespace nnefrun
