// Rows that take some of the items, or repeat them: slices, downsampling, padding, tiling, triangles, ranges.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/ops/items.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// --- nnefrun_slice: begin + k * stride along each listed axis ---

struct SliceAxis {
  int64_t axis = 0, stride = 1;
  Dim begin, length;
};

std::vector<SliceAxis> slice_axes(const NodeReader& c, int rank) {
  const auto axes = checked_axes(c, c.integers("axes"), rank);
  const auto begin = c.dims("begin"), length = c.dims("length");
  auto stride = c.integers("stride");
  if (stride.empty()) stride.assign(axes.size(), 1);
  if (begin.size() != axes.size() || length.size() != axes.size() || stride.size() != axes.size()) {
    throw c.fail("attribute-length", prefix_of(c) + std::to_string(axes.size()) + " axes come with " +
                                         std::to_string(begin.size()) + " begins, " +
                                         std::to_string(length.size()) + " lengths and " +
                                         std::to_string(stride.size()) + " strides");
  }
  std::vector<SliceAxis> out;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (stride[i] == 0)
      throw c.fail("attribute-range",
                   prefix_of(c) + "the stride of axis " + std::to_string(axes[i]) + " is 0");
    out.push_back({axes[i], stride[i], begin[i], length[i]});
  }
  return out;
}

Tensor sliced(const NodeReader& c, const Tensor& input, const std::vector<SliceAxis>& axes,
              const SymbolValues& symbols) {
  Shape shape = input.shape();
  auto strides = strides_of(input.shape());
  int64_t offset = 0;
  // When the result is empty nothing is read, wherever the slices lie.
  for (const SliceAxis& s : axes) shape[static_cast<size_t>(s.axis)] = s.length.evaluate(symbols).value_or(1);
  const bool reads_nothing =
      std::any_of(shape.begin(), shape.end(), [](int64_t extent) { return extent == 0; });
  for (const SliceAxis& s : axes) {
    const auto axis = static_cast<size_t>(s.axis);
    const auto begin = s.begin.evaluate(symbols), length = s.length.evaluate(symbols);
    if (!begin || !length) {
      throw c.fail("symbol-unknown", prefix_of(c) + "begin " + s.begin.to_string() + " and length " +
                                         s.length.to_string() + " of axis " + std::to_string(axis) +
                                         " are not known");
    }
    const int64_t extent = input.shape()[axis];
    int64_t last = 0;
    const bool overflow =
        __builtin_mul_overflow(*length - 1, s.stride, &last) || __builtin_add_overflow(last, *begin, &last);
    if (*length < 0 || overflow ||
        (*length > 0 && !reads_nothing && (*begin < 0 || *begin >= extent || last < 0 || last >= extent))) {
      throw c.fail("slice-out-of-range", prefix_of(c) + std::to_string(*length) + " cells from " +
                                             std::to_string(*begin) + " in steps of " +
                                             std::to_string(s.stride) + " leave axis " +
                                             std::to_string(axis) + " of extent " + std::to_string(extent));
    }
    shape[axis] = *length;
    if (*length > 0) offset += *begin * strides[axis];
    strides[axis] *= *length > 0 ? s.stride : 0;
  }
  return take_strided(input, shape, volume_of(shape) == 0 ? 0 : offset, strides);
}

std::vector<Fact> infer_slice(InferContext& c) {
  const Fact& input = c.input("input");
  const auto axes = slice_axes(c, input.rank());
  Fact out = moved_fact(input);
  for (const SliceAxis& s : axes) {
    Dim& extent = out.shape[static_cast<size_t>(s.axis)];
    const Dim last = s.begin + (s.length - 1) * Dim(s.stride);
    const auto negative = [](const Dim& d) { return d.is_constant() && d.value() < 0; };
    const bool some = !s.length.is_constant() || s.length.value() > 0;
    if (negative(s.length) || (some && s.length.is_constant() &&
                               (negative(s.begin) || negative(last) || negative(extent - 1 - s.begin) ||
                                negative(extent - 1 - last)))) {
      throw c.fail("slice-out-of-range", prefix_of(c) + s.length.to_string() + " cells from " +
                                             s.begin.to_string() + " in steps of " +
                                             std::to_string(s.stride) + " leave axis " +
                                             std::to_string(s.axis) + " of extent " + extent.to_string());
    }
    extent = s.length;
  }
  move_known_dims(out, {&input}, [&](const std::vector<Tensor>& in) { return sliced(c, in[0], axes, {}); });
  return {out};
}

