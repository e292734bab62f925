// Reductions over any axes, which keep their rank; moments; sums of many tensors.
#include <cmath>
#include <limits>

#include "engine/ops/complex_items.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/regions.h"
#include "engine/ops/registry.h"

namespace nnefrun {
namespace {

enum class Reduction : uint8_t { sum, mean, product, maximum, minimum };

Reduction reduction_of(const NodeReader& c) {
  const std::string& name = c.signature().name;
  if (name == "sum_reduce") return c.logical("normalize") ? Reduction::mean : Reduction::sum;
  if (name == "mean_reduce") return Reduction::mean;
  if (name == "max_reduce") return Reduction::maximum;
  if (name == "min_reduce") return Reduction::minimum;
  return Reduction::product;
}

Fact reduced_fact(const InferContext& c, DataType dtype) {
  const Fact& input = *c.inputs.at(0);
  const auto axes = checked_axes(c, c.integers("axes"), input.rank());
  return fact_of(dtype, reduced_dims(input.shape, axes));
}

// Folds known shape values, one region after the other.
void propagate(const NodeReader& c, Reduction reduction, const Fact& input, Fact& out) {
  const auto dims = known_dims(input);
  if (!dims) return;
  const Regions regions(*input.static_shape(), c.integers("axes"));
  if (regions.offsets().empty() || reduction == Reduction::mean) return;
  std::vector<Dim> values;
  try {
    regions.each([&](int64_t, int64_t first) {
      std::optional<Dim> value;
      for (const int64_t at : regions.offsets()) {
        const Dim& d = (*dims)[static_cast<size_t>(first + at)];
        if (!value)
          value = d;
        else if (reduction == Reduction::sum)
          value = *value + d;
        else if (reduction == Reduction::product)
          value = *value * d;
        else
          value = reduction == Reduction::maximum ? Dim::max(*value, d) : Dim::min(*value, d);
      }
      values.push_back(*value);
    });
  } catch (const Error&) {
    return;  // overflow: eval wraps
  }
  set_known_dims(out, std::move(values));
}

std::vector<Fact> infer_reduce(InferContext& c) {
  const Fact& input = *c.inputs.at(0);
  require_plain(c, {&input});
  const Reduction reduction = reduction_of(c);
  const bool ordered = reduction == Reduction::maximum || reduction == Reduction::minimum;
  if (!is_float(input.dtype) && !is_integer(input.dtype) && (ordered || !is_complex(input.dtype))) {
    throw c.fail("dtype-unsupported", prefix_of(c) + "items of type " + std::string(name_of(input.dtype)) +
                                          " are not reduced this way; cast them");
  }
  Fact out = reduced_fact(c, input.dtype);
  propagate(c, reduction, input, out);
  return {out};
}

// Sums and products in double, rounded once.
double reduce_floats(Reduction reduction, const std::vector<double>& items) {
  if (reduction == Reduction::sum || reduction == Reduction::mean) {
    double sum = 0;
    for (const double v : items) sum += v;
    return reduction == Reduction::mean ? sum / static_cast<double>(items.size()) : sum;
  }
  if (reduction == Reduction::product) {
    double product = 1;
    for (const double v : items) product *= v;
    return product;
  }
  double best = items[0];
  for (const double v : items) {
    const bool better = reduction == Reduction::maximum ? v > best : v < best;
    if (better || std::isnan(v)) best = v;
    if (std::isnan(best)) break;
  }
  return best;
}

// Sums of 8 and 16 bits saturate, as tract's do; wider ones wrap.
template <class T>
T reduce_integers(Reduction reduction, const T* from, const std::vector<int64_t>& offsets) {
  using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
  uint64_t total = reduction == Reduction::product ? 1 : 0;
  T best = from[offsets[0]];
  for (const int64_t at : offsets) {
    const auto v = static_cast<uint64_t>(static_cast<Wide>(from[at]));
    if (reduction == Reduction::product)
      total *= v;
    else
      total += v;
    if (reduction == Reduction::maximum ? from[at] > best : from[at] < best) best = from[at];
  }
  if (reduction == Reduction::maximum || reduction == Reduction::minimum) return best;
  auto value = static_cast<Wide>(total);
  if (reduction == Reduction::mean) value /= static_cast<Wide>(offsets.size());
  if (sizeof(T) <= 2 && reduction != Reduction::product) {
    value =
        std::min<Wide>(std::max<Wide>(value, std::numeric_limits<T>::min()), std::numeric_limits<T>::max());
  }
  return static_cast<T>(value);
}

// What is left of no items: the neutral element, the lowest or the highest finite number.
template <class T>
T empty_value(const NodeReader& c, Reduction reduction) {
  using C = ComputeType<T>;
  if (reduction == Reduction::sum) return narrow<T>(C(0));
  if (reduction == Reduction::product) return narrow<T>(C(1));
  if (reduction == Reduction::mean) {
    if constexpr (std::is_floating_point_v<C>) return narrow<T>(std::numeric_limits<C>::quiet_NaN());
    throw c.fail("division-by-zero", prefix_of(c) + "the mean of no integers");
  }
  if constexpr (std::is_same_v<T, Half>)
    return narrow<T>(reduction == Reduction::maximum ? -65504.0F : 65504.0F);
  else if constexpr (std::is_same_v<T, BFloat16>)
    return narrow<T>(reduction == Reduction::maximum ? -0x1.FEp127F : 0x1.FEp127F);
  else
    return reduction == Reduction::maximum ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max();
}

Tensor reduce_complex(Reduction reduction, const Tensor& input, const Regions& regions) {
  const auto items = as_complex(input);
  std::vector<Complex> out(static_cast<size_t>(volume_of(regions.reduced_shape())));
  regions.each([&](int64_t region, int64_t first) {
    Complex total = reduction == Reduction::product ? 1 : 0;
    for (const int64_t at : regions.offsets()) {
      const Complex& z = items[static_cast<size_t>(first + at)];
      total = reduction == Reduction::product ? total * z : total + z;
    }
    if (reduction == Reduction::mean) total /= static_cast<double>(regions.offsets().size());
    out[static_cast<size_t>(region)] = total;
  });
  return of_complex(regions.reduced_shape(), out, input.dtype());
}

std::vector<Tensor> eval_reduce(EvalContext& c) {
  const Tensor& input = c.inputs.at(0);
  const Reduction reduction = reduction_of(c);
  const Regions regions(input.shape(), c.integers("axes"));
  if (is_complex(input.dtype())) return {reduce_complex(reduction, input, regions)};
  Tensor out = Tensor::uninitialized(input.dtype(), regions.reduced_shape());
  std::vector<double> items(regions.offsets().size());
  dispatch(input.dtype(), [&](auto tag) {
    using T = decltype(tag);
    T* to = out.mutable_data<T>();
    if (items.empty()) {
      for (int64_t i = 0; i < out.size(); ++i) to[i] = empty_value<T>(c, reduction);
      return;
    }
    regions.each([&](int64_t region, int64_t first) {
      const T* from = input.data<T>() + first;
      if constexpr (std::is_floating_point_v<ComputeType<T>>) {
        for (size_t i = 0; i < items.size(); ++i)
          items[i] = static_cast<double>(widen(from[regions.offsets()[i]]));
        to[region] = narrow<T>(static_cast<ComputeType<T>>(reduce_floats(reduction, items)));
      } else if constexpr (!std::is_same_v<T, bool>) {
        to[region] = reduce_integers(reduction, from, regions.offsets());
      }
    });
  });
  return {out};
}

// --- all, any ---

std::vector<Fact> infer_logical_reduce(InferContext& c) {
  require_boolean(c, *c.inputs.at(0), "input");
  return {reduced_fact(c, DataType::boolean)};
}

std::vector<Tensor> eval_logical_reduce(EvalContext& c) {
  const Tensor& input = c.inputs.at(0);
  const bool all = c.signature().name == "all_reduce";
  const Regions regions(input.shape(), c.integers("axes"));
  Tensor out = Tensor::uninitialized(DataType::boolean, regions.reduced_shape());
  bool* to = out.mutable_data<bool>();
  regions.each([&](int64_t region, int64_t first) {
    bool value = all;
    for (const int64_t at : regions.offsets()) {
      const bool item = input.data<bool>()[first + at];
      value = all ? value && item : value || item;
    }
    to[region] = value;
  });
  return {out};
}

// --- argmax, argmin: row-major index over the listed axes; the first NaN wins, as in max_reduce ---

std::vector<Fact> infer_arg_reduce(InferContext& c) {
  const Fact& input = *c.inputs.at(0);
  if (!is_float(input.dtype) && !is_integer(input.dtype) && input.dtype != DataType::boolean) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "items of type " + std::string(name_of(input.dtype)) + " have no order");
  }
  return {reduced_fact(c, DataType::i64)};
}

