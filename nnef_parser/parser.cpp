#include "nnef_parser/parser.h"

#include <cmath>
#include <limits>

#include "nnef_parser/lexer.h"

namespace nnefrun {
namespace {

constexpr std::string_view kFragments = "KHR_enable_fragment_definitions";
constexpr std::string_view kExpressions = "KHR_enable_operator_expressions";

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

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// A list of names separated by blanks or commas, as far as the characters tell.
bool looks_like_names(std::string_view text) {
  return text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_, \t\n\r\v\f") ==
         std::string_view::npos;
}

class Parser {
 public:
  Parser(Document& document, const ParseOptions& options)
      : document_(document),
        options_(options),
        lexer_(document.source.get(), options.dialect == Dialect::khronos),
        strict_(options.dialect == Dialect::khronos),
        tract_(options.dialect == Dialect::tract || options.dialect == Dialect::engine) {
    document.dialect = options.dialect == Dialect::automatic ? Dialect::khronos : options.dialect;
  }

  void run() {
    advance();
    if (options_.require_graph || at(TokenKind::kw_version)) version();
    while (at(TokenKind::kw_extension)) extension();
    document_.strict = strict_;
    expressions_ = expressions_ || !strict_;
    while (at(TokenKind::kw_fragment)) fragment();
    if (at(TokenKind::kw_graph)) {
      graph();
    } else if (options_.require_graph || !at(TokenKind::end)) {
      if (at(TokenKind::kw_extension))
        fail("unexpected-token", "extensions are declared before fragments and the graph");
      if (at(TokenKind::kw_version))
        fail("unexpected-token", "the version is declared once, at the beginning");
      fail("graph-missing", "expected `graph`, found " + describe(current_));
    }
    if (!at(TokenKind::end)) {
      fail("trailing-input", "expected the end of the text after the graph, found " + describe(current_));
    }
  }

 private:
  // One level of nesting; the guard of every recursion.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser.depth_ > parser.options_.limits.depth) {
        --parser.depth_;
        parser.fail_depth();
      }
    }
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  bool at(TokenKind kind) const { return current_.kind == kind; }

  void advance() {
    lexer_.next(current_);
    if (++tokens_ > options_.limits.tokens) {
      fail("text-limit", "the text has more than " + std::to_string(options_.limits.tokens) + " tokens");
    }
  }

  [[noreturn]] void fail_at(Place place, const char* code, std::string message) {
    throw Error(code, std::move(message), document_.locate(place));
  }
  [[noreturn]] void fail(const char* code, std::string message) {
    fail_at(current_.place, code, std::move(message));
  }
  [[noreturn]] void fail_depth() {
    fail("nesting-limit", "nested deeper than " + std::to_string(options_.limits.depth) + " levels");
  }
  [[noreturn]] void fail_expected(const std::string& what) {
    fail("unexpected-token", "expected " + what + ", found " + describe(current_));
  }

  void expect(TokenKind kind, const char* what) {
    if (!at(kind)) fail_expected(what);
    advance();
  }

  // The operator extension is needed from here on.
  void need_expressions(Place place, const char* what) {
    if (expressions_) return;
    throw Error("extension-needed", std::string(what) + " needs the extension " + std::string(kExpressions),
                document_.locate(place))
        .note("write `extension " + std::string(kExpressions) + ";` after the version");
  }

  // Names
  // -----------------------------------------------------------------------------------------------------

  // Tract does not reserve these words; they occur as names in its files.
  bool is_soft_keyword() const {
    return tract_ && current_.kind >= TokenKind::kw_version && current_.kind <= TokenKind::kw_range_of;
  }
  bool at_name() const {
    return at(TokenKind::identifier) || at(TokenKind::quoted_identifier) || is_soft_keyword();
  }

  std::string_view take_name(const char* what) {
    if (!at_name()) {
      if (current_.kind >= TokenKind::kw_version) {
        fail("keyword-as-identifier",
             "expected " + std::string(what) + ", but `" + std::string(current_.text) + "` is a keyword");
      }
      fail_expected(what);
    }
    const std::string_view name = current_name();
    advance();
    return name;
  }
  std::string_view current_name() {
    if (at(TokenKind::quoted_identifier) && current_.escaped)
      return document_.intern(unescaped(current_.text));
    return current_.text;
  }

