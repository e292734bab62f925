// The table of verbs, and which verb takes which flag. Private to options.cpp and flags.cpp: everything else
// sees Options.
#pragma once

#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <vector>

#include "cli/options.h"

namespace nnefrun::cli {

struct VerbRow {
  Verb verb;
  const char* name;
  const char* meaning;
  const char* examples;
};
std::span<const VerbRow> verb_rows();
const VerbRow* find_verb(std::string_view name);

inline bool has_model(Verb verb) { return verb != Verb::ops && verb != Verb::kernels; }
inline bool has_inputs(Verb verb) {
  return verb == Verb::run || verb == Verb::bench || verb == Verb::profile;
}

// What CLI11 fills in as text, before it is interpreted.
struct RawFlags {
  std::string ranges = "minmax", percentile = "99.99";
  std::string dialect = "auto", accuracy, winograd = "auto", via_text, stage = "parsed";
  std::vector<std::string> symbols, feedback;
  std::string limit_memory, limit_archive, limit_member, limit_text, limit_members, limit_nodes;
  bool no_optimize = false;
};

void add_flags(CLI::App& app, Verb verb, Options& options, RawFlags& raw);

}  // namespace nnefrun::cli
