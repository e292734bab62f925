// What an ISA file may replace in direct_body.h, winograd_body.h and depthwise_body.h by assembly of its own:
// the innermost loop. Include one of vec/*.h first.
#pragma once

#include <cstdint>

#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

// How input moves from one channel block and tap to the next, in bytes; a loop walks along it.
constexpr int64_t kRunTable = 256;

struct PlainRuns {
  // Whether `run` exists for a tile: kStep items lie between the positions.
  template <int kPositions, int kVectors, int kStep>
  static constexpr bool has() {
    return false;
  }
  // acc += for each of `turns` runs of kLanes channels, at least two: item of each position x vectors of
  // weights. w: the runs' weights, one after the other. table[i]: from x of run i to x of the next.
  template <int kPositions, int kVectors, int kStep>
  static void run(V (&acc)[kPositions][kVectors], const float* x, const int64_t* table, const float* w,
                  int64_t turns) {}

  // Whether `filter_rows` exists for kPositions neighbouring positions, kStride columns apart, of a filter
  // that is kTaps wide.
  template <int kTaps, int kStride, int kPositions>
  static constexpr bool has_filter_rows() {
    return false;
  }
  // acc = for each position the sum over `rows` rows of the filter, at least two: items times weights, which
  // lie one after the other. x_row: items from row to row.
  template <int kTaps, int kStride, int kPositions>
  static void filter_rows(V (&acc)[kPositions][1], const float* x, int64_t x_row, const float* w,
                          int64_t rows) {}
};
constexpr int64_t kLeastRuns = 2;

}  // namespace
}  // namespace nnefrun::kernels
