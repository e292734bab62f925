#include "engine/import/importer.h"

#include <algorithm>

#include "engine/graph/interpreter.h"
#include "engine/ops/support.h"
#include "nnef_parser/stdlib.h"

namespace nnefrun {
namespace {

constexpr int64_t kFoldItems = 4096;  // integer results up to this size are computed while the graph is built

DataType literal_type(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::scalar: return DataType::f32;
    case Value::Kind::logical: return DataType::boolean;
    case Value::Kind::string: return DataType::string;
    default: return DataType::i64;
  }
}

// One literal converted to `type`: an integer or scalar to any number type, with the rules of a cast.
void store_literal(const Value& value, DataType type, Tensor& out, int64_t index) {
  const double number = value.is_scalar()    ? value.as_scalar()
                        : value.is_logical() ? (value.as_logical() ? 1 : 0)
                                             : static_cast<double>(value.as_integer());
  switch (type) {
    case DataType::boolean: out.mutable_data<uint8_t>()[index] = number != 0 ? 1 : 0; return;
    case DataType::f16: out.mutable_data<Half>()[index] = Half(static_cast<float>(number)); return;
    case DataType::bf16: out.mutable_data<BFloat16>()[index] = BFloat16(static_cast<float>(number)); return;
    case DataType::f32: out.mutable_data<float>()[index] = static_cast<float>(number); return;
    case DataType::f64: out.mutable_data<double>()[index] = number; return;
    case DataType::complex32:
    case DataType::complex64:
    case DataType::complex128: {
      const Tensor item = cast_items(Tensor::scalar<double>(number), type);
      std::copy_n(item.bytes(), item.byte_size(),
                  out.mutable_bytes() + static_cast<size_t>(index) * item.byte_size());
      return;
    }
    default: break;
  }
  const int64_t integer = value.is_integer()  ? value.as_integer()
                          : number >= 0x1p63  ? INT64_MAX
                          : number <= -0x1p63 ? INT64_MIN
                          : number != number  ? 0
                                              : static_cast<int64_t>(number);
  switch (type) {
    case DataType::u8: out.mutable_data<uint8_t>()[index] = static_cast<uint8_t>(integer); return;
    case DataType::i8: out.mutable_data<int8_t>()[index] = static_cast<int8_t>(integer); return;
    case DataType::u16: out.mutable_data<uint16_t>()[index] = static_cast<uint16_t>(integer); return;
    case DataType::i16: out.mutable_data<int16_t>()[index] = static_cast<int16_t>(integer); return;
    case DataType::u32: out.mutable_data<uint32_t>()[index] = static_cast<uint32_t>(integer); return;
    case DataType::i32: out.mutable_data<int32_t>()[index] = static_cast<int32_t>(integer); return;
    case DataType::u64: out.mutable_data<uint64_t>()[index] = static_cast<uint64_t>(integer); return;
    case DataType::i64: out.mutable_data<int64_t>()[index] = integer; return;
    default: throw Error("dtype-unsupported", "a literal cannot be of type " + std::string(name_of(type)));
  }
}

// Shape and leaves of nested lists; throws when they are jagged.
void flatten(const Value& value, size_t depth, Shape& shape, std::vector<const Value*>& leaves) {
  if (!value.is_list()) {
    if (depth != shape.size())
      throw Error("array-jagged", "a nested array must have the same depth everywhere");
    leaves.push_back(&value);
    return;
  }
  const auto extent = static_cast<int64_t>(value.items().size());
  if (depth == shape.size() && leaves.empty()) {
    shape.push_back(extent);
  } else if (depth >= shape.size() || shape[depth] != extent) {
    throw Error("array-jagged", "the rows of a nested array must have equal lengths");
  }
  for (const Value& item : value.items()) flatten(item, depth + 1, shape, leaves);
}

}  // namespace

Importer::Importer(const Document& document, const ImportSources& sources, const ImportOptions& options,
                   Importer* parent)
    : document_(document), sources_(sources), options_(options), parent_(parent) {
  for (const QuantizationEntry& q : sources.quantization) quantization_.emplace(q.key, &q);
  if (parent != nullptr) {
    graph_.symbols = parent->graph_.symbols;
    return;
  }
  for (const Assignment& assignment : document.graph->body) {
    for_each_invocation(*assignment.right, [&](const Invocation& i) {
      if (i.name != "update" || i.arguments.empty()) return;
      if (const auto* variable = i.arguments[0].value->as<Identifier>())
        updated_names_.emplace(variable->name);
    });
  }
}

