// Lexer: cuts a text into tokens (NNEF 1.0.5 section 2; tract OPL section 2.2). Used by the parsers of
// graph.nnef and of graph.quant. Copying a Lexer is cheap and is how one looks ahead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "nnef_parser/document.h"

namespace nnefrun {

enum class TokenKind : uint8_t {
  end,
  identifier,         // text is the name
  quoted_identifier,  // i"..."; text is what stands between the quotes, escapes still in it
  number,             // text is the spelling; no sign
  string,             // text is what stands between the quotes, escapes still in it
  // punctuation and operators
  left_parenthesis,
  right_parenthesis,
  left_bracket,
  right_bracket,
  left_brace,
  right_brace,
  colon,
  equals,
  comma,
  semicolon,
  arrow,
  question,
  plus,
  minus,
  star,
  slash,
  caret,
  less,
  less_equal,
  greater,
  greater_equal,
  equal_equal,
  not_equal,
  logical_and,
  logical_or,
  logical_not,
  // keywords; text is the word
  kw_version,
  kw_extension,
  kw_graph,
  kw_fragment,
  kw_tensor,
  kw_integer,
  kw_scalar,
  kw_logical,
  kw_string,
  kw_shape_of,
  kw_length_of,
  kw_range_of,
  kw_for,
  kw_in,
  kw_yield,
  kw_if,
  kw_else,
  kw_true,
  kw_false
};

struct Token {
  TokenKind kind = TokenKind::end;
  bool escaped = false;    // a string or quoted identifier that contains backslashes
  bool is_scalar = false;  // a number with a point or an exponent
  Place place;
  std::string_view text;
};

// "`add`", "the number 1.5", "the end of the text": how messages name a token.
std::string describe(const Token& token);

class Lexer {
 public:
  // `strict` keeps the letter of 1.0.5: ASCII outside comments, no line break in strings, no quoted
  // identifiers. `text` must outlive the lexer and everything it returns.
  Lexer(const SourceText* source, bool strict);

  // The next token. Errors: illegal-character, unterminated-string, malformed-number, template-unsupported.
  void next(Token& token);
  Token next() {
    Token token;
    next(token);
    return token;
  }
  // Raw text from the end of the last token up to the next `;` (not consumed), without white space around it.
  std::string_view rest_of_statement();
  // Whether the next token is a single `=`.
  bool assignment_follows() const;
  // From here on the text is read without strictness.
  void relax() { strict_ = false; }
  const SourceText& source() const { return *source_; }

 private:
  void skip_blanks();
  void number(Token& token);
  void quoted(const char* begin, TokenKind kind, Token& token);
  Place place_at(const char* at, size_t length) const {
    return {line_, static_cast<int32_t>(at - line_begin_) + 1, static_cast<int32_t>(length)};
  }
  [[noreturn]] void fail(const char* code, std::string message, const char* at, size_t length = 1) const;
  [[noreturn]] void fail_illegal(const char* at) const;

  const SourceText* source_;
  const char* at_;
  const char* end_;
  const char* line_begin_;
  int32_t line_ = 1;
  bool strict_;
};

// What a string or a quoted identifier stands for: the backslash goes, the next character stays.
std::string unescaped(std::string_view text);
// The value of a number's spelling. Errors: malformed-number when it does not fit.
// magnitude of an integer literal; `negative` allows 2^63.
int64_t integer_value(const Token& token, bool negative, const SourceText& source);
double scalar_value(const Token& token, const SourceText& source);

// Whether the text is an identifier that can be written without quotes.
bool is_plain_identifier(std::string_view text);
bool is_keyword(std::string_view text);

}  // namespace nnefrun
