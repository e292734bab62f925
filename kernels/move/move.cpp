#include "kernels/move/move.h"

#include <bit>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/half.h"
#include "kernels/choose.h"

namespace nnefrun::kernels {

#define NNEFRUN_FLOAT_ISA(suffix) extern const MoveKernels move_##suffix;
#include "kernels/float_isas.inc"

namespace {

const MoveKernels* const kRows[] = {
#define NNEFRUN_FLOAT_ISA(suffix) &move_##suffix,
#include "kernels/float_isas.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

constexpr int kMaxAxes = 8;

struct Space {
  int rank = 0;
  int64_t dims[kMaxAxes];
  int64_t src[kMaxAxes], dst[kMaxAxes];
};

// Drops axes of extent 1, orders the rest by the destination's strides (so that writes run forwards) and
// merges.
Space collapse(const CopyShape& shape) {
  assert(shape.rank >= 0 && shape.rank <= kMaxAxes);
  Space all;
  for (int axis = 0; axis < shape.rank; ++axis) {
    if (shape.dims[axis] == 1) continue;
    const int64_t reach = std::llabs(shape.dst_strides[axis]);
    int slot = all.rank++;
    for (; slot > 0 && std::llabs(all.dst[slot - 1]) < reach; --slot) {
      all.dims[slot] = all.dims[slot - 1];
      all.src[slot] = all.src[slot - 1];
      all.dst[slot] = all.dst[slot - 1];
    }
    all.dims[slot] = shape.dims[axis];
    all.src[slot] = shape.src_strides[axis];
    all.dst[slot] = shape.dst_strides[axis];
  }
  Space merged;
  for (int axis = 0; axis < all.rank; ++axis) {
    const int last = merged.rank - 1;
    if (last >= 0 && merged.src[last] == all.src[axis] * all.dims[axis] &&
        merged.dst[last] == all.dst[axis] * all.dims[axis]) {
      merged.dims[last] *= all.dims[axis];
      merged.src[last] = all.src[axis];
      merged.dst[last] = all.dst[axis];
    } else {
      merged.dims[merged.rank] = all.dims[axis];
      merged.src[merged.rank] = all.src[axis];
      merged.dst[merged.rank++] = all.dst[axis];
    }
  }
  return merged;
}

// Calls body(src offset, dst offset) for every index of the first `rank` axes.
template <class Body>
void for_each_index(const Space& space, int rank, Body body) {
  int64_t index[kMaxAxes] = {};
  int64_t src = 0, dst = 0;
  for (;;) {
    body(src, dst);
    int axis = rank - 1;
    for (; axis >= 0; --axis) {
      src += space.src[axis];
      dst += space.dst[axis];
      if (++index[axis] < space.dims[axis]) break;
      index[axis] = 0;
      src -= space.src[axis] * space.dims[axis];
      dst -= space.dst[axis] * space.dims[axis];
    }
    if (axis < 0) return;
  }
}

template <size_t kSize>
void copy_line(const std::byte* src, int64_t src_stride, std::byte* dst, int64_t dst_stride, int64_t n) {
  for (int64_t i = 0; i < n; ++i) std::memcpy(dst + i * dst_stride, src + i * src_stride, kSize);
}
void copy_line_any(const std::byte* src, int64_t src_stride, std::byte* dst, int64_t dst_stride, int64_t n,
                   size_t size) {
  switch (size) {
    case 1: copy_line<1>(src, src_stride, dst, dst_stride, n); break;
    case 2: copy_line<2>(src, src_stride, dst, dst_stride, n); break;
    case 4: copy_line<4>(src, src_stride, dst, dst_stride, n); break;
    case 8: copy_line<8>(src, src_stride, dst, dst_stride, n); break;
    case 16: copy_line<16>(src, src_stride, dst, dst_stride, n); break;
    default:
      for (int64_t i = 0; i < n; ++i) std::memcpy(dst + i * dst_stride, src + i * src_stride, size);
  }
}

bool aligned4(const void* p, int64_t stride) {
  return (reinterpret_cast<uintptr_t>(p) | static_cast<uintptr_t>(stride)) % 4 == 0;
}

// One conversion for each pair of types, through the rules of move.h.
template <class From>
auto as_number(From value) {
  if constexpr (std::is_same_v<From, Half> || std::is_same_v<From, BFloat16>) {
    return static_cast<float>(value);
  } else {
    return value;
  }
}
template <class To, class Number>
To from_number(Number value) {
  if constexpr (std::is_same_v<To, bool>) {
    return value != 0;
  } else if constexpr (std::is_same_v<To, Half> || std::is_same_v<To, BFloat16>) {
    // A double or a large integer would be rounded twice on its way through float; rounding to odd first
    // avoids it.
    if constexpr (std::is_same_v<Number, float>) {
      return To(value);
    } else {
      const double wide = static_cast<double>(value);
      float narrow = static_cast<float>(wide);
      if (static_cast<double>(narrow) != wide && std::isfinite(narrow)) {
        uint32_t bits = std::bit_cast<uint32_t>(narrow);
        const bool away = std::fabs(static_cast<double>(narrow)) > std::fabs(wide);
        if (away) --bits;  // towards zero, then mark that something was cut off
        narrow = std::bit_cast<float>(bits | 1U);
      }
      return To(narrow);
    }
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<Number>) {
    if (std::isnan(value)) return To{0};
    // 2^digits is exact in any floating type that can hold it; the largest To may not be
    const Number limit = std::ldexp(Number{1}, std::numeric_limits<To>::digits);
    if (value >= limit) return std::numeric_limits<To>::max();
    const Number low = std::is_signed_v<To> ? -limit : Number{0};
    if (value <= low) return std::numeric_limits<To>::min();
    return static_cast<To>(value);
  } else {
    return static_cast<To>(value);
  }
}
template <class From, class To>
void convert_items(const void* src, void* dst, int64_t n) {
  const From* from = static_cast<const From*>(src);
  To* to = static_cast<To*>(dst);
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<From, bool>) {
      to[i] = from_number<To>(static_cast<uint8_t>(static_cast<const uint8_t*>(src)[i] != 0));
    } else {
      to[i] = from_number<To>(as_number(from[i]));
    }
  }
}
template <class From>
void convert_from(DataType to, const void* src, void* dst, int64_t n) {
  switch (to) {
    case DataType::boolean: convert_items<From, bool>(src, dst, n); break;
    case DataType::u8: convert_items<From, uint8_t>(src, dst, n); break;
    case DataType::u16: convert_items<From, uint16_t>(src, dst, n); break;
    case DataType::u32: convert_items<From, uint32_t>(src, dst, n); break;
    case DataType::u64: convert_items<From, uint64_t>(src, dst, n); break;
    case DataType::i8: convert_items<From, int8_t>(src, dst, n); break;
    case DataType::i16: convert_items<From, int16_t>(src, dst, n); break;
    case DataType::i32: convert_items<From, int32_t>(src, dst, n); break;
    case DataType::i64: convert_items<From, int64_t>(src, dst, n); break;
    case DataType::f16: convert_items<From, Half>(src, dst, n); break;
    case DataType::bf16: convert_items<From, BFloat16>(src, dst, n); break;
    case DataType::f32: convert_items<From, float>(src, dst, n); break;
    case DataType::f64: convert_items<From, double>(src, dst, n); break;
    default: assert(false && "convert: not a number type");
  }
}
bool is_number(DataType type) { return type == DataType::boolean || is_integer(type) || is_float(type); }

}  // namespace

