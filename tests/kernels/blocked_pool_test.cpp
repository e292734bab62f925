#include <limits>

#include "kernels/pool/reference.h"
#include "tests/kernels/blocked_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

constexpr double kBudget = 8 * 0x1p-24;  // sums: times the window's sum of magnitudes

void set_pool_out(PoolShape& s, const int64_t (&pad_after)[3]) {
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t reach = (s.window[axis] - 1) * s.dilation[axis] + 1;
    const int64_t room = s.in[axis] + s.pad_before[axis] + pad_after[axis] - reach;
    s.out[axis] = room < 0 ? 0 : room / s.stride[axis] + 1;
  }
}

// Every lane is a plane of its own.
void check_pool(const BlockedKernels& kernels, PoolOp op, const PoolShape& s, bool specials, Random& random) {
  INFO(kernels.isa_suffix << " op " << static_cast<int>(op) << " border " << static_cast<int>(s.border)
                          << " in " << s.in[0] << "x" << s.in[1] << "x" << s.in[2] << " out " << s.out[0]
                          << "x" << s.out[1] << "x" << s.out[2] << " window " << s.window[0] << "x"
                          << s.window[1] << "x" << s.window[2] << " stride " << s.stride[1] << ","
                          << s.stride[2] << " dilation " << s.dilation[1] << "," << s.dilation[2] << " pad "
                          << s.pad_before[1] << "," << s.pad_before[2]);
  const int64_t b = kernels.block, in_items = volume(s.in), out_items = volume(s.out);
  std::vector<float> x = random.floats(static_cast<size_t>(s.planes * in_items * b));
  if (specials) {
    for (float& item : x) {
      if (random.whole(0, 40) == 0) item = std::nanf("");
      if (random.whole(0, 40) == 0) item = -std::numeric_limits<float>::infinity();
    }
  }
  Aligned blocked(x.size());
  std::copy(x.begin(), x.end(), blocked.data());
  Guarded<float> y(static_cast<size_t>(s.planes * out_items * b));
  const int64_t cut = random.whole(0, s.planes);
  blocked_pool(op, s, blocked.data(), y.data(), cut, s.planes, kernels);
  blocked_pool(op, s, blocked.data(), y.data(), 0, cut, kernels);
  REQUIRE(y.intact());
  std::vector<float> plane(static_cast<size_t>(in_items)), magnitudes(plane.size());
  double worst = 0;
  for (int64_t p = 0; p < s.planes; ++p) {
    for (int64_t lane = 0; lane < b; ++lane) {
      for (int64_t i = 0; i < in_items; ++i) {
        plane[static_cast<size_t>(i)] = x[static_cast<size_t>((p * in_items + i) * b + lane)];
        magnitudes[static_cast<size_t>(i)] = std::fabs(plane[static_cast<size_t>(i)]);
      }
      for (int64_t q = 0; q < out_items; ++q) {
        const int64_t at[3] = {q / (s.out[1] * s.out[2]), q / s.out[2] % s.out[1], q % s.out[2]};
        const float got = y[static_cast<size_t>((p * out_items + q) * b + lane)];
        const double expected = pool_reference(op, s, plane.data(), at);
        double error = 0;
        if (std::isnan(expected) || std::isinf(expected) || op == PoolOp::max) {
          const bool same = std::isnan(expected) ? std::isnan(got) : static_cast<double>(got) == expected;
          error = same ? 0 : 1e30;
        } else {
          error =
              std::fabs(got - expected) / (kBudget * pool_reference(op, s, magnitudes.data(), at) + 1e-30);
        }
        if (!(error <= worst)) worst = error;
      }
    }
  }
  REQUIRE(worst <= 1);
}

}  // namespace

TEST_CASE("blocked pooling of every rank agrees with the reference", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(81);
    for (int round = 0; round < 300; ++round) {
      const int rank = 1 + round % 3;
      PoolShape s;
      s.planes = random.whole(1, 3);
      s.border = random.whole(0, 1) == 0 ? PoolBorder::ignore : PoolBorder::constant;
      int64_t pad_after[3] = {0, 0, 0};
      for (int axis = 3 - rank; axis < 3; ++axis) {
        s.window[axis] = random.whole(1, rank == 3 ? 3 : 6);
        s.stride[axis] = random.whole(1, 3);
        s.dilation[axis] = random.whole(0, 3) == 0 ? 2 : 1;
        s.in[axis] = random.whole(1, rank == 1 ? 80 : rank == 2 ? 20 : 7);
        s.pad_before[axis] = random.whole(-2, random.whole(0, 4) == 0 ? 9 : 3);
        pad_after[axis] = random.whole(-2, random.whole(0, 4) == 0 ? 9 : 3);
      }
      set_pool_out(s, pad_after);
      check_pool(kernels, static_cast<PoolOp>(random.whole(0, kPoolOps - 1)), s, random.whole(0, 2) == 0,
                 random);
    }
  });
}

