#include "nnef_parser/parser.h"

#include "nnef_parser/parser_rules.h"

namespace nnefrun {
namespace parsing {
namespace {

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// A list of names separated by blanks or commas, as far as the characters tell.
bool looks_like_names(std::string_view text) {
  return text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_, \t\n\r\v\f") ==
         std::string_view::npos;
}

}  // namespace

void Parser::run() {
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
    if (at(TokenKind::kw_version)) fail("unexpected-token", "the version is declared once, at the beginning");
    fail("graph-missing", "expected `graph`, found " + describe(current_));
  }
  if (!at(TokenKind::end)) {
    fail("trailing-input", "expected the end of the text after the graph, found " + describe(current_));
  }
}

void Parser::fail_at(Place place, const char* code, std::string message) {
  throw Error(code, std::move(message), document_.locate(place));
}

void Parser::fail(const char* code, std::string message) {
  fail_at(current_.place, code, std::move(message));
}

void Parser::fail_depth() {
  fail("nesting-limit", "nested deeper than " + std::to_string(options_.limits.depth) + " levels");
}

void Parser::fail_expected(const std::string& what) {
  fail("unexpected-token", "expected " + what + ", found " + describe(current_));
}

void Parser::need_expressions(Place place, const char* what) {
  if (expressions_) return;
  throw Error("extension-needed", std::string(what) + " needs the extension " + std::string(kExpressions),
              document_.locate(place))
      .note("write `extension " + std::string(kExpressions) + ";` after the version");
}

std::string_view Parser::take_name(const char* what) {
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

std::string_view Parser::current_name() {
  if (at(TokenKind::quoted_identifier) && current_.escaped) return document_.intern(unescaped(current_.text));
  return current_.text;
}

void Parser::version() {
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

void Parser::add_extension(std::string_view name, std::string_view payload, Place place) {
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
    throw Error(
        "extension-unknown",
        "the extension " + std::string(name) + " is not known, so that the document cannot be read strictly",
        document_.locate(place))
        .note("the standard defines " + std::string(kFragments) + " and " + std::string(kExpressions));
  } else if (starts_with(name, "tract_") && options_.dialect == Dialect::automatic &&
             document_.dialect != Dialect::engine) {
    document_.dialect = Dialect::tract;
    tract_ = true;
  }
  document_.extensions.push_back({name, payload, place});
}

void Parser::extension() {
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

void Parser::fragment() {
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

void Parser::graph() {
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

void Parser::body(std::vector<Assignment>& out, const char* opening) {
  expect(TokenKind::left_brace, opening);
  if (at(TokenKind::right_brace) && strict_)
    fail("empty-list", "expected an assignment: a body cannot be empty");
  while (!at(TokenKind::right_brace)) {
    if (at(TokenKind::end)) fail_expected("an assignment or `}`");
    out.push_back(assignment());
  }
  advance();
}

PrimitiveType Parser::primitive_type(bool with_generic) {
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

const TypeSpec* Parser::type() {
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

}  // namespace parsing

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
  parsing::Parser(document, options).run();
  return document;
}

}  // namespace nnefrun
