// Every operator that PyTorch has, compared with PyTorch: the cases beside this file, written by
// make_cases.py, hold one-operator graphs with their inputs and PyTorch's answers. Each is run by the naive
// evaluation and by the optimised plan. A row without cases must be in without_pytorch.txt, with the reason.
#include <algorithm>
#include <cmath>
#include <complex>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "engine/compiler.h"
#include "engine/session.h"
#include "io/npz.h"
#include "nnef_parser/archive.h"

using namespace nnefrun;

namespace {

const std::string kFolder = std::string(NNEFRUN_SOURCE_DIR) + "/tests/property/torch/";

// One family's arrays: all items of one type in one array, in the order in which the cases use them.
class Items {
 public:
  explicit Items(const std::string& path) {
    for (auto& [name, tensor] : load_npz(path)) arrays_.emplace(name, std::move(tensor));
  }
  // `type` is written as "f32[2,3]".
  Tensor next(const std::string& type) {
    const size_t bracket = type.find('[');
    const std::string name = type.substr(0, bracket);
    Shape shape;
    for (size_t i = bracket + 1; i < type.size() && type[i] != ']';) {
      size_t digits = 0;
      shape.push_back(std::stoll(type.substr(i), &digits));
      i += digits + (type[i + digits] == ',' ? 1 : 0);
    }
    const auto dtype = data_type_from_name(name);
    REQUIRE(dtype);
    Tensor out = Tensor::zeros(*dtype, shape);
    if (out.size() == 0) return out;
    INFO(name);
    REQUIRE(arrays_.count(name) == 1);
    const Tensor& all = arrays_.at(name);
    size_t& used = used_[name];
    REQUIRE(used + out.byte_size() <= all.byte_size());
    std::copy_n(all.bytes() + used, out.byte_size(), out.mutable_bytes());
    used += out.byte_size();
    return out;
  }
  bool all_used() const {
    return std::all_of(arrays_.begin(), arrays_.end(), [&](const auto& array) {
      const auto used = used_.find(array.first);
      return used != used_.end() && used->second == array.second.byte_size();
    });
  }

 private:
  std::map<std::string, Tensor> arrays_;
  std::map<std::string, size_t> used_;  // bytes
};

struct Input {
  Tensor tensor;
  bool constant;  // given both ways: from outside, and as a variable of the graph
};

struct Case {
  std::string where;  // file and number
  std::string row, dialect, fragments, text;
  std::vector<Input> inputs;   // x0, x1, ...
  std::vector<Tensor> wanted;  // y0, y1, ...
  double rtol = 0, atol = 0;

  bool has_constants() const {
    return std::any_of(inputs.begin(), inputs.end(), [](const Input& input) { return input.constant; });
  }
};

std::string head_of(const std::string& dialect) {
  std::string text = "version 1.0;\n";
  if (dialect == "engine") return text + "extension nnefrun_engine 1;\n";
  text += "extension KHR_enable_fragment_definitions, KHR_enable_operator_expressions;\n";
  if (dialect == "tract") {
    for (const char* registry : {"tract_core", "tract_onnx", "tract_transformers"})
      text += std::string("extension tract_registry ") + registry + ";\n";
  }
  return text;
}

// How the graph declares its inputs.
struct Style {
  bool constants = false;  // variables, where a case may have them
  // A symbol instead of every extent but 1: one for each number, or one for each axis. Not in Khronos'
  // dialect.
  enum class Symbols { none, by_number, by_axis };
  Symbols symbols = Symbols::none;
};

// The extents as the graph declares them; the symbols among them are added to `symbols`.
std::string shape_text(const Shape& shape, const std::string& label, Style::Symbols style,
                       std::set<std::string>& symbols) {
  if (style == Style::Symbols::none) return to_string(shape);
  std::string text;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    std::string extent = std::to_string(shape[axis]);
    if (shape[axis] != 1) {
      extent = style == Style::Symbols::by_number ? "D" + extent : label + "_" + std::to_string(axis);
      symbols.insert(extent);
    }
    text += (axis == 0 ? "" : ", ") + extent;
  }
  return "[" + text + "]";
}

