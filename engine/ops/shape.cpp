// Rows that give the same items another shape or order: reshape, transpose, concat, split, stack, copies,
// broadcasts.
#include <algorithm>
#include <numeric>

#include "engine/ops/items.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// A fact of the same items under another shape.
Fact reshaped_fact(const Fact& input, DimShape shape) {
  Fact out = fact_of(input.dtype, std::move(shape));
  out.quant = input.quant;
  if (const auto dims = known_dims(input); dims && out.is_static()) set_known_dims(out, *dims);
  const auto extents = out.static_shape();
  if (input.constant && extents && volume_of(*extents) == input.constant->size()) {
    out.constant = std::make_shared<const Tensor>(input.constant->reshaped(*extents));
  }
  return out;
}

std::vector<Tensor> eval_reshaped(EvalContext& c) {
  const Tensor& input = c.inputs.at(0);
  const Shape shape = c.output_shape();
  if (volume_of(shape) != input.size()) {
    throw c.fail("shape-mismatch", prefix_of(c) + "the input has shape " + to_string(input.shape()) +
                                       ", which does not fill the shape " + to_string(shape));
  }
  return {input.reshaped(shape)};
}

// --- reshape, squeeze, unsqueeze ---

std::vector<Fact> infer_reshape(InferContext& c) {
  const Fact& input = c.input("input");
  const auto wanted = c.dims("shape");
  const int64_t rank = input.rank(), start = c.integer("axis_start"), given = c.integer("axis_count");
  if (start < 0 || start > rank) {
    throw c.fail("axis-out-of-range", prefix_of(c) + "axis_start = " + std::to_string(start) +
                                          " is out of range for rank " + std::to_string(rank));
  }
  if (given < -1 || (given > 0 && given > rank - start)) {
    throw c.fail("axis-out-of-range", prefix_of(c) + "axis_count = " + std::to_string(given) + " from axis " +
                                          std::to_string(start) + " leaves rank " + std::to_string(rank));
  }
  const int64_t count = given < 0 ? rank - start : given;
  const DimShape replaced(input.shape.begin() + start, input.shape.begin() + start + count);
  DimShape part;
  std::optional<size_t> open;
  for (size_t k = 0; k < wanted.size(); ++k) {
    if (wanted[k].is(-1)) {
      if (open) throw c.fail("reshape", prefix_of(c) + "shape " + to_string(wanted) + " holds -1 twice");
      open = k;
      part.emplace_back(1);
    } else if (wanted[k].is(0)) {
      if (static_cast<int64_t>(k) >= count) {
        throw c.fail("reshape", prefix_of(c) + "item " + std::to_string(k) +
                                    " of the shape is 0, but there is no input axis to copy");
      }
      part.push_back(replaced[k]);
    } else if (wanted[k].is_constant() && wanted[k].value() < 0) {
      throw c.fail("shape-negative",
                   prefix_of(c) + "shape " + to_string(wanted) + " holds a negative extent");
    } else {
      part.push_back(wanted[k]);
    }
  }
  const Dim before = volume_of(replaced);
  const Dim after = volume_of(part);
  const std::string what = prefix_of(c) + "the input extents " + to_string(replaced) +
                           " do not fill the shape " + to_string(wanted);
  if (open) {
    if (after.is(0)) throw c.fail("reshape", what + ": -1 is not determined beside an extent of 0");
    if (const auto exact = Dim::exact_div(before, after))
      part[*open] = *exact;
    else if (before.is_constant() && after.is_constant())
      throw c.fail("shape-mismatch", what);
    else
      part[*open] = Dim::floor_div(before, after);
  } else if (!agreed_extent(before, after)) {
    throw c.fail("shape-mismatch", what).note("the input has shape " + to_string(input.shape));
  }
  DimShape shape(input.shape.begin(), input.shape.begin() + start);
  shape.insert(shape.end(), part.begin(), part.end());
  shape.insert(shape.end(), input.shape.begin() + start + count, input.shape.end());
  return {reshaped_fact(input, std::move(shape))};
}

