// Up- and downsampling: NNEF's factors, and resize operators with scales or sizes (nnef-1.0 section 12.7,
// tract-opl 5.4.7 and 5.5). All of them are separable: axis after axis, each result position takes a weighted
// sum of a few positions of the input.
#include <algorithm>
#include <cmath>

#include "engine/ops/checks.h"
#include "engine/ops/registry.h"
#include "engine/ops/resampling.h"
#include "engine/ops/support.h"
#include "engine/ops/window.h"

namespace nnefrun {
namespace {

Tensor from_doubles(DataType dtype, const Shape& shape, const std::vector<double>& values) {
  return cast_items(Tensor::of<double>(shape, values), dtype);
}

// ---- one axis at a time ----

struct Signal {
  Shape shape;
  std::vector<double> items;
};

// REQUIRES: every tap lies inside the axis.
Signal applied(const Signal& in, size_t axis, const AxisTaps& taps, double outside = 0) {
  Signal out{in.shape, {}};
  const int64_t extent = in.shape[axis], length = static_cast<int64_t>(taps.size());
  out.shape[axis] = length;
  int64_t inner = 1, outer = 1;
  for (size_t i = 0; i < axis; ++i) outer *= in.shape[i];
  for (size_t i = axis + 1; i < in.shape.size(); ++i) inner *= in.shape[i];
  out.items.assign(static_cast<size_t>(volume_of(out.shape)), outside);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t x = 0; x < length; ++x) {
      const auto& list = taps[static_cast<size_t>(x)];
      if (list.empty()) continue;
      for (int64_t i = 0; i < inner; ++i) {
        double sum = 0;
        for (const Tap& tap : list)
          sum += tap.weight * in.items[static_cast<size_t>((o * extent + tap.index) * inner + i)];
        out.items[static_cast<size_t>((o * length + x) * inner + i)] = sum;
      }
    }
  }
  return out;
}

// ---- NNEF: factors of the spatial axes ----

std::vector<int64_t> read_factor(const NodeReader& c, int rank) {
  if (rank < 3) {
    throw c.fail("rank-mismatch", c.signature().name + ": the input has rank " + std::to_string(rank) +
                                      ", expected at least 3: batch, channel, and what is resampled");
  }
  const auto factor = c.integers("factor");
  if (static_cast<int>(factor.size()) != rank - 2) {
    throw c.fail("attribute-length", c.signature().name + ": factor has " + std::to_string(factor.size()) +
                                         " entries, but the input has " + std::to_string(rank - 2) +
                                         " spatial axes");
  }
  for (const int64_t f : factor) require_range(c, "factor", f, 1, int64_t{1} << 31);
  return factor;
}

std::vector<Fact> infer_upsample(InferContext& c) {
  const Fact& input = float_input(c, "input");
  const auto factor = read_factor(c, input.rank());
  DimShape shape = input.shape;
  for (size_t i = 0; i < factor.size(); ++i) shape[i + 2] = shape[i + 2] * factor[i];
  return {fact_of(input.dtype, std::move(shape))};
}

std::vector<Fact> infer_downsample(InferContext& c) {
  const Fact& input = float_input(c, "input");
  const auto factor = read_factor(c, input.rank());
  DimShape shape = input.shape;
  for (size_t i = 0; i < factor.size(); ++i) {
    Dim& extent = shape[i + 2];
    if (extent.is_constant() && extent.value() % factor[i] != 0) {
      throw c
          .fail("shape-mismatch", c.signature().name + ": factor " + std::to_string(factor[i]) +
                                      " does not divide extent " + extent.to_string() + " of axis " +
                                      std::to_string(i + 2))
          .note(describe("input", input));
    }
    extent = Dim::floor_div(extent, factor[i]);
  }
  return {fact_of(input.dtype, std::move(shape))};
}

enum class Method { asymmetric, symmetric, aligned };

Method read_method(const NodeReader& c) {
  const std::string& text = c.string("method");
  if (text == "symmetric") return Method::symmetric;
  if (text == "asymmetric") return Method::asymmetric;
  if (text == "aligned") return Method::aligned;
  throw c.fail("attribute-value",
               c.signature().name + ": method '" + text + "' is not one of symmetric, asymmetric, aligned");
}

Border read_border(const NodeReader& c) {
  const std::string& text = c.string("border");
  if (text == "constant") return Border::constant;
  if (text == "replicate") return Border::replicate;
  if (text == "reflect") return Border::reflect;
  if (text == "reflect-even") return Border::reflect_even;
  throw c.fail("attribute-value", c.signature().name + ": border '" + text +
                                      "' is not one of constant, replicate, reflect, reflect-even");
}

