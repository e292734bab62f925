#include "nnef_parser/printer.h"

#include <charconv>
#include <cmath>

#include "nnef_parser/lexer.h"

namespace nnefrun {
namespace {

// Precedences of section 3.4; if/else is looser than every operator, unary operators and subscripts are
// tighter.
enum : int { kConditional = 0, kUnary = 7, kPrimary = 8 };

int precedence_of(const Expression& e) {
  switch (e.kind) {
    case ExpressionKind::conditional: return kConditional;
    case ExpressionKind::unary: return kUnary;
    case ExpressionKind::binary:
      switch (e.as<BinaryExpression>()->op()) {
        case BinaryOperator::in: return 1;
        case BinaryOperator::logical_and:
        case BinaryOperator::logical_or: return 2;
        case BinaryOperator::lt:
        case BinaryOperator::le:
        case BinaryOperator::gt:
        case BinaryOperator::ge:
        case BinaryOperator::eq:
        case BinaryOperator::ne: return 3;
        case BinaryOperator::add:
        case BinaryOperator::sub: return 4;
        case BinaryOperator::mul:
        case BinaryOperator::div: return 5;
        case BinaryOperator::pow: return 6;
      }
      return 1;
    case ExpressionKind::literal: {  // a sign makes it a unary expression
      const auto& literal = *e.as<Literal>();
      const bool negative = (literal.type() == LiteralType::integer && literal.integer < 0) ||
                            (literal.type() == LiteralType::scalar && std::signbit(literal.scalar));
      return negative ? kUnary : kPrimary;
    }
    default: return kPrimary;
  }
}

class Printer {
 public:
  explicit Printer(Dialect dialect) : dialect_(dialect) {}
  std::string out;

  void document(const Document& d) {
    out += "version " + std::to_string(d.version_major) + "." + std::to_string(d.version_minor) + ";\n";
    for (const auto& extension : d.extensions) {
      out += "extension ";
      out += extension.name;
      if (!extension.payload.empty()) out += " ";
      out += extension.payload;
      out += ";\n";
    }
    for (const auto& f : d.fragments) {
      out += "\n";
      fragment(f);
    }
    if (!d.graph) return;
    out += "\ngraph ";
    name(d.graph->name);
    names(d.graph->parameters);
    out += " -> ";
    names(d.graph->results);
    out += "\n";
    body(d.graph->body);
  }

  void fragment(const FragmentDefinition& f) {
    out += "fragment ";
    name(f.name);
    if (f.generic) {
      out += "<?";
      if (f.generic_default) {
        out += " = ";
        out += name_of(*f.generic_default);
      }
      out += ">";
    }
    out += "(";
    for (size_t i = 0; i < f.parameters.size(); ++i) {
      const Parameter& parameter = f.parameters[i];
      if (i) out += ", ";
      name(parameter.name);
      out += ": " + to_string(*parameter.type);
      if (parameter.default_value) {
        out += " = ";
        expression(*parameter.default_value, kConditional);
      }
    }
    out += ") -> (";
    for (size_t i = 0; i < f.results.size(); ++i) {
      if (i) out += ", ";
      name(f.results[i].name);
      out += ": " + to_string(*f.results[i].type);
    }
    out += ")";
    if (!f.has_body) {
      out += ";\n";
      return;
    }
    out += "\n";
    body(f.body);
  }

  // Parentheses are written when the expression binds looser than `minimum`.
  void expression(const Expression& e, int minimum) {
    const bool parentheses = precedence_of(e) < minimum;
    if (parentheses) out += "(";
    switch (e.kind) {
      case ExpressionKind::identifier: name(e.as<Identifier>()->name); break;
      case ExpressionKind::literal: literal(*e.as<Literal>()); break;
      case ExpressionKind::array: list(e.as<ArrayExpression>()->items, "[", "]"); break;
      case ExpressionKind::tuple: list(e.as<TupleExpression>()->items, "(", ")"); break;
      case ExpressionKind::unary:
        out += symbol_of(e.as<UnaryExpression>()->op());
        expression(*e.as<UnaryExpression>()->operand, kUnary);
        break;
      case ExpressionKind::binary: chain(e); break;
      case ExpressionKind::conditional: {
        const auto& conditional = *e.as<ConditionalExpression>();
        expression(*conditional.then_value, kConditional + 1);
        out += " if ";
        expression(*conditional.condition, kConditional + 1);
        out += " else ";
        expression(*conditional.else_value, kConditional);
        break;
      }
      case ExpressionKind::subscript:
        expression(*e.as<SubscriptExpression>()->target, kPrimary);
        out += "[";
        expression(*e.as<SubscriptExpression>()->index, kConditional);
        out += "]";
        break;
      case ExpressionKind::range: {
        const auto& range = *e.as<RangeExpression>();
        expression(*range.target, kPrimary);
        out += "[";
        if (range.begin) expression(*range.begin, kConditional);
        out += ":";
        if (range.end) expression(*range.end, kConditional);
        out += "]";
        break;
      }
      case ExpressionKind::comprehension: {
        const auto& comprehension = *e.as<Comprehension>();
        out += "[for ";
        for (size_t i = 0; i < comprehension.iterators.size(); ++i) {
          if (i) out += ", ";
          name(comprehension.iterators[i].name);
          out += " in ";
          expression(*comprehension.iterators[i].array, kConditional + 1);
        }
        if (comprehension.filter) {
          out += " if ";
          expression(*comprehension.filter, kConditional);
        }
        out += " yield ";
        expression(*comprehension.yield, kConditional);
        out += "]";
        break;
      }
      case ExpressionKind::invocation: invocation(*e.as<Invocation>()); break;
      case ExpressionKind::builtin:
        out += name_of(e.as<Builtin>()->function());
        out += "(";
        expression(*e.as<Builtin>()->operand, kConditional);
        out += ")";
        break;
    }
    if (parentheses) out += ")";
  }

