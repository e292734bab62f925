// tract_moe_ffn: a mixture of experts, each a gated feed-forward network. Every token goes through the k
// experts that the router scores highest. Evaluation is in double, rounded once.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/ops/checks.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

enum class Gate { softmax_topk, softmax_all, sigmoid, raw };
enum class Activation { silu, gelu, relu };

Gate read_gate(const NodeReader& c) {
  const std::string& text = c.string("gate");
  if (text == "softmax_topk") return Gate::softmax_topk;
  if (text == "softmax_all") return Gate::softmax_all;
  if (text == "sigmoid") return Gate::sigmoid;
  if (text == "raw") return Gate::raw;
  throw c.fail("attribute-value", c.signature().name + ": gate '" + text +
                                      "' is not one of softmax_topk, softmax_all, sigmoid, raw");
}

Activation read_activation(const NodeReader& c) {
  const std::string& text = c.string("activation");
  if (text == "swiglu" || text == "silu") return Activation::silu;
  if (text == "gelu") return Activation::gelu;
  if (text == "relu") return Activation::relu;
  throw c.fail("attribute-value",
               c.signature().name + ": activation '" + text + "' is not one of swiglu, silu, gelu, relu");
}

// True for [E, H, D], false for [E, D, H].
bool read_linear_layout(const NodeReader& c) {
  const std::string& text = c.string("expert_layout");
  if (text == "linear") return true;
  if (text == "canonical") return false;
  throw c.fail("attribute-value",
               c.signature().name + ": expert_layout '" + text + "' is not one of canonical, linear");
}

std::optional<double> optional_scalar(const NodeReader& c, std::string_view name) {
  const Attribute& a = c.attribute(name);
  if (!a.is_given() || std::holds_alternative<bool>(a.value)) return std::nullopt;
  return c.scalar(name);
}

void check_float_or_packed(const InferContext& c, std::string_view name) {
  const Fact& fact = c.input(name);
  if ((is_float(fact.dtype) || is_block_quantized(fact.dtype)) && !fact.quant) return;
  throw c.fail("dtype-mismatch", c.signature().name + ": `" + std::string(name) + "` must be float or packed")
      .note(describe(name, fact));
}

std::vector<Fact> infer_experts(InferContext& c) {
  const Fact& x = float_input(c, "x");
  const Fact &wg = c.input("wg"), &w1 = c.input("w1"), &w2 = c.input("w2");
  require_rank(c, "x", x, 1);
  require_rank(c, "wg", wg, 2, 3);
  for (const char* name : {"wg", "w1", "w2"}) check_float_or_packed(c, name);
  require_rank(c, "w1", w1, 3, 3);
  require_rank(c, "w2", w2, 3, 3);
  read_gate(c);
  read_activation(c);
  const bool linear = read_linear_layout(c);
  if (wg.rank() == 3) require_equal(c, "the first extent of wg", wg.shape[0], 1);
  const Dim& experts = wg.shape[wg.shape.size() - 2];
  const Dim& width = x.shape.back();
  const Dim& hidden = w1.shape[linear ? 1 : 2];
  require_equal(c, "the width of wg", wg.shape.back(), width);
  const DimShape up = linear ? DimShape{experts, hidden, width} : DimShape{experts, width, hidden};
  const DimShape down = linear ? DimShape{experts, width, hidden} : DimShape{experts, hidden, width};
  const auto check_shape = [&](std::string_view name, const DimShape& expected) {
    if (!c.has_input(name)) return;
    check_float_or_packed(c, name);
    const Fact& fact = c.input(name);
    const auto rank = static_cast<int>(expected.size());
    require_rank(c, name, fact, rank, rank);
    for (size_t i = 0; i < expected.size(); ++i) {
      require_equal(c, "extent " + std::to_string(i) + " of " + std::string(name), fact.shape[i],
                    expected[i]);
    }
  };
  check_shape("w1", up);
  check_shape("w3", up);
  check_shape("w2", down);
  check_shape("wg_bias", {experts});
  check_shape("w1_bias", {experts, hidden});
  check_shape("w3_bias", {experts, hidden});
  check_shape("w2_bias", {experts, width});
  const int64_t k = c.integer("k");
  require_range(c, "k", k, 1,
                experts.is_constant() ? std::max<int64_t>(experts.value(), 0) : int64_t{1} << 30);
  const auto limit = optional_scalar(c, "act_limit");
  if (limit && !(*limit > 0))
    throw c.fail("attribute-range", c.signature().name + ": act_limit must be positive");
  if ((limit || c.has_input("w3_bias")) && !c.has_input("w3")) {
    throw c.fail("missing-argument", c.signature().name + ": act_limit and w3_bias need w3");
  }
  return {fact_of(x.dtype, x.shape)};
}

struct Expert {
  int64_t index;
  double weight;
};

