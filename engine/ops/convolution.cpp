// Evaluation gathers, for a run of result cells, the inputs each of them reads into the columns of a matrix
// and multiplies by the filter. A transposed convolution differs only in which inputs a cell reads.
#include "engine/ops/convolution.h"

#include <algorithm>

#include "engine/ops/checks.h"
#include "engine/ops/products.h"
#include "engine/ops/support.h"

namespace nnefrun {

DimShape spatial_of(const DimShape& shape) { return {shape.begin() + 2, shape.end()}; }
Shape spatial_of(const Shape& shape) { return {shape.begin() + 2, shape.end()}; }

int64_t read_groups(const NodeReader& c) {
  const int64_t groups = c.integer("groups");
  require_range(c, "groups", groups, 0, int64_t{1} << 31);
  return groups;
}

namespace {

void check_divides(const NodeReader& c, const Dim& groups, const Dim& channels, const char* what) {
  if (groups.is_constant() && channels.is_constant() && groups.value() != 0 &&
      channels.value() % groups.value() != 0) {
    throw c.fail("shape-mismatch", c.signature().name + ": groups = " + groups.to_string() +
                                       " does not divide the " + channels.to_string() + " " + what);
  }
}

}  // namespace

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

void check_conv_ranks(const InferContext& c, const Fact& input, const Fact& filter,
                      std::string_view filter_name) {
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

namespace {

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
Tensor eval_conv_as(const NodeReader& c, const Tensor& input, const Tensor& filter, const Tensor* bias,
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
Tensor eval_deconv_as(const NodeReader& c, const Tensor& input, const Tensor& filter, const Tensor* bias,
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

bool is_integer_conv(const Tensor& input) { return !is_float(input.dtype()); }

}  // namespace

Tensor convolution(const NodeReader& c, const Tensor& input, const Tensor& filter, const Tensor* bias,
                   int64_t groups, const WindowSpec& window) {
  if (is_integer_conv(input)) return eval_conv_as<uint32_t>(c, input, filter, bias, groups, window);
  return eval_conv_as<double>(c, input, filter, bias, groups, window);
}

Tensor transposed_convolution(const NodeReader& c, const Tensor& input, const Tensor& filter,
                              const Tensor* bias, int64_t groups, const WindowSpec& window,
                              const std::vector<Dim>& wanted) {
  if (is_integer_conv(input)) return eval_deconv_as<uint32_t>(c, input, filter, bias, groups, window, wanted);
  return eval_deconv_as<double>(c, input, filter, bias, groups, window, wanted);
}

}  // namespace nnefrun
