// For every operator: random shapes, attributes and values, compared between the optimised and the naive way.
//
//   NNEFRUN_PROPERTY_SEED=7      another seed than the printed default
//   NNEFRUN_PROPERTY_ROUNDS=500  cases for each operator
//   NNEFRUN_PROPERTY_ONLY=conv   one operator (or family of chains)
//   NNEFRUN_PROPERTY_CASE=conv:123456789   the one case that a failure names
//   NNEFRUN_PROPERTY_KEEP=folder           differing cases are written there, as models and inputs for
//   nnefrun
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <set>

#include "engine/graph/op_def.h"
#include "tests/property/generators.h"
#include "tests/property/runner.h"

using namespace nnefrun;
using namespace nnefrun::property;

namespace {

constexpr uint64_t kDefaultSeed = 20251125;
constexpr int64_t kDefaultRounds = 300;

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

uint64_t mixed(uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

std::vector<const Generator*> all_generators() {
  std::vector<const Generator*> out;
  for (const auto family :
       {elementwise_generators(), reduce_generators(), window_generators(), product_generators(),
        move_generators(), indexing_generators(), norm_generators(), attention_generators(),
        stateful_generators(), quant_generators(), signal_generators(), chain_generators()}) {
    for (const Generator& generator : family) out.push_back(&generator);
  }
  return out;
}

struct Counts {
  int compared = 0, refused = 0, discarded = 0, failed = 0;
};

// One case. What the row's inference refuses is discarded: there is no graph to run.
void run(const Generator& generator, uint64_t seed, Counts& counts) {
  Draw draw(seed, generator.wild);
  const std::string name = std::string(generator.op) + ":" + std::to_string(seed);
  const std::string keep = setting("NNEFRUN_PROPERTY_KEEP");
  Outcome outcome;
  try {
    generator.draw(draw, generator.op);
    outcome = run_case(draw, keep.empty() ? "" : keep + "/" + name);
  } catch (const Error& error) {
    ++counts.discarded;
    if (!setting("NNEFRUN_PROPERTY_CASE").empty()) std::cout << error.what() << "\n";
    return;
  }
  ++(outcome.refused ? counts.refused : counts.compared);
  if (outcome.difference.empty()) return;
  ++counts.failed;
  FAIL_CHECK("NNEFRUN_PROPERTY_CASE=" << name << "\n" << outcome.difference << "\n" << outcome.text);
}

}  // namespace

TEST_CASE("optimised and naive agree on random cases of every operator") {
  const std::string one = setting("NNEFRUN_PROPERTY_CASE"), only = setting("NNEFRUN_PROPERTY_ONLY");
  const std::string seed_text = setting("NNEFRUN_PROPERTY_SEED"),
                    rounds_text = setting("NNEFRUN_PROPERTY_ROUNDS");
  const uint64_t seed = seed_text.empty() ? kDefaultSeed : std::strtoull(seed_text.c_str(), nullptr, 10);
  const int64_t rounds =
      rounds_text.empty() ? kDefaultRounds : std::strtoll(rounds_text.c_str(), nullptr, 10);
  std::cout << "property tests with seed " << seed << ", " << rounds << " rounds\n";
  Counts total;
  for (const Generator* generator : all_generators()) {
    const std::string op(generator->op);
    Counts counts;
    const auto start = std::chrono::steady_clock::now();
    if (!one.empty()) {
      if (one.rfind(op + ":", 0) != 0) continue;
      run(*generator, std::strtoull(one.c_str() + op.size() + 1, nullptr, 10), counts);
    } else {
      if (!only.empty() && only != op) continue;
      uint64_t state = mixed(seed);
      for (const char c : op) state = mixed(state ^ static_cast<uint64_t>(c));
      for (int64_t round = 0; round < rounds && counts.failed < 3; ++round) {
        state = mixed(state);
        run(*generator, state, counts);
      }
      // A generator whose cases are nearly all refused tests nothing.
      if (rounds >= 20) {
        INFO(op << ": " << counts.compared << " compared, " << counts.refused << " refused when run, "
                << counts.discarded << " refused when built");
        CHECK(counts.compared * 5 >= counts.refused + counts.discarded);
      }
    }
    total.compared += counts.compared;
    total.refused += counts.refused;
    total.discarded += counts.discarded;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (took.count() > 2 && rounds == kDefaultRounds) std::cout << op << " took " << took.count() << " s\n";
  }
  std::cout << total.compared << " cases compared, " << total.refused << " refused by both ways, "
            << total.discarded << " refused when built\n";
}

TEST_CASE("every row has a generator, or a reason for having none") {
  std::set<std::string_view> drawn, excepted;
  for (const Generator* generator : all_generators()) {
    INFO(generator->op);
    CHECK(drawn.insert(generator->op).second);
  }
  for (const Exception& exception : exceptions()) {
    INFO(exception.op);
    CHECK(find_op(exception.op) != nullptr);
    CHECK_FALSE(exception.reason.empty());
    CHECK(excepted.insert(exception.op).second);
    CHECK(drawn.count(exception.op) == 0);
  }
  for (const OpDef* op : all_ops()) {
    INFO(op->name);
    CHECK(drawn.count(op->name) + excepted.count(op->name) == 1);
  }
}
