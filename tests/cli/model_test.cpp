#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "nnef_parser/archive.h"
#include "nnef_parser/tensor_file.h"
#include "tests/cli/command.h"

using namespace nnefrun;
using namespace nnefrun::test;

TEST_CASE("check finds everything in one pass", "[cli]") {
  const Desk desk;
  desk.model("wrong",
             "version 1.0;\ngraph net(x) -> (y)\n{\n  x = external<scalar>(shape = [2, 3]);\n"
             "  w = variable<scalar>(shape = [2, 3], label = 'nowhere');\n  a = frobnicate(x);\n"
             "  y = add(a, missing);\n}\n");
  const Outcome got = desk.run({"check", "wrong"});
  CHECK(got.status == 3);
  CHECK(got.out.empty());
  CHECK(got.says("graph.nnef:5:"));  // the tensor
  CHECK(got.says("`nowhere`"));
  CHECK(got.says("graph.nnef:6:"));  // the operation
  CHECK(got.says("`frobnicate`"));
  CHECK(got.says("graph.nnef:7:"));  // the identifier
  const Outcome json = desk.run({"check", "wrong", "--json-errors"});
  CHECK(json.status == 3);
  std::istringstream lines(json.err);
  int findings = 0;
  for (std::string line; std::getline(lines, line); ++findings) {
    CHECK(nlohmann::json::parse(line)["severity"] == "error");
  }
  CHECK(findings >= 3);
}

TEST_CASE("what check refuses does not run either", "[cli]") {
  const Desk desk;
  desk.model("syntax", "version 1.0;\ngraph net(x) -> (y)\n{\n  x = external(shape = [2, 3])\n}\n");
  desk.model("types",
             "version 1.0;\ngraph net(x) -> (y)\n{\n  x = external<scalar>(shape = [2, 3]);\n"
             "  y = matmul(x, x);\n}\n");
  desk.model(
      "strict",
      "version 1.0;\ngraph net(x) -> (y)\n{\n  x = external<scalar>(shape = [2, 3]);\n  y = x + 1;\n}\n");
  for (const std::string model : {"syntax", "types"}) {
    INFO(model);
    CHECK(desk.run({"check", model}).status == 3);
    CHECK(desk.run({model, "--input", "x.npy"}).status == 3);
  }
  CHECK(desk.run({"check", "types"}).says("graph.nnef:5:7"));
  CHECK(desk.run({"check", "strict"}).status == 0);
  CHECK(desk.run({"strict", "--input", "x.npy"}).status == 0);
  CHECK(desk.run({"check", "strict", "--dialect", "khronos"}).status == 3);
  CHECK(desk.run({"strict", "--input", "x.npy", "--dialect", "khronos"}).status == 3);
}

TEST_CASE("check says what a sound model needs", "[cli]") {
  const Outcome got = Desk().run({"check", "cache"});
  CHECK(got.status == 0);
  CHECK(got.err.empty());
  CHECK(got.prints("dialect:    tract"));
  CHECK(got.prints("tract_registry tract_core"));
  CHECK(got.prints("symbols:    P"));
  CHECK(got.prints("input:      c: f32 [P,2]"));
  CHECK(got.prints("result:     c_out: f32 [P+1,2]"));
  CHECK(got.prints("concat, sum_reduce"));
  CHECK(got.prints("\nok\n"));
}

