// Attention: scaled dot products, rotary positions, masked softmax (tract-opl 5.8). Evaluation is in double,
// rounded once.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/ops/attend.h"
#include "engine/ops/checks.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// An attribute declared `= false`: absent unless it holds a number.
std::optional<double> optional_scalar(const NodeReader& c, std::string_view name) {
  const Attribute& a = c.attribute(name);
  if (!a.is_given() || std::holds_alternative<bool>(a.value)) return std::nullopt;
  return c.scalar(name);
}

// Extents of `fact` must be 1 or those of `into`, both aligned at the last axis.
void check_broadcasts_into(const InferContext& c, std::string_view name, const Fact& fact,
                           const DimShape& into) {
  bool fits = fact.shape.size() <= into.size();
  for (size_t i = 0; fits && i < fact.shape.size(); ++i) {
    const Dim& extent = fact.shape[fact.shape.size() - 1 - i];
    fits = extent.is(1) || !certainly_different(extent, into[into.size() - 1 - i]);
  }
  if (fits) return;
  throw c
      .fail("shape-mismatch",
            c.signature().name + ": `" + std::string(name) + "` does not broadcast into " + to_string(into))
      .note(describe(name, fact));
}

// The run-time half; strides with which `tensor` is read over `into`.
std::vector<int64_t> strides_into(const EvalContext& c, std::string_view name, const Tensor& tensor,
                                  const Shape& into) {
  if (broadcast_trailing(c.signature().name, std::vector<const Shape*>{&into, &tensor.shape()}) != into) {
    throw c.fail("shape-mismatch", c.signature().name + ": `" + std::string(name) + "` has shape " +
                                       to_string(tensor.shape()) + ", which does not broadcast into " +
                                       to_string(into));
  }
  return broadcast_strides(tensor.shape(), into, false);
}

Tensor from_doubles(DataType dtype, const Shape& shape, const std::vector<double>& values) {
  return cast_items(Tensor::of<double>(shape, values), dtype);
}

// ---- scaled dot product attention ----

std::vector<Fact> infer_sdpa(InferContext& c) {
  const Fact& q = float_input(c, "q");
  const Fact& k = float_input(c, "k");
  const Fact& v = float_input(c, "v");
  require_rank(c, "q", q, 3, 4);
  require_rank(c, "k", k, q.rank(), q.rank());
  require_rank(c, "v", v, q.rank(), q.rank());
  require_same_dtype(c, "q", q, "k", k);
  require_same_dtype(c, "q", q, "v", v);
  const size_t rank = q.shape.size();
  require_equal(c, "the batch extent of k", k.shape[0], q.shape[0]);
  require_equal(c, "the batch extent of v", v.shape[0], q.shape[0]);
  require_equal(c, "the width of k", k.shape[rank - 1], q.shape[rank - 1]);
  require_equal(c, "the length of v", v.shape[rank - 2], k.shape[rank - 2]);
  if (rank == 4) {
    const Dim &heads = q.shape[1], &groups = k.shape[1];
    require_equal(c, "the number of heads of v", v.shape[1], groups);
    if (groups.is(0) ||
        (heads.is_constant() && groups.is_constant() && heads.value() % groups.value() != 0)) {
      throw c
          .fail("shape-mismatch", c.signature().name + ": " + heads.to_string() +
                                      " heads of q do not share the " + groups.to_string() +
                                      " heads of k evenly")
          .note(describe("q", q))
          .note(describe("k", k));
    }
  }
  if (c.has_input("mask")) {
    const Fact& mask = c.input("mask");
    if (c.logical("is_causal")) {
      throw c.fail("attribute-value", c.signature().name + ": is_causal = true does not go with a mask");
    }
    if ((!is_float(mask.dtype) && mask.dtype != DataType::boolean) || mask.quant) {
      throw c.fail("dtype-mismatch", c.signature().name + ": the mask must be float or logical")
          .note(describe("mask", mask));
    }
    DimShape scores = q.shape;
    scores.back() = k.shape[rank - 2];
    check_broadcasts_into(c, "mask", mask, scores);
  }
  DimShape shape = q.shape;
  shape.back() = v.shape.back();
  return {fact_of(q.dtype, std::move(shape))};
}

std::vector<Tensor> eval_sdpa(EvalContext& c) {
  const Tensor &q = c.input("q"), &k = c.input("k"), &v = c.input("v");
  const int rank = q.rank();
  const bool has_heads = rank == 4;
  const int64_t batch = q.dim(0), heads = has_heads ? q.dim(1) : 1, groups = has_heads ? k.dim(1) : 1;
  const int64_t rows = q.dim(rank - 2), width = q.dim(rank - 1), keys = k.dim(rank - 2),
                depth = v.dim(rank - 1);
  const bool fits = k.dim(0) == batch && v.dim(0) == batch && k.dim(rank - 1) == width &&
                    v.dim(rank - 2) == keys && groups > 0 && heads % groups == 0 &&
                    (!has_heads || v.dim(1) == groups);
  if (!fits) {
    throw c.fail("shape-mismatch", c.signature().name + ": q " + to_string(q.shape()) + ", k " +
                                       to_string(k.shape()) + " and v " + to_string(v.shape()) +
                                       " do not belong together");
  }
  const double scale = optional_scalar(c, "scale").value_or(1.0 / std::sqrt(static_cast<double>(width)));
  AttentionMask added;
  if (c.has_input("mask")) {
    const Tensor& mask = c.input("mask");
    // [B, T, T'] says nothing of heads when the arguments have none.
    const Shape into = has_heads ? Shape{batch, heads, rows, keys} : Shape{batch, rows, keys};
    const auto strides = strides_into(c, "mask", mask, into);
    added.strides = has_heads ? strides : std::vector<int64_t>{strides[0], 0, strides[1], strides[2]};
    added.items = as_doubles(mask);
    if (mask.dtype() == DataType::boolean) {
      for (double& m : added.items) m = m != 0 ? 0.0 : kMinusInfinity;
    }
  }
  Shape shape = q.shape();
  shape.back() = depth;
  const auto out = attend({batch, heads, groups, rows, keys, width, depth}, as_doubles(q), as_doubles(k),
                          as_doubles(v), scale, c.logical("is_causal"), added);
  return {from_doubles(q.dtype(), shape, out)};
}

