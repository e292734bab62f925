// Normalisations that a text spells out: root mean square, and mean with variance.
#include <algorithm>

#include "engine/rewrites/match.h"

namespace nnefrun {
namespace {

// The mean over axes: mean_reduce, or sum_reduce that divides.
const Node* mean_of(const RewriteContext& c, Outlet outlet) {
  if (const Node* node = c.producer(outlet, "mean_reduce")) return node;
  const Node* node = c.producer(outlet, "sum_reduce");
  return node != nullptr && c.read(*node).logical("normalize") ? node : nullptr;
}

std::vector<int64_t> axes_of(const RewriteContext& c, const Node& reduce) {
  auto axes = c.read(reduce).integers("axes");
  std::sort(axes.begin(), axes.end());
  return axes;
}

// What is squared: sqr(x) or x * x.
std::optional<Outlet> squared(const RewriteContext& c, Outlet outlet) {
  if (const Node* node = c.producer(outlet, "sqr")) return node->inputs[0];
  const Node* node = c.producer(outlet, "mul");
  if (node != nullptr && node->inputs[0] == node->inputs[1]) return node->inputs[0];
  return std::nullopt;
}

// a / sqrt(v + eps), as a product with rsqrt or rcp(sqrt), or as a quotient.
struct Normalised {
  Outlet numerator;
  Outlet variance;
  double eps = 0;
};

std::optional<Normalised> normalised(const RewriteContext& c, const Node& node) {
  for (size_t side = 0; side < 2; ++side) {
    const Outlet root = node.inputs[side];
    std::optional<Outlet> sum;
    if (node.op->name == "div") {
      const Node* sqrt = side == 1 ? c.producer(root, "sqrt") : nullptr;
      if (sqrt != nullptr) sum = sqrt->inputs[0];
    } else if (const Node* rsqrt = c.producer(root, "rsqrt")) {
      sum = rsqrt->inputs[0];
    } else if (const Node* rcp = c.producer(root, "rcp")) {
      const Node* sqrt = c.producer(rcp->inputs[0], "sqrt");
      if (sqrt != nullptr) sum = sqrt->inputs[0];
    }
    if (!sum) continue;
    Normalised out{node.inputs[1 - side], *sum, 0};
    if (const Node* add = c.producer(*sum, "add")) {
      const auto eps = scalar_operand(c, *add);
      if (!eps) return std::nullopt;
      out.variance = eps->first;
      out.eps = eps->second;
    }
    if (!c.fact(out.numerator).same_type(node.facts[0])) return std::nullopt;
    return out;
  }
  return std::nullopt;
}

// x / sqrt(mean(x * x) + eps)
std::optional<Patch> rms_norm(const RewriteContext& c) {
  if (!is_plain_float(c.node().facts[0])) return std::nullopt;
  const auto whole = normalised(c, c.node());
  const Node* mean = whole ? mean_of(c, whole->variance) : nullptr;
  if (mean == nullptr || squared(c, mean->inputs[0]) != whole->numerator) return std::nullopt;
  const auto axes = axes_of(c, *mean);
  if (axes.size() != 1) return std::nullopt;
  return replace_by("tract_core_rms_norm", {whole->numerator}, {Attribute(axes[0]), Attribute(whole->eps)});
}

// (x - mean(x)) / sqrt(variance(x) + eps), the variance as mean((x - mean) * (x - mean)) or from `moments`
std::optional<Patch> layer_norm(const RewriteContext& c) {
  if (!is_plain_float(c.node().facts[0])) return std::nullopt;
  const auto whole = normalised(c, c.node());
  const Node* centred = whole ? c.producer(whole->numerator, "sub") : nullptr;
  if (centred == nullptr) return std::nullopt;
  const Outlet x = centred->inputs[0], mean = centred->inputs[1];
  std::vector<int64_t> axes;
  if (const Node* moments = c.producer(mean, "moments")) {
    if (mean.result != 0 || moments->inputs[0] != x || whole->variance != Outlet{mean.node, 1})
      return std::nullopt;
    axes = axes_of(c, *moments);
  } else {
    const Node *first = mean_of(c, mean), *second = mean_of(c, whole->variance);
    if (first == nullptr || second == nullptr || first->inputs[0] != x ||
        squared(c, second->inputs[0]) != whole->numerator) {
      return std::nullopt;
    }
    axes = axes_of(c, *first);
    if (axes_of(c, *second) != axes) return std::nullopt;
  }
  return replace_by("nnefrun_layer_norm", {x}, {Attribute::of_ints(axes), Attribute(whole->eps)}, {1, 0, 0});
}

// A constant that varies along the normalised axes only, as the kernels take it.
bool is_parameter(const Node& norm, const std::vector<int64_t>& axes, const Tensor& value) {
  const DimShape& shape = norm.facts[0].shape;
  if (value.rank() > norm.facts[0].rank()) return false;
  for (int i = 0; i < norm.facts[0].rank(); ++i) {
    const Dim extent = i < value.rank() ? Dim(value.dim(i)) : Dim(1);
    const bool inside = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (extent != (inside ? shape[static_cast<size_t>(i)] : Dim(1))) return false;
  }
  return true;
}

std::optional<Patch> layer_norm_parameter(const RewriteContext& c, bool scale) {
  const auto operand = constant_operand(c, c.node());
  const Node* norm = operand ? c.producer(operand->other, "nnefrun_layer_norm", true) : nullptr;
  if (norm == nullptr || !is_parameter(*norm, c.read(*norm).integers("axes"), *operand->value))
    return std::nullopt;
  // A scale comes before the offset, and each once.
  if (norm->input_counts[2] != 0 || (scale && norm->input_counts[1] != 0)) return std::nullopt;
  std::vector<Outlet> inputs = norm->inputs;
  inputs.push_back(operand->constant);
  std::vector<uint32_t> counts = norm->input_counts;
  counts[scale ? 1 : 2] = 1;
  return replace_by("nnefrun_layer_norm", inputs, norm->attributes, counts);
}

std::optional<Patch> layer_norm_scale(const RewriteContext& c) { return layer_norm_parameter(c, true); }
std::optional<Patch> layer_norm_offset(const RewriteContext& c) { return layer_norm_parameter(c, false); }

std::optional<Patch> rms_norm_scale(const RewriteContext& c) {
  const auto operand = constant_operand(c, c.node());
  const Node* norm = operand ? c.producer(operand->other, "tract_core_rms_norm", true) : nullptr;
  if (norm == nullptr || !is_parameter(*norm, {c.read(*norm).integer("axis")}, *operand->value))
    return std::nullopt;
  return replace_by("nnefrun_rms_norm", {norm->inputs[0], operand->constant}, norm->attributes);
}

constexpr Rewrite kRewrites[] = {
    // Layer norms first: with the mean taken off, what is left of one is a root mean square.
    {"layer-norm", "mul",
     "(x - mean) * rsqrt(mean((x - mean) ^ 2) + eps) => nnefrun_layer_norm(x, axes, eps)", layer_norm},
    {"layer-norm-of-div", "div", "(x - mean) / sqrt(variance + eps) => nnefrun_layer_norm(x, axes, eps)",
     layer_norm},
    {"rms-norm", "mul", "x * rsqrt(mean(x * x) + eps) => tract_core_rms_norm(x, axis, eps)", rms_norm},
    {"rms-norm-of-div", "div", "x / sqrt(mean(x * x) + eps) => tract_core_rms_norm(x, axis, eps)", rms_norm},
    {"rms-norm-scale", "mul", "tract_core_rms_norm(x) * scale => nnefrun_rms_norm(x, scale)", rms_norm_scale},
    {"layer-norm-scale", "mul", "nnefrun_layer_norm(x) * scale => nnefrun_layer_norm(x, scale)",
     layer_norm_scale},
    {"layer-norm-offset", "add",
     "nnefrun_layer_norm(x, scale) + offset => nnefrun_layer_norm(x, scale, offset)", layer_norm_offset},
};

}  // namespace

std::span<const Rewrite> norm_rewrites() { return kRewrites; }

}  // namespace nnefrun
