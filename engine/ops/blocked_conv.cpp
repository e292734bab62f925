// Convolutions over the channel-blocked layout.

#include "engine/ops/blocked_rows.h"
#include "engine/ops/lowering_support.h"
#include "engine/ops/window_dims.h"
#include "kernels/blocked/pack.h"

namespace nnefrun {
namespace {

using kernels::BlockedMethod;

constexpr int64_t kPlainChannels = 4;  // a first layer with so few channels reads them as they are

struct Convolution {
  kernels::ConvShape shape;  // spatial extents are guesses where they are symbols
  WindowDims window;
  std::optional<Outlet> bias, residual;
  BlockedMethod method = BlockedMethod::direct;
  bool may_take_plain = false;
};

// What the node computes, when blocked kernels can.
std::optional<Convolution> describe(const Graph& graph, uint32_t index, const BlockedLayouts& layouts,
                                    const ExtentGuess& guess) {
  const Node& node = graph.node(index);
  const NodeReader r(node, signature_of(node.op), nullptr);
  const Fact &x = graph.fact(node.inputs[0]), &filter = graph.fact(node.inputs[1]);
  const int spatial = x.rank() - 2;
  if (spatial < 1 || spatial > 3 || !filter.constant || r.string("border") != "constant") return std::nullopt;
  if (!has_known_window(r) || !x.shape[1].is_constant()) return std::nullopt;
  for (const Outlet& input : node.inputs) {
    if (!is_f32(graph, input)) return std::nullopt;
  }
  EpilogueParameters epilogue;
  if (!set_activation(r, epilogue)) return std::nullopt;

  Convolution c;
  const Shape& weights = filter.constant->shape();
  kernels::ConvShape& s = c.shape;
  s.batch = static_cast<int64_t>(guess(x.shape[0]));
  s.in_channels = x.shape[1].value();
  s.out_channels = weights[0];
  s.groups = r.integer("groups") == 0 ? s.in_channels : r.integer("groups");
  const std::vector<Dim> in(x.shape.begin() + 2, x.shape.end());
  const std::vector<int64_t> size(weights.begin() + 2, weights.end());
  c.window = window_dims(r, in, size);
  for (int i = 0; i < spatial; ++i) {
    const auto at = static_cast<size_t>(i);
    const int to = 3 - spatial + i;
    s.in[to] = static_cast<int64_t>(guess(in[at]));
    s.out[to] = static_cast<int64_t>(guess(node.facts[0].shape[2 + at]));
    s.filter[to] = size[at];
    s.stride[to] = c.window.stride[at];
    s.dilation[to] = c.window.dilation[at];
    s.pad_before[to] = static_cast<int64_t>(guess(c.window.before[at]));
  }
  if (s.in_channels == 0 || s.out_channels == 0) return std::nullopt;
  if (!kernels::blocked_conv_takes(s, BlockedMethod::direct) &&
      !kernels::blocked_conv_takes(s, BlockedMethod::depthwise))
    return std::nullopt;
  c.method = kernels::choose_blocked_method(s, layouts.winograd);
  c.may_take_plain =
      s.in_channels <= kPlainChannels && kernels::blocked_conv_takes(s, BlockedMethod::direct, true);

  if (node.input_counts[2] != 0 && !is_zero(graph.fact(node.inputs[2]))) {
    const Fact& bias = graph.fact(node.inputs[2]);
    if (!bias.constant || (bias.constant->size() != 1 && bias.constant->size() != s.out_channels))
      return std::nullopt;
    c.bias = node.inputs[2];
  }
  if (node.op->name == "nnefrun_conv" && r.has_input("residual")) {
    c.residual = node.inputs[r.input_range("residual").first];
    if (graph.fact(*c.residual).shape != node.facts[0].shape || graph.fact(*c.residual).constant)
      return std::nullopt;
  }
  return c;
}

// Multiply-accumulates in a nanosecond, as measured on one core of 2024; only their relations matter.
constexpr double kPlainRate = 40, kBlockedRate = 47, kPlainDepthwiseRate = 8, kBlockedDepthwiseRate = 20;
constexpr double kGatherRate = 4;  // bytes in a nanosecond of building the matrix of windows
constexpr double kWinograd2Saves = 1.6, kWinograd4Saves = 2.4;

BlockedFit fit_conv(const Graph& graph, uint32_t index, const BlockedLayouts& layouts,
                    const ExtentGuess& guess) {
  BlockedFit fit;
  const auto c = describe(graph, index, layouts, guess);
  if (!c) return fit;
  fit.fits = true;
  fit.is_convolution = true;
  fit.takes_plain = c->may_take_plain;
  const kernels::ConvShape& s = c->shape;
  const double taps = static_cast<double>(s.filter[0] * s.filter[1] * s.filter[2]);
  const double positions = static_cast<double>(s.batch * s.out[0] * s.out[1] * s.out[2]);
  const double depth = static_cast<double>(s.in_channels) / static_cast<double>(s.groups) * taps;
  const double macs = positions * depth * static_cast<double>(s.out_channels);
  if (c->method == BlockedMethod::depthwise) {
    fit.gain = macs / kPlainDepthwiseRate - macs / kBlockedDepthwiseRate;
    return fit;
  }
  const bool pointwise = taps == 1 && s.stride[0] * s.stride[1] * s.stride[2] == 1;
  const double gathered = pointwise ? 0 : 4 * positions * depth * static_cast<double>(s.groups) / kGatherRate;
  const double saves = c->method == BlockedMethod::winograd_2   ? kWinograd2Saves
                       : c->method == BlockedMethod::winograd_4 ? kWinograd4Saves
                                                                : 1;
  fit.gain = macs / kPlainRate + gathered - macs / (kBlockedRate * saves);
  return fit;
}

Tensor packed_filter(const PackSource& source, const kernels::ConvShape& shape, BlockedMethod method,
                     bool plain) {
  const auto size = static_cast<int64_t>(kernels::packed_blocked_conv_size(shape, method, plain));
  Tensor out = packed_floats(size);
  const float* from = source.tensor.data<float>();
  float* to = out.mutable_data<float>();
  const int64_t unit = kernels::blocked_conv_pack_unit(shape, method);
  const int64_t channels = std::max<int64_t>(shape.out_channels, 1), row = source.tensor.size() / channels;
  if (unit == 0 || row == 0) {
    kernels::pack_blocked_conv(shape, method, plain, from, to);
    return out;
  }
  // By bands of about a megabyte: what has been packed is not needed beside the packed form.
  constexpr int64_t kBand = int64_t{1} << 18;
  const int64_t step = std::max<int64_t>(1, kBand / (unit * row)) * unit;
  kernels::ConvShape band = shape;
  int64_t at = 0;
  for (int64_t begin = 0; begin < shape.out_channels; begin += step) {
    const int64_t end = std::min(begin + step, shape.out_channels);
    band.out_channels = end - begin;
    const auto items = static_cast<int64_t>(kernels::packed_blocked_conv_size(band, method, plain));
    populate(out, at, at + items);
    kernels::pack_blocked_conv(band, method, plain, from + begin * row, to + at);
    at += items;
    source.done(begin * row, end * row);
  }
  return out;
}

// The bias, padded to whole blocks.
uint32_t padded_bias(PlanBuilder& b, Outlet bias, int64_t channels) {
  const int64_t block = b.block(), blocks = (channels + block - 1) / block;
  return b.derived_constant(bias, "channels " + std::to_string(channels), [&](const PackSource& source) {
    const Tensor& from = source.tensor;
    Tensor out = Tensor::zeros(DataType::f32, {blocks * block});
    for (int64_t o = 0; o < channels; ++o)
      out.mutable_data<float>()[o] = from.data<float>()[from.size() == 1 ? 0 : o];
    return out;
  });
}
uint32_t packed_filter_value(PlanBuilder& b, Outlet filter, const kernels::ConvShape& s, BlockedMethod method,
                             bool plain) {
  const std::string form = "blocked " + std::to_string(static_cast<int>(method)) + (plain ? " plain" : "") +
                           " groups " + std::to_string(s.groups) + " stride " + std::to_string(s.stride[2]);
  return b.derived_constant(
      filter, form, [&](const PackSource& source) { return packed_filter(source, s, method, plain); });
}

// The only reader of a node's only result, when the graph keeps it for nobody else.
std::optional<uint32_t> only_reader(const Graph& graph, uint32_t index) {
  const Outlet result{index, 0};
  for (const GraphOutput& output : graph.outputs) {
    if (output.outlet == result) return std::nullopt;
  }
  for (const auto& update : graph.updates) {
    if (update.second == result) return std::nullopt;
  }
  std::optional<uint32_t> reader;
  for (uint32_t n = index + 1; n < graph.nodes().size(); ++n) {
    for (const Outlet& input : graph.node(n).inputs) {
      if (input.node != index) continue;
      if (reader) return std::nullopt;
      reader = n;
    }
  }
  return reader;
}

// A pointwise convolution whose only reader is a depthwise one: one step for both, at the place of the first.
bool lower_pair(PlanBuilder& b, const Graph& graph, uint32_t index, const Convolution& first) {
  const kernels::ConvShape& s = first.shape;
  const Node& node = graph.node(index);
  if (first.method != BlockedMethod::direct || s.groups != 1 || first.residual ||
      graph.fact({index, 0}).rank() != 4)
    return false;
  if (first.may_take_plain && !b.is_computed_blocked(node.inputs[0])) return false;
  for (int i = 0; i < 3; ++i) {
    if (s.filter[i] != 1 || s.stride[i] != 1) return false;
  }
  for (const Dim& before : first.window.before) {
    if (!before.is(0)) return false;
  }
  const DimShape &in = graph.fact(node.inputs[0]).shape, &out = graph.fact({index, 0}).shape;
  if (in[2] != out[2] || in[3] != out[3]) return false;  // nor padding behind
  const auto reader = only_reader(graph, index);
  if (!reader || !b.layouts().has(*reader) || graph.node(*reader).inputs[0] != Outlet{index, 0}) return false;
  const std::string_view op = graph.node(*reader).op->name;
  if (op != "conv" && op != "nnefrun_conv") return false;
  const auto second = describe(graph, *reader, b.layouts(), ExtentGuess(graph));
  if (!second || second->method != BlockedMethod::depthwise || second->residual ||
      !kernels::blocked_pair_takes(second->shape))
    return false;

  const kernels::ConvShape& d = second->shape;
  const auto reading = [&](uint32_t n) {
    return NodeReader(graph.node(n), signature_of(graph.node(n).op), nullptr);
  };
  BlockedPairParameters p;
  set_activation(reading(index), p.first);
  set_activation(reading(*reader), p.second);
  p.block = static_cast<uint32_t>(b.block());
  p.in_channels = s.in_channels;
  p.channels = d.in_channels;
  p.pad_before[0] = b.size(0);
  for (int i = 0; i < 3; ++i) {
    p.filter[i] = d.filter[i];
    p.stride[i] = d.stride[i];
    p.dilation[i] = d.dilation[i];
    if (i > 0) p.pad_before[i] = b.size(second->window.before[static_cast<size_t>(i - 1)]);
  }
  std::vector<uint32_t> inputs{
      b.value_of(node.inputs[0]), packed_filter_value(b, node.inputs[1], s, BlockedMethod::direct, false),
      packed_filter_value(b, graph.node(*reader).inputs[1], d, BlockedMethod::depthwise, false)};
  if (first.bias) {
    p.first.has_bias = 1;
    inputs.push_back(padded_bias(b, *first.bias, s.out_channels));
  }
  if (second->bias) {
    p.second.has_bias = 1;
    inputs.push_back(padded_bias(b, *second->bias, d.out_channels));
  }
  b.step(StepKind::blocked_pair, inputs, {b.result(*reader)}, p,
         "blocked conv 1x1 " + std::to_string(s.in_channels) + "->" + std::to_string(s.out_channels) +
             ", depthwise " + std::to_string(d.filter[1]) + "x" + std::to_string(d.filter[2]));
  b.last_step_is_of(*reader);
  return true;
}

bool lower_conv(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (b.is_computed_blocked({index, 0})) return true;  // the second of a pair
  const auto c = describe(graph, index, b.layouts(), ExtentGuess(graph));
  if (!c) return false;
  if (lower_pair(b, graph, index, *c)) return true;
  const NodeReader r(node, signature_of(node.op), nullptr);
  const kernels::ConvShape& s = c->shape;
  BlockedConvParameters p;
  set_activation(r, p.epilogue);
  p.block = static_cast<uint32_t>(b.block());
  p.groups = s.groups;
  p.in_channels = s.in_channels;
  p.out_channels = s.out_channels;
  const bool plain = c->may_take_plain && !b.is_computed_blocked(node.inputs[0]);
  const BlockedMethod method = plain ? BlockedMethod::direct : c->method;
  p.method = static_cast<uint8_t>(method);
  p.x_is_plain = plain ? 1 : 0;
  const int spatial = graph.fact(node.inputs[0]).rank() - 2;
  for (int i = 0; i < 3; ++i) p.pad_before[i] = b.size(0);
  std::string note = method == BlockedMethod::depthwise    ? "depthwise"
                     : method == BlockedMethod::winograd_2 ? "winograd2 conv"
                     : method == BlockedMethod::winograd_4 ? "winograd4 conv"
                                                           : "blocked conv";
  for (int i = 0; i < 3; ++i) {
    p.filter[i] = s.filter[i];
    p.stride[i] = s.stride[i];
    p.dilation[i] = s.dilation[i];
    if (i < 3 - spatial) continue;
    p.pad_before[i] = b.size(c->window.before[static_cast<size_t>(i - (3 - spatial))]);
    note += (i == 3 - spatial ? " " : "x") + std::to_string(s.filter[i]);
  }
  note += " " + std::to_string(s.in_channels) + "->" + std::to_string(s.out_channels);
  if (s.groups > 1 && method != BlockedMethod::depthwise) note += " groups " + std::to_string(s.groups);

  std::vector<uint32_t> inputs{plain ? b.plain_value_of(node.inputs[0]) : b.value_of(node.inputs[0]), 0};
  if (c->bias) {
    p.epilogue.has_bias = 1;
    inputs.push_back(padded_bias(b, *c->bias, s.out_channels));
  }
  if (c->residual) {
    p.epilogue.has_residual = 1;
    inputs.push_back(b.value_of(*c->residual));
  }
  inputs[1] = packed_filter_value(b, node.inputs[1], s, method, plain);
  b.step(StepKind::blocked_conv, inputs, {b.result(index)}, p, note);
  return true;
}

constexpr BlockedRow kRows[] = {{"conv", fit_conv, lower_conv}, {"nnefrun_conv", fit_conv, lower_conv}};

}  // namespace

std::span<const BlockedRow> blocked_conv_rows() { return kRows; }

}  // namespace nnefrun
