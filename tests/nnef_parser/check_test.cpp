#include "nnef_parser/check.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "nnef_parser/parser.h"
#include "tests/nnef_parser/recording_sink.h"
#include "tests/nnef_parser/shared_files.h"

using namespace nnefrun;
using nlohmann::json;

namespace {

Dialect dialect_of(const std::string& name) {
  return name == "khronos" ? Dialect::khronos : name == "tract" ? Dialect::tract : Dialect::automatic;
}

// What parsing, checking and, when nothing was found, expanding say.
std::string findings(const std::filesystem::path& path, Dialect dialect) {
  std::string out;
  try {
    ParseOptions options;
    options.dialect = dialect;
    const Document document = parse_document(test::read_text(path), "graph.nnef", options);
    for (const Error& error : check(document)) out += error.render();
    if (!out.empty()) return out;
    test::RecordingSink sink;
    sink.record = false;
    sink.creates_symbols = sink.knows_shapes = true;
    expand(document, sink);
  } catch (const Error& error) {
    out += error.render();
  }
  return out;
}

}  // namespace

TEST_CASE("all findings come in one pass, in the order of the text, up to a limit", "[check]") {
  const std::string text =
      "version 1.0;\ngraph G(x, z) -> (y, w)\n{\n    a = add(ghost, 1);\n    b = frob(a);\n    x = relu(b, "
      "slope = 1);\n}\n";
  ParseOptions options;
  options.dialect = Dialect::khronos;
  const Document document = parse_document(text, "graph.nnef", options);
  const std::vector<Error> found = check(document);
  std::string codes;
  for (const Error& error : found) codes += std::to_string(error.where().line) + " " + error.code() + "\n";
  CHECK(codes ==
        "2 parameter-not-external\n2 unassigned-parameter\n2 unassigned-result\n2 unassigned-result\n"
        "4 unknown-identifier\n4 type-mismatch\n5 unknown-operation\n6 unknown-argument\n");
  CheckOptions few;
  few.max_findings = 3;
  CHECK(check(document, few).size() == 3);
}

TEST_CASE("the conformance suite: strictly nothing to find, lenient rows are refused", "[check]") {
  if (!test::have_shared("conformance/khronos/manifest.json")) return;
  const auto folder = test::shared_dir() / "conformance/khronos";
  const json rows = json::parse(test::read_text(folder / "manifest.json"));
  // Rows whose fault is a shape or a data file, which a text alone does not show.
  const std::set<std::string> beyond = {"conv/bias_rank1", "lenient/bias_of_rank_1",
                                        "variable/gap_of_four_bytes"};
  size_t strict = 0, lenient = 0;
  for (const json& row : rows) {
    const std::string id = row.at("id");
    INFO(id);
    const auto path = folder / id / "model/graph.nnef";
    CHECK(findings(path, Dialect::automatic) == "");
    const std::string found = findings(path, Dialect::khronos);
    if (!row.value("lenient", false)) {
      CHECK(found == "");
      ++strict;
    } else if (!beyond.count(id)) {
      CHECK(found.find("graph.nnef:") != std::string::npos);
      ++lenient;
    }
  }
  CHECK(strict > 700);
  CHECK(lenient > 5);
}

TEST_CASE("the bad inputs: whatever a text shows is found where it is", "[check]") {
  if (!test::have_shared("bad-input/manifest.json")) return;
  const auto folder = test::shared_dir() / "bad-input";
  const json rows = json::parse(test::read_text(folder / "manifest.json"));
  size_t syntax = 0, others = 0;
  for (const json& row : rows) {
    const auto path = folder / row.at("file").get<std::string>() / "graph.nnef";
    if (row.contains("model") || !std::filesystem::exists(path)) continue;
    INFO(row.at("file"));
    const std::string found = findings(path, dialect_of(row.at("dialect")));
    if (row.at("expect") == "ok") {
      CHECK(found == "");
      continue;
    }
    // Only faults of shapes and of data files may pass here.
    const bool is_syntax = row.at("class") == "syntax";
    if (is_syntax) {
      CHECK(found != "");
      ++syntax;
    }
    if (found.empty()) continue;
    for (const json& word : row.at("must_mention")) {
      INFO(found);
      CHECK(found.find(word.get<std::string>()) != std::string::npos);
    }
    ++others;
  }
  CHECK(syntax > 50);
  CHECK(others > 100);
}

TEST_CASE("tract's suite gives no findings", "[check]") {
  for (const char* suite : {"conformance/tract-opl"}) {
    if (!test::have_shared(suite)) continue;
    size_t count = 0;
    for (const auto& path : test::graphs_below(test::shared_dir() / suite)) {
      INFO(path.string());
      CHECK(findings(path, Dialect::automatic) == "");
      ++count;
    }
    CHECK(count > 100);
  }
}
