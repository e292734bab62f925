// Draw: one random case of a property test. A generator draws element types, shapes, attributes and values,
// and builds a small graph from them; everything follows from the seed.
//
// A case may be symbolic: some extents are then the symbols S and B, and there are several bindings, sets of
// values for them. So an input is not a tensor but a type, a shape and a way to fill it.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/graph/graph.h"

namespace nnefrun::property {

// Which values fill inputs and constants unless a generator asks for others.
enum class Regime : uint8_t {
  tame,   // between -2 and 2, zeros of both signs among them
  whole,  // -3 to 3, so that sums are exact in any order; often with NaN and infinities between them
  wild,   // everything: zeros, denormals, tiny, huge, infinities, NaN. Only where no sum can cancel
};

using Arguments = std::vector<std::pair<std::string_view, Outlet>>;  // repeated names: items of an array
using Attributes = std::vector<std::pair<std::string_view, Attribute>>;

class Draw {
 public:
  Draw(uint64_t seed, bool may_be_wild);

  // --- numbers ---
  int64_t between(int64_t low, int64_t high);  // both included
  bool one_in(int64_t n) { return between(1, n) == 1; }
  double real(double low, double high);
  template <class T>
  T pick(std::initializer_list<T> from) {
    return from.begin()[between(0, static_cast<int64_t>(from.size()) - 1)];
  }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(between(0, static_cast<int64_t>(from.size()) - 1))];
  }

  // --- types and shapes ---
  DataType floating();  // f32 half of the time
  DataType integer();
  DataType number();  // a float mostly
  DataType any();     // also bool
  Dim extent();       // small; 0, 1 and around vector widths too; a symbol in symbolic cases
  int64_t size();     // the same as a number
  // So small that a case takes a moment.
  DimShape shape(int min_rank, int max_rank);
  Shape fixed_shape(int min_rank, int max_rank);
  int64_t axis_of(Outlet outlet) { return between(0, fact(outlet).rank() - 1); }
  std::vector<int64_t> permutation(int rank);
  std::vector<int64_t> subset(int rank, bool may_be_empty);  // ascending

  // --- values ---
  Tensor values(DataType dtype, const Shape& shape, Regime regime);
  Tensor values(DataType dtype, const Shape& shape) { return values(dtype, shape, regime); }
  Tensor reals(DataType dtype, const Shape& shape, double low, double high);  // integers: rounded
  using Fill = std::function<Tensor(const Shape&, const SymbolValues&)>;

  // --- wires ---
  // An input of the graph, or a constant now and then where the shape is fixed.
  Outlet argument(DataType dtype, const DimShape& shape);
  Outlet argument(DataType dtype, const DimShape& shape, double low, double high);
  // Whole numbers from low to high, which may depend on symbols. dtype is an integer.
  Outlet indices(DataType dtype, const DimShape& shape, const Dim& low, const Dim& high);
  Outlet input(Fact fact, Fill fill);
  Outlet constant(Tensor value, std::optional<AffineQuantization> quant = std::nullopt);
  // What an operand of `shape` may be broadcast from: axes become 1, or are cut off at the end.
  DimShape narrowed(const DimShape& shape);
  // Whether the symbols of the case tell all extents; some follow from the data.
  bool is_known(const DimShape& shape) const;

  // All results, or the first. Attributes left out have their defaults. Throws what Graph::add throws.
  std::vector<Outlet> call_all(std::string_view op, const Arguments& arguments,
                               const Attributes& attributes = {},
                               std::vector<std::shared_ptr<const Graph>> bodies = {});
  Outlet call(std::string_view op, const Arguments& arguments, const Attributes& attributes = {}) {
    return call_all(op, arguments, attributes)[0];
  }
  const Fact& fact(Outlet outlet) const { return graph.fact(outlet); }

  // --- the end of a generator ---
  void result(Outlet outlet);
  void results(const std::vector<Outlet>& outlets);
  // The wire after a few more operations, such as rewrites and epilogues take up: arithmetic with constants,
  // activations, sums with another input, moves. A result of the graph, and now and then the wire itself too.
  void follow(Outlet outlet);
  Outlet followed(Outlet outlet);  // one operation more

  // No NaN and no infinities, for operators in which one may reach other items than by the definition.
  void keep_finite();

  // --- the case ---
  Graph graph;
  std::vector<std::pair<Outlet, Fill>> inputs;
  Regime regime;
  bool symbolic;
  std::vector<SymbolValues> bindings;  // one, or several of a symbolic case
  int runs = 1;                        // consecutive ones for each binding: more for what keeps a state
  // How far floats may differ, in steps of their type: relative to the value, or to the largest value
  // anywhere in the graph when `local` is false. 0: not at all, NaNs aside.
  double steps = 0;
  bool local = true;
  double absolute = 0;       // or by this much
  bool signed_zeros = true;  // +0 and -0 are different
  // Allows `steps` more.
  void inexact(double steps, bool local);

 private:
  Outlet argument(DataType dtype, const DimShape& shape, Fill fill);
  std::mt19937_64 random_;
  bool with_special_ = false;
};

}  // namespace nnefrun::property
