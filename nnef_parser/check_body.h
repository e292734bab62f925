// The types of one body; not for use outside of check_body.cpp and check_expressions.cpp.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "nnef_parser/check_context.h"

namespace nnefrun::checking {

using Kind = Type::Kind;

inline bool is_tensor(const Type* type) { return type->is(Kind::tensor); }

// Walks a body and gives each name and expression its type. The rules of the graph, assignments and
// invocations are in check_body.cpp, expressions in check_expressions.cpp.
class Body {
 public:
  Body(Context& context, const FragmentDefinition* fragment)
      : context_(context), types_(context.types), fragment_(fragment) {}

  void run();

  const Type* constant(const Expression& e) { return type_of(e); }

 private:
  struct Variable {
    const Type* type = nullptr;
    bool parameter = false;
    bool is_variable = false;  // made by the operation `variable`
  };
  const Type* fail(const char* code, std::string message, Place place);

  // Whether the document means the standard operation by this name.
  bool is_operation(const Invocation& call, std::string_view name) const;

  // Graph rules
  // -----------------------------------------------------------------------------------------------

  void graph_assignment(const Assignment& assignment);
  void graph_parameter(const GraphName& parameter);
  void variable_rules(const Invocation& call);
  void update_rules(const Invocation& call);

  // Assignments
  // -----------------------------------------------------------------------------------------------

  void assign_from(const Assignment& assignment);
  void assign(const Expression& left, const Type* type, bool is_variable);
  void assign_name(const Identifier& identifier, const Type* type, bool is_variable);
  void fragment_result(const Result& result);

  // Expressions
  // -----------------------------------------------------------------------------------------------

  const Type* type_of(const Expression& e);
  const Type* array(const ArrayExpression& e);
  const Type* unary(const UnaryExpression& e);

  // The left spine of a chain is walked, not recursed into.
  const Type* chain(const BinaryExpression& e);
  const Type* binary(const BinaryExpression& e, const Type* a, const Type* b);

  // An operator on tensors is the operation of that name, and typed like it.
  const Type* tensors(BinaryOperator op, const Type* a, const Type* b);
  const Type* primitives(BinaryOperator op, const Type* a, const Type* b);
  void condition(const Expression& e);
  const Type* conditional(const ConditionalExpression& e);
  void index(const Expression& e);
  const Type* subscript(const SubscriptExpression& e);
  const Type* range(const RangeExpression& e);
  const Type* comprehension(const Comprehension& e);
  const Type* builtin(const Builtin& e);

  // Invocations
  // -----------------------------------------------------------------------------------------------

  struct Given {
    const Argument* argument = nullptr;
    const Type* type = nullptr;
  };
  const Type* invocation(const Invocation& e);

  // Declarations of tensor<> results exist outside of Khronos' dialect only, but lenient documents may have
  // them.
  const Type* result_type(const TypeSpec& spec, std::optional<PrimitiveType> generic);

  // Which argument each parameter gets; everything that is wrong with the list itself is reported here.
  std::vector<Given> match(const Invocation& e, const FragmentDefinition& declaration,
                           const std::vector<const Type*>& types);

  // Section 5: written, then the declared default, then deduced from the arguments. Nothing: reported, or
  // unknown.
  std::optional<PrimitiveType> bind_generic(const Invocation& e, const FragmentDefinition& declaration,
                                            const std::vector<Given>& given);
  void check_argument(const FragmentDefinition& declaration, size_t index, const Given& given,
                      std::optional<PrimitiveType> generic, bool standard);

  Context& context_;
  Types& types_;
  const FragmentDefinition* fragment_;
  std::unordered_map<std::string_view, Variable> variables_;
  std::map<std::string_view, const Type*> loops_;
  std::unordered_set<std::string_view> parameters_, externals_, updated_;  // of the graph
  std::map<std::string, const Invocation*> labels_;
};

}  // namespace nnefrun::checking
