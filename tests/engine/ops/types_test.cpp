// OpDef::types and OpDef::tuned: every row is built, run and planned with every element type, and must take
// exactly the types that it says.
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <sstream>

#include "engine/graph/interpreter.h"
#include "engine/import/importer.h"
#include "engine/ops/support.h"
#include "engine/plan/builder.h"
#include "nnef_parser/parser.h"

using namespace nnefrun;

namespace {

// A call of a row. `arguments` are words such as "input[1,2,5]" (items of the type that is tried),
// "indices[2]:i64" (of a type of its own), "k:i64=2" (all items are 2; otherwise items of a type of their own
// are 0, others 1) and "filter![2,2,3]" (a constant). A name that occurs twice is an array. `attributes` are
// as in NNEF; $T stands for the type that is tried.
struct Sample {
  std::string arguments;
  std::string attributes = {};
  int results = 1;         // of an array result
  bool quantized = false;  // the type that is tried holds codes: QI8(Z:1 S:0.5)
};

const std::map<std::string, Sample, std::less<>>& samples() {
  static const std::map<std::string, Sample, std::less<>> table = {
      {"leaky_relu", {"x[2,3]", "alpha = 0.5"}},
      {"softabs", {"x[2,3]", "epsilon = 0.5"}},
      {"tract_core_is_inf", {"input[2,3]"}},
      {"tract_core_gelu_approx", {"input[2,3]"}},
      {"tract_core_pow_const", {"input[2,3]", "exponent = 2.0"}},
      {"softmax", {"x[2,3]", "axes = [1]"}},
      {"tract_core_log_softmax", {"x[2,3]", "axes = [1]"}},
      {"select", {"condition[2,3]:bool true_value[2,3] false_value[2,3]"}},
      {"clamp", {"x[2,3] a[2,3] b[2,3]"}},
      // Attention and caches.
      {"tract_transformers_sdpa",
       {"q[1,2,3,4] k[1,2,5,4] v[1,2,5,4]", "datum_type = '$T', acc_datum_type = 'f32'"}},
      {"tract_transformers_apply_rope", {"input[1,2,3,4] cos[1,1,3,4] sin[1,1,3,4]"}},
      {"tract_transformers_scaled_masked_softmax", {"input[1,2,3,4] mask[1,2,3,4]", "scale = 1.0"}},
      {"tract_transformers_dyn_kv_cache",
       {"input[1,2,3]",
        "name = 'k', axis = 1, datum_type = '$T', past_sequence_shape = [1,P,3], input_sequence_shape = "
        "[1,2,3]"}},
      {"tract_transformers_quantized_dyn_kv_cache",
       {"input[1,2,3,4]",
        "name = 'k', axis = 2, bits = 8, per_channel = 0, datum_type = '$T', past_sequence_shape = "
        "[1,2,P,4], "
        "input_sequence_shape = [1,2,3,4]"}},
      {"tract_transformers_window_kv_sdpa", {"q[1,2,3,4] k[1,2,3,4] v[1,2,3,4]", "axis = 2, window = 4"}},
      {"tract_transformers_quantized_kv_sdpa", {"q[1,2,3,4] k[1,2,3,4] v[1,2,3,4]", "axis = 2"}},
      {"tract_transformers_causal_conv1d_update", {"input[1,2,3] weight[2,4] initial_state[1,2,4]"}},
      {"tract_transformers_gdn_recurrent",
       {"query[1,2,3,4] key[1,2,3,4] value[1,2,3,4] log_decay[1,2,3] beta[1,2,3] initial_state[1,3,4,4]"}},
      {"nnefrun_lstm", {"x[2,1,12] R![12,3] h[1,3] c[1,3] bias[12]"}},
      {"nnefrun_gru", {"x[2,1,9] R![9,3] h[1,3] bias[9]"}},
      {"nnefrun_rnn", {"x[2,1,3] R![3,3] h[1,3] bias[3]"}},
      {"tract_moe_ffn", {"x[3,4] wg[2,4] w1[2,4,5] w2[2,5,4] w3[2,4,5]", "k = 1"}},
      // Products and convolutions.
      {"matmul", {"A[2,3] B[3,4]"}},
      {"linear", {"input[2,3] filter[4,3] bias[1,4]"}},
      {"nnefrun_matmul", {"A[2,3] B[3,4]"}},
      {"tract_core_einsum", {"inputs[2,3] inputs[3,4]", "expr = 'ab,bc->ac', acc = '$T'"}},
      {"tract_core_matmul", {"A[2,3] B[3,4]", "axes = [0,1,0,1,0,1]"}},
      {"conv", {"input[1,2,5] filter![3,2,3] bias![1,3]"}},
      {"nnefrun_conv", {"input[1,2,5] filter![3,2,3] bias![1,3]"}},
      {"deconv", {"input[1,3,5] filter![3,2,3] bias![1,2]"}},
      {"separable_conv", {"input[1,2,5] plane_filter![2,1,3] point_filter![3,2,1] bias![1,3]"}},
      {"separable_deconv", {"input[1,3,5] plane_filter![2,1,3] point_filter![3,2,1] bias![1,2]"}},
      {"nnefrun_qmatmul", {"A[2,3] B![3,4]", "to = 'QI8(Z:0 S:1)'", 1, true}},
      {"nnefrun_qconv", {"input[1,2,5] filter![3,2,3]", "to = 'QI8(Z:0 S:1)'", 1, true}},
      {"nnefrun_qsoftmax", {"x[2,3]", "to = 'QI8(Z:0 S:0.01)'", 1, true}},
      {"nnefrun_dequantize_groups", {"codes[2,8] book![256]:f32 scale![2,1]:f32"}},
      {"nnefrun_qmap", {"x[2,3] table![256]:i64", "to = 'QI8(Z:0 S:1)'", 1, true}},
      {"nnefrun_qbinary", {"x[2,3] y[2,3]", "op = 'add', to = 'QI8(Z:0 S:1)'", 1, true}},
      {"nnefrun_qmean", {"x[1,2,3]", "axes = [2], to = 'QI8(Z:0 S:1)'", 1, true}},
      {"nnefrun_qavg_pool", {"input[1,2,4]", "size = [1,1,2], to = 'QI8(Z:0 S:1)'", 1, true}},
      {"tract_core_einsum_q",
       {"inputs[2,3] inputs![3,4] bias!:i32 a0!:i32 a_scale!:f32=1 b0!:i32 b_scale!:f32=1 c0!:i32 "
        "c_scale!:f32=1",
        "expr = 'ab,bc,,,,,,,->ac', acc = 'i32', output = 'i32'"}},
      {"tract_core_qmatmul",
       {"A[2,3] B![3,4] bias!:i32 a0!:i32 a_scale!:f32=1 b0!:i32 b_scale!:f32=1 c0!:i32 c_scale!:f32=1",
        "axes = [0,1,0,1,0,1], output_type = 'i32'"}},
      {"tract_core_qconv",
       {"input[1,2,5] filter![3,2,3] bias!:i32 a0!:i32 a_scale!:f32=1 b0!:i32 b_scale!:f32=1 c0!:i32 "
        "c_scale!:f32=1",
        "output_dt = 'QI8(Z:0 S:1)', groups = 1"}},
      // Windows.
      {"box", {"input[1,2,4]", "size = [1,1,2]"}},
      {"debox", {"input[1,2,4]", "size = [1,1,2]"}},
      {"argmax_pool", {"input[1,2,4]", "size = [1,1,2]"}},
      {"sample", {"input[1,2,4] index[1,2,4]:i64", "size = [1,1,2]"}},
      {"desample", {"input[1,2,4] index[1,2,4]:i64", "size = [1,1,2]"}},
      {"max_pool", {"input[1,2,4]", "size = [1,1,2]"}},
      {"max_pool_with_index", {"input[1,2,4]", "size = [1,1,2]"}},
      {"nnefrun_max_pool_with_plane_index", {"input[1,2,4]", "size = [1,1,2]"}},
      {"avg_pool", {"input[1,2,4]", "size = [1,1,2]"}},
      {"rms_pool", {"input[1,2,4]", "size = [1,1,2]"}},
      {"avg_roi_pool", {"input[1,2,4,4] rois[1,4] batch_index[1]:i64", "output_size = [2,2]"}},
      {"max_roi_pool", {"input[1,2,4,4] rois[1,4] batch_index[1]:i64", "output_size = [2,2]"}},
      {"roi_resample", {"input[1,2,4,4] rois[1,4] batch_index[1]:i64", "output_size = [2,2]"}},
      {"avg_roi_align",
       {"input[1,2,4,4] rois[1,4] batch_index[1]:i64", "output_size = [2,2], sampling_rate = [2,2]"}},
      {"max_roi_align",
       {"input[1,2,4,4] rois[1,4] batch_index[1]:i64", "output_size = [2,2], sampling_rate = [2,2]"}},
      {"nearest_downsample", {"input[1,2,4]", "factor = [2]"}},
      {"area_downsample", {"input[1,2,4]", "factor = [2]"}},
      {"nearest_upsample", {"input[1,2,4]", "factor = [2]"}},
      {"multilinear_upsample", {"input[1,2,4]", "factor = [2]"}},
      {"tract_core_resize", {"input[1,2,4] scales![3]:f32=1"}},
      {"tract_onnx_resize", {"input[1,2,4] scales![3]:f32=1"}},
      {"tract_core_grid_sample", {"input[1,2,4,4] grid[1,3,3,2]"}},
      // Norms.
      {"local_response_normalization", {"input[1,2,4]", "size = [1,2,1]"}},
      {"local_mean_normalization", {"input[1,2,4]", "size = [1,2,1]"}},
      {"local_variance_normalization", {"input[1,2,4]", "size = [1,2,1]"}},
      {"local_contrast_normalization", {"input[1,2,4]", "size = [1,2,1]"}},
      {"tract_onnx_lrn", {"input[1,2,4]", "size = 3"}},
      {"l1_normalization", {"input[1,2,4]", "axes = [1]"}},
      {"l2_normalization", {"input[1,2,4]", "axes = [1]"}},
      {"batch_normalization",
       {"input[1,2,4] mean[1,2] variance[1,2] offset[1,2] scale[1,2]", "epsilon = 0.5"}},
      {"tract_core_rms_norm", {"input[1,2,4]", "axis = 2"}},
      {"nnefrun_rms_norm", {"input[1,2,4]", "axis = 2"}},
      {"nnefrun_layer_norm", {"input[1,2,4]", "axes = [2]"}},
      {"tract_extra_exp_unit_norm", {"input[2,4] state[4]", "axis = 0, alpha = 0.5"}},
      {"tract_extra_exp_mean_norm", {"input[2,4] state[4]", "axis = 0, alpha = 0.5"}},
      // Quantisation: of real values, to real values.
      {"min_max_linear_quantize", {"x[2,3] min[1] max[1]", "bits = 8, signed = true, symmetric = false"}},
      {"zero_point_linear_quantize",
       {"x[2,3] zero_point[1]:i64 scale[1]", "bits = 8, signed = true, symmetric = false"}},
      {"linear_quantize", {"x[2,3] min[1] max[1]", "bits = 8"}},
      {"logarithmic_quantize", {"x[2,3] max[1]", "bits = 8"}},
      // Reductions.
      {"moments", {"input[2,3]", "axes = [1]"}},
      {"add_n", {"x[2,3] x[2,3]"}},
      // Shapes.
      {"reshape", {"input[2,3]", "shape = [3,2]"}},
      {"squeeze", {"input[1,3]", "axes = [0]"}},
      {"unsqueeze", {"input[2,3]", "axes = [0]"}},
      {"transpose", {"input[2,3]", "axes = [1,0]"}},
      {"concat", {"values[2,3] values[2,3]", "axis = 0"}},
      {"stack", {"values[2,3] values[2,3]", "axis = 0"}},
      {"split", {"value[2,4]", "axis = 1, ratios = [1,1]", 2}},
      {"unstack", {"value[2,4]", "axis = 0", 2}},
      {"copy", {"x[2,3]"}},
      {"copy_n", {"x[2,3]", "times = 2", 2}},
      {"tract_core_broadcast", {"input[1,3]", "shape = [2,3]"}},
      {"tract_core_shape_of", {"input[2,3]"}},
      {"nnefrun_slice", {"input[2,3]", "axes = [1], begin = [1], length = [2]"}},
      {"tract_core_dyn_slice", {"input[2,3] start:i64 end:i64=2", "len = 2, axis = 1"}},
      {"tract_core_downsample", {"input[2,4]", "axis = 1, stride = 2"}},
      {"pad", {"input[2,3]", "padding = [(1,1), (0,0)], border = 'replicate'"}},
      {"tile", {"input[2,3]", "repeats = [2,1]"}},
      {"nnefrun_dyn_tile", {"input[2,3] repeats[2]:i64=1"}},
      {"tract_core_trilu", {"input[2,3] k:i64", "upper = true"}},
      {"tract_core_range", {"start! end! step!"}},
      // Indices and choices.
      {"gather", {"input[3,2] indices[2]:i64", "axis = 0"}},
      {"tract_core_gather", {"input[3,2] indices[2]:i64", "axis = 0"}},
      {"tract_core_gather_elements", {"input[3,2] indices[2,2]:i64", "axis = 0"}},
      {"tract_core_gather_nd", {"input[3,2] indices[2,1]:i64"}},
      {"tract_core_scatter_elements", {"input[3,2] indices[2,2]:i64 updates[2,2]", "axis = 0"}},
      {"tract_core_scatter_nd", {"input[3,2] indices[2,1]:i64 updates[2,2]"}},
      {"tract_core_topk", {"input[2,3] k!:i64=2", "axis = 1, largest = true"}},
      {"tract_core_one_hot", {"input[2]", "axis = 1, dim = 3"}},
      {"tract_onnx_non_zero", {"input[2,3]"}},
      {"tract_onnx_non_max_suppression",
       {"boxes[1,3,4] scores[1,1,3] max_output_boxes_per_class:i64=2 iou_threshold score_threshold"}},
      {"tract_onnx_ml_direct_lookup", {"input[2]:i64 values![3] fallback!"}},
      {"tract_onnx_ml_reverse_lookup", {"input[2] keys![3] fallback!:i64"}},
      {"tract_onnx_ml_tree_ensemble_classifier",
       {"input[2,3] trees![1]:u32 nodes![1,5]:u32 leaves![1,2]:u32",
        "max_used_feature = 0, n_classes = 1, aggregate_fn = 'SUM'"}},
      {"tract_onnx_multinomial", {"input[2,3]", "sample_size = 2"}},
      {"tract_onnx_random",
       {"parameters![] parameters![]", "datum_type = '$T', shape = [2,3], dist = 'uniform'"}},
      {"tract_core_cast", {"input[2,3]", "to = '$T'"}},
      // Loops, streams, signals.
      {"tract_core_gru_epilogue", {"xh[1,6] rh[1,6] h_prev[1,2]", "hidden = 2"}},
      {"tract_core_lstm_epilogue", {"preact[1,8] c_prev[1,2]", "hidden = 2"}},
      {"tract_pulse_delay", {"input[2,3]", "axis = 0, delay = 1, overlap = 0"}},
      {"tract_pulse_mask", {"input[2,3]", "axis = 0, begin = 0, end = 1, value = 1.0"}},
      {"tract_pulse_pulse_pad",
       {"input[2,3]",
        "axis = 0, before = 0, after = 1, begin_input = 0, end_input = 5, border = 'constant', value = 1.0"}},
      {"tract_core_fft", {"input[4,2]", "axis = 0, inverse = false"}},
      {"tract_core_stft", {"input[8,2]", "axis = 0, frame = 4, stride = 2"}},
      {"tract_core_complex_to_inner_dim", {"x[2,3]"}},
      {"tract_core_inner_dim_to_complex", {"x[2,2]"}},
  };
  return table;
}

// Rows that have no arguments of their own to try: what enters a graph, symbols, and what has a body.
const std::set<std::string_view> kNotTried = {"variable", "tract_core_external", "nnefrun_dims",
                                              "nnefrun_scan", "tract_core_submodel"};

// Without an entry: a row of one, two or more tensors of shape [2,3], reduced over axis 1 where it has
// `axes`.
Sample sample_of(const OpDef* op) {
  const auto found = samples().find(op->name);
  if (found != samples().end()) return found->second;
  const Signature& signature = signature_of(op);
  Sample sample;
  for (const uint32_t index : signature.tensors)
    sample.arguments += signature.parameters[index].name + "[2,3] ";
  if (signature.attribute_index("axes") >= 0) sample.attributes = "axes = [1]";
  return sample;
}

struct SampleArgument {
  std::string name, shape, type, value;
  bool constant = false;
};

SampleArgument argument_of(std::string word) {
  SampleArgument a;
  const auto cut = [&](char mark) {
    const size_t at = word.find(mark);
    if (at == std::string::npos) return std::string();
    std::string tail = word.substr(at + 1);
    word.resize(at);
    return tail;
  };
  a.value = cut('=');
  a.type = cut(':');
  a.shape = "[" + cut('[');
  if (a.shape == "[") a.shape += "]";
  if (word.back() == '!') {
    a.constant = true;
    word.pop_back();
  }
  a.name = word;
  return a;
}

Tensor items(DataType type, const Shape& shape, double value) {
  if (type == DataType::string) {
    return Tensor::of_strings(shape, std::vector<std::string>(static_cast<size_t>(volume_of(shape)), "1"));
  }
  const Tensor plain =
      Tensor::of<double>(shape, std::vector<double>(static_cast<size_t>(volume_of(shape)), value));
  return cast_items(plain, type);
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

struct Trial {
  enum { refused, failed, ran } fate = refused;
  bool tuned = false;
  std::string why;
};

// The row in a graph of its own, built from text, run by its evaluation and planned.
Trial attempt(const OpDef* op, DataType type) {
  const Sample sample = sample_of(op);
  const Signature& signature = signature_of(op);
  std::string tried(name_of(type));
  if (sample.quantized) {
    for (char& c : tried) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    tried = "Q" + tried + "(Z:1 S:0.5)";
  }
  std::map<std::string, std::string> given;
  std::map<std::string, Tensor> stored;
  std::vector<Tensor> inputs;
  std::string sources, parameters;
  std::istringstream words(sample.arguments);
  int count = 0;
  for (std::string word; words >> word; ++count) {
    const SampleArgument a = argument_of(word);
    const std::string own = "a" + std::to_string(count);
    const DataType own_type = a.type.empty() ? type : *data_type_from_name(a.type);
    Shape shape;
    std::istringstream extents(replaced(a.shape.substr(1, a.shape.size() - 2), ",", " "));
    for (int64_t extent = 0; extents >> extent;) shape.push_back(extent);
    const Tensor value =
        items(own_type, shape, a.value.empty() ? (a.type.empty() ? 1 : 0) : std::stod(a.value));
    if (a.constant) {
      sources += "  " + own + " = variable(label = '" + own + "', shape = " + a.shape + ");\n";
      stored[own] = value;
    } else {
      sources += "  " + own + " = tract_core_external(shape = " + a.shape + ", datum_type = '" +
                 (a.type.empty() ? tried : a.type) + "');\n";
      parameters += (parameters.empty() ? "" : ", ") + own;
      inputs.push_back(value);
    }
    std::string& all = given[a.name];
    all += (all.empty() ? "" : ", ") + own;
  }
  if (parameters.empty()) {  // a graph has an input
    parameters = "unused";
    sources += "  unused = tract_core_external(shape = [], datum_type = 'f32');\n";
    inputs.push_back(Tensor::scalar(0.0F));
  }
  std::string call;
  for (const uint32_t index : signature.tensors) {
    const auto& parameter = signature.parameters[index];
    if (given.count(parameter.name) == 0) continue;
    const std::string& all = given[parameter.name];
    call +=
        (call.empty() ? "" : ", ") + parameter.name + " = " + (parameter.is_array ? "[" + all + "]" : all);
  }
  if (!sample.attributes.empty())
    call += (call.empty() ? "" : ", ") + replaced(sample.attributes, "$T", tried);
  std::string left, results;
  for (size_t r = 0; r < signature.results.size(); ++r) {
    const int array = signature.result_is_array[r] ? sample.results : 1;
    std::string names;
    for (int k = 0; k < array; ++k)
      names += (k ? ", " : "") + ("y" + std::to_string(r) + "_" + std::to_string(k));
    left += (r ? ", " : "") + (signature.result_is_array[r] ? "[" + names + "]" : names);
    results += (r ? ", " : "") + names;
  }
  const std::string text =
      "version 1.0;\nextension nnefrun_engine 1;\nextension tract_symbol P;\ngraph net(" + parameters +
      ") -> (" + results + ")\n{\n" + sources + "  " + left + " = " + std::string(op->name) + "(" + call +
      ");\n}\n";
  ImportSources files;
  files.tensor = [&](const std::string& label) {
    return std::optional<TensorFile>(TensorFile{stored.at(label), {}});
  };
  Trial trial;
  std::optional<Graph> graph;
  try {
    ParseOptions options;
    options.dialect = Dialect::engine;
    graph.emplace(import_document(parse_document(text, "graph.nnef", options), files));
  } catch (const Error& error) {
    trial.why = std::string(error.what()) + "\n" + text;
    return trial;
  }
  try {
    GraphState state;
    SymbolValues symbols;
    symbols["P"] = 0;
    interpret(*graph, inputs, symbols, state);
    trial.fate = Trial::ran;
  } catch (const Error& error) {
    trial.fate = Trial::failed;
    trial.why = std::string(error.what()) + "\n" + text;
    return trial;
  }
  if (op->lower == nullptr) return trial;
  const auto plan = PlanBuilder::build(*graph);
  trial.tuned = plan.has_value();
  if (!plan) return trial;
  for (const PlanStep& step : plan->steps)
    trial.tuned = trial.tuned && step.kind != static_cast<uint32_t>(StepKind::evaluate);
  return trial;
}

constexpr bool is_tried(DataType type) { return type != DataType::dim && !is_block_quantized(type); }

}  // namespace

TEST_CASE("every row takes the element types that it lists, and no others", "[types]") {
  int tried = 0;
  for (const OpDef* op : all_ops()) {
    INFO(op->name);
    CHECK_FALSE(op->types.empty());
    CHECK((op->types | op->tuned) == op->types);
    if (kNotTried.count(op->name) != 0) continue;
    ++tried;
    TypeSet taken, tuned;
    std::string why;
    for (int i = 0; i < kDataTypeCount; ++i) {
      const auto type = static_cast<DataType>(i);
      if (!is_tried(type)) continue;
      const Trial trial = attempt(op, type);
      INFO(name_of(type) << ": " << trial.why);
      CHECK(trial.fate != Trial::failed);  // a type that no evaluation takes must be refused before the run
      if (trial.fate == Trial::ran) taken = taken | TypeSet{type};
      if (trial.tuned) tuned = tuned | TypeSet{type};
      if (trial.fate != Trial::ran && (op->types.contains(type) || type == DataType::f32))
        why += std::string(name_of(type)) + ": " + trial.why + "\n";
    }
    INFO(why);
    CHECK(op->types.to_string() == taken.to_string());
    CHECK(op->tuned.to_string() == tuned.to_string());
  }
  CHECK(tried > 180);
}
