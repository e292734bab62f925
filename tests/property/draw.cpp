#include "tests/property/draw.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/graph/op_def.h"
#include "engine/ops/support.h"

namespace nnefrun::property {
namespace {

constexpr int64_t kMaxVolume = 3000;

std::optional<Shape> static_shape(const DimShape& shape) {
  return fact_of(DataType::f32, shape).static_shape();
}

}  // namespace

Draw::Draw(uint64_t seed, bool may_be_wild) : random_(seed) {
  const int64_t kind = between(0, may_be_wild ? 5 : 3);
  regime = kind < 2 ? Regime::tame : kind < 4 ? Regime::whole : Regime::wild;
  with_special_ = one_in(2);
  symbolic = one_in(4);
  if (!symbolic) {
    bindings.emplace_back();
    return;
  }
  for (int i = 0; i < 3; ++i) {
    bindings.push_back({{"S", one_in(12) ? 0 : between(1, 20)}, {"B", one_in(12) ? 0 : between(1, 3)}});
  }
  if (one_in(2)) bindings.push_back(bindings[0]);
  graph.declare_symbol("S");
  graph.declare_symbol("B");
}

int64_t Draw::between(int64_t low, int64_t high) {
  const auto range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
  return static_cast<int64_t>(static_cast<uint64_t>(low) + (range == 0 ? random_() : random_() % range));
}

double Draw::real(double low, double high) {
  return low + (high - low) * static_cast<double>(random_() >> 11) / static_cast<double>(uint64_t{1} << 53);
}

DataType Draw::floating() {
  using enum DataType;
  return pick({f32, f32, f32, f32, f32, f64, f16, bf16});
}
DataType Draw::integer() {
  using enum DataType;
  return pick({i8, i16, i32, i64, i64, u8, u16, u32, u64});
}
DataType Draw::number() { return one_in(4) ? integer() : floating(); }
DataType Draw::any() { return one_in(8) ? DataType::boolean : number(); }

int64_t Draw::size() {
  switch (between(0, 15)) {
    case 0: return one_in(2) ? 0 : 1;
    case 1:
    case 2: return 1;
    case 3: return between(7, 9);
    case 4: return between(15, 17);
    case 5: return one_in(3) ? between(31, 34) : between(5, 20);
    default: return between(2, 5);
  }
}

Dim Draw::extent() {
  if (symbolic && one_in(2)) {
    const Dim s = Dim::symbol("S"), b = Dim::symbol("B");
    switch (between(0, 7)) {
      case 0: return s + Dim(1);
      case 1:
      case 2:
      case 3: return b;
      default: return s;
    }
  }
  return size();
}

DimShape Draw::shape(int min_rank, int max_rank) {
  // High ranks are rare and their extents small.
  const auto rank = static_cast<size_t>(
      std::max<int64_t>(min_rank, std::min<int64_t>(max_rank, one_in(6) ? between(0, 6) : between(0, 4))));
  for (;;) {
    DimShape out;
    bool small = true;
    for (size_t i = 0; i < rank; ++i) out.push_back(rank > 4 && !one_in(4) ? Dim(between(1, 3)) : extent());
    for (const SymbolValues& binding : bindings) {
      small = small && volume_of(out).evaluate(binding).value() <= kMaxVolume;
    }
    if (small) return out;
  }
}

Shape Draw::fixed_shape(int min_rank, int max_rank) {
  for (;;) {
    if (auto out = static_shape(shape(min_rank, max_rank))) return *out;
  }
}

std::vector<int64_t> Draw::permutation(int rank) {
  std::vector<int64_t> out(static_cast<size_t>(rank));
  std::iota(out.begin(), out.end(), 0);
  if (one_in(6)) return out;
  if (rank > 1 && one_in(3)) {
    std::swap(out[out.size() - 1], out[out.size() - 2]);
  } else {
    std::shuffle(out.begin(), out.end(), random_);
  }
  return out;
}

std::vector<int64_t> Draw::subset(int rank, bool may_be_empty) {
  for (;;) {
    std::vector<int64_t> out;
    for (int i = 0; i < rank; ++i) {
      if (one_in(2)) out.push_back(i);
    }
    if (!out.empty() || may_be_empty || rank == 0) return out;
  }
}

namespace {

template <class T>
T special_item(int64_t which) {
  using L = std::numeric_limits<float>;
  static const float kItems[] = {
      0.0F,     -0.0F,       L::quiet_NaN(), L::infinity(), -L::infinity(), L::denorm_min(),
      -1e-40F,  L::min(),    L::max(),       L::lowest(),   0.5F,           -0.5F,
      1.5F,     0.49999997F, -2.5F,          1.0F,          -1.0F,          8388609.0F,
      -1e10F,   88.8F,       -87.5F,         -104.0F,       709.5F,         6e-8F,
      65504.0F, 65520.0F};
  return static_cast<T>(kItems[static_cast<size_t>(which) % std::size(kItems)]);
}

}  // namespace

Tensor Draw::values(DataType dtype, const Shape& shape, Regime how) {
  if (dtype == DataType::boolean) {
    Tensor out = Tensor::zeros(dtype, shape);
    for (int64_t i = 0; i < out.size(); ++i) out.mutable_data<bool>()[i] = one_in(2);
    return out;
  }
  if (is_complex(dtype)) {
    Shape parts = shape;
    parts.push_back(2);
    const DataType part = dtype == DataType::complex32   ? DataType::f16
                          : dtype == DataType::complex64 ? DataType::f32
                                                         : DataType::f64;
    const Tensor items = values(part, parts, how);
    Tensor out = Tensor::uninitialized(dtype, shape);
    std::copy_n(items.bytes(), items.byte_size(), out.mutable_bytes());
    return out;
  }
  Tensor out = Tensor::uninitialized(dtype, shape);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* items = out.mutable_data<T>();
    for (int64_t i = 0; i < out.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        const bool full = how == Regime::wild && one_in(2);
        items[i] = static_cast<T>(full ? between(INT64_MIN, INT64_MAX) : between(-3, 5));
        if (full && one_in(4))
          items[i] = one_in(2) ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
      } else {
        switch (how) {
          case Regime::tame:
            items[i] =
                static_cast<T>(one_in(16) ? (one_in(2) ? 0.0F : -0.0F) : static_cast<float>(real(-2, 2)));
            break;
          case Regime::whole:
            items[i] = with_special_ && one_in(24) ? special_item<T>(between(2, 4))
                                                   : static_cast<T>(static_cast<float>(between(-3, 3)));
            break;
          case Regime::wild:
            items[i] =
                one_in(2)
                    ? special_item<T>(between(0, 1000))
                    : static_cast<T>(static_cast<float>(std::ldexp(
                          real(-2, 2), static_cast<int>(one_in(2) ? between(-150, 127) : between(-8, 8)))));
            break;
        }
      }
    }
  });
  return out;
}

