#include "engine/session.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>

#include "engine/feedback.h"
#include "engine/graph/variable.h"
#include "engine/runtime/runtime.h"
#include "engine/thread_pool.h"
#include "kernels/blocked/blocked.h"

namespace nnefrun {
namespace {

using Clock = std::chrono::steady_clock;

int64_t nanoseconds(Clock::duration duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

Tensor tensor_over(const View& view) {
  return Tensor::wrap(view.dtype, Shape(view.dims, view.dims + view.rank), nullptr, view.data);
}

Tensor tensor_like(const View& view) {
  return Tensor::uninitialized(view.dtype, Shape(view.dims, view.dims + view.rank));
}
bool has_shape(const Tensor& tensor, const View& view) {
  return std::equal(tensor.shape().begin(), tensor.shape().end(), view.dims, view.dims + view.rank);
}
// Over the bytes that `copy` has when they fit.
void copy_into(const View& view, Tensor& copy) {
  if (copy.dtype() != view.dtype || !has_shape(copy, view)) copy = tensor_like(view);
  if (copy.byte_size() > 0) std::memcpy(copy.mutable_bytes(), view.data, copy.byte_size());
}
Tensor copy_of(const View& view) {
  Tensor copy = tensor_like(view);
  copy_into(view, copy);
  return copy;
}

// The result of a node without its layout: channel blocks are taken apart.
Tensor logical_copy_of(const View& view, const Fact& fact, bool channels_last) {
  if (channels_last) {
    Shape shape(view.dims, view.dims + view.rank - 1);
    const int64_t channels = fact.shape[1].value(), stride = view.dims[view.rank - 1];
    shape.insert(shape.begin() + 1, channels);
    Tensor plain = Tensor::uninitialized(view.dtype, shape);
    const int64_t positions = volume_of(Shape(shape.begin() + 2, shape.end()));
    const std::byte flip{static_cast<unsigned char>(view.dtype == DataType::i8 ? 0x80 : 0)};
    std::byte* to = plain.mutable_bytes();
    for (int64_t image = 0; image < shape[0]; ++image) {
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t p = 0; p < positions; ++p)
          *to++ = view.data[(image * positions + p) * stride + c] ^ flip;
      }
    }
    return plain;
  }
  if (view.rank == fact.rank()) return copy_of(view);
  Shape shape(view.dims, view.dims + view.rank - 1);
  shape[1] = fact.shape[1].value();
  Tensor plain = Tensor::uninitialized(view.dtype, shape);
  const int64_t positions = volume_of(Shape(shape.begin() + 2, shape.end()));
  kernels::unblock_channels(reinterpret_cast<const float*>(view.data), plain.mutable_data<float>(), shape[0],
                            shape[1], positions);
  return plain;
}

}  // namespace

struct Session::State {
  State(std::shared_ptr<const CompiledModel> compiled, const SessionOptions& chosen)
      : model(std::move(compiled)),
        options(chosen),
        loops(*model),
        pool(chosen.executor != nullptr ? 1 : chosen.threads) {}

  std::shared_ptr<const CompiledModel> model;
  SessionOptions options;
  FeedbackLoops loops;
  GraphState graph_state;
  std::vector<std::pair<Outlet, Tensor>>
      variables;                // current values of updated variables, planned models only
  std::vector<Tensor> pending;  // their next values, when has_pending; else room for them
  bool has_pending = false;
  bool variables_started = false;  // they hold values of a run
  ThreadPool pool;
  Runtime runtime;
  SymbolValues symbols;
  std::vector<int64_t> symbol_values;
  std::vector<InputType> input_types;
  bool is_bound = false;
  std::vector<Shape> bound_shapes;  // of the inputs of the last bind, when is_bound
  bool capacity_reserved = false;   // see reserve_capacity()
  std::vector<const std::byte*> input_data;
  std::exception_ptr failure;
  std::function<void(const Node&, uint32_t, const Tensor&)> observer;
  std::vector<StepProfile>* profile = nullptr;
  Clock::time_point step_start;

  const Graph& graph() const { return model->graph; }

  // The runtime's hook for nodes without a tuned step.
  static Status evaluate(void* host, uint32_t index, const View* const* inputs, uint32_t input_count,
                         View* const* outputs, uint32_t output_count) {
    auto& self = *static_cast<State*>(host);
    try {
      self.evaluate_node(index, inputs, outputs, output_count);
      return {};
    } catch (...) {
      self.failure = std::current_exception();
      return failed(StatusCode::host_failed);
    }
  }