const MoveKernels& choose_move(IsaFeatures features) { return choose_row(kRows, kRowCount, features); }

const MoveKernels* const* move_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

void copy_strided(const CopyShape& shape, const void* source, void* destination, IsaFeatures features) {
  for (int axis = 0; axis < shape.rank; ++axis) {
    if (shape.dims[axis] == 0) return;
  }
  const Space space = collapse(shape);
  const std::byte* src = static_cast<const std::byte*>(source);
  std::byte* dst = static_cast<std::byte*>(destination);
  const int64_t size = static_cast<int64_t>(shape.item_size);
  if (space.rank == 0) {
    std::memcpy(dst, src, shape.item_size);
    return;
  }
  const int last = space.rank - 1;
  if (space.src[last] == size && space.dst[last] == size) {
    const size_t run = static_cast<size_t>(space.dims[last] * size);
    for_each_index(space, last, [&](int64_t s, int64_t d) { std::memcpy(dst + d, src + s, run); });
    return;
  }
  // A transpose: the destination runs along the last axis, the source along another one.
  int along = -1;
  for (int axis = 0; axis < last; ++axis) {
    if (space.src[axis] == size) along = axis;
  }
  if (size == 4 && along >= 0 && space.dst[last] == size && aligned4(src, space.src[last]) &&
      aligned4(dst, space.dst[along])) {
    const auto transpose = choose_move(features).transpose_b32;
    Space rest = space;
    for (int axis = along; axis + 1 < last; ++axis) {
      rest.dims[axis] = space.dims[axis + 1];
      rest.src[axis] = space.src[axis + 1];
      rest.dst[axis] = space.dst[axis + 1];
    }
    for_each_index(rest, last - 1, [&](int64_t s, int64_t d) {
      transpose(reinterpret_cast<const uint32_t*>(src + s), space.src[last] / size,
                reinterpret_cast<uint32_t*>(dst + d), space.dst[along] / size, space.dims[last],
                space.dims[along]);
    });
    return;
  }
  for_each_index(space, last, [&](int64_t s, int64_t d) {
    copy_line_any(src + s, space.src[last], dst + d, space.dst[last], space.dims[last], shape.item_size);
  });
}

