#include "engine/ops/items.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/ops/support.h"

namespace nnefrun {
namespace {

struct Bytes16 {
  uint64_t parts[2];
};

// Calls f with an unsigned type of the size of the items.
template <class F>
void dispatch_size(DataType dtype, F&& f) {
  switch (item_size(dtype)) {
    case 1: return f(uint8_t{});
    case 2: return f(uint16_t{});
    case 4: return f(uint32_t{});
    case 8: return f(uint64_t{});
    case 16: return f(Bytes16{});
    default:
      throw Error("dtype-unsupported",
                  "items of type " + std::string(name_of(dtype)) + " cannot be moved one by one");
  }
}

}  // namespace

Tensor take_strided(const Tensor& value, const Shape& shape, int64_t offset,
                    const std::vector<int64_t>& strides) {
  if (value.dtype() == DataType::string) {
    std::vector<std::string> strings;
    for (Odometer<1> o(shape, {strides}); o.more(); o.next()) {
      strings.push_back(value.strings()[static_cast<size_t>(offset + o.offset(0))]);
    }
    return Tensor::of_strings(shape, std::move(strings));
  }
  Tensor out = Tensor::uninitialized(value.dtype(), shape);
  if (out.size() == 0) return out;
  dispatch_size(value.dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* from = value.data<T>() + offset;
    T* to = out.mutable_data<T>();
    if (shape.empty()) {
      *to = *from;
      return;
    }
    const Shape outer(shape.begin(), shape.end() - 1);
    const std::vector<int64_t> outer_strides(strides.begin(), strides.end() - 1);
    const int64_t count = shape.back(), step = strides.back();
    for (Odometer<1> o(outer, {outer_strides}); o.more(); o.next()) {
      const T* row = from + o.offset(0);
      for (int64_t i = 0; i < count; ++i) *to++ = row[i * step];
    }
  });
  return out;
}

Tensor take_items(const Tensor& value, const Shape& shape, const std::vector<int64_t>& sources,
                  const Tensor* fill) {
  if (value.dtype() == DataType::string) {
    std::vector<std::string> strings;
    for (const int64_t s : sources)
      strings.push_back(s < 0 ? fill->strings()[0] : value.strings()[static_cast<size_t>(s)]);
    return Tensor::of_strings(shape, std::move(strings));
  }
  Tensor out = Tensor::uninitialized(value.dtype(), shape);
  dispatch_size(value.dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* from = value.data<T>();
    T* to = out.mutable_data<T>();
    for (const int64_t s : sources) *to++ = s < 0 ? *fill->data<T>() : from[s];
  });
  return out;
}

Tensor take_axes(const Tensor& value, const std::vector<std::vector<int64_t>>& maps, const Tensor* fill) {
  Shape shape;
  for (const auto& map : maps) shape.push_back(static_cast<int64_t>(map.size()));
  const auto strides = strides_of(value.shape());
  const auto source = [&](const std::vector<int64_t>& index) {
    int64_t offset = 0;
    for (size_t axis = 0; axis < maps.size(); ++axis) {
      const int64_t at = maps[axis][static_cast<size_t>(index[axis])];
      if (at < 0) return int64_t{-1};
      offset += at * strides[axis];
    }
    return offset;
  };
  const std::vector<int64_t> unused(shape.size(), 0);
  if (value.dtype() == DataType::string) {
    std::vector<std::string> strings;
    for (Odometer<1> o(shape, {unused}); o.more(); o.next()) {
      const int64_t at = source(o.index());
      strings.push_back(at < 0 ? fill->strings()[0] : value.strings()[static_cast<size_t>(at)]);
    }
    return Tensor::of_strings(shape, std::move(strings));
  }
  Tensor out = Tensor::uninitialized(value.dtype(), shape);
  dispatch_size(value.dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* from = value.data<T>();
    T* to = out.mutable_data<T>();
    for (Odometer<1> o(shape, {unused}); o.more(); o.next()) {
      const int64_t at = source(o.index());
      *to++ = at < 0 ? *fill->data<T>() : from[at];
    }
  });
  return out;
}

Tensor concat_items(const std::vector<Tensor>& values, size_t axis) {
  Shape shape = values[0].shape();
  shape[axis] = 0;
  for (const Tensor& value : values) shape[axis] += value.shape()[axis];
  int64_t outer = 1, inner = 1;
  for (size_t i = 0; i < axis; ++i) outer *= shape[i];
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  if (values[0].dtype() == DataType::string) {
    std::vector<std::string> strings;
    for (int64_t o = 0; o < outer; ++o) {
      for (const Tensor& value : values) {
        const auto first = value.strings().begin() + o * value.shape()[axis] * inner;
        strings.insert(strings.end(), first, first + value.shape()[axis] * inner);
      }
    }
    return Tensor::of_strings(shape, std::move(strings));
  }
  Tensor out = Tensor::uninitialized(values[0].dtype(), shape);
  std::byte* to = out.mutable_bytes();
  const size_t row = static_cast<size_t>(inner) * item_size(out.dtype());
  for (int64_t o = 0; o < outer && out.size() > 0; ++o) {
    for (const Tensor& value : values) {
      const size_t bytes = static_cast<size_t>(value.shape()[axis]) * row;
      if (bytes > 0) std::memcpy(to, value.bytes() + static_cast<size_t>(o) * bytes, bytes);
      to += bytes;
    }
  }
  return out;
}

