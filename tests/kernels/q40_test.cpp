#include "kernels/q40/q40.h"

#include <cmath>
#include <limits>

#include "kernels/matmul/matmul.h"
#include "kernels/q40/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun;
using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

// As for matmul_f32: a random walk of roundings, each of the sum of absolute values.
constexpr double kSumBudget = 4 * 0x1p-24;
constexpr double kActivationBudget = 8 * 0x1p-24;

std::vector<BlockQ40> random_weights(int64_t n, int64_t k, Random& random) {
  std::vector<BlockQ40> w(static_cast<size_t>(n * k / 32));
  for (BlockQ40& block : w) {
    block.d = half_bits_from_float(random.uniform(-0.2F, 0.2F));
    for (uint8_t& q : block.q) q = static_cast<uint8_t>(random.whole(0, 255));
  }
  return w;
}

struct Case {
  int64_t m, n, k;
  bool fast;
  int style;
};

void check(IsaFeatures features, const Case& c, Random& random) {
  INFO("m " << c.m << " n " << c.n << " k " << c.k << " fast " << c.fast << " style " << c.style);
  const auto size = [](int64_t a, int64_t b) { return static_cast<size_t>(a * b); };
  const std::vector<BlockQ40> w = random_weights(c.n, c.k, random);
  const int64_t ldx = c.k + (c.style == 1 && !c.fast ? 5 : 0), ldc = c.n + (c.style == 2 ? 3 : 0);
  std::vector<float> x = random.floats(size(c.m, ldx), -2.0F, 2.0F);
  const std::vector<float> bias = random.floats(size(c.m + c.n, 1)), residual = random.floats(size(c.m, c.n));
  const int64_t panel = q40_panel(c.fast, features);
  Guarded<uint8_t> packed(packed_q40_size(c.n, c.k, panel));
  pack_q40(c.n, c.k, w.data(), packed.data(), panel);
  REQUIRE(packed.intact());
  Guarded<ActivationQ80> activations(c.fast ? size(c.m, c.k / 32) : 0);
  Guarded<float> result(random.floats(size(c.m, ldc)));
  const std::vector<float> before(result.data(), result.data() + result.size());
  Q40Args g;
  g.m = c.m, g.n = c.n, g.k = c.k;
  g.x = x.data(), g.x_row_stride = ldx;
  g.packed = packed.data();
  g.c = result.data(), g.c_row_stride = ldc;
  if (c.fast) {
    quantize_q80(x.data(), c.m * c.k / 32, activations.data(), features);
    REQUIRE(activations.intact());
    g.activations = activations.data();
  }
  Epilogue& e = g.epilogue;
  e.bias = bias.data();
  if (c.style == 3) {
    e.bias_axis = BiasAxis::column, e.activation = Activation::silu, e.residual = residual.data(),
    e.residual_row_stride = c.n;
  }
  if (c.style == 4) e.bias_axis = BiasAxis::row, e.scale = 0.5F, e.activation = Activation::relu;
  Guarded<char> workspace(q40_workspace_size(c.m, c.n, c.k, c.fast, features));
  matmul_q40(g, workspace.data(), features);
  REQUIRE(result.intact());
  REQUIRE(workspace.intact());
  double worst = 0;
  for (int64_t i = 0; i < c.m; ++i) {
    for (int64_t j = 0; j < ldc; ++j) {
      const float got = result[size(i, ldc) + static_cast<size_t>(j)];
      if (j >= c.n) {
        REQUIRE(got == before[size(i, ldc) + static_cast<size_t>(j)]);
        continue;
      }
      double magnitude = 0;
      const double expected = q40_reference(g, w.data(), i, j, &magnitude);
      const double allowed = kSumBudget * magnitude + kActivationBudget * std::fabs(expected) + 1e-30;
      worst = std::fmax(worst, std::fabs(got - expected) / allowed);
      if (std::isnan(got)) worst = 1e30;
    }
  }
  REQUIRE(worst <= 1);
  // Pieces add up to the whole, bit for bit.
  const std::vector<float> whole(result.data(), result.data() + result.size());
  const bool by_rows = c.fast || c.m >= choose_q40(features).few_rows;
  for (int64_t row = 0; row < c.m;) {
    const int64_t rows = by_rows ? std::min<int64_t>(c.m - row, 1 + row) : c.m;
    for (int64_t column = 0; column < c.n; column += 64) {
      g.row_begin = row, g.row_end = row + rows;
      g.column_begin = column, g.column_end = std::min(c.n, column + 64);
      matmul_q40(g, workspace.data(), features);
    }
    row += rows;
  }
  REQUIRE(std::vector<float>(result.data(), result.data() + result.size()) == whole);
}