std::vector<Tensor> eval_slice(EvalContext& c) {
  const Tensor input = dequantized(c.input("input"));
  return {sliced(c, input, slice_axes(c, input.rank()), c.symbols)};
}

// --- tract_core_dyn_slice: bounds that are computed ---

std::vector<Fact> infer_dyn_slice(InferContext& c) {
  const Fact &input = c.input("input"), &start = c.input("start"), &end = c.input("end");
  require_integer(c, start, "start");
  require_integer(c, end, "end");
  const auto axis = static_cast<size_t>(checked_axis(c, c.integer("axis"), input.rank()));
  Fact out = moved_fact(input);
  const auto from = known_dims(start), to = known_dims(end);
  const bool known = from && to && from->size() == 1 && to->size() == 1;
  if (c.given("len")) {
    out.shape[axis] = c.dim("len");
    if (known && !agreed_extent(out.shape[axis], (*to)[0] - (*from)[0])) {
      throw c.fail("shape-mismatch", prefix_of(c) + "len is " + out.shape[axis].to_string() +
                                         ", but the bounds are " + (*from)[0].to_string() + " and " +
                                         (*to)[0].to_string());
    }
  } else {
    out.shape[axis] = known ? (*to)[0] - (*from)[0] : c.fresh_extent("slice");
  }
  if (known) {
    const std::vector<SliceAxis> axes{{static_cast<int64_t>(axis), 1, (*from)[0], out.shape[axis]}};
    move_known_dims(out, {&input}, [&](const std::vector<Tensor>& in) { return sliced(c, in[0], axes, {}); });
  }
  return {out};
}

std::vector<Tensor> eval_dyn_slice(EvalContext& c) {
  const Tensor input = dequantized(c.input("input"));
  const int64_t axis = c.integer("axis");
  const int64_t start = single_integer(c, c.input("start"), "start"),
                end = single_integer(c, c.input("end"), "end");
  const int64_t extent = input.shape()[static_cast<size_t>(axis)];
  if (start < 0 || start > end || end > extent) {
    throw c.fail("slice-out-of-range", prefix_of(c) + "the cells from " + std::to_string(start) + " to " +
                                           std::to_string(end) + " leave axis " + std::to_string(axis) +
                                           " of extent " + std::to_string(extent));
  }
  const auto length = c.output_fact().shape[static_cast<size_t>(axis)].evaluate(c.symbols);
  if (length && *length != end - start) {
    throw c.fail("shape-mismatch", prefix_of(c) + "len is " + std::to_string(*length) +
                                       ", but the bounds are " + std::to_string(start) + " and " +
                                       std::to_string(end));
  }
  return {sliced(c, input, {{axis, 1, Dim(start), Dim(end - start)}}, {})};
}

// --- tract_core_downsample ---

struct Downsample {
  size_t axis = 0;
  int64_t stride = 1, modulo = 0;
};

Downsample downsample_of(const NodeReader& c, int rank) {
  Downsample d{static_cast<size_t>(checked_axis(c, c.integer("axis"), rank)), c.integer("stride"),
               c.integer("modulo")};
  if (d.stride == 0 || d.stride == INT64_MIN)
    throw c.fail("attribute-range", prefix_of(c) + "`stride` is " + std::to_string(d.stride));
  if (d.modulo < 0) throw c.fail("attribute-range", prefix_of(c) + "`modulo` is negative");
  return d;
}

