#include "engine/quantize.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "engine/session.h"

using namespace nnefrun;

namespace {

Tensor drawn(const Shape& shape, uint32_t seed, float low = -1, float high = 1) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> real(low, high);
  Tensor out = Tensor::zeros(DataType::f32, shape);
  for (int64_t i = 0; i < out.size(); ++i) out.mutable_data<float>()[i] = real(random);
  return out;
}

// Convolution, relu, a residual sum, a clamp from two sides, a pool, a mean and a matrix.
Graph network() {
  PrintedGraph printed;
  printed.text =
      "version 1.0;\nextension nnefrun_engine 1;\ngraph net(x) -> (y)\n{\n"
      "  x = tract_core_external(shape = [1, 3, 12, 12], datum_type = 'f32');\n"
      "  w0 = variable(shape = [8, 3, 3, 3], label = 'w0');\n  b0 = variable(shape = [1, 8], label = 'b0');\n"
      "  w1 = variable(shape = [8, 1, 3, 3], label = 'w1');\n  w2 = variable(shape = [10, 8], label = "
      "'w2');\n"
      "  c0 = conv(x, w0, b0, padding = [(1, 1), (1, 1)]);\n  r0 = relu(c0);\n"
      "  c1 = conv(r0, w1, groups = 8, padding = [(1, 1), (1, 1)]);\n  s = add(r0, c1);\n"
      "  k = min(relu(s), 0.75);\n"
      "  p = max_pool(k, size = [1, 1, 2, 2], stride = [1, 1, 2, 2], border = 'ignore', padding = [(0, 0), "
      "(0, 0), (0, 0), (0, 0)]);\n"
      "  m = mean_reduce(p, axes = [2, 3]);\n  f = reshape(m, shape = [1, 8]);\n  y = linear(f, w2);\n}\n";
  printed.tensors = {{"w0", drawn({8, 3, 3, 3}, 1)},
                     {"b0", drawn({1, 8}, 2)},
                     {"w1", drawn({8, 1, 3, 3}, 3)},
                     {"w2", drawn({10, 8}, 4)}};
  return reload_graph(printed);
}

double error_of(const std::vector<std::vector<Tensor>>& exact, const std::vector<std::vector<Tensor>>& got) {
  double signal = 0, noise = 0;
  for (size_t run = 0; run < exact.size(); ++run) {
    for (int64_t i = 0; i < exact[run][0].size(); ++i) {
      const double a = exact[run][0].as_double(i), b = got[run][0].as_double(i);
      signal += a * a;
      noise += (a - b) * (a - b);
    }
  }
  return std::sqrt(noise / signal);
}

int evaluations(const CompiledModel& model) {
  int count = 0;
  for (const PlanStep& step : model.plan->steps)
    count += step.kind == static_cast<uint32_t>(StepKind::evaluate);
  return count;
}

}  // namespace

TEST_CASE("a quantised network computes on codes and stays close", "[quantize]") {
  const Graph base = base_for_quantization(network(), {});
  std::vector<std::vector<Tensor>> runs;
  for (uint32_t i = 0; i < 4; ++i) runs.push_back({drawn({1, 3, 12, 12}, 10 + i)});
  const auto exact = run_observed(base, runs, nullptr);
  const Observations seen = calibrate(base, runs);
  for (const RangeMethod method : {RangeMethod::min_max, RangeMethod::percentile, RangeMethod::mse}) {
    QuantizeOptions options;
    options.method = method;
    const Graph graph = quantized_graph(base, seen, options);
    CHECK(error_of(exact, run_observed(graph, runs, nullptr)) < 0.05);
    const auto model = compile_graph(graph, {});
    CHECK(evaluations(*model) == 0);
    // The optimised way has the same codes as the naive one.
    CompileOptions naive;
    naive.optimize = false;
    Session fast(model), slow(compile_graph(graph, naive));
    for (const auto& inputs : runs) CHECK(fast.run(inputs)[0].identical(slow.run(inputs)[0]));
    // Its text is tract's, and loads back.
    const auto printed = print_for_tract(graph);
    REQUIRE(printed);
    CHECK(printed->text.find("tract_core_qconv") != std::string::npos);
    CHECK(printed->text.find("border = 'constant', output_dt = 'QI8(") != std::string::npos);
    CHECK(printed->text.find("nnefrun") == std::string::npos);
  }
}

