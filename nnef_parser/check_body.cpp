// Types of expressions and assignments, arguments of invocations, and the rules of the graph (NNEF 1.0.5
// sections 4 to 8).
#include <algorithm>
#include <map>
#include <unordered_set>

#include "nnef_parser/check_context.h"

namespace nnefrun::checking {
namespace {

using Kind = Type::Kind;

bool is_tensor(const Type* type) { return type->is(Kind::tensor); }

// Strings that name a mode, and what they may be (sections 11 and 12). Null: any string.
const std::vector<std::string_view>* allowed_modes(std::string_view operation, std::string_view parameter) {
  static const std::vector<std::string_view> kBorders = {"constant", "replicate", "reflect", "reflect-even"};
  static const std::vector<std::string_view> kPoolBorders = {"constant", "replicate", "reflect",
                                                             "reflect-even", "ignore"};
  static const std::vector<std::string_view> kConstant = {"constant"};
  static const std::vector<std::string_view> kMethods = {"symmetric", "asymmetric", "aligned"};
  if (parameter == "border") {
    static const std::unordered_set<std::string_view> kPools = {
        "box", "debox", "argmax_pool", "max_pool_with_index", "max_pool", "avg_pool", "rms_pool"};
    if (operation == "desample") return &kConstant;
    return kPools.count(operation) ? &kPoolBorders : &kBorders;
  }
  return parameter == "method" || parameter == "resize_method" ? &kMethods : nullptr;
}

class Body {
 public:
  Body(Context& context, const FragmentDefinition* fragment)
      : context_(context), types_(context.types), fragment_(fragment) {}

  void run() {
    if (fragment_) {
      // Inside of a generic fragment `?` is a type of its own.
      for (const Parameter& parameter : fragment_->parameters) {
        variables_[parameter.name] = {types_.declared(*parameter.type, PrimitiveType::generic), true, false};
      }
      for (const Assignment& assignment : fragment_->body) assign_from(assignment);
      for (const Result& result : fragment_->results) fragment_result(result);
      return;
    }
    const GraphDefinition& graph = *context_.document.graph;
    std::unordered_set<std::string_view> seen;
    for (const GraphName& parameter : graph.parameters) {
      if (!seen.insert(parameter.name).second) {
        context_.report("duplicate-parameter",
                        "the graph's parameter " + quoted(parameter.name) + " is listed twice",
                        parameter.place);
      }
    }
    std::unordered_set<std::string_view> results;
    for (const GraphName& result : graph.results) {
      if (!results.insert(result.name).second && context_.strict) {
        context_.report("duplicate-result", "the graph's result " + quoted(result.name) + " is listed twice",
                        result.place);
      }
      if (seen.count(result.name) && context_.strict) {
        context_.report("parameter-is-result",
                        quoted(result.name) + " is a parameter and a result of the graph; insert a copy",
                        result.place);
      }
    }
    parameters_ = std::move(seen);
    for (const Assignment& assignment : graph.body) {
      graph_assignment(assignment);
      assign_from(assignment);
    }
    for (const GraphName& parameter : graph.parameters) graph_parameter(parameter);
    for (const GraphName& result : graph.results) {
      if (!variables_.count(result.name)) {
        context_.report("unassigned-result",
                        "the graph's result " + quoted(result.name) + " is never assigned", result.place);
      }
    }
  }

  const Type* constant(const Expression& e) { return type_of(e); }

 private:
  struct Variable {
    const Type* type = nullptr;
    bool parameter = false;
    bool is_variable = false;  // made by the operation `variable`
  };

  const Type* fail(const char* code, std::string message, Place place) {
    context_.report(code, std::move(message), place);
    return types_.unknown();
  }

  // Whether the document means the standard operation by this name.
  bool is_operation(const Invocation& call, std::string_view name) const {
    return call.name == name && context_.resolve(name) && is_standard(*context_.resolve(name));
  }

  // Graph rules
  // -----------------------------------------------------------------------------------------------

