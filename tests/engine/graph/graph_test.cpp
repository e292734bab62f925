// Names that are taken: a flat set, compared with std::set under insertions and removals in any order.
#include "engine/graph/graph.h"

#include <random>
#include <set>
#include <string>

#include <catch2/catch.hpp>

namespace nnefrun {
namespace {

TEST_CASE("names that are taken", "[graph]") {
  NameSet names;
  std::set<std::string> expected;
  CHECK_FALSE(names.contains("a"));
  names.erase("a");
  CHECK(names.size() == 0);

  std::mt19937 generator(1);
  size_t wrong = 0;
  for (int turn = 0; turn < 20000; ++turn) {
    // Many more insertions first, then many more removals.
    const bool adds = generator() % 8 < (turn < 10000 ? 6U : 2U);
    const std::string name = "name_" + std::to_string(generator() % 4000);
    if (adds) {
      names.insert(name);
      expected.insert(name);
    } else {
      names.erase(name);
      expected.erase(name);
    }
    if (names.size() != expected.size()) ++wrong;
  }
  for (int i = 0; i < 4000; ++i) {
    const std::string name = "name_" + std::to_string(i);
    if (names.contains(name) != (expected.count(name) != 0)) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a graph gives a taken name a suffix, and a freed one again", "[graph]") {
  Graph graph;
  const Fact fact = fact_of(DataType::f32, {Dim(2)});
  const Outlet x = graph.add_external(fact, "x");
  const Outlet second = graph.add_external(fact, "x");
  CHECK(graph.name_of(x) == "x");
  CHECK(graph.name_of(second) == "x_1");
  graph.rename(x, "before");
  CHECK_FALSE(graph.has_name("x"));
  graph.rename(second, "x");
  CHECK(graph.name_of(second) == "x");
  CHECK_FALSE(graph.has_name("x_1"));
  CHECK(graph.has_name("before"));
}

}  // namespace
}  // namespace nnefrun
