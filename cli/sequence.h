// The steps of a run in one session, and what becomes of the results of each.
#pragma once

#include <cstdio>

#include "cli/inputs.h"
#include "engine/session.h"

namespace nnefrun::cli {

// Whether --output, --top, --expect or --trace ask for results.
bool wants_results(const Options& options);

// Pairs of --feedback in a session that has not run yet.
struct FedInput {
  Feedback state;
  size_t result, input;    // of the graph
  int64_t initial_length;  // of what `first` gave
};
// Makes the pairs of the options, with what `first` (the inputs of the first step) holds for them.
// With `feeder` the inputs that the session keeps in place are let go of, there and in `first`.
std::vector<FedInput> start_feedback(Session& session, const Options& options, std::vector<Tensor>& first,
                                     Feeder* feeder = nullptr);

// Runs all steps; writes, compares and traces as the options ask, and prints to `out` (summaries too, when
// nothing else is asked for). Returns kDone, or kResultsDiffer after reporting it. Throws Error.
// `pairs` are those of start_feedback.
int run_sequence(Session& session, Feeder& feeder, std::vector<FedInput>& pairs, const Options& options,
                 std::FILE* out);

}  // namespace nnefrun::cli
