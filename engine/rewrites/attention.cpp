// Heads of attention: keys and values that are repeated for several heads are read in place instead, and
// expansions that broadcasting does anyway go.
#include <algorithm>

#include "engine/rewrites/match.h"

namespace nnefrun {
namespace {

// ---- expansions in front of element-wise operators ----

bool is_broadcasting(std::string_view op) {
  static constexpr std::string_view kOps[] = {
      "add", "sub", "mul", "div", "pow", "min", "max", "nnefrun_fmin", "nnefrun_fmax", "lt",
      "gt",  "le",  "ge",  "eq",  "ne",  "and", "or",  "select",       "clamp",        "nnefrun_clip"};
  return std::find(std::begin(kOps), std::end(kOps), op) != std::end(kOps);
}

// What is expanded when a wire is a tensor repeated along axes of extent 1.
std::optional<Outlet> expanded(const RewriteContext& c, Outlet outlet) {
  const Node* node = c.producer(outlet, "tile");
  if (node == nullptr) node = c.producer(outlet, "tract_core_broadcast");
  if (node == nullptr) return std::nullopt;
  const DimShape &from = c.fact(node->inputs[0]).shape, &to = node->facts[0].shape;
  if (from.size() != to.size()) return std::nullopt;
  for (size_t axis = 0; axis < to.size(); ++axis) {
    if (from[axis] != to[axis] && !from[axis].is(1)) return std::nullopt;
  }
  return node->inputs[0];
}

// Whether operands of these shapes, aligned at the leading axis, certainly give `result`.
bool gives(const std::vector<const DimShape*>& shapes, const DimShape& result) {
  for (size_t axis = 0; axis < result.size(); ++axis) {
    bool reached = false;
    for (const DimShape* shape : shapes) {
      if (axis >= shape->size() || (*shape)[axis].is(1)) continue;
      if ((*shape)[axis] != result[axis]) return false;
      reached = true;
    }
    if (!reached && !result[axis].is(1)) return false;
  }
  return std::any_of(shapes.begin(), shapes.end(),
                     [&](const DimShape* shape) { return shape->size() == result.size(); });
}

// f(tile(x), y) => f(x, y) when broadcasting gives the same
std::optional<Patch> drop_expansion(const RewriteContext& c) {
  const Node& node = c.node();
  if (!is_broadcasting(node.op->name)) return std::nullopt;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const auto source = expanded(c, node.inputs[i]);
    if (!source) continue;
    std::vector<Outlet> inputs = node.inputs;
    inputs[i] = *source;
    std::vector<const DimShape*> shapes;
    for (const Outlet& input : inputs) shapes.push_back(&c.fact(input).shape);
    if (!gives(shapes, node.facts[0].shape)) continue;
    return replace_by(std::string(node.op->name), inputs, node.attributes, node.input_counts);
  }
  return std::nullopt;
}

// ---- repeated heads ----

// A tensor [..., g, t, d] of which each of the g blocks is repeated `times`: [..., g * times, t, d].
struct Repeated {
  Outlet source;  // [..., g, t, d]
  Dim times;
};

// reshape(tile(unsqueeze(x)))
std::optional<Repeated> repeated_blocks(const RewriteContext& c, Outlet outlet) {
  const Node* joined = c.producer(outlet, "reshape");
  const Node* tile = joined == nullptr ? nullptr : c.producer(joined->inputs[0], "tile");
  if (tile == nullptr)
    tile = joined == nullptr ? nullptr : c.producer(joined->inputs[0], "tract_core_broadcast");
  if (tile == nullptr) return std::nullopt;
  const DimShape &single = c.fact(tile->inputs[0]).shape, &several = tile->facts[0].shape,
                 &result = joined->facts[0].shape;
  const size_t rank = result.size();
  if (rank < 3 || several.size() != rank + 1 || single.size() != rank + 1 || !single[rank - 2].is(1))
    return std::nullopt;
  DimShape source = single;
  source.erase(source.begin() + static_cast<std::ptrdiff_t>(rank - 2));
  for (size_t axis = 0; axis < single.size(); ++axis) {
    if (axis != rank - 2 && single[axis] != several[axis]) return std::nullopt;
  }
  for (size_t axis = 0; axis < rank; ++axis) {
    const Dim expected = axis == rank - 3 ? source[axis] * several[rank - 2] : source[axis];
    if (result[axis] != expected) return std::nullopt;
  }
  for (const char* op : {"unsqueeze", "reshape"}) {
    const Node* apart = c.producer(tile->inputs[0], op);
    if (apart != nullptr && c.fact(apart->inputs[0]).shape == source)
      return Repeated{apart->inputs[0], several[rank - 2]};
  }
  return std::nullopt;
}

// matmul(a [..., g * r, m, k], b repeated r times) => matmul(a [..., g, r * m, k], b), its rows apart again
std::optional<Patch> matmul_of_repeated(const RewriteContext& c) {
  const Node& node = c.node();
  const Outlet a = node.inputs[0];
  const auto b = repeated_blocks(c, node.inputs[1]);
  if (!b || c.read(node).logical("transposeA")) return std::nullopt;
  const size_t heads = node.facts[0].shape.size() - 3;
  DimShape rows = c.fact(a).shape;
  if (rows[heads] != c.fact(node.inputs[1]).shape[heads] || !has_no_zero_extent(rows) ||
      !has_no_zero_extent(node.facts[0].shape)) {
    return std::nullopt;
  }
  rows[heads] = c.fact(b->source).shape[heads];
  rows[heads + 1] = b->times * rows[heads + 1];
  Patch patch;
  const PatchWire joined = patch.add("reshape", {Patch::tap(a)}, {Attribute::of_dims(rows)});
  const PatchWire product = patch.add("matmul", {joined, Patch::tap(b->source)}, node.attributes);
  patch.results = {patch.add("reshape", {product}, {Attribute::of_dims(node.facts[0].shape)})};
  return patch;
}

// The same for a product that broadcasts: matmul(a [..., r, m, k], b [..., 1, k, n])
std::optional<Patch> matmul_of_shared(const RewriteContext& c) {
  const Node& node = c.node();
  const Outlet a = node.inputs[0], b = node.inputs[1];
  const DimShape &left = c.fact(a).shape, &right = c.fact(b).shape, &result = node.facts[0].shape;
  if (result.size() < 3 || c.constant(b) != nullptr || c.read(node).logical("transposeA"))
    return std::nullopt;
  const size_t shared = result.size() - 3;
  if (!right[shared].is(1) || left[shared].is(1) || !has_no_zero_extent(left) ||
      !has_no_zero_extent(result) || !has_no_zero_extent(right)) {
    return std::nullopt;
  }
  const auto without = [&](DimShape shape, bool joins) {
    if (joins) shape[shared + 1] = shape[shared] * shape[shared + 1];
    shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(shared));
    return Attribute::of_dims(shape);
  };
  Patch patch;
  const PatchWire rows = patch.add("reshape", {Patch::tap(a)}, {without(left, true)});
  const PatchWire matrix = patch.add("reshape", {Patch::tap(b)}, {without(right, false)});
  const PatchWire product = patch.add("matmul", {rows, matrix}, node.attributes);
  patch.results = {patch.add("reshape", {product}, {Attribute::of_dims(result)})};
  return patch;
}

