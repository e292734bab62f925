#include "tests/engine/ops/run_op.h"

using namespace nnefrun;

namespace {

Tensor random_floats(const std::string& dist, double first, double second, int64_t seed) {
  return op("tract_onnx_random",
            {floats({}, {static_cast<float>(first)}), floats({}, {static_cast<float>(second)})},
            {"f32", ints({100, 100}), dist, seed}, {2});
}

}  // namespace

TEST_CASE("random numbers follow their distribution, and a seed repeats them", "[ops]") {
  const Tensor uniform = random_floats("uniform", 2, 4, 7), normal = random_floats("normal", 1, 3, 7);
  double sum = 0, normal_sum = 0, squares = 0;
  for (int64_t i = 0; i < uniform.size(); ++i) {
    const double u = uniform.as_double(i), n = normal.as_double(i);
    REQUIRE(u >= 2);
    REQUIRE(u <= 4);
    sum += u;
    normal_sum += n;
    squares += (n - 1) * (n - 1);
  }
  REQUIRE(sum / 10000 == Approx(3).margin(0.05));
  REQUIRE(normal_sum / 10000 == Approx(1).margin(0.15));
  REQUIRE(std::sqrt(squares / 10000) == Approx(3).margin(0.15));
  REQUIRE(random_floats("uniform", 2, 4, 7).identical(uniform));
  REQUIRE_FALSE(random_floats("uniform", 2, 4, 8).identical(uniform));
  REQUIRE(code_of([] { random_floats("cauchy", 0, 1, 1); }) == "attribute-value");
}

TEST_CASE("multinomial draws classes in proportion to their probability", "[ops]") {
  const float lowest = -1000;
  const Tensor drawn =
      op("tract_onnx_multinomial",
         {floats({2, 3}, {lowest, 0, lowest, std::log(0.25F), lowest, std::log(0.75F)})}, {7, 4000, 3});
  REQUIRE(drawn.dtype() == DataType::i64);
  REQUIRE(drawn.shape() == Shape{2, 4000});
  int64_t last = 0;
  for (int64_t i = 0; i < 4000; ++i) {
    REQUIRE(drawn.as_int(i) == 1);
    REQUIRE(drawn.as_int(4000 + i) != 1);
    last += drawn.as_int(4000 + i) == 2 ? 1 : 0;
  }
  REQUIRE(static_cast<double>(last) / 4000 == Approx(0.75).margin(0.05));
  REQUIRE(op_code("tract_onnx_multinomial", {floats({3}, {0, 0, 0})}, {6, 1, 3}) == "shape-mismatch");
}
