// Steps of 8-bit codes item by item: casts, tables, sums, means, pools, softmax; and which nodes compute in
// the channels-last layout.

#include <algorithm>
#include <cmath>

#include "engine/ops/lowering_quant.h"
#include "engine/ops/quant_types.h"
#include "engine/ops/support.h"
#include "engine/runtime/code_binary.h"
#include "kernels/int8/conv.h"

namespace nnefrun {
namespace {

NodeReader read(const Node& node) { return NodeReader(node, signature_of(node.op), nullptr); }

bool is_code(const Fact& fact) { return fact.quant && is_code_type(fact.dtype) && code_type_of(fact); }
bool is_image(const Fact& fact) {
  return fact.rank() >= 3 && fact.rank() <= 5 && fact.shape[1].is_constant() && fact.shape[1].value() > 0;
}

// Bounds, as u8, when the table (code - lowest code of x -> stored item) only clamps.
struct Clamp {
  int low, high;
};
std::optional<Clamp> clamp_of(const Tensor& table) {
  const auto* from = reinterpret_cast<const uint8_t*>(table.bytes());
  const uint8_t flip = table.dtype() == DataType::i8 ? 0x80 : 0;
  const Clamp clamp{from[0] ^ flip, from[255] ^ flip};
  for (int i = 0; i < 256; ++i) {
    if ((from[i] ^ flip) != std::clamp(i, clamp.low, std::max(clamp.low, clamp.high))) return std::nullopt;
  }
  return clamp;
}

// The step of a table (code - lowest code of x -> stored item). A clamp of codes that the step before has
// just made for this node alone becomes part of that step.
bool map_step(PlanBuilder& b, const Graph& graph, uint32_t index, const Tensor& table) {
  const Node& node = graph.node(index);
  const Outlet x = node.inputs[0];
  const uint32_t value = b.value_of(x);
  const Fact& from = graph.fact(x);
  const bool same_bytes = from.dtype == node.facts[0].dtype || b.in_layout();
  const auto clamp = clamp_of(table);
  if (clamp && same_bytes && b.readers_of(x) == 1) {
    const auto narrow = [&](auto& e) {
      if (clamp->low > e.high || clamp->high < e.low) return false;
      e.low = std::max(e.low, clamp->low);
      e.high = std::min(e.high, clamp->high);
      b.alias_result(index, 0, value);
      return true;
    };
    if (auto* conv = b.last_step<CodeConvParameters>(StepKind::code_conv, value)) {
      if (conv->adds != 0 ? narrow(conv->sum) : conv->epilogue.raw == 0 && narrow(conv->epilogue))
        return true;
    } else if (auto* sum = b.last_step<CodeBinaryParameters>(StepKind::code_binary, value)) {
      if (narrow(*sum)) return true;
    }
  }
  CodeMapParameters p;
  const uint8_t in = b.in_layout() || from.dtype == DataType::u8 ? 0 : 0x80;
  const uint8_t out = b.in_layout() && table.dtype() == DataType::i8 ? 0x80 : 0;
  Tensor bytes = Tensor::uninitialized(DataType::u8, {256});
  const auto* items = reinterpret_cast<const uint8_t*>(table.bytes());
  for (int i = 0; i < 256; ++i) bytes.mutable_data<uint8_t>()[i] = items[i ^ in] ^ out;
  if (clamp && same_bytes && (b.in_layout() || from.dtype == DataType::u8)) {
    p.clamps = 1;
    p.low = static_cast<uint8_t>(clamp->low);
    p.high = static_cast<uint8_t>(clamp->high);
  }
  b.step(StepKind::code_map, {value, b.constant(std::move(bytes))}, {b.result(index)}, p);
  return true;
}

// All codes of a type, lowest first.
Tensor all_codes(DataType dtype) {
  Tensor codes = Tensor::uninitialized(dtype, {256});
  for (int i = 0; i < 256; ++i)
    codes.mutable_bytes()[i] = static_cast<std::byte>(dtype == DataType::i8 ? i ^ 0x80 : i);
  return codes;
}

bool lower_map(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const Fact& table = graph.fact(node.inputs[1]);
  if (!table.constant || table.constant->size() != 256) return false;
  return map_step(b, graph, index, cast_items(*table.constant, node.facts[0].dtype));
}

bool is_gate(const DimShape& x, const DimShape& y) {
  return x.size() >= 3 && x.size() == y.size() && x[0] == y[0] && x[1] == y[1] &&
         std::all_of(y.begin() + 2, y.end(), [](const Dim& d) { return d.is(1); });
}

// The sum of codes that the convolution before it has just made for this node alone becomes part of that
// step.
bool add_in_convolution(PlanBuilder& b, const Graph& graph, uint32_t index, CodeBinaryParameters p) {
  const Node& node = graph.node(index);
  const uint32_t values[2] = {b.value_of(node.inputs[0]), b.value_of(node.inputs[1])};
  for (size_t i = 0; i < 2; ++i) {
    if (b.readers_of(node.inputs[i]) != 1 || graph.fact(node.inputs[i]).dtype != node.facts[0].dtype)
      continue;
    auto* conv = b.last_step<CodeConvParameters>(StepKind::code_conv, values[i]);
    if (conv == nullptr || conv->adds != 0 || conv->epilogue.raw != 0 || conv->is_product != 0) continue;
    kernels::ConvShape channels;
    channels.groups = conv->groups;
    channels.in_channels = conv->in_channels;
    channels.out_channels = conv->out_channels;
    if (kernels::is_depthwise_codes(channels)) continue;
    if (i == 1) {
      std::swap(p.x_zero, p.y_zero);
      std::swap(p.x_scale, p.y_scale);
    }
    conv->sum = p;
    conv->adds = 1;
    b.add_argument_to_last_step(values[1 - i], ", add codes");
    b.last_step_is_of(index);
    b.alias_result(index, 0, values[i]);
    return true;
  }
  return false;
}

bool lower_binary(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const Fact &x = graph.fact(node.inputs[0]), &y = graph.fact(node.inputs[1]), &z = node.facts[0];
  const auto tx = code_type_of(x), ty = code_type_of(y), tz = code_type_of(z);
  if (!tx || !ty || !tz || x.constant || y.constant || x.shape != z.shape) return false;
  CodeBinaryParameters p;
  p.is_gate = x.shape != y.shape ? 1 : 0;
  if (p.is_gate != 0 && (!b.in_layout() || !is_gate(x.shape, y.shape))) return false;
  static constexpr std::string_view kOps[] = {"add", "sub", "mul", "max", "min"};
  p.op = static_cast<uint8_t>(std::find(std::begin(kOps), std::end(kOps), read(node).string("op")) - kOps);
  p.is_signed = tz->is_signed ? 1 : 0;
  if (!b.in_layout()) p.x_flip = tx->flip(), p.y_flip = ty->flip(), p.flip = tz->flip();
  p.x_zero = tx->zero, p.y_zero = ty->zero, p.zero = tz->zero;
  p.x_scale = tx->scale, p.y_scale = ty->scale, p.scale = tz->scale;
  p.reciprocal = kernels::exact_reciprocal(code_binary_of(p), kernels::choose_int8());
  const bool is_sum = p.op == static_cast<uint8_t>(kernels::CodeBinaryOp::add);
  if (is_sum && b.in_layout() && p.is_gate == 0 && add_in_convolution(b, graph, index, p)) return true;
  b.step(StepKind::code_binary, {b.value_of(node.inputs[0]), b.value_of(node.inputs[1])}, {b.result(index)},
         p, read(node).string("op") + " codes");
  return true;
}

CodePoolParameters pool_types(const CodeType& x, const CodeType& y) {
  CodePoolParameters p;
  p.x_scale = x.scale;
  p.x_zero = x.zero;
  p.scale = y.scale;
  p.zero = y.zero;
  p.is_signed = y.is_signed ? 1 : 0;
  return p;
}

// Sums of so many f32 reals in double are exact: 24 bits, 8 of the code, 21 of the number.
constexpr double kExactItems = 1 << 20;

bool means_positions(const Graph& graph, const Node& node) {
  const Fact& x = graph.fact(node.inputs[0]);
  if (!is_image(x) || x.constant) return false;
  auto axes = read(node).integers("axes");
  std::sort(axes.begin(), axes.end());
  double positions = 1;
  for (int axis = 2; axis < x.rank(); ++axis) {
    if (static_cast<size_t>(axis - 2) >= axes.size() || axes[static_cast<size_t>(axis - 2)] != axis)
      return false;
    const Dim& extent = x.shape[static_cast<size_t>(axis)];
    if (!extent.is_constant()) return false;
    positions *= static_cast<double>(extent.value());
  }
  return axes.size() == static_cast<size_t>(x.rank() - 2) && positions < kExactItems;
}

bool lower_mean(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const auto tx = code_type_of(graph.fact(node.inputs[0])), ty = code_type_of(node.facts[0]);
  if (!tx || !ty || !means_positions(graph, node)) return false;
  const uint32_t x = b.channels_last_value(node.inputs[0]);
  CodesResult out(b, graph, index);
  b.step(StepKind::code_mean, {x}, {out.value()}, pool_types(*tx, *ty));
  out.store();
  return true;
}

bool pools_positions(const Graph& graph, const Node& node) {
  const Fact& x = graph.fact(node.inputs[0]);
  PoolParameters p;
  return is_image(x) && !x.constant && pool_window(graph, node, nullptr, &p, true);
}

}  // namespace

bool lower_code_pool(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const auto tx = code_type_of(graph.fact(node.inputs[0])), ty = code_type_of(node.facts[0]);
  if (!tx || !ty || !pools_positions(graph, node)) return false;
  CodePoolParameters p = pool_types(*tx, *ty);
  pool_window(graph, node, &b, &p.window, true);
  const uint32_t x = b.channels_last_value(node.inputs[0]);
  CodesResult out(b, graph, index);
  b.step(StepKind::code_pool, {x}, {out.value()}, p);
  out.store();
  return true;
}

bool lower_code_cast(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const Fact &from = graph.fact(node.inputs[0]), &to = node.facts[0];
  if (from.dtype == to.dtype && (!from.quant || !to.quant || from.quant == to.quant)) {
    b.alias_result(index, 0, b.value_of(node.inputs[0]));
    return true;
  }
  QuantizeParameters p;
  if (from.dtype == DataType::f32 && is_code(to)) {
    const CodeType type = *code_type_of(to);
    p = {type.scale, type.zero, static_cast<uint8_t>(type.is_signed ? 1 : 0), type.flip()};
    b.step(StepKind::quantize, {b.value_of(node.inputs[0])}, {b.result(index)}, p);
    return true;
  }
  if (is_code(from) && to.dtype == DataType::f32 && !to.quant) {
    const CodeType type = *code_type_of(from);
    p = {type.scale, type.zero, static_cast<uint8_t>(type.is_signed ? 1 : 0), type.flip()};
    b.step(StepKind::dequantize, {b.value_of(node.inputs[0])}, {b.result(index)}, p);
    return true;
  }
  if (from.quant && to.quant && is_code_type(from.dtype) && is_code_type(to.dtype)) {
    const Tensor table = cast_typed(all_codes(from.dtype), item_type_of(from), item_type_of(to));
    return map_step(b, graph, index, table);
  }
  return false;
}

namespace {

bool lower_softmax(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const auto tx = code_type_of(graph.fact(node.inputs[0])), ty = code_type_of(node.facts[0]);
  auto axes = read(node).integers("axes");
  std::sort(axes.begin(), axes.end());
  if (!tx || !ty || axes.empty()) return false;
  for (size_t i = 1; i < axes.size(); ++i) {
    if (axes[i] != axes[i - 1] + 1) return false;
  }
  CodeSoftmaxParameters p;
  p.first_axis = static_cast<uint32_t>(axes[0]);
  p.axis_count = static_cast<uint32_t>(axes.size());
  p.x_scale = tx->scale;
  p.scale = ty->scale;
  p.zero_point = ty->zero;
  std::vector<double> exponentials;
  for (int i = 0; i < 256; ++i)
    exponentials.push_back(std::exp(static_cast<double>(-i) * static_cast<double>(tx->scale)));
  b.step(StepKind::code_softmax,
         {b.value_of(node.inputs[0]), b.constant(Tensor::of<double>({256}, exponentials))}, {b.result(index)},
         p);
  return true;
}

constexpr TypeSet kCodes{DataType::i8, DataType::u8};

}  // namespace

bool fits_channels_last(const Graph& graph, uint32_t index, const std::vector<uint8_t>& layouts) {
  const Node& node = graph.node(index);
  const std::string_view op = node.op->name;
  if (node.facts.size() != 1 || !is_code_type(node.facts[0].dtype) || !is_image(node.facts[0])) return false;
  const auto is_last = [&](Outlet wire) { return layouts[wire.node] == 2; };
  const auto is_code_image = [&](Outlet wire) {
    const Fact& fact = graph.fact(wire);
    return is_code(fact) && is_image(fact) && !fact.constant;
  };
  if (op == "nnefrun_qconv" || op == "tract_core_qconv") return is_code_convolution(graph, node);
  if (op == "nnefrun_qmean") return is_code_image(node.inputs[0]) && means_positions(graph, node);
  if (op == "nnefrun_qavg_pool" || op == "max_pool")
    return is_code_image(node.inputs[0]) && pools_positions(graph, node);
  if (op == "nnefrun_qmap" || (op == "tract_core_cast" && is_code(node.facts[0])))
    return is_code_image(node.inputs[0]) && is_last(node.inputs[0]);
  if (op != "nnefrun_qbinary") return false;
  const Outlet x = node.inputs[0], y = node.inputs[1];
  const DimShape& shape = graph.fact(x).shape;
  return is_code_image(x) && is_code_image(y) && (is_last(x) || is_last(y)) && shape == node.facts[0].shape &&
         (graph.fact(y).shape == shape || is_gate(shape, graph.fact(y).shape));
}

std::span<const Lowering> quant_lowerings() {
  static const std::vector<Lowering> all = [] {
    std::vector<Lowering> out{{"nnefrun_qmap", lower_map, kCodes},
                              {"nnefrun_qbinary", lower_binary, kCodes},
                              {"nnefrun_qmean", lower_mean, kCodes},
                              {"nnefrun_qavg_pool", lower_code_pool, kCodes},
                              {"nnefrun_qsoftmax", lower_softmax, kCodes}};
    const auto products = quant_product_lowerings();
    out.insert(out.end(), products.begin(), products.end());
    return out;
  }();
  return all;
}

}  // namespace nnefrun