std::vector<Tensor> eval_arg_reduce(EvalContext& c) {
  const Tensor& input = c.inputs.at(0);
  const std::string& name = c.signature().name;
  const bool largest = name.find("argmax") != std::string::npos,
             last = name.find("_last") != std::string::npos;
  const Regions regions(input.shape(), c.integers("axes"));
  Tensor out = Tensor::zeros(DataType::i64, regions.reduced_shape());
  auto* to = out.mutable_data<int64_t>();
  const auto& offsets = regions.offsets();
  dispatch(input.dtype(), [&](auto tag) {
    using T = decltype(tag);
    regions.each([&](int64_t region, int64_t first) {
      const T* from = input.data<T>() + first;
      size_t best = 0;
      for (size_t i = 1; i < offsets.size(); ++i) {
        const auto v = widen(from[offsets[i]]), reigning = widen(from[offsets[best]]);
        const bool first_nan = v != v && reigning == reigning;
        if ((largest ? v > reigning : v < reigning) || first_nan || (last && v == reigning)) best = i;
      }
      to[region] = static_cast<int64_t>(best);
    });
  });
  return {out};
}

// --- moments, add_n ---

std::vector<Fact> infer_moments(InferContext& c) {
  require_float(c, *c.inputs.at(0), "input");
  const Fact out = reduced_fact(c, c.inputs[0]->dtype);
  return {out, out};
}

