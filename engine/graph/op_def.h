// OpDef: a row of the operator table. Adding an operator is adding a row in engine/ops/<family>.cpp; its
// signature is the declaration of the same name in nnef_parser/stdlib/*.nnef.
//
// Rows have ONE meaning, whatever the dialect of a text: the importer (engine/import) translates what a
// dialect means into rows. Binary operators of rows want equal element types and broadcast NNEF's way
// (aligned at the leading axis).
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/graph.h"

namespace nnefrun {

class PlanBuilder;

// The signature of a row, made from its declaration.
struct Signature {
  struct Parameter {
    std::string name;
    bool is_tensor = false;                  // else an attribute
    bool is_array = false;                   // tensor[]: any number
    bool is_integer = false;                 // a tensor declared tensor<integer>: literals for it stay i64
    bool is_optional = false;                // a tensor declared `= false`: may be left out
    std::optional<Attribute> default_value;  // of an attribute, or a literal default of a tensor (bias = 0.0)
  };
  std::string name;
  std::vector<Parameter> parameters;  // as declared
  std::vector<uint32_t> tensors;      // indices into parameters, in order
  std::vector<uint32_t> attributes;   // indices into parameters, in order
  std::vector<std::string> results;
  std::vector<bool> result_is_array;
  // Position among `attributes`; -1 when there is none of that name.
  int attribute_index(std::string_view attribute) const;
};

// What persists between runs for one node: cloned, saved and restored as plain values.
struct OpState {
  std::vector<Tensor> tensors;
  std::vector<int64_t> counters;
  std::vector<OpState> nested;  // states of the nodes of a body
  bool started = false;
};

// Attribute and argument access shared by infer, eval and lower. Names are those of the signature; asking for
// a name that the signature lacks is a programming error (Error[internal]).
class NodeReader {
 public:
  NodeReader(const Node& node, const Signature& signature, const SymbolValues* symbols)
      : node_(node), signature_(signature), symbols_(symbols) {}
  const Node& node() const { return node_; }
  const Signature& signature() const { return signature_; }

  const Attribute& attribute(std::string_view name) const;
  bool given(std::string_view name) const { return attribute(name).is_given(); }
  // Each throws Error[attribute-type] with the node's place when the value is of another kind; numbers
  // convert (an integer where a scalar is asked). Dims that must be known are evaluated under the symbols at
  // hand (Error[symbol-unknown] else).
  Dim dim(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  double scalar(std::string_view name) const;
  bool logical(std::string_view name) const;
  const std::string& string(std::string_view name) const;
  std::vector<Dim> dims(std::string_view name) const;  // a single value counts as a list of one
  std::vector<int64_t> integers(std::string_view name) const;
  std::vector<std::pair<int64_t, int64_t>> pairs(std::string_view name) const;  // padding: [(p, q), ...]
  std::vector<std::pair<Dim, Dim>> dim_pairs(std::string_view name) const;

  // Position of the tensor parameter's first argument in the node's flat inputs, and how many it has.
  std::pair<uint32_t, uint32_t> input_range(std::string_view tensor_parameter) const;
  bool has_input(std::string_view tensor_parameter) const { return input_range(tensor_parameter).second > 0; }

  // An Error with the node's place and call chain: throw c.fail("shape-mismatch", "conv: ...").
  Error fail(std::string_view code, const std::string& message) const;

 protected:
  const Node& node_;
  const Signature& signature_;
  const SymbolValues* symbols_;
};

// Inference: facts of the results from facts of the arguments. The node has no facts yet.
class InferContext : public NodeReader {
 public:
  InferContext(const Node& node, const Signature& signature, std::vector<const Fact*> inputs, Graph& graph)
      : NodeReader(node, signature, nullptr), inputs(std::move(inputs)), graph(graph) {}
  std::vector<const Fact*> inputs;  // flat, as node().inputs
  Graph& graph;                     // for fresh symbols and assertions only

  const Fact& input(std::string_view tensor_parameter) const;  // REQUIRES: has_input
  std::vector<const Fact*> inputs_of(std::string_view tensor_parameter) const;
  // An extent that only the run can tell, e.g. of non_zero.
  Dim fresh_extent(std::string_view prefix) const { return Dim::symbol(graph.fresh_symbol(prefix)); }
};

// Evaluation, naive and clear: the oracle of every tuned path.
class EvalContext : public NodeReader {
 public:
  EvalContext(const Node& node, const Signature& signature, const Graph& graph, std::vector<Tensor> inputs,
              const SymbolValues& symbols, OpState* state)
      : NodeReader(node, signature, &symbols),
        graph(graph),
        inputs(std::move(inputs)),
        symbols(symbols),
        state(state) {}
  const Graph& graph;
  std::vector<Tensor> inputs;  // flat, as node().inputs; dtypes and ranks as inferred
  const SymbolValues& symbols;
  OpState* state;  // null for rows that are not stateful

