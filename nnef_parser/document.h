// Document: what a graph.nnef says, in the specification's nouns (NNEF 1.0.5 sections 2-6; tract OPL section
// 2).
//
// A Document knows no shapes and no element types beyond the written ones. Its nodes are small, immutable and
// live in the document's arena; names and strings are views of the source text or of the arena, so everything
// that was taken from a Document is valid exactly as long as the Document (moving it is harmless). Reading a
// Document from several threads is safe, building one is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace nnefrun {

// How a text is read. `automatic` is only a request: a document that declares `extension nnefrun_engine 1;`
// is read as `engine` whatever was asked for, one that declares a `tract_*` extension as `tract`, and any
// other one as a lenient `khronos`. Asking for `khronos` means the strict reading of the 1.0.5 text.
enum class Dialect : uint8_t { automatic, khronos, tract, engine };
std::string_view name_of(Dialect dialect);

// `complex` exists in tract's dialect only; `generic` is the placeholder `?`.
enum class PrimitiveType : uint8_t { integer, scalar, logical, string, complex, generic };
std::string_view name_of(PrimitiveType type);

// A place in the document's text; 1-based, line 0 when the node was not read from a text.
struct Place {
  int32_t line = 0;
  int32_t column = 0;
  int32_t length = 0;
};

// The text behind a document and its name in messages.
struct SourceText {
  std::shared_ptr<const std::string> file;
  std::shared_ptr<const std::string> text;
  SourceLocation locate(Place place) const;
};

struct TypeSpec {
  enum class Kind : uint8_t { primitive, tensor, array, tuple };
  Kind kind = Kind::primitive;
  std::optional<PrimitiveType>
      primitive;  // primitive: the type. tensor: the item type, absent for `tensor<>`
  std::span<const TypeSpec* const> items;  // array: the one item type. tuple: two or more
};
// As it is written in a declaration, e.g. "(integer,scalar)[]".
std::string to_string(const TypeSpec& type);
bool contains_tensor(const TypeSpec& type);
bool contains_generic(const TypeSpec& type);

enum class ExpressionKind : uint8_t {
  identifier,
  literal,
  array,
  tuple,
  unary,
  binary,
  conditional,
  subscript,
  range,
  comprehension,
  invocation,
  builtin
};

enum class UnaryOperator : uint8_t { plus, minus, logical_not };
enum class BinaryOperator : uint8_t {
  in,
  logical_and,
  logical_or,
  lt,
  le,
  gt,
  ge,
  eq,
  ne,
  add,
  sub,
  mul,
  div,
  pow
};
std::string_view symbol_of(UnaryOperator op);   // "-"
std::string_view symbol_of(BinaryOperator op);  // "<="
// The standard operation that the operator stands for when an operand is a tensor ("le"); "" for `in`.
std::string_view operation_of(UnaryOperator op);
std::string_view operation_of(BinaryOperator op);
enum class BuiltinFunction : uint8_t { shape_of, length_of, range_of, integer, scalar, logical, string };
std::string_view name_of(BuiltinFunction function);

struct Expression {
  ExpressionKind kind;
  uint8_t detail = 0;  // the literal type, operator or function of the node
  Place place;

  // The node as its own type; null when it is another one.
  template <class T>
  const T* as() const {
    return kind == T::kKind ? static_cast<const T*>(this) : nullptr;
  }
};

struct Identifier : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::identifier;
  std::string_view name;
};

enum class LiteralType : uint8_t { integer, scalar, logical, string };
struct Literal : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::literal;
  struct Text {
    const char* data;
    size_t size;
  };
  union {
    int64_t integer;
    double scalar;
    bool logical;
    Text text;
  };
  LiteralType type() const { return static_cast<LiteralType>(detail); }
  std::string_view string() const { return {text.data, text.size}; }  // REQUIRES: type() is string
};

struct ArrayExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::array;
  std::span<const Expression* const> items;
};

struct TupleExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::tuple;
  std::span<const Expression* const> items;
};

struct UnaryExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::unary;
  const Expression* operand;
  UnaryOperator op() const { return static_cast<UnaryOperator>(detail); }
};

// place is that of the operator. The left spine of a chain may be long (a + b + c + ...): walk it, do not
// recurse.
struct BinaryExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::binary;
  const Expression* left;
  const Expression* right;
  BinaryOperator op() const { return static_cast<BinaryOperator>(detail); }
};