Graph Importer::run() {
  ExpandOptions expand;
  expand.on_error = options_.on_error;
  Expander expander(document_, *this, expand);
  const std::vector<Value> results = expander.run();
  graph_.name = std::string(document_.graph->name);
  for (size_t i = 0; i < results.size(); ++i) {
    const std::string name(document_.graph->results[i].name);
    if (options_.on_error && results[i].is_absent()) continue;
    try {
      graph_.outputs.push_back({wire(results[i]), name});
    } catch (Error& error) {
      error.at(document_.locate(document_.graph->results[i].place));
      if (!options_.on_error) throw;
      options_.on_error(error);
    }
  }
  // A result keeps its name although its wire may have had another one first.
  for (const GraphOutput& output : graph_.outputs) {
    const bool is_input = graph_.node(output.outlet).op->name == "tract_core_external";
    if (!is_input && !graph_.has_name(output.name)) graph_.rename(output.outlet, output.name);
  }
  read_properties(expander);
  return std::move(graph_);
}

Error Importer::fail(const PrimitiveCall& call, std::string_view code, const std::string& message) const {
  return Error(code, std::string(call.name) + ": " + message, call.where);
}

// ---------------------------------------------------------------------------------------------------- values

Value Importer::add_entry(Outlet outlet) {
  const Fact& f = fact(outlet);
  Entry e;
  e.outlet = outlet;
  e.shape = f.shape;
  if (f.dims) e.dims = *f.dims;
  entries_.push_back(std::move(e));
  return Value::wire({static_cast<uint32_t>(entries_.size() - 1)});
}

Value Importer::add_symbolic(DimShape shape, std::vector<Dim> values) {
  Entry e;
  e.shape = std::move(shape);
  e.dims = std::move(values);
  entries_.push_back(std::move(e));
  return Value::wire({static_cast<uint32_t>(entries_.size() - 1)});
}

Outlet Importer::literal(const Value& value, std::optional<DataType> type) {
  if (value.is_string()) return graph_.add_constant(Tensor::of_strings({}, {value.as_string()}), "literal");
  Tensor t = Tensor::zeros(type.value_or(literal_type(value)), {});
  store_literal(value, t.dtype(), t, 0);
  return graph_.add_constant(std::move(t), "literal");
}

Outlet Importer::list_wire(const Value& value, std::optional<DataType> type) {
  if (!value.contains_wire()) {
    Shape shape;
    std::vector<const Value*> leaves;
    flatten(value, 0, shape, leaves);
    if (!leaves.empty() && leaves[0]->is_string()) {
      std::vector<std::string> texts;
      for (const Value* leaf : leaves) texts.push_back(leaf->as_string());
      return graph_.add_constant(Tensor::of_strings(shape, std::move(texts)), "literal");
    }
    DataType own = leaves.empty() ? DataType::f32 : literal_type(*leaves[0]);
    for (const Value* leaf : leaves) {
      if (leaf->is_scalar()) own = DataType::f32;
    }
    Tensor t = Tensor::zeros(type.value_or(own), shape);
    for (size_t i = 0; i < leaves.size(); ++i)
      store_literal(*leaves[i], t.dtype(), t, static_cast<int64_t>(i));
    return graph_.add_constant(std::move(t), "literal");
  }
  // Wires among the items: each gets a leading axis, then they are joined.
  std::vector<Outlet> parts;
  for (const Value& item : value.items()) {
    if (const Fact* f = fact_if_wire(item)) type = type.value_or(f->dtype);
  }
  for (const Value& item : value.items()) {
    parts.push_back(graph_.add("unsqueeze", {wire(item, type)}, {Attribute::of_ints({0})}));
  }
  return graph_.add("concat", parts, {Attribute(0)});
}