// external or variable; the standard knows three types.
std::string source_of(const Tensor& tensor, const std::string& dialect, const std::string& label,
                      bool constant, const std::string& shape) {
  const DataType t = tensor.dtype();
  const std::string type = is_integer(t) ? "integer" : t == DataType::boolean ? "logical" : "scalar";
  if (constant) return "variable<" + type + ">(shape = " + shape + ", label = '" + label + "')";
  if (dialect == "khronos") return "external<" + type + ">(shape = " + shape + ")";
  return "tract_core_external(shape = " + shape + ", datum_type = '" + std::string(name_of(t)) + "')";
}

Case read_case(const nlohmann::json& json, Items& items, std::string where) {
  Case out;
  out.where = std::move(where);
  out.row = json.at("row");
  out.dialect = json.value("dialect", "engine");
  out.fragments = json.value("fragments", "");
  out.text = json.at("text");
  out.rtol = json.value("rtol", 0.0);
  out.atol = json.value("atol", 0.0);
  for (const std::string type : json.at("in")) out.inputs.push_back({items.next(type), type.back() == 'w'});
  for (const std::string type : json.at("out")) out.wanted.push_back(items.next(type));
  return out;
}

// A case as a model, and what it is fed.
struct Model {
  std::string text;
  std::vector<ArchiveMember> members;
  std::vector<Tensor> inputs;
  CompileOptions options;
};

Model model_of(const Case& test, Style style) {
  Model out;
  std::string externals, sources, results, declarations;
  std::set<std::string> symbols;
  for (size_t i = 0; i < test.inputs.size(); ++i) {
    const Input& input = test.inputs[i];
    const bool constant = style.constants && input.constant;
    const std::string name = "x" + std::to_string(i);
    const std::string shape =
        shape_text(input.tensor.shape(), name, constant ? Style::Symbols::none : style.symbols, symbols);
    sources += "  " + name + " = " + source_of(input.tensor, test.dialect, name, constant, shape) + ";\n";
    if (constant) {
      out.members.push_back(tensor_member(name, input.tensor, TensorFileForm::engine));
    } else {
      externals += (externals.empty() ? "" : ", ") + name;
      out.inputs.push_back(input.tensor);
    }
  }
  for (const std::string& symbol : symbols) declarations += "extension tract_symbol " + symbol + ";\n";
  for (size_t i = 0; i < test.wanted.size(); ++i) results += (i == 0 ? "y" : ", y") + std::to_string(i);
  out.text = head_of(test.dialect) + declarations + test.fragments + "graph G( " + externals + " ) -> ( " +
             results + " )\n{\n" + sources + "  " + test.text + "\n}\n";
  out.members.push_back(text_member("graph.nnef", out.text));
  if (test.dialect == "khronos") out.options.dialect = Dialect::khronos;
  return out;
}

