#include "tests/property/runner.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/compiler.h"
#include "engine/graph/interpreter.h"
#include "engine/ops/support.h"
#include "engine/session.h"
#include "io/npy.h"
#include "nnef_parser/archive.h"

namespace nnefrun::property {
namespace {

double step_of(DataType dtype) {
  switch (dtype) {
    case DataType::f64: return 0x1p-52;
    case DataType::f16: return 0x1p-10;
    case DataType::bf16: return 0x1p-7;
    default: return 0x1p-23;
  }
}
double smallest_of(DataType dtype) {
  switch (dtype) {
    case DataType::f64: return 0x1p-1022;
    case DataType::f16: return 0x1p-14;
    default: return 0x1p-126;
  }
}

// What one way makes of one case: the results of every run until one fails, and the code of the failure.
struct Way {
  std::vector<std::vector<Tensor>> runs;
  std::string code, message;
  double largest = 0;  // of all finite values on the way
};

template <class F>
void guarded(Way& way, F&& f) {
  try {
    f();
  } catch (const Error& error) {
    way.code = error.code();
    way.message = error.what();
  }
}

class Comparison {
 public:
  Comparison(const Draw& drawn, double largest) : drawn_(drawn), largest_(largest) {}

  std::string difference(const Tensor& got, const Tensor& want) const {
    if (got.dtype() != want.dtype() || got.shape() != want.shape()) {
      return "optimised " + std::string(name_of(got.dtype())) + " " + to_string(got.shape()) + ", naive " +
             std::string(name_of(want.dtype())) + " " + to_string(want.shape());
    }
    if (is_complex(got.dtype())) return difference(parts_of(got), parts_of(want));
    if (!is_float(got.dtype())) {
      if (got.dtype() == DataType::string) return got.strings() == want.strings() ? "" : "strings differ";
      for (int64_t i = 0; i < got.size(); ++i) {
        if (got.as_int(i) != want.as_int(i)) return at(i, got.shape(), got.as_int(i), want.as_int(i));
      }
      return {};
    }
    const double step = step_of(got.dtype()), smallest = smallest_of(got.dtype());
    for (int64_t i = 0; i < got.size(); ++i) {
      const double g = got.as_double(i), w = want.as_double(i);
      if (std::isnan(g) && std::isnan(w)) continue;
      if (g == w && (g != 0 || !drawn_.signed_zeros || std::signbit(g) == std::signbit(w))) continue;
      if (std::isfinite(g) && std::isfinite(w) && drawn_.steps > 0) {
        const double scale = drawn_.local ? std::abs(w) : std::max(largest_, 1.0);
        if (std::abs(g - w) <=
            drawn_.steps * step * scale + drawn_.absolute + (drawn_.steps > 4 ? smallest : 0))
          continue;
      }
      return at(i, got.shape(), g, w);
    }
    return {};
  }