std::vector<Tensor> eval_moments(EvalContext& c) {
  const Tensor& input = c.inputs.at(0);
  const Regions regions(input.shape(), c.integers("axes"));
  Tensor mean = Tensor::uninitialized(input.dtype(), regions.reduced_shape());
  Tensor variance = Tensor::uninitialized(input.dtype(), regions.reduced_shape());
  dispatch_float(input.dtype(), [&](auto tag) {
    using T = decltype(tag);
    T *means = mean.mutable_data<T>(), *variances = variance.mutable_data<T>();
    const auto count = static_cast<double>(regions.offsets().size());
    regions.each([&](int64_t region, int64_t first) {
      const T* from = input.data<T>() + first;
      double sum = 0, squares = 0;
      for (const int64_t at : regions.offsets()) sum += static_cast<double>(widen(from[at]));
      for (const int64_t at : regions.offsets()) {
        const double deviation = static_cast<double>(widen(from[at])) - sum / count;
        squares += deviation * deviation;
      }
      means[region] = narrow<T>(static_cast<ComputeType<T>>(sum / count));
      variances[region] = narrow<T>(static_cast<ComputeType<T>>(squares / count));
    });
  });
  return {mean, variance};
}

std::vector<Fact> infer_add_n(InferContext& c) {
  const auto values = c.inputs_of("x");
  if (values.empty()) return {fact_of(DataType::f32, {})};
  require_same_types(c, values);
  require_plain(c, values);
  if (!is_float(values[0]->dtype) && !is_integer(values[0]->dtype) && !is_complex(values[0]->dtype)) {
    throw c.fail("dtype-unsupported", prefix_of(c) + "items of type " +
                                          std::string(name_of(values[0]->dtype)) + " are not summed");
  }
  std::vector<const DimShape*> shapes;
  for (const Fact* fact : values) shapes.push_back(&fact->shape);
  return {fact_of(values[0]->dtype, broadcast_leading("add_n", shapes))};
}

