#include "engine/quantize.h"

#include <algorithm>
#include <cmath>

#include "engine/ops/quant_types.h"
#include "engine/session.h"
#include "quant/tensors.h"

namespace nnefrun {
namespace {

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::string_view kProducts[] = {"conv", "matmul", "linear"};
// Item by item, or over windows and axes: computed in f32 between casts.
constexpr std::string_view kFunctions[] = {"add",
                                           "sub",
                                           "mul",
                                           "max",
                                           "min",
                                           "relu",
                                           "sigmoid",
                                           "tanh",
                                           "clamp",
                                           "leaky_relu",
                                           "elu",
                                           "silu",
                                           "tract_core_hard_swish",
                                           "nnefrun_clip",
                                           "nnefrun_gelu",
                                           "avg_pool",
                                           "box",
                                           "mean_reduce",
                                           "softplus"};
// The result's codes are those of the first argument.
constexpr std::string_view kMoves[] = {"max_pool",  "reshape", "transpose",     "squeeze",
                                       "unsqueeze", "copy",    "nnefrun_slice", "concat"};
constexpr std::string_view kClamps[] = {"relu", "clamp", "nnefrun_clip"};

NodeReader read(const Node& node) { return NodeReader(node, signature_of(node.op), nullptr); }
bool is_plain_f32(const Fact& fact) { return fact.dtype == DataType::f32 && !fact.quant; }

// Whether all axes but the last two are 1.
bool is_matrix(const Shape& shape) {
  return shape.size() >= 2 &&
         std::all_of(shape.begin(), shape.end() - 2, [](int64_t extent) { return extent == 1; });
}

// A copy of a node, in operators that tract has where there are some for it: nnefrun_clip is
// min(max(x, a), b), of which the engine makes one operator again.
Outlet add_portable(Graph& out, Node node, const std::vector<Outlet>& inputs) {
  if (node.op->name != "nnefrun_clip") return out.add_copy(std::move(node), inputs);
  const Outlet low = out.add("max", {inputs[0], inputs[1]}, {}, node.result_names[0] + "_low");
  return out.add("min", {low, inputs[2]}, {}, node.result_names[0]);
}

// Weights of a product as rows of output channels.
struct Rows {
  Tensor weights;  // [channels, ...]
  Tensor bias;     // one item or [channels]; no items: none
};

// [channels] items of a bias of a convolution or product; nullopt when it is another thing.
std::optional<Tensor> bias_rows(const Graph& graph, const Node& node, int64_t channels) {
  if (node.inputs.size() < 3) return Tensor::zeros(DataType::f32, {channels});
  const Fact& fact = graph.fact(node.inputs[2]);
  if (!fact.constant || !is_plain_f32(fact)) return std::nullopt;
  const Tensor& bias = *fact.constant;
  if (bias.size() != 1 && bias.size() != channels) return std::nullopt;
  Tensor out = Tensor::zeros(DataType::f32, {channels});
  for (int64_t i = 0; i < channels; ++i)
    out.mutable_data<float>()[i] = bias.data<float>()[bias.size() == 1 ? 0 : i];
  return out;
}

std::optional<Rows> rows_of(const Graph& graph, const Node& node) {
  const Fact &x = graph.fact(node.inputs[0]), &w = graph.fact(node.inputs[1]);
  if (!w.constant || x.constant || !is_plain_f32(w) || !is_plain_f32(x)) return std::nullopt;
  Rows rows;
  const std::string_view op = node.op->name;
  const NodeReader r = read(node);
  if (op == "conv") {
    if (r.string("border") != "constant" || x.rank() < 3) return std::nullopt;
    rows.weights = *w.constant;
  } else {
    const Shape& shape = w.constant->shape();
    if (!is_matrix(shape) || x.rank() < 2 || x.rank() > 5) return std::nullopt;
    const int64_t a = shape[shape.size() - 2], b = shape.back();
    const bool rows_are_channels = op == "linear" || r.logical("transposeB");
    if (op == "matmul" && r.logical("transposeA")) return std::nullopt;
    if (rows_are_channels) {
      rows.weights = w.constant->reshaped({a, b});
    } else {
      rows.weights = Tensor::uninitialized(DataType::f32, {b, a});
      for (int64_t i = 0; i < a; ++i) {
        for (int64_t j = 0; j < b; ++j)
          rows.weights.mutable_data<float>()[j * a + i] = w.constant->data<float>()[i * b + j];
      }
    }
  }
  const auto bias = bias_rows(graph, node, rows.weights.dim(0));
  if (!bias || rows.weights.size() == 0) return std::nullopt;
  rows.bias = *bias;
  return rows;
}

// Whether the node may compute on codes.
bool takes_codes(const Graph& graph, const Node& node) {
  if (node.facts.size() != 1 || node.facts[0].constant || !is_plain_f32(node.facts[0]) || node.op->stateful ||
      !node.bodies.empty() || node.inputs.empty())
    return false;
  const std::string_view op = node.op->name;
  if (contains(kProducts, op)) return rows_of(graph, node).has_value();
  if (!contains(kFunctions, op) && !contains(kMoves, op)) return false;
  return std::any_of(node.inputs.begin(), node.inputs.end(), [&](Outlet input) {
    return is_plain_f32(graph.fact(input)) && !graph.fact(input).constant;
  });
}

class Quantizer {
 public:
  Quantizer(const Graph& base, const Observations& seen, const QuantizeOptions& options)
      : base_(base), seen_(seen), options_(options) {
    choose();
  }

  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (uint32_t n = 0; n < base_.nodes().size(); ++n) {
      if (coded_[n]) out.push_back(base_.node(n).result_names[0]);
    }
    return out;
  }

