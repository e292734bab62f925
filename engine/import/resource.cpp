// JSON resources of tract archives (tract-opl 1.6).

#include <nlohmann/json.hpp>

#include <cctype>

#include "engine/import/importer.h"

namespace nnefrun {
namespace {

Value value_of(const nlohmann::json& json, const std::string& key) {
  if (json.is_boolean()) return Value::logical(json.get<bool>());
  if (json.is_number_integer()) return Value::integer(json.get<int64_t>());
  if (json.is_number()) return Value::scalar(json.get<double>());
  if (json.is_string()) return Value::string(json.get<std::string>());
  if (!json.is_array())
    throw Error("resource-key",
                "the value of `" + key + "` is neither a number, a text, a logical nor a list");
  Value::List items;
  for (const auto& item : json) items.push_back(value_of(item, key));
  return Value::array(std::move(items));
}

}  // namespace

Value json_value(const std::string& text, const std::string& key, const std::string& file) {
  const nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded()) throw Error("resource-json", file + " is not valid JSON");
  const nlohmann::json* at = &document;
  const auto missing = [&] { return Error("resource-key", file + " has no value at `" + key + "`"); };
  size_t i = !key.empty() && key[0] == '$' ? 1 : 0;
  while (i < key.size()) {
    if (key[i] == '.') {
      ++i;
    } else if (key[i] == '[') {
      const size_t end = key.find(']', i);
      if (end == std::string::npos || end == i + 1 || end - i > 10) throw missing();
      size_t index = 0;
      for (size_t d = i + 1; d < end; ++d) {
        if (std::isdigit(static_cast<unsigned char>(key[d])) == 0) throw missing();
        index = index * 10 + static_cast<size_t>(key[d] - '0');
      }
      if (!at->is_array() || index >= at->size()) throw missing();
      at = &(*at)[index];
      i = end + 1;
    } else {
      const size_t end = std::min(key.find_first_of(".[", i), key.size());
      const std::string name = key.substr(i, end - i);
      if (!at->is_object() || !at->contains(name)) throw missing();
      at = &(*at)[name];
      i = end;
    }
  }
  return value_of(*at, key);
}

}  // namespace nnefrun