std::vector<Fact> infer_squeeze(InferContext& c) {
  const Fact& input = c.input("input");
  const auto axes = checked_axes(c, c.integers("axes"), input.rank());
  DimShape shape;
  for (int64_t axis = 0; axis < input.rank(); ++axis) {
    const Dim& extent = input.shape[static_cast<size_t>(axis)];
    if (std::find(axes.begin(), axes.end(), axis) == axes.end()) {
      shape.push_back(extent);
    } else if (!agreed_extent(extent, 1)) {
      throw c
          .fail("shape-mismatch", prefix_of(c) + "axis " + std::to_string(axis) + " has extent " +
                                      extent.to_string() + ", but only an extent of 1 can be dropped")
          .note("the input has shape " + to_string(input.shape));
    }
  }
  return {reshaped_fact(input, std::move(shape))};
}

std::vector<Fact> infer_unsqueeze(InferContext& c) {
  const Fact& input = c.input("input");
  const auto listed = c.integers("axes");
  const auto axes = checked_axes(c, listed, input.rank() + static_cast<int64_t>(listed.size()));
  DimShape shape;
  size_t next = 0;
  for (int64_t axis = 0; axis < input.rank() + static_cast<int64_t>(axes.size()); ++axis) {
    const bool fresh = std::find(axes.begin(), axes.end(), axis) != axes.end();
    shape.push_back(fresh ? Dim(1) : input.shape[next++]);
  }
  return {reshaped_fact(input, std::move(shape))};
}

// --- transpose ---

Tensor transposed(const Tensor& input, const std::vector<int64_t>& axes) {
  const auto strides = strides_of(input.shape());
  Shape shape = input.shape();
  std::vector<int64_t> moved = strides;
  for (size_t k = 0; k < axes.size(); ++k) {
    shape[k] = input.shape()[static_cast<size_t>(axes[k])];
    moved[k] = strides[static_cast<size_t>(axes[k])];
  }
  return take_strided(input, shape, 0, moved);
}

std::vector<Fact> infer_transpose(InferContext& c) {
  const Fact& input = c.input("input");
  const auto axes = checked_axes(c, c.integers("axes"), input.rank());
  Fact out = moved_fact(input);
  for (size_t k = 0; k < axes.size(); ++k) {
    if (axes[k] >= static_cast<int64_t>(axes.size())) {
      throw c.fail("not-a-permutation", prefix_of(c) + "the axes are no permutation of 0 to " +
                                            std::to_string(axes.size() - 1) + ": " + std::to_string(axes[k]) +
                                            " is listed");
    }
    out.shape[k] = input.shape[static_cast<size_t>(axes[k])];
  }
  move_known_dims(out, {&input}, [&](const std::vector<Tensor>& in) { return transposed(in[0], axes); });
  return {out};
}

std::vector<Tensor> eval_transpose(EvalContext& c) {
  return {transposed(dequantized(c.input("input")), c.integers("axes"))};
}

// --- concat, stack, split, unstack ---

std::vector<Fact> infer_concat(InferContext& c) {
  const auto values = c.inputs_of("values");
  if (values.empty()) throw c.fail("missing-argument", prefix_of(c) + "at least one tensor is expected");
  require_same_types(c, values);
  Fact out = moved_fact(*values[0]);
  const auto axis = static_cast<size_t>(checked_axis(c, c.integer("axis"), out.rank()));
  for (size_t k = 1; k < values.size(); ++k) {
    const DimShape& shape = values[k]->shape;
    bool fits = shape.size() == out.shape.size();
    for (size_t i = 0; fits && i < shape.size(); ++i) {
      if (i == axis) {
        out.shape[i] = out.shape[i] + shape[i];
      } else if (const auto extent = agreed_extent(out.shape[i], shape[i])) {
        out.shape[i] = *extent;
      } else {
        fits = false;
      }
    }
    if (!fits) {
      throw c
          .fail("shape-mismatch", prefix_of(c) + "item " + std::to_string(k) + " has shape " +
                                      to_string(shape) + ", which differs from the first one off axis " +
                                      std::to_string(axis))
          .note("the first item has shape " + to_string(values[0]->shape));
    }
  }
  move_known_dims(out, values, [&](const std::vector<Tensor>& in) { return concat_items(in, axis); });
  return {out};
}