// Attention as one operator shares the heads of k and v by itself.
std::optional<Patch> sdpa_of_repeated(const RewriteContext& c) {
  const Node& node = c.node();
  const auto k = repeated_blocks(c, node.inputs[1]), v = repeated_blocks(c, node.inputs[2]);
  if (!k || !v || k->times != v->times || node.facts[0].rank() != 4) return std::nullopt;
  std::vector<Outlet> inputs = node.inputs;
  inputs[1] = k->source;
  inputs[2] = v->source;
  return replace_by(std::string(node.op->name), inputs, node.attributes, node.input_counts);
}

// ---- rotary embedding ----

// What is turned when a wire is (-second half, first half) of it along the last axis.
std::optional<Outlet> turned(const RewriteContext& c, Outlet outlet) {
  const Node* joined = c.producer(outlet, "concat");
  const int last = c.fact(outlet).rank() - 1;
  if (joined == nullptr || joined->inputs.size() != 2 || c.read(*joined).integer("axis") != last)
    return std::nullopt;
  const Node* negated = c.producer(joined->inputs[0], "neg");
  const Dim& width = c.fact(outlet).shape.back();
  if (negated == nullptr || !width.is_constant() || width.value() % 2 != 0) return std::nullopt;
  const auto half = [&](Outlet part, int64_t begin) -> const Node* {
    const Node* slice = c.producer(part, "nnefrun_slice");
    if (slice == nullptr) return nullptr;
    const NodeReader r = c.read(*slice);
    const auto from = r.dims("begin"), length = r.dims("length");
    const auto stride = r.integers("stride");
    const bool fits = r.integers("axes") == std::vector<int64_t>{last} && from[0].is(begin) &&
                      length[0].is(width.value() / 2) && (stride.empty() || stride[0] == 1);
    return fits ? slice : nullptr;
  };
  const Node *second = half(negated->inputs[0], width.value() / 2), *first = half(joined->inputs[1], 0);
  if (first == nullptr || second == nullptr || first->inputs[0] != second->inputs[0] ||
      c.fact(first->inputs[0]).shape != c.fact(outlet).shape)
    return std::nullopt;
  return first->inputs[0];
}

