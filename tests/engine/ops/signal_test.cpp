#include "tests/engine/ops/call_row.h"

using namespace nnefrun;

TEST_CASE("fft: forward, inverse without normalisation, even and odd lengths") {
  for (const int64_t n : {1, 4, 6, 7}) {
    const Tensor x = noise({n, 2}, static_cast<uint32_t>(n));
    const Tensor y =
        Row("tract_core_fft").in("input", x).set("axis", Attribute(0)).set("inverse", Attribute(false)).one();
    std::vector<double> wanted;
    for (int64_t k = 0; k < n; ++k) {
      double re = 0, im = 0;
      for (int64_t t = 0; t < n; ++t) {
        const double angle = -6.283185307179586 * static_cast<double>(k * t) / static_cast<double>(n);
        re += x.as_double(2 * t) * std::cos(angle) - x.as_double(2 * t + 1) * std::sin(angle);
        im += x.as_double(2 * t) * std::sin(angle) + x.as_double(2 * t + 1) * std::cos(angle);
      }
      wanted.insert(wanted.end(), {re, im});
    }
    require_items(y, {n, 2}, wanted, 1e-5);
    const Tensor back =
        Row("tract_core_fft").in("input", y).set("axis", Attribute(0)).set("inverse", Attribute(true)).one();
    std::vector<double> scaled;
    for (int64_t i = 0; i < x.size(); ++i) scaled.push_back(x.as_double(i) * static_cast<double>(n));
    require_items(back, {n, 2}, scaled, 1e-5);
  }
}

TEST_CASE("fft: along an inner axis") {
  const Tensor x = f32({1, 2, 2, 2}, {1, 0, 5, 0, 3, 0, 7, 0});
  const Tensor y =
      Row("tract_core_fft").in("input", x).set("axis", Attribute(1)).set("inverse", Attribute(false)).one();
  require_items(y, {1, 2, 2, 2}, {4, 0, 12, 0, -2, 0, -2, 0});
}

TEST_CASE("stft: frames, a short window in the middle") {
  const Tensor x = f32({5, 2}, {1, 0, 2, 0, 3, 0, 4, 0, 5, 0});
  const auto row = [&] {
    Row r("tract_core_stft");
    return r.in("input", x).set("axis", Attribute(0)).set("frame", Attribute(2)).set("stride", Attribute(2));
  };
  require_items(row().one(), {2, 2, 2}, {3, 0, -1, 0, 7, 0, -1, 0});
  require_items(row().constant("window", f32({1}, {10})).one(), {2, 2, 2}, {10, 0, 10, 0, 30, 0, 30, 0});
  REQUIRE(row().set("frame", Attribute(6)).code() == "shape-mismatch");
  REQUIRE(row().set("stride", Attribute(0)).code() == "attribute-range");
  REQUIRE(row().constant("window", f32({3}, {1, 1, 1})).code() == "shape-mismatch");
  REQUIRE(row().set("axis", Attribute(1)).code() == "axis-out-of-range");
}

TEST_CASE("complex items and pairs are the same bytes") {
  const Tensor pairs_of = f32({2, 2}, {1, 2, 3, 4});
  const Tensor complex = Row("tract_core_inner_dim_to_complex").in("x", pairs_of).one();
  REQUIRE(complex.dtype() == DataType::complex64);
  REQUIRE(complex.shape() == Shape{2});
  require_items(Row("tract_core_complex_to_inner_dim").in("x", complex).one(), {2, 2}, {1, 2, 3, 4});
  REQUIRE(Row("tract_core_inner_dim_to_complex").in("x", noise({2, 3}, 1)).code() == "shape-mismatch");
  REQUIRE(Row("tract_core_complex_to_inner_dim").in("x", pairs_of).code() == "dtype-mismatch");
}
