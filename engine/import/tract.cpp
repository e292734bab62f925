// What tract's dialect means where its operations are no rows as they stand (tract-opl sections 2 and 5).

#include <algorithm>

#include "engine/graph/variable.h"
#include "engine/import/importer.h"
#include "engine/ops/support.h"
#include "nnef_parser/stdlib.h"

namespace nnefrun {
namespace {

// A place in the lattice of 2.10: a type may be widened to one of the same family with a higher place.
std::optional<DataType> super_type(DataType a, DataType b) {
  if (a == b) return a;
  const auto place = [](DataType t) -> std::pair<int, int> {
    switch (t) {
      case DataType::f16: return {1, 0};
      case DataType::f32: return {1, 1};
      case DataType::f64: return {1, 2};
      case DataType::i8: return {2, 0};
      case DataType::i16: return {2, 1};
      case DataType::i32: return {2, 2};
      case DataType::i64: return {2, 3};
      case DataType::u8: return {3, 0};
      case DataType::u16: return {3, 1};
      case DataType::u32: return {3, 2};
      case DataType::u64: return {3, 3};
      default: return {0, 0};
    }
  };
  const auto x = place(a), y = place(b);
  if (x.first == 0 || x.first != y.first) return std::nullopt;
  return x.second > y.second ? a : b;
}

}  // namespace

// ------------------------------------------------------------------------------------------------ element
// types

DataType Importer::promoted(const PrimitiveCall& call, const Value& a, const Value& b) const {
  const Fact *fa = fact_if_wire(a), *fb = fact_if_wire(b);
  const auto expression = [&](const Value& v) {  // what tract types as TDim
    return v.is_integer() || (v.is_wire() && entry(v.as_wire()).is_symbolic());
  };
  const auto literal_kind = [](const Value& v) {
    return v.is_logical() ? DataType::boolean : v.is_string() ? DataType::string : DataType::f32;
  };
  if (fa == nullptr && fb == nullptr) {
    if (expression(a) && expression(b)) return DataType::i64;
    if (expression(a)) return b.is_list() ? DataType::i64 : literal_kind(b);
    return literal_kind(a);
  }
  if (fa == nullptr)
    return expression(a) && !is_float(fb->dtype) && fb->dtype != DataType::boolean && !a.is_integer()
               ? DataType::i64
               : fb->dtype;
  if (fb == nullptr)
    return expression(b) && !is_float(fa->dtype) && fa->dtype != DataType::boolean && !b.is_integer()
               ? DataType::i64
               : fa->dtype;
  if (fa->dtype == fb->dtype) return fa->dtype;
  if (fa->dtype == DataType::string || fb->dtype == DataType::string) return DataType::string;
  if (is_complex(fa->dtype) != is_complex(fb->dtype)) return is_complex(fa->dtype) ? fa->dtype : fb->dtype;
  const auto single = [](const Fact& f) { return f.constant && f.constant->size() == 1; };
  if (single(*fa)) return fb->dtype;
  if (single(*fb)) return fa->dtype;
  const auto constant = [&](const Value& v) {
    const Outlet outlet = *entry(v.as_wire()).outlet;
    return graph_.node(outlet).op->name == "variable" || fact(outlet).constant != nullptr;
  };
  if (constant(a)) return fb->dtype;
  if (constant(b)) return fa->dtype;
  if (const auto common = super_type(fa->dtype, fb->dtype)) return *common;
  throw fail(call, "dtype-mismatch",
             "operands of types " + std::string(name_of(fa->dtype)) + " and " +
                 std::string(name_of(fb->dtype)) + " have no common type")
      .note("write tract_core_cast(x, to = '...') on one of them");
}

std::vector<Value> Importer::tract_binary(const PrimitiveCall& call) {
  const Value &a = call.arguments[0], &b = call.arguments[1];
  if (auto through = [&]() -> std::optional<std::vector<Value>> {
        const Fact *fa = fact_if_wire(a), *fb = fact_if_wire(b);
        if ((fa == nullptr || !fa->quant) && (fb == nullptr || !fb->quant)) return std::nullopt;
        return through_floats(call);
      }()) {
    return std::move(*through);
  }
  const DataType type = promoted(call, a, b);
  std::string_view row = call.name;
  if (is_float(type) && row == "min") row = "nnefrun_fmin";
  if (is_float(type) && row == "max") row = "nnefrun_fmax";
  if (type == DataType::boolean && row == "tract_core_bitand") row = "and";
  if (type == DataType::boolean && row == "tract_core_bitor") row = "or";
  if (type == DataType::boolean && row == "tract_core_bitxor") row = "tract_core_xor";
  std::vector<Outlet> inputs;
  for (const Value* value : {&a, &b}) {
    const Outlet outlet = wire(*value, type);
    inputs.push_back(cast(call, outlet, type));
  }
  const Outlet result = node(call, row, inputs);
  return requantized(call, result, wanted_type(call));
}

std::vector<Value> Importer::tract_unary(const PrimitiveCall& call) {
  const Value& x = call.arguments[0];
  if (const Fact* f = fact_if_wire(x); f != nullptr && f->quant) return *through_floats(call);
  std::string_view row = call.name;
  if (row == "round") row = "nnefrun_round_half_away";
  if (row == "tract_core_bitnot" && fact(wire(x)).dtype == DataType::boolean) row = "not";
  if (row == "recip") row = "rcp";
  if (row == "square") row = "sqr";
  const Outlet input = wire(x);
  return requantized(call, node(call, row, {input}), wanted_type(call));
}

// Parameters of another float type follow the first argument, as they would in the operation's definition.
std::vector<Value> Importer::tract_parameters(const PrimitiveCall& call) {
  const Fact* first = fact_if_wire(call.arguments[0]);
  if (first == nullptr || !is_float(first->dtype)) return generic(call);
  const DataType type = first->dtype;
  PrimitiveCall cast_call = call;
  for (Value& argument : cast_call.arguments) {
    const Fact* f = fact_if_wire(argument);
    if (f != nullptr && is_float(f->dtype) && f->dtype != type) {
      argument = add_entry(cast(call, wire(argument), type));
    }
  }
  return generic(cast_call);
}

std::vector<Value> Importer::tract_select(const PrimitiveCall& call) {
  const Value &condition = call.arguments[0], &a = call.arguments[1], &b = call.arguments[2];
  if (condition.is_logical()) return {condition.as_logical() ? a : b};
  const DataType type = promoted(call, a, b);
  Outlet test = wire(condition);
  if (fact(test).dtype != DataType::boolean) test = cast(call, test, DataType::boolean);
  const Outlet x = wire(a, type), y = wire(b, type);
  const bool quantized = fact(x).quant && fact(x).quant == fact(y).quant;
  return {
      named(call, node(call, "select",
                       {test, quantized ? x : cast(call, x, type), quantized ? y : cast(call, y, type)}))};
}

// ------------------------------------------------------------------------------------------------------
// sources

std::vector<Value> Importer::tract_external(const PrimitiveCall& call) {
  if (const auto type = wanted_type(call)) return {external_of(call, type->dtype, type->quant)};
  if (call.name == "external") {
    const PrimitiveType primitive = call.generic.value_or(PrimitiveType::scalar);
    return {external_of(call,
                        primitive == PrimitiveType::integer   ? DataType::i64
                        : primitive == PrimitiveType::logical ? DataType::boolean
                        : primitive == PrimitiveType::string  ? DataType::string
                                                              : DataType::f32,
                        std::nullopt)};
  }
  const Value& text = call.argument("datum_type");
  if (!text.is_string()) throw fail(call, "attribute-type", "argument `datum_type` must be a string");
  const auto type = parse_item_type(text.as_string());
  if (!type) throw fail(call, "unknown-dtype", "there is no element type `" + text.as_string() + "`");
  return {external_of(call, type->dtype == DataType::dim ? DataType::i64 : type->dtype, type->quant)};
}

// In the engine's dialect: a variable that is updated and whose shape holds symbols, see variable_node.
std::optional<Value> Importer::changing_variable(const PrimitiveCall& call, const Tensor& initial) {
  const std::string name = call.result_names.empty() ? std::string() : call.result_names[0];
  if (document_.dialect != Dialect::engine || updated_names_.count(name) == 0) return std::nullopt;
  const DimShape shape = dims(call, "shape");
  bool fits = shape.size() == initial.shape().size(), has_symbols = false;
  for (size_t axis = 0; fits && axis < shape.size(); ++axis) {
    has_symbols = has_symbols || !shape[axis].is_constant();
    fits = shape[axis].is_constant() ? shape[axis].is(initial.shape()[axis]) : initial.shape()[axis] == 1;
  }
  if (!has_symbols || !fits) return std::nullopt;  // as any other, or with its error
  Node node = variable_node(initial, shape, call.argument("label").as_string());
  node.result_names = {name};
  return add_entry(graph_.add_copy(std::move(node), {}));
}

std::vector<Value> Importer::tract_variable(const PrimitiveCall& call) {
  const std::string& label = call.argument("label").as_string();
  auto file = sources_.tensor(label);
  if (!file)
    throw fail(call, "variable-missing",
               "there is no data file `" + label + ".dat` for label '" + label + "'");
  if (auto changing = changing_variable(call, file->tensor)) return {*changing};
  const std::vector<int64_t> shape = integers(call, "shape");
  if (is_block_quantized(file->tensor.dtype())) {
    if (volume_of(shape) != file->tensor.size()) {
      throw fail(call, "variable-shape",
                 "shape " + to_string(shape) + " is declared, but `" + label + ".dat` holds " +
                     std::to_string(file->tensor.size()) + " items");
    }
    return {variable_of(call, file->tensor.reshaped(shape), std::nullopt)};
  }
  if (file->tensor.shape() != shape) {
    throw fail(call, "variable-shape",
               "shape " + to_string(shape) + " is declared, but `" + label + ".dat` has " +
                   to_string(file->tensor.shape()));
  }
  const auto type = wanted_type(call);
  if (!type) return {variable_of(call, file->tensor, std::nullopt)};
  if (item_size(type->dtype) == item_size(file->tensor.dtype()) && is_integer(file->tensor.dtype())) {
    return {variable_of(call, file->tensor.reinterpreted(type->dtype), type->quant)};
  }
  const Value plain = variable_of(call, file->tensor, std::nullopt);
  return {add_entry(cast_to(call, wire(plain), *type))};
}

std::vector<Value> Importer::tract_resource(const PrimitiveCall& call) {
  const Value &label = call.argument("label"), &key = call.argument("key");
  if (!label.is_string() || !key.is_string())
    throw fail(call, "attribute-type", "label and key must be strings");
  const auto text = sources_.resource(label.as_string());
  if (!text) throw fail(call, "resource-missing", "there is no resource `" + label.as_string() + ".json`");
  return {json_value(*text, key.as_string(), label.as_string() + ".json")};
}

std::vector<Value> Importer::tract_cast(const PrimitiveCall& call) {
  const Value& to = call.argument("to");
  const auto wanted = wanted_type(call);
  std::optional<ItemType> type;
  if (to.is_string() && !to.as_string().empty()) {
    const auto parsed = parse_item_type(to.as_string());
    if (!parsed) throw fail(call, "unknown-dtype", "there is no element type `" + to.as_string() + "`");
    type = ItemType{parsed->dtype == DataType::dim ? DataType::i64 : parsed->dtype, parsed->quant};
  }
  if (wanted) type = wanted;
  if (!type)
    throw fail(call, "missing-argument",
               "argument `to` is missing, and graph.quant does not name the result");
  const Outlet input = wire(call.arguments[0]);
  return {named(call, node(call, "tract_core_cast", {input}, {Attribute(item_type_text(*type))}))};
}

std::vector<Value> Importer::tract_copy(const PrimitiveCall& call) {
  const Outlet input = wire(call.arguments[0]);
  const auto wanted = wanted_type(call);
  if (wanted && !(fact(input).dtype == wanted->dtype && fact(input).quant == wanted->quant)) {
    return {named(call, cast_to(call, input, *wanted))};
  }
  return {named(call, node(call, "copy", {input}))};
}

// -------------------------------------------------------------------------------------------------------
// shapes

std::vector<Value> Importer::tract_shape_of(const PrimitiveCall& call) {
  const auto items = shape_of(call.arguments[0]);
  std::vector<Dim> extents;
  for (const Value& item : items->items()) extents.push_back(symbolic(item)->dims[0]);
  return {add_symbolic({Dim(static_cast<int64_t>(extents.size()))}, extents)};
}

std::vector<Value> Importer::tract_range(const PrimitiveCall& call) {
  // Three integers that shapes tell stay expressions; the result is an i64 tensor.
  std::vector<Outlet> inputs;
  std::optional<DataType> type;
  for (const Value& argument : call.arguments) {
    if (const Fact* f = fact_if_wire(argument)) type = type.value_or(f->dtype);
  }
  for (const Value& argument : call.arguments) {
    if (argument.is_scalar()) type = type.value_or(DataType::f32);
  }
  for (const Value& argument : call.arguments) {
    const Outlet outlet = wire(argument, type.value_or(DataType::i64));
    inputs.push_back(cast(call, outlet, type.value_or(DataType::i64)));
  }
  return {named(call, node(call, "tract_core_range", inputs))};
}

// tract-opl 5.2, slice: clamped bounds; an end of 0 means to the end; the stride walks over the slice
// afterwards.
std::vector<Value> Importer::tract_slice(const PrimitiveCall& call) {
  const std::vector<int64_t> axes = integers(call, "axes");
  std::vector<int64_t> strides;
  if (!call.argument("stride").is_absent()) strides = integers(call, "stride");
  if (strides.empty()) strides.assign(axes.size(), 1);
  const auto begins = symbolic(call.argument("begin")), ends = symbolic(call.argument("end"));
  Outlet input = wire(call.argument("input"));
  const auto rank = static_cast<int64_t>(fact(input).shape.size());
  for (const int64_t axis : axes) {
    if (axis < 0 || axis >= rank) {
      throw fail(call, "axis-out-of-range",
                 "axis " + std::to_string(axis) + " is out of range for rank " + std::to_string(rank));
    }
    if (std::count(axes.begin(), axes.end(), axis) > 1)
      throw fail(call, "axis-repeated", "axis " + std::to_string(axis) + " is listed twice");
  }
  if (strides.size() != axes.size())
    throw fail(call, "attribute-length", "axes and stride must have equal lengths");
  if (std::count(strides.begin(), strides.end(), 0) > 0)
    throw fail(call, "stride-zero", "stride 0 is not allowed");
  if (!begins || !ends) {  // bounds that only the run tells
    const auto bound = [&](const Value& list, size_t i) -> Outlet {
      if (list.is_list()) {
        if (i >= list.items().size())
          throw fail(call, "attribute-length", "axes, begin and end must have equal lengths");
        Outlet item = cast(call, wire(list.items()[i], DataType::i64), DataType::i64);
        if (fact(item).rank() == 1) item = graph_.add("squeeze", {item}, {Attribute::of_ints({0})});
        return item;
      }
      const Outlet all = cast(call, wire(list, DataType::i64), DataType::i64);
      if (fact(all).rank() == 0) return all;
      const auto at = static_cast<int64_t>(i);
      const Outlet one =
          graph_.add("nnefrun_slice", {all},
                     {Attribute::of_ints({0}), Attribute::of_ints({at}), Attribute::of_ints({1})});
      return graph_.add("squeeze", {one}, {Attribute::of_ints({0})});
    };
    for (size_t i = 0; i < axes.size(); ++i) {
      const Outlet start = bound(call.argument("begin"), i), end = bound(call.argument("end"), i);
      const Dim length = Dim::symbol(graph_.fresh_symbol("slice"));
      input =
          node(call, "tract_core_dyn_slice", {input, start, end}, {Attribute(length), Attribute(axes[i])});
      if (strides[i] != 1)
        input = node(call, "tract_core_downsample", {input}, {Attribute(axes[i]), Attribute(strides[i])});
    }
    return {named(call, input)};
  }
  if (begins->dims.size() != axes.size() || ends->dims.size() != axes.size()) {
    throw fail(call, "attribute-length", "axes, begin and end must have equal lengths");
  }
  const DimShape shape = fact(input).shape;
  Attribute::List begin_list, length_list;
  for (size_t i = 0; i < axes.size(); ++i) {
    const Dim extent = shape[static_cast<size_t>(axes[i])];
    Dim begin = begins->dims[i], end = ends->dims[i];
    if (begin.is_constant() && begin.value() < 0) begin = begin + extent;
    if (end.is_constant() && end.value() <= 0) end = end + extent;
    // In range as far as can be decided, else clamped.
    const auto clamp = [&](const Dim& d) {
      if ((extent - d).is_at_least(0)) return d;
      return Dim::min(d, extent);
    };
    begin = clamp(begin);
    end = clamp(end);
    if (begin.is_constant() && begin.value() < 0) begin = 0;
    Dim length = end - begin;
    if (length.is_constant() && length.value() < 0) {
      throw fail(call, "slice-range",
                 "range [" + begins->dims[i].to_string() + ":" + ends->dims[i].to_string() +
                     "] does not fit extent " + extent.to_string() + " (axis " + std::to_string(axes[i]) +
                     ")");
    }
    const int64_t magnitude = strides[i] < 0 ? -strides[i] : strides[i];
    if (strides[i] < 0) begin = end - Dim(1);
    length = Dim::ceil_div(length, magnitude);
    if (length.is(0)) begin = 0;
    begin_list.emplace_back(begin);
    length_list.emplace_back(length);
  }
  return {
      named(call, node(call, "nnefrun_slice", {input},
                       {Attribute::of_ints(axes), begin_list, length_list, Attribute::of_ints(strides)}))};
}

std::vector<Value> Importer::tract_dyn_slice(const PrimitiveCall& call) {
  const auto start = symbolic(call.argument("start")), end = symbolic(call.argument("end"));
  const Outlet input = wire(call.arguments[0]);
  const int64_t axis = integers(call, "axis").at(0);
  if (start && end) {
    const Dim length = end->dims.at(0) - start->dims.at(0);
    return {named(call, node(call, "nnefrun_slice", {input},
                             {Attribute::of_ints({axis}), Attribute::of_dims({start->dims[0]}),
                              Attribute::of_dims({length})}))};
  }
  const auto scalar = [&](const Value& v) { return cast(call, wire(v, DataType::i64), DataType::i64); };
  return {named(call, node(call, "tract_core_dyn_slice",
                           {input, scalar(call.argument("start")), scalar(call.argument("end"))},
                           {attribute(call.argument("len"), call, "len"), Attribute(axis)}))};
}

std::vector<Value> Importer::tract_concat(const PrimitiveCall& call) {
  const Value& values = call.arguments[0];
  const std::vector<Value> items = values.is_list() ? values.items() : std::vector<Value>{values};
  const auto wanted = wanted_type(call);
  std::optional<ItemType> type = wanted;
  for (const Value& item : items) {
    const Fact* f = fact_if_wire(item);
    if (f != nullptr && !type) type = ItemType{f->dtype, f->quant};
  }
  std::vector<Outlet> inputs;
  for (const Value& item : items) {
    const Outlet outlet = wire(item, type ? std::optional<DataType>(type->dtype) : std::nullopt);
    inputs.push_back(type ? cast_to(call, outlet, *type) : outlet);
  }
  return {named(call, node(call, call.name, inputs, {Attribute(integers(call, "axis").at(0))}))};
}

// tract inserts the axes one after the other, lowest first, so that one may be listed twice.
std::vector<Value> Importer::tract_unsqueeze(const PrimitiveCall& call) {
  const Outlet input = wire(call.arguments[0]);
  std::vector<int64_t> axes = integers(call, "axes");
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) == axes.end()) return generic(call);
  std::vector<bool> fresh(static_cast<size_t>(fact(input).rank()), false);
  for (const int64_t axis : axes) {
    if (axis < 0 || axis > static_cast<int64_t>(fresh.size())) return generic(call);  // which refuses it
    fresh.insert(fresh.begin() + axis, true);
  }
  std::vector<int64_t> positions;
  for (size_t i = 0; i < fresh.size(); ++i) {
    if (fresh[i]) positions.push_back(static_cast<int64_t>(i));
  }
  return {named(call, node(call, "unsqueeze", {input}, {Attribute::of_ints(positions)}))};
}

