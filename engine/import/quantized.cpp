// Quantised types of tract's dialect (tract-opl section 4). Rows of arithmetic know no quantised operands:
// what tract computes on codes is composed of casts to f32, the operation, and a cast to the type that
// graph.quant wants.

#include "engine/import/importer.h"
#include "quant/code_format.h"

namespace nnefrun {

std::optional<ItemType> Importer::wanted_type(std::string_view name) const {
  const auto it = quantization_.find(name);
  if (it == quantization_.end()) return std::nullopt;
  const auto format = code_format_of(*it->second, Dialect::tract);
  if (!format)
    throw Error("quant-operation",
                "graph.quant uses `" + it->second->operation + "`, which tract's dialect does not know",
                it->second->operation_where);
  const auto affine = format->affine();
  if (!affine)
    throw Error("quant-argument", "a quantised type needs one scale and one zero point", it->second->where);
  if (format->bits == 8) return ItemType{format->is_signed ? DataType::i8 : DataType::u8, affine};
  if (format->bits == 32 && format->is_signed) return ItemType{DataType::i32, affine};
  if (format->bits == 32) return ItemType{DataType::u32, std::nullopt};
  throw Error("quant-bits", "a quantised type has 8 or 32 bits, not " + std::to_string(format->bits),
              it->second->where);
}

std::optional<ItemType> Importer::wanted_type(const PrimitiveCall& call) const {
  if (call.result_names.empty() || call.result_names[0].empty()) return std::nullopt;
  return wanted_type(call.result_names[0]);
}

Outlet Importer::cast_to(const PrimitiveCall& call, Outlet outlet, const ItemType& type, std::string name) {
  const Fact& f = fact(outlet);
  if (f.dtype == type.dtype && f.quant == type.quant) return outlet;
  return node(call, "tract_core_cast", {outlet}, {Attribute(item_type_text(type))}, std::move(name));
}

Outlet Importer::dequantized_wire(const PrimitiveCall& call, const Value& value) {
  const Outlet outlet = wire(value, DataType::f32);
  return fact(outlet).quant ? node(call, "tract_core_cast", {outlet}, {Attribute("f32")}) : outlet;
}

std::vector<Value> Importer::requantized(const PrimitiveCall& call, Outlet value,
                                         const std::optional<ItemType>& type) {
  if (!type) return {named(call, value)};
  return {named(call, cast_to(call, value, *type))};
}

namespace {

// Operations that move codes, or pick some, and so keep the type of their argument.
bool moves_codes(std::string_view op) {
  static constexpr std::string_view kMoves[] = {"reshape",
                                                "transpose",
                                                "squeeze",
                                                "unsqueeze",
                                                "tile",
                                                "copy",
                                                "unstack",
                                                "tract_core_gather",
                                                "gather",
                                                "tract_core_broadcast",
                                                "tract_core_cast",
                                                "tract_core_gather_elements",
                                                "tract_core_gather_nd",
                                                "tract_core_qconv",
                                                "tract_core_einsum_q",
                                                "tract_core_qmatmul",
                                                "tract_core_shape_of",
                                                "tract_core_dyn_slice",
                                                "tract_core_downsample",
                                                "tract_core_topk",
                                                "argmax_reduce",
                                                "argmin_reduce",
                                                "max_reduce",
                                                "min_reduce",
                                                "tract_core_submodel",
                                                "tract_core_scan"};
  for (const auto move : kMoves) {
    if (op == move) return true;
  }
  return false;
}

}  // namespace

std::optional<std::vector<Value>> Importer::through_floats(const PrimitiveCall& call) {
  if (moves_codes(call.name)) return std::nullopt;
  std::optional<ItemType> first;
  for (const Value& argument : call.arguments) {
    const Fact* f = fact_if_wire(argument);
    if (f != nullptr && f->quant) {
      first = ItemType{f->dtype, f->quant};
      break;
    }
  }
  if (!first) return std::nullopt;
  PrimitiveCall floats = call;
  floats.result_names.clear();
  floats.array_names.clear();
  for (Value& argument : floats.arguments) {
    const Fact* f = fact_if_wire(argument);
    if (f != nullptr && f->quant) argument = add_entry(dequantized_wire(call, argument));
  }
  std::vector<Value> results;
  if (const Adapter adapter = find_adapter(call.name, document_.dialect)) {
    results = (this->*adapter)(floats);
  } else {
    results = generic(floats);
  }
  if (results.size() != 1 || !results[0].is_wire()) return results;
  const Outlet value = wire(results[0]);
  if (fact(value).dtype != DataType::f32) return std::vector<Value>{named(call, value)};
  const auto wanted = wanted_type(call);
  return requantized(call, value, wanted ? wanted : first);
}

}  // namespace nnefrun