std::vector<Expert> routed(Gate gate, const std::vector<double>& scores, int64_t k) {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto score = [&](int64_t e) { return scores[static_cast<size_t>(e)]; };
  // Ties go to the smaller index, a NaN is below everything: a strict order whatever the data.
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    if (std::isnan(score(a)) || std::isnan(score(b))) return !std::isnan(score(a)) && std::isnan(score(b));
    return score(a) > score(b);
  });
  order.resize(static_cast<size_t>(k));
  const double largest = score(order[0]);
  double sum = 0;
  if (gate == Gate::softmax_topk) {
    for (const int64_t e : order) sum += std::exp(score(e) - largest);
  } else if (gate == Gate::softmax_all) {
    for (const double s : scores) sum += std::exp(s - largest);
  }
  std::vector<Expert> out;
  for (const int64_t e : order) {
    double weight = score(e);
    if (gate == Gate::sigmoid) weight = 1 / (1 + std::exp(-weight));
    if (gate == Gate::softmax_topk || gate == Gate::softmax_all) weight = std::exp(weight - largest) / sum;
    out.push_back({e, weight});
  }
  return out;
}

double activated(Activation activation, double x) {
  switch (activation) {
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::gelu: return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case Activation::relu: return std::max(x, 0.0);
  }
  return x;
}

// One matrix for each expert, and a bias row.
struct Bank {
  std::vector<double> items, bias;
  int64_t in, out;
  bool output_first;  // [E, out, in], else [E, in, out]

  double operator()(int64_t expert, int64_t o, const double* x) const {
    const double* matrix = items.data() + expert * in * out;
    double sum = bias.empty() ? 0.0 : bias[static_cast<size_t>(expert * out + o)];
    for (int64_t i = 0; i < in; ++i) sum += x[i] * (output_first ? matrix[o * in + i] : matrix[i * out + o]);
    return sum;
  }
};

std::vector<double> optional_items(const EvalContext& c, std::string_view name) {
  return c.has_input(name) ? as_doubles(c.input(name)) : std::vector<double>{};
}

void check_volume(const NodeReader& c, std::string_view name, const std::vector<double>& items,
                  int64_t expected, bool optional) {
  if ((optional && items.empty()) || static_cast<int64_t>(items.size()) == expected) return;
  throw c.fail("shape-mismatch", c.signature().name + ": `" + std::string(name) + "` has " +
                                     std::to_string(items.size()) + " items, expected " +
                                     std::to_string(expected));
}

std::vector<Tensor> eval_experts(EvalContext& c) {
  const Tensor& x = c.input("x");
  const Tensor& wg = c.input("wg");
  const bool linear = read_linear_layout(c);
  const Gate gate = read_gate(c);
  const Activation activation = read_activation(c);
  const auto limit = optional_scalar(c, "act_limit");
  const double alpha = optional_scalar(c, "act_alpha").value_or(1.0);
  const int64_t width = x.shape().back(), experts = wg.dim(wg.rank() - 2);
  const int64_t hidden = c.input("w1").dim(linear ? 1 : 2), k = c.integer("k");
  const Bank router{as_doubles(wg), optional_items(c, "wg_bias"), width, experts, true};
  const Bank w1{as_doubles(c.input("w1")), optional_items(c, "w1_bias"), width, hidden, linear};
  const Bank w2{as_doubles(c.input("w2")), optional_items(c, "w2_bias"), hidden, width, linear};
  const Bank w3{optional_items(c, "w3"), optional_items(c, "w3_bias"), width, hidden, linear};
  const bool gated = c.has_input("w3");
  check_volume(c, "wg", router.items, experts * width, false);
  check_volume(c, "wg_bias", router.bias, experts, true);
  check_volume(c, "w1", w1.items, experts * width * hidden, false);
  check_volume(c, "w2", w2.items, experts * width * hidden, false);
  check_volume(c, "w3", w3.items, experts * width * hidden, !gated);
  check_volume(c, "w1_bias", w1.bias, experts * hidden, true);
  check_volume(c, "w3_bias", w3.bias, experts * hidden, true);
  check_volume(c, "w2_bias", w2.bias, experts * width, true);
  require_range(c, "k", k, 1, experts);

  const std::vector<double> items = as_doubles(x);
  std::vector<double> out(items.size(), 0.0), scores(static_cast<size_t>(experts)),
      inner(static_cast<size_t>(hidden));
  for (int64_t token = 0; width > 0 && token < x.size() / width; ++token) {
    const double* in = items.data() + token * width;
    for (int64_t e = 0; e < experts; ++e) scores[static_cast<size_t>(e)] = router(0, e, in);
    for (const Expert& expert : routed(gate, scores, k)) {
      for (int64_t i = 0; i < hidden; ++i) {
        const double up = w1(expert.index, i, in);
        double& result = inner[static_cast<size_t>(i)];
        if (limit) {
          const double clamped = std::min(up, *limit);
          const double linear_part = std::clamp(w3(expert.index, i, in), -*limit, *limit);
          result = (linear_part + 1) * clamped / (1 + std::exp(-alpha * clamped));
        } else {
          result = activated(activation, up) * (gated ? w3(expert.index, i, in) : 1.0);
        }
      }
      for (int64_t i = 0; i < width; ++i) {
        out[static_cast<size_t>(token * width + i)] += expert.weight * w2(expert.index, i, inner.data());
      }
    }
  }
  return {cast_items(Tensor::of<double>(x.shape(), out), x.dtype())};
}

constexpr OpDef kRows[] = {
    {.name = "tract_moe_ffn", .infer = infer_experts, .eval = eval_experts, .types = kFloats},
};

}  // namespace

std::span<const OpDef> expert_rows() { return kRows; }

}  // namespace nnefrun
