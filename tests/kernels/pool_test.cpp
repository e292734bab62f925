#include "kernels/pool/pool.h"

#include <limits>

#include "kernels/pool/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

// Of a sum of a window, relative to its items, which lie within 1 of 0.
constexpr double kPoolBudget = 8 * 0x1p-24;

void check(PoolOp op, const PoolShape& s, const PoolKernels& row, const std::vector<float>& x) {
  const int64_t volume = s.out[0] * s.out[1] * s.out[2], in_volume = s.in[0] * s.in[1] * s.in[2];
  INFO("op " << static_cast<int>(op) << " in " << s.in[0] << "x" << s.in[1] << "x" << s.in[2] << " out "
             << s.out[0] << "x" << s.out[1] << "x" << s.out[2] << " window " << s.window[0] << "x"
             << s.window[1] << "x" << s.window[2] << " stride " << s.stride[1] << "," << s.stride[2]
             << " dilation " << s.dilation[1] << "," << s.dilation[2] << " pad " << s.pad_before[1] << ","
             << s.pad_before[2] << " border " << static_cast<int>(s.border));
  Guarded<float> y(static_cast<size_t>(s.planes * volume));
  Guarded<char> workspace(pool_workspace_size(s));
  pool_f32(op, s, x.data(), y.data(), workspace.data(), row.requires_isa);
  REQUIRE(y.intact());
  REQUIRE(workspace.intact());
  double worst = 0;
  for (int64_t p = 0; p < s.planes; ++p) {
    for (int64_t q = 0; q < volume; ++q) {
      const int64_t at[3] = {q / (s.out[1] * s.out[2]), q / s.out[2] % s.out[1], q % s.out[2]};
      const double expected = pool_reference(op, s, x.data() + p * in_volume, at);
      const float got = y[static_cast<size_t>(p * volume + q)];
      if (op == PoolOp::max) {
        REQUIRE(ulp_error(expected, got) == 0);
      } else if (std::isnan(expected)) {  // the average of nothing
        REQUIRE(std::isnan(got));
      } else {
        const double error =
            std::fabs(got - expected) / (static_cast<double>(s.window[0] * s.window[1] * s.window[2]));
        if (!(error <= worst)) worst = error;
      }
    }
  }
  REQUIRE(worst <= kPoolBudget);
}

}  // namespace

TEST_CASE("pooling of every rank and border agrees with the reference", "[kernels][pool]") {
  int count = 0;
  const PoolKernels* const* rows = pool_rows(&count);
  for_each_row("pool", rows, count, [](const PoolKernels& row) {
    Random random(41);
    for (int round = 0; round < 300; ++round) {
      PoolShape s;
      const int rank = 1 + round % 3;
      s.planes = random.whole(1, 3);
      s.border = random.whole(0, 1) == 0 ? PoolBorder::ignore : PoolBorder::constant;
      for (int axis = 3 - rank; axis < 3; ++axis) {
        s.in[axis] = random.whole(1, rank == 3 ? 9 : 40);
        s.window[axis] = random.whole(1, 4);
        s.stride[axis] = random.whole(1, 3);
        s.dilation[axis] = random.whole(0, 3) == 0 ? 2 : 1;
        s.pad_before[axis] = random.whole(0, 2);
        const int64_t room = s.in[axis] + s.pad_before[axis] + random.whole(0, 2) -
                             (s.window[axis] - 1) * s.dilation[axis] - 1;
        s.out[axis] = room < 0 ? 0 : room / s.stride[axis] + 1;
      }
      std::vector<float> x = random.floats(static_cast<size_t>(s.planes * s.in[0] * s.in[1] * s.in[2]));
      for (const PoolOp op : {PoolOp::avg, PoolOp::sum, PoolOp::max}) {
        if (op == PoolOp::max && round % 4 == 0) x[x.size() / 2] = std::numeric_limits<float>::quiet_NaN();
        check(op, s, row, x);
      }
    }
  });
}
