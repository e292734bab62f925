// Importer: from a Document to a typed Graph. It is the sink that the expander drives: every primitive
// operation arrives here with its arguments, and what a dialect means by it becomes nodes of rows that have
// one meaning.
//
//   importer.cpp   values, constants, attributes, the path that all rows share
//   khronos.cpp    what the Khronos dialect asks for beyond that path
//   tract.cpp      what tract's dialect means: type promotion, clamped slices, assertions; the table of
//   dialects tract_layers.cpp   its products, convolutions, pooling and resampling bodies.cpp     loops and
//   sub-models, whose bodies are graphs of their own quantized.cpp  quantised types of tract's dialect
//   symbolic.cpp   shape arithmetic: operations on symbolic integers that never reach the graph
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/graph/op_def.h"
#include "engine/ops/quant_types.h"
#include "nnef_parser/expand.h"
#include "nnef_parser/quantization_file.h"
#include "nnef_parser/tensor_file.h"

namespace nnefrun {

// Where the importer finds what the text names.
struct ImportSources {
  // The tensor behind a variable's label; nullopt when there is none.
  std::function<std::optional<TensorFile>(const std::string& label)> tensor;
  // The entries of graph.quant.
  std::vector<QuantizationEntry> quantization;
  // A sub-model by label, imported; null when there is none.
  std::function<std::shared_ptr<const Graph>(const std::string& label)> submodel;
  // A JSON resource by label: its text; nullopt when there is none.
  std::function<std::optional<std::string>(const std::string& label)> resource;
};

struct ImportOptions {
  std::map<std::string, int64_t> set_symbols;  // replaced wherever they occur
  uint64_t max_nodes = 1'000'000;
  // Refuse what the specification forbids although every reader takes it (a bias of rank 1): for `check`.
  bool to_the_letter = false;
  // When given, errors go here and the import goes on, as ExpandOptions::on_error says; the graph is then
  // only as good as the errors are none.
  std::function<void(const Error&)> on_error;
};

// Throws Error with the place in the text and the chain of fragment calls.
Graph import_document(const Document& document, const ImportSources& sources,
                      const ImportOptions& options = {});

// The value behind a key of a JSON resource (tract-opl 1.6): "a.b[2].c", an optional leading `$`. Throws
// Error[resource-json], Error[resource-key].
Value json_value(const std::string& text, const std::string& key, const std::string& file);

// Whether the importer translates the operation into rows, instead of taking the row of its name.
bool has_adapter(std::string_view name, Dialect dialect);

// Every operation of the document that the engine lacks, each once for each place that calls it; empty when
// all exist.
std::vector<Error> unsupported_operations(const Document& document);

class Importer : public Sink {
 public:
  Importer(const Document& document, const ImportSources& sources, const ImportOptions& options,
           Importer* parent = nullptr);

  Graph run();

  // --- Sink ---
  bool is_primitive(std::string_view name) override;
  std::vector<Value> invoke(const PrimitiveCall& call) override;
  std::optional<Value> symbol(std::string_view name, bool may_create) override;
  std::optional<Value> constant_of(Wire wire) override;
  std::optional<PrimitiveType> primitive_of(Wire wire) override;
  std::optional<Value> shape_of(const Value& value) override;
  std::optional<Value> operate(const PrimitiveCall& call) override;
  void extension(const Extension& extension, const SourceLocation& where) override;
  Value assigned(std::string_view name, Value value, bool in_graph_body,
                 const SourceLocation& where) override;

  // A translation of one operation of one dialect.
  using Adapter = std::vector<Value> (Importer::*)(const PrimitiveCall&);

  // What stands behind a Wire: a tensor of the graph, or a symbolic integer tensor that is not in the graph
  // yet.
  struct Entry {
    std::optional<Outlet> outlet;
    DimShape shape;         // of a symbolic entry
    std::vector<Dim> dims;  // its values, row-major
    bool is_symbolic() const { return !outlet; }
  };

