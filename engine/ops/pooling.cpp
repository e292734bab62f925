// Windows over all axes: box, debox, the pools, and sampling by index (nnef-1.0 sections 12.5, 12.6 and 13).
#include <cmath>
#include <limits>

#include "engine/ops/checks.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"
#include "engine/ops/window.h"

namespace nnefrun {
namespace {

constexpr std::initializer_list<Border> kPoolBorders = {Border::constant, Border::replicate, Border::reflect,
                                                        Border::reflect_even, Border::ignore};
// ---- inference ----

// The window of a pool lists every axis, batch and channel included.
std::vector<Dim> read_size(const NodeReader& c, size_t rank) {
  std::vector<Dim> size = c.dims("size");
  if (size.size() != rank) {
    throw c
        .fail("attribute-length", c.signature().name + ": size has " + std::to_string(size.size()) +
                                      " entries, but the input has rank " + std::to_string(rank))
        .note("size lists every axis, also batch and channel: [1, 1, ...]");
  }
  return size;
}

WindowSpec read_pool(const NodeReader& c, size_t rank, const SymbolValues* symbols,
                     std::initializer_list<Border> borders) {
  return read_window(c, read_size(c, rank), symbols, borders);
}

DimShape pooled_shape(const InferContext& c, const Fact& input, std::initializer_list<Border> borders) {
  return down_extents(c, read_pool(c, input.shape.size(), nullptr, borders), input.shape);
}

// Numbers, or codes whose order is that of the reals they stand for.
const Fact& comparable_input(const InferContext& c) {
  const Fact& input = c.input("input");
  if (!is_float(input.dtype) && !is_integer(input.dtype)) {
    throw c.fail("dtype-mismatch", c.signature().name + ": the input must hold numbers")
        .note(describe("input", input));
  }
  return input;
}

Fact same_items(const Fact& input, DimShape shape) {
  Fact out = fact_of(input.dtype, std::move(shape));
  out.quant = input.quant;
  return out;
}

std::vector<Fact> infer_box(InferContext& c) {
  const Fact& input = number_input(c, "input");
  return {fact_of(input.dtype, pooled_shape(c, input, kPoolBorders))};
}

std::vector<Fact> infer_float_pool(InferContext& c) {
  const Fact& input = float_input(c, "input");
  return {fact_of(input.dtype, pooled_shape(c, input, kPoolBorders))};
}

std::vector<Fact> infer_max_pool(InferContext& c) {
  const Fact& input = comparable_input(c);
  return {same_items(input, pooled_shape(c, input, kPoolBorders))};
}

std::vector<Fact> infer_max_pool_with_index(InferContext& c) {
  const Fact& input = comparable_input(c);
  const DimShape shape = pooled_shape(c, input, kPoolBorders);
  return {same_items(input, shape), fact_of(DataType::i64, shape)};
}

std::vector<Fact> infer_argmax_pool(InferContext& c) {
  return {fact_of(DataType::i64, pooled_shape(c, comparable_input(c), kPoolBorders))};
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

DimShape unpooled_shape(const InferContext& c, const Fact& input, std::initializer_list<Border> borders) {
  const size_t rank = input.shape.size();
  return up_extents(c, read_pool(c, rank, nullptr, borders), input.shape, read_output_shape(c, rank));
}

std::vector<Fact> infer_debox(InferContext& c) {
  const Fact& input = number_input(c, "input");
  return {fact_of(input.dtype, unpooled_shape(c, input, kPoolBorders))};
}

void check_index(const InferContext& c, const DimShape& expected) {
  const Fact& index = c.input("index");
  if (!is_integer(index.dtype) || index.quant) {
    throw c.fail("dtype-mismatch", c.signature().name + ": the index must hold integers")
        .note(describe("index", index));
  }
  require_rank(c, "index", index, static_cast<int>(expected.size()), static_cast<int>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    require_equal(c, "extent " + std::to_string(i) + " of the index", index.shape[i], expected[i]);
  }
}

std::vector<Fact> infer_sample(InferContext& c) {
  const Fact& input = c.input("input");
  const DimShape shape = pooled_shape(c, comparable_input(c), kPoolBorders);
  check_index(c, shape);
  return {same_items(input, shape)};
}

std::vector<Fact> infer_desample(InferContext& c) {
  const Fact& input = number_input(c, "input");
  check_index(c, input.shape);
  return {fact_of(input.dtype, unpooled_shape(c, input, {Border::constant}))};
}

// ---- evaluation ----

// A window laid over tensors: `up` is the side that the taps address, `down` has one cell for each window.
struct Pool {
  WindowSpec spec;
  std::vector<WindowAxis> axes;
  Shape up, down;
  std::vector<int64_t> up_strides;

  int64_t volume() const {
    int64_t v = 1;
    for (const WindowAxis& w : axes) v *= w.size;
    return v;
  }
};

Shape known_shape(const NodeReader& c, const DimShape& dims) {
  Shape out = known_integers(c, "the result's shape", dims);
  for (const int64_t extent : out) {
    if (extent < 0)
      throw c.fail("shape-negative", c.signature().name + ": the result would have a negative extent");
  }
  return out;
}

Pool pool_over(const EvalContext& c, const Tensor& input, std::initializer_list<Border> borders) {
  Pool p;
  p.spec = read_pool(c, input.shape().size(), &c.symbols, borders);
  p.up = input.shape();
  p.down = known_shape(c, down_extents(c, p.spec, to_dims(p.up)));
  p.axes = window_axes(c, p.spec, p.up, p.down);
  p.up_strides = strides_of(p.up);
  return p;
}

Pool unpool_over(const EvalContext& c, const Tensor& input, std::initializer_list<Border> borders) {
  Pool p;
  p.spec = read_pool(c, input.shape().size(), &c.symbols, borders);
  p.down = input.shape();
  auto wanted = read_output_shape(c, p.down.size());
  for (Dim& extent : wanted) extent = extent.substitute(c.symbols);
  p.up = known_shape(c, up_extents(c, p.spec, to_dims(p.down), wanted));
  p.axes = window_axes(c, p.spec, p.up, p.down);
  p.up_strides = strides_of(p.up);
  return p;
}

// Calls f(cell, linear) for each cell of `shape`.
template <class F>
void for_each_cell(const Shape& shape, F&& f) {
  for (Odometer<1> o(shape, {strides_of(shape)}); o.more(); o.next()) f(o.index(), o.offset(0));
}

// Sums are exact or in double; integers wrap.
template <class T>
using Sum = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;

template <class T>
T from_sum(Sum<T> sum, int64_t divisor) {
  if constexpr (std::is_integral_v<T>) {
    const T total = static_cast<T>(sum);
    if (divisor == 1 || divisor == 0) return total;
    return static_cast<T>(static_cast<double>(total) / static_cast<double>(divisor));
  } else {
    return narrow<T>(static_cast<ComputeType<T>>(divisor == 1 ? sum : sum / static_cast<double>(divisor)));
  }
}

template <class T, class F>
void sum_windows(const NodeReader& c, const Pool& p, const Tensor& input, bool normalize, F&& transform,
                 T* out) {
  const T* items = input.data<T>();
  for_each_cell(p.down, [&](const std::vector<int64_t>& cell, int64_t linear) {
    Sum<T> sum = 0;
    int64_t count = 0;
    for_each_tap(c, p.spec.border, p.axes, p.up, p.up_strides, cell, [&](int64_t, int64_t offset) {
      ++count;
      if (offset != kOutside) sum += transform(static_cast<Sum<T>>(widen(items[offset])));
    });
    out[linear] = from_sum<T>(sum, normalize ? count : 1);
  });
}

Tensor box(const EvalContext& c, bool normalize) {
  const Tensor& input = c.input("input");
  const Pool p = pool_over(c, input, kPoolBorders);
  Tensor out = Tensor::uninitialized(input.dtype(), p.down);
  dispatch(input.dtype(), [&](auto tag) {
    using T = decltype(tag);
    if constexpr (!std::is_same_v<T, bool>) {
      sum_windows<T>(
          c, p, input, normalize, [](Sum<T> x) { return x; }, out.mutable_data<T>());
    }
  });
  return out;
}

std::vector<Tensor> eval_box(EvalContext& c) { return {box(c, c.logical("normalize"))}; }
std::vector<Tensor> eval_avg_pool(EvalContext& c) { return {box(c, true)}; }

std::vector<Tensor> eval_rms_pool(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Pool p = pool_over(c, input, kPoolBorders);
  Tensor out = Tensor::uninitialized(input.dtype(), p.down);
  dispatch_float(input.dtype(), [&](auto tag) {
    using T = decltype(tag);
    T* items = out.mutable_data<T>();
    sum_windows<T>(
        c, p, input, true, [](double x) { return x * x; }, items);
    for (int64_t i = 0; i < out.size(); ++i) items[i] = narrow<T>(std::sqrt(widen(items[i])));
  });
  return {out};
}

// The finite minimum, which stands for the maximum of nothing (tract-opl 5.2).
template <class T>
ComputeType<T> lowest() {
  if constexpr (std::is_same_v<T, Half>) return -65504.0F;
  if constexpr (std::is_same_v<T, BFloat16>)
    return static_cast<float>(std::bit_cast<BFloat16>(uint16_t{0xFF7F}));
  return std::numeric_limits<ComputeType<T>>::lowest();
}

// The largest value offered, and where it was; the first one wins ties, a NaN wins against nothing but a NaN.
template <class T>
struct Largest {
  ComputeType<T> value = lowest<T>();
  int64_t tap = 0, offset = 0;
  bool any = false;

  void offer(ComputeType<T> v, int64_t at_tap, int64_t at_offset) {
    bool better = !any || v > value;
    if constexpr (std::is_floating_point_v<ComputeType<T>>)
      better = better || (std::isnan(value) && !std::isnan(v));
    if (!better) return;
    value = v;
    tap = at_tap;
    offset = at_offset;
    any = true;
  }
};

// What a constant border holds: 0, which quantised tensors write as their zero point.
int64_t border_code(const Fact& input) { return input.quant ? input.quant->zero_point : 0; }

// `store(linear, largest)` for each window.
template <class T, class F>
void max_windows(const NodeReader& c, const Pool& p, const Tensor& input, Border border, int64_t outside,
                 F&& store) {
  const T* items = input.data<T>();
  for_each_cell(p.down, [&](const std::vector<int64_t>& cell, int64_t linear) {
    Largest<T> largest;
    for_each_tap(c, border, p.axes, p.up, p.up_strides, cell, [&](int64_t tap, int64_t offset) {
      const auto value = offset == kOutside ? static_cast<ComputeType<T>>(outside) : widen(items[offset]);
      largest.offer(value, tap, offset);
    });
    store(linear, largest);
  });
}

enum class IndexKind { position_in_window, position_in_plane };

std::vector<Tensor> max_and_index(const EvalContext& c, IndexKind kind) {
  const Tensor& input = c.input("input");
  const Pool p = pool_over(c, input, kPoolBorders);
  const Border border = kind == IndexKind::position_in_plane ? Border::ignore : p.spec.border;
  int64_t plane = 1;
  for (size_t i = 2; i < p.up.size(); ++i) plane *= p.up[i];
  Tensor out = Tensor::uninitialized(input.dtype(), p.down);
  Tensor index = Tensor::uninitialized(DataType::i64, p.down);
  int64_t* positions = index.mutable_data<int64_t>();
  dispatch(input.dtype(), [&](auto tag) {
    using T = decltype(tag);
    T* items = out.mutable_data<T>();
    max_windows<T>(
        c, p, input, border, border_code(c.input_fact("input")), [&](int64_t i, const Largest<T>& largest) {
          items[i] = narrow<T>(largest.value);
          positions[i] = kind == IndexKind::position_in_window ? largest.tap : largest.offset % plane;
        });
  });
  return {out, index};
}

std::vector<Tensor> eval_max_pool(EvalContext& c) {
  return {max_and_index(c, IndexKind::position_in_window)[0]};
}
std::vector<Tensor> eval_max_pool_with_index(EvalContext& c) {
  return max_and_index(c, IndexKind::position_in_window);
}
std::vector<Tensor> eval_argmax_pool(EvalContext& c) {
  return {max_and_index(c, IndexKind::position_in_window)[1]};
}
std::vector<Tensor> eval_max_pool_with_plane_index(EvalContext& c) {
  return max_and_index(c, IndexKind::position_in_plane);
}

std::vector<Tensor> eval_debox(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Pool p = unpool_over(c, input, kPoolBorders);
  const bool normalize = c.logical("normalize");
  const auto down_strides = strides_of(p.down);
  Shape sizes;
  for (const WindowAxis& w : p.axes) sizes.push_back(w.size);
  Tensor out = Tensor::uninitialized(input.dtype(), p.up);
  dispatch(input.dtype(), [&](auto tag) {
    using T = decltype(tag);
    if constexpr (!std::is_same_v<T, bool>) {
      const T* items = input.data<T>();
      T* results = out.mutable_data<T>();
      // Gathered: cell `o` sums the inputs i of all taps j with i * stride + j * dilation - before = o.
      for_each_cell(p.up, [&](const std::vector<int64_t>& cell, int64_t linear) {
        Sum<T> sum = 0;
        for (Odometer<1> tap(sizes, {strides_of(sizes)}); tap.more(); tap.next()) {
          int64_t offset = 0;
          for (size_t axis = 0; axis < sizes.size() && offset != kOutside; ++axis) {
            const WindowAxis& w = p.axes[axis];
            const int64_t distance = cell[axis] + w.before - tap.index()[axis] * w.dilation;
            const int64_t index = distance % w.stride == 0
                                      ? border_index(c, p.spec.border, distance / w.stride, p.down[axis])
                                      : kOutside;
            offset = index == kOutside ? kOutside : offset + index * down_strides[axis];
          }
          if (offset != kOutside) sum += static_cast<Sum<T>>(widen(items[offset]));
        }
        results[linear] = from_sum<T>(sum, normalize ? p.volume() : 1);
      });
    }
  });
  return {out};
}

// The tap that an index names; Error[index-out-of-range] else.
int64_t checked_tap(const NodeReader& c, const Tensor& index, int64_t i, int64_t volume) {
  const int64_t tap = index.as_int(i);
  if (tap < 0 || tap >= volume) {
    throw c.fail("index-out-of-range", c.signature().name + ": index " + std::to_string(tap) +
                                           " is not a position in a window of " + std::to_string(volume) +
                                           " cells");
  }
  return tap;
}

void check_index_shape(const NodeReader& c, const Tensor& index, const Shape& expected) {
  if (index.shape() == expected) return;
  throw c.fail("shape-mismatch", c.signature().name + ": the index has shape " + to_string(index.shape()) +
                                     ", expected " + to_string(expected));
}

// Offset in the up-scaled tensor that tap `tap` of `cell` addresses, or kOutside.
int64_t tap_offset(const NodeReader& c, const Pool& p, const std::vector<int64_t>& cell, int64_t tap) {
  int64_t offset = 0;
  for (size_t axis = p.axes.size(); axis-- > 0;) {
    const int64_t j = tap % p.axes[axis].size;
    tap /= p.axes[axis].size;
    const int64_t index = border_index(c, p.spec.border, p.axes[axis].position(cell[axis], j), p.up[axis]);
    if (index == kOutside) return kOutside;
    offset += index * p.up_strides[axis];
  }
  return offset;
}

std::vector<Tensor> eval_sample(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Tensor& index = c.input("index");
  const Pool p = pool_over(c, input, kPoolBorders);
  check_index_shape(c, index, p.down);
  const int64_t volume = p.volume();
  Tensor out = Tensor::uninitialized(input.dtype(), p.down);
  const int64_t outside = border_code(c.input_fact("input"));
  dispatch(input.dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* items = input.data<T>();
    T* results = out.mutable_data<T>();
    for_each_cell(p.down, [&](const std::vector<int64_t>& cell, int64_t i) {
      const int64_t tap = checked_tap(c, index, i, volume);
      const int64_t offset = tap_offset(c, p, cell, tap);
      if (offset == kOutside && p.spec.border == Border::ignore) {
        throw c.fail("index-out-of-range",
                     c.signature().name + ": index " + std::to_string(tap) +
                         " names a cell outside of the input, which the border ignores");
      }
      results[i] = offset == kOutside ? narrow<T>(static_cast<ComputeType<T>>(outside)) : items[offset];
    });
  });
  return {out};
}

std::vector<Tensor> eval_desample(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Tensor& index = c.input("index");
  const Pool p = unpool_over(c, input, {Border::constant});
  check_index_shape(c, index, p.down);
  const int64_t volume = p.volume();
  Tensor out = Tensor::uninitialized(input.dtype(), p.up);
  dispatch(input.dtype(), [&](auto tag) {
    using T = decltype(tag);
    if constexpr (!std::is_same_v<T, bool>) {
      const T* items = input.data<T>();
      std::vector<Sum<T>> sums(static_cast<size_t>(out.size()), Sum<T>{0});
      for_each_cell(p.down, [&](const std::vector<int64_t>& cell, int64_t i) {
        const int64_t offset = tap_offset(c, p, cell, checked_tap(c, index, i, volume));
        if (offset != kOutside) sums[static_cast<size_t>(offset)] += static_cast<Sum<T>>(widen(items[i]));
      });
      T* results = out.mutable_data<T>();
      for (size_t i = 0; i < sums.size(); ++i) results[i] = from_sum<T>(sums[i], 1);
    }
  });
  return {out};
}

constexpr OpDef kRows[] = {
    {.name = "box", .infer = infer_box, .eval = eval_box, .types = kNumbers},
    {.name = "debox", .infer = infer_debox, .eval = eval_debox, .types = kNumbers},
    {.name = "argmax_pool", .infer = infer_argmax_pool, .eval = eval_argmax_pool, .types = kNumbers},
    {.name = "sample", .infer = infer_sample, .eval = eval_sample, .types = kNumbers},
    {.name = "desample", .infer = infer_desample, .eval = eval_desample, .types = kNumbers},
    {.name = "max_pool", .infer = infer_max_pool, .eval = eval_max_pool, .types = kNumbers},
    {.name = "max_pool_with_index",
     .infer = infer_max_pool_with_index,
     .eval = eval_max_pool_with_index,
     .types = kNumbers},
    {.name = "nnefrun_max_pool_with_plane_index",
     .infer = infer_max_pool_with_index,
     .eval = eval_max_pool_with_plane_index,
     .types = kNumbers},
    {.name = "avg_pool", .infer = infer_float_pool, .eval = eval_avg_pool, .types = kFloats},
    {.name = "rms_pool", .infer = infer_float_pool, .eval = eval_rms_pool, .types = kFloats},
};

}  // namespace

std::span<const OpDef> pooling_rows() { return kRows; }

}  // namespace nnefrun
