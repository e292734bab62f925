#include "nnef_parser/evaluate.h"

#include <charconv>
#include <cmath>

#include "nnef_parser/printer.h"

namespace nnefrun {
namespace {

[[noreturn]] void fail_operands(std::string_view symbol, const Value& left, const Value& right) {
  throw Error("type-mismatch", "the operator `" + std::string(symbol) + "` takes no " +
                                   left.describe().substr(left.describe().find(' ') + 1) + " and " +
                                   right.describe());
}

[[noreturn]] void fail_overflow(std::string_view symbol, int64_t a, int64_t b) {
  throw Error("integer-overflow", std::to_string(a) + " " + std::string(symbol) + " " + std::to_string(b) +
                                      " does not fit into a 64-bit integer");
}

int64_t power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    throw Error("integer-overflow", std::to_string(base) + " ^ " + std::to_string(exponent) +
                                        ": an integer has no negative power; use scalars");
  }
  int64_t result = 1, factor = base;
  for (int64_t left = exponent; left > 0; left >>= 1) {
    if ((left & 1) && __builtin_mul_overflow(result, factor, &result)) fail_overflow("^", base, exponent);
    if (left > 1 && __builtin_mul_overflow(factor, factor, &factor)) fail_overflow("^", base, exponent);
  }
  return result;
}

Value integers(BinaryOperator op, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (op) {
    case BinaryOperator::add:
      if (__builtin_add_overflow(a, b, &result)) fail_overflow("+", a, b);
      return Value::integer(result);
    case BinaryOperator::sub:
      if (__builtin_sub_overflow(a, b, &result)) fail_overflow("-", a, b);
      return Value::integer(result);
    case BinaryOperator::mul:
      if (__builtin_mul_overflow(a, b, &result)) fail_overflow("*", a, b);
      return Value::integer(result);
    case BinaryOperator::div:
      if (b == 0) throw Error("division-by-zero", std::to_string(a) + " / 0: an integer is divided by zero");
      if (b == -1 && __builtin_sub_overflow(int64_t{0}, a, &result)) fail_overflow("/", a, b);
      return Value::integer(a / b);
    case BinaryOperator::pow: return Value::integer(power(a, b));
    case BinaryOperator::lt: return Value::logical(a < b);
    case BinaryOperator::le: return Value::logical(a <= b);
    case BinaryOperator::gt: return Value::logical(a > b);
    case BinaryOperator::ge: return Value::logical(a >= b);
    case BinaryOperator::eq: return Value::logical(a == b);
    case BinaryOperator::ne: return Value::logical(a != b);
    default: fail_operands(symbol_of(op), Value::integer(a), Value::integer(b));
  }
}

Value scalars(BinaryOperator op, double a, double b) {
  switch (op) {
    case BinaryOperator::add: return Value::scalar(a + b);
    case BinaryOperator::sub: return Value::scalar(a - b);
    case BinaryOperator::mul: return Value::scalar(a * b);
    case BinaryOperator::div: return Value::scalar(a / b);
    case BinaryOperator::pow: return Value::scalar(std::pow(a, b));
    case BinaryOperator::lt: return Value::logical(a < b);
    case BinaryOperator::le: return Value::logical(a <= b);
    case BinaryOperator::gt: return Value::logical(a > b);
    case BinaryOperator::ge: return Value::logical(a >= b);
    case BinaryOperator::eq: return Value::logical(a == b);
    case BinaryOperator::ne: return Value::logical(a != b);
    default: fail_operands(symbol_of(op), Value::scalar(a), Value::scalar(b));
  }
}

Value repeated(const Value& value, int64_t times) {
  if (times < 0)
    throw Error("index-out-of-range",
                "an array or string cannot be repeated " + std::to_string(times) + " times");
  if (value.is_string()) {
    std::string text;
    text.reserve(value.as_string().size() * static_cast<size_t>(times));
    for (int64_t i = 0; i < times; ++i) text += value.as_string();
    return Value::string(std::move(text));
  }
  Value::List items;
  items.reserve(value.items().size() * static_cast<size_t>(times));
  for (int64_t i = 0; i < times; ++i) items.insert(items.end(), value.items().begin(), value.items().end());
  return Value::array(std::move(items));
}

bool is_number(const Value& value) { return value.is_integer() || value.is_scalar(); }
double number(const Value& value) {
  return value.is_integer() ? static_cast<double>(value.as_integer()) : value.as_scalar();
}