TEST_CASE("check names the weights that cannot stay codes", "[cli]") {
  const Desk desk;
  const auto text = [](const std::string& product) {
    return "version 1.0;\nextension tract_registry tract_core;\ngraph net(x) -> (y)\n{\n"
           "  x = tract_core_external(shape = [1, 16, 5, 5], datum_type = 'f32');\n"
           "  codes = variable<scalar>(shape = [16, 16, 1, 1], label = 'codes');\n"
           "  w = tract_core_cast(codes, to = 'f32') * 0.125;\n" +
           product + "}\n";
  };
  desk.model("conv", text("  y = conv(x, w, padding = [(0, 0), (0, 0)]);\n"));
  desk.model("linear", text("  m = reshape(w, shape = [16, 16]);\n  v = reshape(x, shape = [25, 16]);\n"
                            "  y = matmul(v, m, transposeB = true);\n"));
  Tensor codes = Tensor::zeros(DataType::u8, {16, 16, 1, 1});
  for (int64_t i = 0; i < codes.size(); ++i) codes.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i % 16);
  for (const char* model : {"conv", "linear"}) {
    write_file(desk.at(std::string(model) + "/codes.dat"),
               [&](const ByteSink& sink) { write_tensor_file(sink, codes, TensorFileForm::tract); });
  }
  const Outcome kept = desk.run({"check", "linear"});
  CHECK(kept.status == 0);
  CHECK_FALSE(kept.prints("note:"));
  const Outcome got = desk.run({"check", "conv"});
  CHECK(got.status == 0);
  CHECK(got.prints("note:       weights `"));
  CHECK(
      got.prints("codes of 4 bits become f32 when the model is loaded, since `conv` reads them: 1024 bytes"));
  CHECK(desk.run({"info", "linear"}).status == 0);
}

TEST_CASE("limits refuse at load with 3 and while running with 4", "[cli]") {
  const Desk desk;
  desk.model("large",
             "version 1.0;\ngraph net(x) -> (y)\n{\n  x = external<scalar>(shape = [1, 1]);\n"
             "  t = tile(x, repeats = [4096, 4096]);\n  y = sum_reduce(t, axes = [0, 1]);\n}\n");
  CHECK(desk.run({"add", "--input", "x.npy", "--limit-nodes", "1"}).status == 3);
  CHECK(desk.run({"add", "--input", "x.npy", "--limit-text", "8"}).status == 3);
  write_archive(desk.at("add.tar"), {text_member("graph.nnef", read_whole_file(desk.at("add/graph.nnef")))});
  CHECK(desk.run({"add.tar", "--input", "x.npy", "--limit-archive", "8"}).status == 3);
  CHECK(desk.run({"add", "--input", "x.npy", "--limit-member", "8"}).status == 3);
  CHECK(desk.run({"large", "--input", "ones"}).status == 0);
  const Outcome got = desk.run({"large", "--input", "ones", "--limit-memory", "1MiB"});
  CHECK(got.status == 4);
  CHECK(got.says("error[memory-limit]"));
  for (const std::string verb : {"check", "info", "print"}) {
    INFO(verb);
    CHECK(desk.run({verb, "add", "--limit-text", "8"}).status == 3);
    CHECK(desk.run({verb, "add", "--limit-text", "8K"}).status == 0);
  }
}

TEST_CASE("info describes a model for people and scripts", "[cli]") {
  const Desk desk;
  desk.model("product",
             "version 1.0;\ngraph net(x) -> (y)\n{\n  x = external<scalar>(shape = [4, 8]);\n"
             "  w = variable<scalar>(shape = [8, 16], label = 'w');\n  y = matmul(x, w);\n}\n");
  write_file(desk.at("product/w.dat"), [&](const ByteSink& sink) {
    write_tensor_file(sink, Tensor::zeros(DataType::f32, {8, 16}), TensorFileForm::khronos);
  });
  const Outcome text = desk.run({"info", "product"});
  INFO(text.err);
  REQUIRE(text.status == 0);
  CHECK(text.prints("input       x: f32 [4,8]"));
  CHECK(text.prints("parameters  128, 512 B"));
  CHECK(text.prints("MACs        512"));
  const auto info = nlohmann::json::parse(desk.run({"info", "product", "--json"}).out);
  CHECK(info["schema_version"] == 1);
  CHECK(info["operators"]["matmul"] == 1);
  CHECK(info["macs"] == 512);
  CHECK(info["inputs"][0]["shape"] == nlohmann::json::array({4, 8}));
  CHECK(info["arena_bytes"].is_number());
  const auto open = nlohmann::json::parse(desk.run({"info", "cache", "--json"}).out);
  CHECK(open["symbols"] == nlohmann::json::array({"P"}));
  CHECK(open["arena_bytes"].is_null());
  const auto closed = nlohmann::json::parse(desk.run({"info", "cache", "--json", "--set", "P=7"}).out);
  CHECK(closed["arena_bytes"].is_number());
}

