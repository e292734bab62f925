#include "kernels/matmul/matmul.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "kernels/matmul/pack.h"
#include "kernels/matmul/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

// Each product and each sum rounds once, so the error of a sum is at most about k roundings of the sum of
// absolute values; a random walk makes it far less. An activation adds a few units in the last place of its
// result.
constexpr double kSumBudget = 4 * 0x1p-24;
constexpr double kActivationBudget = 8 * 0x1p-24;

struct Case {
  int64_t m, n, k;
  bool a_transposed, b_transposed, pack_a, pack_b;
  int style;  // which epilogue
};

void check(const MatmulKernel& kernel, const Case& c, Random& random) {
  INFO(kernel.name << " m " << c.m << " n " << c.n << " k " << c.k << " A^T " << c.a_transposed << " B^T "
                   << c.b_transposed << " packed " << c.pack_a << c.pack_b << " style " << c.style);
  const auto size = [](int64_t a, int64_t b) { return static_cast<size_t>(a * b); };
  std::vector<float> a = random.floats(size(c.m, c.k)), b = random.floats(size(c.k, c.n));
  const int64_t ldc = c.n + (c.style % 2 == 0 || c.n == 1 ? 0 : 3);
  Guarded<float> result(random.floats(size(c.m, ldc)));
  const std::vector<float> before(result.data(), result.data() + result.size());
  std::vector<float> bias = random.floats(static_cast<size_t>(c.m + c.n)),
                     residual = random.floats(size(c.m, c.n));
  MatmulArgs g;
  g.m = c.m, g.n = c.n, g.k = c.k;
  g.a = a.data(), g.b = b.data();
  g.a_row_stride = c.a_transposed ? 1 : c.k, g.a_col_stride = c.a_transposed ? c.m : 1;
  g.b_row_stride = c.b_transposed ? 1 : c.n, g.b_col_stride = c.b_transposed ? c.k : 1;
  g.c = result.data(), g.c_row_stride = ldc;
  Epilogue& e = g.epilogue;
  e.bias = bias.data();
  switch (c.style) {
    case 0: break;
    case 1: g.accumulate = true; break;
    case 2: e.bias_axis = BiasAxis::row, e.activation = Activation::relu; break;
    case 3:
      e.bias_axis = BiasAxis::column, e.scale = 0.5F, e.activation = Activation::clamp, e.a = -0.25F,
      e.b = 6.0F;
      e.residual = residual.data(), e.residual_row_stride = c.n;
      break;
    case 4: e.scale = -1.25F, e.activation = Activation::silu; break;
    default:
      e.bias_axis = BiasAxis::row, e.activation = static_cast<Activation>(c.style), e.a = 0.3F, e.b = 0.8F;
      e.residual = residual.data(), e.residual_row_stride = c.n;
  }
  std::vector<double> expected(size(c.m, c.n)), magnitude(size(c.m, c.n));
  for (int64_t i = 0; i < c.m; ++i) {
    for (int64_t j = 0; j < c.n; ++j) {
      const size_t at = static_cast<size_t>(i * c.n + j);
      expected[at] = matmul_reference(g, i, j, &magnitude[at]);
    }
  }
  Guarded<float> packed_a(packed_a_size(c.m, c.k, kernel)), packed_b(packed_b_size(c.k, c.n, kernel));
  if (c.pack_a) {
    pack_a_f32(c.m, c.k, a.data(), g.a_row_stride, g.a_col_stride, packed_a.data(), kernel);
    g.packed_a = packed_a.data(), g.a = nullptr;
  }
  if (c.pack_b) {
    g.b_by_panels = c.style % 2 == 1;
    pack_b_f32_window(c.k, c.n, b.data(), g.b_row_stride, g.b_col_stride, packed_b.data(),
                      {0, c.n, 0, c.k, g.b_by_panels}, kernel);
    g.packed_b = packed_b.data(), g.b = nullptr;
  }
  Guarded<char> workspace(matmul_workspace_size(c.m, c.n, c.k, c.pack_a, c.pack_b, kernel));
  matmul_f32(g, workspace.data(), kernel);
  REQUIRE(result.intact());
  REQUIRE(workspace.intact());
  REQUIRE(packed_a.intact());
  REQUIRE(packed_b.intact());
  double worst = 0;
  for (int64_t i = 0; i < c.m; ++i) {
    for (int64_t j = 0; j < ldc; ++j) {
      const float got = result[static_cast<size_t>(i * ldc + j)];
      if (j >= c.n) {
        REQUIRE(got == before[static_cast<size_t>(i * ldc + j)]);  // the gap between rows is not ours
        continue;
      }
      const size_t at = static_cast<size_t>(i * c.n + j);
      // exp multiplies the error of its argument by its value
      const double gain = std::fmax(1, std::fabs(expected[at]));
      const double allowed =
          kSumBudget * magnitude[at] * gain + kActivationBudget * std::fabs(expected[at]) + 1e-30;
      const double error = std::fabs(got - expected[at]) / allowed;
      if (!(error <= worst)) worst = error;
    }
  }
  REQUIRE(worst <= 1);
}

