// What goes along with convolutions in the channel-blocked layout: item by item, pools and sums,
// concatenation and slices of whole blocks. Each is lowered as in the plain layout where the steps do not
// care.

#include <algorithm>

#include "engine/ops/blocked_rows.h"
#include "engine/ops/lowering_support.h"
#include "kernels/blocked/blocked.h"

namespace nnefrun {
namespace {

NodeReader read(const Node& node) { return NodeReader(node, signature_of(node.op), nullptr); }

BlockedFit fits(bool yes) {
  BlockedFit fit;
  fit.fits = yes;
  return fit;
}

// [N, C, D...] with C known and everything f32.
bool is_image(const Graph& graph, Outlet outlet) {
  const Fact& fact = graph.fact(outlet);
  return is_f32(graph, outlet) && fact.rank() >= 3 && fact.rank() <= 5 && fact.shape[1].is_constant() &&
         fact.shape[1].value() > 0;
}

bool same_channels(const DimShape& a, const DimShape& b) { return a.size() == b.size() && a[1] == b[1]; }

// Every argument is a single constant item, or has the channels of the result; its other extents are those of
// the result or 1.
BlockedFit fit_elementwise(const Graph& graph, uint32_t index, const BlockedLayouts&, const ExtentGuess&) {
  const Node& node = graph.node(index);
  const Outlet result{index, 0};
  if (node.facts.size() != 1 || node.op->lower == nullptr || !is_image(graph, result)) return fits(false);
  bool any_full = false;
  for (const Outlet& input : node.inputs) {
    const Fact& fact = graph.fact(input);
    if (!is_f32(graph, input)) return fits(false);
    if (fact.constant) {
      const Shape& shape = fact.constant->shape();
      if (fact.constant->size() == 1) continue;
      if (shape.size() < 2 || shape.size() > node.facts[0].shape.size() ||
          !node.facts[0].shape[1].is(shape[1]))
        return fits(false);
      continue;
    }
    if (!same_channels(fact.shape, node.facts[0].shape)) return fits(false);
    any_full = any_full || fact.shape == node.facts[0].shape;
  }
  return fits(any_full);
}

// Addition and multiplication by one vector for each image have a step of their own; the rest is lowered as
// always.
bool lower_elementwise(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const bool gate = node.op->name == "mul" || node.op->name == "add";
  for (uint32_t i = 0; gate && i < 2; ++i) {
    const Outlet full = node.inputs[i], vector = node.inputs[1 - i];
    const Fact &f = graph.fact(full), &v = graph.fact(vector);
    if (f.constant || v.constant || f.shape != node.facts[0].shape || v.shape[0] != f.shape[0]) continue;
    if (!std::all_of(v.shape.begin() + 2, v.shape.end(), [](const Dim& d) { return d.is(1); })) continue;
    BlockedGateParameters p;
    p.op =
        static_cast<uint8_t>(node.op->name == "mul" ? kernels::BlockedGate::mul : kernels::BlockedGate::add);
    b.step(StepKind::blocked_gate, {b.value_of(full), b.value_of(vector)}, {b.result(index)}, p);
    return true;
  }
  return node.op->lower(b, graph, index);
}

BlockedFit fit_pool(const Graph& graph, uint32_t index, const BlockedLayouts&, const ExtentGuess&) {
  const Node& node = graph.node(index);
  PoolParameters p;
  return fits(is_image(graph, node.inputs[0]) && pool_window(graph, node, nullptr, &p));
}
bool lower_pool(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  PoolParameters p;
  if (!pool_window(graph, node, &b, &p)) return false;
  b.step(StepKind::blocked_pool, {b.value_of(node.inputs[0])}, {b.result(index)}, p);
  return true;
}

// Over all positions at once.
BlockedFit fit_sum(const Graph& graph, uint32_t index, const BlockedLayouts&, const ExtentGuess&) {
  const Node& node = graph.node(index);
  if (!is_image(graph, node.inputs[0])) return fits(false);
  const DimShape& shape = graph.fact(node.inputs[0]).shape;
  const auto axes = read(node).integers("axes");
  for (int64_t axis = 2; axis < static_cast<int64_t>(shape.size()); ++axis) {
    const bool listed = std::find(axes.begin(), axes.end(), axis) != axes.end();
    if (!listed && !shape[static_cast<size_t>(axis)].is(1)) return fits(false);
  }
  const bool others = std::any_of(axes.begin(), axes.end(), [](int64_t axis) { return axis < 2; });
  return fits(!others && !axes.empty());
}
bool lower_sum(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  BlockedSumParameters p;
  p.mean = node.op->name == "mean_reduce" || read(node).logical("normalize") ? 1 : 0;
  b.step(StepKind::blocked_sum, {b.value_of(node.inputs[0])}, {b.result(index)}, p);
  return true;
}

// Items of one block of channels at all positions.
Dim block_items(PlanBuilder& b, const DimShape& shape) {
  Dim items = b.block();
  for (size_t axis = 2; axis < shape.size(); ++axis) items = items * shape[axis];
  return items;
}

// Along the spatial axes only; lowered as in the plain layout.
BlockedFit fit_resample(const Graph& graph, uint32_t index, const BlockedLayouts&, const ExtentGuess&) {
  const Node& node = graph.node(index);
  if (!is_image(graph, node.inputs[0]) || !is_image(graph, {index, 0}) || node.op->lower == nullptr)
    return fits(false);
  const DimShape &in = graph.fact(node.inputs[0]).shape, &out = node.facts[0].shape;
  for (size_t axis = 0; axis < in.size(); ++axis) {
    const bool known = in[axis].is_constant() && out[axis].is_constant();
    if (in[axis] != out[axis] && (axis < 2 || !known)) return fits(false);
  }
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    if (!graph.fact(node.inputs[i]).constant) return fits(false);
  }
  return fits(true);
}
bool lower_as_plain(PlanBuilder& b, const Graph& graph, uint32_t index) {
  return graph.node(index).op->lower(b, graph, index);
}

// Copies of whole blocks between dense tensors of the layout at hand: `outer` x `run` items.
CopyParameters block_copy(PlanBuilder& b, const DimShape& part, const Dim& blocks_of_source,
                          const Dim& source_begin, const Dim& blocks_of_target, const Dim& target_begin) {
  const Dim positions = block_items(b, part);
  CopyParameters p;
  p.rank = 2;
  p.dims[0] = b.size(part[0]);
  p.dims[1] = b.size(Dim::ceil_div(part[1], b.block()) * positions);
  p.src_strides[0] = b.size(blocks_of_source * positions);
  p.dst_strides[0] = b.size(blocks_of_target * positions);
  p.src_strides[1] = p.dst_strides[1] = b.size(1);
  p.src_offset = b.size(source_begin * positions);
  p.dst_offset = b.size(target_begin * positions);
  return p;
}

// A result that is a run of whole blocks of the argument: a view where they lie together, else a copy.
void take_blocks(PlanBuilder& b, Outlet from, uint32_t node, uint32_t result, const DimShape& part,
                 const Dim& all, const Dim& begin) {
  if (part[0].is(1)) {
    b.alias_result(node, result, b.value_of(from), begin * block_items(b, part));
    return;
  }
  b.step(StepKind::copy, {b.value_of(from)}, {b.result(node, result)},
         block_copy(b, part, all, begin, Dim::ceil_div(part[1], b.block()), 0));
}

// Along the channels, when every part but the last fills its blocks.
BlockedFit fit_concat(const Graph& graph, uint32_t index, const BlockedLayouts& layouts, const ExtentGuess&) {
  const Node& node = graph.node(index);
  if (read(node).integer("axis") != 1) return fits(false);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!is_image(graph, node.inputs[i]) || graph.fact(node.inputs[i]).constant) return fits(false);
    const bool last = i + 1 == node.inputs.size();
    if (!last && graph.fact(node.inputs[i]).shape[1].value() % layouts.block != 0) return fits(false);
  }
  return fits(true);
}
bool lower_concat(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const Dim all = Dim::ceil_div(node.facts[0].shape[1], b.block());
  Dim begin = 0;
  for (const Outlet& input : node.inputs) {
    const DimShape& part = graph.fact(input).shape;
    const Dim own = Dim::ceil_div(part[1], b.block());
    const uint32_t value = b.value_of(input), whole = b.result(index);
    if (!b.lies_in(value, whole, begin * block_items(b, part)))
      b.step(StepKind::copy, {value}, {whole}, block_copy(b, part, own, 0, all, begin));
    begin = begin + own;
  }
  return true;
}

