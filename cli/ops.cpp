// nnefrun ops: the operations, their signatures, where they are declared and which have a tuned kernel.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "engine/graph/op_def.h"
#include "nnef_parser/printer.h"
#include "nnef_parser/stdlib.h"

namespace nnefrun::cli {
namespace {

// The head of the declaration on one line: "(input: tensor<scalar>, ...) -> (output: tensor<scalar>)".
std::string signature_text(const FragmentDefinition& declaration) {
  std::string out = declaration.generic ? "<?>(" : "(";
  for (size_t i = 0; i < declaration.parameters.size(); ++i) {
    const Parameter& parameter = declaration.parameters[i];
    out += (i ? ", " : "") + std::string(parameter.name) + ": " + to_string(*parameter.type);
    if (parameter.default_value != nullptr) out += " = " + print(*parameter.default_value);
  }
  out += ") -> (";
  for (size_t i = 0; i < declaration.results.size(); ++i) {
    out += (i ? ", " : "") + std::string(declaration.results[i].name) + ": " +
           to_string(*declaration.results[i].type);
  }
  return out + ")";
}

}  // namespace

int ops_verb(const Options& options) {
  std::vector<const OpDef*> ops = all_ops();
  std::sort(ops.begin(), ops.end(), [](const OpDef* a, const OpDef* b) { return a->name < b->name; });
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  std::string text;
  int listed = 0, tuned_count = 0;
  for (const OpDef* op : ops) {
    const bool all = options.dialect == Dialect::automatic;
    const FragmentDefinition* declaration = find_standard(op->name, all ? Dialect::engine : options.dialect);
    if (declaration == nullptr && !all) continue;
    ++listed;
    const std::string signature = declaration != nullptr ? signature_text(*declaration) : "";
    const std::string file = declaration != nullptr ? std::string(standard_file_of(*declaration)) : "";
    const bool tuned = op->lower != nullptr;
    tuned_count += tuned ? 1 : 0;
    list.push_back({{"name", op->name},
                    {"signature", signature},
                    {"declared_in", file},
                    {"tuned", tuned},
                    {"stateful", op->stateful},
                    {"elementwise", op->elementwise}});
    text += std::string(tuned ? "* " : "  ") + std::string(op->name) + signature + "  [" + file +
            (op->stateful ? ", keeps state" : "") + "]\n";
  }
  print_out(options.json
                ? list.dump(1) + "\n"
                : text + std::to_string(listed) + " operations, " + std::to_string(tuned_count) +
                      " with a tuned kernel (*); the others, and those whose sizes no kernel takes, run by "
                      "evaluation\n");
  return kDone;
}

}  // namespace nnefrun::cli
