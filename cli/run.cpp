// nnefrun run: one run, or a sequence of steps in one session.
#include <cstdio>

#include "cli/common.h"
#include "cli/inputs.h"
#include "cli/model.h"
#include "cli/results.h"

namespace nnefrun::cli {

int run_verb(const Options& options) {
  apply_isa(options);
  std::optional<Progress> progress(std::in_place, "loading " + options.model);
  const auto model = load_model(options);
  Session session = start_session(model, options);
  progress.reset();

  int status = kDone;
  guarded(kRunFailed, [&] {
    const Graph& graph = model->graph;
    Feeder feeder(graph, options, memory_limit(options));
    std::vector<NamedTensors> expected;
    for (const std::string& path : options.expect) expected.push_back(load_expected(path, graph));
    std::vector<std::string> labels;
    if (!options.labels.empty()) labels = load_labels(options.labels);
    std::optional<Tracer> tracer;
    if (!options.trace.empty()) tracer.emplace(options.trace, session);

    const size_t steps = feeder.steps();
    std::vector<Tensor> results;
    for (size_t k = 0; k < steps; ++k) {
      const std::string step = steps > 1 ? "step " + std::to_string(k) : "";
      progress.emplace(steps > 1 ? "running " + step + " of " + std::to_string(steps) : "running");
      if (tracer) tracer->begin(k);
      results = session.run(feeder.step(k, k > 0 ? &results : nullptr));
      if (tracer) tracer->rethrow();
      progress.reset();

      if (!options.output.empty()) save_results(options.output, graph, results, k, steps);
      std::string text;
      if (options.top > 0) {
        text = top_text(graph, results, options.top, labels);
      } else if (options.output.empty() && options.expect.empty()) {
        text = summary_text(graph, results);
      }
      if (!expected.empty()) {
        const Comparison comparison = compare(graph, results, expected[k], options);
        text += comparison.text;
        if (!comparison.pass) status = kResultsDiffer;
      }
      if (!text.empty() && steps > 1) text = step + "\n" + text;
      if (options.output == "-") {  // standard output is taken
        std::fputs(text.c_str(), stderr);
      } else {
        print_out(text);
      }
    }
  });
  if (status == kResultsDiffer) {
    report(Error("results-differ", "the results differ from those of --expect by more than the tolerance"),
           options.json_errors);
  }
  return status;
}

}  // namespace nnefrun::cli
