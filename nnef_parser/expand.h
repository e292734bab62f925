// The compile-time interpreter: walks the body of a graph, evaluates the attribute expressions (NNEF 1.0.5
// section 7), inlines fragments (section 8.3) and hands every primitive operation to a sink, in the order in
// which a body needs them. It knows no shapes and no tensors: those belong to the sink.
//
// Resolution of an invocation: a fragment of the document with a body wins; then the standard library of the
// document's dialect. A standard fragment is a primitive exactly when the sink says so, or when it has no
// body. A document fragment whose computation is, name by name of its parameters, that of the standard
// fragment is left to the sink's row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "nnef_parser/document.h"
#include "nnef_parser/value.h"

namespace nnefrun {

class Expander;
class Sink;

// One primitive operation with its arguments. Valid during the call of the sink only.
struct PrimitiveCall {
  const FragmentDefinition* declaration = nullptr;  // standard, or of the document (without body)
  std::string_view name;
  // One per declared parameter, in signature order, defaults applied. Literals stay literals, also for tensor
  // parameters. absent: an optional argument (declared `= false` without being logical) that was left out.
  std::vector<Value> arguments;
  // Named arguments that the declaration does not know. Tract's dialect only; an error elsewhere.
  std::vector<std::pair<std::string_view, Value>> extra;
  // What `?` stands for, as far as it is known: written, inherited from the enclosing fragment, the declared
  // default, or deduced from arguments by Sink::primitive_of. Never `generic`.
  std::optional<PrimitiveType> generic;
  // Names that the left side wants, one per declared result; "" when nobody names it. In fragments a local
  // `t` of a call assigned to `y` is called `y_t`, and the fragment's results have the names of the call. Not
  // necessarily unique.
  std::vector<std::string> result_names;
  // For results that are arrays: the names of the items, as many as the left side lists. One list per
  // declared result.
  std::vector<std::vector<std::string>> array_names;
  bool in_graph_body = true;  // false inside of a fragment
  SourceLocation where;       // of the operation's name; inside of standard fragments, of the document's call
  Expander* expander = nullptr;

  // The argument by name: a declared parameter or an extra one; absent when there is none.
  const Value& argument(std::string_view parameter) const;
};

// What the graph is built with. The expander adds place and chain of calls to Errors thrown from here.
class Sink {
 public:
  virtual ~Sink() = default;

  // Whether the sink takes the standard operation itself; else its body is inlined.
  virtual bool is_primitive(std::string_view name) = 0;
  // One Value per declared result: a wire, for array results an array of wires (or a literal that needs no
  // tensor).
  virtual std::vector<Value> invoke(const PrimitiveCall& call) = 0;

  // An identifier that nothing assigned: a symbolic dimension? Tract's and the engine's dialect only.
  // may_create: it stands where tract makes up undeclared symbols (shape of an external, begin and end of a
  // slice, ...).
  virtual std::optional<Value> symbol(std::string_view name, bool may_create) { return {}; }
  // The value of a wire when it is known now; may be an array (whose items may be wires).
  virtual std::optional<Value> constant_of(Wire wire) { return {}; }
  // The written type of a wire's items (scalar, integer, logical, string), used to deduce `?`.
  virtual std::optional<PrimitiveType> primitive_of(Wire wire) { return {}; }
  // The shape of a value as integers or symbols, for the legacy function shape_of(x).
  virtual std::optional<Value> shape_of(const Value& value) { return {}; }
  // A unary or binary operator with a wire operand (call.name is the operation, "add"; operands are
  // call.arguments). A chance to fold symbolic integers; without an answer the operation is invoked like a
  // written one.
  virtual std::optional<Value> operate(const PrimitiveCall& call) { return {}; }
  // The extensions of the document in order, before anything else.
  virtual void extension(const Extension& extension, const SourceLocation& where) {}
  // After each assignment of a graph body, and in tract's and the engine's dialect of a fragment body too,
  // once for every identifier on the left: the sink may answer another value (a quantised wire, a constant in
  // place of a literal).
  virtual Value assigned(std::string_view name, Value value, bool in_graph_body,
                         const SourceLocation& where) {
    return value;
  }
};

// Bounds that stop a hostile document; exceeding one is Error[expansion-limit] (recursion:
// Error[recursion-limit]).
struct ExpandLimits {
  int calls = 256;               // nesting of fragment calls
  int evaluations = 2000;        // nesting of everything: bounds the use of the stack
  size_t invocations = 150'000;  // primitive operations handed to the sink
  size_t steps = 20'000'000;     // expressions evaluated
  size_t items = 1'000'000;  // of an array, characters of a string, made by an expression (not written out)
};

struct ExpandOptions {
  ExpandLimits limits;
  // When given, an error goes here instead of being thrown, and the expansion goes on: what the assignment
  // would have given is unknown, and assignments that need something unknown are passed over without another
  // word. Exceeded limits and missing memory are thrown all the same.
  std::function<void(const Error&)> on_error;
};

class Expander {
 public:
  // `document` and `sink` must outlive the expander.
  Expander(const Document& document, Sink& sink, const ExpandOptions& options = {});
  ~Expander();
  Expander(const Expander&) = delete;
  Expander& operator=(const Expander&) = delete;

  // Expands the whole graph: extensions, body, results. Answers one value per graph result, in the order of
  // the header (absent: an unknown one, see ExpandOptions::on_error). Errors: unknown-operation,
  // unknown-identifier, missing-argument, too-many-arguments, unknown-argument, duplicate-argument,
  // type-mismatch, index-out-of-range, length-mismatch, division-by-zero, integer-overflow, invalid-cast,
  // unassigned-result, recursion-limit, expansion-limit, and whatever the sink throws.
  std::vector<Value> run();

  // For the sink, during invoke: evaluates a fragment of the document (a scan's body) into another sink.
  // `arguments` has one value per parameter of the fragment; answers one value per result. result_names as in
  // PrimitiveCall, empty for the fragment's own names. Shares the limits of this expansion.
  std::vector<Value> expand_fragment(const FragmentDefinition& fragment, const std::vector<Value>& arguments,
                                     Sink& sink, const SourceLocation& where);

  const Document& document() const;
  // A fragment of the document by name, with or without a body; null when there is none. Constant time.
  const FragmentDefinition* find_fragment(std::string_view name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The whole expansion of a document: Expander(document, sink, options).run().
std::vector<Value> expand(const Document& document, Sink& sink, const ExpandOptions& options = {});

}  // namespace nnefrun
