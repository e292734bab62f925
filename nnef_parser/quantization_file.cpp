#include "nnef_parser/quantization_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <unordered_set>

#include "nnef_parser/lexer.h"
#include "quant/affine.h"

namespace nnefrun {
namespace {

constexpr int kMaxDepth = 16;  // of arrays; a tensor has at most 8 axes

class QuantizationParser {
 public:
  QuantizationParser(const SourceText& source, bool strict)
      : source_(source), lexer_(&source, strict), strict_(strict) {}

  std::vector<QuantizationEntry> run() {
    advance();
    std::vector<QuantizationEntry> entries;
    std::unordered_set<std::string> keys;
    while (!at(TokenKind::end)) {
      entries.push_back(entry());
      const QuantizationEntry& last = entries.back();
      if (!keys.insert(last.key).second) {
        throw Error("quant-duplicate-key", "the quantisation of `" + last.key + "` is given twice",
                    last.where);
      }
    }
    return entries;
  }

 private:
  bool at(TokenKind kind) const { return current_.kind == kind; }
  void advance() { current_ = lexer_.next(); }
  SourceLocation here() const { return source_.locate(current_.place); }
  Error expected(const std::string& what) const {
    return Error("unexpected-token", "expected " + what + ", found " + describe(current_), here());
  }
  void expect(TokenKind kind, const std::string& what) {
    if (!at(kind)) throw expected(what);
    advance();
  }
  // Words such as `signed` are identifiers here, whatever the graph's grammar reserves.
  bool at_name() const { return at(TokenKind::identifier) || current_.kind >= TokenKind::kw_version; }

  QuantizationEntry entry() {
    QuantizationEntry out;
    if (!at(TokenKind::string) && !at(TokenKind::quoted_identifier)) {
      throw expected("the name of a tensor in quotes");
    }
    out.key = unescaped(current_.text);
    out.where = here();
    advance();
    expect(TokenKind::colon, "`:` after the name `" + out.key + "`");
    if (!at_name()) throw expected("the name of a quantisation");
    out.operation = std::string(current_.text);
    out.operation_where = here();
    advance();
    expect(TokenKind::left_parenthesis, "`(` after `" + out.operation + "`");
    while (!at(TokenKind::right_parenthesis)) {
      out.arguments.push_back(argument(out));
      if (at(TokenKind::comma)) {
        advance();
        if (at(TokenKind::right_parenthesis) && strict_) throw expected("an argument");
      } else if (!at(TokenKind::right_parenthesis) && (strict_ || !at_name())) {
        throw expected("`,` or `)`");
      }
    }
    advance();
    if (at(TokenKind::semicolon)) {
      advance();
    } else if (strict_ ||
               !(at(TokenKind::string) || at(TokenKind::quoted_identifier) || at(TokenKind::end))) {
      throw expected("`;`");
    }
    return out;
  }

  QuantizationArgument argument(const QuantizationEntry& entry) {
    QuantizationArgument out;
    out.where = here();
    if (!at_name() || !lexer_.assignment_follows()) {
      if (at_name() && !at(TokenKind::kw_true) && !at(TokenKind::kw_false)) {
        advance();
        throw expected("`=` after the argument's name");
      }
      if (at(TokenKind::end)) throw expected("an argument or `)`");
      throw Error("quant-positional",
                  "the arguments of `" + entry.operation + "` are written with their names, found " +
                      describe(current_),
                  out.where);
    }
    out.name = std::string(current_.text);
    if (entry.find(out.name) != nullptr) {
      throw Error("quant-duplicate-argument", "the argument `" + out.name + "` is given twice", out.where);
    }
    advance();
    expect(TokenKind::equals, "`=`");
    const SourceLocation where = here();
    out.value = value(0);
    Shape shape;
    if (!rectangular(out.value, shape, 0)) {
      throw Error("quant-jagged",
                  "the array for `" + out.name + "` of `" + entry.key + "` is not rectangular", where);
    }
    return out;
  }

