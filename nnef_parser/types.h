// The static types of expressions and their conversions (NNEF 1.0.5 section 4), as the checker needs them.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "nnef_parser/document.h"

namespace nnefrun {

struct Type {
  // unknown: of something that was already reported; it fits everywhere. empty_array: of [].
  enum class Kind : uint8_t { unknown, empty_array, primitive, tensor, array, tuple };
  Kind kind = Kind::unknown;
  std::optional<PrimitiveType> primitive;  // of a primitive or a tensor's items; absent for tensor<>
  std::vector<const Type*> items;

  bool is(Kind k) const { return kind == k; }
  bool is_primitive(PrimitiveType p) const { return kind == Kind::primitive && primitive == p; }
  bool is_array() const { return kind == Kind::array || kind == Kind::empty_array; }
};
std::string to_string(const Type& type);

// Makes types and compares them. Types live as long as the table.
class Types {
 public:
  // integers_as_scalars: integer converts to scalar (register A28).
  explicit Types(bool integers_as_scalars);

  const Type* unknown() const { return &unknown_; }
  const Type* empty_array() const { return &empty_array_; }
  const Type* primitive(PrimitiveType p) const { return &primitives_[static_cast<size_t>(p)]; }
  const Type* tensor(std::optional<PrimitiveType> p) const {
    return p ? &tensors_[static_cast<size_t>(*p)] : &unbound_tensor_;
  }
  const Type* array(const Type* item);
  const Type* tuple(std::vector<const Type*> items);
  // A declared type with `?` replaced; without a binding everything that mentions `?` is unknown.
  const Type* declared(const TypeSpec& spec, std::optional<PrimitiveType> generic);

  // Section 4.1, the complete list.
  bool converts(const Type& from, const Type& to) const;
  // The one to which the other converts; null when neither does.
  const Type* common(const Type* a, const Type* b) const;

  // Adds what `?` in `spec` would be for an argument of that type.
  static void deduce(const TypeSpec& spec, const Type& argument, std::set<PrimitiveType>& candidates);

 private:
  Type unknown_, empty_array_, unbound_tensor_;
  std::vector<Type> primitives_, tensors_;
  std::deque<Type> made_;
  std::unordered_map<const TypeSpec*, const Type*> plain_;  // declared types without `?`
  bool integers_as_scalars_;
};

}  // namespace nnefrun
