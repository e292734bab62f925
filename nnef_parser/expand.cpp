#include "nnef_parser/expand.h"

#include <algorithm>
#include <iterator>

#include "nnef_parser/expand_impl.h"
#include "nnef_parser/stdlib.h"

namespace nnefrun {
namespace {

const Value kAbsent;

}  // namespace

const Value& PrimitiveCall::argument(std::string_view parameter) const {
  const int index = declaration->parameter_index(parameter);
  if (index >= 0) return arguments[static_cast<size_t>(index)];
  for (const auto& named : extra) {
    if (named.first == parameter) return named.second;
  }
  return kAbsent;
}

SourceLocation Expander::Impl::locate(Place place, const Scope& scope) const {
  if (scope.call) return *scope.call;
  return scope.source->locate(place);
}

void Expander::Impl::fail(const char* code, std::string message, Place place, const Scope& scope) const {
  throw Error(code, std::move(message), locate(place, scope));
}

void Expander::Impl::count_items(size_t count, Place place, const Scope& scope) {
  items += count;
  if (count > options.limits.items || items > 8 * options.limits.items) {
    fail("expansion-limit",
         "the expression makes an array or string of " + std::to_string(count) + " items; the limit is " +
             std::to_string(options.limits.items),
         place, scope);
  }
}

Names Expander::Impl::names_of(const Expression& left, const Scope& scope) const {
  Names names;
  if (const auto* identifier = left.as<Identifier>()) {
    const auto wanted = scope.result_names.find(identifier->name);
    if (wanted != scope.result_names.end()) return wanted->second;
    names.name = scope.prefix.empty() ? std::string(identifier->name)
                                      : scope.prefix + "_" + std::string(identifier->name);
    return names;
  }
  for_each_operand(left, [&](const Expression& item) { names.items.push_back(names_of(item, scope)); });
  return names;
}

void Expander::Impl::run_body(const std::vector<Assignment>& body, Scope& scope) {
  // What is inside of a standard body is one operation for the reader of an error.
  const bool goes_on = options.on_error != nullptr && !scope.standard;
  for (const Assignment& assignment : body) {
    const bool creates = may_create;
    try {
      const Names names = names_of(*assignment.left, scope);
      assign(*assignment.left, evaluate(*assignment.right, scope, &names), scope);
    } catch (const Unknown&) {
      forget(*assignment.left, scope);
    } catch (Error& error) {
      if (!goes_on || is_final(error.code())) throw;
      for (size_t i = chain.size(); i-- > 0;) error.called_from(chain[i].to_string());
      options.on_error(error);
      forget(*assignment.left, scope);
    }
    may_create = creates;
  }
}

bool Expander::Impl::is_final(std::string_view code) {
  constexpr std::string_view kFinal[] = {"recursion-limit", "expansion-limit", "limit-nodes", "memory-limit",
                                         "out-of-memory"};
  return std::find(std::begin(kFinal), std::end(kFinal), code) != std::end(kFinal);
}

void Expander::Impl::forget(const Expression& left, Scope& scope) {
  if (const auto* identifier = left.as<Identifier>()) {
    if (scope.values.count(identifier->name) == 0) scope.unknown.insert(identifier->name);
  }
  for_each_operand(left, [&](const Expression& item) { forget(item, scope); });
}

void Expander::Impl::assign(const Expression& left, Value value, Scope& scope) {
  if (const auto* identifier = left.as<Identifier>()) {
    if (!scope.standard && (tract || !scope.fragment)) {
      const SourceLocation where = locate(left.place, scope);
      value = located(left.place, scope, [&] {
        return sink->assigned(identifier->name, std::move(value), scope.fragment == nullptr, where);
      });
    }
    scope.values.insert_or_assign(identifier->name, std::move(value));
    return;
  }
  const bool array = left.kind == ExpressionKind::array;
  const auto& targets = array ? left.as<ArrayExpression>()->items : left.as<TupleExpression>()->items;
  if (value.is_wire()) {
    if (auto known = sink->constant_of(value.as_wire())) value = *std::move(known);
  }
  const bool fits = array ? value.is_array() || (tract && value.is_tuple())
                          : value.is_tuple() || (tract && value.is_array());
  if (!fits) {
    fail("type-mismatch",
         std::string("the left side lists the items of ") + (array ? "an array" : "a tuple") +
             ", the value is " + value.describe(),
         left.place, scope);
  }
  const Value::List& values = value.items();
  if (values.size() != targets.size()) {
    fail("length-mismatch",
         "the left side has " + std::to_string(targets.size()) + " names for " +
             std::to_string(values.size()) + " values",
         left.place, scope);
  }
  for (size_t i = 0; i < targets.size(); ++i) assign(*targets[i], values[i], scope);
}

std::vector<Value> Expander::Impl::run() {
  const GraphDefinition& graph = *document.graph;
  for (const Extension& extension : document.extensions) {
    const SourceLocation where = document.locate(extension.place);
    try {
      sink->extension(extension, where);
    } catch (Error& error) {
      error.at(where);
      throw;
    }
  }
  Scope scope;
  scope.source = document.source.get();
  scope.values.reserve(graph.body.size());
  run_body(graph.body, scope);
  std::vector<Value> results;
  for (const GraphName& result : graph.results) {
    const auto found = scope.values.find(result.name);
    if (found == scope.values.end()) {
      if (scope.unknown.count(result.name) != 0) {
        results.emplace_back();
        continue;
      }
      fail("unassigned-result", "the graph's result `" + std::string(result.name) + "` is never assigned",
           result.place, scope);
    }
    results.push_back(found->second);
  }
  return results;
}

Expander::Expander(const Document& document, Sink& sink, const ExpandOptions& options)
    : impl_(std::make_unique<Impl>(document, sink, options, this)) {}
Expander::~Expander() = default;

std::vector<Value> Expander::run() { return impl_->run(); }

const Document& Expander::document() const { return impl_->document; }

const FragmentDefinition* Expander::find_fragment(std::string_view name) const {
  const auto found = impl_->fragments.find(name);
  return found == impl_->fragments.end() ? nullptr : found->second;
}

std::vector<Value> Expander::expand_fragment(const FragmentDefinition& fragment,
                                             const std::vector<Value>& arguments, Sink& sink,
                                             const SourceLocation& where) {
  Impl& impl = *impl_;
  if (arguments.size() != fragment.parameters.size() || !fragment.has_body) {
    throw Error("missing-argument",
                "the fragment `" + std::string(fragment.name) + "` takes " +
                    std::to_string(fragment.parameters.size()) + " arguments, found " +
                    std::to_string(arguments.size()),
                where);
  }
  if (impl.calls() >= impl.options.limits.calls) {
    throw Error("recursion-limit",
                "fragment calls are nested deeper than " + std::to_string(impl.options.limits.calls) +
                    ": does `" + std::string(fragment.name) + "` call itself without an end?",
                where);
  }
  Scope scope;
  scope.fragment = &fragment;
  scope.source = fragment.source;
  scope.standard = is_standard(fragment);
  if (scope.standard) scope.call = &where;
  for (size_t i = 0; i < arguments.size(); ++i)
    scope.values.emplace(fragment.parameters[i].name, arguments[i]);

  Sink* outer = std::exchange(impl.sink, &sink);
  try {
    std::vector<Value> results = impl.run_fragment(fragment, scope, where);
    impl.sink = outer;
    return results;
  } catch (...) {
    impl.sink = outer;
    throw;
  }
}

std::vector<Value> expand(const Document& document, Sink& sink, const ExpandOptions& options) {
  return Expander(document, sink, options).run();
}

}  // namespace nnefrun