// then_value if condition else else_value
struct ConditionalExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::conditional;
  const Expression* then_value;
  const Expression* condition;
  const Expression* else_value;
};

struct SubscriptExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::subscript;
  const Expression* target;
  const Expression* index;
};

struct RangeExpression : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::range;
  const Expression* target;
  const Expression* begin;  // null when left out
  const Expression* end;    // null when left out
};

struct ComprehensionIterator {
  std::string_view name;
  const Expression* array;
  Place place;  // of the name
};
struct Comprehension : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::comprehension;
  std::span<const ComprehensionIterator> iterators;
  const Expression* filter;  // null without `if`
  const Expression* yield;
};

struct Argument {
  std::string_view name;  // empty when positional
  const Expression* value;
  Place place;  // of the name, or of the value
};
struct Invocation : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::invocation;
  std::string_view name;
  std::span<const Argument> arguments;
  std::optional<PrimitiveType> generic;  // of name<type>(...)
};

struct Builtin : Expression {
  static constexpr ExpressionKind kKind = ExpressionKind::builtin;
  const Expression* operand;
  BuiltinFunction function() const { return static_cast<BuiltinFunction>(detail); }
};

// left is an Identifier, or arrays and tuples of identifiers.
struct Assignment {
  const Expression* left;
  const Expression* right;
  Place place;
};

struct Parameter {
  std::string_view name;
  const TypeSpec* type;
  const Expression* default_value;  // null without one
  Place place;
};

struct Result {
  std::string_view name;
  const TypeSpec* type;
  Place place;
};

struct FragmentDefinition {
  std::string_view name;
  bool generic = false;                          // has <?>
  std::optional<PrimitiveType> generic_default;  // of <? = type>
  std::vector<Parameter> parameters;
  std::vector<Result> results;
  bool has_body = false;  // without one it only declares an operation
  std::vector<Assignment> body;
  Place place;                         // of the name
  const SourceText* source = nullptr;  // owned by the document
  SourceLocation locate(Place at) const { return source ? source->locate(at) : SourceLocation{}; }
  // Index of the parameter; -1 when there is none of that name.
  int parameter_index(std::string_view parameter) const;
};

struct Extension {
  std::string_view name;
  std::string_view payload;  // what follows the name up to the semicolon, trimmed: "tract_core", "S >= 1"
  Place place;               // of the name
};

struct GraphName {
  std::string_view name;
  Place place;
};

struct GraphDefinition {
  std::string_view name;
  std::vector<GraphName> parameters;
  std::vector<GraphName> results;
  std::vector<Assignment> body;
  Place place;  // of the name
};

// Bump allocation of trivially destructible things.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  void* allocate(size_t bytes) {
    bytes = (bytes + 7) & ~size_t{7};
    if (bytes > left_) grow(bytes);
    std::byte* at = next_;
    next_ += bytes;
    left_ -= bytes;
    return at;
  }

 private:
  void grow(size_t bytes);
  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::byte* next_ = nullptr;
  size_t left_ = 0;
  size_t block_size_ = 4096;
};

class Document {
 public:
  Document();
  Document(Document&&) = default;
  Document& operator=(Document&&) = default;

  int version_major = 1;
  int version_minor = 0;
  Dialect dialect = Dialect::khronos;  // as it was read: never `automatic`
  bool strict = false;                 // the strict reading of Khronos' text was asked for
  std::vector<Extension> extensions;
  std::vector<FragmentDefinition> fragments;
  std::optional<GraphDefinition> graph;  // absent only in libraries of declarations
  std::shared_ptr<const SourceText> source;

  // The first fragment of that name; null when there is none. Linear in the number of fragments.
  const FragmentDefinition* find_fragment(std::string_view name) const;
  SourceLocation locate(Place place) const { return source->locate(place); }

