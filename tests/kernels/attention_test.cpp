#include "kernels/attention/attention.h"

#include <algorithm>
#include <limits>

#include "base/half.h"
#include "kernels/attention/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <class Body>
void for_each_attention(Body body) {
  int count = 0;
  const AttentionKernels* const* rows = attention_rows(&count);
  for_each_row("attention", rows, count, body);
}

// Dense [batch, heads, rows, width], or [batch, rows, heads, width] with `spare` rows behind the last.
void set_strides(int64_t (&strides)[3], int64_t heads, int64_t rows, int64_t width, bool transposed,
                 int64_t spare) {
  strides[0] = heads * (rows + spare) * width;
  strides[1] = transposed ? width : (rows + spare) * width;
  strides[2] = transposed ? heads * width : width;
}

// Owns what the arguments point to.
struct Case {
  AttentionArgs args;
  std::vector<float> q, k, v, mask;
  std::vector<uint8_t> flags;

  Case(int64_t batch, int64_t heads, int64_t groups, int64_t rows, int64_t keys, int64_t width, int64_t depth,
       bool transposed, int64_t spare, Random& random, float range = 1.0F) {
    AttentionShape& s = args.shape;
    s.batch = batch, s.heads = heads, s.groups = groups, s.rows = rows, s.keys = keys, s.width = width;
    s.depth = depth;
    s.scale = width == 0 ? 1.0F : 1.0F / std::sqrt(static_cast<float>(width));
    set_strides(s.q_strides, heads, rows, width, transposed, 0);
    set_strides(s.k_strides, groups, keys, width, transposed, spare);
    set_strides(s.v_strides, groups, keys, depth, transposed, spare);
    set_strides(s.out_strides, heads, rows, depth, transposed, 0);
    q = random.floats(static_cast<size_t>(batch * heads * rows * width), -range, range);
    k = random.floats(static_cast<size_t>(batch * groups * (keys + spare) * width), -range, range);
    v = random.floats(static_cast<size_t>(batch * groups * (keys + spare) * depth));
    args.q = q.data(), args.k = k.data(), args.v = v.data();
  }
  // which: broadcast over rows (0), over heads (1), nothing (2), keys in the outermost place (3)
  void add_mask(bool boolean, int which, Random& random) {
    AttentionShape& s = args.shape;
    const size_t size = static_cast<size_t>(s.batch * s.heads * s.rows * s.keys);
    mask.resize(size);
    flags.resize(size);
    for (size_t i = 0; i < size; ++i) {
      mask[i] = random.uniform(0, 1) < 0.3F ? -kInfinity : random.uniform(-2, 2);
      flags[i] = random.uniform(0, 1) < 0.7F ? 1 : 0;
    }
    s.mask = boolean ? AttentionMask::boolean : AttentionMask::f32;
    args.mask = boolean ? static_cast<const void*>(flags.data()) : mask.data();
    const int64_t strides[4][4] = {{s.keys, 0, 0, 1},
                                   {s.rows * s.keys, 0, s.keys, 1},
                                   {s.heads * s.rows * s.keys, s.rows * s.keys, s.keys, 1},
                                   {s.heads * s.rows, s.rows, 1, s.batch * s.heads * s.rows}};
    std::copy(strides[which], strides[which] + 4, s.mask_strides);
  }
  size_t out_size() const {
    return q.size() / std::max<size_t>(1, static_cast<size_t>(args.shape.width)) *
           static_cast<size_t>(args.shape.depth);
  }
};

std::string describe(const AttentionShape& s) {
  const auto text = [](int64_t n) { return std::to_string(n) + " "; };
  return "batch " + text(s.batch) + "heads " + text(s.heads) + "groups " + text(s.groups) + "rows " +
         text(s.rows) + "keys " + text(s.keys) + "width " + text(s.width) + "depth " + text(s.depth) +
         "mask " + text(static_cast<int>(s.mask)) + (s.causal ? "causal" : "");
}

