// The row for in-order cores, the Cortex-A53 above all: the loops are assembly in an order made for it.
#define NNEFRUN_ISA neon_a53
#define NNEFRUN_MATMUL_NAME matmul_f32_f32_f32_8x12_neon_a53
#include "kernels/vec/neon.h"

#include "kernels/matmul/loops.h"

namespace nnefrun::kernels {
namespace {

// 24 accumulators, 8 registers for operands. B panel 12 KB in the first cache of 32 KB, with two panels of A
// (8 KB each) passing by; A block 64 KB, B block 252 KB.
constexpr int kMr = 8, kVectors = 3, kMc = 64, kKc = 256, kNc = 252;

template <int kRows, int kCols>
struct TileLoop;
template <int kPanels>
struct PanelLoop;
template <int kRows>
struct RowLoop;
template <int kRows, int kCols>
struct DotLoop;
#include "kernels/matmul/neon_a53_loops.inc"

// Sums of the rows [0, kRows) of a loop that may compute more rows than are wanted.
template <int kRows, int kCols, int kCount>
NNEFRUN_INLINE void take_sums(V (&acc)[kRows][kCols], const V (&c)[kCount]) {
  static_assert(kRows * kCols <= kCount);
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    NNEFRUN_UNROLL
    for (int v = 0; v < kCols; ++v) acc[r][v] = c[r * kCols + v];
  }
}

constexpr int64_t kLeastTurns = 2;
constexpr int64_t kItem = sizeof(float);

struct A53Loops : PlainLoops {
  static constexpr int kDotColumns = 8;
  static constexpr int panels_at_once(int width) { return width == kMr ? 2 : 1; }

  template <int kRows, int kCols>
  static NNEFRUN_INLINE int64_t tile(V (&acc)[kRows][kCols], const float* a, const float* b, int64_t b_step,
                                     int64_t k, const Ahead& ahead) {
    // A's panels are filled up with zeros, so a right edge may be computed with more rows than it has.
    constexpr int kLoopRows = kCols > 1 ? kRows : kRows <= 2 ? 2 : kRows <= 4 ? 4 : 8;
    using Loop = TileLoop<kLoopRows, kCols>;
    const int64_t turns = k / Loop::kSteps;
    if (turns < kLeastTurns) return PlainLoops::tile(acc, a, b, b_step, k, ahead);
    V c[kLoopRows * kCols];
    Loop::run(c, a, b, b_step * kItem, turns);
    take_sums(acc, c);
    return turns * Loop::kSteps;
  }

  template <int kWidth, int kCount, int kCols>
  static NNEFRUN_INLINE int64_t panels(V (&acc)[kCount][kCols], const float* x, const float* w, int64_t next,
                                       int64_t k) {
    if constexpr ((kWidth == kMr || kWidth == kVectors * kLanes) && kCount == panels_at_once(kWidth)) {
      using Loop = PanelLoop<kCount>;
      const int64_t turns = k / Loop::kSteps;
      if (turns >= kLeastTurns) {
        V c[kCount * kCols];
        Loop::run(c, x, 0, w, next * kItem, turns);
        take_sums(acc, c);
        return turns * Loop::kSteps;
      }
    }
    return PlainLoops::panels<kWidth, kCount, kCols>(acc, x, w, next, k);
  }

  // Strips of 16 columns, one line of the cache wide, from top to bottom. Only where the rows of W are near
  // to each other: otherwise each would touch another page, and the plain way, which reads long runs, is
  // better.
  static constexpr int kStrip = 4;
  static constexpr int64_t kNearRows = 512;
  template <int kRows>
  static int64_t strips(const GemvBlock& g) {
    using Loop = RowLoop<kRows>;
    const int64_t turns = g.k / Loop::kSteps;
    if (turns < kLeastTurns) return 0;
    int64_t j = 0;
    for (; j + kStrip * kLanes <= g.n; j += kStrip * kLanes) {
      V c[kRows * kStrip], acc[kRows][kStrip];
      Loop::run(c, g.x, g.x_row_stride * kItem, g.w + j, g.w_row_stride * kItem, turns);
      take_sums(acc, c);
      for (int64_t p = turns * Loop::kSteps; p < g.k; ++p) {
        NNEFRUN_UNROLL
        for (int v = 0; v < kStrip; ++v) {
          const V w = vload(g.w + p * g.w_row_stride + j + v * kLanes);
          NNEFRUN_UNROLL
          for (int r = 0; r < kRows; ++r) acc[r][v] = vfma(w, vset(g.x[r * g.x_row_stride + p]), acc[r][v]);
        }
      }
      NNEFRUN_UNROLL
      for (int r = 0; r < kRows; ++r) {
        NNEFRUN_UNROLL
        for (int v = 0; v < kStrip; ++v) {
          float* y = g.y + r * g.y_row_stride + j + v * kLanes;
          vstore(y, g.load_y ? vload(y) + acc[r][v] : acc[r][v]);
        }
      }
    }
    return j;
  }
  static int64_t rows(const GemvBlock& g) {
    if (g.w_row_stride > kNearRows) return 0;
    switch (g.m) {
      case 1: return strips<1>(g);
      case 2: return strips<2>(g);
      case 3: return strips<3>(g);
      case 4: return strips<4>(g);
      case 5: return strips<5>(g);
      default: return 0;
    }
  }

  template <int kRows, int kCols>
  static NNEFRUN_INLINE int64_t dot(V (&acc)[kRows][kCols], const float* a, int64_t a_row_stride,
                                    const float* b, int64_t b_row_stride, int64_t k) {
    if constexpr ((kRows == 1 && kCols == kDotColumns) || (kRows == 2 && kCols == PlainLoops::kDotColumns)) {
      using Loop = DotLoop<kRows, kCols>;
      const int64_t turns = k / Loop::kSteps;
      if (turns >= kLeastTurns) {
        V c[kRows * kCols];
        Loop::run(c, a, a_row_stride * kItem, b, b_row_stride * kItem, turns);
        take_sums(acc, c);
        return turns * Loop::kSteps;
      }
    }
    return PlainLoops::dot(acc, a, a_row_stride, b, b_row_stride, k);
  }
};

}  // namespace
}  // namespace nnefrun::kernels

#define NNEFRUN_MATMUL_LOOPS A53Loops
#include "kernels/matmul/body.h"
