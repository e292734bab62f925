#include "kernels/q40/q40.h"

#include <cassert>
#include <cstring>

#include "kernels/choose.h"
#include "kernels/matmul/decoded.h"

namespace nnefrun::kernels {

#define NNEFRUN_Q40_ISA(set) extern const Q40Kernels q40_##set;
#define NNEFRUN_Q40_Q80_ISA(set) extern const Q40Q80Kernels q40_q80_##set;
#include "kernels/q40/kernels.inc"

namespace {

const Q40Kernels* const kExact[] = {
#define NNEFRUN_Q40_ISA(set) &q40_##set,
#include "kernels/q40/kernels.inc"
};
const Q40Q80Kernels* const kFast[] = {
#define NNEFRUN_Q40_Q80_ISA(set) &q40_q80_##set,
#include "kernels/q40/kernels.inc"
};
constexpr int kExactCount = static_cast<int>(sizeof(kExact) / sizeof(kExact[0]));
constexpr int kFastCount = static_cast<int>(sizeof(kFast) / sizeof(kFast[0]));

constexpr int64_t kNarrow = 8, kNarrowSlack = 64;

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t ceil_of(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }

const uint8_t* panel_of(const Q40Args& a, int64_t column, int64_t depth = 0) {
  return a.packed + (column / kQ40Panel * (a.k / 32) + depth / 32) * kQ40PanelBlock;
}

bool is_plain(const Epilogue& e) {
  return e.scale == 1.0F && e.bias_axis == BiasAxis::none && e.residual == nullptr &&
         e.activation == Activation::none;
}

// Many rows, exactly: windows of W as floats.
void multiply_by_windows(const Q40Args& a, std::byte* workspace, IsaFeatures features) {
  const Q40Kernels& kernel = choose_q40(features);
  multiply_decoded(a, workspace, features,
                   [&](int64_t column, int64_t depth, int64_t depths, const DecodedPlace& place) {
                     Q40Decode d;
                     d.w = panel_of(a, column, depth);
                     d.blocks = depths / 32;
                     d.group = place.group;
                     d.group_stride = place.group_stride;
                     d.depth_stride = place.depth_stride;
                     d.dst = place.dst;
                     kernel.decode(d);
                   });
}

}  // namespace

const Q40Kernels& choose_q40(IsaFeatures features) { return choose_row(kExact, kExactCount, features); }
const Q40Q80Kernels& choose_q40_q80(IsaFeatures features) { return choose_row(kFast, kFastCount, features); }
const Q40Kernels* const* q40_rows(int* count) {
  *count = kExactCount;
  return kExact;
}
const Q40Q80Kernels* const* q40_q80_rows(int* count) {
  *count = kFastCount;
  return kFast;
}

int64_t q40_panel(bool fast, IsaFeatures features) {
  return fast ? choose_q40_q80(features).panel : kQ40Panel;
}

size_t packed_q40_size(int64_t n, int64_t k, int64_t panel) {
  const int64_t bytes = ceil_of(n, panel) * panel * (k / 32) * static_cast<int64_t>(sizeof(BlockQ40));
  return static_cast<size_t>(bytes + (panel == kQ40Panel ? 0 : kNarrowSlack));
}

namespace {

// The layout "q40_n8".
void pack_narrow(int64_t n, int64_t k, const BlockQ40* w, uint8_t* packed, int64_t begin, int64_t end) {
  const int64_t blocks = k / 32;
  for (int64_t first = begin; first < end; first += kNarrow) {
    uint8_t* to = packed + first * blocks * static_cast<int64_t>(sizeof(BlockQ40));
    for (int64_t b = 0; b < blocks; ++b, to += kNarrow * static_cast<int64_t>(sizeof(BlockQ40))) {
      for (int64_t j = 0; j < kNarrow; ++j) {
        const BlockQ40 block = first + j < n ? w[(first + j) * blocks + b] : BlockQ40{};
        std::memcpy(to + 2 * j, &block.d, 2);
        std::memcpy(to + 2 * kNarrow + 16 * j, block.q, 16);
      }
    }
  }
  if (end == n) {
    std::memset(packed + packed_q40_size(n, k, kNarrow) - kNarrowSlack, 0, static_cast<size_t>(kNarrowSlack));
  }
}

}  // namespace

void pack_q40_window(int64_t n, int64_t k, const BlockQ40* w, uint8_t* packed, int64_t begin, int64_t end,
                     int64_t panel) {
  assert(k % 32 == 0 && begin % kQ40Panel == 0 && (end == n || end % kQ40Panel == 0));
  if (panel != kQ40Panel) {
    pack_narrow(n, k, w, packed, begin, end);
    return;
  }
  const int64_t blocks = k / 32;
  for (int64_t first = begin; first < end; first += kQ40Panel) {
    uint8_t* to = packed + first * blocks * (kQ40PanelBlock / kQ40Panel);
    const int64_t columns = smaller(kQ40Panel, n - first);
    for (int64_t b = 0; b < blocks; ++b, to += kQ40PanelBlock) {
      if (columns < kQ40Panel) std::memset(to, 0, kQ40PanelBlock);
      for (int64_t j = 0; j < columns; ++j) {
        const BlockQ40& block = w[(first + j) * blocks + b];
        std::memcpy(to + 2 * j, &block.d, 2);
        // bytes 0 to 15 hold depths 0 to 15 low and 16 to 31 high
        uint8_t* codes = to + kQ40PanelCodes + 4 * j;
        for (int i = 0; i < 4; ++i) {
          const int q0 = block.q[i], q4 = block.q[4 + i], q8 = block.q[8 + i], q12 = block.q[12 + i];
          codes[i] = static_cast<uint8_t>((q0 & 15) | (q4 & 15) << 4);
          codes[kQ40PanelDepths + i] = static_cast<uint8_t>((q8 & 15) | (q12 & 15) << 4);
          codes[2 * kQ40PanelDepths + i] = static_cast<uint8_t>((q0 >> 4) | (q4 & 0xF0));
          codes[3 * kQ40PanelDepths + i] = static_cast<uint8_t>((q8 >> 4) | (q12 & 0xF0));
        }
      }
    }
  }
}

void decode_q40_row(const uint8_t* packed, int64_t k, int64_t row, float* out, int64_t panel) {
  if (panel != kQ40Panel) {
    const uint8_t* narrow =
        packed + row / kNarrow * kNarrow * (k / 32) * static_cast<int64_t>(sizeof(BlockQ40));
    for (int64_t depth = 0; depth < k; depth += 32) {
      BlockQ40 block;
      std::memcpy(&block.d, narrow + 2 * (row % kNarrow), 2);
      std::memcpy(block.q, narrow + 2 * kNarrow + 16 * (row % kNarrow), 16);
      dequantize_q40(&block, 1, out + depth);
      narrow += kNarrow * static_cast<int64_t>(sizeof(BlockQ40));
    }
    return;
  }
  const int64_t column = row % kQ40Panel;
  const uint8_t* block = packed + row / kQ40Panel * (k / 32) * kQ40PanelBlock;
  for (int64_t depth = 0; depth < k; depth += 32, block += kQ40PanelBlock) {
    uint16_t bits = 0;
    std::memcpy(&bits, block + 2 * column, 2);
    const float d = float_from_half_bits(bits);
    for (int eight = 0; eight < 4; ++eight, out += 8) {
      const uint8_t* codes = block + kQ40PanelCodes + eight * kQ40PanelDepths + 4 * column;
      for (int i = 0; i < 4; ++i) {
        out[i] = static_cast<float>((codes[i] & 15) - 8) * d;
        out[4 + i] = static_cast<float>((codes[i] >> 4) - 8) * d;
      }
    }
  }
}

size_t q40_workspace_size(int64_t m, int64_t n, int64_t k, bool fast, IsaFeatures features) {
  if (fast) {
    const auto workspace = choose_q40_q80(features).workspace;
    return workspace == nullptr ? 0 : static_cast<size_t>(workspace(m, k / 32));
  }
  if (m < choose_q40(features).few_rows || k == 0) return 0;
  return decoded_workspace_size(m, n, k, features);
}

void matmul_q40(const Q40Args& given, void* workspace, IsaFeatures features) {
  Q40Args a = given;
  if (a.row_end < 0) a.row_end = a.m;
  if (a.column_end < 0) a.column_end = a.n;
  assert(a.k % 32 == 0 && a.column_begin % kQ40Panel == 0);
  assert(a.row_begin >= 0 && a.row_end <= a.m && a.column_end <= a.n);
  if (a.row_begin >= a.row_end || a.column_begin >= a.column_end) return;
  const bool fast = a.activations != nullptr;
  if (!fast && a.m >= choose_q40(features).few_rows && a.k > 0) {
    multiply_by_windows(a, static_cast<std::byte*>(workspace), features);
    return;
  }
  Q40Tile t;
  t.rows = a.row_end - a.row_begin;
  t.columns = a.column_end - a.column_begin;
  t.blocks = a.k / 32;
  t.w = panel_of(a, a.column_begin);
  t.c = a.c + a.row_begin * a.c_row_stride + a.column_begin;
  t.c_row_stride = a.c_row_stride;
  if (fast) {
    t.activations = a.activations + a.row_begin * t.blocks;
    t.workspace = static_cast<uint8_t*>(workspace);
    if (t.blocks > 0) {
      choose_q40_q80(features).multiply(t);
    } else {
      for (int64_t i = 0; i < t.rows; ++i)
        std::memset(t.c + i * t.c_row_stride, 0, static_cast<size_t>(t.columns) * sizeof(float));
    }
  } else {
    t.x = a.x + a.row_begin * a.x_row_stride;
    t.x_row_stride = a.x_row_stride;
    choose_q40(features).multiply(t);
  }
  if (is_plain(a.epilogue)) return;
  const auto epilogue = choose_matmul_f32(features).epilogue_row;
  for (int64_t i = a.row_begin; i < a.row_end; ++i) {
    epilogue(a.epilogue, a.c + i * a.c_row_stride + a.column_begin, i, a.column_begin, t.columns);
  }
}

}  // namespace nnefrun::kernels
