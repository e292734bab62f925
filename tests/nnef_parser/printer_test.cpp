#include "nnef_parser/printer.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "nnef_parser/parser.h"
#include "tests/nnef_parser/shared_files.h"

using namespace nnefrun;

namespace {

Document parse(const std::string& text, Dialect dialect = Dialect::automatic) {
  ParseOptions options;
  options.dialect = dialect;
  return parse_document(text, "graph.nnef", options);
}

// Random documents of the engine's dialect, which has every construct.
class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  Document document() {
    Document d;
    d.dialect = Dialect::engine;
    d.extensions.push_back({d.intern("nnefrun_engine"), d.intern("1"), {}});
    FragmentDefinition fragment;
    fragment.name = name(d);
    fragment.generic = true;
    if (below(2)) fragment.generic_default = PrimitiveType::integer;
    for (int i = below(4); i >= 0; --i) {
      fragment.parameters.push_back({name(d), type(d, 2), below(2) ? constant(d, 2) : nullptr, {}});
    }
    fragment.results.push_back({name(d), type(d, 2), {}});
    fragment.has_body = true;
    body(d, fragment.body);
    d.fragments.push_back(std::move(fragment));
    GraphDefinition graph;
    graph.name = name(d);
    for (int i = below(3); i > 0; --i) graph.parameters.push_back({name(d), {}});
    for (int i = below(3); i > 0; --i) graph.results.push_back({name(d), {}});
    body(d, graph.body);
    d.graph = std::move(graph);
    return d;
  }

 private:
  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }

  std::string_view name(Document& d) {
    static const char* kNames[] = {"x",        "y",        "_9",    "inf",  "nan", "if",
                                   "a b",      "i",        "in",    "true", "é",   "\"q\"",
                                   "back\\sl", "shape_of", "graph", "'",    "1st", "tensor"};
    return d.intern(kNames[below(18)]);
  }

  const Expression* literal(Document& d) {
    switch (below(6)) {
      case 0: return d.integer(below(2) ? below(100) - 50 : std::numeric_limits<int64_t>::min() + below(2));
      case 1: {
        const double specials[] = {0.0,
                                   -0.0,
                                   1.0,
                                   -1.5,
                                   1e300,
                                   -1e-300,
                                   0.1,
                                   std::numeric_limits<double>::infinity(),
                                   -std::numeric_limits<double>::infinity(),
                                   std::nan(""),
                                   5e-324,
                                   123456789.0};
        return d.scalar(specials[below(12)]);
      }
      case 2: return d.scalar(std::ldexp(static_cast<double>(random_()), below(200) - 100));
      case 3: return d.logical(below(2) != 0);
      default: {
        const char* texts[] = {"", "it's", "a\\b", "\"", "line\nbreak", "{{x}}", "plain"};
        return d.string(texts[below(7)]);
      }
    }
  }

  const Expression* constant(Document& d, int depth) {
    if (depth == 0 || below(2)) return literal(d);
    const bool tuple = below(2) != 0;
    std::vector<const Expression*> items;
    for (int i = tuple ? 2 + below(2) : below(3); i > 0; --i) items.push_back(constant(d, depth - 1));
    return tuple ? static_cast<const Expression*>(d.tuple(items)) : d.array(items);
  }

  const TypeSpec* type(Document& d, int depth) {
    const auto primitive = static_cast<PrimitiveType>(below(6));
    switch (depth > 0 ? below(4) : below(2)) {
      case 0: return d.type(primitive);
      case 1: return d.tensor_type(below(4) ? std::optional(primitive) : std::nullopt);
      case 2: return d.array_type(type(d, depth - 1));
      default: {
        std::vector<const TypeSpec*> items;
        for (int i = 2 + below(2); i > 0; --i) items.push_back(type(d, depth - 1));
        return d.tuple_type(items);
      }
    }
  }

  const Expression* left(Document& d, int depth) {
    if (depth == 0 || below(2)) return d.identifier(name(d));
    const bool tuple = below(2) != 0;
    std::vector<const Expression*> items;
    for (int i = tuple ? 2 + below(2) : below(3); i > 0; --i) items.push_back(left(d, depth - 1));
    return tuple ? static_cast<const Expression*>(d.tuple(items)) : d.array(items);
  }

  const Expression* expression(Document& d, int depth) {
    if (depth == 0) return below(2) ? literal(d) : d.identifier(name(d));
    const auto sub = [&] { return expression(d, depth - 1); };
    const auto list = [&](int least) {
      std::vector<const Expression*> items;
      for (int i = least + below(3); i > 0; --i) items.push_back(sub());
      return items;
    };
    switch (below(12)) {
      case 0: return literal(d);
      case 1: return d.array(list(0));
      case 2: return d.tuple(list(2));
      case 3: {  // the parser folds a sign into a literal
        const auto op = static_cast<UnaryOperator>(below(3));
        const Expression* operand = sub();
        if (op == UnaryOperator::minus && operand->kind == ExpressionKind::literal) return operand;
        return d.unary(op, operand);
      }
      case 4:
      case 5: return d.binary(static_cast<BinaryOperator>(below(14)), sub(), sub());
      case 6: {
        auto* node = d.make<ConditionalExpression>(ExpressionKind::conditional, {});
        node->then_value = sub();
        node->condition = sub();
        node->else_value = sub();
        return node;
      }
      case 7: {
        auto* node = d.make<SubscriptExpression>(ExpressionKind::subscript, {});
        node->target = sub();
        node->index = sub();
        return node;
      }
      case 8: {
        auto* node = d.make<RangeExpression>(ExpressionKind::range, {});
        node->target = sub();
        node->begin = below(2) ? sub() : nullptr;
        node->end = below(2) ? sub() : nullptr;
        return node;
      }
      case 9: {
        std::vector<ComprehensionIterator> iterators;
        for (int i = 1 + below(2); i > 0; --i) iterators.push_back({name(d), sub(), {}});
        auto* node = d.make<Comprehension>(ExpressionKind::comprehension, {});
        node->iterators = d.keep(iterators.data(), iterators.size());
        node->filter = below(2) ? sub() : nullptr;
        node->yield = sub();
        return node;
      }
      case 10: {
        auto* node = d.make<Builtin>(ExpressionKind::builtin, {}, static_cast<uint8_t>(below(7)));
        node->operand = sub();
        return node;
      }
      default: {
        std::vector<Argument> arguments;
        for (int i = below(4); i > 0; --i)
          arguments.push_back({below(2) ? name(d) : std::string_view(), sub(), {}});
        std::optional<PrimitiveType> generic;
        const PrimitiveType types[] = {PrimitiveType::integer, PrimitiveType::scalar, PrimitiveType::generic};
        if (below(3) == 0) generic = types[below(3)];
        return d.call(name(d), arguments, generic);
      }
    }
  }

  void body(Document& d, std::vector<Assignment>& out) {
    for (int i = below(6); i >= 0; --i) out.push_back({left(d, 2), expression(d, 4), {}});
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("scalars print in the shortest form that reads back", "[printer]") {
  CHECK(printed_scalar(1.0) == "1.0");
  CHECK(printed_scalar(-0.0) == "-0.0");
  CHECK(printed_scalar(0.1) == "0.1");
  CHECK(printed_scalar(1e30) == "1e+30");
  CHECK(printed_scalar(std::numeric_limits<double>::infinity()) == "inf");
}

TEST_CASE("identifiers print plain where they are plain", "[printer]") {
  CHECK(printed_identifier("x_1") == "x_1");
  CHECK(printed_identifier("a b") == "i\"a b\"");
  CHECK(printed_identifier("for") == "i\"for\"");
  CHECK(printed_identifier("9") == "i\"9\"");
  CHECK(printed_identifier("say \"x\"") == "i\"say \\\"x\\\"\"");
}

TEST_CASE("parentheses are printed where they are needed and only there", "[printer]") {
  const Document d = parse(
      "version 1.0; graph G(x) -> (y) { y = (x + 1.0) * -x ^ (2.0 ^ 3.0) - (x - 1.0) + ((x * 2.0)); "
      "z = (a if b else c) if d else e if f else g; w = (a, b)[0] + (-1)[0] + (-x)[1:2]; }");
  const std::string text = print(d);
  CHECK(text.find("y = (x + 1.0) * -x ^ (2.0 ^ 3.0) - (x - 1.0) + x * 2.0;") != std::string::npos);
  CHECK(text.find("z = (a if b else c) if d else e if f else g;") != std::string::npos);
  CHECK(text.find("w = (a, b)[0] + (-1)[0] + (-x)[1:2];") != std::string::npos);
}

TEST_CASE("a document prints as it is usually written", "[printer]") {
  const std::string text =
      "version 1.0;\n"
      "extension KHR_enable_fragment_definitions;\n"
      "\n"
      "fragment f<? = scalar>(x: tensor<?>, p: (integer,scalar)[] = [(1, -2.5)]) -> (y: tensor<?>)\n"
      "{\n"
      "    y = copy<?>(x);\n"
      "}\n"
      "\n"
      "fragment g(x: tensor<>) -> (y: tensor<scalar>[]);\n"
      "\n"
      "graph G(x) -> (y)\n"
      "{\n"
      "    x = external<scalar>(shape = [2, 3]);\n"
      "    [a, b], c = f(x, p = [], name = 'it\\'s');\n"
      "    y = [for i in a, j in b if i > 1 yield (i, j)];\n"
      "}\n";
  CHECK(print(parse(text)) == text);
}

TEST_CASE("printing and reading again gives the same document", "[printer]") {
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    const Document d = Generator(seed).document();
    const std::string text = print(d);
    INFO("seed " << seed << "\n" << text);
    Document again;
    REQUIRE_NOTHROW(again = parse(text));
    REQUIRE(same(d, again));
    REQUIRE(print(again) == text);
  }
}

