#include "engine/ops/window.h"

#include <algorithm>
#include <limits>

namespace nnefrun {
namespace {

// Larger windows mean nothing, and products of two such numbers fit 64 bits.
constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();

std::string axis_text(size_t axis) { return " on window axis " + std::to_string(axis); }

void check_range(const NodeReader& c, std::string_view attribute, const Dim& value, int64_t minimum) {
  if (!value.is_constant()) return;
  if (value.value() < minimum || value.value() > kLargest) {
    throw c.fail("attribute-range", c.signature().name + ": " + std::string(attribute) + " holds " +
                                        value.to_string() + ", which is not between " +
                                        std::to_string(minimum) + " and " + std::to_string(kLargest));
  }
}

void check_length(const NodeReader& c, std::string_view attribute, size_t got, size_t expected) {
  if (got == 0 || got == expected) return;
  throw c.fail("attribute-length", c.signature().name + ": " + std::string(attribute) + " has " +
                                       std::to_string(got) + " entries, but the window has " +
                                       std::to_string(expected) + " axes");
}

std::vector<Dim> ones_if_empty(std::vector<Dim> values, size_t count) {
  return values.empty() ? std::vector<Dim>(count, Dim(1)) : std::move(values);
}

struct BorderName {
  Border border;
  std::string_view name;
};
constexpr BorderName kBorders[] = {{Border::constant, "constant"},
                                   {Border::replicate, "replicate"},
                                   {Border::reflect, "reflect"},
                                   {Border::reflect_even, "reflect-even"},
                                   {Border::ignore, "ignore"}};

Border read_border(const NodeReader& c, std::initializer_list<Border> allowed) {
  if (c.signature().attribute_index("border") < 0) return Border::constant;
  const std::string& text = c.string("border");
  std::string list;
  for (const auto& [border, name] : kBorders) {
    if (std::find(allowed.begin(), allowed.end(), border) == allowed.end()) continue;
    if (name == text) return border;
    list += (list.empty() ? "" : ", ") + std::string(name);
  }
  throw c.fail("attribute-value", c.signature().name + ": border '" + text + "' is not one of " + list);
}

Dim field_of(const WindowSpec& w, size_t axis) { return (w.size[axis] - 1) * w.dilation[axis] + 1; }

Dim divided_up(const Dim& a, const Dim& b) {
  return b.is_constant() ? Dim::ceil_div(a, b.value()) : Dim::floor_div(a + b - 1, b);
}

// The total automatic padding of an axis (nnef-1.0 section 11).
Dim automatic_total(const WindowSpec& w, size_t axis, const Dim& up, const Dim& down) {
  return Dim::max((down - 1) * w.stride[axis] + field_of(w, axis) - up, Dim(0));
}

// How far a window may hang over an axis of `extent` cells; nullopt where it does not matter.
void check_reflection(const NodeReader& c, const WindowSpec& w, size_t axis, const Dim& up, const Dim& down,
                      const Dim& before) {
  if (w.border != Border::reflect && w.border != Border::reflect_even) return;
  const Dim reach = up - (w.border == Border::reflect ? 1 : 0);
  const Dim after = (down - 1) * w.stride[axis] + field_of(w, axis) - before - up;
  for (const Dim& overhang : {before, after}) {
    const Dim missing = overhang - reach;
    if (missing.is_constant() && missing.value() > 0 && !(overhang.is_constant() && overhang.value() <= 0)) {
      throw c.fail("border-domain", c.signature().name + ": the window hangs over by " +
                                        overhang.to_string() + " cells" + axis_text(axis) + ", but " +
                                        up.to_string() + " cells can be reflected only " + reach.to_string() +
                                        " far");
    }
  }
}

}  // namespace

WindowSpec read_window(const NodeReader& c, std::vector<Dim> size, const SymbolValues* symbols,
                       std::initializer_list<Border> allowed) {
  WindowSpec w;
  const size_t axes = size.size();
  w.size = std::move(size);
  w.border = read_border(c, allowed);
  w.stride = c.dims("stride");
  w.dilation = c.dims("dilation");
  w.padding = c.dim_pairs("padding");
  check_length(c, "stride", w.stride.size(), axes);
  check_length(c, "dilation", w.dilation.size(), axes);
  check_length(c, "padding", w.padding.size(), axes);
  w.automatic = w.padding.empty();
  w.stride = ones_if_empty(std::move(w.stride), axes);
  w.dilation = ones_if_empty(std::move(w.dilation), axes);
  if (symbols != nullptr) {
    for (auto* list : {&w.size, &w.stride, &w.dilation}) {
      for (Dim& d : *list) d = d.substitute(*symbols);
    }
    for (auto& [before, after] : w.padding) {
      before = before.substitute(*symbols);
      after = after.substitute(*symbols);
    }
  }
  for (size_t i = 0; i < axes; ++i) {
    check_range(c, "size", w.size[i], 1);
    check_range(c, "stride", w.stride[i], 1);
    check_range(c, "dilation", w.dilation[i], 1);
  }
  int64_t volume = 1;
  for (const Dim& extent : w.size) {
    if (!extent.is_constant()) continue;
    volume *= extent.value();  // both factors are below 2^31
    if (volume > kLargest) {
      throw c.fail("attribute-range",
                   c.signature().name + ": the window has more than " + std::to_string(kLargest) + " cells");
    }
  }
  for (const auto& [before, after] : w.padding) {
    check_range(c, "padding", before, -kLargest);
    check_range(c, "padding", after, -kLargest);
  }
  return w;
}

DimShape down_extents(const NodeReader& c, const WindowSpec& w, const DimShape& upscaled) {
  DimShape out;
  for (size_t i = 0; i < w.axes(); ++i) {
    const Dim& up = upscaled[i];
    Dim before;
    if (w.automatic) {
      out.push_back(divided_up(up, w.stride[i]));
      before = Dim::floor_div(automatic_total(w, i, up, out.back()), 2);
    } else {
      before = w.padding[i].first;
      const Dim room = before + up + w.padding[i].second - field_of(w, i);
      // An empty axis under a window of one cell stays empty.
      const bool empty = up.is(0) && w.size[i].is(1);
      if (room.is_constant() && room.value() < 0 && !empty) {
        throw c.fail("shape-mismatch", c.signature().name + ": the window covers " +
                                           field_of(w, i).to_string() + " cells" + axis_text(i) +
                                           ", but the padded input has only " +
                                           (before + up + w.padding[i].second).to_string());
      }
      out.push_back(empty ? Dim(0) : Dim::floor_div(room, w.stride[i]) + 1);
    }
    check_reflection(c, w, i, up, out.back(), before);
  }
  return out;
}

DimShape up_extents(const NodeReader& c, const WindowSpec& w, const DimShape& downscaled,
                    const DimShape& wanted) {
  DimShape out;
  for (size_t i = 0; i < w.axes(); ++i) {
    const Dim& down = downscaled[i];
    if (!wanted.empty()) {
      const Dim& up = wanted[i];
      const Dim back =
          w.automatic
              ? divided_up(up, w.stride[i])
              : Dim::floor_div(w.padding[i].first + up + w.padding[i].second - field_of(w, i), w.stride[i]) +
                    1;
      const Dim difference = back - down;
      if (difference.is_constant() && difference.value() != 0) {
        throw c.fail("shape-mismatch", c.signature().name + ": output_shape asks for " + up.to_string() +
                                           " cells" + axis_text(i) + ", which correspond to an input of " +
                                           back.to_string() + ", but the input has " + down.to_string());
      }
      out.push_back(up);
    } else if (w.automatic) {
      out.push_back(down * w.stride[i]);
    } else {
      out.push_back((down - 1) * w.stride[i] + field_of(w, i) - w.padding[i].first - w.padding[i].second);
    }
    if (out.back().is_constant() && out.back().value() < 0) {
      throw c.fail("shape-mismatch", c.signature().name + ": the result would have " +
                                         out.back().to_string() + " cells" + axis_text(i));
    }
  }
  return out;
}

std::vector<int64_t> known_integers(const NodeReader& c, std::string_view attribute,
                                    const std::vector<Dim>& dims) {
  std::vector<int64_t> out;
  for (const Dim& d : dims) {
    if (!d.is_constant()) {
      throw c.fail("symbol-unknown", c.signature().name + ": " + std::string(attribute) + " is " +
                                         d.to_string() + ", which has no value yet");
    }
    out.push_back(d.value());
  }
  return out;
}

std::vector<WindowAxis> window_axes(const NodeReader& c, const WindowSpec& w, const Shape& upscaled,
                                    const Shape& downscaled) {
  const auto size = known_integers(c, "size", w.size);
  const auto stride = known_integers(c, "stride", w.stride);
  const auto dilation = known_integers(c, "dilation", w.dilation);
  std::vector<WindowAxis> out;
  for (size_t i = 0; i < w.axes(); ++i) {
    const Dim before = w.automatic ? Dim::floor_div(automatic_total(w, i, upscaled[i], downscaled[i]), 2)
                                   : w.padding[i].first;
    out.push_back({size[i], stride[i], dilation[i], known_integers(c, "padding", {before})[0]});
  }
  return out;
}

int64_t border_index(const NodeReader& c, Border border, int64_t i, int64_t extent) {
  if (i >= 0 && i < extent) return i;
  int64_t index = kOutside;
  switch (border) {
    case Border::constant:
    case Border::ignore: return kOutside;
    case Border::replicate: index = i < 0 ? 0 : extent - 1; break;
    case Border::reflect: index = i < 0 ? -i : 2 * (extent - 1) - i; break;
    case Border::reflect_even: index = i < 0 ? -i - 1 : 2 * extent - 1 - i; break;
  }
  if (index < 0 || index >= extent) {
    throw c.fail("border-domain", c.signature().name + ": the border cannot supply cell " +
                                      std::to_string(i) + " of an axis of " + std::to_string(extent) +
                                      " cells");
  }
  return index;
}

}  // namespace nnefrun