  void graph_assignment(const Assignment& assignment) {
    const auto* call = assignment.right->as<Invocation>();
    const auto* name = assignment.left->as<Identifier>();
    for_each_invocation(*assignment.right, [&](const Invocation& inner) {
      if (!is_operation(inner, "external")) return;
      if (&inner == call && name && parameters_.count(name->name)) {
        externals_.insert(name->name);
      } else if (&inner == call && name) {
        fail("external-not-parameter", quoted(name->name) + " is an external but no parameter of the graph",
             assignment.left->place);
      } else {
        fail("external-not-parameter", "the result of external must be assigned to a parameter of the graph",
             inner.place);
      }
    });
  }

  void graph_parameter(const GraphName& parameter) {
    if (externals_.count(parameter.name)) return;
    if (!variables_.count(parameter.name)) {
      fail("unassigned-parameter", "the graph's parameter " + quoted(parameter.name) + " is never assigned",
           parameter.place);
    } else {
      fail("parameter-not-external",
           "the graph's parameter " + quoted(parameter.name) + " must be assigned by `external`",
           parameter.place);
    }
  }

  void variable_rules(const Invocation& call) {
    const Expression* label = nullptr;
    const Expression* shape = nullptr;
    for (const Argument& argument : call.arguments) {
      if (argument.name == "label") label = argument.value;
      if (argument.name == "shape") shape = argument.value;
    }
    const auto* literal = label ? label->as<Literal>() : nullptr;
    if (!literal || literal->type() != LiteralType::string) return;
    const std::string_view text = literal->string();
    if (text.empty()) {
      fail("illegal-label", "the label of a variable cannot be empty", label->place);
      return;
    }
    if (context_.strict &&
        text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./\\") !=
            std::string_view::npos) {
      fail("illegal-label",
           "the label '" + std::string(text) +
               "' holds a character other than letters, digits, _ - . / and \\",
           label->place);
    }
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find_first_of("/\\", at), text.size());
      if (text.substr(at, end - at) == "..") {
        fail("illegal-label", "the label '" + std::string(text) + "' leads out of the model's folder",
             label->place);
        break;
      }
      at = end + 1;
    }
    std::string key(text);
    std::transform(key.begin(), key.end(), key.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const auto [found, inserted] = labels_.emplace(key, &call);
    if (inserted || !shape) return;
    for (const Argument& argument : found->second->arguments) {
      if (argument.name == "shape" && !same(*argument.value, *shape)) {
        fail("label-conflict", "the label '" + std::string(text) + "' names variables of different shapes",
             call.place);
      }
    }
    if (found->second->generic.value_or(PrimitiveType::scalar) !=
        call.generic.value_or(PrimitiveType::scalar)) {
      fail("label-conflict", "the label '" + std::string(text) + "' names variables of different types",
           call.place);
    }
  }

  void update_rules(const Invocation& call) {
    const Expression* target = nullptr;
    for (const Argument& argument : call.arguments) {
      if (argument.name == "variable" || (argument.name.empty() && !target)) target = argument.value;
    }
    if (!target) return;
    const auto* identifier = target->as<Identifier>();
    const auto found = identifier ? variables_.find(identifier->name) : variables_.end();
    if (found == variables_.end() || !found->second.is_variable) {
      fail("update-target", "the first argument of update must be the result of `variable`", target->place);
    } else if (!updated_.insert(identifier->name).second) {
      fail("updated-twice", "the variable " + quoted(identifier->name) + " is updated twice", call.place);
    }
  }

  // Assignments
  // -----------------------------------------------------------------------------------------------

