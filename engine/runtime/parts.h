// What the rows share that cut their steps into parts: strided index spaces cut along their leading axes, and
// what things cost.
#pragma once

#include <cstdint>

#include "engine/runtime/steps.h"

namespace nnefrun {

// Costs are rough, and only decide which steps are worth several threads: nanoseconds on one thread, for
// data in the second cache.
inline int64_t cost_of_products(int64_t multiply_adds) { return multiply_adds / 32; }
inline int64_t cost_of_items(int64_t items) { return items / 2; }  // computed, one by one
inline int64_t cost_of_bytes(int64_t bytes) { return bytes / 8; }  // moved

// A flat array in pieces of this many items: whole vectors and cache lines of any type.
inline constexpr int64_t kFlatPiece = 1024;
inline StepParts flat_parts(int64_t items) {
  return {(items + kFlatPiece - 1) / kFlatPiece, cost_of_items(items)};
}
// Items [begin, end) of the pieces.
struct FlatRange {
  int64_t begin, count;
};
inline FlatRange flat_range(int64_t items, int64_t begin, int64_t end) {
  const int64_t first = begin * kFlatPiece, last = end * kFlatPiece < items ? end * kFlatPiece : items;
  return {first, last > first ? last - first : 0};
}

// Items of a space; extents beside a 0 may be as large as they like.
inline int64_t items_of(const int64_t* dims, int rank) {
  for (int i = 0; i < rank; ++i) {
    if (dims[i] == 0) return 0;
  }
  int64_t items = 1;
  for (int i = 0; i < rank; ++i) items *= dims[i];
  return items;
}

// How many leading axes of a space are numbered by tasks: enough of them for balance, while what is left
// inside is worth a call.
struct SpaceCut {
  int axes = 0;
  int64_t tasks = 1;
};
inline SpaceCut cut_space(const int64_t* dims, int rank) {
  constexpr int64_t kEnoughTasks = 64, kSmallTask = 512;
  int64_t inner = items_of(dims, rank);
  SpaceCut cut;
  if (inner == 0) return cut;
  while (cut.axes < rank && cut.tasks < kEnoughTasks && inner > kSmallTask) {
    cut.tasks *= dims[cut.axes];
    inner /= dims[cut.axes++];
  }
  return cut;
}

// Calls visit(index, count) for runs of tasks [begin, end) along the last numbered axis: `index` holds the
// position of the first on each numbered axis. REQUIRES: cut.axes > 0.
template <class Visit>
void for_each_run(const SpaceCut& cut, const int64_t* dims, int64_t begin, int64_t end, const Visit& visit) {
  while (begin < end) {
    int64_t index[kMaxRank] = {};
    int64_t rest = begin;
    for (int axis = cut.axes - 1; axis >= 0; --axis) {
      index[axis] = rest % dims[axis];
      rest /= dims[axis];
    }
    const int64_t left = dims[cut.axes - 1] - index[cut.axes - 1];
    const int64_t count = left < end - begin ? left : end - begin;
    visit(index, count);
    begin += count;
  }
}

// The extents of such a run, and where an operand with these strides has it.
inline void run_dims(const SpaceCut& cut, int64_t count, int64_t* dims) {
  for (int axis = 0; axis + 1 < cut.axes; ++axis) dims[axis] = 1;
  dims[cut.axes - 1] = count;
}
inline int64_t run_offset(const SpaceCut& cut, const int64_t* index, const int64_t* strides) {
  int64_t offset = 0;
  for (int axis = 0; axis < cut.axes; ++axis) offset += index[axis] * strides[axis];
  return offset;
}

}  // namespace nnefrun
