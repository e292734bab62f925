#include "tests/engine/ops/call_row.h"

using namespace nnefrun;

namespace {

// conv over one channel of one axis.
Row line(const std::vector<float>& x, const std::vector<float>& w) {
  Row row("conv");
  row.in("input", f32({1, 1, static_cast<int64_t>(x.size())}, x));
  row.in("filter", f32({1, 1, static_cast<int64_t>(w.size())}, w));
  return row;
}
Row up_line(const std::vector<float>& x, const std::vector<float>& w) {
  Row row("deconv");
  row.in("input", f32({1, 1, static_cast<int64_t>(x.size())}, x));
  row.in("filter", f32({1, 1, static_cast<int64_t>(w.size())}, w));
  return row;
}
const std::vector<float> kSix = {1, 2, 3, 4, 5, 6};

}  // namespace

TEST_CASE("conv: automatic padding puts the odd cell at the end") {
  require_items(line(kSix, {1, 10, 100}).set("stride", ints({2})).one(), {1, 1, 3}, {321, 543, 65});
  require_items(line(kSix, {1, 10, 100, 1000}).one(), {1, 1, 6}, {3210, 4321, 5432, 6543, 654, 65});
}

TEST_CASE("conv: explicit padding, stride, dilation, negative padding") {
  require_items(line(kSix, {1, 10}).set("padding", pairs({{0, 0}})).one(), {1, 1, 5}, {21, 32, 43, 54, 65});
  require_items(line(kSix, {1, 10}).set("padding", pairs({{1, 2}})).set("stride", ints({3})).one(), {1, 1, 3},
                {10, 43, 6});
  require_items(line(kSix, {1, 10}).set("padding", pairs({{0, 0}})).set("dilation", ints({3})).one(),
                {1, 1, 3}, {41, 52, 63});
  require_items(line(kSix, {1, 10}).set("padding", pairs({{-1, -2}})).one(), {1, 1, 2}, {32, 43});
}

TEST_CASE("conv: borders") {
  const auto with = [](const char* border) {
    return line(kSix, {1, 10, 100}).set("padding", pairs({{1, 1}})).set("border", Attribute(border)).one();
  };
  require_items(with("constant"), {1, 1, 6}, {210, 321, 432, 543, 654, 65});
  require_items(with("replicate"), {1, 1, 6}, {211, 321, 432, 543, 654, 665});
  require_items(with("reflect"), {1, 1, 6}, {212, 321, 432, 543, 654, 565});
  require_items(with("reflect-even"), {1, 1, 6}, {211, 321, 432, 543, 654, 665});
  Row far = line({1, 2}, {1, 1, 1, 1, 1, 1, 1});
  REQUIRE(far.set("padding", pairs({{3, 3}})).set("border", Attribute("reflect")).code() == "border-domain");
}

TEST_CASE("conv: groups, a multiplier, bias and batch") {
  // Two groups of one input channel, two results each; groups = 0 means the same here.
  for (const int64_t groups : {int64_t{2}, int64_t{0}}) {
    Row row("conv");
    row.in("input", f32({2, 2, 1}, {1, 2, 3, 4})).in("filter", f32({4, 1, 1}, {1, 2, 3, 4}));
    row.in("bias", f32({1, 4}, {0, 10, 20, 30})).set("groups", Attribute(groups));
    require_items(row.one(), {2, 4, 1}, {1, 12, 26, 38, 3, 16, 32, 46});
  }
}