  void evaluate_node(uint32_t index, const View* const* inputs, View* const* outputs, uint32_t output_count) {
    const Node& node = graph().node(index);
    std::vector<Tensor> arguments;
    for (const Outlet& input : node.inputs) {
      const Fact& fact = graph().fact(input);
      if (fact.constant) {
        arguments.push_back(*fact.constant);
      } else {  // what keeps state may keep an argument, whose bytes the arena gives to others
        arguments.push_back(node.op->stateful ? copy_of(**inputs) : tensor_over(**inputs));
        ++inputs;
      }
    }
    OpState* own = node.op->stateful ? &graph_state.nodes[index] : nullptr;
    EvalContext context(node, signature_of(node.op), graph(), std::move(arguments), symbols, own);
    if (node.op->eval == nullptr)
      throw context.fail("internal", std::string(node.op->name) + " cannot be evaluated");
    const std::vector<Tensor> results = node.op->eval(context);
    for (uint32_t r = 0; r < output_count; ++r) {
      const Tensor planned = tensor_over(*outputs[r]);
      if (results[r].shape() != planned.shape() || results[r].dtype() != planned.dtype()) {
        throw context.fail("shape-mismatch", std::string(node.op->name) + " computed " +
                                                 std::string(name_of(results[r].dtype())) + " " +
                                                 to_string(results[r].shape()) + " where " +
                                                 std::string(name_of(planned.dtype())) + " " +
                                                 to_string(planned.shape()) + " was inferred");
      }
      if (planned.byte_size() > 0) std::memcpy(outputs[r]->data, results[r].bytes(), planned.byte_size());
    }
  }

  void reset_variables() {
    variables.clear();
    pending.clear();
    has_pending = variables_started = false;
    for (const auto& update : graph().updates)
      variables.emplace_back(update.first, *graph().node(update.first).initial);
  }

  [[noreturn]] void raise(const Status& status) {
    std::string place;
    const Node* node = nullptr;
    if (status.step != UINT32_MAX) {
      node = &graph().node(model->plan->steps[status.step].node);
      place = std::string(node->op->name) + " (`" + node->result_names[0] + "`): ";
    }
    if (status.code == StatusCode::host_failed && failure) {
      try {
        std::rethrow_exception(std::exchange(failure, nullptr));
      } catch (Error& error) {
        if (node != nullptr) {
          error.at(node->where);
          error.note("while computing `" + node->result_names[0] + "` = " + std::string(node->op->name) +
                     "(...)");
        }
        throw;
      } catch (const std::bad_alloc&) {
        throw Error("out-of-memory", place + describe(StatusCode::out_of_memory));
      }
    }
    static constexpr const char* kCodes[] = {
        "internal",       "out-of-memory",  "memory-limit",   "internal",           "internal",
        "shape-negative", "shape-overflow", "shape-mismatch", "index-out-of-range", "division-by-zero",
        "shape-mismatch", "cancelled",      "internal"};
    const bool slices = node != nullptr && node->op->name == "nnefrun_slice";
    Error error(slices && status.code == StatusCode::index_out_of_range
                    ? "slice-out-of-range"
                    : kCodes[static_cast<size_t>(status.code)],
                place + describe(status.code));
    if (status.detail[0] != 0 || status.detail[1] != 0) {
      error.note("figures: " + std::to_string(status.detail[0]) + ", " + std::to_string(status.detail[1]));
    }
    if (node != nullptr) error.at(node->where);
    throw error;
  }

  void check(const Status& status) {
    if (!status.ok()) raise(status);
  }

  // Symbols from the inputs, then sizes and memory; nothing to do while the shapes stay.
  void bind(const std::vector<Tensor>& given) {
    loops.argument_types(given, input_types);
    bool same = is_bound && loops.has_room() && bound_shapes.size() == input_types.size() && !given.empty();
    for (size_t i = 0; same && i < input_types.size(); ++i) {
      same = *input_types[i].shape == bound_shapes[i] &&
             input_types[i].dtype == graph().fact(graph().inputs[i]).dtype;
    }
    if (same) return;
    const bool again = std::exchange(is_bound, false);
    if (!again || !rebind_symbols(graph(), input_types, symbols)) {
      symbols.clear();
      bind_symbols(graph(), input_types, symbols);
    }
    const size_t cache_bytes = loops.byte_size();
    loops.make_room(symbols);
    if (loops.byte_size() != cache_bytes) capacity_reserved = false;
    if (loops.byte_size() > options.memory_limit) {
      throw Error("memory-limit", "caches need " + std::to_string(loops.byte_size()) +
                                      " bytes, the limit is " + std::to_string(options.memory_limit));
    }
    if (again && !capacity_reserved) reserve_capacity();
    check(runtime.bind(values_of(symbols)));
    bound_shapes.resize(input_types.size());
    for (size_t i = 0; i < input_types.size(); ++i) bound_shapes[i] = *input_types[i].shape;
    is_bound = true;
  }

