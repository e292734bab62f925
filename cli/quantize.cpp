// nnefrun quantize: writes a quantised model and says what it costs.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "cli/common.h"
#include "cli/inputs.h"
#include "cli/model.h"
#include "engine/accuracy.h"
#include "engine/quantize.h"
#include "io/npz.h"
#include "nnef_parser/archive.h"
#include "nnef_parser/printer.h"
#include "nnef_parser/tensor_file.h"
#include "quant/report.h"
#include "quant/tensors.h"

namespace nnefrun::cli {
namespace {

using Runs = std::vector<std::vector<Tensor>>;

// `*` stands for any text.
bool matches(std::string_view pattern, std::string_view text) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (text.substr(0, star) != pattern.substr(0, star)) return false;
  for (size_t at = star; at <= text.size(); ++at) {
    if (matches(pattern.substr(star + 1), text.substr(at))) return true;
  }
  return false;
}

// One set of inputs for each .npz of a folder (in the order of their names), or the one of a file. Keys are
// names of inputs; a set without an input of the graph is passed over when the folder has others that are
// complete.
Runs calibration_inputs(const std::string& path, const Graph& graph) {
  std::vector<std::string> files;
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.path().extension() == ".npz") files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
  } else {
    files.push_back(path);
  }
  Runs runs;
  std::string why;
  for (const std::string& file : files) {
    const NamedTensors arrays = load_npz(file);
    std::vector<Tensor> inputs;
    for (const Outlet& outlet : graph.inputs) {
      const Fact& fact = graph.fact(outlet);
      for (const auto& [name, tensor] : arrays) {
        if (name != graph.name_of(outlet)) continue;
        const auto value = widened(tensor, fact.dtype);
        if (value && value->rank() == fact.rank()) inputs.push_back(*value);
      }
    }
    if (inputs.size() == graph.inputs.size()) {
      runs.push_back(std::move(inputs));
    } else {
      why = "`" + file + "` does not hold every input of the graph in its type";
    }
  }
  if (runs.empty()) {
    throw Error("calibration-inputs",
                "there are no calibration inputs in `" + path + "`" + (why.empty() ? "" : ": " + why));
  }
  return runs;
}

// Names that --keep names. Throws Error[usage] for a pattern that nothing matches.
std::set<std::string> kept_names(const Graph& graph, const std::vector<std::string>& patterns) {
  std::set<std::string> out;
  for (const std::string& pattern : patterns) {
    bool any = false;
    for (const Node& node : graph.nodes()) {
      for (const std::string& name : node.result_names) {
        if (!matches(pattern, name)) continue;
        any = true;
        out.insert(name);
      }
    }
    if (!any) throw Failure{kWrongUsage, Error("usage", "--keep " + pattern + ": no node has such a name")};
  }
  return out;
}

double squared(const Tensor& t) {
  double sum = 0;
  for (int64_t i = 0; i < t.size(); ++i) sum += t.as_double(i) * t.as_double(i);
  return sum;
}
double squared_difference(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    sum += (a.as_double(i) - b.as_double(i)) * (a.as_double(i) - b.as_double(i));
  return sum;
}
int64_t top_of(const Tensor& t) {
  int64_t best = 0;
  for (int64_t i = 1; i < t.size(); ++i) {
    if (t.as_double(i) > t.as_double(best)) best = i;
  }
  return best;
}

// The largest relative error of a result, over all runs together.
double relative_error(const Runs& exact, const Runs& got) {
  double worst = 0;
  for (size_t r = 0; r < exact[0].size(); ++r) {
    double signal = 0, noise = 0;
    for (size_t run = 0; run < exact.size(); ++run) {
      if (exact[run][r].size() != got[run][r].size()) continue;
      signal += squared(exact[run][r]);
      noise += squared_difference(exact[run][r], got[run][r]);
    }
    const double error = noise == 0 ? 0 : std::sqrt(noise / signal);
    worst = std::isnan(error) ? error : std::max(worst, error);
  }
  return worst;
}

size_t constant_bytes(const Graph& graph) {
  size_t bytes = 0;
  for (const Node& node : graph.nodes()) {
    for (const Fact& fact : node.facts) {
      if (node.op->name == "variable" && fact.constant) bytes += fact.constant->byte_size();
    }
  }
  return bytes;
}

// Everything that is compared with the float model.
struct Reference {
  const Graph& base;
  const Runs& runs;
  std::vector<std::map<std::string, Tensor>> values;  // of each run
  Runs results;
};