  // Document
  // --------------------------------------------------------------------------------------------------

  void version() {
    if (!at(TokenKind::kw_version)) {
      fail("version-missing", "the text must begin with `version 1.0;`, found " + describe(current_));
    }
    advance();
    const Token token = current_;
    if (!at(TokenKind::number)) {
      fail("version-unsupported", "expected a version number such as 1.0, found " + describe(current_));
    }
    const size_t dot = token.text.find('.');
    if (dot == std::string_view::npos || token.text.find_first_of("eE") != std::string_view::npos ||
        dot + 1 == token.text.size() || token.text.size() > 12) {
      fail("version-unsupported",
           "a version is written major.minor, such as 1.0, found " + std::string(token.text.substr(0, 20)));
    }
    document_.version_major = std::atoi(std::string(token.text.substr(0, dot)).c_str());
    document_.version_minor = std::atoi(std::string(token.text.substr(dot + 1)).c_str());
    const bool supported = (document_.version_major == 1 && document_.version_minor == 0) ||
                           (!strict_ && document_.version_major == 0);
    if (!supported) {
      fail("version-unsupported",
           "version " + std::string(token.text) + " is not supported; every NNEF 1.0.x says 1.0");
    }
    advance();
    expect(TokenKind::semicolon, "`;` after the version");
  }

  void add_extension(std::string_view name, std::string_view payload, Place place) {
    if (name == kFragments) {
      fragments_ = true;
    } else if (name == kExpressions) {
      expressions_ = true;
    } else if (name == "nnefrun_engine") {
      document_.dialect = Dialect::engine;
      strict_ = false;
      tract_ = true;
      lexer_.relax();
    } else if (strict_) {
      throw Error("extension-unknown",
                  "the extension " + std::string(name) +
                      " is not known, so that the document cannot be read strictly",
                  document_.locate(place))
          .note("the standard defines " + std::string(kFragments) + " and " + std::string(kExpressions));
    } else if (starts_with(name, "tract_") && options_.dialect == Dialect::automatic &&
               document_.dialect != Dialect::engine) {
      document_.dialect = Dialect::tract;
      tract_ = true;
    }
    document_.extensions.push_back({name, payload, place});
  }

  void extension() {
    // The payload is free text, so that only the name may be read as a token.
    const Token name = lexer_.next();
    if (name.kind != TokenKind::identifier) {
      current_ = name;
      fail_expected("the name of an extension");
    }
    Lexer ahead = lexer_;
    const std::string_view payload = ahead.rest_of_statement();
    const bool own_payload = starts_with(name.text, "tract_") || starts_with(name.text, "nnefrun_");
    if (own_payload || (!strict_ && !looks_like_names(payload))) {
      lexer_ = ahead;
      add_extension(name.text, payload, name.place);
      advance();
    } else {
      add_extension(name.text, {}, name.place);
      advance();
      while (!at(TokenKind::semicolon) && !at(TokenKind::end)) {
        if (at(TokenKind::comma)) advance();
        if (!at(TokenKind::identifier)) fail_expected("the name of an extension or `;`");
        add_extension(current_.text, {}, current_.place);
        advance();
      }
    }
    expect(TokenKind::semicolon, "`;` after the extension");
  }

  template <class Read>
  void list(TokenKind close, const char* close_text, const char* what, const Read& read) {
    if (at(close)) {
      if (strict_) fail("empty-list", std::string("expected ") + what + ": the list cannot be empty");
      advance();
      return;
    }
    while (true) {
      read();
      if (!at(TokenKind::comma)) break;
      advance();
    }
    if (!at(close)) fail_expected("`,` or " + std::string(close_text));
    advance();
  }

