// What the Khronos dialect means where its operations are no rows as they stand (NNEF 1.0.5). Its types:
// scalar is f32, integer i64, logical bool, whatever the width of the stored items.

#include <algorithm>
#include <cmath>

#include "engine/import/importer.h"
#include "engine/ops/support.h"
#include "quant/code_format.h"

namespace nnefrun {
namespace {

DataType type_of(PrimitiveType primitive) {
  switch (primitive) {
    case PrimitiveType::integer: return DataType::i64;
    case PrimitiveType::logical: return DataType::boolean;
    case PrimitiveType::string: return DataType::string;
    default: return DataType::f32;
  }
}

}  // namespace

std::vector<Value> Importer::khronos_external(const PrimitiveCall& call) {
  return {external_of(call, type_of(call.generic.value_or(PrimitiveType::scalar)), std::nullopt)};
}

std::vector<Value> Importer::khronos_constant(const PrimitiveCall& call) {
  const DataType type = type_of(call.generic.value_or(PrimitiveType::scalar));
  const std::vector<int64_t> shape = integers(call, "shape");
  const int64_t volume = volume_of(shape);
  const Value& values = call.argument("value");
  const Outlet items = list_wire(values.is_list() ? values : Value::array({values}), type);
  const Tensor& given = *fact(items).constant;
  if (given.rank() != 1 || (given.size() != volume && given.size() != 1)) {
    throw fail(call, "constant-length",
               std::to_string(given.size()) + " values are given for shape " + to_string(shape) +
                   ", which holds " + std::to_string(volume));
  }
  Tensor filled = given;
  if (given.size() != volume) {
    filled = Tensor::uninitialized(type, shape);
    const size_t item = item_size(type);
    std::byte* bytes = filled.mutable_bytes();
    for (int64_t i = 0; i < volume; ++i)
      std::copy_n(given.bytes(), item, bytes + static_cast<size_t>(i) * item);
  }
  return {named(call, graph_.add_constant(filled.reshaped(shape),
                                          call.result_names.empty() ? "constant" : call.result_names[0]))};
}

namespace {

// f32 of the shape of a parameter; nullopt when all of it is `unit`.
std::optional<Tensor> parameter_tensor(const CodeParameter& parameter, double unit) {
  const auto is_unit = [&](double v) { return v == unit; };
  if (std::all_of(parameter.values.begin(), parameter.values.end(), is_unit)) return std::nullopt;
  Tensor out = Tensor::uninitialized(DataType::f32, parameter.shape);
  for (int64_t i = 0; i < out.size(); ++i)
    out.mutable_data<float>()[i] = static_cast<float>(parameter.values[static_cast<size_t>(i)]);
  return out;
}

// What each code of that many bits stands for, when all items have the same parameters.
std::optional<Tensor> book_of(const CodeFormat& format, int64_t lowest, int64_t count) {
  if (!format.first.is_scalar() || !format.second.is_scalar()) return std::nullopt;
  Tensor codes = Tensor::uninitialized(DataType::i64, {count});
  for (int64_t i = 0; i < count; ++i) codes.mutable_data<int64_t>()[i] = lowest + i;
  Tensor book = decode_codes(codes, format);
  const auto is_finite = [](float v) { return std::isfinite(v); };
  const auto items = book.items<float>();
  return std::all_of(items.begin(), items.end(), is_finite) ? std::optional(book) : std::nullopt;
}

}  // namespace

// Codes of 8 bits or fewer as operations that make reals of them, which rewrites may keep apart: (codes -
// zero point) * scale, or a book. nullopt when there are none of exactly the same value.
std::optional<Value> Importer::decoded_codes(const PrimitiveCall& call, const Tensor& codes,
                                             const CodeFormat& format) {
  const std::string& label = call.argument("label").as_string();
  if (format.kind == CodeFormat::Kind::zero_point) {
    Outlet value = node(call, "tract_core_cast", {graph_.add_constant(codes, label)}, {Attribute("f32")});
    const auto apply = [&](const char* op, const std::optional<Tensor>& operand) {
      if (operand) value = node(call, op, {value, graph_.add_constant(*operand, label + "_" + op)});
    };
    apply("sub", parameter_tensor(format.first, 0));
    apply("mul", parameter_tensor(format.second, 1));
    return named(call, value);
  }
  const int64_t lowest = codes.dtype() == DataType::i8 ? -(int64_t{1} << (format.bits - 1)) : 0;
  const int64_t count = int64_t{1} << format.bits;
  Tensor places = Tensor::uninitialized(DataType::u8, codes.shape());
  for (int64_t i = 0; i < codes.size(); ++i) {
    const int64_t place = codes.as_int(i) - lowest;
    if (place < 0 || place >= count) return std::nullopt;
    places.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(place);
  }
  const auto book = book_of(format, lowest, count);
  if (!book) return std::nullopt;
  const Tensor one = Tensor::of<float>(Shape(codes.shape().size(), 1), {1.0F});
  return named(call, node(call, "nnefrun_dequantize_groups",
                          {graph_.add_constant(places, label), graph_.add_constant(*book, label + "_book"),
                           graph_.add_constant(one, label + "_scale")}));
}

std::vector<Value> Importer::khronos_variable(const PrimitiveCall& call) {
  const std::string& label = call.argument("label").as_string();
  const PrimitiveType primitive = call.generic.value_or(PrimitiveType::scalar);
  const std::vector<int64_t> shape = integers(call, "shape");
  auto file = sources_.tensor(label);
  if (!file)
    throw fail(call, "variable-missing",
               "there is no data file `" + label + ".dat` for label '" + label + "'");
  if (file->tensor.shape() != shape) {
    throw fail(call, "variable-shape",
               "shape " + to_string(shape) + " is declared, but `" + label + ".dat` has " +
                   to_string(file->tensor.shape()));
  }
  const DataType stored = file->tensor.dtype();
  const std::string name = call.result_names.empty() ? std::string() : call.result_names[0];
  const auto quantized = quantization_.find(name);
  if (primitive == PrimitiveType::scalar && quantized != quantization_.end() && is_integer(stored)) {
    if (const auto format = code_format_of(*quantized->second, Dialect::khronos)) {
      applied_quantization_.insert(name);
      check_broadcast(*format, shape);
      const bool is_byte = stored == DataType::u8 || stored == DataType::i8;
      if (is_byte && format->bits <= 8 && updated_names_.count(name) == 0) {
        if (const auto value = decoded_codes(call, file->tensor, *format)) return {*value};
      }
      return {variable_of(call, decode_codes(file->tensor, *format), std::nullopt)};
    }
  }
  const bool fits = primitive == PrimitiveType::scalar    ? is_float(stored)
                    : primitive == PrimitiveType::integer ? is_integer(stored)
                    : primitive == PrimitiveType::logical ? stored == DataType::boolean
                                                          : stored == DataType::string;
  if (!fits) {
    throw fail(call, "variable-type",
               "`" + label + ".dat` holds " + std::string(name_of(stored)) + " items, which do not fit " +
                   std::string(name_of(primitive)))
        .note("scalar variables hold floats, integer ones integers, logical ones bools");
  }
  return {variable_of(call, cast_items(file->tensor, type_of(primitive)), std::nullopt)};
}

std::vector<Value> Importer::khronos_update(const PrimitiveCall& call) {
  const Outlet variable = wire(call.argument("variable")),
               value = wire(call.argument("value"), fact(variable).dtype);
  if (graph_.node(variable).op->name != "variable") {
    throw fail(call, "update-target",
               "only a variable can be updated, and `" + graph_.name_of(variable) + "` is none");
  }
  if (!fact(variable).same_type(fact(value))) {
    throw fail(
        call, "shape-mismatch",
        "the variable is " + fact(variable).to_string() + ", its new value " + fact(value).to_string());
  }
  if (!changing_.insert(variable.node).second) {
    throw fail(call, "updated-twice", "variable `" + graph_.name_of(variable) + "` is updated twice");
  }
  const Outlet copy = node(call, "copy", {value});
  graph_.updates.emplace_back(variable, copy);
  return {named(call, copy)};
}

std::vector<Value> Importer::khronos_cast(const PrimitiveCall& call) {
  const DataType to = type_of(call.generic.value_or(PrimitiveType::scalar));
  const Outlet input = wire(call.arguments[0]);
  if (fact(input).dtype == to) return {named(call, node(call, "copy", {input}))};
  return {named(call, node(call, "tract_core_cast", {input}, {Attribute(std::string(name_of(to)))}))};
}

// Section 12.9 of the reference, steps 1 to 5.
std::vector<Value> Importer::khronos_slice(const PrimitiveCall& call) {
  const Outlet input = wire(call.argument("input"));
  const DimShape shape = fact(input).shape;
  const std::vector<int64_t> axes = integers(call, "axes"), begins = integers(call, "begin"),
                             ends = integers(call, "end");
  std::vector<int64_t> strides =
      call.argument("stride").is_absent() ? std::vector<int64_t>{} : integers(call, "stride");
  if (begins.size() != axes.size() || ends.size() != axes.size() ||
      (!strides.empty() && strides.size() != axes.size())) {
    throw fail(call, "attribute-length",
               "axes, begin, end and stride must have equal lengths, not " + std::to_string(axes.size()) +
                   ", " + std::to_string(begins.size()) + ", " + std::to_string(ends.size()) + " and " +
                   std::to_string(strides.size()));
  }
  strides.resize(axes.size(), 1);
  Attribute::List begin_list, length_list;
  for (size_t i = 0; i < axes.size(); ++i) {
    const std::string place = " (axis " + std::to_string(axes[i]) + ")";
    if (axes[i] < 0 || axes[i] >= static_cast<int64_t>(shape.size())) {
      throw fail(
          call, "axis-out-of-range",
          "axis " + std::to_string(axes[i]) + " is out of range for rank " + std::to_string(shape.size()));
    }
    if (std::count(axes.begin(), axes.end(), axes[i]) > 1)
      throw fail(call, "axis-repeated", "axis " + std::to_string(axes[i]) + " is listed twice");
    if (strides[i] == 0) throw fail(call, "stride-zero", "stride 0 is not allowed" + place);
    if (!shape[static_cast<size_t>(axes[i])].is_constant()) {
      throw fail(call, "symbol-unknown", "the extent of axis " + std::to_string(axes[i]) + " must be known");
    }
    const int64_t extent = shape[static_cast<size_t>(axes[i])].value();
    int64_t begin = begins[i], end = ends[i];
    if (strides[i] == 1 && end == 0) end = extent;
    if (begin < 0) begin += extent;
    if (end < 0) end += extent;
    begin = std::clamp<int64_t>(begin, -1, extent);
    end = std::clamp<int64_t>(end, -1, extent);
    const bool valid = strides[i] > 0 ? begin >= 0 && begin <= end : end <= begin && begin <= extent - 1;
    if (!valid) {
      throw fail(call, "slice-range",
                 "range [" + std::to_string(begins[i]) + ":" + std::to_string(ends[i]) + ":" +
                     std::to_string(strides[i]) + "] does not fit extent " + std::to_string(extent) + place);
    }
    const int64_t distance = end - begin, magnitude = strides[i] < 0 ? -strides[i] : strides[i];
    const int64_t length = ((distance < 0 ? -distance : distance) + magnitude - 1) / magnitude;
    begin_list.emplace_back(length == 0 ? std::clamp<int64_t>(begin, 0, extent) : begin);
    length_list.emplace_back(length);
  }
  return {
      named(call, node(call, "nnefrun_slice", {input},
                       {Attribute::of_ints(axes), begin_list, length_list, Attribute::of_ints(strides)}))};
}

// Register A48: an entry of graph.quant acts as if its operation were applied to the tensor right after it is
// computed.
Value Importer::apply_quantization(const QuantizationEntry& q, Value value, const SourceLocation& where) {
  const OpDef* op = find_op(q.operation);
  if (op == nullptr) {
    throw Error("quant-operation", "graph.quant applies `" + q.operation + "`, which is not supported",
                q.operation_where);
  }
  const Outlet target = wire(value);
  PrimitiveCall call;
  call.name = q.operation;
  call.where = q.where ? q.where : where;
  const Signature& signature = signature_of(op);
  std::vector<Outlet> inputs{target};
  std::vector<uint32_t> counts{1};
  for (size_t i = 1; i < signature.tensors.size(); ++i) {
    const auto& parameter = signature.parameters[signature.tensors[i]];
    const QuantizationArgument* given = q.find(parameter.name);
    if (given == nullptr)
      throw Error("quant-missing-argument", "argument `" + parameter.name + "` is missing",
                  q.operation_where);
    inputs.push_back(wire(given->value, parameter.name == "zero_point" ? DataType::i64 : DataType::f32));
    counts.push_back(1);
  }
  std::vector<Attribute> attributes;
  for (const uint32_t index : signature.attributes) {
    const auto& parameter = signature.parameters[index];
    const QuantizationArgument* given = q.find(parameter.name);
    if (given != nullptr) {
      attributes.push_back(attribute(given->value, call, parameter.name));
    } else if (parameter.default_value) {
      attributes.push_back(*parameter.default_value);
    } else {
      attributes.emplace_back(parameter.name == "signed");  // A45: signed true, symmetric false
    }
  }
  const std::string name = graph_.name_of(target);
  const bool ours = name == q.key && graph_.node(target).op->name != "tract_core_external" &&
                    graph_.node(target).op->name != "variable";
  if (ours) graph_.rename(target, name + "_raw");
  return add_entry(
      graph_.add(op, inputs, counts, attributes, {ours ? name : name + "_quantized"}, {}, call.where));
}

}  // namespace nnefrun
