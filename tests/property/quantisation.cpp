// Codes with a scale: products, softmax, functions that round to a grid.
#include <cstdio>

#include "quant/tensors.h"
#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

struct Codes {
  DataType dtype;
  AffineQuantization quant;
};
Codes codes(Draw& d) {
  const bool is_signed = d.one_in(2);
  const auto zero = static_cast<int32_t>(is_signed ? d.between(-20, 20) : d.between(100, 150));
  return {is_signed ? DataType::i8 : DataType::u8, {zero, static_cast<float>(d.between(1, 40)) / 64.0F}};
}
std::string type_text(const Codes& c) {
  char text[64];
  std::snprintf(text, sizeof text, "%s(Z:%d S:%g)", c.dtype == DataType::i8 ? "QI8" : "QU8",
                c.quant.zero_point, static_cast<double>(c.quant.scale));
  return text;
}
Outlet coded(Draw& d, const Codes& c, const DimShape& shape, bool constant) {
  Fact fact = fact_of(c.dtype, shape);
  fact.quant = c.quant;
  const auto fill = [&d, c](const Shape& known, const SymbolValues&) {
    return c.dtype == DataType::i8 ? d.reals(c.dtype, known, -128, 127) : d.reals(c.dtype, known, 0, 255);
  };
  if (const auto known = fact.static_shape(); known && constant) return d.constant(fill(*known, {}), c.quant);
  return d.input(fact, fill);
}
std::string result_type(Draw& d) { return d.one_in(4) ? "i32" : type_text(codes(d)); }

// ---- chains of operations on codes, as quantised networks have them ----

Outlet real(Draw& d, Outlet wire) { return d.call("tract_core_cast", {{"input", wire}}, {{"to", "f32"}}); }
Outlet code(Draw& d, Outlet wire, const Codes& c) {
  return d.call("tract_core_cast", {{"input", wire}}, {{"to", type_text(c)}});
}
Codes codes_of(const Fact& fact) { return {fact.dtype, *fact.quant}; }

// With `exact`, one that f32 steps compute as the evaluation does: a sum before it is no single code.
Outlet function(Draw& d, Outlet x, bool exact = false) {
  switch (exact ? d.pick({0, 2, 3}) : d.between(0, 3)) {
    case 0: return d.call("relu", {{"x", x}});
    case 1: return d.call("sigmoid", {{"x", x}});
    case 2:
      return d.call("clamp", {{"x", x},
                              {"a", d.constant(Tensor::scalar(-0.5F))},
                              {"b", d.constant(Tensor::scalar(static_cast<float>(d.real(0, 3))))}});
    default: return d.call("mul", {{"x", x}, {"y", d.constant(Tensor::scalar(1.5F))}});
  }
}

// With `same`, the result has the shape of x.
Outlet convolved(Draw& d, Outlet x, bool same = false) {
  const Fact& fact = d.fact(x);
  if (fact.rank() < 3 || !fact.shape[1].is_constant()) return x;
  const int64_t channels = fact.shape[1].value();
  const bool depthwise = channels > 1 && d.one_in(2);
  const int64_t out = depthwise || same ? channels : d.between(1, 20);
  DimShape filter{out, depthwise ? Dim(1) : Dim(channels)};
  std::vector<int64_t> stride;
  std::vector<std::pair<int64_t, int64_t>> padding;
  for (int axis = 2; axis < fact.rank(); ++axis) {
    const int64_t size = d.between(1, 3);
    filter.emplace_back(size);
    stride.push_back(same ? 1 : d.between(1, 2));
    padding.emplace_back(size - 1, same ? 0 : d.between(0, size - 1));
  }
  const Attributes window{{"padding", Attribute::of_pairs(padding)}, {"stride", Attribute::of_ints(stride)}};
  Arguments arguments{{"input", x}, {"filter", coded(d, codes(d), filter, true)}};
  const Tensor bias = d.reals(DataType::i32, {d.one_in(3) ? 1 : out}, -5000, 5000);
  if (d.one_in(2)) arguments.emplace_back("bias", d.constant(bias));
  const Codes to = codes(d);
  Attributes attributes = window;
  attributes.emplace_back("groups", depthwise ? channels : int64_t{1});
  if (d.one_in(2)) {
    attributes.emplace_back("to", type_text(to));
    return d.call("nnefrun_qconv", arguments, attributes);
  }
  // One scale for each channel.
  const auto scalar = [&](const char* name, Tensor value) {
    arguments.emplace_back(name, d.constant(std::move(value)));
  };
  scalar("a0", Tensor::scalar(int32_t{d.one_in(2) ? 0 : static_cast<int32_t>(d.between(-3, 3))}));
  scalar("a_scale", d.reals(DataType::f32, {out}, 0.001, 0.01));
  scalar("b0", Tensor::scalar(fact.quant->zero_point));
  scalar("b_scale", Tensor::scalar(fact.quant->scale));
  scalar("c0", Tensor::scalar(to.quant.zero_point));
  scalar("c_scale", Tensor::scalar(to.quant.scale));
  attributes.emplace_back("output_dt", type_text(to));
  return d.call("tract_core_qconv", arguments, attributes);
}