// Whether the whole text is a literal of NNEF, with an optional sign; is_scalar tells which kind.
bool is_numeric_literal(std::string_view text, bool& is_scalar) {
  size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
  const auto digits = [&] {
    const size_t begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at > begin;
  };
  is_scalar = false;
  if (!digits()) return false;
  if (at < text.size() && text[at] == '.') {
    is_scalar = true;
    ++at;
    digits();
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    is_scalar = true;
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (!digits()) return false;
  }
  return at == text.size();
}

Value to_integer(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::integer: return value;
    case Value::Kind::logical: return Value::integer(value.as_logical() ? 1 : 0);
    case Value::Kind::scalar: {  // toward zero (register A5)
      const double truncated = std::trunc(value.as_scalar());
      if (!(truncated >= -9223372036854775808.0 && truncated < 9223372036854775808.0)) {
        throw Error("integer-overflow",
                    "integer(" + value.to_string() + ") does not fit into a 64-bit integer");
      }
      return Value::integer(static_cast<int64_t>(truncated));
    }
    case Value::Kind::string: {
      const std::string& text = value.as_string();
      bool is_scalar = false;
      int64_t result = 0;
      if (is_numeric_literal(text, is_scalar) && !is_scalar) {
        const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), result);
        if (error == std::errc() && stop == text.data() + text.size()) return Value::integer(result);
      }
      throw Error("invalid-cast", "integer(" + value.to_string() + "): the string is no integer");
    }
    default:
      throw Error("type-mismatch",
                  "integer(...) takes a value that is known at compile time, not " + value.describe());
  }
}

Value to_scalar(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::scalar: return value;
    case Value::Kind::integer: return Value::scalar(static_cast<double>(value.as_integer()));
    case Value::Kind::logical: return Value::scalar(value.as_logical() ? 1.0 : 0.0);
    case Value::Kind::string: {
      const std::string& text = value.as_string();
      bool is_scalar = false;
      double result = 0;
      if (is_numeric_literal(text, is_scalar)) {
        const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), result);
        if (error == std::errc() && stop == text.data() + text.size()) return Value::scalar(result);
      }
      throw Error("invalid-cast", "scalar(" + value.to_string() + "): the string is no number");
    }
    default:
      throw Error("type-mismatch",
                  "scalar(...) takes a value that is known at compile time, not " + value.describe());
  }
}

Value to_logical(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::logical: return value;
    case Value::Kind::integer: return Value::logical(value.as_integer() != 0);
    case Value::Kind::scalar: return Value::logical(value.as_scalar() != 0);
    case Value::Kind::string: return Value::logical(!value.as_string().empty());
    default:
      throw Error("type-mismatch",
                  "logical(...) takes a value that is known at compile time, not " + value.describe());
  }
}

size_t length_of(const Value& value, const char* function) {
  if (value.is_array()) return value.items().size();
  if (value.is_string()) return value.as_string().size();
  throw Error("type-mismatch",
              std::string(function) + " takes an array or a string, not " + value.describe());
}

[[noreturn]] void fail_index(const char* what, int64_t index, size_t length) {
  throw Error("index-out-of-range", std::string(what) + " " + std::to_string(index) +
                                        " is out of range: there are " + std::to_string(length) + " items");
}

// An index that counts from the begin; past the end is left to the caller.
size_t position(int64_t index, size_t length, bool strict, const char* what) {
  const int64_t at = !strict && index < 0 ? index + static_cast<int64_t>(length) : index;
  if (at < 0) fail_index(what, index, length);
  return static_cast<size_t>(at);
}

}  // namespace

Value apply(UnaryOperator op, const Value& operand) {
  switch (op) {
    case UnaryOperator::plus:
      if (is_number(operand)) return operand;
      break;
    case UnaryOperator::minus: {
      if (operand.is_scalar()) return Value::scalar(-operand.as_scalar());
      int64_t result = 0;
      if (operand.is_integer()) {
        if (__builtin_sub_overflow(int64_t{0}, operand.as_integer(), &result))
          fail_overflow("-", 0, operand.as_integer());
        return Value::integer(result);
      }
      break;
    }
    case UnaryOperator::logical_not:
      if (operand.is_logical()) return Value::logical(!operand.as_logical());
      break;
  }
  throw Error("type-mismatch", "the operator `" + std::string(symbol_of(op)) + "` takes " +
                                   (op == UnaryOperator::logical_not ? "a logical" : "a number") + ", not " +
                                   operand.describe());
}