std::vector<uint16_t> to_halves(std::vector<float>& items) {
  std::vector<uint16_t> halves;
  for (float& item : items) {
    halves.push_back(nnefrun::half_bits_from_float(item));
    item = nnefrun::float_from_half_bits(halves.back());
  }
  return halves;
}

// What the attention is over f16 keys and values; those of the case are rounded to them.
std::vector<float> run_over_halves(const AttentionKernels& row, Case& c) {
  const std::vector<uint16_t> k = to_halves(c.k), v = to_halves(c.v);
  AttentionArgs args = c.args;
  args.shape.half_keys = true;
  args.k = args.v = nullptr, args.half_k = k.data(), args.half_v = v.data();
  Guarded<float> out(std::vector<float>(c.out_size(), -77.0F));
  Guarded<std::byte> workspace(attention_workspace_size(args.shape, row));
  args.out = out.data();
  attention_f32(args, 0, attention_task_count(args.shape, row), workspace.data(), row);
  REQUIRE(out.intact());
  REQUIRE(workspace.intact());
  return {out.data(), out.data() + out.size()};
}

void check(const AttentionKernels& row, Case& c, const std::vector<float>* same = nullptr) {
  INFO(describe(c.args.shape));
  const AttentionShape& s = c.args.shape;
  Guarded<float> out(std::vector<float>(c.out_size(), -77.0F));
  Guarded<std::byte> workspace(attention_workspace_size(s, row));
  c.args.out = out.data();
  attention_f32(c.args, 0, attention_task_count(s, row), workspace.data(), row);
  REQUIRE(out.intact());
  REQUIRE(workspace.intact());
  double largest_value = 0;
  for (const float x : c.v) {
    if (std::isfinite(x)) largest_value = std::max(largest_value, std::fabs(static_cast<double>(x)));
  }
  double worst = 0;
  bool nan_agrees = true;
  for (int64_t batch = 0; batch < s.batch; ++batch) {
    for (int64_t head = 0; head < s.heads; ++head) {
      for (int64_t i = 0; i < s.rows; ++i) {
        const AttentionRow expected = attention_reference(c.args, batch, head, i);
        const float* got =
            out.data() + batch * s.out_strides[0] + head * s.out_strides[1] + i * s.out_strides[2];
        const double budget = (4 * expected.magnitude + 24) * 0x1p-24 * largest_value;
        for (int64_t d = 0; d < s.depth; ++d) {
          const double value = expected.values[static_cast<size_t>(d)];
          nan_agrees = nan_agrees && std::isnan(value) == std::isnan(got[d]);
          if (!std::isnan(value)) worst = std::max(worst, std::fabs(got[d] - value) / budget);
        }
      }
    }
  }
  REQUIRE(nan_agrees);
  REQUIRE(worst <= 1.0);
  if (same != nullptr) REQUIRE(std::vector<float>(out.data(), out.data() + out.size()) == *same);
}

}  // namespace

TEST_CASE("attention agrees with the reference", "[kernels][attention]") {
  for_each_attention([](const AttentionKernels& row) {
    Random random(71);
    for (const int64_t rows : {1, 2, 3, 5, 9, 17, 33, 40}) {
      for (const int64_t keys : {1, 2, 7, 13, 31, 40, 96, 97, 200}) {
        for (const int64_t width : {1, 5, 16, 32, 35}) {
          const int64_t depth = width == 5 ? 70 : width == 16 ? 3 : width;
          Case c(1, 2, 2, rows, keys, width, depth, rows % 2 == 0, keys % 3, random);
          check(row, c);
          c.args.shape.causal = true;
          check(row, c);
        }
      }
    }
  });
}

TEST_CASE("attention shares keys between heads", "[kernels][attention]") {
  for_each_attention([](const AttentionKernels& row) {
    Random random(72);
    for (const int64_t rows : {1, 2, 7, 20}) {
      for (const bool causal : {false, true}) {
        Case c(2, 6, 2, rows, 50, 24, 20, causal, 3, random);
        c.args.shape.causal = causal;
        check(row, c);
        Case one(2, 4, 1, rows, 21, 8, 9, !causal, 0, random);
        one.args.shape.causal = causal;
        check(row, one);
      }
    }
  });
}

