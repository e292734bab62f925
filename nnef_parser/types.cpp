#include "nnef_parser/types.h"

#include <algorithm>

namespace nnefrun {

std::string to_string(const Type& type) {
  switch (type.kind) {
    case Type::Kind::unknown: return "an unknown type";
    case Type::Kind::empty_array: return "[]";
    case Type::Kind::primitive: return std::string(name_of(*type.primitive));
    case Type::Kind::tensor:
      return "tensor<" + (type.primitive ? std::string(name_of(*type.primitive)) : std::string()) + ">";
    case Type::Kind::array: return to_string(*type.items[0]) + "[]";
    case Type::Kind::tuple: {
      std::string out = "(";
      for (size_t i = 0; i < type.items.size(); ++i) out += (i ? "," : "") + to_string(*type.items[i]);
      return out + ")";
    }
  }
  return "";
}

Types::Types(bool integers_as_scalars) : integers_as_scalars_(integers_as_scalars) {
  empty_array_.kind = Type::Kind::empty_array;
  unbound_tensor_.kind = Type::Kind::tensor;
  for (int p = 0; p <= static_cast<int>(PrimitiveType::generic); ++p) {
    primitives_.push_back({Type::Kind::primitive, static_cast<PrimitiveType>(p), {}});
    tensors_.push_back({Type::Kind::tensor, static_cast<PrimitiveType>(p), {}});
  }
}

const Type* Types::array(const Type* item) {
  if (item->is(Type::Kind::unknown)) return item;
  made_.push_back({Type::Kind::array, {}, {item}});
  return &made_.back();
}

const Type* Types::tuple(std::vector<const Type*> items) {
  made_.push_back({Type::Kind::tuple, {}, std::move(items)});
  return &made_.back();
}

const Type* Types::declared(const TypeSpec& spec, std::optional<PrimitiveType> generic) {
  const bool mentions = contains_generic(spec);
  if (mentions && !generic) return unknown();
  if (!mentions) {
    const auto found = plain_.find(&spec);
    if (found != plain_.end()) return found->second;
  }
  const auto primitive_type = spec.primitive == PrimitiveType::generic ? generic : spec.primitive;
  const Type* type = nullptr;
  switch (spec.kind) {
    case TypeSpec::Kind::primitive: type = primitive(*primitive_type); break;
    case TypeSpec::Kind::tensor: type = tensor(primitive_type); break;
    case TypeSpec::Kind::array: type = array(declared(*spec.items[0], generic)); break;
    case TypeSpec::Kind::tuple: {
      std::vector<const Type*> items;
      for (const TypeSpec* item : spec.items) items.push_back(declared(*item, generic));
      type = tuple(std::move(items));
      break;
    }
  }
  if (!mentions) plain_.emplace(&spec, type);
  return type;
}

bool Types::converts(const Type& from, const Type& to) const {
  using Kind = Type::Kind;
  if (&from == &to || from.is(Kind::unknown) || to.is(Kind::unknown)) return true;
  const bool widens = integers_as_scalars_ && from.primitive == PrimitiveType::integer &&
                      to.primitive == PrimitiveType::scalar && from.is(Kind::primitive);
  switch (from.kind) {
    case Kind::empty_array: return to.is_array();
    case Kind::primitive:
      if (to.is(Kind::primitive)) return from.primitive == to.primitive || widens;
      return to.is(Kind::tensor) && (!to.primitive || from.primitive == to.primitive || widens);
    case Kind::tensor: return to.is(Kind::tensor) && (!to.primitive || from.primitive == to.primitive);
    case Kind::array: return to.is(Kind::array) && converts(*from.items[0], *to.items[0]);
    case Kind::tuple:
      if (!to.is(Kind::tuple) || from.items.size() != to.items.size()) return false;
      for (size_t i = 0; i < from.items.size(); ++i) {
        if (!converts(*from.items[i], *to.items[i])) return false;
      }
      return true;
    case Kind::unknown: return true;
  }
  return false;
}

const Type* Types::common(const Type* a, const Type* b) const {
  if (a->is(Type::Kind::unknown) || b->is(Type::Kind::unknown)) return unknown();
  if (converts(*a, *b)) return b;
  if (converts(*b, *a)) return a;
  return nullptr;
}

void Types::deduce(const TypeSpec& spec, const Type& argument, std::set<PrimitiveType>& candidates) {
  switch (spec.kind) {
    case TypeSpec::Kind::primitive:
      if (spec.primitive == PrimitiveType::generic && argument.is(Type::Kind::primitive)) {
        candidates.insert(*argument.primitive);
      }
      return;
    case TypeSpec::Kind::tensor:
      if (spec.primitive == PrimitiveType::generic && argument.primitive)
        candidates.insert(*argument.primitive);
      return;
    case TypeSpec::Kind::array:
      if (argument.is(Type::Kind::array)) deduce(*spec.items[0], *argument.items[0], candidates);
      return;
    case TypeSpec::Kind::tuple:
      if (!argument.is(Type::Kind::tuple)) return;
      for (size_t i = 0; i < std::min(spec.items.size(), argument.items.size()); ++i) {
        deduce(*spec.items[i], *argument.items[i], candidates);
      }
      return;
  }
}

}  // namespace nnefrun
