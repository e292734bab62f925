// Transposes and changes of shape: chains become one, and transposes that undo each other go.
#include <algorithm>

#include "engine/rewrites/match.h"

namespace nnefrun {
namespace {

// ---- reshapes ----

const Node* reshape_like(const RewriteContext& c, Outlet outlet) {
  for (const char* op : {"reshape", "squeeze", "unsqueeze"}) {
    if (const Node* node = c.producer(outlet, op)) return node;
  }
  return nullptr;
}

// The extents are spelled out, so the result says the same whatever its argument is. `reshape` reads 0 and -1
// in another way.
std::optional<Patch> reshape_to(const RewriteContext& c, Outlet input) {
  const Fact& to = c.node().facts[0];
  if (!has_no_zero_extent(to.shape)) return std::nullopt;
  return replace_by("reshape", {input}, {Attribute::of_dims(to.shape)});
}

// Two changes of shape in a row are one, or none.
std::optional<Patch> merge_reshapes(const RewriteContext& c) {
  const Node* inner = reshape_like(c, c.node().inputs[0]);
  if (inner == nullptr) return std::nullopt;
  const Outlet source = inner->inputs[0];
  if (c.fact(source).same_type(c.node().facts[0])) return replace_by(source);
  return reshape_to(c, source);
}

// ---- transposes ----

// What axes of its argument the outer of two permutations sees.
std::vector<int64_t> composed(const std::vector<int64_t>& inner, const std::vector<int64_t>& outer) {
  std::vector<int64_t> out;
  for (const int64_t axis : outer) out.push_back(inner[static_cast<size_t>(axis)]);
  return out;
}

std::optional<Patch> merge_transposes(const RewriteContext& c) {
  const Node* inner = c.producer(c.node().inputs[0], "transpose");
  if (inner == nullptr) return std::nullopt;
  const auto axes = composed(permutation_of(c, *inner), permutation_of(c, c.node()));
  if (is_identity(axes)) return replace_by(inner->inputs[0]);
  return replace_by("transpose", inner->inputs, {Attribute::of_ints(axes)});
}

// When the axes that are longer than 1 keep their order, no item moves.
std::optional<Patch> transpose_of_units(const RewriteContext& c) {
  const auto axes = permutation_of(c, c.node());
  const DimShape& shape = c.fact(c.node().inputs[0]).shape;
  int64_t last = -1;
  for (const int64_t axis : axes) {
    if (shape[static_cast<size_t>(axis)].is(1)) continue;
    if (axis < last) return std::nullopt;
    last = axis;
  }
  if (is_identity(axes)) return std::nullopt;
  return reshape_to(c, c.node().inputs[0]);
}

constexpr int kMaxDepth = 16;

bool is_movable(const Node& node) {
  static constexpr std::string_view kMore[] = {"select", "clamp", "nnefrun_clip", "lt", "gt",
                                               "le",     "ge",    "eq",           "ne", "tract_core_cast"};
  return node.facts.size() == 1 && node.bodies.empty() && !node.op->stateful &&
         (node.op->elementwise ||
          std::find(std::begin(kMore), std::end(kMore), node.op->name) != std::end(kMore));
}

// Rebuilds what computes a wire for a transposed result, as long as that removes transposes and adds none.
class Transposer {
 public:
  Transposer(const RewriteContext& c, std::vector<int64_t> axes) : c_(c), axes_(std::move(axes)) {}

  // The wire transposed by `axes`; nullopt when that takes a new transpose.
  std::optional<PatchWire> wire(Outlet outlet, int depth) {
    const Fact& fact = c_.fact(outlet);
    if (const Tensor* value = c_.constant(outlet)) {
      if (value->size() == 1 && fact.rank() <= static_cast<int>(axes_.size())) return Patch::tap(outlet);
      return std::nullopt;
    }
    if (fact.shape.size() != axes_.size()) return std::nullopt;
    if (const Node* inner = c_.producer(outlet, "transpose")) {
      if (!is_identity(composed(permutation_of(c_, *inner), axes_))) return std::nullopt;
      cancelled_ = true;
      return Patch::tap(inner->inputs[0]);
    }
    const Node& node = c_.graph.node(outlet);
    if (depth == kMaxDepth || c_.uses(outlet) != 1 || !is_movable(node)) return std::nullopt;
    std::vector<PatchWire> inputs;
    for (const Outlet& input : node.inputs) {
      auto moved = wire(input, depth + 1);
      if (!moved) return std::nullopt;
      inputs.push_back(*moved);
    }
    return patch.add(std::string(node.op->name), std::move(inputs), node.attributes, {}, node.input_counts);
  }

  Patch patch;
  bool cancelled() const { return cancelled_; }

 private:
  const RewriteContext& c_;
  const std::vector<int64_t> axes_;
  bool cancelled_ = false;
};

// transpose(f(transpose(x), ...)) => f(x, ...) for functions of single items, when the two cancel.
std::optional<Patch> cancel_transposes(const RewriteContext& c) {
  const Outlet input = c.node().inputs[0];
  const Node& producer = c.graph.node(input);
  if (!is_movable(producer) || c.constant(input) != nullptr) return std::nullopt;
  Transposer transposer(c, permutation_of(c, c.node()));
  const auto result = transposer.wire(input, 0);
  if (!result || !transposer.cancelled()) return std::nullopt;
  transposer.patch.results = {*result};
  return std::move(transposer.patch);
}

constexpr Rewrite kRewrites[] = {
    {"merge-reshapes", "reshape", "reshape(reshape(x)) => reshape(x), or x", merge_reshapes},
    {"merge-reshapes-squeeze", "squeeze", "squeeze(reshape(x)) => reshape(x), or x", merge_reshapes},
    {"merge-reshapes-unsqueeze", "unsqueeze", "unsqueeze(reshape(x)) => reshape(x), or x", merge_reshapes},
    {"merge-transposes", "transpose", "transpose(transpose(x)) => transpose(x), or x", merge_transposes},
    {"transpose-of-units", "transpose",
     "transpose(x) => reshape(x) when all axes longer than 1 keep their order", transpose_of_units},
    {"cancel-transposes", "transpose",
     "transpose(f(transpose(x))) => f(x) for element-wise f, when the transposes undo each other",
     cancel_transposes},
};

}  // namespace

std::span<const Rewrite> axes_rewrites() { return kRewrites; }

}  // namespace nnefrun
