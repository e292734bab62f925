// What reads weights in groups, turned into products that take them packed: the other operand in rows, the
// weights second.
#include <algorithm>

#include "engine/rewrites/match.h"
#include "quant/group_format.h"

namespace nnefrun {
namespace {

// The weights when they are groups, with scales and offsets that kernels take along the axis `depth`.
const Node* packed_weights(const RewriteContext& c, Outlet outlet, size_t depth) {
  const Node* node = c.producer(outlet, "nnefrun_dequantize_groups");
  if (node == nullptr) return nullptr;
  const int64_t k = node->facts[0].shape[depth].value();
  for (size_t i = 2; i < node->inputs.size(); ++i) {
    const int64_t groups = c.fact(node->inputs[i]).shape[depth].value();
    if (groups != 1 && k / groups % kGroupUnit != 0) return nullptr;
  }
  return node;
}

bool is_operand(const RewriteContext& c, Outlet x) {
  return is_plain_f32(c.fact(x)) && c.constant(x) == nullptr && has_no_zero_extent(c.fact(x).shape);
}

// The last two axes exchanged; only another shape where one of them has one item.
PatchWire turned(Patch& patch, PatchWire wire, DimShape shape) {
  const size_t rank = shape.size();
  const bool is_line = shape[rank - 1].is(1) || shape[rank - 2].is(1);
  std::swap(shape[rank - 1], shape[rank - 2]);
  if (is_line) return patch.add("reshape", {wire}, {Attribute::of_dims(shape)});
  std::vector<int64_t> axes;
  for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  std::swap(axes[rank - 1], axes[rank - 2]);
  return patch.add("transpose", {wire}, {Attribute::of_ints(axes)});
}

// W x = (x' W')'
std::optional<Patch> left_product(const RewriteContext& c) {
  const Node& node = c.node();
  const DimShape &w = c.fact(node.inputs[0]).shape, &out = node.facts[0].shape;
  const size_t rank = w.size();
  const bool transpose_a = c.read(node).logical("transposeA"),
             transpose_b = c.read(node).logical("transposeB");
  if (packed_weights(c, node.inputs[0], rank - (transpose_a ? 2 : 1)) == nullptr ||
      !is_operand(c, node.inputs[1]) || !has_no_zero_extent(out) ||
      !std::all_of(w.begin(), w.end() - 2, [](const Dim& d) { return d.is(1); }))
    return std::nullopt;
  Patch patch;
  PatchWire x = Patch::tap(node.inputs[1]);
  if (!transpose_b) x = turned(patch, x, c.fact(node.inputs[1]).shape);
  const PatchWire product = patch.add("matmul", {x, Patch::tap(node.inputs[0])}, {false, !transpose_a});
  DimShape shape = out;
  std::swap(shape[rank - 1], shape[rank - 2]);
  patch.results = {turned(patch, product, shape)};
  return patch;
}

// x' W with x as it is stored
std::optional<Patch> transposed_product(const RewriteContext& c) {
  const Node& node = c.node();
  const NodeReader r = c.read(node);
  const Fact& x = c.fact(node.inputs[0]);
  const auto rank = static_cast<size_t>(x.rank());
  const bool transpose_b = r.logical("transposeB");
  if (!r.logical("transposeA") || !is_operand(c, node.inputs[0]) ||
      packed_weights(c, node.inputs[1], rank - (transpose_b ? 1 : 2)) == nullptr)
    return std::nullopt;
  Patch patch;
  const PatchWire rows = turned(patch, Patch::tap(node.inputs[0]), x.shape);
  patch.results = {patch.add("matmul", {rows, Patch::tap(node.inputs[1])}, {false, transpose_b})};
  return patch;
}

// A convolution of single points is a product over the channels. Images are transposed for it, which pays
// where the weights are the larger part of what it reads and writes.
std::optional<Patch> of_conv(const RewriteContext& c) {
  const Node& node = c.node();
  const NodeReader r = c.read(node);
  const Fact &x = c.fact(node.inputs[0]), &w = c.fact(node.inputs[1]);
  const DimShape& out = node.facts[0].shape;
  if (!is_operand(c, node.inputs[0]) || packed_weights(c, node.inputs[1], 1) == nullptr ||
      !has_no_zero_extent(out) || !r.attribute("groups").is_given() || r.integer("groups") != 1)
    return std::nullopt;
  const auto is_one = [](const Dim& d) { return d.is(1); };
  const std::vector<Dim> strides = r.dims("stride");
  const auto padding = r.dim_pairs("padding");
  if (!std::all_of(w.shape.begin() + 2, w.shape.end(), is_one) ||
      !std::all_of(strides.begin(), strides.end(), is_one) ||
      !std::all_of(padding.begin(), padding.end(),
                   [](const auto& p) { return p.first.is(0) && p.second.is(0); }))
    return std::nullopt;
  Dim area(1);
  for (size_t i = 2; i < x.shape.size(); ++i) area = area * x.shape[i];
  const int64_t n = w.shape[0].value(), k = w.shape[1].value();
  if (!area.is_constant() || (!area.is(1) && n * k < 4 * (n + k) * area.value())) return std::nullopt;
  std::optional<Outlet> bias;
  if (node.input_counts[2] != 0) {
    const Outlet given = node.inputs[2];
    const Tensor* value = c.constant(given);
    if (value == nullptr || !is_plain_f32(c.fact(given)) || (value->size() != 1 && value->size() != n))
      return std::nullopt;
    if (c.scalar(given) != std::optional<double>(0.0)) bias = given;
  }
  const DimShape image{x.shape[0], Dim(k), area};
  Patch patch;
  const PatchWire flat = patch.add("reshape", {Patch::tap(node.inputs[0])}, {Attribute::of_dims(image)});
  std::vector<PatchWire> operands{
      turned(patch, flat, image),
      patch.add("reshape", {Patch::tap(node.inputs[1])}, {Attribute::of_ints({1, n, k})})};
  if (bias) {
    operands.push_back(
        patch.add("reshape", {Patch::tap(*bias)}, {Attribute::of_ints({1, 1, c.constant(*bias)->size()})}));
  }
  const PatchWire product =
      bias ? patch.add("nnefrun_matmul", std::move(operands), {false, true}, {}, {1, 1, 1, 0})
           : patch.add("matmul", std::move(operands), {false, true});
  const PatchWire back = turned(patch, product, {x.shape[0], area, Dim(n)});
  patch.results = {patch.add("reshape", {back}, {Attribute::of_dims(out)})};
  return patch;
}

constexpr Rewrite kRewrites[] = {
    {"groups-left-product", "matmul", "W x => (x' W')' for weights in groups", left_product},
    {"groups-transposed-product", "matmul",
     "matmul(x, W, transposeA) => transpose(x) W for weights in groups", transposed_product},
    {"groups-conv", "conv", "1x1 convolution with weights in groups => product over the channels", of_conv},
};

}  // namespace

std::span<const Rewrite> group_reader_rewrites() { return kRewrites; }

}  // namespace nnefrun
