// Rows whose declaration has a body must compute what the body says. Each call below is made twice in one
// graph: as the operation, and as a fragment of another name with the declared body.
#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "engine/graph/interpreter.h"
#include "engine/import/importer.h"
#include "nnef_parser/parser.h"
#include "nnef_parser/printer.h"
#include "nnef_parser/stdlib.h"

using namespace nnefrun;

namespace {

struct Argument {
  const char* type;  // "scalar" or "integer"
  Shape shape;
  double low, high;  // values are spread between these
};

enum class Results { one, two, array };  // y; y0, y1; [y0, y1]

struct Call {
  const char* op;
  std::vector<Argument> arguments;  // x0, x1, ...
  const char* text;                 // between the parentheses
  Results results = Results::one;
  double tolerance = 1e-5;
};

Argument noise(Shape shape) { return {"scalar", std::move(shape), -1, 1}; }
Argument positive(Shape shape) { return {"scalar", std::move(shape), 0.25, 4}; }

const std::vector<Call>& calls() {
  static const std::vector<Call> kCalls = {
      {"add_n", {noise({2, 3}), noise({2, 3}), noise({2, 3})}, "[x0, x1, x2]"},
      {"copy_n", {noise({2, 3})}, "x0, times = 2", Results::array},
      {"clamp", {noise({2, 5}), noise({2}), noise({2, 5})}, "x0, x1, x2"},
      {"elu", {noise({9})}, "x0, alpha = 0.5"},
      {"gelu", {noise({9})}, "x0"},
      {"leaky_relu", {noise({9})}, "x0, alpha = 0.3"},
      {"log2", {positive({9})}, "x0"},
      {"max", {noise({2, 3}), noise({2})}, "x0, x1"},
      {"min", {noise({2, 3}), noise({2})}, "x0, x1"},
      {"prelu", {noise({2, 3, 4}), noise({1, 3})}, "x0, x1"},
      {"relu", {noise({9})}, "x0"},
      {"rsqr", {positive({9})}, "x0"},
      {"rsqrt", {positive({9})}, "x0"},
      {"selu", {noise({9})}, "x0"},
      {"sigmoid", {noise({9})}, "x0"},
      {"silu", {noise({9})}, "x0"},
      {"softabs", {noise({9})}, "x0, epsilon = 0.1"},
      {"softmax", {noise({2, 3, 4})}, "x0, axes = [1, 2]"},
      {"softplus", {noise({9})}, "x0"},
      {"sqr", {noise({9})}, "x0"},
      {"sqrt", {positive({9})}, "x0"},
      {"tract_core_hard_swish", {{"scalar", {9}, -4, 4}}, "x0"},
      {"tract_core_log_softmax", {noise({2, 3, 4})}, "x0, axes = [1, 2]"},
      {"tract_core_pow_const", {positive({9})}, "x0, exponent = 1.7"},
      {"mean_reduce", {noise({2, 3, 4})}, "x0, axes = [0, 2]"},
      {"moments", {noise({2, 3, 4})}, "x0, axes = [0, 2]", Results::two},
      {"linear", {noise({3, 4}), noise({5, 4}), noise({1, 5})}, "x0, x1, x2"},
      {"separable_conv",
       {noise({2, 3, 5, 4}), noise({6, 1, 3, 2}), noise({4, 6, 1, 1}), noise({1, 4})},
       "x0, x1, x2, x3, stride = [2,1], dilation = [1,2], padding = [(1,0),(1,2)], border = 'reflect'"},
      {"separable_conv", {noise({1, 2, 5}), noise({4, 1, 3}), noise({4, 2, 1})}, "x0, x1, x2, groups = 2"},
      {"separable_deconv",
       {noise({2, 3, 3, 4}), noise({6, 1, 3, 2}), noise({3, 6, 1, 1}), noise({1, 6})},
       "x0, x1, x2, x3, stride = [2,1], padding = [(1,0),(0,0)]"},
      {"separable_deconv",
       {noise({1, 2, 3}), noise({4, 1, 3}), noise({2, 4, 1})},
       "x0, x1, x2, stride = [2], output_shape = [1,4,5]"},
      {"avg_pool", {noise({2, 3, 5, 4})}, "x0, size = [1,1,3,2], stride = [1,1,2,1], border = 'ignore'"},
      {"avg_pool",
       {noise({1, 3, 5})},
       "x0, size = [1,2,3], dilation = [1,1,2], padding = [(0,0),(1,0),(2,2)], border = 'replicate'"},
      {"max_pool", {noise({2, 3, 5, 4})}, "x0, size = [1,1,3,2], stride = [1,1,2,1]"},
      {"max_pool", {noise({2, 3, 5, 4})}, "x0, size = [1,1,3,2], border = 'ignore'"},
      {"max_pool_with_index",
       {noise({2, 3, 5, 4})},
       "x0, size = [1,1,3,2], border = 'reflect'",
       Results::two},
      {"rms_pool", {noise({2, 3, 5})}, "x0, size = [1,1,3]"},
      {"nearest_downsample", {noise({2, 3, 4, 6})}, "x0, factor = [2,3]"},
      {"area_downsample", {noise({2, 3, 4, 6})}, "x0, factor = [2,3]"},
      {"nearest_upsample", {noise({2, 3, 2, 3})}, "x0, factor = [2,3]"},
      {"avg_roi_align",
       {noise({2, 3, 6, 7}), {"scalar", {2, 4}, 1, 5}, {"integer", {2}, 0, 1}},
       "x0, x1, x2, output_size = [1,2], sampling_rate = [2,1], resize_method = 'aligned'"},
      {"max_roi_align",
       {noise({2, 3, 6, 7}), {"scalar", {2, 4}, 1, 5}, {"integer", {2}, 0, 1}},
       "x0, x1, x2, output_size = [2,2], sampling_rate = [1,2]"},
      {"local_response_normalization",
       {noise({2, 5, 3})},
       "x0, size = [1,3,2], alpha = 0.5, beta = 0.75, bias = 1.5"},
      {"local_mean_normalization", {noise({2, 5, 3})}, "x0, size = [1,3,2]"},
      {"local_variance_normalization", {noise({2, 5, 3})}, "x0, size = [1,3,2], bias = 0.1, epsilon = 0.5"},
      {"local_contrast_normalization", {noise({2, 5, 3})}, "x0, size = [1,3,2], bias = 0.1, epsilon = 0.01"},
      {"l1_normalization", {noise({2, 5, 3})}, "x0, axes = [0, 2], bias = 0.5"},
      {"l2_normalization", {noise({2, 5, 3})}, "x0, axes = [1], epsilon = 1.0"},
      {"batch_normalization",
       {noise({2, 3, 4}), noise({1, 3}), positive({1, 3}), noise({1, 3}), noise({1, 3})},
       "x0, x1, x2, x3, x4, epsilon = 0.01"},
      {"linear_quantize", {noise({2, 7})}, "x0, -0.5, 0.75, bits = 4"},
      {"min_max_linear_quantize",
       {noise({2, 7}), noise({2}), {"scalar", {2}, 1, 2}},
       "x0, x1, x2, bits = 3, signed = true, symmetric = true"},
      {"min_max_linear_quantize",
       {noise({2, 7})},
       "x0, -1.0, 0.5, bits = 3, signed = false, symmetric = false"},
      {"zero_point_linear_quantize",
       {noise({2, 7}), {"integer", {2}, -3, 5}, {"scalar", {2}, 0.1, 0.2}},
       "x0, x1, x2, bits = 4, signed = true, symmetric = true"},
      {"zero_point_linear_quantize",
       {noise({2, 7})},
       "x0, 3, 0.125, bits = 4, signed = false, symmetric = false"},
      {"logarithmic_quantize", {noise({2, 7})}, "x0, 0.7, bits = 3"},
  };
  return kCalls;
}

const FragmentDefinition* definition_of(std::string_view op) {
  for (const Dialect dialect : {Dialect::khronos, Dialect::tract}) {
    const FragmentDefinition* found = find_standard(op, dialect);
    if (found != nullptr && found->has_body) return found;
  }
  return nullptr;
}

std::string left_side(Results results, const std::string& name) {
  switch (results) {
    case Results::one: return name + "0";
    case Results::two: return "(" + name + "0, " + name + "1)";
    case Results::array: return "[" + name + "0, " + name + "1]";
  }
  return {};
}

std::string text_of(const Call& call, const FragmentDefinition& definition) {
  std::string text = "version 1.0;\n";
  text += "extension KHR_enable_fragment_definitions, KHR_enable_operator_expressions;\n";
  text += "extension tract_registry tract_core;\n";
  FragmentDefinition renamed = definition;
  renamed.name = "by_definition";
  text += print(renamed) + "\n";
  std::string names;
  for (size_t i = 0; i < call.arguments.size(); ++i) names += (i == 0 ? "x" : ", x") + std::to_string(i);
  const std::string results = call.results == Results::one ? "y0, z0" : "y0, y1, z0, z1";
  text += "graph G( " + names + " ) -> ( " + results + " )\n{\n";
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    const Argument& argument = call.arguments[i];
    text += "  x" + std::to_string(i) + " = external<" + argument.type +
            ">(shape = " + to_string(argument.shape) + ");\n";
  }
  text += "  " + left_side(call.results, "y") + " = " + call.op + "(" + call.text + ");\n";
  text += "  " + left_side(call.results, "z") + " = by_definition(" + call.text + ");\n}\n";
  return text;
}

