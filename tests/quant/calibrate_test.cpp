#include "quant/calibrate.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "quant/affine.h"
#include "quant/report.h"

using namespace nnefrun;

TEST_CASE("a range of codes contains 0 and its ends", "[quant]") {
  const AffineQuantization q = affine_of_range(-1, 3);
  CHECK(dequantize_affine(q.zero_point, q) == 0);
  CHECK(std::abs(dequantize_affine(-128, q) + 1) <= q.scale);
  CHECK(std::abs(dequantize_affine(127, q) - 3) <= q.scale);
  CHECK(affine_of_range(2, 5).zero_point == -128);  // widened to 0
  CHECK(affine_of_range(-5, -2).zero_point == 127);
  CHECK(affine_of_range(0, 0).scale == 1);
}

TEST_CASE("an observer finds ranges by each method", "[quant]") {
  RangeObserver seen;
  std::vector<float> values;
  for (int i = 0; i < 100000; ++i) values.push_back(static_cast<float>(i % 2001 - 1000) / 1000);
  seen.add(values.data(), 50000);
  seen.add(values.data() + 50000, 50000);
  const float outlier[] = {60.0F, std::numeric_limits<float>::quiet_NaN(),
                           std::numeric_limits<float>::infinity()};
  seen.add(outlier, 3);
  CHECK(seen.low() == -1);
  CHECK(seen.high() == 60);
  const AffineQuantization all = seen.quantization(RangeMethod::min_max);
  CHECK(all.scale == Approx(61.0 / 255));
  const AffineQuantization most = seen.quantization(RangeMethod::percentile, 0.9999);
  CHECK(most.scale < 0.01F);  // one of 100001 values is left out
  const AffineQuantization least = seen.quantization(RangeMethod::mse);
  CHECK(least.scale < all.scale);
}

TEST_CASE("weights have a scale for each channel", "[quant]") {
  const float weights[] = {1.0F, -0.5F, 0.0F, 0.0F, 254.0F, -1.0F};
  const ChannelCodes coded = quantize_channels(weights, 3, 2);
  CHECK(coded.codes == std::vector<int8_t>{127, -64, 0, 0, 127, 0});  // -63.5 and -0.5 go to the even code
  CHECK(coded.scales[1] == 1);
  CHECK(coded.scales[2] == 2);
  // A scale may have to be larger than the weights want it.
  const ChannelCodes wide = quantize_channels(weights, 3, 2, {0.0F, 0.0F, 127.0F});
  CHECK(wide.scales[0] == coded.scales[0]);
  CHECK(wide.scales[2] == 127);
  CHECK(wide.codes[4] == 2);
}

TEST_CASE("a report lists its nodes, and its page escapes their names", "[quant]") {
  QuantizationReport report;
  report.model = "a<b";
  report.nodes = {{"conv", "conv", true, 41.25},
                  {"tail", "softmax", false, std::numeric_limits<double>::infinity()}};
  report.bytes_before = 400;
  report.bytes_after = 100;
  report.rows = 4;
  report.same_top = 3;
  const std::string text = report_text(report);
  CHECK(text.find("41.2 dB") != std::string::npos);
  CHECK(text.find("softmax (float)") != std::string::npos);
  CHECK(text.find("3 of 4") != std::string::npos);
  CHECK(text.find("25.0 %") != std::string::npos);
  const std::string page = report_html(report);
  CHECK(page.find("a&lt;b") != std::string::npos);
  CHECK(page.find("width:248px") != std::string::npos);
}