 private:
  void name(std::string_view text) {
    // In these dialects the bare words are numbers.
    const bool number = (dialect_ == Dialect::tract && text == "inf") ||
                        (dialect_ == Dialect::engine && (text == "inf" || text == "nan"));
    if (number) {
      out += "i\"" + std::string(text) + "\"";
    } else if (is_plain_identifier(text)) {
      out += text;
    } else {
      out += printed_identifier(text);
    }
  }

  void names(const std::vector<GraphName>& list) {
    out += "(";
    for (size_t i = 0; i < list.size(); ++i) {
      if (i) out += ", ";
      name(list[i].name);
    }
    out += ")";
  }

  void body(const std::vector<Assignment>& assignments) {
    out += "{\n";
    for (const auto& assignment : assignments) {
      out += "    ";
      if (const auto* tuple = assignment.left->as<TupleExpression>(); tuple && tuple->items.size() > 1) {
        for (size_t i = 0; i < tuple->items.size(); ++i) {
          if (i) out += ", ";
          expression(*tuple->items[i], kConditional);
        }
      } else {
        expression(*assignment.left, kConditional);
      }
      out += " = ";
      expression(*assignment.right, kConditional);
      out += ";\n";
    }
    out += "}\n";
  }

  void literal(const Literal& literal) {
    switch (literal.type()) {
      case LiteralType::integer: out += std::to_string(literal.integer); break;
      case LiteralType::scalar: out += printed_scalar(literal.scalar); break;
      case LiteralType::logical: out += literal.logical ? "true" : "false"; break;
      case LiteralType::string: out += printed_string(literal.string()); break;
    }
  }

  void list(std::span<const Expression* const> items, const char* open, const char* close) {
    out += open;
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) out += ", ";
      expression(*items[i], kConditional);
    }
    out += close;
  }

  // a + b + c ...: the left spine is walked, not recursed into.
  void chain(const Expression& e) {
    std::vector<const BinaryExpression*> spine;
    const Expression* left = &e;
    while (const auto* binary = left->as<BinaryExpression>()) {
      if (!spine.empty() && precedence_of(*binary) < precedence_of(*spine.back())) break;
      spine.push_back(binary);
      left = binary->left;
    }
    expression(*left, precedence_of(*spine.back()));
    for (size_t i = spine.size(); i-- > 0;) {
      out += " ";
      out += symbol_of(spine[i]->op());
      out += " ";
      expression(*spine[i]->right, precedence_of(*spine[i]) + 1);
    }
  }

  void invocation(const Invocation& call) {
    name(call.name);
    if (call.generic) {
      out += "<";
      out += name_of(*call.generic);
      out += ">";
    }
    out += "(";
    for (size_t i = 0; i < call.arguments.size(); ++i) {
      if (i) out += ", ";
      if (!call.arguments[i].name.empty()) {
        name(call.arguments[i].name);
        out += " = ";
      }
      expression(*call.arguments[i].value, kConditional);
    }
    out += ")";
  }

  Dialect dialect_;
};

}  // namespace

std::string print(const Document& document) {
  Printer printer(document.dialect);
  printer.document(document);
  return std::move(printer.out);
}

std::string print(const FragmentDefinition& fragment) {
  Printer printer(Dialect::khronos);
  printer.fragment(fragment);
  return std::move(printer.out);
}

std::string print(const Expression& expression) {
  Printer printer(Dialect::khronos);
  printer.expression(expression, kConditional);
  return std::move(printer.out);
}

std::string printed_identifier(std::string_view name) {
  if (is_plain_identifier(name)) return std::string(name);
  std::string out = "i\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string printed_scalar(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string out(buffer, end);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

std::string printed_string(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

}  // namespace nnefrun