BlockedFit fit_split(const Graph& graph, uint32_t index, const BlockedLayouts& layouts, const ExtentGuess&) {
  const Node& node = graph.node(index);
  if (read(node).integer("axis") != 1 || !is_image(graph, node.inputs[0])) return fits(false);
  for (size_t r = 0; r + 1 < node.facts.size(); ++r) {
    if (!node.facts[r].shape[1].is_constant() || node.facts[r].shape[1].value() % layouts.block != 0)
      return fits(false);
  }
  return fits(true);
}
bool lower_split(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const Dim all = Dim::ceil_div(graph.fact(node.inputs[0]).shape[1], b.block());
  Dim begin = 0;
  for (uint32_t r = 0; r < node.facts.size(); ++r) {
    const DimShape& part = node.facts[r].shape;
    const Dim own = Dim::ceil_div(part[1], b.block());
    take_blocks(b, node.inputs[0], index, r, part, all, begin);
    begin = begin + own;
  }
  return true;
}

// A run of whole blocks.
BlockedFit fit_slice(const Graph& graph, uint32_t index, const BlockedLayouts& layouts, const ExtentGuess&) {
  const Node& node = graph.node(index);
  if (!is_image(graph, node.inputs[0]) || !is_image(graph, {index, 0})) return fits(false);
  const NodeReader r = read(node);
  const auto axes = r.integers("axes");
  const auto begins = r.dims("begin");
  auto strides = r.integers("stride");
  if (axes != std::vector<int64_t>{1} || (!strides.empty() && strides[0] != 1) || !begins[0].is_constant())
    return fits(false);
  const int64_t begin = begins[0].value(), length = node.facts[0].shape[1].value();
  const bool to_the_end = graph.fact(node.inputs[0]).shape[1].is(begin + length);
  return fits(begin % layouts.block == 0 && (to_the_end || length % layouts.block == 0));
}
bool lower_slice(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const DimShape& part = node.facts[0].shape;
  const Dim all = Dim::ceil_div(graph.fact(node.inputs[0]).shape[1], b.block());
  const Dim begin = read(node).dims("begin")[0].value() / b.block();
  take_blocks(b, node.inputs[0], index, 0, part, all, begin);
  return true;
}

