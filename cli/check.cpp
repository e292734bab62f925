// nnefrun check: everything that is wrong with a model, in one pass, and what it needs.
#include <algorithm>
#include <map>
#include <set>

#include "cli/common.h"
#include "cli/model.h"
#include "engine/graph/op_def.h"
#include "engine/import/importer.h"
#include "nnef_parser/check.h"
#include "nnef_parser/parser.h"

namespace nnefrun::cli {
namespace {

// Findings without repetitions: one at most for each place and code, in the order of the text.
class Findings {
 public:
  void add(const Error& error) {
    const auto key =
        std::make_tuple(error.where().to_string(), error.code(), error.where() ? "" : error.message());
    if (seen_.insert(key).second) errors_.push_back(error);
  }
  bool has_line(int line) const {
    return std::any_of(errors_.begin(), errors_.end(),
                       [&](const Error& e) { return e.where().line == line; });
  }
  bool empty() const { return errors_.empty(); }
  std::vector<Error> in_order() {
    std::stable_sort(errors_.begin(), errors_.end(), [](const Error& a, const Error& b) {
      return std::make_pair(a.where().line, a.where().column) <
             std::make_pair(b.where().line, b.where().column);
    });
    return errors_;
  }

 private:
  std::vector<Error> errors_;
  std::set<std::tuple<std::string, std::string, std::string>> seen_;
};

// Labels of variables that are written as literals, each with the first place that names it.
std::map<std::string, Place> labels_of(const Document& document) {
  std::map<std::string, Place> labels;
  const auto visit = [&](const std::vector<Assignment>& body) {
    for (const Assignment& assignment : body) {
      for_each_invocation(*assignment.right, [&](const Invocation& call) {
        if (call.name != "variable") return;
        for (const Argument& argument : call.arguments) {
          const auto* text = argument.value->as<Literal>();
          if (argument.name == "label" && text != nullptr && text->type() == LiteralType::string) {
            labels.emplace(std::string(text->string()), call.place);
          }
        }
      });
    }
  };
  if (document.graph) visit(document.graph->body);
  return labels;
}

void check_tensors(const Document& document, const Archive& archive, Findings& findings) {
  TensorFileOptions files;
  files.legacy = !document.strict;
  for (const auto& label : labels_of(document)) {
    const SourceLocation where = document.locate(label.second);
    try {
      if (!archive.tensor(label.first, files)) {
        findings.add(Error("variable-missing", "variable: there is no tensor `" + label.first + "`", where)
                         .note("the archive should hold a member `" + label.first + ".dat`"));
      }
    } catch (Error& error) {
      findings.add(error.at(where));
    }
  }
}

std::string join(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return out.empty() ? "none" : out;
}

std::string needs_text(const Document& document, const Graph& graph) {
  std::vector<std::string> extensions, operators;
  for (const Extension& extension : document.extensions) {
    extensions.push_back(std::string(extension.name) +
                         (extension.payload.empty() ? "" : " " + std::string(extension.payload)));
  }
  std::map<std::string, int> counts;
  for (const Node& node : graph.nodes()) {
    if (node.op->name != "variable" && node.op->name != "tract_core_external")
      ++counts[std::string(node.op->name)];
  }
  int total = 0;
  for (const auto& count : counts) {
    total += count.second;
    operators.push_back(count.first + (count.second > 1 ? " (" + std::to_string(count.second) + ")" : ""));
  }
  std::string out = "graph:      " + graph.name + "\n";
  out += "dialect:    " + std::string(name_of(document.dialect)) +
         (document.strict ? ", read strictly" : "") + "\n";
  out += "extensions: " + join(extensions) + "\n";
  out += "symbols:    " + join(graph.symbols) + "\n";
  for (const Assertion& assertion : graph.assertions) out += "  assert:   " + assertion.text + "\n";
  for (const Outlet& input : graph.inputs) {
    out += "input:      " + graph.name_of(input) + ": " + graph.fact(input).to_string() + "\n";
  }
  for (const GraphOutput& output : graph.outputs) {
    out += "result:     " + output.name + ": " + graph.fact(output.outlet).to_string() + "\n";
  }
  return out + "operations: " + std::to_string(total) + ": " + join(operators) + "\n";
}

// What typing finds: each operation whose arguments are known is looked at. A line that the text alone shows
// to be wrong is not blamed again, nor is what is unknown for its sake.
std::optional<Graph> check_types(const Document& document, const Archive& archive, const Options& options,
                                 Findings& findings) {
  const Findings of_text = findings;
  const auto add = [&](const Error& error) {
    if (!error.where() || !of_text.has_line(error.where().line)) findings.add(error);
  };
  CompileOptions compile = compile_options(options);
  compile.on_error = add;
  try {
    Graph graph = import_graph(document, archive, compile);
    check_symbols(archive, graph, options);
    return graph;
  } catch (const Error& error) {
    add(error);
  }
  return std::nullopt;
}

// Whether a graph holds codes that are no quantised type: only then is there something to say of its weights.
bool holds_codes(const Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [](const Node& node) {
    const Fact& fact = node.facts[0];
    return fact.constant && !fact.quant && is_integer(fact.dtype) && fact.constant->size() >= 64;
  });
}

int refuse(const std::vector<Error>& findings, bool json) {
  for (const Error& finding : findings) report(finding, json);
  return kModelRefused;
}

}  // namespace

int check_verb(const Options& options) {
  std::optional<Progress> progress(std::in_place, "checking " + options.model);
  const Archive archive = open_archive(options);
  return guarded_value<int>(kModelRefused, [&] {
    ArchiveText text = archive.graph(options.graph);
    ParseOptions parse;
    parse.dialect = options.dialect;
    const Document document =
        parse_document(std::move(text.text), text.member, parse);  // its first error is the only one

    Findings findings;
    for (const Error& error : check(document)) findings.add(error);
    for (const Error& error : unsupported_operations(document)) {
      if (!findings.has_line(error.where().line)) findings.add(error);
    }
    check_tensors(document, archive, findings);
    const std::optional<Graph> graph = check_types(document, archive, options, findings);
    progress.reset();
    if (!findings.empty()) return refuse(findings.in_order(), options.json_errors);
    std::string notes;
    CompileOptions compile = compile_options(options);
    compile.on_note = [&](const std::string& note) { notes += "note:       " + note + "\n"; };
    if (holds_codes(*graph)) rewrite_graph(*graph, Stage::optimized, compile);
    print_out(needs_text(document, *graph) + notes + "ok\n");
    return static_cast<int>(kDone);
  });
}

}  // namespace nnefrun::cli
