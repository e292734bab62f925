#include "tests/conformance/suite.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <stdexcept>

namespace nnefrun::test {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json read_json(const fs::path& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return json::parse(in);
}

Tolerance tolerance(const json& row, const char* key) {
  if (!row.contains(key) || row[key].is_null()) return Tolerance(0);
  if (row[key].is_object()) return Tolerance(row[key].get<std::map<std::string, double>>());
  return Tolerance(row[key].get<double>());
}

Case common_fields(const json& row) {
  Case c;
  c.atol = tolerance(row, "atol");
  c.rtol = tolerance(row, "rtol");
  c.outliers = tolerance(row, "outliers");
  return c;
}

// inputs.npz and outputs.npz, or inputs-K.npz and outputs-K.npz in order of K.
std::vector<std::pair<std::string, std::string>> pairs_of(const fs::path& folder) {
  if (fs::exists(folder / "outputs.npz")) {
    return {{(folder / "inputs.npz").string(), (folder / "outputs.npz").string()}};
  }
  static const std::regex numbered(R"(outputs-(\d+)\.npz)");
  std::map<long, std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    std::smatch match;
    if (std::regex_match(name, match, numbered)) found[std::stol(match[1])] = match[1];
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& item : found) {
    pairs.emplace_back((folder / ("inputs-" + item.second + ".npz")).string(),
                       (folder / ("outputs-" + item.second + ".npz")).string());
  }
  return pairs;
}

std::complex<double> item(const Tensor& tensor, int64_t i) {
  if (tensor.dtype() == DataType::complex64) {
    return {tensor.data<float>()[2 * i], tensor.data<float>()[2 * i + 1]};
  }
  if (tensor.dtype() == DataType::complex128) {
    return {tensor.data<double>()[2 * i], tensor.data<double>()[2 * i + 1]};
  }
  return tensor.as_double(i);
}

bool is_nan(const std::complex<double>& z) { return std::isnan(z.real()) || std::isnan(z.imag()); }

std::string compare_one(const std::string& name, const Tensor& got, const Tensor& want, const Case& c) {
  if (got.shape() != want.shape()) {
    return "shape " + to_string(got.shape()) + ", expected " + to_string(want.shape());
  }
  if (got.dtype() != want.dtype()) {
    return "dtype " + std::string(name_of(got.dtype())) + ", expected " + std::string(name_of(want.dtype()));
  }
  if (want.dtype() == DataType::string) {
    return got.strings() == want.strings() ? "" : "the strings differ";
  }
  const bool inexact = is_float(want.dtype()) || is_complex(want.dtype());
  const double atol = want.dtype() == DataType::boolean ? 0 : c.atol.of(name);
  const double rtol = inexact ? c.rtol.of(name) : 0;
  int64_t off = 0;
  double worst = 0;
  for (int64_t i = 0; i < want.size(); ++i) {
    const std::complex<double> a = item(got, i), b = item(want, i);
    if (a == b || (inexact && is_nan(a) && is_nan(b))) continue;
    const double delta = std::abs(a - b);
    if (delta <= atol + rtol * std::abs(b)) continue;
    ++off;
    worst = std::max(worst, std::isnan(delta) ? 0 : delta);
  }
  const auto allowed = c.outliers.of(name) * static_cast<double>(std::max<int64_t>(1, want.size()));
  if (static_cast<double>(off) <= allowed) return {};
  return std::to_string(off) + " of " + std::to_string(want.size()) + " values off, worst by " +
         std::to_string(worst);
}

}  // namespace

double Tolerance::of(const std::string& result) const {
  if (!by_name_) return all_;
  const auto found = by_result_.find(result);
  return found == by_result_.end() ? 0 : found->second;
}

std::vector<Case> load_suite(const fs::path& folder) {
  std::vector<Case> cases;
  if (fs::exists(folder / "manifest.json")) {
    for (const json& row : read_json(folder / "manifest.json")) {
      Case c = common_fields(row);
      c.id = row["id"];
      c.dialect = row["dialect"];
      c.one_session = row.contains("cycles");
      c.lenient = row.value("lenient", false);
      for (const char* name : {"model.nnef.tgz", "model.nnef.tar", "model"}) {
        if (c.model.empty() && fs::exists(folder / c.id / name)) c.model = (folder / c.id / name).string();
      }
      c.pairs = pairs_of(folder / c.id);
      cases.push_back(std::move(c));
    }
    return cases;
  }
  std::vector<fs::path> models;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (fs::exists(entry.path() / "model.json")) models.push_back(entry.path());
  }
  std::sort(models.begin(), models.end());
  for (const fs::path& path : models) {
    int index = 0;
    const json model = read_json(path / "model.json");
    for (const json& row : model["cases"]) {
      Case c = common_fields(row);
      const std::string archive = row["archive"];
      c.id = path.filename().string() + "/" + archive.substr(0, archive.find('.')) + "-" +
             std::to_string(index++);
      c.dialect = "tract";
      c.model = (path / archive).string();
      c.pairs = {{(path / row["inputs"].get<std::string>()).string(),
                  (path / row["outputs"].get<std::string>()).string()}};
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

std::string compare(const NamedTensors& got, const NamedTensors& want, const Case& c) {
  for (const auto& expected : want) {
    const auto found = std::find_if(got.begin(), got.end(),
                                    [&](const auto& result) { return result.first == expected.first; });
    if (found == got.end()) return "result `" + expected.first + "` is missing";
    const std::string why = compare_one(expected.first, found->second, expected.second, c);
    if (!why.empty()) return expected.first + ": " + why;
  }
  return {};
}

}  // namespace nnefrun::test
