#include "base/data_type.h"

#include <array>
#include <cctype>
#include <string>

namespace nnefrun {
namespace {

struct TypeNames {
  std::string_view name, tract, numpy;
};

constexpr std::array<TypeNames, kDataTypeCount> kNames = {{
    {"bool", "bool", "b1"},          {"u8", "u8", "u1"},
    {"u16", "u16", "u2"},            {"u32", "u32", "u4"},
    {"u64", "u64", "u8"},            {"i8", "i8", "i1"},
    {"i16", "i16", "i2"},            {"i32", "i32", "i4"},
    {"i64", "i64", "i8"},            {"f16", "f16", "f2"},
    {"bf16", "bf16", ""},            {"f32", "f32", "f4"},
    {"f64", "f64", "f8"},            {"complex32", "complexf16", ""},
    {"complex64", "complexf32", "c8"}, {"complex128", "complexf64", "c16"},
    {"string", "string", ""},        {"dim", "tdim", ""},
    {"q4_0", "q40", ""},             {"q8_0", "q80", ""},
    {"q8_1", "q81", ""},
}};

}  // namespace

std::string_view name_of(DataType type) { return kNames[static_cast<size_t>(type)].name; }

std::string_view numpy_name_of(DataType type) { return kNames[static_cast<size_t>(type)].numpy; }

std::optional<DataType> data_type_from_name(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i].name == lower || kNames[i].tract == lower) return static_cast<DataType>(i);
  }
  return std::nullopt;
}

}  // namespace nnefrun
