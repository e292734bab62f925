#include "nnef_parser/document.h"

#include <algorithm>
#include <cstring>

namespace nnefrun {

std::string_view name_of(Dialect dialect) {
  switch (dialect) {
    case Dialect::automatic: return "auto";
    case Dialect::khronos: return "khronos";
    case Dialect::tract: return "tract";
    case Dialect::engine: return "engine";
  }
  return "";
}

std::string_view name_of(PrimitiveType type) {
  switch (type) {
    case PrimitiveType::integer: return "integer";
    case PrimitiveType::scalar: return "scalar";
    case PrimitiveType::logical: return "logical";
    case PrimitiveType::string: return "string";
    case PrimitiveType::complex: return "complex";
    case PrimitiveType::generic: return "?";
  }
  return "";
}

SourceLocation SourceText::locate(Place place) const {
  SourceLocation where;
  where.file = file;
  where.source = text;
  where.line = place.line;
  where.column = place.column;
  where.length = std::max(place.length, 1);
  return where;
}

std::string to_string(const TypeSpec& type) {
  switch (type.kind) {
    case TypeSpec::Kind::primitive: return std::string(name_of(*type.primitive));
    case TypeSpec::Kind::tensor:
      return "tensor<" + (type.primitive ? std::string(name_of(*type.primitive)) : std::string()) + ">";
    case TypeSpec::Kind::array: return to_string(*type.items[0]) + "[]";
    case TypeSpec::Kind::tuple: {
      std::string out = "(";
      for (size_t i = 0; i < type.items.size(); ++i) out += (i ? "," : "") + to_string(*type.items[i]);
      return out + ")";
    }
  }
  return "";
}

bool contains_tensor(const TypeSpec& type) {
  if (type.kind == TypeSpec::Kind::tensor) return true;
  return std::any_of(type.items.begin(), type.items.end(),
                     [](const TypeSpec* t) { return contains_tensor(*t); });
}

bool contains_generic(const TypeSpec& type) {
  if (type.primitive == PrimitiveType::generic) return true;
  return std::any_of(type.items.begin(), type.items.end(),
                     [](const TypeSpec* t) { return contains_generic(*t); });
}

std::string_view symbol_of(UnaryOperator op) {
  switch (op) {
    case UnaryOperator::plus: return "+";
    case UnaryOperator::minus: return "-";
    case UnaryOperator::logical_not: return "!";
  }
  return "";
}

std::string_view symbol_of(BinaryOperator op) {
  static constexpr std::string_view kSymbols[] = {
      "in", "&&", "||", "<", "<=", ">", ">=", "==", "!=", "+", "-", "*", "/", "^"};
  return kSymbols[static_cast<size_t>(op)];
}

std::string_view operation_of(UnaryOperator op) {
  switch (op) {
    case UnaryOperator::plus: return "copy";
    case UnaryOperator::minus: return "neg";
    case UnaryOperator::logical_not: return "not";
  }
  return "";
}

std::string_view operation_of(BinaryOperator op) {
  static constexpr std::string_view kNames[] = {"",   "and", "or",  "lt",  "le",  "gt",  "ge",
                                                "eq", "ne",  "add", "sub", "mul", "div", "pow"};
  return kNames[static_cast<size_t>(op)];
}

std::string_view name_of(BuiltinFunction function) {
  static constexpr std::string_view kNames[] = {"shape_of", "length_of", "range_of", "integer",
                                                "scalar",   "logical",   "string"};
  return kNames[static_cast<size_t>(function)];
}

int FragmentDefinition::parameter_index(std::string_view parameter) const {
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].name == parameter) return static_cast<int>(i);
  }
  return -1;
}

void Arena::grow(size_t bytes) {
  const size_t size = std::max(bytes, block_size_);
  blocks_.push_back(std::unique_ptr<std::byte[]>(new std::byte[size]));
  next_ = blocks_.back().get();
  left_ = size;
  block_size_ = std::min<size_t>(block_size_ * 2, size_t{1} << 20);
}

Document::Document() : source(std::make_shared<SourceText>()), arena_(std::make_unique<Arena>()) {}

