// What the tests of the blocked family share: the layout, and the check of a convolution against the
// reference.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

#include "kernels/blocked/blocked.h"
#include "kernels/blocked/rows.h"
#include "kernels/conv/reference.h"
#include "tests/kernels/kernel_test.h"

namespace nnefrun::kernels::test {

// See matmul_test.cpp.
inline constexpr double kSumBudget = 4 * 0x1p-24;
inline constexpr double kActivationBudget = 8 * 0x1p-24;

inline int64_t volume(const int64_t (&v)[3]) { return v[0] * v[1] * v[2]; }

// Exactly sized and aligned, so that a sanitizer sees a read beyond the end.
class Aligned {
 public:
  explicit Aligned(size_t n) {
    void* bytes = nullptr;  // aligned_alloc wants whole multiples of the alignment
    if (posix_memalign(&bytes, 64, std::max<size_t>(n * 4, 64)) != 0) throw std::bad_alloc();
    data_ = static_cast<float*>(bytes);
  }
  ~Aligned() { std::free(data_); }
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  float* data() { return data_; }

 private:
  float* data_ = nullptr;
};

inline int64_t stored(const BlockedKernels& kernels, int64_t channels) {
  return (channels + kernels.block - 1) / kernels.block * kernels.block;
}
// Where an item of a plain tensor is in the blocked one.
inline size_t blocked_index(const BlockedKernels& kernels, int64_t channels, int64_t positions, int64_t n,
                            int64_t c, int64_t p) {
  const int64_t b = kernels.block;
  return static_cast<size_t>(((n * stored(kernels, channels) / b + c / b) * positions + p) * b + c % b);
}
// Lanes behind the last channel hold NaN.
inline void to_blocked(const BlockedKernels& kernels, const std::vector<float>& plain, int64_t images,
                       int64_t channels, int64_t positions, float* blocked) {
  std::fill(blocked, blocked + images * stored(kernels, channels) * positions, std::nanf(""));
  size_t at = 0;
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t p = 0; p < positions; ++p) {
        blocked[blocked_index(kernels, channels, positions, n, c, p)] = plain[at++];
      }
    }
  }
}

// Sets `out` as a convolution with this padding behind would.
inline void set_out(ConvShape& s, const int64_t (&pad_after)[3]) {
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t reach = (s.filter[axis] - 1) * s.dilation[axis] + 1;
    const int64_t room = s.in[axis] + s.pad_before[axis] + pad_after[axis] - reach;
    s.out[axis] = room < 0 ? 0 : room / s.stride[axis] + 1;
  }
}

enum Style { plain_sum, bias_relu, bias_residual_silu, scaled, in_place_clamp, kStyles };

inline void run_in_ranges(const BlockedConvArgs& args, int64_t tasks, const BlockedKernels& kernels,
                          Random& random) {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (int64_t begin = 0; begin < tasks;) {
    const int64_t end = random.whole(begin + 1, tasks);
    ranges.emplace_back(begin, end);
    begin = end;
  }
  std::reverse(ranges.begin(), ranges.end());
  const size_t bytes = blocked_conv_workspace_size(args.shape, args.method, args.x_is_plain, kernels);
  for (const auto& range : ranges) {
    Guarded<unsigned char> workspace(std::vector<unsigned char>(bytes, 0xFF));  // NaN
    blocked_conv(args, range.first, range.second, workspace.data(), kernels);
    REQUIRE(workspace.intact());
  }
}