constexpr BlockedRow kRows[] = {
    {"neg", fit_elementwise, lower_elementwise},
    {"abs", fit_elementwise, lower_elementwise},
    {"sqr", fit_elementwise, lower_elementwise},
    {"sqrt", fit_elementwise, lower_elementwise},
    {"exp", fit_elementwise, lower_elementwise},
    {"log", fit_elementwise, lower_elementwise},
    {"sin", fit_elementwise, lower_elementwise},
    {"cos", fit_elementwise, lower_elementwise},
    {"tanh", fit_elementwise, lower_elementwise},
    {"sigmoid", fit_elementwise, lower_elementwise},
    {"silu", fit_elementwise, lower_elementwise},
    {"tract_core_erf", fit_elementwise, lower_elementwise},
    {"softplus", fit_elementwise, lower_elementwise},
    {"tract_core_hard_swish", fit_elementwise, lower_elementwise},
    {"leaky_relu", fit_elementwise, lower_elementwise},
    {"elu", fit_elementwise, lower_elementwise},
    {"nnefrun_gelu", fit_elementwise, lower_elementwise},
    {"relu", fit_elementwise, lower_elementwise},
    {"clamp", fit_elementwise, lower_elementwise},
    {"nnefrun_clip", fit_elementwise, lower_elementwise},
    {"add", fit_elementwise, lower_elementwise},
    {"sub", fit_elementwise, lower_elementwise},
    {"mul", fit_elementwise, lower_elementwise},
    {"div", fit_elementwise, lower_elementwise},
    {"min", fit_elementwise, lower_elementwise},
    {"max", fit_elementwise, lower_elementwise},
    {"nnefrun_fmin", fit_elementwise, lower_elementwise},
    {"nnefrun_fmax", fit_elementwise, lower_elementwise},
    {"prelu", fit_elementwise, lower_elementwise},
    {"max_pool", fit_pool, lower_pool},
    {"avg_pool", fit_pool, lower_pool},
    {"box", fit_pool, lower_pool},
    {"mean_reduce", fit_sum, lower_sum},
    {"sum_reduce", fit_sum, lower_sum},
    {"nearest_downsample", fit_resample, lower_as_plain},
    {"area_downsample", fit_resample, lower_as_plain},
    {"nearest_upsample", fit_resample, lower_as_plain},
    {"multilinear_upsample", fit_resample, lower_as_plain},
    {"tract_core_resize", fit_resample, lower_as_plain},
    {"tract_onnx_resize", fit_resample, lower_as_plain},
    {"concat", fit_concat, lower_concat},
    {"split", fit_split, lower_split},
    {"nnefrun_slice", fit_slice, lower_slice},
};

}  // namespace

std::span<const BlockedRow> blocked_other_rows() { return kRows; }

}  // namespace nnefrun