TEST_CASE("blocked pooling with large windows and stride 1", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(82);
    for (int round = 0; round < 60; ++round) {
      PoolShape s;
      s.planes = random.whole(1, 2);
      s.border = random.whole(0, 1) == 0 ? PoolBorder::ignore : PoolBorder::constant;
      if (round % 10 == 0) s.in[0] = s.out[0] = 2;
      int64_t pad_after[3] = {0, 0, 0};
      for (int axis = 1; axis < 3; ++axis) {
        s.window[axis] = random.whole(4, axis == 2 && round % 15 == 0 ? 36 : 9);
        s.in[axis] = random.whole(1, axis == 1 ? 12 : 45);
        s.pad_before[axis] = random.whole(-2, 10);
        pad_after[axis] = random.whole(-2, 10);
      }
      set_pool_out(s, pad_after);
      check_pool(kernels, static_cast<PoolOp>(random.whole(0, kPoolOps - 1)), s, random.whole(0, 2) == 0,
                 random);
    }
  });
}

TEST_CASE("blocked sums over planes", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(83);
    for (const int64_t positions : {0, 1, 7, 8, 63, 64, 65, 129, 1000, 40000}) {
      const int64_t planes = 3, b = kernels.block;
      const std::vector<float> x = random.floats(static_cast<size_t>(planes * positions * b), 0.0F, 1.0F);
      Aligned blocked(x.size());
      std::copy(x.begin(), x.end(), blocked.data());
      Guarded<float> y(static_cast<size_t>(planes * b));
      const float scale = 0.37F;
      blocked_sum(blocked.data(), planes, positions, scale, y.data(), kernels);
      REQUIRE(y.intact());
      double worst = 0;
      for (int64_t p = 0; p < planes; ++p) {
        for (int64_t lane = 0; lane < b; ++lane) {
          double sum = 0;
          for (int64_t i = 0; i < positions; ++i)
            sum += x[static_cast<size_t>((p * positions + i) * b + lane)];
          const double expected = sum * static_cast<double>(scale);
          const double error = std::fabs(y[static_cast<size_t>(p * b + lane)] - expected);
          worst =
              std::max(worst, error / (4 * 0x1p-24 * expected + 1e-30));  // whatever the number of positions
        }
      }
      REQUIRE(worst <= 1);
    }
    std::vector<float> x(static_cast<size_t>(100 * kernels.block), 1.0F);
    x[static_cast<size_t>(70 * kernels.block)] = std::numeric_limits<float>::infinity();
    Aligned blocked(x.size());
    std::copy(x.begin(), x.end(), blocked.data());
    Guarded<float> y(static_cast<size_t>(kernels.block));
    blocked_sum(blocked.data(), 1, 100, 1.0F, y.data(), kernels);
    REQUIRE(std::isinf(y[0]));
    REQUIRE(y[1] == 100.0F);
  });
}

TEST_CASE("blocked gates", "[kernels][blocked]") {
  for_each_blocked([](const BlockedKernels& kernels) {
    Random random(84);
    for (const int64_t positions : {0, 1, 3, 4, 5, 49, 64}) {
      for (const BlockedGate op : {BlockedGate::add, BlockedGate::mul}) {
        const int64_t planes = 3, b = kernels.block;
        const std::vector<float> x = random.floats(static_cast<size_t>(planes * positions * b));
        Guarded<float> y(random.floats(static_cast<size_t>(planes * b))), z(x.size()), in_place(x);
        Aligned blocked(x.size());
        std::copy(x.begin(), x.end(), blocked.data());
        blocked_gate(op, blocked.data(), y.data(), z.data(), planes, positions, kernels);
        blocked_gate(op, in_place.data(), y.data(), in_place.data(), planes, positions, kernels);
        REQUIRE(z.intact());
        REQUIRE(in_place.intact());
        bool right = true;
        for (size_t i = 0; i < x.size(); ++i) {
          const size_t lane = i % static_cast<size_t>(b), plane = i / static_cast<size_t>(positions * b);
          const float gate = y[plane * static_cast<size_t>(b) + lane];
          const float expected = op == BlockedGate::add ? x[i] + gate : x[i] * gate;
          right = right && z[i] == expected && in_place[i] == expected;
        }
        REQUIRE(right);
      }
    }
  });
}
