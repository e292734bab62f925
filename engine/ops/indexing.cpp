// Reading and writing at computed positions: gather and scatter in their forms. Positions are checked when
// the data is there: Error[index-out-of-range].
#include <algorithm>
#include <cstring>

#include "engine/ops/items.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// A position along an axis of this extent; negative ones count from the end where `wrap` allows it.
int64_t checked_index(const NodeReader& c, int64_t index, int64_t extent, bool wrap) {
  const int64_t at = wrap && index < 0 ? index + extent : index;
  if (at < 0 || at >= extent) {
    throw c.fail("index-out-of-range", prefix_of(c) + "index " + std::to_string(index) +
                                           " is out of range for an extent of " + std::to_string(extent));
  }
  return at;
}

std::vector<int64_t> checked_indices(const NodeReader& c, const Tensor& indices, int64_t extent, bool wrap) {
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(indices.size()));
  for (int64_t i = 0; i < indices.size(); ++i)
    out.push_back(checked_index(c, indices.as_int(i), extent, wrap));
  return out;
}

// --- gather: whole cells of an axis ---

Tensor gathered(const Tensor& input, const std::vector<int64_t>& at, const Shape& index_shape, size_t axis) {
  Shape shape(input.shape().begin(), input.shape().begin() + static_cast<std::ptrdiff_t>(axis));
  const int64_t outer = volume_of(shape), extent = input.shape()[axis];
  shape.insert(shape.end(), index_shape.begin(), index_shape.end());
  const Shape rest(input.shape().begin() + static_cast<std::ptrdiff_t>(axis) + 1, input.shape().end());
  shape.insert(shape.end(), rest.begin(), rest.end());
  const int64_t inner = volume_of(rest);
  if (input.dtype() == DataType::string) {
    std::vector<int64_t> sources;
    for (int64_t o = 0; o < outer; ++o) {
      for (const int64_t i : at) {
        for (int64_t k = 0; k < inner; ++k) sources.push_back((o * extent + i) * inner + k);
      }
    }
    return take_items(input, shape, sources);
  }
  Tensor out = Tensor::uninitialized(input.dtype(), shape);
  if (out.size() == 0) return out;
  const size_t row = static_cast<size_t>(inner) / block_items(input.dtype()) * block_bytes(input.dtype());
  std::byte* to = out.mutable_bytes();
  for (int64_t o = 0; o < outer; ++o) {
    for (const int64_t i : at) {
      std::memcpy(to, input.bytes() + static_cast<size_t>(o * extent + i) * row, row);
      to += row;
    }
  }
  return out;
}

DataType gathered_type(const NodeReader& c, const Fact& input) {
  if (!is_block_quantized(input.dtype)) return input.dtype;
  if (c.signature().attribute_index("datum_type") < 0) return DataType::f32;
  const auto* text = std::get_if<std::string>(&c.attribute("datum_type").value);
  if (text == nullptr || text->empty()) return DataType::f32;
  const auto type = data_type_from_name(*text);
  if (!type || !is_float(*type)) {
    throw c.fail("unknown-dtype",
                 prefix_of(c) + "`datum_type` is '" + *text + "', but a float type is expected");
  }
  return *type;
}

std::vector<Fact> infer_gather(InferContext& c) {
  const Fact &input = c.input("input"), &indices = c.input("indices");
  require_integer(c, indices, "indices");
  const auto axis = static_cast<size_t>(checked_axis(c, c.integer("axis"), input.rank()));
  Fact out = moved_fact(input);
  out.dtype = gathered_type(c, input);
  const auto at = out.shape.begin() + static_cast<std::ptrdiff_t>(axis);
  out.shape.insert(out.shape.erase(at), indices.shape.begin(), indices.shape.end());
  const bool wrap = c.signature().name != "gather";
  const auto where = known_dims(indices);
  const auto index_shape = indices.static_shape();
  const auto unknown = [](const Dim& d) { return !d.is_constant(); };
  if (where && index_shape && std::none_of(where->begin(), where->end(), unknown)) {
    std::vector<int64_t> positions;
    for (const Dim& d : *where) {
      const Dim& extent = input.shape[axis];
      positions.push_back(extent.is_constant() ? checked_index(c, d.value(), extent.value(), wrap)
                                               : d.value());
    }
    move_known_dims(out, {&input}, [&](const std::vector<Tensor>& in) {
      return gathered(in[0], positions, *index_shape, axis);
    });
  }
  return {out};
}

