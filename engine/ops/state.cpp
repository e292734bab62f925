// Operators along a stream that remember what came before: delays, masks and pads of pulsed models, and
// exponential normalisations (tract-opl 5.6 and 5.7).
#include <algorithm>
#include <cmath>

#include "engine/ops/checks.h"
#include "engine/ops/items.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

constexpr int64_t kForever = int64_t{1} << 62;

// Cells [begin, end) of an axis.
Tensor cells_of(const Tensor& value, size_t axis, int64_t begin, int64_t end) {
  Shape shape = value.shape();
  const auto strides = strides_of(shape);
  shape[axis] = end - begin;
  return take_strided(value, shape, begin == end ? 0 : begin * strides[axis], strides);
}

// `count` cells of one value, shaped like `like` off the axis.
Tensor filled_cells(const Tensor& like, const Tensor& item, size_t axis, int64_t count) {
  Shape shape = like.shape();
  shape[axis] = count;
  return take_strided(item, shape, 0, std::vector<int64_t>(shape.size(), 0));
}

size_t stream_axis(const NodeReader& c, int rank) {
  return static_cast<size_t>(checked_axis(c, c.integer("axis"), rank));
}

int64_t read_count(const NodeReader& c, std::string_view attribute) {
  const int64_t value = c.integer(attribute);
  require_range(c, attribute, value, 0, int64_t{1} << 31);
  return value;
}

// A position that may hold a symbol without a value: then it lies beyond everything.
int64_t position_or_forever(const EvalContext& c, std::string_view attribute) {
  const auto value = c.dim(attribute).evaluate(c.symbols);
  return value ? std::clamp<int64_t>(*value, 0, kForever) : kForever;
}

// What is kept between runs must fit what comes now; only the stream's axis may vary.
void check_kept(const NodeReader& c, const Tensor& kept, const Tensor& input, size_t axis) {
  Shape shape = kept.shape();
  if (shape.size() == input.shape().size()) shape[axis] = input.shape()[axis];
  if (shape == input.shape() && kept.dtype() == input.dtype()) return;
  throw c.fail("state-mismatch", c.signature().name + ": the input has shape " + to_string(input.shape()) +
                                     ", but earlier runs left a state of shape " + to_string(kept.shape()));
}

Fact unchanged(const Fact& input) {
  Fact fact = input;
  fact.constant = nullptr;
  fact.dims = nullptr;
  return fact;
}

int64_t& position_of(OpState& state) {
  if (state.counters.empty()) state.counters = {0};
  state.started = true;
  return state.counters[0];
}

// ---- delay ----

std::vector<Fact> infer_delay(InferContext& c) {
  Fact fact = unchanged(c.input("input"));
  const size_t axis = stream_axis(c, fact.rank());
  read_count(c, "delay");
  fact.shape[axis] = fact.shape[axis] + read_count(c, "overlap");
  return {fact};
}

// The first cells of what is kept and what comes leave; the last delay + overlap cells are kept.
std::vector<Tensor> eval_delay(EvalContext& c) {
  const Tensor& input = c.input("input");
  const size_t axis = stream_axis(c, input.rank());
  const int64_t overlap = read_count(c, "overlap"), kept = read_count(c, "delay") + overlap;
  const int64_t pulse = input.dim(static_cast<int>(axis));
  OpState& state = *c.state;
  if (!state.started) {
    state.tensors = {filled_cells(input, item_of(0, input.dtype(), c.input_fact("input").quant), axis, kept)};
    state.started = true;
  }
  check_kept(c, state.tensors[0], input, axis);
  const Tensor all = concat_items({state.tensors[0], input}, axis);
  state.tensors[0] = cells_of(all, axis, pulse, pulse + kept);
  return {cells_of(all, axis, 0, pulse + overlap)};
}

// ---- mask ----

std::vector<Fact> infer_mask(InferContext& c) {
  const Fact& input = c.input("input");
  stream_axis(c, input.rank());
  read_count(c, "begin");
  c.dim("end");
  c.scalar("value");
  return {unchanged(input)};
}

// Replaces the cells [from, to) of `value` (clamped to its extent) by `cells`, one cell or a single item.
Tensor replaced(const Tensor& value, size_t axis, int64_t from, int64_t to, const Tensor& item) {
  const int64_t extent = value.dim(static_cast<int>(axis));
  from = std::clamp<int64_t>(from, 0, extent);
  to = std::clamp<int64_t>(to, from, extent);
  if (from == to) return value;
  Tensor middle;
  if (item.size() == 1) {
    middle = filled_cells(value, item, axis, to - from);
  } else {
    Shape shape = value.shape();
    shape[axis] = to - from;
    auto strides = strides_of(item.shape());
    strides[axis] = 0;
    middle = take_strided(item, shape, 0, strides);
  }
  return concat_items({cells_of(value, axis, 0, from), middle, cells_of(value, axis, to, extent)}, axis);
}