QuantizationReport report_of(const Reference& reference, const Graph& graph,
                             const std::vector<std::string>& quantized) {
  QuantizationReport report;
  std::map<std::string, std::pair<double, double>> energies;  // signal, noise
  // A result that is codes is compared as the reals that they stand for. What a clamp alone reads has the
  // clamp's range, so only the clamp tells.
  std::set<std::string> clamped;
  const std::set<std::string> coded(quantized.begin(), quantized.end());
  for (const Node& node : reference.base.nodes()) {
    const std::string_view op = node.op->name;
    if ((op == "relu" || op == "clamp" || op == "nnefrun_clip") && coded.count(node.result_names[0]) != 0)
      clamped.insert(reference.base.name_of(node.inputs[0]));
  }
  const auto compare_with = [&](size_t run, const std::string& name, const Tensor& value) {
    const auto it = reference.values[run].find(name);
    if (it == reference.values[run].end() || it->second.shape() != value.shape()) return;
    auto& [signal, noise] = energies[name];
    signal += squared(it->second);
    noise += squared_difference(it->second, value);
  };
  constexpr std::string_view kSuffix = "_codes";
  const Runs got = run_observed(
      graph, reference.runs, [&](size_t run, const Node& node, uint32_t result, const Tensor& value) {
        const std::string& name = node.result_names[result];
        const Fact& fact = node.facts[result];
        const bool is_coded = fact.quant && name.size() > kSuffix.size() &&
                              std::string_view(name).substr(name.size() - kSuffix.size()) == kSuffix;
        if (is_coded) {
          const std::string own = name.substr(0, name.size() - kSuffix.size());
          if (coded.count(own) != 0 && clamped.count(own) == 0)
            compare_with(run, own, dequantize_codes(value, *fact.quant));
        } else if (value.dtype() == DataType::f32 && clamped.count(name) == 0) {
          compare_with(run, name, value);
        }
      });
  for (const Node& node : reference.base.nodes()) {
    const std::string& name = node.result_names[0];
    const auto it = energies.find(name);
    if (it == energies.end()) continue;
    report.nodes.push_back({name, std::string(node.op->name), coded.count(name) != 0,
                            signal_to_noise(it->second.first, it->second.second)});
  }
  report.final_error = relative_error(reference.results, got);
  for (size_t run = 0; run < got.size(); ++run) {
    const Tensor& exact = reference.results[run][0];
    if (exact.size() < 2 || exact.size() != got[run][0].size()) continue;
    ++report.rows;
    report.same_top += top_of(exact) == top_of(got[run][0]) ? 1 : 0;
  }
  report.bytes_before = constant_bytes(reference.base);
  report.bytes_after = constant_bytes(graph);
  return report;
}

Reference reference_of(const Graph& base, const Runs& runs) {
  Reference reference{base, runs, std::vector<std::map<std::string, Tensor>>(runs.size()), {}};
  reference.results =
      run_observed(base, runs, [&](size_t run, const Node& node, uint32_t result, const Tensor& value) {
        if (value.dtype() != DataType::f32) return;
        Tensor copy = Tensor::uninitialized(DataType::f32, value.shape());
        std::copy_n(value.bytes(), value.byte_size(), copy.mutable_bytes());
        reference.values[run][node.result_names[result]] = copy;
      });
  return reference;
}

// The fewest nodes in float, worst first, with which the error is at most `largest`: by bisection.
void keep_for_error(const Reference& reference, const Observations& seen, double largest,
                    QuantizeOptions& options) {
  const auto error_with = [&](const QuantizeOptions& tried) {
    return relative_error(reference.results, run_observed(quantized_graph(reference.base, seen, tried),
                                                          reference.runs, nullptr));
  };
  if (error_with(options) <= largest) return;
  // What each node costs alone: everything else in float.
  std::vector<std::pair<double, std::string>> costs;
  std::vector<std::string> candidates;
  for (const std::string& name : quantizable(reference.base, seen)) {
    if (options.keep.count(name) == 0) candidates.push_back(name);
  }
  for (const std::string& name : candidates) {
    QuantizeOptions alone = options;
    for (const std::string& other : candidates) {
      if (other != name) alone.keep.insert(other);
    }
    costs.emplace_back(-error_with(alone), name);
  }
  std::stable_sort(costs.begin(), costs.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto with_worst = [&](size_t count) {
    QuantizeOptions tried = options;
    for (size_t i = 0; i < count; ++i) tried.keep.insert(costs[i].second);
    return tried;
  };
  size_t low = 0, high = costs.size();  // `low` are too few, `high` are enough
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    (error_with(with_worst(middle)) <= largest ? high : low) = middle;
  }
  options = with_worst(high);
}

