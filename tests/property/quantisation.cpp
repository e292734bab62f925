// Codes with a scale: products, softmax, functions that round to a grid.
#include <cstdio>

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
    return d.reals(c.dtype, known, 0, 127);
  };
  if (const auto known = fact.static_shape(); known && constant) return d.constant(fill(*known, {}), c.quant);
  return d.input(fact, fill);
}
std::string result_type(Draw& d) { return d.one_in(4) ? "i32" : type_text(codes(d)); }

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
  d.follow(d.call(op, arguments,
                  {{"padding", Attribute::of_pairs(padding)},
                   {"stride", Attribute::of_ints(stride)},
                   {"groups", groups},
                   {"to", result_type(d)}}));
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

constexpr Generator kGenerators[] = {
    {"nnefrun_qmatmul", qmatmul},
    {"nnefrun_qconv", qconv},
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
