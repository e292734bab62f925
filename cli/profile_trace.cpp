// nnefrun profile --trace-events: runs on a time line, for chrome://tracing and Perfetto.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "cli/profile.h"
#include "engine/graph/op_def.h"

namespace nnefrun::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostRuns = 5, kMostEvents = 100'000;  // what the viewers show smoothly

Json name_event(const char* what, const std::string& name) {
  return {{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", 1}, {"args", {{"name", name}}}};
}

}  // namespace

void write_trace_events(const std::string& path, const ProfileReport& report,
                        const std::vector<std::vector<StepProfile>>& runs,
                        const std::vector<StepFacts>& facts) {
  const size_t most = std::clamp<size_t>(kMostEvents / std::max<size_t>(runs.back().size(), 1), 1, kMostRuns);
  const size_t first = runs.size() - std::min(runs.size(), most);
  const int64_t origin = runs[first].empty() ? 0 : runs[first].front().start;
  write_file(path, [&](const ByteSink& sink) {
    bool begun = false;
    const auto put = [&](const Json& event) {
      const std::string text = (begun ? ",\n" : "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n") +
                               event.dump(-1, ' ', false, Json::error_handler_t::replace);
      sink(as_byte_span(text));
      begun = true;
    };
    put(name_event("process_name", "nnefrun " + report.model));
    put(name_event("thread_name", "steps"));
    for (size_t run = first; run < runs.size(); ++run) {
      for (const StepProfile& step : runs[run]) {
        const Node& node = report.graph->node(step.node);
        Json arguments = {{"run", run}, {"step", step.step}, {"operator", node.op->name}};
        if (!step.note.empty()) arguments["note"] = step.note;
        if (step.step < facts.size()) {
          const StepFacts& fact = facts[step.step];
          arguments["kernel"] = fact.kernel;
          arguments["bytes_read"] = fact.bytes_read;
          arguments["bytes_written"] = fact.bytes_written;
        }
        put({{"name", node.result_names[0]},
             {"cat", node.op->name},
             {"ph", "X"},
             {"pid", 1},
             {"tid", 1},
             {"ts", static_cast<double>(step.start - origin) / 1000},  // microseconds
             {"dur", static_cast<double>(step.nanoseconds) / 1000},
             {"args", std::move(arguments)}});
      }
    }
    sink(as_byte_span("\n]}\n"));
  });
}

}  // namespace nnefrun::cli