TEST_CASE("print gives text that loads again", "[cli]") {
  const Desk desk;
  for (const std::string stage : {"parsed", "typed", "decluttered", "optimized"}) {
    const Outcome got = desk.run({"print", "add", "--stage", stage});
    INFO(stage << got.err);
    REQUIRE(got.status == 0);
    CHECK(got.prints("extension nnefrun_engine 1;") == (stage != "parsed"));
    desk.model("again", got.out);
    CHECK(desk.run({"again", "--input", "x.npy"}).prints("min 1, max 6, mean 3.5"));
  }
}

TEST_CASE("bench prints exactly the agreed keys", "[cli]") {
  const Desk desk;
  const Outcome two = desk.run({"add", "--input", "x.npy", "--threads", "2"});
  if (two.status != 0) CHECK(two.says("threads-unavailable"));  // built without oneTBB
  const int threads = two.status == 0 ? 2 : 1;
  const Outcome got = desk.run({"bench", "add", "--input", "x.npy", "--min-time", "0.01", "--warmup", "0",
                                "--threads", std::to_string(threads), "--json"});
  INFO(got.err);
  REQUIRE(got.status == 0);
  const auto report = nlohmann::json::parse(got.out);
  std::vector<std::string> keys;
  for (const auto& item : report.items()) keys.push_back(item.key());
  CHECK(keys == std::vector<std::string>{"arena_bytes", "first_run_ns", "isa", "load_ns", "max_ns",
                                         "median_ns", "min_ns", "p95_ns", "peak_rss_bytes", "runs", "threads",
                                         "weight_bytes"});
  CHECK(report["threads"] == threads);
  CHECK(report["runs"] >= 5);
  CHECK(report["min_ns"] <= report["median_ns"]);
  CHECK(report["median_ns"] <= report["p95_ns"]);
  CHECK(report["p95_ns"] <= report["max_ns"]);
  CHECK(report["load_ns"] > 0);
  CHECK(report["load_ns"] < report["first_run_ns"]);
  CHECK(report["peak_rss_bytes"] > 1'000'000);
  CHECK(desk.run({"bench", "add"}).status == 4);
  const Outcome cache = desk.run({"bench", "cache", "--input", "x=ones", "--input", "c=ones", "--set", "P=4",
                                  "--feedback", "c_out=c", "--min-time", "0.01"});
  CHECK(cache.status == 0);
  CHECK(cache.prints("p99"));
  save_npz(desk.at("ref.npz"), {{"y", Tensor::zeros(DataType::f32, {2, 3})}});
  CHECK(desk.run({"bench", "add", "--input", "x.npy", "--min-time", "0", "--expect", "ref.npz"}).status == 1);
}

TEST_CASE("profile names nodes and operators", "[cli]") {
  const Desk desk;
  for (const std::string mode : {"--no-optimize", "--threads=1"}) {
    const Outcome got = desk.run({"profile", "two", "--input", "ones", "--min-time", "0.01", "--json", mode});
    INFO(got.err);
    REQUIRE(got.status == 0);
    const auto report = nlohmann::json::parse(got.out);
    CHECK(report["runs"] >= 5);
    CHECK(report["nodes"].size() == 2);
    CHECK(report["operators"].size() == 2);
  }
  CHECK(desk.run({"profile", "two", "--input", "ones", "--min-time", "0"}).prints("GFLOP/s"));
}