std::vector<Fact> infer_multilinear_upsample(InferContext& c) {
  read_method(c);
  read_border(c);
  return infer_upsample(c);
}

AxisTaps nearest_up_taps(int64_t extent, int64_t factor) {
  AxisTaps taps;
  for (int64_t i = 0; i < extent * factor; ++i) taps.push_back({{i / factor, 1.0}});
  return taps;
}

AxisTaps down_taps(int64_t extent, int64_t factor, bool average) {
  AxisTaps taps;
  for (int64_t i = 0; i < extent / factor; ++i) {
    std::vector<Tap> list;
    const int64_t count = average ? factor : 1;
    for (int64_t j = 0; j < count; ++j) list.push_back({i * factor + j, 1.0 / static_cast<double>(count)});
    taps.push_back(std::move(list));
  }
  return taps;
}

AxisTaps multilinear_taps(const NodeReader& c, int64_t extent, int64_t factor, Method method, Border border) {
  AxisTaps taps;
  const auto f = static_cast<double>(factor), n = static_cast<double>(extent);
  for (int64_t i = 0; i < extent * factor; ++i) {
    const auto at = static_cast<double>(i);
    double u = at / f;
    if (method == Method::symmetric) u = (at + 0.5) / f - 0.5;
    if (method == Method::aligned) u = extent == 1 ? 0.0 : at * (n - 1) / (n * f - 1);
    const double left = std::floor(u), fraction = u - left;
    std::vector<Tap> list;
    for (const auto& [index, weight] :
         {Tap{static_cast<int64_t>(left), 1 - fraction}, Tap{static_cast<int64_t>(left) + 1, fraction}}) {
      if (weight == 0) continue;
      const int64_t source = border_index(c, border, index, extent);
      if (source != kOutside) list.push_back({source, weight});
    }
    taps.push_back(std::move(list));
  }
  return taps;
}

// The taps of one axis under a factor that is not 1.
AxisTaps factor_taps(const NodeReader& c, int64_t extent, int64_t factor) {
  const std::string& op = c.signature().name;
  if (op == "nearest_upsample") return nearest_up_taps(extent, factor);
  if (op == "multilinear_upsample")
    return multilinear_taps(c, extent, factor, read_method(c), read_border(c));
  if (extent % factor != 0) {
    throw c.fail("shape-mismatch", op + ": factor " + std::to_string(factor) + " does not divide extent " +
                                       std::to_string(extent));
  }
  return down_taps(extent, factor, op == "area_downsample");
}

std::vector<AxisResampling> resampling_by_factors(const NodeReader& c, const Shape& shape) {
  const auto factor = read_factor(c, static_cast<int>(shape.size()));
  std::vector<AxisResampling> axes;
  for (size_t i = 0; i < factor.size(); ++i) {
    if (factor[i] != 1) axes.push_back({i + 2, factor_taps(c, shape[i + 2], factor[i]), 0});
  }
  return axes;
}

// ---- resize by scales or sizes ----

enum class Transformer {
  half_pixel,
  align_corners,
  asymmetric,
  pytorch_half_pixel,
  half_pixel_symmetric,
  tf_half_pixel_for_nn,
  tf_crop_and_resize
};
enum class Interpolator { nearest, linear, cubic };
enum class Nearest { floor, ceil, round_prefer_floor, round_prefer_ceil };

template <class E>
struct Named {
  E value;
  std::string_view name;
};

template <class E, size_t N>
E read_choice(const NodeReader& c, std::string_view attribute, const Named<E> (&choices)[N]) {
  const std::string& text = c.string(attribute);
  std::string list;
  for (const Named<E>& choice : choices) {
    if (choice.name == text) return choice.value;
    list += (list.empty() ? "" : ", ") + std::string(choice.name);
  }
  throw c.fail("attribute-value",
               c.signature().name + ": " + std::string(attribute) + " '" + text + "' is not one of " + list);
}

constexpr Named<Transformer> kTransformers[] = {{Transformer::half_pixel, "half_pixel"},
                                                {Transformer::align_corners, "align_corners"},
                                                {Transformer::asymmetric, "asymmetric"},
                                                {Transformer::pytorch_half_pixel, "pytorch_half_pixel"},
                                                {Transformer::half_pixel_symmetric, "half_pixel_symmetric"},
                                                {Transformer::tf_half_pixel_for_nn, "tf_half_pixel_for_nn"},
                                                {Transformer::tf_crop_and_resize, "tf_crop_and_resize"}};
