// Weights in groups: codes of 2, 3, 4 or 8 bits along the depth, with a scale and perhaps an offset for each
// group of them (a multiple of 8, or the whole row), and a book that says what number a code stands for.
//
//   w[p] = book[code[p]] * scale[p / group] + offset[p / group]
//
// Eight codes of one row ("a unit") lie in `bits` bytes:
//
//   8 bits  bytes 0 ... 7: a code each
//   4 bits  byte j = 0 ... 3: code 2j low, code 2j + 1 high
//   2 bits  byte j = 0, 1: codes 4j ... 4j + 3, the first one lowest
//   3 bits  bytes 0, 1: the two lower bits of each code, as for 2 bits; byte 2: the upper bit of code i in
//   bit i
//
// Books of 256 entries that are 256 whole numbers in a row (`linear`) hold no table: codes are signed bytes,
// 0 standing for 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nnefrun {

inline constexpr int kGroupUnit = 8;

// What the codes are, and so how they are read.
enum class GroupForm : uint8_t { two = 0, three = 1, four = 2, eight = 3, book = 4 };
inline constexpr int kGroupFormCount = 5;

constexpr int bits_of(GroupForm form) {
  return form == GroupForm::two ? 2 : form == GroupForm::three ? 3 : form == GroupForm::four ? 4 : 8;
}
// Items of the table that kernels look up: 16 (repeated for short codes), 256, or none.
constexpr int book_items(GroupForm form) {
  return form == GroupForm::eight ? 0 : form == GroupForm::book ? 256 : 16;
}

// Eight codes into `bits` bytes. Codes are below 2^bits (signed bytes for `eight`, by their bits).
inline void pack_group_unit(GroupForm form, const uint8_t* codes, uint8_t* out) {
  switch (form) {
    case GroupForm::four:
      for (int j = 0; j < 4; ++j) out[j] = static_cast<uint8_t>(codes[2 * j] | codes[2 * j + 1] << 4);
      return;
    case GroupForm::two:
    case GroupForm::three: {
      unsigned low = 0, high = 0;
      for (int i = 0; i < kGroupUnit; ++i) {
        low |= (codes[i] & 3U) << (2 * i);
        high |= (codes[i] >> 2 & 1U) << i;
      }
      out[0] = static_cast<uint8_t>(low);
      out[1] = static_cast<uint8_t>(low >> 8);
      if (form == GroupForm::three) out[2] = static_cast<uint8_t>(high);
      return;
    }
    default:
      for (int i = 0; i < kGroupUnit; ++i) out[i] = codes[i];
  }
}

// Code i of a unit, 0 <= i < 8.
inline int group_code(GroupForm form, const uint8_t* unit, int i) {
  switch (form) {
    case GroupForm::four: return unit[i / 2] >> (4 * (i % 2)) & 15;
    case GroupForm::two: return unit[i / 4] >> (2 * (i % 4)) & 3;
    case GroupForm::three: return (unit[i / 4] >> (2 * (i % 4)) & 3) | (unit[2] >> i & 1) << 2;
    case GroupForm::eight: return static_cast<int8_t>(unit[i]);
    default: return unit[i];
  }
}

// The number behind a code; `book` has book_items(form) items.
inline float group_number(GroupForm form, const float* book, int code) {
  return form == GroupForm::eight ? static_cast<float>(code) : book[code];
}

// One row of `k` weights from its units, in order: the oracle of the kernels.
inline void dequantize_groups(GroupForm form, const uint8_t* units, int64_t k, int64_t group,
                              const float* book, const float* scales, const float* offsets, float* out) {
  for (int64_t p = 0; p < k; ++p) {
    const int code =
        group_code(form, units + p / kGroupUnit * bits_of(form), static_cast<int>(p % kGroupUnit));
    const float w = group_number(form, book, code) * scales[p / group];
    out[p] = offsets == nullptr ? w : w + offsets[p / group];
  }
}

}  // namespace nnefrun
