// Moves: what only rearranges items becomes strided copies, or nothing at all.

#include <algorithm>

#include "engine/ops/items.h"
#include "engine/ops/lowering_groups.h"
#include "engine/ops/lowering_q40.h"
#include "engine/ops/lowering_quant.h"
#include "engine/runtime/step_parameters.h"

namespace nnefrun {
namespace {

NodeReader read(const Node& node) { return NodeReader(node, signature_of(node.op), nullptr); }

std::vector<Dim> strides_of(const DimShape& shape) {
  std::vector<Dim> strides(shape.size(), Dim(1));
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

// A copy between two dense tensors, described in symbolic items.
struct Copy {
  DimShape dims;
  std::vector<Dim> src_strides, dst_strides;
  Dim src_offset = 0, dst_offset = 0;
};

bool fits(const Copy& copy) { return copy.dims.size() <= static_cast<size_t>(kMaxRank); }

CopyParameters parameters_of(PlanBuilder& b, const Copy& copy) {
  CopyParameters p;
  p.rank = static_cast<uint32_t>(copy.dims.size());
  for (size_t i = 0; i < copy.dims.size(); ++i) {
    p.dims[i] = b.size(copy.dims[i]);
    p.src_strides[i] = b.size(copy.src_strides[i]);
    p.dst_strides[i] = b.size(copy.dst_strides[i]);
  }
  p.src_offset = b.size(copy.src_offset);
  p.dst_offset = b.size(copy.dst_offset);
  return p;
}

bool movable(const Graph& graph, const Node& node) {
  for (const Outlet& input : node.inputs) {
    if (item_size(graph.fact(input).dtype) == 0) return false;
  }
  return true;
}

// Steps of moves do not compare extents: where symbols leave open whether they agree, the evaluation does it.

// The same bytes under another shape.
bool lower_alias(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!movable(graph, node)) return false;
  const DimShape &in = graph.fact(node.inputs[0]).shape, &out = node.facts[0].shape;
  if (in != out && volume_of(in) != volume_of(out)) return false;
  b.alias_result(index, 0, b.value_of(node.inputs[0]));
  return true;
}

bool lower_transpose(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!movable(graph, node)) return false;
  if (is_read_by_attention_only(graph, index)) return true;
  const DimShape& in = graph.fact(node.inputs[0]).shape;
  std::vector<int64_t> axes = read(node).integers("axes");
  for (size_t i = axes.size(); i < in.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  // Moving only axes of extent 1 changes nothing in memory.
  int64_t last = -1;
  bool in_order = true;
  for (const int64_t axis : axes) {
    if (in[static_cast<size_t>(axis)].is(1)) continue;
    in_order = in_order && axis > last;
    last = axis;
  }
  if (in_order) return lower_alias(b, graph, index);
  Copy copy;
  const auto strides = strides_of(in);
  copy.dims = node.facts[0].shape;
  copy.dst_strides = strides_of(copy.dims);
  for (const int64_t axis : axes) copy.src_strides.push_back(strides[static_cast<size_t>(axis)]);
  if (!fits(copy)) return false;
  b.step(StepKind::copy, {b.value_of(node.inputs[0])}, {b.result(index)}, parameters_of(b, copy));
  return true;
}

// Whether a part along `axis` lies together in a dense tensor: every axis before it has extent 1.
bool lies_together(const DimShape& shape, size_t axis) {
  return std::all_of(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(axis),
                     [](const Dim& extent) { return extent.is(1); });
}

bool lower_slice(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!movable(graph, node)) return false;
  const NodeReader r = read(node);
  const DimShape& in = graph.fact(node.inputs[0]).shape;
  const auto axes = r.integers("axes");
  const auto begins = r.dims("begin");
  auto strides = r.integers("stride");
  strides.resize(axes.size(), 1);
  Copy copy;
  const auto in_strides = strides_of(in);
  copy.dims = node.facts[0].shape;
  copy.dst_strides = strides_of(copy.dims);
  copy.src_strides = in_strides;
  bool stays_inside = true;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    const Dim last = begins[i] + (copy.dims[axis] - 1) * Dim(strides[i]);
    for (const Dim& cell : {begins[i], last})
      stays_inside = stays_inside && cell.is_at_least(0) && (in[axis] - 1 - cell).is_at_least(0);
    copy.src_offset = copy.src_offset + begins[i] * in_strides[axis];
    copy.src_strides[axis] = in_strides[axis] * Dim(strides[i]);
  }
  // Else it is seen when a copy's sizes are bound, but only if it is the only one: two slices may leave their
  // axes and yet stay inside the tensor.
  if (!stays_inside && axes.size() > 1) return false;
  if (stays_inside && axes.size() == 1 && strides[0] == 1 &&
      lies_together(in, static_cast<size_t>(axes[0]))) {
    b.alias_result(index, 0, b.value_of(node.inputs[0]), copy.src_offset);
    return true;
  }
  if (!fits(copy)) return false;
  b.step(StepKind::copy, {b.value_of(node.inputs[0])}, {b.result(index)}, parameters_of(b, copy));
  return true;
}

