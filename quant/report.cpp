#include "quant/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace nnefrun {
namespace {

std::string number(const char* form, double value) {
  char text[64];
  std::snprintf(text, sizeof text, form, value);
  return text;
}
std::string decibels(double value) { return std::isinf(value) ? "exact" : number("%.1f dB", value); }

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string summary(const QuantizationReport& r) {
  std::string out;
  if (r.final_error) out += "relative error of the results: " + number("%.4g", *r.final_error) + "\n";
  if (r.rows > 0)
    out += "same largest entry: " + std::to_string(r.same_top) + " of " + std::to_string(r.rows) + "\n";
  const double share =
      r.bytes_before == 0 ? 1 : static_cast<double>(r.bytes_after) / static_cast<double>(r.bytes_before);
  out += "tensors: " + std::to_string(r.bytes_before) + " bytes before, " + std::to_string(r.bytes_after) +
         " after (" + number("%.1f", 100 * share) + " %)\n";
  return out;
}

}  // namespace

std::string report_text(const QuantizationReport& r) {
  size_t width = 4;
  for (const auto& node : r.nodes) width = std::max(width, node.name.size());
  std::string out;
  for (const auto& node : r.nodes) {
    out += node.name + std::string(width - node.name.size() + 2, ' ');
    out += decibels(node.signal_to_noise) + "  " + node.op + (node.quantized ? "" : " (float)") + "\n";
  }
  return out + summary(r);
}

std::string report_html(const QuantizationReport& r) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + escaped(r.model) +
      " quantised</title>\n<style>\nbody{font:14px "
      "sans-serif;margin:2em;max-width:70em}\ntable{border-collapse:collapse}\n"
      "td{padding:1px 8px;white-space:nowrap}\n.bar{height:12px;display:inline-block;background:#4878a8}\n"
      ".low{background:#c05040}\n.float{background:#a0a0a0}\n</style></head><body>\n<h1>" +
      escaped(r.model) + "</h1>\n<p>" + escaped(r.scheme) + "</p>\n<pre>" + escaped(summary(r)) +
      "</pre>\n<table>\n<tr><th>node</th><th>operator</th><th>signal to noise</th><th></th></tr>\n";
  for (const auto& node : r.nodes) {
    // 60 dB is a full bar; below 20 dB a node is worth a look.
    const double length = std::isinf(node.signal_to_noise) ? 60 : std::clamp(node.signal_to_noise, 0.0, 60.0);
    const char* kind = !node.quantized ? "bar float" : node.signal_to_noise < 20 ? "bar low" : "bar";
    out += "<tr><td>" + escaped(node.name) + "</td><td>" + escaped(node.op) +
           (node.quantized ? "" : " (float)") + "</td><td>" + decibels(node.signal_to_noise) +
           "</td><td><span class=\"" + kind + "\" style=\"width:" + number("%.0f", length * 6) +
           "px\"></span></td></tr>\n";
  }
  return out + "</table>\n</body></html>\n";
}

}  // namespace nnefrun