  void fragment() {
    if (strict_ && !fragments_) {
      throw Error("extension-needed", "a fragment needs the extension " + std::string(kFragments),
                  document_.locate(current_.place))
          .note("write `extension " + std::string(kFragments) + ";` after the version");
    }
    advance();
    FragmentDefinition fragment;
    fragment.source = document_.source.get();
    fragment.place = current_.place;
    fragment.name = take_name("the name of the fragment");
    if (at(TokenKind::less)) {
      advance();
      expect(TokenKind::question, "`?`");
      fragment.generic = true;
      if (at(TokenKind::equals)) {
        advance();
        fragment.generic_default = primitive_type(false);
      }
      expect(TokenKind::greater, "`>`");
    }
    expect(TokenKind::left_parenthesis, "`(` before the parameters");
    list(TokenKind::right_parenthesis, "`)` after the parameters", "a parameter", [&] {
      Parameter parameter{};
      parameter.place = current_.place;
      parameter.name = take_name("the name of a parameter");
      expect(TokenKind::colon, "`:` and the type of the parameter");
      parameter.type = type();
      if (at(TokenKind::equals)) {
        advance();
        parameter.default_value = constant();
      }
      fragment.parameters.push_back(parameter);
    });
    expect(TokenKind::arrow, "`->`");
    expect(TokenKind::left_parenthesis, "`(` before the results");
    list(TokenKind::right_parenthesis, "`)` after the results", "a result", [&] {
      Result result{};
      result.place = current_.place;
      result.name = take_name("the name of a result");
      expect(TokenKind::colon, "`:` and the type of the result");
      result.type = type();
      fragment.results.push_back(result);
    });
    if (at(TokenKind::semicolon)) {
      advance();
    } else {
      fragment.has_body = true;
      body(fragment.body, "`{` or `;` after the declaration of the fragment");
    }
    document_.fragments.push_back(std::move(fragment));
  }

  void graph() {
    advance();
    GraphDefinition graph;
    graph.place = current_.place;
    graph.name = take_name("the name of the graph");
    const auto names = [&](std::vector<GraphName>& out, const char* what) {
      list(TokenKind::right_parenthesis, "`)`", what, [&] {
        GraphName name;
        name.place = current_.place;
        name.name = take_name(what);
        out.push_back(name);
      });
    };
    expect(TokenKind::left_parenthesis, "`(` before the graph's parameters");
    names(graph.parameters, "the name of a graph parameter");
    expect(TokenKind::arrow, "`->`");
    expect(TokenKind::left_parenthesis, "`(` before the graph's results");
    names(graph.results, "the name of a graph result");
    body(graph.body, "`{`");
    document_.graph = std::move(graph);
  }

  void body(std::vector<Assignment>& out, const char* opening) {
    expect(TokenKind::left_brace, opening);
    if (at(TokenKind::right_brace) && strict_)
      fail("empty-list", "expected an assignment: a body cannot be empty");
    while (!at(TokenKind::right_brace)) {
      if (at(TokenKind::end)) fail_expected("an assignment or `}`");
      out.push_back(assignment());
    }
    advance();
  }

  // Types
  // -----------------------------------------------------------------------------------------------------

  PrimitiveType primitive_type(bool with_generic) {
    PrimitiveType type{};
    switch (current_.kind) {
      case TokenKind::kw_integer: type = PrimitiveType::integer; break;
      case TokenKind::kw_scalar: type = PrimitiveType::scalar; break;
      case TokenKind::kw_logical: type = PrimitiveType::logical; break;
      case TokenKind::kw_string: type = PrimitiveType::string; break;
      case TokenKind::question:
        if (!with_generic) fail_expected("the name of a primitive type");
        type = PrimitiveType::generic;
        break;
      default:
        if (tract_ && at(TokenKind::identifier) && current_.text == "complex") {
          type = PrimitiveType::complex;
          break;
        }
        fail_expected("a type: integer, scalar, logical, string, tensor<...>, (...) or ?");
    }
    advance();
    return type;
  }

  const TypeSpec* type() {
    Level level(*this);
    const TypeSpec* result = nullptr;
    if (at(TokenKind::kw_tensor)) {
      advance();
      expect(TokenKind::less, "`<` after tensor");
      std::optional<PrimitiveType> item;
      if (!at(TokenKind::greater)) item = primitive_type(true);
      expect(TokenKind::greater, "`>`");
      result = document_.tensor_type(item);
    } else if (at(TokenKind::left_parenthesis)) {
      advance();
      std::vector<const TypeSpec*> items{type()};
      if (!at(TokenKind::comma)) fail_expected("`,`: a tuple type has two or more items");
      while (at(TokenKind::comma)) {
        advance();
        items.push_back(type());
      }
      expect(TokenKind::right_parenthesis, "`,` or `)`");
      result = document_.tuple_type(items);
    } else {
      result = document_.type(primitive_type(true));
    }
    int levels = depth_;
    while (at(TokenKind::left_bracket)) {
      if (++levels > options_.limits.depth) fail_depth();
      advance();
      expect(TokenKind::right_bracket, "`]`");
      result = document_.array_type(result);
    }
    return result;
  }