 private:
  static Tensor parts_of(const Tensor& t) {
    Shape shape = t.shape();
    shape.push_back(2);
    const DataType part = t.dtype() == DataType::complex32   ? DataType::f16
                          : t.dtype() == DataType::complex64 ? DataType::f32
                                                             : DataType::f64;
    Tensor out = Tensor::uninitialized(part, shape);
    std::copy_n(t.bytes(), t.byte_size(), out.mutable_bytes());
    return out;
  }
  template <class T>
  static std::string at(int64_t index, const Shape& shape, T got, T want) {
    std::ostringstream out;
    out.precision(17);
    out << "item " << index << " of " << to_string(shape) << ": optimised " << got << ", naive " << want;
    return out.str();
  }
  const Draw& drawn_;
  double largest_;
};

double largest_finite(const Tensor& t) {
  double largest = 0;
  if (!is_float(t.dtype())) return largest;
  for (int64_t i = 0; i < t.size(); ++i) {
    const double item = std::abs(t.as_double(i));
    if (std::isfinite(item)) largest = std::max(largest, item);
  }
  return largest;
}

void keep_case(const std::string& folder, const PrintedGraph& printed, const Graph& graph,
               const std::vector<std::vector<Tensor>>& inputs) {
  std::filesystem::create_directories(folder);
  std::vector<ArchiveMember> members{text_member("graph.nnef", printed.text)};
  for (const auto& tensor : printed.tensors)
    members.push_back(tensor_member(tensor.first, tensor.second, TensorFileForm::engine));
  write_archive(folder + "/model.nnef.tar", members);
  for (size_t k = 0; k < inputs.size(); ++k) {
    for (size_t i = 0; i < inputs[k].size(); ++i) {
      save_npy(folder + "/" + graph.name_of(graph.inputs[i]) + "." + std::to_string(k) + ".npy",
               inputs[k][i]);
    }
  }
}

}  // namespace

Outcome run_case(Draw& drawn, const std::string& keep) {
  const Graph& graph = drawn.graph;
  std::vector<std::vector<Tensor>> inputs;  // of each run
  std::vector<size_t> starts;               // runs that begin with a fresh state
  for (const SymbolValues& binding : drawn.bindings) {
    starts.push_back(inputs.size());
    for (int k = 0; k < drawn.runs; ++k) {
      inputs.emplace_back();
      for (const auto& input : drawn.inputs) {
        Shape shape;
        for (const Dim& extent : graph.fact(input.first).shape) {
          shape.push_back(extent.evaluate(binding).value());
          if (shape.back() < 0) throw Error("shape-negative", "the case needs an input of a negative extent");
        }
        inputs.back().push_back(input.second(shape, binding));
      }
    }
  }
  const auto is_start = [&](size_t run) {
    return std::find(starts.begin(), starts.end(), run) != starts.end();
  };

  Way naive, optimised;
  for (const auto& run : inputs) {
    for (const Tensor& tensor : run) naive.largest = std::max(naive.largest, largest_finite(tensor));
  }
  guarded(naive, [&] {
    InterpreterOptions options;
    options.observe = [&](const Node&, uint32_t, const Tensor& value) {
      naive.largest = std::max(naive.largest, largest_finite(value));
    };
    GraphState state;
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (is_start(k)) state = {};
      naive.runs.push_back(interpret(graph, inputs[k], {}, state, options));
    }
  });
  PrintedGraph printed;
  std::string difference;
  bool planned = false;
  guarded(optimised, [&] {
    printed = print_graph(graph);
    Session session(compile_graph(reload_graph(printed), {}));
    planned = session.model().plan.has_value();
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (is_start(k)) session.reset();
      optimised.runs.push_back(session.run(inputs[k]));
    }
  });

  // A size that comes out negative is noticed before the operator that would name the reason is reached.
  const bool same_reason =
      naive.code == optimised.code || (!naive.code.empty() && optimised.code == "shape-negative");
  if (!same_reason) {
    difference = "optimised " + (optimised.code.empty() ? "runs" : optimised.message) + "\nnaive " +
                 (naive.code.empty() ? "runs" : naive.message);
  }
  // What is refused while compiling leaves no runs.
  const size_t both = std::min(naive.runs.size(), optimised.runs.size());
  const Comparison comparison(drawn, naive.largest);
  for (size_t k = 0; k < both && difference.empty(); ++k) {
    for (size_t r = 0; r < naive.runs[k].size() && difference.empty(); ++r) {
      difference = comparison.difference(optimised.runs[k][r], naive.runs[k][r]);
      if (!difference.empty())
        difference = "run " + std::to_string(k) + ", result " + graph.outputs[r].name + ", " + difference;
    }
  }
  Outcome outcome;
  outcome.refused = !naive.code.empty();
  if (!difference.empty()) {
    outcome.difference = difference + (planned ? "" : " (not planned)");
    outcome.text = printed.text;
    if (!keep.empty()) keep_case(keep, printed, graph, inputs);
  }
  return outcome;
}

}  // namespace nnefrun::property
