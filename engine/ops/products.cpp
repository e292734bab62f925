#include "engine/ops/products.h"

#include <Eigen/Core>

namespace nnefrun {
namespace {

template <class T>
void product(const T* a, const T* b, T* result, int64_t m, int64_t k, int64_t n) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::Map<Matrix> out(result, m, n);
  if (k == 0) {
    out.setZero();
    return;
  }
  if (m == 0 || n == 0) return;
  out.noalias() = Eigen::Map<const Matrix>(a, m, k) * Eigen::Map<const Matrix>(b, k, n);
}

}  // namespace

void matrix_product(const double* a, const double* b, double* result, int64_t m, int64_t k, int64_t n) {
  product(a, b, result, m, k, n);
}

void matrix_product(const uint32_t* a, const uint32_t* b, uint32_t* result, int64_t m, int64_t k, int64_t n) {
  product(a, b, result, m, k, n);
}

}  // namespace nnefrun