Tensor item_of(double value, DataType dtype, const std::optional<AffineQuantization>& quant) {
  if (dtype == DataType::string) return cast_items(Tensor::scalar<double>(value), dtype);
  if (quant) value = std::nearbyint(value / static_cast<double>(quant->scale)) + quant->zero_point;
  return cast_items(Tensor::scalar<double>(value), dtype);
}

Fact moved_fact(const Fact& fact) {
  Fact out = fact_of(is_block_quantized(fact.dtype) ? DataType::f32 : fact.dtype, fact.shape);
  out.quant = fact.quant;
  return out;
}

std::shared_ptr<const std::vector<Dim>> known_dims(const Fact& fact) {
  if (fact.dtype != DataType::i64) return nullptr;
  if (fact.dims || !fact.constant || fact.constant->size() > kMaxKnownItems) return fact.dims;
  std::vector<Dim> dims;
  for (const int64_t v : fact.constant->items<int64_t>()) dims.emplace_back(v);
  return std::make_shared<const std::vector<Dim>>(std::move(dims));
}

void set_known_dims(Fact& fact, std::vector<Dim> dims) {
  const auto shape = fact.static_shape();
  if (fact.dtype != DataType::i64 || !shape || static_cast<size_t>(volume_of(*shape)) != dims.size()) return;
  std::vector<int64_t> values;
  for (const Dim& d : dims) {
    if (d.is_constant()) values.push_back(d.value());
  }
  if (values.size() == dims.size())
    fact.constant = std::make_shared<const Tensor>(Tensor::of<int64_t>(*shape, values));
  fact.dims = std::make_shared<const std::vector<Dim>>(std::move(dims));
}

std::string prefix_of(const NodeReader& c) { return c.signature().name + ": "; }

std::optional<Dim> agreed_extent(const Dim& a, const Dim& b) {
  if (a == b) return a;
  const Dim difference = a - b;
  if (difference.is_constant()) return std::nullopt;
  return b.is_constant() ? b : a;
}

std::vector<int64_t> checked_axes(const NodeReader& c, const std::vector<int64_t>& axes, int64_t rank) {
  for (size_t i = 0; i < axes.size(); ++i) {
    checked_axis(c, axes[i], rank);
    if (std::find(axes.begin(), axes.begin() + static_cast<std::ptrdiff_t>(i), axes[i]) !=
        axes.begin() + static_cast<std::ptrdiff_t>(i)) {
      throw c.fail("axis-repeated", prefix_of(c) + "axis " + std::to_string(axes[i]) + " is listed twice");
    }
  }
  return axes;
}

namespace {

std::string type_text(const Fact& fact) {
  Fact bare = fact;
  bare.shape.clear();
  std::string text = bare.to_string();
  return text.substr(0, text.size() - 3);  // without " []"
}

}  // namespace

void require_same_types(const NodeReader& c, const std::vector<const Fact*>& facts) {
  for (const Fact* fact : facts) {
    if (fact->dtype != facts[0]->dtype || fact->quant != facts[0]->quant) {
      throw c.fail("dtype-mismatch", prefix_of(c) + "arguments have types " + type_text(*facts[0]) + " and " +
                                         type_text(*fact) + ", but one type is expected; cast one of them");
    }
  }
}

void require_plain(const NodeReader& c, const std::vector<const Fact*>& facts) {
  for (const Fact* fact : facts) {
    if (fact->quant) {
      throw c.fail("quantised-operand", prefix_of(c) + "an argument holds " + type_text(*fact) +
                                            " codes, but real numbers are expected; cast it to a float type");
    }
  }
}

void require_float(const NodeReader& c, const Fact& fact, std::string_view argument) {
  if (!is_float(fact.dtype) || fact.quant) {
    throw c.fail("dtype-mismatch", prefix_of(c) + "`" + std::string(argument) + "` has type " +
                                       type_text(fact) + ", but a float type is expected; cast it");
  }
}

void require_integer(const NodeReader& c, const Fact& fact, std::string_view argument) {
  if (!is_integer(fact.dtype) || fact.quant) {
    throw c.fail("dtype-mismatch", prefix_of(c) + "`" + std::string(argument) + "` has type " +
                                       type_text(fact) + ", but an integer type is expected; cast it");
  }
}

void require_boolean(const NodeReader& c, const Fact& fact, std::string_view argument) {
  if (fact.dtype != DataType::boolean) {
    throw c.fail("dtype-mismatch", prefix_of(c) + "`" + std::string(argument) + "` has type " +
                                       type_text(fact) +
                                       ", but a logical tensor is expected; compare or cast it");
  }
}

int64_t single_integer(const NodeReader& c, const Tensor& tensor, std::string_view argument) {
  if (tensor.size() != 1) {
    throw c.fail("shape-mismatch", prefix_of(c) + "`" + std::string(argument) + "` has shape " +
                                       to_string(tensor.shape()) + ", but a single integer is expected");
  }
  return tensor.as_int(0);
}

}  // namespace nnefrun