std::vector<Tensor> plain_inputs(const EvalContext& c, std::string_view name) {
  auto values = c.inputs_of(name);
  for (Tensor& value : values) value = dequantized(value);
  return values;
}

void require_same_extents(const EvalContext& c, const std::vector<Tensor>& values,
                          std::optional<size_t> but) {
  for (const Tensor& value : values) {
    for (size_t i = 0; i < value.shape().size(); ++i) {
      if (i != but && value.shape()[i] != values[0].shape()[i]) {
        throw c.fail("shape-mismatch", prefix_of(c) + "shapes " + to_string(values[0].shape()) + " and " +
                                           to_string(value.shape()) + " differ on axis " + std::to_string(i));
      }
    }
  }
}

std::vector<Tensor> eval_concat(EvalContext& c) {
  const auto values = plain_inputs(c, "values");
  const auto axis = static_cast<size_t>(c.integer("axis"));
  require_same_extents(c, values, axis);
  return {concat_items(values, axis)};
}

Shape with_unit_axis(Shape shape, size_t axis) {
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  return shape;
}

Tensor stacked(std::vector<Tensor> values, size_t axis) {
  for (Tensor& value : values) value = value.reshaped(with_unit_axis(value.shape(), axis));
  return concat_items(values, axis);
}

std::vector<Fact> infer_stack(InferContext& c) {
  const auto values = c.inputs_of("values");
  if (values.empty()) throw c.fail("missing-argument", prefix_of(c) + "at least one tensor is expected");
  require_same_types(c, values);
  Fact out = moved_fact(*values[0]);
  const auto axis = static_cast<size_t>(checked_axis(c, c.integer("axis"), out.rank() + 1));
  for (size_t k = 1; k < values.size(); ++k) {
    bool fits = values[k]->rank() == out.rank();
    for (size_t i = 0; fits && i < out.shape.size(); ++i) {
      const auto extent = agreed_extent(out.shape[i], values[k]->shape[i]);
      fits = extent.has_value();
      if (fits) out.shape[i] = *extent;
    }
    if (!fits) {
      throw c.fail("shape-mismatch", prefix_of(c) + "item " + std::to_string(k) + " has shape " +
                                         to_string(values[k]->shape) + ", the first one " +
                                         to_string(values[0]->shape));
    }
  }
  out.shape.insert(out.shape.begin() + static_cast<std::ptrdiff_t>(axis),
                   Dim(static_cast<int64_t>(values.size())));
  move_known_dims(out, values, [&](const std::vector<Tensor>& in) { return stacked(in, axis); });
  return {out};
}

std::vector<Tensor> eval_stack(EvalContext& c) {
  const auto values = plain_inputs(c, "values");
  require_same_extents(c, values, std::nullopt);
  return {stacked(values, static_cast<size_t>(c.integer("axis")))};
}

// `length` cells of `axis` from `begin`.
Tensor section(const Tensor& value, size_t axis, int64_t begin, int64_t length) {
  Shape shape = value.shape();
  shape[axis] = length;
  const auto strides = strides_of(value.shape());
  return take_strided(value, shape, begin * strides[axis], strides);
}

std::vector<Fact> infer_split(InferContext& c) {
  const Fact& value = c.input("value");
  const auto axis = static_cast<size_t>(checked_axis(c, c.integer("axis"), value.rank()));
  const auto ratios = c.integers("ratios");
  if (ratios.empty()) throw c.fail("attribute-range", prefix_of(c) + "`ratios` is empty");
  int64_t sum = 0;
  for (const int64_t ratio : ratios) {
    if (ratio < 1)
      throw c.fail("attribute-range", prefix_of(c) + "ratio " + std::to_string(ratio) + " is not positive");
    if (__builtin_add_overflow(sum, ratio, &sum))
      throw c.fail("integer-overflow", prefix_of(c) + "the ratios overflow");
  }
  const Dim& extent = value.shape[axis];
  if (extent.is_constant() && extent.value() % sum != 0) {
    throw c.fail("shape-mismatch", prefix_of(c) + "extent " + extent.to_string() + " of axis " +
                                       std::to_string(axis) + " does not divide by the sum " +
                                       std::to_string(sum) + " of the ratios");
  }
  const Dim unit = Dim::floor_div(extent, sum);
  std::vector<Fact> out;
  int64_t begin = 0;
  for (const int64_t ratio : ratios) {
    Fact part = moved_fact(value);
    part.shape[axis] = unit * Dim(ratio);
    if (unit.is_constant()) {
      move_known_dims(part, {&value}, [&](const std::vector<Tensor>& in) {
        return section(in[0], axis, begin * unit.value(), ratio * unit.value());
      });
    }
    begin += ratio;
    out.push_back(std::move(part));
  }
  return out;
}

