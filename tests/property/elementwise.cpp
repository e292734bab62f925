// Item by item: functions, arithmetic, comparisons, selection, activations.
#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

// Exact in every way of computing them.
void exact_unary(Draw& d, std::string_view op) {
  const Outlet x = d.argument(d.number(), d.shape(0, 6));
  d.follow(d.call(op, {{"x", x}}));
}

// Functions that a kernel approximates.
void unary(Draw& d, std::string_view op) {
  d.inexact(12, true);
  d.signed_zeros = false;
  // Where a factor of the product nearly vanishes.
  d.absolute = op == "tract_core_hard_swish" ? 1e-6 : op == "silu" ? 1e-36 : 0;
  const Outlet x = d.argument(d.floating(), d.shape(0, 6));
  d.follow(d.call(op, {{"x", x}}));
}

void logical_unary(Draw& d, std::string_view op) {
  d.follow(d.call(op, {{"x", d.argument(DataType::boolean, d.shape(0, 6))}}));
}
void integer_unary(Draw& d, std::string_view op) {
  d.follow(d.call(op, {{"x", d.argument(d.one_in(5) ? DataType::boolean : d.integer(), d.shape(0, 6))}}));
}

struct Pair {
  Outlet x, y;
};
// Two operands of one type, one of them perhaps broadcast.
Pair operands(Draw& d, DataType dtype) {
  const DimShape shape = d.shape(0, 6);
  Outlet x = d.argument(dtype, shape);
  Outlet y = d.one_in(4) ? d.constant(d.values(dtype, {})) : d.argument(dtype, d.narrowed(shape));
  if (d.one_in(8)) y = x;
  if (d.one_in(3)) std::swap(x, y);
  return {x, y};
}

void exact_binary(Draw& d, std::string_view op) {
  const auto [x, y] = operands(d, d.number());
  d.follow(d.call(op, {{"x", x}, {"y", y}}));
}
// Which of two zeros is smaller is not said.
void number_wins(Draw& d, std::string_view op) {
  d.signed_zeros = false;
  exact_binary(d, op);
}
// Quotients become products with reciprocals of constants.
void division(Draw& d, std::string_view op) {
  d.inexact(2, true);
  exact_binary(d, op);
}
void power(Draw& d, std::string_view op) {
  d.inexact(64, true);
  d.signed_zeros = false;
  const DataType dtype = d.floating();
  if (d.one_in(3)) {
    const Outlet x = d.argument(dtype, d.shape(0, 4));
    const double exponent = d.pick({0.0, 0.5, 1.0, 2.0, 3.0, -1.0, -0.5, -2.0, 1.7});
    const Outlet y = d.constant(d.reals(dtype, {}, exponent, exponent));
    return d.follow(d.call(op, {{"x", x}, {"y", y}}));
  }
  const auto [x, y] = operands(d, dtype);
  d.follow(d.call(op, {{"x", x}, {"y", y}}));
}
void power_of_constant(Draw& d, std::string_view op) {
  d.inexact(64, true);
  d.signed_zeros = false;
  const double exponent = d.one_in(2) ? d.pick({0.0, 0.5, 1.0, 2.0, 3.0, -1.0, -0.5, -2.0}) : d.real(-3, 3);
  d.follow(d.call(op, {{"input", d.argument(d.floating(), d.shape(0, 4))}}, {{"exponent", exponent}}));
}
void logical_binary(Draw& d, std::string_view op) {
  const auto [x, y] = operands(d, DataType::boolean);
  d.follow(d.call(op, {{"x", x}, {"y", y}}));
}
void bits(Draw& d, std::string_view op) {
  const auto [x, y] = operands(d, d.one_in(5) ? DataType::boolean : d.integer());
  d.follow(d.call(op, {{"x", x}, {"y", y}}));
}
void shift(Draw& d, std::string_view op) {
  const DataType dtype = d.integer();
  const DimShape shape = d.shape(0, 4);
  const Outlet x = d.argument(dtype, shape);
  d.follow(d.call(op, {{"x", x}, {"y", d.argument(dtype, d.narrowed(shape), 0, 7)}}));
}

void select(Draw& d, std::string_view op) {
  const DataType dtype = d.any();
  const DimShape shape = d.shape(0, 6);
  const Outlet condition = d.argument(DataType::boolean, d.narrowed(shape));
  const Outlet a = d.argument(dtype, shape), b = d.argument(dtype, d.narrowed(shape));
  const bool swapped = d.one_in(2);
  d.follow(d.call(
      op, {{"condition", condition}, {"true_value", swapped ? b : a}, {"false_value", swapped ? a : b}}));
}

void clamp(Draw& d, std::string_view op) {
  const DataType dtype = d.number();
  const DimShape shape = d.shape(0, 5);
  const Outlet x = d.argument(dtype, d.one_in(4) ? d.narrowed(shape) : shape);
  const auto bound = [&] {
    return d.one_in(2) ? d.constant(d.values(dtype, {})) : d.argument(dtype, d.narrowed(shape));
  };
  const Outlet a = bound(), b = bound();
  d.follow(d.call(op, {{"x", x}, {"a", a}, {"b", b}}));
}

void is_inf(Draw& d, std::string_view op) {
  d.result(d.call(op, {{"input", d.argument(d.floating(), d.shape(0, 4))}},
                  {{"detect_positive", d.one_in(2)}, {"detect_negative", d.one_in(2)}}));
}
void is_nan(Draw& d, std::string_view op) {
  d.result(d.call(op, {{"x", d.argument(d.floating(), d.shape(0, 4))}}));
}

