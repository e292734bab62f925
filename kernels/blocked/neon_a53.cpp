// The row for in-order cores, the Cortex-A53 above all: the loops over channels are assembly in an order made
// for it.
#define NNEFRUN_ISA neon_a53
#include "kernels/vec/neon.h"

#include "kernels/blocked/loops.h"

namespace nnefrun::kernels {
namespace {

template <int kPositions, int kVectors, int kStep>
struct PositionLoop {
  static constexpr int kSteps = 0;  // none was made
};
template <int kTaps, int kStride, int kPositions>
struct FilterRowLoop {
  static constexpr int kSteps = 0;
};
#include "kernels/blocked/neon_a53_loops.inc"

struct A53Runs {
  template <int kPositions, int kVectors, int kStep>
  static constexpr bool has() {
    return PositionLoop<kPositions, kVectors, kStep>::kSteps != 0;
  }
  template <int kPositions, int kVectors, int kStep>
  static NNEFRUN_INLINE void run(V (&acc)[kPositions][kVectors], const float* x, const int64_t* table,
                                 const float* w, int64_t turns) {
    V c[kPositions * kVectors];
    PositionLoop<kPositions, kVectors, kStep>::run(c, x, table, w, turns);
    NNEFRUN_UNROLL
    for (int r = 0; r < kPositions; ++r) {
      NNEFRUN_UNROLL
      for (int v = 0; v < kVectors; ++v) acc[r][v] = acc[r][v] + c[r * kVectors + v];
    }
  }

  template <int kTaps, int kStride, int kPositions>
  static constexpr bool has_filter_rows() {
    return FilterRowLoop<kTaps, kStride, kPositions>::kSteps != 0;
  }
  template <int kTaps, int kStride, int kPositions>
  static NNEFRUN_INLINE void filter_rows(V (&acc)[kPositions][1], const float* x, int64_t x_row,
                                         const float* w, int64_t rows) {
    constexpr int64_t kItem = sizeof(float);
    V c[kPositions];
    FilterRowLoop<kTaps, kStride, kPositions>::run(c, x, x_row * kItem, w, rows);
    NNEFRUN_UNROLL
    for (int r = 0; r < kPositions; ++r) acc[r][0] = c[r];
  }
};

}  // namespace
}  // namespace nnefrun::kernels

#define NNEFRUN_BLOCKED_RUNS A53Runs
#include "kernels/blocked/body.h"
