// Products, convolutions and element-wise arithmetic of 8-bit affine codes: real = (code - zero point) *
// scale.
//
// Inside this family codes are u8: i8 codes are taken plus 128, with a zero point that is 128 larger (the
// same bytes with their highest bit flipped). Convolutions work on the channels-last layout [N, D..., C],
// where C is rounded up to a multiple of 4; what lies in the channels behind the last one is undefined.
// Weights are i8 with zero point 0.
//
// A product is the exact sum over taps and depth of (x - x_zero) * w in 32 bits that wrap: an accumulator
// starts from `start`, which holds the bias minus x_zero times the sum of the channel's weights. Then it
// becomes a code:
//
//   exact:   round_half_even(accumulator * scale), the product not rounded    (one scale for all channels)
//   f32:     round_half_even(float(accumulator) * scale[channel]), in f32      (a scale for each channel)
//
// plus the zero point of the result, clamped. Both are exactly quant/affine.h's FixedPointScale and
// scale_by(), so results are bit-identical on every instruction set and for any number of threads.
//
// Kernels own no memory and no threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/isa.h"

namespace nnefrun::kernels {

// From accumulators to codes.
struct CodeEpilogue {
  const float* scales = nullptr;  // one for each channel, rounded up to whole vectors: the f32 way
  double scale = 1;               // of all channels when `scales` is null: the exact way
  // Not 0: accumulators are first clamped to [-limit, limit]. Set where a scale is so large that rounding
  // could leave 32 bits; beyond the limit every accumulator saturates anyway. See code_limit().
  int32_t limit = 0;
  // Every accumulator stays below 2^24 in magnitude and the scale below 1/4: the exact way may be taken in
  // f32.
  bool narrow = false;
  int32_t zero_point = 0;       // of the result, as u8
  int32_t low = 0, high = 255;  // the result's codes are clamped to this, as u8
  uint8_t flip = 0;             // 0x80: results are stored as i8
  bool raw = false;             // results are the accumulators themselves, i32
};
// The limit for scales up to `largest`. REQUIRES: largest < 2^19, zero points within the codes.
constexpr int32_t code_limit(float largest) { return largest < 0.5F ? 0 : 2048; }

// z = clamp(round_half_even((rx(x) op ry(y)) / scale + zero)), all in f32, with rx(x) = (x - x_zero) *
// x_scale.
enum class CodeBinaryOp : uint8_t { add = 0, sub = 1, mul = 2, max = 3, min = 4 };
struct CodeBinary {
  CodeBinaryOp op = CodeBinaryOp::add;
  int32_t x_zero = 0, y_zero = 0, zero = 0;  // as u8
  float x_scale = 1, y_scale = 1, scale = 1;
  float reciprocal = 0;  // exact_reciprocal(), or 0: divide
  int32_t low = 0, high = 255;
  bool is_signed = false;                    // the result's type is i8 (its rounding is that type's)
  uint8_t x_flip = 0, y_flip = 0, flip = 0;  // 0x80: bytes in memory are i8
};

// One block of a product: result[row, column] over rows x columns. Row r of the left side lies at x +
// rows[r]: for each tap, `depth` bytes from taps[t] on (a multiple of 4; weights behind the last channel are
// 0).
struct CodeProduct {
  const uint8_t* x = nullptr;
  const int64_t* rows = nullptr;
  int64_t row_count = 0;
  const int64_t* taps = nullptr;
  int64_t tap_count = 0;
  int64_t depth = 0;
  const int8_t* weights = nullptr;     // packed, see pack.h
  const int32_t* start = nullptr;      // one for each column, rounded up to whole vectors
  const int32_t* row_terms = nullptr;  // added to every accumulator of a row; null: nothing
  int64_t columns = 0;
  int64_t panel_begin = 0, panel_end = 0;  // which panels of columns
  CodeEpilogue epilogue;
  void* y = nullptr;  // row r at y + r * y_stride items
  int64_t y_stride = 0;
  // Not null: each code (x; bounds of `epilogue`, not its flip) is added to the code of the same place of
  // `residual` (y), which lies as the result does. REQUIRES: the operation is add, !epilogue.raw.
  const CodeBinary* sum = nullptr;
  const uint8_t* residual = nullptr;
  void* workspace = nullptr;  // product_workspace(row_count, tap_count, depth) bytes
};

// A depthwise convolution of a block of pixels: pixel p, channel c from x[rows[p] + taps[t] + c]. Weights are
// 16-bit numbers: [blocks of `lanes` channels][taps][lanes].
struct CodeDepthwise {
  const uint8_t* x = nullptr;
  const int64_t* rows = nullptr;
  int64_t row_count = 0;
  const int64_t* taps = nullptr;
  int64_t tap_count = 0;
  int64_t channels = 0;  // a multiple of 4
  const int16_t* weights = nullptr;
  const int8_t* dot_weights = nullptr;  // instead, in rows with depthwise_dots; see pack_depthwise_dots
  const int32_t* start = nullptr;
  CodeEpilogue epilogue;
  uint8_t* y = nullptr;
  int64_t y_stride = 0;
};

struct Int8Kernels {
  const char* isa_suffix;
  IsaFeatures requires_isa;
  bool verified;
  // The packed layout: `lanes` columns in a vector, `group` items of the depth beside each other, `vectors`
  // in the widest panel; `rows` in a tile.
  int lanes, group, vectors, rows;
  bool widens;          // product() first copies the left side: to 16 bits, or in whole steps of 64 bytes
  int32_t x_offset;     // what product() subtracts from x: `start` holds the rest
  int slack;            // bytes that are read behind packed weights, save those of whole steps of AMX rows
  bool depthwise_dots;  // depthwise convolutions with weights of 8 bits run by dot products over taps
  void (*product)(const CodeProduct&);
  void (*depthwise)(const CodeDepthwise&);
  // sums[r] = sum over taps of the first `channels` bytes of row r (rows, taps and x of the product).
  void (*row_sums)(const CodeProduct& product, int64_t channels, int32_t* sums);
  void (*binary)(const CodeBinary&, const uint8_t* x, const uint8_t* y, uint8_t* z, int64_t count);
  // Codes of reals, clamp(round_half_even(x / scale + zero)) of a type u8 or (is_signed) i8; NaN gives the
  // code 0. `zero` is as u8; `flip` 0x80 stores i8.
  void (*quantize)(const float* x, float scale, int32_t zero, bool is_signed, uint8_t flip, uint8_t* y,
                   int64_t count);
  // y = ((x ^ flip) - zero) * scale
  void (*dequantize)(const uint8_t* x, float scale, int32_t zero, uint8_t flip, float* y, int64_t count);
  // y[c] += (x[c] - zero) * scale as f64, over `rows` rows of `stride` bytes: f32 products, exact sums.
  void (*sum_rows)(const uint8_t* x, int64_t rows, int64_t stride, int64_t channels, float scale,
                   int32_t zero, double* y);
};

// 1 / scale, where multiplying by it and correcting the remainder once gives the codes of a division for all
// 65536 pairs of operands; else 0.
float exact_reciprocal(CodeBinary binary, const Int8Kernels& kernels);

const Int8Kernels& choose_int8(IsaFeatures features = host_isa());
const Int8Kernels* const* int8_rows(int* count);

// Bytes that one call of product() wants as workspace.
size_t product_workspace(int64_t rows, int64_t taps, int64_t depth,
                         const Int8Kernels& kernels = choose_int8());
constexpr size_t kPanelSlack = 128;  // bytes that rows with a `group` of 1 read behind the copied left side
// An AMX row takes at most kAmxBlockRows rows at once. Where it copies them, it rounds rows and depth up, and
// copies so many rows of `bytes` at a time.
constexpr int64_t kAmxRows = 32, kAmxBytes = 64, kAmxBlockRows = 256;
constexpr int64_t amx_copied_rows(int64_t rows, int64_t bytes) {
  const int64_t all = (rows + kAmxRows - 1) / kAmxRows * kAmxRows,
                most = (int64_t{1} << 18) / bytes / kAmxRows * kAmxRows;
  return most >= all ? all : most > kAmxRows ? most : kAmxRows;
}

}  // namespace nnefrun::kernels
