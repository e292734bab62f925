// Rows whose results depend on indices, orders or counts of the data.
#include <bit>

#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

DataType index_type(Draw& d) { return d.one_in(2) ? DataType::i64 : d.integer(); }

// Now and then an index is out of range, which both ways must refuse.
void gather(Draw& d, std::string_view op) {
  const Outlet x = d.argument(d.any(), d.shape(1, 4));
  const int64_t axis = d.axis_of(x);
  const Dim extent = d.fact(x).shape[static_cast<size_t>(axis)];
  const DataType type = index_type(d);
  const bool wraps = op == "tract_core_gather" && is_signed_integer(type) && d.one_in(2);
  const bool outside = d.one_in(12);
  const Outlet at =
      d.indices(type, d.shape(0, 2), wraps ? Dim(0) - extent : Dim(0), outside ? extent : extent - 1);
  d.follow(d.call(op, {{"input", x}, {"indices", at}}, {{"axis", axis}}));
}

void gather_elements(Draw& d, std::string_view op) {
  const Outlet x = d.argument(d.any(), d.shape(1, 4));
  const int64_t axis = d.axis_of(x);
  DimShape shape = d.fact(x).shape;
  const Dim extent = shape[static_cast<size_t>(axis)];
  shape[static_cast<size_t>(axis)] = d.between(0, 4);
  const Outlet at = d.indices(DataType::i64, shape, 0, extent - 1);
  d.follow(d.call(op, {{"input", x}, {"indices", at}}, {{"axis", axis}}));
}

const char* reduction(Draw& d) { return d.pick({"none", "none", "add", "mul", "min", "max"}); }

void scatter_elements(Draw& d, std::string_view op) {
  const Outlet x = d.argument(d.number(), d.shape(1, 4));
  const int64_t axis = d.axis_of(x);
  DimShape shape = d.fact(x).shape;
  const Dim extent = shape[static_cast<size_t>(axis)];
  shape[static_cast<size_t>(axis)] = d.between(0, 4);
  const Outlet at = d.indices(DataType::i64, shape, 0, extent - 1);
  const Outlet updates = d.argument(d.fact(x).dtype, shape);
  d.follow(d.call(op, {{"input", x}, {"indices", at}, {"updates", updates}},
                  {{"axis", axis}, {"reduction", reduction(d)}}));
}

// Positions of `length` axes, whose extents are at least 1.
Outlet positions(Draw& d, const DimShape& lead, const DimShape& shape, int64_t first, int64_t length) {
  DimShape all = lead;
  all.emplace_back(length);
  Dim smallest = shape[static_cast<size_t>(first)];
  for (int64_t i = 1; i < length; ++i) smallest = Dim::min(smallest, shape[static_cast<size_t>(first + i)]);
  return d.indices(DataType::i64, all, 0, smallest - 1);
}

void gather_nd(Draw& d, std::string_view op) {
  const Outlet x = d.argument(d.any(), d.shape(1, 4));
  const DimShape& shape = d.fact(x).shape;
  const auto rank = static_cast<int64_t>(shape.size());
  const int64_t batch = d.one_in(2) ? 0 : d.between(0, rank - 1);
  DimShape lead(shape.begin(), shape.begin() + batch);
  if (d.one_in(2)) lead.emplace_back(d.between(0, 3));
  const Outlet at = positions(d, lead, shape, batch, d.between(1, rank - batch));
  d.follow(d.call(op, {{"input", x}, {"indices", at}}, {{"batch_dims", batch}}));
}
void scatter_nd(Draw& d, std::string_view op) {
  const Outlet x = d.argument(d.number(), d.shape(1, 4));
  const DimShape& shape = d.fact(x).shape;
  const int64_t length = d.between(1, static_cast<int64_t>(shape.size()));
  DimShape lead{Dim(d.between(0, 4))};
  const Outlet at = positions(d, lead, shape, 0, length);
  DimShape updated = lead;
  updated.insert(updated.end(), shape.begin() + length, shape.end());
  const Outlet updates = d.argument(d.fact(x).dtype, updated);
  d.follow(d.call(op, {{"input", x}, {"indices", at}, {"updates", updates}}, {{"reduction", reduction(d)}}));
}

