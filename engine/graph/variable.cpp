#include "engine/graph/variable.h"

#include <cstring>

#include "engine/graph/op_def.h"

namespace nnefrun {

Node variable_node(Tensor initial, DimShape shape, std::string label) {
  static const OpDef* const variable = find_op("variable");
  Node node;
  node.op = variable;
  node.attributes = {Attribute::of_dims(shape), Attribute(label)};
  node.facts = {fact_of(initial.dtype(), std::move(shape))};
  node.result_names = {std::move(label)};
  node.initial = std::make_shared<const Tensor>(std::move(initial));
  return node;
}

Tensor expanded_initial(const Tensor& initial, const Shape& shape) {
  if (initial.shape() == shape) return initial;
  Tensor out = Tensor::uninitialized(initial.dtype(), shape);
  const size_t item = item_size(initial.dtype());
  std::byte* to = out.mutable_bytes();
  for (int64_t i = 0; i < out.size(); ++i) {
    int64_t rest = i, from = 0, stride = 1;
    for (size_t axis = shape.size(); axis-- > 0;) {
      const int64_t extent = initial.dim(static_cast<int>(axis));
      if (extent != 1) from += rest % shape[axis] * stride;
      stride *= extent;
      rest /= shape[axis];
    }
    std::memcpy(to + static_cast<size_t>(i) * item, initial.bytes() + static_cast<size_t>(from) * item, item);
  }
  return out;
}

}  // namespace nnefrun
