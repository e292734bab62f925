// Rows whose results depend on an order or a count of the data: topk, one_hot, non_zero, non-maximum
// suppression, and the look-ups and trees of tract's machine-learning operators.
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "engine/ops/items.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// --- topk ---

std::vector<Fact> infer_topk(InferContext& c) {
  const Fact &input = c.input("input"), &k = c.input("k");
  require_integer(c, k, "k");
  require_plain(c, {&input});
  if (!is_float(input.dtype) && !is_integer(input.dtype)) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "items of type " + std::string(name_of(input.dtype)) + " are not ordered");
  }
  const auto axis = static_cast<size_t>(checked_axis(c, c.integer("axis"), input.rank()));
  c.logical("largest");
  Fact values = fact_of(input.dtype, input.shape);
  const Dim& extent = input.shape[axis];
  const auto known = known_dims(k);
  std::optional<Dim> count;
  if (known && known->size() == 1)
    count = (*known)[0];
  else if (k.constant && k.constant->size() == 1)
    count = Dim(k.constant->as_int(0));
  values.shape[axis] = count ? *count : c.fresh_extent("k");
  if (count && count->is_constant() &&
      (count->value() < 0 || (extent.is_constant() && count->value() > extent.value()))) {
    throw c.fail("attribute-range", prefix_of(c) + "k = " + count->to_string() +
                                        " is out of range for an extent of " + extent.to_string());
  }
  Fact indices = fact_of(DataType::i64, values.shape);
  return {values, indices};
}

std::vector<Tensor> eval_topk(EvalContext& c) {
  const Tensor& input = c.input("input");
  const auto axis = static_cast<size_t>(c.integer("axis"));
  const int64_t k = single_integer(c, c.input("k"), "k"), extent = input.shape()[axis];
  if (k < 0 || k > extent) {
    throw c.fail("index-out-of-range", prefix_of(c) + "k = " + std::to_string(k) +
                                           " is out of range for an extent of " + std::to_string(extent));
  }
  const bool largest = c.logical("largest");
  Shape shape = input.shape();
  shape[axis] = k;
  Tensor values = Tensor::uninitialized(input.dtype(), shape),
         indices = Tensor::uninitialized(DataType::i64, shape);
  auto* positions = indices.mutable_data<int64_t>();
  Shape rows = input.shape();
  rows[axis] = 1;
  const auto from_strides = strides_of(input.shape()), to_strides = strides_of(shape);
  std::vector<int64_t> order(static_cast<size_t>(extent));
  dispatch(input.dtype(), [&](auto tag) {
    using T = decltype(tag);
    using C = ComputeType<T>;
    T* to = values.mutable_data<T>();
    for (Odometer<2> o(rows, {from_strides, to_strides}); o.more(); o.next()) {
      const T* from = input.data<T>() + o.offset(0);
      // NaN is less than every number; equal items keep their order.
      const auto less = [&](int64_t a, int64_t b) {
        const C x = widen(from[a * from_strides[axis]]), y = widen(from[b * from_strides[axis]]);
        if constexpr (std::is_floating_point_v<C>) {
          if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && !std::isnan(y);
        }
        return x < y;
      };
      std::iota(order.begin(), order.end(), int64_t{0});
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t a, int64_t b) { return largest ? less(b, a) : less(a, b); });
      for (int64_t i = 0; i < k; ++i) {
        const int64_t at = o.offset(1) + i * to_strides[axis];
        to[at] = from[order[static_cast<size_t>(i)] * from_strides[axis]];
        positions[at] = order[static_cast<size_t>(i)];
      }
    }
  });
  return {values, indices};
}

// --- one_hot ---

Tensor scalar_attribute(const NodeReader& c, std::string_view name, DataType type) {
  return item_of(c.scalar(name), type);
}

std::vector<Fact> infer_one_hot(InferContext& c) {
  const Fact& input = c.input("input");
  require_integer(c, input, "input");
  const auto axis = checked_axis(c, c.integer("axis"), input.rank() + 1);
  const Dim extent = c.dim("dim");
  if (extent.is_constant() && extent.value() < 0)
    throw c.fail("shape-negative", prefix_of(c) + "`dim` is " + extent.to_string());
  // The type of the result is that of the value for `off`: an integer literal gives i64.
  const auto& off = c.attribute("value_off").value;
  Fact out = fact_of(std::holds_alternative<Dim>(off) ? DataType::i64 : DataType::f32, input.shape);
  c.scalar("value_off");
  c.scalar("value_on");
  out.shape.insert(out.shape.begin() + axis, extent);
  return {out};
}

