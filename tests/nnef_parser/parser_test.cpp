#include "nnef_parser/parser.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "nnef_parser/lexer.h"
#include "nnef_parser/printer.h"
#include "tests/nnef_parser/shared_files.h"

using namespace nnefrun;

namespace {

Document parse(const std::string& text, Dialect dialect = Dialect::automatic, ParseLimits limits = {}) {
  ParseOptions options;
  options.dialect = dialect;
  options.limits = limits;
  return parse_document(text, "graph.nnef", options);
}

// The right side of `y = ...;`, fully parenthesised by its tree.
std::string tree(const Expression& e) {
  if (const auto* binary = e.as<BinaryExpression>()) {
    return "(" + tree(*binary->left) + " " + std::string(symbol_of(binary->op())) + " " +
           tree(*binary->right) + ")";
  }
  if (const auto* unary = e.as<UnaryExpression>()) {
    return "(" + std::string(symbol_of(unary->op())) + tree(*unary->operand) + ")";
  }
  if (const auto* conditional = e.as<ConditionalExpression>()) {
    return "(" + tree(*conditional->then_value) + " if " + tree(*conditional->condition) + " else " +
           tree(*conditional->else_value) + ")";
  }
  return print(e);
}
std::string tree_of(const std::string& expression) {
  const Document d = parse("version 1.0; graph G(x) -> (y) { y = " + expression + "; }");
  return tree(*d.graph->body[0].right);
}

std::string code_of(const std::string& text, Dialect dialect = Dialect::automatic, ParseLimits limits = {}) {
  try {
    parse(text, dialect, limits);
  } catch (const Error& error) {
    CHECK(error.where().to_string().find("graph.nnef") == 0);
    return error.code();
  }
  return "";
}

std::string graph_with(const std::string& expression) {
  return "version 1.0; extension KHR_enable_fragment_definitions, KHR_enable_operator_expressions; graph "
         "G(x) -> (y) { y = " +
         expression + "; }";
}
std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

TEST_CASE("precedence and associativity", "[parser]") {
  CHECK(tree_of("a + b * c ^ d") == "(a + (b * (c ^ d)))");
  CHECK(tree_of("a ^ b ^ c") == "((a ^ b) ^ c)");
  CHECK(tree_of("a - b - c") == "((a - b) - c)");
  CHECK(tree_of("a || b && c") == "((a || b) && c)");
  CHECK(tree_of("a < b && c == d") == "((a < b) && (c == d))");
  CHECK(tree_of("a + b in c && d") == "((a + b) in (c && d))");
  CHECK(tree_of("-a ^ b") == "((-a) ^ b)");
  CHECK(tree_of("-2.0 ^ 2.0") == "(-2.0 ^ 2.0)");
  CHECK(tree_of("3.0 * -b + c") == "((3.0 * (-b)) + c)");
  CHECK(tree_of("!a || b") == "((!a) || b)");
  CHECK(tree_of("- -a") == "(-(-a))");
  CHECK(tree_of("-a[0]") == "(-a[0])");
  CHECK(tree_of("a if b else c if d else e") == "(a if b else (c if d else e))");
  CHECK(tree_of("a + b if c < d else e * f") == "((a + b) if (c < d) else (e * f))");
  CHECK(tree_of("[for i in a if i > 0 yield i if i < 3 else 0]") ==
        "[for i in a if i > 0 yield i if i < 3 else 0]");
  CHECK(tree_of("a < integer(b)") == "(a < integer(b))");
  CHECK(tree_of("f<integer>(b)") == "f<integer>(b)");
}

TEST_CASE("literals", "[parser]") {
  CHECK(tree_of("-9223372036854775808") == "-9223372036854775808");
  CHECK(tree_of("- 2.5e-1") == "-0.25");
  CHECK(tree_of("-(2)") == "-2");
  CHECK(tree_of("007") == "7");
  CHECK(tree_of("1.") == "1.0");
  CHECK(tree_of("1e3") == "1000.0");
  CHECK(tree_of("1e-999") == "0.0");
  CHECK(tree_of("3.141592653589793238462643383279502884197") == "3.141592653589793");
  CHECK(tree_of("'it\\'s \\n'") == "'it\\'s n'");
  CHECK(tree_of("\"it's\"") == "'it\\'s'");
}

TEST_CASE("places are lines and columns of the text", "[parser]") {
  const Document d = parse("version 1.0;\r\n\n# comment\ngraph G(x) -> (y)\n{\n\tyy = add(x,\n  'a' );\n}\n");
  const Assignment& assignment = d.graph->body[0];
  CHECK(d.locate(assignment.place).to_string() == "graph.nnef:6:2");
  CHECK(assignment.place.length == 2);
  const auto* call = assignment.right->as<Invocation>();
  REQUIRE(call);
  CHECK(d.locate(call->place).to_string() == "graph.nnef:6:7");
  CHECK(d.locate(call->arguments[1].place).to_string() == "graph.nnef:7:3");
  CHECK(call->arguments[1].place.length == 3);
  CHECK(d.locate(d.graph->results[0].place).to_string() == "graph.nnef:4:16");
}

TEST_CASE("the dialect comes from the extensions", "[parser]") {
  const std::string graph = "graph G(x) -> (y) { y = f(inf); }";
  const auto kind = [&](const std::string& extensions, Dialect asked) {
    const Document d = parse("version 1.0; " + extensions + graph, asked);
    return std::string(name_of(d.dialect)) + (d.strict ? " strict" : "") +
           (d.graph->body[0].right->as<Invocation>()->arguments[0].value->as<Literal>() ? " number" : "");
  };
  CHECK(kind("", Dialect::automatic) == "khronos");
  CHECK(kind("", Dialect::khronos) == "khronos strict");
  CHECK(kind("", Dialect::tract) == "tract number");
  CHECK(kind("extension tract_registry tract_core; ", Dialect::automatic) == "tract number");
  CHECK(kind("extension nnefrun_engine 1; extension tract_symbol S; ", Dialect::automatic) ==
        "engine number");
  CHECK(kind("extension nnefrun_engine 1; extension tract_symbol S; ", Dialect::khronos) == "engine number");
  CHECK(kind("extension nnefrun_engine 1; ", Dialect::tract) == "engine number");
  CHECK(code_of("version 1.0; extension tract_registry tract_core; " + graph, Dialect::khronos) ==
        "extension-unknown");
}

TEST_CASE("extensions keep their payload", "[parser]") {
  const Document d = parse(
      "version 1.0;\nextension tract_assert tg:  S == 1 ;\nextension A, B C;\nextension VENDOR_x free "
      "(text);\n"
      "extension KHR_enable_fragment_definitions KHR_enable_operator_expressions;\ngraph G(x) -> (y) { }");
  std::string all;
  for (const auto& extension : d.extensions) {
    all += std::string(extension.name) + "(" + std::string(extension.payload) + ")";
  }
  CHECK(all ==
        "tract_assert(tg:  S == 1)A()B()C()VENDOR_x(free (text))KHR_enable_fragment_definitions()"
        "KHR_enable_operator_expressions()");
}

TEST_CASE("tract's dialect takes empty lists and keywords as names", "[parser]") {
  const std::string text =
      "version 1.0; extension tract_registry tract_core; fragment p() -> (r: tensor<complex>) { } "
      "graph version() -> () { string = integer; graph, tensor = f(tensor = string, 2); i'a\\'b' = p(); }";
  const Document d = parse(text);
  CHECK(d.graph->name == "version");
  CHECK(d.graph->body[2].left->as<Identifier>()->name == "a'b");
  CHECK(same(d, parse(print(d))));
  CHECK(code_of(text, Dialect::khronos) == "extension-unknown");
}

TEST_CASE("nesting is limited, chains are not", "[parser]") {
  const int deep = 20000;
  CHECK(code_of(graph_with("f(" + repeated("[", deep) + repeated("]", deep) + ")")) == "nesting-limit");
  CHECK(code_of(graph_with("f(" + repeated("[", deep))) == "nesting-limit");
  CHECK(code_of(graph_with(repeated("(", deep) + "x" + repeated(")", deep))) == "nesting-limit");
  CHECK(code_of(graph_with(repeated("neg(", deep) + "x" + repeated(")", deep))) == "nesting-limit");
  CHECK(code_of(graph_with(repeated("-", deep) + "x")) == "nesting-limit");
  CHECK(code_of(graph_with("x" + repeated("[0]", deep))) == "nesting-limit");
  CHECK(code_of(graph_with(repeated("x if false else ", deep) + "x")) == "nesting-limit");
  CHECK(code_of(graph_with("[for i in " + repeated("[for i in ", deep))) == "nesting-limit");
  CHECK(code_of("version 1.0; graph G(x) -> (y) { " + repeated("[", deep) + " = x; }") == "nesting-limit");
  const std::string fragment = "version 1.0; fragment f(a: ";
  CHECK(code_of(fragment + "tensor<scalar>" + repeated("[]", deep)) == "nesting-limit");
  CHECK(code_of(fragment + repeated("(", deep)) == "nesting-limit");
  CHECK(code_of(fragment + "integer = " + repeated("[", deep)) == "nesting-limit");

  CHECK(code_of(graph_with(repeated("(", 40) + "x + x" + repeated(")", 40))) == "");
  ParseLimits more;
  more.depth = 1000;
  CHECK(code_of(graph_with(repeated("(", 400) + "x" + repeated(")", 400)), Dialect::automatic, more) == "");

  const std::string chain = graph_with("x" + repeated(" + x", 100000));
  const Document d = parse(chain);
  CHECK(same(d, parse(print(d))));
}

TEST_CASE("size is limited", "[parser]") {
  ParseLimits limits;
  limits.bytes = 100;
  CHECK(code_of(graph_with("copy(x)"), Dialect::automatic, limits) == "text-limit");
  limits = {};
  limits.tokens = 10;
  CHECK(code_of(graph_with("copy(x)"), Dialect::automatic, limits) == "text-limit");
}

TEST_CASE("a text that is cut anywhere is an error, never a crash", "[parser]") {
  std::string text =
      test::read_text(std::string(NNEFRUN_SOURCE_DIR) + "/tests/nnef_parser/good/compositional.nnef");
  REQUIRE(text.size() > 1000);
  while (text.back() != '}') text.pop_back();
  for (size_t length = 0; length < text.size(); ++length) {
    INFO(length);
    CHECK_THROWS_AS(parse(text.substr(0, length), Dialect::khronos), Error);
  }
  CHECK_NOTHROW(parse(text, Dialect::khronos));
}

TEST_CASE("a text with a changed byte is read or refused, never a crash", "[parser]") {
  const std::string text =
      test::read_text(std::string(NNEFRUN_SOURCE_DIR) + "/tests/nnef_parser/good/tract.nnef");
  REQUIRE(text.size() > 1000);
  size_t read = 0, refused = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char c : {'\0', '\xFF', '"', '(', ']', ';', '9', '{'}) {
      std::string changed = text;
      changed[at] = c;
      try {
        const Document d = parse(changed);
        if (!same(d, parse(print(d)))) FAIL_CHECK("printing loses something at " << at);
        ++read;
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  CHECK(read > 0);
  CHECK(refused > 0);
}

TEST_CASE("reading is linear in the length of the text", "[parser]") {
  const auto seconds = [](int nodes) {
    std::string text = "version 1.0;\ngraph G(x) -> (y)\n{\n    t0 = external(shape = [1,8,16,16]);\n";
    for (int i = 1; i < nodes; ++i) {
      text += "    t" + std::to_string(i) + " = conv(t" + std::to_string(i - 1) +
              ", w, 0.5, padding = [(1,1),(1,1)]);\n";
    }
    text += "}\n";
    double best = 1e9;
    for (int i = 0; i < 3; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      const Document d = parse(text);
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      REQUIRE(d.graph->body.size() == static_cast<size_t>(nodes));
    }
    return best;
  };
  // A hundred times the text; quadratic would be ten thousand times the time.
  CHECK(seconds(100000) < 1000 * seconds(1000));
}

TEST_CASE("the lexer tells kinds and values", "[lexer]") {
  SourceText source;
  source.text = std::make_shared<const std::string>("a<=b->!= &&1.5e3 'x' i\"y\" \n in# c\n?");
  Lexer lexer(&source, false);
  const TokenKind kinds[] = {TokenKind::identifier, TokenKind::less_equal, TokenKind::identifier,
                             TokenKind::arrow,      TokenKind::not_equal,  TokenKind::logical_and,
                             TokenKind::number,     TokenKind::string,     TokenKind::quoted_identifier,
                             TokenKind::kw_in,      TokenKind::question,   TokenKind::end};
  for (const TokenKind kind : kinds) CHECK(lexer.next().kind == kind);
  CHECK(lexer.next().kind == TokenKind::end);
  CHECK(unescaped("a\\'b\\\\c\\n") == "a'b\\cn");
}
