#include "kernels/int8/int8.h"

#include <algorithm>
#include <limits>

#include "kernels/int8/pack.h"
#include "kernels/int8/reference.h"
#include "tests/kernels/kernel_test.h"

using namespace nnefrun;
using namespace nnefrun::kernels;
using namespace nnefrun::kernels::test;

namespace {

template <class Body>
void for_each_int8(Body body) {
  int count = 0;
  const Int8Kernels* const* rows = int8_rows(&count);
  for_each_row("int8", rows, count, body);
}

std::vector<uint8_t> codes(Random& random, int64_t count, bool extreme) {
  std::vector<uint8_t> out(static_cast<size_t>(count));
  for (uint8_t& v : out) v = static_cast<uint8_t>(extreme ? 255 * random.whole(0, 1) : random.whole(0, 255));
  return out;
}

// Everything that a convolution reads, from naive weights (minus their zero point, which leaves `remaining`).
struct Packed {
  std::vector<int8_t> weights;
  std::vector<int16_t> depthwise;
  std::vector<int32_t> start;
  std::vector<int8_t> dots;  // instead of depthwise
  std::vector<float> scales;
};
Packed packed(const ConvShape& s, const std::vector<int32_t>& w, int32_t remaining,
              const std::vector<int32_t>& bias, const std::vector<float>& scales, uint8_t x_zero,
              const Int8Kernels& row) {
  Packed out;
  const int64_t taps = s.filter[0] * s.filter[1] * s.filter[2], group_in = s.in_channels / s.groups;
  const int64_t group_out = s.out_channels / s.groups;
  const auto channels = static_cast<size_t>(code_channels(s, row));
  out.start.assign(channels, 77);
  out.scales.assign(channels, 0.25F);
  if (is_depthwise_codes(s)) {
    out.depthwise.resize(packed_depthwise_codes_size(s.out_channels, taps, row));
    pack_depthwise_codes(w.data(), s.out_channels, taps, out.depthwise.data(), row);
  }
  const bool narrow_weights =
      std::all_of(w.begin(), w.end(), [](int32_t v) { return v >= -128 && v <= 127; });
  const bool dots = row.depthwise_dots && is_depthwise_codes(s) && narrow_weights;
  if (dots) {
    out.dots.resize(packed_depthwise_dots_size(s.out_channels, taps));
    pack_depthwise_dots(w.data(), s.out_channels, taps, out.dots.data());
  }
  out.weights.resize(packed_group_size(s, row) * static_cast<size_t>(s.groups));
  std::vector<int8_t> narrow(w.size());
  for (size_t i = 0; i < w.size(); ++i) narrow[i] = static_cast<int8_t>(w[i] + remaining);
  const int64_t offset = is_depthwise_codes(s) ? 0 : row.x_offset;
  for (int64_t o = 0; o < s.out_channels; ++o) {
    const int64_t width = is_depthwise_codes(s) ? 0 : round_up_to(group_out, row.lanes);
    const int64_t at = dots                    ? depthwise_slot(o)
                       : is_depthwise_codes(s) ? o
                                               : o / group_out * width + o % group_out;
    int64_t sum = 0;
    for (int64_t i = 0; i < group_in * taps; ++i) sum += w[static_cast<size_t>(o * group_in * taps + i)];
    out.start[static_cast<size_t>(at)] = static_cast<int32_t>(
        static_cast<uint32_t>(bias[static_cast<size_t>(o)]) - static_cast<uint32_t>(x_zero * sum) +
        static_cast<uint32_t>(offset * (sum + group_in * taps * remaining)));
    out.scales[static_cast<size_t>(at)] = scales[static_cast<size_t>(o)];
  }
  for (int64_t g = 0; g < s.groups && !is_depthwise_codes(s); ++g) {
    CodeWeights from;
    from.w = narrow.data() + g * group_out * group_in * taps;
    from.columns = group_out;
    from.channels = group_in;
    from.taps = taps;
    from.column_stride = group_in * taps;
    from.channel_stride = taps;
    from.tap_stride = 1;
    pack_codes(from, out.weights.data() + static_cast<size_t>(g) * packed_group_size(s, row), row);
  }
  return out;
}

CodeBinary drawn_binary(Random& random, CodeBinaryOp op) {
  CodeBinary b;
  b.op = op;
  b.x_zero = static_cast<int32_t>(random.whole(0, 255));
  b.y_zero = static_cast<int32_t>(random.whole(0, 255));
  b.zero = static_cast<int32_t>(random.whole(0, 255));
  b.x_scale = random.uniform(0.01F, 0.5F);
  b.y_scale = random.uniform(0.01F, 0.5F);
  b.scale = random.whole(0, 2) == 0 ? b.x_scale * 2 : random.uniform(0.01F, 0.5F);
  b.is_signed = random.whole(0, 1) == 0;
  b.x_flip = random.whole(0, 1) == 0 ? 0x80 : 0;
  b.y_flip = random.whole(0, 1) == 0 ? 0x80 : 0;
  b.flip = random.whole(0, 1) == 0 ? 0x80 : 0;
  if (random.whole(0, 2) == 0) b.low = 20, b.high = 230;
  return b;
}

void check(const ConvShape& s, const Int8Kernels& row, Random& random) {
  INFO("channels " << s.in_channels << "->" << s.out_channels << " groups " << s.groups << " batch "
                   << s.batch << " in " << s.in[0] << "x" << s.in[1] << "x" << s.in[2] << " out " << s.out[0]
                   << "x" << s.out[1] << "x" << s.out[2] << " filter " << s.filter[0] << "x" << s.filter[1]
                   << "x" << s.filter[2] << " stride " << s.stride[0] << "," << s.stride[1] << ","
                   << s.stride[2] << " dilation " << s.dilation[1] << "," << s.dilation[2] << " pad "
                   << s.pad_before[1] << "," << s.pad_before[2]);
  const bool extreme = random.whole(0, 3) == 0, depthwise = is_depthwise_codes(s);
  const int64_t taps = s.filter[0] * s.filter[1] * s.filter[2];
  const int64_t in_pixels = s.batch * s.in[0] * s.in[1] * s.in[2],
                out_pixels = s.out[0] * s.out[1] * s.out[2];
  const auto x_zero = static_cast<uint8_t>(random.whole(0, 255));
  const auto x = codes(random, in_pixels * s.in_channels, extreme);
  // Zero points of weights that do not fit into i8 leave a term of the window's sum.
  const int32_t remaining =
      depthwise || random.whole(0, 1) == 0 ? 0 : static_cast<int32_t>(random.whole(-20, 20));
  std::vector<int32_t> w(static_cast<size_t>(s.out_channels * (s.in_channels / s.groups) * taps));
  const bool wide = depthwise && random.whole(0, 1) == 0;  // weights of more than 8 bits
  for (int32_t& v : w)
    v = static_cast<int32_t>(wide      ? random.whole(-255, 255)
                             : extreme ? 255 * random.whole(0, 1) - 128
                                       : random.whole(-128, 127)) -
        remaining;
  std::vector<int32_t> bias;
  std::vector<float> scales;
  for (int64_t o = 0; o < s.out_channels; ++o) {
    bias.push_back(static_cast<int32_t>(random.whole(-20000, 20000)));
    scales.push_back(std::ldexp(random.uniform(0.5F, 1.0F), static_cast<int>(random.whole(-18, -2))));
  }
  const Packed p = packed(s, w, remaining, bias, scales, x_zero, row);

  // The channels behind the last one of a pixel hold anything.
  const bool plain = random.whole(0, 3) == 0 && !depthwise;
  const int64_t x_stride = plain ? s.in_channels : round_up_to(s.in_channels, 4);
  const int64_t y_stride = plain ? s.out_channels : round_up_to(s.out_channels, 4);
  Guarded<uint8_t> laid(static_cast<size_t>(in_pixels * x_stride));
  const uint8_t x_flip = random.whole(0, 2) == 0 ? 0x80 : 0;
  for (int64_t i = 0; i < in_pixels * x_stride; ++i) {
    const int64_t c = i % x_stride;
    laid[static_cast<size_t>(i)] = static_cast<uint8_t>(
        c < s.in_channels ? x[static_cast<size_t>(i / x_stride * s.in_channels + c)] ^ x_flip : 0x5A);
  }
  CodeConvArgs a;
  a.shape = s;
  a.x = laid.data();
  a.x_stride = x_stride;
  a.x_flip = x_flip;
  a.x_zero = x_zero;
  a.weights = p.weights.data();
  a.depthwise_weights = p.depthwise.data();
  a.depthwise_dots = p.dots.empty() ? nullptr : p.dots.data();
  a.start = p.start.data();
  const int32_t minus = -remaining;  // sum of x * (w + remaining), minus remaining * sum of x
  a.factors = remaining != 0 ? &minus : nullptr;
  CodeEpilogue& e = a.epilogue;
  const bool exact = random.whole(0, 1) == 0;
  if (exact) {
    e.scale = scales[0];
    e.narrow = e.scale < 0.25 && s.in_channels / s.groups * taps < 200;
    if (random.whole(0, 4) == 0) e.scale = 0.0625;  // ties
    if (random.whole(0, 6) == 0) e.scale = 1.5, e.limit = code_limit(1.5F), e.narrow = false;
  } else {
    e.scales = p.scales.data();
  }
  e.zero_point = static_cast<int32_t>(random.whole(0, 255));
  if (random.whole(0, 1) == 0) e.low = static_cast<int32_t>(random.whole(0, 100)), e.high = 200;
  e.flip = random.whole(0, 1) == 0 ? 0x80 : 0;
  e.raw = !depthwise && random.whole(0, 4) == 0;
  a.y_stride = y_stride;
  // The result is added to other codes.
  const bool adds = !depthwise && !e.raw && random.whole(0, 2) == 0;
  const auto residual = codes(random, adds ? s.batch * out_pixels * y_stride : 0, false);
  CodeBinary b;
  if (adds) {
    b = drawn_binary(random, CodeBinaryOp::add);
    b.reciprocal = exact_reciprocal(b, row);
    a.sum = &b;
    a.residual = residual.data();
  }
  Guarded<int32_t> raw(static_cast<size_t>(e.raw ? s.batch * out_pixels * y_stride : 0));
  Guarded<uint8_t> y(static_cast<size_t>(e.raw ? 0 : s.batch * out_pixels * y_stride));
  a.y = e.raw ? static_cast<void*>(raw.data()) : y.data();
  const CodeConvCut cut = cut_code_conv(a, row);
  Guarded<char> workspace(cut.workspace);
  // Any way of cutting the tasks into ranges.
  for (int64_t begin = 0; begin < cut.tasks;) {
    const int64_t end = random.whole(0, 1) == 0 ? cut.tasks : random.whole(begin + 1, cut.tasks);
    code_conv(a, begin, end, workspace.data(), row);
    begin = end;
  }
  REQUIRE(y.intact());
  REQUIRE(raw.intact());
  REQUIRE(workspace.intact());
  std::vector<float> by_channel = scales;
  CodeEpilogue expected = e;
  if (!exact) expected.scales = by_channel.data();
  for (int64_t image = 0; image < s.batch; ++image) {
    for (int64_t q = 0; q < out_pixels; ++q) {
      const int64_t at[3] = {q / (s.out[1] * s.out[2]), q / s.out[2] % s.out[1], q % s.out[2]};
      for (int64_t o = 0; o < s.out_channels; ++o) {
        const auto sum = static_cast<int32_t>(
            static_cast<uint32_t>(code_sum_reference(s, x.data(), x_zero, w.data(), image, o, at)) +
            static_cast<uint32_t>(bias[static_cast<size_t>(o)]));
        const auto got = static_cast<size_t>((image * out_pixels + q) * y_stride + o);
        if (e.raw) {
          if (raw[got] != sum) REQUIRE(raw[got] == sum);
        } else {
          const uint8_t code = code_reference(expected, sum, o);
          const int want = adds ? code_binary_reference(b, code ^ b.x_flip, residual[got]) : code ^ e.flip;
          if (y[got] != want) {
            INFO("image " << image << " position " << q << " channel " << o << " sum " << sum);
            REQUIRE(static_cast<int>(y[got]) == want);
          }
        }
      }
    }
  }
}

ConvShape drawn_shape(Random& random, int round) {
  ConvShape s;
  const int kind = round % 5;
  s.batch = random.whole(1, 2);
  if (kind == 0) {  // pointwise
    s.in_channels = random.whole(1, 70);
    s.out_channels = random.whole(1, 120);
  } else if (kind == 1) {  // depthwise
    s.groups = s.in_channels = s.out_channels = random.whole(2, 150);
  } else if (kind == 2) {  // grouped
    s.groups = random.whole(2, 3);
    s.in_channels = s.groups * random.whole(1, 9);
    s.out_channels = s.groups * random.whole(1, 35);
    if (is_depthwise_codes(s)) s.out_channels *= 2;
  } else {
    s.in_channels = random.whole(1, 20);
    s.out_channels = random.whole(1, 60);
  }
  const int rank = static_cast<int>(random.whole(1, 3));
  for (int axis = 3 - rank; axis < 3; ++axis) {
    s.in[axis] = random.whole(1, rank == 3 ? 5 : rank == 2 ? 12 : 60);
    if (kind == 0) {
      s.stride[axis] = random.whole(0, 3) == 0 ? 2 : 1;
      s.out[axis] = (s.in[axis] - 1) / s.stride[axis] + 1;
      continue;
    }
    s.filter[axis] = random.whole(1, rank == 3 ? 2 : 4);
    s.stride[axis] = random.whole(1, 3);
    s.dilation[axis] = random.whole(0, 3) == 0 ? 2 : 1;
    s.pad_before[axis] = random.whole(0, 2);
    const int64_t room =
        s.in[axis] + s.pad_before[axis] + random.whole(0, 2) - (s.filter[axis] - 1) * s.dilation[axis] - 1;
    s.out[axis] = room < 0 ? 0 : room / s.stride[axis] + 1;
  }
  return s;
}

}  // namespace