std::vector<Tensor> eval_one_hot(EvalContext& c) {
  const Tensor& input = c.input("input");
  const auto axis = static_cast<size_t>(c.integer("axis"));
  const int64_t extent = c.integer("dim");
  Shape shape = input.shape();
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), extent);
  const DataType type = c.output_fact().dtype;
  Tensor values = Tensor::zeros(DataType::i64, shape);  // which of the two each cell is
  auto* cells = values.mutable_data<int64_t>();
  auto strides = strides_of(shape);
  const int64_t along = strides[axis];
  strides.erase(strides.begin() + static_cast<std::ptrdiff_t>(axis));
  int64_t i = 0;
  for (Odometer<1> o(input.shape(), {strides}); o.more(); o.next()) {
    const int64_t given = input.as_int(i++), at = given < 0 ? given + extent : given;
    if (at < 0 || at >= extent) {
      throw c.fail("index-out-of-range", prefix_of(c) + "index " + std::to_string(given) +
                                             " is out of range for dim = " + std::to_string(extent));
    }
    cells[o.offset(0) + at * along] = 1;
  }
  const Tensor off = scalar_attribute(c, "value_off", type), on = scalar_attribute(c, "value_on", type);
  const Tensor both = concat_items({off.reshaped({1}), on.reshaped({1})}, 0);
  return {take_items(both, shape, {cells, cells + values.size()})};
}

// --- non_zero ---

std::vector<Fact> infer_non_zero(InferContext& c) {
  const Fact& input = c.input("input");
  require_plain(c, {&input});
  if (!is_float(input.dtype) && !is_integer(input.dtype) && input.dtype != DataType::boolean) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "items of type " + std::string(name_of(input.dtype)) + " are no numbers");
  }
  const auto* name = std::get_if<std::string>(&c.attribute("count_symbol").value);
  Dim count;
  if (name != nullptr && !name->empty()) {
    c.graph.declare_symbol(*name);
    count = Dim::symbol(*name);
  } else {
    count = c.fresh_extent("x");
  }
  return {fact_of(DataType::i64, {Dim(input.rank()), count})};
}

std::vector<Tensor> eval_non_zero(EvalContext& c) {
  const Tensor& input = c.input("input");
  const size_t rank = input.shape().size();
  std::vector<std::vector<int64_t>> found(rank);
  int64_t count = 0, i = 0;
  for (Odometer<1> o(input.shape(), {strides_of(input.shape())}); o.more(); o.next()) {
    const double value = input.as_double(i++);
    if (value == 0) continue;
    ++count;
    for (size_t axis = 0; axis < rank; ++axis) found[axis].push_back(o.index()[axis]);
  }
  Tensor out = Tensor::uninitialized(DataType::i64, {static_cast<int64_t>(rank), count});
  auto* to = out.mutable_data<int64_t>();
  for (const auto& positions : found) to = std::copy(positions.begin(), positions.end(), to);
  return {out};
}

// --- non-maximum suppression ---

std::vector<Fact> infer_suppression(InferContext& c) {
  const Fact &boxes = c.input("boxes"), &scores = c.input("scores");
  require_float(c, boxes, "boxes");
  require_float(c, scores, "scores");
  const auto is = [](const Dim& d, int64_t v) { return agreed_extent(d, v).has_value(); };
  if (boxes.rank() != 3 || scores.rank() != 3 || !is(boxes.shape[2], 4) ||
      !agreed_extent(boxes.shape[0], scores.shape[0]) || !agreed_extent(boxes.shape[1], scores.shape[2])) {
    throw c.fail("shape-mismatch", prefix_of(c) + "boxes have shape " + to_string(boxes.shape) + ", scores " +
                                       to_string(scores.shape) +
                                       ", but [batch, n, 4] and [batch, classes, n] are expected");
  }
  const int64_t center = c.integer("center_point_box");
  if (center != 0 && center != 1)
    throw c.fail("attribute-range",
                 prefix_of(c) + "center_point_box is 0 or 1, not " + std::to_string(center));
  return {fact_of(DataType::i64, {c.fresh_extent("n"), Dim(3)})};
}

struct Box {
  double y0, x0, y1, x1;
};