TEST_CASE("ops and kernels list what there is", "[cli]") {
  const Desk desk;
  const Outcome ops = desk.run({"ops"});
  CHECK(ops.status == 0);
  CHECK(ops.prints("(input: tensor<scalar>, filter: tensor<scalar>, bias: tensor<scalar> = 0.0"));
  const auto list = nlohmann::json::parse(desk.run({"ops", "--json"}).out);
  CHECK(list.size() > 210);
  int rows = 0;
  for (const auto& op : list) {
    INFO(op["name"]);
    CHECK(op["declared_in"] != "");
    CHECK_FALSE(op["dialects"].empty());
    CHECK((op["made_of"] == "row") == (op["types"] != ""));
    CHECK((op["tuned"] == true) == (op["tuned_types"] != ""));
    rows += op["made_of"] == "row" ? 1 : 0;
  }
  CHECK(rows > 200);
  const Outcome khronos = desk.run({"ops", "--dialect", "khronos"});
  CHECK(khronos.prints("\nconv "));
  CHECK_FALSE(khronos.prints("tract_core_scan"));
  const auto operation = [&](const char* name) {
    return nlohmann::json::parse(desk.run({"ops", name, "--json"}).out);
  };
  const auto conv = operation("conv");
  CHECK(conv["types"] == "float");
  CHECK(conv["tuned_types"] == "f32");
  CHECK(operation("matmul")["tuned_types"] == "f16, f32");  // f16 weights
  CHECK(operation("tract_transformers_sdpa")["tuned_types"] == "f16, f32");
  CHECK(conv["dialects"] == std::vector<std::string>{"khronos", "tract", "engine"});
  const Outcome page = desk.run({"ops", "tract_core_gelu_approx"});
  CHECK(page.prints("tanh approximation of gelu"));
  CHECK(page.prints("declared in: tract_core.nnef"));
  CHECK(desk.run({"ops", "softmax"}).prints("m = max_reduce(x"));
  CHECK(nlohmann::json::parse(desk.run({"ops", "external", "--json"}).out)["made_of"] == "translation");

  const auto kernels = nlohmann::json::parse(desk.run({"kernels", "--json", "--isa", "generic"}).out);
  CHECK(kernels.size() > 10);
  for (const auto& kernel : kernels) CHECK((kernel["chosen"] == false || kernel["isa"] == "generic"));
  CHECK(desk.run({"kernels"}).prints("* "));
}

TEST_CASE("check reports every error of types, and none that follows from another", "[cli]") {
  const Desk desk;
  desk.model("wrong",
             "version 1.0;\n"                                             // 1
             "extension KHR_enable_fragment_definitions;\n"               // 2
             "fragment pair(p: tensor<scalar>) -> (q: tensor<scalar>)\n"  // 3
             "{\n"                                                        // 4
             "  good = relu(p);\n"                                        // 5
             "  bad = transpose(good, axes = [7, 8]);\n"                  // 6
             "  after = neg(bad);\n"                                      // 7
             "  other = squeeze(good, axes = [0]);\n"                     // 8
             "  q = add(after, other);\n"                                 // 9
             "}\n"                                                        // 10
             "graph net(x) -> (y, z)\n"                                   // 11
             "{\n"                                                        // 12
             "  x = external<scalar>(shape = [2,3]);\n"                   // 13
             "  a = constant<scalar>(shape = [3,2], value = [1.0]);\n"    // 14
             "  b = add(x, a);\n"                                         // 15
             "  c = matmul(b, a);\n"                                      // 16: follows from b
             "  d = concat([x, a], axis = 1);\n"                          // 17
             "  e, f = moments(d, axes = [0]);\n"                         // 18: follows from d
             "  y = pair(x);\n"                                           // 19: 6 and 8 in the fragment
             "  g = frobnicate(x);\n"                                     // 20
             "  h = relu(g);\n"                                           // 21: follows from g
             "  i = [for k in [0] yield add(x, c)];\n"                    // 22: follows from c
             "  z = reshape(x, shape = [4,4]);\n"                         // 23
             "}\n");
  const Outcome got = desk.run({"check", "wrong", "--json-errors"});
  CHECK(got.status == 3);
  std::vector<int> lines;
  for (size_t at = got.err.find("\"line\":"); at != std::string::npos; at = got.err.find("\"line\":", at + 1))
    lines.push_back(std::atoi(got.err.c_str() + at + 7));
  INFO(got.err);
  CHECK(lines == std::vector<int>{6, 8, 15, 17, 20, 23});
  CHECK(got.says("in fragment `pair` called at graph.nnef:19:7"));
  CHECK(got.out.empty());
  // A run stops at the first error.
  const Outcome run = desk.run({"wrong", "--input", "zeros", "--json-errors"});
  CHECK(run.status == 3);
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
}