TEST_CASE("same() sees every difference", "[printer]") {
  const auto text = [](const char* line) {
    return std::string(
               "version 1.0; extension tract_symbol S; fragment f(a: tensor<scalar>, k: integer = 1) -> (b: "
               "tensor<scalar>) { b = a; } graph G(x) -> (y) { ") +
           line + " }";
  };
  const Document d = parse(text("y = f(x, k = 2);"));
  CHECK(same(d, parse(text("  y  = f( x , k=2 ) ; # comment\n"))));
  for (const char* other :
       {"y = f(x, k = 3);", "y = f(x, k = 2.0);", "y = f(x, j = 2);", "y = f(x, 2);", "z = f(x, k = 2);",
        "y = g(x, k = 2);", "y = f<scalar>(x, k = 2);", "y = f(x, k = 2); z = x;", "[y] = f(x, k = 2);"}) {
    INFO(other);
    CHECK_FALSE(same(d, parse(text(other))));
  }
}

TEST_CASE("every graph of the shared suites survives printing", "[printer]") {
  size_t checked = 0;
  for (const char* suite : {"conformance/khronos", "conformance/tract-opl", "models"}) {
    if (!test::have_shared(suite)) continue;
    for (const auto& path : test::graphs_below(test::shared_dir() / suite)) {
      INFO(path.string());
      Document first;
      REQUIRE_NOTHROW(first = parse(test::read_text(path)));
      Document second;
      REQUIRE_NOTHROW(second = parse(print(first)));
      REQUIRE(same(first, second));
      ++checked;
    }
    CHECK(checked > 0);
  }
}
