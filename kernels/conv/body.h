// The convolution rows, written once over the vector of kernels/vec.h.
#pragma once

#include "kernels/conv/rows.h"
#include "kernels/vec_stage.h"

namespace nnefrun::kernels {
namespace {

// One run that fills a panel of kVectors vectors.
template <int kVectors>
NNEFRUN_INLINE void gather_run(const GatherPanel& g) {
  float* out = g.panel;
  const int64_t offset = g.runs[0].offset;
  for (int64_t p = 0; p < g.depth; ++p, out += kVectors * kLanes) {
    const float* x = g.bases[p] + offset;
    NNEFRUN_UNROLL
    for (int v = 0; v < kVectors; ++v) vstore(out + v * kLanes, vload(x + v * kLanes));
  }
}

void gather(const GatherPanel& g) {
  if (g.run_count == 1 && g.runs[0].count == g.columns) {
    if (g.columns == 2 * kLanes) return gather_run<2>(g);
    if (g.columns == 3 * kLanes) return gather_run<3>(g);
  }
  const GatherRun& last = g.runs[g.run_count - 1];
  const int64_t filled = last.begin + last.count;
  if (g.may_overrun) {
    // Runs ascend, so what one writes too much the next one overwrites; the last is cut off exactly.
    for (int64_t p = 0; p < g.depth; ++p) {
      float* out = g.panel + p * g.columns;
      for (int32_t r = 0; r + 1 < g.run_count; ++r) {
        const float* x = g.bases[p] + g.runs[r].offset;
        float* to = out + g.runs[r].begin;
        const int64_t count = g.runs[r].count;
        // a vector that would leave the panel is cut off too
        const int64_t room = g.columns - g.runs[r].begin;
        for (int64_t i = 0; i < count; i += kLanes) {
          if (i + kLanes <= room) {
            vstore(to + i, vload(x + i));
          } else {
            vstore_n(to + i, vload(x + i), room - i);
          }
        }
      }
      copy_items(g.bases[p] + last.offset, out + last.begin, last.count);
      fill_items(out + filled, g.columns - filled, 0.0F);
    }
    return;
  }
  for (int64_t p = 0; p < g.depth; ++p) {
    float* out = g.panel + p * g.columns;
    for (int32_t r = 0; r < g.run_count; ++r) {
      copy_items(g.bases[p] + g.runs[r].offset, out + g.runs[r].begin, g.runs[r].count);
    }
    fill_items(out + filled, g.columns - filled, 0.0F);
  }
}

// kRows output rows of one vector. Their input rows overlap: kRows + kHeight - 1 of them are each loaded
// once.
template <int kHeight, int kWidth, int kRows>
NNEFRUN_INLINE void depthwise_shared(const DepthwiseRows& d, const V (&weights)[kHeight][kWidth], int64_t row,
                                     int64_t column, int64_t left) {
  V acc[kRows];
  float* y = d.y + row * d.columns + column;
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) acc[r] = d.load_y ? vload_n(y + r * d.columns, left) : vset(0.0F);
  const float* x = d.x + row * d.row_step + column;
  NNEFRUN_UNROLL
  for (int i = 0; i < kRows + kHeight - 1; ++i) {
    V v[kWidth];
    NNEFRUN_UNROLL
    for (int t = 0; t < kWidth; ++t) v[t] = vload(x + i * d.input_row + d.taps[t]);
    NNEFRUN_UNROLL
    for (int r = 0; r < kRows; ++r) {
      if (i - r < 0 || i - r >= kHeight) continue;
      NNEFRUN_UNROLL
      for (int t = 0; t < kWidth; ++t) acc[r] = vfma(v[t], weights[i - r][t], acc[r]);
    }
  }
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) {
    if (left == kLanes) {
      vstore(y + r * d.columns, acc[r]);
    } else {
      vstore_n(y + r * d.columns, acc[r], left);
    }
  }
}
template <int kHeight, int kWidth>
void depthwise_square(const DepthwiseRows& d) {
  V weights[kHeight][kWidth];
  for (int i = 0; i < kHeight; ++i) {
    for (int t = 0; t < kWidth; ++t) weights[i][t] = vset(d.weights[i * kWidth + t]);
  }
  for (int64_t column = 0; column < d.columns; column += kLanes) {
    const int64_t left = d.columns - column < kLanes ? d.columns - column : kLanes;
    int64_t row = 0;
    for (; row + 4 <= d.rows; row += 4) depthwise_shared<kHeight, kWidth, 4>(d, weights, row, column, left);
    if (row + 2 <= d.rows) {
      depthwise_shared<kHeight, kWidth, 2>(d, weights, row, column, left);
      row += 2;
    }
    if (row < d.rows) depthwise_shared<kHeight, kWidth, 1>(d, weights, row, column, left);
  }
}

