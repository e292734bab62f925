// Normalizations: by a moving window, by norms over axes, by stored statistics, by root mean square (nnef-1.0
// section 13, tract-opl 5.4.4 and 5.5). Evaluation is in double, rounded once.
#include <algorithm>
#include <cmath>

#include "engine/ops/checks.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"
#include "engine/ops/window.h"

namespace nnefrun {
namespace {

Tensor from_doubles(const Tensor& like, const std::vector<double>& values) {
  return cast_items(Tensor::of<double>(like.shape(), values), like.dtype());
}

// ---- windows: box(size, normalize = true) with everything else at its default ----

WindowSpec centred_window(const NodeReader& c, size_t rank) {
  WindowSpec w;
  w.size = c.dims("size");
  if (w.size.size() != rank) {
    throw c
        .fail("attribute-length", c.signature().name + ": size has " + std::to_string(w.size.size()) +
                                      " entries, but the input has rank " + std::to_string(rank))
        .note("size lists every axis, also batch and channel: [1, 5, 1, 1] spans five channels");
  }
  for (const int64_t size : c.integers("size")) require_range(c, "size", size, 1, int64_t{1} << 31);
  w.stride = w.dilation = std::vector<Dim>(rank, Dim(1));
  return w;
}

std::vector<Fact> infer_local(InferContext& c) {
  const Fact& input = float_input(c, "input");
  centred_window(c, input.shape.size());
  return {fact_of(input.dtype, input.shape)};
}

// Averages over the window around each item; cells outside are zeros that count.
class Averager {
 public:
  Averager(const NodeReader& c, const Shape& shape) : c_(c), shape_(shape), strides_(strides_of(shape)) {
    axes_ = window_axes(c, centred_window(c, shape.size()), shape, shape);
    for (const WindowAxis& w : axes_) volume_ *= static_cast<double>(w.size);
  }
  std::vector<double> operator()(const std::vector<double>& items) const {
    std::vector<double> out(items.size());
    for (Odometer<1> o(shape_, {strides_}); o.more(); o.next()) {
      double sum = 0;
      for_each_tap(c_, Border::ignore, axes_, shape_, strides_, o.index(),
                   [&](int64_t, int64_t offset) { sum += items[static_cast<size_t>(offset)]; });
      out[static_cast<size_t>(o.offset(0))] = sum / volume_;
    }
    return out;
  }

