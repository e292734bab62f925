// docs/nnef-support.md holds the tables that the program makes, and an answer to every entry of the register
// of ambiguities.
#include <catch2/catch.hpp>

#include "tests/cli/command.h"

using namespace nnefrun;
using namespace nnefrun::test;

namespace {

const std::string kDocument = std::string(NNEFRUN_SOURCE_DIR) + "/docs/nnef-support.md";

}  // namespace

TEST_CASE("docs/nnef-support.md holds the tables of `nnefrun ops --markdown`", "[cli]") {
  const std::string text = read_whole_file(kDocument);
  const size_t begin = text.find("<!-- operations: begin"), end = text.find("<!-- operations: end");
  REQUIRE(begin != std::string::npos);
  REQUIRE(end != std::string::npos);
  const size_t first = text.find('\n', begin) + 1;
  const Outcome made = Desk().run({"ops", "--markdown"});
  REQUIRE(made.status == 0);
  INFO("docs/update_nnef_support.sh writes them");
  const bool equal = text.substr(first, end - first) == made.out;
  CHECK(equal);
}

TEST_CASE("docs/nnef-support.md answers every entry of the register", "[cli]") {
  const std::string text = read_whole_file(kDocument);
  constexpr int kEntries = 48;  // of the register in the reference of NNEF 1.0
  for (int entry = 1; entry <= kEntries; ++entry) {
    const std::string row = "\n| A" + std::to_string(entry) + " | ";
    INFO(row);
    const size_t at = text.find(row);
    REQUIRE(at != std::string::npos);
    CHECK(text.find(row, at + 1) == std::string::npos);
    const std::string line = text.substr(at + 1, text.find('\n', at + 1) - at - 1);
    CHECK(std::count(line.begin(), line.end(), '|') >= 4);
    CHECK(line.size() > row.size() + 20);
  }
}
