// Operators that change nothing, and pairs that undo each other. Only what is exact, to the sign of a zero.
#include <algorithm>
#include <cmath>

#include "engine/rewrites/match.h"

namespace nnefrun {
namespace {

// The node gives its input as it is: same type, same shape, so the wire in front of it does as well.
std::optional<Patch> drop(const RewriteContext& c) {
  const Outlet input = c.node().inputs[0];
  if (!c.fact(input).same_type(c.node().facts[0])) return std::nullopt;
  return replace_by(input);
}

std::optional<Patch> drop_copy_n(const RewriteContext& c) {
  Patch patch;
  patch.results.assign(c.node().facts.size(), Patch::tap(c.node().inputs[0]));
  return patch;
}

std::optional<Patch> drop_transpose(const RewriteContext& c) {
  if (!is_identity(permutation_of(c, c.node()))) return std::nullopt;
  return drop(c);
}

// A slice that keeps all cells in order.
std::optional<Patch> drop_slice(const RewriteContext& c) {
  const NodeReader r = c.read(c.node());
  for (const Dim& begin : r.dims("begin")) {
    if (!begin.is(0)) return std::nullopt;
  }
  for (const int64_t stride : r.integers("stride")) {
    if (stride != 1) return std::nullopt;
  }
  return drop(c);
}

std::optional<Patch> drop_pad(const RewriteContext& c) {
  for (const auto& pair : c.read(c.node()).dim_pairs("padding")) {
    if (!pair.first.is(0) || !pair.second.is(0)) return std::nullopt;
  }
  return drop(c);
}

std::optional<Patch> drop_concat(const RewriteContext& c) {
  if (c.node().inputs.size() != 1) return std::nullopt;
  return drop(c);
}

std::optional<Patch> stack_of_one(const RewriteContext& c) {
  if (c.node().inputs.size() != 1) return std::nullopt;
  return replace_by("unsqueeze", c.node().inputs, {Attribute::of_ints({c.read(c.node()).integer("axis")})});
}

std::optional<Patch> drop_tile(const RewriteContext& c) {
  for (const Dim& repeat : c.read(c.node()).dims("repeats")) {
    if (!repeat.is(1)) return std::nullopt;
  }
  return drop(c);
}

// x + 0 is x for integers; for floats only x + -0 is, since -0 + 0 is 0.
std::optional<Patch> drop_add(const RewriteContext& c) {
  const auto operand = scalar_operand(c, c.node());
  if (!operand || operand->second != 0) return std::nullopt;
  if (is_float(c.node().facts[0].dtype) && !std::signbit(operand->second)) return std::nullopt;
  return replace_by(operand->first);
}

std::optional<Patch> drop_sub(const RewriteContext& c) {
  const auto operand = scalar_operand(c, c.node(), true);
  if (!operand || operand->second != 0) return std::nullopt;
  if (is_float(c.node().facts[0].dtype) && std::signbit(operand->second)) return std::nullopt;
  return replace_by(operand->first);
}

std::optional<Patch> drop_mul(const RewriteContext& c) {
  const auto operand = scalar_operand(c, c.node());
  if (!operand || operand->second != 1) return std::nullopt;
  return replace_by(operand->first);
}

// x / 1 and x ^ 1
std::optional<Patch> drop_by_one(const RewriteContext& c) {
  const auto operand = scalar_operand(c, c.node(), true);
  if (!operand || operand->second != 1) return std::nullopt;
  return replace_by(operand->first);
}

// f(f(x)) => x
std::optional<Patch> drop_twice(const RewriteContext& c) {
  const Node* inner = c.producer(c.node().inputs[0], c.node().op->name);
  if (inner == nullptr) return std::nullopt;
  return replace_by(inner->inputs[0]);
}

// Every value of `from` survives a detour through `to`.
bool is_lossless(const Fact& from, const Fact& to) {
  if (from.quant || to.quant) return false;
  const DataType a = from.dtype, b = to.dtype;
  if (a == b) return true;
  if (a == DataType::boolean) return is_integer(b) || is_float(b);
  const auto size = [](DataType t) { return item_size(t); };
  if (is_signed_integer(a) && is_signed_integer(b)) return size(a) <= size(b);
  if (is_unsigned_integer(a) && is_integer(b)) return size(a) + (is_signed_integer(b) ? 1 : 0) <= size(b);
  if (is_float(a) && is_float(b)) return size(a) < size(b);
  if (is_integer(a) && b == DataType::f32) return size(a) <= 2;
  if (is_integer(a) && b == DataType::f64) return size(a) <= 4;
  return false;
}

// cast(cast(x, to = a), to = b) => cast(x, to = b) when `a` holds every value of x.
std::optional<Patch> merge_casts(const RewriteContext& c) {
  const Node* inner = c.producer(c.node().inputs[0], "tract_core_cast");
  if (inner == nullptr) return std::nullopt;
  const Fact &from = c.fact(inner->inputs[0]), &middle = inner->facts[0], &to = c.node().facts[0];
  if (!is_lossless(from, middle) || to.quant) return std::nullopt;
  // To logical is `!= 0`, from f32 to an integer saturates: what a type that holds all values of x does, x
  // itself does too only when neither changes kind on the way.
  const bool one_kind = (is_float(from.dtype) && is_float(middle.dtype)) ||
                        (is_integer(from.dtype) && is_integer(middle.dtype));
  if (!one_kind && to.dtype != from.dtype) return std::nullopt;
  if (to.same_type(from)) return replace_by(inner->inputs[0]);
  return replace_by("tract_core_cast", inner->inputs, c.node().attributes);
}

constexpr Rewrite kRewrites[] = {
    {"drop-copy", "copy", "copy(x) => x", drop},
    {"drop-copy-n", "copy_n", "copy_n(x) => x, x, ...", drop_copy_n},
    {"drop-reshape", "reshape", "reshape(x, shape = shape of x) => x", drop},
    {"drop-squeeze", "squeeze", "squeeze(x, axes = []) => x", drop},
    {"drop-unsqueeze", "unsqueeze", "unsqueeze(x, axes = []) => x", drop},
    {"drop-transpose", "transpose", "transpose(x, axes = [0, 1, ...]) => x", drop_transpose},
    {"drop-slice", "nnefrun_slice", "a slice of all cells => x", drop_slice},
    {"drop-pad", "pad", "pad(x, padding = [(0, 0), ...]) => x", drop_pad},
    {"drop-concat", "concat", "concat([x]) => x", drop_concat},
    {"stack-of-one", "stack", "stack([x], axis) => unsqueeze(x, axes = [axis])", stack_of_one},
    {"drop-tile", "tile", "tile(x, repeats = [1, ...]) => x", drop_tile},
    {"drop-broadcast", "tract_core_broadcast", "a broadcast to the shape of x => x", drop},
    {"drop-cast", "tract_core_cast", "a cast to the type of x => x", drop},
    {"merge-casts", "tract_core_cast", "cast(cast(x, a), b) => cast(x, b) when a holds all values of x",
     merge_casts},
    {"drop-add", "add", "x + 0 => x for integers, x + -0.0 => x", drop_add},
    {"drop-sub", "sub", "x - 0 => x", drop_sub},
    {"drop-mul", "mul", "x * 1 => x", drop_mul},
    {"drop-div", "div", "x / 1 => x", drop_by_one},
    {"drop-pow", "pow", "x ^ 1 => x", drop_by_one},
    {"drop-neg", "neg", "-(-x) => x", drop_twice},
    {"drop-not", "not", "!(!x) => x", drop_twice},
};

}  // namespace

std::span<const Rewrite> identity_rewrites() { return kRewrites; }

}  // namespace nnefrun
