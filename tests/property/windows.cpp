// Sliding windows: convolutions, pools, sampling, resizing, regions of interest.
#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

using Pairs = std::vector<std::pair<int64_t, int64_t>>;

// The attributes of a window over some axes, and the extents of the input and of the window.
struct Window {
  DimShape in;
  std::vector<int64_t> size;
  Attributes attributes;
};

// `lead` axes in front are not moved over (mostly).
Window window(Draw& d, size_t lead, size_t spatial, bool pool, bool may_ignore) {
  Window w;
  const char* border = d.pick({"constant", "constant", "constant", "replicate", "reflect", "reflect-even"});
  if (may_ignore && d.one_in(3)) border = "ignore";
  const bool automatic = d.one_in(4), plain = d.one_in(4);
  std::vector<int64_t> stride, dilation;
  Pairs padding;
  for (size_t i = 0; i < lead + spatial; ++i) {
    const bool moved = i >= lead || (pool && d.one_in(25));
    const int64_t size = !moved ? 1 : d.pick({1, 2, 3, 3, 3, 4, 5});
    const int64_t step = !moved || plain ? 1 : d.pick({1, 1, 2, 2, 3});
    const int64_t spread = !moved || plain || size == 1 ? 1 : d.pick({1, 1, 1, 2, 3});
    const int64_t field = (size - 1) * spread + 1;
    const int64_t most = std::min<int64_t>(field - 1, 4);
    const bool padded = moved && d.one_in(2);
    const int64_t before = padded ? d.between(0, most) : 0, after = padded ? d.between(0, most) : 0;
    Dim extent = d.symbolic && d.one_in(2) ? Dim::symbol(i == 0 ? "B" : "S") + Dim(i == 0 ? 0 : field)
                                           : Dim(std::max<int64_t>(field - (padded ? before : 0), 1) +
                                                 (d.one_in(3) ? 0 : d.between(0, d.one_in(8) ? 20 : 7)));
    if (!moved && i > 0) extent = d.pick({1, 2, 3, 4, 8, 16, 17});
    if (!moved && i == 0 && extent.is_constant()) extent = d.one_in(20) ? 0 : d.between(1, 2);
    w.in.push_back(extent);
    w.size.push_back(size);
    stride.push_back(step);
    dilation.push_back(spread);
    padding.emplace_back(before, after);
  }
  const auto tail = [&](auto& list) {
    list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(pool ? 0 : lead));
  };
  tail(stride);
  tail(dilation);
  tail(padding);
  w.attributes = {{"border", border}};
  if (!plain || d.one_in(2)) {
    w.attributes.emplace_back("stride", Attribute::of_ints(stride));
    w.attributes.emplace_back("dilation", Attribute::of_ints(dilation));
  }
  if (!automatic) w.attributes.emplace_back("padding", Attribute::of_pairs(padding));
  return w;
}

DataType conv_type(Draw& d) { return d.one_in(10) ? d.pick({DataType::i8, DataType::u8}) : d.floating(); }
DataType sum_type(DataType t) { return is_float(t) ? t : DataType::i32; }

struct Filters {
  Window w;
  int64_t groups, in, out;
  DataType dtype;
};
Filters filters(Draw& d) {
  Filters f{window(d, 2, static_cast<size_t>(d.pick({1, 2, 2, 2, 3})), false, false), 1, 1, 1, conv_type(d)};
  f.groups = d.one_in(3) ? d.pick({2, 3, 4, 8}) : 1;
  f.in = f.groups * (d.one_in(3) ? 1 : d.pick({1, 2, 3, 4, 8, 17}));
  f.out = f.groups * (d.one_in(3) ? 1 : d.pick({1, 2, 3, 5, 8, 16, 18}));
  f.w.in[1] = f.in;
  return f;
}
DimShape filter_shape(const Filters& f, int64_t out, int64_t in) {
  DimShape shape{out, in};
  for (size_t i = 2; i < f.w.size.size(); ++i) shape.emplace_back(f.w.size[i]);
  return shape;
}
void maybe_bias(Draw& d, Arguments& arguments, DataType dtype, int64_t channels) {
  if (d.one_in(3)) return;
  const DimShape shape =
      d.pick({DimShape{1, channels}, DimShape{1, channels}, DimShape{}, DimShape{channels}});
  arguments.emplace_back("bias", d.argument(sum_type(dtype), shape));
}
Attribute groups_of(Draw& d, const Filters& f) { return f.groups == f.in && d.one_in(2) ? 0 : f.groups; }

// Weights are constants mostly, as in models. They are finite: kernels may skip their products with the zeros
// of the padding.
Outlet weights(Draw& d, DataType dtype, const DimShape& shape) {
  if (d.one_in(4)) return d.argument(dtype, shape, -2, 2);
  return d.constant(d.reals(dtype, *fact_of(dtype, shape).static_shape(), -2, 2));
}