  Graph run() {
    out_.name = base_.name;
    out_.symbols = base_.symbols;
    out_.assertions = base_.assertions;
    out_.properties = base_.properties;
    for (uint32_t n = 0; n < base_.nodes().size(); ++n) emit(n);
    for (const Outlet& input : base_.inputs) out_.inputs.push_back(real_.at(input));
    for (const GraphOutput& output : base_.outputs)
      out_.outputs.push_back({real_.at(output.outlet), output.name});
    for (const auto& update : base_.updates)
      out_.updates.emplace_back(real_.at(update.first), real_.at(update.second));
    return without_dead_nodes(std::move(out_));
  }

 private:
  // Which nodes compute on codes, and the types of all values: ranges are folded through what keeps them.
  void choose() {
    const auto count = static_cast<uint32_t>(base_.nodes().size());
    coded_.assign(count, false);
    const auto uses = base_.use_counts();
    for (uint32_t n = 0; n < count; ++n) {
      const Node& node = base_.node(n);
      for (uint32_t r = 0; r < node.facts.size(); ++r) {
        const auto seen = seen_.find(node.result_names[r]);
        if (seen != seen_.end() && !seen->second.empty())
          types_[{n, r}] = seen->second.quantization(options_.method, options_.kept);
      }
      // A move that is no step of its own was not seen: it has its argument's type.
      if (types_.count({n, 0}) == 0 && contains(kMoves, node.op->name) && node.op->name != "concat" &&
          types_.count(node.inputs[0]) != 0)
        types_[{n, 0}] = types_[node.inputs[0]];
      coded_[n] = takes_codes(base_, node) && types_.count({n, 0}) != 0 &&
                  options_.keep.count(node.result_names[0]) == 0;
      // An input whose range nobody saw cannot become codes.
      for (const Outlet& input : node.inputs) {
        const Fact& fact = base_.fact(input);
        if (coded_[n] && contains(kProducts, node.op->name) && input == node.inputs[0] && !fact.constant)
          coded_[n] = types_.count(input) != 0;
      }
    }
    const auto sole_reader = [&](Outlet wire) { return uses[wire] == 1; };
    // Saturation of the codes clamps: what a clamp alone reads has the clamp's range.
    for (uint32_t n = count; n-- > 0;) {
      const Node& node = base_.node(n);
      if (!coded_[n]) continue;
      const std::string_view op = node.op->name;
      if (contains(kClamps, op) && coded_[node.inputs[0].node] && sole_reader(node.inputs[0]) &&
          !contains(kMoves, base_.node(node.inputs[0]).op->name))
        types_[node.inputs[0]] = types_[{n, 0}];
      if (op == "concat") {
        for (const Outlet& input : node.inputs) {
          if (coded_[input.node] && sole_reader(input)) types_[input] = types_[{n, 0}];
        }
      }
    }
    for (uint32_t n = 0; n < count; ++n) {
      const Node& node = base_.node(n);
      if (!coded_[n] || !contains(kMoves, node.op->name) || node.op->name == "concat") continue;
      const auto from = types_.find(node.inputs[0]);
      if (from != types_.end() && coded_[node.inputs[0].node]) types_[{n, 0}] = from->second;
    }
  }

