// Steps that move, convert and look up items.

#include <algorithm>
#include <cstring>

#include "engine/runtime/parts.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/move/move.h"
#include "kernels/resample/resample.h"

namespace nnefrun {
namespace {

struct BoundCopy {
  kernels::CopyShape shape;
  int64_t src_offset, dst_offset;  // bytes
  SpaceCut cut;
};

// True when a strided space of `dims` at `offset` stays inside [0, bytes).
bool inside(const kernels::CopyShape& shape, const int64_t* strides, int64_t offset, int64_t bytes) {
  int64_t low = offset, high = offset;
  for (int i = 0; i < shape.rank; ++i) {
    if (shape.dims[i] == 0) return true;
    int64_t reach = 0;
    if (__builtin_mul_overflow(shape.dims[i] - 1, strides[i], &reach)) return false;
    if (__builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high)) return false;
  }
  return low >= 0 && high <= bytes - static_cast<int64_t>(shape.item_size);
}

Status bind_copy(const StepContext& c, const CopyParameters& p, BoundCopy& bound) {
  const int64_t item = static_cast<int64_t>(item_size(c.outputs[0]->dtype));
  bound.shape = {};
  bound.shape.rank = static_cast<int>(p.rank);
  bound.shape.item_size = static_cast<size_t>(item);
  for (uint32_t i = 0; i < p.rank; ++i) {
    bound.shape.dims[i] = c.sizes[p.dims[i]];
    bound.shape.src_strides[i] = c.sizes[p.src_strides[i]] * item;
    bound.shape.dst_strides[i] = c.sizes[p.dst_strides[i]] * item;
    if (bound.shape.dims[i] < 0) return failed(StatusCode::negative_extent, bound.shape.dims[i]);
  }
  bound.src_offset = c.sizes[p.src_offset] * item;
  bound.dst_offset = c.sizes[p.dst_offset] * item;
  if (!inside(bound.shape, bound.shape.src_strides, bound.src_offset, c.inputs[0]->size() * item) ||
      !inside(bound.shape, bound.shape.dst_strides, bound.dst_offset, c.outputs[0]->size() * item)) {
    return failed(StatusCode::index_out_of_range, bound.src_offset, bound.dst_offset);
  }
  bound.cut = cut_space(bound.shape.dims, bound.shape.rank);
  return {};
}

void run_copy(const StepContext& c, const BoundCopy& bound) {
  if (items_of(bound.shape.dims, bound.shape.rank) == 0) return;  // the bytes may be none at all
  // What is in its place already: a cache that is the next run's input.
  if (c.inputs[0]->data == c.outputs[0]->data && bound.src_offset == bound.dst_offset &&
      std::equal(bound.shape.src_strides, bound.shape.src_strides + bound.shape.rank,
                 bound.shape.dst_strides))
    return;
  kernels::copy_strided(bound.shape, c.inputs[0]->data + bound.src_offset,
                        c.outputs[0]->data + bound.dst_offset);
}

Status copy_bind(StepContext& c, size_t*) {
  return bind_copy(c, c.as<CopyParameters>(), *static_cast<BoundCopy*>(c.bound));
}
StepParts copy_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundCopy*>(c.bound);
  const int64_t items = items_of(bound.shape.dims, bound.shape.rank);
  return {bound.cut.tasks, cost_of_bytes(items * static_cast<int64_t>(bound.shape.item_size))};
}
Status copy_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& bound = *static_cast<BoundCopy*>(c.bound);
  if (begin == 0 && end == bound.cut.tasks) {
    run_copy(c, bound);
    return {};
  }
  BoundCopy run = bound;
  for_each_run(bound.cut, bound.shape.dims, begin, end, [&](const int64_t* index, int64_t count) {
    run_dims(bound.cut, count, run.shape.dims);
    run.src_offset = bound.src_offset + run_offset(bound.cut, index, run.shape.src_strides);
    run.dst_offset = bound.dst_offset + run_offset(bound.cut, index, run.shape.dst_strides);
    run_copy(c, run);
  });
  return {};
}

Status pad_bind(StepContext& c, size_t*) {
  return bind_copy(c, c.as<PadParameters>().copy, *static_cast<BoundCopy*>(c.bound));
}
Status pad_run(const StepContext& c) {
  const View& out = *c.outputs[0];
  kernels::CopyShape all;
  all.rank = 1;
  all.item_size = item_size(out.dtype);
  all.dims[0] = out.size();
  all.dst_strides[0] = static_cast<int64_t>(all.item_size);
  kernels::fill_strided(all, &c.as<PadParameters>().value, out.data);
  run_copy(c, *static_cast<BoundCopy*>(c.bound));
  return {};
}

Status cast_bind(StepContext& c, size_t*) {
  if (!kernels::can_convert(c.inputs[0]->dtype, c.outputs[0]->dtype)) return failed(StatusCode::bad_plan);
  if (c.inputs[0]->size() != c.outputs[0]->size()) return failed(StatusCode::shape_mismatch);
  return {};
}
StepParts cast_parts(const StepContext& c) { return flat_parts(c.outputs[0]->size()); }
Status cast_run(const StepContext& c, int64_t begin, int64_t end) {
  const View &in = *c.inputs[0], &out = *c.outputs[0];
  const FlatRange range = flat_range(in.size(), begin, end);
  kernels::convert(in.dtype, out.dtype, in.data + range.begin * static_cast<int64_t>(item_size(in.dtype)),
                   out.data + range.begin * static_cast<int64_t>(item_size(out.dtype)), range.count);
  return {};
}

