#include "tests/engine/ops/call_row.h"

using namespace nnefrun;

TEST_CASE("zero_point_linear_quantize: rounding, zero point, clamping") {
  const auto row = [](bool is_signed, bool symmetric) {
    Row r("zero_point_linear_quantize");
    r.in("x", Tensor::of<double>({5}, {-20, -1.26, 0, 0.04, 20})).constant("zero_point", i64({}, {3}));
    r.constant("scale", Tensor::of<double>({}, {0.1})).set("bits", Attribute(8));
    return r.set("signed", Attribute(is_signed)).set("symmetric", Attribute(symmetric));
  };
  require_items(row(true, false).one(), {5}, {-13.1, -1.3, 0, 0, 12.4});
  require_items(row(true, true).one(), {5}, {-13, -1.3, 0, 0, 12.4});
  require_items(row(false, false).one(), {5}, {-0.3, -0.3, 0, 0, 20});
  REQUIRE(row(true, false).set("bits", Attribute(0)).code() == "attribute-range");
  Row scale("zero_point_linear_quantize");
  scale.in("x", f32({1}, {1}))
      .constant("zero_point", i64({}, {0}))
      .constant("scale", f32({}, {0}))
      .set("bits", Attribute(8));
  REQUIRE(scale.set("signed", Attribute(true)).set("symmetric", Attribute(false)).code() == "value-range");
}

TEST_CASE("min_max_linear_quantize and linear_quantize") {
  const auto row = [](bool is_signed, bool symmetric) {
    Row r("min_max_linear_quantize");
    r.in("x", f32({4}, {-20, 0.1F, 0.5F, 20})).constant("min", f32({}, {0})).constant("max", f32({}, {1}));
    return r.set("bits", Attribute(2))
        .set("signed", Attribute(is_signed))
        .set("symmetric", Attribute(symmetric));
  };
  require_items(row(true, false).one(), {4}, {0, 0, 2.0 / 3, 1});
  require_items(row(true, true).one(), {4}, {0, 0, 0.5, 1});
  require_items(row(false, true).one(), {4}, {0, 0, 2.0 / 3, 1});
  Row linear("linear_quantize");
  linear.in("x", f32({4}, {-0.2F, 0.4F, 0.5F, 1.2F}))
      .constant("min", f32({}, {0}))
      .constant("max", f32({}, {1}));
  require_items(linear.set("bits", Attribute(2)).one(), {4}, {0, 1.0 / 3, 2.0 / 3, 1});
  Row crossed("linear_quantize");
  crossed.in("x", f32({1}, {1})).constant("min", f32({}, {1})).constant("max", f32({}, {-1}));
  REQUIRE(crossed.set("bits", Attribute(8)).code() == "value-range");
  // A range for each row.
  Row rows("linear_quantize");
  rows.in("x", f32({2, 2}, {0.4F, 9, 0.4F, 9})).in("min", f32({2}, {0, 0})).in("max", f32({2}, {1, 10}));
  require_items(rows.set("bits", Attribute(1)).one(), {2, 2}, {0, 1, 0, 10});
}

TEST_CASE("logarithmic_quantize") {
  Row row("logarithmic_quantize");
  row.in("x", f32({5}, {-3, 0, 0.01F, 1, 9})).constant("max", f32({}, {4})).set("bits", Attribute(2));
  require_items(row.one(), {5}, {-4, 0, 0.5, 1, 4});
}

TEST_CASE("softmax of codes") {
  Row row("nnefrun_qsoftmax");
  row.in("x", Tensor::of<uint8_t>({1, 3}, {100, 110, 120}), AffineQuantization{100, 0.1F});
  row.set("axes", ints({1})).set("to", Attribute("QU8(Z:10 S:0.01)"));
  const double sum = 1 + std::exp(1.0) + std::exp(2.0);
  std::vector<double> wanted;
  for (const double e : {0.0, 1.0, 2.0}) wanted.push_back(std::nearbyint(std::exp(e) / sum * 100) + 10);
  const Tensor y = row.one();
  REQUIRE(y.dtype() == DataType::u8);
  require_items(y, {1, 3}, wanted);
  REQUIRE(Row("nnefrun_qsoftmax").in("x", f32({1, 2}, {1, 2})).set("to", Attribute("QU8(Z:0 S:1)")).code() ==
          "dtype-mismatch");
  REQUIRE(row.set("to", Attribute("f32")).code() == "attribute-value");
}

TEST_CASE("nnefrun_qmatmul: exact sums, one rounding") {
  const auto row = [](const char* to) {
    Row r("nnefrun_qmatmul");
    r.in("A", Tensor::of<uint8_t>({1, 2}, {130, 128}), AffineQuantization{128, 0.5F});
    r.constant("B", Tensor::of<int8_t>({2, 2}, {3, 1, -4, 6}), AffineQuantization{1, 0.25F});
    return r.set("transposeB", Attribute(true)).set("to", Attribute(to));
  };
  // (2, 0) times (2, 0) and (-5, 5): 4 and -10, in steps of 1/8.
  require_items(row("i32").one(), {1, 2}, {4, -10});
  require_items(row("QI32(Z:0 S:0.125)").one(), {1, 2}, {4, -10});
  require_items(row("QI8(Z:7 S:0.25)").one(), {1, 2}, {9, 2});
  require_items(row("QI8(Z:0 S:1)").one(), {1, 2}, {0, -1});     // 0.5 to even, -1.25
  require_items(row("QU8(Z:0 S:0.125)").one(), {1, 2}, {4, 0});  // clamped
  require_items(row("i32").in("bias", Tensor::of<int32_t>({1, 2}, {100, 200})).one(), {1, 2}, {104, 190});
  REQUIRE(row("f32").code() == "attribute-value");
  REQUIRE(row("i32").in("bias", Tensor::of<int32_t>({3}, {1, 2, 3})).code() == "shape-mismatch");
  REQUIRE(row("i32").set("transposeA", Attribute(true)).code() == "shape-mismatch");
}

