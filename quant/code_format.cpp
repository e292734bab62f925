#include "quant/code_format.h"

#include <cmath>

#include "base/error.h"
#include "quant/affine.h"

namespace nnefrun {
namespace {

void check_parameter(const CodeParameter& parameter, const Shape& shape) {
  bool fits = parameter.shape.size() <= shape.size();
  for (size_t axis = 0; fits && axis < parameter.shape.size(); ++axis) {
    fits = parameter.shape[axis] == 1 || parameter.shape[axis] == shape[axis];
  }
  if (!fits) {
    throw Error("quant-shape", "quantisation parameters of shape " + to_string(parameter.shape) +
                                   " do not broadcast into a tensor of shape " + to_string(shape));
  }
}

// Steps through a parameter in the order of the tensor's items.
class ParameterWalk {
 public:
  ParameterWalk(const CodeParameter& parameter, const Shape& shape)
      : values_(parameter.values), shape_(shape), index_(shape.size(), 0), stride_(shape.size(), 0) {
    int64_t stride = 1;
    for (size_t axis = parameter.shape.size(); axis-- > 0;) {
      stride_[axis] = parameter.shape[axis] == 1 ? 0 : stride;
      stride *= parameter.shape[axis];
    }
  }
  double value() const { return values_.empty() ? 0 : values_[static_cast<size_t>(at_)]; }
  void advance() {
    for (size_t axis = shape_.size(); axis-- > 0;) {
      at_ += stride_[axis];
      if (++index_[axis] < shape_[axis]) return;
      at_ -= stride_[axis] * shape_[axis];
      index_[axis] = 0;
    }
  }

 private:
  const std::vector<double>& values_;
  const Shape& shape_;
  std::vector<int64_t> index_, stride_;
  int64_t at_ = 0;
};

float decode(const CodeFormat& format, int64_t code, double first, double second) {
  switch (format.kind) {
    case CodeFormat::Kind::zero_point:
      return static_cast<float>(code - static_cast<int64_t>(first)) * static_cast<float>(second);
    case CodeFormat::Kind::min_max:
      return dequantize_min_max(code, static_cast<float>(first), static_cast<float>(second), format.bits,
                                format.is_signed, format.symmetric);
    case CodeFormat::Kind::logarithmic: break;
  }
  const double steps = std::ldexp(1.0, format.bits) - 1;
  return static_cast<float>(std::exp2(static_cast<double>(code) + std::ceil(std::log2(second)) - steps));
}

}  // namespace

std::optional<AffineQuantization> CodeFormat::affine() const {
  if (kind != Kind::zero_point || !first.is_scalar() || !second.is_scalar()) return std::nullopt;
  return AffineQuantization{static_cast<int32_t>(first.values[0]), static_cast<float>(second.values[0])};
}

void check_broadcast(const CodeFormat& format, const Shape& shape) {
  check_parameter(format.first, shape);
  check_parameter(format.second, shape);
}

Tensor decode_codes(const Tensor& codes, const CodeFormat& format) {
  if (!is_integer(codes.dtype())) {
    throw Error("dtype-mismatch",
                "quantised items are integers, but these are " + std::string(name_of(codes.dtype())));
  }
  check_broadcast(format, codes.shape());
  Tensor out = Tensor::uninitialized(DataType::f32, codes.shape());
  float* to = out.mutable_data<float>();
  ParameterWalk first(format.first, codes.shape()), second(format.second, codes.shape());
  for (int64_t i = 0; i < codes.size(); ++i) {
    to[i] = decode(format, codes.as_int(i), first.value(), second.value());
    first.advance();
    second.advance();
  }
  return out;
}

}  // namespace nnefrun
