// Who may include whom: rooms only look down. The ranks are those of docs/architecture.md.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Room {
  std::string folder;
  std::vector<std::string> may_include;  // other rooms
  std::vector<std::string> libraries;    // headers of others, by their beginning
};

const std::vector<Room>& rooms() {
  static const std::vector<Room> table = {
      // rank 0
      {"base", {}, {}},
      // rank 1
      {"io", {"base"}, {"zlib.h"}},
      {"nnef_parser", {"base", "quant"}, {"archive.h", "archive_entry.h", "zlib.h"}},
      {"quant", {"base"}, {}},
      // rank 2
      {"kernels", {"base", "quant"}, {"xsimd/"}},
      // rank 3
      {"engine/graph", {"base", "nnef_parser", "quant"}, {}},
      {"engine/runtime", {"base", "kernels"}, {}},
      // rank 4
      {"engine/rewrites",
       {"base", "nnef_parser", "quant", "kernels", "engine/graph", "engine/runtime"},
       {"Eigen/"}},
      {"engine/plan", {"base", "nnef_parser", "quant", "kernels", "engine/graph", "engine/runtime"}, {}},
      // rank 5
      {"engine/ops",
       {"base", "nnef_parser", "quant", "kernels", "engine/graph", "engine/runtime", "engine/plan"},
       {"Eigen/"}},
      // rank 6
      {"engine/import", {"base", "nnef_parser", "quant", "engine/graph", "engine/ops"}, {"nlohmann/"}},
      {"engine",
       {"base", "nnef_parser", "quant", "kernels", "engine/graph", "engine/runtime", "engine/rewrites",
        "engine/plan", "engine/ops", "engine/import"},
       {"tbb/", "oneapi/"}},
      // rank 7
      {"cli",
       {"base", "io", "nnef_parser", "quant", "kernels", "engine", "engine/graph", "engine/rewrites",
        "engine/runtime", "engine/import"},
       {"CLI/", "nlohmann/"}},
      {"bench",
       {"base", "io", "nnef_parser", "quant", "kernels", "engine"},
       {"benchmark/", "Eigen/", "CLI/", "nlohmann/"}},
  };
  return table;
}

const std::vector<std::string>& libraries() {
  static const std::vector<std::string> all = {"archive.h", "archive_entry.h", "zlib.h", "xsimd/",
                                               "Eigen/",    "nlohmann/",       "tbb/",   "oneapi/",
                                               "CLI/",      "benchmark/",      "catch2/"};
  return all;
}

bool begins_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }
bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// The deepest room that the path lies in; null when there is none.
const Room* room_of(const std::string& path) {
  const Room* best = nullptr;
  for (const Room& room : rooms()) {
    if (begins_with(path, room.folder + "/") &&
        (best == nullptr || room.folder.size() > best->folder.size())) {
      best = &room;
    }
  }
  return best;
}

// Files of engine/ops that hold rows: nobody includes their headers.
using FamilyFiles = std::set<std::string>;

// Why `path` may not include `header`, "" when it may. `quoted`: "header", else <header>.
std::string violation(const std::string& path, const std::string& header, bool quoted,
                      const FamilyFiles& families) {
  const Room* from = room_of(path);
  if (from == nullptr) return path + " lies in no room";
  if (!quoted) {
    for (const std::string& library : libraries()) {
      if (begins_with(header, library) && !contains(from->libraries, library)) {
        return path + ": <" + header + "> is not for " + from->folder;
      }
    }
    return {};
  }
  const Room* to = room_of(header);
  if (to == nullptr) return path + ": \"" + header + "\" is not written from the root, or lies in no room";
  if (to != from && !contains(from->may_include, to->folder)) {
    return path + ": \"" + header + "\": " + from->folder + " may not include " + to->folder;
  }
  if (to->folder == "engine/ops" && families.count(header) != 0) {
    return path + ": \"" + header + "\" belongs to a file of operators; what is shared has a file of its own";
  }
  return {};
}

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

const fs::path kRoot = NNEFRUN_SOURCE_DIR;

bool is_source(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".h" || extension == ".cpp" || extension == ".inc";
}

