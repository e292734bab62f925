#include "kernels/reduce/reduce.h"

#include <algorithm>
#include <limits>

#include "kernels/reduce/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

// Of a sum, relative to the sum of absolute values, whatever the length: blocks keep it from growing.
constexpr double kReduceBudget = 8 * 0x1p-24;
// Of softmax and the norms, relative to the value and (norms: the largest of the row).
constexpr double kSoftmaxBudget = 8 * 0x1p-24;
constexpr double kNormBudget = 10 * 0x1p-24;

template <class Body>
void for_each_reduce(Body body) {
  int count = 0;
  const ReduceKernels* const* rows = reduce_rows(&count);
  for_each_row("reduce", rows, count, body);
}

struct Extents {
  int64_t outer, n, inner;
};
std::vector<Extents> extents() {
  std::vector<Extents> all;
  for (const int64_t n : sizes_around_width()) {
    all.push_back({3, n, 1});
    for (const int64_t inner : {2, 5, 16, 19}) all.push_back({2, n, inner});
  }
  all.push_back({1, 100003, 1});
  all.push_back({1, 3001, 7});
  all.push_back({0, 4, 4});
  return all;
}

}  // namespace

TEST_CASE("reductions agree with the reference", "[kernels][reduce]") {
  for_each_reduce([](const ReduceKernels& row) {
    Random random(31);
    for (const Extents& e : extents()) {
      // an offset makes naive summation lose digits
      const std::vector<float> x = random.floats(static_cast<size_t>(e.outer * e.n * e.inner), 0.5F, 1.5F);
      for (int op = 0; op < kReduceOps; ++op) {
        const ReduceOp reduce = static_cast<ReduceOp>(op);
        Guarded<float> y(static_cast<size_t>(e.outer * e.inner));
        row.reduce[op](x.data(), y.data(), e.outer, e.n, e.inner);
        INFO("op " << op << " over [" << e.outer << ", " << e.n << ", " << e.inner << "]");
        REQUIRE(y.intact());
        double worst = 0;
        for (int64_t i = 0; i < e.outer * e.inner; ++i) {
          const float* first = x.data() + i / e.inner * e.n * e.inner + i % e.inner;
          const double expected = reduce_reference(reduce, first, e.n, e.inner);
          const float got = y[static_cast<size_t>(i)];
          if (std::isnan(expected) || std::isinf(expected)) {
            REQUIRE(ulp_error(expected, got) == 0);
          } else if (reduce == ReduceOp::max || reduce == ReduceOp::min) {
            REQUIRE(static_cast<double>(got) == expected);
          } else {
            worst = std::max(worst, std::fabs(got - expected) / (std::fabs(expected) + 1e-30));
          }
        }
        REQUIRE(worst <= kReduceBudget);
      }
    }
  });
}

TEST_CASE("an infinity survives the compensated sums", "[kernels][reduce]") {
  const float inf = std::numeric_limits<float>::infinity();
  for_each_reduce([&](const ReduceKernels& row) {
    for (const int64_t inner : {1, 3}) {
      for (const int64_t at : {0, 700, 1999}) {
        std::vector<float> x(static_cast<size_t>(2000 * inner), 1.0F), y(static_cast<size_t>(inner));
        x[static_cast<size_t>(at * inner)] = -inf;
        row.reduce[static_cast<int>(ReduceOp::sum)](x.data(), y.data(), 1, 2000, inner);
        REQUIRE(y[0] == -inf);
        for (size_t i = 1; i < y.size(); ++i) REQUIRE(y[i] == 2000);
      }
    }
  });
}

TEST_CASE("max and min give NaN when there is one, arg finds the first", "[kernels][reduce]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for_each_reduce([&](const ReduceKernels& row) {
    for (const int64_t inner : {1, 3}) {
      for (int64_t at = 0; at < 40; ++at) {
        std::vector<float> x(static_cast<size_t>(40 * inner));
        for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 7) - 3;
        x[static_cast<size_t>(at * inner)] = nan;
        std::vector<float> y(static_cast<size_t>(inner));
        std::vector<int64_t> where(static_cast<size_t>(inner));
        for (const ReduceOp op : {ReduceOp::max, ReduceOp::min}) {
          row.reduce[static_cast<int>(op)](x.data(), y.data(), 1, 40, inner);
          REQUIRE(std::isnan(y[0]));
          for (size_t i = 1; i < y.size(); ++i) REQUIRE(y[i] == (op == ReduceOp::max ? 3 : -3));
        }
        row.argmax(x.data(), where.data(), 1, 40, inner, false);
        REQUIRE(where[0] == at);
        row.argmin(x.data(), where.data(), 1, 40, inner, true);
        REQUIRE(where[0] == at);
      }
    }
  });
}

