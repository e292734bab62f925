#include "nnef_parser/expand.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "nnef_parser/evaluate.h"
#include "nnef_parser/stdlib.h"

namespace nnefrun {
namespace {

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

  SourceLocation locate(Place place, const Scope& scope) const {
    if (scope.call) return *scope.call;
    return scope.source->locate(place);
  }
  [[noreturn]] void fail(const char* code, std::string message, Place place, const Scope& scope) const {
    throw Error(code, std::move(message), locate(place, scope));
  }

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

  void count_items(size_t count, Place place, const Scope& scope) {
    items += count;
    if (count > options.limits.items || items > 8 * options.limits.items) {
      fail("expansion-limit",
           "the expression makes an array or string of " + std::to_string(count) + " items; the limit is " +
               std::to_string(options.limits.items),
           place, scope);
    }
  }

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

  Names names_of(const Expression& left, const Scope& scope) const {
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

  void run_body(const std::vector<Assignment>& body, Scope& scope) {
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

  // What going on would only repeat, or make worse.
  static bool is_final(std::string_view code) {
    constexpr std::string_view kFinal[] = {"recursion-limit", "expansion-limit", "limit-nodes",
                                           "memory-limit", "out-of-memory"};
    return std::find(std::begin(kFinal), std::end(kFinal), code) != std::end(kFinal);
  }

  void forget(const Expression& left, Scope& scope) {
    if (const auto* identifier = left.as<Identifier>()) {
      if (scope.values.count(identifier->name) == 0) scope.unknown.insert(identifier->name);
    }
    for_each_operand(left, [&](const Expression& item) { forget(item, scope); });
  }

  void assign(const Expression& left, Value value, Scope& scope) {
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

  // Expressions
  // -----------------------------------------------------------------------------------------------

  Value evaluate(const Expression& e, Scope& scope, const Names* names = nullptr) {
    const Level level(*this, e.place, scope);
    switch (e.kind) {
      case ExpressionKind::identifier: return identifier(*e.as<Identifier>(), scope);
      case ExpressionKind::literal: return Value::constant(e);
      case ExpressionKind::array:
      case ExpressionKind::tuple: return list(e, scope, names);
      case ExpressionKind::unary: return unary(*e.as<UnaryExpression>(), scope, names);
      case ExpressionKind::binary: return binary(*e.as<BinaryExpression>(), scope, names);
      case ExpressionKind::conditional: {
        const auto& conditional = *e.as<ConditionalExpression>();
        const bool chosen = condition(*conditional.condition, scope);
        return evaluate(chosen ? *conditional.then_value : *conditional.else_value, scope, names);
      }
      case ExpressionKind::subscript: return subscript(*e.as<SubscriptExpression>(), scope);
      case ExpressionKind::range: return range(*e.as<RangeExpression>(), scope);
      case ExpressionKind::comprehension: return comprehension(*e.as<Comprehension>(), scope, names);
      case ExpressionKind::invocation: return invocation(*e.as<Invocation>(), scope, names);
      case ExpressionKind::builtin: return builtin(*e.as<Builtin>(), scope);
    }
    return {};
  }

  Value identifier(const Identifier& e, Scope& scope) {
    const auto found = scope.values.find(e.name);
    if (found != scope.values.end()) return found->second;
    if (scope.unknown.count(e.name) != 0) throw Unknown();
    if (tract) {
      if (auto symbol = located(e.place, scope, [&] { return sink->symbol(e.name, may_create); }))
        return *symbol;
    }
    throw Error("unknown-identifier",
                "`" + std::string(e.name) + "` is used before anything is assigned to it",
                locate(e.place, scope))
        .note(tract ? "a symbol is declared by `extension tract_symbol " + std::string(e.name) + ";`"
                    : "the order of assignments matters: a name is assigned first, then used");
  }

  Value list(const Expression& e, Scope& scope, const Names* names) {
    const bool array = e.kind == ExpressionKind::array;
    const auto& expressions = array ? e.as<ArrayExpression>()->items : e.as<TupleExpression>()->items;
    const bool named = names && names->items.size() == expressions.size();
    Value::List values;
    values.reserve(expressions.size());
    for (size_t i = 0; i < expressions.size(); ++i) {
      // Without a frame for each literal of a long constant.
      if (expressions[i]->kind == ExpressionKind::literal) {
        values.push_back(Value::constant(*expressions[i]));
      } else {
        values.push_back(evaluate(*expressions[i], scope, named ? &names->items[i] : nullptr));
      }
    }
    return array ? Value::array(std::move(values)) : Value::tuple(std::move(values));
  }

  // The value of a wire where it is known at compile time; other values as they are.
  Value known(Value value) {
    if (value.is_wire()) {
      if (auto constant = sink->constant_of(value.as_wire())) return *std::move(constant);
    }
    return value;
  }

  bool condition(const Expression& e, Scope& scope) {
    const Value value = known(evaluate(e, scope));
    if (value.is_logical()) return value.as_logical();
    if (tract && value.is_integer()) return value.as_integer() != 0;
    fail("type-mismatch",
         value.is_wire() ? "the condition is a tensor; it must be known before the graph runs (use `select`)"
                         : "the condition must be logical, it is " + value.describe(),
         e.place, scope);
  }

  int64_t integer(const Expression& e, Scope& scope, const char* what) {
    const Value value = known(evaluate(e, scope));
    if (value.is_integer()) return value.as_integer();
    fail("type-mismatch", std::string(what) + " must be an integer, it is " + value.describe(), e.place,
         scope);
  }

  Value unary(const UnaryExpression& e, Scope& scope, const Names* names) {
    Value operand = evaluate(*e.operand, scope);
    if (operand.is_wire()) {
      return operation(operation_of(e.op()), {std::move(operand)}, e.place, scope, names);
    }
    return located(e.place, scope, [&] { return apply(e.op(), operand); });
  }

  Value binary(const BinaryExpression& e, Scope& scope, const Names* names) {
    // The left spine of a chain is walked, not recursed into.
    std::vector<const BinaryExpression*> spine;
    const Expression* first = &e;
    while (const auto* next = first->as<BinaryExpression>()) {
      spine.push_back(next);
      first = next->left;
    }
    Value left = evaluate(*first, scope);
    for (size_t i = spine.size(); i-- > 0;) {
      const BinaryExpression& node = *spine[i];
      if (++steps > options.limits.steps) {
        fail("expansion-limit",
             "more than " + std::to_string(options.limits.steps) + " expressions were evaluated", node.place,
             scope);
      }
      Value right = evaluate(*node.right, scope);
      left = apply_binary(node, std::move(left), std::move(right), scope, i == 0 ? names : nullptr);
    }
    return left;
  }

  Value apply_binary(const BinaryExpression& e, Value left, Value right, Scope& scope, const Names* names) {
    const BinaryOperator op = e.op();
    if (op == BinaryOperator::in) {
      right = known(std::move(right));
    } else if (left.is_wire() || right.is_wire()) {
      // [0] * n with n known by the sink is a repetition; everything else is an operation on tensors.
      if (op == BinaryOperator::mul && left.is_list()) {
        right = known(std::move(right));
      }
      if (left.is_wire() || right.is_wire()) {
        return operation(operation_of(op), {std::move(left), std::move(right)}, e.place, scope, names);
      }
    }
    if (op == BinaryOperator::mul && right.is_integer() && (left.is_array() || left.is_string())) {
      const size_t length = left.is_array() ? left.items().size() : left.as_string().size();
      const auto times = static_cast<uint64_t>(std::max<int64_t>(right.as_integer(), 0));
      size_t total = 0;
      if (__builtin_mul_overflow(length, times, &total)) total = std::numeric_limits<size_t>::max() / 16;
      count_items(total, e.place, scope);
    } else if (op == BinaryOperator::add && left.is_array() && right.is_array()) {
      count_items(left.items().size() + right.items().size(), e.place, scope);
    } else if (op == BinaryOperator::add && left.is_string() && right.is_string()) {
      count_items(left.as_string().size() + right.as_string().size(), e.place, scope);
    }
    return located(e.place, scope, [&] { return apply(op, left, right, document.strict); });
  }

  Value subscript(const SubscriptExpression& e, Scope& scope) {
    const Value target = known(evaluate(*e.target, scope));
    if (!target.is_list() && !target.is_string()) {
      fail("type-mismatch",
           target.is_wire()
               ? "a tensor whose value is not known before the graph runs has no subscripts (use `slice`)"
               : "only arrays, tuples and strings have subscripts, not " + target.describe(),
           e.place, scope);
    }
    const int64_t index = integer(*e.index, scope, "a subscript");
    return located(e.index->place, scope, [&] { return item_of(target, index, document.strict); });
  }

  Value range(const RangeExpression& e, Scope& scope) {
    const Value target = known(evaluate(*e.target, scope));
    if (!target.is_array() && !target.is_string()) {
      fail("type-mismatch", "only arrays and strings have ranges, not " + target.describe(), e.place, scope);
    }
    std::optional<int64_t> begin, end;
    if (e.begin) begin = integer(*e.begin, scope, "the begin of a range");
    if (e.end) end = integer(*e.end, scope, "the end of a range");
    return located(e.place, scope, [&] {
      Value part = items_of(target, begin, end, document.strict);
      count_items(part.is_array() ? part.items().size() : part.as_string().size(), e.place, scope);
      return part;
    });
  }

  Value comprehension(const Comprehension& e, Scope& scope, const Names* names) {
    std::vector<Value> arrays;
    for (const auto& iterator : e.iterators) {
      arrays.push_back(known(evaluate(*iterator.array, scope)));
      if (!arrays.back().is_array()) {
        fail("type-mismatch", "a comprehension walks over arrays, not over " + arrays.back().describe(),
             iterator.array->place, scope);
      }
      if (arrays.back().items().size() != arrays.front().items().size()) {
        fail("length-mismatch",
             "arrays that are walked in parallel need equal lengths: `" + std::string(e.iterators[0].name) +
                 "` walks over " + std::to_string(arrays.front().items().size()) + " items, `" +
                 std::string(iterator.name) + "` over " + std::to_string(arrays.back().items().size()),
             iterator.array->place, scope);
      }
    }
    const Hidden hidden(e, scope);
    const size_t count = arrays.front().items().size();
    const bool named = names && !e.filter && names->items.size() == count;
    Value::List values;
    for (size_t i = 0; i < count; ++i) {
      for (size_t k = 0; k < arrays.size(); ++k) {
        scope.values.insert_or_assign(e.iterators[k].name, arrays[k].items()[i]);
      }
      if (e.filter && !condition(*e.filter, scope)) continue;
      values.push_back(evaluate(*e.yield, scope, named ? &names->items[i] : nullptr));
    }
    count_items(values.size(), e.place, scope);
    return Value::array(std::move(values));
  }

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

  Value builtin(const Builtin& e, Scope& scope) {
    Value operand = evaluate(*e.operand, scope);
    if (e.function() == BuiltinFunction::shape_of) {
      if (!document.strict) {
        if (auto shape = located(e.place, scope, [&] { return sink->shape_of(operand); }))
          return *std::move(shape);
      }
      fail("shape-of-removed",
           document.strict ? "shape_of is no part of NNEF since 1.0.1"
                           : "shape_of: the shape of " + operand.describe() + " is not known here",
           e.place, scope);
    }
    operand = known(std::move(operand));
    return located(e.place, scope, [&] {
      Value value = apply(e.function(), operand);
      if (e.function() == BuiltinFunction::range_of) count_items(value.items().size(), e.place, scope);
      return value;
    });
  }

  // Operations
  // ------------------------------------------------------------------------------------------------

  // An operator with a tensor among its operands is the operation of that name.
  Value operation(std::string_view name, Value::List operands, Place place, Scope& scope,
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

  // What the argument's type asks for: integers become scalars where scalars are due (register A28).
  static Value converted(const Value& value, const TypeSpec& type, std::optional<PrimitiveType> generic) {
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

  std::optional<PrimitiveType> primitive_of(const TypeSpec& type, const Value& value) {
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

  // Scalars win over integers, so that select(c, x, 0) is one of scalars.
  std::optional<PrimitiveType> deduced(const FragmentDefinition& declaration, const Value::List& arguments) {
    std::optional<PrimitiveType> found;
    for (size_t i = 0; i < arguments.size(); ++i) {
      const auto type = primitive_of(*declaration.parameters[i].type, arguments[i]);
      if (type && (!found || *type == PrimitiveType::scalar)) found = type;
    }
    return found;
  }

  // The arguments of a call, one for each parameter (section 6; tract OPL section 2.7).
  void bind(const Invocation& e, const FragmentDefinition& declaration, Scope& scope, PrimitiveCall& call) {
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
          fail("positional-after-named", name() + ": a positional argument follows a named one",
               argument.place, scope);
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
        const bool stays_out = is_optional(parameter) || (document.dialect == Dialect::engine &&
                                                          contains_tensor(*parameter.type));
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

  Value invocation(const Invocation& e, Scope& scope, const Names* names) {
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

  // The names of the results, and who is asking.
  void complete(PrimitiveCall& call, const Scope& scope, const Names* names) const {
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

  Value invoke(PrimitiveCall& call, Place place, const Scope& scope) {
    if (++invocations > options.limits.invocations) {
      fail("expansion-limit",
           "the document expands to more than " + std::to_string(options.limits.invocations) + " operations",
           place, scope);
    }
    std::vector<Value> results = located(place, scope, [&] { return sink->invoke(call); });
    if (results.size() == 1) return std::move(results[0]);
    return Value::tuple(std::move(results));
  }

  // Whether a fragment of the document is the standard one under its own name, all the way down.
  bool computes_standard(const FragmentDefinition& own, const FragmentDefinition& standard) {
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

  Value call_fragment(const FragmentDefinition& fragment, Value::List arguments,
                      std::optional<PrimitiveType> generic, const SourceLocation& where, const Names* names,
                      const std::string& outer_prefix) {
    if (calls() >= options.limits.calls) {
      throw Error("recursion-limit",
                  "fragment calls are nested deeper than " + std::to_string(options.limits.calls) +
                      ": does `" + std::string(fragment.name) + "` call itself without an end?",
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

  std::vector<Value> run_fragment(const FragmentDefinition& fragment, Scope& scope,
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
               "the result `" + std::string(result.name) + "` of the fragment `" +
                   std::string(fragment.name) + "` is never assigned",
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

  static std::string first_name(const Names& names) {
    if (names.items.empty()) return names.name;
    return first_name(names.items.front());
  }

  std::vector<Value> run() {
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
};

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