Outlet pooled(Draw& d, Outlet x, bool average) {
  const Fact& fact = d.fact(x);
  if (fact.rank() < 3) return x;
  std::vector<int64_t> size{1, 1}, stride{1, 1};
  std::vector<std::pair<int64_t, int64_t>> padding{{0, 0}, {0, 0}};
  for (int axis = 2; axis < fact.rank(); ++axis) {
    size.push_back(d.between(1, 3));
    stride.push_back(d.between(1, 2));
    padding.emplace_back(size.back() - 1, d.between(0, size.back() - 1));
  }
  return d.call(average ? "avg_pool" : "max_pool", {{"input", real(d, x)}},
                {{"size", Attribute::of_ints(size)},
                 {"border", d.pick({"constant", "ignore"})},
                 {"padding", Attribute::of_pairs(padding)},
                 {"stride", Attribute::of_ints(stride)}});
}

Outlet averaged(Draw& d, Outlet x) {
  std::vector<int64_t> axes;
  for (int axis = 2; axis < d.fact(x).rank(); ++axis) axes.push_back(axis);
  return d.call("mean_reduce", {{"input", real(d, x)}}, {{"axes", Attribute::of_ints(axes)}});
}

// Up to five operations on codes after `x`, most of them spelled out in f32.
Outlet network(Draw& d, Outlet x) {
  for (int64_t more = d.between(1, 5); more > 0; --more) {
    const Codes own = codes_of(d.fact(x)), to = d.one_in(2) ? own : codes(d);
    switch (d.between(0, 7)) {
      case 0: x = code(d, function(d, real(d, x)), to); break;
      case 1: {
        const auto* op = d.pick({"add", "sub", "mul", "max", "min"});
        Outlet z =
            d.call(op, {{"x", real(d, x)}, {"y", real(d, d.one_in(2) ? x : code(d, real(d, x), codes(d)))}});
        if (d.one_in(2)) z = function(d, z, true);
        x = code(d, z, to);
        break;
      }
      case 2: x = code(d, pooled(d, x, true), to); break;
      case 3: x = code(d, pooled(d, x, false), to); break;
      case 4: {
        if (d.fact(x).rank() < 3 || !d.fact(x).is_static()) break;
        const Outlet mean = code(d, averaged(d, x), to);
        x = d.one_in(2) ? mean : code(d, d.call("mul", {{"x", real(d, x)}, {"y", real(d, mean)}}), own);
        break;
      }
      case 5: {  // a residual
        const Outlet y = convolved(d, x, true);
        const bool first = d.one_in(2);
        Outlet z = d.call("add", {{"x", real(d, first ? x : y)}, {"y", real(d, first ? y : x)}});
        if (d.one_in(2)) z = function(d, z, true);
        x = code(d, z, to);
        break;
      }
      default: x = convolved(d, x);
    }
    if (d.one_in(5)) d.result(x);
  }
  return d.one_in(2) ? real(d, x) : x;
}