// Parts side by side along an axis: each argument fills its place in the result.
bool join(PlanBuilder& b, const Graph& graph, uint32_t index, size_t axis, bool stacked) {
  const Node& node = graph.node(index);
  const DimShape& out = node.facts[0].shape;
  const auto out_strides = strides_of(out);
  for (const Outlet& input : node.inputs) {
    DimShape part = graph.fact(input).shape;
    if (stacked) part.insert(part.begin() + static_cast<std::ptrdiff_t>(axis), Dim(1));
    part[axis] = out[axis];
    if (part != out) return false;
  }
  Dim position = 0;
  for (const Outlet& input : node.inputs) {
    DimShape part = graph.fact(input).shape;
    if (stacked) part.insert(part.begin() + static_cast<std::ptrdiff_t>(axis), Dim(1));
    Copy copy;
    copy.dims = part;
    copy.src_strides = strides_of(part);
    copy.dst_strides = out_strides;
    copy.dst_offset = position * out_strides[axis];
    const uint32_t value = b.value_of(input), whole = b.result(index);
    if (!b.lies_in(value, whole, copy.dst_offset))
      b.step(StepKind::copy, {value}, {whole}, parameters_of(b, copy));
    position = position + part[axis];
  }
  return true;
}

bool lower_concat(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!movable(graph, node)) return false;
  if (node.inputs.size() == 1) return lower_alias(b, graph, index);
  return join(b, graph, index, static_cast<size_t>(read(node).integer("axis")), false);
}
bool lower_stack(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!movable(graph, node) || node.facts[0].rank() > kMaxRank) return false;
  return join(b, graph, index, static_cast<size_t>(read(node).integer("axis")), true);
}

// split and unstack: each result is a slice of the argument.
bool lower_split(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!movable(graph, node)) return false;
  const auto axis = static_cast<size_t>(read(node).integer("axis"));
  const auto in_strides = strides_of(graph.fact(node.inputs[0]).shape);
  const bool unstacked = node.op->name == "unstack";
  Dim total = 0, position = 0;
  for (const Fact& fact : node.facts) total = total + (unstacked ? Dim(1) : fact.shape[axis]);
  if (total != graph.fact(node.inputs[0]).shape[axis]) return false;
  for (uint32_t r = 0; r < node.facts.size(); ++r) {
    DimShape part = node.facts[r].shape;
    if (unstacked) part.insert(part.begin() + static_cast<std::ptrdiff_t>(axis), Dim(1));
    Copy copy;
    copy.dims = part;
    copy.src_strides = in_strides;
    copy.dst_strides = strides_of(part);
    copy.src_offset = position * in_strides[axis];
    if (lies_together(part, axis)) {
      b.alias_result(index, r, b.value_of(node.inputs[0]), copy.src_offset);
    } else {
      b.step(StepKind::copy, {b.value_of(node.inputs[0])}, {b.result(index, r)}, parameters_of(b, copy));
    }
    position = position + part[axis];
  }
  return true;
}