std::vector<std::string> families() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".json") out.push_back(entry.path().stem().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<Case> cases_of(const std::string& family) {
  Items items(kFolder + family + ".npz");
  std::ifstream file(kFolder + family + ".json");
  const nlohmann::json json = nlohmann::json::parse(file);
  std::vector<Case> out;
  for (const auto& entry : json.at("cases"))
    out.push_back(read_case(entry, items, family + " " + std::to_string(out.size())));
  INFO(family);
  CHECK(items.all_used());
  return out;
}

std::complex<double> item(const Tensor& tensor, int64_t index) {
  if (tensor.dtype() == DataType::complex64) {
    const auto* parts = tensor.data<float>() + 2 * index;
    return {parts[0], parts[1]};
  }
  if (tensor.dtype() == DataType::complex128) {
    const auto* parts = tensor.data<double>() + 2 * index;
    return {parts[0], parts[1]};
  }
  return tensor.as_double(index);
}

bool close(double got, double wanted, const Case& test) {
  return got == wanted || (std::isnan(got) && std::isnan(wanted)) ||
         std::abs(got - wanted) <= test.atol + test.rtol * std::abs(wanted);
}

// "" when they agree, else what is different.
std::string difference(const Tensor& got, const Tensor& wanted, const Case& test) {
  if (got.dtype() != wanted.dtype() || got.shape() != wanted.shape()) {
    return std::string(name_of(got.dtype())) + " " + to_string(got.shape()) + " instead of " +
           std::string(name_of(wanted.dtype())) + " " + to_string(wanted.shape());
  }
  int64_t different = 0;
  std::string first;
  const bool whole = is_integer(got.dtype());
  for (int64_t i = 0; i < got.size(); ++i) {
    const std::complex<double> a = item(got, i), b = item(wanted, i);
    // 64-bit integers do not fit into a double.
    const bool equal = whole && test.atol == 0
                           ? got.as_int(i) == wanted.as_int(i)
                           : close(a.real(), b.real(), test) && close(a.imag(), b.imag(), test);
    if (equal) continue;
    if (different++ > 0) continue;
    std::ostringstream text;
    text.precision(10);
    text << "item " << i << " is " << a << ", PyTorch says " << b;
    first = text.str();
  }
  return different == 0
             ? ""
             : std::to_string(different) + " of " + std::to_string(got.size()) + " items: " + first;
}

// Null when the model is refused.
std::shared_ptr<const CompiledModel> built_or_null(const Model& model) {
  try {
    return compile_model(Archive::of_members("case", model.members), model.options);
  } catch (const Error&) {
    return nullptr;
  }
}

// The items again and again, in another shape.
Tensor repeated(const Tensor& tensor, const Shape& shape) {
  Tensor out = Tensor::zeros(tensor.dtype(), shape);
  const size_t size = item_size(tensor.dtype());
  for (int64_t i = 0; tensor.size() > 0 && i < out.size(); ++i) {
    std::copy_n(tensor.bytes() + static_cast<size_t>(i % tensor.size()) * size, size,
                out.mutable_bytes() + static_cast<size_t>(i) * size);
  }
  return out;
}

// "" when the case passes.
std::string outcome(const Case& test, const Model& model) {
  try {
    Session session(compile_model(Archive::of_members("case", model.members), model.options));
    const auto results = session.run(model.inputs);
    if (results.size() != test.wanted.size()) return "the number of results";
    for (size_t r = 0; r < results.size(); ++r) {
      const std::string text = difference(results[r], test.wanted[r], test);
      if (!text.empty()) return "result " + std::to_string(r) + ": " + text;
    }
  } catch (const Error& error) {
    return error.code() + ": " + error.what();
  }
  return {};
}

// Names of the rows in the typed graph of the case.
std::set<std::string_view> rows_of(const Model& model) {
  std::set<std::string_view> out;
  const Graph graph = load_graph(Archive::of_members("case", model.members), model.options);
  for (const Node& node : graph.nodes()) out.insert(node.op->name);
  return out;
}

void run_all(bool optimize) {
  size_t count = 0;
  for (const std::string& family : families()) {
    for (const Case& test : cases_of(family)) {
      for (const bool with_constants : {false, true}) {
        if (with_constants && !test.has_constants()) continue;
        ++count;
        Model model = model_of(test, {with_constants});
        model.options.optimize = optimize;
        const std::string text = outcome(test, model);
        if (text.empty()) continue;
        FAIL_CHECK(test.where << ", " << test.row << ": " << text << "\n" << model.text);
      }
    }
  }
  CHECK(count > 1000);
}

}  // namespace

TEST_CASE("the naive evaluation agrees with PyTorch", "[naive]") { run_all(false); }

TEST_CASE("the optimised plan agrees with PyTorch", "[optimised]") { run_all(true); }

