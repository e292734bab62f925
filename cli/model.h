// From the command line to a model that is ready to run.
#pragma once

#include <memory>

#include "cli/common.h"
#include "engine/session.h"
#include "nnef_parser/archive.h"

namespace nnefrun::cli {

// Forces the instruction set that --isa names and complains about a wrong NNEFRUN_ISA. Throws Failure
// (kWrongUsage).
void apply_isa(const Options& options);

// What follows throws Failure (kModelRefused), and Failure (kWrongUsage) for --disable and --dump-after names
// that do not exist.
Archive open_archive(const Options& options);
CompileOptions compile_options(const Options& options);
// The typed graph, by way of its text when --via-text asks for that.
Graph load_typed_graph(const Archive& archive, const Options& options, Dialect* dialect = nullptr);
// Throws Error[symbol-unknown] when --set names a symbol that the model lacks.
void check_symbols(const Archive& archive, const Graph& graph, const Options& options);
std::shared_ptr<const CompiledModel> load_model(const Options& options);
// A session under the limits of the options.
Session start_session(std::shared_ptr<const CompiledModel> model, const Options& options);

// Bytes that a run may use: --limit-memory, or three quarters of what the machine (or its control group) has.
uint64_t memory_limit(const Options& options);

}  // namespace nnefrun::cli