 private:
  const NodeReader& c_;
  Shape shape_;
  std::vector<int64_t> strides_;
  std::vector<WindowAxis> axes_;
  double volume_ = 1;
};

std::vector<double> squares(std::vector<double> values) {
  for (double& v : values) v *= v;
  return values;
}

std::vector<Tensor> eval_local_response(EvalContext& c) {
  const Tensor& input = c.input("input");
  auto items = as_doubles(input);
  const double alpha = c.scalar("alpha"), beta = c.scalar("beta"), bias = c.scalar("bias");
  const auto power = Averager(c, input.shape())(squares(items));
  for (size_t i = 0; i < items.size(); ++i) items[i] /= std::pow(bias + alpha * power[i], beta);
  return {from_doubles(input, items)};
}

void subtract_mean(const Averager& average, std::vector<double>& items) {
  const auto mean = average(items);
  for (size_t i = 0; i < items.size(); ++i) items[i] -= mean[i];
}

void divide_by_deviation(const Averager& average, std::vector<double>& items, double bias, double epsilon) {
  const auto power = average(squares(items));
  for (size_t i = 0; i < items.size(); ++i) items[i] /= std::max(std::sqrt(power[i]) + bias, epsilon);
}

std::vector<Tensor> eval_local_mean(EvalContext& c) {
  const Tensor& input = c.input("input");
  auto items = as_doubles(input);
  subtract_mean(Averager(c, input.shape()), items);
  return {from_doubles(input, items)};
}

std::vector<Tensor> eval_local_variance(EvalContext& c) {
  const Tensor& input = c.input("input");
  auto items = as_doubles(input);
  divide_by_deviation(Averager(c, input.shape()), items, c.scalar("bias"), c.scalar("epsilon"));
  return {from_doubles(input, items)};
}

std::vector<Tensor> eval_local_contrast(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Averager average(c, input.shape());
  auto items = as_doubles(input);
  subtract_mean(average, items);
  divide_by_deviation(average, items, c.scalar("bias"), c.scalar("epsilon"));
  return {from_doubles(input, items)};
}

// ONNX's LRN as tract has it: channels c - (size - 1) / 2 to c + ceil((size - 1) / 2), alpha divided by the
// size.
std::vector<Fact> infer_lrn(InferContext& c) {
  const Fact& input = float_input(c, "input");
  require_rank(c, "input", input, 2);
  require_range(c, "size", c.integer("size"), 1, int64_t{1} << 31);
  return {fact_of(input.dtype, input.shape)};
}

std::vector<Tensor> eval_lrn(EvalContext& c) {
  const Tensor& input = c.input("input");
  const auto items = as_doubles(input);
  const double alpha = c.scalar("alpha"), beta = c.scalar("beta"), bias = c.scalar("bias");
  const int64_t size = c.integer("size"), channels = input.dim(1);
  const int64_t below = (size - 1) / 2, above = size - 1 - below;
  const int64_t stride = strides_of(input.shape())[1];
  std::vector<double> out(items.size());
  for (int64_t i = 0; i < input.size(); ++i) {
    const int64_t channel = i / stride % channels;
    double power = 0;
    for (int64_t k = std::max<int64_t>(channel - below, 0); k <= std::min(channel + above, channels - 1);
         ++k) {
      const double v = items[static_cast<size_t>(i + (k - channel) * stride)];
      power += v * v;
    }
    out[static_cast<size_t>(i)] =
        items[static_cast<size_t>(i)] / std::pow(bias + alpha / static_cast<double>(size) * power, beta);
  }
  return {from_doubles(input, out)};
}

// ---- statistics over axes ----

std::vector<int64_t> read_axes(const NodeReader& c, int rank) {
  const auto axes = c.integers("axes");
  for (size_t i = 0; i < axes.size(); ++i) {
    checked_axis(c, axes[i], rank);
    if (std::find(axes.begin(), axes.begin() + static_cast<int64_t>(i), axes[i]) !=
        axes.begin() + static_cast<int64_t>(i)) {
      throw c.fail("axis-repeated",
                   c.signature().name + ": axis " + std::to_string(axes[i]) + " is listed twice");
    }
  }
  return axes;
}

std::vector<Fact> infer_norm(InferContext& c) {
  const Fact& input = float_input(c, "input");
  read_axes(c, input.rank());
  return {fact_of(input.dtype, input.shape)};
}

// For each item of `shape` the number of its group: items that differ only along `axes` are in one group.
struct Groups {
  std::vector<int64_t> strides;  // group of an item = sum of index * stride
  int64_t count = 1;             // of groups
  int64_t members = 1;           // of one group

