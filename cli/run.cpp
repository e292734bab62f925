// nnefrun run: one run, or a sequence of steps in one session.
#include "cli/common.h"
#include "cli/inputs.h"
#include "cli/model.h"
#include "cli/sequence.h"

namespace nnefrun::cli {

int run_verb(const Options& options) {
  apply_isa(options);
  std::optional<Progress> progress(std::in_place, "loading " + options.model);
  const auto model = load_model(options);
  Session session = start_session(model, options);
  progress.reset();
  return guarded_value<int>(kRunFailed, [&] {
    Feeder feeder(model->graph, options, memory_limit(options));
    std::vector<FedInput> pairs;
    if (!options.feedback.empty()) {
      std::vector<Tensor> first = feeder.step(0, nullptr);
      pairs = start_feedback(session, options, first);
    }
    // When the results go to standard output, what there is to read goes beside them.
    return run_sequence(session, feeder, pairs, options, options.output == "-" ? stderr : stdout);
  });
}

}  // namespace nnefrun::cli
