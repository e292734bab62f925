#include "nnef_parser/lexer.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace nnefrun {
namespace {

enum : uint8_t { kBlank = 1, kName = 2, kDigit = 4 };

constexpr std::array<uint8_t, 256> make_classes() {
  std::array<uint8_t, 256> classes{};
  for (const char c : {' ', '\t', '\v', '\f', '\n', '\r'}) classes[static_cast<uint8_t>(c)] = kBlank;
  for (int c = 'a'; c <= 'z'; ++c) classes[static_cast<size_t>(c)] = kName;
  for (int c = 'A'; c <= 'Z'; ++c) classes[static_cast<size_t>(c)] = kName;
  for (int c = '0'; c <= '9'; ++c) classes[static_cast<size_t>(c)] = kName | kDigit;
  classes['_'] = kName;
  return classes;
}
constexpr std::array<uint8_t, 256> kClasses = make_classes();

bool is(char c, uint8_t mask) { return (kClasses[static_cast<uint8_t>(c)] & mask) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Decided by the first letter: this runs for every identifier of a text.
TokenKind keyword_or_identifier(std::string_view text) {
  const auto either = [&](std::string_view word, TokenKind kind, TokenKind other) {
    return text == word ? kind : other;
  };
  constexpr TokenKind kNone = TokenKind::identifier;
  if (text.empty()) return kNone;
  switch (text[0]) {
    case 'e': return either("else", TokenKind::kw_else, either("extension", TokenKind::kw_extension, kNone));
    case 'f':
      return either("false", TokenKind::kw_false,
                    either("for", TokenKind::kw_for, either("fragment", TokenKind::kw_fragment, kNone)));
    case 'g': return either("graph", TokenKind::kw_graph, kNone);
    case 'i':
      return either("in", TokenKind::kw_in,
                    either("if", TokenKind::kw_if, either("integer", TokenKind::kw_integer, kNone)));
    case 'l':
      return either("logical", TokenKind::kw_logical, either("length_of", TokenKind::kw_length_of, kNone));
    case 'r': return either("range_of", TokenKind::kw_range_of, kNone);
    case 's':
      return either(
          "scalar", TokenKind::kw_scalar,
          either("string", TokenKind::kw_string, either("shape_of", TokenKind::kw_shape_of, kNone)));
    case 't': return either("true", TokenKind::kw_true, either("tensor", TokenKind::kw_tensor, kNone));
    case 'v': return either("version", TokenKind::kw_version, kNone);
    case 'y': return either("yield", TokenKind::kw_yield, kNone);
    default: return kNone;
  }
}

}  // namespace

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::end: return "the end of the text";
    case TokenKind::number: return "the number " + std::string(token.text.substr(0, 40));
    case TokenKind::string: return "the string '" + std::string(token.text.substr(0, 40)) + "'";
    case TokenKind::identifier:
    case TokenKind::quoted_identifier: return "`" + std::string(token.text.substr(0, 80)) + "`";
    default: break;
  }
  if (token.kind >= TokenKind::kw_version) return "the keyword `" + std::string(token.text) + "`";
  return "`" + std::string(token.text) + "`";
}

Lexer::Lexer(const SourceText* source, bool strict)
    : source_(source),
      at_(source->text->data()),
      end_(at_ + source->text->size()),
      line_begin_(at_),
      strict_(strict) {
  if (!strict && end_ - at_ >= 3 && std::memcmp(at_, "\xEF\xBB\xBF", 3) == 0) {
    at_ += 3;  // a byte order mark
    line_begin_ = at_;
  }
}

void Lexer::fail(const char* code, std::string message, const char* at, size_t length) const {
  throw Error(code, std::move(message), source_->locate(place_at(at, length)));
}

void Lexer::fail_illegal(const char* at) const {
  const auto byte = static_cast<unsigned char>(*at);
  if (byte > 0x20 && byte < 0x7F) {
    fail("illegal-character", std::string("the character `") + *at + "` has no meaning in NNEF", at);
  }
  static constexpr char kHex[] = "0123456789abcdef";
  const std::string hex = std::string("0x") + kHex[byte >> 4] + kHex[byte & 15];
  fail("illegal-character",
       "the byte " + hex + " is not allowed here: outside of comments the text is " +
           (strict_ ? "printable ASCII" : "ASCII, and only strings may hold more"),
       at);
}

