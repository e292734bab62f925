// conv, deconv and their separable forms, over any number of spatial axes (nnef-1.0 section 12.5).
#include "engine/ops/checks.h"
#include "engine/ops/convolution.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// ---- inference ----

// Convolutions take floats of one type, packed filters with float inputs, or 8-bit codes that give 32-bit
// sums.
DataType result_type(const InferContext& c, const Fact& input, const Fact& filter,
                     std::string_view filter_name) {
  const auto is_byte = [](DataType t) { return t == DataType::i8 || t == DataType::u8; };
  if (input.quant || filter.quant) {
    throw c.fail("dtype-mismatch", c.signature().name + ": quantised operands need nnefrun_qconv")
        .note(describe("input", input))
        .note(describe(filter_name, filter));
  }
  if (is_byte(input.dtype) && is_byte(filter.dtype)) return DataType::i32;
  if (is_float(input.dtype) && (is_block_quantized(filter.dtype) || filter.dtype == input.dtype))
    return input.dtype;
  throw c
      .fail("dtype-mismatch", c.signature().name + ": input and " + std::string(filter_name) +
                                  " must be floats of the same type or 8-bit integers")
      .note(describe("input", input))
      .note(describe(filter_name, filter));
}

// A bias is one number, [channels] or [1, channels, 1, ...].
void check_bias(const InferContext& c, DataType dtype, const Dim& channels) {
  if (!c.has_input("bias")) return;
  const Fact& bias = c.input("bias");
  if (bias.dtype != dtype || bias.quant) {
    throw c.fail("dtype-mismatch", c.signature().name + ": bias must be " + std::string(name_of(dtype)))
        .note(describe("bias", bias));
  }
  const int channel_axis = bias.rank() == 1 ? 0 : 1;
  for (int i = 0; i < bias.rank(); ++i) {
    const Dim& extent = bias.shape[static_cast<size_t>(i)];
    if (extent.is(1)) continue;
    if (i != channel_axis || certainly_different(extent, channels)) {
      throw c
          .fail("shape-mismatch", c.signature().name + ": bias must be one number or [1, " +
                                      channels.to_string() + "], one for each output channel")
          .note(describe("bias", bias));
    }
  }
}

std::vector<Fact> infer_conv(InferContext& c) {
  const Fact& input = c.input("input");
  const Fact& filter = c.input("filter");
  check_conv_ranks(c, input, filter, "filter");
  const DataType dtype = result_type(c, input, filter, "filter");
  const auto window = read_window(c, spatial_of(filter.shape), nullptr, kConvBorders);
  const DimShape shape =
      conv_shape(c, input, filter, "filter", groups_or(read_groups(c), input.shape[1]), window);
  check_bias(c, dtype, shape[1]);
  return {fact_of(dtype, shape)};
}

std::vector<Dim> read_output_shape(const NodeReader& c, size_t rank) {
  std::vector<Dim> wanted = c.dims("output_shape");
  if (!wanted.empty() && wanted.size() != rank) {
    throw c.fail("attribute-length", c.signature().name + ": output_shape has " +
                                         std::to_string(wanted.size()) + " entries, the result has rank " +
                                         std::to_string(rank));
  }
  for (const Dim& extent : wanted) {
    if (extent.is_constant() && extent.value() < 1) {
      throw c.fail("attribute-range", c.signature().name + ": output_shape holds " + extent.to_string());
    }
  }
  return wanted;
}

std::vector<Fact> infer_deconv(InferContext& c) {
  const Fact& input = c.input("input");
  const Fact& filter = c.input("filter");
  check_conv_ranks(c, input, filter, "filter");
  const DataType dtype = result_type(c, input, filter, "filter");
  const auto window = read_window(c, spatial_of(filter.shape), nullptr, kConvBorders);
  const auto wanted = read_output_shape(c, input.shape.size());
  const Dim groups = deconv_groups(read_groups(c), wanted, input.shape[1]);
  const DimShape shape = deconv_shape(c, input, filter, "filter", groups, window, wanted);
  check_bias(c, dtype, shape[1]);
  return {fact_of(dtype, shape)};
}

void check_point_filter(const InferContext& c, const Fact& filter) {
  for (size_t i = 2; i < filter.shape.size(); ++i) {
    require_equal(c, "a spatial extent of point_filter", filter.shape[i], 1);
  }
}

WindowSpec point_window(size_t axes) {
  WindowSpec w;
  w.size.assign(axes, Dim(1));
  w.stride = w.dilation = w.size;
  return w;
}