std::vector<Tensor> eval_add_n(EvalContext& c) {
  const auto values = c.inputs_of("x");
  if (values.empty()) return {Tensor::scalar<float>(0)};
  std::vector<const Shape*> shapes;
  for (const Tensor& value : values) shapes.push_back(&value.shape());
  const Shape shape = broadcast_leading("add_n", shapes);
  if (is_complex(values[0].dtype())) {
    std::vector<Complex> sums(static_cast<size_t>(volume_of(shape)));
    for (const Tensor& value : values) {
      const auto items = as_complex(value);
      auto sum = sums.begin();
      for (Odometer<1> o(shape, {broadcast_strides(value.shape(), shape)}); o.more(); o.next())
        *sum++ += items[static_cast<size_t>(o.offset(0))];
    }
    return {of_complex(shape, sums, values[0].dtype())};
  }
  Tensor out = Tensor::uninitialized(values[0].dtype(), shape);
  dispatch(values[0].dtype(), [&](auto tag) {
    using T = decltype(tag);
    using C = ComputeType<T>;
    using Sum = std::conditional_t<std::is_floating_point_v<C>, double, uint64_t>;
    std::vector<Sum> sums(static_cast<size_t>(out.size()), Sum(0));
    for (const Tensor& value : values) {
      auto sum = sums.begin();
      for (Odometer<1> o(shape, {broadcast_strides(value.shape(), shape)}); o.more(); o.next()) {
        *sum++ += static_cast<Sum>(widen(value.data<T>()[o.offset(0)]));
      }
    }
    T* to = out.mutable_data<T>();
    for (const Sum sum : sums) *to++ = narrow<T>(static_cast<C>(sum));
  });
  return {out};
}

constexpr OpDef reduce_row(std::string_view name, TypeSet types) {
  return {.name = name, .infer = infer_reduce, .eval = eval_reduce, .types = types};
}
constexpr OpDef arg_row(std::string_view name, TypeSet types) {
  return {.name = name, .infer = infer_arg_reduce, .eval = eval_arg_reduce, .types = types};
}

constexpr OpDef kRows[] = {
    reduce_row("sum_reduce", kNumbers | kComplex),
    reduce_row("mean_reduce", kNumbers | kComplex),
    reduce_row("max_reduce", kNumbers),
    reduce_row("min_reduce", kNumbers),
    reduce_row("tract_core_product_reduce", kNumbers | kComplex),
    {.name = "all_reduce", .infer = infer_logical_reduce, .eval = eval_logical_reduce, .types = kBool},
    {.name = "any_reduce", .infer = infer_logical_reduce, .eval = eval_logical_reduce, .types = kBool},
    arg_row("argmax_reduce", kPlain),
    arg_row("argmin_reduce", kPlain),
    arg_row("tract_core_argmax_reduce_last", kPlain),
    arg_row("tract_core_argmin_reduce_last", kPlain),
    {.name = "moments", .infer = infer_moments, .eval = eval_moments, .types = kFloats},
    {.name = "add_n", .infer = infer_add_n, .eval = eval_add_n, .types = kNumbers | kComplex},
};

}  // namespace

std::span<const OpDef> reduce_rows() { return kRows; }

}  // namespace nnefrun
