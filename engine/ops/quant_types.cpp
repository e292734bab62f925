#include "engine/ops/quant_types.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "engine/ops/support.h"
#include "quant/affine.h"

namespace nnefrun {
namespace {

struct StorageName {
  const char* name;
  DataType dtype;
};
constexpr StorageName kStorages[] = {{"QI8", DataType::i8},
                                     {"QU8", DataType::u8},
                                     {"QI16", DataType::i16},
                                     {"QU16", DataType::u16},
                                     {"QI32", DataType::i32}};

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

void skip_separators(std::string_view& text) {
  while (!text.empty() && (std::isspace(static_cast<unsigned char>(text[0])) || text[0] == ','))
    text.remove_prefix(1);
}

template <class T>
bool eat_number(std::string_view& text, T& value) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{}) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

// "Z:3 S:0.1" in either order, then ")".
std::optional<AffineQuantization> parse_parameters(std::string_view text) {
  AffineQuantization quant;
  bool zero_point = false, scale = false;
  for (skip_separators(text); text.size() > 1; skip_separators(text)) {
    const char key = text[0];
    if (text[1] != ':') return std::nullopt;
    text.remove_prefix(2);
    skip_separators(text);
    if (key == 'Z' && !zero_point) {
      zero_point = eat_number(text, quant.zero_point);
      if (!zero_point) return std::nullopt;
    } else if (key == 'S' && !scale) {
      scale = eat_number(text, quant.scale);
      if (!scale) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  if (text != ")" || !zero_point || !scale || !std::isfinite(quant.scale) || quant.scale <= 0)
    return std::nullopt;
  return quant;
}

float real_of(int64_t code, const AffineQuantization& q) {
  return static_cast<float>(code - q.zero_point) * q.scale;
}

int64_t clamped(float value, DataType storage) {
  const auto [low, high] = code_range(storage);
  if (std::isnan(value)) return 0;
  if (value <= static_cast<float>(low)) return low;
  if (value >= static_cast<float>(high)) return high;
  return static_cast<int64_t>(value);
}

// Items by a function from int64 to int64, between integer storages.
template <class F>
Tensor map_codes(const Tensor& value, DataType to, F&& f) {
  Tensor out = Tensor::uninitialized(DataType::i64, value.shape());
  auto* items = out.mutable_data<int64_t>();
  for (int64_t i = 0; i < value.size(); ++i) items[i] = f(value.as_int(i));
  return cast_items(out, to);
}

}  // namespace

std::optional<ItemType> parse_item_type(std::string_view text) {
  if (const auto plain = data_type_from_name(text)) {
    return ItemType{*plain == DataType::dim ? DataType::i64 : *plain, std::nullopt};
  }
  const std::string whole = upper(text);
  const size_t open = whole.find('(');
  if (open == std::string::npos) return std::nullopt;
  for (const auto& storage : kStorages) {
    if (std::string_view(whole).substr(0, open) != storage.name) continue;
    const auto quant = parse_parameters(std::string_view(whole).substr(open + 1));
    if (!quant) return std::nullopt;
    return ItemType{storage.dtype, quant};
  }
  return std::nullopt;
}

std::string item_type_text(const ItemType& type) {
  if (!type.quant) return std::string(name_of(type.dtype));
  for (const auto& storage : kStorages) {
    if (storage.dtype != type.dtype) continue;
    char scale[32];
    const auto end = std::to_chars(scale, scale + sizeof scale, type.quant->scale).ptr;
    return std::string(storage.name) + "(Z:" + std::to_string(type.quant->zero_point) +
           " S:" + std::string(scale, end) + ")";
  }
  throw Error("internal", "codes cannot be stored as " + std::string(name_of(type.dtype)));
}

ItemType item_type_of(const Fact& fact) { return {fact.dtype, fact.quant}; }

bool can_cast(const ItemType& from, const ItemType& to) {
  if (from == to) return true;
  if (!from.quant && !to.quant) {
    if (is_block_quantized(to.dtype)) return false;
    if (is_complex(from.dtype)) return is_complex(to.dtype);
    return !(from.dtype == DataType::string && is_complex(to.dtype)) &&
           !(to.dtype == DataType::string && is_block_quantized(from.dtype));
  }
  if (from.quant && to.quant) return true;
  const ItemType& plain = from.quant ? to : from;
  const ItemType& codes = from.quant ? from : to;
  if (is_float(plain.dtype) || plain.dtype == codes.dtype) return true;
  // A wider plain integer takes codes as they are, and gives codes after clamping. u8 and QI8 have no such
  // relation.
  return is_integer(plain.dtype) && item_size(plain.dtype) > item_size(codes.dtype);
}

Tensor cast_typed(const Tensor& value, const ItemType& from, const ItemType& to) {
  if (from == to) return value;
  if (!from.quant && !to.quant) return cast_items(value, to.dtype);
  if (from.quant && !to.quant) {
    if (!is_float(to.dtype)) return cast_items(value, to.dtype);  // the codes themselves
    if (to.dtype == DataType::f64) {
      Tensor out = cast_items(value, DataType::f64);
      auto* items = out.mutable_data<double>();
      for (int64_t i = 0; i < out.size(); ++i) {
        items[i] = (items[i] - from.quant->zero_point) * static_cast<double>(from.quant->scale);
      }
      return out;
    }
    Tensor out = Tensor::uninitialized(DataType::f32, value.shape());
    auto* items = out.mutable_data<float>();
    for (int64_t i = 0; i < value.size(); ++i) items[i] = real_of(value.as_int(i), *from.quant);
    return cast_items(out, to.dtype);
  }
  const AffineQuantization& target = *to.quant;
  if (!from.quant) {
    if (from.dtype == to.dtype) return value;
    if (is_integer(from.dtype)) {
      const auto [low, high] = code_range(to.dtype);
      return map_codes(value, to.dtype,
                       [low = low, high = high](int64_t v) { return std::clamp(v, low, high); });
    }
    const Tensor reals = cast_items(value, DataType::f32);
    Tensor out = Tensor::uninitialized(DataType::i64, value.shape());
    auto* codes = out.mutable_data<int64_t>();
    for (int64_t i = 0; i < value.size(); ++i) {
      const float real = reals.data<float>()[i];
      codes[i] =
          clamped(std::nearbyint(real / target.scale + static_cast<float>(target.zero_point)), to.dtype);
    }
    return cast_items(out, to.dtype);
  }
  const AffineQuantization& source = *from.quant;
  if (from.dtype == to.dtype && item_size(to.dtype) == 1) {
    const float ratio = source.scale / target.scale;
    return map_codes(value, to.dtype, [&](int64_t code) {
      const float moved = std::nearbyint(std::abs(static_cast<float>(code - source.zero_point)) * ratio);
      return clamped(static_cast<float>(target.zero_point) + (code < source.zero_point ? -moved : moved),
                     to.dtype);
    });
  }
  return map_codes(value, to.dtype, [&](int64_t code) {
    const float real = real_of(code, source);
    return clamped(std::nearbyint(real / target.scale + static_cast<float>(target.zero_point)), to.dtype);
  });
}

}  // namespace nnefrun
