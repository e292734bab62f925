// The rows of groups.h, written once over the vector of kernels/vec.h. An ISA file defines, before it
// includes this:
//
//   Table, load_table(book)   16 numbers in registers
//   look_up(table, codes)     by the low four bits of each lane
//   look_up_far(book, codes)  by lanes 0 to 255, in memory
//   kRows, kCols              the register tile for several rows: rows, vectors of a panel
//   kVectorCols, kChains      for one row: vectors of a panel, and sums in flight for each of them
//   kFewRows                  see GroupKernels
#pragma once

#include "kernels/groups/groups.h"
#include "kernels/vec.h"

namespace nnefrun::kernels {
namespace {

constexpr int kVectors = static_cast<int>(kGroupPanel) / kLanes;  // of a panel
constexpr int64_t kAhead = 4096;                                  // bytes that are fetched ahead

typedef int32_t WideCodes __attribute__((vector_size(4 * kLanes)));
typedef uint16_t ShortCodes __attribute__((vector_size(2 * kLanes)));
typedef uint8_t ByteCodes __attribute__((vector_size(kLanes)));

NNEFRUN_INLINE I load_lanes(const uint8_t* p) {
  I out;
  __builtin_memcpy(&out, p, sizeof(out));
  return out;
}
NNEFRUN_INLINE I load_shorts(const uint8_t* p) {
  ShortCodes s;
  __builtin_memcpy(&s, p, sizeof(s));
  return (I) __builtin_convertvector(s, WideCodes);
}
NNEFRUN_INLINE I load_bytes(const uint8_t* p) {
  ByteCodes s;
  __builtin_memcpy(&s, p, sizeof(s));
  return (I) __builtin_convertvector(s, WideCodes);
}

template <GroupForm kForm>
constexpr bool kIsWide = kForm == GroupForm::eight || kForm == GroupForm::book;

// The bits of one unit of kLanes columns from `vector` on.
template <GroupForm kForm>
struct Unit {
  I bits[kIsWide<kForm> ? 2 : 1];
};
template <GroupForm kForm>
NNEFRUN_INLINE Unit<kForm> load_unit(const uint8_t* unit, int vector) {
  Unit<kForm> u;
  const int column = vector * kLanes;
  if constexpr (kIsWide<kForm>) {
    u.bits[0] = load_lanes(unit + 4 * column);
    u.bits[1] = load_lanes(unit + 4 * kGroupPanel + 4 * column);
  } else if constexpr (kForm == GroupForm::four) {
    u.bits[0] = load_lanes(unit + 4 * column);
  } else {
    u.bits[0] = load_shorts(unit + 2 * column);
    if constexpr (kForm == GroupForm::three)
      u.bits[0] = ior(u.bits[0], ishl<16>(load_bytes(unit + 2 * kGroupPanel + column)));
  }
  return u;
}

// The table in registers, or where it lies.
template <GroupForm kForm>
struct Book {
  Table table;
  explicit Book(const float* book) : table(load_table(book)) {}
};
template <>
struct Book<GroupForm::eight> {
  explicit Book(const float*) {}
};
template <>
struct Book<GroupForm::book> {
  const float* at;
  explicit Book(const float* book) : at(book) {}
};

template <int kShift>
NNEFRUN_INLINE I shifted(I bits) {
  if constexpr (kShift == 0)
    return bits;
  else
    return ishr<kShift>(bits);
}

// Number kCode of the unit in each lane.
template <GroupForm kForm, int kCode>
NNEFRUN_INLINE V number(const Book<kForm>& book, const Unit<kForm>& u) {
  if constexpr (kForm == GroupForm::eight) {
    constexpr int up = 24 - 8 * (kCode % 4);
    I byte = u.bits[kCode / 4];
    if constexpr (up > 0) byte = ishl<up>(byte);
    return vfrom_int(isar<24>(byte));
  } else if constexpr (kForm == GroupForm::book) {
    return look_up_far(book.at, iand(shifted<8 * (kCode % 4)>(u.bits[kCode / 4]), iset(255)));
  } else if constexpr (kForm == GroupForm::four) {
    return look_up(book.table, shifted<4 * kCode>(u.bits[0]));
  } else if constexpr (kForm == GroupForm::two) {
    return look_up(book.table, iand(shifted<2 * kCode>(u.bits[0]), iset(3)));
  } else {
    return look_up(book.table, ior(iand(shifted<2 * kCode>(u.bits[0]), iset(3)),
                                   iand(shifted<14 + kCode>(u.bits[0]), iset(4))));
  }
}

NNEFRUN_INLINE V load_number(const uint8_t* p, bool half, int64_t index) {
  return half ? load_f16(reinterpret_cast<const uint16_t*>(p) + index)
              : vload(reinterpret_cast<const float*>(p) + index);
}

template <GroupForm kForm, int kCode, int kR, int kC, int kN>
NNEFRUN_INLINE void multiply_code(V (&part)[kN][kR][kC], const Book<kForm>& book,
                                  const Unit<kForm> (&units)[kC], const float* x, int64_t stride) {
  V w[kC];
  NNEFRUN_UNROLL
  for (int q = 0; q < kC; ++q) w[q] = number<kForm, kCode>(book, units[q]);
  NNEFRUN_UNROLL
  for (int r = 0; r < kR; ++r) {
    const V xv = vset(x[r * stride + kCode]);
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) part[kCode % kN][r][q] = vfma(w[q], xv, part[kCode % kN][r][q]);
  }
}

// kR rows, the first of which is `row`, against kC vectors of the panel at `panel` columns behind the tile's
// first.
template <GroupForm kForm, int kR, int kC, int kN>
NNEFRUN_INLINE void multiply_panel(const GroupTile& t, int64_t panel, int64_t row, int vector) {
  const GroupWeights& w = *t.w;
  const Book<kForm> book(w.book);
  constexpr int64_t kUnitBytes = kGroupPanel * bits_of(kForm);
  const int64_t units = w.units(), groups = w.groups(), index = (t.column + panel) / kGroupPanel;
  const int64_t units_of_group = w.units_of_group();
  const uint8_t* codes = w.codes + index * units * kUnitBytes;
  const float* x = t.x + row * t.x_row_stride;
  V sum[kR][kC];
  NNEFRUN_UNROLL
  for (int r = 0; r < kR; ++r) {
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) sum[r][q] = vset(0.0F);
  }
  int64_t left = units;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t here = left < units_of_group ? left : units_of_group;
    left -= here;
    V part[kN][kR][kC];
    NNEFRUN_UNROLL
    for (int n = 0; n < kN; ++n) {
      NNEFRUN_UNROLL
      for (int r = 0; r < kR; ++r) {
        NNEFRUN_UNROLL
        for (int q = 0; q < kC; ++q) part[n][r][q] = vset(0.0F);
      }
    }
    for (int64_t u = 0; u < here; ++u, codes += kUnitBytes, x += kGroupUnit) {
      Unit<kForm> bits[kC];
      NNEFRUN_UNROLL
      for (int q = 0; q < kC; ++q) bits[q] = load_unit<kForm>(codes, vector + q);
      if (vector == 0) {
        NNEFRUN_UNROLL
        for (int64_t line = 0; line < kUnitBytes; line += 64) __builtin_prefetch(codes + kAhead + line);
      }
      multiply_code<kForm, 0>(part, book, bits, x, t.x_row_stride);
      multiply_code<kForm, 1>(part, book, bits, x, t.x_row_stride);
      multiply_code<kForm, 2>(part, book, bits, x, t.x_row_stride);
      multiply_code<kForm, 3>(part, book, bits, x, t.x_row_stride);
      multiply_code<kForm, 4>(part, book, bits, x, t.x_row_stride);
      multiply_code<kForm, 5>(part, book, bits, x, t.x_row_stride);
      multiply_code<kForm, 6>(part, book, bits, x, t.x_row_stride);
      multiply_code<kForm, 7>(part, book, bits, x, t.x_row_stride);
    }
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) {
      const int64_t at = (index * groups + g) * kGroupPanel + (vector + q) * kLanes;
      const V scale = load_number(w.scales, w.half_scales, at);
      NNEFRUN_UNROLL
      for (int r = 0; r < kR; ++r) {
        const V all = kN == 1 ? part[0][r][q] : part[0][r][q] + part[kN - 1][r][q];
        sum[r][q] = vfma(all, scale, sum[r][q]);
      }
      if (w.offsets != nullptr) {
        const V offset = load_number(w.offsets, w.half_offsets, at);
        NNEFRUN_UNROLL
        for (int r = 0; r < kR; ++r)
          sum[r][q] = vfma(offset, vset(t.sums[(row + r) * groups + g]), sum[r][q]);
      }
    }
  }
  NNEFRUN_UNROLL
  for (int r = 0; r < kR; ++r) {
    NNEFRUN_UNROLL
    for (int q = 0; q < kC; ++q) {
      const int64_t at = panel + (vector + q) * kLanes, columns = t.columns - at;
      float* to = t.c + (row + r) * t.c_row_stride + at;
      if (columns >= kLanes) {
        vstore(to, sum[r][q]);
      } else if (columns > 0) {
        vstore_n(to, sum[r][q], columns);
      }
    }
  }
}