std::vector<Fact> infer_separable_conv(InferContext& c) {
  const Fact& input = c.input("input");
  const Fact& plane = c.input("plane_filter");
  const Fact& point = c.input("point_filter");
  check_conv_ranks(c, input, plane, "plane_filter");
  check_conv_ranks(c, input, point, "point_filter");
  check_point_filter(c, point);
  Fact middle = fact_of(result_type(c, input, plane, "plane_filter"), {});
  const auto window = read_window(c, spatial_of(plane.shape), nullptr, kConvBorders);
  middle.shape = conv_shape(c, input, plane, "plane_filter", input.shape[1], window);
  const DataType dtype = result_type(c, middle, point, "point_filter");
  const Dim groups = groups_or(read_groups(c), middle.shape[1]);
  const DimShape shape = conv_shape(c, middle, point, "point_filter", groups, point_window(window.axes()));
  check_bias(c, dtype, shape[1]);
  return {fact_of(dtype, shape)};
}

std::vector<Fact> infer_separable_deconv(InferContext& c) {
  const Fact& input = c.input("input");
  const Fact& plane = c.input("plane_filter");
  const Fact& point = c.input("point_filter");
  check_conv_ranks(c, input, plane, "plane_filter");
  check_conv_ranks(c, input, point, "point_filter");
  check_point_filter(c, point);
  Fact middle = fact_of(result_type(c, input, point, "point_filter"), {});
  const auto window = read_window(c, spatial_of(plane.shape), nullptr, kConvBorders);
  const Dim groups = groups_or(read_groups(c), input.shape[1]);
  middle.shape = deconv_shape(c, input, point, "point_filter", groups, point_window(window.axes()), {});
  const DataType dtype = result_type(c, middle, plane, "plane_filter");
  const auto wanted = read_output_shape(c, input.shape.size());
  const Dim plane_groups = deconv_groups(0, wanted, middle.shape[1]);
  const DimShape shape = deconv_shape(c, middle, plane, "plane_filter", plane_groups, window, wanted);
  check_bias(c, dtype, shape[1]);
  return {fact_of(dtype, shape)};
}

// ---- evaluation ----

const Tensor* bias_of(const EvalContext& c) { return c.has_input("bias") ? &c.input("bias") : nullptr; }

WindowSpec filter_window(const EvalContext& c, const Tensor& filter) {
  return read_window(c, spatial_of(to_dims(filter.shape())), &c.symbols, kConvBorders);
}

std::vector<Dim> known_output_shape(const EvalContext& c, size_t rank) {
  auto wanted = read_output_shape(c, rank);
  for (Dim& extent : wanted) extent = extent.substitute(c.symbols);
  return wanted;
}

std::vector<Tensor> eval_conv(EvalContext& c) {
  const Tensor filter = dequantized(c.input("filter"));
  return {convolution(c, c.input("input"), filter, bias_of(c), read_groups(c), filter_window(c, filter))};
}

std::vector<Tensor> eval_deconv(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Tensor filter = dequantized(c.input("filter"));
  return {transposed_convolution(c, input, filter, bias_of(c), read_groups(c), filter_window(c, filter),
                                 known_output_shape(c, input.shape().size()))};
}

std::vector<Tensor> eval_separable_conv(EvalContext& c) {
  const Tensor plane = dequantized(c.input("plane_filter")), point = dequantized(c.input("point_filter"));
  const auto window = filter_window(c, plane);
  const Tensor middle = convolution(c, c.input("input"), plane, nullptr, 0, window);
  return {convolution(c, middle, point, bias_of(c), read_groups(c), point_window(window.axes()))};
}

std::vector<Tensor> eval_separable_deconv(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Tensor plane = dequantized(c.input("plane_filter")), point = dequantized(c.input("point_filter"));
  const auto window = filter_window(c, plane);
  const int64_t groups = read_groups(c);
  const Tensor middle = transposed_convolution(c, input, point, nullptr, groups == 0 ? input.dim(1) : groups,
                                               point_window(window.axes()), {});
  return {transposed_convolution(c, middle, plane, bias_of(c), 0, window,
                                 known_output_shape(c, input.shape().size()))};
}

constexpr OpDef kRows[] = {
    {.name = "conv", .infer = infer_conv, .eval = eval_conv, .types = kFloats},
    {.name = "deconv", .infer = infer_deconv, .eval = eval_deconv, .types = kFloats},
    {.name = "separable_conv", .infer = infer_separable_conv, .eval = eval_separable_conv, .types = kFloats},
    {.name = "separable_deconv",
     .infer = infer_separable_deconv,
     .eval = eval_separable_deconv,
     .types = kFloats},
};

}  // namespace

std::span<const OpDef> conv_rows() { return kRows; }

}  // namespace nnefrun
