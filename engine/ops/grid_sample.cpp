// tract_core_grid_sample: interpolation at given positions (tract-opl 5.4.7). Coordinates and weights are
// f32, as in tract, unless the input is f64; sums are double.
#include <algorithm>
#include <cmath>

#include "engine/ops/checks.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

enum class Mode { bilinear, nearest, bicubic };
enum class Padding { zeros, border, reflection };

Mode read_mode(const NodeReader& c) {
  const std::string& text = c.string("mode");
  if (text == "bilinear") return Mode::bilinear;
  if (text == "nearest") return Mode::nearest;
  if (text == "bicubic") return Mode::bicubic;
  throw c.fail("attribute-value",
               c.signature().name + ": mode '" + text + "' is not one of bilinear, nearest, bicubic");
}

Padding read_padding(const NodeReader& c) {
  const std::string& text = c.string("padding_mode");
  if (text == "zeros") return Padding::zeros;
  if (text == "border") return Padding::border;
  if (text == "reflection") return Padding::reflection;
  throw c.fail("attribute-value",
               c.signature().name + ": padding_mode '" + text + "' is not one of zeros, border, reflection");
}

std::vector<Fact> infer_grid_sample(InferContext& c) {
  const Fact& input = float_input(c, "input");
  const Fact& grid = float_input(c, "grid");
  require_rank(c, "input", input, 3);
  require_rank(c, "grid", grid, input.rank(), input.rank());
  const Mode mode = read_mode(c);
  read_padding(c);
  const int spatial = input.rank() - 2;
  if (mode == Mode::bicubic && spatial != 2) {
    throw c.fail("rank-mismatch", c.signature().name +
                                      ": bicubic sampling needs two spatial axes, the input has " +
                                      std::to_string(spatial));
  }
  require_equal(c, "the batch extent of the grid", grid.shape[0], input.shape[0]);
  require_equal(c, "the last extent of the grid", grid.shape.back(), spatial);
  DimShape shape = {input.shape[0], input.shape[1]};
  shape.insert(shape.end(), grid.shape.begin() + 1, grid.shape.end() - 1);
  return {fact_of(input.dtype, std::move(shape))};
}

template <class T>
struct Range {
  T low, high;
};

// Folds x into the range by reflection at its ends.
template <class T>
T reflected(T x, Range<T> range) {
  const T length = range.high - range.low;
  if (!(length > 0)) return range.low;
  if (x >= range.low && x <= range.high) return x;
  const bool below = x < range.low;
  const T distance = below ? range.low - x : x - range.high;
  const T turns = std::trunc(distance / length);
  const T rest = distance - turns * length;
  const bool odd = std::fmod(turns, T(2)) != 0;
  return below == odd ? range.high - rest : range.low + rest;
}

template <class T>
int64_t whole(T x) {
  constexpr T kLimit = T(1e12);
  return std::isnan(x) ? 0 : static_cast<int64_t>(std::clamp(x, -kLimit, kLimit));
}

// Samples one map at positions along the spatial axes.
template <class T>
class Sampler {
 public:
  Sampler(Shape extents, Padding padding, bool align_corners)
      : extents_(std::move(extents)),
        strides_(strides_of(extents_)),
        padding_(padding),
        align_corners_(align_corners) {
    for (const int64_t extent : extents_) {
      const auto n = static_cast<T>(extent);
      ranges_.push_back(align_corners ? Range<T>{T(0), n - T(1)} : Range<T>{T(-0.5), n - T(0.5)});
    }
  }

  // From [-1, 1] to cells.
  T position(T normalized, size_t axis) const {
    const auto n = static_cast<T>(extents_[axis]);
    return align_corners_ ? (normalized + T(1)) / T(2) * (n - T(1)) : ((normalized + T(1)) * n - T(1)) / T(2);
  }

  double at(const double* map, Mode mode, std::vector<T> u) const {
    if (mode == Mode::nearest) {
      for (T& x : u) x = std::nearbyint(x);
    }
    const bool outside = [&] {
      for (size_t d = 0; d < u.size(); ++d) {
        if (u[d] < ranges_[d].low || u[d] > ranges_[d].high) return true;
      }
      return false;
    }();
    // All coordinates are padded as soon as one of them is outside.
    for (size_t d = 0; outside && d < u.size(); ++d) {
      if (padding_ == Padding::border) u[d] = std::clamp(u[d], T(0), ranges_[d].high + ranges_[d].low);
      if (padding_ == Padding::reflection) u[d] = reflected(u[d], ranges_[d]);
    }
    if (mode == Mode::nearest) {
      std::vector<int64_t> index;
      for (const T x : u) index.push_back(whole(x));
      return cell(map, index);
    }
    return mode == Mode::bilinear ? linear(map, u) : cubic(map, u);
  }

