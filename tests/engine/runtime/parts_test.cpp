#include "engine/runtime/parts.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

using namespace nnefrun;

TEST_CASE("runs of a cut space visit every position once") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const int rank = static_cast<int>(random() % 5);
    int64_t dims[kMaxRank] = {}, strides[kMaxRank] = {};
    int64_t items = 1;
    for (int axis = rank - 1; axis >= 0; --axis) {
      dims[axis] = random() % 20 == 0 ? 0 : 1 + static_cast<int64_t>(random() % 12);
      strides[axis] = items;
      items *= dims[axis];
    }
    const SpaceCut cut = cut_space(dims, rank);
    if (items == 0 || cut.axes == 0) {
      CHECK(cut.tasks == 1);
      continue;
    }
    std::vector<int> seen(static_cast<size_t>(items), 0);
    for (int64_t begin = 0; begin < cut.tasks;) {
      const int64_t end = std::min<int64_t>(cut.tasks, begin + 1 + static_cast<int64_t>(random() % 40));
      for_each_run(cut, dims, begin, end, [&](const int64_t* index, int64_t count) {
        int64_t run[kMaxRank] = {};
        std::copy(dims, dims + rank, run);
        run_dims(cut, count, run);
        int64_t volume = 1;
        for (int axis = 0; axis < rank; ++axis) volume *= run[axis];
        const int64_t at = run_offset(cut, index, strides);
        REQUIRE(at + volume <= items);
        for (int64_t i = at; i < at + volume; ++i) ++seen[static_cast<size_t>(i)];
      });
      begin = end;
    }
    CHECK(std::count(seen.begin(), seen.end(), 1) == items);
  }
}

TEST_CASE("pieces of a flat array") {
  for (const int64_t items : {int64_t{0}, int64_t{1}, kFlatPiece, kFlatPiece + 1, 10 * kFlatPiece - 1}) {
    const StepParts parts = flat_parts(items);
    int64_t next = 0;
    for (int64_t task = 0; task < parts.tasks; ++task) {
      const FlatRange range = flat_range(items, task, task + 1);
      CHECK(range.begin == next);
      CHECK(range.count > 0);
      next += range.count;
    }
    CHECK(next == items);
    CHECK(flat_range(items, 0, parts.tasks).count == items);
    CHECK(flat_range(items, 0, 0).count == 0);
  }
}