  // The plan's symbols in its order, until the next call.
  const int64_t* values_of(const SymbolValues& known) {
    symbol_values.clear();
    for (const auto& symbol : model->plan->symbols) {
      const auto it = known.find(symbol);
      if (it == known.end()) {
        throw Error("symbol-unknown", "the inputs do not determine the value of symbol `" + symbol + "`")
            .note("give it with --set " + symbol + "=VALUE");
      }
      symbol_values.push_back(it->second);
    }
    return symbol_values.data();
  }

  // The arena for runs of these sizes until the caches that are fed back are full. Not at the first binding:
  // a prompt that is never as long again need not have room for a full cache. Where it cannot be had, what
  // the runs need is made as they come.
  void reserve_capacity() {
    capacity_reserved = true;
    const auto full = loops.when_full(symbols);
    if (full) static_cast<void>(runtime.reserve(values_of(*full)));
  }

  // New values of variables take effect when nobody reads results of the last run any more.
  void commit_updates() {
    for (size_t i = 0; has_pending && i < pending.size(); ++i) std::swap(variables[i].second, pending[i]);
    variables_started = variables_started || has_pending;
    has_pending = false;
  }

  void copy_result(size_t index, Tensor& copy) const {
    if (auto cached = loops.cached_result(index)) {
      copy = std::move(*cached);
    } else {
      copy_into(runtime.output(static_cast<uint32_t>(index)), copy);
    }
  }

  // Variables whose extents are symbols get them in the first run, and have them from then on. Then they get
  // bytes of their own, too, which later runs swap with the next values.
  void size_variables() {
    for (size_t i = 0; i < variables.size(); ++i) {
      auto& [outlet, value] = variables[i];
      const View& wanted = runtime.input(static_cast<uint32_t>(graph().inputs.size() + i));
      if (!variables_started) {
        value =
            expanded_initial(*graph().node(outlet).initial, Shape(wanted.dims, wanted.dims + wanted.rank));
        value.mutable_bytes();
      } else if (!has_shape(value, wanted)) {
        throw Error("symbol-clash", "the kept value `" + graph().name_of(outlet) + "` has shape " +
                                        to_string(value.shape()) + " of the first run, this one wants " +
                                        to_string(Shape(wanted.dims, wanted.dims + wanted.rank)));
      }
    }
  }

  void run_plan(const std::vector<Tensor>& given) {
    commit_updates();
    bind(given);
    size_variables();
    input_data.clear();
    for (const Tensor& input : given) input_data.push_back(input.bytes());
    for (const auto& variable : variables) input_data.push_back(variable.second.bytes());
    loops.append_buffers(input_data);
    check(runtime.run(input_data.data()));
    loops.advance([this](size_t result, Tensor& copy) { copy_result(result, copy); });
    for (size_t i = 0; i < variables.size(); ++i) {
      const View& next = runtime.output(static_cast<uint32_t>(graph().outputs.size() + i));
      if (pending.size() == i) pending.push_back(tensor_like(next));
      copy_into(next, pending[i]);
    }
    has_pending = true;
  }

  std::vector<Tensor> run_graph(const std::vector<Tensor>& given) {
    const std::vector<Tensor> inputs = loops.arguments(given);
    InterpreterOptions interpreter;
    auto last = Clock::now();
    interpreter.observe = [&](const Node& node, uint32_t result, const Tensor& value) {
      if (observer) observer(node, result, value);
      if (profile == nullptr || result != 0) return;
      StepProfile step;
      step.node = static_cast<uint32_t>(&node - graph().nodes().data());
      step.nanoseconds = nanoseconds(Clock::now() - last);
      step.start = nanoseconds(last.time_since_epoch());
      last = Clock::now();
      profile->push_back(std::move(step));
    };
    std::vector<Tensor> results = interpret(graph(), inputs, {}, graph_state, interpreter);
    loops.advance(results);
    return results;
  }

