#include "nnef_parser/expand.h"

#include <catch2/catch.hpp>

#include "nnef_parser/parser.h"
#include "tests/nnef_parser/recording_sink.h"
#include "tests/nnef_parser/shared_files.h"

using namespace nnefrun;
using test::RecordingSink;

namespace {

Document parse(const std::string& text, Dialect dialect = Dialect::automatic) {
  ParseOptions options;
  options.dialect = dialect;
  return parse_document(text, "graph.nnef", options);
}

const std::string kHead =
    "version 1.0;\nextension KHR_enable_fragment_definitions, KHR_enable_operator_expressions;\n";

// The operations of a graph `G(x) -> (y)` whose body follows `x = external(...)`.
std::string operations(const std::string& fragments, const std::string& body,
                       std::set<std::string, std::less<>> inlined = {}) {
  const Document d =
      parse(kHead + fragments + "\ngraph G(x) -> (y) { x = external(shape = [2,3]); " + body + " }");
  RecordingSink sink;
  sink.inlined = std::move(inlined);
  expand(d, sink);
  sink.lines.erase(sink.lines.begin());  // the external, %1
  return sink.text();
}

// The value of an attribute expression, in a fragment that has the parameters of the conformance suite.
std::string evaluated(const std::string& expression) {
  const Document d = parse(kHead +
                           "fragment f(a: tensor<scalar>, k: integer[] = [3,1,2], n: integer = 7, s: "
                           "string = 'word', t: logical = "
                           "true, r: scalar = 2.5, none: integer[] = []) -> (b: tensor<scalar>) { v = " +
                           expression +
                           "; b = pad(a, padding = [], border = v); }\ngraph G(x) -> (y) { x = "
                           "external(shape = [2]); y = f(x); }");
  struct ValueSink : RecordingSink {
    std::string value;
    std::vector<Value> invoke(const PrimitiveCall& call) override {
      if (call.name == "pad") value = call.argument("border").to_string();
      return RecordingSink::invoke(call);
    }
  } sink;
  expand(d, sink);
  return sink.value;
}

// "code: message (place)" of the error that the expansion ends with.
std::string error_of(const std::string& text, Dialect dialect = Dialect::automatic,
                     ExpandOptions options = {}) {
  RecordingSink sink;
  sink.record = false;
  try {
    const Document d = parse(text, dialect);
    expand(d, sink, options);
  } catch (const Error& error) {
    std::string out = error.code() + ": " + error.message();
    if (error.where()) out += " (" + error.where().to_string() + ")";
    for (const auto& frame : error.call_chain()) out += " " + frame;
    return out;
  }
  return "no error";
}
std::string evaluation_error(const std::string& expression) {
  return error_of(kHead +
                      "fragment f(a: tensor<scalar>, k: integer[] = [1,2,3], n: integer = 0) -> (b: "
                      "tensor<scalar>)\n{\nb = a * " +
                      expression + ";\n}\ngraph G(x) -> (y) { x = external(shape = [2]); y = f(x); }",
                  Dialect::khronos);
}

}  // namespace

TEST_CASE("a flat graph arrives as it is written", "[expand]") {
  CHECK(operations("", "a, b = moments(x, axes = [1]); [c, y] = split(a, axis = 0, ratios = [1,1]);") ==
        "%2 a, %3 b = moments(input = %1, axes = [1])\n"
        "%4 c, %5 y = split(value = %2, axis = 0, ratios = [1, 1])\n");
  CHECK(operations("", "y = conv(x, x, groups = 2);") ==
        "%2 y = conv(input = %1, filter = %1, bias = 0.0, border = 'constant', padding = [], stride = [], "
        "dilation = [], "
        "groups = 2)\n");
}

