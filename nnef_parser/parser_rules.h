#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nnef_parser/lexer.h"
#include "nnef_parser/parser.h"

namespace nnefrun::parsing {

constexpr std::string_view kFragments = "KHR_enable_fragment_definitions";
constexpr std::string_view kExpressions = "KHR_enable_operator_expressions";

// Recursive descent over the tokens of one text: a method for each rule of the grammar (NNEF 1.0.5 section
// 3). The rules of documents, fragments, the graph and types are in parser.cpp, those of expressions in
// parser_expressions.cpp.
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

  void run();

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

  [[noreturn]] void fail_at(Place place, const char* code, std::string message);
  [[noreturn]] void fail(const char* code, std::string message);
  [[noreturn]] void fail_depth();
  [[noreturn]] void fail_expected(const std::string& what);

  void expect(TokenKind kind, const char* what) {
    if (!at(kind)) fail_expected(what);
    advance();
  }

  // The operator extension is needed from here on.
  void need_expressions(Place place, const char* what);

  // Names
  // -----------------------------------------------------------------------------------------------------

  // Tract does not reserve these words; they occur as names in its files.
  bool is_soft_keyword() const {
    return tract_ && current_.kind >= TokenKind::kw_version && current_.kind <= TokenKind::kw_range_of;
  }
  bool at_name() const {
    return at(TokenKind::identifier) || at(TokenKind::quoted_identifier) || is_soft_keyword();
  }

  std::string_view take_name(const char* what);
  std::string_view current_name();

  // Document
  // --------------------------------------------------------------------------------------------------

  void version();
  void add_extension(std::string_view name, std::string_view payload, Place place);
  void extension();

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

  void fragment();
  void graph();
  void body(std::vector<Assignment>& out, const char* opening);

  // Types
  // -----------------------------------------------------------------------------------------------------

  PrimitiveType primitive_type(bool with_generic);
  const TypeSpec* type();

  // Assignments
  // -----------------------------------------------------------------------------------------------

  Assignment assignment();
  const Expression* left_value();
  const Expression* take_array(size_t base, Place place);
  const Expression* take_tuple(size_t base, Place place);

  // Expressions
  // -----------------------------------------------------------------------------------------------

  // `conditional` is off where a following `if` belongs to a comprehension.
  const Expression* expression(bool conditional = true);
  const Expression* binary(int minimum);

  // A unary operator takes the smallest operand (register A2): -2.0 ^ 2.0 is 4.0.
  const Expression* unary();
  const Expression* postfix(const Expression* target);
  const Expression* string_literal();
  const Expression* number_literal();

  // inf is a literal in tract's dialect, and nan in the engine's own; quoted they stay identifiers.
  const Literal* special_number();
  const Expression* primary();
  bool call_follows();
  const Expression* name_or_call(bool top);

  // At `<` after a name: whether a type argument follows rather than a comparison (section 3.4).
  bool explicit_type_follows();
  const Expression* builtin();
  const Expression* parenthesised();
  const Expression* bracketed();
  const Expression* comprehension(Place place);

  // A default value: literals, arrays and tuples of them.
  const Expression* constant();

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

}  // namespace nnefrun::parsing