TEST_CASE("convolutions of codes are bit for bit those of the reference", "[kernels][int8]") {
  for_each_int8([](const Int8Kernels& row) {
    Random random(51);
    for (int round = 0; round < 250; ++round) check(drawn_shape(random, round), row, random);
    ConvShape deep;  // more depth than a block holds
    deep.in_channels = 9000;
    deep.out_channels = 50;
    deep.in[1] = deep.out[1] = 39;
    check(deep, row, random);
    ConvShape bands;  // several bands of a padded copy
    bands.in_channels = 64;
    bands.out_channels = 33;
    bands.in[1] = bands.in[2] = bands.out[1] = bands.out[2] = 40;
    bands.filter[1] = bands.filter[2] = 3;
    bands.pad_before[1] = bands.pad_before[2] = 1;
    check(bands, row, random);
    bands.groups = bands.out_channels = 64;
    check(bands, row, random);
    struct Image {
      int64_t in, out, extent, filter, stride;
    };
    // Depths of whole tiles, of equal parts of tiles, and of neither; rows that lie on one grid, and that do
    // not.
    for (const Image& i : {Image{64, 40, 7, 3, 1}, Image{96, 33, 14, 3, 2}, Image{64, 16, 29, 3, 2},
                           Image{3, 40, 30, 7, 2}, Image{68, 20, 15, 1, 2}, Image{268, 20, 20, 1, 1},
                           Image{40, 35, 17, 1, 3}, Image{24, 70, 18, 2, 2}}) {
      ConvShape s;
      s.in_channels = i.in;
      s.out_channels = i.out;
      for (int axis = 1; axis < 3; ++axis) {
        s.in[axis] = i.extent;
        s.out[axis] = (i.extent - 1) / i.stride + 1;
        s.filter[axis] = i.filter;
        s.stride[axis] = i.stride;
        s.pad_before[axis] = i.filter / 2;
      }
      check(s, row, random);
    }
    for (const int64_t rows : {1, 2, 3, 5, 7, 9, 16, 31, 130, 300}) {  // matrix products
      ConvShape s;
      s.in_channels = random.whole(1, 300);
      s.out_channels = random.whole(1, 300);
      s.in[1] = s.out[1] = rows;
      check(s, row, random);
    }
  });
}