Outlet Importer::wire(const Value& value, std::optional<DataType> type) {
  if (value.is_wire()) {
    Entry& e = entries_[value.as_wire().id];
    if (e.outlet) return *e.outlet;
    if (std::all_of(e.dims.begin(), e.dims.end(), [](const Dim& d) { return d.is_constant(); })) {
      Shape shape;
      for (const Dim& d : e.shape) shape.push_back(d.value());
      Tensor t = Tensor::zeros(type.value_or(DataType::i64), shape);
      for (size_t i = 0; i < e.dims.size(); ++i) {
        store_literal(Value::integer(e.dims[i].value()), t.dtype(), t, static_cast<int64_t>(i));
      }
      // Literals of another type are a separate wire: only the i64 form stands for the entry.
      const Outlet outlet = graph_.add_constant(std::move(t), "literal");
      if (fact(outlet).dtype == DataType::i64) e.outlet = outlet;
      return outlet;
    }
    e.outlet =
        graph_.add("nnefrun_dims", {}, {Attribute::of_dims(e.dims), Attribute::of_dims(e.shape)}, "dims");
    return *e.outlet;
  }
  if (value.is_absent()) throw Error("missing-argument", "a tensor is expected");
  if (!value.is_list()) return literal(value, type);
  if (const auto known = symbolic(value); known && value.contains_wire()) {
    return wire(add_symbolic(known->shape, known->dims), type);
  }
  return list_wire(value, type);
}

std::optional<Importer::Symbolic> Importer::symbolic(const Value& value) const {
  if (value.is_integer()) return Symbolic{{}, {Dim(value.as_integer())}};
  if (value.is_wire()) {
    const Entry& e = entry(value.as_wire());
    if (e.is_symbolic()) return Symbolic{e.shape, e.dims};
    const Fact& f = fact(*e.outlet);
    if (f.dims) return Symbolic{f.shape, *f.dims};
    if (f.constant && is_integer(f.dtype) && !f.quant && f.constant->size() <= kFoldItems) {
      Symbolic s{f.shape, {}};
      for (int64_t i = 0; i < f.constant->size(); ++i) s.dims.emplace_back(f.constant->as_int(i));
      return s;
    }
    return std::nullopt;
  }
  if (!value.is_list()) return std::nullopt;
  Symbolic joined;
  bool first = true;
  for (const Value& item : value.items()) {
    auto part = symbolic(item);
    if (!part || (!first && part->shape != joined.shape)) return std::nullopt;
    if (first) joined.shape = part->shape;
    first = false;
    joined.dims.insert(joined.dims.end(), part->dims.begin(), part->dims.end());
  }
  joined.shape.insert(joined.shape.begin(), Dim(static_cast<int64_t>(value.items().size())));
  return joined;
}

const Fact* Importer::fact_if_wire(const Value& value) const {
  if (!value.is_wire()) return nullptr;
  const Entry& e = entry(value.as_wire());
  return e.outlet ? &graph_.fact(*e.outlet) : nullptr;
}

Attribute Importer::attribute(const Value& value, const PrimitiveCall& call,
                              std::string_view parameter) const {
  switch (value.kind()) {
    case Value::Kind::absent: return {};
    case Value::Kind::integer: return value.as_integer();
    case Value::Kind::scalar: return value.as_scalar();
    case Value::Kind::logical: return value.as_logical();
    case Value::Kind::string: return value.as_string();
    case Value::Kind::array:
    case Value::Kind::tuple: {
      Attribute::List list;
      for (const Value& item : value.items()) list.push_back(attribute(item, call, parameter));
      Attribute out(std::move(list));
      out.is_tuple = value.is_tuple();
      return out;
    }
    case Value::Kind::wire: break;
  }
  const auto nested = [](const DimShape& shape, const auto& item) {  // rank 0: the item, rank 1: a list
    if (shape.empty()) return item(0);
    Attribute::List list;
    for (int64_t i = 0; i < volume_of(shape).value(); ++i) list.push_back(item(static_cast<size_t>(i)));
    return Attribute(std::move(list));
  };
  if (const auto known = symbolic(value)) {
    return nested(known->shape, [&](size_t i) { return Attribute(known->dims[i]); });
  }
  const Fact* f = fact_if_wire(value);
  if (f != nullptr && f->constant && f->constant->dtype() != DataType::string &&
      f->constant->size() <= kFoldItems) {
    const Tensor& t = *f->constant;
    return nested(f->shape, [&](size_t i) {
      const auto index = static_cast<int64_t>(i);
      return t.dtype() == DataType::boolean ? Attribute(t.as_int(index) != 0) : Attribute(t.as_double(index));
    });
  }
  throw fail(call, "attribute-unknown",
             "argument `" + std::string(parameter) +
                 "` must be known before the graph runs, but it depends on its inputs");
}

