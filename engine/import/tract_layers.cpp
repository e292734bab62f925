// What tract's dialect means by products, convolutions, pooling, resampling and softmax: its filter layouts,
// biases, packed weights and borders (tract-opl section 5).

#include "engine/import/importer.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// A bias of tract has any number of unit axes; rows want [1, channels], or one value.
DimShape bias_shape(const DimShape& shape) {
  DimShape out{1};
  for (const Dim& d : shape) {
    if (!d.is(1)) out.push_back(d);
  }
  if (out.size() == 1) return {};
  return out;
}

}  // namespace

std::vector<Value> Importer::tract_conv(const PrimitiveCall& call) {
  Outlet input = wire(call.argument("input"));
  const bool codes = !is_float(fact(input).dtype);
  Outlet filter = wire(call.argument("filter"), fact(input).dtype);
  const DataType type = fact(input).dtype;
  if (!codes && !is_block_quantized(fact(filter).dtype)) filter = cast(call, filter, type);
  Outlet bias = wire(call.argument("bias"), codes ? DataType::i32 : type);
  if (!codes) bias = cast(call, bias, type);
  const DimShape flat = bias_shape(fact(bias).shape);
  if (flat.size() > 2)
    throw fail(call, "shape-mismatch",
               "a bias has one axis of channels, not shape " + to_string(fact(bias).shape));
  if (flat != fact(bias).shape) bias = graph_.add("reshape", {bias}, {Attribute::of_dims(flat)});
  int64_t groups = integers(call, "groups").at(0);
  if (groups == 0) {
    if (fact(filter).shape.empty() || !fact(filter).shape[0].is_constant())
      throw fail(call, "shape-mismatch", "the filter's extents must be known");
    groups = fact(filter).shape[0].value();
  }
  const auto list = [&](std::string_view name) { return attribute(call.argument(name), call, name); };
  if (codes) {
    const auto wanted = wanted_type(call);
    const std::string to = wanted ? item_type_text(*wanted) : "i32";
    if (fact(bias).rank() == 0 && fact(bias).constant && fact(bias).constant->as_int(0) == 0) {
      return add_row(call, "nnefrun_qconv", {input, filter}, {1, 1, 0},
                     {list("padding"), list("stride"), list("dilation"), Attribute(groups), Attribute(to)});
    }
    return add_row(call, "nnefrun_qconv", {input, filter, bias}, {1, 1, 1},
                   {list("padding"), list("stride"), list("dilation"), Attribute(groups), Attribute(to)});
  }
  return add_row(call, "conv", {input, filter, bias}, {1, 1, 1},
                 {list("border"), list("padding"), list("stride"), list("dilation"), Attribute(groups)});
}

// tract keeps the filter of a deconvolution as [out, in / groups, ...]; the row wants [in, out / groups,
// ...].
std::vector<Value> Importer::tract_deconv(const PrimitiveCall& call) {
  const Outlet input = wire(call.argument("input"));
  Outlet filter = cast(call, wire(call.argument("filter"), fact(input).dtype), fact(input).dtype);
  Outlet bias = cast(call, wire(call.argument("bias"), fact(input).dtype), fact(input).dtype);
  const DimShape flat = bias_shape(fact(bias).shape);
  if (flat.size() <= 2 && flat != fact(bias).shape)
    bias = graph_.add("reshape", {bias}, {Attribute::of_dims(flat)});
  const DimShape shape = fact(filter).shape;
  const auto rank = static_cast<int64_t>(shape.size());
  if (rank < 3 || rank != fact(input).rank()) {
    throw fail(call, "shape-mismatch",
               "filter " + to_string(shape) + " does not fit input " + to_string(fact(input).shape));
  }
  int64_t groups = integers(call, "groups").at(0);
  if (groups == 0) groups = shape[0].is_constant() ? shape[0].value() : 1;
  if (groups < 1 || !shape[0].is_constant() || shape[0].value() % groups != 0) {
    throw fail(
        call, "group-count",
        std::to_string(groups) + " groups do not divide the filter's " + shape[0].to_string() + " channels");
  }
  if (fact(input).shape[1] != shape[1] * Dim(groups)) {
    throw fail(call, "shape-mismatch",
               "the filter expects " + (shape[1] * Dim(groups)).to_string() +
                   " input channels, the input has " + fact(input).shape[1].to_string())
        .note("in tract's dialect a deconvolution's filter is [out, in / groups, ...]");
  }
  const int64_t out_per_group = shape[0].value() / groups;
  DimShape split{groups, out_per_group, shape[1]}, joined{shape[1] * Dim(groups), out_per_group};
  std::vector<int64_t> axes{0, 2, 1};
  for (int64_t i = 2; i < rank; ++i) {
    split.push_back(shape[static_cast<size_t>(i)]);
    joined.push_back(shape[static_cast<size_t>(i)]);
    axes.push_back(i + 1);
  }
  filter = graph_.add("reshape", {filter}, {Attribute::of_dims(split)});
  filter = graph_.add("transpose", {filter}, {Attribute::of_ints(axes)});
  filter = graph_.add("reshape", {filter}, {Attribute::of_dims(joined)});
  std::vector<Dim> output_shape = dims(call, "output_shape");
  if (output_shape.size() == static_cast<size_t>(rank) - 2) {
    output_shape.insert(output_shape.begin(), {fact(input).shape[0], shape[0]});
  }
  const auto list = [&](std::string_view name) { return attribute(call.argument(name), call, name); };
  return add_row(call, "deconv", {input, filter, bias}, {1, 1, 1},
                 {list("border"), list("padding"), list("stride"), list("dilation"),
                  Attribute::of_dims(output_shape), Attribute(groups)});
}

