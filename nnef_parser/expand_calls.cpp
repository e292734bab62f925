#include "nnef_parser/evaluate.h"
#include "nnef_parser/expand_impl.h"
#include "nnef_parser/stdlib.h"

namespace nnefrun {
namespace {

// Parameters in which tract makes up symbols that nobody declared (tract OPL section 2.9).
bool may_create_symbols(std::string_view operation, std::string_view parameter) {
  if (operation == "external" || operation == "tract_core_external" || operation == "tract_core_broadcast") {
    return parameter == "shape";
  }
  if (operation == "slice") return parameter == "begin" || parameter == "end";
  if (operation == "tract_transformers_dyn_kv_cache" ||
      operation == "tract_transformers_quantized_dyn_kv_cache") {
    return parameter == "past_sequence_shape" || parameter == "input_sequence_shape";
  }
  if (operation == "tract_pulse_pulse_pad") return parameter == "after" || parameter == "end_input";
  if (operation == "tract_pulse_mask") return parameter == "end";
  return false;
}

}  // namespace

Value Expander::Impl::operation(std::string_view name, Value::List operands, Place place, Scope& scope,
                                const Names* names) {
  const FragmentDefinition* declaration = name.empty() ? nullptr : find_standard(name, document.dialect);
  if (!declaration) fail("type-mismatch", "the operator `in` takes no tensors", place, scope);
  PrimitiveCall call;
  call.declaration = declaration;
  call.name = declaration->name;
  call.arguments = std::move(operands);
  call.where = locate(place, scope);
  if (declaration->generic) call.generic = deduced(*declaration, call.arguments);
  if (!tract) {
    for (size_t i = 0; i < call.arguments.size(); ++i) {
      call.arguments[i] = converted(call.arguments[i], *declaration->parameters[i].type, call.generic);
    }
  }
  complete(call, scope, names);
  if (auto folded = located(place, scope, [&] { return sink->operate(call); })) return *std::move(folded);
  return invoke(call, place, scope);
}

Value Expander::Impl::converted(const Value& value, const TypeSpec& type,
                                std::optional<PrimitiveType> generic) {
  if (type.kind == TypeSpec::Kind::array && value.is_array()) {
    bool changed = false;
    Value::List items;
    items.reserve(value.items().size());
    for (const Value& item : value.items()) {
      items.push_back(converted(item, *type.items[0], generic));
      changed = changed || items.back().kind() != item.kind() || item.is_list();
    }
    return changed ? Value::array(std::move(items)) : value;
  }
  if (type.kind == TypeSpec::Kind::tuple && value.is_tuple() && type.items.size() == value.items().size()) {
    Value::List items;
    for (size_t i = 0; i < type.items.size(); ++i) {
      items.push_back(converted(value.items()[i], *type.items[i], generic));
    }
    return Value::tuple(std::move(items));
  }
  const auto primitive = type.primitive == PrimitiveType::generic ? generic : type.primitive;
  if (value.is_integer() && primitive == PrimitiveType::scalar) {
    return Value::scalar(static_cast<double>(value.as_integer()));
  }
  return value;
}

std::optional<PrimitiveType> Expander::Impl::primitive_of(const TypeSpec& type, const Value& value) {
  if (!contains_generic(type)) return {};
  if (type.kind == TypeSpec::Kind::array || type.kind == TypeSpec::Kind::tuple) {
    if (!value.is_list()) return {};
    std::optional<PrimitiveType> found;
    for (size_t i = 0; i < value.items().size() && !found; ++i) {
      const size_t item = type.kind == TypeSpec::Kind::array ? 0 : i;
      if (item < type.items.size()) found = primitive_of(*type.items[item], value.items()[i]);
    }
    return found;
  }
  switch (value.kind()) {
    case Value::Kind::integer: return PrimitiveType::integer;
    case Value::Kind::scalar: return PrimitiveType::scalar;
    case Value::Kind::logical: return PrimitiveType::logical;
    case Value::Kind::string: return PrimitiveType::string;
    case Value::Kind::wire: return sink->primitive_of(value.as_wire());
    default: return {};
  }
}

std::optional<PrimitiveType> Expander::Impl::deduced(const FragmentDefinition& declaration,
                                                     const Value::List& arguments) {
  std::optional<PrimitiveType> found;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const auto type = primitive_of(*declaration.parameters[i].type, arguments[i]);
    if (type && (!found || *type == PrimitiveType::scalar)) found = type;
  }
  return found;
}

