#include "kernels/groups/groups.h"

#include <cmath>

#include "base/half.h"
#include "kernels/matmul/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun;
using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

// As for matmul_f32: a random walk of roundings, each of the sum of absolute values.
constexpr double kSumBudget = 4 * 0x1p-24;
constexpr double kActivationBudget = 8 * 0x1p-24;

struct Case {
  int64_t m, n, k, group;
  GroupForm form;
  int style;
};

struct Weights {
  std::vector<uint8_t> codes;  // [n][k]
  std::vector<float> book, scales, offsets;
  std::vector<uint8_t> packed_codes, packed_scales, packed_offsets;
  GroupWeights view;
};

void put(std::vector<uint8_t>& to, bool half, int64_t at, float value) {
  if (half) {
    const uint16_t bits = half_bits_from_float(value);
    std::memcpy(&to[static_cast<size_t>(2 * at)], &bits, 2);
  } else {
    std::memcpy(&to[static_cast<size_t>(4 * at)], &value, 4);
  }
}

Weights random_weights(const Case& c, Random& random) {
  Weights w;
  GroupWeights& v = w.view;
  v.form = c.form, v.n = c.n, v.k = c.k, v.group = c.group;
  v.half_scales = c.style % 2 == 1;
  v.half_offsets = c.style == 3;
  const int count = 1 << bits_of(c.form);
  for (int64_t i = 0; i < c.n * c.k; ++i) w.codes.push_back(static_cast<uint8_t>(random.whole(0, count - 1)));
  for (int i = 0; i < book_items(c.form); ++i)
    w.book.push_back(i < count ? random.uniform(-1.0F, 1.0F) : w.book[static_cast<size_t>(i % count)]);
  v.book = w.book.empty() ? nullptr : w.book.data();
  w.packed_codes.resize(static_cast<size_t>(packed_group_codes_size(v)));
  std::vector<uint8_t> room(static_cast<size_t>(v.units() * kGroupUnit + 1));
  pack_group_codes(v, w.packed_codes.data(), 0, c.n, room.data(), [&](int64_t j, uint8_t* out) {
    for (int64_t p = 0; p < c.k; ++p) out[p] = w.codes[static_cast<size_t>(j * c.k + p)];
  });
  const int64_t groups = v.groups(), items = packed_group_scales_size(v);
  w.packed_scales.resize(static_cast<size_t>(items) * (v.half_scales ? 2 : 4));
  w.packed_offsets.resize(static_cast<size_t>(items) * (v.half_offsets ? 2 : 4));
  for (int64_t j = 0; j < c.n; ++j) {
    for (int64_t g = 0; g < groups; ++g) {
      // what f16 holds exactly
      const float scale = static_cast<float>(random.whole(-64, 64)) / 256,
                  offset = static_cast<float>(random.whole(-64, 64)) / 64;
      w.scales.push_back(scale);
      w.offsets.push_back(offset);
      const int64_t at = (j / kGroupPanel * groups + g) * kGroupPanel + j % kGroupPanel;
      put(w.packed_scales, v.half_scales, at, scale);
      put(w.packed_offsets, v.half_offsets, at, offset);
    }
  }
  v.codes = w.packed_codes.data();
  v.scales = w.packed_scales.data();
  v.offsets = c.style >= 2 ? w.packed_offsets.data() : nullptr;
  return w;
}

double number(const Weights& w, int64_t j, int64_t p, double* magnitude) {
  const GroupWeights& v = w.view;
  const uint8_t code = w.codes[static_cast<size_t>(j * v.k + p)];
  const auto at = static_cast<size_t>(j * v.groups() + p / v.group);
  const double first = (v.form == GroupForm::eight ? static_cast<double>(static_cast<int8_t>(code))
                                                   : static_cast<double>(w.book[code])) *
                       static_cast<double>(w.scales[at]);
  const double second = v.offsets == nullptr ? 0 : static_cast<double>(w.offsets[at]);
  *magnitude = std::fabs(first) + std::fabs(second);
  return first + second;
}

