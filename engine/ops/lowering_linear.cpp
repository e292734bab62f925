// Products and convolutions in f32: constant operands are packed here, once, in the layout of the kernel row
// that this machine will run.

#include <algorithm>

#include "engine/ops/lowering_groups.h"
#include "engine/ops/lowering_q40.h"
#include "engine/ops/lowering_support.h"
#include "engine/ops/support.h"
#include "engine/ops/window_dims.h"
#include "kernels/conv/conv.h"
#include "kernels/conv/deconv.h"
#include "kernels/matmul/pack.h"

namespace nnefrun {
namespace {

NodeReader read(const Node& node) { return NodeReader(node, signature_of(node.op), nullptr); }

// The bias as one value for each of `count` channels; nullopt when it cannot be one. None at all when it is
// zero.
struct Bias {
  bool present = false;
  uint32_t value = 0;
};
std::optional<Bias> bias_value(PlanBuilder& b, const Graph& graph, Outlet outlet, const Dim& count) {
  const Fact& fact = graph.fact(outlet);
  if (is_zero(fact)) return Bias{};
  if (fact.constant && fact.dtype == DataType::f16 && fact.constant->size() != 1)
    return volume_of(fact.shape) == count ? std::optional(Bias{true, as_f32(b, graph, outlet)})
                                          : std::nullopt;
  if (!is_f32(graph, outlet)) return std::nullopt;
  if (fact.constant && fact.constant->size() == 1 && count.is_constant()) {
    const std::vector<float> repeated(static_cast<size_t>(count.value()), fact.constant->data<float>()[0]);
    return Bias{true, b.constant(Tensor::of<float>({count.value()}, repeated))};
  }
  if (volume_of(fact.shape) != count) return std::nullopt;
  return Bias{true, b.value_of(outlet)};
}

// f32, or blocks that are made f32 when they are packed.
bool is_f32_or_blocks(const Graph& graph, Outlet outlet) {
  return is_f32(graph, outlet) ||
         (is_block_quantized(graph.fact(outlet).dtype) && graph.fact(outlet).constant);
}

// conv and nnefrun_conv.
bool lower_conv(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const NodeReader r = read(node);
  const Fact &x = graph.fact(node.inputs[0]), &filter = graph.fact(node.inputs[1]);
  const int spatial = x.rank() - 2;
  if (spatial < 1 || spatial > 3 || !filter.constant || r.string("border") != "constant") return false;
  if (!has_known_window(r)) return false;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (i == 1 ? !is_f32_or_blocks(graph, node.inputs[i]) : !is_f32(graph, node.inputs[i])) return false;
  }
  const Shape& weights = filter.constant->shape();
  if (!x.shape[1].is_constant()) return false;
  int64_t groups = r.integer("groups");
  if (groups == 0) groups = x.shape[1].value();

