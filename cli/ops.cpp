// nnefrun ops: the operations, their signatures, who declares and accepts them, the element types that their
// rows take and those with a tuned kernel. All of it comes from the standard library and the registry.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "engine/graph/op_def.h"
#include "engine/import/importer.h"
#include "nnef_parser/printer.h"
#include "nnef_parser/stdlib.h"

namespace nnefrun::cli {
namespace {

constexpr Dialect kDialects[] = {Dialect::khronos, Dialect::tract, Dialect::engine};

struct Operation {
  std::string name;
  std::string signature;  // on one line
  std::string file;       // of the standard library
  std::vector<std::string> dialects;
  std::string made_of;  // "row", "translation" into rows, or "body": other operations
  std::string prose;    // the comment above the declaration
  std::string body;     // of the declaration, "" when it has none
  const OpDef* row = nullptr;

  std::string types() const { return row != nullptr ? row->types.to_string() : ""; }
  std::string tuned() const {
    if (row == nullptr) return "";
    return (row->reads_halves ? row->tuned | TypeSet{DataType::f16} : row->tuned).to_string();
  }
};

// "(input: tensor<scalar>, ...) -> (output: tensor<scalar>)".
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

// The lines of comment right above the declaration, joined.
std::string prose_of(const FragmentDefinition& declaration) {
  std::vector<std::string_view> lines;
  std::string_view text;  // of the whole file: the declaration was parsed without its comment
  for (const StandardFile& file : standard_files(Dialect::engine)) {
    if (file.name == standard_file_of(declaration)) text = file.text;
  }
  for (int line = 1; line < declaration.place.line && !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  size_t first = lines.size();
  while (first > 0 && lines[first - 1].starts_with("# ")) --first;
  std::string prose;
  for (; first < lines.size(); ++first)
    prose += (prose.empty() ? "" : " ") + std::string(lines[first].substr(2));
  return prose;
}

Operation operation_of(const FragmentDefinition& declaration) {
  Operation op;
  op.name = std::string(declaration.name);
  op.signature = signature_text(declaration);
  op.file = std::string(standard_file_of(declaration));
  bool translated = false;
  for (const Dialect dialect : kDialects) {
    if (find_standard(declaration.name, dialect) == nullptr) continue;
    op.dialects.emplace_back(name_of(dialect));
    translated = translated || has_adapter(declaration.name, dialect);
  }
  op.row = find_op(declaration.name);
  op.made_of = op.row != nullptr ? "row" : translated || !declaration.has_body ? "translation" : "body";
  op.prose = prose_of(declaration);
  for (const Assignment& assignment : declaration.body) {
    op.body += print(*assignment.left) + " = " + print(*assignment.right) + ";\n";
  }
  return op;
}

std::vector<Operation> operations(Dialect dialect) {
  std::vector<Operation> list;
  for (const FragmentDefinition* declaration : list_standard(dialect))
    list.push_back(operation_of(*declaration));
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return list;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}
std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

nlohmann::ordered_json json_of(const Operation& op) {
  return {{"name", op.name},
          {"signature", op.signature},
          {"declared_in", op.file},
          {"dialects", op.dialects},
          {"made_of", op.made_of},
          {"types", op.types()},
          {"tuned", !op.tuned().empty()},
          {"tuned_types", op.tuned()},
          {"stateful", op.row != nullptr && op.row->stateful},
          {"elementwise", op.row != nullptr && op.row->elementwise},
          {"prose", op.prose}};
}

std::string page_of(const Operation& op) {
  std::string out = op.name + op.signature + "\n\n";
  if (!op.prose.empty()) out += op.prose + "\n\n";
  out += "declared in: " + op.file + "\ndialects:    " + joined(op.dialects, ", ") + "\n";
  if (op.made_of == "row") {
    out += "types:       " + op.types() + "\ntuned:       " + or_dash(op.tuned()) + "\n";
    if (op.row->stateful) out += "keeps state between runs\n";
  } else {
    out += op.made_of == "body" ? "made of:     its body\n"
                                : "made of:     other operations, when it is imported\n";
  }
  return out + (op.body.empty() ? "" : "\n" + op.body);
}

std::string table_of(const std::vector<Operation>& list) {
  std::vector<std::vector<std::string>> rows = {
      {"operation", "types", "tuned", "made of", "dialects", "declared in", "signature"}};
  int tuned = 0;
  for (const Operation& op : list) {
    tuned += op.tuned().empty() ? 0 : 1;
    rows.push_back({op.name, or_dash(op.types()), or_dash(op.tuned()),
                    op.made_of + (op.row != nullptr && op.row->stateful ? ", state" : ""),
                    joined(op.dialects, " "), op.file, op.signature});
  }
  return table_text(rows, rows[0].size()) + "\n" + std::to_string(list.size()) + " operations, " +
         std::to_string(tuned) +
         " with a tuned kernel. Types are those of the tensors that an operation works on: `float` are f16, "
         "bf16,\n"
         "f32 and f64, `int` the eight integer types, `complex` the three complex ones. Without a tuned "
         "kernel for its "
         "type\nor its sizes an operation runs by evaluation. `nnefrun ops NAME` says more about one.\n";
}

std::string markdown_of(const std::vector<Operation>& list) {
  std::string out;
  for (const StandardFile& file : standard_files(Dialect::automatic)) {
    std::string rows;
    for (const Operation& op : list) {
      if (op.file != file.name) continue;
      std::string notes = op.made_of == "row"    ? (op.row->stateful ? "keeps state" : "")
                          : op.made_of == "body" ? "by its body"
                                                 : "translated";
      rows += "| `" + op.name + "` | " + op.types() + " | " + op.tuned() + " | " + notes + " | `" +
              op.signature + "` |\n";
    }
    if (rows.empty()) continue;
    std::vector<std::string> dialects;
    for (const Dialect dialect : kDialects) {
      for (const StandardFile& seen : standard_files(dialect)) {
        if (seen.name == file.name) dialects.emplace_back(name_of(dialect));
      }
    }
    out += "### `" + std::string(file.name) + "` (" + joined(dialects, ", ") +
           ")\n\n| operation | types | tuned | | signature |\n|---|---|---|---|---|\n" + rows + "\n";
  }
  out.pop_back();  // no empty line at the end
  return out;
}

const Operation& find_operation(const std::vector<Operation>& list, const std::string& name) {
  for (const Operation& op : list) {
    if (op.name == name) return op;
  }
  Error error("usage", "there is no operation `" + name + "`");
  std::vector<std::string> similar;
  for (const Operation& op : list) {
    if (op.name.find(name) != std::string::npos) similar.push_back(op.name);
  }
  if (!similar.empty()) error.note("there are: " + joined(similar, ", "));
  throw Failure{kWrongUsage, std::move(error).note("`nnefrun ops` lists all of them")};
}

}  // namespace

int ops_verb(const Options& options) {
  std::vector<Operation> list = operations(options.dialect);
  if (!options.operation.empty()) {
    const Operation op = find_operation(list, options.operation);
    print_out(options.json ? json_of(op).dump(1) + "\n" : page_of(op));
    return kDone;
  }
  if (options.json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const Operation& op : list) all.push_back(json_of(op));
    print_out(all.dump(1) + "\n");
  } else {
    print_out(options.markdown ? markdown_of(list) : table_of(list));
  }
  return kDone;
}

}  // namespace nnefrun::cli