 private:
  friend bool has_adapter(std::string_view name, Dialect dialect);
  static Adapter find_adapter(std::string_view name, Dialect dialect);

  // --- values (importer.cpp) ---
  const Entry& entry(Wire wire) const { return entries_[wire.id]; }
  Value add_entry(Outlet outlet);
  Value add_symbolic(DimShape shape, std::vector<Dim> dims);
  // The value as a tensor of the graph. Literals take `type`: without one, scalars are f32, integers i64.
  Outlet wire(const Value& value, std::optional<DataType> type = std::nullopt);
  Outlet literal(const Value& value, std::optional<DataType> type);
  Outlet list_wire(const Value& value, std::optional<DataType> type);
  // Symbolic integers behind a value, with their shape, when all of it is known: literals, lists, shape
  // wires.
  struct Symbolic {
    DimShape shape;
    std::vector<Dim> dims;
  };
  std::optional<Symbolic> symbolic(const Value& value) const;
  const Fact* fact_if_wire(const Value& value) const;
  const Fact& fact(Outlet outlet) const { return graph_.fact(outlet); }
  // The value as a compile-time argument; throws Error[attribute-unknown] when it depends on data.
  Attribute attribute(const Value& value, const PrimitiveCall& call, std::string_view parameter) const;
  // A row applied; results become entries. Small integer results of constants are computed at once.
  std::vector<Value> add_row(const PrimitiveCall& call, std::string_view row, std::vector<Outlet> inputs,
                             std::vector<uint32_t> counts, std::vector<Attribute> attributes,
                             std::vector<std::shared_ptr<const Graph>> bodies = {});
  // A row whose tensor parameters take one argument each, without a name of its own.
  Outlet node(const PrimitiveCall& call, std::string_view row, std::vector<Outlet> inputs,
              std::vector<Attribute> attributes = {}, std::string name = {});
  // The path that all rows share: arguments in signature order.
  std::vector<Value> generic(const PrimitiveCall& call);
  std::vector<Value> generic_as(const PrimitiveCall& call, std::string_view row,
                                const std::vector<std::pair<std::string_view, Attribute>>& overrides = {});
  void require_strict_bias(const PrimitiveCall& call, const Signature& signature,
                           const std::vector<Outlet>& inputs, const std::vector<uint32_t>& counts) const;
  Value named(const PrimitiveCall& call, Outlet outlet, size_t result = 0);
  void fold_small(Outlet outlet);
  Outlet cast(const PrimitiveCall& call, Outlet outlet, DataType type);
  Error fail(const PrimitiveCall& call, std::string_view code, const std::string& message) const;
  std::vector<int64_t> integers(const PrimitiveCall& call, std::string_view parameter) const;
  std::vector<Dim> dims(const PrimitiveCall& call, std::string_view parameter) const;
  Value external_of(const PrimitiveCall& call, DataType type, std::optional<AffineQuantization> quant);
  Value variable_of(const PrimitiveCall& call, Tensor tensor, std::optional<AffineQuantization> quant);

  // --- khronos.cpp ---
  std::vector<Value> khronos_external(const PrimitiveCall& call);
  std::vector<Value> khronos_constant(const PrimitiveCall& call);
  std::vector<Value> khronos_variable(const PrimitiveCall& call);
  std::optional<Value> decoded_codes(const PrimitiveCall& call, const Tensor& codes,
                                     const CodeFormat& format);
  std::vector<Value> khronos_update(const PrimitiveCall& call);
  std::vector<Value> khronos_cast(const PrimitiveCall& call);
  std::vector<Value> khronos_slice(const PrimitiveCall& call);
  Value apply_quantization(const QuantizationEntry& entry, Value value, const SourceLocation& where);