TEST_CASE("a channel of tiny weights keeps its bias", "[quantize]") {
  PrintedGraph printed;
  printed.text =
      "version 1.0;\nextension nnefrun_engine 1;\ngraph net(x) -> (y)\n{\n"
      "  x = tract_core_external(shape = [1, 2, 4, 4], datum_type = 'f32');\n"
      "  w = variable(shape = [2, 2, 1, 1], label = 'w');\n  b = variable(shape = [1, 2], label = 'b');\n"
      "  y = conv(x, w, b);\n}\n";
  printed.tensors = {{"w", Tensor::of<float>({2, 2, 1, 1}, {0.5F, -0.25F, 1e-9F, -1e-9F})},
                     {"b", Tensor::of<float>({1, 2}, {0.125F, 3.0F})}};
  const Graph base = base_for_quantization(reload_graph(printed), {});
  const std::vector<std::vector<Tensor>> runs{{drawn({1, 2, 4, 4}, 7)}};
  const Graph graph = quantized_graph(base, calibrate(base, runs), {});
  CHECK(error_of(run_observed(base, runs, nullptr), run_observed(graph, runs, nullptr)) < 0.02);
}

TEST_CASE("kept nodes stay in float", "[quantize]") {
  const Graph base = base_for_quantization(network(), {});
  const std::vector<std::vector<Tensor>> runs{{drawn({1, 3, 12, 12}, 10)}};
  const Observations seen = calibrate(base, runs);
  QuantizeOptions options;
  for (const std::string& name : quantizable(base, seen)) options.keep.insert(name);
  CHECK(options.keep.count("c0") == 1);
  const Graph graph = quantized_graph(base, seen, options);
  for (const Node& node : graph.nodes()) CHECK(node.op->name != "tract_core_qconv");
  CHECK(error_of(run_observed(base, runs, nullptr), run_observed(graph, runs, nullptr)) == 0);
}

TEST_CASE("weights alone in each scheme", "[quantize]") {
  PrintedGraph printed;
  printed.text =
      "version 1.0;\nextension nnefrun_engine 1;\ngraph net(x) -> (y)\n{\n"
      "  x = tract_core_external(shape = [2, 64], datum_type = 'f32');\n"
      "  a = variable(shape = [32, 64], label = 'a');\n  b = variable(shape = [32, 8], label = 'b');\n"
      "  h = linear(x, a);\n  y = matmul(h, b);\n}\n";
  printed.tensors = {{"a", drawn({32, 64}, 1)}, {"b", drawn({32, 8}, 2)}};
  const Graph base = base_for_quantization(reload_graph(printed), {});
  const std::vector<std::vector<Tensor>> runs{{drawn({2, 64}, 3)}};
  const auto exact = run_observed(base, runs, nullptr);
  for (const char* name : {"q40", "q80", "int8", "int4-group32", "int8-group32", "nf4-group32"}) {
    INFO(name);
    const WeightScheme scheme = *weight_scheme_from_name(name);
    std::vector<std::string> quantized;
    const Graph graph = weights_quantized(base, scheme, {}, &quantized);
    CHECK(quantized == std::vector<std::string>{"h", "y"});
    const bool four = scheme == WeightScheme::q40 || scheme == WeightScheme::int4_group32 ||
                      scheme == WeightScheme::nf4_group32;
    const double error = error_of(exact, run_observed(graph, runs, nullptr));
    CHECK(error > 0);
    CHECK(error < (four ? 0.2 : 0.02));
    // What is spelled out is recognised again.
    if (scheme != WeightScheme::q40 && scheme != WeightScheme::q80) {
      const auto model = compile_graph(graph, {});
      CHECK(evaluations(*model) == 0);
      int packed = 0;
      for (const PlanStep& step : model->plan->steps)
        packed += step.kind == static_cast<uint32_t>(StepKind::matmul_groups) ? 1 : 0;
      CHECK(packed == 2);
    }
    std::vector<std::string> none;
    weights_quantized(base, scheme, {"h", "y"}, &none);
    CHECK(none.empty());
  }
}