  void assign_from(const Assignment& assignment) {
    const Type* type = type_of(*assignment.right);
    const auto* call = assignment.right->as<Invocation>();
    // An array that no primitive counts before the graph runs cannot hide behind one name (1.0.5).
    if (context_.strict && call && type->is(Kind::array) && assignment.left->as<Identifier>()) {
      const FragmentDefinition* declaration = context_.resolve(call->name);
      if (declaration && !declaration->has_body) {
        fail("assignment-structure",
             std::string(call->name) + " gives an array: list its items on the left side, [a, b] = ...",
             assignment.left->place);
        type = types_.unknown();
      }
    }
    const auto* items = assignment.right->as<ArrayExpression>();
    const auto* names = assignment.left->as<ArrayExpression>();
    if (items && names && items->items.size() != names->items.size()) {
      fail("length-mismatch",
           "the left side has " + std::to_string(names->items.size()) + " names for " +
               std::to_string(items->items.size()) + " values",
           assignment.left->place);
    }
    assign(*assignment.left, type, call && is_operation(*call, "variable"));
  }

  void assign(const Expression& left, const Type* type, bool is_variable) {
    if (const auto* identifier = left.as<Identifier>()) {
      assign_name(*identifier, type, is_variable);
      return;
    }
    const bool array = left.kind == ExpressionKind::array;
    const auto& targets = array ? left.as<ArrayExpression>()->items : left.as<TupleExpression>()->items;
    const bool fits = type->is(Kind::unknown) || (array ? type->is_array() : type->is(Kind::tuple));
    if (!fits) {
      fail("assignment-structure",
           std::string("the left side lists the items of ") + (array ? "an array" : "a tuple") +
               ", the value is " + to_string(*type),
           left.place);
      type = types_.unknown();
    } else if (type->is(Kind::tuple) && type->items.size() != targets.size()) {
      fail("assignment-structure",
           "the left side has " + std::to_string(targets.size()) + " names for " +
               std::to_string(type->items.size()) + " values",
           left.place);
      type = types_.unknown();
    }
    for (size_t i = 0; i < targets.size(); ++i) {
      const Type* item = types_.unknown();
      if (type->is(Kind::array)) item = type->items[0];
      if (type->is(Kind::tuple)) item = type->items[i];
      assign(*targets[i], item, false);
    }
  }

  void assign_name(const Identifier& identifier, const Type* type, bool is_variable) {
    const auto found = variables_.find(identifier.name);
    if (found != variables_.end()) {
      if (found->second.parameter) {
        fail("assigned-parameter", "the parameter " + quoted(identifier.name) + " cannot be assigned",
             identifier.place);
      } else {
        fail("assigned-twice", quoted(identifier.name) + " is assigned twice", identifier.place);
      }
      return;
    }
    if (!fragment_) {
      // A literal is a constant tensor here.
      if (type->is(Kind::primitive) && !type->is_primitive(PrimitiveType::string))
        type = types_.tensor(type->primitive);
      const bool single = is_tensor(type) || type->is(Kind::unknown);
      if (!single && (context_.strict || type->is(Kind::primitive))) {
        type = fail("not-a-tensor",
                    quoted(identifier.name) + " must be a single tensor in the graph, the value is " +
                        to_string(*type),
                    identifier.place);
      }
    }
    variables_[identifier.name] = {type, false, is_variable};
  }

  void fragment_result(const Result& result) {
    const auto found = variables_.find(result.name);
    if (found == variables_.end()) {
      fail("unassigned-result",
           "the result " + quoted(result.name) + " of the fragment " + quoted(fragment_->name) +
               " is never assigned",
           result.place);
      return;
    }
    const Type* declared = types_.declared(*result.type, PrimitiveType::generic);
    if (!found->second.parameter && !types_.converts(*found->second.type, *declared)) {
      fail("result-type",
           "the result " + quoted(result.name) + " is " + to_string(*declared) + ", the assigned value is " +
               to_string(*found->second.type),
           result.place);
    }
  }

  // Expressions
  // -----------------------------------------------------------------------------------------------