Box box_at(const double* item, bool center) {
  if (center)
    return {item[1] - item[3] / 2, item[0] - item[2] / 2, item[1] + item[3] / 2, item[0] + item[2] / 2};
  return {std::min(item[0], item[2]), std::min(item[1], item[3]), std::max(item[0], item[2]),
          std::max(item[1], item[3])};
}

double overlap(const Box& a, const Box& b) {
  const double height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0),
               width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  if (!(height > 0) || !(width > 0)) return 0;
  const double common = height * width;
  const double whole = (a.y1 - a.y0) * (a.x1 - a.x0) + (b.y1 - b.y0) * (b.x1 - b.x0) - common;
  return whole > 0 ? common / whole : 0;
}

std::vector<Tensor> eval_suppression(EvalContext& c) {
  const auto number = [&](std::string_view name, double otherwise) {
    if (!c.has_input(name)) return otherwise;
    const Tensor& value = c.input(name);
    if (value.size() != 1)
      throw c.fail("shape-mismatch", prefix_of(c) + "`" + std::string(name) + "` is a single number");
    return value.as_double(0);
  };
  const Tensor &boxes = c.input("boxes"), &scores = c.input("scores");
  const int64_t batches = scores.dim(0), classes = scores.dim(1), count = scores.dim(2);
  if (boxes.shape() != Shape{batches, count, 4}) {
    throw c.fail("shape-mismatch", prefix_of(c) + "boxes have shape " + to_string(boxes.shape()) +
                                       ", scores " + to_string(scores.shape()));
  }
  const double wanted = number("max_output_boxes_per_class", 0), threshold = number("iou_threshold", 0);
  const double lowest = number("score_threshold", -HUGE_VAL);
  const bool limited = c.has_input("score_threshold"), center = c.integer("center_point_box") == 1;
  const auto corners = as_doubles(boxes), marks = as_doubles(scores);
  std::vector<int64_t> selected;
  for (int64_t batch = 0; batch < batches; ++batch) {
    for (int64_t k = 0; k < classes; ++k) {
      const double* mark = marks.data() + (batch * classes + k) * count;
      std::vector<int64_t> order;
      for (int64_t i = 0; i < count; ++i) {
        if (!limited || mark[i] > lowest) order.push_back(i);
      }
      // NaN is less than every number, so that the order is one.
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        if (std::isnan(mark[a]) || std::isnan(mark[b])) return !std::isnan(mark[a]) && std::isnan(mark[b]);
        return mark[a] > mark[b];
      });
      std::vector<Box> kept;
      for (const int64_t i : order) {
        if (wanted > 0 && static_cast<double>(kept.size()) >= wanted) break;
        const Box box = box_at(corners.data() + (batch * count + i) * 4, center);
        if (std::any_of(kept.begin(), kept.end(),
                        [&](const Box& other) { return overlap(box, other) > threshold; }))
          continue;
        kept.push_back(box);
        selected.insert(selected.end(), {batch, k, i});
      }
    }
  }
  return {Tensor::of<int64_t>({static_cast<int64_t>(selected.size() / 3), 3}, selected)};
}

// --- look-ups ---

std::vector<Fact> infer_direct_lookup(InferContext& c) {
  const Fact &input = c.input("input"), &values = c.input("values"), &fallback = c.input("fallback");
  require_integer(c, input, "input");
  require_same_types(c, {&values, &fallback});
  if (values.rank() != 1)
    throw c.fail("rank-mismatch",
                 prefix_of(c) + "`values` has shape " + to_string(values.shape) + ", but rank 1 is expected");
  Fact out = moved_fact(values);
  out.shape = input.shape;
  return {out};
}

std::vector<Tensor> eval_direct_lookup(EvalContext& c) {
  const Tensor &input = c.input("input"), &values = c.input("values"), &fallback = c.input("fallback");
  if (fallback.size() != 1) throw c.fail("shape-mismatch", prefix_of(c) + "`fallback` is a single item");
  std::vector<int64_t> sources;
  for (int64_t i = 0; i < input.size(); ++i) {
    const int64_t at = input.as_int(i);
    sources.push_back(at >= 0 && at < values.size() ? at : -1);
  }
  return {take_items(dequantized(values), input.shape(), sources, &fallback)};
}

