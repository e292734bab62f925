#include "engine/graph/fact.h"

#include <algorithm>

namespace nnefrun {

bool Fact::is_static() const {
  return std::all_of(shape.begin(), shape.end(), [](const Dim& d) { return d.is_constant(); });
}

std::optional<Shape> Fact::static_shape() const {
  Shape out;
  out.reserve(shape.size());
  for (const auto& d : shape) {
    if (!d.is_constant()) return std::nullopt;
    out.push_back(d.value());
  }
  return out;
}

std::string Fact::to_string() const {
  std::string out(name_of(dtype));
  if (quant) {
    out +=
        " (zero point " + std::to_string(quant->zero_point) + ", scale " + std::to_string(quant->scale) + ")";
  }
  return out + " " + nnefrun::to_string(shape);
}

bool Fact::same_type(const Fact& other) const {
  return dtype == other.dtype && quant == other.quant && shape == other.shape;
}

Fact fact_of(DataType dtype, DimShape shape) {
  Fact fact;
  fact.dtype = dtype;
  fact.shape = std::move(shape);
  return fact;
}

DimShape to_dims(const Shape& shape) { return {shape.begin(), shape.end()}; }

Fact fact_of_constant(Tensor value) {
  Fact fact = fact_of(value.dtype(), to_dims(value.shape()));
  if (value.dtype() == DataType::i64 && value.size() <= 64) {
    std::vector<Dim> dims;
    for (int64_t i = 0; i < value.size(); ++i) dims.emplace_back(value.data<int64_t>()[i]);
    fact.dims = std::make_shared<const std::vector<Dim>>(std::move(dims));
  }
  fact.constant = std::make_shared<const Tensor>(std::move(value));
  return fact;
}

}  // namespace nnefrun