Tensor values_of(const Argument& argument, uint32_t seed) {
  uint32_t x = seed * 2654435761U + 99991U;
  Tensor out = Tensor::uninitialized(DataType::f32, argument.shape);
  float* items = out.mutable_data<float>();
  for (int64_t i = 0; i < out.size(); ++i) {
    x = x * 1664525U + 1013904223U;
    items[i] = static_cast<float>(argument.low + (argument.high - argument.low) * (x >> 8) / 16777215.0);
  }
  if (std::string_view(argument.type) == "scalar") return out;
  std::vector<int64_t> whole;
  for (int64_t i = 0; i < out.size(); ++i) whole.push_back(std::lround(items[i]));
  return Tensor::of<int64_t>(argument.shape, whole);
}

}  // namespace

TEST_CASE("every row with a definition computes what it says") {
  for (const Call& call : calls()) {
    INFO(call.op << "(" << call.text << ")");
    const FragmentDefinition* definition = definition_of(call.op);
    REQUIRE(definition != nullptr);
    const std::string text = text_of(call, *definition);
    INFO(text);
    ParseOptions options;
    options.dialect = standard_file_of(*definition) == "nnef.nnef" ? Dialect::khronos : Dialect::tract;
    const bool khronos = options.dialect == Dialect::khronos;
    const size_t registry = text.find("extension tract_registry");
    std::string document_text = text;
    if (khronos) document_text.erase(registry, text.find('\n', registry) - registry + 1);
    const Graph graph = import_document(parse_document(document_text, "graph.nnef", options), {});
    const size_t rows =
        static_cast<size_t>(std::count_if(graph.nodes().begin(), graph.nodes().end(),
                                          [&](const Node& node) { return node.op->name == call.op; }));
    REQUIRE(rows >= 1);
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < call.arguments.size(); ++i) {
      inputs.push_back(values_of(call.arguments[i], static_cast<uint32_t>(i) + 7));
    }
    GraphState state;
    const auto results = interpret(graph, inputs, {}, state);
    const size_t half = results.size() / 2;
    for (size_t r = 0; r < half; ++r) {
      const Tensor &row = results[r], &body = results[half + r];
      REQUIRE(row.shape() == body.shape());
      REQUIRE(row.dtype() == body.dtype());
      for (int64_t i = 0; i < row.size(); ++i) {
        INFO("result " << r << ", item " << i << ": " << row.as_double(i) << ", by definition "
                       << body.as_double(i));
        REQUIRE(std::abs(row.as_double(i) - body.as_double(i)) <=
                call.tolerance * (1 + std::abs(body.as_double(i))));
      }
    }
  }
}

TEST_CASE("no row with a definition is forgotten above") {
  std::set<std::string_view> called;
  for (const Call& call : calls()) called.insert(call.op);
  for (const OpDef* op : all_ops()) {
    INFO(op->name);
    if (definition_of(op->name) != nullptr) REQUIRE(called.count(op->name) == 1);
  }
}