  const Type* type_of(const Expression& e) {
    switch (e.kind) {
      case ExpressionKind::identifier: {
        const auto& name = e.as<Identifier>()->name;
        const auto loop = loops_.find(name);
        if (loop != loops_.end()) return loop->second;
        const auto found = variables_.find(name);
        if (found != variables_.end()) return found->second.type;
        return fail("unknown-identifier", quoted(name) + " is used before anything is assigned to it",
                    e.place);
      }
      case ExpressionKind::literal:
        switch (e.as<Literal>()->type()) {
          case LiteralType::integer: return types_.primitive(PrimitiveType::integer);
          case LiteralType::scalar: return types_.primitive(PrimitiveType::scalar);
          case LiteralType::logical: return types_.primitive(PrimitiveType::logical);
          case LiteralType::string: return types_.primitive(PrimitiveType::string);
        }
        return types_.unknown();
      case ExpressionKind::array: return array(*e.as<ArrayExpression>());
      case ExpressionKind::tuple: {
        std::vector<const Type*> items;
        for (const Expression* item : e.as<TupleExpression>()->items) items.push_back(type_of(*item));
        return types_.tuple(std::move(items));
      }
      case ExpressionKind::unary: return unary(*e.as<UnaryExpression>());
      case ExpressionKind::binary: return chain(*e.as<BinaryExpression>());
      case ExpressionKind::conditional: return conditional(*e.as<ConditionalExpression>());
      case ExpressionKind::subscript: return subscript(*e.as<SubscriptExpression>());
      case ExpressionKind::range: return range(*e.as<RangeExpression>());
      case ExpressionKind::comprehension: return comprehension(*e.as<Comprehension>());
      case ExpressionKind::invocation: return invocation(*e.as<Invocation>());
      case ExpressionKind::builtin: return builtin(*e.as<Builtin>());
    }
    return types_.unknown();
  }

  const Type* array(const ArrayExpression& e) {
    if (e.items.empty()) return types_.empty_array();
    const Type* item = nullptr;
    for (const Expression* expression : e.items) {
      const Type* next = type_of(*expression);
      const Type* common = item ? types_.common(item, next) : next;
      if (!common) {
        return fail("type-mismatch",
                    "the items of an array need a common type, found " + to_string(*item) + " and " +
                        to_string(*next),
                    expression->place);
      }
      item = common;
    }
    return types_.array(item);
  }

  const Type* unary(const UnaryExpression& e) {
    const Type* operand = type_of(*e.operand);
    if (operand->is(Kind::unknown)) return operand;
    const bool logical = e.op() == UnaryOperator::logical_not;
    if (is_tensor(operand)) {
      const Type* result = types_.tensor(logical ? PrimitiveType::logical : PrimitiveType::scalar);
      if (e.op() == UnaryOperator::plus || types_.converts(*operand, *result)) return operand;
    } else if (logical ? operand->is_primitive(PrimitiveType::logical)
                       : operand->is_primitive(PrimitiveType::integer) ||
                             operand->is_primitive(PrimitiveType::scalar)) {
      return operand;
    }
    return fail("type-mismatch",
                "the operator `" + std::string(symbol_of(e.op())) + "` takes no " + to_string(*operand),
                e.place);
  }

  // The left spine of a chain is walked, not recursed into.
  const Type* chain(const BinaryExpression& e) {
    std::vector<const BinaryExpression*> spine;
    const Expression* first = &e;
    while (const auto* next = first->as<BinaryExpression>()) {
      spine.push_back(next);
      first = next->left;
    }
    const Type* left = type_of(*first);
    for (size_t i = spine.size(); i-- > 0;) left = binary(*spine[i], left, type_of(*spine[i]->right));
    return left;
  }

  const Type* binary(const BinaryExpression& e, const Type* a, const Type* b) {
    if (a->is(Kind::unknown) || b->is(Kind::unknown)) return types_.unknown();
    const BinaryOperator op = e.op();
    const Type* logical = types_.primitive(PrimitiveType::logical);
    const Type* result = nullptr;
    if (op == BinaryOperator::in) {
      if (b->is(Kind::empty_array)) return logical;
      if (b->is(Kind::array) && !is_tensor(b->items[0]) && types_.common(a, b->items[0])) result = logical;
    } else if (is_tensor(a) || is_tensor(b)) {
      result = tensors(op, a, b);
    } else if (a->is(Kind::primitive) && b->is(Kind::primitive)) {
      result = primitives(op, a, b);
    } else if (op == BinaryOperator::add && a->is_array() && b->is_array()) {
      result = types_.common(a, b);
    }
    if (!result && op == BinaryOperator::mul && b->is_primitive(PrimitiveType::integer) &&
        (a->is_array() || a->is_primitive(PrimitiveType::string))) {
      result = a;
    }
    if (result) return result;
    return fail("type-mismatch",
                "the operator `" + std::string(symbol_of(op)) + "` takes no " + to_string(*a) + " and " +
                    to_string(*b),
                e.place);
  }