std::vector<Dim> Importer::dims(const PrimitiveCall& call, std::string_view parameter) const {
  const Value& value = call.argument(parameter);
  const auto known = symbolic(value);
  if (known) return known->dims;
  std::vector<Dim> out;
  const auto add = [&](const Attribute& a, const auto& self) -> void {
    if (const auto* list = std::get_if<Attribute::List>(&a.value)) {
      for (const Attribute& item : *list) self(item, self);
    } else if (const auto* dim = std::get_if<Dim>(&a.value)) {
      out.push_back(*dim);
    } else if (const auto* scalar = std::get_if<double>(&a.value);
               scalar != nullptr && *scalar == static_cast<double>(static_cast<int64_t>(*scalar))) {
      out.emplace_back(static_cast<int64_t>(*scalar));
    } else {
      throw fail(call, "attribute-type", "argument `" + std::string(parameter) + "` must hold integers");
    }
  };
  add(attribute(value, call, parameter), add);
  return out;
}

std::vector<int64_t> Importer::integers(const PrimitiveCall& call, std::string_view parameter) const {
  std::vector<int64_t> out;
  for (const Dim& d : dims(call, parameter)) {
    if (!d.is_constant()) {
      throw fail(call, "symbol-unknown",
                 "argument `" + std::string(parameter) + "` must not depend on symbols, but is `" +
                     d.to_string() + "`");
    }
    out.push_back(d.value());
  }
  return out;
}

// ------------------------------------------------------------------------------------------------------ rows

void Importer::fold_small(Outlet outlet) {
  const Node& n = graph_.node(outlet);
  if (n.facts.size() != 1 || n.op->stateful || n.op->eval == nullptr || n.inputs.empty()) return;
  const Fact& f = n.facts[0];
  const bool plain = is_integer(f.dtype) || is_float(f.dtype) || f.dtype == DataType::boolean;
  if (f.constant || !plain || f.quant || !f.is_static()) return;
  // Integers may become extents; of other types only what exporters compute extents with: a few items.
  if (volume_of(*f.static_shape()) > (is_integer(f.dtype) ? kFoldItems : 4)) return;
  std::vector<Tensor> arguments;
  for (const Outlet& input : n.inputs) {
    const Fact& from = fact(input);
    if (!from.constant || from.constant->size() > kFoldItems) return;
    arguments.push_back(*from.constant);
  }
  static const SymbolValues kNone;
  EvalContext context(n, signature_of(n.op), graph_, std::move(arguments), kNone, nullptr);
  const Fact folded = fact_of_constant(n.op->eval(context)[0]);
  Fact& mutable_fact = graph_.mutable_fact(outlet);
  mutable_fact.constant = folded.constant;
  mutable_fact.dims = folded.dims;
}

std::vector<Value> Importer::add_row(const PrimitiveCall& call, std::string_view row,
                                     std::vector<Outlet> inputs, std::vector<uint32_t> counts,
                                     std::vector<Attribute> attributes,
                                     std::vector<std::shared_ptr<const Graph>> bodies) {
  const OpDef* op = find_op(row);
  if (op == nullptr)
    throw fail(call, "unsupported-operation", "there is no operator `" + std::string(row) + "`");
  if (graph_.nodes().size() >= options_.max_nodes) {
    throw fail(call, "limit-nodes",
               "the graph has more than " + std::to_string(options_.max_nodes) + " nodes")
        .note("--limit-nodes raises the limit");
  }
  const Signature& signature = signature_of(op);
  // One array of results: the text names its items, or (results that vary in number) destructures them.
  const bool variable = call.declaration != nullptr && has_variable_results(*call.declaration);
  const bool array = !variable && signature.result_is_array.size() == 1 && signature.result_is_array[0];
  std::vector<std::string> names = call.result_names;
  if (array) names = call.array_names.empty() ? std::vector<std::string>{} : call.array_names[0];
  const Outlet first = graph_.add(op, std::move(inputs), std::move(counts), std::move(attributes),
                                  std::move(names), std::move(bodies), call.where);
  fold_small(first);
  std::vector<Value> results;
  for (uint32_t r = 0; r < graph_.node(first).facts.size(); ++r)
    results.push_back(add_entry({first.node, r}));
  if (array) return {Value::array(std::move(results))};
  return results;
}