Tensor downsampled(const NodeReader& c, const Tensor& input, const Downsample& d) {
  const int64_t left = std::max<int64_t>(0, input.shape()[d.axis] - d.modulo), step = std::abs(d.stride);
  const int64_t length = left / step + (left % step != 0 ? 1 : 0);
  const int64_t begin = d.stride > 0 ? d.modulo : input.shape()[d.axis] - 1;
  return sliced(c, input, {{static_cast<int64_t>(d.axis), d.stride, Dim(begin), Dim(length)}}, {});
}

std::vector<Fact> infer_downsample(InferContext& c) {
  const Fact& input = c.input("input");
  const Downsample d = downsample_of(c, input.rank());
  Fact out = moved_fact(input);
  Dim& extent = out.shape[d.axis];
  const Dim left = extent - Dim(d.modulo);
  extent = Dim::ceil_div(left.is_at_least(0) ? left : Dim::max(left, 0), std::abs(d.stride));
  move_known_dims(out, {&input}, [&](const std::vector<Tensor>& in) { return downsampled(c, in[0], d); });
  return {out};
}

std::vector<Tensor> eval_downsample(EvalContext& c) {
  const Tensor input = dequantized(c.input("input"));
  return {downsampled(c, input, downsample_of(c, input.rank()))};
}

// --- pad ---

enum class Border : uint8_t { constant, replicate, reflect, reflect_even };

Border border_of(const NodeReader& c) {
  const std::string& border = c.string("border");
  if (border == "constant") return Border::constant;
  if (border == "replicate") return Border::replicate;
  if (border == "reflect") return Border::reflect;
  if (border == "reflect-even") return Border::reflect_even;
  throw c.fail("attribute-value", prefix_of(c) + "border '" + border +
                                      "' is unknown; constant, replicate, reflect and "
                                      "reflect-even are known");
}

// Cells beyond the edge that a border can give for an axis of this extent.
int64_t reach_of(Border border, int64_t extent) {
  if (border == Border::reflect) return std::max<int64_t>(extent - 1, 0);
  if (border == Border::reflect_even || extent == 0) return border == Border::constant ? INT64_MAX : extent;
  return INT64_MAX;
}

void check_padding(const NodeReader& c, Border border, int64_t extent, int64_t before, int64_t after,
                   size_t axis) {
  int64_t result = 0;
  if (__builtin_add_overflow(extent, before, &result) || __builtin_add_overflow(result, after, &result) ||
      result < 0) {
    throw c.fail("shape-negative", prefix_of(c) + "padding (" + std::to_string(before) + ", " +
                                       std::to_string(after) + ") of axis " + std::to_string(axis) +
                                       " leaves no valid extent from " + std::to_string(extent));
  }
  const int64_t reach = reach_of(border, extent);
  if (before > reach || after > reach) {
    throw c.fail("border-domain", prefix_of(c) + "padding (" + std::to_string(before) + ", " +
                                      std::to_string(after) + ") reaches further than the extent " +
                                      std::to_string(extent) + " of axis " + std::to_string(axis) +
                                      " allows for border '" + c.string("border") + "'");
  }
}

std::vector<Fact> infer_pad(InferContext& c) {
  const Fact& input = c.input("input");
  const auto padding = c.dim_pairs("padding");
  const Border border = border_of(c);
  if (static_cast<int>(padding.size()) != input.rank()) {
    throw c.fail("attribute-length", prefix_of(c) + "padding has " + std::to_string(padding.size()) +
                                         " pairs, but the input has rank " + std::to_string(input.rank()));
  }
  Fact out = moved_fact(input);
  if (out.dtype == DataType::string)
    throw c.fail("dtype-unsupported", prefix_of(c) + "strings are not padded");
  c.scalar("value");
  for (size_t axis = 0; axis < padding.size(); ++axis) {
    const auto& [before, after] = padding[axis];
    Dim& extent = out.shape[axis];
    if (extent.is_constant() && before.is_constant() && after.is_constant()) {
      check_padding(c, border, extent.value(), before.value(), after.value(), axis);
    }
    extent = before + extent + after;
  }
  return {out};
}