constexpr Named<Interpolator> kInterpolators[] = {
    {Interpolator::nearest, "nearest"}, {Interpolator::linear, "linear"}, {Interpolator::cubic, "cubic"}};
constexpr Named<Nearest> kNearest[] = {{Nearest::floor, "floor"},
                                       {Nearest::ceil, "ceil"},
                                       {Nearest::round_prefer_floor, "round_prefer_floor"},
                                       {Nearest::round_prefer_ceil, "round_prefer_ceil"}};

struct Sampling {
  Transformer transformer = Transformer::half_pixel;
  Interpolator interpolator = Interpolator::nearest;
  Nearest nearest = Nearest::floor;
  double cubic_a = -0.75;
  bool exclude_outside = false, antialias = false;
  double extrapolation = 0;
};

bool is_onnx(const NodeReader& c) { return c.signature().name == "tract_onnx_resize"; }

Sampling read_sampling(const NodeReader& c) {
  Sampling s;
  s.transformer = read_choice(c, "coord_transformer", kTransformers);
  s.interpolator = read_choice(c, "interpolator", kInterpolators);
  s.nearest = read_choice(c, "nearest_mode", kNearest);
  if (is_onnx(c)) {
    s.cubic_a = c.scalar("cubic_coeff_a");
    s.exclude_outside = c.logical("exclude_outside");
    s.antialias = c.logical("antialias");
    s.extrapolation = c.scalar("extrapolation_value");
  }
  const bool crops = s.transformer == Transformer::tf_crop_and_resize;
  if (crops && !is_onnx(c)) {
    throw c.fail("attribute-value", c.signature().name + ": tf_crop_and_resize needs a region of interest");
  }
  return s;
}

constexpr int64_t kLargestExtent = int64_t{1} << 40;

// The extent of an axis under a scale: a whole scale multiplies, else the product is cut in f32.
int64_t scaled_extent(const NodeReader& c, int64_t extent, float scale) {
  if (!(scale > 0) || scale > 1e9F) {
    throw c.fail("value-range", c.signature().name + ": a scale is " + std::to_string(scale));
  }
  if (scale == std::round(scale) && extent < kLargestExtent) return extent * static_cast<int64_t>(scale);
  const float product = static_cast<float>(extent) * scale;
  if (product >= static_cast<float>(kLargestExtent)) {
    throw c.fail("shape-overflow", c.signature().name + ": a result extent is too large");
  }
  return static_cast<int64_t>(product);
}

// The same for an extent with symbols; nullopt when it cannot be written down.
std::optional<Dim> scaled_extent(const NodeReader& c, const Dim& extent, float scale) {
  if (extent.is_constant()) return scaled_extent(c, extent.value(), scale);
  scaled_extent(c, 1, scale);
  for (const int64_t divisor : {1, 2, 4, 8, 16}) {  // exact in binary
    const float multiple = scale * static_cast<float>(divisor);
    if (multiple == std::round(multiple)) {
      return Dim::floor_div(extent * static_cast<int64_t>(multiple), divisor);
    }
  }
  return std::nullopt;
}

bool takes_sizes(const NodeReader& c) { return !is_onnx(c) && c.has_input("sizes"); }

void check_vector(const InferContext& c, std::string_view name, int64_t length) {
  const Fact& fact = c.input(name);
  require_rank(c, name, fact, 1, 1);
  require_equal(c, "the length of " + std::string(name), fact.shape[0], length);
  if (is_complex(fact.dtype) || fact.dtype == DataType::string || fact.quant) {
    throw c.fail("dtype-mismatch", c.signature().name + ": `" + std::string(name) + "` must hold numbers")
        .note(describe(name, fact));
  }
}

