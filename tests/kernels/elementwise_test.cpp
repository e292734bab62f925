#include "kernels/elementwise/elementwise.h"

#include <cmath>
#include <functional>
#include <limits>

#include "kernels/elementwise/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

struct UnaryCase {
  const char* name;
  UnaryOp op;
  double ulp, absolute, low, high;
};
const UnaryCase kUnaryCases[] = {
#define NNEFRUN_UNARY(op, ulp, absolute, low, high) {#op, UnaryOp::op, ulp, absolute, low, high},
#include "kernels/elementwise/kernels.inc"
};

// The parameters that the operations with parameters are tested with.
UnaryParams params_of(UnaryOp op) {
  if (op == UnaryOp::clamp || op == UnaryOp::clip) return {-1.5F, 2.25F};
  if (op == UnaryOp::elu) return {0.75F, 0.0F};
  return {0.1F, 0.0F};
}

void for_each_elementwise(const std::function<void(const ElementwiseKernels&)>& body) {
  int count = 0;
  const ElementwiseKernels* const* rows = elementwise_rows(&count);
  for_each_row("elementwise", rows, count, body);
}

}  // namespace

TEST_CASE("unary rows keep their error budgets", "[kernels][elementwise]") {
  for_each_elementwise([](const ElementwiseKernels& row) {
    const bool fused = row.requires_isa != isa::generic;
    for (const UnaryCase& c : kUnaryCases) {
      constexpr int kSamples = 40000;
      Random random(static_cast<uint32_t>(c.op));
      std::vector<float> x(kSamples);
      for (int i = 0; i < kSamples; ++i) {
        x[static_cast<size_t>(i)] = static_cast<float>(c.low + (c.high - c.low) * i / (kSamples - 1));
        // a third of them near 0 on a logarithmic scale, where relative errors show
        if (i % 3 == 0) {
          const float small = std::ldexp(random.uniform(0.5F, 1.0F), static_cast<int>(random.whole(-30, 3)));
          const float value = i % 2 == 0 || c.low >= 0 ? small : -small;
          if (value >= c.low && value <= c.high) x[static_cast<size_t>(i)] = value;
        }
      }
      std::vector<float> y(kSamples, -7.0F);
      const UnaryParams p = params_of(c.op);
      row.unary[static_cast<int>(c.op)](x.data(), y.data(), kSamples, p);
      double worst = 0;
      float worst_at = 0;
      for (int i = 0; i < kSamples; ++i) {
        const size_t at = static_cast<size_t>(i);
        const double expected = unary_reference(c.op, x[at], p.a, p.b);
        if (std::fabs(expected - y[at]) <= c.absolute) continue;
        const double error = ulp_error(expected, y[at]);
        if (error > worst) worst = error, worst_at = x[at];
      }
      INFO(c.name << " is off by " << worst << " ULP at " << worst_at);
      CHECK(worst <= (fused || c.ulp <= 0.5 ? c.ulp : 2 * c.ulp) + 1e-9);
    }
  });
}

TEST_CASE("unary rows write exactly their range, for every size", "[kernels][elementwise]") {
  for_each_elementwise([](const ElementwiseKernels& row) {
    for (const UnaryCase& c : kUnaryCases) {
      for (const int64_t n : sizes_around_width()) {
        Random random(static_cast<uint32_t>(n));
        Guarded<float> x(random.floats(static_cast<size_t>(n), 0.1F, 0.9F)), y(static_cast<size_t>(n));
        row.unary[static_cast<int>(c.op)](x.data(), y.data(), n, params_of(c.op));
        std::vector<float> alone(static_cast<size_t>(n));
        for (int64_t i = 0; i < n; ++i) {
          row.unary[static_cast<int>(c.op)](x.data() + i, &alone[static_cast<size_t>(i)], 1, params_of(c.op));
        }
        INFO(c.name << " of " << n);
        REQUIRE(y.intact());
        // a value does not depend on its lane
        REQUIRE((n == 0 || std::memcmp(alone.data(), y.data(), static_cast<size_t>(n) * sizeof(float)) == 0));
      }
    }
  });
}