void fill_strided(const CopyShape& shape, const void* value, void* destination) {
  CopyShape from_one = shape;
  for (int64_t& stride : from_one.src_strides) stride = 0;
  for (int axis = 0; axis < shape.rank; ++axis) {
    if (shape.dims[axis] == 0) return;
  }
  const Space space = collapse(from_one);
  const std::byte* src = static_cast<const std::byte*>(value);
  std::byte* dst = static_cast<std::byte*>(destination);
  if (space.rank == 0) {
    std::memcpy(dst, src, shape.item_size);
    return;
  }
  const int last = space.rank - 1;
  for_each_index(space, last, [&](int64_t, int64_t d) {
    copy_line_any(src, 0, dst + d, space.dst[last], space.dims[last], shape.item_size);
  });
}

bool can_convert(DataType from, DataType to) { return is_number(from) && is_number(to); }

void convert(DataType from, DataType to, const void* src, void* dst, int64_t n, IsaFeatures features) {
  assert(can_convert(from, to));
  const MoveKernels& kernel = choose_move(features);
  if (from == to && from != DataType::boolean) {
    std::memmove(dst, src, static_cast<size_t>(n) * item_size(from));
    return;
  }
  if (from == DataType::f16 && to == DataType::f32) {
    kernel.f32_from_f16(static_cast<const uint16_t*>(src), static_cast<float*>(dst), n);
    return;
  }
  if (from == DataType::f32 && to == DataType::f16) {
    kernel.f16_from_f32(static_cast<const float*>(src), static_cast<uint16_t*>(dst), n);
    return;
  }
  if (from == DataType::bf16 && to == DataType::f32) {
    kernel.f32_from_bf16(static_cast<const uint16_t*>(src), static_cast<float*>(dst), n);
    return;
  }
  if (from == DataType::f32 && to == DataType::bf16) {
    kernel.bf16_from_f32(static_cast<const float*>(src), static_cast<uint16_t*>(dst), n);
    return;
  }
  switch (from) {
    case DataType::boolean: convert_from<bool>(to, src, dst, n); break;
    case DataType::u8: convert_from<uint8_t>(to, src, dst, n); break;
    case DataType::u16: convert_from<uint16_t>(to, src, dst, n); break;
    case DataType::u32: convert_from<uint32_t>(to, src, dst, n); break;
    case DataType::u64: convert_from<uint64_t>(to, src, dst, n); break;
    case DataType::i8: convert_from<int8_t>(to, src, dst, n); break;
    case DataType::i16: convert_from<int16_t>(to, src, dst, n); break;
    case DataType::i32: convert_from<int32_t>(to, src, dst, n); break;
    case DataType::i64: convert_from<int64_t>(to, src, dst, n); break;
    case DataType::f16: convert_from<Half>(to, src, dst, n); break;
    case DataType::bf16: convert_from<BFloat16>(to, src, dst, n); break;
    case DataType::f32: convert_from<float>(to, src, dst, n); break;
    case DataType::f64: convert_from<double>(to, src, dst, n); break;
    default: break;
  }
}

}  // namespace nnefrun::kernels