  std::string type_text(Outlet wire) const { return item_type_text({DataType::i8, types_.at(wire)}); }
  Outlet cast(Outlet wire, const std::string& to, std::string name) {
    return out_.add("tract_core_cast", {wire}, {Attribute(to)}, std::move(name));
  }
  // The codes of a value of the base graph.
  Outlet codes(Outlet wire) {
    const auto known = codes_.find(wire);
    if (known != codes_.end()) return known->second;
    const Outlet coded = cast(real_.at(wire), type_text(wire), base_.name_of(wire) + "_codes");
    codes_[wire] = coded;
    return coded;
  }
  Outlet constant(Tensor value, const std::string& label,
                  std::optional<AffineQuantization> quant = std::nullopt) {
    return out_.add_constant(std::move(value), label, quant);
  }

  void emit(uint32_t index) {
    const Node& node = base_.node(index);
    std::vector<Outlet> inputs;
    for (const Outlet& input : node.inputs) inputs.push_back(real_.at(input));
    if (coded_[index] && contains(kProducts, node.op->name)) {
      finish(index, product(index));
      return;
    }
    Node copy = node;
    const std::string name = node.result_names[0];
    if (coded_[index]) copy.result_names[0] = name + "_f32";
    const Outlet raw = add_portable(out_, std::move(copy), inputs);
    for (uint32_t r = 0; r < node.facts.size(); ++r) real_[{index, r}] = {raw.node, r};
    if (coded_[index]) finish(index, cast(raw, type_text({index, 0}), name + "_codes"));
  }
  void finish(uint32_t index, Outlet coded) {
    codes_[{index, 0}] = coded;
    real_[{index, 0}] = cast(coded, "f32", base_.node(index).result_names[0]);
  }

