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
  if (model_.plan) {
    for (size_t i = 0; i < model_.plan->caches.size(); ++i) {
      const PlanCache& cache = model_.plan->caches[i];
      if (cache.input != loop.input || cache.output != loop.result) continue;
      loop.cache = i;
      loop.axis = static_cast<int>(cache.axis);
      buffers_[i] = {};
      buffers_[i].loop = loops_.size();
      resize(i, loop.shape, std::max(capacity, loop.shape[cache.axis]), 0);
    }
  }
  if (!loop.cache) loop.value = Tensor::zeros(loop.dtype, loop.shape);
  loops_.push_back(std::move(loop));
  return loops_.size() - 1;
}

int64_t FeedbackLoops::length(size_t pair) const {
  const Loop& loop = loops_[pair];
  return loop.axis < 0 ? 0 : loop.shape[static_cast<size_t>(loop.axis)];
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
  resized_ = true;
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

void FeedbackLoops::truncate(size_t pair, int64_t length) {
  Loop& loop = loops_[pair];
  const int64_t now = this->length(pair);
  if (loop.axis < 0 || length < 0 || length > now) {
    throw Error("feedback-length",
                "a state of length " + std::to_string(now) + " is not cut to " + std::to_string(length));
  }
  const auto axis = static_cast<size_t>(loop.axis);
  if (!loop.cache && length != now) loop.value = front(loop.value, axis, length);
  loop.shape[axis] = length;
}

void FeedbackLoops::assign(size_t pair, const Tensor& value) {
  Loop& loop = loops_[pair];
  if (value.dtype() != loop.dtype || value.shape().size() != loop.shape.size()) {
    throw Error("feedback-type", "a state of type " + std::string(name_of(loop.dtype)) + " and rank " +
                                     std::to_string(loop.shape.size()) + " is not " +
                                     std::string(name_of(value.dtype())) + " " + to_string(value.shape()));
  }
  loop.shape = value.shape();
  if (!loop.cache) {
    loop.value = value;
    return;
  }
  Buffer& buffer = buffers_[*loop.cache];
  resize(*loop.cache, loop.shape, std::max(buffer.capacity, length(pair)), 0);
  const size_t row = inner_bytes(buffer, *loop.cache), part = row * static_cast<size_t>(length(pair));
  for (int64_t i = 0; part > 0 && i < outer(buffer, *loop.cache); ++i) {
    std::memcpy(buffer.bytes.data() + static_cast<size_t>(i * buffer.capacity) * row,
                value.bytes() + static_cast<size_t>(i) * part, part);
  }
}

Tensor FeedbackLoops::value(size_t pair) const {
  const Loop& loop = loops_[pair];
  return loop.cache ? dense(*loop.cache, length(pair)) : loop.value;
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
    all[loop.input] = loop.cache
                          ? Tensor::wrap(loop.dtype, loop.shape, nullptr, buffers_[*loop.cache].bytes.data())
                          : loop.value;
  }
  return all;
}

void FeedbackLoops::argument_types(const std::vector<Tensor>& given, std::vector<InputType>& types) const {
  types.clear();
  for (const Tensor& tensor : given) types.push_back({tensor.dtype(), &tensor.shape()});
  for (const Loop& loop : loops_) {
    if (loop.input < types.size()) types[loop.input] = {loop.dtype, &loop.shape};
  }
}

void FeedbackLoops::make_room(SymbolValues& symbols) {
  for (size_t i = 0; i < buffers_.size(); ++i) {
    Buffer& buffer = buffers_[i];
    const PlanCache& planned = model_.plan->caches[i];
    Shape& shape = wanted_;
    shape.clear();
    for (const Dim& extent : model_.graph.fact(model_.graph.outputs[planned.output].outlet).shape)
      shape.push_back(extent.evaluate(symbols).value_or(0));
    const int64_t length = shape[planned.axis];
    int64_t past =
        *model_.graph.fact(model_.graph.inputs[planned.input]).shape[planned.axis].evaluate(symbols);
    bool same_others = shape.size() == buffer.shape.size();
    for (size_t axis = 0; same_others && axis < shape.size(); ++axis)
      same_others = axis == planned.axis || shape[axis] == buffer.shape[axis];
    if (buffer.loop) {
      // Twice as much when it is full, so that a sequence grows rarely.
      if (length > buffer.capacity || !same_others) {
        const int64_t capacity =
            length > buffer.capacity ? std::max(length, 2 * buffer.capacity) : buffer.capacity;
        resize(i, shape, capacity, same_others ? past : 0);
      }
      past = buffer.capacity;
    } else if (buffer.capacity != length || !same_others) {
      resize(i, shape, length, 0);
    }
    buffer.shape = shape;
    symbols[model_.plan->caches[i].in_pitch] = past;
    symbols[model_.plan->caches[i].out_pitch] = buffer.capacity;
  }
  resized_ = false;
}

std::optional<SymbolValues> FeedbackLoops::when_full(const SymbolValues& symbols) const {
  std::optional<SymbolValues> full;
  for (size_t i = 0; i < buffers_.size(); ++i) {
    if (!buffers_[i].loop) continue;
    const PlanCache& planned = model_.plan->caches[i];
    const std::string_view past =
        model_.graph.fact(model_.graph.inputs[planned.input]).shape[planned.axis].as_symbol();
    if (past.empty()) continue;
    const auto now = symbols.find(past);
    const int64_t room = buffers_[i].capacity - buffers_[i].shape[planned.axis];
    if (now == symbols.end() || room <= 0) continue;
    if (!full) full = symbols;
    int64_t& most = full->find(past)->second;
    // Of several caches that one symbol measures, the first to be full counts.
    most = most == now->second ? now->second + room : std::min(most, now->second + room);
  }
  return full;
}

void FeedbackLoops::append_buffers(std::vector<const std::byte*>& data) const {
  for (const Loop& loop : loops_)  // where they lie now: making room may have moved them
    data[loop.input] = loop.cache ? buffers_[*loop.cache].bytes.data() : loop.value.bytes();
  for (const Buffer& buffer : buffers_) data.push_back(buffer.bytes.data());
}

void FeedbackLoops::advance(const std::function<void(size_t, Tensor&)>& copy_result) {
  for (Loop& loop : loops_) {
    if (loop.cache) {
      loop.shape = buffers_[*loop.cache].shape;
    } else {
      copy_result(loop.result, loop.next);
      std::swap(loop.value, loop.next);
      loop.shape = loop.value.shape();
    }
  }
}

void FeedbackLoops::advance(const std::vector<Tensor>& results) {
  for (Loop& loop : loops_) {
    loop.value = results[loop.result];
    loop.shape = loop.value.shape();
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