TEST_CASE("conv: three spatial axes against the formula") {
  const Tensor x = noise({2, 4, 5, 4, 3}, 1), w = noise({6, 2, 2, 3, 2}, 2), b = noise({1, 6}, 3);
  Row row("conv");
  row.in("input", x).in("filter", w).in("bias", b).set("groups", Attribute(2)).set("stride", ints({2, 1, 1}));
  row.set("padding", pairs({{1, 0}, {0, 1}, {1, 1}})).set("dilation", ints({1, 1, 2}));
  const Tensor y = row.one();
  REQUIRE(y.shape() == Shape{2, 6, 3, 3, 3});
  int64_t at = 0;
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t k = 0; k < 6; ++k) {
      for (int64_t i = 0; i < 27; ++i, ++at) {
        const int64_t o[3] = {i / 9, i / 3 % 3, i % 3};
        double sum = b.as_double(k);
        for (int64_t t = 0; t < 2 * 12; ++t) {
          const int64_t channel = t / 12, j[3] = {t % 12 / 6, t % 6 / 2, t % 2};
          const int64_t p[3] = {o[0] * 2 + j[0] - 1, o[1] + j[1], o[2] + j[2] * 2 - 1};
          if (p[0] < 0 || p[0] >= 5 || p[1] >= 4 || p[2] < 0 || p[2] >= 3) continue;
          const int64_t source = (((n * 4 + k / 3 * 2 + channel) * 5 + p[0]) * 4 + p[1]) * 3 + p[2];
          sum += x.as_double(source) * w.as_double(k * 24 + t);
        }
        REQUIRE(y.as_double(at) == Approx(sum).margin(1e-6));
      }
    }
  }
}

TEST_CASE("conv: short floats round once, bytes sum to i32") {
  Row half("conv");
  half.in("input", Tensor::of<Half>({1, 1, 3}, {Half(2048.0F), Half(1.0F), Half(1.0F)}));
  half.in("filter", Tensor::of<Half>({1, 1, 3}, {Half(1.0F), Half(1.0F), Half(1.0F)}))
      .set("padding", pairs({{0, 0}}));
  require_items(half.one(), {1, 1, 1}, {2050});
  Row bytes("conv");
  bytes.in("input", Tensor::of<uint8_t>({1, 1, 2}, {255, 255}))
      .in("filter", Tensor::of<int8_t>({1, 1, 2}, {-128, 127}));
  bytes.set("padding", pairs({{0, 0}}));
  const Tensor sum = bytes.one();
  REQUIRE(sum.dtype() == DataType::i32);
  require_items(sum, {1, 1, 1}, {-255});
}

TEST_CASE("conv: an extent that holds a symbol") {
  Row row("conv");
  row.in("input", f32({1, 1, 6}, kSix), DimShape{1, 1, Dim::symbol("S")})
      .in("filter", f32({1, 1, 2}, {1, 10}));
  row.set("stride", ints({2})).set("padding", pairs({{0, 0}}));
  REQUIRE(row.graph().fact(row.graph().outputs[0].outlet).shape[2].evaluate({{"S", 7}}) == 3);
  require_items(row.one(), {1, 1, 3}, {21, 43, 65});
  Row empty("conv");
  empty.in("input", f32({1, 1, 1}, {1}), DimShape{1, 1, Dim::symbol("S")})
      .in("filter", f32({1, 1, 2}, {1, 10}));
  REQUIRE(empty.set("padding", pairs({{0, 0}})).code() == "shape-mismatch");
}

TEST_CASE("conv: what does not fit is refused") {
  const auto row = [] {
    Row r("conv");
    return r.in("input", noise({1, 4, 5, 5}, 1)).in("filter", noise({4, 2, 3, 3}, 2));
  };
  REQUIRE(row().set("groups", Attribute(2)).code().empty());
  REQUIRE(row().set("groups", Attribute(1)).code() == "shape-mismatch");
  REQUIRE(row().set("groups", Attribute(1)).message() ==
          "conv: filter expects 2 input channels, input has 4");
  REQUIRE(row().set("groups", Attribute(3)).code() == "shape-mismatch");
  REQUIRE(row().set("groups", Attribute(-2)).code() == "attribute-range");
  REQUIRE(row().set("groups", Attribute(2)).set("stride", ints({1, 1, 1})).code() == "attribute-length");
  REQUIRE(row().set("groups", Attribute(2)).set("stride", ints({0, 1})).code() == "attribute-range");
  REQUIRE(row().set("groups", Attribute(2)).set("dilation", ints({1, -1})).code() == "attribute-range");
  REQUIRE(row().set("groups", Attribute(2)).set("border", Attribute("ignore")).code() == "attribute-value");
  REQUIRE(row().set("groups", Attribute(2)).set("padding", pairs({{-2, -2}, {0, 0}})).code() ==
          "shape-mismatch");
  REQUIRE(row()
              .set("groups", Attribute(2))
              .set("padding", pairs({{int64_t{1} << 62, int64_t{1} << 62}, {0, 0}}))
              .code() == "attribute-range");
  REQUIRE(row().set("groups", Attribute(2)).in("bias", noise({1, 5}, 3)).code() == "shape-mismatch");
  Row ranks("conv");
  REQUIRE(ranks.in("input", noise({1, 4, 5, 5}, 1)).in("filter", noise({4, 4, 3}, 2)).code() ==
          "rank-mismatch");
  Row types("conv");
  types.in("input", noise({1, 1, 5}, 1)).in("filter", Tensor::zeros(DataType::f64, {1, 1, 1}));
  REQUIRE(types.code() == "dtype-mismatch");
}

