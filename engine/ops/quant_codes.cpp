// Arithmetic of 8-bit affine codes as one operator each: what a chain of casts to f32, the operation, and a
// cast back computes, item by item the same.
#include <algorithm>
#include <string>

#include "engine/ops/checks.h"
#include "engine/ops/pointwise.h"
#include "engine/ops/quant_types.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"
#include "engine/ops/window.h"

namespace nnefrun {
namespace {

const Fact& code_input(const InferContext& c, std::string_view name) {
  const Fact& fact = c.input(name);
  if (fact.quant && item_size(fact.dtype) == 1) return fact;
  throw c
      .fail("dtype-mismatch",
            c.signature().name + ": `" + std::string(name) + "` must hold 8-bit codes of a scale")
      .note(describe(name, fact));
}

ItemType result_type(const NodeReader& c) {
  const std::string& text = c.string("to");
  const auto type = parse_item_type(text);
  if (type && type->quant && item_size(type->dtype) == 1) return *type;
  throw c.fail(
      "attribute-value",
      c.signature().name + ": to must name 8-bit codes such as 'QI8(Z:3 S:0.1)', not '" + text + "'");
}

Fact result_fact(const NodeReader& c, DimShape shape) {
  const ItemType type = result_type(c);
  Fact fact = fact_of(type.dtype, std::move(shape));
  fact.quant = type.quant;
  return fact;
}

Tensor reals_of(const EvalContext& c, std::string_view name) {
  return cast_typed(c.input(name), item_type_of(c.input_fact(name)), {DataType::f32, std::nullopt});
}
std::vector<Tensor> codes_of(const EvalContext& c, const Tensor& reals) {
  return {cast_typed(reals, {DataType::f32, std::nullopt}, item_type_of(c.output_fact()))};
}

// ---- tables ----

std::vector<Fact> infer_map(InferContext& c) {
  const Fact &x = code_input(c, "x"), &table = c.input("table");
  if (!is_integer(table.dtype) || table.quant || certainly_different(volume_of(table.shape), 256)) {
    throw c.fail("dtype-mismatch", c.signature().name + ": the table must hold 256 integers")
        .note(describe("table", table));
  }
  return {result_fact(c, x.shape)};
}

std::vector<Tensor> eval_map(EvalContext& c) {
  const Tensor &x = c.input("x"), &table = c.input("table");
  if (table.size() != 256) {
    throw c.fail("shape-mismatch",
                 c.signature().name + ": the table has " + std::to_string(table.size()) + " items");
  }
  const Tensor codes = cast_items(table, c.output_fact().dtype);
  const int64_t lowest = x.dtype() == DataType::i8 ? -128 : 0;
  Tensor out = Tensor::uninitialized(c.output_fact().dtype, x.shape());
  for (int64_t i = 0; i < x.size(); ++i) {
    std::copy_n(codes.bytes() + (x.as_int(i) - lowest), 1, out.mutable_bytes() + i);
  }
  return {out};
}

// ---- two operands ----

std::vector<Fact> infer_binary(InferContext& c) {
  const Fact &x = code_input(c, "x"), &y = code_input(c, "y");
  const std::string& op = c.string("op");
  static constexpr std::string_view kOps[] = {"add", "sub", "mul", "max", "min"};
  if (std::find(std::begin(kOps), std::end(kOps), op) == std::end(kOps)) {
    throw c.fail("attribute-value",
                 c.signature().name + ": op must be 'add', 'sub', 'mul', 'max' or 'min', not '" + op + "'");
  }
  return {result_fact(
      c, broadcast_leading(c.signature().name, std::vector<const DimShape*>{&x.shape, &y.shape}))};
}

std::vector<Tensor> eval_binary(EvalContext& c) {
  const Tensor x = reals_of(c, "x"), y = reals_of(c, "y");
  const std::string& op = c.string("op");
  const Shape shape =
      broadcast_leading(c.signature().name, std::vector<const Shape*>{&x.shape(), &y.shape()});
  Tensor out = Tensor::uninitialized(DataType::f32, shape);
  float* to = out.mutable_data<float>();
  for (Odometer<2> o(shape, {broadcast_strides(x.shape(), shape), broadcast_strides(y.shape(), shape)});
       o.more(); o.next()) {
    const float a = x.data<float>()[o.offset(0)], b = y.data<float>()[o.offset(1)];
    *to++ = op == "add"   ? a + b
            : op == "sub" ? a - b
            : op == "mul" ? a * b
            : op == "max" ? std::max(a, b)
                          : std::min(a, b);
  }
  return codes_of(c, out);
}

// ---- means ----

std::vector<Fact> infer_mean(InferContext& c) {
  const Fact& x = code_input(c, "x");
  DimShape shape = x.shape;
  for (const int64_t axis : c.integers("axes"))
    shape[static_cast<size_t>(checked_axis(c, axis, x.rank()))] = 1;
  return {result_fact(c, std::move(shape))};
}

// Sums of the f32 reals in double, as mean_reduce has them.
std::vector<Tensor> eval_mean(EvalContext& c) {
  const Tensor x = reals_of(c, "x");
  Shape kept = x.shape();
  for (const int64_t axis : c.integers("axes"))
    kept[static_cast<size_t>(checked_axis(c, axis, x.rank()))] = 1;
  const int64_t groups = volume_of(kept), count = groups == 0 ? 0 : x.size() / groups;
  std::vector<double> sums(static_cast<size_t>(groups), 0);
  int64_t i = 0;
  for (Odometer<1> o(x.shape(), {broadcast_strides(kept, x.shape())}); o.more(); o.next(), ++i)
    sums[static_cast<size_t>(o.offset(0))] += static_cast<double>(x.data<float>()[i]);
  std::vector<float> means;
  for (const double sum : sums) means.push_back(static_cast<float>(sum / static_cast<double>(count)));
  return codes_of(c, Tensor::of<float>(kept, means));
}

// ---- average pools ----

constexpr std::initializer_list<Border> kBorders = {Border::constant, Border::ignore};

WindowSpec window_of(const NodeReader& c, size_t rank, const SymbolValues* symbols) {
  std::vector<Dim> size = c.dims("size");
  if (size.size() != rank) {
    throw c.fail("attribute-length", c.signature().name + ": size has " + std::to_string(size.size()) +
                                         " entries, but the input has rank " + std::to_string(rank));
  }
  return read_window(c, std::move(size), symbols, kBorders);
}

std::vector<Fact> infer_avg_pool(InferContext& c) {
  const Fact& input = code_input(c, "input");
  return {result_fact(c, down_extents(c, window_of(c, input.shape.size(), nullptr), input.shape))};
}

std::vector<Tensor> eval_avg_pool(EvalContext& c) {
  const Tensor x = reals_of(c, "input");
  const WindowSpec window = window_of(c, x.shape().size(), &c.symbols);
  const Shape down = known_integers(c, "the result's shape", down_extents(c, window, to_dims(x.shape())));
  const auto axes = window_axes(c, window, x.shape(), down);
  const auto strides = strides_of(x.shape());
  std::vector<float> means;
  for (Odometer<1> o(down, {strides_of(down)}); o.more(); o.next()) {
    double sum = 0;
    int64_t count = 0;
    for_each_tap(c, window.border, axes, x.shape(), strides, o.index(), [&](int64_t, int64_t offset) {
      ++count;
      if (offset != kOutside) sum += static_cast<double>(x.data<float>()[offset]);
    });
    means.push_back(static_cast<float>(sum / static_cast<double>(count)));
  }
  return codes_of(c, Tensor::of<float>(down, means));
}

constexpr TypeSet kCodes{DataType::i8, DataType::u8};

constexpr OpDef kRows[] = {
    {.name = "nnefrun_qmap", .infer = infer_map, .eval = eval_map, .types = kCodes},
    {.name = "nnefrun_qbinary", .infer = infer_binary, .eval = eval_binary, .types = kCodes},
    {.name = "nnefrun_qmean", .infer = infer_mean, .eval = eval_mean, .types = kCodes},
    {.name = "nnefrun_qavg_pool", .infer = infer_avg_pool, .eval = eval_avg_pool, .types = kCodes},
};

}  // namespace

std::span<const OpDef> quant_code_rows() { return kRows; }

}  // namespace nnefrun