template <class Body>
void for_each_matmul(Body body) {
  int count = 0;
  const MatmulKernel* const* rows = matmul_f32_rows(&count);
  for_each_row("matmul_f32", rows, count, body);
}

}  // namespace

TEST_CASE("matmul agrees with the reference over sizes, strides and packings", "[kernels][matmul]") {
  for_each_matmul([](const MatmulKernel& kernel) {
    Random random(1);
    const int64_t extents[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 16, 17, 24, 31, 32, 33, 47, 65};
    for (const int64_t m : extents) {
      for (const int64_t n : extents) {
        const int64_t depths[] = {0, 1, 2, 7, 33, 64};
        const int64_t k = depths[random.whole(0, 5)];
        const int64_t bits = random.whole(0, 15);
        check(kernel,
              {m, n, k, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0,
               static_cast<int>(random.whole(0, 14))},
              random);
      }
    }
  });
}

TEST_CASE("thin products, vectors on either side", "[kernels][matmul]") {
  for_each_matmul([](const MatmulKernel& kernel) {
    Random random(2);
    for (int bits = 0; bits < 16; ++bits) {
      for (const int64_t few : {1, 2, 5}) {
        for (const int64_t many : {1, 9, 70, 200}) {
          for (const int64_t k : {0, 5, 40, 300}) {
            const int style = static_cast<int>(random.whole(0, 14));
            const bool at = (bits & 1) != 0, bt = (bits & 2) != 0, pa = (bits & 4) != 0, pb = (bits & 8) != 0;
            check(kernel, {few, many, k, at, bt, pa, pb, style}, random);
            check(kernel, {many, few, k, at, bt, pa, pb, style}, random);
          }
        }
      }
    }
  });
}

TEST_CASE("matmul across the cache blocks", "[kernels][matmul]") {
  for_each_matmul([](const MatmulKernel& kernel) {
    Random random(3);
    for (int style = 0; style < 5; ++style) {
      check(kernel, {kernel.mc + 3, 37, kernel.kc + 1, false, false, false, false, style}, random);
      check(kernel, {19, kernel.nc + 5, 2 * kernel.kc + 7, false, true, false, false, style}, random);
      check(kernel, {2 * kernel.mr + 1, kernel.nc + 5, kernel.kc + 3, false, false, true, false, style},
            random);
      check(kernel, {kernel.mr, kernel.nc + 5, kernel.kc + 3, false, false, false, false, style}, random);
      check(kernel, {1, kernel.nc + 5, 2 * kernel.kc + 3, false, false, false, true, style}, random);
      check(kernel, {kernel.mc + 5, 1, 2 * kernel.kc + 3, false, false, true, false, style}, random);
      // rows of A a whole way of the first cache apart, and more of them than one block holds
      check(kernel, {2 * kernel.mr + 3, kernel.nr + 5, 1024, false, false, false, true, style}, random);
      check(kernel, {4 * kernel.mc + 3, 9, 40, false, false, false, true, style}, random);
    }
  });
}

TEST_CASE("windows of a product add up to the whole, bit for bit", "[kernels][matmul]") {
  for_each_matmul([](const MatmulKernel& kernel) {
    Random random(4);
    const int64_t m = 5 * kernel.mr + 1, n = 4 * kernel.nr + 3, k = kernel.kc + 9;
    const std::vector<float> a = random.floats(static_cast<size_t>(m * k)),
                             b = random.floats(static_cast<size_t>(k * n));
    const std::vector<float> bias = random.floats(static_cast<size_t>(m));
    Guarded<float> packed_a(packed_a_size(m, k, kernel)), packed_b(packed_b_size(k, n, kernel));
    pack_a_f32(m, k, a.data(), k, 1, packed_a.data(), kernel);
    pack_b_f32(k, n, b.data(), n, 1, packed_b.data(), kernel);
    Guarded<char> workspace(matmul_workspace_size(m, n, k, false, false, kernel));
    std::vector<float> whole(static_cast<size_t>(m * n));
    for (int packing = 0; packing < 4; ++packing) {
      MatmulArgs g;
      g.m = m, g.n = n, g.k = k;
      g.a = a.data(), g.a_row_stride = k, g.b = b.data(), g.b_row_stride = n;
      if ((packing & 1) != 0) g.packed_a = packed_a.data();
      if ((packing & 2) != 0) g.packed_b = packed_b.data();
      g.c_row_stride = n;
      g.epilogue.bias_axis = BiasAxis::row, g.epilogue.bias = bias.data(),
      g.epilogue.activation = Activation::tanh;
      std::vector<float> parts(whole.size());
      g.c = parts.data();
      for (const int row : {0, 2 * kernel.mr, 3 * kernel.mr}) {
        for (const int column : {0, kernel.nr}) {
          g.row_begin = row, g.row_end = row == 0 ? 2 * kernel.mr : row == 2 * kernel.mr ? 3 * kernel.mr : m;
          g.column_begin = column, g.column_end = column == 0 ? kernel.nr : n;
          matmul_f32(g, workspace.data(), kernel);
        }
      }
      if (packing == 0) {
        g.c = whole.data();
        g.row_begin = g.column_begin = 0, g.row_end = g.column_end = -1;
        matmul_f32(g, workspace.data(), kernel);
      }
      INFO(kernel.name << " packing " << packing);
      REQUIRE(parts == whole);
    }
  });
}