  // --- tract.cpp ---
  std::vector<Value> tract_external(const PrimitiveCall& call);
  std::vector<Value> tract_variable(const PrimitiveCall& call);
  std::optional<Value> changing_variable(const PrimitiveCall& call, const Tensor& initial);
  std::vector<Value> tract_binary(const PrimitiveCall& call);
  std::vector<Value> tract_unary(const PrimitiveCall& call);
  std::vector<Value> tract_parameters(const PrimitiveCall& call);
  std::vector<Value> tract_upsample(const PrimitiveCall& call);
  std::vector<Value> tract_select(const PrimitiveCall& call);
  std::vector<Value> tract_slice(const PrimitiveCall& call);
  std::vector<Value> tract_concat(const PrimitiveCall& call);
  std::vector<Value> tract_tile(const PrimitiveCall& call);
  std::vector<Value> tract_unsqueeze(const PrimitiveCall& call);
  std::vector<Value> tract_conv(const PrimitiveCall& call);
  std::vector<Value> tract_deconv(const PrimitiveCall& call);
  std::vector<Value> tract_pool(const PrimitiveCall& call);
  std::vector<Value> tract_pool_with_index(const PrimitiveCall& call);
  std::vector<Value> tract_pad(const PrimitiveCall& call);
  std::vector<Value> tract_matmul(const PrimitiveCall& call);
  std::vector<Value> tract_linear(const PrimitiveCall& call);
  std::vector<Value> tract_softmax(const PrimitiveCall& call);
  std::vector<Value> tract_cast(const PrimitiveCall& call);
  std::vector<Value> tract_copy(const PrimitiveCall& call);
  std::vector<Value> tract_shape_of(const PrimitiveCall& call);
  std::vector<Value> tract_range(const PrimitiveCall& call);
  std::vector<Value> tract_scan(const PrimitiveCall& call);
  std::vector<Value> tract_submodel(const PrimitiveCall& call);
  std::vector<Value> engine_scan(const PrimitiveCall& call);
  std::vector<Value> engine_submodel(const PrimitiveCall& call);
  // A loop's or sub-model's results, one value each, however the declaration groups them.
  static std::vector<Value> spread(std::vector<Value> made);
  // A fragment of the document as a graph of its own, with inputs of these types.
  Graph body_graph(const PrimitiveCall& call, const FragmentDefinition& fragment,
                   const std::vector<Fact>& inputs);
  std::vector<Value> tract_resource(const PrimitiveCall& call);
  std::vector<Value> tract_dyn_slice(const PrimitiveCall& call);
  void tract_assertion(std::string_view text, const SourceLocation& where);
  DataType promoted(const PrimitiveCall& call, const Value& a, const Value& b) const;
  void read_properties(Expander& expander);

  // --- quantized.cpp ---
  // The type that graph.quant gives to the first result of a call, or to a name.
  std::optional<ItemType> wanted_type(std::string_view name) const;
  std::optional<ItemType> wanted_type(const PrimitiveCall& call) const;
  Outlet cast_to(const PrimitiveCall& call, Outlet outlet, const ItemType& type, std::string name = {});
  // Arithmetic on quantised operands: dequantised, computed in f32, quantised to the wanted type.
  std::optional<std::vector<Value>> through_floats(const PrimitiveCall& call);
  Outlet dequantized_wire(const PrimitiveCall& call, const Value& value);
  std::vector<Value> requantized(const PrimitiveCall& call, Outlet value,
                                 const std::optional<ItemType>& type);

  // --- symbolic.cpp ---
  std::optional<std::vector<Value>> try_symbolic(const PrimitiveCall& call);

  const Document& document_;
  const ImportSources& sources_;
  const ImportOptions& options_;
  Importer* parent_;  // of the body of a loop
  Graph graph_;
  std::vector<Entry> entries_;
  std::map<std::string, Outlet> variables_;           // by label as it was found, one node each
  std::set<uint32_t> changing_;                       // variables that `update` writes, by node
  std::set<std::string, std::less<>> updated_names_;  // identifiers of variables that the text updates
  std::map<std::string, const QuantizationEntry*, std::less<>> quantization_;
  std::set<std::string, std::less<>> applied_quantization_;
};

}  // namespace nnefrun