TEST_CASE("operators on tensors are operations, the outermost has the name", "[expand]") {
  CHECK(
      operations("", "y = -x + 3.0 * x ^ 2.0;") ==
      "%2 = neg(x = %1)\n%3 = pow(x = %1, y = 2.0)\n%4 = mul(x = 3.0, y = %3)\n%5 y = add(x = %2, y = %4)\n");
  CHECK(operations("", "y = !(x > 0.0) && true;") ==
        "%2 = gt(x = %1, y = 0.0)\n%3 = not(x = %2)\n%4 y = and(x = %3, y = true)\n");
  CHECK(operations("", "y = true || x > 9.0 && false;") ==
        "%2 = gt(x = %1, y = 9.0)\n%3 = or(x = true, y = %2)\n%4 y = and(x = %3, y = false)\n");
  CHECK(operations("", "y = x + 1;") == "%2 y = add(x = %1, y = 1.0)\n");
}

TEST_CASE("a standard operation without a row is inlined, names follow", "[expand]") {
  CHECK(operations("", "y = softmax(x);", {"softmax"}) ==
        "%2 y_m = max_reduce(input = %1, axes = [1])\n"
        "%3 = sub(x = %1, y = %2)\n"
        "%4 y_e = exp(x = %3)\n"
        "%5 = sum_reduce(input = %4, axes = [1], normalize = false)\n"
        "%6 y = div(x = %4, y = %5)\n");
  CHECK(operations("", "y = relu(leaky_relu(x, alpha = 0.5));", {"leaky_relu", "prelu"}) ==
        "%2 = lt(x = %1, y = 0.0)\n%3 = mul(x = 0.5, y = %1)\n"
        "%4 = select<scalar>(condition = %2, true_value = %3, false_value = %1)\n%5 y = relu(x = %4)\n");
}

TEST_CASE("a fragment of the document wins, unless it is the standard one", "[expand]") {
  const std::string own = "fragment gelu(x: tensor<scalar>) -> (y: tensor<scalar>) { y = x * 2.0; }";
  CHECK(operations(own, "y = gelu(x);") == "%2 y = mul(x = %1, y = 2.0)\n");
  // Other names of result and locals are no difference.
  const std::string same =
      "fragment silu(x: tensor<scalar>) -> (out: tensor<scalar>) { out = x * sigmoid(x); }";
  CHECK(operations(same, "y = silu(x);") == "%2 y = silu(x = %1)\n");
  CHECK(operations(same, "y = silu(x);", {"silu"}) == "%2 = sigmoid(x = %1)\n%3 y = mul(x = %1, y = %2)\n");
  // But an operation below it that is the document's own is one.
  const std::string below =
      same + "fragment sigmoid(x: tensor<scalar>) -> (y: tensor<scalar>) { y = x + 1.0; }";
  CHECK(operations(below, "y = silu(x);") == "%2 = add(x = %1, y = 1.0)\n%3 y = mul(x = %1, y = %2)\n");
}

TEST_CASE("a fragment's names do not leak into the standard library", "[expand]") {
  // prelu of the standard uses select; the document's own `select` is not meant there.
  const std::string own =
      "fragment mul(x: tensor<scalar>, y: tensor<scalar>) -> (z: tensor<scalar>) { z = x; }";
  CHECK(operations(own, "y = rms_pool(x, size = [1,1]);", {"rms_pool"}).find("avg_pool") !=
        std::string::npos);
  CHECK(operations(own, "y = x * 2.0;") == "%2 y = mul(x = %1, y = 2.0)\n");
}

TEST_CASE("results of fragments carry the names of the call", "[expand]") {
  CHECK(operations("fragment f(a: tensor<scalar>) -> (b: tensor<scalar>, c: tensor<scalar>) { t = exp(a); c "
                   "= t * 2.0; b = c + 1.0; }",
                   "y, z = f(x);") ==
        "%2 y_t = exp(x = %1)\n%3 z = mul(x = %2, y = 2.0)\n%4 y = add(x = %3, y = 1.0)\n");
  CHECK(operations("fragment f(a: tensor<scalar>) -> (b: tensor<scalar>[]) { b = [a, a * 2.0, exp(a)]; }",
                   "[u, v, y] = f(x);") == "%2 v = mul(x = %1, y = 2.0)\n%3 y = exp(x = %1)\n");
  CHECK(operations("", "[y, z] = copy_n(x, times = 2);", {"copy_n"}) ==
        "%2 y = copy<scalar>(x = %1)\n%3 z = copy<scalar>(x = %1)\n");
  CHECK(operations("", "[(a, b), (c, d)] = [(x, -x), (x * 3.0, x)]; y = a + d;") ==
        "%2 b = neg(x = %1)\n%3 c = mul(x = %1, y = 3.0)\n%4 y = add(x = %1, y = %1)\n");
}

