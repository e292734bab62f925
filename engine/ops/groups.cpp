// Weights in groups of codes: what a fragment that dequantises them is recognised as
// (engine/rewrites/groups.cpp).
#include "engine/ops/items.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// A parameter of a group: as many axes as the codes, each extent a divisor of theirs.
void require_group_parameter(const NodeReader& c, const Fact& codes, const Fact& parameter,
                             std::string_view name) {
  bool fits = parameter.dtype == DataType::f32 && !parameter.quant && parameter.rank() == codes.rank();
  for (size_t i = 0; fits && i < codes.shape.size(); ++i) {
    const Dim &whole = codes.shape[i], &part = parameter.shape[i];
    fits = whole.is_constant() && part.is_constant() && part.value() > 0 && whole.value() % part.value() == 0;
  }
  if (fits) return;
  throw c.fail("shape-mismatch",
               prefix_of(c) + "`" + std::string(name) +
                   "` must be f32 of the rank of the codes, with extents that divide theirs");
}

std::vector<Fact> infer_groups(InferContext& c) {
  const Fact &codes = c.input("codes"), &book = c.input("book");
  if (codes.dtype != DataType::u8 || codes.quant)
    throw c.fail("dtype-mismatch", prefix_of(c) + "the codes must be u8, not " + codes.to_string());
  if (book.dtype != DataType::f32 || book.quant || book.rank() != 1)
    throw c.fail("shape-mismatch",
                 prefix_of(c) + "the book must be f32 of one axis, not " + book.to_string());
  require_group_parameter(c, codes, c.input("scale"), "scale");
  if (c.has_input("offset")) require_group_parameter(c, codes, c.input("offset"), "offset");
  Fact out;
  out.dtype = DataType::f32;
  out.shape = codes.shape;
  return {out};
}

// The strides with which a parameter is read over the codes' axes, each of which is cut in two: groups, and
// items in them.
std::vector<int64_t> group_strides(const Tensor& parameter) {
  std::vector<int64_t> strides;
  for (const int64_t stride : strides_of(parameter.shape())) {
    strides.push_back(stride);
    strides.push_back(0);
  }
  return strides;
}

std::vector<Tensor> eval_groups(EvalContext& c) {
  const Tensor &codes = c.input("codes"), &book = c.input("book"), &scale = c.input("scale");
  const Tensor* offset = c.has_input("offset") ? &c.input("offset") : nullptr;
  Tensor out = Tensor::uninitialized(DataType::f32, codes.shape());
  float* to = out.mutable_data<float>();
  // Where a parameter has fewer groups than the other, its own cut is not the other's: each has its own walk.
  const auto cut = [&](const Tensor& parameter) {
    Shape shape;
    for (int i = 0; i < codes.rank(); ++i) {
      shape.push_back(parameter.dim(i));
      shape.push_back(codes.dim(i) / parameter.dim(i));
    }
    return shape;
  };
  int64_t at = 0;
  for (Odometer<1> o(cut(scale), {group_strides(scale)}); o.more(); o.next(), ++at) {
    const uint8_t code = codes.data<uint8_t>()[at];
    if (code >= book.size()) {
      throw c.fail("index-out-of-range", prefix_of(c) + "code " + std::to_string(code) +
                                             " is not in a book of " + std::to_string(book.size()));
    }
    to[at] = book.data<float>()[code] * scale.data<float>()[o.offset(0)];
  }
  if (offset != nullptr) {
    at = 0;
    for (Odometer<1> o(cut(*offset), {group_strides(*offset)}); o.more(); o.next(), ++at)
      to[at] += offset->data<float>()[o.offset(0)];
  }
  return {out};
}

constexpr OpDef kRows[] = {
    {.name = "nnefrun_dequantize_groups",
     .infer = infer_groups,
     .eval = eval_groups,
     .types = {DataType::u8}},
};

}  // namespace

std::span<const OpDef> group_rows() { return kRows; }

}  // namespace nnefrun
