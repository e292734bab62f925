// The texts in tests/nnef_parser/good and bad. A bad one lists at its top everything that must be found, in
// order:
//     #! dialect auto                       (khronos, strictly, where nothing else is said)
//     #! 7:11 code: message
#include <catch2/catch.hpp>

#include "nnef_parser/check.h"
#include "nnef_parser/parser.h"
#include "nnef_parser/printer.h"
#include "tests/nnef_parser/recording_sink.h"
#include "tests/nnef_parser/shared_files.h"

using namespace nnefrun;
namespace fs = std::filesystem;

namespace {

struct Text {
  std::string text;
  Dialect dialect = Dialect::khronos;
  std::string expected;
};

Text read(const fs::path& path) {
  Text result;
  result.text = test::read_text(path);
  std::istringstream lines(result.text);
  for (std::string line; std::getline(lines, line) && line.rfind("#! ", 0) == 0;) {
    line.erase(0, 3);
    if (line == "dialect auto") {
      result.dialect = Dialect::automatic;
    } else {
      result.expected += line + "\n";
    }
  }
  return result;
}

std::string line_of(const Error& error) {
  return std::to_string(error.where().line) + ":" + std::to_string(error.where().column) + " " +
         error.code() + ": " + error.message() + "\n";
}

// What parsing, checking and, when nothing was found, expanding say.
std::string findings(const std::string& text, Dialect dialect) {
  std::string out;
  try {
    ParseOptions options;
    options.dialect = dialect;
    const Document document = parse_document(text, "graph.nnef", options);
    for (const Error& error : check(document)) out += line_of(error);
    if (!out.empty()) return out;
    test::RecordingSink sink;
    sink.creates_symbols = true;
    expand(document, sink);
  } catch (const Error& error) {
    out += line_of(error);
  }
  return out;
}

std::vector<fs::path> texts(const char* folder) {
  std::vector<fs::path> paths;
  for (const auto& entry :
       fs::directory_iterator(fs::path(NNEFRUN_SOURCE_DIR) / "tests/nnef_parser" / folder)) {
    if (entry.path().extension() == ".nnef") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

TEST_CASE("bad texts give exactly their errors", "[texts]") {
  const auto paths = texts("bad");
  REQUIRE(paths.size() > 100);
  for (const auto& path : paths) {
    const Text text = read(path);
    INFO(path.filename().string());
    REQUIRE_FALSE(text.expected.empty());
    CHECK(findings(text.text, text.dialect) == text.expected);
  }
}

TEST_CASE("good texts give none, and survive printing", "[texts]") {
  const auto paths = texts("good");
  REQUIRE(paths.size() >= 8);
  for (const auto& path : paths) {
    const Text text = read(path);
    INFO(path.filename().string());
    CHECK(findings(text.text, text.dialect) == "");
    ParseOptions options;
    options.dialect = text.dialect;
    const Document document = parse_document(text.text, "graph.nnef", options);
    const std::string printed = print(document);
    INFO(printed);
    CHECK(same(document, parse_document(printed, "graph.nnef", options)));
    CHECK(findings(printed, text.dialect) == "");
  }
}