namespace {

// Floats whose end is the end of the readable memory.
class AtTheEdge {
 public:
  explicit AtTheEdge(const std::vector<float>& values) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), bytes = values.size() * sizeof(float);
    const size_t readable = (bytes + page - 1) / page * page;
    size_ = readable + page;
    void* mapped = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(mapped != MAP_FAILED);
    base_ = static_cast<char*>(mapped);
    REQUIRE(mprotect(base_ + readable, page, PROT_NONE) == 0);
    data_ = reinterpret_cast<float*>(base_ + readable - bytes);
    std::memcpy(data_, values.data(), bytes);
  }
  ~AtTheEdge() { munmap(base_, size_); }
  AtTheEdge(const AtTheEdge&) = delete;
  AtTheEdge& operator=(const AtTheEdge&) = delete;
  float* data() { return data_; }

 private:
  char* base_ = nullptr;
  size_t size_ = 0;
  float* data_ = nullptr;
};

}  // namespace

TEST_CASE("the last panel of packed columns is filled up to 8 columns at most", "[kernels][matmul]") {
  int count = 0;
  const MatmulKernel* const* rows = matmul_f32_rows(&count);
  for (int i = 0; i < count; ++i) {  // sizes need no machine that runs the row
    const MatmulKernel& kernel = *rows[i];
    const int64_t unit = kernel.lanes < 8 ? kernel.lanes : 8;
    INFO(kernel.name);
    for (int64_t n = 0; n <= 3 * kernel.nr; ++n) {
      const auto columns = static_cast<size_t>((n + unit - 1) / unit * unit);
      REQUIRE(packed_b_size(9, n, kernel) - packed_b_size(0, n, kernel) == 9 * columns);
    }
  }
}

// No sanitizer sees what assembly reads.
TEST_CASE("operands are not read beyond their end", "[kernels][matmul]") {
  for_each_matmul([](const MatmulKernel& kernel) {
    Random random(5);
    for (const int64_t m : {1, 2, 3, 5, 8, 17}) {
      for (const int64_t n : {1, 8, 12, 16, 22, 31, 48}) {
        for (const int64_t k : {4, 8, 9, 31, 64}) {
          for (const bool b_transposed : {false, true}) {
            const std::vector<float> a = random.floats(static_cast<size_t>(m * k)),
                                     b = random.floats(static_cast<size_t>(k * n));
            AtTheEdge a_edge(a), b_edge(b), c_edge(std::vector<float>(static_cast<size_t>(m * n)));
            MatmulArgs g;
            g.m = m, g.n = n, g.k = k;
            g.a = a_edge.data(), g.a_row_stride = k;
            g.b = b_edge.data(), g.b_row_stride = b_transposed ? 1 : n, g.b_col_stride = b_transposed ? k : 1;
            g.c = c_edge.data(), g.c_row_stride = n;
            Guarded<char> workspace(matmul_workspace_size(m, n, k, false, false, kernel));
            matmul_f32(g, workspace.data(), kernel);
            INFO(kernel.name << " m " << m << " n " << n << " k " << k << " B^T " << b_transposed);
            double magnitude = 0;
            const double expected = matmul_reference(g, m - 1, n - 1, &magnitude);
            REQUIRE(std::fabs(c_edge.data()[m * n - 1] - expected) <= kSumBudget * magnitude + 1e-30);

            const size_t size = packed_b_size(k, n, kernel);
            if (size % 16 != 0) continue;  // would not begin at an aligned address
            AtTheEdge packed{std::vector<float>(size)};
            g.b_by_panels = b_transposed;
            pack_b_f32_window(k, n, b.data(), g.b_row_stride, g.b_col_stride, packed.data(),
                              {0, n, 0, k, g.b_by_panels}, kernel);
            g.packed_b = packed.data(), g.b = nullptr;
            std::fill_n(c_edge.data(), m * n, 0.0F);
            matmul_f32(g, workspace.data(), kernel);
            REQUIRE(std::fabs(c_edge.data()[m * n - 1] - expected) <= kSumBudget * magnitude + 1e-30);
          }
        }
      }
    }
  });
}