struct BoundGather {
  int64_t outer, extent, count;
  size_t row_bytes;
  bool copies() const { return outer > 0 && row_bytes > 0; }
};

Status gather_bind(StepContext& c, size_t*) {
  const auto& p = c.as<GatherParameters>();
  const View &data = *c.inputs[0], &indices = *c.inputs[1];
  if (indices.dtype != DataType::i64 || static_cast<int>(p.axis) >= data.rank)
    return failed(StatusCode::bad_plan);
  auto& bound = *static_cast<BoundGather*>(c.bound);
  bound.outer = 1;
  bound.row_bytes = item_size(data.dtype);
  for (int i = 0; i < data.rank; ++i) {
    if (i < static_cast<int>(p.axis)) bound.outer *= data.dims[i];
    if (i > static_cast<int>(p.axis)) bound.row_bytes *= static_cast<size_t>(data.dims[i]);
  }
  bound.extent = data.dims[p.axis];
  bound.count = indices.size();
  return {};
}
StepParts gather_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundGather*>(c.bound);
  // One row each. When nothing is copied, the indices are still checked, once.
  const int64_t rows = bound.copies() ? bound.outer * bound.count : bound.count;
  return {rows, cost_of_bytes(rows * static_cast<int64_t>(bound.row_bytes)) + rows};
}
Status gather_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<GatherParameters>();
  const auto& bound = *static_cast<BoundGather*>(c.bound);
  const auto* indices = reinterpret_cast<const int64_t*>(c.inputs[1]->data);
  const std::byte* from = c.inputs[0]->data;
  std::byte* to = c.outputs[0]->data;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t o = row / bound.count, i = row % bound.count;
    const int64_t index = indices[i] < 0 && p.wrap != 0 ? indices[i] + bound.extent : indices[i];
    if (index < 0 || index >= bound.extent)
      return failed(StatusCode::index_out_of_range, indices[i], bound.extent);
    if (!bound.copies()) continue;
    std::memcpy(to + static_cast<size_t>(row) * bound.row_bytes,
                from + static_cast<size_t>(o * bound.extent + index) * bound.row_bytes, bound.row_bytes);
  }
  return {};
}

Status resample_bind(StepContext& c, size_t*) {
  const auto& p = c.as<ResampleParameters>();
  auto& bound = *static_cast<kernels::ResampleAxis*>(c.bound);
  bound = {};
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  if (static_cast<int>(p.axis) >= x.rank || x.rank != y.rank) return failed(StatusCode::bad_plan);
  for (int i = 0; i < x.rank; ++i) {
    if (i < static_cast<int>(p.axis)) bound.outer *= x.dims[i];
    if (i > static_cast<int>(p.axis)) bound.inner *= x.dims[i];
    if (i != static_cast<int>(p.axis) && x.dims[i] != y.dims[i]) return failed(StatusCode::shape_mismatch);
  }
  bound.in = x.dims[p.axis];
  bound.out = y.dims[p.axis];
  bound.taps = p.taps;
  bound.outside = p.outside;
  if (bound.in != p.in) return failed(StatusCode::shape_mismatch, bound.in, p.in);
  const bool counted = p.taps == 0 ? c.inputs[1 + p.has_weights + 1]->size() == bound.out + 1
                                   : c.inputs[1]->size() == bound.out * p.taps;
  return counted ? Status{} : failed(StatusCode::bad_plan);
}
StepParts resample_parts(const StepContext& c) {
  const auto& axis = *static_cast<kernels::ResampleAxis*>(c.bound);
  return {axis.outer, cost_of_items(c.inputs[0]->size() + c.outputs[0]->size())};
}
Status resample_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<ResampleParameters>();
  kernels::ResampleAxis axis = *static_cast<kernels::ResampleAxis*>(c.bound);
  axis.index = reinterpret_cast<const int32_t*>(c.inputs[1]->data);
  if (p.has_weights != 0) axis.weight = reinterpret_cast<const float*>(c.inputs[2]->data);
  if (p.taps == 0) axis.first = reinterpret_cast<const int32_t*>(c.inputs[2 + p.has_weights]->data);
  axis.outer = end - begin;
  kernels::resample_f32(axis,
                        reinterpret_cast<const float*>(c.inputs[0]->data) + begin * axis.in * axis.inner,
                        reinterpret_cast<float*>(c.outputs[0]->data) + begin * axis.out * axis.inner);
  return {};
}

Status sizes_bind(StepContext& c, size_t*) {
  return c.outputs[0]->size() == c.as<SizesParameters>().count ? Status{} : failed(StatusCode::bad_plan);
}
Status sizes_run(const StepContext& c) {
  const auto& p = c.as<SizesParameters>();
  auto* out = reinterpret_cast<int64_t*>(c.outputs[0]->data);
  for (uint32_t i = 0; i < p.count; ++i) out[i] = c.sizes[p.values[i]];
  return {};
}

}  // namespace

const StepRow kCopyStep = {"copy", sizeof(BoundCopy), copy_bind, nullptr, copy_parts, copy_run};
const StepRow kPadStep = {"pad", sizeof(BoundCopy), pad_bind, pad_run};
const StepRow kCastStep = {"cast", 0, cast_bind, nullptr, cast_parts, cast_run};
const StepRow kGatherStep = {"gather", sizeof(BoundGather), gather_bind, nullptr, gather_parts, gather_run};
const StepRow kResampleStep = {
    "resample", sizeof(kernels::ResampleAxis), resample_bind, nullptr, resample_parts, resample_run};
const StepRow kSizesStep = {"sizes", 0, sizes_bind, sizes_run};

}  // namespace nnefrun