TEST_CASE("arithmetic of codes is bit for bit that of the reference", "[kernels][int8]") {
  for_each_int8([](const Int8Kernels& row) {
    Random random(52);
    for (int round = 0; round < 60; ++round) {
      const auto count = static_cast<size_t>(random.whole(0, 300));
      CodeBinary b = drawn_binary(random, static_cast<CodeBinaryOp>(round % 5));
      const Guarded<uint8_t> z(count);
      const auto x = codes(random, static_cast<int64_t>(count), false),
                 y = codes(random, static_cast<int64_t>(count), false);
      if (random.whole(0, 1) == 0) b.reciprocal = exact_reciprocal(b, row);
      auto& out = const_cast<Guarded<uint8_t>&>(z);
      row.binary(b, x.data(), y.data(), out.data(), static_cast<int64_t>(count));
      REQUIRE(z.intact());
      for (size_t i = 0; i < count; ++i) REQUIRE(out[i] == code_binary_reference(b, x[i], y[i]));
    }
  });
}

TEST_CASE("codes from and to reals are bit for bit those of the reference", "[kernels][int8]") {
  for_each_int8([](const Int8Kernels& row) {
    Random random(53);
    for (int round = 0; round < 60; ++round) {
      const auto count = static_cast<size_t>(random.whole(0, 300));
      const bool is_signed = random.whole(0, 1) == 0;
      const uint8_t flip = random.whole(0, 1) == 0 ? 0x80 : 0;
      const auto zero = static_cast<int32_t>(random.whole(0, 255));
      const float scale = random.whole(0, 2) == 0 ? 0.25F : random.uniform(0.01F, 0.5F);
      std::vector<float> x = random.floats(count, -90, 90);
      for (size_t i = 0; i < count; i += 3) x[i] = std::round(x[i]) * 0.125F;
      if (count > 4) {
        x[0] = std::numeric_limits<float>::quiet_NaN();
        x[1] = std::numeric_limits<float>::infinity();
        x[2] = -x[1];
        x[3] = -0.0F;
        x[4] = 3e38F;
      }
      Guarded<uint8_t> y(count);
      row.quantize(x.data(), scale, zero, is_signed, flip, y.data(), static_cast<int64_t>(count));
      REQUIRE(y.intact());
      const int shift = is_signed ? 128 : 0;
      for (size_t i = 0; i < count; ++i) {
        const int64_t code = quantize_affine(x[i], {zero - shift, scale}, {-shift, 255 - shift});
        REQUIRE(static_cast<int>(y[i]) == static_cast<int>(static_cast<uint8_t>(code + shift) ^ flip));
      }
      Guarded<float> back(count);
      row.dequantize(y.data(), scale, zero, flip, back.data(), static_cast<int64_t>(count));
      REQUIRE(back.intact());
      for (size_t i = 0; i < count; ++i) REQUIRE(back[i] == static_cast<float>((y[i] ^ flip) - zero) * scale);

      const int64_t channels = random.whole(1, 70), rows = random.whole(0, 20),
                    stride = round_up_to(channels, 4);
      const auto image = codes(random, rows * stride, false);
      Guarded<double> sums(static_cast<size_t>(channels));
      for (int64_t c = 0; c < channels; ++c) sums[static_cast<size_t>(c)] = 0;
      row.sum_rows(image.data(), rows, stride, channels, scale, zero, sums.data());
      REQUIRE(sums.intact());
      for (int64_t c = 0; c < channels; ++c) {
        double sum = 0;
        for (int64_t r = 0; r < rows; ++r)
          sum += static_cast<double>(static_cast<float>(image[static_cast<size_t>(r * stride + c)] - zero) *
                                     scale);
        REQUIRE(sums[static_cast<size_t>(c)] == sum);
      }
    }
  });
}