std::vector<Value> Importer::tract_tile(const PrimitiveCall& call) {
  const Value& repeats = call.argument("repeats");
  if (symbolic(repeats)) {
    const Outlet input = wire(call.arguments[0]);
    return {named(call, node(call, "tile", {input}, {Attribute::of_dims(dims(call, "repeats"))}))};
  }
  const Outlet input = wire(call.arguments[0]);
  const Outlet counts = cast(call, wire(repeats, DataType::i64), DataType::i64);
  return {named(call, node(call, "nnefrun_dyn_tile", {input, counts}))};
}

std::vector<Value> Importer::tract_pad(const PrimitiveCall& call) {
  const Value& border = call.argument("border");
  std::string mode = border.is_string() ? border.as_string() : "constant";
  if (mode == "replicated") mode = "replicate";
  if (auto through = through_floats(call)) return std::move(*through);
  return generic_as(call, "pad", {{"border", Attribute(mode)}});
}

// ----------------------------------------------------------------------------------------------------
// extensions

void Importer::tract_assertion(std::string_view text, const SourceLocation& where) {
  Assertion assertion;
  assertion.text = std::string(text);
  std::string_view relation = text;
  if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    assertion.scenario = std::string(text.substr(0, colon));
    relation = text.substr(colon + 1);
  }
  static constexpr std::string_view kRelations[] = {"==", "<=", ">=", "<", ">"};
  for (const auto symbol : kRelations) {
    const size_t at = relation.find(symbol);
    if (at == std::string_view::npos) continue;
    try {
      std::map<std::string, Dim, std::less<>> set;
      for (const auto& entry : options_.set_symbols) set.emplace(entry.first, Dim(entry.second));
      const Dim left = parse_dim(relation.substr(0, at)).substitute(set);
      const Dim right = parse_dim(relation.substr(at + symbol.size())).substitute(set);
      assertion.equality = symbol == "==";
      assertion.expression = symbol == "==" || symbol == ">=" ? left - right
                             : symbol == "<="                 ? right - left
                             : symbol == ">"                  ? left - right - Dim(1)
                                                              : right - left - Dim(1);
    } catch (Error& error) {
      error.at(where);
      throw;
    }
    graph_.assertions.push_back(std::move(assertion));
    return;
  }
  throw Error("assertion-syntax",
              "tract_assert wants a relation (==, <=, >=, <, >), not `" + std::string(text) + "`", where);
}

