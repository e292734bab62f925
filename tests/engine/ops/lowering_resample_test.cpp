#include "tests/engine/ops/run_plan.h"

using namespace nnefrun;

namespace {

constexpr double kClose = 1e-6;

Row resize(const Tensor& x, const char* interpolator, const char* transformer) {
  Row row("tract_core_resize");
  row.in("input", x).set("interpolator", Attribute(interpolator));
  return row.set("coord_transformer", Attribute(transformer));
}

}  // namespace

TEST_CASE("resampling steps by factors agree with the rows", "[lowering]") {
  for (const char* op : {"nearest_upsample", "nearest_downsample", "area_downsample"}) {
    for (const auto& factor : {ints({2, 3}), ints({1, 2}), ints({4, 1}), ints({1, 1})}) {
      Row row(op);
      INFO(op);
      require_planned(row.in("input", noise({2, 3, 8, 6}, 1)).set("factor", factor), kClose);
    }
  }
  for (const char* method : {"symmetric", "asymmetric", "aligned"}) {
    for (const char* border : {"constant", "replicate", "reflect", "reflect-even"}) {
      if (std::string(method) == "aligned" && std::string(border) != "replicate") continue;
      Row row("multilinear_upsample");
      INFO(method << " " << border);
      row.in("input", noise({1, 2, 5, 4}, 2)).set("factor", ints({2, 3}));
      require_planned(row.set("method", Attribute(method)).set("border", Attribute(border)), kClose);
    }
  }
}

TEST_CASE("resampling steps by scales and sizes agree with the rows", "[lowering]") {
  const Tensor x = noise({1, 3, 5, 9}, 3);
  for (const char* interpolator : {"nearest", "linear", "cubic"}) {
    for (const char* transformer : {"half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"}) {
      INFO(interpolator << " " << transformer);
      require_planned(resize(x, interpolator, transformer).constant("scales", f32({4}, {1, 1, 2, 0.5F})),
                      kClose);
      require_planned(resize(x, interpolator, transformer).constant("sizes", i64({4}, {1, 3, 3, 20})),
                      kClose);
      require_planned(resize(x, interpolator, transformer).constant("sizes", i64({4}, {2, 6, 5, 9})), kClose);
    }
  }
}

TEST_CASE("a resampling step next to an extent that the input tells", "[lowering]") {
  Row row("nearest_upsample");
  row.in("input", noise({3, 2, 4, 4}, 4), {Dim::symbol("N"), Dim(2), Dim(4), Dim(4)});
  const auto model = require_planned(row.set("factor", ints({2, 2})));
  REQUIRE(steps_of(*model, StepKind::resample) == 2);
}

TEST_CASE("infinities pass through resampling steps as through the rows", "[lowering]") {
  Row row("multilinear_upsample");
  row.in("input", f32({1, 1, 4}, {1, INFINITY, 2, NAN})).set("factor", ints({2}));
  require_planned(row.set("method", Attribute("asymmetric")).set("border", Attribute("replicate")), kClose);
}
