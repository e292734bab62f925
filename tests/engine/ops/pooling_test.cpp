#include "tests/engine/ops/call_row.h"

using namespace nnefrun;

namespace {

const std::vector<float> kSix = {1, 2, 3, 4, 5, 6};
const std::vector<float> kMinusSix = {-1, -2, -3, -4, -5, -6};

Row line(const char* op, const std::vector<float>& x, int64_t size) {
  Row row(op);
  row.in("input", f32({1, 1, static_cast<int64_t>(x.size())}, x)).set("size", ints({1, 1, size}));
  return row;
}
Attribute pad(int64_t before, int64_t after) { return pairs({{0, 0}, {0, 0}, {before, after}}); }

}  // namespace

TEST_CASE("avg_pool: zeros of a constant border count, ignored cells do not") {
  const auto row = [] { return line("avg_pool", kSix, 3).set("padding", pad(1, 1)); };
  require_items(row().one(), {1, 1, 6}, {1, 2, 3, 4, 5, 11.0 / 3});
  require_items(row().set("border", Attribute("ignore")).one(), {1, 1, 6}, {1.5, 2, 3, 4, 5, 5.5});
  require_items(line("avg_pool", kSix, 3).set("stride", ints({1, 1, 4})).one(), {1, 1, 2}, {2, 11.0 / 3});
}

TEST_CASE("max_pool: zeros of a constant border compete") {
  const auto row = [] { return line("max_pool", kMinusSix, 3).set("padding", pad(1, 1)); };
  require_items(row().one(), {1, 1, 6}, {0, -1, -2, -3, -4, 0});
  require_items(row().set("border", Attribute("ignore")).one(), {1, 1, 6}, {-1, -1, -2, -3, -4, -5});
  require_items(row().set("border", Attribute("reflect")).one(), {1, 1, 6}, {-1, -1, -2, -3, -4, -5});
}

TEST_CASE("max_pool: NaN loses, codes keep their type, nothing gives the smallest finite number") {
  const float nan = std::nanf("");
  require_items(line("max_pool", {nan, 1, nan, nan}, 2).set("padding", pad(0, 0)).one(), {1, 1, 3},
                {1, 1, std::nan("")});
  Row codes("max_pool");
  codes.in("input", Tensor::of<uint8_t>({1, 1, 2}, {3, 9}), AffineQuantization{7, 0.5F});
  codes.set("size", ints({1, 1, 2})).set("padding", pad(1, 1));
  REQUIRE(codes.graph().fact(codes.graph().outputs[0].outlet).quant == AffineQuantization{7, 0.5F});
  require_items(codes.one(), {1, 1, 3}, {7, 9, 9});  // the border is the code of 0
  require_items(line("max_pool", {1}, 1).set("padding", pad(1, 0)).set("border", Attribute("ignore")).one(),
                {1, 1, 2}, {-3.402823466e38, 1});
}

TEST_CASE("box and debox") {
  require_items(line("box", kSix, 2).set("padding", pad(0, 0)).one(), {1, 1, 5}, {3, 5, 7, 9, 11});
  require_items(line("box", kSix, 2).set("padding", pad(0, 0)).set("dilation", ints({1, 1, 3})).one(),
                {1, 1, 3}, {5, 7, 9});
  Row numbers("box");
  numbers.in("input", i64({1, 1, 3}, {-1, 2, 4})).set("size", ints({1, 1, 2})).set("padding", pad(0, 0));
  require_items(numbers.set("normalize", Attribute(true)).one(), {1, 1, 2}, {0, 3});
  const auto up =
      line("debox", kSix, 3).set("stride", ints({1, 1, 2})).set("normalize", Attribute(true)).one();
  std::vector<double> wanted;
  for (const int v : {1, 1, 3, 2, 5, 3, 7, 4, 9, 5, 11, 6}) wanted.push_back(v / 3.0);
  require_items(up, {1, 1, 12}, wanted);
  require_items(line("debox", {1, 2}, 2).set("stride", ints({1, 1, 2})).set("padding", pad(0, 0)).one(),
                {1, 1, 4}, {1, 1, 2, 2});
}

TEST_CASE("rms_pool is the root of the mean square") {
  require_items(line("rms_pool", {3, 4, 0}, 2).set("padding", pad(0, 0)).one(), {1, 1, 2},
                {std::sqrt(12.5), std::sqrt(8.0)});
}

