#include "nnef_parser/value.h"

#include <algorithm>
#include <cmath>

#include "nnef_parser/printer.h"

namespace nnefrun {

Value Value::integers(const std::vector<int64_t>& values) {
  List items;
  items.reserve(values.size());
  for (const int64_t v : values) items.push_back(integer(v));
  return array(std::move(items));
}

Value Value::constant(const Expression& expression) {
  if (const auto* literal = expression.as<Literal>()) {
    switch (literal->type()) {
      case LiteralType::integer: return integer(literal->integer);
      case LiteralType::scalar: return scalar(literal->scalar);
      case LiteralType::logical: return logical(literal->logical);
      case LiteralType::string: return string(std::string(literal->string()));
    }
  }
  List items;
  for_each_operand(expression, [&](const Expression& item) { items.push_back(constant(item)); });
  return expression.kind == ExpressionKind::tuple ? tuple(std::move(items)) : array(std::move(items));
}

bool Value::contains_wire() const {
  if (is_wire()) return true;
  return is_list() &&
         std::any_of(items().begin(), items().end(), [](const Value& v) { return v.contains_wire(); });
}

bool operator==(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Value::Kind::absent: return true;
    case Value::Kind::integer: return a.as_integer() == b.as_integer();
    case Value::Kind::scalar: return a.as_scalar() == b.as_scalar();
    case Value::Kind::logical: return a.as_logical() == b.as_logical();
    case Value::Kind::string: return a.as_string() == b.as_string();
    case Value::Kind::wire: return a.as_wire() == b.as_wire();
    case Value::Kind::array:
    case Value::Kind::tuple: return a.items() == b.items();
  }
  return false;
}

std::string Value::to_string() const {
  switch (kind_) {
    case Kind::absent: return "nothing";
    case Kind::integer: return std::to_string(as_integer());
    case Kind::scalar: return printed_scalar(as_scalar());
    case Kind::logical: return as_logical() ? "true" : "false";
    case Kind::string: return printed_string(as_string().substr(0, 200));
    case Kind::wire: return "%" + std::to_string(as_wire().id);
    case Kind::array:
    case Kind::tuple: break;
  }
  constexpr size_t kShown = 16;
  std::string out(1, is_array() ? '[' : '(');
  for (size_t i = 0; i < items().size() && i < kShown; ++i) out += (i ? ", " : "") + items()[i].to_string();
  if (items().size() > kShown) out += ", ... " + std::to_string(items().size()) + " items";
  return out + (is_array() ? "]" : ")");
}

std::string Value::describe() const {
  switch (kind_) {
    case Kind::absent: return "nothing";
    case Kind::integer: return "the integer " + to_string();
    case Kind::scalar: return "the scalar " + to_string();
    case Kind::logical: return "the logical " + to_string();
    case Kind::string: return "the string " + to_string();
    case Kind::wire: return "a tensor";
    case Kind::array: return "an array of " + std::to_string(items().size()) + " items";
    case Kind::tuple: return "a tuple of " + std::to_string(items().size()) + " items";
  }
  return "";
}

}  // namespace nnefrun
