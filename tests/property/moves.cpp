// What moves items or changes shapes: exact for every element type.
#include "engine/ops/support.h"
#include "tests/property/generators.h"

namespace nnefrun::property {
namespace {

using Pairs = std::vector<std::pair<int64_t, int64_t>>;

Outlet anything(Draw& d, int min_rank, int max_rank) {
  return d.argument(d.any(), d.shape(min_rank, max_rank));
}
Attribute ints(const std::vector<int64_t>& values) { return Attribute::of_ints(values); }

void copy(Draw& d, std::string_view op) { d.follow(d.call(op, {{"x", anything(d, 0, 6)}})); }
void copy_n(Draw& d, std::string_view op) {
  for (const Outlet& y : d.call_all(op, {{"x", anything(d, 0, 4)}}, {{"times", d.between(1, 3)}}))
    d.follow(y);
}

void reshape(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 0, 6);
  const DimShape& shape = d.fact(x).shape;
  std::vector<Dim> wanted;
  switch (d.between(0, 3)) {
    case 0:  // axes joined
      for (size_t i = 0; i < shape.size(); ++i) {
        if (i > 0 && d.one_in(2)) {
          wanted.back() = wanted.back() * shape[i];
        } else {
          wanted.push_back(shape[i]);
        }
      }
      break;
    case 1: wanted = {Dim(-1)}; break;
    case 2:  // units put between
      for (const Dim& extent : shape) {
        if (d.one_in(3) && wanted.size() + shape.size() < kMaxRank) wanted.emplace_back(1);
        wanted.push_back(extent);
      }
      break;
    default:  // 0 keeps the extent
      wanted.assign(shape.size(), Dim(0));
      if (!wanted.empty()) wanted.back() = -1;
  }
  const auto attribute = Attribute::of_dims(wanted);
  if (shape.size() > 1 && d.one_in(3)) {
    return d.follow(d.call(op, {{"input", x}},
                           {{"shape", ints({-1})}, {"axis_start", 1}, {"axis_count", d.between(1, 2)}}));
  }
  d.follow(d.call(op, {{"input", x}}, {{"shape", attribute}}));
}

void squeeze(Draw& d, std::string_view op) {
  DimShape shape = d.shape(0, 4);
  std::vector<int64_t> axes;
  for (int64_t n = d.between(0, 2); n > 0; --n) {
    const int64_t at = d.between(0, static_cast<int64_t>(shape.size()));
    shape.insert(shape.begin() + at, Dim(1));
    for (int64_t& axis : axes) axis += axis >= at ? 1 : 0;
    axes.push_back(at);
  }
  d.follow(d.call(op, {{"input", d.argument(d.any(), shape)}}, {{"axes", ints(axes)}}));
}
void unsqueeze(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 0, 5);
  const int64_t rank = d.fact(x).rank();
  std::vector<int64_t> axes{d.between(0, rank)};
  if (d.one_in(3)) axes.push_back(axes[0] == 0 ? 1 : 0);
  d.follow(d.call(op, {{"input", x}}, {{"axes", ints(axes)}}));
}
void transpose(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 0, 6);
  const auto axes = d.permutation(static_cast<int>(d.between(0, d.fact(x).rank())));
  d.follow(d.call(op, {{"input", x}}, {{"axes", ints(axes)}}));
}

void concat(Draw& d, std::string_view op) {
  const DataType dtype = d.any();
  const DimShape shape = d.shape(1, 5);
  const int64_t axis = d.between(0, static_cast<int64_t>(shape.size()) - 1);
  Arguments arguments;
  for (int64_t n = d.between(1, 4); n > 0; --n) {
    DimShape part = shape;
    if (d.one_in(2)) part[static_cast<size_t>(axis)] = d.extent();
    arguments.emplace_back("values", d.argument(dtype, part));
    if (d.one_in(6)) arguments.emplace_back("values", arguments.back().second);
  }
  d.follow(d.call(op, arguments, {{"axis", axis}}));
}
void stack(Draw& d, std::string_view op) {
  const DataType dtype = d.any();
  const DimShape shape = d.shape(0, 5);
  Arguments arguments;
  for (int64_t n = d.between(1, 4); n > 0; --n) arguments.emplace_back("values", d.argument(dtype, shape));
  d.follow(d.call(op, arguments, {{"axis", d.between(0, static_cast<int64_t>(shape.size()))}}));
}
void split(Draw& d, std::string_view op) {
  DimShape shape = d.shape(1, 4);
  const auto axis = static_cast<size_t>(d.between(0, static_cast<int64_t>(shape.size()) - 1));
  std::vector<int64_t> ratios;
  int64_t sum = 0;
  for (int64_t n = d.between(1, 4); n > 0; --n) {
    ratios.push_back(d.between(1, 3));
    sum += ratios.back();
  }
  shape[axis] = sum * d.between(0, 3);
  const auto parts = d.call_all(op, {{"value", d.argument(d.any(), shape)}},
                                {{"axis", static_cast<int64_t>(axis)}, {"ratios", ints(ratios)}});
  for (const Outlet& part : parts) {
    if (!d.one_in(5)) d.follow(part);
  }
  if (d.graph.outputs.empty()) d.result(parts[0]);
}
void unstack(Draw& d, std::string_view op) {
  DimShape shape = d.shape(1, 4);
  const int64_t axis = d.between(0, static_cast<int64_t>(shape.size()) - 1);
  shape[static_cast<size_t>(axis)] = d.between(1, 4);
  for (const Outlet& part : d.call_all(op, {{"value", d.argument(d.any(), shape)}}, {{"axis", axis}}))
    d.follow(part);
}