TEST_CASE("attributes are computed", "[expand]") {
  CHECK(evaluated("2 + 3 * 4 - 1") == "13");
  CHECK(evaluated("n / 2") == "3");
  CHECK(evaluated("(0 - n) / 2") == "-3");
  CHECK(evaluated("2 ^ 3 ^ 2") == "64");
  CHECK(evaluated("-2.0 ^ 2.0") == "4.0");
  CHECK(evaluated("-2.0 + 3.0") == "1.0");
  CHECK(evaluated("-n + 9") == "2");
  CHECK(evaluated("+n") == "7");
  CHECK(evaluated("r * 2.0 - 1.0 / 4.0") == "4.75");
  CHECK(evaluated("true || false && false") == "false");
  CHECK(evaluated("!t || true") == "true");
  CHECK(evaluated("1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3 && 1 == 1 && 1 != 2") == "true");
  CHECK(evaluated("1 + 1 in k") == "true");
  CHECK(evaluated("s in ['a', 'word']") == "true");
  CHECK(evaluated("[1,2] in [[1],[1,2]]") == "true");
  CHECK(evaluated("s == 'word' && s != 'sword' && t == true") == "true");
  CHECK(evaluated("(k * 2)[4]") == "1");
  CHECK(evaluated("length_of(k * 0) + length_of([] + k) + length_of('ab' * 3)") == "9");
  CHECK(evaluated("length_of('it\\'s') * 10 + length_of(\"a\\\\b\")") == "43");
  CHECK(evaluated("s[1:3]") == "'or'");
  CHECK(evaluated("s[0] + s[3]") == "'wd'");
  CHECK(evaluated("k[:2][1] + length_of(k[:]) + length_of(k[2:1]) + length_of(k[9:2]) + length_of(k[3:])") ==
        "4");
  CHECK(evaluated("range_of(s)[3]") == "3");
  CHECK(evaluated("[for i in k, j in range_of(k) yield i * j][2]") == "4");
  CHECK(evaluated("length_of([for i in k if i > 1 yield i])") == "2");
  CHECK(evaluated("[for i in (k if t else [1]) yield [for j in k yield i + j]][1][2]") == "3");
  CHECK(evaluated("k[99] if n < 3 else 4") == "4");
  CHECK(evaluated("1 if n < 3 else 2 if n < 5 else 3") == "3");
  CHECK(evaluated("integer(0.0 - 2.7)") == "-2");
  CHECK(evaluated("integer('12') + integer(t) + integer(true)") == "14");
  CHECK(evaluated("scalar('2.5') + scalar(n) + scalar('-1e1')") == "-0.5");
  CHECK(evaluated("string(1.5) + string(12) + string(t)") == "'1.512true'");
  CHECK(evaluated("logical('') || logical(0.0) || logical(0)") == "false");
  CHECK(evaluated("(1, 2.5)[1]") == "2.5");
  CHECK(evaluated("k[-1]") == "2");
  CHECK(evaluated("1 + 0.5") == "1.5");
}

