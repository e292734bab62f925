#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "nnef_parser/expand.h"

namespace nnefrun {

// The names that a left side gives to a value: one name, or one for each item of an array or tuple. Both
// empty: nobody names it.
struct Names {
  std::string name;
  std::vector<Names> items;
};

// The variables of a graph body or of one fragment call.
struct Scope {
  const FragmentDefinition* fragment = nullptr;  // null: the graph
  std::unordered_map<std::string_view, Value> values;
  std::unordered_set<std::string_view> unknown;  // what errors left without a value (ExpandOptions::on_error)
  std::unordered_map<std::string_view, Names> result_names;  // what the call wants its results to be called
  std::optional<PrimitiveType> generic;
  const SourceText* source = nullptr;
  const SourceLocation* call =
      nullptr;         // set inside of standard fragments: errors point at the document's call
  std::string prefix;  // of the names of locals
  bool standard = false;
};

// The walk over a document that calls its operations one by one: bodies and results in expand.cpp,
// expressions in expand_expressions.cpp, calls of operations and fragments in expand_calls.cpp.
struct Expander::Impl {
  // Thrown through an assignment that needs what an earlier error left unknown.
  struct Unknown {};

  // A call of a fragment that is being expanded.
  struct Call {
    const FragmentDefinition* fragment;
    const SourceLocation* where;
    bool standard;
    std::string to_string() const {
      return std::string(standard ? "in operation `" : "in fragment `") + std::string(fragment->name) +
             "` called at " + where->to_string();
    }
  };

  const Document& document;
  Sink* sink;
  ExpandOptions options;
  Expander* self;
  bool tract;  // tract's or the engine's reading
  std::unordered_map<std::string_view, const FragmentDefinition*> fragments;
  std::unordered_map<const FragmentDefinition*, bool> equals_standard;
  std::vector<Call> chain;  // the outermost call first
  int evaluations = 0;
  size_t invocations = 0;
  size_t steps = 0;
  size_t items = 0;  // made by expressions so far
  bool may_create = false;

  Impl(const Document& d, Sink& s, const ExpandOptions& o, Expander* e)
      : document(d), sink(&s), options(o), self(e), tract(d.dialect != Dialect::khronos) {
    for (const auto& fragment : d.fragments) fragments.emplace(fragment.name, &fragment);
  }

  int calls() const { return static_cast<int>(chain.size()); }

  // Inside of a call; symbols are not made up there.
  class Entered {
   public:
    Entered(Impl& impl, const Call& call) : impl_(impl), creates_(std::exchange(impl.may_create, false)) {
      impl.chain.push_back(call);
    }
    ~Entered() {
      impl_.chain.pop_back();
      impl_.may_create = creates_;
    }
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;

   private:
    Impl& impl_;
    bool creates_;
  };

  // Errors
  // ----------------------------------------------------------------------------------------------------

  SourceLocation locate(Place place, const Scope& scope) const;
  [[noreturn]] void fail(const char* code, std::string message, Place place, const Scope& scope) const;

  // Runs a computation on values and says where it failed.
  template <class Compute>
  auto located(Place place, const Scope& scope, const Compute& compute) const {
    try {
      return compute();
    } catch (Error& error) {
      error.at(locate(place, scope));
      throw;
    }
  }

  void count_items(size_t count, Place place, const Scope& scope);

  // One level of evaluation; the guard of every recursion.
  class Level {
   public:
    Level(Impl& impl, Place place, const Scope& scope) : impl_(impl) {
      if (++impl.evaluations > impl.options.limits.evaluations) {
        --impl.evaluations;
        impl.fail("recursion-limit",
                  "the expansion is nested deeper than " + std::to_string(impl.options.limits.evaluations) +
                      " evaluations" +
                      (scope.fragment
                           ? ": does `" + std::string(scope.fragment->name) + "` call itself without an end?"
                           : std::string()),
                  place, scope);
      }
      if (++impl.steps > impl.options.limits.steps) {
        --impl.evaluations;
        impl.fail("expansion-limit",
                  "more than " + std::to_string(impl.options.limits.steps) + " expressions were evaluated",
                  place, scope);
      }
    }
    ~Level() { --impl_.evaluations; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Impl& impl_;
  };