std::vector<Tensor> eval_gather(EvalContext& c) {
  const Tensor &input = c.input("input"), &indices = c.input("indices");
  const auto axis = static_cast<size_t>(c.integer("axis"));
  const auto at = checked_indices(c, indices, input.shape()[axis], c.signature().name != "gather");
  if (!is_block_quantized(input.dtype())) return {gathered(input, at, indices.shape(), axis)};
  int64_t inner = 1;
  for (size_t i = axis + 1; i < input.shape().size(); ++i) inner *= input.shape()[i];
  // Only the rows that are asked for are unpacked, when rows are made of whole blocks.
  const bool whole = inner % static_cast<int64_t>(block_items(input.dtype())) == 0;
  const Tensor rows = whole && !at.empty() ? dequantized(gathered(input, at, indices.shape(), axis))
                                           : gathered(dequantized(input), at, indices.shape(), axis);
  return {cast_items(rows, c.output_fact().dtype)};
}

// --- gather_elements, scatter_elements: one position for each item ---

void require_element_ranks(const NodeReader& c, const Fact& input, const Fact& indices) {
  require_integer(c, indices, "indices");
  if (indices.rank() != input.rank()) {
    throw c.fail("rank-mismatch", prefix_of(c) + "the indices have shape " + to_string(indices.shape) +
                                      ", but the rank of the input " + to_string(input.shape) +
                                      " is expected");
  }
}

int64_t wrapped_axis(const NodeReader& c, int64_t rank) {
  const int64_t axis = c.integer("axis");
  return checked_axis(c, axis < 0 ? axis + rank : axis, rank);
}

// For each item of the indices, the linear offset in `shape` of what it points at.
std::vector<int64_t> element_offsets(const NodeReader& c, const Tensor& indices, const Shape& shape,
                                     size_t axis) {
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i != axis && indices.shape()[i] > shape[i]) {
      throw c.fail("shape-mismatch", prefix_of(c) + "the indices have shape " + to_string(indices.shape()) +
                                         ", which leaves the input " + to_string(shape) + " on axis " +
                                         std::to_string(i));
    }
  }
  auto strides = strides_of(shape);
  const int64_t along = strides[axis];
  strides[axis] = 0;
  std::vector<int64_t> out;
  int64_t i = 0;
  for (Odometer<1> o(indices.shape(), {strides}); o.more(); o.next()) {
    out.push_back(o.offset(0) + checked_index(c, indices.as_int(i++), shape[axis], true) * along);
  }
  return out;
}

std::vector<Fact> infer_gather_elements(InferContext& c) {
  const Fact &input = c.input("input"), &indices = c.input("indices");
  require_element_ranks(c, input, indices);
  wrapped_axis(c, input.rank());
  Fact out = moved_fact(input);
  out.shape = indices.shape;
  return {out};
}

std::vector<Tensor> eval_gather_elements(EvalContext& c) {
  const Tensor input = dequantized(c.input("input"));
  const Tensor& indices = c.input("indices");
  const auto offsets =
      element_offsets(c, indices, input.shape(), static_cast<size_t>(wrapped_axis(c, input.rank())));
  return {take_items(input, indices.shape(), offsets)};
}

enum class Scatter : uint8_t { none, add, mul, min, max };

Scatter scatter_of(const NodeReader& c) {
  const std::string& reduction = c.string("reduction");
  if (reduction == "none" || reduction.empty()) return Scatter::none;
  if (reduction == "add") return Scatter::add;
  if (reduction == "mul") return Scatter::mul;
  if (reduction == "min") return Scatter::min;
  if (reduction == "max") return Scatter::max;
  throw c.fail("attribute-value", prefix_of(c) + "reduction '" + reduction +
                                      "' is unknown; none, add, mul, min and max are known");
}

void require_scatter_types(const NodeReader& c, const Fact& input, const Fact& updates) {
  require_same_types(c, {&input, &updates});
  const Scatter reduction = scatter_of(c);
  const bool numbers = (is_float(input.dtype) || is_integer(input.dtype)) && !input.quant;
  if ((reduction != Scatter::none && !numbers) || is_block_quantized(input.dtype) ||
      input.dtype == DataType::string) {
    throw c.fail("dtype-unsupported", prefix_of(c) + "items of type " + std::string(name_of(input.dtype)) +
                                          " are not scattered this way");
  }
}

// Writes item i of `updates` at offsets[i], in order; the last one wins where nothing is combined.
Tensor scattered(Tensor data, const Tensor& updates, const std::vector<int64_t>& offsets, Scatter reduction) {
  if (reduction == Scatter::none) {
    const size_t size = item_size(data.dtype());
    std::byte* to = data.mutable_bytes();
    for (size_t i = 0; i < offsets.size(); ++i) {
      std::memcpy(to + static_cast<size_t>(offsets[i]) * size, updates.bytes() + i * size, size);
    }
    return data;
  }
  dispatch(data.dtype(), [&](auto tag) {
    using T = decltype(tag);
    using C = ComputeType<T>;
    using Sum = std::conditional_t<std::is_floating_point_v<C>, C, uint64_t>;  // integers wrap
    T* to = data.mutable_data<T>();
    const T* from = updates.data<T>();
    for (size_t i = 0; i < offsets.size(); ++i) {
      T& item = to[offsets[i]];
      const C old = widen(item), update = widen(from[i]);
      if (reduction == Scatter::min)
        item = update < old ? from[i] : item;
      else if (reduction == Scatter::max)
        item = update > old ? from[i] : item;
      else if (reduction == Scatter::add)
        item = narrow<T>(static_cast<C>(static_cast<Sum>(old) + static_cast<Sum>(update)));
      else
        item = narrow<T>(static_cast<C>(static_cast<Sum>(old) * static_cast<Sum>(update)));
    }
  });
  return data;
}