Tensor Draw::reals(DataType dtype, const Shape& shape, double low, double high) {
  Tensor out = Tensor::uninitialized(DataType::f64, shape);
  for (int64_t i = 0; i < out.size(); ++i) {
    const double item = real(low, high);
    out.mutable_data<double>()[i] = is_float(dtype) ? item : std::round(item);
  }
  return cast_items(out, dtype);
}

Outlet Draw::input(Fact fact, Fill fill) {
  const Outlet outlet = graph.add_external(std::move(fact), "x" + std::to_string(inputs.size()));
  inputs.emplace_back(outlet, std::move(fill));
  return outlet;
}

Outlet Draw::constant(Tensor value, std::optional<AffineQuantization> quant) {
  return graph.add_constant(std::move(value), "c" + std::to_string(graph.nodes().size()), quant);
}

Outlet Draw::argument(DataType dtype, const DimShape& shape, Fill fill) {
  if (one_in(4)) {
    if (const auto known = static_shape(shape)) return constant(fill(*known, {}));
  }
  return input(fact_of(dtype, shape), std::move(fill));
}

Outlet Draw::argument(DataType dtype, const DimShape& shape) {
  return argument(dtype, shape,
                  [this, dtype](const Shape& known, const SymbolValues&) { return values(dtype, known); });
}

Outlet Draw::argument(DataType dtype, const DimShape& shape, double low, double high) {
  return argument(dtype, shape, [=, this](const Shape& known, const SymbolValues&) {
    return reals(dtype, known, low, high);
  });
}

Outlet Draw::indices(DataType dtype, const DimShape& shape, const Dim& low, const Dim& high) {
  const Fill fill = [=, this](const Shape& known, const SymbolValues& symbols) {
    const int64_t from = low.evaluate(symbols).value(), to = high.evaluate(symbols).value();
    Tensor out = Tensor::zeros(DataType::i64, known);
    for (int64_t i = 0; i < out.size(); ++i)
      out.mutable_data<int64_t>()[i] = from <= to ? between(from, to) : from;
    return cast_items(out, dtype);
  };
  if (!low.is_constant() || !high.is_constant()) return input(fact_of(dtype, shape), fill);
  return argument(dtype, shape, fill);
}

DimShape Draw::narrowed(const DimShape& shape) {
  DimShape out = shape;
  if (one_in(2)) return out;
  out.resize(static_cast<size_t>(between(0, static_cast<int64_t>(shape.size()))));
  for (Dim& extent : out) {
    if (one_in(2)) extent = 1;
  }
  return out;
}

bool Draw::is_known(const DimShape& shape) const {
  return std::all_of(shape.begin(), shape.end(),
                     [&](const Dim& extent) { return extent.evaluate(bindings[0]).has_value(); });
}

