// Results that are the next run's inputs: the state of a session that its caller sees (Session::feedback).
//
// A pair whose result is the input with more behind it along one axis (concat([input, new], axis), nothing
// else reading the input) is one buffer with room to spare: the run appends in place and nothing is copied
// from run to run. Any other pair is kept as a tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/compiler.h"
#include "engine/graph/interpreter.h"

namespace nnefrun {

class FeedbackLoops {
 public:
  explicit FeedbackLoops(const CompiledModel& model);

  // See Session::feedback. Returns the number of the pair.
  size_t add(const std::string& result, const std::string& input, int64_t capacity);
  int64_t length(size_t pair) const;
  void truncate(size_t pair, int64_t length);
  void assign(size_t pair, const Tensor& value);
  Tensor value(size_t pair) const;
  bool is_in_place(size_t pair) const { return loops_[pair].cache.has_value(); }
  // Every pair is as long as it was before its first run: nothing, or zeros.
  void reset();

  // The inputs of a run: those of pairs are replaced by what they hold.
  std::vector<Tensor> arguments(const std::vector<Tensor>& given) const;
  // The same without the bytes. Allocates nothing when `types` has held the inputs of a run before.
  void argument_types(const std::vector<Tensor>& given, std::vector<InputType>& types) const;
  // Whether the buffers are as long along their axes as make_room() left them.
  bool has_room() const { return !resized_; }
  // What the planned caches need under these symbols: sets their pitches and makes room.
  void make_room(SymbolValues& symbols);
  // The symbols of a run that fills the caches which are fed back, its other sizes as in `symbols`; nullopt
  // when no symbol says how long one is.
  std::optional<SymbolValues> when_full(const SymbolValues& symbols) const;
  // The bytes of pairs in the place of the inputs that they feed; behind the inputs and variables of a run
  // the buffers of the planned caches.
  void append_buffers(std::vector<const std::byte*>& data) const;
  // A run of the plan has succeeded: pairs hold its results. `copy_result(i, to)` copies result i of the
  // graph, over what was there when it fits.
  void advance(const std::function<void(size_t, Tensor&)>& copy_result);
  // The same for a run by evaluation.
  void advance(const std::vector<Tensor>& results);
  // The cache that result `output` of the graph is written to, as a dense tensor; empty for one that is fed
  // back, nullopt when it is none.
  std::optional<Tensor> cached_result(size_t output) const;
  // The same for the node of a cache, fed back or not.
  std::optional<Tensor> cache_of_node(uint32_t node) const;
  size_t byte_size() const;

 private:
  struct Loop {
    size_t result = 0, input = 0;
    int axis = -1;  // that grows; -1: none
    Shape shape;    // of the input
    DataType dtype = DataType::f32;
    std::optional<size_t> cache;
    Tensor value, next;  // without a cache; `next` is room for the next value
  };
  // A planned cache and its bytes.
  struct Buffer {
    std::vector<std::byte> bytes;
    int64_t capacity = 0;  // along the axis
    std::optional<size_t> loop;
    Shape shape;  // of the result of the last run
  };
  int64_t outer(const Buffer& buffer, size_t cache) const;
  size_t inner_bytes(const Buffer& buffer, size_t cache) const;
  void resize(size_t cache, const Shape& shape, int64_t capacity, int64_t kept);
  Tensor dense(size_t cache, int64_t length) const;

  const CompiledModel& model_;
  std::vector<Loop> loops_;
  std::vector<Buffer> buffers_;
  bool resized_ = false;
  Shape wanted_;  // see make_room()
};

}  // namespace nnefrun