  Value value(int depth) {
    if (depth > kMaxDepth) {
      throw Error("nesting-limit", "arrays nested deeper than " + std::to_string(kMaxDepth) + " levels",
                  here());
    }
    if (at(TokenKind::left_bracket)) {
      advance();
      Value::List items;
      while (!at(TokenKind::right_bracket)) {
        items.push_back(value(depth + 1));
        if (at(TokenKind::comma)) {
          advance();
        } else if (!at(TokenKind::right_bracket)) {
          throw expected("`,` or `]`");
        }
      }
      advance();
      return Value::array(std::move(items));
    }
    const bool negative = at(TokenKind::minus);
    if (negative) advance();
    const Token token = current_;
    if (at(TokenKind::number)) {
      advance();
      if (!token.is_scalar) return Value::integer(integer_value(token, negative, source_));
      const double magnitude = scalar_value(token, source_);
      return Value::scalar(negative ? -magnitude : magnitude);
    }
    if (!negative && (at(TokenKind::kw_true) || at(TokenKind::kw_false))) {
      advance();
      return Value::logical(token.kind == TokenKind::kw_true);
    }
    if (!negative && at(TokenKind::string)) {
      advance();
      return Value::string(unescaped(token.text));
    }
    if (at_name() || at(TokenKind::left_parenthesis)) {
      throw Error("quant-not-literal", "graph.quant holds only literals, found " + describe(current_),
                  here());
    }
    throw expected("a literal");
  }

  // Adds the extents of nested arrays to `shape` where it does not know them yet.
  static bool rectangular(const Value& value, Shape& shape, size_t axis) {
    if (!value.is_array()) return axis == shape.size();
    const auto extent = static_cast<int64_t>(value.items().size());
    if (axis == shape.size()) {
      shape.push_back(extent);
      for (const Value* inner = &value; !inner->items().empty() && inner->items()[0].is_array();) {
        inner = &inner->items()[0];
        shape.push_back(static_cast<int64_t>(inner->items().size()));
      }
    }
    if (shape[axis] != extent) return false;
    return std::all_of(value.items().begin(), value.items().end(), [&](const Value& item) {
      return item.is_array() == (axis + 1 < shape.size()) && rectangular(item, shape, axis + 1);
    });
  }

  const SourceText& source_;
  Lexer lexer_;
  bool strict_;
  Token current_;
};

void flatten(const Value& value, CodeParameter& out, size_t axis, const QuantizationArgument& argument) {
  if (value.is_array()) {
    if (axis == out.shape.size()) out.shape.push_back(static_cast<int64_t>(value.items().size()));
    if (value.items().empty()) {
      throw Error("quant-argument", "the array for `" + argument.name + "` is empty", argument.where);
    }
    for (const Value& item : value.items()) flatten(item, out, axis + 1, argument);
  } else if (value.is_integer()) {
    out.values.push_back(static_cast<double>(value.as_integer()));
  } else if (value.is_scalar()) {
    out.values.push_back(value.as_scalar());
  } else {
    throw Error("quant-argument", "`" + argument.name + "` takes numbers, found " + value.describe(),
                argument.where);
  }
}

// Reads and checks the arguments of one entry.
class FormatReader {
 public:
  explicit FormatReader(const QuantizationEntry& entry) : entry_(entry) {}

