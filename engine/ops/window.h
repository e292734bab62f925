// The sliding-window core that conv, deconv, box, debox and all pools share (NNEF 1.0.5, nnef-1.0 section
// 11).
//
// For each axis: X is the up-scaled extent, x the down-scaled one; "down" operations map X to x, "up" ones x
// to X. Sizes, strides, dilations and paddings always live in the up-scaled space.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <utility>
#include <vector>

#include "engine/graph/op_def.h"

namespace nnefrun {

enum class Border : uint8_t { constant, replicate, reflect, reflect_even, ignore };

// The window attributes of a node, checked: lengths are equal to the number of axes, sizes, strides and
// dilations are at least 1 where that is known, and nothing is so large that 64-bit products of two of them
// wrap.
struct WindowSpec {
  std::vector<Dim> size, stride, dilation;
  std::vector<std::pair<Dim, Dim>> padding;  // empty when automatic
  bool automatic = true;
  Border border = Border::constant;

  size_t axes() const { return size.size(); }
};

// Reads `border` (constant where there is no such attribute), `padding`, `stride` and `dilation` of the node;
// `size` is handed in, since convolutions take it from the filter. Attribute lists must be empty or have one
// entry for each of size's. `symbols` (may be null) are substituted. Throws Error[attribute-length],
// [attribute-range], [attribute-value] for an unknown border.
WindowSpec read_window(const NodeReader& c, std::vector<Dim> size, const SymbolValues* symbols,
                       std::initializer_list<Border> allowed);

// The extents x of a "down" operation over extents X. Throws Error[shape-mismatch] when a window is known to
// be larger than the padded input, Error[border-domain] when a reflection is known to reach beyond the input.
DimShape down_extents(const NodeReader& c, const WindowSpec& window, const DimShape& upscaled);
// The extents X of an "up" operation over extents x; `wanted` (empty when not given) is what output_shape
// says of the same axes and must lead back to x.
DimShape up_extents(const NodeReader& c, const WindowSpec& window, const DimShape& downscaled,
                    const DimShape& wanted);

// One axis, all numbers: what evaluation walks over.
struct WindowAxis {
  int64_t size = 1, stride = 1, dilation = 1;
  int64_t before = 0;  // padding in front; may be negative
  // Where tap `tap` of cell `cell` lies in the up-scaled axis; may be outside.
  int64_t position(int64_t cell, int64_t tap) const { return cell * stride + tap * dilation - before; }
};
// Numbers for known extents. REQUIRES: `window` was read with all symbols known; upscaled and downscaled
// correspond.
std::vector<WindowAxis> window_axes(const NodeReader& c, const WindowSpec& window, const Shape& upscaled,
                                    const Shape& downscaled);

inline constexpr int64_t kOutside = -1;
// The index that position `i` of an axis of `extent` cells reads; kOutside where nothing is read (constant
// and ignore). Throws Error[border-domain] when a reflection bounces more than once.
int64_t border_index(const NodeReader& c, Border border, int64_t i, int64_t extent);

// The taps of one cell of a window that lie inside the input, with what they read:
//   for_each_tap(c, border, axes, extents, strides, cell, f) calls f(tap, offset) in row-major order of the
//   taps;
// `tap` is the position inside the window (0 .. volume-1), `offset` the element read (sum of index * stride),
// or kOutside where a constant border stands in. With Border::ignore the outside taps are left out.
template <class F>
void for_each_tap(const NodeReader& c, Border border, const std::vector<WindowAxis>& axes,
                  const Shape& extents, const std::vector<int64_t>& strides, const std::vector<int64_t>& cell,
                  F&& f) {
  const size_t rank = axes.size();
  const auto walk = [&](auto&& self, size_t axis, int64_t linear, int64_t offset) -> void {
    if (axis == rank) {
      f(linear, offset);
      return;
    }
    const WindowAxis& w = axes[axis];
    int64_t first = 0, last = w.size;
    if (border == Border::ignore) {  // only the taps inside, however wide the window is
      const int64_t start = w.position(cell[axis], 0);
      first = start >= 0 ? 0 : (w.dilation - 1 - start) / w.dilation;
      last = start >= extents[axis] ? 0 : std::min(last, (extents[axis] - 1 - start) / w.dilation + 1);
    }
    for (int64_t j = first; j < last; ++j) {
      const int64_t index = border_index(c, border, w.position(cell[axis], j), extents[axis]);
      const int64_t next =
          index == kOutside || offset == kOutside ? kOutside : offset + index * strides[axis];
      self(self, axis + 1, linear * w.size + j, next);
    }
  };
  walk(walk, 0, 0, 0);
}

// The numbers a list of Dims has under the symbols; throws Error[symbol-unknown] naming the attribute.
std::vector<int64_t> known_integers(const NodeReader& c, std::string_view attribute,
                                    const std::vector<Dim>& dims);

}  // namespace nnefrun
