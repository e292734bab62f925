// nnefrun profile: where the time goes, by node and by operator.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/bench.h"
#include "cli/common.h"
#include "cli/inputs.h"
#include "cli/macs.h"
#include "cli/model.h"
#include "cli/sequence.h"
#include "engine/graph/op_def.h"

namespace nnefrun::cli {
namespace {

using Json = nlohmann::ordered_json;

struct NodeCost {
  uint32_t node = 0;
  std::string note;        // of its steps
  double nanoseconds = 0;  // median over the runs
  std::optional<double> macs;
};

double median(std::vector<double> values) {
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle), values.end());
  return values[middle];
}

// The steps of a node add up within a run; the median is over the runs.
std::vector<NodeCost> costs_of(const Graph& graph, const std::vector<std::vector<StepProfile>>& runs,
                               const SymbolValues& symbols) {
  std::map<uint32_t, std::vector<double>> times;
  std::map<uint32_t, std::string> notes;
  for (size_t run = 0; run < runs.size(); ++run) {
    for (const StepProfile& step : runs[run]) {
      auto& own = times[step.node];
      own.resize(runs.size());
      own[run] += static_cast<double>(step.nanoseconds);
      if (run != 0 || step.note.empty()) continue;
      std::string& note = notes[step.node];
      note += (note.empty() ? "" : "; ") + step.note;
    }
  }
  std::vector<NodeCost> costs;
  for (auto& entry : times) {
    costs.push_back({entry.first, notes[entry.first], median(std::move(entry.second)),
                     macs_of(graph, graph.node(entry.first), symbols)});
  }
  std::stable_sort(costs.begin(), costs.end(),
                   [](const NodeCost& a, const NodeCost& b) { return a.nanoseconds > b.nanoseconds; });
  return costs;
}

struct OperatorCost {
  int64_t nodes = 0;
  double nanoseconds = 0, macs = 0;
};

std::string percent_text(double part, double whole) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f %%", whole > 0 ? 100 * part / whole : 0);
  return text;
}

// Two operations a multiply-accumulate.
std::string rate_text(std::optional<double> macs, double nanoseconds) {
  if (!macs || *macs == 0 || nanoseconds <= 0) return "";
  char text[24];
  std::snprintf(text, sizeof text, "%.3g", 2 * *macs / nanoseconds);
  return text;
}

std::vector<std::pair<std::string, OperatorCost>> by_operator(const Graph& graph,
                                                              const std::vector<NodeCost>& costs) {
  std::map<std::string, OperatorCost> sums;
  for (const NodeCost& cost : costs) {
    OperatorCost& sum = sums[std::string(graph.node(cost.node).op->name)];
    ++sum.nodes;
    sum.nanoseconds += cost.nanoseconds;
    sum.macs += cost.macs.value_or(0);
  }
  std::vector<std::pair<std::string, OperatorCost>> sorted(sums.begin(), sums.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second.nanoseconds > b.second.nanoseconds; });
  return sorted;
}

Json report_json(const Graph& graph, const std::vector<NodeCost>& costs, double total, size_t runs) {
  Json out = {{"schema_version", 1}, {"runs", runs}, {"total_ns", static_cast<int64_t>(total)}};
  out["operators"] = out["nodes"] = Json::array();
  for (const auto& entry : by_operator(graph, costs)) {
    out["operators"].push_back({{"operator", entry.first},
                                {"nodes", entry.second.nodes},
                                {"ns", static_cast<int64_t>(entry.second.nanoseconds)},
                                {"macs", static_cast<uint64_t>(entry.second.macs)}});
  }
  for (const NodeCost& cost : costs) {
    const Node& node = graph.node(cost.node);
    Json row = {{"name", node.result_names[0]},
                {"operator", node.op->name},
                {"ns", static_cast<int64_t>(cost.nanoseconds)},
                {"macs", nullptr},
                {"note", cost.note}};
    if (cost.macs) row["macs"] = static_cast<uint64_t>(*cost.macs);
    out["nodes"].push_back(std::move(row));
  }
  return out;
}

std::string report_text(const Graph& graph, const std::vector<NodeCost>& costs, double total, size_t runs) {
  std::vector<std::vector<std::string>> operators = {
      {"operator", "nodes", "time", "share", "MACs", "GFLOP/s"}};
  for (const auto& entry : by_operator(graph, costs)) {
    const OperatorCost& sum = entry.second;
    operators.push_back({entry.first, std::to_string(sum.nodes), time_text(sum.nanoseconds),
                         percent_text(sum.nanoseconds, total), sum.macs > 0 ? count_text(sum.macs) : "",
                         rate_text(sum.macs, sum.nanoseconds)});
  }
  std::vector<std::vector<std::string>> nodes = {
      {"node", "operator", "step", "time", "share", "MACs", "GFLOP/s"}};
  for (const NodeCost& cost : costs) {
    const Node& node = graph.node(cost.node);
    nodes.push_back({node.result_names[0], std::string(node.op->name), cost.note, time_text(cost.nanoseconds),
                     percent_text(cost.nanoseconds, total), cost.macs ? count_text(*cost.macs) : "",
                     rate_text(cost.macs, cost.nanoseconds)});
  }
  return table_text(nodes, 3) + "\n" + table_text(operators) + "\ntotal " + time_text(total) +
         ": the sum of the medians of " + std::to_string(runs) +
         " runs; timing each step costs a little, so `nnefrun bench` shows less\n";
}

}  // namespace

int profile_verb(const Options& options) {
  apply_isa(options);
  std::optional<Progress> progress(std::in_place, "loading " + options.model);
  const auto model = load_model(options);
  Session session = start_session(model, options);
  int status = kDone;
  guarded(kRunFailed, [&] {
    progress.emplace("measuring");
    const Graph& graph = model->graph;
    Feeder feeder(graph, options, memory_limit(options));
    const std::vector<Tensor> inputs = feeder.step(0, nullptr);
    if (wants_results(options)) {
      status = run_sequence(session, feeder, options, stderr);
      session.reset();
    }
    SymbolValues symbols;
    for (size_t i = 0; i < inputs.size(); ++i) {
      learn_symbols(graph.fact(graph.inputs[i]).shape, inputs[i].shape(), symbols);
    }
    const bool restart = grows(graph);
    constexpr size_t kLeastRuns = 5, kMostRuns = 200;
    std::vector<std::vector<StepProfile>> runs;
    const auto start = std::chrono::steady_clock::now();
    const auto seconds = [&] { return static_cast<double>(nanoseconds_since(start)) * 1e-9; };
    session.run_in_place(inputs);  // the first one places the memory
    while (runs.size() < kMostRuns && (runs.size() < kLeastRuns || seconds() < options.min_time)) {
      if (restart) session.reset();
      runs.push_back(session.profile(inputs));
    }
    progress.reset();

    const std::vector<NodeCost> costs = costs_of(graph, runs, symbols);
    double total = 0;
    for (const NodeCost& cost : costs) total += cost.nanoseconds;
    print_out(options.json ? report_json(graph, costs, total, runs.size())
                                     .dump(1, ' ', false, Json::error_handler_t::replace) +
                                 "\n"
                           : report_text(graph, costs, total, runs.size()));
  });
  return status;
}

}  // namespace nnefrun::cli