  void check_names(const std::vector<std::string_view>& known) const {
    for (const QuantizationArgument& argument : entry_.arguments) {
      if (std::find(known.begin(), known.end(), argument.name) != known.end()) continue;
      const bool tensor = argument.name == "x";
      throw Error("quant-unknown-argument",
                  "`" + entry_.operation + "` of `" + entry_.key + "` has no argument `" + argument.name +
                      "`" + (tensor ? " here: the quantised tensor itself is implied" : ""),
                  argument.where);
    }
  }
  const QuantizationArgument& get(std::string_view name) const {
    const QuantizationArgument* argument = entry_.find(name);
    if (argument == nullptr) {
      throw Error(
          "quant-missing-argument",
          "`" + entry_.operation + "` of `" + entry_.key + "` needs the argument `" + std::string(name) + "`",
          entry_.operation_where);
    }
    return *argument;
  }
  bool logical(std::string_view name) const {
    const QuantizationArgument& argument = get(name);
    if (!argument.value.is_logical()) {
      throw Error("quant-argument",
                  "`" + argument.name + "` takes true or false, found " + argument.value.describe(),
                  argument.where);
    }
    return argument.value.as_logical();
  }
  int bits(int64_t most) const {
    const QuantizationArgument& argument = get("bits");
    const int64_t bits = argument.value.is_integer() ? argument.value.as_integer() : 0;
    if (bits < 1 || bits > most) {
      throw Error("quant-bits",
                  "`bits` of `" + entry_.key + "` must be 1 to " + std::to_string(most) + ", found " +
                      argument.value.to_string(),
                  argument.where);
    }
    return static_cast<int>(bits);
  }
  CodeParameter numbers(std::string_view name) const {
    const QuantizationArgument& argument = get(name);
    CodeParameter out;
    flatten(argument.value, out, 0, argument);
    return out;
  }
  // Throws with `code` unless all values pass.
  template <class Good>
  void require(const CodeParameter& parameter, std::string_view name, const char* code,
               const std::string& rule, const Good& good) const {
    for (const double value : parameter.values) {
      if (!good(value)) {
        throw Error(code,
                    "`" + std::string(name) + "` of `" + entry_.key + "` must be " + rule + ", found " +
                        get(name).value.to_string(),
                    get(name).where);
      }
    }
  }
  void check_range(const CodeParameter& min, const CodeParameter& max) const {
    const auto finite = [](double v) { return std::isfinite(static_cast<float>(v)); };
    require(min, "min", "quant-min-max", "finite", finite);
    require(max, "max", "quant-min-max", "finite", finite);
    if (!min.is_scalar() && !max.is_scalar() && min.shape != max.shape) {
      throw Error("quant-shape",
                  "`min` and `max` of `" + entry_.key + "` have the shapes " + to_string(min.shape) +
                      " and " + to_string(max.shape),
                  get("max").where);
    }
    for (size_t i = 0; i < std::max(min.values.size(), max.values.size()); ++i) {
      if (min.values[min.is_scalar() ? 0 : i] > max.values[max.is_scalar() ? 0 : i]) {
        throw Error("quant-min-max", "`min` of `" + entry_.key + "` is above `max`", get("min").where);
      }
    }
  }