void conv(Draw& d, std::string_view op) {
  d.inexact(128, false);
  d.signed_zeros = false;
  Filters f = filters(d);
  // Winograd's transforms mix the items of a tile.
  if (f.w.size.size() == 4 && f.w.size[2] == 3 && f.w.size[3] == 3) d.keep_finite();
  if (op == "nnefrun_conv" && !is_float(f.dtype)) f.dtype = DataType::f32;
  Arguments arguments{{"input", d.argument(f.dtype, f.w.in)},
                      {"filter", weights(d, f.dtype, filter_shape(f, f.out, f.in / f.groups))}};
  maybe_bias(d, arguments, f.dtype, f.out);
  f.w.attributes.emplace_back("groups", groups_of(d, f));
  if (op == "conv") {
    const Outlet y = d.call(op, arguments, f.w.attributes);
    if (is_float(f.dtype) && d.one_in(6)) {  // a residual sum
      return d.follow(d.call("add", {{"x", y}, {"y", d.argument(f.dtype, d.fact(y).shape)}}));
    }
    return d.follow(y);
  }
  const char* activation = d.pick({"", "relu", "clamp", "clip", "leaky_relu", "elu", "sigmoid", "tanh",
                                   "silu", "gelu_erf", "gelu_tanh", "hard_swish"});
  f.w.attributes.emplace_back("activation", activation);
  f.w.attributes.emplace_back("alpha", d.real(-1, 0.5));
  f.w.attributes.emplace_back("beta", d.real(0.5, 6));
  if (d.one_in(2)) {
    const DimShape shape =
        d.fact(d.call("conv", arguments, {f.w.attributes.begin(), f.w.attributes.end() - 3})).shape;
    arguments.emplace_back("residual", d.argument(f.dtype, shape));
  }
  d.follow(d.call(op, arguments, f.w.attributes));
}

void deconv(Draw& d, std::string_view op) {
  d.inexact(128, false);
  Filters f = filters(d);
  for (auto& attribute : f.w.attributes) {
    if (attribute.first == "border") attribute.second = "constant";
  }
  Arguments arguments{{"input", d.argument(f.dtype, f.w.in)},
                      {"filter", weights(d, f.dtype, filter_shape(f, f.in, f.out / f.groups))}};
  maybe_bias(d, arguments, f.dtype, f.out);
  f.w.attributes.emplace_back("groups", f.groups);
  d.follow(d.call(op, arguments, f.w.attributes));
}

void separable(Draw& d, std::string_view op) {
  d.inexact(64, false);
  Filters f = filters(d);
  if (!is_float(f.dtype)) f.dtype = DataType::f32;
  const bool down = op == "separable_conv";
  if (!down) f.w.attributes[0].second = "constant";
  const int64_t times = d.between(1, 2);
  const int64_t middle = f.in * times;
  DimShape point(f.w.size.size(), Dim(1));
  point[0] = down ? d.between(1, 6) * f.groups : f.in;
  point[1] = down ? Dim(middle / f.groups) : Dim(d.between(1, 4));
  const int64_t inner = down ? middle : point[1].value() * f.groups;
  const int64_t out = down ? point[0].value() : inner * times;
  Arguments arguments{
      {"input", d.argument(f.dtype, f.w.in)},
      {"plane_filter", weights(d, f.dtype, filter_shape(f, down ? middle : inner, down ? 1 : times))},
      {"point_filter", weights(d, f.dtype, point)}};
  maybe_bias(d, arguments, f.dtype, out);
  f.w.attributes.emplace_back("groups", f.groups);
  d.follow(d.call(op, arguments, f.w.attributes));
}

Window pool_window(Draw& d, bool may_ignore) {
  return window(d, 2, static_cast<size_t>(d.pick({0, 1, 1, 2, 2, 2, 3})), true, may_ignore);
}

void sum_pool(Draw& d, std::string_view op) {
  d.inexact(128, false);
  d.signed_zeros = false;
  Window w = pool_window(d, true);
  w.attributes.emplace_back("size", Attribute::of_ints(w.size));
  const bool integers = op == "box" || op == "debox";
  if (integers) w.attributes.emplace_back("normalize", d.one_in(2));
  d.follow(d.call(op, {{"input", d.argument(integers ? d.number() : d.floating(), w.in)}}, w.attributes));
}
void max_pool(Draw& d, std::string_view op) {
  Window w = pool_window(d, true);
  w.attributes.emplace_back("size", Attribute::of_ints(w.size));
  for (const Outlet& y : d.call_all(op, {{"input", d.argument(d.number(), w.in)}}, w.attributes)) d.follow(y);
}
void sample(Draw& d, std::string_view op) {
  d.inexact(8, false);
  Window w = pool_window(d, false);
  const Outlet x = d.argument(d.floating(), w.in);
  w.attributes.emplace_back("size", Attribute::of_ints(w.size));
  w.attributes[0].second = "constant";
  const Outlet index = d.call("argmax_pool", {{"input", x}}, w.attributes);
  const Outlet sampled = d.call("sample", {{"input", x}, {"index", index}}, w.attributes);
  if (op == "sample") return d.follow(sampled);
  w.attributes.emplace_back("output_shape", Attribute::of_dims(w.in));
  d.follow(d.call(op, {{"input", sampled}, {"index", index}}, w.attributes));
}

