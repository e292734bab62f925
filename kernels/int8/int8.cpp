#include "kernels/int8/int8.h"

#include <string.h>

#include "kernels/choose.h"

namespace nnefrun::kernels {

#define NNEFRUN_INT8_TABLE(suffix) extern const Int8Kernels int8_##suffix;
#include "kernels/int8/kernels.inc"

namespace {

const Int8Kernels* const kRows[] = {
#define NNEFRUN_INT8_TABLE(suffix) &int8_##suffix,
#include "kernels/int8/kernels.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

}  // namespace

const Int8Kernels& choose_int8(IsaFeatures features) { return choose_row(kRows, kRowCount, features); }

const Int8Kernels* const* int8_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

float exact_reciprocal(CodeBinary binary, const Int8Kernels& kernels) {
  if (&kernels == kRows[kRowCount - 1]) return 0;  // the generic row divides
  CodeBinary corrected = binary;
  binary.reciprocal = 0;
  corrected.reciprocal = 1.0F / binary.scale;
  uint8_t x[256], y[256], divided[256], multiplied[256];
  for (int i = 0; i < 256; ++i) y[i] = static_cast<uint8_t>(i);
  for (int code = 0; code < 256; ++code) {
    memset(x, code, sizeof x);
    kernels.binary(binary, x, y, divided, sizeof x);
    kernels.binary(corrected, x, y, multiplied, sizeof x);
    if (memcmp(divided, multiplied, sizeof x) != 0) return 0;
  }
  return corrected.reciprocal;
}

size_t product_workspace(int64_t rows, int64_t taps, int64_t depth, const Int8Kernels& kernels) {
  if (!kernels.widens) return 0;
  const auto up = [](int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; };
  if (kernels.group == 1)
    return static_cast<size_t>(up(rows, kernels.rows) * taps * depth) * sizeof(int16_t) + kPanelSlack;
  if (kernels.group != 4 || kernels.rows != kAmxRows)
    return static_cast<size_t>(rows * taps * depth) * sizeof(int16_t);
  const int64_t bytes = up(taps * depth, kAmxBytes);
  return static_cast<size_t>(amx_copied_rows(rows, bytes) * bytes);
}

}  // namespace nnefrun::kernels
