// The plan: what the runtime runs, as plain relocatable data. No pointers, closures or vtables: a step is a
// stable kind, operand indices and a parameter block, so a plan can be written to a file, mapped and run in
// place.
//
//   symbols --> size expressions --> dims of values --> bytes and arena offsets --> steps
//
// Every table is an array of the structs below; PlanView is the set of them, wherever they live.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/data_type.h"

namespace nnefrun {

// One instruction of the shape arithmetic; `a` and `b` index earlier expressions except where said.
struct SizeExpression {
  enum class Kind : uint32_t {
    constant = 0,  // a: the value
    symbol = 1,    // a: index of the symbol
    add = 2,
    mul = 3,
    floor_div = 4,
    ceil_div = 5,
    min = 6,
    max = 7,
    broadcast = 8,  // equal, or the one that is not 1
  };
  Kind kind = Kind::constant;
  uint32_t reserved = 0;
  int64_t a = 0;
  int64_t b = 0;
};

enum class Storage : uint8_t {
  constant = 0,  // index: which constant
  input = 1,     // index: which input; the caller's bytes
  arena = 2,     // planned
  alias = 3,     // bytes of value `index` from `offset` on: under another shape, or a part of it
};
inline constexpr uint32_t kNoOffset = UINT32_MAX;

// Values are row-major and dense.
struct PlanValue {
  DataType dtype = DataType::f32;
  Storage storage = Storage::arena;
  uint8_t rank = 0;
  uint8_t channels_last = 0;  // 1: codes in that layout (kernels/int8)
  uint32_t index = 0;
  uint32_t offset = kNoOffset;  // of an alias: a SizeExpression, in items; kNoOffset: from the beginning
  uint32_t first_dim = 0;       // into PlanView::dims, `rank` entries, each an index of a SizeExpression
  uint32_t first_step =
      0;  // life, of the bytes (aliases included): written by the first, last needed by the last
  uint32_t last_step = 0;  // UINT32_MAX: until the end of the run
};

struct PlanStep {
  uint32_t kind = 0;  // StepKind, see steps.h
  uint16_t input_count = 0;
  uint16_t output_count = 0;
  uint32_t first_operand = 0;  // into PlanView::operands: inputs, then outputs, each an index of a value
  uint32_t parameters = 0;     // byte offset into PlanView::parameters, 8-byte aligned
  uint32_t parameter_size = 0;
  uint32_t node = 0;  // the graph node it came from, for names and profiles
};

template <class T>
struct Table {
  const T* data = nullptr;
  uint32_t count = 0;
  const T& operator[](uint32_t i) const { return data[i]; }
};

struct PlanBody;
struct PlanView {
  Table<SizeExpression> expressions;
  Table<uint32_t> dims;
  Table<PlanValue> values;
  Table<PlanStep> steps;
  Table<uint32_t> operands;
  Table<uint8_t> parameters;
  Table<uint32_t> inputs;   // value of each input
  Table<uint32_t> outputs;  // value of each output
  Table<PlanBody> bodies;   // of loops; each belongs to one step
  uint32_t symbol_count = 0;
  uint32_t constant_count = 0;
};

// A plan that steps of another one run.
struct PlanBody {
  PlanView plan;
  const std::byte* const* constants = nullptr;
};

}  // namespace nnefrun