std::vector<Fact> infer_resize(InferContext& c) {
  const Fact& input = float_input(c, "input");
  const Sampling sampling = read_sampling(c);
  const bool sized = takes_sizes(c);
  if (sized == c.has_input("scales")) {
    throw c.fail("missing-argument", c.signature().name + ": exactly one of scales and sizes must be given");
  }
  if (sampling.transformer == Transformer::tf_crop_and_resize && !c.has_input("roi")) {
    throw c.fail("missing-argument", c.signature().name + ": tf_crop_and_resize needs the argument `roi`");
  }
  const char* name = sized ? "sizes" : "scales";
  check_vector(c, name, input.rank());
  if (is_onnx(c) && c.has_input("roi")) check_vector(c, "roi", 2 * int64_t{input.rank()});
  const Fact& given = c.input(name);
  DimShape shape;
  for (size_t i = 0; i < input.shape.size(); ++i) {
    std::optional<Dim> extent;
    if (sized && given.dims) extent = (*given.dims)[i];
    if (sized && !extent && given.constant)
      extent = Dim(cast_items(*given.constant, DataType::i64).as_int(static_cast<int64_t>(i)));
    if (!sized && given.constant) {
      extent = scaled_extent(c, input.shape[i],
                             static_cast<float>(given.constant->as_double(static_cast<int64_t>(i))));
    }
    if (extent && extent->is_constant() && (extent->value() < 0 || extent->value() > kLargestExtent)) {
      throw c.fail("value-range",
                   c.signature().name + ": " + name + " asks for an extent of " + extent->to_string());
    }
    shape.push_back(extent ? *extent : c.fresh_extent("resized"));
  }
  return {fact_of(input.dtype, std::move(shape))};
}

// What one axis is resized by. Coordinates are computed in f32, as tract does: which neighbour is nearest
// depends on it.
struct AxisResize {
  int64_t in = 0, out = 0;
  float scale = 1;
  double roi_begin = 0, roi_end = 1;
};

float coordinate(Transformer transformer, const AxisResize& a, int64_t x) {
  const auto at = static_cast<float>(x), in = static_cast<float>(a.in), out = static_cast<float>(a.out);
  const float half = (at + 0.5F) / a.scale;
  const float whole = a.scale * in;
  switch (transformer) {
    case Transformer::half_pixel: return half - 0.5F;
    case Transformer::align_corners: return whole == 1.0F ? 0.0F : at * (in - 1.0F) / (whole - 1.0F);
    case Transformer::asymmetric: return at / a.scale;
    case Transformer::pytorch_half_pixel: return a.out <= 1 ? -0.5F : half - 0.5F;
    case Transformer::half_pixel_symmetric: return in / 2.0F * (1.0F - out / whole) + half - 0.5F;
    case Transformer::tf_half_pixel_for_nn: return half;
    case Transformer::tf_crop_and_resize:
      return static_cast<float>(a.out > 1 ? a.roi_begin * (in - 1.0F) +
                                                at * (a.roi_end - a.roi_begin) * (in - 1.0F) / (out - 1.0F)
                                          : 0.5 * (a.roi_begin + a.roi_end) * (in - 1.0F));
  }
  return 0;
}

double linear_kernel(double distance) { return std::max(0.0, 1.0 - std::abs(distance)); }

double cubic_kernel(double distance, double a) {
  const double d = std::abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((d - 5) * d + 8) * d * a - 4 * a;
  return 0;
}

std::vector<Tap> taps_at(const Sampling& s, const AxisResize& a, float position) {
  // Far outside nothing but the edge is read; this also keeps the indices small.
  const double limit = static_cast<double>(a.in) + 4;
  const double u = std::isnan(position) ? 0.0 : std::clamp<double>(position, -limit, limit);
  const double left = std::floor(u), fraction = u - left;
  std::vector<Tap> taps;
  if (s.interpolator == Interpolator::nearest) {
    bool up = false;
    switch (s.nearest) {
      case Nearest::floor: break;
      case Nearest::ceil: up = fraction > 0; break;
      case Nearest::round_prefer_floor: up = fraction > 0.5; break;
      case Nearest::round_prefer_ceil: up = fraction >= 0.5; break;
    }
    taps.push_back({static_cast<int64_t>(left) + (up ? 1 : 0), 1.0});
  } else {
    const double radius = s.interpolator == Interpolator::linear ? 1 : 2;
    const double stretch = s.antialias && a.scale < 1 ? 1.0 / static_cast<double>(a.scale) : 1.0;
    double total = 0;
    for (auto i = static_cast<int64_t>(std::floor(u - radius * stretch));
         static_cast<double>(i) <= u + radius * stretch; ++i) {
      const double distance = (static_cast<double>(i) - u) / stretch;
      const double weight = radius == 1 ? linear_kernel(distance) : cubic_kernel(distance, s.cubic_a);
      if (weight == 0 || (s.exclude_outside && (i < 0 || i >= a.in))) continue;
      taps.push_back({i, weight});
      total += weight;
    }
    if (s.exclude_outside || stretch != 1.0) {
      for (Tap& tap : taps) tap.weight /= total;
    }
  }
  for (Tap& tap : taps) tap.index = std::clamp<int64_t>(tap.index, 0, a.in - 1);
  return taps;
}

