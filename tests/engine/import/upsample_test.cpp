#include <string>

#include <catch2/catch.hpp>

#include "engine/graph/interpreter.h"
#include "engine/import/importer.h"
#include "nnef_parser/parser.h"

using namespace nnefrun;

namespace {

std::vector<float> run(const std::string& shape, const std::string& call, const std::vector<float>& x,
                       const Shape& wanted) {
  const std::string text =
      "version 1.0;\nextension tract_registry tract_core;\n"
      "graph G( x ) -> ( y )\n{\n  x = external(shape = " +
      shape + ");\n  y = " + call + ";\n}\n";
  ParseOptions options;
  options.dialect = Dialect::tract;
  const Graph graph = import_document(parse_document(text, "graph.nnef", options), {});
  const Fact& fact = graph.fact(graph.inputs[0]);
  GraphState state;
  const Tensor y = interpret(graph, {Tensor::of<float>(*fact.static_shape(), x)}, {}, state)[0];
  REQUIRE(y.shape() == wanted);
  const auto items = y.items<float>();
  return {items.begin(), items.end()};
}

}  // namespace

TEST_CASE("tract's factors belong to the last axes") {
  REQUIRE(run("[1,1,1,2]", "nearest_upsample(x, factor = [2])", {1, 2}, {1, 1, 1, 4}) ==
          std::vector<float>{1, 1, 2, 2});
  REQUIRE(run("[1,2]", "nearest_upsample(x, factor = [2])", {1, 2}, {1, 4}) ==
          std::vector<float>{1, 1, 2, 2});
  REQUIRE(run("[1,2,1]", "nearest_upsample(x, factor = [2,1])", {1, 2}, {1, 4, 1}) ==
          std::vector<float>{1, 1, 2, 2});
  REQUIRE(run("[2]", "multilinear_upsample(x, factor = [2], method = 'symmetric')", {0, 4}, {4}) ==
          std::vector<float>{0, 1, 3, 4});
  REQUIRE(run("[2]", "multilinear_upsample(x, factor = [2], method = 'asymmetric')", {0, 4}, {4}) ==
          std::vector<float>{0, 2, 4, 4});
  REQUIRE_THROWS_AS(run("[2]", "nearest_upsample(x, factor = [2,2])", {0, 4}, {4}), Error);
  REQUIRE_THROWS_AS(run("[2]", "multilinear_upsample(x, factor = [2], method = 'cubic')", {0, 4}, {4}),
                    Error);
  REQUIRE_THROWS_AS(run("[2]", "multilinear_upsample(x, factor = [2], border = 'constant')", {0, 4}, {4}),
                    Error);
}
