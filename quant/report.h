// What quantising a model costs, for people: a table and a page with a bar for each node.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace nnefrun {

struct QuantizationReport {
  struct Node {
    std::string name, op;
    bool quantized = false;
    double signal_to_noise = 0;  // decibels, against the float model on the calibration inputs
  };
  std::string model, scheme;
  std::vector<Node> nodes;
  // Largest over the results: norm of the difference over the norm of the float result. None without
  // calibration inputs.
  std::optional<double> final_error;
  // Of the calibration inputs, those whose largest entry of the first result is at the same place; no rows:
  // not told.
  size_t same_top = 0, rows = 0;
  size_t bytes_before = 0, bytes_after = 0;  // of the tensors
};

std::string report_text(const QuantizationReport& report);
// One file without references to others.
std::string report_html(const QuantizationReport& report);

}  // namespace nnefrun