TEST_CASE("symbolic extents change no result", "[symbols]") {
  size_t count = 0, built = 0;
  for (const std::string& family : families()) {
    for (const Case& test : cases_of(family)) {
      if (test.dialect == "khronos") continue;
      for (const auto symbols : {Style::Symbols::by_number, Style::Symbols::by_axis}) {
        ++count;
        const Model model = model_of(test, {true, symbols});
        const auto compiled = built_or_null(model);
        if (!compiled) continue;  // an extent must be known, as that of an axis that is unstacked
        ++built;
        const std::string text = outcome(test, model);
        if (!text.empty()) FAIL_CHECK(test.where << ", " << test.row << ": " << text << "\n" << model.text);
      }
    }
  }
  CHECK(built > count * 95 / 100);
}

// Symbols leave open whether extents agree. With an input that does not fit the others the plan must refuse
// what the evaluation refuses, instead of reading beyond its buffers.
TEST_CASE("extents that do not fit are refused by both", "[symbols]") {
  uint32_t state = 1;
  const auto random = [&](size_t n) {
    state = state * 1664525U + 1013904223U;
    return (state >> 8) % n;
  };
  size_t refused = 0, agreed = 0;
  for (const std::string& family : families()) {
    for (const Case& test : cases_of(family)) {
      if (test.dialect == "khronos") continue;
      Model model = model_of(test, {random(2) == 0, Style::Symbols::by_axis});
      std::vector<std::pair<size_t, size_t>> axes;  // those that are symbols
      for (size_t i = 0; i < model.inputs.size(); ++i) {
        const Shape& shape = model.inputs[i].shape();
        for (size_t axis = 0; axis < shape.size(); ++axis) {
          if (shape[axis] != 1) axes.emplace_back(i, axis);
        }
      }
      if (axes.empty()) continue;
      const auto [which, axis] = axes[random(axes.size())];
      Shape shape = model.inputs[which].shape();
      shape[axis] = std::max<int64_t>(0, shape[axis] + std::vector<int64_t>{1, -1, 7}[random(3)]);
      model.inputs[which] = repeated(model.inputs[which], shape);
      std::vector<Tensor> results[2];
      std::string errors[2];
      bool built = true;
      for (const bool optimize : {false, true}) {
        model.options.optimize = optimize;
        const auto compiled = built_or_null(model);
        built = built && compiled;
        if (!built) break;
        try {
          results[optimize ? 1 : 0] = Session(compiled).run(model.inputs);
        } catch (const Error& error) {
          errors[optimize ? 1 : 0] = error.code() + ": " + error.message();
        }
      }
      if (!built) continue;
      INFO(test.where << ", x" << which << " of shape " << to_string(shape) << "\n" << model.text);
      INFO("evaluation: " << errors[0] << "\nplan: " << errors[1]);
      CHECK(errors[0].empty() == errors[1].empty());
      ++(errors[0].empty() ? agreed : refused);
      Case loose = test;  // both may differ from PyTorch
      loose.rtol *= 4;
      loose.atol *= 4;
      for (size_t r = 0; r < std::min(results[0].size(), results[1].size()); ++r)
        CHECK(difference(results[1][r], results[0][r], loose) == "");
    }
  }
  CHECK(refused > 500);
  CHECK(agreed > 500);
}

TEST_CASE("every row is compared with PyTorch or says why not", "[rows]") {
  std::set<std::string> compared;
  for (const std::string& family : families()) {
    for (const Case& test : cases_of(family)) {
      if (!compared.insert(test.row).second) continue;
      const Model model = model_of(test, {});
      INFO(test.where << "\n" << model.text);
      CHECK(rows_of(model).count(test.row) == 1);  // a case of this row, and not of what became of it
    }
  }
  std::map<std::string, std::string> reasons;
  std::ifstream file(kFolder + "without_pytorch.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t colon = line.find(": ");
    INFO(line);
    REQUIRE(colon != std::string::npos);
    CHECK(reasons.emplace(line.substr(0, colon), line.substr(colon + 2)).second);
  }
  for (const OpDef* op : all_ops()) {
    const std::string name(op->name);
    INFO(name);
    CHECK(compared.count(name) + reasons.count(name) == 1);
    compared.erase(name);
    reasons.erase(name);
  }
  CHECK(compared.empty());  // names that are no rows
  CHECK(reasons.empty());
}
