// Fourier transforms and complex numbers.
#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

DimShape pairs(Draw& d, int min_rank) {
  DimShape shape = d.shape(min_rank, 3);
  shape.emplace_back(2);
  return shape;
}

void fft(Draw& d, std::string_view op) {
  d.inexact(64, false);
  const DimShape shape = pairs(d, 1);
  const int64_t axis = d.between(0, static_cast<int64_t>(shape.size()) - 2);
  d.follow(d.call(op, {{"input", d.argument(d.pick({DataType::f32, DataType::f64, DataType::f16}), shape)}},
                  {{"axis", axis}, {"inverse", d.one_in(2)}}));
}
void stft(Draw& d, std::string_view op) {
  d.inexact(64, false);
  DimShape shape = pairs(d, 1);
  const int64_t axis = d.between(0, static_cast<int64_t>(shape.size()) - 2), frame = d.between(1, 6);
  shape[static_cast<size_t>(axis)] = d.between(frame, 20);
  Arguments arguments{{"input", d.argument(DataType::f32, shape)}};
  if (d.one_in(2))
    arguments.emplace_back("window", d.constant(d.reals(DataType::f32, {d.between(1, frame)}, 0, 1)));
  d.follow(d.call(op, arguments, {{"axis", axis}, {"frame", frame}, {"stride", d.between(1, 3)}}));
}

// Moves of complex numbers are moves of pairs.
Outlet complex(Draw& d) {
  return d.argument(d.pick({DataType::complex64, DataType::complex64, DataType::complex128}), d.shape(0, 4));
}
void to_pairs(Draw& d, std::string_view op) {
  Outlet x = complex(d);
  if (d.one_in(3))
    x = d.call("transpose", {{"input", x}}, {{"axes", Attribute::of_ints(d.permutation(d.fact(x).rank()))}});
  if (d.one_in(4)) x = d.call("unsqueeze", {{"input", x}}, {{"axes", Attribute::of_ints({0})}});
  d.follow(d.call(op, {{"x", x}}));
}
void of_pairs(Draw& d, std::string_view op) {
  const Outlet x = d.argument(d.pick({DataType::f32, DataType::f64}), pairs(d, 0));
  Outlet y = d.call(op, {{"x", x}});
  if (d.one_in(3)) y = d.call("concat", {{"values", y}, {"values", y}}, {{"axis", 0}});
  d.result(y);
}

constexpr Generator kGenerators[] = {
    {"tract_core_fft", fft},
    {"tract_core_stft", stft},
    {"tract_core_complex_to_inner_dim", to_pairs},
    {"tract_core_inner_dim_to_complex", of_pairs},
};

}  // namespace

std::span<const Generator> signal_generators() { return kGenerators; }

}  // namespace nnefrun::property
