// Products of matrices and contractions.
#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

// An operand [batch..., rows, columns], perhaps stored transposed, constant as weights are.
Outlet matrix(Draw& d, DataType dtype, DimShape batch, const Dim& rows, const Dim& columns, bool transposed,
              bool is_weight) {
  batch.push_back(transposed ? columns : rows);
  batch.push_back(transposed ? rows : columns);
  const auto shape = fact_of(dtype, batch).static_shape();
  if (is_weight && shape) return d.constant(d.values(dtype, *shape));
  return d.argument(dtype, batch);
}

DimShape batch_of(Draw& d) {
  DimShape batch;
  for (int64_t n = d.pick({0, 0, 1, 1, 2, 3}); n > 0; --n)
    batch.emplace_back(d.one_in(16) ? 0 : d.between(1, 3));
  if (!batch.empty() && d.symbolic) batch[0] = Dim::symbol("B");
  return batch;
}
DimShape units(Draw& d, DimShape batch) {
  if (d.one_in(2)) return batch;
  for (Dim& extent : batch) {
    if (d.one_in(2)) extent = 1;
  }
  return batch;
}

void matmul(Draw& d, std::string_view op) {
  d.inexact(128, false);
  d.signed_zeros = false;
  const DataType dtype = op == "matmul" && d.one_in(10) ? d.pick({DataType::i8, DataType::u8}) : d.floating();
  const DimShape batch = batch_of(d);
  const Dim m = d.extent(), k = d.extent(), n = d.extent();
  const bool ta = d.one_in(3), tb = d.one_in(2);
  const bool weight = d.one_in(2), left = d.one_in(8);
  const DimShape unit(batch.size(), Dim(1));
  const Outlet a = matrix(d, dtype, left ? unit : units(d, batch), m, k, ta, left);
  const Outlet b = matrix(d, dtype, weight ? unit : units(d, batch), k, n, tb, weight);
  Arguments arguments{{"A", a}, {"B", b}};
  Attributes attributes{{"transposeA", ta}, {"transposeB", tb}};
  if (op == "matmul") {
    const Outlet c = d.call(op, arguments, attributes);
    if (is_float(dtype) && d.one_in(3)) {  // a bias, as a row or for each row
      DimShape shape(d.fact(c).shape.size(), Dim(1));
      shape[shape.size() - static_cast<size_t>(d.pick({1, 1, 2}))] = d.one_in(4) ? n : d.fact(c).shape.back();
      shape.back() = d.one_in(5) ? Dim(1) : shape.back();
      return d.follow(d.call("add", {{"x", c}, {"y", d.argument(dtype, shape)}}));
    }
    return d.follow(c);
  }
  if (d.one_in(2)) {
    arguments.emplace_back("bias", d.argument(dtype, d.one_in(4)   ? DimShape{}
                                                     : d.one_in(2) ? DimShape{n}
                                                                   : DimShape{1, n}));
  }
  if (d.one_in(3))
    arguments.emplace_back(
        "residual",
        d.argument(dtype,
                   d.fact(d.call("matmul", arguments.size() == 2 ? arguments : Arguments{{"A", a}, {"B", b}},
                                 attributes))
                       .shape));
  attributes.emplace_back("activation", d.pick({"", "relu", "clamp", "clip", "leaky_relu", "elu", "sigmoid",
                                                "tanh", "silu", "gelu_erf", "gelu_tanh", "hard_swish"}));
  attributes.emplace_back("alpha", d.real(-1, 0.5));
  attributes.emplace_back("beta", d.real(0.5, 6));
  d.follow(d.call(op, arguments, attributes));
}

void linear(Draw& d, std::string_view op) {
  d.inexact(128, false);
  d.signed_zeros = false;
  const DataType dtype = d.floating();
  const Dim m = d.extent(), k = d.extent(), n = d.size();
  Arguments arguments{{"input", d.argument(dtype, {m, k})},
                      {"filter", matrix(d, dtype, {}, n, k, false, d.one_in(2))}};
  if (!d.one_in(3))
    arguments.emplace_back("bias", d.argument(dtype, d.one_in(4) ? DimShape{} : DimShape{1, n}));
  d.follow(d.call(op, arguments));
}

void einsum(Draw& d, std::string_view op) {
  d.inexact(128, false);
  d.signed_zeros = false;
  struct Form {
    const char* expr;
    std::vector<const char*> operands;
  };
  static const std::vector<Form> kForms = {{"mk,kn->mn", {"mk", "kn"}},
                                           {"bmk,bkn->bmn", {"bmk", "bkn"}},
                                           {"bmk,bnk->bnm", {"bmk", "bnk"}},
                                           {"bhqd,bhkd->bhqk", {"bhqd", "bhkd"}},
                                           {"bhqk,bkhd->bqhd", {"bhqk", "bkhd"}},
                                           {"mk,k->m", {"mk", "k"}},
                                           {"m,n->mn", {"m", "n"}},
                                           {"mn->nm", {"mn"}},
                                           {"bmn->b", {"bmn"}},
                                           {"mm->m", {"mm"}},
                                           {"mk,kn,n->m", {"mk", "kn", "n"}},
                                           {"bmk,kn->bmn", {"bmk", "kn"}},
                                           {"mk,mk->", {"mk", "mk"}},
                                           {"mk,mk->mk", {"mk", "mk"}}};
  const Form& form = d.pick(kForms);
  std::vector<std::pair<char, Dim>> extents;
  const auto extent = [&](char axis) {
    for (const auto& known : extents) {
      if (known.first == axis) return known.second;
    }
    extents.emplace_back(axis, axis == 'h'   ? Dim(d.between(1, 3))
                               : axis == 'b' ? Dim(d.between(1, 3))
                                             : d.extent());
    return extents.back().second;
  };
  const DataType dtype = d.floating();
  Arguments arguments;
  for (const char* axes : form.operands) {
    DimShape shape;
    for (const char* axis = axes; *axis != 0; ++axis) shape.push_back(extent(*axis));
    arguments.emplace_back("inputs", d.argument(dtype, shape));
  }
  d.follow(d.call(op, arguments, {{"expr", form.expr}, {"acc", std::string(name_of(dtype))}}));
}
void matmul_by_axes(Draw& d, std::string_view op) {
  d.inexact(128, false);
  d.signed_zeros = false;
  const DataType dtype = d.floating();
  const Dim m = d.extent(), k = d.extent(), n = d.extent();
  const bool ta = d.one_in(2), tb = d.one_in(2), tc = d.one_in(2);
  const Outlet a = matrix(d, dtype, {}, m, k, ta, false), b = matrix(d, dtype, {}, k, n, tb, d.one_in(2));
  d.follow(d.call(op, {{"A", a}, {"B", b}},
                  {{"axes", Attribute::of_ints(
                                {ta ? 1 : 0, ta ? 0 : 1, tb ? 1 : 0, tb ? 0 : 1, tc ? 1 : 0, tc ? 0 : 1})}}));
}

constexpr Generator kGenerators[] = {
    {"matmul", matmul},
    {"nnefrun_matmul", matmul},
    {"linear", linear},
    {"tract_core_einsum", einsum},
    {"tract_core_matmul", matmul_by_axes},
};

}  // namespace

std::span<const Generator> product_generators() { return kGenerators; }

}  // namespace nnefrun::property
