#include "engine/ops/window_dims.h"

#include <algorithm>

namespace nnefrun {

bool has_known_window(const NodeReader& r) {
  for (const char* name : {"size", "stride", "dilation"}) {
    if (r.signature().attribute_index(name) < 0) continue;
    const auto dims = r.dims(name);
    if (!std::all_of(dims.begin(), dims.end(), [](const Dim& d) { return d.is_constant(); })) return false;
  }
  return true;
}

WindowDims window_dims(const NodeReader& r, const std::vector<Dim>& in, const std::vector<int64_t>& size) {
  WindowDims w;
  w.stride = r.integers("stride");
  w.dilation = r.integers("dilation");
  w.stride.resize(in.size(), 1);
  w.dilation.resize(in.size(), 1);
  const auto pads = r.dim_pairs("padding");
  for (size_t i = 0; i < in.size(); ++i) {
    if (!pads.empty()) {
      w.before.push_back(pads[i].first);
      continue;
    }
    const Dim out = Dim::ceil_div(in[i], w.stride[i]);
    const Dim reach = Dim((size[i] - 1) * w.dilation[i] + 1);
    const Dim total = Dim::max((out - Dim(1)) * Dim(w.stride[i]) + reach - in[i], 0);
    w.before.push_back(Dim::floor_div(total, 2));
  }
  return w;
}

}  // namespace nnefrun