// Each repeated axis becomes two: the repetition and the original.
bool lower_tile(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!movable(graph, node)) return false;
  const DimShape& in = graph.fact(node.inputs[0]).shape;
  const auto repeats = read(node).dims("repeats");
  const auto in_strides = strides_of(in), out_strides = strides_of(node.facts[0].shape);
  Copy copy;
  for (size_t i = 0; i < in.size(); ++i) {
    if (!repeats[i].is(1)) {
      copy.dims.push_back(repeats[i]);
      copy.src_strides.emplace_back(0);
      copy.dst_strides.push_back(in[i] * out_strides[i]);
    }
    if (!in[i].is(1)) {
      copy.dims.push_back(in[i]);
      copy.src_strides.push_back(in_strides[i]);
      copy.dst_strides.push_back(out_strides[i]);
    }
  }
  if (!fits(copy)) return false;
  b.step(StepKind::copy, {b.value_of(node.inputs[0])}, {b.result(index)}, parameters_of(b, copy));
  return true;
}

// NumPy's alignment: missing axes are in front; an axis of 1 is repeated.
bool lower_broadcast(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!movable(graph, node)) return false;
  const DimShape &in = graph.fact(node.inputs[0]).shape, &out = node.facts[0].shape;
  const auto in_strides = strides_of(in);
  Copy copy;
  copy.dims = out;
  copy.dst_strides = strides_of(out);
  const size_t shift = out.size() - in.size();
  for (size_t i = 0; i < out.size(); ++i) {
    const bool repeated = i < shift || (in[i - shift].is(1) && !out[i].is(1));
    if (i >= shift && !repeated && in[i - shift] != out[i]) return false;  // only the run can tell
    copy.src_strides.push_back(repeated ? Dim(0) : in_strides[i - shift]);
  }
  if (!fits(copy)) return false;
  b.step(StepKind::copy, {b.value_of(node.inputs[0])}, {b.result(index)}, parameters_of(b, copy));
  return true;
}

uint64_t item_bits(double value, DataType type) {
  const Tensor t = [&] {
    switch (type) {
      case DataType::f32: return Tensor::scalar(static_cast<float>(value));
      case DataType::f64: return Tensor::scalar(value);
      case DataType::f16: return Tensor::scalar(Half(static_cast<float>(value)));
      case DataType::i64: return Tensor::scalar(static_cast<int64_t>(value));
      default: return Tensor::scalar(static_cast<int32_t>(value));
    }
  }();
  uint64_t bits = 0;
  std::memcpy(&bits, t.bytes(), t.byte_size());
  return bits;
}