std::vector<Tensor> eval_split(EvalContext& c) {
  const Tensor value = dequantized(c.input("value"));
  const auto axis = static_cast<size_t>(c.integer("axis"));
  const auto ratios = c.integers("ratios");
  const int64_t sum = std::accumulate(ratios.begin(), ratios.end(), int64_t{0});
  if (value.shape()[axis] % sum != 0) {
    throw c.fail("shape-mismatch", prefix_of(c) + "extent " + std::to_string(value.shape()[axis]) +
                                       " does not divide by the sum " + std::to_string(sum) +
                                       " of the ratios");
  }
  std::vector<Tensor> out;
  int64_t begin = 0;
  for (const int64_t ratio : ratios) {
    const int64_t length = value.shape()[axis] / sum * ratio;
    out.push_back(section(value, axis, begin, length));
    begin += length;
  }
  return out;
}

Tensor unstacked(const Tensor& value, size_t axis, int64_t at) {
  Shape shape = value.shape();
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
  return section(value, axis, at, 1).reshaped(shape);
}

std::vector<Fact> infer_unstack(InferContext& c) {
  const Fact& value = c.input("value");
  const auto axis = static_cast<size_t>(checked_axis(c, c.integer("axis"), value.rank()));
  const Dim& extent = value.shape[axis];
  if (!extent.is_constant()) {
    throw c.fail("symbol-unknown", prefix_of(c) + "the extent " + extent.to_string() + " of axis " +
                                       std::to_string(axis) +
                                       " must be known, since it is the number of results");
  }
  if (extent.value() > 65536) {
    throw c.fail("too-many-results", prefix_of(c) + "axis " + std::to_string(axis) + " would give " +
                                         extent.to_string() + " results");
  }
  Fact part = moved_fact(value);
  part.shape.erase(part.shape.begin() + static_cast<std::ptrdiff_t>(axis));
  std::vector<Fact> out(static_cast<size_t>(extent.value()), part);
  for (size_t k = 0; k < out.size(); ++k) {
    move_known_dims(out[k], {&value}, [&](const std::vector<Tensor>& in) {
      return unstacked(in[0], axis, static_cast<int64_t>(k));
    });
  }
  return out;
}

std::vector<Tensor> eval_unstack(EvalContext& c) {
  const Tensor value = dequantized(c.input("value"));
  const auto axis = static_cast<size_t>(c.integer("axis"));
  std::vector<Tensor> out;
  for (int64_t k = 0; k < value.shape()[axis]; ++k) out.push_back(unstacked(value, axis, k));
  return out;
}

// --- copies ---

std::vector<Fact> infer_copy(InferContext& c) {
  Fact out = *c.inputs.at(0);
  return {out};
}

std::vector<Tensor> eval_copy(EvalContext& c) { return {c.inputs.at(0)}; }

std::vector<Fact> infer_copy_n(InferContext& c) {
  const int64_t times = c.integer("times");
  if (times < 1 || times > 65536) {
    throw c.fail("attribute-range",
                 prefix_of(c) + "`times` is " + std::to_string(times) + ", but 1 or more is expected");
  }
  return std::vector<Fact>(static_cast<size_t>(times), *c.inputs.at(0));
}

std::vector<Tensor> eval_copy_n(EvalContext& c) {
  return std::vector<Tensor>(static_cast<size_t>(c.integer("times")), c.inputs.at(0));
}

