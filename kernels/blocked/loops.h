// What an ISA file may replace in direct_body.h and winograd_body.h by assembly of its own: the innermost
// loop. Include one of vec/*.h first.
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
};
constexpr int64_t kLeastRuns = 2;

}  // namespace
}  // namespace nnefrun::kernels
