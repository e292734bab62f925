// Convolutions and products with their neighbours: constant factors and terms go into weights and bias, what
// follows goes into the fused rows. Sums and factors of weights are made in double and rounded once.
#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/rewrites/match.h"

namespace nnefrun {
namespace {

// ---- a convolution or product with constant weights, as numbers for each of its output channels ----

struct Weights {
  const Node* node = nullptr;
  const Tensor* filter = nullptr;
  int filter_axis = 0;   // of the filter: that of the output channels
  int channel_axis = 0;  // of the result
  int64_t channels = 0;
  std::vector<double> bias;  // one for each channel
};

// The bias of `conv`: a number, [channels] or [1, channels, 1, ...].
std::optional<std::vector<double>> conv_bias(const RewriteContext& c, Outlet outlet, int rank,
                                             int64_t channels) {
  const Tensor* bias = c.constant(outlet);
  if (bias == nullptr) return std::nullopt;
  return along_axis(*bias, rank, bias->rank() == 1 ? 0 : 1, channels);
}

// Neither residual nor activation: what the fused rows have in common with the plain ones.
bool is_bare(const RewriteContext& c, const Node& node) {
  const NodeReader r = c.read(node);
  return r.signature().attribute_index("activation") < 0 ||
         (r.string("activation").empty() && !r.has_input("residual"));
}

// The node behind a wire when it is a convolution or product in f32 with constant weights and nothing but a
// bias behind it, read by nobody else.
std::optional<Weights> weights_behind(const RewriteContext& c, Outlet outlet) {
  Weights w;
  for (const char* op : {"conv", "matmul", "linear", "nnefrun_matmul"}) {
    if (w.node == nullptr) w.node = c.producer(outlet, op, true);
  }
  if (w.node == nullptr || !is_plain_f32(w.node->facts[0]) || !is_bare(c, *w.node)) return std::nullopt;
  w.filter = c.constant(w.node->inputs[1]);
  if (w.filter == nullptr || w.filter->dtype() != DataType::f32 || c.fact(w.node->inputs[1]).quant)
    return std::nullopt;
  const int rank = w.node->facts[0].rank();
  if (w.node->op->name == "conv") {
    w.channel_axis = 1;
    w.channels = w.filter->dim(0);
    w.bias.assign(static_cast<size_t>(w.channels), 0.0);
    if (w.node->inputs.size() > 2) {
      const auto bias = conv_bias(c, w.node->inputs[2], rank, w.channels);
      if (!bias) return std::nullopt;
      w.bias = *bias;
    }
    return w;
  }
  const bool is_linear = w.node->op->name == "linear";
  const bool transposed = is_linear || c.read(*w.node).logical("transposeB");
  w.filter_axis = rank - (transposed ? 2 : 1);
  w.channel_axis = rank - 1;
  w.channels = w.filter->dim(w.filter_axis);
  w.bias.assign(static_cast<size_t>(w.channels), 0.0);
  if (w.node->inputs.size() > 2) {
    const Tensor* bias = c.constant(w.node->inputs[2]);
    if (bias == nullptr) return std::nullopt;
    // `linear` broadcasts its bias; nnefrun_matmul takes one item for each column, in any shape.
    const bool flat = !is_linear && bias->size() == w.channels;
    const auto values =
        flat ? std::optional(items_of(*bias)) : along_axis(*bias, rank, w.channel_axis, w.channels);
    if (!values) return std::nullopt;
    w.bias = *values;
  }
  return w;
}

Shape bias_shape(const Weights& w) {
  if (w.node->op->name == "conv") return {1, w.channels};
  Shape shape(static_cast<size_t>(w.node->facts[0].rank()), 1);
  shape.back() = w.channels;
  return shape;
}

// How the items of the output channels lie in a filter: runs of `inner` items for one channel after the
// other, and this over and over.
struct ChannelRuns {
  int64_t channels, inner;
  ChannelRuns(const Weights& w) : channels(w.channels), inner(1) {
    for (int axis = w.filter_axis + 1; axis < w.filter->rank(); ++axis) inner *= w.filter->dim(axis);
  }
};

float scaled(float value, double by) { return static_cast<float>(static_cast<double>(value) * by); }

// Whether all items of the filter stay finite when the channels are multiplied by `factor`.
bool stays_finite(const Weights& w, const std::vector<double>& factor) {
  const ChannelRuns runs(w);
  constexpr uint32_t kMagnitude = 0x7FFFFFFFU, kInfinity = 0x7F800000U;
  std::vector<uint32_t> largest(static_cast<size_t>(runs.channels));  // of the magnitudes, by their bits
  const float* from = w.filter->data<float>();
  const auto magnitude = [](float value) { return std::bit_cast<uint32_t>(value) & kMagnitude; };
  for (int64_t i = 0; i < w.filter->size(); i += runs.channels * runs.inner) {
    for (int64_t k = 0; k < runs.channels && runs.inner == 1; ++k) {
      uint32_t& most = largest[static_cast<size_t>(k)];
      most = std::max(most, magnitude(from[i + k]));
    }
    for (int64_t k = 0; k < runs.channels && runs.inner > 1; ++k) {
      const float* channel = from + i + k * runs.inner;
      uint32_t most = largest[static_cast<size_t>(k)];
      for (int64_t j = 0; j < runs.inner; ++j) most = std::max(most, magnitude(channel[j]));
      largest[static_cast<size_t>(k)] = most;
    }
  }
  for (size_t k = 0; k < largest.size(); ++k) {
    if (magnitude(scaled(std::bit_cast<float>(largest[k]), factor[k])) >= kInfinity) return false;
  }
  return true;
}

void scale_channels(float* items, int64_t size, const ChannelRuns& runs, const std::vector<double>& factor) {
  for (int64_t i = 0; i < size; i += runs.channels * runs.inner) {
    if (runs.inner == 1) {
      for (int64_t k = 0; k < runs.channels; ++k)
        items[i + k] = scaled(items[i + k], factor[static_cast<size_t>(k)]);
      continue;
    }
    for (int64_t k = 0; k < runs.channels; ++k) {
      const double by = factor[static_cast<size_t>(k)];
      float* channel = items + i + k * runs.inner;
      for (int64_t j = 0; j < runs.inner; ++j) channel[j] = scaled(channel[j], by);
    }
  }
}

// The node again with its channels scaled: result * factor + term.
std::optional<Patch> with_affine(const RewriteContext& c, const Weights& w, const std::vector<double>& factor,
                                 const std::vector<double>& term) {
  std::vector<double> bias = w.bias;
  for (size_t k = 0; k < bias.size(); ++k) bias[k] = bias[k] * factor[k] + term[k];
  const bool has_bias = std::any_of(bias.begin(), bias.end(), [](double v) { return v != 0; });
  const bool is_scaled = std::any_of(factor.begin(), factor.end(), [](double v) { return v != 1; });
  const auto new_bias = rounded(bias_shape(w), bias);
  if (!new_bias || (is_scaled && !stays_finite(w, factor))) return std::nullopt;

  Patch patch;
  const std::string& name = c.graph.name_of(w.node->inputs[1]);
  const PatchWire input = Patch::tap(w.node->inputs[0]);
  const auto scale = [factor, runs = ChannelRuns(w)](Tensor items) {
    scale_channels(items.mutable_data<float>(), items.size(), runs, factor);
    return items;
  };
  const PatchWire filter = is_scaled ? patch.constant_of(w.node->inputs[1], scale, name + "_scaled")
                                     : Patch::tap(w.node->inputs[1]);
  if (w.node->op->name == "conv") {
    const PatchWire wire = has_bias ? patch.constant(*new_bias, name + "_bias")
                                    : patch.constant(Tensor::scalar(0.0F), name + "_bias");
    patch.results = {patch.add("conv", {input, filter, wire}, w.node->attributes)};
    return patch;
  }
  const bool is_linear = w.node->op->name == "linear";
  const NodeReader r = c.read(*w.node);
  const bool transpose_a = !is_linear && r.logical("transposeA");
  const bool transpose_b = is_linear || r.logical("transposeB");
  if (!has_bias) {
    patch.results = {patch.add("matmul", {input, filter}, {transpose_a, transpose_b})};
    return patch;
  }
  patch.results = {patch.add("nnefrun_matmul", {input, filter, patch.constant(*new_bias, name + "_bias")},
                             {transpose_a, transpose_b})};
  return patch;
}

// ---- constant factors and terms behind a convolution or product ----

struct Affine {
  Weights weights;
  std::vector<double> values;  // of the constant, for each channel
  bool constant_first = false;
};

std::optional<Affine> affine_operand(const RewriteContext& c) {
  if (!is_plain_f32(c.node().facts[0])) return std::nullopt;
  const auto operand = constant_operand(c, c.node());
  if (!operand) return std::nullopt;
  auto weights = weights_behind(c, operand->other);
  if (!weights) return std::nullopt;
  auto values =
      along_axis(*operand->value, c.node().facts[0].rank(), weights->channel_axis, weights->channels);
  if (!values) return std::nullopt;
  return Affine{std::move(*weights), std::move(*values), operand->is_first};
}

std::vector<double> all(const std::vector<double>& like, double value) {
  return std::vector<double>(like.size(), value);
}

std::optional<Patch> fold_mul(const RewriteContext& c) {
  const auto a = affine_operand(c);
  if (!a) return std::nullopt;
  return with_affine(c, a->weights, a->values, all(a->values, 0));
}

std::optional<Patch> fold_div(const RewriteContext& c) {
  const auto a = affine_operand(c);
  if (!a || a->constant_first) return std::nullopt;
  std::vector<double> factor = a->values;
  for (double& v : factor) v = 1 / v;
  return with_affine(c, a->weights, factor, all(factor, 0));
}

std::optional<Patch> fold_add(const RewriteContext& c) {
  const auto a = affine_operand(c);
  if (!a) return std::nullopt;
  return with_affine(c, a->weights, all(a->values, 1), a->values);
}

// y - term, or term - y
std::optional<Patch> fold_sub(const RewriteContext& c) {
  const auto a = affine_operand(c);
  if (!a) return std::nullopt;
  if (a->constant_first) return with_affine(c, a->weights, all(a->values, -1), a->values);
  std::vector<double> term = a->values;
  for (double& v : term) v = -v;
  return with_affine(c, a->weights, all(term, 1), term);
}

// ---- batch normalisation with stored statistics ----

struct BatchNorm {
  std::vector<double> factor, term;  // input * factor + term
};

std::optional<BatchNorm> batch_norm(const RewriteContext& c, int channel_axis, int64_t channels) {
  const NodeReader r = c.read(c.node());
  const auto values = [&](std::string_view name) -> std::optional<std::vector<double>> {
    const Tensor* value = c.constant(c.node().inputs[r.input_range(name).first]);
    return value == nullptr ? std::nullopt
                            : along_axis(*value, c.node().facts[0].rank(), channel_axis, channels);
  };
  const auto mean = values("mean"), variance = values("variance"), offset = values("offset"),
             scale = values("scale");
  if (!mean || !variance || !offset || !scale) return std::nullopt;
  const double epsilon = r.scalar("epsilon");
  BatchNorm out;
  for (size_t k = 0; k < mean->size(); ++k) {
    const double factor = (*scale)[k] / std::sqrt((*variance)[k] + epsilon);
    if (!std::isfinite(factor)) return std::nullopt;
    out.factor.push_back(factor);
    out.term.push_back((*offset)[k] - (*mean)[k] * factor);
  }
  return out;
}

std::optional<Patch> fold_batch_norm(const RewriteContext& c) {
  const auto weights = weights_behind(c, c.node().inputs[0]);
  if (!weights) return std::nullopt;
  const auto norm = batch_norm(c, weights->channel_axis, weights->channels);
  if (!norm) return std::nullopt;
  return with_affine(c, *weights, norm->factor, norm->term);
}

std::optional<Patch> batch_norm_as_affine(const RewriteContext& c) {
  const Fact& fact = c.node().facts[0];
  if (!is_plain_f32(fact) || fact.rank() < 2 || !fact.shape[1].is_constant()) return std::nullopt;
  const int64_t channels = fact.shape[1].value();
  const auto norm = batch_norm(c, 1, channels);
  if (!norm) return std::nullopt;
  const auto factor = rounded({1, channels}, norm->factor), term = rounded({1, channels}, norm->term);
  if (!factor || !term) return std::nullopt;
  Patch patch;
  const std::string& name = c.node().result_names[0];
  const PatchWire scaled =
      patch.add("mul", {Patch::tap(c.node().inputs[0]), patch.constant(*factor, name + "_factor")}, {},
                name + "_scaled");
  patch.results = {patch.add("add", {scaled, patch.constant(*term, name + "_term")})};
  return patch;
}

// ---- padding in front of a convolution ----

std::optional<Patch> pad_into_conv(const RewriteContext& c) {
  const Node& conv = c.node();
  const Node* pad = c.producer(conv.inputs[0], "pad");
  if (pad == nullptr) return std::nullopt;
  const NodeReader r = c.read(conv), p = c.read(*pad);
  if (p.string("border") != "constant" || p.scalar("value") != 0 || r.string("border") != "constant")
    return std::nullopt;
  const auto outer = p.dim_pairs("padding"), inner = r.dim_pairs("padding");
  const size_t spatial = static_cast<size_t>(conv.facts[0].rank()) - 2;
  // No padding at all means that it is chosen from the extents.
  if (outer.size() != spatial + 2 || inner.size() != spatial) return std::nullopt;
  Attribute::List sum;
  for (size_t i = 0; i < outer.size(); ++i) {
    if (i < 2) {
      if (!outer[i].first.is(0) || !outer[i].second.is(0)) return std::nullopt;
      continue;
    }
    if (!outer[i].first.is_at_least(0) || !outer[i].second.is_at_least(0)) return std::nullopt;
    Attribute pair(
        Attribute::List{outer[i].first + inner[i - 2].first, outer[i].second + inner[i - 2].second});
    pair.is_tuple = true;
    sum.push_back(std::move(pair));
  }
  std::vector<Attribute> attributes = conv.attributes;
  attributes[static_cast<size_t>(signature_of(conv.op).attribute_index("padding"))] = std::move(sum);
  std::vector<Outlet> inputs = conv.inputs;
  inputs[0] = pad->inputs[0];
  return replace_by(std::string(conv.op->name), inputs, std::move(attributes), conv.input_counts);
}

// ---- products ----

// A bias that is one number for each column of a product: all other extents are 1.
bool is_column_bias(const Fact& bias, const Fact& result) {
  if (!is_plain_f32(bias)) return false;
  if (volume_of(bias.shape).is(1)) return bias.rank() <= result.rank();
  if (bias.rank() != result.rank() || bias.shape.back() != result.shape.back()) return false;
  return std::all_of(bias.shape.begin(), bias.shape.end() - 1, [](const Dim& d) { return d.is(1); });
}

// Products in f32, packed weights included.
bool is_f32_product(const RewriteContext& c, const Node& node) {
  const Fact& weights = c.fact(node.inputs[1]);
  return is_plain_f32(c.fact(node.inputs[0])) &&
         (is_plain_f32(weights) || is_block_quantized(weights.dtype)) && is_plain_f32(node.facts[0]);
}

std::optional<Patch> linear_as_matmul(const RewriteContext& c) {
  const Node& node = c.node();
  const auto bias = node.inputs.size() > 2 ? c.scalar(node.inputs[2]) : std::optional<double>(0.0);
  if (bias && *bias == 0 && (node.inputs.size() < 3 || c.fact(node.inputs[2]).rank() <= node.facts[0].rank()))
    return replace_by("matmul", {node.inputs[0], node.inputs[1]}, {false, true});
  if (!is_f32_product(c, node) || !is_column_bias(c.fact(node.inputs[2]), node.facts[0])) return std::nullopt;
  return replace_by("nnefrun_matmul", node.inputs, {false, true}, {1, 1, 1, 0});
}

// matmul(A, B) + bias, where the bias is no constant or could not go into `linear`'s.
std::optional<Patch> add_bias(const RewriteContext& c) {
  for (size_t side = 0; side < 2; ++side) {
    const Outlet sum = c.node().inputs[side], bias = c.node().inputs[1 - side];
    const Node* product = c.producer(sum, "matmul", true);
    if (product == nullptr || sum == bias || !is_f32_product(c, *product)) continue;
    if (!c.fact(sum).same_type(c.node().facts[0]) || !is_column_bias(c.fact(bias), c.node().facts[0]))
      continue;
    std::vector<Outlet> inputs = product->inputs;
    inputs.push_back(bias);
    return replace_by("nnefrun_matmul", inputs, product->attributes, {1, 1, 1, 0});
  }
  return std::nullopt;
}

// A transpose of the last two axes in front of a product is a switch of the product.
std::optional<Patch> transpose_into_matmul(const RewriteContext& c) {
  const Node& node = c.node();
  for (size_t side = 0; side < 2; ++side) {
    const Node* transpose = c.producer(node.inputs[side], "transpose");
    if (transpose == nullptr) continue;
    auto axes = permutation_of(c, *transpose);
    std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
    if (!is_identity(axes)) continue;
    // Weights in groups want the other operand as it is.
    if (c.producer(node.inputs[1 - side], "nnefrun_dequantize_groups") != nullptr) continue;
    std::vector<Attribute> attributes = node.attributes;
    attributes[side] = Attribute(!c.read(node).logical(side == 0 ? "transposeA" : "transposeB"));
    std::vector<Outlet> inputs = node.inputs;
    inputs[side] = transpose->inputs[0];
    return replace_by(std::string(node.op->name), inputs, std::move(attributes), node.input_counts);
  }
  return std::nullopt;
}

// ---- the fused rows: residual and activation ----

// A convolution or product in f32 that can take more behind it, as the inputs, counts and attributes of its
// fused row.
struct Fused {
  std::string op;
  std::vector<Outlet> inputs;
  std::vector<uint32_t> counts;  // four: two operands, bias, residual
  std::vector<Attribute> attributes;
};

std::optional<Fused> fused_behind(const RewriteContext& c, Outlet outlet) {
  const Node* node = nullptr;
  for (const char* op : {"conv", "matmul", "nnefrun_conv", "nnefrun_matmul"}) {
    if (node == nullptr) node = c.producer(outlet, op, true);
  }
  if (node == nullptr || !is_f32_product(c, *node)) return std::nullopt;
  Fused out;
  const bool is_conv = node->op->name == "conv" || node->op->name == "nnefrun_conv";
  out.op = is_conv ? "nnefrun_conv" : "nnefrun_matmul";
  out.inputs = node->inputs;
  out.counts = node->input_counts;
  out.counts.resize(4, 0);
  out.attributes = node->attributes;
  if (node->op->name != out.op) {
    out.attributes.insert(out.attributes.end(), {Attribute(""), Attribute(0.0), Attribute(0.0)});
  } else if (!c.read(*node).string("activation").empty()) {
    return std::nullopt;
  }
  return out;
}

std::optional<Patch> add_residual(const RewriteContext& c) {
  for (size_t side = 0; side < 2; ++side) {
    const Outlet sum = c.node().inputs[side], residual = c.node().inputs[1 - side];
    if (sum == residual || !c.fact(sum).same_type(c.node().facts[0]) ||
        !c.fact(residual).same_type(c.node().facts[0])) {
      continue;
    }
    auto fused = fused_behind(c, sum);
    if (!fused || fused->counts[3] != 0) continue;
    fused->inputs.push_back(residual);
    fused->counts[3] = 1;
    return replace_by(fused->op, fused->inputs, fused->attributes, fused->counts);
  }
  return std::nullopt;
}

struct FusedActivation {
  std::string name;
  double alpha = 0, beta = 0;
};

// What the fused rows call this node; nullopt when they do not have it.
std::optional<FusedActivation> activation_of(const RewriteContext& c, const Node& node) {
  const std::string_view op = node.op->name;
  const NodeReader r = c.read(node);
  if (op == "relu" || op == "sigmoid" || op == "tanh" || op == "silu")
    return FusedActivation{std::string(op)};
  if (op == "tract_core_hard_swish") return FusedActivation{"hard_swish"};
  if (op == "nnefrun_gelu")
    return FusedActivation{r.string("approximation") == "tanh" ? "gelu_tanh" : "gelu_erf"};
  if (op == "tract_core_gelu_approx" && !r.logical("fast_impl")) return FusedActivation{"gelu_tanh"};
  if (op == "leaky_relu" || op == "elu") return FusedActivation{std::string(op), r.scalar("alpha")};
  if (op == "clamp" || op == "nnefrun_clip") {
    const auto low = c.scalar(node.inputs[1]), high = c.scalar(node.inputs[2]);
    if (low && high && *low <= *high && c.fact(node.inputs[0]).same_type(node.facts[0]))
      return FusedActivation{op == "clamp" ? "clamp" : "clip", *low, *high};
  }
  return std::nullopt;
}

std::optional<Patch> add_activation(const RewriteContext& c) {
  const Node& node = c.node();
  if (node.inputs.empty() || node.facts.size() != 1) return std::nullopt;
  const auto activation = activation_of(c, node);
  if (!activation) return std::nullopt;
  auto fused = fused_behind(c, node.inputs[0]);
  if (!fused) return std::nullopt;
  const size_t at = fused->attributes.size() - 3;
  fused->attributes[at] = Attribute(activation->name);
  fused->attributes[at + 1] = Attribute(activation->alpha);
  fused->attributes[at + 2] = Attribute(activation->beta);
  return replace_by(fused->op, fused->inputs, fused->attributes, fused->counts);
}

constexpr Rewrite kRewrites[] = {
    {"pad-into-conv", "conv", "conv(pad(x, p, value = 0), padding = q) => conv(x, padding = p + q)",
     pad_into_conv},
    {"fold-batch-norm", "batch_normalization", "batch_normalization(conv(x, w, b)) => conv(x, w', b')",
     fold_batch_norm},
    {"batch-norm-as-affine", "batch_normalization", "batch_normalization(x) => x * c + d",
     batch_norm_as_affine},
    {"fold-mul", "mul", "conv(x, w, b) * c => conv(x, w * c, b * c); also matmul, linear", fold_mul},
    {"fold-div", "div", "conv(x, w, b) / c => conv(x, w / c, b / c); also matmul, linear", fold_div},
    {"fold-add", "add", "conv(x, w, b) + c => conv(x, w, b + c); also matmul, linear", fold_add},
    {"fold-sub", "sub", "conv(x, w, b) - c => conv(x, w, b - c); also matmul, linear", fold_sub},
    {"linear-as-matmul", "linear", "linear(x, w, b) => nnefrun_matmul(x, w, b, transposeB = true)",
     linear_as_matmul},
    {"matmul-bias", "add", "matmul(A, B) + bias => nnefrun_matmul(A, B, bias)", add_bias},
    {"transpose-into-matmul", "matmul", "matmul(A, transpose(B)) => matmul(A, B, transposeB = true)",
     transpose_into_matmul},
    {"transpose-into-fused-matmul", "nnefrun_matmul",
     "nnefrun_matmul(A, transpose(B)) => nnefrun_matmul(A, B, transposeB = true)", transpose_into_matmul},
    {"fuse-residual", "add", "conv(x, w, b) + y => nnefrun_conv(x, w, b, y); also matmul", add_residual},
    {"fuse-activation", "", "activation(conv(x, w, b)) => nnefrun_conv(x, w, b, activation); also matmul",
     add_activation},
};

}  // namespace

std::span<const Rewrite> linear_rewrites() { return kRewrites; }

}  // namespace nnefrun
