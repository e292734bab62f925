// Fact: what is known of a wire before anything runs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/data_type.h"
#include "base/tensor.h"
#include "engine/graph/dim.h"

namespace nnefrun {

struct Fact {
  DataType dtype = DataType::f32;
  std::optional<AffineQuantization> quant;  // codes with a scale: dtype is then u8, i8, u16, i16 or i32
  DimShape shape;
  // The value, when it is known at build time; its dtype and shape are those above. Shared, immutable.
  std::shared_ptr<const Tensor> constant;
  // The value of an i64 tensor when it is known as expressions of symbols (row-major). Constants have both.
  std::shared_ptr<const std::vector<Dim>> dims;

  int rank() const { return static_cast<int>(shape.size()); }
  bool is_static() const;                     // no symbol in the shape
  std::optional<Shape> static_shape() const;  // when is_static()
  // "float32 [1, 3, 224, 224]", "i8 (zero point 3, scale 0.1) [4]"
  std::string to_string() const;
  // dtype, quantisation and shape equal; values are not compared.
  bool same_type(const Fact& other) const;
};

Fact fact_of(DataType dtype, DimShape shape);
Fact fact_of_constant(Tensor value);
DimShape to_dims(const Shape& shape);

}  // namespace nnefrun
