// What a command line says: every flag of every verb, parsed and checked as far as the command line alone
// allows. The table of which verb takes which flag is in options.cpp; docs/cli.md explains them to people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/compiler.h"
#include "quant/calibrate.h"

namespace nnefrun::cli {

enum class Verb : uint8_t { run, check, info, print, bench, profile, ops, kernels, quantize };

// What a model and a run may use. The defaults stop what only pretends to be a model and pass every real one.
struct Limits {
  std::optional<uint64_t> memory;  // bytes of arena, scratch and one input; default: 3/4 of the machine's
  uint64_t archive = uint64_t{64} << 30;  // bytes of all members, unpacked
  uint64_t member = uint64_t{32} << 30;   // bytes of one member
  uint64_t text = uint64_t{256} << 20;    // bytes of a graph.nnef
  uint64_t members = 100'000;
  uint64_t nodes = 1'000'000;  // of the graph with its fragments expanded
};

// What `nnefrun quantize` is to do.
struct QuantizeFlags {
  bool int8 = false;
  std::string weights;    // scheme of weights alone; "" with int8
  std::string calibrate;  // a folder of .npz files, or one
  RangeMethod method = RangeMethod::min_max;
  double kept = 0.9999;
  std::vector<std::string> keep;
  std::optional<double> max_error;
};

struct Options {
  Verb verb = Verb::run;
  bool json_errors = false;

  // Every verb with a model.
  std::string model;
  std::string graph;
  Dialect dialect = Dialect::automatic;
  std::vector<std::pair<std::string, int64_t>> symbols;
  Limits limits;

  // How it is compiled.
  bool optimize = true;
  std::optional<Stage> via_text;
  std::vector<std::string> disabled;
  int64_t max_rewrites = -1;
  std::string dump_after;
  std::string isa;
  std::optional<bool> fast;  // --accuracy; not given: what the model says
  bool winograd = true;      // --winograd auto
  int threads = 1;

  // What it is fed with.
  std::vector<std::string> inputs;
  bool cast = false;
  std::vector<std::string> steps;                             // one .npz for each step
  std::vector<std::pair<std::string, std::string>> feedback;  // result, input

  // What becomes of the results.
  std::string output;
  int top = 0;  // 0: not asked for
  std::string labels;
  std::vector<std::string> expect;
  std::optional<double> rtol, atol;  // not given: 1e-4 and 1e-5 for floats, 0 for the rest
  double outliers = 0;
  std::string trace;

  Stage stage = Stage::parsed;        // print
  std::string operation;              // ops: the only one to tell about
  bool markdown = false;              // ops
  bool json = false;                  // info, bench, profile, ops, kernels
  double min_time = 1, warmup = 0.1;  // bench, profile; seconds
  std::string trace_events, html;     // profile: files to write (html: also quantize)
  QuantizeFlags quantize;
};

// `--help` or `--version` was asked for: the text to print instead.
struct HelpText {
  std::string text;
};

// "run, check, info, ..."
std::string verb_names();

// Throws Error[usage].
std::variant<Options, HelpText> parse_command_line(int argc, const char* const* argv);

// "64M", "1.5GiB", "4096": K, M, G and T are powers of 1024. Throws Error[usage] naming the flag.
uint64_t parse_bytes(const std::string& flag, const std::string& text);

}  // namespace nnefrun::cli