  Outlet product(uint32_t index) {
    const Node& node = base_.node(index);
    const Rows rows = *rows_of(base_, node);
    const int64_t channels = rows.weights.dim(0), count = rows.weights.size() / channels;
    const AffineQuantization x = types_.at(node.inputs[0]), y = types_.at({index, 0});
    // A channel whose weights are tiny beside its bias takes a scale with which the bias fits into 32 bits.
    std::vector<float> least;
    for (int64_t c = 0; c < channels; ++c)
      least.push_back(std::abs(rows.bias.data<float>()[c]) / (x.scale * 0x1p28F));
    const ChannelCodes w = quantize_channels(rows.weights.data<float>(), channels, count, least);
    std::vector<int32_t> bias;
    for (int64_t c = 0; c < channels; ++c) {
      const double unit =
          static_cast<double>(x.scale) * static_cast<double>(w.scales[static_cast<size_t>(c)]);
      bias.push_back(
          static_cast<int32_t>(std::nearbyint(static_cast<double>(rows.bias.data<float>()[c]) / unit)));
    }
    const std::string& name = node.result_names[0];
    Tensor codes_tensor = Tensor::uninitialized(DataType::i8, rows.weights.shape());
    std::copy(w.codes.begin(), w.codes.end(), codes_tensor.mutable_data<int8_t>());
    const Outlet filter = constant(codes_tensor, name + "_filter");
    const Outlet offsets = constant(Tensor::of<int32_t>({channels}, bias), name + "_bias");
    const Outlet scales = constant(Tensor::of<float>({channels}, w.scales), name + "_scale");
    const auto number = [&](auto value, const char* what) {
      return constant(Tensor::scalar(value), name + what);
    };
    const Outlet w_zero = number(int32_t{0}, "_w_zero"), x_zero = number(x.zero_point, "_x_zero"),
                 y_zero = number(y.zero_point, "_y_zero"), x_scale = number(x.scale, "_x_scale"),
                 y_scale = number(y.scale, "_y_scale");
    const Outlet input = codes(node.inputs[0]);
    const std::string type = type_text({index, 0});
    if (node.op->name == "conv") {
      const NodeReader r = read(node);
      const int64_t groups =
          r.integer("groups") == 0 ? base_.fact(node.inputs[0]).shape[1].value() : r.integer("groups");
      return add("tract_core_qconv",
                 {input, filter, offsets, w_zero, scales, x_zero, x_scale, y_zero, y_scale},
                 {1, 1, 1, 1, 1, 1, 1, 1, 1},
                 {{"group", Attribute(groups)},
                  {"groups", Attribute(groups)},
                  {"dilation", r.attribute("dilation")},
                  {"stride", r.attribute("stride")},
                  {"padding", r.attribute("padding")},
                  {"output_dt", Attribute(type)}},
                 name + "_codes");
    }
    const int rank = base_.fact(node.inputs[0]).rank();
    const std::string rows_text = std::string("abcm").substr(static_cast<size_t>(5 - rank));
    return add("tract_core_einsum_q",
               {input, filter, offsets, x_zero, x_scale, w_zero, scales, y_zero, y_scale},
               {2, 1, 1, 1, 1, 1, 1, 1},
               {{"expr", Attribute(rows_text + "k,nk,n,,,,n,,->" + rows_text + "n")},
                {"acc", Attribute("i32")},
                {"output", Attribute(type)}},
               name + "_codes");
  }
  Outlet add(std::string_view op, std::vector<Outlet> inputs, std::vector<uint32_t> counts,
             const std::map<std::string, Attribute>& given, std::string name) {
    const OpDef* row = find_op(op);
    const Signature& signature = signature_of(row);
    std::vector<Attribute> attributes;
    for (const uint32_t index : signature.attributes) {
      const auto& parameter = signature.parameters[index];
      const auto it = given.find(parameter.name);
      attributes.push_back(it != given.end()         ? it->second
                           : parameter.default_value ? *parameter.default_value
                                                     : Attribute());
    }
    return out_.add(row, std::move(inputs), std::move(counts), std::move(attributes), {std::move(name)});
  }

  const Graph& base_;
  const Observations& seen_;
  const QuantizeOptions& options_;
  std::vector<uint8_t> coded_;
  std::map<Outlet, AffineQuantization> types_;
  std::map<Outlet, Outlet> real_, codes_;
  Graph out_;
};

}  // namespace

Graph base_for_quantization(Graph typed, const CompileOptions& options) {
  CompileOptions compile = options;
  for (const char* fusion : {"cells", "fuse-activation", "fuse-residual", "matmul-bias", "linear-as-matmul",
                             "codes-map", "codes-binary", "codes-mean", "codes-pool", "codes-through-move"})
    compile.disabled.emplace_back(fusion);
  return rewrite_graph(std::move(typed), Stage::optimized, compile);
}

std::vector<std::vector<Tensor>> run_observed(
    const Graph& graph, const std::vector<std::vector<Tensor>>& runs,
    const std::function<void(size_t, const Node&, uint32_t, const Tensor&)>& observe) {
  CompileOptions options;
  options.disabled = {"dead-nodes",
                      "common-subexpressions",
                      "declutter-around-bodies",
                      "bodies",
                      "declutter",
                      "bodies-2",
                      "cells",
                      "fuse",
                      "common-subexpressions-2",
                      "dead-nodes-2"};
  Session session(compile_graph(graph, options));
  std::vector<std::vector<Tensor>> results;
  size_t run = 0;
  if (observe)
    session.observe(
        [&](const Node& node, uint32_t result, const Tensor& value) { observe(run, node, result, value); });
  for (; run < runs.size(); ++run) {
    session.reset();
    std::vector<Tensor> copies;
    for (const Tensor& tensor : session.run(runs[run])) {
      Tensor copy = Tensor::uninitialized(tensor.dtype(), tensor.shape());
      std::copy_n(tensor.bytes(), tensor.byte_size(), copy.mutable_bytes());
      copies.push_back(std::move(copy));
    }
    results.push_back(std::move(copies));
  }
  return results;
}

