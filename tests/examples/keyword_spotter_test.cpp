// The example as a user has it: the archive, three sounds, the labels, and what PyTorch answered.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "engine/session.h"
#include "io/npz.h"
#include "nnef_parser/archive.h"

using namespace nnefrun;

namespace {

const std::string kFolder = NNEFRUN_SOURCE_DIR "/examples/keyword_spotter/";

std::vector<std::string> labels() {
  std::ifstream in(kFolder + "labels.txt");
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

void check_words(const std::shared_ptr<const CompiledModel>& model) {
  const std::vector<std::string> names = labels();
  REQUIRE(names.size() == 11);
  Session session(model);
  const NamedTensors expected = load_npz(kFolder + "expected.npz");
  REQUIRE(expected.size() == 3);
  for (const auto& [word, want] : expected) {
    INFO(word);
    const std::vector<Tensor> results = session.run({load_npy(kFolder + word + ".npy")});
    REQUIRE(results.size() == 1);
    const Tensor& got = results[0];
    REQUIRE(got.size() == 11);
    REQUIRE(got.size() == want.size());
    double worst = 0;
    int64_t best = 0;
    for (int64_t i = 0; i < got.size(); ++i) {
      worst = std::max(worst, std::abs(got.as_double(i) - want.as_double(i)));
      if (got.as_double(i) > got.as_double(best)) best = i;
    }
    CHECK(worst <= 1e-5);
    CHECK(names[static_cast<size_t>(best)] == word);
  }
}

}  // namespace

TEST_CASE("the keyword spotter recognises its words in all modes", "[examples]") {
  const Archive archive = Archive::open(kFolder + "model.nnef.tgz");
  const CompileOptions optimized;
  CompileOptions naive;
  naive.optimize = false;
  SECTION("planned") {
    const auto model = compile_model(archive, optimized);
    CHECK(model->plan.has_value());
    check_words(model);
  }
  SECTION("by evaluation") {
    const auto model = compile_model(archive, naive);
    CHECK_FALSE(model->plan.has_value());
    check_words(model);
  }
  SECTION("printed and read back") {
    Graph graph = rewrite_graph(load_graph(archive, optimized), Stage::optimized, optimized);
    check_words(compile_graph(reload_graph(print_graph(graph)), optimized));
  }
}