std::vector<Fact> infer_scatter_elements(InferContext& c) {
  const Fact &input = c.input("input"), &indices = c.input("indices"), &updates = c.input("updates");
  require_element_ranks(c, input, indices);
  require_scatter_types(c, input, updates);
  wrapped_axis(c, input.rank());
  bool fits = updates.rank() == indices.rank();
  for (size_t i = 0; fits && i < indices.shape.size(); ++i)
    fits = agreed_extent(updates.shape[i], indices.shape[i]).has_value();
  if (!fits) {
    throw c.fail("shape-mismatch", prefix_of(c) + "the updates have shape " + to_string(updates.shape) +
                                       ", the indices " + to_string(indices.shape) +
                                       ", but equal shapes are expected");
  }
  Fact out = fact_of(input.dtype, input.shape);
  out.quant = input.quant;
  return {out};
}

std::vector<Tensor> eval_scatter_elements(EvalContext& c) {
  const Tensor &input = c.input("input"), &indices = c.input("indices"), &updates = c.input("updates");
  if (updates.shape() != indices.shape()) {
    throw c.fail("shape-mismatch", prefix_of(c) + "the updates have shape " + to_string(updates.shape()) +
                                       ", the indices " + to_string(indices.shape()));
  }
  const auto offsets =
      element_offsets(c, indices, input.shape(), static_cast<size_t>(wrapped_axis(c, input.rank())));
  return {scattered(input, updates, offsets, scatter_of(c))};
}

// --- gather_nd, scatter_nd: the last axis of the indices holds a position in several axes ---

int64_t position_length(const NodeReader& c, const Fact& input, const Fact& indices, int64_t batch) {
  require_integer(c, indices, "indices");
  if (indices.rank() < 1)
    throw c.fail("rank-mismatch", prefix_of(c) + "the indices have rank 0, but 1 or more is expected");
  const Dim& last = indices.shape.back();
  if (!last.is_constant()) {
    throw c.fail("symbol-unknown",
                 prefix_of(c) + "the last extent " + last.to_string() + " of the indices must be known");
  }
  if (last.value() > input.rank() - batch) {
    throw c
        .fail("shape-mismatch", prefix_of(c) + "the indices name " + last.to_string() + " axes, but " +
                                    std::to_string(input.rank() - batch) + " are there")
        .note("the input has shape " + to_string(input.shape));
  }
  return last.value();
}

std::vector<Fact> infer_gather_nd(InferContext& c) {
  const Fact &input = c.input("input"), &indices = c.input("indices");
  const int64_t batch = c.integer("batch_dims");
  if (batch < 0 || batch > input.rank() || batch >= std::max(indices.rank(), 1)) {
    throw c.fail("attribute-range", prefix_of(c) + "batch_dims = " + std::to_string(batch) +
                                        " does not fit ranks " + std::to_string(input.rank()) + " and " +
                                        std::to_string(indices.rank()));
  }
  const int64_t length = position_length(c, input, indices, batch);
  for (int64_t i = 0; i < batch; ++i) {
    if (!agreed_extent(input.shape[static_cast<size_t>(i)], indices.shape[static_cast<size_t>(i)])) {
      throw c.fail("shape-mismatch", prefix_of(c) + "batch axis " + std::to_string(i) + " differs between " +
                                         to_string(input.shape) + " and " + to_string(indices.shape));
    }
  }
  Fact out = moved_fact(input);
  out.shape.assign(indices.shape.begin(), indices.shape.end() - 1);
  out.shape.insert(out.shape.end(), input.shape.begin() + batch + length, input.shape.end());
  return {out};
}