TEST_CASE("what cannot be computed is an error at its place", "[expand]") {
  CHECK(evaluation_error("scalar(1 / n)") ==
        "division-by-zero: 1 / 0: an integer is divided by zero (graph.nnef:5:18) in fragment `f` called at "
        "graph.nnef:7:52");
  CHECK(
      evaluation_error("scalar(k[3])")
          .find("index-out-of-range: the subscript 3 is out of range: there are 3 items (graph.nnef:5:18)") ==
      0);
  CHECK(evaluation_error("scalar(k[-1])").find("index-out-of-range: the subscript -1") == 0);
  CHECK(evaluation_error("scalar(length_of(k[1:9]))")
            .find("index-out-of-range: the end of the range 9 is out of range") == 0);
  CHECK(evaluation_error("scalar(9223372036854775807 + 1)")
            .find("integer-overflow: 9223372036854775807 + 1 ") == 0);
  CHECK(evaluation_error("scalar(7 ^ 100)").find("integer-overflow: 7 ^ 100 ") == 0);
  CHECK(evaluation_error("scalar(2 ^ (0 - 1))").find("integer-overflow: 2 ^ -1") == 0);
  CHECK(evaluation_error("scalar(integer('12abc'))").find("invalid-cast: integer('12abc')") == 0);
  CHECK(evaluation_error("scalar(integer('9223372036854775808'))").find("invalid-cast") == 0);
  CHECK(evaluation_error("scalar(integer(1e300))").find("integer-overflow") == 0);
  CHECK(evaluation_error("scalar(length_of([for i in k, j in [1,2] yield i]))")
            .find("length-mismatch: arrays that are walked in parallel need equal lengths: `i` walks over 3 "
                  "items, `j` over 2") == 0);
  CHECK(evaluation_error("scalar(1 + 2.0)")
            .find("type-mismatch: the operator `+` takes no integer 1 and the scalar 2.0") == 0);
  CHECK(evaluation_error("scalar(1 if a else 2)").find("type-mismatch: the condition is a tensor") == 0);
  CHECK(evaluation_error("ghost").find(
            "unknown-identifier: `ghost` is used before anything is assigned to it (graph.nnef:5:9)") == 0);
  CHECK(evaluation_error("shape_of(a)").find("shape-of-removed") == 0);
  CHECK(evaluation_error("scalar(length_of([1] * 1000000000000))").find("expansion-limit") == 0);
  CHECK(evaluation_error("scalar(length_of('x' * 100000000000))").find("expansion-limit") == 0);
  CHECK(evaluation_error("scalar(length_of([1,2] * 9223372036854775807))").find("expansion-limit") == 0);
  CHECK(evaluation_error("scalar(length_of([1] * (0 - 2)))").find("index-out-of-range") == 0);
}

TEST_CASE("calls that do not fit their declaration", "[expand]") {
  const auto call = [](const std::string& line) {
    return error_of("version 1.0;\ngraph G(x) -> (y)\n{\nx = external(shape = [2]);\n" + line + "\n}\n");
  };
  CHECK(call("y = frobnicate(x);") ==
        "unknown-operation: `frobnicate` is neither a standard operation nor a fragment of the document "
        "(graph.nnef:5:5)");
  CHECK(call("y = add(x);") == "missing-argument: add: the argument `y` is missing (graph.nnef:5:5)");
  CHECK(call("y = neg(x, x);") == "too-many-arguments: neg takes 1 argument, found 2 (graph.nnef:5:12)");
  CHECK(call("y = relu(x, slope = 0.1);") ==
        "unknown-argument: relu has no parameter `slope` (graph.nnef:5:13)");
  CHECK(call("y = softmax(x, axes = [1], axes = [0]);") ==
        "duplicate-argument: softmax: the argument `axes` is given twice (graph.nnef:5:28)");
  CHECK(call("y = add(x = x, 1.0);") ==
        "positional-after-named: add: a positional argument follows a named one (graph.nnef:5:16)");
  CHECK(call("[y, z] = [x];") == "length-mismatch: the left side has 2 names for 1 values (graph.nnef:5:1)");
  CHECK(call("[y, z] = x;") ==
        "type-mismatch: the left side lists the items of an array, the value is a tensor (graph.nnef:5:1)");
  CHECK(call("z = copy(x);") ==
        "unassigned-result: the graph's result `y` is never assigned (graph.nnef:2:16)");
}

