#include "tests/engine/ops/call_row.h"

using namespace nnefrun;

namespace {

Row up(const char* method, const char* border, int64_t factor = 2) {
  Row row("multilinear_upsample");
  row.in("input", f32({1, 1, 3}, {1, 2, 4})).set("factor", ints({factor}));
  row.set("method", Attribute(method)).set("border", Attribute(border));
  return row;
}

Row resize(const std::vector<float>& x, const char* interpolator, const char* transformer) {
  Row row("tract_core_resize");
  row.in("input", f32({1, static_cast<int64_t>(x.size())}, x));
  return row.set("interpolator", Attribute(interpolator)).set("coord_transformer", Attribute(transformer));
}

}  // namespace

TEST_CASE("multilinear_upsample: methods and borders") {
  require_items(up("symmetric", "replicate").one(), {1, 1, 6}, {1, 1.25, 1.75, 2.5, 3.5, 4});
  require_items(up("symmetric", "constant").one(), {1, 1, 6}, {0.75, 1.25, 1.75, 2.5, 3.5, 3});
  require_items(up("asymmetric", "replicate").one(), {1, 1, 6}, {1, 1.5, 2, 3, 4, 4});
  require_items(up("asymmetric", "constant").one(), {1, 1, 6}, {1, 1.5, 2, 3, 4, 2});
  require_items(up("aligned", "replicate").one(), {1, 1, 6}, {1, 1.4, 1.8, 2.4, 3.2, 4});
  require_items(up("symmetric", "replicate", 3).one(), {1, 1, 9},
                {1, 1, 4.0 / 3, 5.0 / 3, 2, 8.0 / 3, 10.0 / 3, 4, 4});
  require_items(up("asymmetric", "reflect").one(), {1, 1, 6}, {1, 1.5, 2, 3, 4, 3});
  REQUIRE(up("cubic", "replicate").code() == "attribute-value");
  REQUIRE(up("aligned", "ignore").code() == "attribute-value");
}

TEST_CASE("nearest and area sampling by factors") {
  const auto row = [](const char* op, int64_t factor) {
    Row r(op);
    return r.in("input", f32({1, 1, 4}, {1, 2, 4, 8})).set("factor", ints({factor}));
  };
  require_items(row("nearest_upsample", 2).one(), {1, 1, 8}, {1, 1, 2, 2, 4, 4, 8, 8});
  require_items(row("nearest_downsample", 2).one(), {1, 1, 2}, {1, 4});
  require_items(row("area_downsample", 2).one(), {1, 1, 2}, {1.5, 6});
  REQUIRE(row("nearest_downsample", 3).code() == "shape-mismatch");
  REQUIRE(row("nearest_upsample", 0).code() == "attribute-range");
  Row count("nearest_upsample");
  REQUIRE(count.in("input", noise({1, 1, 4}, 1)).set("factor", ints({2, 2})).code() == "attribute-length");
}

TEST_CASE("tract_core_resize: coordinates of the transformers") {
  const auto by_two = [](const char* transformer) {
    return resize({1, 2, 4}, "linear", transformer).constant("scales", f32({2}, {1, 2})).one();
  };
  require_items(by_two("half_pixel"), {1, 6}, {1, 1.25, 1.75, 2.5, 3.5, 4});
  require_items(by_two("asymmetric"), {1, 6}, {1, 1.5, 2, 3, 4, 4});
  require_items(by_two("align_corners"), {1, 6}, {1, 1.4, 1.8, 2.4, 3.2, 4}, 1e-5);
  const auto to_one =
      resize({1, 2, 4}, "linear", "pytorch_half_pixel").constant("sizes", i64({2}, {1, 1})).one();
  require_items(to_one, {1, 1}, {1});
}

TEST_CASE("tract_core_resize: nearest, cubic, sizes") {
  const auto nearest = [](const char* mode) {
    return resize({1, 2, 4}, "nearest", "half_pixel")
        .set("nearest_mode", Attribute(mode))
        .constant("sizes", i64({2}, {1, 6}))
        .one();
  };
  require_items(nearest("floor"), {1, 6}, {1, 1, 1, 2, 2, 4});
  require_items(nearest("round_prefer_ceil"), {1, 6}, {1, 1, 2, 2, 4, 4});
  // A cubic kernel reproduces what is constant and passes through the samples.
  require_items(resize({3, 3, 3}, "cubic", "half_pixel").constant("scales", f32({2}, {1, 2})).one(), {1, 6},
                {3, 3, 3, 3, 3, 3});
  require_items(resize({1, 2, 4}, "cubic", "align_corners").constant("sizes", i64({2}, {1, 5})).one(), {1, 5},
                {1, 1.3125, 2, 3.09375, 4}, 1e-5);
  REQUIRE(resize({1, 2}, "linear", "half_pixel").code() == "missing-argument");
  REQUIRE(resize({1, 2}, "lanczos", "half_pixel").constant("sizes", i64({2}, {1, 4})).code() ==
          "attribute-value");
  REQUIRE(resize({1, 2}, "linear", "half_pixel").constant("sizes", i64({2}, {1, -4})).code() ==
          "value-range");
  REQUIRE(resize({1, 2}, "linear", "half_pixel").constant("scales", f32({2}, {1, 0})).code() ==
          "value-range");
}

TEST_CASE("tract_core_resize: sizes that only the run knows") {
  require_items(resize({1, 2, 4}, "linear", "asymmetric").in("sizes", i64({2}, {1, 6})).one(), {1, 6},
                {1, 1.5, 2, 3, 4, 4});
}

TEST_CASE("tract_onnx_resize: crops and fills") {
  Row row("tract_onnx_resize");
  row.in("input", f32({1, 4}, {1, 2, 3, 4}))
      .constant("scales", f32({2}, {1, 1}))
      .in("roi", f32({4}, {0, 0.5F, 1, 1.5F}));
  row.set("coord_transformer", Attribute("tf_crop_and_resize")).set("interpolator", Attribute("linear"));
  row.set("extrapolation_value", Attribute(9.0));
  require_items(row.one(), {1, 4}, {2.5, 3.5, 9, 9});
}

TEST_CASE("tract_core_grid_sample: positions and paddings") {
  const Tensor x = f32({1, 1, 1, 4}, {1, 2, 4, 8});
  const auto at = [&](std::vector<float> positions, const char* mode, const char* padding, bool align) {
    std::vector<float> grid;
    for (const float p : positions) grid.insert(grid.end(), {p, 0});
    Row row("tract_core_grid_sample");
    row.in("input", x)
        .in("grid", f32({1, 1, static_cast<int64_t>(positions.size()), 2}, grid))
        .set("mode", Attribute(mode));
    return row.set("padding_mode", Attribute(padding)).set("align_corners", Attribute(align)).one();
  };
  require_items(at({-1, 0, 1}, "bilinear", "zeros", true), {1, 1, 1, 3}, {1, 3, 8});
  require_items(at({-1, 1}, "bilinear", "zeros", false), {1, 1, 1, 2}, {0.5, 4});
  require_items(at({-3, 3}, "bilinear", "border", false), {1, 1, 1, 2}, {1, 8});
  require_items(at({-1.25F, 1.25F}, "nearest", "reflection", false), {1, 1, 1, 2}, {1, 8});
  require_items(at({-9, 9}, "nearest", "zeros", false), {1, 1, 1, 2}, {0, 0});
  require_items(at({std::nanf("")}, "bilinear", "border", false), {1, 1, 1, 1}, {std::nan("")});
}
