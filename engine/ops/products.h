// Dense matrix products for evals that are sums of products: double for floats (rounded once by the caller),
// 32-bit integers that wrap for codes.
#pragma once

#include <cstdint>

namespace nnefrun {

// result[m, n] = a[m, k] * b[k, n], all row-major and dense; k may be 0.
void matrix_product(const double* a, const double* b, double* result, int64_t m, int64_t k, int64_t n);
void matrix_product(const uint32_t* a, const uint32_t* b, uint32_t* result, int64_t m, int64_t k, int64_t n);

}  // namespace nnefrun