void Importer::extension(const Extension& extension, const SourceLocation& where) {
  if (extension.name == "tract_registry") {
    size_t at = 0;  // torch_to_nnef lists several in one line
    while (at < extension.payload.size()) {
      const size_t end = std::min(extension.payload.find(' ', at), extension.payload.size());
      const std::string_view word = extension.payload.substr(at, end - at);
      if (!word.empty() && !is_registry(word))
        throw Error("unknown-registry", "there is no registry `" + std::string(word) + "`", where);
      at = end + 1;
    }
  } else if (extension.name == "tract_symbol") {
    graph_.declare_symbol(extension.payload);
  } else if (extension.name == "tract_assert") {
    tract_assertion(extension.payload, where);
  }
}

void Importer::read_properties(Expander& expander) {
  const FragmentDefinition* fragment = expander.find_fragment("tract_core_properties");
  if (fragment == nullptr || !fragment->has_body || !fragment->parameters.empty()) return;
  const std::vector<Value> results =
      expander.expand_fragment(*fragment, {}, *this, fragment->locate(fragment->place));
  if (results.size() != 1 || !results[0].is_array()) return;
  for (const Value& property : results[0].items()) {
    if (!property.is_list() || property.items().size() != 2 || !property.items()[0].is_string()) continue;
    const Fact& value = fact(wire(property.items()[1]));
    if (value.constant) graph_.properties.emplace_back(property.items()[0].as_string(), *value.constant);
  }
}