template <GroupForm kForm, int kR>
NNEFRUN_INLINE void multiply_rows(const GroupTile& t, int64_t panel, int64_t row, int64_t rows, int vector) {
  if (rows == kR) {
    multiply_panel<kForm, kR, kR == 1 ? kVectorCols : kCols, kR == 1 ? kChains : 1>(t, panel, row, vector);
  } else if constexpr (kR > 1) {
    multiply_rows<kForm, kR - 1>(t, panel, row, rows, vector);
  }
}

// In chunks of nearly equal size, at most kRows rows.
template <GroupForm kForm>
void multiply(const GroupTile& t) {
  const int64_t chunks = (t.rows + kRows - 1) / kRows;
  for (int64_t panel = 0; panel < t.columns; panel += kGroupPanel) {
    int64_t row = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const int64_t rows = (t.rows - row + chunks - chunk - 1) / (chunks - chunk);
      const int step = rows == 1 ? kVectorCols : kCols;
      for (int vector = 0; vector < kVectors && panel + vector * kLanes < t.columns; vector += step) {
        multiply_rows<kForm, kRows>(t, panel, row, rows, vector);
      }
      row += rows;
    }
  }
}

template <GroupForm kForm, int kCode>
NNEFRUN_INLINE void decode_code(const Book<kForm>& book, const Unit<kForm>& u, V scale, V offset, float* to,
                                int64_t stride, int64_t depths) {
  if (kCode < depths) vstore(to + kCode * stride, vfma(number<kForm, kCode>(book, u), scale, offset));
}
template <GroupForm kForm>
void decode(const GroupDecode& d) {
  const GroupWeights& w = *d.w;
  const Book<kForm> book(w.book);
  constexpr int64_t kUnitBytes = kGroupPanel * bits_of(kForm);
  const int64_t index = d.column / kGroupPanel;
  const uint8_t* codes = w.codes + (index * w.units() + d.unit) * kUnitBytes;
  for (int64_t depth = 0; depth < d.depths; depth += kGroupUnit, codes += kUnitBytes) {
    const int64_t group = (d.unit + depth / kGroupUnit) / w.units_of_group();
    const int64_t depths = d.depths - depth;
    for (int v = 0; v < kVectors; ++v) {
      const int64_t column = v * kLanes, at = (index * w.groups() + group) * kGroupPanel + column;
      const V scale = load_number(w.scales, w.half_scales, at);
      const V offset = w.offsets == nullptr ? vset(0.0F) : load_number(w.offsets, w.half_offsets, at);
      float* to = d.dst + column / d.group * d.group_stride + column % d.group + depth * d.depth_stride;
      const Unit<kForm> u = load_unit<kForm>(codes, v);
      decode_code<kForm, 0>(book, u, scale, offset, to, d.depth_stride, depths);
      decode_code<kForm, 1>(book, u, scale, offset, to, d.depth_stride, depths);
      decode_code<kForm, 2>(book, u, scale, offset, to, d.depth_stride, depths);
      decode_code<kForm, 3>(book, u, scale, offset, to, d.depth_stride, depths);
      decode_code<kForm, 4>(book, u, scale, offset, to, d.depth_stride, depths);
      decode_code<kForm, 5>(book, u, scale, offset, to, d.depth_stride, depths);
      decode_code<kForm, 6>(book, u, scale, offset, to, d.depth_stride, depths);
      decode_code<kForm, 7>(book, u, scale, offset, to, d.depth_stride, depths);
    }
  }
}

}  // namespace

extern const GroupKernels NNEFRUN_TABLE(groups);
const GroupKernels NNEFRUN_TABLE(groups) = {
    NNEFRUN_STRING(NNEFRUN_ISA),
    isa::NNEFRUN_ISA,
    true,
    kFewRows,
    {multiply<GroupForm::two>, multiply<GroupForm::three>, multiply<GroupForm::four>,
     multiply<GroupForm::eight>, multiply<GroupForm::book>},
    {decode<GroupForm::two>, decode<GroupForm::three>, decode<GroupForm::four>, decode<GroupForm::eight>,
     decode<GroupForm::book>},
};

}  // namespace nnefrun::kernels
