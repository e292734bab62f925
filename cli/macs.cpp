#include "cli/macs.h"

#include <algorithm>

#include "engine/graph/op_def.h"

namespace nnefrun::cli {
namespace {

using Extents = std::vector<double>;

std::optional<Extents> extents_of(const Fact& fact, const SymbolValues& symbols) {
  Extents out;
  for (const Dim& dim : fact.shape) {
    const auto value = dim.evaluate(symbols);
    if (!value) return std::nullopt;
    out.push_back(static_cast<double>(*value));
  }
  return out;
}

double volume(const Extents& extents) {
  double product = 1;
  for (const double extent : extents) product *= extent;
  return product;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Each letter of "mk,kn->mn" once: the volume of the whole iteration.
std::optional<double> einsum_macs(const std::string& expression, const std::vector<Extents>& inputs) {
  std::map<char, double> letters;
  size_t input = 0, axis = 0;
  for (const char c : expression) {
    if (c == '-') break;
    if (c == ' ') continue;
    if (c == ',') {
      ++input;
      axis = 0;
      continue;
    }
    if (input >= inputs.size() || axis >= inputs[input].size()) return std::nullopt;
    double& extent = letters[c];
    extent = std::max(extent, inputs[input][axis++]);
  }
  double product = 1;
  for (const auto& letter : letters) product *= letter.second;
  return product;
}

// Iterations of a loop: the longest scanned axis over its chunk.
std::optional<double> scan_macs(const Graph& graph, const Node& node, const NodeReader& reader,
                                const std::vector<Extents>& inputs, const SymbolValues& symbols) {
  if (node.bodies.size() != 1 || !node.bodies[0]) return std::nullopt;
  double body = 0;
  for (const Node& inner : node.bodies[0]->nodes()) {
    body += macs_of(*node.bodies[0], inner, symbols).value_or(0);
  }
  const auto axes = reader.integers("axes"), chunks = reader.integers("chunks");
  double iterations = 0;
  for (size_t i = 0; i < inputs.size() && i < axes.size() && i < chunks.size(); ++i) {
    if (chunks[i] == 0) continue;
    const auto chunk = static_cast<double>(std::abs(chunks[i]));
    iterations = std::max(iterations, inputs[i][static_cast<size_t>(axes[i])] / chunk);
  }
  return body * iterations;
}

bool is_cell(std::string_view op) {
  return op == "nnefrun_lstm" || op == "nnefrun_gru" || op == "nnefrun_rnn";
}

std::optional<double> known_macs(const Graph& graph, const Node& node, const SymbolValues& symbols) {
  const std::string_view op = node.op->name;
  const Signature& signature = signature_of(node.op);
  const NodeReader reader(node, signature, &symbols);
  std::vector<Extents> inputs;
  for (const Outlet& input : node.inputs) {
    auto extents = extents_of(graph.fact(input), symbols);
    if (!extents) return std::nullopt;
    inputs.push_back(std::move(*extents));
  }
  const auto output = extents_of(node.facts[0], symbols);
  if (!output) return std::nullopt;

  if (contains(op, "einsum")) return einsum_macs(reader.string("expr"), inputs);
  if (contains(op, "scan")) return scan_macs(graph, node, reader, inputs, symbols);
  if (contains(op, "sdpa") && inputs.size() >= 3 && inputs[0].size() >= 2 && inputs[1].size() >= 2) {
    // Scores and their weighted sum: queries x keys x (width of a key + width of a value).
    const double keys = inputs[1][inputs[1].size() - 2], width = inputs[0].back(), value = inputs[2].back();
    return volume(inputs[0]) / std::max(width, 1.0) * keys * (width + value);
  }
  if (inputs.size() < 2 || inputs[0].empty() || inputs[1].empty()) return std::nullopt;
  const Extents &x = inputs[0], &w = inputs[1];
  if (contains(op, "conv") && w[0] > 0)
    return volume(contains(op, "deconv") ? x : *output) * volume(w) / w[0];
  if (contains(op, "matmul")) {
    const bool transposed = signature.attribute_index("transposeA") >= 0 && reader.logical("transposeA");
    if (x.size() < 2) return std::nullopt;
    return volume(*output) * x[x.size() - (transposed ? 2 : 1)];
  }
  if (is_cell(op) && w.size() == 2) return volume(x) * w[1];
  if (contains(op, "linear") && w.size() == 2 && output->size() >= 2) return volume(*output) * w[1];
  return std::nullopt;
}

}  // namespace

bool counts_macs(const OpDef& op) {
  for (const std::string_view part : {"conv", "matmul", "linear", "einsum", "scan", "sdpa"}) {
    if (contains(op.name, part)) return true;
  }
  return is_cell(op.name);
}

std::optional<double> macs_of(const Graph& graph, const Node& node, const SymbolValues& symbols) {
  if (!counts_macs(*node.op) || node.facts.empty() || node.facts[0].constant) return std::nullopt;
  try {
    return known_macs(graph, node, symbols);
  } catch (const Error&) {  // an attribute that only a run can tell
    return std::nullopt;
  }
}

}  // namespace nnefrun::cli
