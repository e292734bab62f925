#include "tests/engine/ops/call_row.h"

using namespace nnefrun;

namespace {

Row local(const char* op) {
  Row row(op);
  row.in("input", f32({1, 4}, {1, 2, 4, 8})).set("size", ints({1, 3}));
  return row;
}

}  // namespace

TEST_CASE("local normalisations average over the whole window, zeros outside") {
  Row lrn("local_response_normalization");
  lrn.in("input", f32({1, 3, 1}, {1, 2, 3})).set("size", ints({1, 3, 1}));
  require_items(lrn.one(), {1, 3, 1}, {0.612372, 0.840168, 1.299038}, 1e-5);
  require_items(local("local_mean_normalization").one(), {1, 4}, {0, -1.0 / 3, -2.0 / 3, 4});
  require_items(local("local_variance_normalization").one(), {1, 4}, {0.774597, 0.755929, 0.755929, 1.549193},
                1e-5);
  require_items(local("local_contrast_normalization").one(), {1, 4}, {0, -0.774597, -0.283790, 1.708484},
                1e-5);
  Row wrong("local_mean_normalization");
  REQUIRE(wrong.in("input", noise({1, 4}, 1)).set("size", ints({3})).code() == "attribute-length");
}

TEST_CASE("tract_onnx_lrn: a window cut at the edges, alpha over its size") {
  Row row("tract_onnx_lrn");
  row.in("input", f32({1, 3, 1}, {1, 2, 3}))
      .set("alpha", Attribute(3.0))
      .set("beta", Attribute(1.0))
      .set("size", Attribute(2));
  require_items(row.one(), {1, 3, 1}, {1 / (1 + 1.5 * 5), 2 / (1 + 1.5 * 13), 3 / (1 + 1.5 * 9)});
}

TEST_CASE("l1 and l2 normalisation") {
  const auto row = [](const char* op) {
    Row r(op);
    return r.in("input", f32({1, 2}, {3, 4})).set("axes", ints({1}));
  };
  require_items(row("l2_normalization").one(), {1, 2}, {0.6, 0.8});
  require_items(row("l2_normalization").set("epsilon", Attribute(10.0)).one(), {1, 2}, {0.3, 0.4});
  require_items(row("l1_normalization").set("bias", Attribute(1.0)).one(), {1, 2}, {0.375, 0.5});
  REQUIRE(row("l1_normalization").set("axes", ints({2})).code() == "axis-out-of-range");
  REQUIRE(row("l1_normalization").set("axes", ints({0, 0})).code() == "axis-repeated");
}

TEST_CASE("batch_normalization: parameters broadcast from the leading axis") {
  Row row("batch_normalization");
  row.in("input", f32({1, 2, 2}, {1, 2, 3, 4}))
      .in("mean", f32({1, 2}, {1, 2}))
      .in("variance", f32({1, 2}, {4, 1}));
  row.in("offset", f32({}, {10})).in("scale", f32({1, 2}, {2, 3})).set("epsilon", Attribute(0.0));
  require_items(row.one(), {1, 2, 2}, {10, 11, 13, 16});
  Row wrong("batch_normalization");
  wrong.in("input", noise({1, 2, 2}, 1)).in("mean", noise({2}, 1)).in("variance", noise({1, 2}, 1));
  wrong.in("offset", noise({1, 2}, 1)).in("scale", noise({1, 2}, 1)).set("epsilon", Attribute(0.1));
  REQUIRE(wrong.code() == "shape-mismatch");
}

TEST_CASE("rms and layer norm") {
  Row rms("tract_core_rms_norm");
  rms.in("input", f32({2, 2}, {3, 4, 0, 0})).set("axis", Attribute(1)).set("eps", Attribute(0.0));
  require_items(rms.one(), {2, 2}, {3 / std::sqrt(12.5), 4 / std::sqrt(12.5), std::nan(""), std::nan("")});
  Row scaled("nnefrun_rms_norm");
  scaled.in("input", f32({1, 2}, {3, 4})).in("scale", f32({1, 2}, {10, -1}));
  scaled.set("axis", Attribute(1)).set("eps", Attribute(0.0));
  require_items(scaled.one(), {1, 2}, {30 / std::sqrt(12.5), -4 / std::sqrt(12.5)});
  Row layer("nnefrun_layer_norm");
  layer.in("input", f32({2, 2}, {1, 3, 10, 20})).set("axes", ints({1})).set("eps", Attribute(0.0));
  require_items(layer.one(), {2, 2}, {-1, 1, -1, 1});
  layer.in("scale", f32({1, 2}, {2, 3})).in("offset", f32({1, 2}, {0, 10}));
  require_items(layer.one(), {2, 2}, {-2, 13, -2, 13});
}