std::vector<Outlet> Draw::call_all(std::string_view op, const Arguments& arguments,
                                   const Attributes& attributes,
                                   std::vector<std::shared_ptr<const Graph>> bodies) {
  const OpDef* row = find_op(op);
  if (row == nullptr) throw std::logic_error("no row " + std::string(op));
  const Signature& signature = signature_of(row);
  std::vector<Outlet> wires;
  std::vector<uint32_t> counts;
  for (const uint32_t index : signature.tensors) {
    uint32_t count = 0;
    for (const auto& argument : arguments) {
      if (argument.first != signature.parameters[index].name) continue;
      wires.push_back(argument.second);
      ++count;
    }
    counts.push_back(count);
  }
  std::vector<Attribute> values;
  size_t used = 0;
  for (const uint32_t index : signature.attributes) {
    Attribute value = signature.parameters[index].default_value.value_or(Attribute());
    for (const auto& attribute : attributes) {
      if (attribute.first != signature.parameters[index].name) continue;
      value = attribute.second;
      ++used;
    }
    values.push_back(std::move(value));
  }
  if (wires.size() != arguments.size() || used != attributes.size())
    throw std::logic_error("an argument that " + std::string(op) + " does not have");
  const Outlet made = graph.add(row, wires, counts, values, {}, std::move(bodies));
  std::vector<Outlet> all;
  for (uint32_t r = 0; r < graph.node(made).facts.size(); ++r) all.push_back({made.node, r});
  return all;
}

void Draw::result(Outlet outlet) {
  graph.outputs.push_back({outlet, "y" + std::to_string(graph.outputs.size())});
}
void Draw::results(const std::vector<Outlet>& outlets) {
  for (const Outlet& outlet : outlets) result(outlet);
}

void Draw::keep_finite() {
  with_special_ = false;
  if (regime == Regime::wild) regime = Regime::tame;
}

void Draw::inexact(double more, bool is_local) {
  steps += more;
  local = local && is_local;
}

Outlet Draw::followed(Outlet x) {
  const Fact fact = graph.fact(x);
  const int rank = fact.rank();
  if (one_in(4)) {  // moves
    switch (between(0, 3)) {
      case 0: return call("transpose", {{"input", x}}, {{"axes", Attribute::of_ints(permutation(rank))}});
      case 1:
        if (rank >= kMaxRank) return call("copy", {{"x", x}});
        return call("unsqueeze", {{"input", x}}, {{"axes", Attribute::of_ints({between(0, rank)})}});
      case 2: return call("reshape", {{"input", x}}, {{"shape", Attribute::of_ints({-1})}});
      default: return call("copy", {{"x", x}});
    }
  }
  const auto number = [&](double low, double high) { return constant(reals(fact.dtype, {}, low, high)); };
  const auto other = [&] {
    if (one_in(3) || !is_known(fact.shape)) return number(-3, 3);
    return argument(fact.dtype, narrowed(fact.shape), -2, 2);
  };
  if (fact.quant || (!is_float(fact.dtype) && !is_integer(fact.dtype))) return call("copy", {{"x", x}});
  if (regime == Regime::wild || !is_float(fact.dtype)) {  // exact ones
    switch (between(0, 3)) {
      case 0: return call("max", {{"x", x}, {"y", other()}});
      case 1: return call("min", {{"x", x}, {"y", other()}});
      case 2: return call(is_float(fact.dtype) ? "neg" : "abs", {{"x", x}});
      default:
        if (is_float(fact.dtype)) return call("relu", {{"x", x}});
        return call("add", {{"x", x}, {"y", other()}});
    }
  }
  inexact(8, false);
  signed_zeros = false;
  switch (between(0, 15)) {
    case 0:
    case 1: return call("relu", {{"x", x}});
    case 2: return call("max", {{"x", x}, {"y", number(-1, 1)}});
    case 3: return call("min", {{"x", x}, {"y", number(-1, 1)}});
    case 4: return call("clamp", {{"x", x}, {"a", number(-1, 0)}, {"b", number(0, 6)}});
    case 5:
    case 6:
      return one_in(2) ? call("add", {{"x", x}, {"y", other()}}) : call("add", {{"x", other()}, {"y", x}});
    case 7:
      return one_in(2) ? call("sub", {{"x", x}, {"y", other()}}) : call("sub", {{"x", other()}, {"y", x}});
    case 8:
    case 9:
      return one_in(2) ? call("mul", {{"x", x}, {"y", other()}}) : call("mul", {{"x", other()}, {"y", x}});
    case 10: return call("div", {{"x", x}, {"y", number(0.5, 4)}});
    case 11: return call(pick({"sigmoid", "tanh", "silu", "neg", "tract_core_hard_swish"}), {{"x", x}});
    case 12: return call("leaky_relu", {{"x", x}}, {{"alpha", real(0, 0.5)}});
    case 13: return call("elu", {{"x", x}}, {{"alpha", real(0.5, 1.5)}});
    case 14: return call("nnefrun_gelu", {{"x", x}}, {{"approximation", pick({"none", "tanh"})}});
    default:
      if (!is_known(fact.shape)) return call("copy", {{"x", x}});
      return call("add", {{"x", x}, {"y", argument(fact.dtype, fact.shape, -2, 2)}});
  }
}

void Draw::follow(Outlet outlet) {
  if (one_in(2)) {
    const bool twice = one_in(4);
    if (twice) result(outlet);
    for (int64_t more = between(1, 3); more > 0; --more) outlet = followed(outlet);
  }
  result(outlet);
}

}  // namespace nnefrun::property