const FragmentDefinition* Document::find_fragment(std::string_view name) const {
  for (const auto& fragment : fragments) {
    if (fragment.name == name) return &fragment;
  }
  return nullptr;
}

std::string_view Document::intern(std::string_view text) {
  if (text.empty()) return {};
  char* copy = static_cast<char*>(arena_->allocate(text.size()));
  std::memcpy(copy, text.data(), text.size());
  return {copy, text.size()};
}

const Identifier* Document::identifier(std::string_view name, Place place) {
  auto* node = make<Identifier>(ExpressionKind::identifier, place);
  node->name = intern(name);
  return node;
}

const Literal* Document::integer(int64_t value, Place place) {
  auto* node = make<Literal>(ExpressionKind::literal, place, static_cast<uint8_t>(LiteralType::integer));
  node->integer = value;
  return node;
}

const Literal* Document::scalar(double value, Place place) {
  auto* node = make<Literal>(ExpressionKind::literal, place, static_cast<uint8_t>(LiteralType::scalar));
  node->scalar = value;
  return node;
}

const Literal* Document::logical(bool value, Place place) {
  auto* node = make<Literal>(ExpressionKind::literal, place, static_cast<uint8_t>(LiteralType::logical));
  node->logical = value;
  return node;
}

const Literal* Document::string(std::string_view value, Place place) {
  auto* node = make<Literal>(ExpressionKind::literal, place, static_cast<uint8_t>(LiteralType::string));
  const std::string_view kept = intern(value);
  node->text = {kept.data(), kept.size()};
  return node;
}

const ArrayExpression* Document::array(std::span<const Expression* const> items, Place place) {
  auto* node = make<ArrayExpression>(ExpressionKind::array, place);
  node->items = keep(items.data(), items.size());
  return node;
}

const ArrayExpression* Document::integers(std::span<const int64_t> values) {
  std::vector<const Expression*> items;
  items.reserve(values.size());
  for (const int64_t value : values) items.push_back(integer(value));
  return array(items);
}

const TupleExpression* Document::tuple(std::span<const Expression* const> items, Place place) {
  auto* node = make<TupleExpression>(ExpressionKind::tuple, place);
  node->items = keep(items.data(), items.size());
  return node;
}

const UnaryExpression* Document::unary(UnaryOperator op, const Expression* operand, Place place) {
  auto* node = make<UnaryExpression>(ExpressionKind::unary, place, static_cast<uint8_t>(op));
  node->operand = operand;
  return node;
}

const BinaryExpression* Document::binary(BinaryOperator op, const Expression* left, const Expression* right,
                                         Place place) {
  auto* node = make<BinaryExpression>(ExpressionKind::binary, place, static_cast<uint8_t>(op));
  node->left = left;
  node->right = right;
  return node;
}

const Invocation* Document::call(std::string_view name, std::span<const Argument> arguments,
                                 std::optional<PrimitiveType> generic, Place place) {
  auto* node = make<Invocation>(ExpressionKind::invocation, place);
  node->name = intern(name);
  std::vector<Argument> kept(arguments.begin(), arguments.end());
  for (Argument& argument : kept) argument.name = intern(argument.name);
  node->arguments = keep(kept.data(), kept.size());
  node->generic = generic;
  return node;
}

namespace {

const TypeSpec* make_type(Document& document, const TypeSpec& spec) { return document.keep(&spec, 1).data(); }

}  // namespace

const TypeSpec* Document::type(PrimitiveType primitive) {
  return make_type(*this, {TypeSpec::Kind::primitive, primitive, {}});
}

const TypeSpec* Document::tensor_type(std::optional<PrimitiveType> item) {
  return make_type(*this, {TypeSpec::Kind::tensor, item, {}});
}

const TypeSpec* Document::array_type(const TypeSpec* item) {
  return make_type(*this, {TypeSpec::Kind::array, {}, keep(&item, 1)});
}

const TypeSpec* Document::tuple_type(std::span<const TypeSpec* const> items) {
  return make_type(*this, {TypeSpec::Kind::tuple, {}, keep(items.data(), items.size())});
}

}  // namespace nnefrun
