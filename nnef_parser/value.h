// Value: what an expression of a document stands for while the document is expanded (nnef_parser/expand.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "nnef_parser/document.h"

namespace nnefrun {

// A tensor or a symbolic value that belongs to the sink; the parser room only hands it around.
struct Wire {
  uint32_t id = 0;
  friend bool operator==(Wire, Wire) = default;
};

// Immutable; copying is cheap, lists and strings are shared. Safe to share between threads.
class Value {
 public:
  using List = std::vector<Value>;
  // absent: an optional argument that was left out.
  enum class Kind : uint8_t { absent, integer, scalar, logical, string, wire, array, tuple };

  Value() = default;
  static Value integer(int64_t v) { return {Kind::integer, v}; }
  static Value scalar(double v) { return {Kind::scalar, v}; }
  static Value logical(bool v) { return {Kind::logical, v}; }
  static Value string(std::string v) {
    return {Kind::string, std::make_shared<const std::string>(std::move(v))};
  }
  static Value wire(Wire v) { return {Kind::wire, v}; }
  static Value array(List v) { return {Kind::array, std::make_shared<const List>(std::move(v))}; }
  static Value tuple(List v) { return {Kind::tuple, std::make_shared<const List>(std::move(v))}; }
  static Value integers(const std::vector<int64_t>& values);
  // The value of a literal, or of an array or tuple of literals, such as a default. REQUIRES: nothing else is
  // inside.
  static Value constant(const Expression& literal);

  Kind kind() const { return kind_; }
  bool is_absent() const { return kind_ == Kind::absent; }
  bool is_integer() const { return kind_ == Kind::integer; }
  bool is_scalar() const { return kind_ == Kind::scalar; }
  bool is_logical() const { return kind_ == Kind::logical; }
  bool is_string() const { return kind_ == Kind::string; }
  bool is_wire() const { return kind_ == Kind::wire; }
  bool is_array() const { return kind_ == Kind::array; }
  bool is_tuple() const { return kind_ == Kind::tuple; }
  bool is_list() const { return is_array() || is_tuple(); }
  // integer, scalar, logical or string
  bool is_primitive() const { return kind_ >= Kind::integer && kind_ <= Kind::string; }

  // REQUIRES: the kind fits.
  int64_t as_integer() const { return std::get<int64_t>(data_); }
  double as_scalar() const { return std::get<double>(data_); }
  bool as_logical() const { return std::get<bool>(data_); }
  const std::string& as_string() const { return *std::get<std::shared_ptr<const std::string>>(data_); }
  Wire as_wire() const { return std::get<Wire>(data_); }
  const List& items() const { return *std::get<std::shared_ptr<const List>>(data_); }

  // Whether a wire is somewhere inside.
  bool contains_wire() const;
  // Deep equality; values of different kinds differ (1 is not 1.0), wires are equal when they are the same
  // wire.
  friend bool operator==(const Value& a, const Value& b);
  // As NNEF text, for messages; wires print as %id, long lists are cut.
  std::string to_string() const;
  // "the integer 3", "an array of 3 items", "a tensor": for messages.
  std::string describe() const;

 private:
  using Data = std::variant<std::monostate, int64_t, double, bool, Wire, std::shared_ptr<const std::string>,
                            std::shared_ptr<const List>>;
  Value(Kind kind, Data data) : data_(std::move(data)), kind_(kind) {}
  Data data_;
  Kind kind_ = Kind::absent;
};

}  // namespace nnefrun
