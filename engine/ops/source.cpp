// Sources of values: inputs, stored tensors, shape values, casts.
#include "engine/ops/items.h"
#include "engine/ops/quant_types.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

void require_extents(const NodeReader& c, const DimShape& shape) {
  for (const Dim& extent : shape) {
    if (extent.is_constant() && extent.value() < 0) {
      throw c.fail("shape-negative", prefix_of(c) + "shape " + to_string(shape) + " has a negative extent");
    }
  }
}

ItemType item_type_attribute(const NodeReader& c, std::string_view name) {
  const auto type = parse_item_type(c.string(name));
  if (!type) {
    throw c.fail("unknown-dtype", prefix_of(c) + "`" + c.string(name) + "` is no item type")
        .note(
            "item types are f16, f32, f64, bool, i8 ... i64, u8 ... u64, string, QI8(Z:0 S:0.1), QU8(...), "
            "QI32(...)");
  }
  return *type;
}

std::vector<Tensor> never(EvalContext& c) {
  throw c.fail("internal", prefix_of(c) + "has no value of its own");
}

std::vector<Fact> infer_external(InferContext& c) {
  const ItemType type = item_type_attribute(c, "datum_type");
  Fact out = fact_of(type.dtype, c.dims("shape"));
  out.quant = type.quant;
  require_extents(c, out.shape);
  return {out};
}

std::vector<Fact> infer_variable(InferContext& c) {
  Fact out = fact_of(DataType::f32, c.dims("shape"));
  require_extents(c, out.shape);
  return {out};
}

std::vector<Fact> infer_dims(InferContext& c) {
  const auto value = c.dims("value");
  Fact out = fact_of(DataType::i64, c.dims("shape"));
  const auto shape = out.static_shape();
  require_extents(c, out.shape);
  if (!shape || volume_of(*shape) != static_cast<int64_t>(value.size())) {
    throw c.fail("shape-mismatch", prefix_of(c) + std::to_string(value.size()) +
                                       " values do not fill the shape " + to_string(out.shape));
  }
  set_known_dims(out, value);
  return {out};
}

std::vector<Tensor> eval_dims(EvalContext& c) {
  return {Tensor::of<int64_t>(c.output_shape(), c.integers("value"))};
}

std::vector<Fact> infer_cast(InferContext& c) {
  const Fact& input = c.input("input");
  const ItemType to = item_type_attribute(c, "to");
  if (!can_cast(item_type_of(input), to)) {
    throw c.fail("cast-unsupported", prefix_of(c) + "there is no cast from " +
                                         item_type_text(item_type_of(input)) + " to " + item_type_text(to) +
                                         "; go through f32");
  }
  Fact out = fact_of(to.dtype, input.shape);
  out.quant = to.quant;
  if (input.dtype == DataType::i64 && !to.quant) {
    if (const auto dims = known_dims(input)) set_known_dims(out, *dims);
  }
  return {out};
}

std::vector<Tensor> eval_cast(EvalContext& c) {
  const ItemType from = item_type_of(c.input_fact("input"));
  return {cast_typed(c.input("input"), from, item_type_of(c.output_fact()))};
}

constexpr OpDef kRows[] = {
    {.name = "tract_core_external", .infer = infer_external, .eval = never, .types = kItems},
    {.name = "variable", .infer = infer_variable, .eval = never, .types = kItems},
    {.name = "nnefrun_dims", .infer = infer_dims, .eval = eval_dims, .types = kI64},
    {.name = "tract_core_cast", .infer = infer_cast, .eval = eval_cast, .types = kItems},
};

}  // namespace

std::span<const OpDef> source_rows() { return kRows; }

}  // namespace nnefrun
