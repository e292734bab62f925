// A small graph with a cache, for tests of Session::feedback.
#pragma once

#include "tests/engine/ops/run_plan.h"

namespace nnefrun {

inline const Dim kPast = Dim::symbol("P"), kNew = Dim::symbol("S");

// Attention over a cache: out = concat([past, new]), y = attention(new, out, out).
inline Graph cached_attention(bool with_other_reader = false, DataType type = DataType::f32) {
  Graph graph;
  const Outlet added = graph.add_external(fact_of(type, {1, 2, kNew, 4}), "new");
  const Outlet past = graph.add_external(fact_of(type, {1, 2, kPast, 4}), "past");
  const Outlet out = graph.add(find_op("concat"), {past, added}, {2}, {Attribute(int64_t{2})});
  const Outlet y = graph.add(find_op("tract_transformers_sdpa"), {added, out, out}, {1, 1, 1, 0}, {});
  graph.outputs = {{y, "y"}, {out, "out"}};
  if (with_other_reader) graph.outputs.push_back({graph.add("neg", {out}), "z"});
  return graph;
}

inline Tensor token(int step, int64_t count = 1) { return noise({1, 2, count, 4}, step + 1); }

}  // namespace nnefrun