  // Building. Strings are copied into the document.
  std::string_view intern(std::string_view text);
  const Identifier* identifier(std::string_view name, Place place = {});
  const Literal* integer(int64_t value, Place place = {});
  const Literal* scalar(double value, Place place = {});
  const Literal* logical(bool value, Place place = {});
  const Literal* string(std::string_view value, Place place = {});
  const ArrayExpression* array(std::span<const Expression* const> items, Place place = {});
  const ArrayExpression* integers(std::span<const int64_t> values);
  const TupleExpression* tuple(std::span<const Expression* const> items, Place place = {});
  const UnaryExpression* unary(UnaryOperator op, const Expression* operand, Place place = {});
  const BinaryExpression* binary(BinaryOperator op, const Expression* left, const Expression* right,
                                 Place place = {});
  const Invocation* call(std::string_view name, std::span<const Argument> arguments,
                         std::optional<PrimitiveType> generic = {}, Place place = {});
  const TypeSpec* type(PrimitiveType primitive);
  const TypeSpec* tensor_type(std::optional<PrimitiveType> item);
  const TypeSpec* array_type(const TypeSpec* item);
  const TypeSpec* tuple_type(std::span<const TypeSpec* const> items);

  // For the parser: a node in the arena, and a copy of a list there. T is trivially destructible.
  template <class T>
  T* make(ExpressionKind kind, Place place, uint8_t detail = 0) {
    T* node = new (arena_->allocate(sizeof(T))) T{};
    node->kind = kind;
    node->detail = detail;
    node->place = place;
    return node;
  }
  template <class T>
  std::span<const T> keep(const T* items, size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= 8);
    if (count == 0) return {};
    T* copy = static_cast<T*>(arena_->allocate(count * sizeof(T)));
    for (size_t i = 0; i < count; ++i) new (copy + i) T(items[i]);
    return {copy, count};
  }

 private:
  std::unique_ptr<Arena> arena_;
};

// Equal but for places, spelling and white space: what parse-print-parse keeps. NaN literals are equal to
// each other.
bool same(const Expression& a, const Expression& b);
bool same(const TypeSpec& a, const TypeSpec& b);
bool same(const FragmentDefinition& a, const FragmentDefinition& b);
bool same(const Document& a, const Document& b);

// Whether two fragments compute the same by their texts: equal parameters (names, order, defaults; types are
// not compared) and bodies that are equal up to the names of results and locals. Both need a body.
bool same_computation(const FragmentDefinition& a, const FragmentDefinition& b);

// Calls visit(invocation) for every invocation inside, in no particular order; no recursion.
template <class Visit>
void for_each_invocation(const Expression& expression, const Visit& visit);

// Direct operands of a node, null ones left out, in textual order.
template <class Visit>
void for_each_operand(const Expression& e, const Visit& visit) {
  switch (e.kind) {
    case ExpressionKind::identifier:
    case ExpressionKind::literal: return;
    case ExpressionKind::array:
      for (const Expression* item : e.as<ArrayExpression>()->items) visit(*item);
      return;
    case ExpressionKind::tuple:
      for (const Expression* item : e.as<TupleExpression>()->items) visit(*item);
      return;
    case ExpressionKind::unary: visit(*e.as<UnaryExpression>()->operand); return;
    case ExpressionKind::binary:
      visit(*e.as<BinaryExpression>()->left);
      visit(*e.as<BinaryExpression>()->right);
      return;
    case ExpressionKind::conditional:
      visit(*e.as<ConditionalExpression>()->then_value);
      visit(*e.as<ConditionalExpression>()->condition);
      visit(*e.as<ConditionalExpression>()->else_value);
      return;
    case ExpressionKind::subscript:
      visit(*e.as<SubscriptExpression>()->target);
      visit(*e.as<SubscriptExpression>()->index);
      return;
    case ExpressionKind::range: {
      const auto& range = *e.as<RangeExpression>();
      visit(*range.target);
      if (range.begin) visit(*range.begin);
      if (range.end) visit(*range.end);
      return;
    }
    case ExpressionKind::comprehension: {
      const auto& comprehension = *e.as<Comprehension>();
      for (const auto& iterator : comprehension.iterators) visit(*iterator.array);
      if (comprehension.filter) visit(*comprehension.filter);
      visit(*comprehension.yield);
      return;
    }
    case ExpressionKind::invocation:
      for (const Argument& argument : e.as<Invocation>()->arguments) visit(*argument.value);
      return;
    case ExpressionKind::builtin: visit(*e.as<Builtin>()->operand); return;
  }
}

template <class Visit>
void for_each_invocation(const Expression& expression, const Visit& visit) {
  std::vector<const Expression*> open{&expression};
  while (!open.empty()) {
    const Expression* e = open.back();
    open.pop_back();
    if (const auto* invocation = e->as<Invocation>()) visit(*invocation);
    for_each_operand(*e, [&](const Expression& operand) { open.push_back(&operand); });
  }
}

}  // namespace nnefrun