  static void before_step(void* host, uint32_t) { static_cast<State*>(host)->step_start = Clock::now(); }
  static void after_step(void* host, uint32_t index) {
    auto& self = *static_cast<State*>(host);
    const auto end = Clock::now();
    const PlanStep& step = self.model->plan->steps[index];
    if (self.profile != nullptr) {
      StepProfile entry;
      entry.node = step.node;
      entry.step = index;
      entry.note = self.model->plan->step_notes[index];
      entry.nanoseconds = nanoseconds(end - self.step_start);
      entry.start = nanoseconds(self.step_start.time_since_epoch());
      self.profile->push_back(std::move(entry));
    }
    if (self.observer) {
      const Node& node = self.graph().node(step.node);
      const bool last_of_node =
          index + 1 == self.model->plan->steps.size() || self.model->plan->steps[index + 1].node != step.node;
      const auto cache = last_of_node ? self.loops.cache_of_node(step.node) : std::nullopt;
      if (cache) self.observer(node, 0, *cache);
      for (uint32_t r = 0; last_of_node && !cache && r < step.output_count && r < node.facts.size(); ++r) {
        const Plan& plan = *self.model->plan;
        const uint32_t value = plan.operands[step.first_operand + step.input_count + r];
        self.observer(node, r,
                      logical_copy_of(self.runtime.step_output(index, r), node.facts[r],
                                      plan.values[value].channels_last != 0));
      }
    }
  }

  void create_runtime() {
    RuntimeOptions runtime_options;
    runtime_options.evaluate = &State::evaluate;
    runtime_options.host = this;
    runtime_options.executor = options.executor != nullptr ? *options.executor : pool.executor();
    runtime_options.memory_limit = options.memory_limit;
    check(runtime.create(model->plan->view(), model->plan->constant_data.data(), runtime_options));
  }
};

Session::Session(std::shared_ptr<const CompiledModel> model, const SessionOptions& options)
    : state_(std::make_unique<State>(std::move(model), options)) {
  if (state_->model->plan) {
    state_->reset_variables();
    state_->create_runtime();
  }
}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

const CompiledModel& Session::model() const { return *state_->model; }

std::vector<Tensor> Session::run(const std::vector<Tensor>& inputs) {
  if (!state_->model->plan) return state_->run_graph(inputs);
  state_->run_plan(inputs);
  std::vector<Tensor> results;
  for (uint32_t i = 0; i < state_->graph().outputs.size(); ++i)
    state_->copy_result(i, results.emplace_back());
  return results;
}

void Session::run_in_place(const std::vector<Tensor>& inputs) {
  if (state_->model->plan) {
    state_->run_plan(inputs);
  } else {
    state_->run_graph(inputs);
  }
}

void Session::prepare(const std::vector<Tensor>& inputs) {
  if (state_->model->plan) state_->bind(inputs);
}

Feedback Session::feedback(const std::string& result, const std::string& input, int64_t capacity) {
  const size_t pair = state_->loops.add(result, input, capacity);
  state_->is_bound = false;
  return Feedback(&state_->loops, pair);
}
int64_t Feedback::length() const { return loops_->length(pair_); }
void Feedback::truncate(int64_t length) { loops_->truncate(pair_, length); }
void Feedback::assign(const Tensor& value) { loops_->assign(pair_, value); }
Tensor Feedback::value() const { return loops_->value(pair_); }
bool Feedback::is_in_place() const { return loops_->is_in_place(pair_); }

void Session::reset() {
  state_->graph_state = {};
  state_->reset_variables();
  state_->loops.reset();
  state_->is_bound = false;
}

void Session::observe(std::function<void(const Node&, uint32_t, const Tensor&)> callback) {
  state_->observer = std::move(callback);
  state_->runtime.watch(state_->observer ? &State::before_step : nullptr,
                        state_->observer ? &State::after_step : nullptr);
}

std::vector<StepProfile> Session::profile(const std::vector<Tensor>& inputs) {
  std::vector<StepProfile> steps;
  state_->profile = &steps;
  state_->runtime.watch(&State::before_step, &State::after_step);
  try {
    run_in_place(inputs);
  } catch (...) {
    state_->profile = nullptr;
    throw;
  }
  state_->profile = nullptr;
  observe(std::move(state_->observer));
  return steps;
}

std::vector<StepFacts> Session::plan_facts() const {
  std::vector<StepFacts> facts;
  if (!state_->model->plan) return facts;
  const auto count = static_cast<uint32_t>(state_->model->plan->steps.size());
  for (uint32_t step = 0; step < count; ++step)
    facts.push_back(step_facts(state_->runtime.step_context(step)));
  return facts;
}

size_t Session::arena_bytes() const {
  return state_->runtime.arena_bytes() + state_->runtime.scratch_bytes() + state_->loops.byte_size();
}
size_t Session::arena_buffer_bytes() const { return state_->runtime.arena_bytes(); }
size_t Session::arena_lower_bound() const { return state_->runtime.arena_lower_bound(); }
size_t Session::weight_bytes() const {
  return state_->model->plan ? state_->model->plan->constant_bytes() : 0;
}

}  // namespace nnefrun