// tract's factors belong to the last axes, however many there are; the standard's to those behind batch and
// channel.
std::vector<Value> Importer::tract_upsample(const PrimitiveCall& call) {
  const Outlet input = wire(call.argument("input"));
  std::vector<int64_t> factor = integers(call, "factor");
  const auto rank = static_cast<size_t>(fact(input).rank());
  if (factor.size() > rank) {
    throw fail(call, "attribute-length",
               "factor has " + std::to_string(factor.size()) + " entries, the input has rank " +
                   std::to_string(rank));
  }
  if (factor.size() + 2 <= rank) {
    factor.insert(factor.begin(), rank - 2 - factor.size(), 1);
    return generic_as(call, call.name, {{"factor", Attribute::of_ints(factor)}});
  }
  std::vector<float> scales(rank - factor.size(), 1.0F);
  for (const int64_t f : factor) scales.push_back(static_cast<float>(f));
  const bool nearest = call.name == "nearest_upsample";
  std::string transformer = "asymmetric";
  if (!nearest) {
    const Attribute method = attribute(call.argument("method"), call, "method");
    if (method == Attribute("symmetric")) transformer = "half_pixel";
    if (method == Attribute("aligned")) transformer = "align_corners";
    if (transformer == "asymmetric" && method != Attribute("asymmetric")) {
      throw fail(call, "attribute-value", "method is not one of symmetric, asymmetric, aligned");
    }
    if (attribute(call.argument("border"), call, "border") != Attribute("replicate")) {
      throw fail(call, "attribute-value", "border must be 'replicate' where batch or channel are resampled");
    }
  }
  const Outlet scale =
      graph_.add_constant(Tensor::of<float>({static_cast<int64_t>(rank)}, scales), "literal");
  return add_row(call, "tract_core_resize", {input, scale}, {1, 1, 0},
                 {Attribute(transformer), Attribute(nearest ? "nearest" : "linear"), Attribute("floor")});
}

// Only cells inside the input compete for a maximum, whatever the border (register A7).
std::vector<Value> Importer::tract_pool(const PrimitiveCall& call) {
  return generic_as(call, call.name, {{"border", Attribute("ignore")}});
}
std::vector<Value> Importer::tract_pool_with_index(const PrimitiveCall& call) {
  return generic_as(call, "nnefrun_max_pool_with_plane_index", {{"border", Attribute("ignore")}});
}