TEST_CASE("unary functions at the edges of f32", "[kernels][elementwise]") {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  struct Edge {
    UnaryOp op;
    float x, y;
  };
  const Edge edges[] = {
      {UnaryOp::exp, kInf, kInf},
      {UnaryOp::exp, -kInf, 0},
      {UnaryOp::exp, 1000, kInf},
      {UnaryOp::exp, -1000, 0},
      {UnaryOp::exp, nan, nan},
      {UnaryOp::exp, 0, 1},
      {UnaryOp::exp, -103.0F, 1.4e-45F},
      {UnaryOp::log, 0, -kInf},
      {UnaryOp::log, kInf, kInf},
      {UnaryOp::log, -1, nan},
      {UnaryOp::log, nan, nan},
      {UnaryOp::log, 1, 0},
      {UnaryOp::log, 1.4e-45F, -103.278929F},
      {UnaryOp::log2, 8, 3},
      {UnaryOp::log2, 0x1p-149F, -149},
      {UnaryOp::tanh, kInf, 1},
      {UnaryOp::tanh, -kInf, -1},
      {UnaryOp::tanh, nan, nan},
      {UnaryOp::tanh, 1e-30F, 1e-30F},
      {UnaryOp::sigmoid, kInf, 1},
      {UnaryOp::sigmoid, -kInf, 0},
      {UnaryOp::sigmoid, nan, nan},
      {UnaryOp::sigmoid, 0, 0.5F},
      {UnaryOp::erf, kInf, 1},
      {UnaryOp::erf, -kInf, -1},
      {UnaryOp::erf, nan, nan},
      {UnaryOp::erf, 1e-30F, 1.12837915e-30F},
      {UnaryOp::relu, nan, 0},
      {UnaryOp::relu, -3, 0},
      {UnaryOp::clamp, nan, 2.25F},
      {UnaryOp::clip, nan, -1.5F},
      {UnaryOp::sign, nan, 0},
      {UnaryOp::softplus, kInf, kInf},
      {UnaryOp::softplus, -kInf, 0},
      {UnaryOp::softplus, nan, nan},
      {UnaryOp::elu, -kInf, -0.75F},
      {UnaryOp::elu, nan, nan},
      {UnaryOp::gelu_erf, nan, nan},
      {UnaryOp::gelu_erf, 100, 100},
      {UnaryOp::gelu_erf, -100, 0},
      {UnaryOp::gelu_tanh, -100, 0},
      {UnaryOp::gelu_tanh, 100, 100},
      {UnaryOp::mish, nan, nan},
      {UnaryOp::sqrt, -1, nan},
      {UnaryOp::rsqrt, 0, kInf},
      {UnaryOp::rcp, kInf, 0},
      {UnaryOp::round_half_even, 0.5F, 0},
      {UnaryOp::round_half_even, 2.5F, 2},
      {UnaryOp::round_half_even, -1.5F, -2},
      {UnaryOp::round_half_away, 0.5F, 1},
      {UnaryOp::round_half_away, -2.5F, -3},
      {UnaryOp::round_half_away, 0.49999997F, 0},
      {UnaryOp::round_half_up, -2.5F, -2},
      {UnaryOp::round_half_up, 0.49999997F, 0},
      {UnaryOp::round_half_up, 8388609.0F, 8388609.0F},
      {UnaryOp::floor, -0.5F, -1},
      {UnaryOp::ceil, 0.5F, 1},
      {UnaryOp::floor, 3e9F, 3e9F},
      {UnaryOp::floor, -kInf, -kInf},
      {UnaryOp::exp2, 10, 1024},
      {UnaryOp::exp2, 128, kInf},
      {UnaryOp::exp2, nan, nan},
      {UnaryOp::log10, 1000, 3},
  };
  for_each_elementwise([&](const ElementwiseKernels& row) {
    for (const Edge& edge : edges) {
      float y = -7;
      row.unary[static_cast<int>(edge.op)](&edge.x, &y, 1, params_of(edge.op));
      INFO("op " << static_cast<int>(edge.op) << " of " << edge.x << " gives " << y << ", expected "
                 << edge.y);
      if (std::isnan(edge.y)) {
        CHECK(std::isnan(y));
      } else {
        CHECK(ulp_error(edge.y, y) <= 1);
      }
    }
  });
}