  ConvParameters p;
  p.groups = groups;
  if (!set_activation(r, p.epilogue)) return false;
  const std::vector<Dim> in(x.shape.begin() + 2, x.shape.end());
  const std::vector<int64_t> size(weights.begin() + 2, weights.end());
  const WindowDims window = window_dims(r, in, size);
  kernels::ConvShape shape;  // what packing needs: channels, groups and the filter
  shape.in_channels = x.shape[1].value();
  shape.out_channels = weights[0];
  shape.groups = groups;
  for (int i = 0; i < 3; ++i) p.pad_before[i] = b.size(0);
  for (int i = 0; i < spatial; ++i) {
    const auto at = static_cast<size_t>(i);
    const int to = 3 - spatial + i;
    p.filter[to] = shape.filter[to] = size[at];
    p.stride[to] = shape.stride[to] = window.stride[at];
    p.dilation[to] = shape.dilation[to] = window.dilation[at];
    p.pad_before[to] = b.size(window.before[at]);
  }
  const Bias none;
  const auto bias = node.input_counts[2] == 0 ? std::optional<Bias>(none)
                                              : bias_value(b, graph, node.inputs[2], Dim(weights[0]));
  if (!bias) return false;
  const auto& kernel = kernels::choose_matmul_f32();
  p.packed_mr = kernel.mr;
  p.packed_nr = kernel.nr;
  std::vector<uint32_t> inputs{b.value_of(node.inputs[0]), 0};
  if (bias->present) inputs.push_back(bias->value);
  p.epilogue.has_bias = bias->present ? 1 : 0;
  if (node.op->name == "nnefrun_conv" && r.has_input("residual")) {
    if (graph.fact(node.inputs[r.input_range("residual").first]).shape != node.facts[0].shape) return false;
    p.epilogue.has_residual = 1;
    inputs.push_back(b.value_of(node.inputs[r.input_range("residual").first]));
  }
  std::string note = "conv";
  for (int i = 0; i < spatial; ++i)
    note += (i == 0 ? " " : "x") + std::to_string(size[static_cast<size_t>(i)]);
  note += " " + std::to_string(shape.in_channels) + "->" + std::to_string(shape.out_channels);
  if (groups > 1) note += " groups " + std::to_string(groups);
  inputs[1] = b.derived_constant(
      node.inputs[1], "conv groups " + std::to_string(groups), [&](const PackSource& source) {
        const auto items = static_cast<int64_t>(kernels::packed_conv_weights_size(shape, kernel));
        Tensor out = packed_floats(items);
        const Tensor floats = dequantized(source.tensor);
        kernels::pack_conv_weights(shape, floats.data<float>(), out.mutable_data<float>(), kernel);
        return out;
      });
  b.step(StepKind::conv, inputs, {b.result(index)}, p, note);
  return true;
}

// deconv with a constant filter.
bool lower_deconv(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const NodeReader r = read(node);
  const Fact &x = graph.fact(node.inputs[0]), &filter = graph.fact(node.inputs[1]);
  const DimShape& result = node.facts[0].shape;
  const int spatial = x.rank() - 2;
  if (spatial < 1 || spatial > 3 || !filter.constant || r.string("border") != "constant") return false;
  if (!has_known_window(r) || !x.shape[1].is_constant() || !result[1].is_constant()) return false;
  for (const Outlet& input : node.inputs) {
    if (!is_f32(graph, input)) return false;
  }
  const Shape& weights = filter.constant->shape();
  if (result[1].value() == 0 || weights[1] == 0 || weights[0] == 0) return false;
  kernels::ConvShape shape;
  shape.in_channels = weights[0];
  shape.out_channels = result[1].value();
  shape.groups = shape.out_channels / weights[1];
  const std::vector<Dim> in(x.shape.begin() + 2, x.shape.end()), out(result.begin() + 2, result.end());
  const std::vector<int64_t> size(weights.begin() + 2, weights.end());
  const WindowDims window = window_dims(r, out, size);  // of the convolution that this is the mirror image of
  const bool automatic = r.dim_pairs("padding").empty();
  DeconvParameters p;
  p.groups = shape.groups;
  for (int i = 0; i < 3; ++i) p.pad_before[i] = b.size(0);
  for (int i = 0; i < spatial; ++i) {
    const auto at = static_cast<size_t>(i);
    const int to = 3 - spatial + i;
    p.filter[to] = shape.filter[to] = size[at];
    p.stride[to] = shape.stride[to] = window.stride[at];
    p.dilation[to] = shape.dilation[to] = window.dilation[at];
    Dim before = window.before[at];
    if (automatic) {
      const Dim reach((size[at] - 1) * window.dilation[at] + 1);
      const Dim total = Dim::max((in[at] - Dim(1)) * Dim(window.stride[at]) + reach - out[at], 0);
      before = Dim::floor_div(total, 2);
    }
    p.pad_before[to] = b.size(before);
  }
  const auto bias = node.input_counts[2] == 0 ? std::optional<Bias>(Bias{})
                                              : bias_value(b, graph, node.inputs[2], Dim(shape.out_channels));
  if (!bias) return false;
  const auto& kernel = kernels::choose_matmul_f32();
  p.packed_mr = kernel.mr;
  p.packed_nr = kernel.nr;
  p.has_bias = bias->present ? 1 : 0;
  std::vector<uint32_t> inputs{b.value_of(node.inputs[0]), 0};
  if (bias->present) inputs.push_back(bias->value);
  inputs[1] = b.derived_constant(
      node.inputs[1], "deconv groups " + std::to_string(shape.groups), [&](const PackSource& source) {
        Tensor packed = Tensor::uninitialized(
            DataType::f32, {static_cast<int64_t>(kernels::packed_deconv_weights_size(shape, kernel))});
        kernels::pack_deconv_weights(shape, source.tensor.data<float>(), packed.mutable_data<float>(),
                                     kernel);
        return packed;
      });
  b.step(StepKind::deconv, inputs, {b.result(index)}, p,
         "deconv " + std::to_string(shape.in_channels) + "->" + std::to_string(shape.out_channels));
  return true;
}

// Walks over a matrix of `rows` x `columns` items as it lies in memory, by bands of about a megabyte that are
// whole multiples of `unit` rows: what has been packed of it is not needed beside the packed form.
template <class Pack>
void by_bands(const PackSource& source, int64_t rows, int64_t columns, int64_t unit, const Pack& pack) {
  constexpr int64_t kBand = int64_t{1} << 18;  // items
  const int64_t step = std::max<int64_t>(1, kBand / std::max<int64_t>(1, unit * columns)) * unit;
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t end = std::min(begin + step, rows);
    pack(begin, end);
    source.done(begin * columns, end * columns);
  }
}