  // Bodies
  // ----------------------------------------------------------------------------------------------------

  Names names_of(const Expression& left, const Scope& scope) const;
  void run_body(const std::vector<Assignment>& body, Scope& scope);

  // What going on would only repeat, or make worse.
  static bool is_final(std::string_view code);
  void forget(const Expression& left, Scope& scope);
  void assign(const Expression& left, Value value, Scope& scope);

  // Expressions
  // -----------------------------------------------------------------------------------------------

  Value evaluate(const Expression& e, Scope& scope, const Names* names = nullptr);
  Value identifier(const Identifier& e, Scope& scope);
  Value list(const Expression& e, Scope& scope, const Names* names);

  // The value of a wire where it is known at compile time; other values as they are.
  Value known(Value value);
  bool condition(const Expression& e, Scope& scope);
  int64_t integer(const Expression& e, Scope& scope, const char* what);
  Value unary(const UnaryExpression& e, Scope& scope, const Names* names);
  Value binary(const BinaryExpression& e, Scope& scope, const Names* names);
  Value apply_binary(const BinaryExpression& e, Value left, Value right, Scope& scope, const Names* names);
  Value subscript(const SubscriptExpression& e, Scope& scope);
  Value range(const RangeExpression& e, Scope& scope);
  Value comprehension(const Comprehension& e, Scope& scope, const Names* names);

  // Loop variables hide names of the scope while the loop runs.
  class Hidden {
   public:
    Hidden(const Comprehension& e, Scope& scope) : e_(e), scope_(scope) {
      for (const auto& iterator : e.iterators) {
        const auto found = scope.values.find(iterator.name);
        values_.push_back(found == scope.values.end() ? std::nullopt : std::optional<Value>(found->second));
      }
    }
    ~Hidden() {
      for (size_t k = 0; k < values_.size(); ++k) {
        scope_.values.erase(e_.iterators[k].name);
        if (values_[k]) scope_.values.emplace(e_.iterators[k].name, *std::move(values_[k]));
      }
    }
    Hidden(const Hidden&) = delete;
    Hidden& operator=(const Hidden&) = delete;

   private:
    const Comprehension& e_;
    Scope& scope_;
    std::vector<std::optional<Value>> values_;
  };

  Value builtin(const Builtin& e, Scope& scope);

  // Operations
  // ------------------------------------------------------------------------------------------------

  // An operator with a tensor among its operands is the operation of that name.
  Value operation(std::string_view name, Value::List operands, Place place, Scope& scope, const Names* names);

  // What the argument's type asks for: integers become scalars where scalars are due (register A28).
  static Value converted(const Value& value, const TypeSpec& type, std::optional<PrimitiveType> generic);
  std::optional<PrimitiveType> primitive_of(const TypeSpec& type, const Value& value);

  // Scalars win over integers, so that select(c, x, 0) is one of scalars.
  std::optional<PrimitiveType> deduced(const FragmentDefinition& declaration, const Value::List& arguments);

  // The arguments of a call, one for each parameter (section 6; tract OPL section 2.7).
  void bind(const Invocation& e, const FragmentDefinition& declaration, Scope& scope, PrimitiveCall& call);
  Value invocation(const Invocation& e, Scope& scope, const Names* names);

  // The names of the results, and who is asking.
  void complete(PrimitiveCall& call, const Scope& scope, const Names* names) const;
  Value invoke(PrimitiveCall& call, Place place, const Scope& scope);

  // Whether a fragment of the document is the standard one under its own name, all the way down.
  bool computes_standard(const FragmentDefinition& own, const FragmentDefinition& standard);
  Value call_fragment(const FragmentDefinition& fragment, Value::List arguments,
                      std::optional<PrimitiveType> generic, const SourceLocation& where, const Names* names,
                      const std::string& outer_prefix);
  std::vector<Value> run_fragment(const FragmentDefinition& fragment, Scope& scope,
                                  const SourceLocation& where);
  static std::string first_name(const Names& names);
  std::vector<Value> run();
};

}  // namespace nnefrun