Outlet Importer::node(const PrimitiveCall& call, std::string_view row, std::vector<Outlet> inputs,
                      std::vector<Attribute> attributes, std::string name) {
  const OpDef* op = find_op(row);
  if (op == nullptr)
    throw fail(call, "unsupported-operation", "there is no operator `" + std::string(row) + "`");
  const Signature& signature = signature_of(op);
  std::vector<uint32_t> counts(signature.tensors.size(), 1);
  if (signature.tensors.size() == 1 && signature.parameters[signature.tensors[0]].is_array) {
    counts[0] = static_cast<uint32_t>(inputs.size());
  }
  for (size_t i = inputs.size(); i < counts.size(); ++i) counts[i] = 0;
  const Outlet outlet = graph_.add(op, std::move(inputs), std::move(counts), std::move(attributes),
                                   {std::move(name)}, {}, call.where);
  fold_small(outlet);
  return outlet;
}

Outlet Importer::cast(const PrimitiveCall& call, Outlet outlet, DataType type) {
  if (fact(outlet).dtype == type && !fact(outlet).quant) return outlet;
  return node(call, "tract_core_cast", {outlet}, {Attribute(std::string(name_of(type)))});
}

Value Importer::named(const PrimitiveCall& call, Outlet outlet, size_t result) {
  if (result < call.result_names.size() && !call.result_names[result].empty() &&
      !graph_.has_name(call.result_names[result]) && graph_.node(outlet).op->name != "tract_core_external" &&
      graph_.node(outlet).op->name != "variable") {
    graph_.rename(outlet, call.result_names[result]);
  }
  return add_entry(outlet);
}

namespace {

// The type of a literal among tensors of type `type`: it follows them where its kind allows.
std::optional<DataType> literal_type_for(const Signature& signature, const Signature::Parameter& declared,
                                         const Value& value, std::optional<DataType> type) {
  const std::string& parameter = declared.name;
  if (declared.is_integer && value.is_integer()) return std::nullopt;
  if (signature.name.starts_with("tract_core_q") || signature.name == "tract_core_einsum_q") {
    if (parameter == "bias" || parameter == "a0" || parameter == "b0" || parameter == "c0")
      return DataType::i32;
    if (parameter.ends_with("_scale")) return DataType::f32;
  }
  if (value.is_logical() || (value.is_list() && value.contains_wire())) return std::nullopt;
  if (value.is_scalar() && type && !is_float(*type)) return std::nullopt;
  return type;
}

}  // namespace

// Register A18: a bias of rank 1 is per channel only for a lenient reader.
void Importer::require_strict_bias(const PrimitiveCall& call, const Signature& signature,
                                   const std::vector<Outlet>& inputs,
                                   const std::vector<uint32_t>& counts) const {
  size_t flat = 0;
  for (size_t t = 0; t < counts.size(); flat += counts[t++]) {
    if (signature.parameters[signature.tensors[t]].name != "bias" || counts[t] == 0) continue;
    if (fact(inputs[flat]).rank() == 1) {
      throw fail(call, "shape-mismatch",
                 "`bias` must have shape [1, channels], not " + to_string(fact(inputs[flat]).shape));
    }
  }
}

std::vector<Value> Importer::generic(const PrimitiveCall& call) { return generic_as(call, call.name); }