// Borders that repeat items of the argument: axis after axis, the middle and a strip on each side are copied.
// The strips run backwards where the border reflects.
bool lower_mirrored_pad(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const NodeReader r = read(node);
  const std::string& border = r.string("border");
  const auto pads = r.dim_pairs("padding");
  DimShape shape = graph.fact(node.inputs[0]).shape;
  std::vector<size_t> axes;
  for (size_t axis = 0; axis < pads.size(); ++axis) {
    const Dim &before = pads[axis].first, &after = pads[axis].second;
    if (before.is(0) && after.is(0)) continue;
    // only extents that are known were checked to hold what the border takes from them
    if (!before.is_at_least(0) || !after.is_at_least(0) || !before.is_constant() || !after.is_constant() ||
        !shape[axis].is_constant()) {
      return false;
    }
    axes.push_back(axis);
  }
  if (axes.empty() || shape.size() > static_cast<size_t>(kMaxRank)) return false;
  uint32_t value = b.value_of(node.inputs[0]);
  for (const size_t axis : axes) {
    DimShape padded = shape;
    padded[axis] = pads[axis].first + shape[axis] + pads[axis].second;
    const uint32_t out =
        axis == axes.back() ? b.result(index) : b.temporary(graph.fact(node.inputs[0]).dtype, padded);
    const int64_t extent = shape[axis].value(), before = pads[axis].first.value();
    const int64_t skipped = border == "reflect" ? 1 : 0, step = border == "replicate" ? 0 : -1;
    const auto part = [&](int64_t from, int64_t direction, int64_t to, int64_t count) {
      if (count == 0) return;
      Copy copy;
      copy.dims = shape;
      copy.dims[axis] = count;
      copy.src_strides = strides_of(shape);
      copy.dst_strides = strides_of(padded);
      copy.src_offset = copy.src_strides[axis] * from;
      copy.dst_offset = copy.dst_strides[axis] * to;
      copy.src_strides[axis] = copy.src_strides[axis] * direction;
      b.step(StepKind::copy, {value}, {out}, parameters_of(b, copy));
    };
    part(step == 0 ? 0 : before - 1 + skipped, step, 0, before);
    part(0, 1, before, extent);
    part(extent - 1 - skipped, step, before + extent, pads[axis].second.value());
    value = out;
    shape = padded;
  }
  return true;
}

// Those that item_bits can write a border value in.
constexpr TypeSet kPadded{DataType::i32, DataType::i64, DataType::f16, DataType::f32, DataType::f64};

bool lower_pad(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const NodeReader r = read(node);
  const Fact& in = graph.fact(node.inputs[0]);
  const std::string& border = r.string("border");
  if (border == "replicate" || border == "reflect" || border == "reflect-even") {
    return movable(graph, node) && !in.quant && lower_mirrored_pad(b, graph, index);
  }
  if (border != "constant" || !kPadded.contains(in.dtype) || in.quant || in.rank() > kMaxRank) return false;
  const auto pads = r.dim_pairs("padding");
  const auto in_strides = strides_of(in.shape), out_strides = strides_of(node.facts[0].shape);
  Copy copy;
  copy.dims = in.shape;
  copy.src_strides = in_strides;
  copy.dst_strides = out_strides;
  for (size_t i = 0; i < pads.size(); ++i) {
    const Dim &before = pads[i].first, &after = pads[i].second;
    if (!before.is_constant() || !after.is_constant()) return false;
    if (before.value() > 0) copy.dst_offset = copy.dst_offset + before * out_strides[i];
    if (before.value() < 0) copy.src_offset = copy.src_offset - before * in_strides[i];
    if (before.value() < 0) copy.dims[i] = copy.dims[i] + before;  // what is cropped is not copied
    if (after.value() < 0) copy.dims[i] = copy.dims[i] + after;
  }
  for (const Dim& d : copy.dims) {
    if (!d.is_at_least(0)) return false;
  }
  PadParameters p;
  p.copy = parameters_of(b, copy);
  p.value = item_bits(r.scalar("value"), in.dtype);
  b.step(StepKind::pad, {b.value_of(node.inputs[0])}, {b.result(index)}, p);
  return true;
}

bool lower_gather(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (is_block_quantized(graph.fact(node.inputs[0]).dtype))
    return lower_q40_gather(b, graph, index, node.op->name == "tract_core_gather");
  if (lower_groups_gather(b, graph, index)) return true;
  if (!movable(graph, node) || graph.fact(node.inputs[1]).dtype != DataType::i64) return false;
  GatherParameters p;
  p.axis = static_cast<uint32_t>(read(node).integer("axis"));
  p.wrap = node.op->name == "tract_core_gather" ? 1 : 0;
  b.step(StepKind::gather, {b.value_of(node.inputs[0]), b.value_of(node.inputs[1])}, {b.result(index)}, p);
  return true;
}