void with_alpha(Draw& d, std::string_view op) {
  d.inexact(12, true);
  d.signed_zeros = false;
  const double alpha = d.one_in(6) ? d.pick({0.0, 1.0, -1.0}) : d.real(-2, 2);
  d.follow(d.call(op, {{"x", d.argument(d.floating(), d.shape(0, 5))}}, {{"alpha", alpha}}));
}
void prelu(Draw& d, std::string_view op) {
  const DataType dtype = d.floating();
  const DimShape shape = d.shape(0, 5);
  d.follow(d.call(op, {{"x", d.argument(dtype, shape)}, {"alpha", d.argument(dtype, d.narrowed(shape))}}));
}
void selu(Draw& d, std::string_view op) {
  d.inexact(12, true);
  const Outlet x = d.argument(d.floating(), d.shape(0, 5));
  if (d.one_in(2)) return d.follow(d.call(op, {{"x", x}}));
  d.follow(d.call(op, {{"x", x}}, {{"alpha", d.real(-2, 2)}, {"lambda", d.real(-2, 2)}}));
}
void gelu(Draw& d, std::string_view op) {
  d.inexact(32, false);
  d.signed_zeros = false;
  d.follow(d.call(op, {{"x", d.argument(d.floating(), d.shape(0, 5))}},
                  {{"approximation", d.pick({"none", "tanh"})}}));
}
void gelu_approx(Draw& d, std::string_view op) {
  d.inexact(32, false);
  d.follow(d.call(op, {{"input", d.argument(d.floating(), d.shape(0, 5))}}, {{"fast_impl", d.one_in(2)}}));
}
void softabs(Draw& d, std::string_view op) {
  d.inexact(8, true);
  d.follow(d.call(op, {{"x", d.argument(d.floating(), d.shape(0, 5))}}, {{"epsilon", d.real(0, 1)}}));
}
void softmax(Draw& d, std::string_view op) {
  d.inexact(64, false);
  const Outlet x = d.argument(d.floating(), d.shape(1, 5));
  const auto axes = d.one_in(2) ? std::vector<int64_t>{d.axis_of(x)} : d.subset(d.fact(x).rank(), false);
  d.follow(d.call(op, {{"x", x}}, {{"axes", Attribute::of_ints(axes)}}));
}

constexpr Generator kGenerators[] = {
    {"neg", exact_unary, true},
    {"abs", exact_unary, true},
    {"sign", exact_unary, true},
    {"floor", exact_unary, true},
    {"ceil", exact_unary, true},
    {"round", exact_unary, true},
    {"nnefrun_round_half_away", exact_unary, true},
    {"tract_core_round_even", exact_unary, true},
    {"relu", exact_unary, true},
    {"sqr", exact_unary, true},
    {"rcp", unary, true},
    {"exp", unary, true},
    {"log", unary, true},
    {"log2", unary, true},
    {"sin", unary},
    {"cos", unary},
    {"tan", unary},
    {"asin", unary, true},
    {"acos", unary, true},
    {"atan", unary, true},
    {"sinh", unary, true},
    {"cosh", unary, true},
    {"tanh", unary, true},
    {"asinh", unary, true},
    {"acosh", unary, true},
    {"atanh", unary, true},
    {"sqrt", unary, true},
    {"rsqr", unary, true},
    {"rsqrt", unary, true},
    {"sigmoid", unary, true},
    {"silu", unary, true},
    {"gelu", unary, true},
    {"softplus", unary, true},
    {"tract_core_erf", unary, true},
    {"tract_core_hard_swish", unary, true},
    {"not", logical_unary},
    {"tract_core_bitnot", integer_unary, true},
    {"tract_core_is_nan", is_nan, true},
    {"tract_core_is_inf", is_inf, true},
    {"add", exact_binary, true},
    {"sub", exact_binary, true},
    {"mul", exact_binary, true},
    {"div", division, true},
    {"min", exact_binary, true},
    {"max", exact_binary, true},
    {"nnefrun_fmin", number_wins, true},
    {"nnefrun_fmax", number_wins, true},
    {"lt", exact_binary, true},
    {"gt", exact_binary, true},
    {"le", exact_binary, true},
    {"ge", exact_binary, true},
    {"eq", exact_binary, true},
    {"ne", exact_binary, true},
    {"pow", power, true},
    {"tract_core_pow_const", power_of_constant, true},
    {"and", logical_binary},
    {"or", logical_binary},
    {"tract_core_xor", logical_binary},
    {"tract_core_bitand", bits, true},
    {"tract_core_bitor", bits, true},
    {"tract_core_bitxor", bits, true},
    {"tract_shl", shift, true},
    {"tract_shr", shift, true},
    {"select", select, true},
    {"clamp", clamp, true},
    {"nnefrun_clip", clamp, true},
    {"prelu", prelu, true},
    {"leaky_relu", with_alpha, true},
    {"elu", with_alpha, true},
    {"selu", selu, true},
    {"nnefrun_gelu", gelu, true},
    {"tract_core_gelu_approx", gelu_approx, true},
    {"softabs", softabs, true},
    {"softmax", softmax},
    {"tract_core_log_softmax", softmax},
};

}  // namespace

std::span<const Generator> elementwise_generators() { return kGenerators; }

}  // namespace nnefrun::property
