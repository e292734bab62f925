// Shape arithmetic: operations on symbolic integers are done while the graph is built and leave no nodes.
// What comes from tract_core_shape_of, from symbols and from integer literals stays an expression as long as
// the operations below are applied to it; anything else makes it a tensor (row nnefrun_dims).

#include <algorithm>

#include "engine/import/importer.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

using Dims = std::vector<Dim>;

// The item of a broadcast operand that result item `index` reads (leading alignment).
size_t broadcast_index(const Shape& shape, const Shape& result, int64_t index) {
  const auto result_strides = strides_of(result);
  const auto strides = broadcast_strides(shape, result);
  int64_t at = 0;
  for (size_t axis = 0; axis < result.size(); ++axis) {
    at += (index / result_strides[axis]) % result[axis] * strides[axis];
  }
  return static_cast<size_t>(at);
}

std::optional<Shape> constant_shape(const DimShape& shape) {
  Shape out;
  for (const Dim& d : shape) {
    if (!d.is_constant()) return std::nullopt;
    out.push_back(d.value());
  }
  return out;
}

std::optional<Dim> combine(std::string_view op, const Dim& a, const Dim& b) {
  if (op == "add") return a + b;
  if (op == "sub") return a - b;
  if (op == "mul") return a * b;
  if (op == "min") return Dim::min(a, b);
  if (op == "max") return Dim::max(a, b);
  if (op == "div") {
    if (b.is(0)) return std::nullopt;
    if (a.is_constant() && b.is_constant()) return Dim(a.value() / b.value());
    if (!b.is_constant()) return Dim::exact_div(a, b);
    return Dim::floor_div(a, b.value());
  }
  if (op == "nnefrun_floor_div") return Dim::floor_div(a, b);
  if (op == "nnefrun_ceil_div")
    return b.is_constant() ? std::optional<Dim>(Dim::ceil_div(a, b.value())) : std::nullopt;
  if (op == "nnefrun_broadcast") return Dim::broadcast(a, b);
  // Comparisons are decided only when the difference is a constant or has a known sign.
  const Dim difference = a - b;
  const auto sign = [&]() -> std::optional<int> {
    if (difference.is_constant()) return difference.value() < 0 ? -1 : difference.value() > 0 ? 1 : 0;
    return std::nullopt;
  }();
  if (!sign) return std::nullopt;
  if (op == "eq") return Dim(*sign == 0);
  if (op == "ne") return Dim(*sign != 0);
  if (op == "lt") return Dim(*sign < 0);
  if (op == "le") return Dim(*sign <= 0);
  if (op == "gt") return Dim(*sign > 0);
  if (op == "ge") return Dim(*sign >= 0);
  return std::nullopt;
}

bool is_arithmetic(std::string_view op) {
  return op == "add" || op == "sub" || op == "mul" || op == "div" || op == "min" || op == "max" ||
         op == "nnefrun_floor_div" || op == "nnefrun_ceil_div" || op == "nnefrun_broadcast";
}

bool is_comparison(std::string_view op) {
  return op == "eq" || op == "ne" || op == "lt" || op == "le" || op == "gt" || op == "ge";
}

}  // namespace

