// The pipeline from a model on disk to something that runs, readable from top to bottom in compiler.cpp:
//
//   archive -> Document -> typed graph -> rewrites -> plan
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/plan/builder.h"
#include "nnef_parser/document.h"

namespace nnefrun {

class Archive;

enum class Stage : uint8_t { parsed, typed, decluttered, optimized };
std::optional<Stage> stage_from_name(std::string_view name);

struct CompileOptions {
  Dialect dialect = Dialect::automatic;
  std::string graph_name;  // which *.nnef of an archive that holds several; "" the usual one
  std::vector<std::pair<std::string, int64_t>> set_symbols;  // --set S=16: replaced before anything else
  bool optimize = true;                                      // false: typed graph, no rewrites, no plan
  std::vector<std::string> disabled;  // names of rewrites and passes that are not applied
  int64_t max_rewrites = -1;          // stop after so many applied patches; -1: no limit
  std::function<void(const std::string& pass, const Graph& after, int64_t applied, double seconds)>
      after_pass;
  bool blocked = true;   // channel-blocked layouts where they pay
  bool winograd = true;  // Winograd convolutions where they are faster
  // Products with Q4_0 weights quantise their activations to 8 bits per block; not given: as the model says
  // (engine/accuracy.h), else false.
  std::optional<bool> fast;
  std::function<void(std::string_view name)>
      on_rewrite;  // told of each patch that is applied, by its rewrite
  // Loading goes on after an error of the typed graph, as far as its results are not needed, and tells each
  // of them here; the graph is then of no use. Not given: the first error is thrown.
  std::function<void(const Error&)> on_error;
  // Told what costs more than the text promises: weights of few bits that have to become f32.
  std::function<void(const std::string&)> on_note;
  bool to_the_letter = false;      // refuse what only the strictest reading of the specification forbids
  uint64_t max_nodes = 1'000'000;  // of the expanded graph
};

// A model that is ready to run: immutable, shared by sessions and threads.
struct CompiledModel {
  // As far as the options took it. A planned model keeps only those constants that its evaluate steps read.
  Graph graph;
  std::optional<Plan> plan;  // none when the graph runs by evaluation
  std::string why_no_plan;   // the reason, for `info` and the log
  Dialect dialect = Dialect::khronos;
};

// The name under which `disabled` leaves out channel-blocked layouts; they are a choice of the planner, no
// pass over the graph.
inline constexpr const char* kBlockedLayouts = "blocked-layouts";

// The text of the archive's graph, parsed and checked. Throws Error.
Document parse_graph(const Archive& archive, const CompileOptions& options);
// Types a document whose tensors and sub-models are those of the archive. Throws Error.
Graph import_graph(const Document& document, const Archive& archive, const CompileOptions& options);
// Both.
Graph load_graph(const Archive& archive, const CompileOptions& options, Dialect* read_as = nullptr);
// Rewrites up to `stage` (typed: none).
Graph rewrite_graph(Graph graph, Stage stage, const CompileOptions& options);
// The whole pipeline. Weights that are held in a packed archive go as they are packed into the plan, unless
// the caller keeps a copy of the handle.
std::shared_ptr<const CompiledModel> compile_model(Archive archive, const CompileOptions& options);
// From a typed graph on.
std::shared_ptr<const CompiledModel> compile_graph(Graph graph, const CompileOptions& options,
                                                   Dialect dialect = Dialect::engine);

// The graph as NNEF text of the engine's dialect (`extension nnefrun_engine 1;`) and the tensors that it
// names: label -> tensor. Loading both back gives an equal graph.
struct PrintedGraph {
  std::string text;
  std::vector<std::pair<std::string, Tensor>> tensors;
};
PrintedGraph print_graph(const Graph& graph);
// Reads what print_graph wrote; the tensors go through .dat bytes, as they would through a file.
Graph reload_graph(const PrintedGraph& printed);

}  // namespace nnefrun