TEST_CASE("argmax and argmin, first and last among equals", "[kernels][reduce]") {
  for_each_reduce([](const ReduceKernels& row) {
    Random random(32);
    for (const Extents& e : extents()) {
      if (e.n == 0 || e.outer == 0) continue;
      std::vector<float> x(static_cast<size_t>(e.outer * e.n * e.inner));
      for (float& item : x) item = static_cast<float>(random.whole(-4, 4));
      if (e.n % 2 == 0) {
        for (int i = 0; i < 3; ++i) {
          x[static_cast<size_t>(random.whole(0, static_cast<int64_t>(x.size()) - 1))] =
              std::numeric_limits<float>::quiet_NaN();
        }
      }
      for (const bool largest : {true, false}) {
        for (const bool last : {true, false}) {
          Guarded<int64_t> y(static_cast<size_t>(e.outer * e.inner));
          (largest ? row.argmax : row.argmin)(x.data(), y.data(), e.outer, e.n, e.inner, last);
          REQUIRE(y.intact());
          for (int64_t i = 0; i < e.outer * e.inner; ++i) {
            const float* first = x.data() + i / e.inner * e.n * e.inner + i % e.inner;
            REQUIRE(y[static_cast<size_t>(i)] == arg_reference(largest, last, first, e.n, e.inner));
          }
        }
      }
    }
  });
}

TEST_CASE("softmax and log_softmax agree with the reference", "[kernels][reduce]") {
  for_each_reduce([](const ReduceKernels& row) {
    Random random(33);
    for (const Extents& e : extents()) {
      const size_t count = static_cast<size_t>(e.outer * e.n * e.inner);
      std::vector<float> x = random.floats(count, -20, 20);
      if (!x.empty()) x[x.size() / 2] = -std::numeric_limits<float>::infinity();  // a masked item
      if (e.n == 1 && !x.empty()) x[x.size() / 2] = 2;
      for (const bool log : {false, true}) {
        Guarded<float> y(count);
        (log ? row.log_softmax : row.softmax)(x.data(), y.data(), e.outer, e.n, e.inner);
        INFO("log " << log << " over [" << e.outer << ", " << e.n << ", " << e.inner << "]");
        REQUIRE(y.intact());
        std::vector<double> expected(static_cast<size_t>(e.n));
        double worst = 0;
        for (int64_t i = 0; i < e.outer * e.inner; ++i) {
          const int64_t first = i / e.inner * e.n * e.inner + i % e.inner;
          softmax_reference(log, x.data() + first, expected.data(), e.n, e.inner);
          for (int64_t j = 0; j < e.n; ++j) {
            const double want = expected[static_cast<size_t>(j)];
            const float got = y[static_cast<size_t>(first + j * e.inner)];
            if (std::isinf(want)) {
              REQUIRE(ulp_error(want, got) == 0);
              continue;
            }
            // the argument x - M is exact to half a unit of up to 40, which exp multiplies
            const double scale = log ? 1 + std::fabs(want) : want * 40 + 1e-37;
            worst = std::max(worst, std::fabs(got - want) / scale);
          }
        }
        REQUIRE(worst <= kSoftmaxBudget);
      }
    }
  });
}

TEST_CASE("layer_norm and rms_norm agree with the reference, also in place", "[kernels][reduce]") {
  for_each_reduce([](const ReduceKernels& row) {
    Random random(34);
    for (const int64_t n : {1, 2, 7, 8, 16, 31, 64, 100, 768, 1023}) {
      const int64_t rows = 3;
      const std::vector<float> x = random.floats(static_cast<size_t>(rows * n), 9.0F, 11.0F);
      const std::vector<float> scale = random.floats(static_cast<size_t>(n)),
                               offset = random.floats(static_cast<size_t>(n));
      for (int form = 0; form < 4; ++form) {
        const bool rms = form >= 2, affine = form % 2 == 1;
        Guarded<float> y(x);
        const float* s = affine ? scale.data() : nullptr;
        const float* o = affine && !rms ? offset.data() : nullptr;
        if (rms) {
          row.rms_norm(y.data(), y.data(), rows, n, 1e-5F, s);
        } else {
          row.layer_norm(y.data(), y.data(), rows, n, 1e-5F, s, o);
        }
        REQUIRE(y.intact());
        std::vector<double> expected(static_cast<size_t>(n));
        double worst = 0;
        for (int64_t r = 0; r < rows; ++r) {
          norm_reference(rms, x.data() + r * n, expected.data(), n, 1e-5F, s, o);
          // x - mean loses digits when the mean is large beside the spread
          double mean = 0, variance = 0;
          for (int64_t j = 0; j < n; ++j) mean += x[static_cast<size_t>(r * n + j)] / static_cast<double>(n);
          for (int64_t j = 0; j < n; ++j) {
            const double d = x[static_cast<size_t>(r * n + j)] - mean;
            variance += d * d / static_cast<double>(n);
          }
          const double scale_of_error = rms ? 1 : mean / std::sqrt(variance + 1e-5);
          for (int64_t j = 0; j < n; ++j) {
            const double want = expected[static_cast<size_t>(j)];
            worst = std::max(worst, std::fabs(y[static_cast<size_t>(r * n + j)] - want) /
                                        (scale_of_error * (1 + std::fabs(want))));
          }
        }
        INFO("n " << n << " form " << form);
        REQUIRE(worst <= kNormBudget);
      }
    }
  });
}
