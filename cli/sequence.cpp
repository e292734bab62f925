#include "cli/sequence.h"

#include <algorithm>

#include "cli/common.h"
#include "cli/results.h"

namespace nnefrun::cli {

bool wants_results(const Options& options) {
  return !options.output.empty() || options.top > 0 || !options.expect.empty() || !options.trace.empty();
}

std::vector<FedInput> start_feedback(Session& session, const Options& options, std::vector<Tensor>& first,
                                     Feeder* feeder) {
  constexpr int64_t kRoom = 64;  // places behind the first length; a state that is full doubles
  const Graph& graph = session.model().graph;
  std::vector<FedInput> pairs;
  for (const auto& [result, input] : options.feedback) {
    size_t from = 0, to = 0;
    while (graph.outputs[from].name != result) ++from;
    while (graph.name_of(graph.inputs[to]) != input) ++to;
    const Shape& shape = first[to].shape();
    const int64_t longest = shape.empty() ? 0 : *std::max_element(shape.begin(), shape.end());
    FedInput pair{session.feedback(result, input, longest + kRoom), from, to, 0};
    pair.state.assign(first[to]);
    pair.initial_length = pair.state.length();
    if (feeder != nullptr && pair.state.is_in_place()) {
      feeder->forget(to);
      first[to] = Tensor();
    }
    pairs.push_back(pair);
  }
  return pairs;
}

int run_sequence(Session& session, Feeder& feeder, std::vector<FedInput>& pairs, const Options& options,
                 std::FILE* out) {
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
    const std::vector<Tensor> inputs = feeder.step(k, k > 0 ? &results : nullptr);
    for (FedInput& pair : pairs) {
      // The first step begins anew, and a step's file comes before what the step before gave.
      if (k == 0 || inputs[pair.input].bytes() != results[pair.result].bytes())
        pair.state.assign(inputs[pair.input]);
    }
    results = session.run(inputs);
    for (FedInput& pair : pairs) results[pair.result] = pair.state.value();
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
