// Chains of arithmetic with numbers as polynomials of one wire: 0.5 * x * (1 + 0.044 * x * x) is 0.5 x +
// 0.022 x^3, whatever order its nodes have.
#pragma once

#include <array>
#include <optional>

#include "engine/rewrites/rewrite.h"

namespace nnefrun {

// Coefficients of x^0 .. x^3.
using Cubic = std::array<double, 4>;

// The wire as a polynomial of `x`; nullopt when it is none of degree 3 or less, or does not depend on x by
// add, sub, mul, div (by a number), neg, sqr and pow (with a number) alone.
std::optional<Cubic> polynomial_of(const RewriteContext& c, Outlet outlet, Outlet x, int depth = 0);

}  // namespace nnefrun
