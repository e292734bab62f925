#include "tests/engine/ops/run_op.h"

using namespace nnefrun;

TEST_CASE("each element-wise function agrees with its formula in double", "[ops]") {
  struct Case {
    const char* name;
    double (*formula)(double);
    std::vector<double> points;
  };
  const std::vector<double> all = {-2.5, -1, -0.5, 0.25, 0.5, 1, 3}, positive = {0.25, 0.5, 1, 2, 9},
                            unit = {-0.9, -0.5, 0.25, 0.8};
  const Case cases[] = {
      {"neg", [](double x) { return -x; }, all},
      {"abs", [](double x) { return x < 0 ? -x : x; }, all},
      {"sqr", [](double x) { return x * x; }, all},
      {"rcp", [](double x) { return 1 / x; }, all},
      {"sqrt", [](double x) { return std::pow(x, 0.5); }, positive},
      {"rsqr", [](double x) { return std::pow(x, -2.0); }, all},
      {"rsqrt", [](double x) { return std::pow(x, -0.5); }, positive},
      {"exp", [](double x) { return std::exp(x); }, all},
      {"log", [](double x) { return std::log(x); }, positive},
      {"log2", [](double x) { return std::log(x) / std::log(2.0); }, positive},
      {"sin", [](double x) { return std::sin(x); }, all},
      {"cos", [](double x) { return std::cos(x); }, all},
      {"tan", [](double x) { return std::sin(x) / std::cos(x); }, all},
      {"asin", [](double x) { return std::asin(x); }, unit},
      {"acos", [](double x) { return std::acos(x); }, unit},
      {"atan", [](double x) { return std::atan(x); }, all},
      {"sinh", [](double x) { return (std::exp(x) - std::exp(-x)) / 2; }, all},
      {"cosh", [](double x) { return (std::exp(x) + std::exp(-x)) / 2; }, all},
      {"tanh", [](double x) { return (std::exp(2 * x) - 1) / (std::exp(2 * x) + 1); }, all},
      {"asinh", [](double x) { return std::log(x + std::sqrt(x * x + 1)); }, all},
      {"acosh", [](double x) { return std::log(x + std::sqrt(x * x - 1)); }, {1.5, 2, 7}},
      {"atanh", [](double x) { return 0.5 * std::log((1 + x) / (1 - x)); }, unit},
      {"tract_core_erf", [](double x) { return 1 - std::erfc(x); }, all},
  };
  for (const Case& c : cases) {
    INFO(c.name);
    std::vector<double> wanted;
    for (const double x : c.points) wanted.push_back(c.formula(x));
    const auto count = static_cast<int64_t>(c.points.size());
    const Tensor exact = Tensor::of<double>({count}, wanted), points = Tensor::of<double>({count}, c.points);
    require_close(op(c.name, {points}), exact, 1e-13);
    const std::vector<float> narrow(c.points.begin(), c.points.end()),
        narrow_wanted(wanted.begin(), wanted.end());
    require_close(op(c.name, {floats({count}, narrow)}), floats({count}, narrow_wanted), 1e-6);
    std::vector<Half> halves, half_wanted;
    for (const float x : narrow) halves.emplace_back(x);
    for (const Half x : halves)
      half_wanted.emplace_back(static_cast<float>(c.formula(static_cast<double>(static_cast<float>(x)))));
    require_close(op(c.name, {Tensor::of<Half>({count}, halves)}), Tensor::of<Half>({count}, half_wanted),
                  1e-3);
  }
}