  // An operator on tensors is the operation of that name, and typed like it.
  const Type* tensors(BinaryOperator op, const Type* a, const Type* b) {
    const bool logical = op == BinaryOperator::logical_and || op == BinaryOperator::logical_or;
    const bool equality = op == BinaryOperator::eq || op == BinaryOperator::ne;
    const bool compares = op >= BinaryOperator::lt && op <= BinaryOperator::ne;
    const auto operand = types_.tensor(logical ? PrimitiveType::logical : PrimitiveType::scalar);
    const bool fits = types_.converts(*a, *operand) && types_.converts(*b, *operand);
    const bool same_items = !context_.strict && equality && a->primitive && a->primitive == b->primitive;
    if (!fits && !same_items) return nullptr;
    return compares || logical ? types_.tensor(PrimitiveType::logical) : operand;
  }

  const Type* primitives(BinaryOperator op, const Type* a, const Type* b) {
    const Type* logical = types_.primitive(PrimitiveType::logical);
    const Type* common = types_.common(a, b);
    if (!common) return nullptr;
    const PrimitiveType type = *common->primitive;
    const bool number = type == PrimitiveType::integer || type == PrimitiveType::scalar;
    switch (op) {
      case BinaryOperator::eq:
      case BinaryOperator::ne: return logical;
      case BinaryOperator::logical_and:
      case BinaryOperator::logical_or: return type == PrimitiveType::logical ? logical : nullptr;
      case BinaryOperator::lt:
      case BinaryOperator::le:
      case BinaryOperator::gt:
      case BinaryOperator::ge: return number ? logical : nullptr;
      case BinaryOperator::add: return number || type == PrimitiveType::string ? common : nullptr;
      default: return number ? common : nullptr;
    }
  }

  void condition(const Expression& e) {
    const Type* type = type_of(e);
    if (type->is(Kind::unknown) || type->is_primitive(PrimitiveType::logical)) return;
    fail("type-mismatch",
         is_tensor(type) ? "a condition must be known before the graph runs, this one is " + to_string(*type)
                         : "a condition must be logical, this one is " + to_string(*type),
         e.place);
  }

  const Type* conditional(const ConditionalExpression& e) {
    condition(*e.condition);
    const Type* a = type_of(*e.then_value);
    const Type* b = type_of(*e.else_value);
    if (const Type* common = types_.common(a, b)) return common;
    return fail(
        "type-mismatch",
        "the branches of if/else need a common type, found " + to_string(*a) + " and " + to_string(*b),
        e.place);
  }

  void index(const Expression& e) {
    const Type* type = type_of(e);
    if (type->is(Kind::unknown) || type->is_primitive(PrimitiveType::integer)) return;
    fail("type-mismatch", "a subscript must be an integer, this one is " + to_string(*type), e.place);
  }

