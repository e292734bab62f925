// Products and convolutions of 8-bit codes: weights are packed here, zero points of the left side go into
// what the accumulators start from.

#include "engine/ops/lowering_quant.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "engine/ops/quant_types.h"
#include "engine/ops/window_dims.h"
#include "kernels/int8/conv.h"
#include "kernels/int8/pack.h"
#include "quant/affine.h"

namespace nnefrun {

std::optional<CodeType> code_type_of(const Fact& fact) {
  if (!is_code_type(fact.dtype)) return std::nullopt;
  const AffineQuantization q = fact.quant.value_or(AffineQuantization{0, 1});
  CodeType type;
  type.is_signed = fact.dtype == DataType::i8;
  type.scale = q.scale;
  const int64_t zero = int64_t{q.zero_point} + (type.is_signed ? 128 : 0);
  if (zero < 0 || zero > 255 || !(q.scale > 1e-20F) || !(q.scale < 1e20F)) return std::nullopt;
  type.zero = static_cast<int32_t>(zero);
  return type;
}

CodesResult::CodesResult(PlanBuilder& b, const Graph& graph, uint32_t node)
    : b_(b), graph_(graph), node_(node) {
  const Fact& fact = graph.fact({node, 0});
  value_ = b.in_layout() ? b.result(node) : b.temporary(fact.dtype, channels_last_shape(fact.shape));
}
void CodesResult::store() {
  if (b_.in_layout()) return;
  CodeRepackParameters p;
  p.channels = b_.size(graph_.fact({node_, 0}).shape[1]);
  b_.step(StepKind::code_repack, {value_}, {b_.result(node_)}, p, "out of channels last");
}

namespace {

NodeReader read(const Node& node) { return NodeReader(node, signature_of(node.op), nullptr); }

// The numbers of a constant of integers, or one 0 (zero points, bias) or 1 (scales) where it is left out.
std::optional<std::vector<double>> numbers(const Graph& graph, const Node& node, std::string_view name,
                                           double otherwise) {
  const NodeReader r = read(node);
  if (!r.has_input(name)) return std::vector<double>{otherwise};
  const Fact& fact = graph.fact(node.inputs[r.input_range(name).first]);
  if (!fact.constant || fact.constant->size() == 0) return std::nullopt;
  std::vector<double> out;
  for (int64_t i = 0; i < fact.constant->size(); ++i) out.push_back(fact.constant->as_double(i));
  return out;
}

// A product of codes with constant weights.
struct CodeProduct {
  Outlet x, w;
  int64_t x_zero = 0;           // in the type of x
  std::vector<double> w_zeros;  // one, or one for each output channel
  std::vector<double> bias;     // likewise
  std::vector<float> scales;    // likewise, from accumulators to results
  bool uniform = false;         // one scale, applied exactly
  int64_t zero = 0;             // of the result, in its type
};

// What the operators that take their parameters as arguments say.
std::optional<CodeProduct> parameters_of(const Graph& graph, const Node& node, bool x_is_a) {
  CodeProduct p;
  const auto a0 = numbers(graph, node, "a0", 0), b0 = numbers(graph, node, "b0", 0),
             c0 = numbers(graph, node, "c0", 0);
  const auto a = numbers(graph, node, "a_scale", 1), b = numbers(graph, node, "b_scale", 1),
             c = numbers(graph, node, "c_scale", 1), bias = numbers(graph, node, "bias", 0);
  if (!a0 || !b0 || !c0 || !a || !b || !c || !bias) return std::nullopt;
  const auto &x0 = x_is_a ? *a0 : *b0, &w0 = x_is_a ? *b0 : *a0;
  if (x0.size() != 1 || c0->size() != 1 || c->size() != 1 || (x_is_a ? a : b)->size() != 1)
    return std::nullopt;
  p.x_zero = static_cast<int64_t>(x0[0]);
  p.w_zeros = w0;
  p.bias = *bias;
  p.zero = static_cast<int64_t>((*c0)[0]);
  for (size_t i = 0; i < std::max(a->size(), b->size()); ++i) {
    const auto at = [i](const std::vector<double>& v) {
      return static_cast<float>(v[v.size() == 1 ? 0 : i]);
    };
    p.scales.push_back(at(*a) * at(*b) / static_cast<float>((*c)[0]));
  }
  p.uniform = p.scales.size() == 1;
  return p;
}

// What the operators whose operands' types hold the parameters say.
std::optional<CodeProduct> parameters_of_types(const Graph& graph, const Node& node) {
  CodeProduct p;
  const AffineQuantization x = graph.fact(node.inputs[0]).quant.value_or(AffineQuantization{}),
                           w = graph.fact(node.inputs[1]).quant.value_or(AffineQuantization{});
  const auto bias = numbers(graph, node, "bias", 0);
  if (!bias) return std::nullopt;
  p.x = node.inputs[0];
  p.w = node.inputs[1];
  p.x_zero = x.zero_point;
  p.w_zeros = {static_cast<double>(w.zero_point)};
  p.bias = *bias;
  const auto& to = node.facts[0].quant;
  p.scales = {to ? x.scale * w.scale / to->scale : 1.0F};
  p.uniform = true;
  p.zero = to ? to->zero_point : 0;
  return p;
}

// Weights as the kernels want them: column, channel and tap strides into the constant.
struct WeightView {
  int64_t columns = 0, channels = 0, taps = 1, groups = 1;  // columns and channels of all groups
  int64_t column_stride = 0, channel_stride = 0, tap_stride = 1;
};

// Items of 8-bit codes.
class Codes {
 public:
  explicit Codes(const Tensor& w)
      : bytes_(reinterpret_cast<const uint8_t*>(w.bytes())), is_signed_(w.dtype() == DataType::i8) {}
  int64_t operator[](int64_t at) const { return is_signed_ ? static_cast<int8_t>(bytes_[at]) : bytes_[at]; }

