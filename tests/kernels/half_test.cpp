#include "kernels/half/half.h"

#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "kernels/matmul/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun;
using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

constexpr double kSumBudget = 4 * 0x1p-24;
constexpr double kActivationBudget = 8 * 0x1p-24;

void check(IsaFeatures features, int64_t m, int64_t n, int64_t k, int style, Random& random) {
  INFO("m " << m << " n " << n << " k " << k << " style " << style);
  const auto size = [](int64_t a, int64_t b) { return static_cast<size_t>(a * b); };
  const std::vector<float> x = random.floats(size(m, k)), bias = random.floats(static_cast<size_t>(n)),
                           residual = random.floats(size(m, n));
  std::vector<uint16_t> w;
  std::vector<float> wide;
  for (size_t i = 0; i < size(n, k); ++i) {
    w.push_back(half_bits_from_float(random.uniform(-1.0F, 1.0F)));
    wide.push_back(float_from_half_bits(w.back()));
  }
  Guarded<float> result(size(m, n));
  HalfArgs g;
  g.m = m, g.n = n, g.k = k, g.x = x.data(), g.x_row_stride = k, g.w = w.data();
  g.c = result.data(), g.c_row_stride = n;
  if (style == 1) {
    g.epilogue.bias_axis = BiasAxis::column, g.epilogue.bias = bias.data();
    g.epilogue.activation = Activation::silu;
    g.epilogue.residual = residual.data(), g.epilogue.residual_row_stride = n;
  }
  Guarded<char> workspace(half_workspace_size(m, n, k, features));
  matmul_half(g, workspace.data(), features);
  REQUIRE(result.intact());
  REQUIRE(workspace.intact());
  MatmulArgs plain;
  plain.m = m, plain.n = n, plain.k = k, plain.a = x.data(), plain.a_row_stride = k;
  plain.b = wide.data(), plain.b_row_stride = 1, plain.b_col_stride = k, plain.epilogue = g.epilogue;
  double worst = 0;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double magnitude = 0;
      const double expected = matmul_reference(plain, i, j, &magnitude);
      const double allowed = kSumBudget * magnitude + kActivationBudget * std::fabs(expected) + 1e-30;
      const double error = std::fabs(result[size(i, n) + static_cast<size_t>(j)] - expected) / allowed;
      if (!(error <= worst)) worst = error;
    }
  }
  REQUIRE(worst <= 1);
  // Pieces add up to the whole, bit for bit.
  const std::vector<float> whole(result.data(), result.data() + result.size());
  for (const int64_t piece : {kHalfColumns, 2 * kHalfColumns}) {
    std::fill(result.data(), result.data() + result.size(), -77.0F);
    for (int64_t column = 0; column < n; column += piece) {
      g.column_begin = column, g.column_end = std::min(n, column + piece);
      matmul_half(g, workspace.data(), features);
    }
    REQUIRE(std::vector<float>(result.data(), result.data() + result.size()) == whole);
  }
}

}  // namespace

TEST_CASE("products with f16 weights agree with the reference", "[kernels][half]") {
  int count = 0;
  const HalfKernels* const* rows = half_rows(&count);
  for_each_row("half", rows, count, [](const HalfKernels& row) {
    REQUIRE(&choose_half(row.requires_isa) == &row);
    Random random(1);
    for (const int64_t m : {1, 2, 3, 4, 5, 7, 8, 19}) {
      for (const int64_t n : {1, 3, 4, 33, 70, 135}) {
        for (const int64_t k : {0, 1, 15, 32, 63, 100}) {
          check(row.requires_isa, m, n, k, static_cast<int>(random.whole(0, 1)), random);
        }
      }
    }
    check(row.requires_isa, 1, 40, 1000, 1, random);
    check(row.requires_isa, 9, 300, 900, 1, random);
  });
}