template <class Body>
void for_each_exact(Body body) {
  int count = 0;
  const Q40Kernels* const* rows = q40_rows(&count);
  for_each_row("q40", rows, count, [&](const Q40Kernels& row) {
    REQUIRE(&choose_q40(row.requires_isa) == &row);
    body(row);
  });
}
template <class Body>
void for_each_fast(Body body) {
  int count = 0;
  const Q40Q80Kernels* const* rows = q40_q80_rows(&count);
  for_each_row("q40 x q80", rows, count, [&](const Q40Q80Kernels& row) {
    REQUIRE(&choose_q40_q80(row.requires_isa) == &row);
    body(row);
  });
}

void check_sizes(IsaFeatures features, bool fast) {
  Random random(fast ? 2 : 1);
  for (const int64_t m : {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 30}) {
    for (const int64_t n : {1, 5, 16, 31, 32, 33, 64, 100}) {
      for (const int64_t k : {32, 64, 160}) {
        check(features, {m, n, k, fast, static_cast<int>(random.whole(0, 4))}, random);
      }
    }
  }
  check(features, {1, 70, 2048, fast, 0}, random);
  check(features, {3, 300, 1024, fast, 3}, random);
  check(features, {14, 300, 1024, fast, 3}, random);  // over the windows that are decoded
}

}  // namespace

TEST_CASE("exact products with Q4_0 weights agree with the reference", "[kernels][q40]") {
  for_each_exact([](const Q40Kernels& row) { check_sizes(row.requires_isa, false); });
}

TEST_CASE("fast products with Q4_0 weights agree with the reference", "[kernels][q40]") {
  for_each_fast([](const Q40Q80Kernels& row) { check_sizes(row.requires_isa, true); });
}

TEST_CASE("activations are quantised alike by every instruction set", "[kernels][q40]") {
  Random random(3);
  std::vector<float> x = random.floats(32 * 200);
  for (size_t block = 0; block < 200; ++block) {
    const float scale = std::ldexp(1.0F, static_cast<int>(random.whole(-140, 120)));
    for (size_t i = 0; i < 32; ++i) x[block * 32 + i] *= scale;
    if (block % 10 == 3) x[block * 32 + block % 32] = std::numeric_limits<float>::infinity();
    if (block % 10 == 5) x[block * 32 + block % 32] = std::numeric_limits<float>::quiet_NaN();
    if (block % 10 == 7)
      std::fill(x.begin() + static_cast<std::ptrdiff_t>(block) * 32,
                x.begin() + static_cast<std::ptrdiff_t>(block) * 32 + 32, 0.0F);
  }
  for_each_fast([&](const Q40Q80Kernels& row) {
    Guarded<ActivationQ80> got(200);
    row.quantize(x.data(), 200, got.data());
    REQUIRE(got.intact());
    for (size_t block = 0; block < 200; ++block) {
      const ActivationQ80 expected = quantize_q80_reference(x.data() + block * 32);
      INFO(row.isa_suffix << " block " << block);
      if (std::isnan(expected.d)) {
        REQUIRE(std::isnan(got[block].d));
        continue;
      }
      REQUIRE(std::memcmp(&expected, &got[block], sizeof(expected)) == 0);
    }
  });
}

TEST_CASE("the extremes of codes and activations do not overflow", "[kernels][q40]") {
  for_each_fast([](const Q40Q80Kernels& row) {
    for (const int code : {0x00, 0xFF}) {
      std::vector<BlockQ40> w(32 * 2);
      for (BlockQ40& block : w) {
        block.d = half_bits_from_float(1.0F);
        std::memset(block.q, code, sizeof(block.q));
      }
      for (const float value : {1.0F, -1.0F}) {
        const std::vector<float> x(64, value);
        Guarded<ActivationQ80> activations(2);
        row.quantize(x.data(), 2, activations.data());
        Guarded<uint8_t> packed(packed_q40_size(32, 64, row.panel));
        pack_q40(32, 64, w.data(), packed.data(), row.panel);
        std::vector<float> c(32);
        Q40Args g;
        g.m = 1, g.n = 32, g.k = 64, g.activations = activations.data(), g.packed = packed.data(),
        g.c = c.data();
        Guarded<char> workspace(q40_workspace_size(1, 32, 64, true, row.requires_isa));
        matmul_q40(g, workspace.data(), row.requires_isa);
        REQUIRE(workspace.intact());
        const float expected = value * (code == 0 ? -8.0F : 7.0F) * 64;
        INFO(row.isa_suffix << " code " << code << " value " << value);
        for (const float got : c) REQUIRE(got == Approx(expected).epsilon(1e-6));
      }
    }
  });
}

