// Reductions over axes.
#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

Attribute axes_of(Draw& d, Outlet x) {
  const int rank = d.fact(x).rank();
  if (rank > 0 && d.one_in(2)) return Attribute::of_ints({d.axis_of(x)});
  return Attribute::of_ints(d.subset(rank, d.one_in(10)));
}

void sums(Draw& d, std::string_view op) {
  d.inexact(16, false);
  d.signed_zeros = false;
  const Outlet x = d.argument(d.number(), d.shape(0, 6));
  const Attribute axes = axes_of(d, x);
  if (op != "sum_reduce") return d.follow(d.call(op, {{"input", x}}, {{"axes", axes}}));
  d.follow(d.call(op, {{"input", x}}, {{"axes", axes}, {"normalize", d.one_in(2)}}));
}
// One item wins.
void winners(Draw& d, std::string_view op) {
  const Outlet x = d.argument(d.number(), d.shape(0, 6));
  d.follow(d.call(op, {{"input", x}}, {{"axes", axes_of(d, x)}}));
}
void product(Draw& d, std::string_view op) {
  d.inexact(16, false);
  winners(d, op);
}
void logical(Draw& d, std::string_view op) {
  const Outlet x = d.argument(DataType::boolean, d.shape(0, 6));
  d.follow(d.call(op, {{"input", x}}, {{"axes", axes_of(d, x)}}));
}
void moments(Draw& d, std::string_view op) {
  d.inexact(16, false);
  const Outlet x = d.argument(d.floating(), d.shape(0, 5));
  d.results(d.call_all(op, {{"input", x}}, {{"axes", axes_of(d, x)}}));
}
void add_n(Draw& d, std::string_view op) {
  d.inexact(8, false);
  const DataType dtype = d.number();
  const DimShape shape = d.shape(0, 5);
  Arguments arguments;
  for (int64_t n = d.between(1, 4); n > 0; --n) arguments.emplace_back("x", d.argument(dtype, shape));
  d.follow(d.call(op, arguments));
}

constexpr Generator kGenerators[] = {
    {"sum_reduce", sums},
    {"mean_reduce", sums},
    {"max_reduce", winners, true},
    {"min_reduce", winners, true},
    {"argmax_reduce", winners, true},
    {"argmin_reduce", winners, true},
    {"tract_core_argmax_reduce_last", winners, true},
    {"tract_core_argmin_reduce_last", winners, true},
    {"tract_core_product_reduce", product},
    {"all_reduce", logical},
    {"any_reduce", logical},
    {"moments", moments},
    {"add_n", add_n},
};

}  // namespace

std::span<const Generator> reduce_generators() { return kGenerators; }

}  // namespace nnefrun::property
