// nnefrun bench: how long a run takes.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/bench.h"
#include "cli/common.h"
#include "cli/inputs.h"
#include "cli/model.h"
#include "cli/sequence.h"
#include "engine/graph/op_def.h"
#include "kernels/isa.h"

namespace nnefrun::cli {

void Timings::add(int64_t nanoseconds) {
  min_ = count_ == 0 ? nanoseconds : std::min(min_, nanoseconds);
  max_ = std::max(max_, nanoseconds);
  if (count_++ % stride_ != 0) return;
  kept_.push_back(nanoseconds);
  if (kept_.size() < kMostKept) return;
  for (size_t i = 0; 2 * i < kept_.size(); ++i) kept_[i] = kept_[2 * i];
  kept_.resize(kept_.size() / 2);
  stride_ *= 2;
}

int64_t Timings::percentile(double percent) const {
  if (kept_.empty()) return 0;
  std::vector<int64_t> sorted = kept_;
  std::sort(sorted.begin(), sorted.end());
  const double at = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const auto above = std::min(below + 1, sorted.size() - 1);
  const double part = at - static_cast<double>(below);
  return static_cast<int64_t>(static_cast<double>(sorted[below]) * (1 - part) +
                              static_cast<double>(sorted[above]) * part);
}

void repeat_for(double seconds, int64_t least, const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  const double limit = seconds * 1e9, patience = 10 * limit;
  for (int64_t runs = 0;; ++runs) {
    const auto spent = static_cast<double>(nanoseconds_since(start));
    if (spent >= limit && (runs >= least || spent >= patience) && runs > 0) return;
    body();
  }
}

namespace {

std::string table(const Timings& t, int64_t load_ns, int64_t first_ns, const Session& session,
                  size_t weights) {
  const std::vector<std::vector<std::string>> rows = {
      {"runs", "min", "p50", "p90", "p95", "p99", "max"},
      {std::to_string(t.count()), time_text(static_cast<double>(t.min())),
       time_text(static_cast<double>(t.percentile(50))), time_text(static_cast<double>(t.percentile(90))),
       time_text(static_cast<double>(t.percentile(95))), time_text(static_cast<double>(t.percentile(99))),
       time_text(static_cast<double>(t.max()))}};
  return table_text(rows, 0) + "\n" +                                                                      //
         "load        " + time_text(static_cast<double>(load_ns)) + " from the start of the process\n" +   //
         "first run   " + time_text(static_cast<double>(first_ns)) + " from the start of the process\n" +  //
         "peak RSS    " + bytes_text(static_cast<double>(peak_resident_bytes())) + "\n" +                  //
         "arena       " + bytes_text(static_cast<double>(session.arena_bytes())) + "\n" +                  //
         "weights     " + bytes_text(static_cast<double>(weights)) + "\n" +                                //
         "instruction set " + kernels::isa_name(kernels::host_isa()) + "\n";
}

}  // namespace

bool grows(const Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(),
                     [](const Node& node) { return node.op->bind != nullptr; });
}

size_t weight_bytes(const Session& session) {
  if (session.model().plan) return session.weight_bytes();
  size_t bytes = 0;
  for (const Node& node : session.model().graph.nodes()) {
    if (node.op->name == "variable" && node.facts[0].constant) bytes += node.facts[0].constant->byte_size();
  }
  return bytes;
}

int bench_verb(const Options& options) {
  apply_isa(options);
  std::optional<Progress> progress(std::in_place, "loading " + options.model);
  const auto model = load_model(options);
  Session session = start_session(model, options);
  const int64_t load_ns = nanoseconds_since(process_start());

  int status = kDone;
  guarded(kRunFailed, [&] {
    progress.emplace("measuring");
    Feeder feeder(model->graph, options, memory_limit(options));
    std::vector<std::vector<Tensor>> inputs;
    for (size_t k = 0; k < feeder.steps(); ++k) inputs.push_back(feeder.step(k, nullptr));
    const bool restart = inputs.size() > 1 || grows(model->graph);
    // What a state in place holds is taken back after each run, so nobody needs a second copy of it.
    const bool once = !restart && !wants_results(options);
    std::vector<FedInput> pairs = start_feedback(session, options, inputs[0], once ? &feeder : nullptr);
    session.run_in_place(inputs[0]);
    const int64_t first_run_ns = nanoseconds_since(process_start());
    if (wants_results(options)) {
      session.reset();
      status = run_sequence(session, feeder, pairs, options, stderr);
      session.reset();
    }
    const auto begin_again = [&] {
      for (FedInput& pair : pairs) {
        if (!once || !pair.state.is_in_place()) pair.state.assign(inputs[0][pair.input]);
        if (pair.state.length() > pair.initial_length) pair.state.truncate(pair.initial_length);
      }
    };
    begin_again();

    size_t next = 1 % inputs.size();
    const auto run = [&] {
      if (next == 0 && restart) {
        session.reset();
        begin_again();
      } else if (next == 0) {  // from the length that was given, without copying
        for (FedInput& pair : pairs) {
          if (pair.state.length() > pair.initial_length) pair.state.truncate(pair.initial_length);
        }
      }
      const auto start = std::chrono::steady_clock::now();
      session.run_in_place(inputs[next]);
      const int64_t nanoseconds = nanoseconds_since(start);
      next = (next + 1) % inputs.size();
      return nanoseconds;
    };
    constexpr int64_t kLeastRuns = 5;
    repeat_for(std::min(options.warmup, options.min_time), 0, run);
    Timings timings;
    repeat_for(options.min_time, kLeastRuns, [&] { timings.add(run()); });
    progress.reset();

    if (!options.json) {
      print_out(table(timings, load_ns, first_run_ns, session, weight_bytes(session)));
      return;
    }
    const nlohmann::ordered_json report = {{"median_ns", timings.percentile(50)},
                                           {"min_ns", timings.min()},
                                           {"p95_ns", timings.percentile(95)},
                                           {"max_ns", timings.max()},
                                           {"runs", timings.count()},
                                           {"load_ns", load_ns},
                                           {"first_run_ns", first_run_ns},
                                           {"peak_rss_bytes", peak_resident_bytes()},
                                           {"arena_bytes", session.arena_bytes()},
                                           {"weight_bytes", weight_bytes(session)},
                                           {"threads", options.threads},
                                           {"isa", kernels::isa_name(kernels::host_isa())}};
    print_out(report.dump() + "\n");
  });
  return status;
}

}  // namespace nnefrun::cli