std::vector<Value> Importer::tract_matmul(const PrimitiveCall& call) {
  Outlet a = wire(call.arguments[0]), b = wire(call.arguments[1], fact(wire(call.arguments[0])).dtype);
  const bool ta = attribute(call.argument("transposeA"), call, "transposeA") == Attribute(true);
  const bool tb = attribute(call.argument("transposeB"), call, "transposeB") == Attribute(true);
  const auto wanted = wanted_type(call);
  if (fact(a).quant || fact(b).quant) {
    std::optional<ItemType> type = wanted;
    if (!type && fact(a).quant && fact(b).quant) {
      type = ItemType{DataType::i32, AffineQuantization{0, fact(a).quant->scale * fact(b).quant->scale}};
    }
    if (!type) throw fail(call, "dtype-mismatch", "one operand is quantised and the other is not");
    return add_row(call, "nnefrun_qmatmul", {a, b}, {1, 1, 0},
                   {Attribute(ta), Attribute(tb), Attribute(item_type_text(*type))});
  }
  // A packed weight may have fewer axes than what it multiplies: it gets leading ones.
  const auto lift = [&](Outlet& packed, Outlet other) {
    if (!is_block_quantized(fact(packed).dtype)) return;
    DimShape shape = fact(packed).shape;
    const auto lead = static_cast<int64_t>(fact(other).shape.size()) - static_cast<int64_t>(shape.size());
    if (lead <= 0) return;
    std::vector<int64_t> axes;
    for (int64_t i = 0; i < lead; ++i) axes.push_back(i);
    packed = graph_.add("unsqueeze", {packed}, {Attribute::of_ints(axes)});
  };
  lift(a, b);
  lift(b, a);
  if (!is_block_quantized(fact(a).dtype) && !is_block_quantized(fact(b).dtype) &&
      fact(a).dtype != fact(b).dtype && is_float(fact(a).dtype) && is_float(fact(b).dtype)) {
    b = cast(call, b, fact(a).dtype);
  }
  const auto results = add_row(call, "matmul", {a, b}, {1, 1}, {Attribute(ta), Attribute(tb)});
  return wanted ? requantized(call, wire(results[0]), wanted) : results;
}

std::vector<Value> Importer::tract_linear(const PrimitiveCall& call) {
  const Outlet input = wire(call.argument("input")),
               filter = wire(call.argument("filter"), fact(input).dtype);
  if (fact(input).quant && fact(filter).quant) {
    const Outlet bias = wire(call.argument("bias"), DataType::i32);
    const auto wanted = wanted_type(call);
    const ItemType type =
        wanted ? *wanted
               : ItemType{DataType::i32,
                          AffineQuantization{0, fact(input).quant->scale * fact(filter).quant->scale}};
    return add_row(call, "nnefrun_qmatmul", {input, filter, bias}, {1, 1, 1},
                   {Attribute(false), Attribute(true), Attribute(item_type_text(type))});
  }
  if (is_block_quantized(fact(filter).dtype) || fact(input).rank() != 2 || fact(filter).rank() != 2) {
    Outlet weights = filter;  // by its definition: a product and a sum
    if (fact(filter).rank() < fact(input).rank()) {
      std::vector<int64_t> axes;
      for (int i = 0; i < fact(input).rank() - fact(filter).rank(); ++i) axes.push_back(i);
      weights = graph_.add("unsqueeze", {filter}, {Attribute::of_ints(axes)});
    }
    const Outlet sum = node(call, "matmul", {input, weights}, {Attribute(false), Attribute(true)});
    const Outlet bias = cast(call, wire(call.argument("bias"), fact(sum).dtype), fact(sum).dtype);
    if (fact(bias).constant && fact(bias).constant->size() == 1 && fact(bias).constant->as_double(0) == 0.0)
      return {named(call, sum)};
    return {named(call, node(call, "add", {sum, bias}))};
  }
  const Outlet weights = cast(call, filter, fact(input).dtype);
  const Outlet bias = cast(call, wire(call.argument("bias"), fact(input).dtype), fact(input).dtype);
  return {named(call, node(call, "linear", {input, weights, bias}))};
}

std::vector<Value> Importer::tract_softmax(const PrimitiveCall& call) {
  const Outlet x = wire(call.arguments[0]);
  const auto wanted = wanted_type(call);
  if (fact(x).quant && wanted && wanted->quant && item_size(wanted->dtype) == 1 && call.name == "softmax") {
    return add_row(call, "nnefrun_qsoftmax", {x}, {1},
                   {attribute(call.argument("axes"), call, "axes"), Attribute(item_type_text(*wanted))});
  }
  if (fact(x).quant) return *through_floats(call);
  return generic_as(call, "softmax");
}

}  // namespace nnefrun