  const Type* subscript(const SubscriptExpression& e) {
    const Type* target = type_of(*e.target);
    index(*e.index);
    if (target->is(Kind::unknown)) return target;
    if (target->is(Kind::array)) return target->items[0];
    if (target->is(Kind::empty_array))
      return fail("index-out-of-range", "an empty array has no items", e.place);
    if (target->is_primitive(PrimitiveType::string)) return target;
    if (!target->is(Kind::tuple)) {
      return fail("type-mismatch",
                  "only arrays, tuples and strings have subscripts, not " + to_string(*target), e.place);
    }
    const auto* literal = e.index->as<Literal>();
    if (!literal || literal->type() != LiteralType::integer) {
      return fail("type-mismatch", "the subscript of a tuple must be an integer literal", e.index->place);
    }
    const auto size = static_cast<int64_t>(target->items.size());
    const int64_t at = literal->integer < 0 && !context_.strict ? literal->integer + size : literal->integer;
    if (at < 0 || at >= size) {
      return fail("index-out-of-range",
                  "the subscript " + std::to_string(literal->integer) + " is out of range: there are " +
                      std::to_string(size) + " items",
                  e.index->place);
    }
    return target->items[static_cast<size_t>(at)];
  }

  const Type* range(const RangeExpression& e) {
    const Type* target = type_of(*e.target);
    if (e.begin) index(*e.begin);
    if (e.end) index(*e.end);
    if (target->is(Kind::unknown) || target->is_array() || target->is_primitive(PrimitiveType::string))
      return target;
    return fail("type-mismatch", "only arrays and strings have ranges, not " + to_string(*target), e.place);
  }

  const Type* comprehension(const Comprehension& e) {
    std::vector<const Type*> items;  // the arrays are read in the outer scope
    for (const auto& iterator : e.iterators) {
      const Type* type = type_of(*iterator.array);
      if (type->is(Kind::array)) {
        items.push_back(type->items[0]);
      } else {
        items.push_back(types_.unknown());
        if (!type->is(Kind::unknown) && !type->is(Kind::empty_array)) {
          fail("type-mismatch", "a comprehension walks over arrays, not over " + to_string(*type),
               iterator.array->place);
        }
      }
    }
    const auto outer = loops_;
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string_view name = e.iterators[i].name;
      const bool again =
          std::any_of(e.iterators.begin(), e.iterators.begin() + static_cast<std::ptrdiff_t>(i),
                      [&](const ComprehensionIterator& other) { return other.name == name; });
      if (context_.strict && (variables_.count(name) || outer.count(name) || again)) {
        fail("shadowed-name", "the loop variable " + quoted(name) + " hides another name",
             e.iterators[i].place);
      }
      loops_[name] = items[i];
    }
    if (e.filter) condition(*e.filter);
    const Type* item = type_of(*e.yield);
    loops_ = outer;
    return types_.array(item);
  }

  const Type* builtin(const Builtin& e) {
    const Type* operand = type_of(*e.operand);
    const std::string name(name_of(e.function()));
    switch (e.function()) {
      case BuiltinFunction::shape_of:
        if (context_.strict)
          return fail("shape-of-removed", "shape_of is no part of NNEF since 1.0.1", e.place);
        return types_.array(types_.primitive(PrimitiveType::integer));
      case BuiltinFunction::length_of:
      case BuiltinFunction::range_of: {
        if (!operand->is(Kind::unknown) && !operand->is_array() &&
            !operand->is_primitive(PrimitiveType::string)) {
          return fail("type-mismatch", name + " takes an array or a string, not " + to_string(*operand),
                      e.place);
        }
        const Type* integer = types_.primitive(PrimitiveType::integer);
        return e.function() == BuiltinFunction::length_of ? integer : types_.array(integer);
      }
      default: break;
    }
    if (!operand->is(Kind::unknown) && !operand->is(Kind::primitive)) {
      return fail("type-mismatch",
                  is_tensor(operand) ? name + "(...) takes attributes; the operation `cast` casts tensors"
                                     : name + "(...) takes a primitive value, not " + to_string(*operand),
                  e.place);
    }
    switch (e.function()) {
      case BuiltinFunction::integer: return types_.primitive(PrimitiveType::integer);
      case BuiltinFunction::scalar: return types_.primitive(PrimitiveType::scalar);
      case BuiltinFunction::logical: return types_.primitive(PrimitiveType::logical);
      default: return types_.primitive(PrimitiveType::string);
    }
  }

  // Invocations
  // -----------------------------------------------------------------------------------------------

  struct Given {
    const Argument* argument = nullptr;
    const Type* type = nullptr;
  };

