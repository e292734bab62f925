// Regions of interest: pooling, resampling and aligned pooling (nnef-1.0 sections 12.11 and 13).
//
// A region is a box of feature-map cells, [begin, end) on each spatial axis, given as real numbers. Where the
// text is silent: regions are clamped to the map, and a cell without any input is 0.
#include <algorithm>
#include <cmath>

#include "engine/ops/checks.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

std::vector<int64_t> read_positive(const NodeReader& c, std::string_view attribute, size_t count) {
  const auto values = c.integers(attribute);
  if (values.size() != count) {
    throw c.fail("attribute-length", c.signature().name + ": " + std::string(attribute) + " has " +
                                         std::to_string(values.size()) + " entries, but there are " +
                                         std::to_string(count) + " spatial axes");
  }
  for (const int64_t v : values) require_range(c, attribute, v, 1, int64_t{1} << 30);
  return values;
}

enum class Method { asymmetric, symmetric, aligned };

Method read_method(const NodeReader& c, std::string_view attribute) {
  const std::string& text = c.string(attribute);
  if (text == "symmetric") return Method::symmetric;
  if (text == "asymmetric") return Method::asymmetric;
  if (text == "aligned") return Method::aligned;
  throw c.fail("attribute-value", c.signature().name + ": " + std::string(attribute) + " '" + text +
                                      "' is not one of symmetric, asymmetric, aligned");
}

std::vector<Fact> infer_roi(InferContext& c) {
  const Fact& input = float_input(c, "input");
  const Fact& rois = float_input(c, "rois");
  const Fact& batch_index = c.input("batch_index");
  require_rank(c, "input", input, 3);
  require_rank(c, "rois", rois, 2, 2);
  require_rank(c, "batch_index", batch_index, 1, 2);
  if (!is_integer(batch_index.dtype) || batch_index.quant) {
    throw c.fail("dtype-mismatch", c.signature().name + ": batch_index must hold integers")
        .note(describe("batch_index", batch_index));
  }
  const size_t spatial = input.shape.size() - 2;
  require_equal(c, "the number of columns of rois", rois.shape[1], Dim(static_cast<int64_t>(2 * spatial)));
  require_equal(c, "the number of batch indices", batch_index.shape[0], rois.shape[0]);
  if (batch_index.rank() == 2) require_equal(c, "the second extent of batch_index", batch_index.shape[1], 1);
  DimShape shape = {rois.shape[0], input.shape[1]};
  for (const int64_t extent : read_positive(c, "output_size", spatial)) shape.emplace_back(extent);
  return {fact_of(input.dtype, std::move(shape))};
}

std::vector<Fact> infer_roi_resample(InferContext& c) {
  read_method(c, "method");
  return infer_roi(c);
}

std::vector<Fact> infer_roi_align(InferContext& c) {
  read_method(c, "resize_method");
  auto facts = infer_roi(c);
  read_positive(c, "sampling_rate", c.input("input").shape.size() - 2);
  return facts;
}

// The arguments, checked.
struct Regions {
  const Tensor& input;
  std::vector<double> corners;  // [N, 2 * axes]
  std::vector<int64_t> batch;   // [N]
  Shape extents;                // spatial
  std::vector<int64_t> output_size;

  size_t axes() const { return extents.size(); }
  int64_t count() const { return static_cast<int64_t>(batch.size()); }
  double begin(int64_t roi, size_t axis) const {
    return corners[static_cast<size_t>(roi) * 2 * axes() + axis];
  }
  double end(int64_t roi, size_t axis) const {
    return corners[static_cast<size_t>(roi) * 2 * axes() + axes() + axis];
  }
};

Regions regions_of(const EvalContext& c) {
  const Tensor& input = c.input("input");
  Regions r{input, as_doubles(c.input("rois")), {}, {input.shape().begin() + 2, input.shape().end()}, {}};
  const Tensor& index = c.input("batch_index");
  r.output_size = read_positive(c, "output_size", r.axes());
  if (static_cast<int64_t>(r.corners.size()) != index.size() * static_cast<int64_t>(2 * r.axes())) {
    throw c.fail("shape-mismatch", c.signature().name + ": " + std::to_string(index.size()) +
                                       " batch indices for rois " + to_string(c.input("rois").shape()));
  }
  for (int64_t i = 0; i < index.size(); ++i) {
    const int64_t batch = index.as_int(i);
    if (batch < 0 || batch >= input.dim(0)) {
      throw c.fail("index-out-of-range", c.signature().name + ": batch index " + std::to_string(batch) +
                                             " is out of range for a batch of " +
                                             std::to_string(input.dim(0)));
    }
    r.batch.push_back(batch);
  }
  return r;
}