void qmap(Draw& d, std::string_view op) {
  const Codes to = codes(d);
  const bool is_signed = to.dtype == DataType::i8;
  const Tensor table = d.reals(DataType::i64, {256}, is_signed ? -128 : 0, is_signed ? 127 : 255);
  d.follow(d.call(op, {{"x", coded(d, codes(d), d.shape(1, 4), false)}, {"table", d.constant(table)}},
                  {{"to", type_text(to)}}));
}
void qbinary(Draw& d, std::string_view op) {
  const DimShape shape = d.shape(1, 4);
  const bool narrow = d.one_in(3);
  d.follow(d.call(op,
                  {{"x", coded(d, codes(d), shape, false)},
                   {"y", coded(d, codes(d), narrow ? d.narrowed(shape) : shape, d.one_in(4))}},
                  {{"op", d.pick({"add", "sub", "mul", "max", "min"})}, {"to", type_text(codes(d))}}));
}
void qmean(Draw& d, std::string_view op) {
  const DimShape shape = d.shape(3, 5);
  std::vector<int64_t> axes;
  for (size_t axis = 2; axis < shape.size(); ++axis) axes.push_back(static_cast<int64_t>(axis));
  if (d.one_in(4)) axes = {d.between(0, 2)};
  d.follow(d.call(op, {{"x", coded(d, codes(d), shape, false)}},
                  {{"axes", Attribute::of_ints(axes)}, {"to", type_text(codes(d))}}));
}
void qavg_pool(Draw& d, std::string_view op) {
  DimShape shape{d.between(1, 2), d.between(1, 9)};
  std::vector<int64_t> size{1, 1};
  std::vector<std::pair<int64_t, int64_t>> padding{{0, 0}, {0, 0}};
  for (int64_t axes = d.between(1, 3); axes > 0; --axes) {
    size.push_back(d.between(1, 3));
    shape.emplace_back(d.between(size.back(), 7));
    padding.emplace_back(d.between(0, size.back()), d.between(0, size.back()));
  }
  d.follow(d.call(op, {{"input", coded(d, codes(d), shape, false)}},
                  {{"size", Attribute::of_ints(size)},
                   {"border", d.pick({"constant", "ignore"})},
                   {"padding", Attribute::of_pairs(padding)},
                   {"to", type_text(codes(d))}}));
}

void qmatmul(Draw& d, std::string_view op) {
  const Dim m = d.extent(), k = d.extent(), n = d.size();
  const bool ta = d.one_in(3), tb = d.one_in(2);
  Arguments arguments{{"A", coded(d, codes(d), ta ? DimShape{k, m} : DimShape{m, k}, false)},
                      {"B", coded(d, codes(d), tb ? DimShape{n, k} : DimShape{k, n}, d.one_in(2))}};
  if (d.one_in(2)) arguments.emplace_back("bias", d.argument(DataType::i32, {1, n}, -100, 100));
  d.follow(d.call(op, arguments, {{"transposeA", ta}, {"transposeB", tb}, {"to", result_type(d)}}));
}
void qconv(Draw& d, std::string_view op) {
  const int64_t groups = d.one_in(3) ? 2 : 1, in = groups * d.between(1, 3), out = groups * d.between(1, 3);
  DimShape shape{d.one_in(2) && d.symbolic ? Dim::symbol("B") : Dim(d.between(1, 2)), in},
      filter{out, in / groups};
  std::vector<int64_t> stride;
  std::vector<std::pair<int64_t, int64_t>> padding;
  for (int64_t axes = d.between(1, 2); axes > 0; --axes) {
    const int64_t size = d.between(1, 3);
    shape.emplace_back(d.between(size, 8));
    filter.emplace_back(size);
    stride.push_back(d.between(1, 2));
    padding.emplace_back(d.between(0, size - 1), d.between(0, size - 1));
  }
  Arguments arguments{{"input", coded(d, codes(d), shape, false)},
                      {"filter", coded(d, codes(d), filter, !d.one_in(4))}};
  if (d.one_in(2)) arguments.emplace_back("bias", d.argument(DataType::i32, {out}, -100, 100));
  const bool goes_on = d.one_in(2);
  const Outlet y = d.call(op, arguments,
                          {{"padding", Attribute::of_pairs(padding)},
                           {"stride", Attribute::of_ints(stride)},
                           {"groups", groups},
                           {"to", goes_on ? type_text(codes(d)) : result_type(d)}});
  if (goes_on) {
    d.result(network(d, y));
  } else {
    d.follow(y);
  }
}
// A network of an image.
void code_network(Draw& d, std::string_view) {
  DimShape shape{d.one_in(2) && d.symbolic ? Dim::symbol("B") : Dim(d.between(1, 2)), d.between(1, 20)};
  for (int64_t axes = d.between(1, 3); axes > 0; --axes) {
    shape.push_back(d.one_in(3) && d.symbolic ? Dim::symbol("S") + Dim(3) : Dim(d.between(3, 9)));
  }
  d.result(network(d, convolved(d, coded(d, codes(d), shape, false))));
}
void qsoftmax(Draw& d, std::string_view op) {
  const DimShape shape = d.shape(1, 4);
  const auto axis = d.between(0, static_cast<int64_t>(shape.size()) - 1);
  d.follow(d.call(op, {{"x", coded(d, codes(d), shape, false)}},
                  {{"axes", Attribute::of_ints({axis})}, {"to", type_text(codes(d))}}));
}

