#include "nnef_parser/check.h"

#include <algorithm>
#include <unordered_set>

#include "nnef_parser/check_context.h"

namespace nnefrun {
namespace {

using checking::Context;
using checking::quoted;

// Section 5: what makes a declaration valid.
void check_declaration(Context& context, const FragmentDefinition& fragment) {
  std::unordered_set<std::string_view> parameters, results;
  bool attributes = false, mentions_generic = false;
  const auto mixed = [](const TypeSpec& type, const auto& self) -> bool {
    if (type.kind == TypeSpec::Kind::tuple) {
      size_t tensors = 0;
      for (const TypeSpec* item : type.items) tensors += contains_tensor(*item) ? 1 : 0;
      if (tensors != 0 && tensors != type.items.size()) return true;
    }
    return std::any_of(type.items.begin(), type.items.end(),
                       [&](const TypeSpec* item) { return self(*item, self); });
  };
  for (const Parameter& parameter : fragment.parameters) {
    if (!parameters.insert(parameter.name).second) {
      context.report("duplicate-parameter", "the parameter " + quoted(parameter.name) + " is declared twice",
                     parameter.place);
    }
    if (!contains_tensor(*parameter.type)) {
      attributes = true;
    } else if (attributes) {
      context.report("attribute-before-tensor",
                     "the tensor parameter " + quoted(parameter.name) + " must come before all attributes",
                     parameter.place);
    }
    if (mixed(*parameter.type, mixed)) {
      context.report("mixed-tuple",
                     "the type of " + quoted(parameter.name) + " mixes tensors and attributes in a tuple",
                     parameter.place);
    }
    mentions_generic = mentions_generic || contains_generic(*parameter.type);
    if (parameter.default_value) {
      const Type* type = context.types.declared(*parameter.type, fragment.generic_default);
      const Type* given = checking::type_of_constant(context, *parameter.default_value);
      if (!context.types.converts(*given, *type)) {
        context.report("default-type",
                       "the default of " + quoted(parameter.name) + " is " + to_string(*given) +
                           ", which does not convert to " + to_string(*parameter.type),
                       parameter.default_value->place);
      }
    }
  }
  for (const Result& result : fragment.results) {
    if (!results.insert(result.name).second) {
      context.report("duplicate-result", "the result " + quoted(result.name) + " is declared twice",
                     result.place);
    }
    if (parameters.count(result.name)) {
      context.report("parameter-is-result", quoted(result.name) + " is a parameter and a result",
                     result.place);
    }
    const auto tensors_only = [](const TypeSpec& type, const auto& self) -> bool {
      if (type.kind == TypeSpec::Kind::primitive) return false;
      return std::all_of(type.items.begin(), type.items.end(),
                         [&](const TypeSpec* item) { return self(*item, self); });
    };
    const auto unbound = [](const TypeSpec& type, const auto& self) -> bool {
      if (type.kind == TypeSpec::Kind::tensor) return !type.primitive;
      return std::any_of(type.items.begin(), type.items.end(),
                         [&](const TypeSpec* item) { return self(*item, self); });
    };
    if (!tensors_only(*result.type, tensors_only)) {
      context.report(
          "result-type",
          "the result " + quoted(result.name) + " must be made of tensors, it is " + to_string(*result.type),
          result.place);
    } else if (unbound(*result.type, unbound)) {
      context.report("result-type",
                     "the result " + quoted(result.name) + " cannot be a tensor<> of any items",
                     result.place);
    }
    mentions_generic = mentions_generic || contains_generic(*result.type);
  }
  if (mentions_generic && !fragment.generic) {
    context.report("generic-undeclared",
                   "the fragment " + quoted(fragment.name) + " uses `?` without <?> after its name",
                   fragment.place);
  }
  if (!mentions_generic && fragment.generic) {
    context.report("generic-unused",
                   "the fragment " + quoted(fragment.name) + " declares <?> and uses no `?`", fragment.place);
  }
}

void check_khronos(Context& context) {
  std::unordered_set<std::string_view> seen;
  for (const FragmentDefinition& fragment : context.document.fragments) {
    if (!seen.insert(fragment.name).second) {
      context.report("duplicate-fragment", "the fragment " + quoted(fragment.name) + " is defined twice",
                     fragment.place);
    } else if (context.strict && find_standard(fragment.name, Dialect::khronos)) {
      context.report("duplicate-fragment",
                     "the fragment " + quoted(fragment.name) + " has the name of a standard operation",
                     fragment.place);
    }
    check_declaration(context, fragment);
    if (fragment.has_body) checking::check_body(context, &fragment);
  }
  if (context.document.graph) checking::check_body(context, nullptr);
}

}  // namespace

std::vector<Error> check(const Document& document, const CheckOptions& options) {
  Context context(document, options);
  if (document.dialect == Dialect::khronos) {
    check_khronos(context);
  } else {
    checking::check_names(context);
  }
  std::stable_sort(context.findings.begin(), context.findings.end(), [](const Error& a, const Error& b) {
    return std::pair(a.where().line, a.where().column) < std::pair(b.where().line, b.where().column);
  });
  return std::move(context.findings);
}

}  // namespace nnefrun