inline void check_conv(const BlockedKernels& kernels, const ConvShape& s, BlockedMethod method,
                       bool x_is_plain, Style style, Random& random, double sum_budget = kSumBudget) {
  INFO(kernels.isa_suffix << " method " << static_cast<int>(method) << " plain " << x_is_plain << " batch "
                          << s.batch << " channels " << s.in_channels << " -> " << s.out_channels
                          << " groups " << s.groups << " in " << s.in[0] << "x" << s.in[1] << "x" << s.in[2]
                          << " out " << s.out[0] << "x" << s.out[1] << "x" << s.out[2] << " filter "
                          << s.filter[0] << "x" << s.filter[1] << "x" << s.filter[2] << " stride "
                          << s.stride[0] << "," << s.stride[1] << "," << s.stride[2] << " dilation "
                          << s.dilation[0] << "," << s.dilation[1] << "," << s.dilation[2] << " pad "
                          << s.pad_before[0] << "," << s.pad_before[1] << "," << s.pad_before[2] << " style "
                          << style);
  REQUIRE(blocked_conv_takes(s, method, x_is_plain, kernels));
  const int64_t in_items = volume(s.in), out_items = volume(s.out);
  const size_t y_plain_count = static_cast<size_t>(s.batch * s.out_channels * out_items);
  const size_t y_count = static_cast<size_t>(s.batch * stored(kernels, s.out_channels) * out_items);
  const std::vector<float> x = random.floats(static_cast<size_t>(s.batch * s.in_channels * in_items));
  const std::vector<float> weights =
      random.floats(static_cast<size_t>(s.out_channels * s.in_channels / s.groups * volume(s.filter)));
  const std::vector<float> residual = random.floats(y_plain_count);
  std::vector<float> bias = random.floats(static_cast<size_t>(s.out_channels));

  ConvArgs reference;
  reference.shape = s;
  reference.x = x.data();
  Epilogue& e = reference.epilogue;
  if (style == bias_relu || style == bias_residual_silu) e.bias_axis = BiasAxis::row, e.bias = bias.data();
  if (style == bias_relu) e.activation = Activation::relu;
  if (style == bias_residual_silu) e.activation = Activation::silu, e.residual = residual.data();
  if (style == scaled) e.scale = 0.75F;
  if (style == in_place_clamp) {
    e.activation = Activation::clamp, e.a = -0.5F, e.b = 1.5F, e.residual = residual.data();
  }
  std::vector<double> expected(y_plain_count), magnitude(y_plain_count);
  size_t index = 0;
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t o = 0; o < s.out_channels; ++o) {
      for (int64_t q = 0; q < out_items; ++q, ++index) {
        const int64_t at[3] = {q / (s.out[1] * s.out[2]), q / s.out[2] % s.out[1], q % s.out[2]};
        expected[index] = conv_reference(reference, weights.data(), n, o, at, &magnitude[index]);
      }
    }
  }

  if (method == BlockedMethod::winograd_2 || method == BlockedMethod::winograd_4) {
    // an output shares the error of its tile, also of inputs that it does not see itself: as if it saw inputs
    // of average magnitude everywhere
    const size_t filter = static_cast<size_t>(s.in_channels * volume(s.filter));
    std::vector<double> sums(static_cast<size_t>(s.out_channels));
    for (size_t i = 0; i < weights.size(); ++i) sums[i / filter] += std::fabs(weights[i]) / 2;
    for (size_t i = 0; i < y_plain_count; ++i) {
      magnitude[i] = std::max(magnitude[i], sums[i / static_cast<size_t>(out_items) % sums.size()]);
    }
  }

  bias.resize(static_cast<size_t>(stored(kernels, s.out_channels)), 0.0F);
  Guarded<float> aligned_bias(bias), packed(packed_blocked_conv_size(s, method, x_is_plain, kernels));
  pack_blocked_conv(s, method, x_is_plain, weights.data(), packed.data(), kernels);
  REQUIRE(packed.intact());
  Aligned x_blocked(static_cast<size_t>(s.batch * stored(kernels, s.in_channels) * in_items)),
      residual_blocked(y_count);
  to_blocked(kernels, x, s.batch, s.in_channels, in_items, x_blocked.data());
  BlockedConvArgs args;
  args.shape = s;
  args.method = method;
  args.x_is_plain = x_is_plain;
  args.x = x_is_plain ? x.data() : x_blocked.data();
  args.packed_weights = packed.data();
  args.epilogue = e;
  if (e.bias != nullptr) args.epilogue.bias = aligned_bias.data();
  const int64_t tasks = blocked_conv_tasks(s, method, kernels);
  Guarded<float> y(y_count), in_one(y_count);
  for (Guarded<float>* result : {&y, &in_one}) {
    if (style == bias_residual_silu) {
      to_blocked(kernels, residual, s.batch, s.out_channels, out_items, residual_blocked.data());
      args.epilogue.residual = residual_blocked.data();
    }
    if (style == in_place_clamp) {
      to_blocked(kernels, residual, s.batch, s.out_channels, out_items, result->data());
      args.epilogue.residual = result->data();
    }
    args.y = result->data();
    if (result == &y) {
      run_in_ranges(args, tasks, kernels, random);
    } else {
      Guarded<char> workspace(blocked_conv_workspace_size(s, method, x_is_plain, kernels));
      blocked_conv(args, 0, tasks, workspace.data(), kernels);
    }
    REQUIRE(result->intact());
  }
  double worst = 0;
  index = 0;
  bool same = true;
  for (int64_t n = 0; n < s.batch; ++n) {
    for (int64_t o = 0; o < s.out_channels; ++o) {
      for (int64_t q = 0; q < out_items; ++q, ++index) {
        const size_t at = blocked_index(kernels, s.out_channels, out_items, n, o, q);
        const double allowed =
            sum_budget * magnitude[index] + kActivationBudget * std::fabs(expected[index]) + 1e-30;
        const double error = std::fabs(y[at] - expected[index]) / allowed;
        if (!(error <= worst)) worst = error;
        same = same && std::memcmp(&y[at], &in_one[at], sizeof(float)) == 0;
      }
    }
  }
  REQUIRE(worst <= 1);
  REQUIRE(same);  // whatever the partition
}