std::vector<ArchiveMember> members_of(const Graph& graph) {
  const auto for_tract = print_for_tract(graph);
  const PrintedGraph printed = for_tract ? *for_tract : print_graph(graph);
  std::vector<ArchiveMember> members{text_member("graph.nnef", printed.text)};
  const TensorFileForm form = for_tract ? TensorFileForm::tract : TensorFileForm::engine;
  for (const auto& [label, tensor] : printed.tensors) members.push_back(tensor_member(label, tensor, form));
  return members;
}

// The model with Q4_0 weights and everything else as it is; no members where its text does not allow that.
std::vector<ArchiveMember> members_with_q40(const Archive& archive, const Options& options,
                                            const std::set<std::string>& keep,
                                            std::vector<std::string>* quantized) {
  Document document = parse_graph(archive, compile_options(options));
  const StoredWeights stored = store_q40_weights(document, archive, keep);
  std::vector<ArchiveMember> members;
  if (stored.tensors.empty()) return members;
  if (options.fast) record_accuracy(document, *options.fast);
  const std::string text = archive.graph(options.graph).member;
  for (const std::string& name : archive.members()) {
    const auto dot = name.rfind(".dat");
    const auto changed =
        dot == std::string::npos ? stored.tensors.end() : stored.tensors.find(name.substr(0, dot));
    if (name == text) {
      members.push_back(text_member(name, print(document)));
    } else if (changed != stored.tensors.end()) {
      members.push_back(tensor_member(changed->first, changed->second, TensorFileForm::tract));
    } else if (const auto bytes = archive.bytes(name)) {
      members.push_back(
          {name, std::string(reinterpret_cast<const char*>(bytes->span.data()), bytes->span.size()), {}});
    }
  }
  *quantized = stored.nodes;
  return members;
}

}  // namespace

int quantize_verb(const Options& options) {
  std::optional<Progress> progress(std::in_place, "quantising " + options.model);
  const Archive archive = open_archive(options);
  Graph base;
  guarded(kModelRefused, [&] {
    base = base_for_quantization(load_typed_graph(archive, options), compile_options(options));
  });
  QuantizeOptions quantize;
  quantize.method = options.quantize.method;
  quantize.kept = options.quantize.kept;
  quantize.keep = kept_names(base, options.quantize.keep);
  std::optional<Runs> runs;
  if (!options.quantize.calibrate.empty()) runs = calibration_inputs(options.quantize.calibrate, base);
  Graph result;
  std::vector<std::string> quantized;
  std::vector<ArchiveMember> members;
  std::optional<Reference> reference;
  if (runs) reference.emplace(reference_of(base, *runs));
  if (options.quantize.int8) {
    const Observations seen = calibrate(base, *runs);
    if (options.quantize.max_error) keep_for_error(*reference, seen, *options.quantize.max_error, quantize);
    for (const std::string& name : quantizable(base, seen)) {
      if (quantize.keep.count(name) == 0) quantized.push_back(name);
    }
    result = quantized_graph(base, seen, quantize);
  } else {
    const WeightScheme scheme = *weight_scheme_from_name(options.quantize.weights);
    if (scheme == WeightScheme::q40) members = members_with_q40(archive, options, quantize.keep, &quantized);
    if (members.empty()) {
      result = weights_quantized(base, scheme, quantize.keep, &quantized);
    } else {
      const Archive written = Archive::of_members(options.output, members);
      guarded(kModelRefused, [&] {
        result = base_for_quantization(load_typed_graph(written, options), compile_options(options));
      });
    }
  }
  if (members.empty()) {
    if (options.fast) record_accuracy(result, *options.fast);
    members = members_of(result);
  }
  QuantizationReport report;
  if (reference) {
    report = report_of(*reference, result, quantized);
  } else {
    report.bytes_before = constant_bytes(base);
    report.bytes_after = constant_bytes(result);
  }
  report.model = options.model;
  report.scheme = options.quantize.int8
                      ? "8-bit codes, " + std::to_string(runs->size()) + " calibration inputs"
                      : options.quantize.weights + " weights";
  write_archive(options.output, members);
  if (!options.html.empty()) {
    std::ofstream page(options.html, std::ios::binary);
    page << report_html(report);
    if (!page.flush())
      throw Failure{kRunFailed, Error("file-unwritable", "`" + options.html + "` cannot be written")};
  }
  progress.reset();
  print_out(report_text(report));
  return kDone;
}

}  // namespace nnefrun::cli