std::vector<Value> Importer::generic_as(
    const PrimitiveCall& call, std::string_view row,
    const std::vector<std::pair<std::string_view, Attribute>>& overrides) {
  const OpDef* op = find_op(row);
  if (op == nullptr)
    throw fail(call, "unsupported-operation", "there is no operator `" + std::string(row) + "`");
  const Signature& signature = signature_of(op);
  // Literals among the tensors take the type of the first tensor that is a wire (of the last ones for select,
  // whose condition has a type of its own).
  std::optional<DataType> type;
  for (const uint32_t index : signature.tensors) {
    if (document_.dialect == Dialect::engine) break;  // there a literal has its own type: f32, i64 or bool
    const auto look = [&](const Value& value) {
      const Fact* f = fact_if_wire(value);
      if (f == nullptr || is_block_quantized(f->dtype)) return;
      if (!type || (signature.name == "select" && *type == DataType::boolean)) type = f->dtype;
    };
    const Value& value = call.argument(signature.parameters[index].name);
    if (signature.name == "select" && signature.parameters[index].name == "condition") continue;
    if (value.is_list() && signature.parameters[index].is_array) {
      for (const Value& item : value.items()) look(item);
    } else {
      look(value);
    }
  }
  std::vector<Outlet> inputs;
  std::vector<uint32_t> counts;
  for (const uint32_t index : signature.tensors) {
    const auto& parameter = signature.parameters[index];
    const Value& value = call.argument(parameter.name);
    const bool left_out =
        value.is_absent() || (parameter.is_optional && value.is_logical() && !value.as_logical());
    if (left_out) {
      if (!parameter.is_optional && !(document_.dialect == Dialect::engine && parameter.default_value)) {
        throw fail(call, "missing-argument", "argument `" + parameter.name + "` is missing");
      }
      counts.push_back(0);
    } else if (parameter.is_array) {
      const std::vector<Value> one{value};
      const std::vector<Value>& items = value.is_list() ? value.items() : one;
      for (const Value& item : items) inputs.push_back(wire(item, type));
      counts.push_back(static_cast<uint32_t>(items.size()));
    } else {
      inputs.push_back(wire(value, literal_type_for(signature, parameter, value, type)));
      // In tract's dialect a stored tensor of another float type follows the others (tract-opl 2.10).
      const Fact& given = fact(inputs.back());
      if (document_.dialect == Dialect::tract && type && is_float(*type) && is_float(given.dtype) &&
          given.constant) {
        inputs.back() = cast(call, inputs.back(), *type);
      }
      counts.push_back(1);
    }
  }
  if (options_.to_the_letter) require_strict_bias(call, signature, inputs, counts);
  std::vector<Attribute> attributes;
  for (const uint32_t index : signature.attributes) {
    const auto& parameter = signature.parameters[index];
    const auto it = std::find_if(overrides.begin(), overrides.end(),
                                 [&](const auto& o) { return o.first == parameter.name; });
    if (it != overrides.end()) {
      attributes.push_back(it->second);
      continue;
    }
    const Value& value = call.argument(parameter.name);
    if (value.is_absent() && parameter.default_value) {
      attributes.push_back(*parameter.default_value);
    } else {
      attributes.push_back(attribute(value, call, parameter.name));
    }
  }
  return add_row(call, row, std::move(inputs), std::move(counts), std::move(attributes));
}

// ------------------------------------------------------------------------------------------------------ sink

bool Importer::is_primitive(std::string_view name) {
  if (document_.dialect == Dialect::engine &&
      (name == "nnefrun_floor_div" || name == "nnefrun_ceil_div" || name == "nnefrun_broadcast")) {
    return true;  // shape arithmetic, see symbolic.cpp
  }
  return find_adapter(name, document_.dialect) != nullptr || find_op(name) != nullptr;
}

std::vector<Value> Importer::invoke(const PrimitiveCall& call) {
  try {
    if (auto folded = try_symbolic(call)) return std::move(*folded);
    if (const Adapter adapter = find_adapter(call.name, document_.dialect)) return (this->*adapter)(call);
    if (document_.dialect == Dialect::tract) {
      if (auto through = through_floats(call)) return std::move(*through);
    }
    return generic(call);
  } catch (Error& error) {
    error.at(call.where);
    throw;
  } catch (const std::bad_alloc&) {
    throw fail(call, "out-of-memory", "memory could not be allocated");
  }
}