void topk(Draw& d, std::string_view op) {
  const Outlet x = d.argument(d.number(), d.shape(1, 4));
  const int64_t axis = d.axis_of(x);
  const Dim extent = d.fact(x).shape[static_cast<size_t>(axis)];
  const Outlet k =
      extent.is_constant() ? d.indices(DataType::i64, {}, 0, extent) : d.indices(DataType::i64, {}, 0, 1);
  d.results(d.call_all(op, {{"input", x}, {"k", k}}, {{"axis", axis}, {"largest", d.one_in(2)}}));
}
void one_hot(Draw& d, std::string_view op) {
  const DimShape shape = d.shape(0, 3);
  const Outlet x = d.indices(index_type(d), shape, 0, 6);
  d.follow(d.call(op, {{"input", x}},
                  {{"axis", d.between(0, static_cast<int64_t>(shape.size()))},
                   {"dim", d.between(1, 6)},
                   {"value_off", d.real(-1, 1)},
                   {"value_on", d.real(-1, 1)}}));
}
void non_zero(Draw& d, std::string_view op) {
  const Outlet at = d.call(op, {{"input", d.argument(d.any(), d.shape(1, 4))}});
  d.result(at);
}

void suppression(Draw& d, std::string_view op) {
  const int64_t batch = d.between(1, 2), classes = d.between(1, 3), count = d.between(0, 8);
  const Outlet boxes = d.argument(DataType::f32, {batch, count, 4}, 0, 4);
  const Outlet scores = d.argument(DataType::f32, {batch, classes, count}, 0, 1);
  Arguments arguments{{"boxes", boxes},
                      {"scores", scores},
                      {"max_output_boxes_per_class", d.indices(DataType::i64, {}, 0, 4)},
                      {"iou_threshold", d.argument(DataType::f32, {}, 0, 1)}};
  if (d.one_in(2)) arguments.emplace_back("score_threshold", d.argument(DataType::f32, {}, 0, 1));
  d.result(d.call(op, arguments, {{"center_point_box", d.between(0, 1)}}));
}

void direct_lookup(Draw& d, std::string_view op) {
  const DataType dtype = d.number();
  const Outlet values = d.constant(d.values(dtype, {d.between(1, 5)}));
  const Outlet fallback = d.constant(d.values(dtype, {}));
  const Outlet x = d.indices(d.pick({DataType::i64, DataType::i32}), d.shape(0, 3), -2, 7);
  d.follow(d.call(op, {{"input", x}, {"values", values}, {"fallback", fallback}}));
}
void reverse_lookup(Draw& d, std::string_view op) {
  const DataType dtype = d.pick({DataType::i64, DataType::i32, DataType::f32});
  const Outlet keys = d.constant(d.values(dtype, {d.between(1, 5)}, Regime::whole));
  const Outlet fallback = d.constant(d.values(DataType::i32, {}));
  const Outlet x = d.argument(dtype, d.shape(0, 3));
  d.follow(d.call(op, {{"input", x}, {"keys", keys}, {"fallback", fallback}}));
}
// Two trees: one with a test and two leaves, one that is a leaf.
void trees(Draw& d, std::string_view op) {
  const auto bits = [&](double low, double high) {
    return std::bit_cast<uint32_t>(static_cast<float>(d.real(low, high)));
  };
  const std::vector<uint32_t> nodes = {0, 1, 2, bits(-1, 1), static_cast<uint32_t>(d.between(1, 6)) | 0x100,
                                       0, 1, 0, 0,           0,
                                       1, 2, 0, 0,           0,
                                       2, 4, 0, 0,           0};
  const std::vector<uint32_t> leaves = {0, bits(-1, 1), 1, bits(-1, 1), 0, bits(-1, 1), 1, bits(-1, 1)};
  Arguments arguments{{"input", d.argument(DataType::f32, {d.extent(), 1})},
                      {"trees", d.constant(Tensor::of<uint32_t>({2}, {0, 3}))},
                      {"nodes", d.constant(Tensor::of<uint32_t>({4, 5}, nodes))},
                      {"leaves", d.constant(Tensor::of<uint32_t>({4, 2}, leaves))}};
  d.follow(d.call(op, arguments,
                  {{"max_used_feature", 0},
                   {"n_classes", 2},
                   {"aggregate_fn", d.pick({"SUM", "AVERAGE", "MIN", "MAX"})}}));
}

constexpr Generator kGenerators[] = {
    {"gather", gather, true},
    {"tract_core_gather", gather, true},
    {"tract_core_gather_elements", gather_elements, true},
    {"tract_core_gather_nd", gather_nd, true},
    {"tract_core_scatter_elements", scatter_elements, true},
    {"tract_core_scatter_nd", scatter_nd, true},
    {"tract_core_topk", topk, true},
    {"tract_core_one_hot", one_hot},
    {"tract_onnx_non_zero", non_zero, true},
    {"tract_onnx_non_max_suppression", suppression},
    {"tract_onnx_ml_direct_lookup", direct_lookup},
    {"tract_onnx_ml_reverse_lookup", reverse_lookup},
    {"tract_onnx_ml_tree_ensemble_classifier", trees},
};

}  // namespace

std::span<const Generator> indexing_generators() { return kGenerators; }

}  // namespace nnefrun::property