std::vector<Tensor> eval_mask(EvalContext& c) {
  const Tensor& input = c.input("input");
  const size_t axis = stream_axis(c, input.rank());
  const int64_t pulse = input.dim(static_cast<int>(axis));
  int64_t& position = position_of(*c.state);
  const Tensor item = item_of(c.scalar("value"), input.dtype(), c.input_fact("input").quant);
  Tensor out = replaced(input, axis, 0, read_count(c, "begin") - position, item);
  out = replaced(out, axis, position_or_forever(c, "end") - position, pulse, item);
  position = std::min(position + pulse, kForever);
  return {out};
}

// ---- pad ----

enum class PulseBorder { constant, replicated };

PulseBorder read_pulse_border(const NodeReader& c) {
  const std::string& text = c.string("border");
  if (text == "constant") return PulseBorder::constant;
  if (text == "replicated" || text == "replicate") return PulseBorder::replicated;
  throw c.fail("attribute-value",
               c.signature().name + ": border '" + text + "' is not one of constant, replicated");
}

std::vector<Fact> infer_pulse_pad(InferContext& c) {
  const Fact& input = c.input("input");
  stream_axis(c, input.rank());
  read_pulse_border(c);
  for (const char* name : {"before", "begin_input", "overlap"}) read_count(c, name);
  c.dim("after");
  c.dim("end_input");
  c.scalar("value");
  return {unchanged(input)};
}

// The stream counts from the first cell ever. Where padding is due, everything in front of begin_input and
// everything from end_input on is overwritten; what precedes the padding is thrown away by the delay of the
// model.
std::vector<Tensor> eval_pulse_pad(EvalContext& c) {
  const Tensor& input = c.input("input");
  const size_t axis = stream_axis(c, input.rank());
  const int64_t pulse = input.dim(static_cast<int>(axis)), overlap = read_count(c, "overlap");
  const int64_t before = read_count(c, "before"), begin_input = read_count(c, "begin_input");
  const int64_t end_input = position_or_forever(c, "end_input"), after = position_or_forever(c, "after");
  const bool replicates = read_pulse_border(c) == PulseBorder::replicated;
  OpState& state = *c.state;
  int64_t& position = position_of(state);
  const int64_t begin = position, end = position + pulse;
  if (pulse < overlap) {
    throw c.fail("shape-mismatch", c.signature().name + ": a pulse of " + std::to_string(pulse) +
                                       " is shorter than its overlap of " + std::to_string(overlap));
  }
  position = std::min(position + pulse - overlap, kForever);
  if (replicates && after != 0 && begin < end_input && pulse > 0) {
    const int64_t last = std::min(end_input - begin, pulse) - 1;
    state.tensors = {cells_of(input, axis, last, last + 1)};
  }
  const int64_t pad_end = after > kForever - end_input ? kForever : end_input + after;
  if ((begin >= begin_input && end <= end_input) || end <= begin_input - before || begin >= pad_end)
    return {input};

  const Tensor item = item_of(c.scalar("value"), input.dtype(), c.input_fact("input").quant);
  Tensor out = input;
  if (begin < begin_input) {
    const int64_t filled = std::min(begin_input - begin, pulse);
    if (!replicates) {
      out = replaced(out, axis, 0, filled, item);
    } else if (filled < pulse) {  // else the first cell of the input has not come yet
      out = replaced(out, axis, 0, filled, cells_of(input, axis, filled, filled + 1));
    }
  }
  if (end > end_input && after > 0) {
    const int64_t from = std::max<int64_t>(end_input - begin, 0);
    if (!replicates) {
      out = replaced(out, axis, from, pulse, item);
    } else if (!state.tensors.empty()) {
      check_kept(c, state.tensors[0], input, axis);
      out = replaced(out, axis, from, pulse, state.tensors[0]);
    }
  }
  return {out};
}

// ---- exponential normalisations ----

bool is_complex_norm(const NodeReader& c) {
  return c.signature().name == "tract_extra_exp_unit_norm" && c.logical("complex");
}

std::vector<Fact> infer_exp_norm(InferContext& c) {
  const Fact& input = float_input(c, "input");
  const Fact& state = float_input(c, "state");
  require_same_dtype(c, "input", input, "state", state);
  const size_t axis = stream_axis(c, input.rank());
  DimShape expected = input.shape;
  if (is_complex_norm(c)) {
    if (axis + 1 == expected.size()) {
      throw c.fail("axis-out-of-range",
                   c.signature().name + ": the last axis holds the real and the imaginary part");
    }
    require_equal(c, "the last extent of the input", expected.back(), 2);
    expected.pop_back();
  }
  expected.erase(expected.begin() + static_cast<int64_t>(axis));
  require_rank(c, "state", state, static_cast<int>(expected.size()), static_cast<int>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    require_equal(c, "extent " + std::to_string(i) + " of the state", state.shape[i], expected[i]);
  }
  read_count(c, "skip");
  c.scalar("alpha");
  return {unchanged(input)};
}