std::optional<Value> Importer::symbol(std::string_view name, bool may_create) {
  const auto set = options_.set_symbols.find(std::string(name));
  const bool declared = std::find(graph_.symbols.begin(), graph_.symbols.end(), name) != graph_.symbols.end();
  if (!declared && !may_create) return std::nullopt;
  if (set != options_.set_symbols.end()) return Value::integer(set->second);
  graph_.declare_symbol(name);
  return add_symbolic({}, {Dim::symbol(name)});
}

std::optional<Value> Importer::constant_of(Wire w) {
  const Entry& e = entry(w);
  if (const auto known = symbolic(Value::wire(w))) {
    const auto item = [&](const Dim& d) {
      return d.is_constant() ? Value::integer(d.value()) : add_symbolic({}, {d});
    };
    if (known->shape.empty()) {
      // One symbolic integer: known as an expression, not as a number.
      if (!known->dims[0].is_constant()) return std::nullopt;
      return Value::integer(known->dims[0].value());
    }
    if (known->shape.size() == 1) {
      Value::List items;
      for (const Dim& d : known->dims) items.push_back(item(d));
      return Value::array(std::move(items));
    }
    return std::nullopt;
  }
  if (!e.outlet) return std::nullopt;
  const Fact& f = fact(*e.outlet);
  if (!f.constant || f.constant->size() > kFoldItems || f.rank() > 1 || f.quant) return std::nullopt;
  const Tensor& t = *f.constant;
  const auto item = [&](int64_t i) {
    if (t.dtype() == DataType::string) return Value::string(t.strings()[static_cast<size_t>(i)]);
    if (t.dtype() == DataType::boolean) return Value::logical(t.as_int(i) != 0);
    return Value::scalar(t.as_double(i));
  };
  if (is_block_quantized(t.dtype()) || is_complex(t.dtype())) return std::nullopt;
  if (f.rank() == 0) return item(0);
  Value::List items;
  for (int64_t i = 0; i < t.size(); ++i) items.push_back(item(i));
  return Value::array(std::move(items));
}

std::optional<PrimitiveType> Importer::primitive_of(Wire w) {
  const Entry& e = entry(w);
  if (e.is_symbolic()) return PrimitiveType::integer;
  const DataType type = fact(*e.outlet).dtype;
  if (type == DataType::boolean) return PrimitiveType::logical;
  if (type == DataType::string) return PrimitiveType::string;
  return is_integer(type) ? PrimitiveType::integer : PrimitiveType::scalar;
}

std::optional<Value> Importer::shape_of(const Value& value) {
  if (!value.is_wire()) return Value::array({});
  const Entry& e = entry(value.as_wire());
  const DimShape& shape = e.outlet ? fact(*e.outlet).shape : e.shape;
  Value::List items;
  for (const Dim& d : shape)
    items.push_back(d.is_constant() ? Value::integer(d.value()) : add_symbolic({}, {d}));
  return Value::array(std::move(items));
}

std::optional<Value> Importer::operate(const PrimitiveCall& call) {
  auto folded = try_symbolic(call);
  if (!folded) return std::nullopt;
  return std::move((*folded)[0]);
}

Value Importer::assigned(std::string_view name, Value value, bool, const SourceLocation& where) {
  const auto it = quantization_.find(name);
  if (it == quantization_.end() || applied_quantization_.count(std::string(name)) != 0) return value;
  if (document_.dialect == Dialect::khronos) {
    applied_quantization_.insert(std::string(name));
    return apply_quantization(*it->second, std::move(value), where);
  }
  const auto type = wanted_type(name);
  if (!type || !value.is_wire()) return value;
  const Outlet outlet = wire(value);
  if (fact(outlet).dtype == type->dtype && fact(outlet).quant == type->quant) return value;
  PrimitiveCall call;
  call.name = name;
  call.where = where;
  return add_entry(cast_to(call, outlet, *type));
}

// -------------------------------------------------------------------------------------- sources of all
// dialects