std::vector<Fact> infer_reverse_lookup(InferContext& c) {
  const Fact &input = c.input("input"), &keys = c.input("keys"), &fallback = c.input("fallback");
  require_same_types(c, {&input, &keys});
  require_integer(c, fallback, "fallback");
  if (keys.rank() != 1)
    throw c.fail("rank-mismatch",
                 prefix_of(c) + "`keys` has shape " + to_string(keys.shape) + ", but rank 1 is expected");
  if (is_complex(keys.dtype) || is_block_quantized(keys.dtype)) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "keys of type " + std::string(name_of(keys.dtype)) + " are not compared");
  }
  return {fact_of(DataType::i32, input.shape)};
}

std::vector<Tensor> eval_reverse_lookup(EvalContext& c) {
  const Tensor &input = c.input("input"), &keys = c.input("keys");
  const auto otherwise = static_cast<int32_t>(single_integer(c, c.input("fallback"), "fallback"));
  const bool text = keys.dtype() == DataType::string;
  const auto equal = [&](int64_t i, int64_t k) {
    if (text) return input.strings()[static_cast<size_t>(i)] == keys.strings()[static_cast<size_t>(k)];
    if (is_integer(keys.dtype())) return input.as_int(i) == keys.as_int(k);
    return input.as_double(i) == keys.as_double(k);
  };
  Tensor out = Tensor::uninitialized(DataType::i32, input.shape());
  auto* to = out.mutable_data<int32_t>();
  for (int64_t i = 0; i < input.size(); ++i) {
    int64_t k = 0;
    while (k < keys.size() && !equal(i, k)) ++k;
    to[i] = k < keys.size() ? static_cast<int32_t>(k) : otherwise;
  }
  return {out};
}

// --- trees ---

std::vector<Fact> infer_trees(InferContext& c) {
  const Fact &input = c.input("input"), &nodes = c.input("nodes"), &leaves = c.input("leaves");
  for (const char* name : {"trees", "nodes", "leaves"}) require_integer(c, c.input(name), name);
  require_plain(c, {&input});
  if (!is_float(input.dtype) && !is_integer(input.dtype)) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "features of type " + std::string(name_of(input.dtype)) + " are no numbers");
  }
  const auto has_columns = [](const Fact& fact, int64_t columns) {
    return fact.rank() == 2 && agreed_extent(fact.shape[1], columns).has_value();
  };
  if (input.rank() != 1 && input.rank() != 2) {
    throw c.fail("rank-mismatch", prefix_of(c) + "the input has shape " + to_string(input.shape) +
                                      ", but [features] or [batch, features] is expected");
  }
  if (c.input("trees").rank() != 1 || !has_columns(nodes, 5) || !has_columns(leaves, 2)) {
    throw c.fail("shape-mismatch", prefix_of(c) + "trees, nodes and leaves have shapes " +
                                       to_string(c.input("trees").shape) + ", " + to_string(nodes.shape) +
                                       " and " + to_string(leaves.shape) +
                                       ", but [trees], [nodes, 5] and [leaves, 2] are expected");
  }
  const int64_t classes = c.integer("n_classes");
  if (classes < 0) throw c.fail("shape-negative", prefix_of(c) + "n_classes is negative");
  const std::string& aggregate = c.string("aggregate_fn");
  if (aggregate != "SUM" && aggregate != "AVERAGE" && aggregate != "MAX" && aggregate != "MIN") {
    throw c.fail("attribute-value",
                 prefix_of(c) + "aggregate_fn is SUM, AVERAGE, MAX or MIN, not '" + aggregate + "'");
  }
  DimShape shape(input.shape.begin(), input.shape.end() - 1);
  shape.emplace_back(classes);
  return {fact_of(DataType::f32, shape)};
}

// The rows of a forest: see tract-opl section 5.5.
class Forest {
 public:
  explicit Forest(const EvalContext& c)
      : c_(c),
        trees_(words(c.input("trees"))),
        nodes_(words(c.input("nodes"))),
        leaves_(words(c.input("leaves"))) {}

  // f(class, weight) for every vote of every tree, in order.
  template <class F>
  void vote(const double* features, int64_t count, F&& f) const {
    for (const uint32_t root : trees_) {
      const uint32_t* leaf = leaf_of(root, features, count);
      if (leaf[0] > leaf[1] || leaf[1] > leaves_.size() / 2) throw outside("a leaf's votes", leaf[1]);
      for (uint32_t v = leaf[0]; v < leaf[1]; ++v)
        f(leaves_[2 * v], std::bit_cast<float>(leaves_[2 * v + 1]));
    }
  }