TEST_CASE("the three roundings part at halves", "[ops]") {
  const Tensor x = floats({8}, {-2.5F, -0.5F, 0.49999997F, 0.5F, 1.5F, 2.5F, 8388609.0F, -0.50000006F});
  require_close(op("round", {x}), floats({8}, {-2, 0, 0, 1, 2, 3, 8388609.0F, -1}), 0);
  require_close(op("nnefrun_round_half_away", {x}), floats({8}, {-3, -1, 0, 1, 2, 3, 8388609.0F, -1}), 0);
  require_close(op("tract_core_round_even", {x}), floats({8}, {-2, 0, 0, 0, 2, 2, 8388609.0F, -1}), 0);
  require_close(op("floor", {x}), floats({8}, {-3, -1, 0, 0, 1, 2, 8388609.0F, -1}), 0);
  require_close(op("ceil", {x}), floats({8}, {-2, 0, 1, 1, 2, 3, 8388609.0F, 0}), 0);
}

TEST_CASE("functions of integers stay integers and wrap", "[ops]") {
  const Tensor x = Tensor::of<int8_t>({4}, {-128, -3, 0, 100});
  require_close(op("neg", {x}), Tensor::of<int8_t>({4}, {-128, 3, 0, -100}), 0);
  require_close(op("abs", {x}), Tensor::of<int8_t>({4}, {-128, 3, 0, 100}), 0);
  require_close(op("sign", {x}), Tensor::of<int8_t>({4}, {-1, -1, 0, 1}), 0);
  require_close(op("round", {x}), x, 0);
  require_close(op("sqr", {x}), Tensor::of<int8_t>({4}, {0, 9, 0, 16}), 0);
  require_close(op("abs", {integers({1}, {INT64_MIN})}), integers({1}, {INT64_MIN}), 0);
  require_close(op("neg", {Tensor::of<uint8_t>({2}, {1, 0})}), Tensor::of<uint8_t>({2}, {255, 0}), 0);
  REQUIRE(op_code("exp", {x}) == "dtype-unsupported");
  REQUIRE(op_code("neg", {logicals({1}, {true})}) == "dtype-unsupported");
}

TEST_CASE("sign of zeros and NaN", "[ops]") {
  const Tensor y = op("sign", {floats({4}, {-0.0F, 0.0F, NAN, -7})});
  require_close(y, floats({4}, {0, 0, NAN, -1}), 0);
  REQUIRE_FALSE(std::signbit(y.data<float>()[0]));
}

TEST_CASE("complements, NaN and infinity tests", "[ops]") {
  require_close(op("not", {logicals({2}, {true, false})}), logicals({2}, {false, true}), 0);
  REQUIRE(op_code("not", {floats({1}, {1})}) == "dtype-mismatch");
  require_close(op("tract_core_bitnot", {Tensor::of<int16_t>({2}, {0, 5})}),
                Tensor::of<int16_t>({2}, {-1, -6}), 0);
  require_close(op("tract_core_bitnot", {logicals({2}, {true, false})}), logicals({2}, {false, true}), 0);
  REQUIRE(op_code("tract_core_bitnot", {floats({1}, {1})}) == "dtype-mismatch");
  const Tensor x = floats({4}, {NAN, INFINITY, -INFINITY, 1});
  require_close(op("tract_core_is_nan", {x}), logicals({4}, {true, false, false, false}), 0);
  require_close(op("tract_core_is_inf", {x}), logicals({4}, {false, true, true, false}), 0);
  require_close(op("tract_core_is_inf", {x}, {true, false}), logicals({4}, {false, true, false, false}), 0);
  require_close(op("tract_core_is_inf", {x}, {false, true}), logicals({4}, {false, false, true, false}), 0);
}

TEST_CASE("powers by a constant", "[ops]") {
  require_close(op("tract_core_pow_const", {floats({3}, {1, 2, 4})}, {1.5}), floats({3}, {1, 2.8284271F, 8}));
  REQUIRE(op_code("tract_core_pow_const", {floats({1}, {1})}, {"x"}) == "attribute-type");
}

TEST_CASE("no items and rank 0 are legal", "[ops]") {
  REQUIRE(op("exp", {floats({0, 3}, {})}).shape() == Shape{0, 3});
  require_close(op("exp", {floats({}, {0})}), floats({}, {1}));
}