bool lower_gather_elements(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!movable(graph, node) || graph.fact(node.inputs[1]).dtype != DataType::i64) return false;
  const int64_t axis = read(node).integer("axis");
  GatherElementsParameters p;
  p.axis = static_cast<uint32_t>(axis < 0 ? axis + node.facts[0].rank() : axis);
  b.step(StepKind::gather_elements, {b.value_of(node.inputs[0]), b.value_of(node.inputs[1])},
         {b.result(index)}, p);
  return true;
}

bool lower_gather_nd(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!movable(graph, node) || graph.fact(node.inputs[1]).dtype != DataType::i64) return false;
  GatherNdParameters p;
  p.batch = static_cast<uint32_t>(read(node).integer("batch_dims"));
  b.step(StepKind::gather_nd, {b.value_of(node.inputs[0]), b.value_of(node.inputs[1])}, {b.result(index)}, p);
  return true;
}

bool lower_cast(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const Fact &from = graph.fact(node.inputs[0]), &to = node.facts[0];
  if (from.quant || to.quant) return lower_code_cast(b, graph, index);
  if (item_size(from.dtype) == 0 || item_size(to.dtype) == 0) return false;
  if (is_complex(from.dtype) || is_complex(to.dtype)) return false;
  if (from.dtype == to.dtype) return lower_alias(b, graph, index);
  if (is_read_by_attention_only(graph, index)) return true;
  b.step(StepKind::cast, {b.value_of(node.inputs[0])}, {b.result(index)});
  return true;
}

bool lower_dims(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const auto values = read(node).dims("value");
  SizesParameters p;
  if (values.size() > std::size(p.values)) return false;
  p.count = static_cast<uint32_t>(values.size());
  for (size_t i = 0; i < values.size(); ++i) p.values[i] = b.size(values[i]);
  b.step(StepKind::sizes, {}, {b.result(index)}, p);
  return true;
}

// A range whose begin and length are known as sizes.
bool lower_range(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const auto start = known_dims(graph.fact(node.inputs[0])), step = known_dims(graph.fact(node.inputs[2]));
  if (node.facts[0].dtype != DataType::i64 || !start || !step || !(*step)[0].is_constant()) return false;
  RangeParameters p;
  p.start = b.size((*start)[0]);
  p.stride = (*step)[0].value();
  b.step(StepKind::range, {}, {b.result(index)}, p);
  return true;
}

constexpr Lowering kLowerings[] = {
    {"reshape", lower_alias, kPlain | kComplex},
    {"squeeze", lower_alias, kPlain | kComplex},
    {"unsqueeze", lower_alias, kPlain | kComplex},
    {"copy", lower_alias, kPlain | kComplex},
    {"transpose", lower_transpose, kPlain | kComplex},
    {"nnefrun_slice", lower_slice, kPlain | kComplex},
    {"concat", lower_concat, kPlain | kComplex},
    {"stack", lower_stack, kPlain | kComplex},
    {"split", lower_split, kPlain | kComplex},
    {"unstack", lower_split, kPlain | kComplex},
    {"tile", lower_tile, kPlain | kComplex},
    {"tract_core_broadcast", lower_broadcast, kPlain | kComplex},
    {"pad", lower_pad, kPlain | kComplex},
    {"gather", lower_gather, kPlain | kComplex},
    {"tract_core_gather", lower_gather, kPlain | kComplex},
    {"tract_core_gather_elements", lower_gather_elements, kPlain | kComplex},
    {"tract_core_gather_nd", lower_gather_nd, kPlain | kComplex},
    {"tract_core_cast", lower_cast, kPlain},
    {"nnefrun_dims", lower_dims, kI64},
    {"tract_core_range", lower_range, kI64},
};

}  // namespace

std::span<const Lowering> move_lowerings() { return kLowerings; }

}  // namespace nnefrun
