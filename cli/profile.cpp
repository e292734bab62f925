// nnefrun profile: where the time goes, by node and by operator, and what bounds it.
#include "cli/profile.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "cli/bench.h"
#include "cli/common.h"
#include "cli/inputs.h"
#include "cli/macs.h"
#include "cli/model.h"
#include "cli/sequence.h"
#include "cli/version.h"
#include "engine/graph/op_def.h"
#include "kernels/isa.h"

namespace nnefrun::cli {

Roof roof_of(const Cost& cost, const MachinePeak& peak) {
  if (cost.nanoseconds <= 0 || peak.gflops <= 0) return {};
  const bool cached = cost.bytes() <= kCachedBytes * static_cast<double>(cost.nodes);
  const double fma = cost.gflops() / peak.gflops;
  const double move = cost.gbytes() / (cached ? peak.cached_gbytes : peak.gbytes);
  constexpr double kLeast = 0.1;
  if (std::max(fma, move) < kLeast) return {};
  if (fma >= move) return {Roof::Kind::fma, fma};
  return {cached ? Roof::Kind::cache : Roof::Kind::memory, move};
}

const char* name_of(Roof::Kind kind) {
  switch (kind) {
    case Roof::Kind::fma: return "fma";
    case Roof::Kind::cache: return "cache";
    case Roof::Kind::memory: return "memory";
    default: return "";
  }
}

std::string percent_text(double part, double whole) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", whole > 0 ? 100 * part / whole : 0);
  return text;
}

std::string rate_text(double rate) {
  if (rate <= 0) return "";
  char text[24];
  std::snprintf(text, sizeof text, "%.3g", rate);
  return text;
}

namespace {

using Json = nlohmann::ordered_json;

double median(std::vector<double> values) {
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle), values.end());
  return values[middle];
}

double bytes_of(const Fact& fact, const SymbolValues& symbols) {
  if (fact.constant) return static_cast<double>(fact.constant->byte_size());
  auto bytes = static_cast<double>(item_size(fact.dtype));
  for (const Dim& dim : fact.shape) bytes *= static_cast<double>(dim.evaluate(symbols).value_or(0));
  return bytes;
}

// What a node reads and writes when the graph itself is evaluated.
void add_evaluated(NodeCost& cost, const Graph& graph, const SymbolValues& symbols) {
  const Node& node = graph.node(cost.node);
  for (const Outlet& input : node.inputs) cost.bytes_read += bytes_of(graph.fact(input), symbols);
  for (const Fact& fact : node.facts) cost.bytes_written += bytes_of(fact, symbols);
}

// The steps of a node add up within a run; the median is over the runs.
std::vector<NodeCost> costs_of(const Graph& graph, const std::vector<std::vector<StepProfile>>& runs,
                               const std::vector<StepFacts>& facts, const SymbolValues& symbols) {
  std::map<uint32_t, NodeCost> costs;
  std::map<uint32_t, std::vector<double>> times;
  for (size_t run = 0; run < runs.size(); ++run) {
    for (const StepProfile& step : runs[run]) {
      auto& own = times[step.node];
      own.resize(runs.size());
      own[run] += static_cast<double>(step.nanoseconds);
      if (run != 0) continue;
      NodeCost& cost = costs[step.node];
      cost.node = step.node;
      cost.nodes = 1;
      if (!step.note.empty()) cost.note += (cost.note.empty() ? "" : "; ") + step.note;
      std::string kernel = "evaluate";
      if (!facts.empty() && !facts[step.step].kernel.empty()) {
        const StepFacts& fact = facts[step.step];
        kernel = fact.kernel;
        cost.bytes_read += static_cast<double>(fact.bytes_read);
        cost.bytes_written += static_cast<double>(fact.bytes_written);
      } else {
        add_evaluated(cost, graph, symbols);
      }
      if (std::find(cost.kernels.begin(), cost.kernels.end(), kernel) == cost.kernels.end()) {
        cost.kernels.push_back(std::move(kernel));
      }
    }
  }
  std::vector<NodeCost> sorted;
  for (auto& entry : costs) {
    NodeCost& cost = entry.second;
    cost.nanoseconds = median(std::move(times[entry.first]));
    cost.macs = macs_of(graph, graph.node(entry.first), symbols).value_or(0);
    sorted.push_back(std::move(cost));
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const NodeCost& a, const NodeCost& b) { return a.nanoseconds > b.nanoseconds; });
  return sorted;
}