 private:
  static std::vector<uint32_t> words(const Tensor& tensor) {
    std::vector<uint32_t> out;
    for (int64_t i = 0; i < tensor.size(); ++i) out.push_back(static_cast<uint32_t>(tensor.as_int(i)));
    return out;
  }
  Error outside(const std::string& what, uint32_t at) const {
    return c_.fail("index-out-of-range", prefix_of(c_) + what + " lie out of range: " + std::to_string(at));
  }
  const uint32_t* leaf_of(uint32_t node, const double* features, int64_t count) const {
    const size_t rows = nodes_.size() / 5;
    for (size_t steps = 0; steps <= rows; ++steps) {  // a path that is longer than the table runs in circles
      if (node >= rows) throw outside("a tree's nodes", node);
      const uint32_t* row = nodes_.data() + size_t{5} * node;
      const uint32_t comparison = row[4] & 0xFF;
      if (comparison < 1 || comparison > 6) return row;
      if (row[0] >= static_cast<uint64_t>(count)) throw outside("a tree's features", row[0]);
      const auto feature = static_cast<float>(features[row[0]]);
      node = row[holds(comparison, feature, std::bit_cast<float>(row[3]), (row[4] & 0x100) != 0) ? 1 : 2];
    }
    throw c_.fail("tree-cycle", prefix_of(c_) + "a tree runs in circles");
  }
  static bool holds(uint32_t comparison, float a, float b, bool when_nan) {
    if (std::isnan(a)) return when_nan;
    switch (comparison) {
      case 1: return a == b;
      case 2: return a != b;
      case 3: return a < b;
      case 4: return a > b;
      case 5: return a <= b;
      default: return a >= b;
    }
  }

  const EvalContext& c_;
  std::vector<uint32_t> trees_, nodes_, leaves_;
};

std::vector<Tensor> eval_trees(EvalContext& c) {
  const Tensor& input = c.input("input");
  const Forest forest(c);
  const int64_t classes = c.integer("n_classes"), features = input.shape().back();
  const int64_t rows = input.rank() == 2 ? input.dim(0) : 1;
  const std::string& aggregate = c.string("aggregate_fn");
  Shape shape(input.shape().begin(), input.shape().end() - 1);
  shape.push_back(classes);
  Tensor out = Tensor::zeros(DataType::f32, shape);
  const auto numbers = as_doubles(input);
  float* totals = out.mutable_data<float>();
  for (int64_t row = 0; row < rows; ++row, totals += classes) {
    std::vector<int64_t> votes(static_cast<size_t>(classes), 0);
    forest.vote(numbers.data() + row * features, features, [&](uint32_t k, float weight) {
      if (k >= static_cast<uint64_t>(classes)) {
        throw c.fail("index-out-of-range", prefix_of(c) + "a leaf votes for class " + std::to_string(k) +
                                               " of " + std::to_string(classes));
      }
      ++votes[k];
      if (aggregate == "MAX")
        totals[k] = std::max(totals[k], weight);
      else if (aggregate == "MIN")
        totals[k] = std::min(totals[k], weight);
      else
        totals[k] += weight;
    });
    for (int64_t k = 0; k < classes && aggregate == "AVERAGE"; ++k) {
      if (votes[static_cast<size_t>(k)] > 1) totals[k] /= static_cast<float>(votes[static_cast<size_t>(k)]);
    }
  }
  return {out};
}

constexpr OpDef kRows[] = {
    {.name = "tract_core_topk", .infer = infer_topk, .eval = eval_topk, .types = kNumbers},
    {.name = "tract_core_one_hot", .infer = infer_one_hot, .eval = eval_one_hot, .types = kInts},
    {.name = "tract_onnx_non_zero", .infer = infer_non_zero, .eval = eval_non_zero, .types = kPlain},
    {.name = "tract_onnx_non_max_suppression",
     .infer = infer_suppression,
     .eval = eval_suppression,
     .types = kFloats},
    {.name = "tract_onnx_ml_direct_lookup",
     .infer = infer_direct_lookup,
     .eval = eval_direct_lookup,
     .types = kItems},
    {.name = "tract_onnx_ml_reverse_lookup",
     .infer = infer_reverse_lookup,
     .eval = eval_reverse_lookup,
     .types = kPlain | kStrings},
    {.name = "tract_onnx_ml_tree_ensemble_classifier",
     .infer = infer_trees,
     .eval = eval_trees,
     .types = kNumbers},
};

}  // namespace

std::span<const OpDef> selection_rows() { return kRows; }

}  // namespace nnefrun
