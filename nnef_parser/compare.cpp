// Equality of documents, and of what fragments compute (declared in document.h).
#include <bit>
#include <unordered_map>
#include <unordered_set>

#include "nnef_parser/document.h"

namespace nnefrun {
namespace {

using NameSet = std::unordered_set<std::string_view>;

// Compares two expressions with an explicit stack, so that long chains cannot exhaust the call stack. Names
// in `renamable` may differ as long as the correspondence is one to one.
class Comparison {
 public:
  Comparison() = default;
  Comparison(NameSet left, NameSet right) : left_names_(std::move(left)), right_names_(std::move(right)) {}

  bool equal(const Expression* a, const Expression* b) {
    open_.clear();
    push(a, b);
    while (!open_.empty()) {
      const auto [x, y] = open_.back();
      open_.pop_back();
      if (!x || !y) {
        if (x != y) return false;
        continue;
      }
      if (x->kind != y->kind || x->detail != y->detail || !node(*x, *y)) return false;
    }
    return true;
  }

  bool equal_names(std::string_view a, std::string_view b) {
    const bool renamable = left_names_.count(a) != 0;
    if (renamable != (right_names_.count(b) != 0)) return false;
    if (!renamable) return a == b;
    return forward_.emplace(a, b).first->second == b && backward_.emplace(b, a).first->second == a;
  }

 private:
  void push(const Expression* a, const Expression* b) { open_.emplace_back(a, b); }

  bool lists(std::span<const Expression* const> a, std::span<const Expression* const> b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) push(a[i], b[i]);
    return true;
  }

  static bool literals(const Literal& a, const Literal& b) {
    switch (a.type()) {
      case LiteralType::integer: return a.integer == b.integer;
      case LiteralType::logical: return a.logical == b.logical;
      case LiteralType::string: return a.string() == b.string();
      case LiteralType::scalar:
        if (a.scalar != a.scalar) return b.scalar != b.scalar;
        return std::bit_cast<uint64_t>(a.scalar) == std::bit_cast<uint64_t>(b.scalar);
    }
    return false;
  }

  bool node(const Expression& x, const Expression& y) {
    switch (x.kind) {
      case ExpressionKind::identifier: return equal_names(x.as<Identifier>()->name, y.as<Identifier>()->name);
      case ExpressionKind::literal: return literals(*x.as<Literal>(), *y.as<Literal>());
      case ExpressionKind::array:
        return lists(x.as<ArrayExpression>()->items, y.as<ArrayExpression>()->items);
      case ExpressionKind::tuple:
        return lists(x.as<TupleExpression>()->items, y.as<TupleExpression>()->items);
      case ExpressionKind::range: {
        const auto &a = *x.as<RangeExpression>(), &b = *y.as<RangeExpression>();
        push(a.target, b.target);
        push(a.begin, b.begin);
        push(a.end, b.end);
        return true;
      }
      case ExpressionKind::comprehension: {
        const auto &a = *x.as<Comprehension>(), &b = *y.as<Comprehension>();
        if (a.iterators.size() != b.iterators.size()) return false;
        for (size_t i = 0; i < a.iterators.size(); ++i) {
          if (!equal_names(a.iterators[i].name, b.iterators[i].name)) return false;
          push(a.iterators[i].array, b.iterators[i].array);
        }
        push(a.filter, b.filter);
        push(a.yield, b.yield);
        return true;
      }
      case ExpressionKind::invocation: {
        const auto &a = *x.as<Invocation>(), &b = *y.as<Invocation>();
        if (a.name != b.name || a.generic != b.generic || a.arguments.size() != b.arguments.size())
          return false;
        for (size_t i = 0; i < a.arguments.size(); ++i) {
          if (a.arguments[i].name != b.arguments[i].name) return false;
          push(a.arguments[i].value, b.arguments[i].value);
        }
        return true;
      }
      case ExpressionKind::unary:
      case ExpressionKind::binary:
      case ExpressionKind::conditional:
      case ExpressionKind::subscript:
      case ExpressionKind::builtin: {
        const size_t begin = open_.size();
        for_each_operand(x, [&](const Expression& operand) { push(&operand, nullptr); });
        size_t at = begin;
        for_each_operand(y, [&](const Expression& operand) { open_[at++].second = &operand; });
        return true;
      }
    }
    return false;
  }

