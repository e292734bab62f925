// A sink that writes down what it is asked for, one line per operation, and hands out numbered wires.
#pragma once

#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "nnef_parser/expand.h"
#include "nnef_parser/stdlib.h"

namespace nnefrun::test {

class RecordingSink : public Sink {
 public:
  std::set<std::string, std::less<>> inlined;  // standard operations that have no row
  std::set<std::string, std::less<>> symbols;  // known symbols
  bool creates_symbols = false;
  bool knows_shapes = false;  // shapes have six extents, each a wire
  std::vector<std::string> lines;
  std::vector<std::string> extensions;
  std::vector<std::string> assignments;
  std::unordered_map<uint32_t, Value> constants;  // known values of wires
  std::unordered_map<uint32_t, PrimitiveType> types;
  size_t calls = 0;
  bool record = true;

  std::string text() const {
    std::string out;
    for (const auto& line : lines) out += line + "\n";
    return out;
  }

  bool is_primitive(std::string_view name) override {
    return inlined.count(name) == 0 && find_standard(name, Dialect::engine) != nullptr;
  }

  Wire fresh() { return Wire{next_++}; }

  std::vector<Value> invoke(const PrimitiveCall& call) override {
    ++calls;
    if (fails_at == call.name) throw Error("test-failure", std::string(call.name) + ": refused by the test");
    std::vector<Value> results;
    std::string names;
    if (has_variable_results(*call.declaration)) {
      for (const auto& name : call.result_names) results.push_back(named(name, names, call));
    } else {
      for (size_t i = 0; i < call.declaration->results.size(); ++i) {
        if (call.declaration->results[i].type->kind != TypeSpec::Kind::array) {
          results.push_back(named(call.result_names[i], names, call));
          continue;
        }
        Value::List items;
        size_t count = call.array_names[i].size();
        if (call.name == "copy_n") count = static_cast<size_t>(call.argument("times").as_integer());
        if (call.name == "split") count = call.argument("ratios").items().size();
        for (size_t k = 0; k < count; ++k) {
          items.push_back(named(k < call.array_names[i].size() ? call.array_names[i][k] : "", names, call));
        }
        results.push_back(Value::array(std::move(items)));
      }
    }
    if (call.name == "tract_core_shape_of" && knows_shapes) {
      Value::List extents;
      for (int i = 0; i < 6; ++i) extents.push_back(Value::wire(fresh()));
      constants.emplace(results[0].as_wire().id, Value::array(std::move(extents)));
    }
    if (record) {
      std::ostringstream line;
      line << names << " = " << call.name;
      if (call.generic) line << "<" << name_of(*call.generic) << ">";
      line << "(";
      bool first = true;
      for (size_t i = 0; i < call.arguments.size(); ++i) {
        if (call.arguments[i].is_absent()) continue;
        line << (first ? "" : ", ") << call.declaration->parameters[i].name << " = "
             << call.arguments[i].to_string();
        first = false;
      }
      for (const auto& extra : call.extra) line << ", +" << extra.first << " = " << extra.second.to_string();
      line << ")";
      lines.push_back(line.str());
    }
    return results;
  }

  std::optional<Value> symbol(std::string_view name, bool may_create) override {
    const bool exists = symbols.count(name) || symbol_wires_.count(std::string(name));
    if (!exists && !(may_create && creates_symbols)) return {};
    const auto known = symbol_wires_.emplace(std::string(name), Wire{0});
    if (known.second) known.first->second = fresh();
    return Value::wire(known.first->second);
  }
  std::optional<Value> constant_of(Wire wire) override {
    const auto found = constants.find(wire.id);
    return found == constants.end() ? std::nullopt : std::optional<Value>(found->second);
  }
  std::optional<PrimitiveType> primitive_of(Wire wire) override {
    const auto found = types.find(wire.id);
    return found == types.end() ? std::nullopt : std::optional<PrimitiveType>(found->second);
  }
  void extension(const Extension& e, const SourceLocation&) override {
    extensions.push_back(std::string(e.name) + (e.payload.empty() ? "" : " ") + std::string(e.payload));
    if (e.name == "tract_symbol") symbols.insert(std::string(e.payload));
  }
  Value assigned(std::string_view name, Value value, bool in_graph_body, const SourceLocation&) override {
    if (record) assignments.push_back(std::string(in_graph_body ? "" : ".") + std::string(name));
    return value;
  }

  std::string fails_at;

 private:
  Value named(const std::string& name, std::string& names, const PrimitiveCall& call) {
    const Wire wire = fresh();
    if (record)
      names += (names.empty() ? "" : ", ") + std::string("%") + std::to_string(wire.id) +
               (name.empty() ? "" : " " + name);
    if (call.generic) types.emplace(wire.id, *call.generic);
    return Value::wire(wire);
  }
  uint32_t next_ = 1;
  std::unordered_map<std::string, Wire> symbol_wires_;
};

}  // namespace nnefrun::test
