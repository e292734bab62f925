// Suites of conformance cases: a folder with a manifest.json, or one whose folders hold a model.json.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "io/npz.h"

namespace nnefrun::test {

// One number for all results, or one for each by name (others: 0).
class Tolerance {
 public:
  explicit Tolerance(double all = 0) : all_(all) {}
  explicit Tolerance(std::map<std::string, double> by_result)
      : by_name_(true), by_result_(std::move(by_result)) {}
  double of(const std::string& result) const;

 private:
  double all_ = 0;
  bool by_name_ = false;
  std::map<std::string, double> by_result_;
};

struct Case {
  std::string id;
  std::string dialect;
  std::string model;  // path of the archive or folder
  // Paths of inputs and expected outputs. inputs may be missing on disk: a model without externals.
  std::vector<std::pair<std::string, std::string>> pairs;
  Tolerance atol, rtol, outliers;
  bool one_session = false;  // the pairs are consecutive runs of one session, which keeps its state
  bool lenient = false;      // the text breaks the standard: strict reading must refuse it
};

// Throws std::runtime_error for a manifest that cannot be read.
std::vector<Case> load_suite(const std::filesystem::path& folder);

// "" when they agree, else the reason. All of `want` must be in `got`, with equal dtype and shape; an item of
// floating point agrees when |got - want| <= atol + rtol * |want|, or both are NaN, or both are equal;
// integers may differ by atol.
std::string compare(const NamedTensors& got, const NamedTensors& want, const Case& c);

}  // namespace nnefrun::test
