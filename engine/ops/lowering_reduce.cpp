// Reductions, softmax, norms and pools in f32.

#include <algorithm>

#include "engine/ops/lowering_quant.h"
#include "kernels/reduce/reduce.h"

namespace nnefrun {
namespace {

NodeReader read(const Node& node) { return NodeReader(node, signature_of(node.op), nullptr); }

bool is_f32(const Graph& graph, const Node& node) {
  return std::all_of(node.inputs.begin(), node.inputs.end(),
                     [&](Outlet o) { return graph.fact(o).dtype == DataType::f32 && !graph.fact(o).quant; });
}

// Axes as runs of adjacent ones, last run first. Axes of extent 1 between two runs join them.
struct Run {
  uint32_t first, count;
};
std::vector<Run> runs_of(std::vector<int64_t> axes, const DimShape& shape) {
  std::sort(axes.begin(), axes.end());
  std::vector<Run> runs;
  for (const int64_t axis : axes) {
    const auto a = static_cast<uint32_t>(axis);
    bool joined = false;
    if (!runs.empty()) {
      joined = true;
      for (uint32_t between = runs.back().first + runs.back().count; between < a; ++between)
        joined = joined && shape[between].is(1);
    }
    if (joined)
      runs.back().count = a - runs.back().first + 1;
    else
      runs.push_back({a, 1});
  }
  std::reverse(runs.begin(), runs.end());
  return runs;
}

bool lower_reduce(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!is_f32(graph, node)) return false;
  const NodeReader r = read(node);
  const std::string_view op = node.op->name;
  const auto runs = runs_of(r.integers("axes"), graph.fact(node.inputs[0]).shape);
  if (runs.empty()) return false;
  ReduceParameters p;
  const bool arg = op == "argmax_reduce" || op == "argmin_reduce";
  if (arg && runs.size() != 1) return false;
  const bool normalize = op == "mean_reduce" || (op == "sum_reduce" && r.logical("normalize"));
  p.kind = op == "argmax_reduce" ? 1 : op == "argmin_reduce" ? 2 : 0;
  p.op = static_cast<uint8_t>(op == "max_reduce"   ? kernels::ReduceOp::max
                              : op == "min_reduce" ? kernels::ReduceOp::min
                              : normalize          ? kernels::ReduceOp::mean
                                                   : kernels::ReduceOp::sum);
  DimShape shape = graph.fact(node.inputs[0]).shape;
  uint32_t value = b.value_of(node.inputs[0]);
  for (size_t i = 0; i < runs.size(); ++i) {
    p.first_axis = runs[i].first;
    p.axis_count = runs[i].count;
    for (uint32_t axis = 0; axis < runs[i].count; ++axis) shape[runs[i].first + axis] = 1;
    const bool last = i + 1 == runs.size();
    const uint32_t out = last ? b.result(index) : b.temporary(DataType::f32, shape);
    b.step(StepKind::reduce, {value}, {out}, p);
    value = out;
  }
  return true;
}

bool lower_softmax(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!is_f32(graph, node)) return false;
  const auto runs = runs_of(read(node).integers("axes"), graph.fact(node.inputs[0]).shape);
  if (runs.size() != 1) return false;
  SoftmaxParameters p;
  p.log = node.op->name == "tract_core_log_softmax" ? 1 : 0;
  p.first_axis = runs[0].first;
  p.axis_count = runs[0].count;
  b.step(StepKind::softmax, {b.value_of(node.inputs[0])}, {b.result(index)}, p);
  return true;
}

bool lower_rms_norm(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!is_f32(graph, node)) return false;
  const NodeReader r = read(node);
  const DimShape& shape = graph.fact(node.inputs[0]).shape;
  const int64_t axis = r.integer("axis");
  if (axis + 1 != static_cast<int64_t>(shape.size())) return false;
  NormalizeParameters p;
  p.rms = 1;
  p.first_axis = static_cast<uint32_t>(axis);
  p.epsilon = static_cast<float>(r.scalar("eps"));
  std::vector<uint32_t> inputs{b.value_of(node.inputs[0])};
  if (node.inputs.size() > 1) {  // nnefrun_rms_norm: one factor for each item of a row
    if (volume_of(graph.fact(node.inputs[1]).shape) != shape.back()) return false;
    inputs.push_back(b.value_of(node.inputs[1]));
    p.has_scale = 1;
  }
  b.step(StepKind::normalize, inputs, {b.result(index)}, p);
  return true;
}

// The axes must be the last ones, the parameters one value for each item of a row.
bool lower_layer_norm(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (!is_f32(graph, node)) return false;
  const NodeReader r = read(node);
  const DimShape& shape = graph.fact(node.inputs[0]).shape;
  auto axes = r.integers("axes");
  std::sort(axes.begin(), axes.end());
  if (axes.empty()) return false;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != static_cast<int64_t>(shape.size() - axes.size() + i)) return false;
  }
  const Dim row = volume_of(DimShape(shape.begin() + axes[0], shape.end()));
  NormalizeParameters p;
  p.first_axis = static_cast<uint32_t>(axes[0]);
  p.epsilon = static_cast<float>(r.scalar("eps"));
  std::vector<uint32_t> inputs{b.value_of(node.inputs[0])};
  for (const char* name : {"scale", "offset"}) {
    if (!r.has_input(name)) continue;
    const Outlet outlet = node.inputs[r.input_range(name).first];
    if (volume_of(graph.fact(outlet).shape) != row) return false;
    inputs.push_back(b.value_of(outlet));
    (std::string_view(name) == "scale" ? p.has_scale : p.has_offset) = 1;
  }
  b.step(StepKind::normalize, inputs, {b.result(index)}, p);
  return true;
}

bool lower_pool(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (node.op->name == "max_pool" && is_code_type(node.facts[0].dtype)) return lower_code_pool(b, graph, index);
  PoolParameters p;
  if (!pool_window(graph, node, &b, &p)) return false;
  b.step(StepKind::pool, {b.value_of(node.inputs[0])}, {b.result(index)}, p);
  return true;
}

constexpr Lowering kLowerings[] = {
    {"sum_reduce", lower_reduce},
    {"mean_reduce", lower_reduce},
    {"max_reduce", lower_reduce},
    {"min_reduce", lower_reduce},
    {"argmax_reduce", lower_reduce},
    {"argmin_reduce", lower_reduce},
    {"softmax", lower_softmax},
    {"tract_core_log_softmax", lower_softmax},
    {"tract_core_rms_norm", lower_rms_norm},
    {"nnefrun_rms_norm", lower_rms_norm},
    {"nnefrun_layer_norm", lower_layer_norm},
    {"max_pool", lower_pool, kF32 | TypeSet{DataType::i8, DataType::u8}},
    {"avg_pool", lower_pool},
    {"box", lower_pool},
};

}  // namespace

std::span<const Lowering> reduce_lowerings() { return kLowerings; }

}  // namespace nnefrun
