#include "engine/ops/lowering_q40.h"

#include <algorithm>

#include "engine/ops/support.h"
#include "kernels/q40/q40.h"

namespace nnefrun {

bool is_q40_weight(const Fact& fact) {
  return fact.dtype == DataType::q4_0 && fact.constant && fact.rank() >= 2 &&
         fact.constant->shape().back() % kQ40Items == 0 &&
         std::all_of(fact.shape.begin(), fact.shape.end() - 2, [](const Dim& d) { return d.is(1); });
}

uint32_t packed_q40(PlanBuilder& b, const Graph& graph, Outlet weights) {
  const Shape& shape = graph.fact(weights).constant->shape();
  const int64_t n = shape[shape.size() - 2], k = shape.back();
  const int64_t panel = kernels::q40_panel(b.is_fast());
  return b.derived_constant(weights, "q40_n" + std::to_string(panel), [&](const PackSource& source) {
    const auto bytes = static_cast<int64_t>(kernels::packed_q40_size(n, k, panel));
    Tensor packed = Tensor::uninitialized(DataType::u8, {bytes});
    const auto* blocks = reinterpret_cast<const BlockQ40*>(source.tensor.bytes());
    // by bands of about a megabyte, whose source is not needed beside the packed form
    const int64_t band =
        std::max<int64_t>(1, (int64_t{1} << 20) / std::max<int64_t>(1, k * 18)) * kernels::kQ40Panel;
    for (int64_t begin = 0; begin < n; begin += band) {
      const int64_t end = std::min(begin + band, n);
      kernels::pack_q40_window(n, k, blocks, packed.mutable_data<uint8_t>(), begin, end, panel);
      source.done(begin * k, end * k);
    }
    return packed;
  });
}

uint32_t as_f32(PlanBuilder& b, const Graph& graph, Outlet outlet) {
  const Fact& fact = graph.fact(outlet);
  if (fact.dtype == DataType::f32) return b.value_of(outlet);
  if (fact.constant) {
    return b.derived_constant(
        outlet, "f32", [](const PackSource& source) { return cast_items(source.tensor, DataType::f32); });
  }
  return b.derived_value(outlet, "f32", [&] {
    const uint32_t value = b.temporary(DataType::f32, fact.shape);
    b.step(StepKind::cast, {b.value_of(outlet)}, {value});
    return value;
  });
}

void q40_product(PlanBuilder& b, const Graph& graph, Outlet from, uint32_t x, const DimShape& x_shape,
                 Outlet weights, const std::vector<uint32_t>& more, EpilogueParameters epilogue, uint32_t out,
                 const std::string& note) {
  const Shape& shape = graph.fact(weights).constant->shape();
  const int64_t k = shape.back();
  MatmulQ40Parameters p;
  p.epilogue = epilogue;
  p.n = b.size(shape[shape.size() - 2]);
  p.k = b.size(k);
  p.fast = b.is_fast() ? 1 : 0;
  p.panel = static_cast<uint8_t>(kernels::q40_panel(b.is_fast()));
  if (p.fast != 0) {
    x = b.derived_value(from, "q80", [&] {
      DimShape rows(x_shape.begin(), x_shape.end() - 1);
      rows.emplace_back(k / kQ80Items * static_cast<int64_t>(sizeof(ActivationQ80)));
      const uint32_t value = b.temporary(DataType::u8, rows);
      b.step(StepKind::quantize_q80, {x}, {value});
      return value;
    });
  }
  std::vector<uint32_t> inputs{x, packed_q40(b, graph, weights)};
  inputs.insert(inputs.end(), more.begin(), more.end());
  b.step(StepKind::matmul_q40, inputs, {out}, p, note);
}

bool lower_q40_gather(PlanBuilder& b, const Graph& graph, uint32_t index, bool wrap) {
  const Node& node = graph.node(index);
  const Fact& weights = graph.fact(node.inputs[0]);
  const NodeReader r(node, signature_of(node.op), nullptr);
  if (!is_q40_weight(weights) || weights.rank() != 2 || r.integer("axis") != 0 ||
      graph.fact(node.inputs[1]).dtype != DataType::i64)
    return false;
  const DataType type = node.facts[0].dtype;
  if (type != DataType::f32 && type != DataType::f16) return false;
  GatherQ40Parameters p;
  p.wrap = wrap ? 1 : 0;
  p.panel = static_cast<uint8_t>(kernels::q40_panel(b.is_fast()));
  p.rows = b.size(weights.shape[0]);
  p.k = b.size(weights.shape[1]);
  const uint32_t indices = b.value_of(node.inputs[1]);
  const uint32_t packed = packed_q40(b, graph, node.inputs[0]);
  const uint32_t out =
      type == DataType::f32 ? b.result(index) : b.temporary(DataType::f32, node.facts[0].shape);
  b.step(StepKind::gather_q40, {packed, indices}, {out}, p,
         "rows of " + weights.shape[0].to_string() + " x " + weights.shape[1].to_string());
  if (type != DataType::f32) b.step(StepKind::cast, {out}, {b.result(index)});
  return true;
}

}  // namespace nnefrun