  const Tensor& input(std::string_view tensor_parameter) const;
  std::vector<Tensor> inputs_of(std::string_view tensor_parameter) const;
  const Fact& input_fact(uint32_t flat_index) const { return graph.fact(node_.inputs[flat_index]); }
  const Fact& input_fact(std::string_view tensor_parameter) const;
  const Fact& output_fact(uint32_t result = 0) const { return node_.facts[result]; }
  // Extents of a result under the symbols; throws Error[symbol-unknown] when they depend on the data.
  Shape output_shape(uint32_t result = 0) const;
};

// A set of element types.
class TypeSet {
 public:
  constexpr TypeSet() = default;
  constexpr TypeSet(std::initializer_list<DataType> types) {
    for (const DataType type : types) bits_ |= uint32_t{1} << static_cast<uint32_t>(type);
  }
  constexpr bool contains(DataType type) const { return (bits_ >> static_cast<uint32_t>(type) & 1) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  friend constexpr TypeSet operator|(TypeSet a, TypeSet b) {
    a.bits_ |= b.bits_;
    return a;
  }
  friend bool operator==(const TypeSet&, const TypeSet&) = default;
  // For people: "float, int, bool", where `float` are the four of them, `int` the eight, `complex` the three.
  std::string to_string() const;

 private:
  uint32_t bits_ = 0;
};
inline constexpr TypeSet kBool{DataType::boolean}, kF32{DataType::f32}, kI32{DataType::i32},
    kI64{DataType::i64}, kStrings{DataType::string};
inline constexpr TypeSet kSigned{DataType::i8, DataType::i16, DataType::i32, DataType::i64};
inline constexpr TypeSet kInts = kSigned | TypeSet{DataType::u8, DataType::u16, DataType::u32, DataType::u64};
inline constexpr TypeSet kFloats{DataType::f16, DataType::bf16, DataType::f32, DataType::f64};
inline constexpr TypeSet kComplex{DataType::complex32, DataType::complex64, DataType::complex128};
inline constexpr TypeSet kNumbers = kInts | kFloats;
inline constexpr TypeSet kPlain = kNumbers | kBool;  // what has items of a fixed size and an order
inline constexpr TypeSet kItems = kPlain | kComplex | kStrings;  // all but symbols and blocks

struct OpDef {
  std::string_view name;
  std::vector<Fact> (*infer)(InferContext&) = nullptr;
  std::vector<Tensor> (*eval)(EvalContext&) = nullptr;
  // Emits plan steps with tuned kernels; returns false when this node must run by eval (then nothing was
  // emitted).
  bool (*lower)(PlanBuilder&, const Graph&, uint32_t node) = nullptr;
  // True when results depend on earlier runs (scan, caches, delays): never folded, shared or removed.
  bool stateful = false;
  // Binds symbols that the state knows before a run starts (the past length of a cache); the state may be
  // untouched.
  void (*bind)(const NodeReader&, const OpState&, SymbolValues&) = nullptr;
  // Item by item: what is at an index of the result depends on what is there in the (broadcast) arguments,
  // and has the type of the first.
  bool elementwise = false;
  // Element types of the tensors that it works on: those of its first tensor, and with it of all whose type
  // is not settled by what they mean (indices, conditions, scales); of rows without tensors, those of the
  // result. A test runs each row with each type.
  TypeSet types = {};
  // Those for which `lower` can emit steps with tuned kernels.
  TypeSet tuned = {};
  // Arithmetic in f16 is that of f32 between casts (engine/rewrites/halves.cpp). Then these steps read f16 by
  // kernels of their own: constant weights of products, keys and values of attention.
  bool reads_halves = false;
};

// Implemented by engine/ops/registry.cpp. nullptr when there is no row.
const OpDef* find_op(std::string_view name);
// The signature of a row; throws Error[internal] when a row has no declaration (a test keeps that from
// happening).
const Signature& signature_of(const OpDef* op);
std::vector<const OpDef*> all_ops();

}  // namespace nnefrun
