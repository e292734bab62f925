// nnefrun profile --html: fills cli/profile_page.html with rows.
#include <algorithm>
#include <map>

#include "base/bytes.h"
#include "cli/common.h"
#include "cli/profile.h"
#include "engine/graph/op_def.h"

namespace nnefrun::cli {

extern const char* const kProfilePage;  // the build makes it from profile_page.html

std::string html_text(std::string_view text) {
  const bool valid = is_utf8(text);
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default:
        if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !valid)) {
          out += "\xEF\xBF\xBD";
        } else {
          out += c;
        }
    }
  }
  return out;
}

namespace {

// A cell with text from the model; <bdi> keeps what is written right to left inside of it.
std::string name_cell(std::string_view text, const char* attributes = "") {
  return std::string("<td") + attributes + "><bdi>" + html_text(text) + "</bdi></td>";
}
// A number as people read it and as the sorting takes it; both empty for 0.
std::string number_cell(double value, const std::string& text, const std::string& attributes = "") {
  char exact[32] = "";
  if (value > 0) std::snprintf(exact, sizeof exact, "%.9g", value);
  return "<td data-v=\"" + std::string(exact) + "\"" + attributes + ">" + (value > 0 ? text : "") + "</td>";
}

std::string share_cell(const Cost& cost, double total) {
  char width[48];
  std::snprintf(width, sizeof width, " class=\"bar\" style=\"--w:%.2f%%\"",
                total > 0 ? std::min(100 * cost.nanoseconds / total, 100.0) : 0);
  return number_cell(cost.nanoseconds, percent_text(cost.nanoseconds, total), width);
}

std::string roof_cell(const Cost& cost, const MachinePeak& peak) {
  const Roof roof = roof_of(cost, peak);
  if (roof.kind == Roof::Kind::neither) return "<td data-v=\"\"></td>";
  const std::string kind = name_of(roof.kind);
  return number_cell(roof.attained, kind + " " + percent_text(roof.attained, 1), " class=\"" + kind + "\"");
}

// The cells from time on, the same for nodes and operators.
std::string cost_cells(const Cost& cost, const ProfileReport& report) {
  return number_cell(cost.nanoseconds, time_text(cost.nanoseconds)) + share_cell(cost, report.total) +
         number_cell(cost.macs, count_text(cost.macs)) +
         number_cell(cost.gflops(), rate_text(cost.gflops())) +
         number_cell(cost.bytes_read, bytes_text(cost.bytes_read)) +
         number_cell(cost.bytes_written, bytes_text(cost.bytes_written)) +
         number_cell(cost.gbytes(), rate_text(cost.gbytes())) + roof_cell(cost, report.peak);
}

}  // namespace

std::string profile_page(const ProfileReport& report) {
  std::map<std::string, std::string, std::less<>> parts;
  parts["model"] = html_text(report.model);
  for (const auto& fact : report.facts) {
    parts["facts"] +=
        "<dt>" + html_text(fact.first) + "</dt><dd><bdi>" + html_text(fact.second) + "</bdi></dd>\n";
  }
  for (const OperatorCost& cost : report.operators) {
    parts["operators"] += "<tr>" + name_cell(cost.name) +
                          number_cell(static_cast<double>(cost.nodes), std::to_string(cost.nodes)) +
                          cost_cells(cost, report) + "</tr>\n";
  }
  for (const NodeCost& cost : report.nodes) {
    const Node& node = report.graph->node(cost.node);
    std::string kernels;
    for (const std::string& kernel : cost.kernels) kernels += (kernels.empty() ? "" : ", ") + kernel;
    parts["nodes"] += "<tr><td data-v=\"" + std::to_string(cost.node) + "\">" + std::to_string(cost.node) +
                      "</td>" + name_cell(node.result_names[0]) + name_cell(node.op->name) +
                      name_cell(cost.note) + name_cell(kernels, " class=\"code\"") +
                      cost_cells(cost, report) + "</tr>\n";
  }
  // One pass: what a name holds is never taken for a mark.
  std::string out;
  std::string_view rest = kProfilePage;
  for (size_t at = rest.find("{{"); at != std::string_view::npos; at = rest.find("{{")) {
    const size_t end = rest.find("}}", at);
    out += rest.substr(0, at);
    out += parts[std::string(rest.substr(at + 2, end - at - 2))];
    rest.remove_prefix(end + 2);
  }
  out += rest;
  return out;
}

}  // namespace nnefrun::cli