  // Assignments
  // -----------------------------------------------------------------------------------------------

  Assignment assignment() {
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

  const Expression* left_value() {
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

  const Expression* take_array(size_t base, Place place) {
    auto* node = document_.make<ArrayExpression>(ExpressionKind::array, place);
    node->items = document_.keep(scratch_.data() + base, scratch_.size() - base);
    scratch_.resize(base);
    return node;
  }
  const Expression* take_tuple(size_t base, Place place) {
    auto* node = document_.make<TupleExpression>(ExpressionKind::tuple, place);
    node->items = document_.keep(scratch_.data() + base, scratch_.size() - base);
    scratch_.resize(base);
    return node;
  }

  // Expressions
  // -----------------------------------------------------------------------------------------------

  // `conditional` is off where a following `if` belongs to a comprehension.
  const Expression* expression(bool conditional = true) {
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

  const Expression* binary(int minimum) {
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

  // A unary operator takes the smallest operand (register A2): -2.0 ^ 2.0 is 4.0.
  const Expression* unary() {
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
            number.is_scalar
                ? document_.scalar(scalar_value(number, *document_.source), number.place)
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

  const Expression* postfix(const Expression* target) {
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

  const Expression* string_literal() {
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

  const Expression* number_literal() {
    const Token token = current_;
    advance();
    if (token.is_scalar) return document_.scalar(scalar_value(token, *document_.source), token.place);
    return document_.integer(integer_value(token, false, *document_.source), token.place);
  }

  // inf is a literal in tract's dialect, and nan in the engine's own; quoted they stay identifiers.
  const Literal* special_number() {
    if (!tract_ || !at(TokenKind::identifier)) return nullptr;
    if (current_.text == "inf")
      return document_.scalar(std::numeric_limits<double>::infinity(), current_.place);
    if (current_.text == "nan" && document_.dialect == Dialect::engine) {
      return document_.scalar(std::numeric_limits<double>::quiet_NaN(), current_.place);
    }
    return nullptr;
  }

  const Expression* primary() {
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

  bool call_follows() {
    Lexer ahead = lexer_;
    return ahead.next().kind == TokenKind::left_parenthesis;
  }

  const Expression* name_or_call(bool top) {
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

  // At `<` after a name: whether a type argument follows rather than a comparison (section 3.4).
  bool explicit_type_follows() {
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

  const Expression* builtin() {
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

  const Expression* parenthesised() {
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

  const Expression* bracketed() {
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

  const Expression* comprehension(Place place) {
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

  // A default value: literals, arrays and tuples of them.
  const Expression* constant() {
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

  Document& document_;
  const ParseOptions& options_;
  Lexer lexer_;
  Token current_;
  bool strict_;
  bool tract_;  // tract's words and types
  bool fragments_ = false;
  bool expressions_ = false;
  bool at_top_ = false;  // at the first token of a right side, where flat syntax allows a call
  int depth_ = 0;
  size_t tokens_ = 0;
  std::vector<const Expression*> scratch_;
  std::vector<Argument> arguments_;
};

}  // namespace

Document parse_document(std::string text, std::string file, const ParseOptions& options) {
  if (text.size() > options.limits.bytes) {
    SourceLocation where;
    where.file = std::make_shared<const std::string>(std::move(file));
    throw Error("text-limit",
                "the text has " + std::to_string(text.size()) + " bytes; the limit is " +
                    std::to_string(options.limits.bytes),
                where);
  }
  Document document;
  auto source = std::make_shared<SourceText>();
  source->file = std::make_shared<const std::string>(std::move(file));
  source->text = std::make_shared<const std::string>(std::move(text));
  document.source = std::move(source);
  Parser(document, options).run();
  return document;
}

}  // namespace nnefrun