// ------------------------------------------------------------------------------------------------------- the
// table

Importer::Adapter Importer::find_adapter(std::string_view name, Dialect dialect) {
  static const std::map<std::string_view, Adapter> kKhronos = {
      {"external", &Importer::khronos_external}, {"constant", &Importer::khronos_constant},
      {"variable", &Importer::khronos_variable}, {"update", &Importer::khronos_update},
      {"cast", &Importer::khronos_cast},         {"slice", &Importer::khronos_slice},
  };
  static const std::map<std::string_view, Adapter> kTract = [] {
    std::map<std::string_view, Adapter> table = {
        {"external", &Importer::tract_external},
        {"tract_core_external", &Importer::tract_external},
        {"variable", &Importer::tract_variable},
        {"constant", &Importer::khronos_constant},
        {"update", &Importer::khronos_update},
        {"select", &Importer::tract_select},
        {"slice", &Importer::tract_slice},
        {"tract_core_dyn_slice", &Importer::tract_dyn_slice},
        {"concat", &Importer::tract_concat},
        {"stack", &Importer::tract_concat},
        {"tile", &Importer::tract_tile},
        {"unsqueeze", &Importer::tract_unsqueeze},
        {"pad", &Importer::tract_pad},
        {"conv", &Importer::tract_conv},
        {"deconv", &Importer::tract_deconv},
        {"nearest_upsample", &Importer::tract_upsample},
        {"multilinear_upsample", &Importer::tract_upsample},
        {"max_pool", &Importer::tract_pool},
        {"max_pool_with_index", &Importer::tract_pool_with_index},
        {"matmul", &Importer::tract_matmul},
        {"linear", &Importer::tract_linear},
        {"softmax", &Importer::tract_softmax},
        {"tract_core_softmax", &Importer::tract_softmax},
        {"tract_core_cast", &Importer::tract_cast},
        {"copy", &Importer::tract_copy},
        {"tract_core_shape_of", &Importer::tract_shape_of},
        {"tract_core_range", &Importer::tract_range},
        {"tract_core_scan", &Importer::tract_scan},
        {"tract_core_submodel", &Importer::tract_submodel},
        {"tract_resource_get", &Importer::tract_resource},
        {"cast", &Importer::khronos_cast},
    };
    for (const char* op : {"add",
                           "sub",
                           "mul",
                           "div",
                           "pow",
                           "eq",
                           "ne",
                           "lt",
                           "gt",
                           "le",
                           "ge",
                           "and",
                           "or",
                           "min",
                           "max",
                           "tract_core_xor",
                           "tract_core_bitand",
                           "tract_core_bitor",
                           "tract_core_bitxor",
                           "tract_shl",
                           "tract_shr"}) {
      table.emplace(op, &Importer::tract_binary);
    }
    for (const char* op : {"batch_normalization", "clamp", "prelu"}) {
      table.emplace(op, &Importer::tract_parameters);
    }
    for (const char* op : {"round", "recip", "square", "tract_core_bitnot"})
      table.emplace(op, &Importer::tract_unary);
    return table;
  }();
  static const std::map<std::string_view, Adapter> kEngine = {
      {"tract_core_external", &Importer::tract_external},
      {"variable", &Importer::tract_variable},
      {"update", &Importer::khronos_update},
      {"nnefrun_scan", &Importer::engine_scan},
      {"tract_core_submodel", &Importer::engine_submodel},
  };
  const auto& table = dialect == Dialect::engine ? kEngine : dialect == Dialect::tract ? kTract : kKhronos;
  const auto it = table.find(name);
  return it == table.end() ? nullptr : it->second;
}

}  // namespace nnefrun