TEST_CASE("binary, compare and select agree with plain C over broadcasts", "[kernels][elementwise]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for_each_elementwise([&](const ElementwiseKernels& row) {
    Random random(11);
    for (int round = 0; round < 60; ++round) {
      BinaryShape shape;
      shape.rank = static_cast<int>(random.whole(0, 4));
      int64_t total = 1;
      for (int axis = shape.rank - 1; axis >= 0; --axis) {
        shape.dims[axis] = axis == shape.rank - 1
                               ? sizes_around_width()[static_cast<size_t>(random.whole(0, 17))]
                               : random.whole(1, 4);
        shape.z_strides[axis] = total;
        total *= shape.dims[axis];
      }
      int64_t spans[2] = {1, 1};
      for (int o = 0; o < 2; ++o) {
        int64_t* strides = o == 0 ? shape.x_strides : shape.y_strides;
        const int64_t step = round % 5 == 4 ? 3 : 1;  // uneven innermost strides go through buffers
        int64_t span = step;
        for (int axis = shape.rank - 1; axis >= 0; --axis) {
          const bool broadcast = random.whole(0, 3) == 0;
          strides[axis] = broadcast ? 0 : span;
          if (!broadcast) span *= shape.dims[axis];
        }
        spans[o] = span + 1;
      }
      std::vector<float> x = random.floats(static_cast<size_t>(spans[0]), -2, 2);
      std::vector<float> y = random.floats(static_cast<size_t>(spans[1]), -2, 2);
      if (round % 3 == 0) x[0] = nan;
      if (round % 4 == 0) y[0] = nan;
      if (round % 7 == 0) y[y.size() / 2] = x[x.size() / 2];
      auto expect_all = [&](auto out, auto reference) {
        for (int64_t flat = 0; flat < total; ++flat) {
          int64_t rest = flat, xi = 0, yi = 0;
          for (int axis = 0; axis < shape.rank; ++axis) {
            const int64_t index = rest / shape.z_strides[axis];
            rest %= shape.z_strides[axis];
            xi += index * shape.x_strides[axis];
            yi += index * shape.y_strides[axis];
          }
          const auto expected = reference(x[static_cast<size_t>(xi)], y[static_cast<size_t>(yi)]);
          const auto got = out[flat];
          REQUIRE((expected == got || (expected != expected && got != got)));
        }
      };
      for (int op = 0; op < kBinaryOps; ++op) {
        Guarded<float> z(static_cast<size_t>(total));
        binary_f32(static_cast<BinaryOp>(op), shape, x.data(), y.data(), z.data(), row.requires_isa);
        INFO("binary op " << op << ", round " << round);
        REQUIRE(z.intact());
        if (static_cast<BinaryOp>(op) == BinaryOp::pow) {
          expect_all(z.data(), [](float a, float b) { return b == 2.0F ? a * a : std::pow(a, b); });
        } else {
          expect_all(z.data(),
                     [op](float a, float b) { return binary_reference(static_cast<BinaryOp>(op), a, b); });
        }
      }
      for (int op = 0; op < kCompareOps; ++op) {
        Guarded<uint8_t> z(static_cast<size_t>(total));
        compare_f32(static_cast<CompareOp>(op), shape, x.data(), y.data(), z.data(), row.requires_isa);
        INFO("compare op " << op << ", round " << round);
        REQUIRE(z.intact());
        expect_all(z.data(), [op](float a, float b) {
          return uint8_t{compare_reference(static_cast<CompareOp>(op), a, b)};
        });
      }
      std::vector<uint8_t> condition(static_cast<size_t>(total));
      for (uint8_t& c : condition) c = static_cast<uint8_t>(random.whole(0, 2));
      SelectShape select;
      select.rank = shape.rank;
      for (int axis = 0; axis < shape.rank; ++axis) {
        select.dims[axis] = shape.dims[axis];
        select.condition_strides[axis] = select.z_strides[axis] = shape.z_strides[axis];
        select.x_strides[axis] = shape.x_strides[axis];
        select.y_strides[axis] = shape.y_strides[axis];
      }
      Guarded<float> z(static_cast<size_t>(total));
      select_f32(select, condition.data(), x.data(), y.data(), z.data(), row.requires_isa);
      REQUIRE(z.intact());
      int64_t flat = 0;
      expect_all(z.data(),
                 [&](float a, float b) { return condition[static_cast<size_t>(flat++)] != 0 ? a : b; });
    }
  });
}
