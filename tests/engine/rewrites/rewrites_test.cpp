// Every rewrite has a folder tests/engine/rewrites/<name> with before.nnef and after.nnef, in the engine's
// dialect. Here they are applied: the graph must become that of after.nnef, and compute what it did.
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <regex>
#include <set>
#include <sstream>

#include "engine/compiler.h"
#include "engine/graph/interpreter.h"
#include "engine/rewrites/rewrite.h"

using namespace nnefrun;

namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(NNEFRUN_SOURCE_DIR) / "tests" / "engine" / "rewrites";

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

// Items from -2 to 2; integers from -2 to 5; for names that say so, positive or
// whole ones.
Tensor random_tensor(DataType type, const Shape& shape, const std::string& name) {
  std::mt19937 random(static_cast<uint32_t>(std::hash<std::string>{}(name)));
  std::uniform_real_distribution<float> real(name.find("positive") == std::string::npos ? -2.0F : 0.5F, 2.0F);
  std::uniform_int_distribution<int> whole(-2, 5);
  const bool is_whole = name.find("whole") != std::string::npos;
  Tensor out = Tensor::zeros(type, shape);
  for (int64_t i = 0; i < out.size(); ++i) {
    switch (type) {
      case DataType::f32:
        out.mutable_data<float>()[i] = is_whole ? std::ceil(real(random)) : real(random);
        break;
      case DataType::f16: out.mutable_data<Half>()[i] = Half(real(random)); break;
      case DataType::i64: out.mutable_data<int64_t>()[i] = whole(random); break;
      case DataType::i32: out.mutable_data<int32_t>()[i] = whole(random); break;
      case DataType::u8: out.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(whole(random) + 2); break;
      case DataType::boolean: out.mutable_data<bool>()[i] = whole(random) > 1; break;
      default: throw Error("test", "no random items of type " + std::string(name_of(type)));
    }
  }
  return out;
}

// A text with a tensor for each `variable`: integers for variable<integer>, booleans for variable<logical>,
// bytes from 0 to 7 for those that are called `codes`.
Graph load(const std::filesystem::path& path) {
  PrintedGraph printed;
  printed.text = text_of(path);
  INFO(path.string());
  REQUIRE_FALSE(printed.text.empty());
  static const std::regex kVariable(R"(variable(<\w+>)?\(shape = \[([0-9A-Z, ]*)\], label = '([^']*)'\))");
  for (std::sregex_iterator it(printed.text.begin(), printed.text.end(), kVariable), end; it != end; ++it) {
    Shape shape;
    std::stringstream extents((*it)[2].str());
    for (std::string extent; std::getline(extents, extent, ',');) {
      // Along a symbol, a variable begins with one item that is repeated.
      const bool symbol = extent.find_first_of("0123456789") == std::string::npos;
      shape.push_back(symbol ? 1 : std::stoll(extent));
    }
    const std::string type = (*it)[1].str(), label = (*it)[3].str();
    const DataType dtype = type == "<integer>"   ? DataType::i64
                           : type == "<logical>" ? DataType::boolean
                           : label == "codes"    ? DataType::u8
                                                 : DataType::f32;
    printed.tensors.emplace_back(label, random_tensor(dtype, shape, label));
  }
  return reload_graph(printed);
}

// The same graph with names that follow from its structure, in the order in which the results need the nodes.
class Canonical {
 public:
  explicit Canonical(const Graph& graph) : graph_(graph) {
    for (const Outlet& input : graph.inputs) {
      const Outlet moved = out_.add_external(graph.fact(input), "x" + std::to_string(out_.inputs.size()));
      moved_.emplace(input.node, moved.node);
    }
    for (const GraphOutput& output : graph.outputs)
      out_.outputs.push_back({visit(output.outlet), output.name});
    for (const auto& update : graph.updates) {
      const Outlet variable = visit(update.first);
      Outlet next = update.second;
      if (graph.node(next).op->name == "copy") next = graph.node(next).inputs[0];  // that `update` reads as
      out_.updates.emplace_back(variable, visit(next));
    }
  }
  std::string text() const { return print_graph(out_).text; }