void Lexer::skip_blanks() {
  while (at_ < end_) {
    const char c = *at_;
    if (c == '\n') {
      ++at_;
      ++line_;
      line_begin_ = at_;
    } else if (is(c, kBlank)) {
      ++at_;
    } else if (c == '#') {  // ends at a line feed, a carriage return or a form feed (register A31)
      while (at_ < end_ && *at_ != '\n' && *at_ != '\r' && *at_ != '\f') ++at_;
    } else {
      return;
    }
  }
}

void Lexer::number(Token& token) {
  const char* begin = at_;
  bool scalar = false;
  while (at_ < end_ && is_digit(*at_)) ++at_;
  if (at_ < end_ && *at_ == '.') {
    scalar = true;
    ++at_;
    while (at_ < end_ && is_digit(*at_)) ++at_;
  }
  if (at_ < end_ && (*at_ == 'e' || *at_ == 'E')) {
    scalar = true;
    ++at_;
    if (at_ < end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    if (at_ == end_ || !is_digit(*at_)) fail("malformed-number", "a digit is expected in the exponent", at_);
    while (at_ < end_ && is_digit(*at_)) ++at_;
  }
  if (at_ < end_ && (is(*at_, kName) || *at_ == '.')) {
    fail("malformed-number",
         std::string("`") + *at_ + "` cannot follow the number " + std::string(begin, at_).substr(0, 40),
         at_);
  }
  token.kind = TokenKind::number;
  token.is_scalar = scalar;
  token.text = {begin, static_cast<size_t>(at_ - begin)};
  token.place = place_at(begin, token.text.size());
}

// at_ is the opening quote; begin the first character of the token.
void Lexer::quoted(const char* begin, TokenKind kind, Token& token) {
  const char quote = *at_;
  const char* content = ++at_;
  token.kind = kind;
  token.escaped = false;
  token.place = place_at(begin, 1);
  const char* line_begin = line_begin_;
  int32_t line = line_;
  while (true) {
    if (at_ == end_ || (strict_ && (*at_ == '\n' || *at_ == '\r'))) {
      throw Error("unterminated-string",
                  std::string("the string has no closing ") + quote + (at_ == end_ ? "" : " on its line"),
                  source_->locate(token.place));
    }
    const char c = *at_;
    if (c == quote) break;
    if (c == '\\') {
      token.escaped = true;
      if (++at_ == end_) continue;
    }
    const auto byte = static_cast<unsigned char>(*at_);
    if (strict_ && (byte < 0x20 || byte >= 0x7F)) fail_illegal(at_);
    if (byte == 0) fail("illegal-character", "a string cannot hold the byte 0x00", at_);
    if (*at_ == '\n') {
      ++line;
      line_begin = at_ + 1;
    }
    ++at_;
  }
  token.text = {content, static_cast<size_t>(at_ - content)};
  ++at_;
  if (line == line_) {
    token.place.length = static_cast<int32_t>(at_ - begin);
  } else {
    line_ = line;
    line_begin_ = line_begin;
  }
}

void Lexer::next(Token& token) {
  skip_blanks();
  if (at_ == end_) {
    token.kind = TokenKind::end;
    token.place = place_at(at_, 1);
    token.text = {};
    return;
  }
  const char c = *at_;
  if (is(c, kName)) {
    if (is(c, kDigit)) return number(token);
    const char* begin = at_;
    while (++at_ < end_ && is(*at_, kName)) {
    }
    const size_t length = static_cast<size_t>(at_ - begin);
    if (length == 1 && c == 'i' && !strict_ && at_ < end_ && (*at_ == '"' || *at_ == '\'')) {
      return quoted(begin, TokenKind::quoted_identifier, token);
    }
    token.text = {begin, length};
    token.kind = keyword_or_identifier(token.text);
    token.place = place_at(begin, length);
    return;
  }
  if (c == '\'' || c == '"') return quoted(at_, TokenKind::string, token);

  const char following = at_ + 1 < end_ ? at_[1] : '\0';
  size_t length = 1;
  const auto either = [&](char second, TokenKind two, TokenKind one) {
    if (following != second) return one;
    length = 2;
    return two;
  };
  switch (c) {
    case '(': token.kind = TokenKind::left_parenthesis; break;
    case ')': token.kind = TokenKind::right_parenthesis; break;
    case '[': token.kind = TokenKind::left_bracket; break;
    case ']': token.kind = TokenKind::right_bracket; break;
    case '{':
      if (!strict_ && (following == '{' || following == '%')) {
        fail("template-unsupported",
             "the text is a template (Jinja), which is not rendered here: render it first, or export the "
             "model "
             "without templates",
             at_, 2);
      }
      token.kind = TokenKind::left_brace;
      break;
    case '}': token.kind = TokenKind::right_brace; break;
    case ':': token.kind = TokenKind::colon; break;
    case ',': token.kind = TokenKind::comma; break;
    case ';': token.kind = TokenKind::semicolon; break;
    case '?': token.kind = TokenKind::question; break;
    case '+': token.kind = TokenKind::plus; break;
    case '*': token.kind = TokenKind::star; break;
    case '/': token.kind = TokenKind::slash; break;
    case '^': token.kind = TokenKind::caret; break;
    case '-': token.kind = either('>', TokenKind::arrow, TokenKind::minus); break;
    case '<': token.kind = either('=', TokenKind::less_equal, TokenKind::less); break;
    case '>': token.kind = either('=', TokenKind::greater_equal, TokenKind::greater); break;
    case '=': token.kind = either('=', TokenKind::equal_equal, TokenKind::equals); break;
    case '!': token.kind = either('=', TokenKind::not_equal, TokenKind::logical_not); break;
    case '&':
      if (following != '&')
        fail("illegal-character", "a single `&` has no meaning; the operator is `&&`", at_);
      token.kind = TokenKind::logical_and;
      length = 2;
      break;
    case '|':
      if (following != '|')
        fail("illegal-character", "a single `|` has no meaning; the operator is `||`", at_);
      token.kind = TokenKind::logical_or;
      length = 2;
      break;
    case '.': fail("malformed-number", "a number begins with a digit: write 0.5, not .5", at_);
    default: fail_illegal(at_);
  }
  token.text = {at_, length};
  token.place = place_at(at_, length);
  at_ += length;
}

std::string_view Lexer::rest_of_statement() {
  const char* begin = at_;
  while (begin < end_ && is(*begin, kBlank)) ++begin;
  while (at_ < end_ && *at_ != ';') {
    if (*at_ == '\n') {
      ++line_;
      line_begin_ = at_ + 1;
    }
    ++at_;
  }
  const char* end = at_;
  while (end > begin && is(end[-1], kBlank)) --end;
  return end > begin ? std::string_view(begin, static_cast<size_t>(end - begin)) : std::string_view();
}

bool Lexer::assignment_follows() const {
  const char* at = at_;
  while (at < end_) {
    if (is(*at, kBlank)) {
      ++at;
    } else if (*at == '#') {
      while (at < end_ && *at != '\n' && *at != '\r' && *at != '\f') ++at;
    } else {
      return *at == '=' && (at + 1 == end_ || at[1] != '=');
    }
  }
  return false;
}

std::string unescaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out += text[i];
  }
  return out;
}