// Where the cell i of the padded axis comes from; -1 for the constant.
int64_t padded_source(Border border, int64_t i, int64_t extent) {
  if (i >= 0 && i < extent) return i;
  switch (border) {
    case Border::constant: return -1;
    case Border::replicate: return i < 0 ? 0 : extent - 1;
    case Border::reflect: return i < 0 ? -i : 2 * (extent - 1) - i;
    default: return i < 0 ? -i - 1 : 2 * extent - 1 - i;
  }
}

std::vector<Tensor> eval_pad(EvalContext& c) {
  const Tensor input = dequantized(c.input("input"));
  const auto padding = c.pairs("padding");
  const Border border = border_of(c);
  std::vector<std::vector<int64_t>> maps(padding.size());
  for (size_t axis = 0; axis < padding.size(); ++axis) {
    const auto [before, after] = padding[axis];
    const int64_t extent = input.shape()[axis];
    check_padding(c, border, extent, before, after, axis);
    for (int64_t i = -before; i < extent + after; ++i) maps[axis].push_back(padded_source(border, i, extent));
  }
  const Tensor fill = item_of(c.scalar("value"), input.dtype(), c.output_fact().quant);
  return {take_axes(input, maps, &fill)};
}

// --- tile ---

Tensor tiled(const Tensor& input, const std::vector<int64_t>& repeats) {
  std::vector<std::vector<int64_t>> maps(repeats.size());
  for (size_t axis = 0; axis < repeats.size(); ++axis) {
    for (int64_t r = 0; r < repeats[axis]; ++r) {
      for (int64_t i = 0; i < input.shape()[axis]; ++i) maps[axis].push_back(i);
    }
  }
  return take_axes(input, maps);
}

std::vector<Fact> infer_tile(InferContext& c) {
  const Fact& input = c.input("input");
  const auto repeats = c.dims("repeats");
  if (static_cast<int>(repeats.size()) != input.rank()) {
    throw c.fail("attribute-length", prefix_of(c) + "there are " + std::to_string(repeats.size()) +
                                         " repeats, but the input has rank " + std::to_string(input.rank()));
  }
  Fact out = moved_fact(input);
  std::vector<int64_t> values;
  for (size_t axis = 0; axis < repeats.size(); ++axis) {
    if (repeats[axis].is_constant() && repeats[axis].value() < 1) {
      throw c.fail("attribute-range", prefix_of(c) + "axis " + std::to_string(axis) + " is repeated " +
                                          repeats[axis].to_string() + " times, but 1 or more is expected");
    }
    out.shape[axis] = out.shape[axis] * repeats[axis];
    if (repeats[axis].is_constant()) values.push_back(repeats[axis].value());
  }
  const auto shape = out.static_shape();
  if (shape && values.size() == repeats.size() && volume_of(*shape) <= kMaxKnownItems) {
    move_known_dims(out, {&input}, [&](const std::vector<Tensor>& in) { return tiled(in[0], values); });
  }
  return {out};
}

void check_tiled(const NodeReader& c, const Tensor& input, const std::vector<int64_t>& repeats) {
  Shape shape = input.shape();
  for (size_t axis = 0; axis < repeats.size(); ++axis) {
    if (repeats[axis] < 0 || __builtin_mul_overflow(shape[axis], repeats[axis], &shape[axis])) {
      throw c.fail("shape-negative", prefix_of(c) + "axis " + std::to_string(axis) + " is repeated " +
                                         std::to_string(repeats[axis]) + " times");
    }
  }
  byte_size_of(input.dtype(), shape);  // throws when it cannot be held
}

std::vector<Tensor> eval_tile(EvalContext& c) {
  const Tensor input = dequantized(c.input("input"));
  const auto repeats = c.integers("repeats");
  check_tiled(c, input, repeats);
  return {tiled(input, repeats)};
}