// What `fast` costs: half a step of each activation's block, times the weight.
TEST_CASE("the error of the fast way is within its bound", "[kernels][q40]") {
  for_each_fast([](const Q40Q80Kernels& row) {
    Random random(4);
    const int64_t n = 64, k = 256;
    const std::vector<BlockQ40> w = random_weights(n, k, random);
    std::vector<float> floats(static_cast<size_t>(n * k));
    dequantize_q40(w.data(), w.size(), floats.data());
    const std::vector<float> x = random.floats(static_cast<size_t>(k), -3.0F, 3.0F);
    Guarded<uint8_t> packed(packed_q40_size(n, k, row.panel));
    pack_q40(n, k, w.data(), packed.data(), row.panel);
    Guarded<ActivationQ80> activations(static_cast<size_t>(k / 32));
    row.quantize(x.data(), k / 32, activations.data());
    std::vector<float> c(static_cast<size_t>(n));
    Q40Args g;
    g.m = 1, g.n = n, g.k = k, g.activations = activations.data(), g.packed = packed.data(), g.c = c.data();
    Guarded<char> workspace(q40_workspace_size(1, n, k, true, row.requires_isa));
    matmul_q40(g, workspace.data(), row.requires_isa);
    for (int64_t j = 0; j < n; ++j) {
      double exact = 0, bound = 1e-6;
      for (int64_t p = 0; p < k; ++p) {
        const double weight = floats[static_cast<size_t>(j * k + p)];
        exact += weight * x[static_cast<size_t>(p)];
        bound += std::fabs(weight) * activations[static_cast<size_t>(p / 32)].d * 0.5001;
      }
      REQUIRE(std::fabs(c[static_cast<size_t>(j)] - exact) <= bound);
    }
  });
}

TEST_CASE("rows of packed Q4_0 weights, and activations that are no numbers", "[kernels][q40]") {
  Random random(5);
  const int64_t n = 45, k = 96;
  const std::vector<BlockQ40> w = random_weights(n, k, random);
  std::vector<float> floats(static_cast<size_t>(n * k));
  dequantize_q40(w.data(), w.size(), floats.data());
  for (const int64_t panel : {32, 8}) {
    Guarded<uint8_t> packed(packed_q40_size(n, k, panel));
    pack_q40_window(n, k, w.data(), packed.data(), 32, n, panel);
    pack_q40_window(n, k, w.data(), packed.data(), 0, 32, panel);
    REQUIRE(packed.intact());
    for (int64_t row = 0; row < n; ++row) {
      std::vector<float> got(static_cast<size_t>(k));
      decode_q40_row(packed.data(), k, row, got.data(), panel);
      REQUIRE(std::vector<float>(floats.begin() + row * k, floats.begin() + (row + 1) * k) == got);
    }
  }
  for (const bool fast : {false, true}) {
    const int64_t panel = q40_panel(fast);
    Guarded<uint8_t> packed(packed_q40_size(n, k, panel));
    pack_q40(n, k, w.data(), packed.data(), panel);
    std::vector<float> x(static_cast<size_t>(2 * k), 0.5F), c(static_cast<size_t>(2 * n));
    x[static_cast<size_t>(k) + 40] = std::numeric_limits<float>::quiet_NaN();
    std::vector<ActivationQ80> activations(static_cast<size_t>(2 * k / 32));
    quantize_q80(x.data(), 2 * k / 32, activations.data());
    Q40Args g;
    g.m = 2, g.n = n, g.k = k, g.x = x.data(), g.x_row_stride = k, g.packed = packed.data();
    g.c = c.data(), g.c_row_stride = n;
    if (fast) g.activations = activations.data();
    Guarded<char> workspace(q40_workspace_size(2, n, k, fast));
    matmul_q40(g, workspace.data());
    for (size_t j = 0; j < static_cast<size_t>(n); ++j) {
      REQUIRE(std::isfinite(c[j]));
      REQUIRE(std::isnan(c[static_cast<size_t>(n) + j]));
    }
  }
}