TEST_CASE("attention adds masks of any layout, and rows that see nothing are 0", "[kernels][attention]") {
  for_each_attention([](const AttentionKernels& row) {
    Random random(73);
    for (const int64_t rows : {1, 3, 19, 40}) {
      for (const int64_t keys : {1, 2, 30, 110}) {
        for (const bool boolean : {false, true}) {
          for (int which = 0; which < 4; ++which) {
            Case c(2, 4, which % 2 == 0 ? 4 : 2, rows, keys, 16, 16, which == 1, 0, random);
            c.add_mask(boolean, which, random);
            check(row, c);
          }
        }
      }
    }
    // with more rows than keys, the first rows see nothing
    Case c(1, 2, 1, 37, 30, 8, 8, false, 0, random);
    c.args.shape.causal = true;
    check(row, c);
  });
}

TEST_CASE("large scores and values out of range keep to their rows", "[kernels][attention]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for_each_attention([&](const AttentionKernels& row) {
    Random random(74);
    for (const int64_t rows : {1, 2, 21}) {
      Case large(1, 1, 1, rows, 130, 32, 32, false, 0, random, 30.0F);
      check(row, large);
      for (const float item : {nan, kInfinity, -kInfinity}) {
        for (const int64_t at : {0, 100}) {
          Case c(1, 2, 2, rows, 130, 16, 16, false, 0, random);
          c.add_mask(false, 2, random);
          c.mask[static_cast<size_t>(at)] = item;
          check(row, c);
          Case query(1, 2, 2, rows, 130, 16, 16, false, 0, random);
          query.q[3] = item;
          query.k[3] = 0.5F;
          if (std::isnan(item)) check(row, query);
        }
      }
    }
    for (const int64_t rows : {1, 40}) {  // no keys at all
      Case c(1, 2, 2, rows, 0, 4, 4, false, 0, random);
      check(row, c);
    }
  });
}

TEST_CASE("the tasks of an attention may be divided in any way", "[kernels][attention]") {
  for_each_attention([](const AttentionKernels& row) {
    Random random(75);
    for (const int64_t rows : {1, 75}) {
      Case c(2, 4, 2, rows, 120, 32, 32, true, 0, random);
      c.args.shape.causal = true;
      const int64_t tasks = attention_task_count(c.args.shape, row);
      REQUIRE(tasks >= 4);
      std::vector<float> whole(c.out_size(), 1.0F), parts(c.out_size(), 2.0F);
      Guarded<std::byte> workspace(attention_workspace_size(c.args.shape, row));
      c.args.out = whole.data();
      attention_f32(c.args, 0, tasks, workspace.data(), row);
      c.args.out = parts.data();
      for (int64_t task = tasks; task-- > 0;) attention_f32(c.args, task, task + 1, workspace.data(), row);
      REQUIRE(std::memcmp(whole.data(), parts.data(), whole.size() * sizeof(float)) == 0);
    }
  });
}

TEST_CASE("attention over f16 keys and values is that over their floats", "[kernels][attention][half]") {
  for_each_attention([](const AttentionKernels& row) {
    Random random(77);
    for (const int64_t rows : {1, 3, 20, 40, 150}) {
      for (const int64_t keys : {0, 1, 40, 97, 230}) {
        for (const int64_t width : {3, 32, 35}) {
          Case c(2, 4, 2, rows, keys, width, width + 5, rows % 2 == 0, keys % 3, random);
          c.args.shape.causal = keys % 2 == 0;
          if (width == 3) c.add_mask(rows == 3, 1, random), c.args.shape.causal = false;
          const auto over_halves = run_over_halves(row, c);
          check(row, c, &over_halves);
        }
      }
    }
  });
}