// --- broadcasts and shape values ---

Tensor broadcast_to(const NodeReader& c, const Tensor& input, const Shape& shape) {
  const size_t shift = shape.size() - input.shape().size();
  for (size_t i = 0; i < input.shape().size(); ++i) {
    if (input.shape()[i] != 1 && input.shape()[i] != shape[i + shift]) {
      throw c.fail("shape-mismatch", prefix_of(c) + "shape " + to_string(input.shape()) +
                                         " does not broadcast to " + to_string(shape));
    }
  }
  return take_strided(input, shape, 0, broadcast_strides(input.shape(), shape, false));
}

std::vector<Fact> infer_broadcast(InferContext& c) {
  const Fact& input = c.input("input");
  Fact out = moved_fact(input);
  out.shape = c.dims("shape");
  bool fits = out.rank() >= input.rank();
  for (int axis = 0; fits && axis < input.rank(); ++axis) {
    const Dim& from = input.shape[static_cast<size_t>(axis)];
    Dim& to = out.shape[static_cast<size_t>(axis + out.rank() - input.rank())];
    // A wanted extent of 1 keeps what is there.
    if (from.is(1)) continue;
    const auto extent = to.is(1) ? std::optional<Dim>(from) : agreed_extent(to, from);
    fits = extent.has_value();
    if (to.is(1)) to = from;
  }
  for (const Dim& extent : out.shape) fits = fits && !(extent.is_constant() && extent.value() < 0);
  if (!fits) {
    throw c
        .fail("shape-mismatch", prefix_of(c) + "shape " + to_string(input.shape) + " does not broadcast to " +
                                    to_string(c.dims("shape")))
        .note("shapes are aligned at their trailing axis");
  }
  if (const auto shape = out.static_shape(); shape && volume_of(*shape) <= kMaxKnownItems) {
    move_known_dims(out, {&input},
                    [&](const std::vector<Tensor>& in) { return broadcast_to(c, in[0], *shape); });
  }
  return {out};
}

std::vector<Tensor> eval_broadcast(EvalContext& c) {
  return {broadcast_to(c, dequantized(c.input("input")), c.output_shape())};
}

std::vector<Fact> infer_shape_of(InferContext& c) {
  const Fact& input = c.input("input");
  Fact out = fact_of(DataType::i64, {Dim(input.rank())});
  set_known_dims(out, input.shape);
  return {out};
}

std::vector<Tensor> eval_shape_of(EvalContext& c) {
  const Shape& shape = c.input("input").shape();
  return {Tensor::of<int64_t>({static_cast<int64_t>(shape.size())}, shape)};
}

constexpr OpDef kRows[] = {
    {.name = "reshape", .infer = infer_reshape, .eval = eval_reshaped, .types = kItems},
    {.name = "squeeze", .infer = infer_squeeze, .eval = eval_reshaped, .types = kItems},
    {.name = "unsqueeze", .infer = infer_unsqueeze, .eval = eval_reshaped, .types = kItems},
    {.name = "transpose", .infer = infer_transpose, .eval = eval_transpose, .types = kItems},
    {.name = "concat", .infer = infer_concat, .eval = eval_concat, .types = kItems},
    {.name = "stack", .infer = infer_stack, .eval = eval_stack, .types = kItems},
    {.name = "split", .infer = infer_split, .eval = eval_split, .types = kItems},
    {.name = "unstack", .infer = infer_unstack, .eval = eval_unstack, .types = kItems},
    {.name = "copy", .infer = infer_copy, .eval = eval_copy, .elementwise = true, .types = kItems},
    {.name = "copy_n", .infer = infer_copy_n, .eval = eval_copy_n, .types = kItems},
    {.name = "tract_core_broadcast", .infer = infer_broadcast, .eval = eval_broadcast, .types = kItems},
    {.name = "tract_core_shape_of", .infer = infer_shape_of, .eval = eval_shape_of, .types = kItems},
};

}  // namespace

std::span<const OpDef> shape_rows() { return kRows; }

}  // namespace nnefrun