void Expander::Impl::bind(const Invocation& e, const FragmentDefinition& declaration, Scope& scope,
                          PrimitiveCall& call) {
  const size_t count = declaration.parameters.size();
  const auto name = [&] { return std::string(declaration.name); };
  call.arguments.resize(count);
  std::vector<bool> given(count, false);
  const bool by_text =
      tract && e.arguments.size() <= count && is_positional_elementwise(e.name) && is_standard(declaration);
  size_t position = 0;
  bool named = false;
  const bool creates = may_create;
  for (const Argument& argument : e.arguments) {
    int index = -1;
    if (argument.name.empty() || by_text) {
      if (named && !by_text) {
        fail("positional-after-named", name() + ": a positional argument follows a named one", argument.place,
             scope);
      }
      index = static_cast<int>(position++);
      if (static_cast<size_t>(index) >= count) {
        fail("too-many-arguments",
             name() + " takes " + std::to_string(count) +
                 (count == 1 ? " argument, found " : " arguments, found ") +
                 std::to_string(e.arguments.size()),
             argument.place, scope);
      }
    } else {
      named = true;
      index = declaration.parameter_index(argument.name);
    }
    const std::string_view parameter =
        index >= 0 ? declaration.parameters[static_cast<size_t>(index)].name : argument.name;
    may_create = creates || may_create_symbols(declaration.name, parameter);
    Value value = evaluate(*argument.value, scope);
    may_create = creates;
    if (index < 0) {
      if (!tract) {
        fail("unknown-argument", name() + " has no parameter `" + std::string(argument.name) + "`",
             argument.place, scope);
      }
      call.extra.emplace_back(argument.name, std::move(value));
      continue;
    }
    const size_t at = static_cast<size_t>(index);
    if (given[at]) {
      fail("duplicate-argument", name() + ": the argument `" + std::string(parameter) + "` is given twice",
           argument.place, scope);
    }
    given[at] = true;
    if (is_optional(declaration.parameters[at]) && value.is_logical()) {
      if (value.as_logical()) {
        fail("type-mismatch",
             name() + ": `" + std::string(parameter) + "` is left out by `false`; `true` means nothing",
             argument.place, scope);
      }
      value = Value();
    }
    call.arguments[at] = std::move(value);
  }
  for (size_t i = 0; i < count; ++i) {
    if (given[i]) continue;
    const Parameter& parameter = declaration.parameters[i];
    if (parameter.default_value) {
      // In the engine's dialect tensors are never put in: a default literal has no type of its own.
      const bool stays_out =
          is_optional(parameter) || (document.dialect == Dialect::engine && contains_tensor(*parameter.type));
      if (!stays_out) call.arguments[i] = Value::constant(*parameter.default_value);
      continue;
    }
    const auto lenient = document.strict ? std::nullopt : lenient_default(declaration, parameter.name);
    if (!lenient) {
      fail("missing-argument", name() + ": the argument `" + std::string(parameter.name) + "` is missing",
           e.place, scope);
    }
    call.arguments[i] = Value::logical(*lenient);
  }
  call.generic = e.generic;
  if (call.generic == PrimitiveType::generic) call.generic = scope.generic;
  if (!call.generic && declaration.generic) {
    call.generic = declaration.generic_default;
    if (!call.generic) call.generic = deduced(declaration, call.arguments);
  }
  if (!tract) {
    for (size_t i = 0; i < count; ++i) {
      call.arguments[i] = converted(call.arguments[i], *declaration.parameters[i].type, call.generic);
    }
  }
}

Value Expander::Impl::invocation(const Invocation& e, Scope& scope, const Names* names) {
  const auto in_document = fragments.find(e.name);
  const FragmentDefinition* own = in_document == fragments.end() ? nullptr : in_document->second;
  const FragmentDefinition* standard = find_standard(e.name, document.dialect);
  // Inside of a standard body the standard's own operations are meant.
  if (scope.standard && standard) own = nullptr;

  const FragmentDefinition* declaration = own;
  bool primitive = false;
  if (own && own->has_body) {
    primitive = standard && sink->is_primitive(e.name) && computes_standard(*own, *standard);
    if (primitive) declaration = standard;
  } else if (standard) {
    declaration = standard;
    primitive = !standard->has_body || sink->is_primitive(e.name);
  } else if (own) {
    primitive = true;
    if (!sink->is_primitive(e.name)) {
      fail("unknown-operation",
           "`" + std::string(e.name) +
               "` is only declared: it has no body, and this engine has no such operation",
           e.place, scope);
    }
  }
  if (!declaration) {
    fail("unknown-operation",
         "`" + std::string(e.name) + "` is neither a standard operation nor a fragment of the document",
         e.place, scope);
  }

  PrimitiveCall call;
  call.declaration = declaration;
  call.name = declaration->name;
  bind(e, *declaration, scope, call);
  call.where = locate(e.place, scope);
  if (!primitive) {
    return call_fragment(*declaration, std::move(call.arguments), call.generic, call.where, names,
                         scope.prefix);
  }
  complete(call, scope, names);
  return invoke(call, e.place, scope);
}

