// How fast graph.nnef is read, printed, checked and expanded: MB/s of text over graphs of 1,000 to 100,000
// nodes.
#include <benchmark/benchmark.h>

#include <string>

#include "nnef_parser/check.h"
#include "nnef_parser/expand.h"
#include "nnef_parser/parser.h"
#include "nnef_parser/printer.h"

namespace {

using namespace nnefrun;

std::string synthetic_graph(int64_t nodes) {
  std::string text =
      "version 1.0;\n\ngraph network( input ) -> ( output )\n{\n    input = external(shape = "
      "[1,64,56,56]);\n";
  std::string last = "input";
  for (int64_t i = 0; i + 4 < nodes; i += 4) {
    const std::string n = std::to_string(i);
    text += "    weight" + n + " = variable<scalar>(shape = [64, 64, 3, 3], label = 'stage1/block" + n +
            "/weight');\n";
    text += "    conv" + n + " = conv(" + last + ", weight" + n +
            ", 0.0, padding = [(1, 1), (1, 1)], border = 'constant', stride = [1, 1], dilation = [1, 1]);\n";
    text += "    relu" + n + " = relu(conv" + n + ");\n";
    text += "    sum" + n + " = add(relu" + n + ", 0.25);\n";
    last = "sum" + n;
  }
  return text + "    output = copy(" + last + ");\n}\n";
}

class CountingSink : public Sink {
 public:
  bool is_primitive(std::string_view) override { return true; }
  std::vector<Value> invoke(const PrimitiveCall& call) override {
    return std::vector<Value>(call.declaration->results.size(), Value::wire(Wire{++count}));
  }
  uint32_t count = 0;
};

void set_bytes(benchmark::State& state, const std::string& text) {
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

void BM_parse(benchmark::State& state) {
  const std::string text = synthetic_graph(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(parse_document(text).graph->body.size());
  set_bytes(state, text);
}
BENCHMARK(BM_parse)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);

void BM_print(benchmark::State& state) {
  const std::string text = synthetic_graph(state.range(0));
  const Document document = parse_document(text);
  for (auto _ : state) benchmark::DoNotOptimize(print(document).size());
  set_bytes(state, text);
}
BENCHMARK(BM_print)->Arg(10000)->Unit(benchmark::kMillisecond);

void BM_check(benchmark::State& state) {
  const std::string text = synthetic_graph(state.range(0));
  const Document document = parse_document(text);
  for (auto _ : state) benchmark::DoNotOptimize(check(document).size());
  set_bytes(state, text);
}
BENCHMARK(BM_check)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);

void BM_expand(benchmark::State& state) {
  const std::string text = synthetic_graph(state.range(0));
  const Document document = parse_document(text);
  for (auto _ : state) {
    CountingSink sink;
    benchmark::DoNotOptimize(expand(document, sink).size());
  }
  set_bytes(state, text);
}
BENCHMARK(BM_expand)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