// All sources outside of tests, relative to the root.
std::vector<std::string> sources() {
  std::vector<std::string> found;
  for (const auto& top : fs::directory_iterator(kRoot)) {
    const std::string name = top.path().filename().string();
    if (!top.is_directory() || name[0] == '.' || begins_with(name, "build") || name == "tests") continue;
    for (const auto& entry : fs::recursive_directory_iterator(top.path())) {
      if (entry.is_regular_file() && is_source(entry.path())) {
        found.push_back(fs::relative(entry.path(), kRoot).generic_string());
      }
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

FamilyFiles family_files() {
  FamilyFiles headers;
  for (const auto& entry : fs::directory_iterator(kRoot / "engine/ops")) {
    if (entry.path().extension() != ".cpp") continue;
    static const std::regex defines_rows(R"(\w+_rows\(\)\s*\{)");
    if (std::regex_search(read_text(entry.path()), defines_rows)) {
      headers.insert("engine/ops/" + entry.path().stem().string() + ".h");
    }
  }
  return headers;
}

}  // namespace

TEST_CASE("the check of includes sees what is forbidden", "[structure]") {
  const FamilyFiles families = {"engine/ops/conv.h"};
  const auto allowed = [&](const char* path, const char* header) {
    return violation(path, header, true, families).empty();
  };
  CHECK(allowed("io/npy.cpp", "base/tensor.h"));
  CHECK(allowed("io/npy.cpp", "io/npy.h"));
  CHECK(allowed("engine/ops/matmul.cpp", "engine/ops/support.h"));
  CHECK(allowed("engine/session.cpp", "engine/rewrites/rewrite.h"));
  CHECK_FALSE(allowed("base/tensor.cpp", "io/npy.h"));
  CHECK_FALSE(allowed("io/npy.cpp", "nnef_parser/archive.h"));
  CHECK_FALSE(allowed("engine/runtime/steps.cpp", "engine/graph/graph.h"));
  CHECK_FALSE(allowed("engine/rewrites/axes.cpp", "engine/plan/builder.h"));
  CHECK_FALSE(allowed("engine/plan/builder.cpp", "engine/rewrites/rewrite.h"));
  CHECK_FALSE(allowed("engine/ops/matmul.cpp", "engine/rewrites/rewrite.h"));
  CHECK_FALSE(allowed("engine/ops/matmul.cpp", "engine/compiler.h"));
  CHECK_FALSE(allowed("engine/ops/matmul.cpp", "engine/ops/conv.h"));
  CHECK_FALSE(allowed("engine/ops/matmul.cpp", "support.h"));
  CHECK_FALSE(allowed("kitchen/sink.cpp", "base/tensor.h"));
  CHECK(violation("engine/ops/products.cpp", "Eigen/Core", false, families).empty());
  CHECK(violation("engine/runtime/arena.cpp", "algorithm", false, families).empty());
  CHECK_FALSE(violation("engine/runtime/arena.cpp", "Eigen/Core", false, families).empty());
  CHECK_FALSE(violation("cli/run.cpp", "archive.h", false, families).empty());
}

TEST_CASE("rooms only include what lies below them", "[structure]") {
  const FamilyFiles families = family_files();
  CHECK(families.size() >= 25);
  static const std::regex include(R"re(^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">])re");
  size_t seen = 0;
  for (const std::string& path : sources()) {
    std::istringstream text(read_text(kRoot / path));
    std::string line;
    for (int number = 1; std::getline(text, line); ++number) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) continue;
      ++seen;
      const std::string why = violation(path, match[2], match[1] == "\"", families);
      if (!why.empty()) FAIL_CHECK("line " << number << " of " << why);
      if (match[1] == "\"") {
        INFO(path << ":" << number << ": " << match[2]);
        CHECK(fs::exists(kRoot / match[2].str()));
      }
    }
  }
  CHECK(seen > 500);
}

TEST_CASE("headers are included once", "[structure]") {
  for (const std::string& path : sources()) {
    if (fs::path(path).extension() != ".h") continue;
    INFO(path);
    CHECK(read_text(kRoot / path).find("#pragma once") != std::string::npos);
  }
}