 private:
  const uint8_t* bytes_;
  bool is_signed_;
};

// i8 numbers w' and one number r with w - zero(column) = w' - r; nullopt when there are none.
struct NarrowWeights {
  std::vector<int8_t> items;
  int32_t remaining = 0;
};
std::optional<NarrowWeights> narrow_weights(const Tensor& w, const WeightView& v,
                                            const std::vector<double>& zeros) {
  const auto zero_of = [&](int64_t column) {
    return static_cast<int64_t>(zeros[zeros.size() == 1 ? 0 : static_cast<size_t>(column)]);
  };
  const int64_t group_channels = v.channels / v.groups;
  const Codes codes(w);
  NarrowWeights out;
  out.items.resize(static_cast<size_t>(w.size()));
  const auto fill = [&](auto&& value) {
    for (int64_t column = 0; column < v.columns; ++column) {
      const int64_t zero = zero_of(column);
      for (int64_t channel = 0; channel < group_channels; ++channel) {
        for (int64_t tap = 0; tap < v.taps; ++tap) {
          const int64_t at = column * v.column_stride + channel * v.channel_stride + tap * v.tap_stride;
          const int64_t number = value(codes[at], zero);
          if (number < -128 || number > 127) return false;
          out.items[static_cast<size_t>(at)] = static_cast<int8_t>(number);
        }
      }
    }
    return true;
  };
  if (fill([](int64_t code, int64_t zero) { return code - zero; })) return out;
  const bool one = std::all_of(zeros.begin(), zeros.end(), [&](double z) { return z == zeros[0]; });
  const int64_t shift = w.dtype() == DataType::u8 ? 128 : 0;
  if (!one || std::abs(zeros[0]) > 1e6) return std::nullopt;
  out.remaining = static_cast<int32_t>(static_cast<int64_t>(zeros[0]) - shift);
  fill([&](int64_t code, int64_t) { return code - shift; });
  return out;
}

// Everything of a step but its geometry; false when no kernel computes this.
struct PackedProduct {
  Tensor weights, start, scales;  // scales: no items when there is one for all
  CodeConvParameters p;
};
std::optional<PackedProduct> pack(const CodeProduct& c, const Tensor& w, const WeightView& v,
                                  const kernels::ConvShape& shape, const Fact& x, const Fact& result) {
  const auto channels = static_cast<size_t>(v.columns);
  const auto one_or_each = [&](size_t count) { return count == 1 || count == channels; };
  if (!one_or_each(c.w_zeros.size()) || !one_or_each(c.bias.size()) || !one_or_each(c.scales.size()))
    return std::nullopt;
  PackedProduct out;
  CodeConvParameters& p = out.p;
  p.x_flip = x.dtype == DataType::i8 ? 0x80 : 0;
  const int64_t x_zero = c.x_zero + (p.x_flip != 0 ? 128 : 0);
  if (x_zero < 0 || x_zero > 255) return std::nullopt;
  p.x_zero = static_cast<uint8_t>(x_zero);
  CodeEpilogueParameters& e = p.epilogue;
  float largest = 0;
  for (const float scale : c.scales) {
    if (!(scale >= 0) || !(scale < 0x1p19F)) return std::nullopt;
    largest = std::max(largest, scale);
  }
  if (result.dtype == DataType::i32) {
    if (c.scales.size() != 1 || c.scales[0] != 1 || !c.uniform || c.zero != 0) return std::nullopt;
    e.raw = 1;
  } else {
    const int64_t shift = result.dtype == DataType::i8 ? 128 : 0;
    if (c.zero + shift < 0 || c.zero + shift > 255) return std::nullopt;
    e.zero_point = static_cast<int32_t>(c.zero + shift);
  }
  e.limit = kernels::code_limit(largest);
  e.by_channel = c.uniform ? 0 : 1;
  e.scale =
      c.scales[0] < FLT_MIN ? 0 : static_cast<double>(c.scales[0]);  // FixedPointScale takes no denormals

  const auto& kernels = kernels::choose_int8();
  p.lanes = kernels.lanes;
  p.group = kernels.group;
  const bool depthwise = kernels::is_depthwise_codes(shape);
  const Codes codes(w);
  const int64_t group_channels = v.channels / v.groups, group_columns = v.columns / v.groups;
  const auto zero_of = [&](int64_t column) {
    return static_cast<int64_t>(c.w_zeros[c.w_zeros.size() == 1 ? 0 : static_cast<size_t>(column)]);
  };
  if (depthwise) {
    std::vector<int32_t> numbers;
    for (int64_t column = 0; column < v.columns; ++column) {
      for (int64_t tap = 0; tap < v.taps; ++tap) {
        const int64_t number = codes[column * v.column_stride + tap * v.tap_stride] - zero_of(column);
        if (number < -32768 || number > 32767) return std::nullopt;
        numbers.push_back(static_cast<int32_t>(number));
      }
    }
    const bool narrow =
        std::all_of(numbers.begin(), numbers.end(), [](int32_t n) { return n >= -128 && n <= 127; });
    p.depthwise_dots = narrow && kernels::takes_depthwise_dots(shape, kernels) ? 1 : 0;
    if (p.depthwise_dots != 0) {
      const size_t size = kernels::packed_depthwise_dots_size(v.columns, v.taps);
      out.weights = Tensor::uninitialized(DataType::i8, {static_cast<int64_t>(size)});
      kernels::pack_depthwise_dots(numbers.data(), v.columns, v.taps, out.weights.mutable_data<int8_t>());
    } else {
      const size_t size = kernels::packed_depthwise_codes_size(v.columns, v.taps, kernels);
      out.weights = Tensor::uninitialized(DataType::i16, {static_cast<int64_t>(size)});
      kernels::pack_depthwise_codes(numbers.data(), v.columns, v.taps, out.weights.mutable_data<int16_t>(),
                                    kernels);
    }
  } else {
    const auto narrow = narrow_weights(w, v, c.w_zeros);
    if (!narrow) return std::nullopt;
    p.has_factor = narrow->remaining != 0 ? 1 : 0;
    p.factor = -narrow->remaining;
    const size_t size = kernels::packed_group_size(shape, kernels);
    out.weights = Tensor::uninitialized(DataType::i8, {static_cast<int64_t>(size) * v.groups});
    for (int64_t g = 0; g < v.groups; ++g) {
      kernels::CodeWeights from;
      from.w = narrow->items.data() + g * group_columns * v.column_stride;
      from.columns = group_columns;
      from.channels = group_channels;
      from.taps = v.taps;
      from.column_stride = v.column_stride;
      from.channel_stride = v.channel_stride;
      from.tap_stride = v.tap_stride;
      kernels::pack_codes(from, out.weights.mutable_data<int8_t>() + static_cast<size_t>(g) * size, kernels);
    }
  }
  const int64_t width = kernels::code_channels(shape, kernels);
  // product() sums (x - offset) * w', with the stored weights w' = w + remaining.
  const int64_t items = group_channels * v.taps;
  const int64_t offset = depthwise ? 0 : kernels.x_offset, remaining = -int64_t{p.factor};
  out.start = Tensor::zeros(DataType::i32, {width});
  if (!c.uniform) out.scales = Tensor::zeros(DataType::f32, {width});
  double largest_sum = 0;  // that an accumulator can reach
  const double reach = static_cast<double>(std::max(x_zero, 255 - x_zero));
  for (int64_t column = 0; column < v.columns; ++column) {
    uint32_t sum = 0;  // of the weights, in 32 bits that wrap
    int64_t magnitude = 0;
    const int64_t zero = zero_of(column);
    for (int64_t channel = 0; channel < group_channels; ++channel) {
      for (int64_t tap = 0; tap < v.taps; ++tap) {
        const int64_t at = column * v.column_stride + channel * v.channel_stride + tap * v.tap_stride;
        sum += static_cast<uint32_t>(codes[at] - zero);
        magnitude += std::abs(codes[at] - zero);
      }
    }
    const double bias = c.bias[c.bias.size() == 1 ? 0 : static_cast<size_t>(column)];
    largest_sum = std::max(largest_sum, std::abs(bias) + reach * static_cast<double>(magnitude));
    const int64_t at = p.depthwise_dots != 0 ? kernels::depthwise_slot(column)
                       : depthwise           ? column
                                   : column / group_columns * (width / v.groups) + column % group_columns;
    out.start.mutable_data<int32_t>()[at] = static_cast<int32_t>(
        static_cast<uint32_t>(static_cast<int64_t>(bias)) - static_cast<uint32_t>(x_zero) * sum +
        static_cast<uint32_t>(offset) * (sum + static_cast<uint32_t>(items * remaining)));
    if (!c.uniform)
      out.scales.mutable_data<float>()[at] = c.scales[c.scales.size() == 1 ? 0 : static_cast<size_t>(column)];
  }
  e.narrow = c.uniform && e.scale < 0.25 && largest_sum < 0x1p24 ? 1 : 0;
  p.groups = v.groups;
  p.in_channels = v.channels;
  p.out_channels = v.columns;
  return out;
}

// ---- convolutions ----

struct CodeConvolution {
  CodeProduct product;
  kernels::ConvShape shape;  // channels, groups, filter
};
std::optional<CodeConvolution> convolution_of(const Graph& graph, const Node& node) {
  const NodeReader r = read(node);
  const Fact &x = graph.fact(node.inputs[0]), &filter = graph.fact(node.inputs[1]);
  const int spatial = x.rank() - 2;
  if (spatial < 1 || spatial > 3 || !filter.constant || x.constant || !is_code_type(x.dtype) ||
      !is_code_type(filter.dtype) || !x.shape[1].is_constant() || !has_known_window(r))
    return std::nullopt;
  CodeConvolution c;
  const auto product =
      node.op->name == "nnefrun_qconv" ? parameters_of_types(graph, node) : parameters_of(graph, node, false);
  if (!product) return std::nullopt;
  c.product = *product;
  c.product.x = node.inputs[0];
  c.product.w = node.inputs[1];
  const Shape& weights = filter.constant->shape();
  c.shape.in_channels = x.shape[1].value();
  c.shape.out_channels = weights[0];
  c.shape.groups = r.integer("groups") == 0 ? c.shape.in_channels : r.integer("groups");
  if (c.shape.in_channels == 0 || c.shape.out_channels == 0) return std::nullopt;
  for (int i = 0; i < spatial; ++i) c.shape.filter[3 - spatial + i] = weights[static_cast<size_t>(2 + i)];
  return c;
}

bool lower_conv(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const auto c = convolution_of(graph, node);
  if (!c) return false;
  const NodeReader r = read(node);
  const Fact &x = graph.fact(node.inputs[0]), &result = node.facts[0];
  const Tensor& w = *graph.fact(node.inputs[1]).constant;
  const kernels::ConvShape& s = c->shape;
  if (result.dtype == DataType::i32)
    return false;  // accumulators of a convolution have no layout of their own
  WeightView v;
  v.columns = s.out_channels;
  v.channels = s.in_channels;
  v.groups = s.groups;
  v.taps = s.filter[0] * s.filter[1] * s.filter[2];
  v.channel_stride = v.taps;
  v.column_stride = s.in_channels / s.groups * v.taps;
  auto packed = pack(c->product, w, v, s, x, result);
  if (!packed) return false;
  CodeConvParameters& p = packed->p;
  p.x_flip = 0;  // the layout's codes are u8
  const std::vector<Dim> in(x.shape.begin() + 2, x.shape.end());
  const std::vector<int64_t> size(w.shape().begin() + 2, w.shape().end());
  const WindowDims window = window_dims(r, in, size);
  const int spatial = x.rank() - 2;
  std::string note = kernels::is_depthwise_codes(s) ? "depthwise codes" : "conv codes";
  for (int i = 0; i < 3; ++i) p.pad_before[i] = b.size(0);
  for (int i = 0; i < spatial; ++i) {
    const auto at = static_cast<size_t>(i);
    const int to = 3 - spatial + i;
    p.filter[to] = size[at];
    p.stride[to] = window.stride[at];
    p.dilation[to] = window.dilation[at];
    p.pad_before[to] = b.size(window.before[at]);
    note += (i == 0 ? " " : "x") + std::to_string(size[at]);
  }
  note += " " + std::to_string(s.in_channels) + "->" + std::to_string(s.out_channels);
  if (s.groups > 1 && !kernels::is_depthwise_codes(s)) note += " groups " + std::to_string(s.groups);
  std::vector<uint32_t> inputs{b.channels_last_value(node.inputs[0]), b.constant(std::move(packed->weights)),
                               b.constant(std::move(packed->start))};
  if (p.epilogue.by_channel != 0) inputs.push_back(b.constant(std::move(packed->scales)));
  CodesResult out(b, graph, index);
  b.step(StepKind::code_conv, inputs, {out.value()}, p, note);
  out.store();
  return true;
}

// ---- matrix products ----

// Rows of x times constant weights of `columns` and `depth`.
bool product(PlanBuilder& b, const Graph& graph, uint32_t index, const CodeProduct& c, WeightView v) {
  const Node& node = graph.node(index);
  const Fact &x = graph.fact(c.x), &w = graph.fact(c.w), &result = node.facts[0];
  if (x.constant || !is_code_type(x.dtype) || !is_code_type(w.dtype) || v.columns == 0 || v.channels == 0)
    return false;
  kernels::ConvShape s;
  s.in_channels = v.channels;
  s.out_channels = v.columns;
  auto packed = pack(c, *w.constant, v, s, x, result);
  if (!packed) return false;
  packed->p.is_product = 1;
  packed->p.epilogue.flip = result.dtype == DataType::i8 ? 0x80 : 0;
  for (int i = 0; i < 3; ++i) packed->p.pad_before[i] = b.size(0);
  std::vector<uint32_t> inputs{b.value_of(c.x), b.constant(std::move(packed->weights)),
                               b.constant(std::move(packed->start))};
  if (packed->p.epilogue.by_channel != 0) inputs.push_back(b.constant(std::move(packed->scales)));
  b.step(StepKind::code_conv, inputs, {b.result(index)}, packed->p,
         "matmul codes " + std::to_string(v.channels) + "x" + std::to_string(v.columns));
  return true;
}

bool lower_qmatmul(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const NodeReader r = read(node);
  const Fact& w = graph.fact(node.inputs[1]);
  if (!w.constant || r.logical("transposeA")) return false;
  const Shape& shape = w.constant->shape();
  if (!std::all_of(shape.begin(), shape.end() - 2, [](int64_t d) { return d == 1; })) return false;
  const bool tb = r.logical("transposeB");
  WeightView v;
  v.channels = shape[shape.size() - (tb ? 1 : 2)];
  v.columns = shape[shape.size() - (tb ? 2 : 1)];
  v.channel_stride = tb ? 1 : v.columns;
  v.column_stride = tb ? v.channels : 1;
  const auto c = parameters_of_types(graph, node);
  return c && product(b, graph, index, *c, v);
}

// tract's operators over named axes: one operand constant, [n, k] or [k, n]; the other [..., k]; the result
// [..., n].
bool lower_contraction(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const NodeReader r = read(node);
  const Outlet first = node.inputs[0], second = node.inputs[1];
  const bool x_is_a = graph.fact(second).constant != nullptr;
  const Outlet x = x_is_a ? first : second, w = x_is_a ? second : first;
  if (!graph.fact(w).constant || graph.fact(x).constant) return false;
  std::string of_x, of_w, of_result, of_bias = "n";
  const auto rank_x = static_cast<size_t>(graph.fact(x).rank()),
             rank_w = static_cast<size_t>(graph.fact(w).rank());
  if (rank_w != 2 || rank_x < 1) return false;
  if (node.op->name == "tract_core_einsum_q") {
    std::string text = r.string("expr");
    text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
    std::vector<std::string> parts(1);
    const size_t arrow = text.find("->");
    for (size_t i = 0; i < arrow; ++i) {
      if (text[i] == ',') {
        parts.emplace_back();
      } else {
        parts.back() += text[i];
      }
    }
    if (parts.size() != 9) return false;
    of_result = text.substr(arrow + 2);
    of_x = parts[x_is_a ? 0 : 1];
    of_w = parts[x_is_a ? 1 : 0];
    // Bias and the weights' parameters may have one item for each column, all others have one.
    for (size_t i = 2; i < 9; ++i) {
      const bool of_weights = i == 2 || (x_is_a ? i == 5 || i == 6 : i == 3 || i == 4);
      if (!parts[i].empty() && (!of_weights || parts[i] != of_result.substr(of_result.size() - 1)))
        return false;
    }
  } else {
    const auto axes = r.integers("axes");
    if (axes.size() != 6 || rank_x != 2) return false;
    const auto labels = [](int64_t i, int64_t j, char a, char c) {
      std::string out = "..";
      if (i < 0 || i > 1 || j < 0 || j > 1 || i == j) return std::string();
      out[static_cast<size_t>(i)] = a;
      out[static_cast<size_t>(j)] = c;
      return out;
    };
    const std::string a = labels(axes[0], axes[1], 'm', 'k'), c = labels(axes[2], axes[3], 'k', 'n');
    of_x = x_is_a ? a : c;
    of_w = x_is_a ? c : a;
    of_result = labels(axes[4], axes[5], 'm', 'n');
    if (r.has_input("bias") &&
        volume_of(graph.fact(node.inputs[r.input_range("bias").first]).shape) != Dim(1))
      return false;
  }
  // x: rows, then k; result: the same rows, then n.
  if (of_x.size() != rank_x || of_w.size() != 2 || of_result.size() != rank_x) return false;
  const char k = of_x.back(), n = of_result.back();
  if (k == n || of_x.substr(0, rank_x - 1) != of_result.substr(0, rank_x - 1)) return false;
  const bool columns_first = of_w[0] == n && of_w[1] == k;
  if (!columns_first && !(of_w[0] == k && of_w[1] == n)) return false;
  for (size_t i = 0; i + 1 < rank_x; ++i) {
    if (of_x[i] == k || of_x[i] == n || of_x.find(of_x[i]) != i) return false;
  }
  const Shape& shape = graph.fact(w).constant->shape();
  WeightView v;
  v.columns = shape[columns_first ? 0 : 1];
  v.channels = shape[columns_first ? 1 : 0];
  v.column_stride = columns_first ? v.channels : 1;
  v.channel_stride = columns_first ? 1 : v.columns;
  if (!graph.fact(x).shape.back().is(v.channels)) return false;  // an extent of 1 would be repeated
  auto c = parameters_of(graph, node, x_is_a);
  if (!c) return false;
  c->x = x;
  c->w = w;
  return product(b, graph, index, *c, v);
}

constexpr TypeSet kCodes{DataType::i8, DataType::u8};

}  // namespace

bool is_code_convolution(const Graph& graph, const Node& node) {
  return node.facts[0].dtype != DataType::i32 && convolution_of(graph, node).has_value();
}

std::span<const Lowering> quant_product_lowerings() {
  static constexpr Lowering kLowerings[] = {
      {"nnefrun_qconv", lower_conv, kCodes},
      {"tract_core_qconv", lower_conv, kCodes},
      {"nnefrun_qmatmul", lower_qmatmul, kCodes},
      {"tract_core_einsum_q", lower_contraction, kCodes},
      {"tract_core_qmatmul", lower_contraction, kCodes},
  };
  return kLowerings;
}

}  // namespace nnefrun