 private:
  double cell(const double* map, const std::vector<int64_t>& index) const {
    int64_t offset = 0;
    for (size_t d = 0; d < index.size(); ++d) {
      int64_t i = index[d];
      if (i < 0 || i >= extents_[d]) {
        if (padding_ == Padding::zeros) return 0;
        if (padding_ == Padding::reflection) i = whole(reflected(static_cast<T>(i), ranges_[d]));
        i = std::clamp<int64_t>(i, 0, extents_[d] - 1);
      }
      offset += i * strides_[d];
    }
    return map[offset];
  }

  double linear(const double* map, const std::vector<T>& u) const {
    double sum = 0;
    std::vector<int64_t> index(u.size());
    for (size_t corner = 0; corner < (size_t{1} << u.size()); ++corner) {
      double weight = 1;
      for (size_t d = 0; d < u.size(); ++d) {
        const int64_t low = whole(std::floor(u[d]));
        const auto fraction = static_cast<double>(u[d] - static_cast<T>(low));
        const bool high = ((corner >> d) & 1) != 0;
        index[d] = low + (high ? 1 : 0);
        weight *= high ? fraction : 1 - fraction;
      }
      sum += weight * cell(map, index);
    }
    return sum;
  }

  static void cubic_weights(double x, double (&w)[4]) {
    constexpr double a = -0.75;
    const auto outer = [](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
    const auto inner = [](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
    w[0] = outer(x + 1);
    w[1] = inner(x);
    w[2] = inner(1 - x);
    w[3] = outer(2 - x);
  }

  double cubic(const double* map, const std::vector<T>& u) const {
    double weights[2][4];
    int64_t first[2];
    for (size_t d = 0; d < 2; ++d) {
      const int64_t low = whole(std::floor(u[d]));
      cubic_weights(static_cast<double>(u[d] - static_cast<T>(low)), weights[d]);
      first[d] = low - 1;
    }
    double sum = 0;
    for (int64_t i = 0; i < 4; ++i) {
      for (int64_t j = 0; j < 4; ++j)
        sum += weights[0][i] * weights[1][j] * cell(map, {first[0] + i, first[1] + j});
    }
    return sum;
  }

  Shape extents_;
  std::vector<int64_t> strides_;
  std::vector<Range<T>> ranges_;
  Padding padding_;
  bool align_corners_;
};

template <class T>
Tensor grid_sampled(const EvalContext& c) {
  const Tensor& input = c.input("input");
  const Tensor grid = cast_items(c.input("grid"), DataTypeOf<T>::value);
  const Shape extents(input.shape().begin() + 2, input.shape().end());
  const Shape points(grid.shape().begin() + 1, grid.shape().end() - 1);
  const auto axes = static_cast<int64_t>(extents.size());
  if (grid.dim(0) != input.dim(0) || grid.shape().back() != axes) {
    throw c.fail("shape-mismatch", c.signature().name + ": the grid has shape " + to_string(grid.shape()) +
                                       " for an input of shape " + to_string(input.shape()));
  }
  const int64_t plane = volume_of(extents), count = volume_of(points);
  if (plane == 0 && grid.size() > 0) {
    throw c.fail("shape-mismatch",
                 c.signature().name + ": there is nothing to sample in " + to_string(input.shape()));
  }
  const Sampler<T> sampler(extents, read_padding(c), c.logical("align_corners"));
  const Mode mode = read_mode(c);
  const std::vector<double> items = as_doubles(input);
  const T* positions = grid.data<T>();
  Shape shape = {input.dim(0), input.dim(1)};
  shape.insert(shape.end(), points.begin(), points.end());
  std::vector<double> out(static_cast<size_t>(volume_of(shape)));
  for (int64_t batch = 0; batch < input.dim(0); ++batch) {
    for (int64_t point = 0; point < count; ++point) {
      std::vector<T> u;
      for (int64_t d = 0; d < axes; ++d) {  // the grid lists the last axis first
        u.push_back(sampler.position(positions[(batch * count + point) * axes + axes - 1 - d],
                                     static_cast<size_t>(d)));
      }
      for (int64_t channel = 0; channel < input.dim(1); ++channel) {
        const int64_t map = batch * input.dim(1) + channel;
        out[static_cast<size_t>(map * count + point)] = sampler.at(items.data() + map * plane, mode, u);
      }
    }
  }
  return cast_items(Tensor::of<double>(shape, out), input.dtype());
}

std::vector<Tensor> eval_grid_sample(EvalContext& c) {
  return {c.input("input").dtype() == DataType::f64 ? grid_sampled<double>(c) : grid_sampled<float>(c)};
}

constexpr OpDef kRows[] = {
    {.name = "tract_core_grid_sample",
     .infer = infer_grid_sample,
     .eval = eval_grid_sample,
     .types = kFloats},
};

}  // namespace

std::span<const OpDef> grid_rows() { return kRows; }

}  // namespace nnefrun