// kRows output rows of one vector, any filter, stride and dilation.
template <int kRows>
NNEFRUN_INLINE void depthwise_any(const DepthwiseRows& d, int64_t row, int64_t column, int64_t left) {
  V acc[kRows];
  float* y = d.y + row * d.columns + column;
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) acc[r] = d.load_y ? vload_n(y + r * d.columns, left) : vset(0.0F);
  const float* x = d.x + row * d.row_step + column;
  const int32_t count = d.height * d.width;
  for (int32_t t = 0; t < count; ++t) {
    const V w = vset(d.weights[t]);
    NNEFRUN_UNROLL
    for (int r = 0; r < kRows; ++r) acc[r] = vfma(vload(x + r * d.row_step + d.taps[t]), w, acc[r]);
  }
  NNEFRUN_UNROLL
  for (int r = 0; r < kRows; ++r) vstore_n(y + r * d.columns, acc[r], left);
}
// kVectors vectors of one output row: for long rows.
template <int kVectors>
NNEFRUN_INLINE void depthwise_run(const DepthwiseRows& d, const float* x, float* y) {
  V acc[kVectors];
  NNEFRUN_UNROLL
  for (int v = 0; v < kVectors; ++v) acc[v] = d.load_y ? vload(y + v * kLanes) : vset(0.0F);
  const int32_t count = d.height * d.width;
  for (int32_t t = 0; t < count; ++t) {
    const V w = vset(d.weights[t]);
    NNEFRUN_UNROLL
    for (int v = 0; v < kVectors; ++v) acc[v] = vfma(vload(x + d.taps[t] + v * kLanes), w, acc[v]);
  }
  NNEFRUN_UNROLL
  for (int v = 0; v < kVectors; ++v) vstore(y + v * kLanes, acc[v]);
}
void depthwise(const DepthwiseRows& d) {
  if (d.rows_overlap && d.height == 3 && d.width == 3) {
    depthwise_square<3, 3>(d);
    return;
  }
  if (d.rows_overlap && d.height == 5 && d.width == 5) {
    depthwise_square<5, 5>(d);
    return;
  }
  int64_t begin = 0;  // the columns before it are done
  for (int64_t row = 0; row < d.rows; ++row) {
    begin = 0;
    for (; begin + 4 * kLanes <= d.columns; begin += 4 * kLanes) {
      depthwise_run<4>(d, d.x + row * d.row_step + begin, d.y + row * d.columns + begin);
    }
  }
  for (int64_t column = begin; column < d.columns; column += kLanes) {
    const int64_t left = d.columns - column < kLanes ? d.columns - column : kLanes;
    int64_t row = 0;
    for (; row + 4 <= d.rows; row += 4) depthwise_any<4>(d, row, column, left);
    for (; row < d.rows; ++row) depthwise_any<1>(d, row, column, left);
  }
}

}  // namespace

extern const ConvKernels NNEFRUN_TABLE(conv);
const ConvKernels NNEFRUN_TABLE(conv) = {
    NNEFRUN_STRING(NNEFRUN_ISA), isa::NNEFRUN_ISA, true, stage, gather, depthwise,
};

}  // namespace nnefrun::kernels
