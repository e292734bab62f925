#include "kernels/resample/resample.h"

#include <algorithm>

#include "kernels/resample/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

// Relative to the sum of absolute terms, of at most 5 taps.
constexpr double kBudget = 6 * 0x1p-24;

void check(const ResampleKernels& row, ResampleAxis a, Random& random) {
  INFO("[" << a.outer << ", " << a.in << " to " << a.out << ", " << a.inner << "], taps " << a.taps);
  const std::vector<float> x = random.floats(static_cast<size_t>(a.outer * a.in * a.inner));
  Guarded<float> y(static_cast<size_t>(a.outer * a.out * a.inner));
  row.resample(a, x.data(), y.data());
  REQUIRE(y.intact());
  double worst = 0;
  for (int64_t i = 0; i < a.outer * a.out * a.inner; ++i) {
    const double expected =
        resample_reference(a, x.data(), i / a.inner / a.out, i / a.inner % a.out, i % a.inner);
    worst = std::max(worst, std::fabs(expected - static_cast<double>(y[static_cast<size_t>(i)])));
  }
  REQUIRE(worst <= (a.weight == nullptr ? 0 : 5 * kBudget));
}

}  // namespace

TEST_CASE("resampling agrees with the reference", "[kernels][resample]") {
  int count = 0;
  const ResampleKernels* const* rows = resample_rows(&count);
  for_each_row("resample", rows, count, [](const ResampleKernels& row) {
    Random random(81);
    for (const int64_t inner : {1, 2, 5, 16, 19, 40}) {
      for (const int64_t out : {0, 1, 7, 20}) {
        ResampleAxis a;
        a.outer = 3, a.in = 6, a.out = out, a.inner = inner, a.outside = 0.25F;
        std::vector<int32_t> index(100), first(1, 0);
        for (int32_t& i : index) i = static_cast<int32_t>(random.whole(0, 5));
        const std::vector<float> weight = random.floats(100);
        for (int64_t at = 0; at < out; ++at)
          first.push_back(first.back() + static_cast<int32_t>(random.whole(0, 5)));
        a.index = index.data();
        a.taps = 1;
        check(row, a, random);
        a.weight = weight.data();
        check(row, a, random);
        a.taps = 2;
        check(row, a, random);
        a.taps = 0;
        a.first = first.data();
        check(row, a, random);
      }
    }
  });
}