// A matrix that is packed across its rows, in blocks of k: each band goes to places all over the packed form.
// Were these large pages, most of it would be there after the first band, beside the source.
template <class Walk>
void in_small_pages(Tensor& packed, const PackSource& source, const Walk& walk) {
  constexpr size_t kLarge = size_t{4} << 20;
  if (!source.is_exclusive || packed.byte_size() < kLarge) return walk();
  const std::byte* bytes = packed.bytes();
  use_small_pages(bytes, bytes + packed.byte_size());
  walk();
  use_large_pages(bytes, bytes + packed.byte_size());
}

Tensor packed_left(const PackSource& source, int64_t rows, int64_t depth, bool transposed,
                   const kernels::MatmulKernel& kernel) {
  const auto size = static_cast<int64_t>(kernels::packed_a_size(rows, depth, kernel));
  Tensor packed = packed_floats(size);
  const auto pack = [&](const kernels::PackWindow& window) {
    kernels::pack_a_f32_window(rows, depth, source.tensor.data<float>(), transposed ? 1 : depth,
                               transposed ? rows : 1, packed.mutable_data<float>(), window, kernel);
  };
  if (rows == 0 || depth == 0) {
    pack({0, rows, 0, depth});
  } else if (transposed) {
    by_bands(source, depth, rows, kernels::matmul_k_block(kernel, depth), [&](int64_t begin, int64_t end) {
      populate(packed, begin * (size / depth), end * (size / depth));
      pack({0, rows, begin, end});
    });
  } else {
    in_small_pages(packed, source, [&] {
      by_bands(source, rows, depth, kernel.mr, [&](int64_t begin, int64_t end) {
        pack({begin, end, 0, depth});
      });
    });
  }
  return packed;
}

Tensor packed_right(const PackSource& source, int64_t depth, int64_t columns, bool transposed, bool by_panels,
                    const kernels::MatmulKernel& kernel) {
  const auto size = static_cast<int64_t>(kernels::packed_b_size(depth, columns, kernel));
  Tensor packed = packed_floats(size);
  const auto pack = [&](const kernels::PackWindow& window) {
    kernels::pack_b_f32_window(depth, columns, source.tensor.data<float>(), transposed ? 1 : columns,
                               transposed ? depth : 1, packed.mutable_data<float>(), window, kernel);
  };
  if (columns == 0 || depth == 0) {
    pack({0, columns, 0, depth});
  } else if (by_panels) {
    by_bands(source, columns, depth, kernel.nr, [&](int64_t begin, int64_t end) {
      populate(packed, begin * depth, std::min(end * depth, size));
      pack({begin, end, 0, depth, true});
    });
  } else if (transposed) {
    in_small_pages(packed, source, [&] {
      by_bands(source, columns, depth, kernel.nr, [&](int64_t begin, int64_t end) {
        pack({begin, end, 0, depth});
      });
    });
  } else {
    by_bands(source, depth, columns, kernels::matmul_k_block(kernel, depth), [&](int64_t begin, int64_t end) {
      populate(packed, begin * (size / depth), end * (size / depth));
      pack({0, columns, begin, end});
    });
  }
  return packed;
}

