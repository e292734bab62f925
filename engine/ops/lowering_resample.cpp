// Up- and downsampling in f32 of extents that are known: one step for each axis, with a table of what each
// position reads.

#include <algorithm>

#include "engine/ops/lowering.h"
#include "engine/ops/resampling.h"
#include "engine/runtime/step_parameters.h"

namespace nnefrun {
namespace {

NodeReader read(const Node& node) { return NodeReader(node, signature_of(node.op), nullptr); }

struct Table {
  int taps = 0;
  std::vector<int32_t> index, first;
  std::vector<float> weight;
};

// One tap each, or two, else counted lists. A single tap among pairs becomes two halves, which add up
// exactly.
Table table_of(const AxisTaps& lists) {
  size_t least = SIZE_MAX, most = 0;
  bool copies = true;
  for (const auto& list : lists) {
    least = std::min(least, list.size());
    most = std::max(most, list.size());
    for (const Tap& tap : list) copies = copies && tap.weight == 1.0;
  }
  Table table;
  table.taps = least >= 1 && most <= 2 ? static_cast<int>(most) : 0;
  for (const auto& list : lists) {
    const bool halved = table.taps == 2 && list.size() == 1;
    table.first.push_back(static_cast<int32_t>(table.index.size()));
    for (const Tap& tap : list) {
      for (int i = 0; i < (halved ? 2 : 1); ++i) {
        table.index.push_back(static_cast<int32_t>(tap.index));
        table.weight.push_back(static_cast<float>(halved ? tap.weight / 2 : tap.weight));
      }
    }
  }
  table.first.push_back(static_cast<int32_t>(table.index.size()));
  if (copies && table.taps == 1) table.weight.clear();
  return table;
}

template <class T>
Tensor vector_of(const std::vector<T>& items) {
  return Tensor::of<T>({static_cast<int64_t>(items.size())}, items);
}

bool lower_resample(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const Fact& input = graph.fact(node.inputs[0]);
  if (input.dtype != DataType::f32 || input.quant || node.inputs.size() > 2) return false;
  Shape extents;  // those of axes that stay as they are do not matter
  int64_t volume = 1;
  for (size_t axis = 0; axis < input.shape.size(); ++axis) {
    const Dim &from = input.shape[axis], &to = node.facts[0].shape[axis];
    if (from != to && !(from.is_constant() && to.is_constant())) return false;
    extents.push_back(from.is_constant() ? from.value() : 1);
    volume = std::max(volume, to.is_constant() ? to.value() : 1);
  }
  constexpr int64_t kLargestTable = 1 << 20;
  if (volume > kLargestTable) return false;
  const bool by_factors = signature_of(node.op).attribute_index("factor") >= 0;
  Tensor given;
  if (!by_factors) {
    const Fact& fact = graph.fact(node.inputs[1]);
    if (!fact.constant) return false;
    given = *fact.constant;
  }
  auto axes = resampling_of(read(node), extents, by_factors ? nullptr : &given, nullptr);
  // what shrinks first, then from the last axis on: the steps along rows of items come while there are few
  std::stable_sort(axes.begin(), axes.end(), [&](const AxisResampling& x, const AxisResampling& y) {
    const bool x_grows = static_cast<int64_t>(x.taps.size()) > extents[x.axis],
               y_grows = static_cast<int64_t>(y.taps.size()) > extents[y.axis];
    return x_grows != y_grows ? y_grows : x_grows && x.axis > y.axis;
  });
  uint32_t value = b.value_of(node.inputs[0]);
  if (axes.empty()) {
    b.alias_result(index, 0, value);
    return true;
  }
  DimShape shape = input.shape;
  for (size_t i = 0; i < axes.size(); ++i) {
    const AxisResampling& axis = axes[i];
    if (!shape[axis.axis].is_constant()) return false;
    const Table table = table_of(axis.taps);
    ResampleParameters p;
    p.axis = static_cast<uint32_t>(axis.axis);
    p.taps = static_cast<uint8_t>(table.taps);
    p.has_weights = table.weight.empty() ? 0 : 1;
    p.in = extents[axis.axis];
    p.outside = static_cast<float>(axis.outside);
    std::vector<uint32_t> inputs{value, b.constant(vector_of(table.index))};
    if (p.has_weights != 0) inputs.push_back(b.constant(vector_of(table.weight)));
    if (p.taps == 0) inputs.push_back(b.constant(vector_of(table.first)));
    shape[axis.axis] = static_cast<int64_t>(axis.taps.size());
    const uint32_t out = i + 1 == axes.size() ? b.result(index) : b.temporary(DataType::f32, shape);
    b.step(StepKind::resample, inputs, {out}, p);
    value = out;
  }
  return true;
}

constexpr Lowering kLowerings[] = {
    {"nearest_downsample", lower_resample}, {"area_downsample", lower_resample},
    {"nearest_upsample", lower_resample},   {"multilinear_upsample", lower_resample},
    {"tract_core_resize", lower_resample},  {"tract_onnx_resize", lower_resample},
};

}  // namespace

std::span<const Lowering> resample_lowerings() { return kLowerings; }

}  // namespace nnefrun