  Groups(const Shape& shape, const std::vector<int64_t>& axes) {
    Shape kept = shape;
    for (const int64_t axis : axes) {
      members *= shape[static_cast<size_t>(axis)];
      kept[static_cast<size_t>(axis)] = 1;
    }
    count = volume_of(kept);
    strides = broadcast_strides(kept, shape);
  }
  // Calls f(item, group) for all items in order.
  template <class F>
  void for_each(const Shape& shape, F&& f) const {
    size_t item = 0;
    for (Odometer<1> o(shape, {strides}); o.more(); o.next()) f(item++, static_cast<size_t>(o.offset(0)));
  }
};

// input / max(norm + bias, epsilon)
std::vector<Tensor> normalized(const EvalContext& c, bool square) {
  const Tensor& input = c.input("input");
  auto items = as_doubles(input);
  const Groups groups(input.shape(), read_axes(c, input.rank()));
  std::vector<double> norms(static_cast<size_t>(groups.count));
  groups.for_each(input.shape(),
                  [&](size_t i, size_t g) { norms[g] += square ? items[i] * items[i] : std::abs(items[i]); });
  const double bias = c.scalar("bias"), epsilon = c.scalar("epsilon");
  for (double& n : norms) n = std::max((square ? std::sqrt(n) : n) + bias, epsilon);
  groups.for_each(input.shape(), [&](size_t i, size_t g) { items[i] /= norms[g]; });
  return {from_doubles(input, items)};
}

std::vector<Tensor> eval_l1(EvalContext& c) { return normalized(c, false); }
std::vector<Tensor> eval_l2(EvalContext& c) { return normalized(c, true); }

std::vector<Fact> infer_rms_norm(InferContext& c) {
  const Fact& input = float_input(c, "input");
  checked_axis(c, c.integer("axis"), input.rank());
  return {fact_of(input.dtype, input.shape)};
}

std::vector<double> rms_normed(const EvalContext& c) {
  const Tensor& input = c.input("input");
  auto items = as_doubles(input);
  const Groups groups(input.shape(), {c.integer("axis")});
  std::vector<double> power(static_cast<size_t>(groups.count));
  groups.for_each(input.shape(), [&](size_t i, size_t g) { power[g] += items[i] * items[i]; });
  const double eps = c.scalar("eps");
  groups.for_each(input.shape(), [&](size_t i, size_t g) {
    items[i] /= std::sqrt(power[g] / static_cast<double>(groups.members) + eps);
  });
  return items;
}

std::vector<Tensor> eval_rms_norm(EvalContext& c) { return {from_doubles(c.input("input"), rms_normed(c))}; }

// A parameter must broadcast into the input, which keeps its shape.
void check_parameter(const InferContext& c, std::string_view name, const Fact& input) {
  if (!c.has_input(name)) return;
  const Fact& parameter = c.input(name);
  require_same_dtype(c, "input", input, name, parameter);
  bool fits = parameter.rank() <= input.rank();
  for (size_t i = 0; fits && i < parameter.shape.size(); ++i) {
    fits = parameter.shape[i].is(1) || !certainly_different(parameter.shape[i], input.shape[i]);
  }
  if (fits) return;
  throw c
      .fail("shape-mismatch",
            c.signature().name + ": `" + std::string(name) + "` does not broadcast into the input")
      .note(describe("input", input))
      .note(describe(name, parameter))
      .note("NNEF aligns shapes at their leading axis: per-channel parameters have shape [1, channels]");
}

// A parameter's value for each item of the input, on the fly.
class Parameter {
 public:
  Parameter(const EvalContext& c, std::string_view name, const Shape& shape, double otherwise) {
    if (!c.has_input(name)) {
      items_ = {otherwise};
      strides_.assign(shape.size(), 0);
      return;
    }
    const Tensor& tensor = c.input(name);
    if (broadcast_leading(c.signature().name, std::vector<const Shape*>{&shape, &tensor.shape()}) != shape) {
      throw c.fail("shape-mismatch", c.signature().name + ": `" + std::string(name) + "` has shape " +
                                         to_string(tensor.shape()) + ", which does not broadcast into " +
                                         to_string(shape));
    }
    items_ = as_doubles(tensor);
    strides_ = broadcast_strides(tensor.shape(), shape);
  }
  const std::vector<int64_t>& strides() const { return strides_; }
  double at(int64_t offset) const { return items_[static_cast<size_t>(offset)]; }

