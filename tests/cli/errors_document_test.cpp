// docs/errors.md lists exactly the error codes of the sources.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "tests/temporary_folder.h"

namespace {

using namespace nnefrun;

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_code(const std::string& text) {
  return !text.empty() && std::islower(static_cast<unsigned char>(text[0])) != 0 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}
size_t skip_space(const std::string& text, size_t at) {
  while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at])) != 0) ++at;
  return at;
}

// The codes in calls such as Error("code", ...), fail(call, "code", ...) and report(b ? "code" : "other",
// ...).
void collect(const std::string& text, const std::string& function, std::set<std::string>& codes) {
  for (size_t at = text.find(function + "("); at != std::string::npos;
       at = text.find(function + "(", at + 1)) {
    if (at > 0 && is_word(text[at - 1])) continue;
    size_t quote = at + function.size() + 1;
    const auto may_precede = [](char c) {
      return is_word(c) || std::isspace(static_cast<unsigned char>(c)) != 0 ||
             std::string_view(".,->*&[]?:").find(c) != std::string_view::npos;
    };
    while (quote < text.size() && may_precede(text[quote])) ++quote;
    while (quote < text.size() && text[quote] == '"') {
      const size_t end = text.find('"', quote + 1);
      if (end == std::string::npos) break;
      const std::string code = text.substr(quote + 1, end - quote - 1);
      const size_t next = skip_space(text, end + 1);
      if (next >= text.size() || !is_code(code) || (text[next] != ',' && text[next] != ':')) break;
      codes.insert(code);
      if (text[next] == ',') break;
      quote = skip_space(text, next + 1);
    }
  }
}

std::string all_sources(std::set<std::string>& codes) {
  std::string all;
  for (const std::string room : {"base", "io", "nnef_parser", "quant", "engine", "cli"}) {
    const auto folder = std::filesystem::path(NNEFRUN_SOURCE_DIR) / room;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cpp" && extension != ".h") continue;
      const std::string text = read_whole_file(entry.path().string());
      for (const std::string function : {"Error", "error", "fail", "fail_at", "report"})
        collect(text, function, codes);
      all += text;
    }
  }
  return all;
}

// code -> example
std::map<std::string, std::string> documented(std::vector<std::string>& repeated) {
  std::map<std::string, std::string> rows;
  std::istringstream lines(read_whole_file(std::string(NNEFRUN_SOURCE_DIR) + "/docs/errors.md"));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("| `", 0) != 0) continue;
    const std::string code = line.substr(3, line.find('`', 3) - 3);
    const size_t example = line.find("| `` ");
    const std::string text = example == std::string::npos ? "" : line.substr(example + 5);
    if (!rows.emplace(code, text.substr(0, text.rfind(" `` |"))).second) repeated.push_back(code);
  }
  return rows;
}

}  // namespace

TEST_CASE("docs/errors.md lists every error code once, with an example", "[cli]") {
  std::set<std::string> codes;
  const std::string sources = all_sources(codes);
  REQUIRE(codes.size() > 100);
  std::vector<std::string> repeated, missing, stale, without_example;
  const auto rows = documented(repeated);
  for (const std::string& code : codes) {
    if (rows.count(code) == 0) missing.push_back(code);
  }
  for (const auto& row : rows) {
    if (sources.find('"' + row.first + '"') == std::string::npos) stale.push_back(row.first);
    if (row.second.size() < 8) without_example.push_back(row.first);
  }
  CHECK(missing == std::vector<std::string>{});  // add a line to docs/errors.md
  CHECK(stale == std::vector<std::string>{});    // no source has these any more
  CHECK(repeated == std::vector<std::string>{});
  CHECK(without_example == std::vector<std::string>{});
}
