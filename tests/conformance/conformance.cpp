// Runs suites of conformance cases in one process, each case in three modes: optimised, by naive evaluation,
// and printed as text and read back. What the command line does with a model is done here by the same
// functions.
//
//   test_conformance SUITE-FOLDER [--only TEXT] [--verbose]
//   test_conformance --disable-each [--sample N] SUITE-FOLDER... [--only TEXT]
//
// The second form runs each case once for each rewrite and pass that changed its graph, without that one: the
// answers must be the same. --sample N takes one case in N, chosen by its name, and leaves out large models.
//
// known_failures.txt beside this file lists the cases that fail, with the reason. A case that fails and is
// not listed, and one that is listed and holds, both fail the test: the list can only shrink.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "cli/inputs.h"
#include "cli/model.h"
#include "engine/rewrites/rewrite.h"
#include "tests/conformance/suite.h"

namespace {

using namespace nnefrun;
namespace fs = std::filesystem;
using test::Case;

enum class Mode : uint8_t { optimized, naive, via_text };
constexpr const char* kModeNames[] = {"optimized", "naive", "via-text"};

cli::Options options_of(const Case& c, Mode mode) {
  cli::Options options;
  options.model = c.model;
  options.dialect = c.dialect == "khronos" ? Dialect::khronos : Dialect::tract;
  options.optimize = mode != Mode::naive;
  if (mode == Mode::via_text) options.via_text = Stage::optimized;
  return options;
}

// What a file of the results would hold.
NamedTensors as_written(const Graph& graph, const std::vector<Tensor>& results) {
  NamedTensors named;
  for (size_t i = 0; i < results.size(); ++i) {
    named.emplace_back(graph.outputs[i].name, results[i]);
  }
  std::vector<std::byte> bytes;
  write_npz([&](ByteSpan part) { bytes.insert(bytes.end(), part.begin(), part.end()); }, named);
  return read_npz(bytes, "results");
}

// Throws what the rooms throw.
std::string run_model(const Case& c, cli::Options options,
                      const std::shared_ptr<const CompiledModel>& model) {
  Session session = cli::start_session(model, options);
  for (size_t k = 0; k < c.pairs.size(); ++k) {
    options.inputs.clear();
    if (fs::exists(c.pairs[k].first)) options.inputs.push_back(c.pairs[k].first);
    if (!c.one_session) session.reset();
    cli::Feeder feeder(model->graph, options, cli::memory_limit(options));
    const std::vector<Tensor> results = session.run(feeder.step(0, nullptr));
    const std::string why = test::compare(as_written(model->graph, results), load_npz(c.pairs[k].second), c);
    if (!why.empty()) return "run " + std::to_string(k) + ": " + why;
  }
  return {};
}

// Throws what the rooms throw.
std::string run_pairs(const Case& c, Mode mode) {
  const cli::Options options = options_of(c, mode);
  return run_model(c, options, cli::load_model(options));
}

std::string short_form(const Error& error) { return error.what(); }

// The names of the rewrites and passes that change the graph of a case, and of the layouts that its plan may
// choose.
std::set<std::string> what_changes(const Graph& graph) {
  std::set<std::string> names;
  CompileOptions compile;
  compile.on_rewrite = [&](std::string_view name) { names.emplace(name); };
  compile.after_pass = [&](const std::string& pass, const Graph&, int64_t applied, double) {
    if (applied > 0) names.insert(pass);
  };
  const Graph optimized = rewrite_graph(graph, Stage::optimized, compile);
  for (const Node& node : optimized.nodes()) {
    if (node.op->name == "conv" || node.op->name == "nnefrun_conv") names.insert(kBlockedLayouts);
  }
  return names;
}

// "" when the case holds without the rewrite or pass `name`, else why not.
std::string run_without(const Case& c, const Graph& graph, const std::string& name) {
  try {
    CompileOptions compile;
    compile.disabled = {name};
    return run_model(c, options_of(c, Mode::optimized), compile_graph(graph, compile));
  } catch (const cli::Failure& failure) {
    return short_form(failure.error);
  } catch (const std::exception& error) {
    return error.what();
  }
}

// The same on every machine and in every build.
uint32_t hash_of(const std::string& text) {
  uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

constexpr uintmax_t kLargeModel = 4 << 20;

bool is_large(const std::string& model) {
  std::error_code failed;
  return fs::is_regular_file(model, failed) && fs::file_size(model, failed) > kLargeModel;
}

// "" when the case holds, else why not.
std::string run_case(const Case& c, Mode mode) {
  if (c.model.empty() || c.pairs.empty()) return "the case has no model or no expectation";
  try {
    if (!c.lenient) return run_pairs(c, mode);
    try {
      cli::Options options = options_of(c, mode);
      options.verb = cli::Verb::check;  // reads to the letter
      cli::load_model(options);
    } catch (const cli::Failure& failure) {
      return failure.status == cli::kModelRefused ? "" : short_form(failure.error);
    }
    return "a strict reader must refuse it";
  } catch (const cli::Failure& failure) {
    return short_form(failure.error);
  } catch (const Error& error) {
    return short_form(error);
  } catch (const std::exception& error) {
    return error.what();
  }
}

// Lines "suite/id  reason"; '#' begins a comment. Returns those of one suite, by id.
std::map<std::string, std::string> known_failures(const std::string& suite) {
  std::map<std::string, std::string> known;
  std::ifstream in(std::string(NNEFRUN_SOURCE_DIR) + "/tests/conformance/known_failures.txt");
  if (!in) throw std::runtime_error("cannot read known_failures.txt");
  std::string line;
  while (std::getline(in, line)) {
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.find(' ');
    const size_t reason = space == std::string::npos ? space : line.find_first_not_of(' ', space);
    if (reason == std::string::npos) throw std::runtime_error("known_failures.txt: no reason: " + line);
    const std::string name = line.substr(0, space);
    if (name.rfind(suite + "/", 0) == 0) known[name.substr(suite.size() + 1)] = line.substr(reason);
  }
  return known;
}

int disable_each(const std::vector<std::string>& folders, const std::string& only, uint32_t sample) {
  std::map<std::string, int> runs;  // by name
  int cases = 0, failed = 0;
  for (const std::string& folder : folders) {
    const std::string suite = fs::path(folder).filename().string();
    const auto known = known_failures(suite);
    for (const Case& c : test::load_suite(folder)) {
      if (c.id.find(only) == std::string::npos || c.lenient || known.count(c.id) != 0) continue;
      if (sample > 1 && suite != "small_models" && (hash_of(c.id) % sample != 0 || is_large(c.model)))
        continue;
      ++cases;
      const Graph graph = cli::load_typed_graph(cli::open_archive(options_of(c, Mode::optimized)),
                                                options_of(c, Mode::optimized));
      for (const std::string& name : what_changes(graph)) {
        const std::string why = run_without(c, graph, name);
        ++runs[name];
        if (why.empty()) continue;
        ++failed;
        std::printf("FAIL %s/%s without %s: %s\n", suite.c_str(), c.id.c_str(), name.c_str(), why.c_str());
        std::fflush(stdout);
      }
    }
  }
  int total = 0;
  std::string never;
  for (const auto& run : runs) total += run.second;
  for (const Rewrite* rewrite : all_rewrites()) {
    if (runs.count(std::string(rewrite->name)) == 0) never += " " + std::string(rewrite->name);
  }
  if (!never.empty()) std::printf("no case of these suites is changed by:%s\n", never.c_str());
  std::printf("%d cases, %zu rewrites and passes disabled in turn: %d passed, %d failed\n", cases,
              runs.size(), total - failed, failed);
  return failed == 0 && total > 0 ? 0 : 1;
}

int run_suite(const fs::path& folder, const std::string& only, bool verbose) {
  const std::string suite = folder.filename().string();
  auto known = known_failures(suite);
  std::map<int, std::pair<int, int>> counts;  // by mode: passed, failed
  int surprises = 0;
  for (const Case& c : test::load_suite(folder)) {
    if (c.id.find(only) == std::string::npos) continue;
    bool holds = true;
    for (const Mode mode : {Mode::optimized, Mode::naive, Mode::via_text}) {
      const std::string why = run_case(c, mode);
      auto& count = counts[static_cast<int>(mode)];
      ++(why.empty() ? count.first : count.second);
      holds = holds && why.empty();
      if (why.empty() ? verbose : known.count(c.id) == 0 || verbose) {
        std::printf("%s %s/%s [%s] %s\n", why.empty() ? "ok  " : "FAIL", suite.c_str(), c.id.c_str(),
                    kModeNames[static_cast<int>(mode)], why.c_str());
      }
    }
    const auto listed = known.find(c.id);
    if (holds && listed != known.end()) {
      std::printf("FIXED %s/%s holds now: take it off known_failures.txt (%s)\n", suite.c_str(), c.id.c_str(),
                  listed->second.c_str());
      ++surprises;
    } else if (!holds && listed == known.end()) {
      ++surprises;
    }
    if (listed != known.end()) known.erase(listed);
    std::fflush(stdout);
  }
  if (only.empty()) {
    for (const auto& left : known) {
      std::printf("GONE %s/%s is on known_failures.txt but not in the suite\n", suite.c_str(),
                  left.first.c_str());
      ++surprises;
    }
  }
  int passed = 0, failed = 0;
  for (const auto& count : counts) {
    std::printf("%s, %s: %d passed, %d failed\n", suite.c_str(), kModeNames[count.first], count.second.first,
                count.second.second);
    passed += count.second.first;
    failed += count.second.second;
  }
  std::printf("%s: %d passed, %d failed, %d of the cases not as expected\n", suite.c_str(), passed, failed,
              surprises);
  return surprises == 0 && passed > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> folders;
  std::string only;
  bool verbose = false, disabling = false, wrong = false;
  uint32_t sample = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--only" && has_value) {
      only = argv[++i];
    } else if (word == "--sample" && has_value) {
      sample = static_cast<uint32_t>(std::strtoul(argv[++i], nullptr, 10));
    } else if (word == "--verbose") {
      verbose = true;
    } else if (word == "--disable-each") {
      disabling = true;
    } else {
      wrong = wrong || word[0] == '-';
      folders.push_back(word);
    }
  }
  if (wrong || sample == 0 || folders.empty() || (folders.size() > 1 && !disabling)) {
    std::fprintf(stderr,
                 "usage: test_conformance SUITE-FOLDER [--only TEXT] [--verbose]\n"
                 "       test_conformance --disable-each [--sample N] SUITE-FOLDER... [--only TEXT]\n");
    return 2;
  }
  // The sample is for every day; .ci/full asks for all cases.
  if (std::getenv("NNEFRUN_ALL_CASES") != nullptr) sample = 1;
  std::vector<std::string> present;
  for (const std::string& folder : folders) {
    if (fs::exists(folder)) {
      present.push_back(folder);
    } else {
      std::printf("NOT RUN: %s is missing\n", folder.c_str());
    }
  }
  if (present.empty()) return 0;
  try {
    return disabling ? disable_each(present, only, sample) : run_suite(fs::path(present[0]), only, verbose);
  } catch (const cli::Failure& failure) {
    std::fprintf(stderr, "%s\n", failure.error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  return 1;
}
