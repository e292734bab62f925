// Moving items without looking at them (reshapes, slices, gathers), and what is known of values before a run.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "engine/graph/op_def.h"

namespace nnefrun {

// The item of a result at index i is the item of `value` at offset + sum(i[axis] * strides[axis]), counted in
// items. Works for every plain type, strings included. REQUIRES: all offsets lie inside `value`.
Tensor take_strided(const Tensor& value, const Shape& shape, int64_t offset,
                    const std::vector<int64_t>& strides);
// Item i of the result is item sources[i] of `value`, or `fill` (one item of the same type) where that is
// negative. REQUIRES: sources[i] < value.size(); `fill` when one is negative; sources.size() = volume of
// shape.
Tensor take_items(const Tensor& value, const Shape& shape, const std::vector<int64_t>& sources,
                  const Tensor* fill = nullptr);
// The item of a result at index i is the item of `value` at (maps[0][i[0]], maps[1][i[1]], ...), or `fill`
// where one of them is negative. The result's extents are the lengths of the maps. REQUIRES: entries below
// value's extents.
Tensor take_axes(const Tensor& value, const std::vector<std::vector<int64_t>>& maps,
                 const Tensor* fill = nullptr);
// Joins along `axis`. REQUIRES: equal dtypes, ranks and extents off the axis.
Tensor concat_items(const std::vector<Tensor>& values, size_t axis);
// One item of the given type, from a real number (an affine type's code when `quant` is given).
Tensor item_of(double value, DataType dtype, const std::optional<AffineQuantization>& quant = std::nullopt);

// The type of a fact's items once they are moved about one by one: block types become f32, the rest stays.
// The shape is that of the argument, no value is known.
Fact moved_fact(const Fact& fact);

// --- values known as expressions of symbols (Fact::dims) ---

// The largest number of items for which values are followed.
inline constexpr int64_t kMaxKnownItems = 1024;
// The value of an i64 argument when it is known; null else.
std::shared_ptr<const std::vector<Dim>> known_dims(const Fact& fact);
// Notes the value of a result; also as a constant when no symbol is left. Ignored for a type other than i64.
void set_known_dims(Fact& fact, std::vector<Dim> dims);
// Notes the value of a result that only moves the items of its arguments: `move` is called with i64 tensors
// of the arguments' shapes and must do to them what eval does. Does nothing when some value is not known or
// `move` throws.
template <class Move>
void move_known_dims(Fact& result, const std::vector<const Fact*>& arguments, Move&& move) {
  if (result.dtype != DataType::i64) return;
  std::vector<Dim> all;
  std::vector<Tensor> numbered;
  for (const Fact* fact : arguments) {
    const auto dims = known_dims(*fact);
    const auto shape = fact->static_shape();
    if (!dims || !shape) return;
    std::vector<int64_t> numbers;
    for (size_t i = 0; i < dims->size(); ++i) numbers.push_back(static_cast<int64_t>(all.size() + i));
    numbered.push_back(Tensor::of<int64_t>(*shape, numbers));
    all.insert(all.end(), dims->begin(), dims->end());
  }
  try {
    const Tensor moved = move(numbered);
    if (moved.size() > kMaxKnownItems) return;
    std::vector<Dim> dims;
    for (const int64_t i : moved.items<int64_t>()) dims.push_back(all[static_cast<size_t>(i)]);
    set_known_dims(result, std::move(dims));
  } catch (const Error&) {
    return;  // eval will tell
  }
}

// --- checks ---

// "op: " for messages.
std::string prefix_of(const NodeReader& c);
// The one extent that two have to agree on, or nullopt when they cannot: equal ones, or undecided symbolic
// ones.
std::optional<Dim> agreed_extent(const Dim& a, const Dim& b);
// Axes in range and without repetition, else Error[axis-out-of-range] or Error[axis-repeated].
std::vector<int64_t> checked_axes(const NodeReader& c, const std::vector<int64_t>& axes, int64_t rank);
// Throws Error[dtype-mismatch] unless all facts have one type (and one quantisation).
void require_same_types(const NodeReader& c, const std::vector<const Fact*>& facts);
// Throws Error[quantised-operand] when an operand holds codes: such operators want real numbers.
void require_plain(const NodeReader& c, const std::vector<const Fact*>& facts);
// Throws Error[dtype-mismatch] unless the fact is of a float type, an integer type, boolean.
void require_float(const NodeReader& c, const Fact& fact, std::string_view argument);
void require_integer(const NodeReader& c, const Fact& fact, std::string_view argument);
void require_boolean(const NodeReader& c, const Fact& fact, std::string_view argument);
// The only item of a tensor of one item, as an integer. Throws Error[shape-mismatch].
int64_t single_integer(const NodeReader& c, const Tensor& tensor, std::string_view argument);

}  // namespace nnefrun
