#include "engine/rewrites/polynomial.h"

namespace nnefrun {
namespace {

constexpr int kMaxDepth = 8;

std::optional<Cubic> product(const Cubic& a, const Cubic& b) {
  Cubic out{};
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t k = 0; k < b.size(); ++k) {
      if (i + k < out.size())
        out[i + k] += a[i] * b[k];
      else if (a[i] * b[k] != 0)
        return std::nullopt;
    }
  }
  return out;
}

}  // namespace

std::optional<Cubic> polynomial_of(const RewriteContext& c, Outlet outlet, Outlet x, int depth) {
  if (outlet == x) return Cubic{0, 1, 0, 0};
  if (const auto value = c.scalar(outlet)) return Cubic{*value, 0, 0, 0};
  if (depth == kMaxDepth || c.constant(outlet) != nullptr) return std::nullopt;
  const Node& node = c.graph.node(outlet);
  const std::string_view op = node.op->name;
  const bool binary = op == "add" || op == "sub" || op == "mul" || op == "div" || op == "pow";
  if (!binary && op != "neg" && op != "sqr") return std::nullopt;
  const auto a = polynomial_of(c, node.inputs[0], x, depth + 1);
  if (!a) return std::nullopt;
  if (op == "neg") return product(*a, Cubic{-1, 0, 0, 0});
  if (op == "sqr") return product(*a, *a);
  if (op == "div" || op == "pow") {
    const auto number = c.scalar(node.inputs[1]);
    if (!number) return std::nullopt;
    if (op == "div") return product(*a, Cubic{1 / *number, 0, 0, 0});
    if (*number == 2) return product(*a, *a);
    const auto square = *number == 3 ? product(*a, *a) : std::nullopt;
    return square ? product(*square, *a) : std::nullopt;
  }
  const auto b = polynomial_of(c, node.inputs[1], x, depth + 1);
  if (!b) return std::nullopt;
  if (op == "mul") return product(*a, *b);
  Cubic sum = *a;
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += op == "add" ? (*b)[i] : -(*b)[i];
  return sum;
}

}  // namespace nnefrun