std::vector<OperatorCost> by_operator(const Graph& graph, const std::vector<NodeCost>& costs) {
  std::map<std::string, OperatorCost> sums;
  for (const NodeCost& cost : costs) {
    OperatorCost& sum = sums[std::string(graph.node(cost.node).op->name)];
    ++sum.nodes;
    sum.nanoseconds += cost.nanoseconds;
    sum.macs += cost.macs;
    sum.bytes_read += cost.bytes_read;
    sum.bytes_written += cost.bytes_written;
  }
  std::vector<OperatorCost> sorted;
  for (auto& entry : sums) {
    entry.second.name = entry.first;
    sorted.push_back(std::move(entry.second));
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const OperatorCost& a, const OperatorCost& b) {
    return a.nanoseconds > b.nanoseconds;
  });
  return sorted;
}

std::string peaks_text(const MachinePeak& peak) {
  if (peak.gflops <= 0) return {};
  return rate_text(peak.gflops) + " GFLOP/s of a product in the caches, " + rate_text(peak.gbytes) +
         " GB/s of a copy in memory, " + rate_text(peak.cached_gbytes) + " GB/s in the caches, on one core";
}

std::vector<std::pair<std::string, std::string>> facts_of(const ProfileReport& report, const Session& session,
                                                          const SymbolValues& symbols, int threads) {
  const Graph& graph = *report.graph;
  double macs = 0;
  for (const NodeCost& cost : report.nodes) macs += cost.macs;
  std::string inputs, values;
  for (const Outlet& input : graph.inputs) {
    inputs += (inputs.empty() ? "" : ", ") + graph.name_of(input) + " " + graph.fact(input).to_string();
  }
  for (const auto& symbol : symbols) {
    values += (values.empty() ? "" : ", ") + symbol.first + " = " + std::to_string(symbol.second);
  }
  std::vector<std::pair<std::string, std::string>> facts = {
      {"graph", graph.name},
      {"inputs", inputs},
      {"symbols", values},
      {"time of a run",
       time_text(report.total) + ", the sum of the medians of " + std::to_string(report.runs) + " runs"},
      {"nodes that run", std::to_string(report.nodes.size())},
      {"MACs", macs > 0 ? count_text(macs) : ""},
      {"weights", bytes_text(static_cast<double>(weight_bytes(session)))},
      {"arena",
       session.model().plan ? bytes_text(static_cast<double>(session.arena_bytes())) : "none: evaluated"},
      {"processor", cpu_name()},
      {"instruction set", kernels::isa_name(kernels::host_isa())},
      {"threads", std::to_string(threads)},
      {"measured peaks", peaks_text(report.peak)},
      {"made by", version_text().substr(0, version_text().find('\n'))}};
  facts.erase(
      std::remove_if(facts.begin(), facts.end(), [](const auto& fact) { return fact.second.empty(); }),
      facts.end());
  return facts;
}

// Time and everything that follows from it.
void put_cost(Json& row, const Cost& cost, const ProfileReport& report) {
  const Roof roof = roof_of(cost, report.peak);
  row["ns"] = static_cast<int64_t>(cost.nanoseconds);
  row["share"] = report.total > 0 ? cost.nanoseconds / report.total : 0;
  row["macs"] = nullptr;
  row["gflops"] = nullptr;
  if (cost.macs > 0) {
    row["macs"] = static_cast<uint64_t>(cost.macs);
    row["gflops"] = cost.gflops();
  }
  row["bytes_read"] = static_cast<uint64_t>(cost.bytes_read);
  row["bytes_written"] = static_cast<uint64_t>(cost.bytes_written);
  row["gb_per_s"] = cost.gbytes();
  row["bound_by"] = nullptr;
  if (roof.kind != Roof::Kind::neither) row["bound_by"] = name_of(roof.kind);
  row["attained"] = roof.attained;
}

