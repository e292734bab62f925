// Types of expressions (NNEF 1.0.5 sections 4 and 5).
#include <algorithm>

#include "nnef_parser/check_body.h"

namespace nnefrun::checking {

const Type* Body::type_of(const Expression& e) {
  switch (e.kind) {
    case ExpressionKind::identifier: {
      const auto& name = e.as<Identifier>()->name;
      const auto loop = loops_.find(name);
      if (loop != loops_.end()) return loop->second;
      const auto found = variables_.find(name);
      if (found != variables_.end()) return found->second.type;
      return fail("unknown-identifier", quoted(name) + " is used before anything is assigned to it", e.place);
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

const Type* Body::array(const ArrayExpression& e) {
  if (e.items.empty()) return types_.empty_array();
  const Type* item = nullptr;
  for (const Expression* expression : e.items) {
    const Type* next = type_of(*expression);
    const Type* common = item ? types_.common(item, next) : next;
    if (!common) {
      return fail(
          "type-mismatch",
          "the items of an array need a common type, found " + to_string(*item) + " and " + to_string(*next),
          expression->place);
    }
    item = common;
  }
  return types_.array(item);
}

const Type* Body::unary(const UnaryExpression& e) {
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

const Type* Body::chain(const BinaryExpression& e) {
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

const Type* Body::binary(const BinaryExpression& e, const Type* a, const Type* b) {
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
  return fail(
      "type-mismatch",
      "the operator `" + std::string(symbol_of(op)) + "` takes no " + to_string(*a) + " and " + to_string(*b),
      e.place);
}

const Type* Body::tensors(BinaryOperator op, const Type* a, const Type* b) {
  const bool logical = op == BinaryOperator::logical_and || op == BinaryOperator::logical_or;
  const bool equality = op == BinaryOperator::eq || op == BinaryOperator::ne;
  const bool compares = op >= BinaryOperator::lt && op <= BinaryOperator::ne;
  const auto operand = types_.tensor(logical ? PrimitiveType::logical : PrimitiveType::scalar);
  const bool fits = types_.converts(*a, *operand) && types_.converts(*b, *operand);
  const bool same_items = !context_.strict && equality && a->primitive && a->primitive == b->primitive;
  if (!fits && !same_items) return nullptr;
  return compares || logical ? types_.tensor(PrimitiveType::logical) : operand;
}

const Type* Body::primitives(BinaryOperator op, const Type* a, const Type* b) {
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

void Body::condition(const Expression& e) {
  const Type* type = type_of(e);
  if (type->is(Kind::unknown) || type->is_primitive(PrimitiveType::logical)) return;
  fail("type-mismatch",
       is_tensor(type) ? "a condition must be known before the graph runs, this one is " + to_string(*type)
                       : "a condition must be logical, this one is " + to_string(*type),
       e.place);
}

const Type* Body::conditional(const ConditionalExpression& e) {
  condition(*e.condition);
  const Type* a = type_of(*e.then_value);
  const Type* b = type_of(*e.else_value);
  if (const Type* common = types_.common(a, b)) return common;
  return fail("type-mismatch",
              "the branches of if/else need a common type, found " + to_string(*a) + " and " + to_string(*b),
              e.place);
}

void Body::index(const Expression& e) {
  const Type* type = type_of(e);
  if (type->is(Kind::unknown) || type->is_primitive(PrimitiveType::integer)) return;
  fail("type-mismatch", "a subscript must be an integer, this one is " + to_string(*type), e.place);
}

const Type* Body::subscript(const SubscriptExpression& e) {
  const Type* target = type_of(*e.target);
  index(*e.index);
  if (target->is(Kind::unknown)) return target;
  if (target->is(Kind::array)) return target->items[0];
  if (target->is(Kind::empty_array))
    return fail("index-out-of-range", "an empty array has no items", e.place);
  if (target->is_primitive(PrimitiveType::string)) return target;
  if (!target->is(Kind::tuple)) {
    return fail("type-mismatch", "only arrays, tuples and strings have subscripts, not " + to_string(*target),
                e.place);
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

const Type* Body::range(const RangeExpression& e) {
  const Type* target = type_of(*e.target);
  if (e.begin) index(*e.begin);
  if (e.end) index(*e.end);
  if (target->is(Kind::unknown) || target->is_array() || target->is_primitive(PrimitiveType::string))
    return target;
  return fail("type-mismatch", "only arrays and strings have ranges, not " + to_string(*target), e.place);
}

const Type* Body::comprehension(const Comprehension& e) {
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
    const bool again = std::any_of(e.iterators.begin(), e.iterators.begin() + static_cast<std::ptrdiff_t>(i),
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

const Type* Body::builtin(const Builtin& e) {
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

}  // namespace nnefrun::checking
