// The text of item types, as `tract_core_cast(x, to = 'QI8(Z:3 S:0.1)')` writes them, and the arithmetic of
// casts from and to affine codes (tract-opl sections 2.11 and 4.3).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/tensor.h"
#include "engine/graph/fact.h"

namespace nnefrun {

// A plain type, or the codes of an affine one (dtype is then i8, u8, i16, u16 or i32).
struct ItemType {
  DataType dtype = DataType::f32;
  std::optional<AffineQuantization> quant;
  friend bool operator==(const ItemType&, const ItemType&) = default;
};

// Reads "f32", "I64", "Bool", "QU8(Z:128 S:0.05)", in any case; blanks and commas separate alike. "TDim" is
// i64. nullopt when the text is none of these, or when the scale is not a positive finite number.
std::optional<ItemType> parse_item_type(std::string_view text);
// Its inverse: the engine's name of a plain type, "QI8(Z:3 S:0.1)" of codes. The scale survives exactly.
std::string item_type_text(const ItemType& type);
ItemType item_type_of(const Fact& fact);

// Whether cast_typed has a meaning for the pair.
bool can_cast(const ItemType& from, const ItemType& to);
// Real numbers become codes (rounded half to even, clamped), codes become reals, codes of one scale become
// codes of another; a plain integer of the same storage keeps its bits. REQUIRES: can_cast(from, to), value
// has from.dtype.
Tensor cast_typed(const Tensor& value, const ItemType& from, const ItemType& to);

}  // namespace nnefrun
