// Operators and built-in functions on values that are known at compile time (NNEF 1.0.5 sections 4.2 and 7).
// Nothing here knows the document; errors carry no place, the caller adds it.
//
// Codes: type-mismatch, integer-overflow, division-by-zero, index-out-of-range, invalid-cast.
#pragma once

#include <cstdint>
#include <optional>

#include "nnef_parser/document.h"
#include "nnef_parser/value.h"

namespace nnefrun {

// REQUIRES: no operand is a wire (of `in`: items of the array may be).
Value apply(UnaryOperator op, const Value& operand);
// `strict` refuses mixed integers and scalars, which else become scalars, and the equality of lists.
Value apply(BinaryOperator op, const Value& left, const Value& right, bool strict);
// length_of, range_of and the casts. REQUIRES: not shape_of.
Value apply(BuiltinFunction function, const Value& operand);

// target[index]; negative indices count from the end unless `strict`. REQUIRES: a list or a string.
Value item_of(const Value& target, int64_t index, bool strict);
// target[begin:end]; empty when begin >= end. REQUIRES: an array or a string.
Value items_of(const Value& target, std::optional<int64_t> begin, std::optional<int64_t> end, bool strict);

}  // namespace nnefrun
