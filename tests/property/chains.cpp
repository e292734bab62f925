// Graphs of many operators: what rewrites look for, in every order.
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "engine/compiler.h"
#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

// A chain of everything that `followed` knows, with results on the way.
void arithmetic(Draw& d, std::string_view) {
  const DataType dtype = d.number();
  Outlet x = d.argument(dtype, d.shape(0, 4));
  for (int64_t n = d.between(2, 9); n > 0; --n) {
    x = d.followed(x);
    if (d.one_in(8)) d.result(x);
  }
  d.result(x);
}

// Wires of one shape that meet again: a sum of branches, a product with a gate.
void branches(Draw& d, std::string_view) {
  const DataType dtype = d.floating();
  const DimShape shape = d.shape(1, 4);
  std::vector<Outlet> wires{d.argument(dtype, shape), d.argument(dtype, shape)};
  d.inexact(64, false);
  d.signed_zeros = false;
  for (int64_t n = d.between(3, 10); n > 0; --n) {
    const Outlet a = d.pick(wires), b = d.pick(wires);
    if (d.one_in(2)) {
      const char* op = d.pick({"sigmoid", "tanh", "relu", "neg", "abs", "silu", "tract_core_erf", "copy"});
      wires.push_back(d.call(op, {{"x", a}}));
    } else {
      wires.push_back(
          d.call(d.pick({"add", "sub", "min", "max", "nnefrun_fmax", "nnefrun_fmin"}), {{"x", a}, {"y", b}}));
    }
  }
  if (d.one_in(2)) wires.back() = d.call("mul", {{"x", wires.back()}, {"y", d.pick(wires)}});
  d.result(wires.back());
  if (d.one_in(3)) d.result(d.pick(wires));
}

// Moves one after another, arithmetic between them now and then.
void moves(Draw& d, std::string_view) {
  Outlet x = d.argument(d.any(), d.shape(1, 4));
  for (int64_t n = d.between(2, 8); n > 0; --n) {
    const DimShape shape = d.fact(x).shape;
    const int rank = d.fact(x).rank();
    switch (d.between(0, 9)) {
      case 0:
      case 1:
      case 2:
        x = d.call("transpose", {{"input", x}}, {{"axes", Attribute::of_ints(d.permutation(rank))}});
        break;
      case 3:
        if (rank < 6)
          x = d.call("unsqueeze", {{"input", x}}, {{"axes", Attribute::of_ints({d.between(0, rank)})}});
        break;
      case 4:
        for (int axis = 0; axis < rank; ++axis) {
          if (!shape[static_cast<size_t>(axis)].is(1)) continue;
          x = d.call("squeeze", {{"input", x}}, {{"axes", Attribute::of_ints({axis})}});
          break;
        }
        break;
      case 5: {
        std::vector<Dim> joined;
        for (const Dim& extent : shape) {
          if (!joined.empty() && d.one_in(2))
            joined.back() = joined.back() * extent;
          else
            joined.push_back(extent);
        }
        x = d.call("reshape", {{"input", x}}, {{"shape", Attribute::of_dims(joined)}});
        break;
      }
      case 6:
        if (rank > 0)
          x = d.call("concat", {{"values", x}, {"values", x}}, {{"axis", d.between(0, rank - 1)}});
        break;
      case 7:
        if (rank > 0) {
          const auto axis = static_cast<size_t>(d.between(0, rank - 1));
          x = d.call("nnefrun_slice", {{"input", x}},
                     {{"axes", Attribute::of_ints({static_cast<int64_t>(axis)})},
                      {"begin", Attribute::of_dims({d.one_in(2) ? Dim(0) : shape[axis] - 1})},
                      {"length", Attribute::of_dims({d.one_in(2) ? shape[axis] : Dim(1)})},
                      {"stride", Attribute::of_ints({d.one_in(3) ? -1 : 1})}});
        }
        break;
      case 8: {
        std::vector<std::pair<int64_t, int64_t>> padding;
        for (int axis = 0; axis < rank; ++axis) padding.emplace_back(d.between(0, 1), d.between(0, 1));
        if (d.fact(x).dtype != DataType::boolean)
          x = d.call("pad", {{"input", x}}, {{"padding", Attribute::of_pairs(padding)}});
        break;
      }
      default: x = d.followed(x);
    }
    if (volume_of(d.fact(x).shape).evaluate(d.bindings[0]).value_or(0) > 5000) break;
  }
  d.result(x);
}