Outlet number(Draw& d, DataType dtype, double low, double high) { return d.argument(dtype, {}, low, high); }

void tract_qconv(Draw& d, std::string_view op) {
  const int64_t in = d.between(1, 3), out = d.between(1, 3), size = d.between(1, 3);
  Arguments arguments{{"input", d.argument(DataType::i8, {d.between(1, 2), in, d.between(size, 8)}, -50, 50)},
                      {"filter", d.argument(DataType::i8, {out, in, size}, -50, 50)}};
  if (d.one_in(2)) {
    arguments.emplace_back("a0", number(d, DataType::i32, -5, 5));
    arguments.emplace_back("b0", number(d, DataType::i32, -5, 5));
    arguments.emplace_back("a_scale", d.constant(d.reals(DataType::f32, {}, 0.1, 1)));
  }
  d.follow(d.call(op, arguments, {{"groups", 1}, {"output_dt", d.one_in(2) ? "i32" : "QI8(Z:-1 S:0.5)"}}));
}
void tract_qmatmul(Draw& d, std::string_view op) {
  const Dim m = d.extent(), k = d.extent(), n = d.extent();
  Arguments arguments{{"A", d.argument(DataType::i8, {m, k}, -50, 50)},
                      {"B", d.argument(DataType::i8, {k, n}, -50, 50)}};
  if (d.one_in(2)) arguments.emplace_back("a0", number(d, DataType::i32, -5, 5));
  d.follow(d.call(
      op, arguments,
      {{"axes", Attribute::of_ints({0, 1, 0, 1, 0, 1})}, {"output_type", d.one_in(2) ? "i32" : "i8"}}));
}
void einsum_q(Draw& d, std::string_view op) {
  const Dim m = d.extent(), k = d.extent(), n = d.extent();
  Arguments arguments{{"inputs", d.argument(DataType::i8, {m, k}, -50, 50)},
                      {"inputs", d.argument(DataType::i8, {k, n}, -50, 50)}};
  if (d.one_in(2)) arguments.emplace_back("bias", number(d, DataType::i32, -5, 5));
  if (d.one_in(2)) arguments.emplace_back("b0", number(d, DataType::i32, -5, 5));
  d.follow(d.call(op, arguments,
                  {{"expr", "mk,kn,,,,,,,->mn"}, {"acc", "i32"}, {"output", d.one_in(2) ? "i32" : "i8"}}));
}

// Bounds may be one number or one for each channel.
void to_grid(Draw& d, std::string_view op) {
  d.inexact(16, false);
  d.regime = Regime::tame;
  const DataType dtype = d.pick({DataType::f32, DataType::f32, DataType::f64});
  const DimShape shape = d.shape(1, 4);
  const DimShape of = d.one_in(3) ? DimShape{shape[0]} : DimShape{};
  Arguments arguments{{"x", d.argument(dtype, shape)}};
  Attributes attributes{{"bits", d.between(1, 8)}};
  const auto bound = [&](const char* name, DataType type, double low, double high) {
    arguments.emplace_back(name, d.argument(type, of, low, high));
  };
  if (op == "logarithmic_quantize") {
    bound("max", dtype, 0.5, 4);
  } else if (op == "zero_point_linear_quantize") {
    bound("zero_point", DataType::i64, -3, 5);
    bound("scale", dtype, 0.05, 0.5);
  } else {
    bound("min", dtype, -2, -0.1);
    bound("max", dtype, 0.1, 2);
  }
  if (op == "zero_point_linear_quantize" || op == "min_max_linear_quantize") {
    attributes[0].second = d.between(2, 8);
    attributes.emplace_back("signed", d.one_in(2));
    attributes.emplace_back("symmetric", d.one_in(2));
  }
  d.result(d.call(op, arguments, attributes));
}