TEST_CASE("argmax_pool and sample name positions in the window") {
  const Tensor x = f32({1, 1, 3, 3}, {1, 5, 2, 5, 4, 0, 3, 3, 9});
  const auto with = [&](const char* op) {
    Row row(op);
    return row.in("input", x)
        .set("size", ints({1, 1, 2, 2}))
        .set("padding", pairs({{0, 0}, {0, 0}, {0, 0}, {0, 0}}));
  };
  const Tensor index = with("argmax_pool").one();
  REQUIRE(index.dtype() == DataType::i64);
  require_items(index, {1, 1, 2, 2}, {1, 0, 0, 3});
  require_items(with("sample").in("index", index).one(), {1, 1, 2, 2}, {5, 5, 5, 9});
  const auto both = with("max_pool_with_index").all();
  require_items(both[0], {1, 1, 2, 2}, {5, 5, 5, 9});
  require_items(both[1], {1, 1, 2, 2}, {1, 0, 0, 3});
  const auto plane = with("nnefrun_max_pool_with_plane_index").all();
  require_items(plane[0], {1, 1, 2, 2}, {5, 5, 5, 9});
  require_items(plane[1], {1, 1, 2, 2}, {1, 1, 3, 8});
  require_items(line("argmax_pool", {-1, -2}, 3).set("padding", pad(1, 1)).one(), {1, 1, 2}, {0, 2});
}

TEST_CASE("desample puts cells back, collisions add up") {
  Row row("desample");
  row.in("input", f32({1, 1, 2}, {5, 7})).in("index", i64({1, 1, 2}, {1, 0})).set("size", ints({1, 1, 2}));
  row.set("padding", pad(0, 0));
  require_items(row.one(), {1, 1, 3}, {0, 12, 0});
  Row far("desample");
  far.in("input", f32({1, 1, 1}, {5})).in("index", i64({1, 1, 1}, {2})).set("size", ints({1, 1, 2}));
  REQUIRE(far.set("padding", pad(0, 0)).code() == "index-out-of-range");
  Row border("desample");
  border.in("input", f32({1, 1, 1}, {5})).in("index", i64({1, 1, 1}, {1})).set("size", ints({1, 1, 2}));
  REQUIRE(border.set("border", Attribute("replicate")).code() == "attribute-value");
}

TEST_CASE("pools: a window whose size is a symbol") {
  Row row("avg_pool");
  row.in("input", f32({1, 1, 4}, {1, 2, 3, 6}), DimShape{1, 1, Dim::symbol("S")});
  row.set("size", Attribute::of_dims({1, 1, Dim::symbol("S")})).set("padding", pad(0, 0));
  require_items(row.one(), {1, 1, 1}, {3});
}

TEST_CASE("pools: an empty batch stays empty") {
  Row row("max_pool");
  row.in("input", Tensor::zeros(DataType::f32, {0, 3, 4}))
      .set("size", ints({1, 1, 2}))
      .set("padding", pad(0, 0));
  REQUIRE(row.one().shape() == Shape{0, 3, 3});
}

TEST_CASE("pools: what does not fit is refused") {
  Row row("max_pool");
  row.in("input", noise({1, 2, 4, 4}, 1));
  REQUIRE(Row(row).set("size", ints({2, 2})).code() == "attribute-length");
  REQUIRE(Row(row).set("size", ints({1, 1, 0, 2})).code() == "attribute-range");
  REQUIRE(Row(row)
              .set("size", ints({1, 1, 5, 5}))
              .set("padding", pairs({{0, 0}, {0, 0}, {0, 0}, {0, 0}}))
              .code() == "shape-mismatch");
  REQUIRE(Row(row).set("size", ints({1, 1, 2, 2})).set("stride", ints({1, 1, -1, 1})).code() ==
          "attribute-range");
  REQUIRE(Row(row).set("size", ints({1, 1, 2, 2})).set("border", Attribute("mirror")).code() ==
          "attribute-value");
  Row sample("sample");
  sample.in("input", noise({1, 1, 4}, 1))
      .in("index", i64({1, 1, 4}, {0, 0, 0, 0}))
      .set("size", ints({1, 1, 2}));
  REQUIRE(sample.set("padding", pad(0, 0)).code() == "shape-mismatch");
}

TEST_CASE("pools: an ignored border may be as wide as it likes") {
  const int64_t wide = int64_t{1} << 30;
  Row row("avg_pool");
  row.in("input", f32({1, 1, 4}, {1, 2, 3, 6}))
      .set("size", ints({1, 1, 2 * wide - 1}))
      .set("border", Attribute("ignore"));
  require_items(row.one(), {1, 1, 4}, {3, 3, 3, 3});
  require_items(
      row.set("size", ints({1, 1, 3})).set("dilation", ints({1, 1, 2})).set("padding", pad(2, 2)).one(),
      {1, 1, 4}, {2, 4, 2, 4});
  REQUIRE(row.set("size", ints({1, wide, wide})).code() == "attribute-range");
}
