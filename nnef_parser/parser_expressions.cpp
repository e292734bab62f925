#include <cmath>
#include <limits>

#include "nnef_parser/parser_rules.h"

namespace nnefrun::parsing {
namespace {

struct BinaryRow {
  int precedence;
  BinaryOperator op;
};

// Section 3.4: `in` binds loosest, `&&` and `||` share one level. 0: no binary operator.
BinaryRow binary_row(TokenKind kind) {
  switch (kind) {
    case TokenKind::kw_in: return {1, BinaryOperator::in};
    case TokenKind::logical_and: return {2, BinaryOperator::logical_and};
    case TokenKind::logical_or: return {2, BinaryOperator::logical_or};
    case TokenKind::less: return {3, BinaryOperator::lt};
    case TokenKind::less_equal: return {3, BinaryOperator::le};
    case TokenKind::greater: return {3, BinaryOperator::gt};
    case TokenKind::greater_equal: return {3, BinaryOperator::ge};
    case TokenKind::equal_equal: return {3, BinaryOperator::eq};
    case TokenKind::not_equal: return {3, BinaryOperator::ne};
    case TokenKind::plus: return {4, BinaryOperator::add};
    case TokenKind::minus: return {4, BinaryOperator::sub};
    case TokenKind::star: return {5, BinaryOperator::mul};
    case TokenKind::slash: return {5, BinaryOperator::div};
    case TokenKind::caret: return {6, BinaryOperator::pow};
    default: return {0, BinaryOperator::in};
  }
}

}  // namespace

Assignment Parser::assignment() {
  Assignment result{};
  result.place = current_.place;
  result.left = left_value();
  if (at(TokenKind::comma)) {  // a tuple without its parentheses
    const size_t base = scratch_.size();
    scratch_.push_back(result.left);
    while (at(TokenKind::comma)) {
      advance();
      scratch_.push_back(left_value());
    }
    result.left = take_tuple(base, result.place);
  }
  expect(TokenKind::equals, "`=`");
  at_top_ = true;
  result.right = expression();
  at_top_ = false;
  if (!expressions_ && !result.right->as<Invocation>()) {
    need_expressions(result.right->place, "a right side that is no operation");
  }
  expect(TokenKind::semicolon, "`;` after the assignment");
  return result;
}

const Expression* Parser::left_value() {
  Level level(*this);
  const Place place = current_.place;
  if (at(TokenKind::left_bracket) || at(TokenKind::left_parenthesis)) {
    const bool array = at(TokenKind::left_bracket);
    const TokenKind close = array ? TokenKind::right_bracket : TokenKind::right_parenthesis;
    advance();
    const size_t base = scratch_.size();
    if (!(array && at(close))) {
      while (true) {
        scratch_.push_back(left_value());
        if (!at(TokenKind::comma)) break;
        advance();
      }
    }
    if (!at(close)) fail_expected(array ? "`,` or `]`" : "`,` or `)`");
    advance();
    if (array) return take_array(base, place);
    if (scratch_.size() - base == 1) {
      const Expression* only = scratch_.back();
      scratch_.pop_back();
      if (strict_) fail_at(place, "unexpected-token", "a tuple has two or more items");
      return only;
    }
    return take_tuple(base, place);
  }
  auto* node = document_.make<Identifier>(ExpressionKind::identifier, place);
  node->name = take_name("an identifier on the left side of an assignment");
  return node;
}

const Expression* Parser::take_array(size_t base, Place place) {
  auto* node = document_.make<ArrayExpression>(ExpressionKind::array, place);
  node->items = document_.keep(scratch_.data() + base, scratch_.size() - base);
  scratch_.resize(base);
  return node;
}

const Expression* Parser::take_tuple(size_t base, Place place) {
  auto* node = document_.make<TupleExpression>(ExpressionKind::tuple, place);
  node->items = document_.keep(scratch_.data() + base, scratch_.size() - base);
  scratch_.resize(base);
  return node;
}

const Expression* Parser::expression(bool conditional) {
  Level level(*this);
  const Expression* value = binary(1);
  if (!conditional || !at(TokenKind::kw_if)) return value;
  need_expressions(current_.place, "if/else");
  auto* node = document_.make<ConditionalExpression>(ExpressionKind::conditional, current_.place);
  advance();
  node->then_value = value;
  node->condition = binary(1);
  expect(TokenKind::kw_else, "`else` after the condition");
  node->else_value = expression();
  return node;
}

const Expression* Parser::binary(int minimum) {
  const Expression* left = unary();
  while (true) {
    const BinaryRow row = binary_row(current_.kind);
    if (row.precedence < minimum || row.precedence == 0) return left;
    const Place place = current_.place;
    need_expressions(place, "an operator");
    advance();
    const Expression* right = binary(row.precedence + 1);
    left = document_.binary(row.op, left, right, place);
  }
}

const Expression* Parser::unary() {
  const Token token = current_;
  UnaryOperator op{};
  switch (token.kind) {
    case TokenKind::minus: op = UnaryOperator::minus; break;
    case TokenKind::plus: op = UnaryOperator::plus; break;
    case TokenKind::logical_not: op = UnaryOperator::logical_not; break;
    default: return postfix(primary());
  }
  Level level(*this);
  advance();
  if (op == UnaryOperator::minus && at(TokenKind::number)) {
    Place place = token.place;
    if (place.line == current_.place.line) {
      place.length = current_.place.column + current_.place.length - place.column;
    }
    const Token number = current_;
    at_top_ = false;
    advance();
    if (at(TokenKind::left_bracket)) {  // a subscript binds tighter than the sign
      const Expression* magnitude =
          number.is_scalar ? document_.scalar(scalar_value(number, *document_.source), number.place)
                           : document_.integer(integer_value(number, false, *document_.source), number.place);
      return document_.unary(op, postfix(magnitude), token.place);
    }
    if (number.is_scalar) return document_.scalar(-scalar_value(number, *document_.source), place);
    return document_.integer(integer_value(number, true, *document_.source), place);
  }
  const bool infinity =
      op == UnaryOperator::minus && tract_ && at(TokenKind::identifier) && current_.text == "inf";
  if (!infinity) need_expressions(token.place, "an operator");
  const Expression* operand = unary();
  if (op == UnaryOperator::minus) {  // so that printing and reading again gives the same tree
    if (const auto* literal = operand->as<Literal>()) {
      if (literal->type() == LiteralType::integer && literal->integer >= 0) {
        return document_.integer(-literal->integer, token.place);
      }
      if (literal->type() == LiteralType::scalar && !std::signbit(literal->scalar)) {
        return document_.scalar(-literal->scalar, token.place);
      }
    }
  }
  return document_.unary(op, operand, token.place);
}

const Expression* Parser::postfix(const Expression* target) {
  int levels = depth_;
  while (at(TokenKind::left_bracket)) {
    need_expressions(current_.place, "a subscript");
    if (++levels > options_.limits.depth) fail_depth();
    const Place place = current_.place;
    advance();
    const Expression* begin = at(TokenKind::colon) ? nullptr : expression();
    if (at(TokenKind::colon)) {
      advance();
      auto* node = document_.make<RangeExpression>(ExpressionKind::range, place);
      node->target = target;
      node->begin = begin;
      node->end = at(TokenKind::right_bracket) ? nullptr : expression();
      target = node;
    } else {
      auto* node = document_.make<SubscriptExpression>(ExpressionKind::subscript, place);
      node->target = target;
      node->index = begin;
      target = node;
    }
    expect(TokenKind::right_bracket, "`]` after the subscript");
  }
  return target;
}

const Expression* Parser::string_literal() {
  auto* node = document_.make<Literal>(ExpressionKind::literal, current_.place,
                                       static_cast<uint8_t>(LiteralType::string));
  std::string_view text = current_.text;
  if (current_.escaped) text = document_.intern(unescaped(text));
  if (document_.dialect == Dialect::tract &&
      (text.find("{{") != std::string_view::npos || text.find("{%") != std::string_view::npos)) {
    fail("template-unsupported", "the string holds a template (Jinja), which is not rendered here");
  }
  node->text = {text.data(), text.size()};
  advance();
  return node;
}

const Expression* Parser::number_literal() {
  const Token token = current_;
  advance();
  if (token.is_scalar) return document_.scalar(scalar_value(token, *document_.source), token.place);
  return document_.integer(integer_value(token, false, *document_.source), token.place);
}

const Literal* Parser::special_number() {
  if (!tract_ || !at(TokenKind::identifier)) return nullptr;
  if (current_.text == "inf")
    return document_.scalar(std::numeric_limits<double>::infinity(), current_.place);
  if (current_.text == "nan" && document_.dialect == Dialect::engine) {
    return document_.scalar(std::numeric_limits<double>::quiet_NaN(), current_.place);
  }
  return nullptr;
}

const Expression* Parser::primary() {
  const bool top = at_top_;
  at_top_ = false;
  const Place place = current_.place;
  switch (current_.kind) {
    case TokenKind::number: return number_literal();
    case TokenKind::string: return string_literal();
    case TokenKind::kw_true:
    case TokenKind::kw_false: {
      const bool value = at(TokenKind::kw_true);
      advance();
      return document_.logical(value, place);
    }
    case TokenKind::left_parenthesis: return parenthesised();
    case TokenKind::left_bracket: return bracketed();
    case TokenKind::kw_shape_of:
    case TokenKind::kw_length_of:
    case TokenKind::kw_range_of:
    case TokenKind::kw_integer:
    case TokenKind::kw_scalar:
    case TokenKind::kw_logical:
    case TokenKind::kw_string:
      if (!tract_ || call_follows()) return builtin();
      return name_or_call(top);
    case TokenKind::identifier:
    case TokenKind::quoted_identifier: return name_or_call(top);
    default:
      if (is_soft_keyword()) return name_or_call(top);
      if (current_.kind >= TokenKind::kw_version) {
        fail("keyword-as-identifier",
             "expected a value, but `" + std::string(current_.text) + "` is a keyword");
      }
      fail_expected("a value");
  }
}

bool Parser::call_follows() {
  Lexer ahead = lexer_;
  return ahead.next().kind == TokenKind::left_parenthesis;
}

const Expression* Parser::name_or_call(bool top) {
  const Token token = current_;
  const std::string_view name = current_name();
  const Literal* special = special_number();
  advance();
  std::optional<PrimitiveType> generic;
  if (at(TokenKind::less) && explicit_type_follows()) {
    advance();
    generic = primitive_type(true);
    expect(TokenKind::greater, "`>` after the type");
    if (!at(TokenKind::left_parenthesis)) fail_expected("`(` before the arguments");
  }
  if (!at(TokenKind::left_parenthesis)) {
    if (special) return special;
    auto* node = document_.make<Identifier>(ExpressionKind::identifier, token.place);
    node->name = name;
    return node;
  }
  if (!top) need_expressions(token.place, "a call inside of an expression");
  advance();
  const size_t base = arguments_.size();
  list(TokenKind::right_parenthesis, "`)` after the arguments", "an argument", [&] {
    Argument argument{};
    argument.place = current_.place;
    if (at_name() && lexer_.assignment_follows()) {
      argument.name = current_name();
      advance();
      advance();
    }
    argument.value = expression();
    arguments_.push_back(argument);
  });
  auto* node = document_.make<Invocation>(ExpressionKind::invocation, token.place);
  node->name = name;
  node->generic = generic;
  node->arguments = document_.keep(arguments_.data() + base, arguments_.size() - base);
  arguments_.resize(base);
  return node;
}

bool Parser::explicit_type_follows() {
  if (!expressions_) return true;  // flat syntax knows no comparison
  Lexer ahead = lexer_;
  switch (ahead.next().kind) {
    case TokenKind::kw_integer:
    case TokenKind::kw_scalar:
    case TokenKind::kw_logical:
    case TokenKind::kw_string:
    case TokenKind::question: break;
    default: return false;
  }
  return ahead.next().kind == TokenKind::greater && ahead.next().kind == TokenKind::left_parenthesis;
}

const Expression* Parser::builtin() {
  const Place place = current_.place;
  BuiltinFunction function{};
  switch (current_.kind) {
    case TokenKind::kw_shape_of: function = BuiltinFunction::shape_of; break;
    case TokenKind::kw_length_of: function = BuiltinFunction::length_of; break;
    case TokenKind::kw_range_of: function = BuiltinFunction::range_of; break;
    case TokenKind::kw_integer: function = BuiltinFunction::integer; break;
    case TokenKind::kw_scalar: function = BuiltinFunction::scalar; break;
    case TokenKind::kw_logical: function = BuiltinFunction::logical; break;
    default: function = BuiltinFunction::string; break;
  }
  const std::string word(current_.text);
  advance();
  if (!at(TokenKind::left_parenthesis)) {
    fail("unexpected-token", "expected `(` after the keyword `" + word + "`, found " + describe(current_));
  }
  need_expressions(place, "a built-in function");
  advance();
  auto* node = document_.make<Builtin>(ExpressionKind::builtin, place, static_cast<uint8_t>(function));
  node->operand = expression();
  expect(TokenKind::right_parenthesis, "`)`");
  return node;
}

const Expression* Parser::parenthesised() {
  const Place place = current_.place;
  advance();
  const Expression* first = expression();
  if (!at(TokenKind::comma)) {
    if (!at(TokenKind::right_parenthesis)) fail_expected("`,` or `)`");
    need_expressions(place, "a value in parentheses (a tuple has two or more items)");
    advance();
    return first;
  }
  const size_t base = scratch_.size();
  scratch_.push_back(first);
  while (at(TokenKind::comma)) {
    advance();
    scratch_.push_back(expression());
  }
  if (!at(TokenKind::right_parenthesis)) fail_expected("`,` or `)`");
  advance();
  return take_tuple(base, place);
}

const Expression* Parser::bracketed() {
  const Place place = current_.place;
  advance();
  if (at(TokenKind::kw_for)) return comprehension(place);
  const size_t base = scratch_.size();
  if (!at(TokenKind::right_bracket)) {
    while (true) {
      scratch_.push_back(expression());
      if (!at(TokenKind::comma)) break;
      advance();
    }
  }
  if (!at(TokenKind::right_bracket)) fail_expected("`,` or `]`");
  advance();
  return take_array(base, place);
}

const Expression* Parser::comprehension(Place place) {
  need_expressions(current_.place, "a comprehension");
  advance();
  std::vector<ComprehensionIterator> iterators;
  while (true) {
    ComprehensionIterator iterator{};
    iterator.place = current_.place;
    iterator.name = take_name("the name of a loop variable");
    expect(TokenKind::kw_in, "`in` after the loop variable");
    iterator.array = expression(false);
    iterators.push_back(iterator);
    if (!at(TokenKind::comma)) break;
    advance();
  }
  auto* node = document_.make<Comprehension>(ExpressionKind::comprehension, place);
  node->iterators = document_.keep(iterators.data(), iterators.size());
  if (at(TokenKind::kw_if)) {
    advance();
    node->filter = expression();
  }
  expect(TokenKind::kw_yield, "`,`, `if` or `yield` in the comprehension");
  node->yield = expression();
  expect(TokenKind::right_bracket, "`]` after the comprehension");
  return node;
}

const Expression* Parser::constant() {
  Level level(*this);
  const Place place = current_.place;
  switch (current_.kind) {
    case TokenKind::left_bracket:
    case TokenKind::left_parenthesis: {
      const bool array = at(TokenKind::left_bracket);
      const TokenKind close = array ? TokenKind::right_bracket : TokenKind::right_parenthesis;
      advance();
      const size_t base = scratch_.size();
      if (!(array && at(close))) {
        while (true) {
          scratch_.push_back(constant());
          if (!at(TokenKind::comma)) break;
          advance();
        }
      }
      if (!array && scratch_.size() - base < 2) fail_expected("`,`: a tuple has two or more items");
      if (!at(close)) fail_expected(array ? "`,` or `]`" : "`,` or `)`");
      advance();
      return array ? take_array(base, place) : take_tuple(base, place);
    }
    case TokenKind::minus: {
      advance();
      if (at(TokenKind::number)) {
        const Token token = current_;
        advance();
        if (token.is_scalar) return document_.scalar(-scalar_value(token, *document_.source), place);
        return document_.integer(integer_value(token, true, *document_.source), place);
      }
      const Literal* special = special_number();
      if (!special) fail_expected("a number after `-`");
      advance();
      return document_.scalar(-special->scalar, place);
    }
    case TokenKind::number: return number_literal();
    case TokenKind::string: return string_literal();
    case TokenKind::kw_true:
    case TokenKind::kw_false: return primary();
    default:
      if (const Literal* special = special_number()) {
        advance();
        return special;
      }
      fail_expected("a literal: defaults are constants");
  }
}

}  // namespace nnefrun::parsing