// floor(x + 0.5), clamped to [0, limit]; NaN becomes 0.
int64_t rounded(double x, int64_t limit) {
  if (!(x > 0)) return 0;
  return x >= static_cast<double>(limit) ? limit : std::min(limit, static_cast<int64_t>(std::floor(x + 0.5)));
}

// An average or maximum over a box of cells: `sum` in double, `count` cells seen.
struct Fold {
  bool maximum;
  double value = 0;
  int64_t count = 0;
  void add(double v) {
    value = maximum ? (count == 0 || v > value ? v : value) : value + v;
    ++count;
  }
  double result() const { return count == 0 || maximum ? value : value / static_cast<double>(count); }
};

Tensor from_doubles(DataType dtype, const Shape& shape, const std::vector<double>& values) {
  return cast_items(Tensor::of<double>(shape, values), dtype);
}

Shape shape_with(int64_t rois, int64_t channels, const std::vector<int64_t>& spatial) {
  Shape shape = {rois, channels};
  shape.insert(shape.end(), spatial.begin(), spatial.end());
  return shape;
}

std::vector<Tensor> roi_pool(const EvalContext& c, bool maximum) {
  const Regions r = regions_of(c);
  const std::vector<double> items = as_doubles(r.input);
  const int64_t plane = volume_of(r.extents), channels = r.input.dim(1);
  const auto strides = strides_of(r.extents);
  const Shape shape = shape_with(r.count(), channels, r.output_size);
  std::vector<double> out;
  out.reserve(static_cast<size_t>(volume_of(shape)));
  for (int64_t roi = 0; roi < r.count(); ++roi) {
    Shape begins, sizes, steps;
    for (size_t axis = 0; axis < r.axes(); ++axis) {
      const int64_t begin = rounded(r.begin(roi, axis), r.extents[axis]);
      const int64_t extent = std::max<int64_t>(rounded(r.end(roi, axis), r.extents[axis]) - begin, 0);
      begins.push_back(begin);
      sizes.push_back((extent + r.output_size[axis] - 1) / r.output_size[axis]);
      steps.push_back(extent / r.output_size[axis]);
    }
    for (int64_t channel = 0; channel < channels; ++channel) {
      const double* map = items.data() + (r.batch[static_cast<size_t>(roi)] * channels + channel) * plane;
      for (Odometer<1> cell(r.output_size, {strides_of(r.output_size)}); cell.more(); cell.next()) {
        int64_t origin = 0;
        for (size_t axis = 0; axis < r.axes(); ++axis) {
          origin += (begins[axis] + cell.index()[axis] * steps[axis]) * strides[axis];
        }
        Fold fold{maximum};
        for (Odometer<1> o(sizes, {strides}); o.more(); o.next()) fold.add(map[origin + o.offset(0)]);
        out.push_back(fold.result());
      }
    }
  }
  return {from_doubles(r.input.dtype(), shape, out)};
}

// Where cell i of `count` cells lies on an axis of the map, clamped to the region and to the map.
double source_position(Method method, int64_t i, int64_t count, double begin, double end, int64_t extent) {
  const double length = end - begin;
  const auto n = static_cast<double>(count), at = static_cast<double>(i);
  double u = begin;
  switch (method) {
    case Method::asymmetric: u = begin + at * length / n; break;
    case Method::symmetric: u = begin + (at + 0.5) * length / n - 0.5; break;
    case Method::aligned: u = count == 1 ? begin : begin + at * (length - 1) / (n - 1); break;
  }
  u = std::max(begin, std::min(u, end - 1));
  const auto last = static_cast<double>(std::max<int64_t>(extent - 1, 0));
  return u > 0 ? std::min(u, last) : 0.0;  // NaN becomes 0
}