  const Type* invocation(const Invocation& e) {
    const std::string name(e.name);
    std::vector<const Type*> types;
    for (const Argument& argument : e.arguments) {
      types.push_back(type_of(*argument.value));
      const auto* inner = argument.value->as<Invocation>();
      if (context_.strict && inner && (types.back()->is_array() || types.back()->is(Kind::tuple))) {
        fail("chained-call",
             name + ": the call of " + quoted(inner->name) +
                 " does not give a single tensor; assign its results first",
             inner->place);
        types.back() = types_.unknown();
      }
    }
    const FragmentDefinition* declaration = context_.resolve(e.name);
    if (!declaration) {
      return fail("unknown-operation",
                  quoted(name) + " is neither a standard operation nor a fragment of the document", e.place);
    }
    const bool standard = is_standard(*declaration);
    if (standard && fragment_ &&
        (name == "external" || (context_.strict && (name == "variable" || name == "update")))) {
      fail("not-in-fragment", name + " is only allowed in the graph, not in a fragment", e.place);
    }
    if (standard && name == "variable") variable_rules(e);
    if (standard && name == "update" && !fragment_) update_rules(e);

    const std::vector<Given> given = match(e, *declaration, types);
    const std::optional<PrimitiveType> generic = bind_generic(e, *declaration, given);
    for (size_t i = 0; i < given.size(); ++i) {
      if (given[i].argument) check_argument(*declaration, i, given[i], generic, standard);
    }
    if (declaration->results.size() == 1) return result_type(*declaration->results[0].type, generic);
    std::vector<const Type*> results;
    for (const Result& result : declaration->results) results.push_back(result_type(*result.type, generic));
    return types_.tuple(std::move(results));
  }

  // Declarations of tensor<> results exist outside of Khronos' dialect only, but lenient documents may have
  // them.
  const Type* result_type(const TypeSpec& spec, std::optional<PrimitiveType> generic) {
    const Type* type = types_.declared(spec, generic);
    return is_tensor(type) && !type->primitive ? types_.unknown() : type;
  }

  // Which argument each parameter gets; everything that is wrong with the list itself is reported here.
  std::vector<Given> match(const Invocation& e, const FragmentDefinition& declaration,
                           const std::vector<const Type*>& types) {
    const std::string name(e.name);
    const size_t count = declaration.parameters.size();
    std::vector<Given> given(count);
    size_t position = 0;
    bool named = false, complete = true;
    for (size_t i = 0; i < e.arguments.size(); ++i) {
      const Argument& argument = e.arguments[i];
      int index = -1;
      if (argument.name.empty()) {
        if (named) {
          fail("positional-after-named", name + ": a positional argument follows a named one",
               argument.place);
          complete = false;
          continue;
        }
        if (position >= count) {
          fail("too-many-arguments",
               name + " takes " + std::to_string(count) +
                   (count == 1 ? " argument, found " : " arguments, found ") +
                   std::to_string(e.arguments.size()),
               argument.place);
          break;
        }
        index = static_cast<int>(position++);
        const Parameter& parameter = declaration.parameters[static_cast<size_t>(index)];
        if (context_.strict && !contains_tensor(*parameter.type)) {
          fail("positional-attribute",
               name + ": the attribute " + quoted(parameter.name) + " must be given by name", argument.place);
        }
      } else {
        named = true;
        index = declaration.parameter_index(argument.name);
        if (index < 0) {
          fail("unknown-argument", name + " has no parameter " + quoted(argument.name), argument.place);
          continue;
        }
      }
      Given& slot = given[static_cast<size_t>(index)];
      if (slot.argument) {
        fail("duplicate-argument",
             name + ": the argument " + quoted(declaration.parameters[static_cast<size_t>(index)].name) +
                 " is given twice",
             argument.place);
        continue;
      }
      slot = {&argument, types[i]};
    }
    for (size_t i = 0; complete && i < count; ++i) {
      const Parameter& parameter = declaration.parameters[i];
      if (given[i].argument || parameter.default_value) continue;
      if (!context_.strict && lenient_default(declaration, parameter.name)) continue;
      fail("missing-argument", name + ": the argument " + quoted(parameter.name) + " is missing", e.place);
    }
    return given;
  }

