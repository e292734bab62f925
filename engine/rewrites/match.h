// Small questions that several rewrites ask about nodes and constants, and small parts of their answers.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/rewrites/rewrite.h"

namespace nnefrun {

// f32 without a quantisation: what the fused kernels take.
bool is_plain_f32(const Fact& fact);
// A plain float of any width.
bool is_plain_float(const Fact& fact);
// No extent is the constant 0, which `reshape` would read as "copy".
bool has_no_zero_extent(const DimShape& shape);

// A node of two tensors, one of which is a constant.
struct ConstantOperand {
  Outlet other;                   // the operand that is not constant
  const Tensor* value = nullptr;  // the one that is
  Outlet constant;
  bool is_first = false;  // the constant is the first operand
};
// nullopt when neither or both are constants, or when the other operand does not have the result's type and
// shape (the constant would enlarge it).
std::optional<ConstantOperand> constant_operand(const RewriteContext& c, const Node& node);
// The same for a constant of one item: the other operand and the number. With `second_only`, the constant
// must be the second operand.
std::optional<std::pair<Outlet, double>> scalar_operand(const RewriteContext& c, const Node& node,
                                                        bool second_only = false);

// A constant that broadcasts (from the leading axis) into a tensor of `rank` axes and varies along `axis`
// only: one number for each of its `count` indices. nullopt otherwise.
std::optional<std::vector<double>> along_axis(const Tensor& value, int rank, int axis, int64_t count);
// All items as f32 [shape], from doubles, each rounded once. nullopt when one of them is not finite.
std::optional<Tensor> rounded(const Shape& shape, const std::vector<double>& values);
std::vector<double> items_of(const Tensor& value);

// Whether a node computes the same from the same arguments, whenever it runs.
bool is_computable(const Node& node);
// The value of a wire that at most `nodes` operations compute from constants alone. `integers`: through
// integers only. nullopt when something else is in it, or an operator refuses.
std::optional<Tensor> constant_value(const RewriteContext& c, Outlet outlet, bool integers, int& nodes);

// The axes of a `transpose` as a permutation of all axes.
std::vector<int64_t> permutation_of(const RewriteContext& c, const Node& transpose);
bool is_identity(const std::vector<int64_t>& permutation);

// An answer that replaces the node's only result by an existing wire.
Patch replace_by(Outlet outlet);
// An answer of one node with these inputs.
Patch replace_by(std::string op, const std::vector<Outlet>& inputs, std::vector<Attribute> attributes = {},
                 std::vector<uint32_t> input_counts = {});

}  // namespace nnefrun
