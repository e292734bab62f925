#include "kernels/rope/rope.h"

#include "kernels/rope/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

constexpr double kBudget = 2 * 0x1p-24;  // of the sum of absolute terms

}  // namespace

TEST_CASE("rotary embedding agrees with the reference", "[kernels][rope]") {
  int count = 0;
  const RopeKernels* const* rows = rope_rows(&count);
  for_each_row("rope", rows, count, [](const RopeKernels& row) {
    Random random(99);
    for (const int64_t half : sizes_around_width()) {
      INFO("half " << half);
      const auto width = static_cast<size_t>(2 * half);
      const std::vector<float> x = random.floats(width), cos = random.floats(width),
                               sin = random.floats(width);
      Guarded<float> y(width), own(x);
      row.row(half, x.data(), cos.data(), sin.data(), y.data());
      row.row(half, own.data(), cos.data(), sin.data(), own.data());
      REQUIRE(y.intact());
      REQUIRE(own.intact());
      for (int64_t j = 0; j < 2 * half; ++j) {
        double magnitude = 0;
        const double expected = rope_reference(half, x.data(), cos.data(), sin.data(), j, &magnitude);
        REQUIRE(std::fabs(expected - static_cast<double>(y[static_cast<size_t>(j)])) <= kBudget * magnitude);
        REQUIRE(own[static_cast<size_t>(j)] == y[static_cast<size_t>(j)]);
      }
    }
  });
}
