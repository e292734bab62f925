// The graph.nnef files of the shared suites, for tests that want many real texts. The suites are not part of
// the project.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace nnefrun::test {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

inline std::filesystem::path shared_dir() { return NNEFRUN_SHARED_DIR; }

// Whether the suites are there; says so on standard output when they are not.
inline bool have_shared(const std::string& what) {
  if (std::filesystem::exists(shared_dir() / what)) return true;
  std::cout << "MISSING: " << (shared_dir() / what).string() << " is not there, nothing of it was checked\n";
  return false;
}

inline std::vector<std::filesystem::path> graphs_below(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename() == "graph.nnef") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace nnefrun::test