 private:
  std::vector<double> items_;
  std::vector<int64_t> strides_;
};

// The same with a factor behind it.
std::vector<Fact> infer_scaled_rms_norm(InferContext& c) {
  const auto facts = infer_rms_norm(c);
  check_parameter(c, "scale", c.input("input"));
  return facts;
}

std::vector<Tensor> eval_scaled_rms_norm(EvalContext& c) {
  const Tensor& input = c.input("input");
  std::vector<double> items = rms_normed(c);
  const Parameter scale(c, "scale", input.shape(), 1);
  size_t i = 0;
  for (Odometer<1> o(input.shape(), {scale.strides()}); o.more(); o.next(), ++i)
    items[i] *= scale.at(o.offset(0));
  return {from_doubles(input, items)};
}

std::vector<Fact> infer_batch_normalization(InferContext& c) {
  const Fact& input = float_input(c, "input");
  for (const char* name : {"mean", "variance", "offset", "scale"}) check_parameter(c, name, input);
  return {fact_of(input.dtype, input.shape)};
}

std::vector<Tensor> eval_batch_normalization(EvalContext& c) {
  const Tensor& input = c.input("input");
  auto items = as_doubles(input);
  const Shape& shape = input.shape();
  const Parameter mean(c, "mean", shape, 0), variance(c, "variance", shape, 1), offset(c, "offset", shape, 0),
      scale(c, "scale", shape, 1);
  const double epsilon = c.scalar("epsilon");
  size_t i = 0;
  for (Odometer<4> o(shape, {mean.strides(), variance.strides(), offset.strides(), scale.strides()});
       o.more(); o.next(), ++i) {
    const double deviation = std::sqrt(variance.at(o.offset(1)) + epsilon);
    items[i] = offset.at(o.offset(2)) + scale.at(o.offset(3)) * (items[i] - mean.at(o.offset(0))) / deviation;
  }
  return {from_doubles(input, items)};
}

std::vector<Fact> infer_layer_norm(InferContext& c) {
  const Fact& input = float_input(c, "input");
  read_axes(c, input.rank());
  for (const char* name : {"scale", "offset"}) check_parameter(c, name, input);
  return {fact_of(input.dtype, input.shape)};
}

std::vector<Tensor> eval_layer_norm(EvalContext& c) {
  const Tensor& input = c.input("input");
  auto items = as_doubles(input);
  const Shape& shape = input.shape();
  const Groups groups(shape, read_axes(c, input.rank()));
  const auto members = static_cast<double>(groups.members);
  std::vector<double> mean(static_cast<size_t>(groups.count)), variance(mean.size());
  groups.for_each(shape, [&](size_t i, size_t g) { mean[g] += items[i] / members; });
  groups.for_each(shape, [&](size_t i, size_t g) {
    items[i] -= mean[g];
    variance[g] += items[i] * items[i] / members;
  });
  const Parameter scale(c, "scale", shape, 1), offset(c, "offset", shape, 0);
  const double eps = c.scalar("eps");
  size_t i = 0;
  for (Odometer<3> o(shape, {groups.strides, scale.strides(), offset.strides()}); o.more(); o.next(), ++i) {
    const double deviation = std::sqrt(variance[static_cast<size_t>(o.offset(0))] + eps);
    items[i] = items[i] / deviation * scale.at(o.offset(1)) + offset.at(o.offset(2));
  }
  return {from_doubles(input, items)};
}

constexpr OpDef kRows[] = {
    {.name = "local_response_normalization",
     .infer = infer_local,
     .eval = eval_local_response,
     .types = kFloats},
    {.name = "local_mean_normalization", .infer = infer_local, .eval = eval_local_mean, .types = kFloats},
    {.name = "local_variance_normalization",
     .infer = infer_local,
     .eval = eval_local_variance,
     .types = kFloats},
    {.name = "local_contrast_normalization",
     .infer = infer_local,
     .eval = eval_local_contrast,
     .types = kFloats},
    {.name = "tract_onnx_lrn", .infer = infer_lrn, .eval = eval_lrn, .types = kFloats},
    {.name = "l1_normalization", .infer = infer_norm, .eval = eval_l1, .types = kFloats},
    {.name = "l2_normalization", .infer = infer_norm, .eval = eval_l2, .types = kFloats},
    {.name = "batch_normalization",
     .infer = infer_batch_normalization,
     .eval = eval_batch_normalization,
     .types = kFloats},
    {.name = "tract_core_rms_norm", .infer = infer_rms_norm, .eval = eval_rms_norm, .types = kFloats},
    {.name = "nnefrun_rms_norm",
     .infer = infer_scaled_rms_norm,
     .eval = eval_scaled_rms_norm,
     .types = kFloats},
    {.name = "nnefrun_layer_norm", .infer = infer_layer_norm, .eval = eval_layer_norm, .types = kFloats},
};

}  // namespace

std::span<const OpDef> normalization_rows() { return kRows; }

}  // namespace nnefrun