// `repeats` computed at run time.
std::vector<Fact> infer_dyn_tile(InferContext& c) {
  const Fact &input = c.input("input"), &repeats = c.input("repeats");
  require_integer(c, repeats, "repeats");
  if (repeats.rank() != 1 || !agreed_extent(repeats.shape[0], Dim(input.rank()))) {
    throw c.fail("shape-mismatch", prefix_of(c) + "`repeats` has shape " + to_string(repeats.shape) +
                                       ", but the input has rank " + std::to_string(input.rank()));
  }
  Fact out = moved_fact(input);
  const auto known = known_dims(repeats);
  for (size_t axis = 0; axis < out.shape.size(); ++axis) {
    const bool unit = input.shape[axis].is(1);
    if (known)
      out.shape[axis] = out.shape[axis] * (*known)[axis];
    else
      out.shape[axis] = unit ? c.fresh_extent("tile") : input.shape[axis] * c.fresh_extent("tile");
  }
  return {out};
}

std::vector<Tensor> eval_dyn_tile(EvalContext& c) {
  const Tensor input = dequantized(c.input("input"));
  const Tensor& repeats = c.input("repeats");
  std::vector<int64_t> values;
  for (int64_t i = 0; i < repeats.size(); ++i) values.push_back(repeats.as_int(i));
  if (static_cast<int>(values.size()) != input.rank()) {
    throw c.fail("shape-mismatch", prefix_of(c) + std::to_string(values.size()) + " repeats for rank " +
                                       std::to_string(input.rank()));
  }
  check_tiled(c, input, values);
  return {tiled(input, values)};
}

// --- tract_core_trilu ---

std::vector<Fact> infer_trilu(InferContext& c) {
  const Fact &input = c.input("input"), &k = c.input("k");
  require_integer(c, k, "k");
  if (input.rank() < 2) {
    throw c.fail("shape-mismatch", prefix_of(c) + "the input has shape " + to_string(input.shape) +
                                       ", but rank 2 or more is expected");
  }
  Fact out = moved_fact(input);
  if (out.dtype == DataType::string) throw c.fail("dtype-unsupported", prefix_of(c) + "strings have no zero");
  c.logical("upper");
  return {out};
}

std::vector<Tensor> eval_trilu(EvalContext& c) {
  Tensor out = dequantized(c.input("input"));
  const int64_t k = single_integer(c, c.input("k"), "k");
  const bool upper = c.logical("upper");
  const int64_t columns = out.shape().back(), rows = out.shape()[out.shape().size() - 2];
  const size_t size = item_size(out.dtype());
  const Tensor zero = is_complex(out.dtype()) ? Tensor::zeros(out.dtype(), {})
                                              : item_of(0, out.dtype(), c.output_fact().quant);
  std::byte* at = out.mutable_bytes();
  for (int64_t i = 0; i < out.size(); ++i, at += size) {
    const int64_t column = i % columns, row = i / columns % rows;
    const int64_t distance = column - row;
    if (upper ? distance < k : distance > k) std::memcpy(at, zero.bytes(), size);
  }
  return {out};
}

// --- tract_core_range ---

std::vector<Fact> infer_range(InferContext& c) {
  const std::vector<const Fact*> ends{&c.input("start"), &c.input("end"), &c.input("step")};
  require_same_types(c, ends);
  require_plain(c, ends);
  for (const Fact* fact : ends) {
    if (!is_integer(fact->dtype) && !is_float(fact->dtype)) {
      throw c.fail("dtype-unsupported", prefix_of(c) + "a range of " + std::string(name_of(fact->dtype)) +
                                            " items makes no sense");
    }
    if (const auto shape = fact->static_shape(); shape && volume_of(*shape) != 1) {
      throw c.fail("shape-mismatch", prefix_of(c) + "start, end and step are single numbers, not of shape " +
                                         to_string(fact->shape));
    }
  }
  const auto start = known_dims(*ends[0]), end = known_dims(*ends[1]), step = known_dims(*ends[2]);
  Fact out = fact_of(ends[0]->dtype, {Dim(0)});
  if (!start || !end || !step || !(*step)[0].is_constant()) {
    out.shape[0] = c.fresh_extent("range");
    return {out};
  }
  const int64_t stride = (*step)[0].value();
  if (stride == 0) throw c.fail("attribute-range", prefix_of(c) + "the step is 0");
  const Dim& first = (*start)[0];
  const Dim count = Dim::ceil_div((*end)[0] - first, stride);
  out.shape[0] = count.is_constant() ? Dim(std::max<int64_t>(count.value(), 0)) : count;
  if (out.is_static() && out.shape[0].value() <= kMaxKnownItems) {
    std::vector<Dim> values;
    for (int64_t i = 0; i < out.shape[0].value(); ++i) values.push_back(first + Dim(i) * (*step)[0]);
    set_known_dims(out, std::move(values));
  }
  return {out};
}