int64_t integer_value(const Token& token, bool negative, const SourceText& source) {
  uint64_t magnitude = 0;
  const char* end = token.text.data() + token.text.size();
  const auto [stop, error] = std::from_chars(token.text.data(), end, magnitude);
  const uint64_t largest = static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) + (negative ? 1 : 0);
  if (error != std::errc() || stop != end || magnitude > largest) {
    throw Error("malformed-number",
                "the integer " + std::string(negative ? "-" : "") + std::string(token.text.substr(0, 60)) +
                    " does not fit into 64 bits",
                source.locate(token.place));
  }
  return static_cast<int64_t>(negative ? ~magnitude + 1 : magnitude);
}

double scalar_value(const Token& token, const SourceText& source) {
  double value = 0;
  const char* end = token.text.data() + token.text.size();
  const auto [stop, error] = std::from_chars(token.text.data(), end, value);
  if (error == std::errc() && stop == end) return value;
  // Out of range: too small is zero or a denormal, too large is an error.
  value = std::strtod(std::string(token.text).c_str(), nullptr);
  if (value > std::numeric_limits<double>::max()) {
    throw Error("malformed-number",
                "the number " + std::string(token.text.substr(0, 60)) + " is too large for a scalar",
                source.locate(token.place));
  }
  return value;
}

bool is_keyword(std::string_view text) { return keyword_or_identifier(text) != TokenKind::identifier; }

bool is_plain_identifier(std::string_view text) {
  if (text.empty() || is_digit(text[0]) || is_keyword(text)) return false;
  for (const char c : text) {
    if (!is(c, kName)) return false;
  }
  return true;
}

}  // namespace nnefrun
