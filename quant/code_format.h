// What graph.quant says about one tensor: how its stored codes become reals (NNEF 1.0.5 sections 14 and 16).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/tensor.h"

namespace nnefrun {

// A scalar (shape []) or an array that broadcasts into the tensor by the leading rule: [a, b] runs along axis
// 0,
// [[a, b]] along axis 1.
struct CodeParameter {
  Shape shape;
  std::vector<double> values;  // row-major
  bool is_scalar() const { return shape.empty(); }
};

struct CodeFormat {
  enum class Kind : uint8_t {
    zero_point,   // (q - zero_point) * scale: `first` is the zero point, `second` the scale
    min_max,      // (q + p) / r * (max - min) + min: `first` is min, `second` max
    logarithmic,  // 2^(q + ceil(log2(max)) - r): `second` is max
  };
  Kind kind = Kind::zero_point;
  int bits = 8;
  bool is_signed = true;
  bool symmetric = false;
  CodeParameter first, second;

  // zero_point with scalar parameters.
  std::optional<AffineQuantization> affine() const;
};

// Throws Error[quant-shape] unless the parameters broadcast into `shape`.
void check_broadcast(const CodeFormat& format, const Shape& shape);

// Stored integers (any integer type) to f32. Throws Error[quant-shape], Error[dtype-mismatch].
Tensor decode_codes(const Tensor& codes, const CodeFormat& format);

}  // namespace nnefrun