std::string report_json(const ProfileReport& report, int threads) {
  const auto known = [](double peak) { return peak > 0 ? Json(peak) : Json(nullptr); };
  Json out = {{"schema_version", 1},
              {"runs", report.runs},
              {"total_ns", static_cast<int64_t>(report.total)},
              {"machine",
               {{"isa", kernels::isa_name(kernels::host_isa())},
                {"threads", threads},
                {"peak_gflops", known(report.peak.gflops)},
                {"peak_gb_per_s", known(report.peak.gbytes)},
                {"peak_cached_gb_per_s", known(report.peak.cached_gbytes)}}}};
  out["operators"] = out["nodes"] = Json::array();
  for (const OperatorCost& cost : report.operators) {
    Json row = {{"operator", cost.name}, {"nodes", cost.nodes}};
    put_cost(row, cost, report);
    out["operators"].push_back(std::move(row));
  }
  for (const NodeCost& cost : report.nodes) {
    const Node& node = report.graph->node(cost.node);
    Json row = {{"name", node.result_names[0]}, {"operator", node.op->name}};
    put_cost(row, cost, report);
    row["kernels"] = cost.kernels;
    row["note"] = cost.note;
    out["nodes"].push_back(std::move(row));
  }
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// The columns after the names, the same for nodes and operators.
void put_columns(std::vector<std::string>& row, const Cost& cost, const ProfileReport& report) {
  const Roof roof = roof_of(cost, report.peak);
  const std::string columns[] = {
      time_text(cost.nanoseconds),
      percent_text(cost.nanoseconds, report.total),
      cost.macs > 0 ? count_text(cost.macs) : "",
      rate_text(cost.gflops()),
      bytes_text(cost.bytes()),
      rate_text(cost.gbytes()),
      roof.kind == Roof::Kind::neither ? "" : name_of(roof.kind) + (" " + percent_text(roof.attained, 1))};
  row.insert(row.end(), std::begin(columns), std::end(columns));
}

std::string report_text(const ProfileReport& report) {
  std::vector<std::vector<std::string>> operators = {
      {"operator", "nodes", "time", "share", "MACs", "GFLOP/s", "bytes", "GB/s", "bound by"}};
  for (const OperatorCost& cost : report.operators) {
    operators.push_back({cost.name, std::to_string(cost.nodes)});
    put_columns(operators.back(), cost, report);
  }
  std::vector<std::vector<std::string>> nodes = {{"node", "operator", "step", "kernel", "time", "share",
                                                  "MACs", "GFLOP/s", "bytes", "GB/s", "bound by"}};
  for (const NodeCost& cost : report.nodes) {
    const Node& node = report.graph->node(cost.node);
    std::string kernels;
    for (const std::string& kernel : cost.kernels) kernels += (kernels.empty() ? "" : ", ") + kernel;
    nodes.push_back({node.result_names[0], std::string(node.op->name), cost.note, kernels});
    put_columns(nodes.back(), cost, report);
  }
  return table_text(nodes, 4) + "\n" + table_text(operators) + "\ntotal " + time_text(report.total) +
         ": the sum of the medians of " + std::to_string(report.runs) +
         " runs; timing each step costs a little, so `nnefrun bench` shows less\n" +
         (report.peak.gflops > 0 ? "peaks " + peaks_text(report.peak) + "; `bound by` names the nearer one\n"
                                 : "");
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
    std::vector<Tensor> inputs = feeder.step(0, nullptr);
    std::vector<FedInput> pairs = start_feedback(session, options, inputs);
    if (wants_results(options)) {
      status = run_sequence(session, feeder, pairs, options, stderr);
      session.reset();
    }
    const auto begin_again = [&] {
      for (FedInput& pair : pairs) pair.state.assign(inputs[pair.input]);
    };
    begin_again();
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
    ProfileReport report;
    report.peak = measure_peak();
    while (runs.size() < kMostRuns && (runs.size() < kLeastRuns || seconds() < options.min_time)) {
      if (restart) session.reset();
      begin_again();
      runs.push_back(session.profile(inputs));
    }
    progress.reset();

    const std::vector<StepFacts> facts = session.plan_facts();
    report.graph = &graph;
    report.model = options.model;
    report.runs = runs.size();
    report.nodes = costs_of(graph, runs, facts, symbols);
    report.operators = by_operator(graph, report.nodes);
    for (const NodeCost& cost : report.nodes) report.total += cost.nanoseconds;
    report.facts = facts_of(report, session, symbols, options.threads);
    if (!options.trace_events.empty()) write_trace_events(options.trace_events, report, runs, facts);
    if (!options.html.empty()) {
      const std::string page = profile_page(report);
      write_file(options.html, [&](const ByteSink& sink) { sink(as_byte_span(page)); });
    }
    print_out(options.json ? report_json(report, options.threads) : report_text(report));
  });
  return status;
}

}  // namespace nnefrun::cli