// Multilinear samples of every region: [N, C, samples...].
std::vector<double> resampled(const Regions& r, const std::vector<int64_t>& samples, Method method) {
  const std::vector<double> items = as_doubles(r.input);
  const int64_t plane = volume_of(r.extents), channels = r.input.dim(1);
  const auto strides = strides_of(r.extents);
  const Shape corners(r.axes(), 2);
  std::vector<double> out;
  if (plane == 0)
    return std::vector<double>(static_cast<size_t>(volume_of(shape_with(r.count(), channels, samples))));
  for (int64_t roi = 0; roi < r.count(); ++roi) {
    for (int64_t channel = 0; channel < channels; ++channel) {
      const double* map = items.data() + (r.batch[static_cast<size_t>(roi)] * channels + channel) * plane;
      for (Odometer<1> cell(samples, {strides_of(samples)}); cell.more(); cell.next()) {
        std::vector<double> position;
        for (size_t axis = 0; axis < r.axes(); ++axis) {
          position.push_back(source_position(method, cell.index()[axis], samples[axis], r.begin(roi, axis),
                                             r.end(roi, axis), r.extents[axis]));
        }
        double sum = 0;
        for (Odometer<1> corner(corners, {strides_of(corners)}); corner.more(); corner.next()) {
          double weight = 1;
          int64_t offset = 0;
          for (size_t axis = 0; axis < r.axes(); ++axis) {
            const double floor = std::floor(position[axis]), fraction = position[axis] - floor;
            const int64_t side = corner.index()[axis];
            weight *= side == 0 ? 1 - fraction : fraction;
            offset += std::min(static_cast<int64_t>(floor) + side, r.extents[axis] - 1) * strides[axis];
          }
          if (weight != 0) sum += weight * map[offset];
        }
        out.push_back(sum);
      }
    }
  }
  return out;
}

std::vector<Tensor> eval_roi_resample(EvalContext& c) {
  const Regions r = regions_of(c);
  const auto values = resampled(r, r.output_size, read_method(c, "method"));
  return {from_doubles(r.input.dtype(), shape_with(r.count(), r.input.dim(1), r.output_size), values)};
}

std::vector<Tensor> roi_align(const EvalContext& c, bool maximum) {
  const Regions r = regions_of(c);
  const auto rate = read_positive(c, "sampling_rate", r.axes());
  std::vector<int64_t> samples;
  for (size_t axis = 0; axis < r.axes(); ++axis) {
    samples.push_back(r.output_size[axis] * rate[axis]);
  }
  const auto values = resampled(r, samples, read_method(c, "resize_method"));
  const Shape shape = shape_with(r.count(), r.input.dim(1), r.output_size);
  const auto strides = strides_of(samples);
  const int64_t plane = volume_of(samples);
  std::vector<double> out;
  for (int64_t map = 0; map < r.count() * r.input.dim(1); ++map) {
    for (Odometer<1> cell(r.output_size, {strides_of(r.output_size)}); cell.more(); cell.next()) {
      int64_t origin = map * plane;
      for (size_t axis = 0; axis < r.axes(); ++axis)
        origin += cell.index()[axis] * rate[axis] * strides[axis];
      Fold fold{maximum};
      for (Odometer<1> o(rate, {strides}); o.more(); o.next())
        fold.add(values[static_cast<size_t>(origin + o.offset(0))]);
      out.push_back(fold.result());
    }
  }
  return {from_doubles(r.input.dtype(), shape, out)};
}

std::vector<Tensor> eval_avg_roi_pool(EvalContext& c) { return roi_pool(c, false); }
std::vector<Tensor> eval_max_roi_pool(EvalContext& c) { return roi_pool(c, true); }
std::vector<Tensor> eval_avg_roi_align(EvalContext& c) { return roi_align(c, false); }
std::vector<Tensor> eval_max_roi_align(EvalContext& c) { return roi_align(c, true); }

constexpr OpDef kRows[] = {
    {.name = "avg_roi_pool", .infer = infer_roi, .eval = eval_avg_roi_pool, .types = kFloats},
    {.name = "max_roi_pool", .infer = infer_roi, .eval = eval_max_roi_pool, .types = kFloats},
    {.name = "roi_resample", .infer = infer_roi_resample, .eval = eval_roi_resample, .types = kFloats},
    {.name = "avg_roi_align", .infer = infer_roi_align, .eval = eval_avg_roi_align, .types = kFloats},
    {.name = "max_roi_align", .infer = infer_roi_align, .eval = eval_max_roi_align, .types = kFloats},
};

}  // namespace

std::span<const OpDef> roi_rows() { return kRows; }

}  // namespace nnefrun