int64_t integer_count(__int128 start, __int128 end, __int128 step) {
  const __int128 distance = step > 0 ? end - start : start - end, stride = step > 0 ? step : -step;
  if (distance <= 0) return 0;
  const __int128 count = (distance + stride - 1) / stride;
  return count > INT64_MAX ? INT64_MAX : static_cast<int64_t>(count);
}

std::vector<Tensor> eval_range(EvalContext& c) {
  const Tensor &start = c.input("start"), &end = c.input("end"), &step = c.input("step");
  for (const Tensor* t : {&start, &end, &step}) {
    if (t->size() != 1)
      throw c.fail("shape-mismatch", prefix_of(c) + "start, end and step are single numbers");
  }
  if (step.as_double(0) == 0) throw c.fail("attribute-range", prefix_of(c) + "the step is 0");
  Tensor out;
  dispatch(start.dtype(), [&](auto tag) {
    using T = decltype(tag);
    using C = ComputeType<T>;
    C value = widen(*start.data<T>());
    const C stop = widen(*end.data<T>()), stride = widen(*step.data<T>());
    int64_t count = 0;
    if constexpr (std::is_floating_point_v<C>) {
      const double cells =
          std::ceil((static_cast<double>(stop) - static_cast<double>(value)) / static_cast<double>(stride));
      if (!std::isfinite(cells))
        throw c.fail("shape-negative", prefix_of(c) + "the number of steps is not finite");
      count = cells < 0 ? 0 : cells > 0x1p62 ? INT64_MAX : static_cast<int64_t>(cells);
    } else {
      count = integer_count(value, stop, stride);
    }
    out = Tensor::uninitialized(start.dtype(), {count});
    T* items = out.mutable_data<T>();
    for (int64_t i = 0; i < count; ++i) {  // by repeated addition, as tract does
      items[i] = narrow<T>(value);
      if constexpr (std::is_same_v<C, bool>)
        break;
      else if constexpr (std::is_integral_v<C>)
        value = static_cast<C>(static_cast<uint64_t>(value) + static_cast<uint64_t>(stride));
      else
        value = widen(narrow<T>(value + stride));
    }
  });
  return {out};
}

constexpr OpDef kRows[] = {
    {.name = "nnefrun_slice", .infer = infer_slice, .eval = eval_slice, .types = kItems},
    {.name = "tract_core_dyn_slice", .infer = infer_dyn_slice, .eval = eval_dyn_slice, .types = kItems},
    {.name = "tract_core_downsample", .infer = infer_downsample, .eval = eval_downsample, .types = kItems},
    {.name = "pad", .infer = infer_pad, .eval = eval_pad, .types = kPlain | kComplex},
    {.name = "tile", .infer = infer_tile, .eval = eval_tile, .types = kItems},
    {.name = "nnefrun_dyn_tile", .infer = infer_dyn_tile, .eval = eval_dyn_tile, .types = kItems},
    {.name = "tract_core_trilu", .infer = infer_trilu, .eval = eval_trilu, .types = kPlain | kComplex},
    {.name = "tract_core_range", .infer = infer_range, .eval = eval_range, .types = kNumbers},
};

}  // namespace

std::span<const OpDef> slice_rows() { return kRows; }

}  // namespace nnefrun