void slice(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 0, 5);
  const DimShape& shape = d.fact(x).shape;
  std::vector<int64_t> axes = d.subset(static_cast<int>(shape.size()), true), stride;
  std::vector<Dim> begin, length;
  for (const int64_t axis : axes) {
    const Dim& extent = shape[static_cast<size_t>(axis)];
    const int64_t step = d.pick({1, 1, 1, 2, 3, -1, -1, -2});
    if (!extent.is_constant()) {
      const bool backward = d.one_in(3);
      stride.push_back(backward ? -1 : 1);
      switch (backward ? 0 : d.between(0, 2)) {
        case 0:  // all
          begin.push_back(backward ? extent - 1 : Dim(0));
          length.push_back(extent);
          break;
        case 1:  // the last one: there may be none
          begin.push_back(extent - 1);
          length.emplace_back(1);
          break;
        default: begin.emplace_back(1); length.push_back(extent - 1);
      }
      continue;
    }
    const int64_t n = extent.value(), first = n == 0 ? 0 : d.between(0, n - 1);
    const int64_t room = n == 0 ? 0 : step > 0 ? (n - 1 - first) / step + 1 : first / -step + 1;
    begin.emplace_back(first);
    length.emplace_back(d.one_in(6) ? 0 : d.between(0, room));
    stride.push_back(step);
  }
  d.follow(d.call(op, {{"input", x}},
                  {{"axes", ints(axes)},
                   {"begin", Attribute::of_dims(begin)},
                   {"length", Attribute::of_dims(length)},
                   {"stride", ints(stride)}}));
}

void dyn_slice(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 1, 4);
  const int64_t axis = d.axis_of(x);
  const Dim extent = d.fact(x).shape[static_cast<size_t>(axis)];
  const DataType dtype = d.pick({DataType::i64, DataType::i64, DataType::i32});
  const Outlet start = d.indices(dtype, {}, 0, 0), end = d.indices(dtype, {}, extent, extent);
  d.follow(d.call(op, {{"input", x}, {"start", start}, {"end", end}},
                  {{"axis", axis}, {"len", Attribute(extent)}}));
}
void downsample(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 1, 5);
  const int64_t axis = d.axis_of(x);
  const int64_t stride = d.pick({1, 2, 3, 5, -1, -2});
  d.follow(d.call(op, {{"input", x}},
                  {{"axis", axis}, {"stride", stride}, {"modulo", d.one_in(2) ? 0 : d.between(0, 3)}}));
}

void pad(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 0, 5);
  const DimShape& shape = d.fact(x).shape;
  const char* border = d.pick({"constant", "constant", "constant", "replicate", "reflect", "reflect-even"});
  Pairs padding;
  for (const Dim& extent : shape) {
    const bool constant = std::string_view(border) == "constant";
    const int64_t room = extent.is_constant() ? extent.value() : 3;
    const auto one = [&] {
      if (d.one_in(3)) return int64_t{0};
      if (constant && d.one_in(8)) return -d.between(0, room / 2);  // cropped
      return d.between(0, constant ? 4 : std::min<int64_t>(3, std::max<int64_t>(room - 1, 0)));
    };
    const int64_t before = one();
    padding.emplace_back(before, one());
  }
  d.follow(d.call(op, {{"input", x}},
                  {{"padding", Attribute::of_pairs(padding)},
                   {"border", border},
                   {"value", d.one_in(2) ? 0.0 : d.pick({1.0, -0.0, 2.0, 3.0})}}));
}

