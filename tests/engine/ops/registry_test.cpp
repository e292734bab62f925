#include "engine/ops/registry.h"

#include <catch2/catch.hpp>
#include <set>

#include "engine/ops/lowering.h"
#include "nnef_parser/stdlib.h"

using namespace nnefrun;

TEST_CASE("every row has a name of its own, a declaration and what runs it", "[registry]") {
  std::set<std::string_view> names;
  REQUIRE(all_ops().size() > 200);
  for (const OpDef* op : all_ops()) {
    INFO(op->name);
    CHECK(names.insert(op->name).second);
    CHECK(find_op(op->name) == op);
    CHECK(op->infer != nullptr);
    CHECK(op->eval != nullptr);
    REQUIRE(find_standard(op->name, Dialect::engine) != nullptr);
    CHECK(signature_of(op).name == op->name);
    CHECK_FALSE(signature_of(op).results.empty());
  }
  CHECK(find_op("no_such_operation") == nullptr);
}

TEST_CASE("every lowering is that of a row, once", "[registry]") {
  std::set<std::string_view> names;
  for (const auto theme :
       {elementwise_lowerings(), linear_lowerings(), move_lowerings(), reduce_lowerings(), attention_lowerings(), resample_lowerings()}) {
    CHECK_FALSE(theme.empty());
    for (const Lowering& lowering : theme) {
      INFO(lowering.op);
      CHECK(names.insert(lowering.op).second);
      const OpDef* op = find_op(lowering.op);
      REQUIRE(op != nullptr);
      CHECK(op->lower == lowering.lower);
    }
  }
}

TEST_CASE("every declaration of the engine's own file has a row or a body", "[registry]") {
  // Shape arithmetic on symbols never becomes a node: engine/import/symbolic.cpp does it.
  const std::set<std::string_view> folded = {"nnefrun_floor_div", "nnefrun_ceil_div", "nnefrun_broadcast"};
  for (const StandardFile& file : standard_files(Dialect::engine)) {
    if (file.name != "engine.nnef") continue;
    CHECK_FALSE(file.fragments.empty());
    for (const FragmentDefinition* fragment : file.fragments) {
      INFO(fragment->name);
      CHECK((fragment->has_body || find_op(fragment->name) != nullptr) != (folded.count(fragment->name) != 0));
    }
  }
}
