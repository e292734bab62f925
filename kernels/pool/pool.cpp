#include "kernels/pool/pool.h"

#include <cassert>
#include <limits>

#include "kernels/choose.h"

namespace nnefrun::kernels {

#define NNEFRUN_FLOAT_ISA(suffix) extern const PoolKernels pool_##suffix;
#include "kernels/float_isas.inc"

namespace {

const PoolKernels* const kRows[] = {
#define NNEFRUN_FLOAT_ISA(suffix) &pool_##suffix,
#include "kernels/float_isas.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

constexpr int64_t kSlack = 16;  // items that a vector may reach beyond a staged row

int64_t volume(const int64_t (&v)[3]) { return v[0] * v[1] * v[2]; }
int64_t round_up(int64_t n) { return (n + kSlack - 1) / kSlack * kSlack; }

// The parts of the workspace. Staged rows form a ring of as many as a window can meet at once, so each input
// row is staged about once; rows of outer axes are staged for every window position of those axes.
struct Parts {
  int64_t phases, length;  // of a staged row
  int64_t row_items, rows;
  int64_t counts;
};
Parts parts_of(const PoolShape& s) {
  Parts p;
  p.phases = s.window[2] == 1 ? 1 : s.stride[2];
  p.length = s.out[2] + (s.window[2] - 1) * s.dilation[2] / s.stride[2];
  p.row_items = round_up(p.phases * p.length + kSlack);
  p.rows = s.window[0] * s.window[1];
  p.counts = round_up(s.out[2]);
  return p;
}

// Window positions along one axis that lie inside for output position `at`.
int64_t count_inside(const PoolShape& s, int axis, int64_t at) {
  int64_t count = 0;
  for (int64_t t = 0; t < s.window[axis]; ++t) {
    const int64_t x = at * s.stride[axis] + t * s.dilation[axis] - s.pad_before[axis];
    count += x >= 0 && x < s.in[axis] ? 1 : 0;
  }
  return count;
}

}  // namespace

const PoolKernels& choose_pool(IsaFeatures features) { return choose_row(kRows, kRowCount, features); }

const PoolKernels* const* pool_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

size_t pool_workspace_size(const PoolShape& shape) {
  if (volume(shape.out) == 0) return 0;
  const Parts p = parts_of(shape);
  const int64_t pointers = round_up(2 * p.rows) + round_up(2 * p.rows) + round_up(2 * shape.window[2]);
  return static_cast<size_t>(pointers + p.counts + (p.rows + 1) * p.row_items) * sizeof(float);
}

void pool_f32(PoolOp op, const PoolShape& s, const float* x, float* y, void* workspace,
              IsaFeatures features) {
  if (s.planes == 0 || volume(s.out) == 0) return;
  const PoolKernels& kernel = choose_pool(features);
  const bool ignore = s.border == PoolBorder::ignore, is_max = op == PoolOp::max;
  const float start = is_max ? std::numeric_limits<float>::quiet_NaN() : 0.0F;  // NaN loses
  const Parts parts = parts_of(s);
  StagePlane stage;
  stage.width = s.in[2];
  stage.first_column = -s.pad_before[2];
  stage.stride = s.stride[2];
  stage.phases = parts.phases;
  stage.length = parts.length;
  stage.outside = is_max && ignore ? start : 0.0F;

  float* space = static_cast<float*>(workspace);
  const float** rows = reinterpret_cast<const float**>(space);
  space += round_up(2 * parts.rows);
  int64_t* held = reinterpret_cast<int64_t*>(space);  // which input row each slot of the ring holds
  space += round_up(2 * parts.rows);
  int64_t* taps = reinterpret_cast<int64_t*>(space);
  space += round_up(2 * s.window[2]);
  float* counts = space;  // columns of each window that take part
  space += parts.counts;
  float* border = space;  // a row of padding
  float* ring = space + parts.row_items;

  for (int64_t t = 0; t < s.window[2]; ++t) {
    const int64_t shift = t * s.dilation[2];
    taps[t] = shift % s.stride[2] * parts.length + shift / s.stride[2];
  }
  for (int64_t w = 0; w < s.out[2]; ++w) {
    counts[w] = static_cast<float>(ignore ? count_inside(s, 2, w) : s.window[2]);
  }
  // whole vectors are read beyond the staged items of a row, so those hold something
  for (int64_t i = 0; i < (parts.rows + 1) * parts.row_items; ++i) border[i] = 0.0F;
  stage.x = nullptr;
  stage.out = border;
  kernel.stage(stage);
  const int64_t plane_items = volume(s.in);
  PoolRow row;
  row.rows = rows;
  row.taps = taps;
  row.tap_count = s.window[2];
  row.columns = s.out[2];
  row.start = start;
  for (int64_t p = 0; p < s.planes; ++p, x += plane_items) {
    for (int64_t i = 0; i < parts.rows; ++i) held[i] = -1;
    for (int64_t d = 0; d < s.out[0]; ++d) {
      for (int64_t h = 0; h < s.out[1]; ++h, y += s.out[2]) {
        row.row_count = 0;
        for (int64_t i = 0; i < parts.rows; ++i) {
          const int64_t z = d * s.stride[0] + i / s.window[1] * s.dilation[0] - s.pad_before[0];
          const int64_t r = h * s.stride[1] + i % s.window[1] * s.dilation[1] - s.pad_before[1];
          if (z < 0 || z >= s.in[0] || r < 0 || r >= s.in[1]) {
            if (!ignore && is_max) rows[row.row_count++] = border;
            continue;
          }
          const int64_t input_row = z * s.in[1] + r;
          // rows of one depth that are held together differ by multiples of the dilation
          const int64_t slot = i / s.window[1] * s.window[1] + r / s.dilation[1] % s.window[1];
          float* staged = ring + slot * parts.row_items;
          if (held[slot] != input_row) {
            stage.x = x + input_row * s.in[2];
            stage.out = staged;
            kernel.stage(stage);
            held[slot] = input_row;
          }
          rows[row.row_count++] = staged;
        }
        row.y = y;
        if (is_max) {
          kernel.max_row(row);
          for (int64_t w = 0; ignore && w < s.out[2]; ++w) {
            if (row.row_count == 0 || counts[w] == 0) y[w] = std::numeric_limits<float>::lowest();
          }
        } else {
          kernel.sum_row(row);
        }
        if (op == PoolOp::avg) {
          const int64_t outer =
              ignore ? count_inside(s, 0, d) * count_inside(s, 1, h) : s.window[0] * s.window[1];
          kernel.divide_row(y, counts, static_cast<float>(outer), s.out[2]);
        }
      }
    }
  }
}

}  // namespace nnefrun::kernels