TEST_CASE("expansion ends", "[expand]") {
  const std::string graph = "graph G(x) -> (y) { x = external(shape = [2]); y = ";
  CHECK(error_of(kHead + "fragment f(a: tensor<scalar>) -> (b: tensor<scalar>) { b = f(a) + 1.0; }" + graph +
                 "f(x); }")
            .find("recursion-limit: fragment calls are nested deeper than 256: does `f` call itself without "
                  "an end?") == 0);
  CHECK(error_of(kHead +
                 "fragment f(a: tensor<scalar>) -> (b: tensor<scalar>) { b = g(a); }"
                 "fragment g(a: tensor<scalar>) -> (b: tensor<scalar>) { b = f(a); }" +
                 graph + "f(x); }")
            .find("recursion-limit") == 0);
  CHECK(error_of(kHead + "fragment f(a: tensor<scalar>[]) -> (b: tensor<scalar>) { b = f(a + a); }" + graph +
                 "f([x]); }")
            .find("expansion-limit") == 0);
  std::string doubling = kHead + "fragment f0(a: tensor<scalar>) -> (b: tensor<scalar>) { b = neg(a); }";
  for (int i = 1; i <= 40; ++i) {
    doubling += "fragment f" + std::to_string(i) + "(a: tensor<scalar>) -> (b: tensor<scalar>) { b = f" +
                std::to_string(i - 1) + "(f" + std::to_string(i - 1) + "(a)); }";
  }
  const std::string error = error_of(doubling + graph + "f40(x); }");
  CHECK(error.find("expansion-limit: the document expands to more than 150000 operations") == 0);
  CHECK(error.find("in fragment `f40` called at") != std::string::npos);
  // Deep evaluation is bounded before the stack is.
  std::string nested = "v";
  for (int i = 0; i < 200; ++i) nested = "[" + nested + "]";
  CHECK(error_of(kHead + "fragment f(v: integer[]) -> (b: tensor<scalar>) { b = f(v = " + nested + "); }" +
                 graph + "f(v = [1]); }")
            .find("recursion-limit") == 0);
}

TEST_CASE("recursion that ends works, and so does a long chain", "[expand]") {
  CHECK(operations("fragment power(a: tensor<scalar>, n: integer) -> (b: tensor<scalar>) { b = a * power(a, "
                   "n = n - 1) if n > 0 else 1.0; }",
                   "y = power(x, n = 2);") == "%2 = mul(x = %1, y = 1.0)\n%3 y = mul(x = %1, y = %2)\n");
  CHECK(operations("", "y = add_n([x, x, x]);", {"add_n"}) ==
        "%2 = add(x = %1, y = %1)\n%3 y = add(x = %1, y = %2)\n");
  std::string sum = "x";
  for (int i = 0; i < 20000; ++i) sum += " + x";
  const std::string text = operations("", "y = " + sum + ";");
  CHECK(std::count(text.begin(), text.end(), '\n') == 20000);
}

TEST_CASE("`?` is written, inherited, defaulted or deduced", "[expand]") {
  CHECK(operations("", "y = constant(shape = [1], value = [2]);") ==
        "%2 y = constant<scalar>(shape = [1], value = [2.0])\n");
  CHECK(operations("", "y = cast<integer>(x);") == "%2 y = cast<integer>(input = %1)\n");
  CHECK(operations("", "y = copy(x);") == "%2 y = copy<scalar>(x = %1)\n");
  CHECK(operations("", "y = select(true, x, 0);") ==
        "%2 y = select<scalar>(condition = true, true_value = %1, false_value = 0.0)\n");
  CHECK(operations("fragment f<? = integer>(v: ?[]) -> (b: tensor<?>) { b = constant<?>(shape = "
                   "[length_of(v)], value = v); }",
                   "z = f(v = [1,2]); y = f<scalar>(v = [1.5]);") ==
        "%2 z = constant<integer>(shape = [2], value = [1, 2])\n%3 y = constant<scalar>(shape = [1], value = "
        "[1.5])\n");
  CHECK(operations("fragment g<?>(a: tensor<?>) -> (b: tensor<?>) { b = copy<?>(a); }"
                   "fragment f<?>(a: tensor<?>) -> (b: tensor<?>) { b = g<?>(a); }",
                   "i = constant<integer>(shape = [1], value = [1]); y = f(i);") ==
        "%2 i = constant<integer>(shape = [1], value = [1])\n%3 y = copy<integer>(x = %2)\n");
}

