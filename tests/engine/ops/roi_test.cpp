#include "tests/engine/ops/call_row.h"

using namespace nnefrun;

namespace {

Row over(const char* op, const std::vector<float>& rois, const std::vector<int64_t>& size) {
  std::vector<float> map;
  for (int i = 0; i < 16; ++i) map.push_back(static_cast<float>(i));
  Row row(op);
  row.in("input", f32({1, 1, 4, 4}, map)).in("rois", f32({static_cast<int64_t>(rois.size()) / 4, 4}, rois));
  row.in("batch_index",
         i64({static_cast<int64_t>(rois.size()) / 4}, std::vector<int64_t>(rois.size() / 4, 0)));
  row.set("output_size", ints(size));
  return row;
}

}  // namespace

TEST_CASE("roi pools: cells of ceil(r / o) at steps of floor(r / o)") {
  require_items(over("avg_roi_pool", {0, 0, 4, 4}, {2, 2}).one(), {1, 1, 2, 2}, {2.5, 4.5, 10.5, 12.5});
  require_items(over("max_roi_pool", {0, 0, 3, 3}, {2, 2}).one(), {1, 1, 2, 2}, {5, 6, 9, 10});
  // Coordinates are rounded, halves up.
  require_items(over("max_roi_pool", {0.5F, 0.4F, 2.4F, 1.6F}, {1, 1}).one(), {1, 1, 1, 1}, {5});
}

TEST_CASE("roi pools: what lies outside of the map is cut off, what is empty is 0") {
  require_items(over("avg_roi_pool", {-2, -2, 2, 2, 9, 9, 12, 12}, {1, 1}).one(), {2, 1, 1, 1}, {2.5, 0});
  require_items(over("max_roi_pool", {3, 3, 1, 1}, {1, 1}).one(), {1, 1, 1, 1}, {0});
}

TEST_CASE("roi_resample: coordinates by the method") {
  const auto with = [](const char* method) {
    return over("roi_resample", {0, 0, 4, 4}, {2, 2}).set("method", Attribute(method)).one();
  };
  require_items(with("symmetric"), {1, 1, 2, 2}, {2.5, 4.5, 10.5, 12.5});
  require_items(with("asymmetric"), {1, 1, 2, 2}, {0, 2, 8, 10});
  require_items(with("aligned"), {1, 1, 2, 2}, {0, 3, 12, 15});
}

TEST_CASE("roi_align: samples, then pools") {
  const auto with = [](const char* op) {
    return over(op, {0, 0, 4, 4}, {2, 2}).set("sampling_rate", ints({2, 2})).one();
  };
  require_items(with("avg_roi_align"), {1, 1, 2, 2}, {2.5, 4.5, 10.5, 12.5});
  require_items(with("max_roi_align"), {1, 1, 2, 2}, {5, 7, 13, 15});
}

TEST_CASE("roi operators: what does not fit is refused") {
  REQUIRE(over("avg_roi_pool", {0, 0, 4, 4}, {2}).code() == "attribute-length");
  REQUIRE(over("avg_roi_pool", {0, 0, 4, 4}, {2, 0}).code() == "attribute-range");
  REQUIRE(over("roi_resample", {0, 0, 4, 4}, {2, 2}).set("method", Attribute("cubic")).code() ==
          "attribute-value");
  Row batch("avg_roi_pool");
  batch.in("input", noise({1, 1, 2, 2}, 1))
      .in("rois", f32({1, 4}, {0, 0, 1, 1}))
      .in("batch_index", i64({1, 1}, {1}));
  REQUIRE(batch.set("output_size", ints({1, 1})).code() == "index-out-of-range");
}
