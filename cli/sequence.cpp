#include "cli/sequence.h"

#include "cli/common.h"
#include "cli/results.h"

namespace nnefrun::cli {

bool wants_results(const Options& options) {
  return !options.output.empty() || options.top > 0 || !options.expect.empty() || !options.trace.empty();
}

int run_sequence(Session& session, Feeder& feeder, const Options& options, std::FILE* out) {
  const Graph& graph = session.model().graph;
  std::vector<NamedTensors> expected;
  for (const std::string& path : options.expect) expected.push_back(load_expected(path, graph));
  std::vector<std::string> labels;
  if (!options.labels.empty()) labels = load_labels(options.labels);
  std::optional<Tracer> tracer;
  if (!options.trace.empty()) tracer.emplace(options.trace, session);

  int status = kDone;
  const size_t steps = feeder.steps();
  std::vector<Tensor> results;
  for (size_t k = 0; k < steps; ++k) {
    std::optional<Progress> progress(std::in_place, "running");
    if (tracer) tracer->begin(k);
    results = session.run(feeder.step(k, k > 0 ? &results : nullptr));
    if (tracer) tracer->rethrow();
    progress.reset();

    if (!options.output.empty()) save_results(options.output, graph, results, k, steps);
    std::string text;
    if (options.top > 0) {
      text = top_text(graph, results, options.top, labels);
    } else if (!wants_results(options)) {
      text = summary_text(graph, results);
    }
    if (!expected.empty()) {
      const Comparison comparison = compare(graph, results, expected[k], options);
      text += comparison.text;
      if (!comparison.pass) status = kResultsDiffer;
    }
    if (text.empty()) continue;
    if (steps > 1) text = "step " + std::to_string(k) + "\n" + text;
    if (out == stdout) {
      print_out(text);
    } else {
      std::fputs(text.c_str(), out);
    }
  }
  if (tracer) session.observe({});
  if (status == kResultsDiffer) {
    report(Error("results-differ", "the results differ from those of --expect by more than the tolerance"),
           options.json_errors);
  }
  return status;
}

}  // namespace nnefrun::cli
