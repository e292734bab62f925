#include "engine/ops/lowering_support.h"

#include "engine/ops/window_dims.h"
#include "kernels/epilogue.h"
#include "kernels/pool/pool.h"

namespace nnefrun {
namespace {

struct ActivationEntry {
  std::string_view name;
  kernels::Activation activation;
};
constexpr ActivationEntry kActivations[] = {
    {"", kernels::Activation::none},
    {"relu", kernels::Activation::relu},
    {"clamp", kernels::Activation::clamp},
    {"clip", kernels::Activation::clip},
    {"leaky_relu", kernels::Activation::leaky_relu},
    {"sigmoid", kernels::Activation::sigmoid},
    {"tanh", kernels::Activation::tanh},
    {"silu", kernels::Activation::silu},
    {"gelu_erf", kernels::Activation::gelu_erf},
    {"gelu_tanh", kernels::Activation::gelu_tanh},
    {"hard_swish", kernels::Activation::hard_swish},
    {"elu", kernels::Activation::elu},
};

}  // namespace

bool set_activation(const NodeReader& r, EpilogueParameters& e) {
  if (r.signature().attribute_index("activation") < 0) return true;
  for (const ActivationEntry& entry : kActivations) {
    if (entry.name != r.string("activation")) continue;
    e.activation = static_cast<uint8_t>(entry.activation);
    e.a = static_cast<float>(r.scalar("alpha"));
    e.b = static_cast<float>(r.scalar("beta"));
    return true;
  }
  return false;
}

bool is_f32(const Graph& graph, Outlet outlet) {
  return graph.fact(outlet).dtype == DataType::f32 && !graph.fact(outlet).quant;
}

bool is_zero(const Fact& fact) {
  return fact.constant && fact.constant->size() == 1 && fact.constant->as_double(0) == 0.0;
}

bool pool_window(const Graph& graph, const Node& node, PlanBuilder* b, PoolParameters* p, bool of_codes) {
  if (of_codes ? !is_code_type(graph.fact(node.inputs[0]).dtype) : !is_f32(graph, node.inputs[0])) return false;
  const NodeReader r(node, signature_of(node.op), nullptr);
  const DimShape& shape = graph.fact(node.inputs[0]).shape;
  if (!has_known_window(r)) return false;
  const auto size = r.integers("size");
  const std::string& border = r.string("border");
  const size_t spatial = shape.size() - 2;
  if (shape.size() < 3 || spatial > 3 || (border != "constant" && border != "ignore")) return false;
  const WindowDims w = window_dims(r, shape, size);
  for (size_t axis = 0; axis < 2; ++axis) {  // batch and channels are planes
    if (size[axis] != 1 || w.stride[axis] != 1 || !w.before[axis].is(0) ||
        node.facts[0].shape[axis] != shape[axis])
      return false;
  }
  const std::string_view op = node.op->name;
  p->op = static_cast<uint8_t>(op == "max_pool" ? kernels::PoolOp::max
                               : op == "avg_pool" || op == "nnefrun_qavg_pool" || (op == "box" && r.logical("normalize"))
                                   ? kernels::PoolOp::avg
                                   : kernels::PoolOp::sum);
  p->border =
      static_cast<uint8_t>(border == "ignore" ? kernels::PoolBorder::ignore : kernels::PoolBorder::constant);
  if (b == nullptr) return true;
  for (int i = 0; i < 3; ++i) p->pad_before[i] = b->size(0);
  for (size_t i = 0; i < spatial; ++i) {
    const size_t to = 3 - spatial + i;
    p->window[to] = size[2 + i];
    p->stride[to] = w.stride[2 + i];
    p->dilation[to] = w.dilation[2 + i];
    p->pad_before[to] = b->size(w.before[2 + i]);
  }
  return true;
}

Tensor packed_floats(int64_t items) {
  constexpr int64_t kSmall = int64_t{1} << 18;
  Tensor packed = Tensor::uninitialized(DataType::f32, {items});
  if (items <= kSmall) populate(packed, 0, items);
  return packed;
}

}  // namespace nnefrun