Observations calibrate(const Graph& base, const std::vector<std::vector<Tensor>>& runs) {
  Observations seen;
  for (const auto& inputs : runs) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Outlet outlet = base.inputs[i];
      if (is_plain_f32(base.fact(outlet)))
        seen[base.name_of(outlet)].add(inputs[i].data<float>(), inputs[i].size());
    }
  }
  run_observed(base, runs, [&](size_t, const Node& node, uint32_t result, const Tensor& value) {
    if (value.dtype() == DataType::f32)
      seen[node.result_names[result]].add(value.data<float>(), value.size());
  });
  return seen;
}

std::vector<std::string> quantizable(const Graph& base, const Observations& seen) {
  const QuantizeOptions options;
  return Quantizer(base, seen, options).names();
}

Graph quantized_graph(const Graph& base, const Observations& seen, const QuantizeOptions& options) {
  return Quantizer(base, seen, options).run();
}

namespace {

// The weights of a product as [channels, items] f32, and whether the node must be written with them
// transposed.
struct Matrix {
  Tensor rows;
  bool turned = false;  // the node holds [items, channels]
};
std::optional<Matrix> matrix_of(const Graph& graph, const Node& node) {
  const std::string_view op = node.op->name;
  if (op != "matmul" && op != "linear") return std::nullopt;
  const Fact &x = graph.fact(node.inputs[0]), &w = graph.fact(node.inputs[1]);
  if (!w.constant || x.constant || !is_plain_f32(w) || !is_plain_f32(x)) return std::nullopt;
  const Shape& shape = w.constant->shape();
  if (!is_matrix(shape)) return std::nullopt;
  const int64_t a = shape[shape.size() - 2], b = shape.back();
  if (op == "linear" || read(node).logical("transposeB")) return Matrix{w.constant->reshaped({a, b}), false};
  Matrix m{Tensor::uninitialized(DataType::f32, {b, a}), true};
  for (int64_t i = 0; i < a; ++i) {
    for (int64_t j = 0; j < b; ++j)
      m.rows.mutable_data<float>()[j * a + i] = w.constant->data<float>()[i * b + j];
  }
  return m;
}

Outlet scalar(Graph& out, float value, const std::string& label) {
  return out.add_constant(Tensor::scalar(value), label);
}

// The sixteen numbers of NF4: quantiles of the normal distribution, scaled to [-1, 1] (Dettmers et al. 2023,
// QLoRA, appendix E).
constexpr float kNf4[16] = {-1.0F,
                            -0.6961928009986877F,
                            -0.5250730514526367F,
                            -0.39491748809814453F,
                            -0.28444138169288635F,
                            -0.18477343022823334F,
                            -0.09105003625154495F,
                            0.0F,
                            0.07958029955625534F,
                            0.16093020141124725F,
                            0.24611230194568634F,
                            0.33791524171829224F,
                            0.44070982933044434F,
                            0.5626170039176941F,
                            0.7229568362236023F,
                            1.0F};

// f32 [channels, items] as codes with a scale for each 32 items, and the operators that make f32 of them.
// REQUIRES: items % 32 == 0.
Outlet stored_groups(Graph& out, const Tensor& rows, WeightScheme scheme, const std::string& name) {
  const int64_t channels = rows.dim(0), items = rows.dim(1), groups = items / 32;
  // What the largest item of a group is a multiple of.
  const float top = scheme == WeightScheme::int4_group32   ? 7.0F
                    : scheme == WeightScheme::int8_group32 ? 127.0F
                                                           : 1.0F;
  std::vector<float> scales;
  std::vector<int> codes;
  for (int64_t g = 0; g < channels * groups; ++g) {
    const float* x = rows.data<float>() + g * 32;
    float largest = 0;
    for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float scale = largest / top > 1e-18F ? largest / top : 1.0F;
    scales.push_back(scale);
    for (int i = 0; i < 32; ++i) {
      const float real = x[i] / scale;
      if (scheme == WeightScheme::nf4_group32) {
        const auto nearer = [&](float a, float b) { return std::fabs(a - real) < std::fabs(b - real); };
        codes.push_back(static_cast<int>(std::min_element(kNf4, kNf4 + 16, nearer) - kNf4));
      } else {
        codes.push_back(static_cast<int>(std::clamp(std::nearbyint(real), -top - 1, top)));
      }
    }
  }
  const auto constant = [&](DataType type, Shape shape, const std::function<int(int64_t)>& item) {
    Tensor stored = Tensor::uninitialized(type, std::move(shape));
    auto* to = stored.mutable_data<uint8_t>();
    for (int64_t i = 0; i < stored.size(); ++i) to[i] = static_cast<uint8_t>(item(i));
    return out.add_constant(stored, name + "_codes");
  };
  const auto code = [&](int64_t i) { return codes[static_cast<size_t>(i)]; };
  // Codes from 0 to 15: item j of a group in the low half of byte j, item j + 16 in the high half.
  const auto halves = [&](int lowest) {
    const Outlet bytes = constant(DataType::u8, {channels, groups, 16}, [&](int64_t i) {
      const int64_t low = i / 16 * 32 + i % 16;
      return (code(low) - lowest) | (code(low + 16) - lowest) << 4;
    });
    const Outlet both = out.add("tract_core_cast", {bytes}, {Attribute("f32")});
    const Outlet high = out.add("floor", {out.add("mul", {both, scalar(out, 0.0625F, "sixteenth")})});
    const Outlet low = out.add("sub", {both, out.add("mul", {high, scalar(out, 16.0F, "sixteen")})});
    return out.add(find_op("concat"), {low, high}, {2}, {Attribute(int64_t{2})});
  };
  Outlet real;
  if (scheme == WeightScheme::int4_group32) {
    real = out.add("sub", {halves(-8), scalar(out, 8.0F, "eight")});
  } else if (scheme == WeightScheme::int8_group32) {
    real = out.add("tract_core_cast", {constant(DataType::i8, {channels, groups, 32}, code)},
                   {Attribute("f32")});
  } else {
    const Outlet book =
        out.add_constant(Tensor::of<float>({16}, std::vector<float>(kNf4, kNf4 + 16)), name + "_book");
    const Outlet places = out.add("tract_core_cast", {halves(0)}, {Attribute("i64")});
    real = out.add("tract_core_gather", {book, places}, {Attribute(int64_t{0}), Attribute()});
  }
  const Outlet scaled = out.add(
      "mul", {real, out.add_constant(Tensor::of<float>({channels, groups, 1}, scales), name + "_scale")});
  return out.add("reshape", {scaled}, {Attribute::of_ints({channels, items})});
}

// f32 [channels, items] in the form of the scheme; nullopt when it does not take the extents.
std::optional<Outlet> stored_matrix(Graph& out, const Tensor& rows, WeightScheme scheme,
                                    const std::string& name) {
  const int64_t channels = rows.dim(0), items = rows.dim(1);
  if (scheme == WeightScheme::q40 || scheme == WeightScheme::q80) {
    if (items % 32 != 0 || rows.size() == 0) return std::nullopt;
    return out.add_constant(
        quantize_blocks(rows, scheme == WeightScheme::q40 ? DataType::q4_0 : DataType::q8_0), name);
  }
  if (rows.size() == 0) return std::nullopt;
  if (scheme == WeightScheme::int8) {
    const ChannelCodes coded = quantize_channels(rows.data<float>(), channels, items);
    Tensor codes = Tensor::uninitialized(DataType::i8, {channels, items});
    std::copy(coded.codes.begin(), coded.codes.end(), codes.mutable_data<int8_t>());
    const Outlet real =
        out.add("tract_core_cast", {out.add_constant(codes, name + "_codes")}, {Attribute("f32")});
    return out.add("mul",
                   {real, out.add_constant(Tensor::of<float>({channels, 1}, coded.scales), name + "_scale")});
  }
  if (items % 32 != 0) return std::nullopt;
  return stored_groups(out, rows, scheme, name);
}

}  // namespace

