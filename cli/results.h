// What becomes of the results of a run: a summary, the largest entries, files, a comparison.
#pragma once

#include <exception>
#include <set>
#include <string>
#include <vector>

#include "cli/options.h"
#include "engine/graph/graph.h"
#include "engine/session.h"
#include "io/npz.h"

namespace nnefrun::cli {

// Name, dtype, shape, min, max, mean and first values of each result, for people.
std::string summary_text(const Graph& graph, const std::vector<Tensor>& results);

// The `count` largest entries of each row (last axis) of each result of numbers; NaN counts as smallest.
std::string top_text(const Graph& graph, const std::vector<Tensor>& results, int count,
                     const std::vector<std::string>& labels);
// One label a line. Throws Error[file-unreadable].
std::vector<std::string> load_labels(const std::string& path);

// Writes the results of step `step` of `steps`: to the path itself when there is one, else to out-0.npz, ...
// . Throws Error[file-unwritable], Error[output-form] for an .npy of several results.
void save_results(const std::string& path, const Graph& graph, const std::vector<Tensor>& results,
                  size_t step, size_t steps);
std::string step_path(const std::string& path, size_t step, size_t steps);

// The references of one run. Throws Error[result-unknown] for a name that is no result.
NamedTensors load_expected(const std::string& path, const Graph& graph);

struct Comparison {
  bool pass = true;
  std::string text;  // a line for each result that is expected
};
// shape and dtype identical and |a - b| <= atol + rtol * |b| for all but a fraction of the values; NaN equals
// NaN.
Comparison compare(const Graph& graph, const std::vector<Tensor>& results, const NamedTensors& expected,
                   const Options& options);

// Writes every intermediate tensor of a session's runs to <folder>/<name>.npy; the runs after the first go to
// <folder>/step-1, .... The session must not outlive the Tracer.
class Tracer {
 public:
  // Throws Error[file-unwritable] when the folder cannot be made.
  Tracer(std::string folder, Session& session);
  // Before each run: the step's number.
  void begin(size_t step);
  // After each run: throws what writing threw, which may not leave the runtime.
  void rethrow();

 private:
  void write(const Node& node, uint32_t result, const Tensor& value);
  std::string folder_, step_folder_;
  std::set<std::string> taken_;
  std::exception_ptr failure_;
};

}  // namespace nnefrun::cli
