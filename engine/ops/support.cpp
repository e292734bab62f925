#include "engine/ops/support.h"

#include "engine/ops/complex_items.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace nnefrun {

std::vector<int64_t> strides_of(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

namespace {

std::string extent_text(int64_t v) { return std::to_string(v); }
std::string extent_text(const Dim& v) { return v.to_string(); }

int64_t broadcast_extent(int64_t a, int64_t b) {
  if (a == b || b == 1) return a;
  if (a == 1) return b;
  throw Error("broadcast", "extents do not broadcast");
}
Dim broadcast_extent(const Dim& a, const Dim& b) { return Dim::broadcast(a, b); }

template <class ShapeType>
ShapeType broadcast_shapes(std::string_view op, const std::vector<const ShapeType*>& shapes, bool leading) {
  size_t rank = 0;
  for (const auto* shape : shapes) rank = std::max(rank, shape->size());
  ShapeType out(rank, 1);
  for (const auto* shape : shapes) {
    const size_t shift = leading ? 0 : rank - shape->size();
    for (size_t axis = 0; axis < shape->size(); ++axis) {
      auto& extent = out[axis + shift];
      try {
        extent = broadcast_extent(extent, (*shape)[axis]);
      } catch (const Error&) {
        std::string all;
        for (const auto* s : shapes) all += (all.empty() ? "" : " and ") + to_string(*s);
        throw Error("shape-mismatch", std::string(op) + ": shapes " + all + " do not broadcast: extents " +
                                          extent_text(extent) + " and " + extent_text((*shape)[axis]) +
                                          " on axis " + std::to_string(axis + shift))
            .note(leading ? "NNEF aligns shapes at their leading axis"
                          : "shapes are aligned at their trailing axis");
      }
    }
  }
  return out;
}

}  // namespace

DimShape broadcast_leading(std::string_view op, const std::vector<const DimShape*>& shapes) {
  return broadcast_shapes(op, shapes, true);
}
Shape broadcast_leading(std::string_view op, const std::vector<const Shape*>& shapes) {
  return broadcast_shapes(op, shapes, true);
}
DimShape broadcast_trailing(std::string_view op, const std::vector<const DimShape*>& shapes) {
  return broadcast_shapes(op, shapes, false);
}
Shape broadcast_trailing(std::string_view op, const std::vector<const Shape*>& shapes) {
  return broadcast_shapes(op, shapes, false);
}

std::vector<int64_t> broadcast_strides(const Shape& shape, const Shape& result, bool leading) {
  std::vector<int64_t> out(result.size(), 0);
  const auto strides = strides_of(shape);
  const size_t shift = leading ? 0 : result.size() - shape.size();
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] != 1) out[axis + shift] = strides[axis];
  }
  return out;
}

namespace {

// Float to integer: toward zero, saturating, NaN to 0. Integer to integer: wraps.
template <class To, class From>
To convert(From from) {
  if constexpr (std::is_same_v<To, bool>) {
    return from != From{0};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(from)) return 0;
    // 2^digits is exact in every float type, the largest integer is not.
    const From bound = std::ldexp(From{1}, std::numeric_limits<To>::digits);
    if (from >= bound) return std::numeric_limits<To>::max();
    if (from <= (std::is_signed_v<To> ? -bound : From{0})) return std::numeric_limits<To>::min();
    return static_cast<To>(from);
  } else {
    return static_cast<To>(from);
  }
}

Tensor parse_strings(const Tensor& value, DataType to) {
  Tensor out = Tensor::zeros(to, value.shape());
  for (int64_t i = 0; i < value.size(); ++i) {
    const std::string& text = value.strings()[static_cast<size_t>(i)];
    size_t used = 0;
    double number = 0;
    try {
      number = text == "true" ? 1.0 : text == "false" ? 0.0 : std::stod(text, &used);
    } catch (const std::exception&) {
      used = std::string::npos;
    }
    if (text != "true" && text != "false" && used != text.size()) {
      throw Error("cast-string", "the string `" + text + "` is not a number");
    }
    dispatch(to, [&](auto t) {
      using T = decltype(t);
      out.mutable_data<T>()[i] = narrow<T>(convert<ComputeType<T>>(number));
    });
  }
  return out;
}

std::string number_text(double v) {
  if (v == std::floor(v) && std::abs(v) < 1e15) return std::to_string(static_cast<int64_t>(v));
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.9g", v);
  return buffer;
}

Tensor to_complex(const Tensor& value, DataType to) {
  Tensor out = Tensor::zeros(to, value.shape());
  const bool from_complex = is_complex(value.dtype());
  Shape parts = value.shape();
  parts.push_back(from_complex ? 2 : 1);
  const DataType from = from_complex ? part_of(value.dtype()) : value.dtype();
  const Tensor real = cast_items(Tensor::wrap(from, parts, nullptr, value.bytes()), part_of(to));
  const size_t size = item_size(part_of(to));
  std::byte* bytes = out.mutable_bytes();
  const size_t count = static_cast<size_t>(value.size());
  for (size_t i = 0; !from_complex && i < count; ++i)
    std::memcpy(bytes + 2 * i * size, real.bytes() + i * size, size);
  if (from_complex && count > 0) std::memcpy(bytes, real.bytes(), 2 * count * size);
  return out;
}

}  // namespace

Tensor cast_items(const Tensor& value, DataType to) {
  if (value.dtype() == to) return value;
  if (is_block_quantized(value.dtype())) return cast_items(dequantized(value), to);
  if (value.dtype() == DataType::string) return parse_strings(value, to);
  if (to == DataType::string) {
    std::vector<std::string> texts;
    for (int64_t i = 0; i < value.size(); ++i) {
      texts.push_back(value.dtype() == DataType::boolean ? (value.as_int(i) != 0 ? "true" : "false")
                      : is_integer(value.dtype())        ? std::to_string(value.as_int(i))
                                                         : number_text(value.as_double(i)));
    }
    return Tensor::of_strings(value.shape(), std::move(texts));
  }
  if (is_complex(to)) return to_complex(value, to);
  if (is_complex(value.dtype()))
    throw Error("dtype-unsupported", "a complex tensor does not cast to a real one");
  Tensor out = Tensor::uninitialized(to, value.shape());
  dispatch(value.dtype(), [&](auto from_tag) {
    using From = decltype(from_tag);
    dispatch(to, [&](auto to_tag) {
      using To = decltype(to_tag);
      const From* from = value.data<From>();
      To* items = out.mutable_data<To>();
      for (int64_t i = 0; i < value.size(); ++i)
        items[i] = narrow<To>(convert<ComputeType<To>>(widen(from[i])));
    });
  });
  return out;
}

std::vector<double> as_doubles(const Tensor& value) {
  const Tensor wide = cast_items(value, DataType::f64);
  const auto items = wide.items<double>();
  return {items.begin(), items.end()};
}

int64_t checked_axis(const NodeReader& c, int64_t axis, int64_t rank) {
  if (axis < 0 || axis >= rank) {
    throw c.fail("axis-out-of-range", c.signature().name + ": axis " + std::to_string(axis) +
                                          " is out of range for rank " + std::to_string(rank));
  }
  return axis;
}

}  // namespace nnefrun