TEST_CASE("nnefrun_qmatmul: batches broadcast, accumulators wrap") {
  Row row("nnefrun_qmatmul");
  row.in("A", Tensor::of<int8_t>({2, 1, 1}, {2, 3}))
      .in("B", Tensor::of<int8_t>({1, 1, 2}, {5, 7}))
      .set("to", Attribute("i32"));
  require_items(row.one(), {2, 1, 2}, {10, 14, 15, 21});
  Row wraps("nnefrun_qmatmul");
  wraps.in("A", Tensor::of<int8_t>({1, 1}, {1}))
      .in("B", Tensor::of<int8_t>({1, 1}, {1}))
      .set("to", Attribute("i32"));
  require_items(wraps.in("bias", Tensor::of<int32_t>({}, {INT32_MAX})).one(), {1, 1}, {INT32_MIN});
}

TEST_CASE("nnefrun_qconv: padding holds the zero point") {
  Row row("nnefrun_qconv");
  row.in("input", Tensor::of<uint8_t>({1, 1, 3}, {11, 12, 13}), AffineQuantization{10, 0.5F});
  row.constant("filter", Tensor::of<int8_t>({2, 1, 3}, {1, 1, 1, 0, 2, 0}), AffineQuantization{0, 1.0F});
  row.in("bias", Tensor::of<int32_t>({2}, {0, 10}))
      .set("padding", pairs({{1, 1}}))
      .set("to", Attribute("QI8(Z:1 S:0.5)"));
  require_items(row.one(), {1, 2, 3}, {4, 7, 6, 13, 15, 17});
}

TEST_CASE("tract_core_qconv: `a` is the filter, one scale for each channel") {
  Row row("tract_core_qconv");
  row.in("input", Tensor::of<int8_t>({1, 1, 2}, {4, 6})).in("filter", Tensor::of<int8_t>({2, 1, 1}, {3, 5}));
  row.in("a0", Tensor::of<int32_t>({}, {1}))
      .in("b0", Tensor::of<int32_t>({}, {2}))
      .in("c0", Tensor::of<int32_t>({}, {-1}));
  row.constant("a_scale", f32({2}, {0.5F, 0.25F}))
      .constant("b_scale", f32({}, {1}))
      .constant("c_scale", f32({}, {0.5F}));
  row.set("groups", Attribute(1)).set("output_dt", Attribute("QI8(Z:-1 S:0.5)"));
  // (4 - 2, 6 - 2) times 2 and 4, times 1 and 0.5, minus 1.
  require_items(row.one(), {1, 2, 2}, {3, 7, 3, 7});
  REQUIRE(row.graph().fact(row.graph().outputs[0].outlet).quant == AffineQuantization{-1, 0.5F});
}

TEST_CASE("tract_core_einsum_q: nine arguments") {
  const auto row = [](const char* expr) {
    Row r("tract_core_einsum_q");
    r.in("inputs", Tensor::of<int8_t>({2, 2}, {1, 2, 3, 4})).in("inputs", Tensor::of<int8_t>({2, 1}, {5, 6}));
    r.set("expr", Attribute(expr)).set("acc", Attribute("i32")).set("output", Attribute("i8"));
    return r.in("bias", Tensor::of<int32_t>({}, {7})).in("a0", Tensor::of<int32_t>({}, {1}));
  };
  // (0, 1) and (2, 3) times (5, 6), plus 7.
  require_items(row("mk,kn,,,,,,,->mn").one(), {2, 1}, {13, 35});
  require_items(
      row("mk,kn,,,,,,,->nm").constant("c_scale", f32({}, {2})).in("c0", Tensor::of<int32_t>({}, {1})).one(),
      {1, 2}, {7, 19});  // 6.5 and 17.5 to even, plus 1
  Row channels = row("mk,kn,,,m,,,,->mn");
  require_items(channels.in("a_scale", f32({2}, {1, 2})).one(), {2, 1}, {13, 70});
  REQUIRE(row("mk,kn->mn").code() == "einsum-expression");
  REQUIRE(row("mk,nk,,,,,,,->mn").code() == "");  // an extent of 1 broadcasts
  REQUIRE(row("mk,kn,,,,,,,->mx").code() == "einsum-expression");
  REQUIRE(row("mk,kn,,,,,,,->mn").set("acc", Attribute("f32")).code() == "attribute-value");
}

TEST_CASE("tract_core_qmatmul: axes by number") {
  Row row("tract_core_qmatmul");
  row.in("A", Tensor::of<int8_t>({2, 1}, {1, 2})).in("B", Tensor::of<int8_t>({2, 3}, {1, 2, 3, 4, 5, 6}));
  row.set("axes", ints({1, 0, 0, 1, 1, 0})).set("output_type", Attribute("i32"));
  require_items(row.one(), {3, 1}, {9, 12, 15});
}