TEST_CASE("deconv: padding and output_shape") {
  const std::vector<float> w = {1, 10, 100};
  const auto row = [&] { return up_line({1, 2, 3}, w).set("stride", ints({2})); };
  require_items(row().one(), {1, 1, 6}, {1, 10, 102, 20, 203, 30});
  require_items(row().set("padding", pairs({{0, 0}})).one(), {1, 1, 7}, {1, 10, 102, 20, 203, 30, 300});
  require_items(row().set("padding", pairs({{1, 1}})).one(), {1, 1, 5}, {10, 102, 20, 203, 30});
  require_items(row().set("output_shape", ints({1, 1, 5})).one(), {1, 1, 5}, {10, 102, 20, 203, 30});
  REQUIRE(row().set("output_shape", ints({1, 1, 9})).code() == "shape-mismatch");
  REQUIRE(row().set("output_shape", ints({5})).code() == "attribute-length");
}

TEST_CASE("deconv: groups share the input channels, the filter is [in, out / groups]") {
  Row row("deconv");
  row.in("input", f32({1, 4, 1}, {1, 2, 3, 4})).in("filter", f32({4, 2, 1}, {1, 2, 3, 4, 5, 6, 7, 8}));
  row.in("bias", f32({1, 4}, {100, 200, 300, 400})).set("groups", Attribute(2));
  require_items(row.one(), {1, 4, 1}, {100 + 1 + 6, 200 + 2 + 8, 300 + 15 + 28, 400 + 18 + 32});
  Row wrong("deconv");
  REQUIRE(wrong.in("input", noise({1, 3, 4}, 1)).in("filter", noise({2, 3, 1}, 2)).code() ==
          "shape-mismatch");
}

TEST_CASE("deconv: the border is that of the input") {
  require_items(up_line({1, 2, 3}, {1, 10, 100})
                    .set("padding", pairs({{1, 1}}))
                    .set("border", Attribute("replicate"))
                    .one(),
                {1, 1, 3}, {112, 123, 233});
}

TEST_CASE("separable_conv and separable_deconv are two convolutions") {
  Row row("separable_conv");
  row.in("input", f32({1, 2, 3}, {1, 2, 3, 4, 5, 6})).in("plane_filter", f32({2, 1, 3}, {1, 2, 3, 4, 5, 6}));
  row.in("point_filter", f32({1, 2, 1}, {1, 10})).in("bias", f32({}, {0.5F}));
  require_items(row.one(), {1, 1, 3}, {508.5, 784.5, 508.5});

  const Tensor x = noise({1, 2, 3}, 1), plane = noise({4, 1, 3}, 2), point = noise({2, 4, 1}, 3);
  Row up("separable_deconv");
  up.in("input", x).in("plane_filter", plane).in("point_filter", point).set("stride", ints({2}));
  const Tensor middle = Row("deconv").in("input", x).in("filter", point).one();
  const Tensor wanted = Row("deconv")
                            .in("input", middle)
                            .in("filter", plane)
                            .set("groups", Attribute(0))
                            .set("stride", ints({2}))
                            .one();
  std::vector<double> items;
  for (int64_t i = 0; i < wanted.size(); ++i) items.push_back(wanted.as_double(i));
  require_items(up.one(), {1, 4, 6}, items);
}