std::optional<std::vector<Value>> Importer::try_symbolic(const PrimitiveCall& call) {
  const std::string_view op = call.name;
  if (call.arguments.empty()) return std::nullopt;
  // Only shape values take this path: one argument at least is an expression that is not a tensor of the
  // graph.
  const auto is_expression = [&](const Value& value, const auto& self) -> bool {
    if (value.is_wire()) return entry(value.as_wire()).is_symbolic();
    if (!value.is_list()) return false;
    return std::any_of(value.items().begin(), value.items().end(),
                       [&](const Value& v) { return self(v, self); });
  };
  const Value& first = call.arguments[0];
  const bool expression = is_expression(first, is_expression) ||
                          (call.arguments.size() > 1 && is_expression(call.arguments[1], is_expression));
  if (!expression) return std::nullopt;
  const auto answer = [&](DimShape shape, Dims values) {
    return std::vector<Value>{add_symbolic(std::move(shape), std::move(values))};
  };

  if (is_arithmetic(op) || is_comparison(op)) {
    if (call.arguments.size() < 2) return std::nullopt;
    const auto a = symbolic(first), b = symbolic(call.arguments[1]);
    if (!a || !b) return std::nullopt;
    const auto sa = constant_shape(a->shape), sb = constant_shape(b->shape);
    if (!sa || !sb) return std::nullopt;
    const Shape shape = broadcast_leading(op, std::vector<const Shape*>{&*sa, &*sb});
    Dims out;
    for (int64_t i = 0; i < volume_of(shape); ++i) {
      const auto value =
          combine(op, a->dims[broadcast_index(*sa, shape, i)], b->dims[broadcast_index(*sb, shape, i)]);
      if (!value) return std::nullopt;
      out.push_back(*value);
    }
    if (!is_comparison(op)) return answer(to_dims(shape), std::move(out));
    if (!shape.empty()) return std::nullopt;
    return std::vector<Value>{Value::logical(out[0].value() != 0)};
  }

  // Everything below rearranges the items of one operand, or of several along an axis.
  if (op == "concat" || op == "stack") {
    const auto joined = first.is_list() ? first.items() : std::vector<Value>{first};
    DimShape shape;
    Dims out;
    for (const Value& item : joined) {
      const auto part = symbolic(item);
      if (!part || part->shape.size() > (op == "concat" ? 1U : 0U)) return std::nullopt;
      if (op == "concat" && part->shape.empty()) return std::nullopt;
      out.insert(out.end(), part->dims.begin(), part->dims.end());
    }
    if (integers(call, "axis") != std::vector<int64_t>{0}) return std::nullopt;
    return answer({Dim(static_cast<int64_t>(out.size()))}, out);
  }

  const auto value = symbolic(first);
  if (!value) return std::nullopt;
  const auto known_shape = constant_shape(value->shape);
  if (!known_shape) return std::nullopt;
  Shape shape = *known_shape;
  if (op == "neg") {
    Dims out;
    for (const Dim& d : value->dims) out.push_back(-d);
    return answer(value->shape, std::move(out));
  }
  if (op == "copy") return answer(value->shape, value->dims);
  if (op == "tract_core_cast") {
    const Value& to = call.argument("to");
    if (!to.is_string() || wanted_type(call)) return std::nullopt;
    const auto type = data_type_from_name(to.as_string());
    if (type != DataType::i64 && type != DataType::dim) return std::nullopt;
    return answer(value->shape, value->dims);
  }
  if (op == "unsqueeze" || op == "squeeze") {
    std::vector<int64_t> axes = integers(call, "axes");
    std::sort(axes.begin(), axes.end());
    if (op == "squeeze") std::reverse(axes.begin(), axes.end());
    for (const int64_t axis : axes) {
      const auto limit = static_cast<int64_t>(shape.size()) + (op == "unsqueeze" ? 1 : 0);
      if (axis < 0 || axis >= limit) {
        throw fail(call, "axis-out-of-range",
                   "axis " + std::to_string(axis) + " is out of range for shape " + to_string(shape));
      }
      if (op == "unsqueeze") {
        shape.insert(shape.begin() + axis, 1);
      } else if (shape[static_cast<size_t>(axis)] != 1) {
        throw fail(call, "shape-mismatch",
                   "axis " + std::to_string(axis) + " of shape " + to_string(shape) + " is not 1");
      } else {
        shape.erase(shape.begin() + axis);
      }
    }
    return answer(to_dims(shape), value->dims);
  }
  if (op == "slice" && shape.size() == 1) {
    const auto begins = symbolic(call.argument("begin")), ends = symbolic(call.argument("end"));
    if (!begins || !ends || begins->dims.size() != 1 || ends->dims.size() != 1) return std::nullopt;
    if (!begins->dims[0].is_constant() || !ends->dims[0].is_constant()) return std::nullopt;
    const int64_t extent = shape[0];
    int64_t begin = begins->dims[0].value(), end = ends->dims[0].value();
    if (begin < 0) begin += extent;
    if (end <= 0) end += extent;
    const Value& strides = call.argument("stride");
    if (!strides.is_absent() && integers(call, "stride") != std::vector<int64_t>{1} &&
        !integers(call, "stride").empty()) {
      return std::nullopt;
    }
    begin = std::clamp<int64_t>(begin, 0, extent);
    end = std::clamp<int64_t>(end, begin, extent);
    return answer({Dim(end - begin)}, Dims(value->dims.begin() + begin, value->dims.begin() + end));
  }
  if (op == "tract_core_gather" && shape.size() == 1) {
    const auto indices = symbolic(call.argument("indices"));
    if (!indices) return std::nullopt;
    Dims out;
    for (const Dim& d : indices->dims) {
      if (!d.is_constant()) return std::nullopt;
      const int64_t index = d.value() < 0 ? d.value() + shape[0] : d.value();
      if (index < 0 || index >= shape[0]) {
        throw fail(call, "index-out-of-range",
                   "index " + d.to_string() + " is out of range for extent " + std::to_string(shape[0]));
      }
      out.push_back(value->dims[static_cast<size_t>(index)]);
    }
    return answer(indices->shape, std::move(out));
  }
  if (op == "reshape" && !call.argument("shape").is_absent()) {
    std::vector<int64_t> wanted = integers(call, "shape");
    if (wanted.size() > 1 || !integers(call, "axis_start").empty()) {
      if (integers(call, "axis_start")[0] != 0) return std::nullopt;
    }
    if (wanted.size() > 1) return std::nullopt;
    return answer(wanted.empty() ? DimShape{} : DimShape{Dim(static_cast<int64_t>(value->dims.size()))},
                  value->dims);
  }
  return std::nullopt;
}

}  // namespace nnefrun
