// Complex items in evals: computed as pairs of doubles and rounded once.
#pragma once

#include <complex>
#include <vector>

#include "engine/ops/support.h"

namespace nnefrun {

using Complex = std::complex<double>;

// The type of the real and imaginary parts. REQUIRES: a complex type.
constexpr DataType part_of(DataType complex_type) {
  return complex_type == DataType::complex32   ? DataType::f16
         : complex_type == DataType::complex64 ? DataType::f32
                                               : DataType::f64;
}

// All items, also of a real tensor.
inline std::vector<Complex> as_complex(const Tensor& value) {
  const Tensor wide = cast_items(value, DataType::complex128);
  const auto* items = wide.data<Complex>();
  return {items, items + wide.size()};
}

// Rounded to the parts of the complex type `to`. REQUIRES: items.size() = volume of shape.
inline Tensor of_complex(Shape shape, const std::vector<Complex>& items, DataType to) {
  Tensor out = Tensor::uninitialized(DataType::complex128, std::move(shape));
  auto* at = out.mutable_data<Complex>();
  for (size_t i = 0; i < items.size(); ++i) at[i] = items[i];
  return cast_items(out, to);
}

}  // namespace nnefrun