AxisTaps resize_taps(const Sampling& s, const AxisResize& a) {
  AxisTaps taps;
  for (int64_t x = 0; x < a.out; ++x) {
    const float u = coordinate(s.transformer, a, x);
    const bool outside =
        s.transformer == Transformer::tf_crop_and_resize && !(u >= 0.0F && u <= static_cast<float>(a.in - 1));
    taps.push_back(outside ? std::vector<Tap>{} : taps_at(s, a, u));
  }
  return taps;
}

std::vector<AxisResampling> resampling_by_scales(const NodeReader& c, const Shape& shape, const Tensor& given,
                                                 const Tensor* roi) {
  const Sampling sampling = read_sampling(c);
  const bool sized = takes_sizes(c),
             crops = roi != nullptr && sampling.transformer == Transformer::tf_crop_and_resize;
  const auto rank = static_cast<int64_t>(shape.size());
  if (given.size() != rank || (crops && roi->size() != 2 * rank)) {
    throw c.fail("shape-mismatch", c.signature().name + ": " + (sized ? "sizes" : "scales") + " has " +
                                       std::to_string(given.size()) + " items, an input of rank " +
                                       std::to_string(rank) + " wants as many");
  }
  std::vector<AxisResampling> axes;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    const auto i = static_cast<int64_t>(axis);
    AxisResize a;
    a.in = shape[axis];
    a.scale = sized ? 1.0F : static_cast<float>(given.as_double(i));
    a.out = sized ? cast_items(given, DataType::i64).as_int(i) : scaled_extent(c, a.in, a.scale);
    if (a.out < 0 || a.out > kLargestExtent || (a.in == 0 && a.out > 0)) {
      throw c.fail("value-range", c.signature().name + ": cannot resize an extent of " +
                                      std::to_string(a.in) + " to " + std::to_string(a.out));
    }
    if (sized && a.in > 0) a.scale = static_cast<float>(a.out) / static_cast<float>(a.in);
    if (crops) {
      a.roi_begin = roi->as_double(i);
      a.roi_end = roi->as_double(i + static_cast<int64_t>(shape.size()));
    }
    if (a.in == a.out && !crops) continue;
    axes.push_back({axis, resize_taps(sampling, a), sampling.extrapolation});
  }
  return axes;
}

std::vector<Tensor> eval_resampling(EvalContext& c) {
  const Tensor& input = c.input("input");
  const bool by_factors = c.signature().attribute_index("factor") >= 0;
  const Tensor* given = by_factors ? nullptr : &c.input(takes_sizes(c) ? "sizes" : "scales");
  const Tensor* roi = !by_factors && is_onnx(c) && c.has_input("roi") ? &c.input("roi") : nullptr;
  Signal signal{input.shape(), as_doubles(input)};
  for (const AxisResampling& axis : resampling_of(c, input.shape(), given, roi))
    signal = applied(signal, axis.axis, axis.taps, axis.outside);
  return {from_doubles(input.dtype(), signal.shape, signal.items)};
}

constexpr OpDef kRows[] = {
    {.name = "nearest_downsample", .infer = infer_downsample, .eval = eval_resampling, .types = kFloats},
    {.name = "area_downsample", .infer = infer_downsample, .eval = eval_resampling, .types = kFloats},
    {.name = "nearest_upsample", .infer = infer_upsample, .eval = eval_resampling, .types = kFloats},
    {.name = "multilinear_upsample",
     .infer = infer_multilinear_upsample,
     .eval = eval_resampling,
     .types = kFloats},
    {.name = "tract_core_resize", .infer = infer_resize, .eval = eval_resampling, .types = kFloats},
    {.name = "tract_onnx_resize", .infer = infer_resize, .eval = eval_resampling, .types = kFloats},
};

}  // namespace

std::span<const OpDef> resize_rows() { return kRows; }

std::vector<AxisResampling> resampling_of(const NodeReader& c, const Shape& shape, const Tensor* given,
                                          const Tensor* roi) {
  return given == nullptr ? resampling_by_factors(c, shape) : resampling_by_scales(c, shape, *given, roi);
}

}  // namespace nnefrun
