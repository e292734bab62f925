// What `nnefrun profile` found out, and the forms in which it is written.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/peak.h"
#include "engine/session.h"

namespace nnefrun::cli {

// Time and work of one node or of all nodes of an operator; the work is that of one run.
struct Cost {
  int64_t nodes = 0;       // that it sums
  double nanoseconds = 0;  // the sum of its steps, median over the runs
  double macs = 0;         // 0 where they are not counted
  double bytes_read = 0, bytes_written = 0;
  double bytes() const { return bytes_read + bytes_written; }
  double gflops() const { return nanoseconds > 0 ? 2 * macs / nanoseconds : 0; }  // two operations a MAC
  double gbytes() const { return nanoseconds > 0 ? bytes() / nanoseconds : 0; }
};

struct NodeCost : Cost {
  uint32_t node = 0;
  std::string note;                  // what its steps say of themselves
  std::vector<std::string> kernels;  // of its steps, each once
};

struct OperatorCost : Cost {
  std::string name;
};

// Which roof a cost is under: the time that its work takes at the machine's peak, as a part of the time that
// it took. Less than a tenth of either is neither: the call itself, latency, or arithmetic that is no
// product.
struct Roof {
  enum class Kind : uint8_t { neither, fma, cache, memory };
  Kind kind = Kind::neither;
  double attained = 0;  // above 1: from the caches, or Winograd's fewer multiplications
};
Roof roof_of(const Cost& cost, const MachinePeak& peak);
const char* name_of(Roof::Kind kind);  // "", "fma", "cache" or "memory"

struct ProfileReport {
  const Graph* graph = nullptr;
  std::string model;  // as it was named on the command line
  size_t runs = 0;
  double total = 0;                     // nanoseconds, the sum of the nodes
  std::vector<NodeCost> nodes;          // the longest first
  std::vector<OperatorCost> operators;  // the longest first
  MachinePeak peak;
  std::vector<std::pair<std::string, std::string>> facts;  // of model and machine, for people
};

// "12.3 %", and three digits of a rate or nothing for 0.
std::string percent_text(double part, double whole);
std::string rate_text(double rate);

// One HTML page that needs nothing else. All text that comes from the model is escaped.
std::string profile_page(const ProfileReport& report);

// Text as the content of an HTML element or of a quoted attribute. What is no valid UTF-8 or no printable
// character becomes U+FFFD.
std::string html_text(std::string_view text);

// Writes the last few of the runs in the trace event format of Chromium, an event for each step. `facts` are
// those of the plan's steps, or none. Throws Error[file-unwritable].
void write_trace_events(const std::string& path, const ProfileReport& report,
                        const std::vector<std::vector<StepProfile>>& runs,
                        const std::vector<StepFacts>& facts);

}  // namespace nnefrun::cli