// AMX rows go through the whole depth in steps of kAmxBytes, other rows end with the weights.
TEST_CASE("packed codes reach as far as rows read, and no further", "[kernels][int8]") {
  int count = 0;
  const Int8Kernels* const* rows = int8_rows(&count);
  for (int i = 0; i < count; ++i) {  // sizes need no machine that runs the row
    const Int8Kernels& row = *rows[i];
    const bool tiles = row.rows == kAmxRows;
    for (const int64_t columns : {1, 16, 17, 24, 32, 33, 48, 64, 1000}) {
      for (const int64_t channels : {1, 3, 16, 24, 32, 60, 64, 68, 96, 144, 192}) {
        for (const int64_t taps : {1, 3, 9, 16}) {
          INFO(row.isa_suffix << " columns " << columns << " channels " << channels << " taps " << taps);
          CodeWeights w;
          w.columns = columns, w.channels = channels, w.taps = taps;
          const int64_t depth = taps * packed_depth(channels, row.group);
          const int64_t read = tiles ? round_up_to(depth, kAmxBytes) : depth;
          const PanelCut cut = cut_panels(columns, row.lanes, row.vectors);
          int64_t end = 0;
          for (int64_t panel = 0; panel < cut.panels; ++panel) {
            const int64_t first = panel_start(cut, panel), last = panel_start(cut, panel + 1);
            end = std::max(end, row.lanes * (first * depth + (last - first) * read));
          }
          const auto size = static_cast<int64_t>(packed_codes_size(w, row));
          REQUIRE(size >= end + row.slack);
          REQUIRE(size < end + row.slack + row.lanes * (read - depth) + 64);
        }
      }
    }
  }
}