void resample(Draw& d, std::string_view op) {
  d.inexact(128, false);
  DimShape shape = d.shape(3, 4);
  std::vector<int64_t> factor;
  for (size_t i = 2; i < shape.size(); ++i) {
    factor.push_back(d.between(1, 3));
    if (op.find("down") != std::string_view::npos) shape[i] = factor.back() * d.between(1, 4);
  }
  Attributes attributes{{"factor", Attribute::of_ints(factor)}};
  if (op == "multilinear_upsample") {
    attributes.emplace_back("method", d.pick({"symmetric", "asymmetric", "aligned"}));
    attributes.emplace_back("border", d.pick({"replicate", "constant"}));
  }
  d.follow(d.call(op, {{"input", d.argument(d.floating(), shape)}}, attributes));
}

void tract_resize(Draw& d, std::string_view op) {
  d.inexact(128, false);
  const DimShape shape = d.shape(1, 4);
  Arguments arguments{{"input", d.argument(d.floating(), shape)}};
  const auto rank = static_cast<int64_t>(shape.size());
  if (op == "tract_onnx_resize" || d.one_in(2)) {
    Tensor scales = Tensor::zeros(DataType::f32, {rank});
    for (int64_t i = 0; i < rank; ++i)
      scales.mutable_data<float>()[i] = d.one_in(2) ? 1.0F : d.pick({0.5F, 2.0F, 1.5F, 3.0F});
    arguments.emplace_back("scales", d.constant(scales));
  } else {
    arguments.emplace_back("sizes", d.constant(d.reals(DataType::i64, {rank}, 1, 6)));
  }
  d.follow(d.call(
      op, arguments,
      {{"coord_transformer", d.pick({"half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"})},
       {"interpolator", d.pick({"nearest", "linear", "cubic"})},
       {"nearest_mode", d.pick({"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"})}}));
}
void grid_sample(Draw& d, std::string_view op) {
  d.inexact(128, false);
  const int64_t batch = d.between(1, 2);
  const bool volume = d.one_in(4);
  DimShape shape{batch, d.between(1, 3), d.between(1, 5), d.between(1, 5)};
  DimShape grid{batch, d.between(1, 4), d.between(1, 4)};
  if (volume) {
    shape.emplace_back(d.between(1, 4));
    grid.emplace_back(d.between(1, 3));
  }
  grid.emplace_back(volume ? 3 : 2);
  const DataType dtype = d.floating();
  d.follow(d.call(op, {{"input", d.argument(dtype, shape)}, {"grid", d.argument(dtype, grid, -1.3, 1.3)}},
                  {{"mode", d.pick({"bilinear", "nearest", "bicubic"})},
                   {"padding_mode", d.pick({"zeros", "border", "reflection"})},
                   {"align_corners", d.one_in(2)}}));
}

void regions(Draw& d, std::string_view op) {
  d.inexact(128, false);
  const int64_t batch = d.between(1, 2), count = d.between(0, 4);
  const DataType dtype = d.floating();
  const Outlet x = d.argument(dtype, {batch, d.between(1, 3), d.between(1, 7), d.between(1, 7)});
  const Outlet rois = d.argument(dtype, {count, 4}, -1, 8);
  const Outlet index = d.indices(DataType::i64, {count}, 0, batch - 1);
  Attributes attributes{{"output_size", Attribute::of_ints({d.between(1, 3), d.between(1, 3)})}};
  const bool align = op.find("align") != std::string_view::npos;
  if (align) attributes.emplace_back("sampling_rate", Attribute::of_ints({d.between(1, 2), d.between(1, 3)}));
  if (align || op == "roi_resample") {
    attributes.emplace_back(align ? "resize_method" : "method",
                            d.pick({"symmetric", "asymmetric", "aligned"}));
  }
  d.follow(d.call(op, {{"input", x}, {"rois", rois}, {"batch_index", index}}, attributes));
}

constexpr Generator kGenerators[] = {
    {"conv", conv},
    {"nnefrun_conv", conv},
    {"deconv", deconv},
    {"separable_conv", separable},
    {"separable_deconv", separable},
    {"box", sum_pool},
    {"debox", sum_pool},
    {"avg_pool", sum_pool},
    {"rms_pool", sum_pool},
    {"max_pool", max_pool, true},
    {"max_pool_with_index", max_pool, true},
    {"nnefrun_max_pool_with_plane_index", max_pool, true},
    {"argmax_pool", max_pool, true},
    {"sample", sample},
    {"desample", sample},
    {"nearest_downsample", resample},
    {"area_downsample", resample},
    {"nearest_upsample", resample},
    {"multilinear_upsample", resample},
    {"tract_core_resize", tract_resize},
    {"tract_onnx_resize", tract_resize},
    {"tract_core_grid_sample", grid_sample},
    {"avg_roi_pool", regions},
    {"max_roi_pool", regions},
    {"roi_resample", regions},
    {"avg_roi_align", regions},
    {"max_roi_align", regions},
};

}  // namespace

std::span<const Generator> window_generators() { return kGenerators; }

}  // namespace nnefrun::property