Value apply(BinaryOperator op, const Value& left, const Value& right, bool strict) {
  if (op == BinaryOperator::in) {
    if (!right.is_array())
      throw Error("type-mismatch", "the right operand of `in` must be an array, it is " + right.describe());
    for (const Value& item : right.items()) {
      if (item == left || (!strict && is_number(item) && is_number(left) && number(item) == number(left))) {
        return Value::logical(true);
      }
    }
    return Value::logical(false);
  }
  if (left.is_integer() && right.is_integer()) return integers(op, left.as_integer(), right.as_integer());
  if (left.is_scalar() && right.is_scalar()) return scalars(op, left.as_scalar(), right.as_scalar());
  if (!strict && is_number(left) && is_number(right)) return scalars(op, number(left), number(right));
  if (left.is_logical() && right.is_logical()) {
    const bool a = left.as_logical(), b = right.as_logical();
    switch (op) {
      case BinaryOperator::logical_and: return Value::logical(a && b);
      case BinaryOperator::logical_or: return Value::logical(a || b);
      case BinaryOperator::eq: return Value::logical(a == b);
      case BinaryOperator::ne: return Value::logical(a != b);
      default: break;
    }
  }
  if (left.is_string() && right.is_string()) {
    switch (op) {
      case BinaryOperator::add: return Value::string(left.as_string() + right.as_string());
      case BinaryOperator::eq: return Value::logical(left.as_string() == right.as_string());
      case BinaryOperator::ne: return Value::logical(left.as_string() != right.as_string());
      default: break;
    }
  }
  if (op == BinaryOperator::add && left.is_array() && right.is_array()) {
    Value::List items = left.items();
    items.insert(items.end(), right.items().begin(), right.items().end());
    return Value::array(std::move(items));
  }
  if (op == BinaryOperator::mul && right.is_integer() && (left.is_array() || left.is_string())) {
    return repeated(left, right.as_integer());
  }
  if (!strict && left.is_list() && right.is_list() &&
      (op == BinaryOperator::eq || op == BinaryOperator::ne)) {
    return Value::logical((left == right) == (op == BinaryOperator::eq));
  }
  fail_operands(symbol_of(op), left, right);
}

Value apply(BuiltinFunction function, const Value& operand) {
  switch (function) {
    case BuiltinFunction::length_of:
      return Value::integer(static_cast<int64_t>(length_of(operand, "length_of")));
    case BuiltinFunction::range_of: {
      const size_t length = length_of(operand, "range_of");
      Value::List items;
      items.reserve(length);
      for (size_t i = 0; i < length; ++i) items.push_back(Value::integer(static_cast<int64_t>(i)));
      return Value::array(std::move(items));
    }
    case BuiltinFunction::integer: return to_integer(operand);
    case BuiltinFunction::scalar: return to_scalar(operand);
    case BuiltinFunction::logical: return to_logical(operand);
    case BuiltinFunction::string:
      if (operand.is_string()) return operand;
      if (operand.is_primitive()) return Value::string(operand.to_string());
      throw Error("type-mismatch",
                  "string(...) takes a value that is known at compile time, not " + operand.describe());
    case BuiltinFunction::shape_of: break;
  }
  throw Error("type-mismatch", "shape_of takes a tensor");
}

Value item_of(const Value& target, int64_t index, bool strict) {
  const size_t length = target.is_string() ? target.as_string().size() : target.items().size();
  const size_t at = position(index, length, strict, "the subscript");
  if (at >= length) fail_index("the subscript", index, length);
  if (target.is_string()) return Value::string(target.as_string().substr(at, 1));
  return target.items()[at];
}

Value items_of(const Value& target, std::optional<int64_t> begin, std::optional<int64_t> end, bool strict) {
  const size_t length = target.is_string() ? target.as_string().size() : target.items().size();
  const size_t from = begin ? position(*begin, length, strict, "the begin of the range") : 0;
  const size_t to = end ? position(*end, length, strict, "the end of the range") : length;
  if (to > length) fail_index("the end of the range", *end, length);
  if (from >= to) return target.is_string() ? Value::string({}) : Value::array({});
  const size_t count = to - from;
  if (target.is_string()) return Value::string(target.as_string().substr(from, count));
  const auto first = target.items().begin() + static_cast<std::ptrdiff_t>(from);
  return Value::array(Value::List(first, first + static_cast<std::ptrdiff_t>(count)));
}

}  // namespace nnefrun