 private:
  const QuantizationEntry& entry_;
};

std::string number_text(double value) {
  char buffer[64];
  const auto [end, status] = std::to_chars(buffer, buffer + sizeof buffer, static_cast<float>(value));
  std::string text(buffer, end);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  const size_t exponent = text.find('e');
  if (exponent != std::string::npos && text.find('.') == std::string::npos) text.insert(exponent, ".0");
  return text;
}

template <class Text>
std::string parameter_text(const CodeParameter& parameter, const Text& text, size_t axis, size_t& at) {
  if (axis == parameter.shape.size()) return text(parameter.values[at++]);
  std::string out = "[";
  for (int64_t i = 0; i < parameter.shape[axis]; ++i) {
    out += (i > 0 ? ", " : "") + parameter_text(parameter, text, axis + 1, at);
  }
  return out + "]";
}

}  // namespace

const QuantizationArgument* QuantizationEntry::find(std::string_view name) const {
  for (const QuantizationArgument& argument : arguments) {
    if (argument.name == name) return &argument;
  }
  return nullptr;
}

std::vector<QuantizationEntry> parse_quantization_file(std::string text, std::string file, Dialect dialect) {
  SourceText source;
  source.file = std::make_shared<const std::string>(std::move(file));
  source.text = std::make_shared<const std::string>(std::move(text));
  return QuantizationParser(source, dialect == Dialect::khronos).run();
}

std::optional<CodeFormat> code_format_of(const QuantizationEntry& entry, Dialect dialect) {
  const FormatReader read(entry);
  CodeFormat out;
  if (entry.operation == "zero_point_linear_quantize") {
    read.check_names({"zero_point", "scale", "bits", "signed", "symmetric"});
    out.kind = CodeFormat::Kind::zero_point;
    out.bits = read.bits(32);
    out.is_signed = read.logical("signed");
    out.symmetric =
        (dialect == Dialect::khronos || entry.find("symmetric") != nullptr) && read.logical("symmetric");
    out.first = read.numbers("zero_point");
    out.second = read.numbers("scale");
    read.require(out.second, "scale", "quant-scale", "finite and above 0",
                 [](double v) { return std::isfinite(static_cast<float>(v)) && static_cast<float>(v) > 0; });
    const CodeRange range = code_range(out.bits, out.is_signed);
    const auto high = std::min<int64_t>(range.high, INT32_MAX);  // what a zero point can be in memory
    read.require(
        out.first, "zero_point", "quant-zero-point",
        "an integer from " + std::to_string(range.low) + " to " + std::to_string(high), [&](double v) {
          return v == std::floor(v) && v >= static_cast<double>(range.low) && v <= static_cast<double>(high);
        });
    return out;
  }
  if (entry.operation == "min_max_linear_quantize" || entry.operation == "linear_quantize") {
    const bool plain = entry.operation == "linear_quantize";
    read.check_names(plain ? std::vector<std::string_view>{"min", "max", "bits"}
                           : std::vector<std::string_view>{"min", "max", "bits", "signed", "symmetric"});
    out.kind = CodeFormat::Kind::min_max;
    out.bits = read.bits(64);
    out.is_signed = !plain && read.logical("signed");
    out.symmetric = !plain && (dialect == Dialect::khronos || entry.find("symmetric") != nullptr) &&
                    read.logical("symmetric");
    out.first = read.numbers("min");
    out.second = read.numbers("max");
    read.check_range(out.first, out.second);
    if (plain && (dialect == Dialect::tract || dialect == Dialect::engine) && out.first.is_scalar() &&
        out.second.is_scalar()) {
      const auto min = static_cast<float>(out.first.values[0]),
                 max = static_cast<float>(out.second.values[0]);
      if (min == max) {
        throw Error("quant-min-max", "`min` of `" + entry.key + "` equals `max`, which leaves a scale of 0",
                    entry.find("min")->where);
      }
      const AffineQuantization affine = affine_from_min_max(min, max);
      out.kind = CodeFormat::Kind::zero_point;
      out.is_signed = true;
      out.first.values[0] = affine.zero_point;
      out.second.values[0] = affine.scale;
    }
    return out;
  }
  if (entry.operation == "logarithmic_quantize") {
    read.check_names({"max", "bits"});
    out.kind = CodeFormat::Kind::logarithmic;
    out.bits = read.bits(64);
    out.is_signed = false;
    out.second = read.numbers("max");
    read.require(out.second, "max", "quant-min-max", "finite and above 0",
                 [](double v) { return std::isfinite(static_cast<float>(v)) && v > 0; });
    return out;
  }
  return std::nullopt;
}

std::string to_text(const std::string& key, const CodeFormat& format) {
  const auto integers = [](double v) { return std::to_string(static_cast<int64_t>(v)); };
  const auto list = [](const CodeParameter& parameter, const auto& text) {
    size_t at = 0;
    return parameter_text(parameter, text, 0, at);
  };
  std::string out = "\"";
  for (const char c : key) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += "\": ";
  switch (format.kind) {
    case CodeFormat::Kind::zero_point:
      out += "zero_point_linear_quantize(zero_point = " + list(format.first, integers) +
             ", scale = " + list(format.second, number_text);
      break;
    case CodeFormat::Kind::min_max:
      out += "min_max_linear_quantize(min = " + list(format.first, number_text) +
             ", max = " + list(format.second, number_text);
      break;
    case CodeFormat::Kind::logarithmic:
      out += "logarithmic_quantize(max = " + list(format.second, number_text);
      break;
  }
  out += ", bits = " + std::to_string(format.bits);
  if (format.kind != CodeFormat::Kind::logarithmic) {
    out += std::string(", signed = ") + (format.is_signed ? "true" : "false");
    out += std::string(", symmetric = ") + (format.symmetric ? "true" : "false");
  }
  return out + ");\n";
}

}  // namespace nnefrun