TEST_CASE("errors of the sink get place and chain", "[expand]") {
  const Document d =
      parse(kHead +
            "fragment stem(a: tensor<scalar>) -> (b: tensor<scalar>)\n{\n    b = relu(conv(a, a));\n}\n"
            "graph G(x) -> (y)\n{\n    x = external(shape = [2]);\n    y = softmax(stem(x));\n}\n");
  RecordingSink sink;
  sink.fails_at = "conv";
  try {
    expand(d, sink);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.where().to_string() == "graph.nnef:5:14");
    REQUIRE(error.call_chain().size() == 1);
    CHECK(error.call_chain()[0] == "in fragment `stem` called at graph.nnef:10:17");
  }
  // Inside of the standard library the document's call is the place.
  RecordingSink inner;
  inner.inlined = {"softmax"};
  inner.fails_at = "sum_reduce";
  try {
    expand(d, inner);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.where().to_string() == "graph.nnef:10:9");
    REQUIRE(error.call_chain().size() == 1);
    CHECK(error.call_chain()[0] == "in operation `softmax` called at graph.nnef:10:9");
  }
}

TEST_CASE("tract's dialect: symbols, optional arguments, matching of arguments", "[expand]") {
  const Document d = parse(
      "version 1.0;\nextension tract_registry tract_core;\nextension tract_symbol S;\nextension tract_assert "
      "S >= 1;\n"
      "fragment double(a: tensor<scalar>) -> (b: tensor<scalar>) { t = mul(a, 2.0); b = t; }\n"
      "graph G(x) -> (y) {\n x = tract_core_external(shape = [S, 2], datum_type = 'f32');\n"
      "x = sub(y = x, x = 1.0);\n"
      "h, c = tract_core_lstm_epilogue(x, hidden = 4, c_prev = x);\n"
      "z = tract_core_cast(h);\n"
      "w = tract_core_stft(z, axis = 0, frame = 4, stride = 2, window = false, mystery = 3);\n"
      "u = double(w);\n"
      "p, q = tract_core_scan(body = 'double', scan = [('a', u, 0, 1)], full = [], state = [], output = "
      "[('b', 'full', 0, 1), ('b', 'last', 0, 1)]);\n"
      "y = tract_core_submodel([p], label = 'm'); }\n");
  RecordingSink sink;
  const std::vector<Value> results = expand(d, sink);
  CHECK(sink.extensions ==
        std::vector<std::string>{"tract_registry tract_core", "tract_symbol S", "tract_assert S >= 1"});
  CHECK(sink.text() ==
        "%2 x = tract_core_external(shape = [%1, 2], datum_type = 'f32')\n"
        "%3 x = sub(x = %2, y = 1.0)\n"
        "%4 h, %5 c = tract_core_lstm_epilogue(preact = %3, c_prev = %3, hidden = 4)\n"
        "%6 z = tract_core_cast(input = %4)\n"
        "%7 w = tract_core_stft(input = %6, axis = 0, frame = 4, stride = 2, +mystery = 3)\n"
        "%8 u_t = mul(x = %7, y = 2.0)\n"
        "%9 p, %10 q = tract_core_scan(body = 'double', scan = [('a', %8, 0, 1)], full = [], state = [], "
        "output = [('b', "
        "'full', 0, 1), ('b', 'last', 0, 1)], skip = 0, reset_every_turn = 0, external_state = 0)\n"
        "%11 y = tract_core_submodel(input = [%9], label = 'm')\n");
  CHECK(sink.assignments ==
        std::vector<std::string>{"x", "x", "h", "c", "z", "w", ".t", ".b", "u", "p", "q", "y"});
  REQUIRE(results.size() == 1);
  CHECK(results[0].is_wire());
}

