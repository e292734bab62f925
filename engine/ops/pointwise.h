// Loops over the items of one tensor or of broadcast pairs, for the rows that compute item by item.
#pragma once

#include "engine/ops/items.h"
#include "engine/ops/support.h"

namespace nnefrun {

// Each item through f, which takes and gives float (for f16, bf16 and f32; rounded back once) or double (for
// f64).
template <class F>
Tensor map_floats(const Tensor& x, F&& f) {
  Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
  dispatch_float(x.dtype(), [&](auto tag) {
    using T = decltype(tag);
    const T* from = x.data<T>();
    T* to = out.mutable_data<T>();
    for (int64_t i = 0; i < x.size(); ++i) to[i] = narrow<T>(f(widen(from[i])));
  });
  return out;
}

// A float fact in, the same out: the inference of most activations.
inline std::vector<Fact> infer_float_map(InferContext& c) {
  const Fact& x = *c.inputs.at(0);
  require_float(c, x, c.signature().parameters[c.signature().tensors[0]].name);
  return {fact_of(x.dtype, x.shape)};
}

}  // namespace nnefrun
