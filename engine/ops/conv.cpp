// conv, deconv and their separable forms, over any number of spatial axes (nnef-1.0 section 12.5).
//
// Evaluation gathers, for a run of result cells, the inputs each of them reads into the columns of a matrix
// and multiplies by the filter. A transposed convolution differs only in which inputs a cell reads.
#include <algorithm>

#include "engine/ops/checks.h"
#include "engine/ops/products.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"
#include "engine/ops/window.h"

namespace nnefrun {
namespace {

constexpr std::initializer_list<Border> kConvBorders = {Border::constant, Border::replicate, Border::reflect,
                                                        Border::reflect_even};

DimShape spatial_of(const DimShape& shape) { return {shape.begin() + 2, shape.end()}; }
Shape spatial_of(const Shape& shape) { return {shape.begin() + 2, shape.end()}; }

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

int64_t read_groups(const NodeReader& c) {
  const int64_t groups = c.integer("groups");
  require_range(c, "groups", groups, 0, int64_t{1} << 31);
  return groups;
}

void check_divides(const NodeReader& c, const Dim& groups, const Dim& channels, const char* what) {
  if (groups.is_constant() && channels.is_constant() && groups.value() != 0 &&
      channels.value() % groups.value() != 0) {
    throw c.fail("shape-mismatch", c.signature().name + ": groups = " + groups.to_string() +
                                       " does not divide the " + channels.to_string() + " " + what);
  }
}

// Result shape of conv; `filter_name` for messages.
DimShape conv_shape(const InferContext& c, const Fact& input, const Fact& filter,
                    std::string_view filter_name, const Dim& groups, const WindowSpec& window) {
  const Dim given = filter.shape[1] * groups;
  if (certainly_different(given, input.shape[1])) {
    throw c
        .fail("shape-mismatch", c.signature().name + ": " + std::string(filter_name) + " expects " +
                                    given.to_string() + " input channels, input has " +
                                    input.shape[1].to_string())
        .note(describe("input", input))
        .note(describe(filter_name, filter))
        .note("groups = " + groups.to_string());
  }
  check_divides(c, groups, filter.shape[0], "output channels");
  DimShape out = {input.shape[0], filter.shape[0]};
  for (Dim& extent : down_extents(c, window, spatial_of(input.shape))) out.push_back(std::move(extent));
  return out;
}

void check_ranks(const InferContext& c, const Fact& input, const Fact& filter, std::string_view filter_name) {
  require_rank(c, "input", input, 3);
  if (input.rank() == filter.rank()) return;
  throw c
      .fail("rank-mismatch", c.signature().name + ": " + std::string(filter_name) + " has rank " +
                                 std::to_string(filter.rank()) + ", input has rank " +
                                 std::to_string(input.rank()))
      .note(describe("input", input))
      .note(describe(filter_name, filter));
}

Dim groups_or(int64_t groups, const Dim& channels) { return groups == 0 ? channels : Dim(groups); }

std::vector<Fact> infer_conv(InferContext& c) {
  const Fact& input = c.input("input");
  const Fact& filter = c.input("filter");
  check_ranks(c, input, filter, "filter");
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

// Result shape of deconv; the filter is [input channels, output channels / groups, ...].
DimShape deconv_shape(const InferContext& c, const Fact& input, const Fact& filter,
                      std::string_view filter_name, const Dim& groups, const WindowSpec& window,
                      const std::vector<Dim>& wanted) {
  if (certainly_different(filter.shape[0], input.shape[1])) {
    throw c
        .fail("shape-mismatch", c.signature().name + ": " + std::string(filter_name) + " expects " +
                                    filter.shape[0].to_string() + " input channels, input has " +
                                    input.shape[1].to_string())
        .note(describe("input", input))
        .note(describe(filter_name, filter))
        .note("the filter of a deconvolution is [input channels, output channels / groups, ...]");
  }
  check_divides(c, groups, filter.shape[0], "input channels");
  DimShape out = {input.shape[0], filter.shape[1] * groups};
  if (!wanted.empty()) {
    require_equal(c, "the batch extent of output_shape", wanted[0], out[0]);
    require_equal(c, "the channel extent of output_shape", wanted[1], out[1]);
  }
  const DimShape wanted_spatial = wanted.empty() ? DimShape{} : spatial_of(wanted);
  for (Dim& extent : up_extents(c, window, spatial_of(input.shape), wanted_spatial))
    out.push_back(std::move(extent));
  return out;
}

// groups = 0 means one group for each output channel when output_shape tells how many there are, else for
// each input channel.
Dim deconv_groups(int64_t groups, const std::vector<Dim>& wanted, const Dim& input_channels) {
  if (groups != 0) return groups;
  return wanted.empty() ? input_channels : wanted[1];
}

std::vector<Fact> infer_deconv(InferContext& c) {
  const Fact& input = c.input("input");
  const Fact& filter = c.input("filter");
  check_ranks(c, input, filter, "filter");
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
  check_ranks(c, input, plane, "plane_filter");
  check_ranks(c, input, point, "point_filter");
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
  check_ranks(c, input, plane, "plane_filter");
  check_ranks(c, input, point, "point_filter");
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

// The offsets, inside one input channel, that the taps of a result cell read; kOutside where nothing is read.
using TapReader = void (*)(const NodeReader& c, Border border, const std::vector<WindowAxis>& axes,
                           const Shape& extents, const std::vector<int64_t>& cell,
                           std::vector<int64_t>& offsets);

void conv_taps(const NodeReader& c, Border border, const std::vector<WindowAxis>& axes, const Shape& extents,
               const std::vector<int64_t>& cell, std::vector<int64_t>& offsets) {
  for_each_tap(c, border, axes, extents, strides_of(extents), cell,
               [&](int64_t tap, int64_t offset) { offsets[static_cast<size_t>(tap)] = offset; });
}

// A tap of a transposed convolution reads input i where i * stride + tap * dilation - before is the result's
// cell.
void deconv_taps(const NodeReader& c, Border border, const std::vector<WindowAxis>& axes,
                 const Shape& extents, const std::vector<int64_t>& cell, std::vector<int64_t>& offsets) {
  const auto strides = strides_of(extents);
  Shape sizes;
  for (const WindowAxis& w : axes) sizes.push_back(w.size);
  for (Odometer<1> tap(sizes, {strides_of(sizes)}); tap.more(); tap.next()) {
    int64_t offset = 0;
    for (size_t axis = 0; axis < axes.size() && offset != kOutside; ++axis) {
      const WindowAxis& w = axes[axis];
      const int64_t distance = cell[axis] + w.before - tap.index()[axis] * w.dilation;
      const int64_t index =
          distance % w.stride == 0 ? border_index(c, border, distance / w.stride, extents[axis]) : kOutside;
      offset = index == kOutside ? kOutside : offset + index * strides[axis];
    }
    offsets[static_cast<size_t>(tap.offset(0))] = offset;
  }
}

template <class T>
using Accumulator =
    std::conditional_t<std::is_same_v<T, int8_t> || std::is_same_v<T, uint8_t>, uint32_t, double>;

template <class A>
std::vector<A> accumulators(const Tensor& value) {
  std::vector<A> out(static_cast<size_t>(value.size()));
  dispatch(value.dtype(), [&](auto tag) {
    const auto* items = value.data<decltype(tag)>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<A>(widen(items[i]));
  });
  return out;
}

// What one convolution is made of. `filter` is laid out [groups][result channels of a group][input channels *
// taps].
template <class A>
struct Convolution {
  int64_t groups = 1;
  int64_t in_channels = 0, out_channels = 0;  // of one group
  std::vector<WindowAxis> axes;
  Border border = Border::constant;
  std::vector<A> filter;
  std::vector<A> bias;  // empty, one or one for each result channel
  TapReader taps = conv_taps;
};

// Bytes of columns that are gathered at a time.
constexpr int64_t kColumnItems = 1 << 17;

template <class A, class Store>
void convolve(const NodeReader& c, const Convolution<A>& conv, const Tensor& input, const Shape& result,
              Store&& store) {
  const Shape extents = spatial_of(input.shape());
  const Shape cells = spatial_of(result);
  const int64_t plane = volume_of(extents), cell_count = volume_of(cells);
  const auto channels = static_cast<size_t>(conv.groups * conv.out_channels);
  if (conv.bias.size() > 1 && conv.bias.size() != channels) {
    throw c.fail("shape-mismatch", c.signature().name + ": bias has " + std::to_string(conv.bias.size()) +
                                       " items for " + std::to_string(channels) + " output channels");
  }
  int64_t taps = 1;
  for (const WindowAxis& w : conv.axes) taps *= w.size;
  const std::vector<A> source = accumulators<A>(input);
  const int64_t depth = conv.in_channels * taps;
  const int64_t run =
      std::clamp<int64_t>(kColumnItems / std::max<int64_t>(depth, 1), 1, std::max<int64_t>(cell_count, 1));
  std::vector<A> columns(static_cast<size_t>(depth * run)),
      sums(static_cast<size_t>(conv.out_channels * run));
  std::vector<int64_t> offsets(static_cast<size_t>(taps * run)), one(static_cast<size_t>(taps));
  Odometer<1> cell(cells, {strides_of(cells)});
  for (int64_t first = 0; first < cell_count; first += run) {
    const int64_t count = std::min(run, cell_count - first);
    for (int64_t i = 0; i < count; ++i, cell.next()) {
      conv.taps(c, conv.border, conv.axes, extents, cell.index(), one);
      for (int64_t t = 0; t < taps; ++t)
        offsets[static_cast<size_t>(t * count + i)] = one[static_cast<size_t>(t)];
    }
    for (int64_t batch_group = 0; batch_group < result[0] * conv.groups; ++batch_group) {
      const int64_t group = batch_group % conv.groups;
      const A* channel = source.data() + batch_group * conv.in_channels * plane;
      A* column = columns.data();
      for (int64_t k = 0; k < conv.in_channels; ++k, channel += plane) {
        for (int64_t i = 0; i < taps * count; ++i) {
          const int64_t offset = offsets[static_cast<size_t>(i)];
          *column++ = offset == kOutside ? A{0} : channel[offset];
        }
      }
      matrix_product(conv.filter.data() + group * conv.out_channels * depth, columns.data(), sums.data(),
                     conv.out_channels, depth, count);
      for (int64_t k = 0; k < conv.out_channels; ++k) {
        const auto bias_index =
            static_cast<size_t>(conv.bias.size() == 1 ? 0 : group * conv.out_channels + k);
        const A bias = conv.bias.empty() ? A{0} : conv.bias[bias_index];
        const int64_t row = (batch_group * conv.out_channels + k) * cell_count + first;
        for (int64_t i = 0; i < count; ++i) store(row + i, sums[static_cast<size_t>(k * count + i)] + bias);
      }
    }
  }
}

template <class A>
Tensor convolved(const NodeReader& c, const Convolution<A>& conv, const Tensor& input, const Shape& shape) {
  if constexpr (std::is_same_v<A, uint32_t>) {
    Tensor out = Tensor::uninitialized(DataType::i32, shape);
    int32_t* items = out.mutable_data<int32_t>();
    convolve(c, conv, input, shape, [&](int64_t i, uint32_t v) { items[i] = static_cast<int32_t>(v); });
    return out;
  } else {
    Tensor out = Tensor::uninitialized(input.dtype(), shape);
    dispatch_float(input.dtype(), [&](auto tag) {
      using T = decltype(tag);
      T* items = out.mutable_data<T>();
      convolve(c, conv, input, shape,
               [&](int64_t i, double v) { items[i] = narrow<T>(static_cast<ComputeType<T>>(v)); });
    });
    return out;
  }
}

// [in, out / groups, taps] -> [groups][out / groups][in / groups * taps]
template <class A>
std::vector<A> transposed_filter(const std::vector<A>& filter, const Shape& shape, int64_t groups) {
  const int64_t in = groups == 0 ? 0 : shape[0] / groups, out = shape[1];
  const int64_t taps = volume_of(spatial_of(shape));
  std::vector<A> result(filter.size());
  size_t at = 0;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t i = 0; i < in; ++i) {
        for (int64_t t = 0; t < taps; ++t) {
          result[at++] = filter[static_cast<size_t>(((g * in + i) * out + o) * taps + t)];
        }
      }
    }
  }
  return result;
}

// Known extents, checked: the run-time half of conv_shape and deconv_shape.
Shape checked_extents(const NodeReader& c, const DimShape& spatial, int64_t batch, int64_t channels) {
  Shape out = {batch, channels};
  for (const int64_t extent : known_integers(c, "the result's shape", spatial)) {
    if (extent < 0)
      throw c.fail("shape-negative", c.signature().name + ": the result would have a negative extent");
    out.push_back(extent);
  }
  return out;
}

int64_t whole_groups(const NodeReader& c, int64_t groups, int64_t channels, int64_t expected) {
  if (groups < 0 || channels != expected || (groups > 0 && channels % groups != 0)) {
    throw c.fail("shape-mismatch", c.signature().name + ": " + std::to_string(channels) +
                                       " channels do not fit " + std::to_string(groups) +
                                       " groups of the filter, which expects " + std::to_string(expected));
  }
  return groups;
}

template <class A>
Tensor eval_conv_as(const EvalContext& c, const Tensor& input, const Tensor& filter, const Tensor* bias,
                    int64_t groups, const WindowSpec& window) {
  Convolution<A> conv;
  conv.groups = groups == 0 ? input.dim(1) : groups;
  whole_groups(c, conv.groups, input.dim(1), filter.dim(1) * conv.groups);
  whole_groups(c, conv.groups, filter.dim(0), filter.dim(0));
  conv.in_channels = filter.dim(1);
  conv.out_channels = conv.groups == 0 ? 0 : filter.dim(0) / conv.groups;
  conv.border = window.border;
  const auto spatial = down_extents(c, window, to_dims(spatial_of(input.shape())));
  const Shape shape = checked_extents(c, spatial, input.dim(0), filter.dim(0));
  conv.axes = window_axes(c, window, spatial_of(input.shape()), spatial_of(shape));
  conv.filter = accumulators<A>(filter);
  if (bias != nullptr) conv.bias = accumulators<A>(*bias);
  return convolved(c, conv, input, shape);
}

template <class A>
Tensor eval_deconv_as(const EvalContext& c, const Tensor& input, const Tensor& filter, const Tensor* bias,
                      int64_t groups, const WindowSpec& window, const std::vector<Dim>& wanted) {
  Convolution<A> conv;
  conv.groups = known_integers(c, "output_shape", {deconv_groups(groups, wanted, input.dim(1))})[0];
  whole_groups(c, conv.groups, input.dim(1), filter.dim(0));
  conv.in_channels = conv.groups == 0 ? 0 : filter.dim(0) / conv.groups;
  conv.out_channels = filter.dim(1);
  conv.border = window.border;
  conv.taps = deconv_taps;
  const DimShape wanted_spatial = wanted.empty() ? DimShape{} : spatial_of(wanted);
  const auto spatial = up_extents(c, window, to_dims(spatial_of(input.shape())), wanted_spatial);
  const Shape shape = checked_extents(c, spatial, input.dim(0), conv.groups * conv.out_channels);
  conv.axes = window_axes(c, window, spatial_of(shape), spatial_of(input.shape()));
  conv.filter = transposed_filter(accumulators<A>(filter), filter.shape(), conv.groups);
  if (bias != nullptr) conv.bias = accumulators<A>(*bias);
  return convolved(c, conv, input, shape);
}

const Tensor* bias_of(const EvalContext& c) { return c.has_input("bias") ? &c.input("bias") : nullptr; }

WindowSpec filter_window(const EvalContext& c, const Tensor& filter) {
  return read_window(c, spatial_of(to_dims(filter.shape())), &c.symbols, kConvBorders);
}

std::vector<Dim> known_output_shape(const EvalContext& c, size_t rank) {
  auto wanted = read_output_shape(c, rank);
  for (Dim& extent : wanted) extent = extent.substitute(c.symbols);
  return wanted;
}

bool is_integer_conv(const Tensor& input) { return !is_float(input.dtype()); }

std::vector<Tensor> eval_conv(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Tensor filter = dequantized(c.input("filter"));
  const auto window = filter_window(c, filter);
  const int64_t groups = read_groups(c);
  if (is_integer_conv(input)) return {eval_conv_as<uint32_t>(c, input, filter, bias_of(c), groups, window)};
  return {eval_conv_as<double>(c, input, filter, bias_of(c), groups, window)};
}

std::vector<Tensor> eval_deconv(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Tensor filter = dequantized(c.input("filter"));
  const auto window = filter_window(c, filter);
  const int64_t groups = read_groups(c);
  const auto wanted = known_output_shape(c, static_cast<size_t>(input.rank()));
  if (is_integer_conv(input))
    return {eval_deconv_as<uint32_t>(c, input, filter, bias_of(c), groups, window, wanted)};
  return {eval_deconv_as<double>(c, input, filter, bias_of(c), groups, window, wanted)};
}

std::vector<Tensor> eval_separable_conv(EvalContext& c) {
  const Tensor plane = dequantized(c.input("plane_filter")), point = dequantized(c.input("point_filter"));
  const auto window = filter_window(c, plane);
  const Tensor middle = eval_conv_as<double>(c, c.input("input"), plane, nullptr, 0, window);
  return {eval_conv_as<double>(c, middle, point, bias_of(c), read_groups(c), point_window(window.axes()))};
}

std::vector<Tensor> eval_separable_deconv(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Tensor plane = dequantized(c.input("plane_filter")), point = dequantized(c.input("point_filter"));
  const auto window = filter_window(c, plane);
  const auto wanted = known_output_shape(c, static_cast<size_t>(input.rank()));
  const Tensor middle =
      eval_deconv_as<double>(c, input, point, nullptr, groups_or(read_groups(c), input.dim(1)).value(),
                             point_window(window.axes()), {});
  return {eval_deconv_as<double>(c, middle, plane, bias_of(c), 0, window, wanted)};
}

constexpr OpDef kRows[] = {
    {.name = "conv", .infer = infer_conv, .eval = eval_conv},
    {.name = "deconv", .infer = infer_deconv, .eval = eval_deconv},
    {.name = "separable_conv", .infer = infer_separable_conv, .eval = eval_separable_conv},
    {.name = "separable_deconv", .infer = infer_separable_deconv, .eval = eval_separable_deconv},
};

}  // namespace

std::span<const OpDef> conv_rows() { return kRows; }

}  // namespace nnefrun
