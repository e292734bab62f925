#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "nnef_parser/archive.h"
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
  CHECK(got.prints("input:      c: f32 [P, 2]"));
  CHECK(got.prints("result:     c_out: f32 [P+1, 2]"));
  CHECK(got.prints("concat, sum_reduce"));
  CHECK(got.prints("\nok\n"));
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
  CHECK(text.prints("input       x: f32 [4, 8]"));
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
  const Outcome got = desk.run({"bench", "add", "--input", "x.npy", "--min-time", "0.01", "--warmup", "0",
                                "--threads", "2", "--json"});
  INFO(got.err);
  REQUIRE(got.status == 0);
  const auto report = nlohmann::json::parse(got.out);
  std::vector<std::string> keys;
  for (const auto& item : report.items()) keys.push_back(item.key());
  CHECK(keys == std::vector<std::string>{"arena_bytes", "first_run_ns", "isa", "load_ns", "max_ns",
                                         "median_ns", "min_ns", "p95_ns", "peak_rss_bytes", "runs", "threads",
                                         "weight_bytes"});
  CHECK(report["threads"] == 2);
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
  CHECK(ops.prints("conv(input: tensor<scalar>, filter: tensor<scalar>, bias: tensor<scalar> = 0.0"));
  const auto list = nlohmann::json::parse(desk.run({"ops", "--json"}).out);
  CHECK(list.size() > 100);
  for (const auto& op : list) {
    INFO(op["name"]);
    CHECK(op["declared_in"] != "");
  }
  const Outcome khronos = desk.run({"ops", "--dialect", "khronos"});
  CHECK(khronos.prints("conv("));
  CHECK_FALSE(khronos.prints("tract_core_scan"));

  const auto kernels = nlohmann::json::parse(desk.run({"kernels", "--json", "--isa", "generic"}).out);
  CHECK(kernels.size() > 10);
  for (const auto& kernel : kernels) CHECK((kernel["chosen"] == false || kernel["isa"] == "generic"));
  CHECK(desk.run({"kernels"}).prints("* "));
}