void check(IsaFeatures features, const Case& c, Random& random) {
  INFO("m " << c.m << " n " << c.n << " k " << c.k << " group " << c.group << " form "
            << static_cast<int>(c.form) << " style " << c.style);
  const auto size = [](int64_t a, int64_t b) { return static_cast<size_t>(a * b); };
  const Weights w = random_weights(c, random);
  const int64_t ldx = c.k + (c.style == 1 ? 5 : 0), ldc = c.n + (c.style == 2 ? 3 : 0);
  const std::vector<float> x = random.floats(size(c.m, ldx), -2.0F, 2.0F);
  const std::vector<float> bias = random.floats(size(c.n, 1)), residual = random.floats(size(c.m, c.n));
  Guarded<float> result(random.floats(size(c.m, ldc)));
  GroupArgs g;
  g.m = c.m, g.n = c.n, g.k = c.k;
  g.x = x.data(), g.x_row_stride = ldx;
  g.w = w.view;
  g.c = result.data(), g.c_row_stride = ldc;
  if (c.style == 3) {
    g.epilogue.bias = bias.data(), g.epilogue.bias_axis = BiasAxis::column,
    g.epilogue.activation = Activation::silu;
    g.epilogue.residual = residual.data(), g.epilogue.residual_row_stride = c.n;
  }
  Guarded<char> workspace(groups_workspace_size(c.m, w.view, features));
  matmul_groups(g, workspace.data(), features);
  REQUIRE(result.intact());
  REQUIRE(workspace.intact());
  double worst = 0;
  for (int64_t i = 0; i < c.m; ++i) {
    for (int64_t j = 0; j < c.n; ++j) {
      double sum = 0, magnitude = 0;
      for (int64_t p = 0; p < c.k; ++p) {
        double most = 0;
        const double xv = static_cast<double>(x[size(i, ldx) + static_cast<size_t>(p)]);
        sum += number(w, j, p, &most) * xv;
        magnitude += most * std::fabs(xv);
      }
      if (c.style == 3) {
        const double more = static_cast<double>(bias[static_cast<size_t>(j)]) +
                            static_cast<double>(residual[size(i, c.n) + static_cast<size_t>(j)]);
        magnitude += std::fabs(static_cast<double>(bias[static_cast<size_t>(j)])) +
                     std::fabs(static_cast<double>(residual[size(i, c.n) + static_cast<size_t>(j)]));
        sum = activation_reference(Activation::silu, sum + more, 0, 0);
      }
      const double got = static_cast<double>(result[size(i, ldc) + static_cast<size_t>(j)]);
      const double allowed = kSumBudget * magnitude + kActivationBudget * std::fabs(sum) + 1e-30;
      worst = std::isnan(got) ? 1e30 : std::fmax(worst, std::fabs(got - sum) / allowed);
    }
  }
  REQUIRE(worst <= 1);
  // Pieces add up to the whole, bit for bit.
  const std::vector<float> whole(result.data(), result.data() + result.size());
  for (int64_t column = 0; column < c.n; column += 64) {
    g.column_begin = column, g.column_end = std::min(c.n, column + 64);
    matmul_groups(g, workspace.data(), features);
  }
  REQUIRE(std::vector<float>(result.data(), result.data() + result.size()) == whole);
  // rows for look-ups
  std::vector<float> row(static_cast<size_t>(c.k) + 1);
  for (const int64_t j : {int64_t{0}, c.n - 1}) {
    decode_group_row(w.view, j, row.data());
    for (int64_t p = 0; p < c.k; ++p) {
      double most = 0;
      const double expected = number(w, j, p, &most);
      REQUIRE(std::fabs(static_cast<double>(row[static_cast<size_t>(p)]) - expected) <= 0x1p-23 * most);
    }
  }
}

}  // namespace

TEST_CASE("products with weights in groups", "[kernels][groups][isa]") {
  int count = 0;
  const GroupKernels* const* rows = groups_rows(&count);
  for_each_row("groups", rows, count, [&](const GroupKernels& row) {
    REQUIRE(&choose_groups(row.requires_isa) == &row);
    Random random(77);
    for (int form = 0; form < kGroupFormCount; ++form) {
      int style = form;
      for (const int64_t m : {1, 2, 5, 13}) {
        for (const int64_t n : {1, 31, 32, 70}) {
          for (const auto& [k, group] :
               {std::pair<int64_t, int64_t>{8, 8}, {64, 32}, {75, 16}, {77, 80}, {320, 64}}) {
            check(row.requires_isa, {m, n, k, group, static_cast<GroupForm>(form), style++ % 4}, random);
          }
        }
      }
      check(row.requires_isa, {14, 300, 1037, 128, static_cast<GroupForm>(form), 2}, random);
    }
  });
}

TEST_CASE("units of codes come back", "[kernels][groups]") {
  for (int form = 0; form < kGroupFormCount; ++form) {
    const auto f = static_cast<GroupForm>(form);
    const int count = 1 << bits_of(f);
    uint8_t codes[8], unit[8], panel[32 * 8], again[8];
    for (int start = 0; start < count; ++start) {
      for (int i = 0; i < 8; ++i) codes[i] = static_cast<uint8_t>((start + 5 * i) % count);
      pack_group_unit(f, codes, unit);
      place_group_unit(f, unit, 7, panel);
      take_group_unit(f, panel, 7, again);
      for (int i = 0; i < 8; ++i) REQUIRE((group_code(f, again, i) & (count - 1)) == codes[i]);
    }
  }
}
