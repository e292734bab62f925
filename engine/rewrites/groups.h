// What the rewrites that look for weights in groups have in common.
#pragma once

#include "engine/rewrites/match.h"
#include "quant/affine.h"

namespace nnefrun {

// Fewer codes are not worth a form of their own, more scales or offsets for so many codes
// are no groups, and codes and scales are looked for so many operations back.
inline constexpr int64_t kLeastCodes = 64, kLeastGroup = 4;
inline constexpr int kMostOperations = 32;

// Whether integers of that type can be all numbers of the range.
inline bool holds(DataType type, const CodeRange& range) {
  const CodeRange own = code_range(type);
  return type == DataType::i64 || (range.low >= own.low && range.high <= own.high);
}

}  // namespace nnefrun
