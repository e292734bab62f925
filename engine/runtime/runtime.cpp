#include "engine/runtime/runtime.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/runtime/step_parameters.h"

namespace nnefrun {

const char* describe(StatusCode code) {
  switch (code) {
    case StatusCode::ok: return "done";
    case StatusCode::out_of_memory: return "memory could not be allocated";
    case StatusCode::memory_limit: return "the run needs more memory than the limit allows";
    case StatusCode::bad_plan: return "the plan is damaged";
    case StatusCode::unknown_step: return "the plan holds a step that this build does not have";
    case StatusCode::negative_extent: return "an extent came out negative";
    case StatusCode::size_overflow: return "the arithmetic of sizes leaves 64 bits";
    case StatusCode::broadcast_mismatch: return "two extents do not broadcast";
    case StatusCode::index_out_of_range: return "an index is out of range";
    case StatusCode::division_by_zero: return "a division by zero";
    case StatusCode::shape_mismatch: return "shapes do not fit each other at run time";
    case StatusCode::cancelled: return "the run was cancelled";
    case StatusCode::host_failed: return "an operator failed";
  }
  return "unknown status";
}

namespace {

std::byte* allocate(size_t bytes) {
  return static_cast<std::byte*>(
      std::aligned_alloc(kArenaAlignment, (bytes + kArenaAlignment) / kArenaAlignment * kArenaAlignment));
}

// Carves typed arrays from one block; a first pass with a null block measures.
class Carver {
 public:
  explicit Carver(std::byte* block) : block_(block) {}
  template <class T>
  void take(T*& pointer, size_t count) {
    offset_ = (offset_ + 15) / 16 * 16;
    if (block_ != nullptr) {
      pointer = reinterpret_cast<T*>(block_ + offset_);
      for (size_t i = 0; i < count; ++i) new (pointer + i) T();
    }
    offset_ += count * sizeof(T);
  }
  size_t size() const { return offset_; }

