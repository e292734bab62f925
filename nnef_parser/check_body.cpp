// Types of assignments, arguments of invocations, and the rules of the graph (NNEF 1.0.5 sections 4 to 8).
#include "nnef_parser/check_body.h"

#include <algorithm>

namespace nnefrun::checking {
namespace {

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

}  // namespace

void Body::run() {
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
      context_.report("unassigned-result", "the graph's result " + quoted(result.name) + " is never assigned",
                      result.place);
    }
  }
}

const Type* Body::fail(const char* code, std::string message, Place place) {
  context_.report(code, std::move(message), place);
  return types_.unknown();
}

bool Body::is_operation(const Invocation& call, std::string_view name) const {
  return call.name == name && context_.resolve(name) && is_standard(*context_.resolve(name));
}

void Body::graph_assignment(const Assignment& assignment) {
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

void Body::graph_parameter(const GraphName& parameter) {
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

void Body::variable_rules(const Invocation& call) {
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
         "the label '" + std::string(text) + "' holds a character other than letters, digits, _ - . / and \\",
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

void Body::update_rules(const Invocation& call) {
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

void Body::assign_from(const Assignment& assignment) {
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

void Body::assign(const Expression& left, const Type* type, bool is_variable) {
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

void Body::assign_name(const Identifier& identifier, const Type* type, bool is_variable) {
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
      type = fail(
          "not-a-tensor",
          quoted(identifier.name) + " must be a single tensor in the graph, the value is " + to_string(*type),
          identifier.place);
    }
  }
  variables_[identifier.name] = {type, false, is_variable};
}

void Body::fragment_result(const Result& result) {
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

const Type* Body::invocation(const Invocation& e) {
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

const Type* Body::result_type(const TypeSpec& spec, std::optional<PrimitiveType> generic) {
  const Type* type = types_.declared(spec, generic);
  return is_tensor(type) && !type->primitive ? types_.unknown() : type;
}

std::vector<Body::Given> Body::match(const Invocation& e, const FragmentDefinition& declaration,
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
        fail("positional-after-named", name + ": a positional argument follows a named one", argument.place);
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

std::optional<PrimitiveType> Body::bind_generic(const Invocation& e, const FragmentDefinition& declaration,
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

void Body::check_argument(const FragmentDefinition& declaration, size_t index, const Given& given,
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

void check_body(Context& context, const FragmentDefinition* fragment) { Body(context, fragment).run(); }

const Type* type_of_constant(Context& context, const Expression& constant) {
  return Body(context, nullptr).constant(constant);
}

}  // namespace nnefrun::checking
