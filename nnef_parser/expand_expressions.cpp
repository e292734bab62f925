#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "nnef_parser/evaluate.h"
#include "nnef_parser/expand_impl.h"

namespace nnefrun {

Value Expander::Impl::evaluate(const Expression& e, Scope& scope, const Names* names) {
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

Value Expander::Impl::identifier(const Identifier& e, Scope& scope) {
  const auto found = scope.values.find(e.name);
  if (found != scope.values.end()) return found->second;
  if (scope.unknown.count(e.name) != 0) throw Unknown();
  if (tract) {
    if (auto symbol = located(e.place, scope, [&] { return sink->symbol(e.name, may_create); }))
      return *symbol;
  }
  throw Error("unknown-identifier", "`" + std::string(e.name) + "` is used before anything is assigned to it",
              locate(e.place, scope))
      .note(tract ? "a symbol is declared by `extension tract_symbol " + std::string(e.name) + ";`"
                  : "the order of assignments matters: a name is assigned first, then used");
}

Value Expander::Impl::list(const Expression& e, Scope& scope, const Names* names) {
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

Value Expander::Impl::known(Value value) {
  if (value.is_wire()) {
    if (auto constant = sink->constant_of(value.as_wire())) return *std::move(constant);
  }
  return value;
}

bool Expander::Impl::condition(const Expression& e, Scope& scope) {
  const Value value = known(evaluate(e, scope));
  if (value.is_logical()) return value.as_logical();
  if (tract && value.is_integer()) return value.as_integer() != 0;
  fail("type-mismatch",
       value.is_wire() ? "the condition is a tensor; it must be known before the graph runs (use `select`)"
                       : "the condition must be logical, it is " + value.describe(),
       e.place, scope);
}

int64_t Expander::Impl::integer(const Expression& e, Scope& scope, const char* what) {
  const Value value = known(evaluate(e, scope));
  if (value.is_integer()) return value.as_integer();
  fail("type-mismatch", std::string(what) + " must be an integer, it is " + value.describe(), e.place, scope);
}

Value Expander::Impl::unary(const UnaryExpression& e, Scope& scope, const Names* names) {
  Value operand = evaluate(*e.operand, scope);
  if (operand.is_wire()) {
    return operation(operation_of(e.op()), {std::move(operand)}, e.place, scope, names);
  }
  return located(e.place, scope, [&] { return apply(e.op(), operand); });
}

Value Expander::Impl::binary(const BinaryExpression& e, Scope& scope, const Names* names) {
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

Value Expander::Impl::apply_binary(const BinaryExpression& e, Value left, Value right, Scope& scope,
                                   const Names* names) {
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

Value Expander::Impl::subscript(const SubscriptExpression& e, Scope& scope) {
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

Value Expander::Impl::range(const RangeExpression& e, Scope& scope) {
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

Value Expander::Impl::comprehension(const Comprehension& e, Scope& scope, const Names* names) {
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

Value Expander::Impl::builtin(const Builtin& e, Scope& scope) {
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

}  // namespace nnefrun