// The operands of a product's epilogue; false when the bias cannot be one.
bool epilogue_operands(PlanBuilder& b, const Graph& graph, std::optional<Outlet> bias,
                       std::optional<Outlet> residual, const Dim& n, EpilogueParameters& epilogue,
                       std::vector<uint32_t>& more) {
  if (bias) {
    const auto value = bias_value(b, graph, *bias, n);
    if (!value) return false;
    epilogue.has_bias = value->present ? 1 : 0;
    if (value->present) more.push_back(value->value);
  }
  if (residual) {
    epilogue.has_residual = 1;
    more.push_back(b.value_of(*residual));
  }
  return true;
}

// A product with weights in groups of codes.
bool group_product(PlanBuilder& b, const Graph& graph, uint32_t index, const GroupLayout& layout,
                   std::optional<Outlet> bias, std::optional<Outlet> residual, EpilogueParameters epilogue) {
  const Node& node = graph.node(index);
  std::vector<uint32_t> more;
  if (!epilogue_operands(b, graph, bias, residual, Dim(layout.n), epilogue, more)) return false;
  std::string note = "matmul ";
  for (size_t i = 0; i + 1 < node.facts[0].shape.size(); ++i)
    note += node.facts[0].shape[i].to_string() + "x";
  note += std::to_string(layout.k) + "x" + std::to_string(layout.n);
  groups_product(b, graph, b.value_of(node.inputs[0]), node.inputs[1], layout, more, epilogue,
                 b.result(index), note);
  return true;
}

// A product of `a` [..., m, k] and packed Q4_0 weights [n, k], in f32 or f16; f16 is computed in f32 and
// rounded once.
bool block_product(PlanBuilder& b, const Graph& graph, uint32_t index, std::optional<Outlet> bias,
                   std::optional<Outlet> residual, EpilogueParameters epilogue) {
  const Node& node = graph.node(index);
  const Fact &a = graph.fact(node.inputs[0]), &out = node.facts[0];
  if (a.quant || out.dtype != a.dtype || (a.dtype != DataType::f32 && a.dtype != DataType::f16)) return false;
  const DimShape& weights = graph.fact(node.inputs[1]).shape;
  const Dim &n = weights[weights.size() - 2], &k = weights.back();
  // Extents that the run alone can tell are compared by the evaluation.
  if (a.shape.back() != k || out.shape.back() != n || a.rank() != out.rank() ||
      !std::equal(a.shape.begin(), a.shape.end() - 1, out.shape.begin()))
    return false;
  if (residual && (graph.fact(*residual).shape != out.shape || !is_f32(graph, *residual))) return false;
  std::vector<uint32_t> more;
  if (!epilogue_operands(b, graph, bias, residual, n, epilogue, more)) return false;
  const bool half = out.dtype == DataType::f16;
  const uint32_t x = as_f32(b, graph, node.inputs[0]);
  const uint32_t sum = half ? b.temporary(DataType::f32, out.shape) : b.result(index);
  std::string note = "matmul ";
  for (size_t i = 0; i + 1 < out.shape.size(); ++i) note += out.shape[i].to_string() + "x";
  note += k.to_string() + "x" + n.to_string() + " q40";
  q40_product(b, graph, node.inputs[0], x, a.shape, node.inputs[1], more, epilogue, sum, note);
  if (half) b.step(StepKind::cast, {sum}, {b.result(index)});
  return true;
}

