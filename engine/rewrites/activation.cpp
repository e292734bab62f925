// Activations that a text spells out get their names back, and small arithmetic its plainest form.
#include <algorithm>
#include <cmath>

#include "engine/rewrites/match.h"
#include "engine/rewrites/polynomial.h"

namespace nnefrun {
namespace {

// Constants of a formula are rounded to the type that it is computed in, some of them twice.
struct Close {
  double tolerance;
  explicit Close(DataType type)
      : tolerance(type == DataType::bf16  ? 8e-3
                  : type == DataType::f16 ? 1e-3
                                          : 1e-6) {}
  bool operator()(double a, double b) const {
    return std::abs(a - b) <= tolerance * std::max(std::abs(a), std::abs(b));
  }
};

// ---- bounds ----

// max(x, 0): both definitions give 0 for NaN.
std::optional<Patch> relu(const RewriteContext& c) {
  const bool symmetric = c.node().op->name == "nnefrun_fmax";  // `max` gives its second operand for NaN
  const auto operand = scalar_operand(c, c.node(), !symmetric);
  if (!operand || operand->second != 0 || std::signbit(operand->second) || !is_plain_float(c.node().facts[0]))
    return std::nullopt;
  return replace_by("relu", {operand->first});
}

struct Bound {
  Outlet other;
  Outlet bound;
  double value = 0;
};

// min(x, bound) or max(x, bound) with a constant bound.
std::optional<Bound> bound_of(const RewriteContext& c, const Node& node) {
  const std::string_view op = node.op->name;
  const auto operand = constant_operand(c, node);
  if (!operand || (operand->is_first && (op == "min" || op == "max"))) return std::nullopt;
  const auto value = c.scalar(operand->constant);
  if (!value || std::isnan(*value)) return std::nullopt;
  return Bound{operand->other, operand->constant, *value};
}

const Node* one_of(const RewriteContext& c, Outlet outlet, std::initializer_list<const char*> ops,
                   bool only_reader = false) {
  for (const char* op : ops) {
    if (const Node* node = c.producer(outlet, op, only_reader)) return node;
  }
  return nullptr;
}

// max(min(x, b), a)
std::optional<Patch> clamp_from_max(const RewriteContext& c) {
  const auto low = bound_of(c, c.node());
  if (!low) return std::nullopt;
  const Node* inner = one_of(c, low->other, {"min", "nnefrun_fmin"}, true);
  const auto high = inner == nullptr ? std::nullopt : bound_of(c, *inner);
  if (!high || low->value > high->value) return std::nullopt;
  return replace_by("clamp", {high->other, low->bound, high->bound});
}

// min(max(x, a), b) and min(relu(x), b).
std::optional<Patch> clip_from_min(const RewriteContext& c) {
  const auto high = bound_of(c, c.node());
  if (!high || !is_plain_float(c.node().facts[0])) return std::nullopt;
  if (const Node* relu = c.producer(high->other, "relu", true)) {
    if (high->value < 0 || c.node().facts[0].dtype != DataType::f32) return std::nullopt;
    Patch patch;
    const PatchWire zero = patch.constant(Tensor::scalar(0.0F), c.node().result_names[0] + "_low");
    patch.results = {patch.add("nnefrun_clip", {Patch::tap(relu->inputs[0]), zero, Patch::tap(high->bound)})};
    return patch;
  }
  const Node* inner = one_of(c, high->other, {"max", "nnefrun_fmax"}, true);
  const auto low = inner == nullptr ? std::nullopt : bound_of(c, *inner);
  if (!low || low->value > high->value) return std::nullopt;
  return replace_by("nnefrun_clip", {low->other, low->bound, high->bound});
}

// relu moves a lower bound below 0 up to 0, and gives the lower bound for NaN.
std::optional<Patch> clip_of_relu(const RewriteContext& c) {
  const Node& node = c.node();
  const Node* relu = c.producer(node.inputs[0], "relu", true);
  const auto low = c.scalar(node.inputs[1]), high = c.scalar(node.inputs[2]);
  if (relu == nullptr || !low || !high || !(*low <= *high) || !(*high >= 0) || !is_plain_f32(node.facts[0]) ||
      !c.fact(node.inputs[0]).same_type(node.facts[0])) {
    return std::nullopt;
  }
  if (*low >= 0) return replace_by("nnefrun_clip", {relu->inputs[0], node.inputs[1], node.inputs[2]});
  Patch patch;
  const PatchWire zero = patch.constant(Tensor::scalar(0.0F), node.result_names[0] + "_low");
  patch.results = {
      patch.add("nnefrun_clip", {Patch::tap(relu->inputs[0]), zero, Patch::tap(node.inputs[2])})};
  return patch;
}

// ---- products with a function of the same x ----

// x * sigmoid(x)
std::optional<Patch> silu(const RewriteContext& c) {
  if (!is_plain_float(c.node().facts[0])) return std::nullopt;
  for (size_t side = 0; side < 2; ++side) {
    const Node* sigmoid = c.producer(c.node().inputs[side], "sigmoid");
    if (sigmoid != nullptr && sigmoid->inputs[0] == c.node().inputs[1 - side])
      return replace_by("silu", sigmoid->inputs);
  }
  return std::nullopt;
}

// The factors of a product of several nodes, and the number in front of them. Only nodes without other
// readers are opened, the first excepted.
struct Product {
  double coefficient = 1;
  std::vector<Outlet> factors;
};

void collect(const RewriteContext& c, const Node& node, int depth, Product& out) {
  const auto factor = [&](Outlet outlet) {
    const Node& next = c.graph.node(outlet);
    const bool opens = depth < 4 && c.uses(outlet) == 1 &&
                       (next.op->name == "mul" || next.op->name == "div") && c.constant(outlet) == nullptr &&
                       (next.op->name == "mul" || c.scalar(next.inputs[1]).has_value());
    if (opens)
      collect(c, next, depth + 1, out);
    else if (const auto value = c.scalar(outlet))
      out.coefficient *= *value;
    else
      out.factors.push_back(outlet);
  };
  factor(node.inputs[0]);
  if (node.op->name == "mul")
    factor(node.inputs[1]);
  else
    out.coefficient /= *c.scalar(node.inputs[1]);
}

std::optional<Product> product_of(const RewriteContext& c) {
  const Node& node = c.node();
  if (!is_plain_float(node.facts[0])) return std::nullopt;
  if (node.op->name == "div" && !c.scalar(node.inputs[1])) return std::nullopt;
  Product out;
  collect(c, node, 0, out);
  return out;
}

// a + b * f(u) with one function f behind it, and u as a polynomial of some x.
struct Gate {
  std::string_view function;
  Outlet argument;
  double term = 0, factor = 1;
};

std::optional<Gate> gate_of(const RewriteContext& c, Outlet outlet) {
  Gate gate;
  for (int depth = 0; depth < 4; ++depth) {
    if (const Node* f = one_of(c, outlet, {"tract_core_erf", "tanh"})) {
      gate.function = f->op->name;
      gate.argument = f->inputs[0];
      return gate;
    }
    const Node* node = one_of(c, outlet, {"add", "mul"});
    const auto operand = node == nullptr ? std::nullopt : scalar_operand(c, *node);
    if (!operand) return std::nullopt;
    // So far: term + factor * (this node).
    if (node->op->name == "add")
      gate.term += gate.factor * operand->second;
    else
      gate.factor *= operand->second;
    outlet = operand->first;
  }
  return std::nullopt;
}

constexpr double kRootOfHalf = 0.7071067811865476, kRootOfTwoByPi = 0.7978845608028654, kCubic = 0.044715;

// 0.5 * x * (1 + erf(x / sqrt 2)) and 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ^ 3))), however
// the factors are grouped.
std::optional<Patch> gelu(const RewriteContext& c) {
  const auto product = product_of(c);
  if (!product || product->factors.size() != 2) return std::nullopt;
  const Close close(c.node().facts[0].dtype);
  for (size_t side = 0; side < 2; ++side) {
    const Outlet x = product->factors[side];
    const auto gate = gate_of(c, product->factors[1 - side]);
    if (!gate || !c.fact(x).same_type(c.node().facts[0])) continue;
    if (!close(product->coefficient * gate->term, 0.5) || !close(product->coefficient * gate->factor, 0.5))
      continue;
    const auto u = polynomial_of(c, gate->argument, x);
    if (!u || (*u)[0] != 0 || (*u)[2] != 0) continue;
    const bool exact = gate->function == "tract_core_erf";
    if (exact ? !(close((*u)[1], kRootOfHalf) && (*u)[3] == 0)
              : !(close((*u)[1], kRootOfTwoByPi) && close((*u)[3], kRootOfTwoByPi * kCubic))) {
      continue;
    }
    return replace_by("nnefrun_gelu", {x}, {Attribute(exact ? "none" : "tanh")});
  }
  return std::nullopt;
}

// x * clamp(x + 3, 0, 6) / 6, however it is scaled.
std::optional<Patch> hard_swish(const RewriteContext& c) {
  const auto product = product_of(c);
  if (!product || product->factors.size() != 2) return std::nullopt;
  const Close close(c.node().facts[0].dtype);
  for (size_t side = 0; side < 2; ++side) {
    const Outlet x = product->factors[side];
    double coefficient = product->coefficient;
    Outlet gate = product->factors[1 - side];
    // A factor between the clamp and the product, as in x * (clamp(x + 3, 0, 6) / 6).
    for (int depth = 0; depth < 2; ++depth) {
      const Node* node = one_of(c, gate, {"mul", "div"});
      if (node == nullptr) break;
      const auto operand = scalar_operand(c, *node, node->op->name == "div");
      if (!operand) break;
      coefficient *= node->op->name == "mul" ? operand->second : 1 / operand->second;
      gate = operand->first;
    }
    const Node* clamp = one_of(c, gate, {"clamp", "nnefrun_clip"});
    if (clamp == nullptr || !c.fact(x).same_type(c.node().facts[0])) continue;
    const auto low = c.scalar(clamp->inputs[1]), high = c.scalar(clamp->inputs[2]);
    const auto u = polynomial_of(c, clamp->inputs[0], x);
    if (!low || !high || !u || (*u)[2] != 0 || (*u)[3] != 0) continue;
    if (*low == 0 && close(coefficient * *high, 1) && close(coefficient * (*u)[0], 0.5) &&
        close(coefficient * (*u)[1], 1.0 / 6)) {
      return replace_by("tract_core_hard_swish", {x});
    }
  }
  return std::nullopt;
}

// ---- choices by sign ----

// select(x < 0, alpha * (exp(x) - 1), x) and select(x < 0, alpha * x, x)
std::optional<Patch> select_by_sign(const RewriteContext& c) {
  const Node& node = c.node();
  const Node* test = c.producer(node.inputs[0], "lt");
  if (test == nullptr || !is_plain_float(node.facts[0])) return std::nullopt;
  const Outlet x = node.inputs[2];
  const auto zero = c.scalar(test->inputs[1]);
  if (test->inputs[0] != x || !zero || *zero != 0 || !c.fact(x).same_type(node.facts[0])) return std::nullopt;

  double alpha = 1;
  Outlet below = node.inputs[1];
  if (const Node* mul = c.producer(below, "mul")) {
    const auto operand = scalar_operand(c, *mul);
    if (!operand) return std::nullopt;
    alpha = operand->second;
    below = operand->first;
  }
  if (below == x) return replace_by("leaky_relu", {x}, {Attribute(alpha)});
  const Node* minus_one = one_of(c, below, {"sub", "add"});
  const auto one =
      minus_one == nullptr ? std::nullopt : scalar_operand(c, *minus_one, minus_one->op->name == "sub");
  if (!one || one->second != (minus_one->op->name == "sub" ? 1.0 : -1.0)) return std::nullopt;
  const Node* exp = c.producer(one->first, "exp");
  if (exp == nullptr || exp->inputs[0] != x) return std::nullopt;
  return replace_by("elu", {x}, {Attribute(alpha)});
}

std::optional<Patch> prelu_of_one(const RewriteContext& c) {
  const auto alpha = c.scalar(c.node().inputs[1]);
  if (!alpha) return std::nullopt;
  return replace_by("leaky_relu", {c.node().inputs[0]}, {Attribute(*alpha)});
}

// ---- small arithmetic ----

std::optional<Patch> square_of_mul(const RewriteContext& c) {
  const Node& node = c.node();
  if (node.inputs[0] != node.inputs[1] || !is_plain_float(node.facts[0])) return std::nullopt;
  return replace_by("sqr", {node.inputs[0]});
}

std::optional<Patch> square_of_pow(const RewriteContext& c) {
  const auto operand = scalar_operand(c, c.node(), true);
  if (!operand || operand->second != 2 || !is_plain_float(c.node().facts[0])) return std::nullopt;
  return replace_by("sqr", {operand->first});
}

// 1 / x, and 1 / sqrt(x)
std::optional<Patch> reciprocal(const RewriteContext& c) {
  const Node& node = c.node();
  const auto operand = scalar_operand(c, node);
  if (!operand || operand->first != node.inputs[1] || operand->second != 1 || !is_plain_float(node.facts[0]))
    return std::nullopt;
  return replace_by("rcp", {operand->first});
}

std::optional<Patch> reciprocal_root(const RewriteContext& c) {
  const Node* root = c.producer(c.node().inputs[0], "sqrt", true);
  if (root == nullptr) return std::nullopt;
  return replace_by("rsqrt", root->inputs);
}

// x / c is x * (1 / c) exactly when c is a power of two whose reciprocal is one as well.
std::optional<Patch> division_by_power_of_two(const RewriteContext& c) {
  const auto operand = scalar_operand(c, c.node(), true);
  if (!operand || !is_plain_f32(c.node().facts[0])) return std::nullopt;
  int exponent = 0;
  if (std::abs(std::frexp(operand->second, &exponent)) != 0.5 || exponent < -100 || exponent > 100)
    return std::nullopt;
  Patch patch;
  const Tensor& divisor = *c.constant(c.node().inputs[1]);
  const auto value = rounded(divisor.shape(), {1 / operand->second});
  const PatchWire factor = patch.constant(*value, c.node().result_names[0] + "_factor");
  patch.results = {patch.add("mul", {Patch::tap(operand->first), factor})};
  return patch;
}

constexpr Rewrite kRewrites[] = {
    {"clamp-of-max", "max", "max(min(x, b), a) => clamp(x, a, b) for numbers a <= b", clamp_from_max},
    {"clamp-of-fmax", "nnefrun_fmax",
     "nnefrun_fmax(nnefrun_fmin(x, b), a) => clamp(x, a, b) for numbers a <= b", clamp_from_max},
    {"clip-of-min", "min", "min(max(x, a), b) => nnefrun_clip(x, a, b) for numbers a <= b", clip_from_min},
    {"clip-of-fmin", "nnefrun_fmin",
     "nnefrun_fmin(nnefrun_fmax(x, a), b) => nnefrun_clip(x, a, b) for numbers a <= b", clip_from_min},
    {"clip-of-relu", "clamp", "clamp(relu(x), a, b) => nnefrun_clip(x, max(a, 0), b) for numbers b >= 0",
     clip_of_relu},
    {"relu-of-max", "max", "max(x, 0) => relu(x)", relu},
    {"relu-of-fmax", "nnefrun_fmax", "nnefrun_fmax(x, 0) => relu(x)", relu},
    {"silu", "mul", "x * sigmoid(x) => silu(x)", silu},
    {"gelu", "mul",
     "0.5 * x * (1 + erf(x / sqrt(2))) => nnefrun_gelu(x); also the form with tanh; factors in any order",
     gelu},
    {"hard-swish", "mul", "x * (clamp(x + 3, 0, 6) / 6) => tract_core_hard_swish(x)", hard_swish},
    {"hard-swish-of-div", "div", "x * clamp(x + 3, 0, 6) / 6 => tract_core_hard_swish(x)", hard_swish},
    {"select-by-sign", "select",
     "x < 0 ? a * (exp(x) - 1) : x => elu(x, a); x < 0 ? a * x : x => leaky_relu(x, a)", select_by_sign},
    {"prelu-of-one", "prelu", "prelu(x, number) => leaky_relu(x, number)", prelu_of_one},
    {"square-of-mul", "mul", "x * x => sqr(x)", square_of_mul},
    {"square-of-pow", "pow", "x ^ 2 => sqr(x)", square_of_pow},
    {"reciprocal", "div", "1 / x => rcp(x)", reciprocal},
    {"reciprocal-root", "rcp", "rcp(sqrt(x)) => rsqrt(x)", reciprocal_root},
    {"division-by-power-of-two", "div", "x / c => x * (1 / c) for c = 2 ^ n", division_by_power_of_two},
};

}  // namespace

std::span<const Rewrite> activation_rewrites() { return kRewrites; }

}  // namespace nnefrun
