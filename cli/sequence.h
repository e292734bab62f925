// The steps of a run in one session, and what becomes of the results of each.
#pragma once

#include <cstdio>

#include "cli/inputs.h"
#include "engine/session.h"

namespace nnefrun::cli {

// Whether --output, --top, --expect or --trace ask for results.
bool wants_results(const Options& options);

// Runs all steps; writes, compares and traces as the options ask, and prints to `out` (summaries too, when
// nothing else is asked for). Returns kDone, or kResultsDiffer after reporting it. Throws Error.
int run_sequence(Session& session, Feeder& feeder, const Options& options, std::FILE* out);

}  // namespace nnefrun::cli