Graph weights_quantized(const Graph& base, WeightScheme scheme, const std::set<std::string>& keep,
                        std::vector<std::string>* quantized) {
  Graph out;
  out.name = base.name;
  out.symbols = base.symbols;
  out.assertions = base.assertions;
  out.properties = base.properties;
  std::map<Outlet, Outlet> moved;
  std::map<Outlet, Outlet> stored;  // of constants
  for (uint32_t n = 0; n < base.nodes().size(); ++n) {
    Node node = base.node(n);
    std::vector<Outlet> inputs;
    for (const Outlet& input : node.inputs) inputs.push_back(moved.at(input));
    const bool blocks = scheme == WeightScheme::q40 || scheme == WeightScheme::q80;
    const bool looks_up = blocks && (node.op->name == "tract_core_gather" || node.op->name == "gather");
    const auto replace = [&](size_t argument, const Tensor& rows) {
      const Outlet source = node.inputs[argument];
      const auto known = stored.find(source);
      const auto form = known != stored.end()
                            ? std::optional(known->second)
                            : stored_matrix(out, rows, scheme, base.name_of(source) + "_stored");
      if (!form) return false;
      stored[source] = *form;
      inputs[argument] = *form;
      return true;
    };
    bool done = false;
    if (keep.count(node.result_names[0]) == 0) {
      if (const auto matrix = matrix_of(base, node); matrix && replace(1, matrix->rows)) {
        done = true;
        Shape shape(static_cast<size_t>(base.fact(node.inputs[1]).rank()) - 2, 1);
        if (!shape.empty()) {
          shape.insert(shape.end(), {matrix->rows.dim(0), matrix->rows.dim(1)});
          inputs[1] = out.add("reshape", {inputs[1]}, {Attribute::of_ints(shape)});
        }
        if (matrix->turned) {
          const int at = signature_of(node.op).attribute_index("transposeB");
          node.attributes[static_cast<size_t>(at)] = Attribute(true);
        }
      } else if (looks_up) {
        const Fact& table = base.fact(node.inputs[0]);
        const bool by_rows = table.constant && is_plain_f32(table) && table.rank() == 2 &&
                             !base.fact(node.inputs[1]).constant && read(node).integer("axis") == 0;
        done = by_rows && replace(0, *table.constant);
      }
    }
    Outlet added;
    if (done) {
      if (quantized != nullptr) quantized->push_back(node.result_names[0]);
      added = out.add(node.op, inputs, node.input_counts, node.attributes, node.result_names, node.bodies,
                      node.where, node.call_chain);
    } else {
      added = add_portable(out, node, inputs);
    }
    for (uint32_t r = 0; r < node.facts.size(); ++r) moved[{n, r}] = {added.node, r};
  }
  for (const Outlet& input : base.inputs) out.inputs.push_back(moved.at(input));
  for (const GraphOutput& output : base.outputs)
    out.outputs.push_back({moved.at(output.outlet), output.name});
  for (const auto& update : base.updates)
    out.updates.emplace_back(moved.at(update.first), moved.at(update.second));
  return without_dead_nodes(std::move(out));
}