  // Section 5: written, then the declared default, then deduced from the arguments. Nothing: reported, or
  // unknown.
  std::optional<PrimitiveType> bind_generic(const Invocation& e, const FragmentDefinition& declaration,
                                            const std::vector<Given>& given) {
    const std::string name(e.name);
    if (e.generic) {
      if (!declaration.generic) {
        if (context_.strict) fail("generic-unexpected", name + " takes no type argument", e.place);
        return {};
      }
      if (e.generic == PrimitiveType::generic && !(fragment_ && fragment_->generic)) {
        fail("generic-unexpected", "<?> can only be written inside of a fragment that declares it", e.place);
        return {};
      }
      return e.generic;
    }
    if (!declaration.generic) return {};
    if (declaration.generic_default) return declaration.generic_default;
    std::set<PrimitiveType> candidates;
    bool unknown = false;
    for (size_t i = 0; i < given.size(); ++i) {
      if (!given[i].argument) continue;
      const TypeSpec& spec = *declaration.parameters[i].type;
      if (contains_generic(spec) && given[i].type->is(Kind::unknown)) unknown = true;
      Types::deduce(spec, *given[i].type, candidates);
    }
    if (!context_.strict && candidates.count(PrimitiveType::scalar)) candidates.erase(PrimitiveType::integer);
    if (candidates.size() == 1) return *candidates.begin();
    if (unknown) return {};
    if (candidates.empty()) {
      fail("generic-undetermined",
           name + ": the type cannot be told from the arguments; write " + name + "<scalar>(...)", e.place);
    } else {
      std::string list;
      for (const PrimitiveType type : candidates)
        list += (list.empty() ? "" : " and ") + std::string(name_of(type));
      fail("generic-undetermined", name + ": the arguments ask for different types: " + list, e.place);
    }
    return {};
  }

  void check_argument(const FragmentDefinition& declaration, size_t index, const Given& given,
                      std::optional<PrimitiveType> generic, bool standard) {
    const Parameter& parameter = declaration.parameters[index];
    const std::string name(declaration.name);
    const Type* wanted = types_.declared(*parameter.type, generic);
    if (!types_.converts(*given.type, *wanted)) {
      const bool equality = standard && !context_.strict && (name == "eq" || name == "ne") &&
                            given.type->primitive && !given.type->is_array();
      if (equality) return;
      fail("type-mismatch",
           name + ": the argument " + quoted(parameter.name) + " must be " + to_string(*wanted) + ", found " +
               to_string(*given.type),
           given.argument->value->place);
      return;
    }
    if (!standard || !context_.strict) return;
    const auto* literal = given.argument->value->as<Literal>();
    const auto* modes = allowed_modes(name, parameter.name);
    if (modes && literal && literal->type() == LiteralType::string &&
        std::find(modes->begin(), modes->end(), literal->string()) == modes->end()) {
      std::string list;
      for (const auto mode : *modes) list += (list.empty() ? "" : ", ") + std::string(mode);
      fail("unknown-mode",
           name + ": " + quoted(parameter.name) + " cannot be '" + std::string(literal->string()) +
               "'; it is one of " + list,
           literal->place);
    }
  }

  Context& context_;
  Types& types_;
  const FragmentDefinition* fragment_;
  std::unordered_map<std::string_view, Variable> variables_;
  std::map<std::string_view, const Type*> loops_;
  std::unordered_set<std::string_view> parameters_, externals_, updated_;  // of the graph
  std::map<std::string, const Invocation*> labels_;
};

}  // namespace

void check_body(Context& context, const FragmentDefinition* fragment) { Body(context, fragment).run(); }

const Type* type_of_constant(Context& context, const Expression& constant) {
  return Body(context, nullptr).constant(constant);
}

}  // namespace nnefrun::checking