// A product of `a` [..., m, k] in f32 and constant weights in f16, [n, k] or [k, n], which stay f16.
bool half_product(PlanBuilder& b, const Graph& graph, uint32_t index, bool transpose_b,
                  std::optional<Outlet> bias, std::optional<Outlet> residual, EpilogueParameters epilogue) {
  const Node& node = graph.node(index);
  const Outlet w = node.inputs[1];
  const Fact &a = graph.fact(node.inputs[0]), &out = node.facts[0];
  const DimShape& weights = graph.fact(w).shape;
  const Dim &n = weights[weights.size() - (transpose_b ? 2 : 1)],
            &k = weights[weights.size() - (transpose_b ? 1 : 2)];
  if (a.shape.back() != k || out.shape.back() != n || a.rank() != out.rank() ||
      !std::equal(a.shape.begin(), a.shape.end() - 1, out.shape.begin()) ||
      !std::all_of(weights.begin(), weights.end() - 2, [](const Dim& d) { return d.is(1); }))
    return false;
  if (residual && (graph.fact(*residual).shape != out.shape || !is_f32(graph, *residual))) return false;
  MatmulHalfParameters p;
  p.epilogue = epilogue;
  std::vector<uint32_t> inputs{b.value_of(node.inputs[0]), 0};
  if (!epilogue_operands(b, graph, bias, residual, n, p.epilogue, inputs)) return false;
  p.n = b.size(n);
  p.k = b.size(k);
  std::string note = "matmul ";
  for (size_t i = 0; i + 1 < out.shape.size(); ++i) note += out.shape[i].to_string() + "x";
  note += k.to_string() + "x" + n.to_string() + " f16";
  inputs[1] =
      transpose_b ? b.value_of(w) : b.derived_constant(w, "transposed", [&](const PackSource& source) {
        const int64_t depth = k.value(), columns = n.value();
        Tensor turned = Tensor::uninitialized(DataType::f16, {columns, depth});
        const Half* from = source.tensor.data<Half>();
        Half* to = turned.mutable_data<Half>();
        for (int64_t i = 0; i < columns; ++i) {
          for (int64_t q = 0; q < depth; ++q) to[i * depth + q] = from[q * columns + i];
        }
        return turned;
      });
  b.step(StepKind::matmul_half, inputs, {b.result(index)}, p, note);
  return true;
}

