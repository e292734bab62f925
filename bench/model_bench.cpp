// Whole models: how long they take to load, to be bound to new sizes, and to run.
//
//   model_bench                            synthetic graphs: pipeline by number of nodes, binding
//   model_bench MODEL.nnef.tgz ...         also these: load and run, on random inputs (unknown extents are
//   32)
//
// The flags are Google Benchmark's: model_bench --benchmark_filter=run A.nnef.tgz B.nnef.tgz
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/session.h"
#include "nnef_parser/archive.h"

namespace {

using namespace nnefrun;

constexpr int64_t kUnknownExtent = 32;

// A chain of convolutions, activations and additions of about `nodes` nodes, over images of any height.
Archive synthetic_archive(int64_t nodes) {
  std::string text =
      "version 1.0;\nextension tract_registry tract_core;\nextension tract_symbol S;\n"
      "graph network(input) -> (output)\n{\n"
      "  input = tract_core_external(shape = [1, 16, S, 8], datum_type = 'f32');\n"
      "  weight = variable<scalar>(shape = [16, 16, 3, 3], label = 'weight');\n";
  std::string last = "input";
  for (int64_t i = 0; i + 4 <= nodes; i += 4) {
    const std::string n = std::to_string(i);
    text += "  conv" + n + " = conv(" + last + ", weight, 0.0, padding = [(1, 1), (1, 1)]);\n";
    text += "  act" + n + " = tanh(conv" + n + ");\n";
    text += "  half" + n + " = mul(act" + n + ", 0.5);\n";
    text += "  sum" + n + " = add(half" + n + ", " + last + ");\n";
    last = "sum" + n;
  }
  text += "  output = copy(" + last + ");\n}\n";
  Tensor weight = Tensor::zeros(DataType::f32, {16, 16, 3, 3});
  return Archive::of_members(
      "synthetic", {text_member("graph.nnef", text), tensor_member("weight", weight, TensorFileForm::tract)});
}

// From text to plan, and its stages, in microseconds for a node. `plan` has the choice of layouts in it; what
// is left is freeing.
void BM_compile(benchmark::State& state) {
  using Clock = std::chrono::steady_clock;
  const Archive archive = synthetic_archive(state.range(0));
  std::map<std::string, double> seconds;
  Clock::time_point last;
  const auto ends = [&](const std::string& stage) {
    const Clock::time_point now = Clock::now();
    seconds[stage] += std::chrono::duration<double>(now - std::exchange(last, now)).count();
  };
  CompileOptions options;
  options.after_pass = [&](const std::string& pass, const Graph&, int64_t, double) { ends(pass); };
  size_t steps = 0;
  for (auto _ : state) {
    last = Clock::now();
    const Document document = parse_graph(archive, options);
    ends("parse");
    Graph graph = import_graph(document, archive, options);
    ends("import");
    const auto model = compile_graph(std::move(graph), options);
    ends("plan");
    steps = model->plan->steps.size();
  }
  const auto nodes = static_cast<double>(state.range(0));
  for (const auto& [stage, time] : seconds)
    state.counters[stage] = benchmark::Counter(time * 1e6 / nodes, benchmark::Counter::kAvgIterations);
  state.counters["steps"] = static_cast<double>(steps);
  state.counters["us_per_node"] = benchmark::Counter(
      nodes * 1e-6, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_compile)->Arg(1000)->Arg(3000)->Arg(10000)->Arg(30000)->Unit(benchmark::kMillisecond);

// A session that is bound to one size and then the other.
void BM_bind(benchmark::State& state) {
  Session session(compile_model(synthetic_archive(state.range(0)), {}));
  const std::vector<Tensor> sizes[2] = {{Tensor::zeros(DataType::f32, {1, 16, 48, 8})},
                                        {Tensor::zeros(DataType::f32, {1, 16, 33, 8})}};
  session.prepare(sizes[0]);
  size_t turn = 0;
  for (auto _ : state) session.prepare(sizes[++turn % 2]);
  state.counters["steps"] = static_cast<double>(session.model().plan->steps.size());
  state.counters["arena"] = static_cast<double>(session.arena_bytes());
}
BENCHMARK(BM_bind)->Arg(100)->Arg(500)->Arg(1000)->Unit(benchmark::kMicrosecond);

std::vector<Tensor> random_inputs(const Graph& graph) {
  std::mt19937 generator(1);
  std::vector<Tensor> inputs;
  for (const Outlet& input : graph.inputs) {
    const Fact& fact = graph.fact(input);
    SymbolValues symbols;
    for (const std::string& symbol : graph.symbols) symbols[symbol] = kUnknownExtent;
    Shape shape;
    for (const Dim& extent : fact.shape) shape.push_back(extent.evaluate(symbols).value_or(kUnknownExtent));
    Tensor tensor = Tensor::zeros(fact.dtype, shape);
    if (fact.dtype == DataType::f32) {
      std::uniform_real_distribution<float> values(-1, 1);
      for (int64_t i = 0; i < tensor.size(); ++i) tensor.mutable_data<float>()[i] = values(generator);
    }
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

void load_file(benchmark::State& state, const std::string& path) {
  for (auto _ : state) benchmark::DoNotOptimize(compile_model(Archive::open(path), {}));
}

void run_file(benchmark::State& state, const std::string& path) {
  Session session(compile_model(Archive::open(path), {}));
  const std::vector<Tensor> inputs = random_inputs(session.model().graph);
  session.run_in_place(inputs);
  for (auto _ : state) session.run_in_place(inputs);
  state.counters["arena"] = static_cast<double>(session.arena_bytes());
  state.counters["weights"] = static_cast<double>(session.weight_bytes());
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  try {
    for (int i = 1; i < argc; ++i) {
      const std::string path = argv[i];
      benchmark::RegisterBenchmark(("load/" + path).c_str(), load_file, path)->Unit(benchmark::kMillisecond);
      benchmark::RegisterBenchmark(("run/" + path).c_str(), run_file, path)->Unit(benchmark::kMicrosecond);
    }
    benchmark::RunSpecifiedBenchmarks();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
