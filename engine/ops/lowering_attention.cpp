// Attention in f32. Transposes around it, which split and join heads, are not carried out: the step reads and
// writes through them by strides. Nor are casts of keys and values from f16, as those of a cache are held.

#include <algorithm>
#include <cmath>

#include "engine/ops/lowering.h"
#include "engine/runtime/step_parameters.h"

namespace nnefrun {
namespace {

constexpr std::string_view kAttention = "tract_transformers_sdpa";

NodeReader read(const Node& node) { return NodeReader(node, signature_of(node.op), nullptr); }

std::vector<Dim> strides_of(const DimShape& shape) {
  std::vector<Dim> strides(shape.size(), Dim(1));
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

// The axes of a transpose that leaves the last one in its place; empty otherwise.
std::vector<int64_t> axes_of_transpose(const Node& node) {
  if (node.op->name != "transpose") return {};
  auto axes = read(node).integers("axes");
  const size_t rank = node.facts[0].shape.size();
  for (size_t i = axes.size(); i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  if (rank < 3 || axes.back() != static_cast<int64_t>(rank - 1)) return {};
  return axes;
}

// Whether the extents of a mask, aligned at the last axis, are certainly 1 or those of the scores.
bool mask_fits(const DimShape& mask, const DimShape& scores) {
  if (mask.size() > scores.size()) return false;
  for (size_t i = 0; i < mask.size(); ++i) {
    const Dim& extent = mask[mask.size() - 1 - i];
    if (!extent.is(1) && extent != scores[scores.size() - 1 - i]) return false;
  }
  return true;
}
DimShape scores_of(const Graph& graph, const Node& node) {
  DimShape scores = graph.fact(node.inputs[0]).shape;
  scores.back() = graph.fact(node.inputs[1]).shape[scores.size() - 2];
  return scores;
}

bool has_step(const Graph& graph, const Node& node) {
  if (node.op->name != kAttention) return false;
  const DimShape &q = graph.fact(node.inputs[0]).shape, &k = graph.fact(node.inputs[1]).shape,
                 &v = graph.fact(node.inputs[2]).shape;
  for (size_t i = 0; i < 3; ++i) {
    if (graph.fact(node.inputs[i]).dtype != DataType::f32 || graph.fact(node.inputs[i]).quant) return false;
  }
  const size_t rank = q.size();
  if (k[0] != q[0] || v[0] != q[0] || k[rank - 1] != q[rank - 1] || v[rank - 2] != k[rank - 2]) return false;
  if (rank == 4 && v[1] != k[1]) return false;
  if (node.inputs.size() < 4) return true;
  const Fact& mask = graph.fact(node.inputs[3]);
  return (mask.dtype == DataType::f32 || mask.dtype == DataType::boolean) && !mask.quant &&
         mask_fits(mask.shape, scores_of(graph, node));
}

bool is_kept(const Graph& graph, Outlet outlet) {
  return std::any_of(graph.outputs.begin(), graph.outputs.end(),
                     [&](const GraphOutput& o) { return o.outlet == outlet; }) ||
         std::any_of(graph.updates.begin(), graph.updates.end(),
                     [&](const auto& update) { return update.second == outlet; });
}

// Whether the step reads keys and values in f16, not the casts of both of them to f32.
bool reads_halves(const Graph& graph, const Node& attention) {
  return std::all_of(attention.inputs.begin() + 1, attention.inputs.begin() + 3, [&](Outlet operand) {
    const Node& cast = graph.node(operand);
    if (cast.op->name != "tract_core_cast") return false;
    const Fact& from = graph.fact(cast.inputs[0]);
    return from.dtype == DataType::f16 && !from.quant && !from.constant;
  });
}

// An operand in place: the value with the bytes, and where its axes are in them.
struct Place {
  uint32_t value;
  std::vector<Dim> strides;
};
Place direct_place_of(PlanBuilder& b, const Graph& graph, Outlet outlet) {
  const DimShape& shape = graph.fact(outlet).shape;
  if (const auto cache = b.cache_of(outlet)) return {cache->value, cache->strides(shape)};
  return {b.value_of(outlet), strides_of(shape)};
}
Place place_of(PlanBuilder& b, const Graph& graph, Outlet outlet) {
  const Node& node = graph.node(outlet);
  const auto axes = axes_of_transpose(node);
  if (axes.empty()) return direct_place_of(b, graph, outlet);
  const Place source = direct_place_of(b, graph, node.inputs[0]);
  Place place{source.value, {}};
  for (const int64_t axis : axes) place.strides.push_back(source.strides[static_cast<size_t>(axis)]);
  return place;
}
// The same for the result: that of the transpose which alone reads it, or its own.
Place place_of_result(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node* reader = nullptr;
  uint32_t reader_index = 0, readers = 0;
  for (uint32_t n = index + 1; n < graph.nodes().size(); ++n) {
    for (const Outlet& input : graph.node(n).inputs) {
      if (input.node == index) reader = &graph.node(n), reader_index = n, ++readers;
    }
  }
  const auto axes =
      readers == 1 && !is_kept(graph, {index, 0}) ? axes_of_transpose(*reader) : std::vector<int64_t>{};
  if (axes.empty()) return {b.result(index), strides_of(graph.node(index).facts[0].shape)};
  Place place{b.result(reader_index), std::vector<Dim>(axes.size())};
  const auto strides = strides_of(reader->facts[0].shape);
  for (size_t i = 0; i < axes.size(); ++i) place.strides[static_cast<size_t>(axes[i])] = strides[i];
  return place;
}

// [batch, head, row] of [batch, head, row, width] or [batch, row, width].
void set_strides(PlanBuilder& b, const Place& place, SizeIndex (&strides)[3]) {
  const bool heads = place.strides.size() == 4;
  strides[0] = b.size(place.strides[0]);
  strides[1] = b.size(heads ? place.strides[1] : Dim(0));
  strides[2] = b.size(place.strides[heads ? 2 : 1]);
}

bool lower_attention(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!has_step(graph, node)) return false;
  const NodeReader r = read(node);
  const DimShape &q = graph.fact(node.inputs[0]).shape, &k = graph.fact(node.inputs[1]).shape,
                 &v = graph.fact(node.inputs[2]).shape;
  const size_t rank = q.size();
  AttentionParameters p;
  p.causal = r.logical("is_causal") ? 1 : 0;
  const Attribute& scale = r.attribute("scale");
  if (scale.is_given() && !std::holds_alternative<bool>(scale.value)) {
    p.has_scale = 1;
    p.scale = static_cast<float>(r.scalar("scale"));
  }
  p.batch = b.size(q[0]);
  p.heads = b.size(rank == 4 ? q[1] : Dim(1));
  p.groups = b.size(rank == 4 ? k[1] : Dim(1));
  p.rows = b.size(q[rank - 2]);
  p.keys = b.size(k[rank - 2]);
  p.width = b.size(q[rank - 1]);
  p.depth = b.size(v[rank - 1]);
  const bool halves = reads_halves(graph, node);
  const auto keys_at = [&](size_t i) {
    return place_of(b, graph, halves ? graph.node(node.inputs[i]).inputs[0] : node.inputs[i]);
  };
  const Place of_q = place_of(b, graph, node.inputs[0]), of_k = keys_at(1), of_v = keys_at(2),
              of_result = place_of_result(b, graph, index);
  set_strides(b, of_q, p.q_strides);
  set_strides(b, of_k, p.k_strides);
  set_strides(b, of_v, p.v_strides);
  set_strides(b, of_result, p.out_strides);
  std::vector<uint32_t> inputs{of_q.value, of_k.value, of_v.value};
  for (SizeIndex& stride : p.mask_strides) stride = b.size(0);
  if (node.inputs.size() > 3) {
    const DimShape& mask = graph.fact(node.inputs[3]).shape;
    const auto strides = strides_of(mask);
    for (size_t i = 0; i < mask.size();
         ++i) {  // from the last axis on; without heads the third last is the batch
      const size_t axis = mask.size() - 1 - i, to = rank == 3 && i == 2 ? 0 : 3 - i;
      if (!mask[axis].is(1)) p.mask_strides[to] = b.size(strides[axis]);
    }
    inputs.push_back(b.value_of(node.inputs[3]));
  }
  b.step(StepKind::attention, inputs, {of_result.value}, p);
  return true;
}

// Rotary embedding: cos and sin have the rank of x, and along its last axis its extent.
bool lower_rope(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const DimShape& shape = node.facts[0].shape;
  for (const Outlet& input : node.inputs) {
    const Fact& fact = graph.fact(input);
    if (fact.dtype != DataType::f32 || fact.quant || fact.shape.size() != shape.size()) return false;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      const bool repeats = fact.shape[axis].is(1) && axis + 1 < shape.size();
      if (!repeats && fact.shape[axis] != shape[axis]) return false;
    }
  }
  b.step(StepKind::rope, {b.value_of(node.inputs[0]), b.value_of(node.inputs[1]), b.value_of(node.inputs[2])},
         {b.result(index)});
  return true;
}

constexpr Lowering kLowerings[] = {{kAttention, lower_attention, kF32, true},
                                   {"tract_transformers_apply_rope", lower_rope}};

}  // namespace

std::span<const Lowering> attention_lowerings() { return kLowerings; }

bool is_read_by_attention_only(const Graph& graph, uint32_t index) {
  const bool is_cast = graph.node(index).op->name == "tract_core_cast";
  if ((!is_cast && axes_of_transpose(graph.node(index)).empty()) || is_kept(graph, {index, 0})) return false;
  bool any = false;
  for (uint32_t n = index + 1; n < graph.nodes().size(); ++n) {
    const Node& reader = graph.node(n);
    for (size_t i = 0; i < reader.inputs.size(); ++i) {
      if (reader.inputs[i].node != index) continue;
      any = true;
      if (has_step(graph, reader) && i <= 2 && (!is_cast || (i > 0 && reads_halves(graph, reader)))) continue;
      // A transpose in f16 is read through its cast.
      if (is_cast || reader.op->name != "tract_core_cast" || !is_read_by_attention_only(graph, n))
        return false;
    }
  }
  return any;
}

}  // namespace nnefrun
