// Arithmetic, comparisons and selection of integers and truth values, with broadcasting by strides: what the
// index arithmetic of graphs needs. Portable loops; no row of the registry.
//
//   add, sub, mul   wrap
//   compare         the bytes 0 and 1
//   and, or         of truth values
//
// Threads: pure functions. The result is the same memory as an operand with the same strides and item size,
// or disjoint.
#pragma once

#include <cstdint>

#include "base/data_type.h"
#include "kernels/elementwise/elementwise.h"

namespace nnefrun::kernels {

// Persistent: written into plans. Append, never renumber.
enum class IntegerOp : uint8_t {
  add = 0,
  sub = 1,
  mul = 2,
  min = 3,
  max = 4,
  logical_and = 5,
  logical_or = 6,
  lt = 7,
  le = 8,
  gt = 9,
  ge = 10,
  eq = 11,
  ne = 12,
};
inline constexpr uint8_t kIntegerOps = 13;
constexpr bool is_comparison(IntegerOp op) { return op >= IntegerOp::lt; }
// i64 and i32 with all but the logical operations; boolean with those and with eq and ne.
bool can_compute(IntegerOp op, DataType type);

// z = x op y. REQUIRES: can_compute(op, type), the type of both operands.
void binary_integers(IntegerOp op, DataType type, const BinaryShape& shape, const void* x, const void* y,
                     void* z);

// z = condition ? x : y over items of 1, 2, 4 or 8 bytes of any type.
void select_items(const SelectShape& shape, size_t item_size, const uint8_t* condition, const void* x,
                  const void* y, void* z);

}  // namespace nnefrun::kernels