  std::vector<std::pair<const Expression*, const Expression*>> open_;
  NameSet left_names_, right_names_;
  std::unordered_map<std::string_view, std::string_view> forward_, backward_;
};

bool same_defaults(const Expression* a, const Expression* b) {
  if (!a || !b) return a == b;
  return same(*a, *b);
}

bool same_bodies(const std::vector<Assignment>& a, const std::vector<Assignment>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!same(*a[i].left, *b[i].left) || !same(*a[i].right, *b[i].right)) return false;
  }
  return true;
}

bool same_names(const std::vector<GraphName>& a, const std::vector<GraphName>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].name != b[i].name) return false;
  }
  return true;
}

// Names that a body introduces: results, left sides and loop variables.
NameSet local_names(const FragmentDefinition& fragment) {
  NameSet names;
  std::vector<const Expression*> open;
  for (const auto& result : fragment.results) names.insert(result.name);
  for (const auto& assignment : fragment.body) {
    open.push_back(assignment.left);
    while (!open.empty()) {
      const Expression* e = open.back();
      open.pop_back();
      if (const auto* identifier = e->as<Identifier>()) names.insert(identifier->name);
      for_each_operand(*e, [&](const Expression& operand) { open.push_back(&operand); });
    }
    open.push_back(assignment.right);
    while (!open.empty()) {
      const Expression* e = open.back();
      open.pop_back();
      if (const auto* comprehension = e->as<Comprehension>()) {
        for (const auto& iterator : comprehension->iterators) names.insert(iterator.name);
      }
      for_each_operand(*e, [&](const Expression& operand) { open.push_back(&operand); });
    }
  }
  for (const auto& parameter : fragment.parameters) names.erase(parameter.name);
  return names;
}

}  // namespace

bool same(const Expression& a, const Expression& b) { return Comparison().equal(&a, &b); }

bool same(const TypeSpec& a, const TypeSpec& b) {
  if (a.kind != b.kind || a.primitive != b.primitive || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    if (!same(*a.items[i], *b.items[i])) return false;
  }
  return true;
}

bool same(const FragmentDefinition& a, const FragmentDefinition& b) {
  if (a.name != b.name || a.generic != b.generic || a.generic_default != b.generic_default ||
      a.has_body != b.has_body || a.parameters.size() != b.parameters.size() ||
      a.results.size() != b.results.size()) {
    return false;
  }
  for (size_t i = 0; i < a.parameters.size(); ++i) {
    const Parameter &p = a.parameters[i], &q = b.parameters[i];
    if (p.name != q.name || !same(*p.type, *q.type) || !same_defaults(p.default_value, q.default_value))
      return false;
  }
  for (size_t i = 0; i < a.results.size(); ++i) {
    if (a.results[i].name != b.results[i].name || !same(*a.results[i].type, *b.results[i].type)) return false;
  }
  return same_bodies(a.body, b.body);
}

bool same(const Document& a, const Document& b) {
  if (a.version_major != b.version_major || a.version_minor != b.version_minor || a.dialect != b.dialect ||
      a.extensions.size() != b.extensions.size() || a.fragments.size() != b.fragments.size() ||
      a.graph.has_value() != b.graph.has_value()) {
    return false;
  }
  for (size_t i = 0; i < a.extensions.size(); ++i) {
    if (a.extensions[i].name != b.extensions[i].name || a.extensions[i].payload != b.extensions[i].payload) {
      return false;
    }
  }
  for (size_t i = 0; i < a.fragments.size(); ++i) {
    if (!same(a.fragments[i], b.fragments[i])) return false;
  }
  if (!a.graph) return true;
  return a.graph->name == b.graph->name && same_names(a.graph->parameters, b.graph->parameters) &&
         same_names(a.graph->results, b.graph->results) && same_bodies(a.graph->body, b.graph->body);
}

bool same_computation(const FragmentDefinition& a, const FragmentDefinition& b) {
  if (!a.has_body || !b.has_body || a.parameters.size() != b.parameters.size() ||
      a.results.size() != b.results.size() || a.body.size() != b.body.size()) {
    return false;
  }
  for (size_t i = 0; i < a.parameters.size(); ++i) {
    const Parameter &p = a.parameters[i], &q = b.parameters[i];
    if (p.name != q.name || !same_defaults(p.default_value, q.default_value)) return false;
  }
  Comparison comparison(local_names(a), local_names(b));
  for (size_t i = 0; i < a.results.size(); ++i) {
    if (!comparison.equal_names(a.results[i].name, b.results[i].name)) return false;
  }
  for (size_t i = 0; i < a.body.size(); ++i) {
    if (!comparison.equal(a.body[i].left, b.body[i].left) ||
        !comparison.equal(a.body[i].right, b.body[i].right)) {
      return false;
    }
  }
  return true;
}

}  // namespace nnefrun
