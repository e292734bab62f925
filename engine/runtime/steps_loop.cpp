// Loops: a plan inside of a plan, run once for each chunk of the inputs.
//
// Chunks that lie together are read in place, states are copied between two buffers, so that a body may hand
// one state on as another.

#include <cstring>

#include "engine/runtime/runtime.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"

namespace nnefrun {
namespace {

struct BoundLoop {
  int64_t iterations;
  size_t chunks[kMaxLoopInputs];     // offsets in the scratch: of chunks that are gathered
  size_t states[kMaxLoopInputs][2];  // and of the two buffers of a state
};

size_t bytes_of(const View& view) { return static_cast<size_t>(view.size()) * item_size(view.dtype); }
int64_t magnitude(int64_t chunk) { return chunk < 0 ? -chunk : chunk; }
// Bytes of everything behind an axis.
size_t behind(const View& view, int axis) {
  size_t bytes = item_size(view.dtype);
  for (int i = axis + 1; i < view.rank; ++i) bytes *= static_cast<size_t>(view.dims[i]);
  return bytes;
}
int64_t in_front(const View& view, int axis) {
  int64_t count = 1;
  for (int i = 0; i < axis; ++i) count *= view.dims[i];
  return count;
}

// Whether two shapes are equal but for one axis (-1: none).
bool fits(const View& a, const View& b, int but) {
  bool same = a.rank == b.rank && a.dtype == b.dtype;
  for (int i = 0; same && i < a.rank; ++i) same = i == but || a.dims[i] == b.dims[i];
  return same;
}

Status loop_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<LoopParameters>();
  auto& bound = *static_cast<BoundLoop*>(c.bound);
  int64_t symbols[kMaxLoopSymbols] = {};
  for (uint32_t i = 0; i < p.symbol_count; ++i) symbols[i] = c.sizes[p.symbols[i]];
  const Status status = c.body->bind(symbols);
  if (!status.ok()) return status;
  bound.iterations = -1;
  size_t needed = 0;
  const auto reserve = [&](size_t bytes) {
    const size_t at = needed;
    needed += (bytes + 63) / 64 * 64;
    return at;
  };
  for (uint32_t i = 0; i < p.input_count; ++i) {
    const LoopInput& input = p.inputs[i];
    const View &whole = *c.inputs[i], &inner = c.body->input(i);
    const bool cut = input.kind == LoopInputKind::scan;
    if (!fits(whole, inner, cut ? input.axis : -1)) return failed(StatusCode::shape_mismatch, i);
    if (cut) {
      if (inner.dims[input.axis] != magnitude(input.chunk)) return failed(StatusCode::shape_mismatch, i);
      const int64_t extent = whole.dims[input.axis], chunk = magnitude(input.chunk);
      if (bound.iterations < 0) bound.iterations = extent / chunk + (extent % chunk != 0 ? 1 : 0);
      bound.chunks[i] = reserve(bytes_of(inner));
    }
  }
  if (bound.iterations < 0) return failed(StatusCode::bad_plan);
  for (uint32_t i = 0; i < p.input_count && bound.iterations > 1;
       ++i) {  // a single iteration hands nothing on
    if (p.inputs[i].kind != LoopInputKind::state) continue;
    const View& inner = c.body->input(i);
    if (!fits(inner, c.body->output(p.inputs[i].next), -1)) return failed(StatusCode::shape_mismatch, i);
    for (size_t& at : bound.states[i]) at = reserve(bytes_of(inner));
  }
  for (uint32_t k = 0; k < p.output_count; ++k) {
    const LoopOutput& output = p.outputs[k];
    const View &whole = *c.outputs[k], &inner = c.body->output(output.result);
    bool same = fits(whole, inner, output.is_full != 0 ? output.axis : -1);
    int64_t extent = 0;
    if (same && output.is_full != 0) {
      same = !__builtin_mul_overflow(inner.dims[output.axis], bound.iterations, &extent) &&
             extent == whole.dims[output.axis];
    }
    if (!same) return failed(StatusCode::shape_mismatch, k);
  }
  *scratch = needed;
  return {};
}

// Cells [begin, begin + length) of an axis; what lies outside is zero.
void gather_chunk(const View& whole, int axis, int64_t begin, int64_t length, std::byte* to) {
  const size_t cell = behind(whole, axis);
  const int64_t extent = whole.dims[axis], lines = in_front(whole, axis);
  const int64_t first = begin < 0 ? 0 : begin, last = begin + length < extent ? begin + length : extent;
  for (int64_t line = 0; line < lines; ++line, to += static_cast<size_t>(length) * cell) {
    if (last - first < length) std::memset(to, 0, static_cast<size_t>(length) * cell);
    if (last <= first) continue;
    std::memcpy(to + static_cast<size_t>(first - begin) * cell,
                whole.data + static_cast<size_t>(line * extent + first) * cell,
                static_cast<size_t>(last - first) * cell);
  }
}

// What an iteration computed, as cells from `begin` on of an axis of the whole.
void scatter_chunk(const View& chunk, int axis, int64_t begin, const View& whole) {
  const size_t cell = behind(whole, axis), bytes = static_cast<size_t>(chunk.dims[axis]) * cell;
  const int64_t lines = in_front(whole, axis);
  for (int64_t line = 0; line < lines && bytes > 0; ++line) {
    std::memcpy(whole.data + static_cast<size_t>(line * whole.dims[axis] + begin) * cell,
                chunk.data + static_cast<size_t>(line) * bytes, bytes);
  }
}

void copy_bytes(std::byte* to, const std::byte* from, size_t bytes) {
  if (bytes > 0) std::memmove(to, from, bytes);
}

// Nothing is computed: a state keeps its value, all else is zero.
void finish_idle(const StepContext& c) {
  const auto& p = c.as<LoopParameters>();
  for (uint32_t k = 0; k < p.output_count; ++k) {
    const size_t bytes = bytes_of(*c.outputs[k]);
    if (bytes > 0) std::memset(c.outputs[k]->data, 0, bytes);
    for (uint32_t i = 0; i < p.input_count && p.outputs[k].is_full == 0; ++i) {
      if (p.inputs[i].kind != LoopInputKind::state || p.inputs[i].next != p.outputs[k].result) continue;
      copy_bytes(c.outputs[k]->data, c.inputs[i]->data, bytes);
      break;
    }
  }
}

Status loop_run(const StepContext& c) {
  const auto& p = c.as<LoopParameters>();
  const auto& bound = *static_cast<BoundLoop*>(c.bound);
  if (bound.iterations == 0) {
    finish_idle(c);
    return {};
  }
  const std::byte* arguments[kMaxLoopInputs] = {};
  for (uint32_t i = 0; i < p.input_count; ++i) arguments[i] = c.inputs[i]->data;
  for (int64_t iteration = 0; iteration < bound.iterations; ++iteration) {
    for (uint32_t i = 0; i < p.input_count; ++i) {
      const LoopInput& input = p.inputs[i];
      if (input.kind != LoopInputKind::scan) continue;
      const View& whole = *c.inputs[i];
      const int64_t chunk = magnitude(input.chunk), extent = whole.dims[input.axis];
      const int64_t begin = input.chunk > 0 ? iteration * chunk : extent - (iteration + 1) * chunk;
      if (in_front(whole, input.axis) == 1 && begin >= 0 && begin + chunk <= extent) {
        arguments[i] = whole.data + static_cast<size_t>(begin) * behind(whole, input.axis);
      } else {
        gather_chunk(whole, input.axis, begin, chunk, c.scratch + bound.chunks[i]);
        arguments[i] = c.scratch + bound.chunks[i];
      }
    }
    const Status status = c.body->run(arguments);
    if (!status.ok()) return status;
    for (uint32_t k = 0; k < p.output_count; ++k) {
      const LoopOutput& output = p.outputs[k];
      const View& inner = c.body->output(output.result);
      if (output.is_full != 0) {
        const int64_t at = output.chunk > 0 ? iteration : bound.iterations - 1 - iteration;
        scatter_chunk(inner, output.axis, at * inner.dims[output.axis], *c.outputs[k]);
      } else if (iteration + 1 == bound.iterations) {
        copy_bytes(c.outputs[k]->data, inner.data, bytes_of(inner));
      }
    }
    for (uint32_t i = 0; i < p.input_count && iteration + 1 < bound.iterations; ++i) {
      if (p.inputs[i].kind != LoopInputKind::state) continue;
      const View& next = c.body->output(p.inputs[i].next);
      std::byte* to = c.scratch + bound.states[i][iteration % 2];
      copy_bytes(to, next.data, bytes_of(next));
      arguments[i] = to;
    }
  }
  return {};
}

}  // namespace

const StepRow kLoopStep = {"loop", sizeof(BoundLoop), loop_bind, loop_run};

}  // namespace nnefrun