Value Importer::external_of(const PrimitiveCall& call, DataType type,
                            std::optional<AffineQuantization> quant) {
  Fact f = fact_of(type, dims(call, "shape"));
  f.quant = quant;
  for (const Dim& extent : f.shape) {
    if (extent.is_constant() && extent.value() < 0) {
      throw fail(call, "shape-negative",
                 "extent " + extent.to_string() + " of shape " + to_string(f.shape) + " is negative");
    }
    if (extent.is(0) && document_.dialect == Dialect::khronos) {
      throw fail(call, "shape-empty",
                 "shape " + to_string(f.shape) + " has an extent of 0, but all must be positive");
    }
  }
  if (f.shape.size() > static_cast<size_t>(kMaxRank)) {
    throw fail(call, "rank-limit",
               "rank " + std::to_string(f.shape.size()) + " is more than " + std::to_string(kMaxRank));
  }
  if (const auto shape = f.static_shape()) {
    try {
      byte_size_of(type, *shape);
    } catch (const Error& error) {
      throw fail(call, error.code(), error.message());
    }
  }
  std::string name = call.result_names.empty() ? std::string() : call.result_names[0];
  if (name.empty() || graph_.has_name(name)) name = name.empty() ? "input" : name;
  return add_entry(graph_.add_external(std::move(f), std::move(name), call.where));
}

Value Importer::variable_of(const PrimitiveCall& call, Tensor tensor,
                            std::optional<AffineQuantization> quant) {
  const std::string& label = call.argument("label").as_string();
  std::string key = label + "|" + std::string(name_of(tensor.dtype())) + to_string(tensor.shape()) +
                    (quant ? std::to_string(quant->scale) + "," + std::to_string(quant->zero_point) : "");
  for (char& c : key) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  const auto it = variables_.find(key);
  if (it != variables_.end()) return add_entry(it->second);
  const Outlet outlet = graph_.add_constant(std::move(tensor), label, quant);
  if (!call.result_names.empty() && updated_names_.count(call.result_names[0]) != 0)
    graph_.make_variable(outlet);
  if (!call.result_names.empty() && !call.result_names[0].empty())
    graph_.rename(outlet, call.result_names[0]);
  variables_[key] = outlet;
  return add_entry(outlet);
}

// ------------------------------------------------------------------------------------------------- entry
// points

Graph import_document(const Document& document, const ImportSources& sources, const ImportOptions& options) {
  if (!document.graph) throw Error("graph-missing", "the document holds no graph");
  for (const QuantizationEntry& entry : sources.quantization) {
    const bool known = document.dialect == Dialect::khronos
                           ? find_op(entry.operation) != nullptr
                           : code_format_of(entry, document.dialect).has_value();
    if (!known) {
      throw Error("quant-operation", "graph.quant applies `" + entry.operation + "`, which is not supported",
                  entry.operation_where);
    }
  }
  Importer importer(document, sources, options);
  return importer.run();
}

bool has_adapter(std::string_view name, Dialect dialect) {
  return Importer::find_adapter(name, dialect) != nullptr;
}

std::vector<Error> unsupported_operations(const Document& document) {
  std::vector<Error> findings;
  const auto known = [&](std::string_view name) {
    const FragmentDefinition* own = document.find_fragment(name);
    if (own != nullptr && own->has_body) return true;
    if (has_adapter(name, document.dialect) || find_op(name) != nullptr) return true;
    const FragmentDefinition* standard = find_standard(name, document.dialect);
    return standard != nullptr && standard->has_body;
  };
  const auto visit = [&](const std::vector<Assignment>& body) {
    for (const Assignment& assignment : body) {
      for_each_invocation(*assignment.right, [&](const Invocation& i) {
        if (known(i.name)) return;
        const bool declared =
            find_standard(i.name, document.dialect) != nullptr || document.find_fragment(i.name) != nullptr;
        Error error(declared ? "unsupported-operation" : "unknown-operation",
                    "operation `" + std::string(i.name) + "` is not " + (declared ? "supported" : "known"),
                    document.locate(i.place));
        error.note(declared ? "its declaration is known, but this engine has no implementation of it"
                            : "no fragment of the document and no operation of the " +
                                  std::string(name_of(document.dialect)) + " dialect has this name");
        findings.push_back(std::move(error));
      });
    }
  };
  for (const FragmentDefinition& fragment : document.fragments) visit(fragment.body);
  if (document.graph) visit(document.graph->body);
  return findings;
}

}  // namespace nnefrun
