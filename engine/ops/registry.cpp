#include "engine/ops/registry.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "engine/ops/lowering.h"
#include "nnef_parser/stdlib.h"
#include "nnef_parser/value.h"

namespace nnefrun {
namespace {

// Every family, once. A new file of rows is added here and in registry.h.
std::vector<std::span<const OpDef>> families() {
  return {source_rows(), random_rows(),        unary_rows(),      elementwise_rows(),   activation_rows(),
          shape_rows(),  slice_rows(),         indexing_rows(),   selection_rows(),     reduce_rows(),
          matmul_rows(), einsum_rows(),        conv_rows(),       fused_rows(),         pooling_rows(),
          roi_rows(),    resize_rows(),        grid_rows(),       normalization_rows(), quant_rows(),
          group_rows(),  quant_product_rows(), quant_code_rows(), recurrent_rows(),     cell_rows(),
          state_rows(),  cache_rows(),         linear_rows(),     attention_rows(),     expert_rows(),
          signal_rows()};
}

Attribute attribute_of(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::integer: return value.as_integer();
    case Value::Kind::scalar: return value.as_scalar();
    case Value::Kind::logical: return value.as_logical();
    case Value::Kind::string: return value.as_string();
    case Value::Kind::array:
    case Value::Kind::tuple: {
      Attribute::List list;
      for (const Value& item : value.items()) list.push_back(attribute_of(item));
      Attribute out(std::move(list));
      out.is_tuple = value.is_tuple();
      return out;
    }
    default: return {};
  }
}

Signature make_signature(const FragmentDefinition& declaration) {
  Signature s;
  s.name = std::string(declaration.name);
  for (const Parameter& parameter : declaration.parameters) {
    Signature::Parameter p;
    p.name = std::string(parameter.name);
    p.is_tensor = contains_tensor(*parameter.type);
    p.is_array = p.is_tensor && parameter.type->kind == TypeSpec::Kind::array;
    p.is_integer = p.is_tensor && parameter.type->primitive == PrimitiveType::integer;
    p.is_optional = is_optional(parameter);
    if (parameter.default_value != nullptr && !p.is_optional) {
      p.default_value = attribute_of(Value::constant(*parameter.default_value));
    }
    (p.is_tensor ? s.tensors : s.attributes).push_back(static_cast<uint32_t>(s.parameters.size()));
    s.parameters.push_back(std::move(p));
  }
  for (const Result& result : declaration.results) {
    s.results.emplace_back(result.name);
    s.result_is_array.push_back(result.type->kind == TypeSpec::Kind::array);
  }
  return s;
}

// Signatures are made when they are first asked for: a model uses a dozen of the rows.
struct LazySignature {
  std::once_flag once;
  std::optional<Signature> signature;
};

struct Registry {
  std::deque<OpDef> table;
  std::vector<const OpDef*> rows;
  std::unordered_map<std::string_view, const OpDef*> by_name;
  std::unordered_map<const OpDef*, LazySignature> signatures;

  Registry() {
    std::unordered_map<std::string_view, const Lowering*> lowerings;
    for (const auto theme : {elementwise_lowerings(), linear_lowerings(), move_lowerings(),
                             reduce_lowerings(), attention_lowerings(), resample_lowerings(),
                             recurrent_lowerings(), loop_lowerings(), quant_lowerings(), group_lowerings()}) {
      for (const Lowering& lowering : theme) lowerings.emplace(lowering.op, &lowering);
    }
    for (const auto family : families()) {
      for (const OpDef& listed : family) {
        OpDef& row = table.emplace_back(listed);
        const auto lowering = lowerings.find(row.name);
        if (lowering != lowerings.end()) {
          row.lower = lowering->second->lower;
          row.tuned = lowering->second->types;
          row.reads_halves = lowering->second->reads_halves;
        }
        rows.push_back(&row);
        by_name.emplace(row.name, &row);
        signatures.try_emplace(&row);
      }
    }
    std::sort(rows.begin(), rows.end(), [](const OpDef* a, const OpDef* b) { return a->name < b->name; });
  }
};

Registry& registry() {
  static Registry instance;
  return instance;
}

}  // namespace

const OpDef* find_op(std::string_view name) {
  const auto& rows = registry().by_name;
  const auto it = rows.find(name);
  return it == rows.end() ? nullptr : it->second;
}

const Signature& signature_of(const OpDef* op) {
  auto& signatures = registry().signatures;
  const auto it = signatures.find(op);
  if (it != signatures.end()) {
    LazySignature& lazy = it->second;
    std::call_once(lazy.once, [&] {
      const FragmentDefinition* declaration = find_standard(op->name, Dialect::engine);
      if (declaration != nullptr) lazy.signature = make_signature(*declaration);
    });
    if (lazy.signature) return *lazy.signature;
  }
  throw Error("internal", "the operator row `" + std::string(op->name) + "` has no declaration");
}

std::vector<const OpDef*> all_ops() { return registry().rows; }

}  // namespace nnefrun
