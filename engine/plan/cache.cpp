// Caches: results that are an input with more behind it along one axis, as the keys and values of attention.
// They are written into a buffer of the session that may have room to spare along that axis, so that a result
// which is the next run's input stays where it is (Session::feedback).

#include <algorithm>

#include "engine/plan/builder.h"
#include "engine/runtime/step_parameters.h"

namespace nnefrun {
namespace {

bool reads(const Node& node, Outlet outlet) {
  return std::find(node.inputs.begin(), node.inputs.end(), outlet) != node.inputs.end();
}

Dim volume_between(const DimShape& shape, size_t begin, size_t end) {
  Dim volume = 1;
  for (size_t i = begin; i < end; ++i) volume = volume * shape[i];
  return volume;
}

}  // namespace

std::vector<Dim> CacheLayout::strides(const DimShape& shape) const {
  std::vector<Dim> strides(shape.size(), Dim(1));
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * (i == axis ? pitch : shape[i]);
  return strides;
}

// concat([x, new], axis): x an input that nothing else reads, the concat a result of the graph.
void PlanBuilder::find_caches() {
  if (!options_.caches) return;
  for (uint32_t o = 0; o < graph_.outputs.size(); ++o) {
    const Outlet result = graph_.outputs[o].outlet;
    const Node& node = graph_.node(result);
    if (node.op->name != "concat" || node.inputs.size() != 2 || node.facts[0].constant) continue;
    const Outlet from = node.inputs[0];
    const auto input = std::find(graph_.inputs.begin(), graph_.inputs.end(), from);
    const Fact& fact = node.facts[0];
    if (input == graph_.inputs.end() || node.inputs[1] == from || options_.layouts.has(result.node) ||
        item_size(fact.dtype) == 0)
      continue;
    const size_t axis = static_cast<size_t>(NodeReader(node, signature_of(node.op), nullptr).integer("axis"));
    bool usable = true;
    for (size_t i = 0; i < fact.shape.size(); ++i) {  // what only the run can compare, the evaluation does
      for (const Outlet& part : node.inputs)
        usable = usable && (i == axis || graph_.fact(part).shape[i] == fact.shape[i]);
    }
    for (uint32_t other = 0; other < graph_.outputs.size(); ++other) {
      const Outlet outlet = graph_.outputs[other].outlet;
      usable = usable && outlet != from && (other == o || outlet != result);
    }
    for (const auto& update : graph_.updates)
      usable = usable && update.second != from && update.second != result;
    for (uint32_t n = 0; usable && n < graph_.nodes().size(); ++n)
      usable = n == result.node || !reads(graph_.node(n), from);
    if (!usable) continue;
    const std::string name = "cache" + std::to_string(plan_.caches.size());
    Cache cache;
    cache.axis = axis;
    cache.in_pitch = Dim::symbol(name + ".in");
    cache.out_pitch = Dim::symbol(name + ".out");
    plan_.symbols.push_back(name + ".in");
    plan_.symbols.push_back(name + ".out");
    PlanCache entry;
    entry.input = static_cast<uint32_t>(input - graph_.inputs.begin());
    entry.output = o;
    entry.axis = static_cast<uint32_t>(cache.axis);
    entry.in_pitch = name + ".in";
    entry.out_pitch = name + ".out";
    plan_.caches.push_back(entry);
    caches_[result.node] = cache;
    cached_inputs_[from] = result.node;
  }
}

// As one row of items, with the room to spare.
uint32_t PlanBuilder::cache_buffer(const DimShape& shape, DataType dtype, size_t axis, const Dim& pitch,
                                   uint32_t input) {
  const Dim items = volume_between(shape, 0, axis) * pitch * volume_between(shape, axis + 1, shape.size());
  return add_value(dtype, Storage::input, input, {items});
}

void PlanBuilder::lower_cache(Cache& cache) {
  const Node& node = graph_.node(node_);
  const DimShape& shape = node.facts[0].shape;
  const auto part = [&](Outlet from, const Dim& pitch, const Dim& begin, uint32_t value) {
    const DimShape& source = graph_.fact(from).shape;
    const Dim inner = volume_between(shape, cache.axis + 1, shape.size());
    CopyParameters p;
    p.rank = 3;
    const Dim dims[] = {volume_between(shape, 0, cache.axis), source[cache.axis], inner};
    const Dim src[] = {pitch * inner, inner, 1}, dst[] = {cache.out_pitch * inner, inner, 1};
    for (size_t i = 0; i < 3; ++i) {
      p.dims[i] = size(dims[i]);
      p.src_strides[i] = size(src[i]);
      p.dst_strides[i] = size(dst[i]);
    }
    p.src_offset = size(0);
    p.dst_offset = size(begin * inner);
    step(StepKind::copy, {value}, {cache.value}, p, "into a cache");
  };
  const Outlet past = node.inputs[0], added = node.inputs[1];
  // Of a result that is the next input, the past is there already; the step finds that out.
  part(past, cache.in_pitch, 0, known(past).plain);
  part(added, graph_.fact(added).shape[cache.axis], graph_.fact(past).shape[cache.axis],
       plain_value_of(added));
}

std::optional<CacheLayout> PlanBuilder::cache_of(Outlet outlet) const {
  const auto it = caches_.find(outlet.node);
  if (it == caches_.end()) return std::nullopt;
  return CacheLayout{it->second.value, it->second.axis, it->second.out_pitch};
}

// Without the room to spare, for readers that want it dense.
uint32_t PlanBuilder::dense_cache(const Cache& cache, Outlet outlet) {
  const Fact& fact = graph_.fact(outlet);
  const DimShape& shape = fact.shape;
  const Dim inner = volume_between(shape, cache.axis + 1, shape.size());
  const uint32_t dense = add_value(fact.dtype, Storage::arena, 0, shape);
  CopyParameters p;
  p.rank = 3;
  const Dim dims[] = {volume_between(shape, 0, cache.axis), shape[cache.axis], inner};
  const Dim src[] = {cache.out_pitch * inner, inner, 1}, dst[] = {shape[cache.axis] * inner, inner, 1};
  for (size_t i = 0; i < 3; ++i) {
    p.dims[i] = size(dims[i]);
    p.src_strides[i] = size(src[i]);
    p.dst_strides[i] = size(dst[i]);
  }
  p.src_offset = p.dst_offset = size(0);
  step(StepKind::copy, {cache.value}, {dense}, p, "out of a cache");
  return dense;
}

}  // namespace nnefrun