// Offset of each position's first item; positions begin at axis `batch`, whose batches have `batch_volume`
// items.
std::vector<int64_t> position_offsets(const NodeReader& c, const Tensor& indices, const Shape& shape,
                                      size_t batch) {
  const auto strides = strides_of(shape);
  const int64_t length = indices.shape().back();
  const int64_t count = volume_of(Shape(indices.shape().begin(), indices.shape().end() - 1));
  const int64_t batches = volume_of(Shape(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(batch)));
  int64_t batch_volume = 1;
  for (size_t i = batch; i < shape.size(); ++i) batch_volume *= shape[i];
  std::vector<int64_t> out;
  for (int64_t p = 0; p < count; ++p) {
    int64_t offset = p / std::max<int64_t>(count / std::max<int64_t>(batches, 1), 1) * batch_volume;
    for (int64_t k = 0; k < length; ++k) {
      const size_t axis = batch + static_cast<size_t>(k);
      offset += checked_index(c, indices.as_int(p * length + k), shape[axis], false) * strides[axis];
    }
    out.push_back(offset);
  }
  return out;
}

// Every offset followed by those of the `inner` items behind it.
std::vector<int64_t> spread(const std::vector<int64_t>& firsts, int64_t inner) {
  std::vector<int64_t> out;
  out.reserve(firsts.size() * static_cast<size_t>(inner));
  for (const int64_t first : firsts) {
    for (int64_t k = 0; k < inner; ++k) out.push_back(first + k);
  }
  return out;
}

int64_t volume_from(const Shape& shape, int64_t axis) {
  return volume_of(Shape(shape.begin() + axis, shape.end()));
}

std::vector<Tensor> eval_gather_nd(EvalContext& c) {
  const Tensor input = dequantized(c.input("input"));
  const Tensor& indices = c.input("indices");
  const int64_t batch = c.integer("batch_dims"), behind = batch + indices.shape().back();
  for (int64_t i = 0; i < batch; ++i) {
    if (input.dim(static_cast<int>(i)) != indices.dim(static_cast<int>(i))) {
      throw c.fail("shape-mismatch", prefix_of(c) + "batch axis " + std::to_string(i) + " differs between " +
                                         to_string(input.shape()) + " and " + to_string(indices.shape()));
    }
  }
  Shape shape(indices.shape().begin(), indices.shape().end() - 1);
  shape.insert(shape.end(), input.shape().begin() + behind, input.shape().end());
  const auto firsts = position_offsets(c, indices, input.shape(), static_cast<size_t>(batch));
  return {take_items(input, shape, spread(firsts, volume_from(input.shape(), behind)))};
}

std::vector<Fact> infer_scatter_nd(InferContext& c) {
  const Fact &input = c.input("input"), &indices = c.input("indices"), &updates = c.input("updates");
  require_scatter_types(c, input, updates);
  const int64_t length = position_length(c, input, indices, 0);
  DimShape wanted(indices.shape.begin(), indices.shape.end() - 1);
  wanted.insert(wanted.end(), input.shape.begin() + length, input.shape.end());
  bool fits = wanted.size() == updates.shape.size();
  for (size_t i = 0; fits && i < wanted.size(); ++i)
    fits = agreed_extent(wanted[i], updates.shape[i]).has_value();
  if (!fits) {
    throw c.fail("shape-mismatch", prefix_of(c) + "the updates have shape " + to_string(updates.shape) +
                                       ", but " + to_string(wanted) + " is expected");
  }
  Fact out = fact_of(input.dtype, input.shape);
  out.quant = input.quant;
  return {out};
}

std::vector<Tensor> eval_scatter_nd(EvalContext& c) {
  const Tensor &input = c.input("input"), &indices = c.input("indices"), &updates = c.input("updates");
  const auto firsts = position_offsets(c, indices, input.shape(), 0);
  const int64_t inner = volume_from(input.shape(), indices.shape().back());
  if (updates.size() != static_cast<int64_t>(firsts.size()) * inner) {
    throw c.fail("shape-mismatch", prefix_of(c) + "the updates have shape " + to_string(updates.shape()) +
                                       " for indices of shape " + to_string(indices.shape()) + " into " +
                                       to_string(input.shape()));
  }
  return {scattered(input, updates, spread(firsts, inner), scatter_of(c))};
}

constexpr OpDef kRows[] = {
    {.name = "gather", .infer = infer_gather, .eval = eval_gather, .types = kItems},
    {.name = "tract_core_gather", .infer = infer_gather, .eval = eval_gather, .types = kItems},
    {.name = "tract_core_gather_elements",
     .infer = infer_gather_elements,
     .eval = eval_gather_elements,
     .types = kItems},
    {.name = "tract_core_gather_nd", .infer = infer_gather_nd, .eval = eval_gather_nd, .types = kItems},
    {.name = "tract_core_scatter_elements",
     .infer = infer_scatter_elements,
     .eval = eval_scatter_elements,
     .types = kPlain | kComplex},
    {.name = "tract_core_scatter_nd",
     .infer = infer_scatter_nd,
     .eval = eval_scatter_nd,
     .types = kPlain | kComplex},
};

}  // namespace

std::span<const OpDef> indexing_rows() { return kRows; }

}  // namespace nnefrun