template <class Body>
inline void for_each_blocked(Body body) {
  int count = 0;
  const BlockedKernels* const* rows = blocked_rows(&count);
  for_each_row("blocked", rows, count, body);
}

// Filter, stride, dilation, padding, extents.
inline void random_space(Random& random, int rank, ConvShape& s) {
  int64_t pad_after[3] = {0, 0, 0};
  for (int axis = 3 - rank; axis < 3; ++axis) {
    const int64_t filters[] = {1, 2, 3, 3, 5, 5, 7};
    s.filter[axis] = filters[random.whole(0, rank == 3 ? 3 : 6)];
    s.stride[axis] = random.whole(1, 3);
    s.dilation[axis] = random.whole(0, 2) == 0 ? 2 : 1;
    s.in[axis] = random.whole(1, rank == 1 ? 200 : rank == 2 ? 30 : 7);
    s.pad_before[axis] = random.whole(-1, random.whole(0, 3) == 0 ? 9 : 3);
    pad_after[axis] = random.whole(-1, 3);
  }
  const int64_t form = random.whole(0, 5);
  if (form <= 1) {  // the common case: one filter size, stride 1 or 2, same padding
    for (int axis = 3 - rank; axis < 3; ++axis) {
      s.filter[axis] = s.filter[2], s.dilation[axis] = 1, s.stride[axis] = form + 1;
      s.pad_before[axis] = pad_after[axis] = s.filter[axis] / 2;
    }
  }
  if (form == 2) {  // pointwise
    for (int axis = 3 - rank; axis < 3; ++axis) {
      s.filter[axis] = s.dilation[axis] = s.stride[axis] = 1, s.pad_before[axis] = pad_after[axis] = 0;
    }
  }
  set_out(s, pad_after);
}
inline Style random_style(Random& random) { return static_cast<Style>(random.whole(0, kStyles - 1)); }

inline ConvShape square(int64_t in, int64_t out, int64_t groups, int64_t size, int64_t filter, int64_t stride,
                        int64_t pad) {
  ConvShape s;
  s.in_channels = in, s.out_channels = out, s.groups = groups;
  s.in[1] = s.in[2] = size, s.filter[1] = s.filter[2] = filter, s.stride[1] = s.stride[2] = stride;
  s.pad_before[1] = s.pad_before[2] = pad;
  set_out(s, {0, pad, pad});
  return s;
}

}  // namespace nnefrun::kernels::test