// Calls f(offset of the first item, index in the state, update) for every item of every slice, slices in
// order. `parts` is 2 when an item is a pair.
template <class F>
void for_each_slice(const EvalContext& c, const Tensor& input, int64_t parts, OpState& state, F&& f) {
  const size_t axis = stream_axis(c, input.rank());
  const Shape& shape = input.shape();
  int64_t outer = 1, inner = 1;
  for (size_t i = 0; i < axis; ++i) outer *= shape[i];
  for (size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  inner /= parts;
  const int64_t skip = read_count(c, "skip"), length = shape[axis];
  for (int64_t t = 0; t < length; ++t) {
    const bool update = position_of(state)++ >= skip;
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) {
        f(static_cast<size_t>(((o * length + t) * inner + i) * parts), static_cast<size_t>(o * inner + i),
          update);
      }
    }
  }
}

// The running values: those of earlier runs, or the argument in the first run and when nothing is to be kept.
std::vector<double> running_values(const EvalContext& c, OpState& state) {
  if (c.logical("stateless") || state.tensors.empty()) {
    state = OpState();
    return as_doubles(c.input("state"));
  }
  return as_doubles(state.tensors[0]);
}

void check_running(const NodeReader& c, const std::vector<double>& running, const std::vector<double>& items,
                   int64_t parts, int64_t length) {
  if (static_cast<int64_t>(running.size()) * length * parts == static_cast<int64_t>(items.size())) return;
  throw c.fail("shape-mismatch", c.signature().name + ": the state has " + std::to_string(running.size()) +
                                     " items, which does not fit the input");
}

std::vector<Tensor> finished(const EvalContext& c, OpState& state, const std::vector<double>& running,
                             const std::vector<double>& items) {
  const Tensor& input = c.input("input");
  state.tensors = {Tensor::of<double>(c.input("state").shape(), running)};
  return {cast_items(Tensor::of<double>(input.shape(), items), input.dtype())};
}

std::vector<Tensor> eval_exp_unit_norm(EvalContext& c) {
  const Tensor& input = c.input("input");
  const int64_t parts = is_complex_norm(c) ? 2 : 1;
  const double alpha = c.scalar("alpha"), epsilon = c.scalar("epsilon");
  auto running = running_values(c, *c.state);
  auto items = as_doubles(input);
  if (parts == 2 && input.shape().back() != 2) {
    throw c.fail("shape-mismatch", c.signature().name + ": the last extent must be 2");
  }
  check_running(c, running, items, parts, input.dim(static_cast<int>(c.integer("axis"))));
  for_each_slice(c, input, parts, *c.state, [&](size_t at, size_t s, bool update) {
    const double norm = parts == 2 ? std::hypot(items[at], items[at + 1]) : std::abs(items[at]);
    if (update) running[s] = std::max(norm, epsilon) * (1 - alpha) + running[s] * alpha;
    for (size_t k = 0; k < static_cast<size_t>(parts); ++k) items[at + k] /= std::sqrt(running[s]);
  });
  return finished(c, *c.state, running, items);
}

std::vector<Tensor> eval_exp_mean_norm(EvalContext& c) {
  const Tensor& input = c.input("input");
  const double alpha = c.scalar("alpha"), scaling = c.scalar("scaling_factor");
  auto running = running_values(c, *c.state);
  auto items = as_doubles(input);
  check_running(c, running, items, 1, input.dim(static_cast<int>(c.integer("axis"))));
  for_each_slice(c, input, 1, *c.state, [&](size_t at, size_t s, bool update) {
    if (update) running[s] = items[at] * (1 - alpha) + running[s] * alpha;
    items[at] = (items[at] - running[s]) / scaling;
  });
  return finished(c, *c.state, running, items);
}

constexpr OpDef kRows[] = {
    {.name = "tract_pulse_delay",
     .infer = infer_delay,
     .eval = eval_delay,
     .stateful = true,
     .types = kItems},
    {.name = "tract_pulse_mask", .infer = infer_mask, .eval = eval_mask, .stateful = true, .types = kItems},
    {.name = "tract_pulse_pulse_pad",
     .infer = infer_pulse_pad,
     .eval = eval_pulse_pad,
     .stateful = true,
     .types = kItems},
    {.name = "tract_extra_exp_unit_norm",
     .infer = infer_exp_norm,
     .eval = eval_exp_unit_norm,
     .stateful = true,
     .types = kFloats},
    {.name = "tract_extra_exp_mean_norm",
     .infer = infer_exp_norm,
     .eval = eval_exp_mean_norm,
     .stateful = true,
     .types = kFloats},
};

}  // namespace

std::span<const OpDef> state_rows() { return kRows; }

}  // namespace nnefrun
