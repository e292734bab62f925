// Normalisations.
#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

void local(Draw& d, std::string_view op) {
  d.inexact(128, false);
  const Outlet x = d.argument(d.floating(), d.shape(2, 4));
  std::vector<int64_t> size;
  for (int i = 0; i < d.fact(x).rank(); ++i) size.push_back(d.pick({1, 1, 3, 2}));
  Attributes attributes{{"size", Attribute::of_ints(size)}};
  if (op == "local_response_normalization") {
    attributes.emplace_back("alpha", d.real(0, 2));
    attributes.emplace_back("beta", d.real(0, 1));
    attributes.emplace_back("bias", d.real(0.5, 2));
  } else if (op != "local_mean_normalization") {
    attributes.emplace_back("bias", d.real(0.1, 1));
    attributes.emplace_back("epsilon", d.real(0.1, 1));
  }
  d.follow(d.call(op, {{"input", x}}, attributes));
}
void lrn(Draw& d, std::string_view op) {
  d.inexact(128, false);
  d.follow(d.call(op, {{"input", d.argument(d.floating(), d.shape(2, 4))}},
                  {{"alpha", d.real(0, 1)},
                   {"beta", d.real(0, 1)},
                   {"bias", d.real(0.5, 2)},
                   {"size", d.between(1, 5)}}));
}
void by_sum(Draw& d, std::string_view op) {
  d.inexact(128, false);
  const Outlet x = d.argument(d.floating(), d.shape(1, 5));
  d.follow(d.call(op, {{"input", x}},
                  {{"axes", Attribute::of_ints(d.subset(d.fact(x).rank(), false))},
                   {"bias", d.real(0, 1)},
                   {"epsilon", d.real(0.1, 1)}}));
}
void batch(Draw& d, std::string_view op) {
  d.inexact(256, false);
  const DataType dtype = d.floating();
  DimShape shape = d.shape(2, 5);
  shape[1] = d.pick({1, 2, 3, 8, 17});
  const auto parameter = [&](double low) {
    const DimShape of = d.one_in(6) ? DimShape{} : DimShape{1, shape[1]};
    return d.argument(dtype, of, low, 2);
  };
  const Outlet x = d.argument(dtype, shape);
  d.follow(d.call(op,
                  {{"input", x},
                   {"mean", parameter(-2)},
                   {"variance", parameter(0.25)},
                   {"offset", parameter(-2)},
                   {"scale", parameter(-2)}},
                  {{"epsilon", 0.001}}));
}
void rms(Draw& d, std::string_view op) {
  d.inexact(256, false);
  const DataType dtype = d.floating();
  const DimShape shape = d.shape(1, 4);
  const Outlet x = d.argument(dtype, shape);
  const auto rank = static_cast<int64_t>(shape.size());
  const int64_t axis = d.one_in(2) ? rank - 1 : d.between(0, rank - 1);
  Arguments arguments{{"input", x}};
  if (op == "nnefrun_rms_norm" && d.one_in(2)) {
    DimShape scale(shape.size(), Dim(1));
    scale[static_cast<size_t>(axis)] = shape[static_cast<size_t>(axis)];
    arguments.emplace_back("scale", d.argument(dtype, scale, -2, 2));
  }
  d.follow(d.call(op, arguments, {{"axis", axis}, {"eps", 1e-3}}));
}
void layer(Draw& d, std::string_view op) {
  d.inexact(512, false);
  const DataType dtype = d.floating();
  const DimShape shape = d.shape(1, 4);
  const auto rank = static_cast<int64_t>(shape.size());
  std::vector<int64_t> axes;
  if (d.one_in(4)) {
    axes = d.subset(static_cast<int>(rank), false);
  } else {
    for (int64_t axis = d.between(0, rank - 1); axis < rank; ++axis) axes.push_back(axis);
  }
  Arguments arguments{{"input", d.argument(dtype, shape)}};
  for (const char* name : {"scale", "offset"}) {
    if (d.one_in(3)) continue;
    DimShape of(shape.size(), Dim(1));
    for (const int64_t axis : axes) of[static_cast<size_t>(axis)] = shape[static_cast<size_t>(axis)];
    arguments.emplace_back(name, d.argument(dtype, of, -2, 2));
  }
  d.follow(d.call(op, arguments, {{"axes", Attribute::of_ints(axes)}, {"eps", 1e-3}}));
}

constexpr Generator kGenerators[] = {
    {"local_response_normalization", local},
    {"local_mean_normalization", local},
    {"local_variance_normalization", local},
    {"local_contrast_normalization", local},
    {"tract_onnx_lrn", lrn},
    {"l1_normalization", by_sum},
    {"l2_normalization", by_sum},
    {"batch_normalization", batch},
    {"tract_core_rms_norm", rms},
    {"nnefrun_rms_norm", rms},
    {"nnefrun_layer_norm", layer},
};

}  // namespace

std::span<const Generator> norm_generators() { return kGenerators; }

}  // namespace nnefrun::property