// A product of `a` [..., m, k] and `w` [..., k, n] with whatever follows it.
bool product(PlanBuilder& b, const Graph& graph, uint32_t index, bool transpose_a, bool transpose_b,
             std::optional<Outlet> bias, std::optional<Outlet> residual, EpilogueParameters epilogue) {
  const Node& node = graph.node(index);
  const Outlet a = node.inputs[0], w = node.inputs[1];
  if (const auto layout = planned_layout(b, graph, w))
    return group_product(b, graph, index, *layout, bias, residual, epilogue);
  if (transpose_b && !transpose_a && is_q40_weight(graph.fact(w)))
    return block_product(b, graph, index, bias, residual, epilogue);
  if (is_f32(graph, a) && graph.fact(w).dtype == DataType::f16 && graph.fact(w).constant && !transpose_a &&
      node.facts[0].dtype == DataType::f32)
    return half_product(b, graph, index, transpose_b, bias, residual, epilogue);
  if (!is_f32_or_blocks(graph, a) || !is_f32_or_blocks(graph, w) || node.facts[0].dtype != DataType::f32)
    return false;
  const DimShape &sa = graph.fact(a).shape, &sb = graph.fact(w).shape, &out = node.facts[0].shape;
  const size_t rank = out.size();
  if (sa.size() != rank || sb.size() != rank) return false;
  if (residual && graph.fact(*residual).shape != out) return false;  // only the run can tell
  MatmulParameters p;
  p.epilogue = epilogue;
  p.transpose_a = transpose_a ? 1 : 0;
  p.transpose_b = transpose_b ? 1 : 0;
  const Dim m = sa[rank - (transpose_a ? 1 : 2)], n = sb[rank - (transpose_b ? 2 : 1)];
  // One of them may be a symbol that nothing ties to the other; binding compares them.
  const Dim k_a = sa[rank - (transpose_a ? 2 : 1)], k_b = sb[rank - (transpose_b ? 1 : 2)];
  const Dim k = k_a.is_constant() ? k_a : k_b;
  p.m = b.size(m);
  p.n = b.size(n);
  p.k = b.size(k);
  const auto& kernel = kernels::choose_matmul_f32();
  p.packed_mr = kernel.mr;
  p.packed_nr = kernel.nr;
  // A constant without batch axes is packed.
  const auto packable = [&](Outlet outlet) {
    const Fact& fact = graph.fact(outlet);
    return fact.constant &&
           std::all_of(fact.shape.begin(), fact.shape.end() - 2, [](const Dim& d) { return d.is(1); });
  };
  const bool pack_left = packable(a) && !packable(w), pack_right = packable(w);
  // Blocks that no kernel takes become f32 on the way.
  if ((!pack_left && !is_f32(graph, a)) || (!pack_right && !is_f32(graph, w))) return false;
  std::vector<uint32_t> inputs{pack_left ? 0 : b.value_of(a), pack_right ? 0 : b.value_of(w)};
  if (!epilogue_operands(b, graph, bias, residual, n, p.epilogue, inputs)) return false;
  const std::string note = "matmul " + m.to_string() + "x" + k.to_string() + "x" + n.to_string();
  if (pack_left) {
    p.packed_a = 1;
    inputs[0] =
        b.derived_constant(a, transpose_a ? "left transposed" : "left", [&](const PackSource& source) {
          const Tensor floats = dequantized(source.tensor);
          return packed_left({floats, source.is_exclusive && is_f32(graph, a)}, m.value(), k.value(),
                             transpose_a, kernel);
        });
  } else if (pack_right) {
    // One row, whatever the sizes: panels are read from first to last.
    const bool by_panels = transpose_b && b.readers_of(w) == 1 &&
                           std::all_of(out.begin(), out.end() - 1, [](const Dim& d) { return d.is(1); });
    const char* const form = by_panels ? "right by panels" : transpose_b ? "right transposed" : "right";
    p.packed_b = by_panels ? 2 : 1;
    inputs[1] = b.derived_constant(w, form, [&](const PackSource& source) {
      const Tensor floats = dequantized(source.tensor);
      return packed_right({floats, source.is_exclusive && is_f32(graph, w)}, k.value(), n.value(),
                          transpose_b, by_panels, kernel);
    });
  }
  b.step(StepKind::matmul, inputs, {b.result(index)}, p, note);
  return true;
}

bool lower_matmul(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const NodeReader r = read(node);
  return product(b, graph, index, r.logical("transposeA"), r.logical("transposeB"), std::nullopt,
                 std::nullopt, {});
}

bool lower_linear(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  if (node.inputs.size() < 3) return product(b, graph, index, false, true, std::nullopt, std::nullopt, {});
  const Fact& bias = graph.fact(node.inputs[2]);
  // One bias for each column: [1, n], or a single value.
  if (bias.rank() >= 1 && !bias.shape[0].is(1)) return false;
  return product(b, graph, index, false, true, node.inputs[2], std::nullopt, {});
}

// nnefrun_matmul: the product with bias, residual and activation.
bool lower_fused_matmul(PlanBuilder& b, const Graph& graph, uint32_t index) {
  const Node& node = graph.node(index);
  const NodeReader r = read(node);
  EpilogueParameters e;
  if (!set_activation(r, e)) return false;
  std::optional<Outlet> bias, residual;
  if (r.has_input("bias")) bias = node.inputs[r.input_range("bias").first];
  if (r.has_input("residual")) residual = node.inputs[r.input_range("residual").first];
  return product(b, graph, index, r.logical("transposeA"), r.logical("transposeB"), bias, residual, e);
}

constexpr Lowering kLowerings[] = {
    {"deconv", lower_deconv},
    {"conv", lower_conv},
    {"nnefrun_conv", lower_conv},
    {"matmul", lower_matmul, kF32, true},
    {"linear", lower_linear, kF32, true},
    {"nnefrun_matmul", lower_fused_matmul, kF32, true},
};

}  // namespace

std::span<const Lowering> linear_lowerings() { return kLowerings; }

}  // namespace nnefrun