// x * cos + turned(x) * sin
std::optional<Patch> rotary(const RewriteContext& c) {
  const Node& sum = c.node();
  if (!is_plain_float(sum.facts[0])) return std::nullopt;
  // cos and sin may be repeated along any axis but the last.
  const auto fits = [&](Outlet angle) {
    const Fact& fact = c.fact(angle);
    const DimShape& shape = sum.facts[0].shape;
    bool same = fact.dtype == sum.facts[0].dtype && !fact.quant && fact.shape.size() == shape.size();
    for (size_t axis = 0; same && axis < shape.size(); ++axis)
      same = fact.shape[axis] == shape[axis] || (fact.shape[axis].is(1) && axis + 1 < shape.size());
    return same;
  };
  for (size_t side = 0; side < 2; ++side) {
    const Node *kept = c.producer(sum.inputs[side], "mul"), *moved = c.producer(sum.inputs[1 - side], "mul");
    if (kept == nullptr || moved == nullptr) continue;
    for (size_t k = 0; k < 2; ++k) {
      const auto x = turned(c, moved->inputs[k]);
      if (!x || !c.fact(*x).same_type(sum.facts[0])) continue;
      for (size_t own = 0; own < 2; ++own) {
        if (kept->inputs[own] != *x || !fits(kept->inputs[1 - own]) || !fits(moved->inputs[1 - k])) continue;
        return replace_by("tract_transformers_apply_rope", {*x, kept->inputs[1 - own], moved->inputs[1 - k]});
      }
    }
  }
  return std::nullopt;
}

constexpr Rewrite kRewrites[] = {
    {"drop-expansion", "", "f(tile(x), y) => f(x, y) for element-wise f, when broadcasting gives the same",
     drop_expansion},
    {"matmul-of-repeated", "matmul", "matmul(a, b repeated r times) => matmul(a, b) with r times the rows",
     matmul_of_repeated},
    {"matmul-of-shared", "matmul",
     "matmul(a [.., r, m, k], b [.., 1, k, n]) => matmul(a [.., r * m, k], b [.., k, n]), for computed b",
     matmul_of_shared},
    {"sdpa-of-repeated", "tract_transformers_sdpa",
     "sdpa(q, k repeated r times, v repeated r times) => sdpa(q, k, v)", sdpa_of_repeated},
    {"rotary", "add", "x * cos + concat(-x_2, x_1) * sin => tract_transformers_apply_rope(x, cos, sin)",
     rotary},
};

}  // namespace

std::span<const Rewrite> attention_rewrites() { return kRewrites; }

}  // namespace nnefrun
