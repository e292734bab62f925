// The elementwise operations in double precision: the oracle of their tests.
#pragma once

#include <cmath>

#include "kernels/elementwise/elementwise.h"

namespace nnefrun::kernels {

inline double unary_reference(UnaryOp op, double x, double a, double b) {
  const double sigmoid = 1 / (1 + std::exp(-x));
  const double hard = std::fmin(std::fmax(x / 6 + 0.5, 0), 1);
  const double softplus = std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x)));
  switch (op) {
    case UnaryOp::copy: return x;
    case UnaryOp::neg: return -x;
    case UnaryOp::abs: return std::fabs(x);
    case UnaryOp::sign: return x > 0 ? 1 : x < 0 ? -1 : 0;
    case UnaryOp::rcp: return 1 / x;
    case UnaryOp::sqr: return x * x;
    case UnaryOp::sqrt: return std::sqrt(x);
    case UnaryOp::rsqr: return 1 / (x * x);
    case UnaryOp::rsqrt: return 1 / std::sqrt(x);
    case UnaryOp::exp: return std::exp(x);
    case UnaryOp::log: return std::log(x);
    case UnaryOp::log2: return std::log2(x);
    case UnaryOp::sin: return std::sin(x);
    case UnaryOp::cos: return std::cos(x);
    case UnaryOp::tan: return std::tan(x);
    case UnaryOp::asin: return std::asin(x);
    case UnaryOp::acos: return std::acos(x);
    case UnaryOp::atan: return std::atan(x);
    case UnaryOp::sinh: return std::sinh(x);
    case UnaryOp::cosh: return std::cosh(x);
    case UnaryOp::tanh: return std::tanh(x);
    case UnaryOp::asinh: return std::asinh(x);
    case UnaryOp::acosh: return std::acosh(x);
    case UnaryOp::atanh: return std::atanh(x);
    case UnaryOp::sigmoid: return sigmoid;
    case UnaryOp::silu: return x * sigmoid;
    case UnaryOp::erf: return std::erf(x);
    case UnaryOp::gelu_erf: return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case UnaryOp::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case UnaryOp::relu: return x > 0 ? x : 0;
    case UnaryOp::clamp: return x < b ? (x > a ? x : a) : b > a ? b : a;
    case UnaryOp::clip: return x > a ? (x < b ? x : b) : a < b ? a : b;
    case UnaryOp::leaky_relu: return x < 0 ? a * x : x;
    case UnaryOp::elu: return x < 0 ? a * std::expm1(x) : x;
    case UnaryOp::selu: return 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * std::expm1(x) : x);
    case UnaryOp::softplus: return softplus;
    case UnaryOp::hard_sigmoid: return hard;
    case UnaryOp::hard_swish: return x * hard;
    case UnaryOp::floor: return std::floor(x);
    case UnaryOp::ceil: return std::ceil(x);
    case UnaryOp::round_half_away: return std::round(x);
    case UnaryOp::round_half_up: return std::floor(x + 0.5);  // exact in double
    case UnaryOp::round_half_even: return std::nearbyint(x);
    case UnaryOp::exp2: return std::exp2(x);
    case UnaryOp::log10: return std::log10(x);
    case UnaryOp::mish: return x * std::tanh(softplus);
  }
  return x;
}

inline float binary_reference(BinaryOp op, float x, float y) {
  switch (op) {
    case BinaryOp::add: return x + y;
    case BinaryOp::sub: return x - y;
    case BinaryOp::mul: return x * y;
    case BinaryOp::div: return x / y;
    case BinaryOp::min: return x < y ? x : y;
    case BinaryOp::max: return x > y ? x : y;
    case BinaryOp::min_number: return std::isnan(y) ? x : std::isnan(x) ? y : x < y ? x : y;
    case BinaryOp::max_number: return std::isnan(y) ? x : std::isnan(x) ? y : x > y ? x : y;
    case BinaryOp::pow: return std::pow(x, y);
    case BinaryOp::squared_difference: return (x - y) * (x - y);
    case BinaryOp::prelu: return x < 0 ? x * y : x;
  }
  return x;
}

inline bool compare_reference(CompareOp op, float x, float y) {
  switch (op) {
    case CompareOp::lt: return x < y;
    case CompareOp::le: return x <= y;
    case CompareOp::gt: return x > y;
    case CompareOp::ge: return x >= y;
    case CompareOp::eq: return x == y;
    case CompareOp::ne: return x != y;
  }
  return false;
}

}  // namespace nnefrun::kernels
