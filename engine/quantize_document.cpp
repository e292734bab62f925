// Q4_0 weights in the text that the model came with: variables, look-ups and products keep their names.
#include <map>

#include "engine/quantize.h"
#include "nnef_parser/archive.h"
#include "quant/tensors.h"

namespace nnefrun {
namespace {

// The argument of a parameter that stands at `position` in the operation's declaration; null: left out.
const Expression* argument_of(const Invocation& call, std::string_view parameter, size_t position) {
  for (const Argument& argument : call.arguments) {
    if (argument.name == parameter) return argument.value;
  }
  if (position >= call.arguments.size() || !call.arguments[position].name.empty()) return nullptr;
  return call.arguments[position].value;
}
std::string_view name_in(const Expression* e) {
  const auto* identifier = e ? e->as<Identifier>() : nullptr;
  return identifier ? identifier->name : std::string_view();
}
bool is_integer(const Expression* e, int64_t value) {
  const auto* literal = e ? e->as<Literal>() : nullptr;
  return literal && literal->type() == LiteralType::integer && literal->integer == value;
}
bool is_true(const Expression* e) {
  const auto* literal = e ? e->as<Literal>() : nullptr;
  return literal && literal->type() == LiteralType::logical && literal->logical;
}

// A matrix of the model that may be stored in blocks.
struct Matrix {
  size_t assignment = 0;  // in the graph's body
  std::string label;
  bool fits = true;                // all who read it take blocks
  std::vector<size_t> look_ups;    // assignments
  std::vector<std::string> nodes;  // names of results
};

class Walk {
 public:
  explicit Walk(const Document& document) : document_(document), graph_(*document.graph) {
    for (size_t i = 0; i < graph_.body.size(); ++i) read(i);
    for (const GraphName& result : graph_.results) spoil(result.name);
  }
  std::vector<Matrix> matrices;

 private:
  void read(size_t index) {
    const Assignment& assignment = graph_.body[index];
    const std::string_view left = name_in(assignment.left);
    const auto* call = assignment.right->as<Invocation>();
    const Expression* taken = nullptr;  // the operand that the cases below account for
    if (call && !left.empty() && call->name == "variable") {
      const Expression* label = argument_of(*call, "label", 1);
      const auto* literal = label ? label->as<Literal>() : nullptr;
      if (literal && literal->type() == LiteralType::string) {
        names_[left] = matrices.size();
        matrices.push_back({index, std::string(literal->string()), true, {}, {}});
      }
      return;
    }
    // A fragment of the document may have the name of an operation.
    if (call && !left.empty() && !document_.find_fragment(call->name)) {
      const std::string_view op = call->name;
      const bool product = op == "linear" || (op == "matmul" && is_true(argument_of(*call, "transposeB", 3)));
      const bool look_up = op == "tract_core_gather" && is_integer(argument_of(*call, "axis", 2), 0);
      const Expression* table = product                        ? argument_of(*call, "filter", 1)
                                : look_up || op == "unsqueeze" ? argument_of(*call, "input", 0)
                                                               : nullptr;
      if (op == "matmul" && product) table = argument_of(*call, "B", 1);
      if (const auto known = names_.find(name_in(table)); table && known != names_.end()) {
        Matrix& matrix = matrices[known->second];
        taken = table;
        if (op == "unsqueeze") {
          names_[left] = known->second;
          matrix.fits = matrix.fits && leads(argument_of(*call, "axes", 1));
        } else {
          matrix.nodes.emplace_back(left);
          if (look_up) matrix.look_ups.push_back(index);
          // In front of an axis that was put there, rows are other things.
          matrix.fits =
              matrix.fits && (product || name_in(graph_.body[matrix.assignment].left) == name_in(table));
        }
      }
    }
    spoil_all(*assignment.right, taken);
  }

  // Axes 0, 1, ...: the matrix stays the last two.
  static bool leads(const Expression* axes) {
    const auto* array = axes ? axes->as<ArrayExpression>() : nullptr;
    if (!array) return false;
    for (size_t i = 0; i < array->items.size(); ++i) {
      if (!is_integer(array->items[i], static_cast<int64_t>(i))) return false;
    }
    return true;
  }

  void spoil(std::string_view name) {
    const auto known = names_.find(name);
    if (known != names_.end()) matrices[known->second].fits = false;
  }
  void spoil_all(const Expression& expression, const Expression* but) {
    std::vector<const Expression*> open{&expression};
    while (!open.empty()) {
      const Expression* e = open.back();
      open.pop_back();
      if (e == but) continue;
      spoil(name_in(e));
      for_each_operand(*e, [&](const Expression& operand) { open.push_back(&operand); });
    }
  }

  const Document& document_;
  const GraphDefinition& graph_;
  std::map<std::string_view, size_t> names_;  // of the variables, and of what only adds axes to them
};

}  // namespace

StoredWeights store_q40_weights(Document& document, const Archive& archive,
                                const std::set<std::string>& keep) {
  StoredWeights stored;
  if (document.dialect != Dialect::tract || !document.graph || archive.graphs().size() != 1) return stored;
  GraphDefinition& graph = *document.graph;
  const Walk walk(document);
  std::map<std::string, int> labels;
  for (const Matrix& matrix : walk.matrices) ++labels[matrix.label];
  for (const Matrix& matrix : walk.matrices) {
    bool fits = matrix.fits && !matrix.nodes.empty() && labels[matrix.label] == 1;
    for (const std::string& node : matrix.nodes) fits = fits && keep.count(node) == 0;
    if (!fits || !archive.bytes(matrix.label + ".dat")) continue;
    const auto file = archive.tensor(matrix.label);
    if (!file || file->tensor.dtype() != DataType::f32 || file->tensor.rank() != 2 ||
        file->tensor.size() == 0 || file->tensor.dim(1) % 32 != 0)
      continue;
    stored.tensors.emplace(matrix.label, quantize_blocks(file->tensor, DataType::q4_0));
    stored.nodes.insert(stored.nodes.end(), matrix.nodes.begin(), matrix.nodes.end());
    // The type is in the tensor's file; a look-up says which one its rows get.
    Assignment& variable = graph.body[matrix.assignment];
    const auto& declared = *variable.right->as<Invocation>();
    variable.right = document.call(declared.name, declared.arguments, std::nullopt, declared.place);
    for (const size_t index : matrix.look_ups) {
      const auto& call = *graph.body[index].right->as<Invocation>();
      std::vector<Argument> arguments(call.arguments.begin(), call.arguments.end());
      if (!argument_of(call, "datum_type", 3))
        arguments.push_back({document.intern("datum_type"), document.string("f32"), call.place});
      graph.body[index].right = document.call(call.name, arguments, call.generic, call.place);
    }
  }
  return stored;
}

}  // namespace nnefrun