void tile(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 0, 5);
  std::vector<Dim> repeats;
  for (int i = 0; i < d.fact(x).rank(); ++i)
    repeats.push_back(d.symbolic && d.one_in(4) ? Dim::symbol("B") : Dim(d.one_in(2) ? 1 : d.between(0, 3)));
  d.follow(d.call(op, {{"input", x}}, {{"repeats", Attribute::of_dims(repeats)}}));
}
void dyn_tile(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 0, 4);
  d.follow(d.call(op, {{"input", x}, {"repeats", d.indices(DataType::i64, {d.fact(x).rank()}, 1, 3)}}));
}
void broadcast(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 0, 4);
  DimShape shape = d.fact(x).shape;
  for (Dim& extent : shape) {
    if (extent.is(1) && d.one_in(2))
      extent = d.symbolic && d.one_in(2) ? Dim::symbol("B") : Dim(d.between(0, 5));
  }
  for (int64_t n = d.between(0, 2); n > 0; --n) shape.insert(shape.begin(), Dim(d.between(1, 3)));
  d.follow(d.call(op, {{"input", x}}, {{"shape", Attribute::of_dims(shape)}}));
}
void trilu(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 2, 4);
  d.follow(d.call(op, {{"input", x}, {"k", d.indices(DataType::i64, {}, -3, 3)}}, {{"upper", d.one_in(2)}}));
}
void range(Draw& d, std::string_view op) {
  const DataType dtype = d.pick({DataType::i64, DataType::i64, DataType::i32, DataType::f32});
  const int64_t step = d.pick({1, 1, 2, 3, -1, -2});
  const auto number = [&](int64_t low, int64_t high) {
    const Tensor value = d.reals(dtype, {}, static_cast<double>(low), static_cast<double>(high));
    if (d.one_in(2)) return d.constant(value);
    return d.input(fact_of(dtype, {}), [value](const Shape&, const SymbolValues&) { return value; });
  };
  const Outlet start = number(-5, 5), end = step > 0 ? number(0, 20) : number(-20, 0),
               by = number(step, step);
  d.follow(d.call(op, {{"start", start}, {"end", end}, {"step", by}}));
}

void dims(Draw& d, std::string_view op) {
  const Outlet x = d.argument(DataType::f32, d.shape(1, 4));
  d.result(x);
  const DimShape& shape = d.fact(x).shape;
  std::vector<Dim> values(shape.begin(), shape.end());
  values.push_back(volume_of(shape) + Dim(3));
  if (d.one_in(2)) {
    return d.follow(d.call(op, {}, {{"value", Attribute::of_dims({values.back()})}, {"shape", ints({})}}));
  }
  d.follow(d.call(
      op, {},
      {{"value", Attribute::of_dims(values)}, {"shape", ints({static_cast<int64_t>(values.size())})}}));
}
void shape_of(Draw& d, std::string_view op) {
  const Outlet x = anything(d, 0, 5);
  d.follow(d.call(op, {{"input", x}}));
}

void cast(Draw& d, std::string_view op) {
  const DataType from = d.any(), to = d.any();
  // Neither way says what becomes of NaN and of numbers out of range: they are cast alike.
  d.follow(d.call(op, {{"input", d.argument(from, d.shape(0, 5))}}, {{"to", std::string(name_of(to))}}));
}

constexpr Generator kGenerators[] = {
    {"copy", copy, true},
    {"copy_n", copy_n, true},
    {"reshape", reshape, true},
    {"squeeze", squeeze, true},
    {"unsqueeze", unsqueeze, true},
    {"transpose", transpose, true},
    {"concat", concat, true},
    {"stack", stack, true},
    {"split", split, true},
    {"unstack", unstack, true},
    {"nnefrun_slice", slice, true},
    {"tract_core_dyn_slice", dyn_slice, true},
    {"tract_core_downsample", downsample, true},
    {"pad", pad, true},
    {"tile", tile, true},
    {"nnefrun_dyn_tile", dyn_tile, true},
    {"tract_core_broadcast", broadcast, true},
    {"tract_core_trilu", trilu, true},
    {"tract_core_range", range},
    {"nnefrun_dims", dims},
    {"tract_core_shape_of", shape_of},
    {"tract_core_cast", cast, true},
};

}  // namespace

std::span<const Generator> move_generators() { return kGenerators; }

}  // namespace nnefrun::property
