#include "engine/feedback.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "engine/graph/op_def.h"

namespace nnefrun {
namespace {

// The first axis along which two facts differ; -1 when there is none.
int growing_axis(const Fact& from, const Fact& to) {
  for (size_t i = 0; i < from.shape.size(); ++i) {
    if (from.shape[i] != to.shape[i]) return static_cast<int>(i);
  }
  return -1;
}

// The part [0, length) of an axis.
Tensor front(const Tensor& value, size_t axis, int64_t length) {
  Shape shape = value.shape();
  shape[axis] = length;
  Tensor out = Tensor::uninitialized(value.dtype(), shape);
  if (out.byte_size() == 0) return out;
  int64_t outer = 1;
  for (size_t i = 0; i < axis; ++i) outer *= shape[i];
  const size_t row = value.byte_size() / static_cast<size_t>(outer * value.shape()[axis]);
  const size_t part = row * static_cast<size_t>(length),
               whole = row * static_cast<size_t>(value.shape()[axis]);
  std::byte* to = out.mutable_bytes();
  for (int64_t i = 0; i < outer; ++i) {
    std::memcpy(to + static_cast<size_t>(i) * part, value.bytes() + static_cast<size_t>(i) * whole, part);
  }
  return out;
}

}  // namespace

FeedbackLoops::FeedbackLoops(const CompiledModel& model) : model_(model) {
  if (model.plan) buffers_.resize(model.plan->caches.size());
}

size_t FeedbackLoops::add(const std::string& result, const std::string& input, int64_t capacity) {
  const Graph& graph = model_.graph;
  Loop loop;
  const auto output = std::find_if(graph.outputs.begin(), graph.outputs.end(),
                                   [&](const GraphOutput& o) { return o.name == result; });
  if (output == graph.outputs.end())
    throw Error("feedback-unknown", "the graph has no result `" + result + "`");
  const auto external = std::find_if(graph.inputs.begin(), graph.inputs.end(),
                                     [&](Outlet i) { return graph.name_of(i) == input; });
  if (external == graph.inputs.end()) throw Error("input-unknown", "the graph has no input `" + input + "`");
  loop.result = static_cast<size_t>(output - graph.outputs.begin());
  loop.input = static_cast<size_t>(external - graph.inputs.begin());
  const Fact &from = graph.fact(output->outlet), &to = graph.fact(*external);
  if (from.dtype != to.dtype || from.rank() != to.rank()) {
    throw Error("feedback-type", "result `" + result + "` is " + from.to_string() + ", input `" + input +
                                     "` is " + to.to_string());
  }
  for (const Loop& other : loops_) {
    if (other.input == loop.input || other.result == loop.result)
      throw Error("input-repeated", "`" + result + "` or `" + input + "` is in a pair already");
  }
  loop.axis = growing_axis(to, from);
  loop.dtype = to.dtype;
  for (const Dim& extent : to.shape) loop.shape.push_back(extent.is_constant() ? extent.value() : 0);
  if (loop.axis >= 0) loop.length = loop.shape[static_cast<size_t>(loop.axis)];
  if (model_.plan) {
    for (size_t i = 0; i < model_.plan->caches.size(); ++i) {
      const PlanCache& cache = model_.plan->caches[i];
      if (cache.input != loop.input || cache.output != loop.result) continue;
      loop.cache = i;
      loop.axis = static_cast<int>(cache.axis);
      loop.length = loop.shape[cache.axis];
      buffers_[i] = {};
      buffers_[i].loop = loops_.size();
      resize(i, loop.shape, std::max(capacity, loop.length), 0);
    }
  }
  if (!loop.cache) loop.value = Tensor::zeros(loop.dtype, loop.shape);
  loops_.push_back(std::move(loop));
  return loops_.size() - 1;
}

int64_t FeedbackLoops::outer(const Buffer& buffer, size_t cache) const {
  int64_t volume = 1;
  for (size_t i = 0; i < model_.plan->caches[cache].axis; ++i) volume *= buffer.shape[i];
  return volume;
}
size_t FeedbackLoops::inner_bytes(const Buffer& buffer, size_t cache) const {
  const PlanCache& planned = model_.plan->caches[cache];
  size_t bytes = item_size(model_.graph.fact(model_.graph.inputs[planned.input]).dtype);
  for (size_t i = planned.axis + 1; i < buffer.shape.size(); ++i)
    bytes *= static_cast<size_t>(buffer.shape[i]);
  return bytes;
}

// New bytes for this capacity; the first `kept` of the axis stay.
void FeedbackLoops::resize(size_t cache, const Shape& shape, int64_t capacity, int64_t kept) {
  Buffer& buffer = buffers_[cache];
  Buffer next;
  next.loop = buffer.loop;
  next.shape = shape;
  next.capacity = capacity;
  const int64_t rows = outer(next, cache);
  const size_t row = inner_bytes(next, cache);
  next.bytes.resize(static_cast<size_t>(rows * capacity) * row);
  for (int64_t i = 0; kept > 0 && i < rows; ++i) {
    std::memcpy(next.bytes.data() + static_cast<size_t>(i * capacity) * row,
                buffer.bytes.data() + static_cast<size_t>(i * buffer.capacity) * row,
                static_cast<size_t>(kept) * row);
  }
  buffer = std::move(next);
}

Tensor FeedbackLoops::dense(size_t cache, int64_t length) const {
  const Buffer& buffer = buffers_[cache];
  const PlanCache& planned = model_.plan->caches[cache];
  Shape shape = buffer.shape;
  shape[planned.axis] = length;
  Tensor out = Tensor::uninitialized(model_.graph.fact(model_.graph.inputs[planned.input]).dtype, shape);
  if (out.byte_size() == 0) return out;
  const size_t row = inner_bytes(buffer, cache), part = row * static_cast<size_t>(length);
  std::byte* to = out.mutable_bytes();
  for (int64_t i = 0; i < outer(buffer, cache); ++i) {
    std::memcpy(to + static_cast<size_t>(i) * part,
                buffer.bytes.data() + static_cast<size_t>(i * buffer.capacity) * row, part);
  }
  return out;
}

Shape FeedbackLoops::shape_of(const Loop& loop) const {
  Shape shape = loop.shape;
  if (loop.axis >= 0) shape[static_cast<size_t>(loop.axis)] = loop.length;
  return shape;
}

void FeedbackLoops::truncate(size_t pair, int64_t length) {
  Loop& loop = loops_[pair];
  if (loop.axis < 0 || length < 0 || length > loop.length) {
    throw Error("feedback-length", "a state of length " + std::to_string(loop.length) + " is not cut to " +
                                       std::to_string(length));
  }
  if (!loop.cache && length != loop.length)
    loop.value = front(loop.value, static_cast<size_t>(loop.axis), length);
  loop.length = length;
}

void FeedbackLoops::assign(size_t pair, const Tensor& value) {
  Loop& loop = loops_[pair];
  if (value.dtype() != loop.dtype || value.shape().size() != loop.shape.size()) {
    throw Error("feedback-type", "a state of type " + std::string(name_of(loop.dtype)) + " and rank " +
                                     std::to_string(loop.shape.size()) + " is not " +
                                     std::string(name_of(value.dtype())) + " " + to_string(value.shape()));
  }
  loop.shape = value.shape();
  if (loop.axis >= 0) loop.length = value.shape()[static_cast<size_t>(loop.axis)];
  if (!loop.cache) {
    loop.value = value;
    return;
  }
  Buffer& buffer = buffers_[*loop.cache];
  resize(*loop.cache, loop.shape, std::max(buffer.capacity, loop.length), 0);
  const size_t row = inner_bytes(buffer, *loop.cache), part = row * static_cast<size_t>(loop.length);
  for (int64_t i = 0; part > 0 && i < outer(buffer, *loop.cache); ++i) {
    std::memcpy(buffer.bytes.data() + static_cast<size_t>(i * buffer.capacity) * row,
                value.bytes() + static_cast<size_t>(i) * part, part);
  }
}

Tensor FeedbackLoops::value(size_t pair) const {
  const Loop& loop = loops_[pair];
  return loop.cache ? dense(*loop.cache, loop.length) : loop.value;
}

void FeedbackLoops::reset() {
  for (size_t pair = 0; pair < loops_.size(); ++pair) {
    const Fact& fact = model_.graph.fact(model_.graph.inputs[loops_[pair].input]);
    Shape shape;
    for (const Dim& extent : fact.shape) shape.push_back(extent.is_constant() ? extent.value() : 0);
    assign(pair, Tensor::zeros(loops_[pair].dtype, shape));
  }
}

std::vector<Tensor> FeedbackLoops::arguments(const std::vector<Tensor>& given) const {
  std::vector<Tensor> all = given;
  for (const Loop& loop : loops_) {
    if (loop.input >= all.size()) continue;
    all[loop.input] =
        loop.cache ? Tensor::wrap(loop.dtype, shape_of(loop), nullptr, buffers_[*loop.cache].bytes.data())
                   : loop.value;
  }
  return all;
}

void FeedbackLoops::make_room(SymbolValues& symbols) {
  for (size_t i = 0; i < buffers_.size(); ++i) {
    Buffer& buffer = buffers_[i];
    const PlanCache& planned = model_.plan->caches[i];
    Shape shape;
    for (const Dim& extent : model_.graph.fact(model_.graph.outputs[planned.output].outlet).shape)
      shape.push_back(extent.evaluate(symbols).value_or(0));
    const int64_t length = shape[planned.axis];
    int64_t past =
        *model_.graph.fact(model_.graph.inputs[planned.input]).shape[planned.axis].evaluate(symbols);
    Shape others = shape;
    others[planned.axis] = buffer.shape.empty() ? 0 : buffer.shape[planned.axis];
    if (buffer.loop) {
      // Twice as much when it is full, so that a sequence grows rarely.
      if (length > buffer.capacity || others != buffer.shape) {
        const int64_t capacity =
            length > buffer.capacity ? std::max(length, 2 * buffer.capacity) : buffer.capacity;
        resize(i, shape, capacity, others == buffer.shape ? past : 0);
      }
      past = buffer.capacity;
    } else if (buffer.capacity != length || others != buffer.shape) {
      resize(i, shape, length, 0);
    }
    buffer.shape = shape;
    symbols[model_.plan->caches[i].in_pitch] = past;
    symbols[model_.plan->caches[i].out_pitch] = buffer.capacity;
  }
}

void FeedbackLoops::append_buffers(std::vector<const std::byte*>& data) const {
  for (const Loop& loop : loops_) {  // where they lie now: making room may have moved them
    if (loop.cache) data[loop.input] = buffers_[*loop.cache].bytes.data();
  }
  for (const Buffer& buffer : buffers_) data.push_back(buffer.bytes.data());
}

void FeedbackLoops::advance(const std::function<Tensor(size_t)>& result) {
  for (Loop& loop : loops_) {
    if (loop.cache) {
      loop.shape = buffers_[*loop.cache].shape;
      loop.length = loop.shape[static_cast<size_t>(loop.axis)];
    } else {
      loop.value = result(loop.result);
      loop.shape = loop.value.shape();
      if (loop.axis >= 0) loop.length = loop.shape[static_cast<size_t>(loop.axis)];
    }
  }
}

std::optional<Tensor> FeedbackLoops::cached_result(size_t output) const {
  for (size_t i = 0; i < buffers_.size(); ++i) {
    const PlanCache& planned = model_.plan->caches[i];
    if (planned.output != output) continue;
    if (buffers_[i].loop)
      return Tensor::zeros(model_.graph.fact(model_.graph.inputs[planned.input]).dtype, {0});
    return dense(i, buffers_[i].shape[planned.axis]);
  }
  return std::nullopt;
}

std::optional<Tensor> FeedbackLoops::cache_of_node(uint32_t node) const {
  for (size_t i = 0; i < buffers_.size(); ++i) {
    const PlanCache& planned = model_.plan->caches[i];
    if (model_.graph.outputs[planned.output].outlet.node == node)
      return dense(i, buffers_[i].shape[planned.axis]);
  }
  return std::nullopt;
}

size_t FeedbackLoops::byte_size() const {
  size_t bytes = 0;
  for (const Buffer& buffer : buffers_) bytes += buffer.bytes.size();
  return bytes;
}

}  // namespace nnefrun