// ---- rotary positions ----

std::vector<Fact> infer_rope(InferContext& c) {
  const Fact& input = float_input(c, "input");
  require_rank(c, "input", input, 1);
  const Dim& width = input.shape.back();
  if (width.is_constant() && width.value() % 2 != 0) {
    throw c
        .fail("shape-mismatch",
              c.signature().name + ": the last extent must be even, it is " + width.to_string())
        .note(describe("input", input));
  }
  for (const char* name : {"cos", "sin"}) {
    require_same_dtype(c, "input", input, name, c.input(name));
    check_broadcasts_into(c, name, c.input(name), input.shape);
  }
  return {fact_of(input.dtype, input.shape)};
}

std::vector<Tensor> eval_rope(EvalContext& c) {
  const Tensor &input = c.input("input"), &cos = c.input("cos"), &sin = c.input("sin");
  const Shape& shape = input.shape();
  const int64_t width = shape.back();
  if (width % 2 != 0) {
    throw c.fail("shape-mismatch", c.signature().name + ": the last extent is odd: " + to_string(shape));
  }
  const auto items = as_doubles(input), cosines = as_doubles(cos), sines = as_doubles(sin);
  std::vector<double> out(items.size());
  size_t i = 0;
  for (Odometer<2> o(shape, {strides_into(c, "cos", cos, shape), strides_into(c, "sin", sin, shape)});
       o.more(); o.next(), ++i) {
    const bool first_half = o.index().back() < width / 2;
    const auto half = static_cast<size_t>(width / 2);
    const double rotated = first_half ? -items[i + half] : items[i - half];
    out[i] = items[i] * cosines[static_cast<size_t>(o.offset(0))] +
             rotated * sines[static_cast<size_t>(o.offset(1))];
  }
  return {from_doubles(input.dtype(), shape, out)};
}

// ---- softmax(x * scale + mask) over the last axis ----

std::vector<Fact> infer_masked_softmax(InferContext& c) {
  const Fact& input = float_input(c, "input");
  const Fact& mask = c.input("mask");
  require_rank(c, "input", input, 1);
  if (mask.dtype != DataType::boolean) require_same_dtype(c, "input", input, "mask", mask);
  check_broadcasts_into(c, "mask", mask, input.shape);
  if (c.scalar("scale") == 0) throw c.fail("attribute-range", c.signature().name + ": scale must not be 0");
  return {fact_of(input.dtype, input.shape)};
}

std::vector<Tensor> eval_masked_softmax(EvalContext& c) {
  const Tensor &input = c.input("input"), &mask = c.input("mask");
  const Shape& shape = input.shape();
  auto items = as_doubles(input);
  const auto mask_items = as_doubles(mask);
  const double scale = c.scalar("scale");
  const bool logical = mask.dtype() == DataType::boolean, zero_hidden = c.logical("post_softmax_mask");
  std::vector<bool> hidden(items.size(), false);
  size_t i = 0;
  for (Odometer<1> o(shape, {strides_into(c, "mask", mask, shape)}); o.more(); o.next(), ++i) {
    const double m = mask_items[static_cast<size_t>(o.offset(0))];
    hidden[i] = logical ? m == 0 : m == kMinusInfinity;
    items[i] = items[i] * scale + (!logical ? m : hidden[i] ? kMinusInfinity : 0.0);
  }
  const int64_t width = shape.back();
  for (int64_t row = 0; width > 0 && row < input.size() / width; ++row)
    softmax_row(items.data() + row * width, width);
  for (i = 0; zero_hidden && i < items.size(); ++i) {
    if (hidden[i]) items[i] = 0;
  }
  return {from_doubles(input.dtype(), shape, items)};
}

constexpr OpDef kRows[] = {
    {.name = "tract_transformers_sdpa", .infer = infer_sdpa, .eval = eval_sdpa, .types = kFloats},
    {.name = "tract_transformers_apply_rope", .infer = infer_rope, .eval = eval_rope, .types = kFloats},
    {.name = "tract_transformers_scaled_masked_softmax",
     .infer = infer_masked_softmax,
     .eval = eval_masked_softmax,
     .types = kFloats},
};

}  // namespace

std::span<const OpDef> attention_rows() { return kRows; }

}  // namespace nnefrun
