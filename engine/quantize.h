// Static quantisation of a float model: activations become 8-bit codes with calibrated ranges, weights codes
// with one scale for each output channel.
//
//   base_for_quantization   typed graph, with constants folded into the weights and nothing fused
//   calibrate               runs it and watches every value
//   quantized_graph         the graph with codes; operators without products compute between casts, which the
//   engine's
//                           rewrites make integer steps of
//
// A value that is quantised is quantised for all its readers.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/compiler.h"
#include "quant/calibrate.h"

namespace nnefrun {

Graph base_for_quantization(Graph typed, const CompileOptions& options);

// Observations of f32 results by their names, over all `runs` of inputs.
using Observations = std::map<std::string, RangeObserver>;
Observations calibrate(const Graph& base, const std::vector<std::vector<Tensor>>& runs);

struct QuantizeOptions {
  RangeMethod method = RangeMethod::min_max;
  double kept = 0.9999;        // of RangeMethod::percentile
  std::set<std::string> keep;  // names of results whose nodes stay in float
};
// Names of the results that quantized_graph() would quantise, in order.
std::vector<std::string> quantizable(const Graph& base, const Observations& seen);
// Results keep their names, as f32.
Graph quantized_graph(const Graph& base, const Observations& seen, const QuantizeOptions& options);

// The graph with the constant weights of its products (matrices whose rows are output channels, and look-ups
// for q40 and q80) in another form; `quantized`: names of the results of these nodes. int8 and int4_group32
// are dequantised by operators of the graph.
Graph weights_quantized(const Graph& base, WeightScheme scheme, const std::set<std::string>& keep,
                        std::vector<std::string>* quantized);

// Q4_0 weights in a model of tract's dialect as it is: the matrices that only products (`linear`, `matmul`
// with transposeB) and look-ups along axis 0 read, by their labels; the document's variables and look-ups are
// changed to match, as torch_to_nnef writes them, and everything else stays. `keep`: names of results whose
// weights stay. Matrices without a .dat of their own, with another type than f32, or with rows that are no
// multiple of 32 stay; no tensors: nothing was changed.
struct StoredWeights {
  std::map<std::string, Tensor> tensors;  // by label
  std::vector<std::string> nodes;         // names of the results that read them
};
StoredWeights store_q40_weights(Document& document, const Archive& archive,
                                const std::set<std::string>& keep);

// Runs a graph as it is (no rewrites) and hands every result to `observe`; returns the graph's results of
// each run.
std::vector<std::vector<Tensor>> run_observed(
    const Graph& graph, const std::vector<std::vector<Tensor>>& runs,
    const std::function<void(size_t run, const Node&, uint32_t result, const Tensor&)>& observe);

// The text of a graph in tract's dialect: print_graph's, when no operator is the engine's own and its tensor
// files can hold the constants; nullopt otherwise.
std::optional<PrintedGraph> print_for_tract(const Graph& graph);

}  // namespace nnefrun
