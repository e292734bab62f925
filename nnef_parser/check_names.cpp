// The check of tract's and the engine's dialects: names and argument lists (tract OPL sections 2.6 to 2.9).
#include <string>
#include <unordered_set>

#include "nnef_parser/check_context.h"

namespace nnefrun::checking {
namespace {

// Parameters in which an undeclared symbol may stand; the expander has the exact list.
bool takes_symbols(std::string_view parameter) {
  return parameter == "shape" || parameter == "begin" || parameter == "end" || parameter == "after" ||
         parameter == "end_input" || parameter == "past_sequence_shape" ||
         parameter == "input_sequence_shape";
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

class Names {
 public:
  explicit Names(Context& context) : context_(context) {}

  void run() {
    extensions();
    const auto& graph = context_.document.graph;
    if (!graph) return;
    collect_symbols(graph->body);
    for (const auto& fragment : context_.document.fragments) collect_symbols(fragment.body);
    std::unordered_set<std::string_view> known;
    body(graph->body, known);
    for (const GraphName& result : graph->results) {
      if (!known.count(result.name)) {
        context_.report("unassigned-result",
                        "the graph's result " + quoted(result.name) + " is never assigned", result.place);
      }
    }
    while (!reached_.empty()) {  // grows while bodies are read
      const FragmentDefinition* fragment = reached_.back();
      reached_.pop_back();
      check_fragment(*fragment);
    }
  }

 private:
  void extensions() {
    for (const Extension& extension : context_.document.extensions) {
      if (extension.name == "tract_symbol") symbols_.insert(extension.payload);
      if (extension.name == "tract_assert") {  // its symbols exist from there on
        const std::string_view text = extension.payload;
        for (size_t at = 0; at < text.size();) {
          const size_t begin = at;
          while (at < text.size() &&
                 (is_letter(text[at]) || (at > begin && text[at] >= '0' && text[at] <= '9')))
            ++at;
          if (at > begin) symbols_.insert(text.substr(begin, at - begin));
          if (at == begin) ++at;
        }
      }
      if (extension.name == "tract_registry" && !is_registry(extension.payload)) {
        context_.report(
            "unknown-registry",
            "there is no registry " + quoted(extension.payload) +
                "; known are tract_core, tract_transformers, tract_extra, tract_onnx, tract_pulse and "
                "tract_resource",
            extension.place);
      }
    }
  }

  void collect_symbols(const std::vector<Assignment>& assignments) {
    for (const Assignment& assignment : assignments) {
      for_each_invocation(*assignment.right, [&](const Invocation& call) {
        for (const Argument& argument : call.arguments) {
          if (!takes_symbols(argument.name)) continue;
          open_.assign(1, argument.value);
          while (!open_.empty()) {
            const Expression* e = open_.back();
            open_.pop_back();
            const FragmentDefinition* declaration = context_.resolve(call.name);
            if (const auto* identifier = e->as<Identifier>();
                identifier && declaration && creates(call.name)) {
              symbols_.insert(identifier->name);
            }
            for_each_operand(*e, [&](const Expression& operand) { open_.push_back(&operand); });
          }
        }
      });
    }
  }
  static bool creates(std::string_view operation) {
    return operation == "external" || operation == "slice" || operation.substr(0, 6) == "tract_";
  }

  void check_fragment(const FragmentDefinition& fragment) {
    std::unordered_set<std::string_view> known;
    for (const Parameter& parameter : fragment.parameters) known.insert(parameter.name);
    body(fragment.body, known);
    for (const Result& result : fragment.results) {
      if (!known.count(result.name)) {
        context_.report("unassigned-result",
                        "the result " + quoted(result.name) + " of the fragment " + quoted(fragment.name) +
                            " is never assigned",
                        result.place);
      }
    }
  }

  void reach(std::string_view name) {
    const auto found = context_.fragments.find(name);
    if (found == context_.fragments.end() || !found->second->has_body) return;
    if (seen_.insert(name).second) reached_.push_back(found->second);
  }

  void body(const std::vector<Assignment>& assignments, std::unordered_set<std::string_view>& known) {
    for (const Assignment& assignment : assignments) {
      expression(*assignment.right, known);
      open_.assign(1, assignment.left);
      while (!open_.empty()) {
        const Expression* e = open_.back();
        open_.pop_back();
        if (const auto* identifier = e->as<Identifier>()) known.insert(identifier->name);
        for_each_operand(*e, [&](const Expression& operand) { open_.push_back(&operand); });
      }
    }
  }

  // Loop variables are known in their comprehension only; knowing them longer hides no error that the
  // expander misses.
  void expression(const Expression& root, std::unordered_set<std::string_view>& known) {
    open_.assign(1, &root);
    std::unordered_set<std::string_view> loops;
    for (size_t i = 0; i < open_.size(); ++i) {
      const Expression* e = open_[i];
      if (const auto* comprehension = e->as<Comprehension>()) {
        for (const auto& iterator : comprehension->iterators) loops.insert(iterator.name);
      }
      for_each_operand(*e, [&](const Expression& operand) { open_.push_back(&operand); });
    }
    for (const Expression* e : open_) {
      if (const auto* identifier = e->as<Identifier>()) {
        if (!known.count(identifier->name) && !symbols_.count(identifier->name) &&
            !loops.count(identifier->name)) {
          context_.report(
              "unknown-identifier",
              quoted(identifier->name) + " is used before anything is assigned to it, and it is no symbol",
              identifier->place);
        }
      } else if (const auto* invocation = e->as<Invocation>()) {
        call(*invocation);
      } else if (const auto* literal = e->as<Literal>()) {
        if (literal->type() == LiteralType::string) reach(literal->string());  // the body of a scan
      }
    }
  }

  void call(const Invocation& e) {
    reach(e.name);
    const FragmentDefinition* declaration = context_.resolve(e.name);
    if (!declaration) {
      context_.report(
          "unknown-operation",
          quoted(e.name) + " is neither an operation that is known here nor a fragment of the document",
          e.place);
      return;
    }
    const std::string name(declaration->name);
    const size_t count = declaration->parameters.size();
    const bool by_text =
        is_standard(*declaration) && is_positional_elementwise(e.name) && e.arguments.size() <= count;
    given_.assign(count, false);
    size_t position = 0;
    for (const Argument& argument : e.arguments) {
      int index = declaration->parameter_index(argument.name);
      if (argument.name.empty() || by_text) {
        if (position >= count) {
          context_.report("too-many-arguments",
                          name + " takes " + std::to_string(count) +
                              (count == 1 ? " argument, found " : " arguments, found ") +
                              std::to_string(e.arguments.size()),
                          argument.place);
          return;
        }
        index = static_cast<int>(position++);
      }
      if (index >= 0) given_[static_cast<size_t>(index)] = true;  // other names are for the operation itself
    }
    for (size_t i = 0; i < count; ++i) {
      const Parameter& parameter = declaration->parameters[i];
      if (given_[i] || parameter.default_value || lenient_default(*declaration, parameter.name)) continue;
      context_.report("missing-argument", name + ": the argument " + quoted(parameter.name) + " is missing",
                      e.place);
    }
  }

  Context& context_;
  std::unordered_set<std::string_view> symbols_;
  std::unordered_set<std::string_view> seen_;
  std::vector<const FragmentDefinition*> reached_;
  std::vector<const Expression*> open_;  // of the expression at hand: what is still to be looked at
  std::vector<bool> given_;              // of the call at hand: the parameters
};

}  // namespace

void check_names(Context& context) { Names(context).run(); }

}  // namespace nnefrun::checking