// Weights in groups of codes, and the product that reads them.
void dequantize_groups(Draw& d, std::string_view op) {
  d.inexact(64, false);
  d.regime = Regime::tame;
  d.signed_zeros = false;
  const int64_t n = d.between(1, 70), group = 8 * d.between(1, 4), groups = d.between(1, 4),
                k = group * groups;
  const int64_t numbers = d.pick({4, 8, 16, 256});
  const bool across = d.one_in(3);
  const auto oriented = [&](int64_t columns, int64_t depth) {
    return across ? Shape{depth, columns} : Shape{columns, depth};
  };
  const Tensor codes = d.reals(DataType::u8, oriented(n, k), 0, static_cast<double>(numbers - 1));
  Tensor book = d.reals(DataType::f32, {numbers}, -1, 1);
  if (numbers == 256 && d.one_in(2)) {
    const auto lowest = static_cast<float>(d.between(-200, 0));
    for (int64_t i = 0; i < numbers; ++i) book.mutable_data<float>()[i] = lowest + static_cast<float>(i);
  }
  Arguments arguments{{"codes", d.constant(codes)}, {"book", d.constant(book)}};
  arguments.emplace_back(
      "scale", d.constant(d.reals(DataType::f32, oriented(d.one_in(4) ? 1 : n, groups), -0.1, 0.1)));
  if (d.one_in(2))
    arguments.emplace_back("offset",
                           d.constant(d.reals(DataType::f32, oriented(n, d.one_in(4) ? 1 : groups), -1, 1)));
  const Outlet weights = d.call(op, arguments);
  if (d.one_in(8)) return d.result(weights);
  const Outlet x = d.argument(DataType::f32, {Dim(d.between(1, 20)), Dim(k)});
  d.follow(d.call("matmul", {{"A", x}, {"B", weights}}, {{"transposeB", !across}}));
}

// Weights in blocks of 8-bit codes, and what reads them.
void blocks_of_bytes(Draw& d, std::string_view) {
  d.inexact(64, false);
  d.regime = Regime::tame;
  d.signed_zeros = false;
  const int64_t n = d.between(1, 70), k = 32 * d.between(1, 3);
  const DataType dtype = d.one_in(4) ? DataType::f16 : DataType::f32;
  const Outlet weights = d.constant(quantize_blocks(
      d.reals(DataType::f32, {n, k}, -1, 1), d.pick({DataType::q8_0, DataType::q8_0, DataType::q8_1})));
  if (d.one_in(3)) {
    const Outlet rows = d.constant(d.reals(DataType::i64, {d.between(1, 5)}, 0, static_cast<double>(n - 1)));
    const Outlet found = d.call("tract_core_gather", {{"input", weights}, {"indices", rows}},
                                {{"axis", 0}, {"datum_type", std::string(name_of(dtype))}});
    if (d.one_in(2)) return d.follow(found);
    return d.follow(d.call("matmul", {{"A", found}, {"B", weights}}, {{"transposeB", true}}));
  }
  const bool across = d.one_in(4);
  const Outlet x = d.argument(dtype, {Dim(d.between(1, 20)), Dim(across ? n : k)});
  d.follow(d.call("matmul", {{"A", x}, {"B", weights}}, {{"transposeB", !across}}));
}

constexpr Generator kGenerators[] = {
    {"products with 8-bit blocks", blocks_of_bytes},
    {"nnefrun_dequantize_groups", dequantize_groups},
    {"nnefrun_qmatmul", qmatmul},
    {"nnefrun_qconv", qconv},
    {"nnefrun_qmap", qmap},
    {"nnefrun_qbinary", qbinary},
    {"nnefrun_qmean", qmean},
    {"nnefrun_qavg_pool", qavg_pool},
    {"network of codes", code_network},
    {"nnefrun_qsoftmax", qsoftmax},
    {"tract_core_qconv", tract_qconv},
    {"tract_core_qmatmul", tract_qmatmul},
    {"tract_core_einsum_q", einsum_q},
    {"linear_quantize", to_grid},
    {"min_max_linear_quantize", to_grid},
    {"zero_point_linear_quantize", to_grid},
    {"logarithmic_quantize", to_grid},
};

}  // namespace

std::span<const Generator> quant_generators() { return kGenerators; }

}  // namespace nnefrun::property
