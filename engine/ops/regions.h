// Regions: the groups of items that a reduction, a softmax or a normalisation treats together. The axes of a
// shape are parted into listed ones, which run inside a region, and the others, which count the regions.
#pragma once

#include <vector>

#include "engine/ops/support.h"

namespace nnefrun {

class Regions {
 public:
  // REQUIRES: axes in range and unique. Their order does not matter: items inside a region count row-major.
  Regions(const Shape& shape, const std::vector<int64_t>& axes) {
    std::vector<bool> listed(shape.size(), false);
    for (const int64_t axis : axes) listed[static_cast<size_t>(axis)] = true;
    const auto strides = strides_of(shape);
    Shape inner;
    std::vector<int64_t> inner_strides;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      (listed[axis] ? inner : outer_).push_back(shape[axis]);
      (listed[axis] ? inner_strides : outer_strides_).push_back(strides[axis]);
      reduced_shape_.push_back(listed[axis] ? 1 : shape[axis]);
    }
    for (Odometer<1> o(inner, {inner_strides}); o.more(); o.next()) offsets_.push_back(o.offset(0));
  }
  // The shape with the listed extents made 1: one item for each region.
  const Shape& reduced_shape() const { return reduced_shape_; }
  // Offsets of a region's items from its first, row-major; empty when a listed extent is 0.
  const std::vector<int64_t>& offsets() const { return offsets_; }
  // f(number of the region, offset of its first item), in row-major order.
  template <class F>
  void each(F&& f) const {
    int64_t region = 0;
    for (Odometer<1> o(outer_, {outer_strides_}); o.more(); o.next()) f(region++, o.offset(0));
  }

 private:
  Shape outer_, reduced_shape_;
  std::vector<int64_t> outer_strides_, offsets_;
};

// The fact's shape with the listed extents made 1.
inline DimShape reduced_dims(const DimShape& shape, const std::vector<int64_t>& axes) {
  DimShape out = shape;
  for (const int64_t axis : axes) out[static_cast<size_t>(axis)] = 1;
  return out;
}

}  // namespace nnefrun