TEST_CASE("undeclared symbols are only made up where tract does", "[expand]") {
  const std::string head =
      "version 1.0;\nextension tract_registry tract_core;\ngraph G(x) -> (y) {\nx = external(shape = [";
  RecordingSink sink;
  sink.creates_symbols = true;
  const Document good = parse(head + "Q * 2]); y = slice(x, axes = [0], begin = [1], end = [R]); }");
  CHECK_NOTHROW(expand(good, sink));
  const Document bad = parse(head + "2]);\n y = reshape(x, shape = [Q, 2]); }");
  RecordingSink other;
  other.creates_symbols = true;
  try {
    expand(bad, other);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == "unknown-identifier");
    CHECK(error.where().to_string() == "graph.nnef:5:26");
  }
}

TEST_CASE("what the sink knows of wires is used", "[expand]") {
  const Document d = parse(
      "version 1.0;\nextension tract_registry tract_core;\ngraph G(x) -> (y) {\nx = external(shape = [2]);\n"
      "s = tract_core_shape_of(x);\n a, b = s; c = s[1] + 1; y = reshape(x, shape = [s[0], c] * s[1]) if "
      "s[1] > 2 else x; }\n");
  struct ShapeSink : RecordingSink {
    std::vector<Value> invoke(const PrimitiveCall& call) override {
      auto results = RecordingSink::invoke(call);
      if (call.name == "tract_core_shape_of")
        constants.emplace(results[0].as_wire().id, Value::integers({7, 3}));
      return results;
    }
  } sink;
  expand(d, sink);
  CHECK(sink.lines.back() ==
        "%3 y = reshape<scalar>(input = %1, shape = [7, 4, 7, 4, 7, 4], axis_start = 0, axis_count = -1)");
}

TEST_CASE("the sink may expand a fragment into another sink", "[expand]") {
  const Document d = parse(
      "version 1.0;\nextension tract_registry tract_core;\n"
      "fragment body(a: tensor<scalar>, k: tensor<scalar>) -> (b: tensor<scalar>, c: tensor<scalar>) { t = "
      "add(a, k); b = exp(t); c = t; }\n"
      "graph G(x) -> (y) {\nx = external(shape = [2]);\n"
      "y = tract_core_scan(body = 'body', scan = [('a', x, 0, 1)], full = [], state = [], output = []); }\n");
  struct ScanSink : RecordingSink {
    RecordingSink inner;
    std::vector<Value> invoke(const PrimitiveCall& call) override {
      if (call.name == "tract_core_scan") {
        const FragmentDefinition* body = call.expander->find_fragment(call.argument("body").as_string());
        REQUIRE(body);
        const auto results = call.expander->expand_fragment(
            *body, {Value::wire(inner.fresh()), Value::scalar(2.0)}, inner, call.where);
        CHECK(results.size() == 2);
        if (fails) throw Error("test-failure", "outer");
      }
      return RecordingSink::invoke(call);
    }
    bool fails = false;
  } sink;
  expand(d, sink);
  CHECK(sink.inner.text() == "%2 t = add(x = %1, y = 2.0)\n%3 b = exp(x = %2)\n");
  CHECK(sink.lines.size() == 2);
}

TEST_CASE("every graph of the shared suites expands", "[expand]") {
  for (const char* suite : {"conformance/khronos", "conformance/tract-opl"}) {
    if (!test::have_shared(suite)) continue;
    size_t count = 0;
    for (const auto& path : test::graphs_below(test::shared_dir() / suite)) {
      INFO(path.string());
      const Document d = parse(test::read_text(path));
      RecordingSink rows;
      rows.creates_symbols = rows.knows_shapes = true;
      CHECK_NOTHROW(expand(d, rows));
      // And with every compound inlined.
      RecordingSink bodies;
      bodies.creates_symbols = bodies.knows_shapes = true;
      for (const auto* fragment : list_standard(Dialect::engine)) {
        if (fragment->has_body) bodies.inlined.insert(std::string(fragment->name));
      }
      CHECK_NOTHROW(expand(d, bodies));
      ++count;
    }
    CHECK(count > 0);
  }
}