void Expander::Impl::complete(PrimitiveCall& call, const Scope& scope, const Names* names) const {
  call.expander = self;
  call.in_graph_body = scope.fragment == nullptr;
  if (has_variable_results(*call.declaration)) {
    if (names && !names->items.empty()) {
      for (const Names& item : names->items) call.result_names.push_back(item.name);
    } else {
      call.result_names.push_back(names ? names->name : std::string());
    }
    call.array_names.resize(call.result_names.size());
    return;
  }
  const size_t count = call.declaration->results.size();
  call.result_names.resize(count);
  call.array_names.resize(count);
  if (!names) return;
  for (size_t i = 0; i < count; ++i) {
    const Names* result = names;
    if (count > 1) {
      if (i >= names->items.size()) break;
      result = &names->items[i];
    }
    call.result_names[i] = result->name;
    for (const Names& item : result->items) call.array_names[i].push_back(item.name);
  }
}

Value Expander::Impl::invoke(PrimitiveCall& call, Place place, const Scope& scope) {
  if (++invocations > options.limits.invocations) {
    fail("expansion-limit",
         "the document expands to more than " + std::to_string(options.limits.invocations) + " operations",
         place, scope);
  }
  std::vector<Value> results = located(place, scope, [&] { return sink->invoke(call); });
  if (results.size() == 1) return std::move(results[0]);
  return Value::tuple(std::move(results));
}

bool Expander::Impl::computes_standard(const FragmentDefinition& own, const FragmentDefinition& standard) {
  const auto known_answer = equals_standard.find(&own);
  if (known_answer != equals_standard.end()) return known_answer->second;
  equals_standard[&own] = true;  // what recursion finds
  bool equal = same_computation(own, standard);
  for (size_t i = 0; equal && i < own.body.size(); ++i) {
    for_each_invocation(*own.body[i].right, [&](const Invocation& inner) {
      const auto found = fragments.find(inner.name);
      if (found == fragments.end() || !found->second->has_body) return;
      const FragmentDefinition* other = find_standard(inner.name, document.dialect);
      if (!other || !other->has_body || !computes_standard(*found->second, *other)) equal = false;
    });
  }
  equals_standard[&own] = equal;
  return equal;
}

Value Expander::Impl::call_fragment(const FragmentDefinition& fragment, Value::List arguments,
                                    std::optional<PrimitiveType> generic, const SourceLocation& where,
                                    const Names* names, const std::string& outer_prefix) {
  if (calls() >= options.limits.calls) {
    throw Error("recursion-limit",
                "fragment calls are nested deeper than " + std::to_string(options.limits.calls) + ": does `" +
                    std::string(fragment.name) + "` call itself without an end?",
                where);
  }
  Scope scope;
  scope.fragment = &fragment;
  scope.generic = generic;
  scope.source = fragment.source;
  scope.standard = is_standard(fragment);
  if (scope.standard) scope.call = &where;
  const size_t count = fragment.results.size();
  for (size_t i = 0; i < count; ++i) {
    if (names && count == 1) {
      scope.result_names.emplace(fragment.results[i].name, *names);
    } else {
      const bool has = names && i < names->items.size();
      scope.result_names.emplace(fragment.results[i].name, has ? names->items[i] : Names());
    }
  }
  scope.prefix = names ? first_name(*names) : std::string();
  if (scope.prefix.empty()) {
    scope.prefix =
        outer_prefix.empty() ? std::string(fragment.name) : outer_prefix + "_" + std::string(fragment.name);
  }
  for (size_t i = 0; i < fragment.parameters.size(); ++i) {
    scope.values.emplace(fragment.parameters[i].name, std::move(arguments[i]));
  }
  std::vector<Value> results = run_fragment(fragment, scope, where);
  if (results.size() == 1) return std::move(results[0]);
  return Value::tuple(std::move(results));
}

std::vector<Value> Expander::Impl::run_fragment(const FragmentDefinition& fragment, Scope& scope,
                                                const SourceLocation& where) {
  const Entered entered(*this, {&fragment, &where, scope.standard});
  try {
    run_body(fragment.body, scope);
    std::vector<Value> results;
    for (const Result& result : fragment.results) {
      const auto found = scope.values.find(result.name);
      if (found == scope.values.end()) {
        if (scope.unknown.count(result.name) != 0) throw Unknown();
        fail("unassigned-result",
             "the result `" + std::string(result.name) + "` of the fragment `" + std::string(fragment.name) +
                 "` is never assigned",
             result.place, scope);
      }
      results.push_back(found->second);
    }
    return results;
  } catch (Error& error) {
    error.called_from(chain.back().to_string());
    throw;
  }
}

std::string Expander::Impl::first_name(const Names& names) {
  if (names.items.empty()) return names.name;
  return first_name(names.items.front());
}

}  // namespace nnefrun