 private:
  std::byte* block_;
  size_t offset_ = 0;
};

int64_t floor_of(int64_t a, int64_t b) {
  const int64_t q = a / b;
  return q * b != a && ((a < 0) != (b < 0)) ? q - 1 : q;
}

}  // namespace

Runtime::~Runtime() {
  for (uint32_t b = 0; bodies_ != nullptr && b < plan_.bodies.count; ++b) bodies_[b].~Runtime();
  std::free(bodies_);
  std::free(block_);
  std::free(arena_);
  std::free(scratch_);
}

uint32_t Runtime::root_of(uint32_t value) const {
  while (plan_.values[value].storage == Storage::alias) value = plan_.values[value].index;
  return value;
}

Status Runtime::create(const PlanView& plan, const std::byte* const* constants,
                       const RuntimeOptions& options) {
  plan_ = plan;
  constants_ = constants;
  options_ = options;
  for (uint32_t v = 0; v < plan.values.count; ++v) {  // aliases point backwards, so root_of ends
    if (plan.values[v].storage == Storage::alias && plan.values[v].index >= v)
      return failed(StatusCode::bad_plan);
    if (plan.values[v].rank > kMaxRank) return failed(StatusCode::bad_plan);
  }
  const Status nested = create_bodies();
  if (!nested.ok()) return nested;
  size_t bound_bytes = 0;
  for (uint32_t s = 0; s < plan.steps.count; ++s) {
    const PlanStep& step = plan.steps[s];
    const StepRow* row = step_row(step.kind);
    const bool by_host =
        step.kind == static_cast<uint32_t>(StepKind::evaluate) && options.evaluate != nullptr;
    if (row == nullptr && !by_host) return failed(StatusCode::unknown_step, step.kind);
    if (row != nullptr) bound_bytes += (row->bound_size + 15) / 16 * 16;
    for (uint32_t i = 0; i < step.input_count + uint32_t{step.output_count}; ++i) {
      if (plan.operands[step.first_operand + i] >= plan.values.count) return failed(StatusCode::bad_plan);
    }
  }
  for (int pass = 0; pass < 2; ++pass) {
    Carver carver(block_);
    carver.take(sizes_, plan.expressions.count);
    carver.take(symbols_, plan.symbol_count);
    carver.take(views_, plan.values.count);
    carver.take(operands_, plan.operands.count);
    carver.take(bound_, plan.steps.count);
    carver.take(buffers_, plan.values.count);
    carver.take(placement_scratch_, 2 * size_t{plan.values.count});
    carver.take(roots_, plan.values.count);
    carver.take(offsets_, plan.values.count);
    carver.take(ends_, plan.values.count);
    carver.take(failures_, options.executor.workers);
    std::byte* bound_area = nullptr;
    carver.take(bound_area, bound_bytes);
    if (pass == 0) {
      block_ = allocate(carver.size());
      if (block_ == nullptr) return failed(StatusCode::out_of_memory, static_cast<int64_t>(carver.size()));
      continue;
    }
    for (uint32_t v = 0; v < plan.values.count; ++v) roots_[v] = root_of(v);
    for (uint32_t i = 0; i < plan.operands.count; ++i) operands_[i] = &views_[plan.operands[i]];
    for (uint32_t s = 0; s < plan.steps.count; ++s) {
      const PlanStep& step = plan.steps[s];
      bound_[s].row = step_row(step.kind);
      StepContext& context = bound_[s].context;
      context.step = &step;
      context.parameters = plan.parameters.data + step.parameters;
      context.inputs = operands_ + step.first_operand;
      context.outputs = operands_ + step.first_operand + step.input_count;
      context.sizes = sizes_;
      if (step.kind == static_cast<uint32_t>(StepKind::loop)) {
        const uint32_t body = context.as<LoopParameters>().body;
        if (body >= plan.bodies.count) return failed(StatusCode::bad_plan, body);
        context.body = &bodies_[body];
      }
      if (bound_[s].row != nullptr) {
        context.bound = bound_area;
        bound_area += (bound_[s].row->bound_size + 15) / 16 * 16;
      }
    }
  }
  return {};
}

// Bodies run on the thread of their step, which is the executor's only user while it does; nobody looks
// inside.
Status Runtime::create_bodies() {
  if (plan_.bodies.count == 0) return {};
  bodies_ = static_cast<Runtime*>(std::malloc(plan_.bodies.count * sizeof(Runtime)));
  if (bodies_ == nullptr) {
    plan_.bodies.count = 0;
    return failed(StatusCode::out_of_memory);
  }
  for (uint32_t b = 0; b < plan_.bodies.count; ++b) new (bodies_ + b) Runtime();
  RuntimeOptions inside;
  inside.executor = options_.executor;
  inside.memory_limit = options_.memory_limit;
  inside.fixed_memory = options_.fixed_memory;
  for (uint32_t b = 0; b < plan_.bodies.count; ++b) {
    const PlanBody& body = plan_.bodies[b];
    const Status status = bodies_[b].create(body.plan, body.constants, inside);
    if (!status.ok()) return status;
  }
  return {};
}

size_t Runtime::body_bytes() const {
  size_t bytes = 0;
  for (uint32_t b = 0; b < plan_.bodies.count; ++b)
    bytes += bodies_[b].arena_bytes() + bodies_[b].scratch_bytes();
  return bytes;
}
size_t Runtime::arena_bytes() const {
  size_t bytes = arena_capacity_;
  for (uint32_t b = 0; b < plan_.bodies.count; ++b) bytes += bodies_[b].arena_bytes();
  return bytes;
}
size_t Runtime::scratch_bytes() const {
  size_t bytes = scratch_capacity_;
  for (uint32_t b = 0; b < plan_.bodies.count; ++b) bytes += bodies_[b].scratch_bytes();
  return bytes;
}

Status Runtime::evaluate_sizes(const int64_t* symbols) {
  using Kind = SizeExpression::Kind;
  for (uint32_t i = 0; i < plan_.expressions.count; ++i) {
    const SizeExpression& e = plan_.expressions[i];
    int64_t& out = sizes_[i];
    if (e.kind == Kind::constant) {
      out = e.a;
      continue;
    }
    if (e.kind == Kind::symbol) {
      out = symbols[e.a];
      continue;
    }
    const int64_t a = sizes_[e.a], b = sizes_[e.b];
    bool overflow = false;
    switch (e.kind) {
      case Kind::add: overflow = __builtin_add_overflow(a, b, &out); break;
      case Kind::mul: overflow = __builtin_mul_overflow(a, b, &out); break;
      case Kind::floor_div:
      case Kind::ceil_div:
        if (b == 0) return failed(StatusCode::division_by_zero);
        if (a == INT64_MIN && b == -1) return failed(StatusCode::size_overflow);
        out = floor_of(a, b);
        if (e.kind == Kind::ceil_div && out * b != a) ++out;
        break;
      case Kind::min: out = std::min(a, b); break;
      case Kind::max: out = std::max(a, b); break;
      default:
        if (a != b && a != 1 && b != 1) return failed(StatusCode::broadcast_mismatch, a, b);
        out = a == 1 ? b : a;
    }
    if (overflow) return failed(StatusCode::size_overflow);
  }
  return {};
}

Status Runtime::shape_views() {
  for (uint32_t v = 0; v < plan_.values.count; ++v) {
    const PlanValue& value = plan_.values[v];
    View& view = views_[v];
    view.dtype = value.dtype;
    view.rank = value.rank;
    size_t bytes = item_size(value.dtype);
    for (int axis = value.rank - 1; axis >= 0; --axis) {
      const int64_t extent = sizes_[plan_.dims[value.first_dim + static_cast<uint32_t>(axis)]];
      if (extent < 0) return failed(StatusCode::negative_extent, extent);
      view.dims[axis] = extent;
      view.strides[axis] = static_cast<int64_t>(bytes);
      if (__builtin_mul_overflow(bytes, static_cast<size_t>(extent), &bytes))
        return failed(StatusCode::size_overflow);
    }
    offsets_[v] = 0;
    if (value.storage == Storage::alias) {
      const int64_t items = value.offset == kNoOffset ? 0 : sizes_[value.offset];
      if (items < 0) return failed(StatusCode::negative_extent, items);
      size_t begin = 0;
      if (__builtin_mul_overflow(static_cast<size_t>(items), item_size(value.dtype), &begin) ||
          __builtin_add_overflow(begin, offsets_[value.index], &offsets_[v]))
        return failed(StatusCode::size_overflow);
    }
    if (__builtin_add_overflow(offsets_[v], bytes, &ends_[v])) return failed(StatusCode::size_overflow);
    // In the arena an alias may reach beyond what it stands on: the buffer grows with it.
    const uint32_t root = roots_[v];
    if (plan_.values[root].storage != Storage::arena && ends_[v] > ends_[root])
      return failed(StatusCode::bad_plan, static_cast<int64_t>(ends_[v]), static_cast<int64_t>(ends_[root]));
  }
  return {};
}

void Runtime::point_views() {
  for (uint32_t v = 0; v < plan_.values.count; ++v) {
    const uint32_t root = roots_[v];
    const PlanValue& owner = plan_.values[root];
    if (owner.storage == Storage::arena) {
      views_[v].data = arena_ + buffers_[root].offset + offsets_[v];
    } else if (owner.storage == Storage::constant) {
      // steps only write to their outputs
      views_[v].data = const_cast<std::byte*>(constants_[owner.index]) + offsets_[v];
    }
  }
}

Status Runtime::reserve(const int64_t* symbols) {
  ready_ = false;
  std::copy(symbols, symbols + plan_.symbol_count, symbols_);
  Status status = evaluate_sizes(symbols);
  if (status.ok()) status = shape_views();
  if (!status.ok()) return status;
  for (uint32_t v = 0; v < plan_.values.count; ++v) {
    if (plan_.values[v].storage == Storage::arena) {
      buffers_[v].size = std::max(buffers_[v].size, ends_[v]);
      buffers_[v].first_step = plan_.values[v].first_step;
      buffers_[v].last_step = plan_.values[v].last_step;
    } else {
      buffers_[v].size = 0;
    }
  }
  for (uint32_t v = 0; v < plan_.values.count; ++v) {  // an alias may not be larger than what it stands on
    const uint32_t root = roots_[v];
    if (plan_.values[root].storage == Storage::arena)
      buffers_[root].size = std::max(buffers_[root].size, ends_[v]);
  }
  const size_t needed = place_buffers(buffers_, plan_.values.count, placement_scratch_);
  if (needed > arena_capacity_) {
    std::byte* grown = needed > options_.memory_limit ? nullptr : allocate(needed);
    if (grown == nullptr) {
      // The offsets are those of an arena that does not exist: the next bind starts from nothing.
      for (uint32_t v = 0; v < plan_.values.count; ++v) buffers_[v].size = 0;
      reserved_ = false;
      if (needed <= options_.memory_limit)
        return failed(StatusCode::out_of_memory, static_cast<int64_t>(needed));
      return failed(StatusCode::memory_limit, static_cast<int64_t>(needed),
                    static_cast<int64_t>(options_.memory_limit));
    }
    std::free(arena_);
    arena_ = grown;
    arena_capacity_ = needed;
  }
  reserved_ = true;
  point_views();
  return bind_steps();
}

void Runtime::cut(BoundStep& bound) const {
  bound.tasks = bound.grain = 0;
  if (bound.row->run_part == nullptr) return;
  const StepParts parts = bound.row->parts(bound.context);
  bound.tasks = parts.tasks;
  const Executor& executor = options_.executor;
  if (executor.workers == 1 || parts.tasks < 2 || parts.cost < executor.least_step) return;
  const int64_t most_ranges = parts.cost / std::max<int64_t>(1, executor.least_range);
  bound.grain = std::max<int64_t>(1, parts.tasks / std::max<int64_t>(1, most_ranges));
}

Status Runtime::bind_steps() {
  size_t scratch_needed = 0;
  scratch_slice_ = 0;
  cut_ = false;
  for (uint32_t s = 0; s < plan_.steps.count; ++s) {
    BoundStep& bound = bound_[s];
    if (bound.row == nullptr) continue;
    size_t bytes = 0;
    Status status = bound.row->bind(bound.context, &bytes);
    if (!status.ok()) {
      status.step = s;
      return status;
    }
    cut(bound);
    scratch_needed = std::max(scratch_needed, bytes);
    cut_ = cut_ || bound.grain > 0;
    if (bound.grain > 0) scratch_slice_ = std::max(scratch_slice_, bytes);
  }
  scratch_slice_ = (scratch_slice_ + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
  scratch_needed = std::max(scratch_needed, scratch_slice_ * options_.executor.workers);
  const size_t nested = body_bytes();
  if (nested > 0 && arena_capacity_ + scratch_needed + nested > options_.memory_limit) {
    return failed(StatusCode::memory_limit, static_cast<int64_t>(arena_capacity_ + scratch_needed + nested),
                  static_cast<int64_t>(options_.memory_limit));
  }
  if (scratch_needed > scratch_capacity_) {
    if (scratch_needed > options_.memory_limit - std::min(arena_capacity_, options_.memory_limit)) {
      return failed(StatusCode::memory_limit, static_cast<int64_t>(arena_capacity_ + scratch_needed),
                    static_cast<int64_t>(options_.memory_limit));
    }
    std::byte* grown = allocate(scratch_needed);
    if (grown == nullptr) return failed(StatusCode::out_of_memory, static_cast<int64_t>(scratch_needed));
    std::free(scratch_);
    scratch_ = grown;
    scratch_capacity_ = scratch_needed;
  }
  for (uint32_t s = 0; s < plan_.steps.count; ++s) bound_[s].context.scratch = scratch_;
  ready_ = true;
  return {};
}

Status Runtime::bind(const int64_t* symbols) {
  const bool same = ready_ && std::equal(symbols, symbols + plan_.symbol_count, symbols_);
  if (same) return {};
  if (!reserved_) return reserve(symbols);
  ready_ = false;
  std::copy(symbols, symbols + plan_.symbol_count, symbols_);
  Status status = evaluate_sizes(symbols);
  if (status.ok()) status = shape_views();
  if (!status.ok()) return status;
  bool fits = true;
  for (uint32_t v = 0; v < plan_.values.count && fits; ++v) {
    const uint32_t root = roots_[v];
    fits = plan_.values[root].storage != Storage::arena || ends_[v] <= buffers_[root].size;
  }
  if (fits) {
    point_views();  // parts of a buffer begin elsewhere
    return bind_steps();
  }
  if (options_.fixed_memory) {
    return failed(StatusCode::memory_limit, 0, static_cast<int64_t>(arena_capacity_));
  }
  // Geometric growth: what is too small doubles at least, so that a slowly growing sequence reserves rarely.
  for (uint32_t v = 0; v < plan_.values.count; ++v) {
    const uint32_t root = roots_[v];
    if (plan_.values[root].storage == Storage::arena && ends_[v] > buffers_[root].size) {
      buffers_[root].size = std::max(ends_[v], 2 * buffers_[root].size);
    }
  }
  status = reserve(symbols);
  // Where twice as much is refused, as much as is needed may fit.
  const bool too_much = status.code == StatusCode::memory_limit || status.code == StatusCode::out_of_memory;
  return too_much && !reserved_ ? reserve(symbols) : status;
}

void Runtime::run_part(const BoundStep& bound, int64_t begin, int64_t end, uint32_t worker) {
  StepContext own = bound.context;
  own.scratch = scratch_ + worker * scratch_slice_;
  const Status status = bound.row->run_part(own, begin, end);
  Failure& failure = failures_[worker];
  if (!status.ok() && begin < failure.task) failure = {begin, status};
}

Status Runtime::run_in_parts(const BoundStep& bound) {
  struct Job {
    Runtime* runtime;
    const BoundStep* bound;
  } job = {this, &bound};
  const Executor& executor = options_.executor;
  executor.run(
      executor.self, bound.tasks, bound.grain,
      [](void* data, int64_t begin, int64_t end, uint32_t worker) {
        const Job& j = *static_cast<Job*>(data);
        j.runtime->run_part(*j.bound, begin, end, worker);
      },
      &job);
  // Every part has run, so the first failure is the one that a single thread would have met.
  Failure first;
  for (uint32_t w = 0; w < executor.workers; ++w) {
    if (failures_[w].task < first.task) first = failures_[w];
    failures_[w].task = INT64_MAX;
  }
  return first.status;
}

Status Runtime::run_step(const BoundStep& bound) {
  const StepContext& c = bound.context;
  if (bound.row == nullptr) {
    return options_.evaluate(options_.host, c.step->node, c.inputs, c.step->input_count, c.outputs,
                             c.step->output_count);
  }
  if (bound.row->run_part == nullptr) return bound.row->run(c);
  return bound.grain == 0 ? bound.row->run_part(c, 0, bound.tasks) : run_in_parts(bound);
}

Status Runtime::run(const std::byte* const* inputs) {
  if (!ready_) return failed(StatusCode::bad_plan);
  for (uint32_t v = 0; v < plan_.values.count; ++v) {
    const PlanValue& owner = plan_.values[roots_[v]];
    if (owner.storage == Storage::input)
      views_[v].data = const_cast<std::byte*>(inputs[owner.index]) + offsets_[v];
  }
  const Executor& executor = options_.executor;
  if (!cut_ || executor.hold == nullptr) return run_steps();
  struct Job {
    Runtime* runtime;
    Status status;
  } job = {this, {}};
  executor.hold(
      executor.self,
      [](void* data) {
        Job& j = *static_cast<Job*>(data);
        j.status = j.runtime->run_steps();
      },
      &job);
  return job.status;
}

Status Runtime::run_steps() {
  const bool watched =
      options_.before_step != nullptr || options_.after_step != nullptr || options_.cancelled != nullptr;
  for (uint32_t s = 0; s < plan_.steps.count; ++s) {
    const BoundStep& bound = bound_[s];
    if (watched) {
      if (options_.cancelled != nullptr && options_.cancelled(options_.host)) {
        Status status = failed(StatusCode::cancelled);
        status.step = s;
        return status;
      }
      if (options_.before_step != nullptr) options_.before_step(options_.host, s);
    }
    Status status = run_step(bound);
    if (!status.ok()) {
      status.step = s;
      return status;
    }
    if (options_.after_step != nullptr) options_.after_step(options_.host, s);
  }
  return {};
}

size_t Runtime::arena_lower_bound() const {
  size_t bytes = largest_live_set(buffers_, plan_.values.count);
  for (uint32_t b = 0; b < plan_.bodies.count; ++b) bytes += bodies_[b].arena_lower_bound();
  return bytes;
}

}  // namespace nnefrun