// A small network: convolutions, pools, norms, sums with what came before.
void network(Draw& d, std::string_view) {
  d.keep_finite();  // as convolutions of 3x3
  d.inexact(256, false);
  d.signed_zeros = false;
  const Dim batch = d.symbolic ? Dim::symbol("B") : Dim(d.between(1, 2));
  int64_t channels = d.pick({1, 2, 3, 8, 16, 17, 32});
  const Dim size = d.symbolic && d.one_in(2) ? Dim::symbol("S") + Dim(4) : Dim(d.between(4, 12));
  Outlet x =
      d.input(fact_of(DataType::f32, {batch, channels, size, Dim(d.between(4, 12))}),
              [&d](const Shape& known, const SymbolValues&) { return d.values(DataType::f32, known); });
  std::vector<Outlet> wires{x};
  const auto weights = [&](const Shape& shape) {
    return d.constant(d.reals(DataType::f32, shape, -0.5, 0.5));
  };
  for (int64_t n = d.between(2, 6); n > 0; --n) {
    switch (d.between(0, 6)) {
      case 0:
      case 1: {
        const int64_t out = d.pick({1, 3, 8, 16, 17, 32}), k = d.pick({1, 3});
        x = d.call("conv",
                   {{"input", x}, {"filter", weights({out, channels, k, k})}, {"bias", weights({1, out})}},
                   {{"padding", Attribute::of_pairs({{k / 2, k / 2}, {k / 2, k / 2}})}});
        channels = out;
        break;
      }
      case 2: {
        const int64_t k = d.pick({3, 5});
        x = d.call(
            "conv", {{"input", x}, {"filter", weights({channels, 1, k, k})}},
            {{"padding", Attribute::of_pairs({{k / 2, k / 2}, {k / 2, k / 2}})}, {"groups", channels}});
        break;
      }
      case 3: {
        const Shape shape{1, channels};
        x = d.call("batch_normalization",
                   {{"input", x},
                    {"mean", weights(shape)},
                    {"variance", d.constant(d.reals(DataType::f32, shape, 0.5, 2))},
                    {"offset", weights(shape)},
                    {"scale", weights(shape)}},
                   {{"epsilon", 1e-3}});
        break;
      }
      case 4:
        for (const Outlet& other : wires) {
          if (d.fact(other).shape != d.fact(x).shape) continue;
          x = d.call("add", {{"x", x}, {"y", other}});
          break;
        }
        break;
      case 5:
        x = d.call(d.pick({"max_pool", "avg_pool"}), {{"input", x}},
                   {{"size", Attribute::of_ints({1, 1, 3, 3})},
                    {"border", d.pick({"ignore", "constant"})},
                    {"padding", Attribute::of_pairs({{0, 0}, {0, 0}, {1, 1}, {1, 1}})}});
        break;
      default: {
        const char* op =
            d.pick({"relu", "sigmoid", "silu", "tract_core_hard_swish", "tanh", "relu6", "max6"});
        const std::string_view name(op);
        const Outlet zero = d.constant(Tensor::scalar(0.0F)), six = d.constant(Tensor::scalar(6.0F));
        x = name == "relu6"  ? d.call("clamp", {{"x", x}, {"a", zero}, {"b", six}})
            : name == "max6" ? d.call("min", {{"x", d.call("max", {{"x", x}, {"y", zero}})}, {"y", six}})
                             : d.call(op, {{"x", x}});
      }
    }
    wires.push_back(x);
  }
  if (d.one_in(2)) x = d.call("mean_reduce", {{"input", x}}, {{"axes", Attribute::of_ints({2, 3})}});
  d.result(x);
  if (d.one_in(3)) d.result(d.pick(wires));
}

// The graphs that rewrites are documented with, fed with anything.
void documented(Draw& d, std::string_view) {
  namespace fs = std::filesystem;
  std::vector<fs::path> folders;
  for (const auto& entry :
       fs::directory_iterator(fs::path(NNEFRUN_SOURCE_DIR) / "tests" / "engine" / "rewrites")) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  std::ifstream in(d.pick(folders) / "before.nnef");
  std::stringstream text;
  text << in.rdbuf();
  PrintedGraph printed;
  printed.text = text.str();
  if (printed.text.find("sdpa") != std::string::npos || printed.text.find("conv(") != std::string::npos)
    d.keep_finite();  // as in their own cases
  const auto items = [&](DataType dtype, const Shape& shape, const std::string& name) {
    return name.find("positive") == std::string::npos ? d.values(dtype, shape)
                                                      : d.reals(dtype, shape, 0.5, 2);
  };
  static const std::regex kVariable(R"(variable(<\w+>)?\(shape = \[([0-9A-Z, ]*)\], label = '([^']*)'\))");
  for (std::sregex_iterator it(printed.text.begin(), printed.text.end(), kVariable), end; it != end; ++it) {
    Shape shape;
    std::stringstream extents((*it)[2].str());
    for (std::string extent; std::getline(extents, extent, ',');) {
      // Along a symbol, a variable begins with one item that is repeated.
      const bool symbol = extent.find_first_of("0123456789") == std::string::npos;
      shape.push_back(symbol ? 1 : std::stoll(extent));
    }
    const std::string type = (*it)[1].str(), label = (*it)[3].str();
    const DataType dtype = type == "<integer>"   ? DataType::i64
                           : type == "<logical>" ? DataType::boolean
                                                 : DataType::f32;
    // Weights are finite: kernels may skip their products with the zeros of the padding.
    printed.tensors.emplace_back(
        label, shape.size() > 1 && is_float(dtype)
                   ? d.reals(dtype, shape, label.find("positive") == std::string::npos ? -2 : 0.5, 2)
                   : items(dtype, shape, label));
  }
  d.inexact(4096, false);  // some divide by sums that may nearly vanish
  d.signed_zeros = false;
  d.graph = reload_graph(printed);
  d.bindings.assign(d.graph.symbols.empty() ? 1 : 3, {});
  for (SymbolValues& binding : d.bindings) {
    for (const std::string& symbol : d.graph.symbols) binding[symbol] = d.between(1, 9);
  }
  for (const Outlet& outlet : d.graph.inputs) {
    const DataType dtype = d.fact(outlet).dtype;
    const std::string name = d.graph.name_of(outlet);
    d.inputs.emplace_back(outlet, [&d, dtype, name](const Shape& known, const SymbolValues&) {
      return name.find("positive") == std::string::npos ? d.values(dtype, known)
                                                        : d.reals(dtype, known, 0.5, 2);
    });
  }
}

constexpr Generator kGenerators[] = {
    {"chain of arithmetic", arithmetic}, {"chain of branches", branches},    {"chain of moves", moves, true},
    {"chain of layers", network},        {"graphs of rewrites", documented},
};

}  // namespace

std::span<const Generator> chain_generators() { return kGenerators; }

}  // namespace nnefrun::property
