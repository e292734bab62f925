// Gathers of single items and of positions in several axes.

#include <cstring>

#include "engine/runtime/parts.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"

namespace nnefrun {
namespace {

const int64_t* integers(const View* view) { return reinterpret_cast<const int64_t*>(view->data); }

struct BoundElements {
  int64_t rows, length;       // of the indices: its last axis, and everything in front
  int64_t strides[kMaxRank];  // of the data, in items; 0 along the axis
  int64_t along;              // stride of the axis
};

Status elements_bind(StepContext& c, size_t*) {
  const auto& p = c.as<GatherElementsParameters>();
  auto& bound = *static_cast<BoundElements*>(c.bound);
  const View &data = *c.inputs[0], &indices = *c.inputs[1];
  if (indices.dtype != DataType::i64 || indices.rank != data.rank || static_cast<int>(p.axis) >= data.rank)
    return failed(StatusCode::bad_plan);
  const auto item = static_cast<int64_t>(item_size(data.dtype));
  bound.rows = 1;
  for (int i = 0; i < data.rank; ++i) {
    const bool is_axis = i == static_cast<int>(p.axis);
    if (!is_axis && indices.dims[i] > data.dims[i])
      return failed(StatusCode::shape_mismatch, indices.dims[i], data.dims[i]);
    bound.strides[i] = is_axis ? 0 : data.strides[i] / item;
    if (i + 1 < data.rank) bound.rows *= indices.dims[i];
  }
  bound.length = indices.dims[data.rank - 1];
  bound.along = data.strides[p.axis] / item;
  return {};
}
StepParts elements_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundElements*>(c.bound);
  return {bound.rows, cost_of_items(bound.rows * bound.length) * 4};
}

// Rows [begin, end) for items of type T.
template <class T>
Status gather_elements(const StepContext& c, int64_t begin, int64_t end) {
  const auto& bound = *static_cast<BoundElements*>(c.bound);
  const View &data = *c.inputs[0], &indices = *c.inputs[1];
  const int64_t extent = data.dims[c.as<GatherElementsParameters>().axis];
  const int64_t step = bound.strides[data.rank - 1];
  for (int64_t row = begin; row < end; ++row) {
    int64_t offset = 0, rest = row;
    for (int axis = data.rank - 2; axis >= 0; --axis) {
      offset += rest % indices.dims[axis] * bound.strides[axis];
      rest /= indices.dims[axis];
    }
    const int64_t* at = integers(&indices) + row * bound.length;
    const T* from = reinterpret_cast<const T*>(data.data) + offset;
    T* to = reinterpret_cast<T*>(c.outputs[0]->data) + row * bound.length;
    for (int64_t i = 0; i < bound.length; ++i) {
      const int64_t index = at[i] < 0 ? at[i] + extent : at[i];
      if (index < 0 || index >= extent) return failed(StatusCode::index_out_of_range, at[i], extent);
      to[i] = from[i * step + index * bound.along];
    }
  }
  return {};
}

struct Wide {
  uint64_t low, high;
};

Status elements_run(const StepContext& c, int64_t begin, int64_t end) {
  switch (item_size(c.inputs[0]->dtype)) {
    case 1: return gather_elements<uint8_t>(c, begin, end);
    case 2: return gather_elements<uint16_t>(c, begin, end);
    case 4: return gather_elements<uint32_t>(c, begin, end);
    case 8: return gather_elements<uint64_t>(c, begin, end);
    case 16: return gather_elements<Wide>(c, begin, end);
    default: return failed(StatusCode::bad_plan);
  }
}

struct BoundPositions {
  int64_t count, length;      // positions, and axes that each names
  int64_t in_batch;           // positions of a batch
  int64_t batch_bytes;        // of the data
  int64_t strides[kMaxRank];  // bytes, of the named axes
  int64_t extents[kMaxRank];
  size_t row_bytes;
};

Status positions_bind(StepContext& c, size_t*) {
  const auto batch = static_cast<int>(c.as<GatherNdParameters>().batch);
  auto& bound = *static_cast<BoundPositions*>(c.bound);
  const View &data = *c.inputs[0], &indices = *c.inputs[1];
  if (indices.dtype != DataType::i64 || indices.rank < 1 || batch >= indices.rank || batch > data.rank)
    return failed(StatusCode::bad_plan);
  bound.length = indices.dims[indices.rank - 1];
  if (bound.length > data.rank - batch) return failed(StatusCode::shape_mismatch, bound.length, data.rank);
  bound.count = bound.in_batch = 1;
  for (int i = 0; i + 1 < indices.rank; ++i) {
    bound.count *= indices.dims[i];
    if (i >= batch) bound.in_batch *= indices.dims[i];
    if (i < batch && indices.dims[i] != data.dims[i])
      return failed(StatusCode::shape_mismatch, indices.dims[i], data.dims[i]);
  }
  bound.row_bytes = item_size(data.dtype);
  bound.batch_bytes = static_cast<int64_t>(bound.row_bytes);
  for (int i = batch; i < data.rank; ++i) {
    bound.batch_bytes *= data.dims[i];
    if (i - batch < bound.length) {
      bound.strides[i - batch] = data.strides[i];
      bound.extents[i - batch] = data.dims[i];
    } else {
      bound.row_bytes *= static_cast<size_t>(data.dims[i]);
    }
  }
  return {};
}
StepParts positions_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundPositions*>(c.bound);
  return {bound.count, cost_of_bytes(bound.count * static_cast<int64_t>(bound.row_bytes)) + 4 * bound.count};
}
Status positions_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& bound = *static_cast<BoundPositions*>(c.bound);
  for (int64_t p = begin; p < end; ++p) {
    const int64_t* at = integers(c.inputs[1]) + p * bound.length;
    int64_t offset = p / bound.in_batch * bound.batch_bytes;
    for (int64_t k = 0; k < bound.length; ++k) {
      if (at[k] < 0 || at[k] >= bound.extents[k])
        return failed(StatusCode::index_out_of_range, at[k], bound.extents[k]);
      offset += at[k] * bound.strides[k];
    }
    if (bound.row_bytes == 0) continue;
    std::memcpy(c.outputs[0]->data + static_cast<size_t>(p) * bound.row_bytes, c.inputs[0]->data + offset,
                bound.row_bytes);
  }
  return {};
}

}  // namespace

const StepRow kGatherElementsStep = {"gather_elements", sizeof(BoundElements), elements_bind,
                                     nullptr,           elements_parts,        elements_run};
const StepRow kGatherNdStep = {"gather_nd", sizeof(BoundPositions), positions_bind,
                               nullptr,     positions_parts,        positions_run};

}  // namespace nnefrun