 private:
  Outlet visit(Outlet outlet) {
    const auto it = moved_.find(outlet.node);
    if (it != moved_.end()) return {it->second, outlet.result};
    Node node = graph_.node(outlet.node);
    std::vector<Outlet> inputs;
    for (const Outlet& input : node.inputs) inputs.push_back(visit(input));
    const std::string number = std::to_string(out_.nodes().size());
    for (size_t r = 0; r < node.result_names.size(); ++r)
      node.result_names[r] = "t" + number + "_" + std::to_string(r);
    if (node.op->name == "variable") node.attributes[1] = Attribute("v" + number);
    const uint32_t index = out_.add_copy(node, std::move(inputs)).node;
    moved_.emplace(outlet.node, index);
    return {index, outlet.result};
  }
  const Graph& graph_;
  Graph out_;
  std::map<uint32_t, uint32_t> moved_;
};

std::vector<Tensor> random_inputs(const Graph& graph) {
  const SymbolValues symbols{{"B", 2}, {"S", 3}};
  std::vector<Tensor> out;
  for (const Outlet& input : graph.inputs) {
    Shape shape;
    for (const Dim& extent : graph.fact(input).shape) shape.push_back(extent.evaluate(symbols).value());
    out.push_back(random_tensor(graph.fact(input).dtype, shape, graph.name_of(input)));
  }
  return out;
}

std::vector<Tensor> run(const Graph& graph, const std::vector<Tensor>& inputs) {
  GraphState state;
  return interpret(graph, inputs, {}, state);
}

void check_close(const std::vector<Tensor>& got, const std::vector<Tensor>& wanted) {
  REQUIRE(got.size() == wanted.size());
  for (size_t k = 0; k < got.size(); ++k) {
    INFO("result " << k);
    REQUIRE(got[k].dtype() == wanted[k].dtype());
    REQUIRE(got[k].shape() == wanted[k].shape());
    const double tolerance = got[k].dtype() == DataType::f16 ? 4e-3 : 1e-5;
    for (int64_t i = 0; i < got[k].size(); ++i) {
      const double g = got[k].as_double(i), w = wanted[k].as_double(i);
      const bool close = std::isnan(w) ? std::isnan(g) : std::abs(g - w) <= tolerance * (1 + std::abs(w));
      if (!close) FAIL("item " << i << " is " << g << ", expected " << w);
    }
  }
}

Graph rewritten(const Graph& graph, const std::vector<const Rewrite*>& rewrites, int64_t max_rewrites,
                int64_t* applied) {
  RewriteOptions options;
  options.max_rewrites = max_rewrites;
  return apply_rewrites(graph, rewrites, options, applied);
}

}  // namespace

TEST_CASE("every rewrite turns its before.nnef into its after.nnef", "[rewrites]") {
  for (const Rewrite* rewrite : all_rewrites()) {
    const std::string name(rewrite->name);
    INFO("rewrite " << name << ": " << rewrite->meaning);
    REQUIRE(std::filesystem::exists(kFolder / name / "before.nnef"));
    const Graph before = load(kFolder / name / "before.nnef");
    const Graph after = load(kFolder / name / "after.nnef");
    int64_t applied = 0;
    const Graph got = rewritten(before, {rewrite}, -1, &applied);
    CHECK(applied > 0);
    CHECK(Canonical(got).text() == Canonical(after).text());
    const auto inputs = random_inputs(before);
    check_close(run(got, inputs), run(before, inputs));
  }
}

TEST_CASE("every folder of rewrites belongs to a rewrite, and names are unique", "[rewrites]") {
  std::set<std::string> names;
  for (const Rewrite* rewrite : all_rewrites()) {
    CHECK(names.insert(std::string(rewrite->name)).second);
    CHECK_FALSE(rewrite->meaning.empty());
  }
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.is_directory()) CHECK(names.count(entry.path().filename().string()) == 1);
  }
}