std::optional<PrintedGraph> print_for_tract(const Graph& graph) {
  for (const Node& node : graph.nodes()) {
    if (node.op->name.substr(0, 8) == "nnefrun_" || node.op->name == "nnefrun_dims") return std::nullopt;
  }
  PrintedGraph printed = print_graph(graph);
  const std::string ours = "extension nnefrun_engine 1;";
  const size_t at = printed.text.find(ours);
  if (at == std::string::npos || !graph.assertions.empty()) return std::nullopt;
  // tract's tensor files hold no blocks but those of Q4_0.
  const auto has_no_file = [](const auto& item) {
    return is_block_quantized(item.second.dtype()) && item.second.dtype() != DataType::q4_0;
  };
  if (std::any_of(printed.tensors.begin(), printed.tensors.end(), has_no_file)) return std::nullopt;
  printed.text.replace(at, ours.size(), "extension tract_registry tract_core;");
  // tract wants the border of a convolution of codes, which print_graph leaves out: it is the only one there
  // is.
  const std::string call = "tract_core_qconv(", type = ", output_dt = ";
  for (size_t from = printed.text.find(call); from != std::string::npos;
       from = printed.text.find(call, from + call.size())) {
    const size_t place = printed.text.find(type, from);
    if (place != std::string::npos) printed.text.insert(place, ", border = 'constant'");
  }
  return printed;
}

}  // namespace nnefrun
