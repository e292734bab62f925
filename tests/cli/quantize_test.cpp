// nnefrun quantize: what it writes, reports and refuses.
#include <catch2/catch.hpp>
#include <filesystem>

#include "nnef_parser/archive.h"
#include "tests/cli/command.h"

using namespace nnefrun;
using namespace nnefrun::test;

namespace {

// relu(x) + x, and a folder of two sets of inputs.
void put_sum(const Desk& desk) {
  desk.model("sum",
             "version 1.0;\nextension tract_registry tract_core;\ngraph net(x) -> (y)\n{\n"
             "  x = tract_core_external(shape = [1, 2, 3], datum_type = 'f32');\n  r = relu(x);\n  y = "
             "add(r, x);\n}\n");
  std::filesystem::create_directory(desk.at("sets"));
  save_npz(desk.at("sets/0.npz"), {{"x", Tensor::of<float>({1, 2, 3}, {-1, 0, 1, 2, -0.5F, 0.25F})}});
  save_npz(desk.at("sets/1.npz"), {{"x", Tensor::of<float>({1, 2, 3}, {-2, 1, 0.5F, -1, 1.5F, 0})}});
}

}  // namespace

TEST_CASE("quantize writes a model, a report and a page", "[cli]") {
  const Desk desk;
  put_sum(desk);
  const Outcome got = desk.run(
      {"quantize", "sum", "-o", "small.tgz", "--int8", "--calibrate", "sets", "--html", "report.html"});
  INFO(got.err);
  REQUIRE(got.status == 0);
  CHECK(got.prints("relu"));
  CHECK(got.prints(" dB"));
  CHECK(got.prints("same largest entry: 2 of 2"));
  CHECK(read_whole_file(desk.at("report.html")).find("class=\"bar\"") != std::string::npos);
  const Outcome text = desk.run({"print", "small.tgz"});
  CHECK(text.prints("tract_registry tract_core"));
  CHECK(text.prints("QI8("));
  const Outcome run = desk.run({"small.tgz", "--input", "sets/0.npz", "--output", "out.npz"});
  INFO(run.err);
  CHECK(run.status == 0);
  const Outcome kept =
      desk.run({"quantize", "sum", "-o", "kept", "--int8", "--calibrate", "sets/0.npz", "--keep", "*"});
  REQUIRE(kept.status == 0);
  CHECK(kept.prints("exact"));
  CHECK(kept.prints("relative error of the results: 0\n"));
  const Outcome bound =
      desk.run({"quantize", "sum", "-o", "bound", "--int8", "--calibrate", "sets", "--max-error", "0"});
  REQUIRE(bound.status == 0);
  CHECK(bound.prints("relative error of the results: 0\n"));
}

TEST_CASE("quantize writes the accuracy into the model, and runs may say otherwise", "[cli]") {
  const Desk desk;
  const std::string head =
      "version 1.0;\nextension tract_registry tract_core;\n"
      "fragment tract_core_properties() -> (properties: (string, tensor<scalar>)[])\n{\n"
      "  properties = [('writer', 'somebody'), ('nnefrun_accuracy', 'exact')];\n}\n";
  const std::string body =
      "graph net(x) -> (y)\n{\n  x = tract_core_external(shape = [2, 64], datum_type = 'f32');\n"
      "  w = variable<scalar>(label = 'w', shape = [24, 64]);\n  y = matmul(x, w, transposeB = true);\n}\n";
  Tensor weights = Tensor::zeros(DataType::f32, {24, 64}), x = Tensor::zeros(DataType::f32, {2, 64});
  for (int i = 0; i < weights.size(); ++i)
    weights.mutable_data<float>()[i] = static_cast<float>(i * 37 % 101) - 50.0F;
  for (int i = 0; i < x.size(); ++i)
    x.mutable_data<float>()[i] = (static_cast<float>(i * 29 % 97) - 48.0F) * 0.37F;
  write_archive(desk.at("product"),
                {text_member("graph.nnef", head + body), tensor_member("w", weights, TensorFileForm::tract)});
  save_npy(desk.at("v.npy"), x);
  const auto results = [&](const std::string& model, const std::vector<std::string>& more) {
    std::vector<std::string> words = {model, "--input", "v.npy", "--output", "y.npz"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome got = desk.run(words);
    INFO(got.err);
    REQUIRE(got.status == 0);
    return load_npz(desk.at("y.npz")).at(0).second;
  };
  for (const char* scheme : {"q40", "q80"}) {
    INFO(scheme);
    const std::vector<std::string> words = {"quantize", "product", "-o", "small.tgz", "--weights", scheme};
    std::vector<std::string> recording = words;
    recording.insert(recording.end(), {"--accuracy", "fast"});
    recording[3] = "quick.tgz";
    REQUIRE(desk.run(words).status == 0);
    REQUIRE(desk.run(recording).status == 0);
    const Outcome info = desk.run({"info", "quick.tgz", "--json"});
    CHECK(info.prints("\"nnefrun_accuracy\": \"fast\""));
    const Tensor exact = results("small.tgz", {}), fast = results("small.tgz", {"--accuracy", "fast"});
    if (std::string(scheme) == "q40") {
      CHECK(info.prints("\"writer\": \"somebody\""));
      CHECK_FALSE(exact.identical(fast));
    }
    CHECK(results("quick.tgz", {}).identical(fast));
    CHECK(results("quick.tgz", {"--via-text"}).identical(fast));
    CHECK(results("quick.tgz", {"--accuracy", "exact"}).identical(exact));
  }
  CHECK(
      desk.run({"quantize", "product", "-o", "out.tgz", "--weights", "q40", "--accuracy", "rough"}).status ==
      2);
}

TEST_CASE("quantize says what it lacks", "[cli]") {
  const Desk desk;
  put_sum(desk);
  struct Row {
    std::vector<std::string> arguments;
    int status;
    std::string said;
  };
  const std::vector<Row> rows = {
      {{"quantize", "sum", "--int8", "--calibrate", "sets"}, 2, "-o"},
      {{"quantize", "sum", "-o", "out"}, 2, "either --int8 or --weights"},
      {{"quantize", "sum", "-o", "out", "--int8"}, 2, "--calibrate"},
      {{"quantize", "sum", "-o", "out", "--weights", "q3"}, 2, "int4-group32"},
      {{"quantize", "sum", "-o", "out", "--int8", "--calibrate", "sets", "--ranges", "all"}, 2, "percentile"},
      {{"quantize", "sum", "-o", "out", "--int8", "--calibrate", "sets", "--keep", "z*"},
       2,
       "no node has such a name"},
      {{"quantize", "two", "-o", "out", "--int8", "--calibrate", "sets"}, 4, "calibration-inputs"},
  };
  for (const Row& row : rows) {
    const Outcome got = desk.run(row.arguments);
    INFO(row.said << "\n" << got.err);
    CHECK(got.status == row.status);
    CHECK(got.says(row.said));
  }
}