TEST_CASE("all rewrites together come to rest and keep values, wherever they are stopped", "[rewrites]") {
  for (const Rewrite* rewrite : all_rewrites()) {
    const std::string name(rewrite->name);
    INFO("graph of " << name);
    const Graph before = load(kFolder / name / "before.nnef");
    const auto inputs = random_inputs(before);
    const auto wanted = run(before, inputs);
    int64_t total = 0;
    const Graph decluttered = rewritten(before, declutter_rewrites(), -1, &total);
    const Graph recognised = rewritten(decluttered, recognise_rewrites(), -1, &total);
    const Graph optimized = rewritten(recognised, optimize_rewrites(), -1, &total);
    check_close(run(optimized, inputs), wanted);
    check_close(run(reload_graph(print_graph(optimized)), inputs), wanted);
    int64_t again = 0;
    rewritten(optimized, optimize_rewrites(), -1, &again);
    CHECK(again == 0);
    for (int64_t limit = 0; limit < total; ++limit) {
      INFO("after " << limit << " rewrites");
      CompileOptions options;
      options.max_rewrites = limit;
      check_close(run(rewrite_graph(before, Stage::optimized, options), inputs), wanted);
    }
  }
}

TEST_CASE("without any one of the rewrites, the others keep the values of its graph", "[rewrites]") {
  for (const Rewrite* rewrite : all_rewrites()) {
    const std::string name(rewrite->name);
    INFO("without " << name);
    const Graph before = load(kFolder / name / "before.nnef");
    const auto inputs = random_inputs(before);
    CompileOptions options;
    options.disabled = {name};
    bool applied = false;
    options.on_rewrite = [&](std::string_view other) { applied = applied || other == name; };
    check_close(run(rewrite_graph(before, Stage::optimized, options), inputs), run(before, inputs));
    CHECK_FALSE(applied);
  }
}

TEST_CASE("a limit of rewrites is kept, and disabled ones are not applied", "[rewrites]") {
  const Graph before = load(kFolder / "drop-mul" / "before.nnef");
  int64_t applied = 0;
  rewritten(before, all_rewrites(), 1, &applied);
  CHECK(applied == 1);
  RewriteOptions options;
  for (const Rewrite* rewrite : all_rewrites()) options.disabled.emplace_back(rewrite->name);
  applied = 0;
  const Graph same = apply_rewrites(before, all_rewrites(), options, &applied);
  CHECK(applied == 0);
  CHECK(Canonical(same).text() == Canonical(before).text());
}

TEST_CASE("rules that undo each other are an error that names one", "[rewrites]") {
  static const Rewrite forth{"forth", "neg", "-x => |x|", [](const RewriteContext& c) {
                               Patch patch;
                               patch.results = {patch.add("abs", {Patch::tap(c.node().inputs[0])})};
                               return std::optional<Patch>(patch);
                             }};
  static const Rewrite back{"back", "abs", "|x| => -x", [](const RewriteContext& c) {
                              Patch patch;
                              patch.results = {patch.add("neg", {Patch::tap(c.node().inputs[0])})};
                              return std::optional<Patch>(patch);
                            }};
  Graph graph;
  const Outlet x = graph.add_external(fact_of(DataType::f32, {Dim(2)}), "x");
  graph.outputs = {{graph.add("neg", {x}, {}, "y"), "y"}};
  int64_t applied = 0;
  try {
    rewritten(graph, {&forth, &back}, -1, &applied);
    FAIL("the rules came to rest");
  } catch (const Error& error) {
    CHECK(error.code() == "rewrite-loop");
    const bool names_one = error.message().find("rewrite forth") != std::string::npos ||
                           error.message().find("rewrite back") != std::string::npos;
    CHECK(names_one);
  }
}

TEST_CASE("a rewrite that changes a shape is refused", "[rewrites]") {
  static const Rewrite wrong{
      "wrong", "neg", "-x => x with another axis", [](const RewriteContext& c) {
        Patch patch;
        patch.results = {patch.add("unsqueeze", {Patch::tap(c.node().inputs[0])}, {Attribute::of_ints({0})})};
        return std::optional<Patch>(patch);
      }};
  Graph graph;
  const Outlet x = graph.add_external(fact_of(DataType::f32, {Dim(2)}), "x");
  graph.outputs = {{graph.add("neg", {x}, {}, "y"), "y"}};
  int64_t applied = 0;
  try {
    rewritten(graph, {&wrong}, -1, &applied);
    FAIL("the rewrite was applied");
  } catch (const Error& error) {
    CHECK(error.code() == "rewrite-fact");
    CHECK(error.message().find("rewrite wrong") != std::string::npos);
  }
}
