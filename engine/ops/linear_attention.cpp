// The steps of linear attention: a causal convolution over time with its last inputs as an argument and a
// result, and the gated delta rule (tract-opl 5.8). Nothing is kept in the node. Evaluation is in double,
// rounded once.
#include <algorithm>
#include <cmath>

#include "engine/ops/checks.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

Tensor from_doubles(DataType dtype, const Shape& shape, const std::vector<double>& values) {
  return cast_items(Tensor::of<double>(shape, values), dtype);
}

[[noreturn]] void refuse(const EvalContext& c, std::initializer_list<const char*> names) {
  Error error = c.fail("shape-mismatch", c.signature().name + ": the arguments do not belong together");
  for (const char* name : names)
    error.note("`" + std::string(name) + "` has shape " + to_string(c.input(name).shape()));
  throw error;
}

// ---- causal_conv1d_update: input [B, C, S], weight [C, k], state [B, C, k] ----

std::vector<Fact> infer_causal_conv(InferContext& c) {
  const Fact& input = float_input(c, "input");
  const Fact& weight = float_input(c, "weight");
  const Fact& state = float_input(c, "initial_state");
  require_rank(c, "input", input, 3, 3);
  require_rank(c, "weight", weight, 2, 2);
  require_rank(c, "initial_state", state, 3, 3);
  require_equal(c, "the number of channels of weight", weight.shape[0], input.shape[1]);
  require_equal(c, "the batch extent of initial_state", state.shape[0], input.shape[0]);
  require_equal(c, "the number of channels of initial_state", state.shape[1], input.shape[1]);
  require_equal(c, "the length of initial_state", state.shape[2], weight.shape[1]);
  return {fact_of(input.dtype, input.shape), fact_of(state.dtype, state.shape)};
}

std::vector<Tensor> eval_causal_conv(EvalContext& c) {
  const Tensor &input = c.input("input"), &weight = c.input("weight"), &state = c.input("initial_state");
  const int64_t batch = input.dim(0), channels = input.dim(1), steps = input.dim(2), taps = weight.dim(1);
  if (weight.dim(0) != channels || state.shape() != Shape{batch, channels, taps}) {
    refuse(c, {"input", "weight", "initial_state"});
  }
  const auto x = as_doubles(input), w = as_doubles(weight);
  auto kept = as_doubles(state);
  std::vector<double> out(x.size()), line(static_cast<size_t>(taps + steps));
  for (int64_t row = 0; row < batch * channels; ++row) {
    const double* filter = w.data() + row % channels * taps;
    double* past = kept.data() + row * taps;
    std::copy(past, past + taps, line.begin());
    std::copy(x.begin() + row * steps, x.begin() + (row + 1) * steps, line.begin() + taps);
    for (int64_t t = 0; t < steps; ++t) {
      double sum = 0;
      for (int64_t tap = 0; tap < taps; ++tap) sum += filter[tap] * line[static_cast<size_t>(t + 1 + tap)];
      out[static_cast<size_t>(row * steps + t)] = sum / (1 + std::exp(-sum));
    }
    std::copy(line.begin() + steps, line.end(), past);
  }
  return {from_doubles(input.dtype(), input.shape(), out), from_doubles(state.dtype(), state.shape(), kept)};
}

// ---- gdn_recurrent: query, key [B, S, H, W], value [B, S, G * H, W], log_decay, beta [B, S, G * H],
//      state [B, G * H, W, W] ----

std::vector<Fact> infer_delta_rule(InferContext& c) {
  const Fact& query = float_input(c, "query");
  const Fact& key = float_input(c, "key");
  const Fact& value = float_input(c, "value");
  const Fact& state = float_input(c, "initial_state");
  for (const char* name : {"query", "key", "value", "initial_state"})
    require_rank(c, name, c.input(name), 4, 4);
  for (size_t i = 0; i < 4; ++i) {
    require_equal(c, "extent " + std::to_string(i) + " of key", key.shape[i], query.shape[i]);
    if (i != 2) require_equal(c, "extent " + std::to_string(i) + " of value", value.shape[i], query.shape[i]);
  }
  const Dim &heads = value.shape[2], &groups = query.shape[2], &width = query.shape[3];
  if (groups.is(0) || (heads.is_constant() && groups.is_constant() && heads.value() % groups.value() != 0)) {
    throw c.fail("shape-mismatch", c.signature().name + ": " + heads.to_string() +
                                       " heads of value do not share the " + groups.to_string() +
                                       " heads of query evenly");
  }
  for (const char* name : {"log_decay", "beta"}) {
    const Fact& fact = float_input(c, name);
    require_rank(c, name, fact, 3, 3);
    for (size_t i = 0; i < 3; ++i) {
      require_equal(c, "extent " + std::to_string(i) + " of " + name, fact.shape[i], value.shape[i]);
    }
  }
  const DimShape expected = {query.shape[0], heads, width, width};
  for (size_t i = 0; i < 4; ++i) {
    require_equal(c, "extent " + std::to_string(i) + " of initial_state", state.shape[i], expected[i]);
  }
  return {fact_of(query.dtype, value.shape), fact_of(state.dtype, state.shape)};
}

// x / sqrt(sum x^2 + 1e-6)
std::vector<double> normalized(const double* x, int64_t width) {
  double power = 1e-6;
  for (int64_t i = 0; i < width; ++i) power += x[i] * x[i];
  std::vector<double> out(x, x + width);
  for (double& v : out) v /= std::sqrt(power);
  return out;
}

std::vector<Tensor> eval_delta_rule(EvalContext& c) {
  const Tensor &query = c.input("query"), &value = c.input("value"), &state = c.input("initial_state");
  const int64_t batch = query.dim(0), steps = query.dim(1), groups = query.dim(2), width = query.dim(3);
  const int64_t heads = value.dim(2);
  const Shape gates = {batch, steps, heads};
  if (c.input("key").shape() != query.shape() || groups == 0 || heads % groups != 0 ||
      value.shape() != Shape{batch, steps, heads, width} || c.input("log_decay").shape() != gates ||
      c.input("beta").shape() != gates || state.shape() != Shape{batch, heads, width, width}) {
    refuse(c, {"query", "key", "value", "log_decay", "beta", "initial_state"});
  }
  const auto q = as_doubles(query), k = as_doubles(c.input("key")), v = as_doubles(value),
             log_decay = as_doubles(c.input("log_decay")), beta = as_doubles(c.input("beta"));
  auto memory = as_doubles(state);
  std::vector<double> out(v.size());
  const double scale = 1 / std::sqrt(static_cast<double>(width));
  for (int64_t step = 0; step < batch * steps; ++step) {
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t gate = step * heads + head, shared = (step * groups + head / (heads / groups)) * width;
      const auto reads = normalized(q.data() + shared, width), writes = normalized(k.data() + shared, width);
      const double decay = std::exp(log_decay[static_cast<size_t>(gate)]);
      double* m = memory.data() + (step / steps * heads + head) * width * width;
      for (int64_t column = 0; column < width; ++column) {
        double predicted = 0;
        for (int64_t row = 0; row < width; ++row)
          predicted += writes[static_cast<size_t>(row)] * m[row * width + column] * decay;
        const auto at = static_cast<size_t>(gate * width + column);
        const double change = (v[at] - predicted) * beta[static_cast<size_t>(gate)];
        double sum = 0;
        for (int64_t row = 0; row < width; ++row) {
          double& cell = m[row * width + column];
          cell = cell * decay + writes[static_cast<size_t>(row)] * change;
          sum += reads[static_cast<size_t>(row)] * cell;
        }
        out[at] = sum * scale;
      }
    }
  }
  return {from_doubles(query.dtype(), value.shape(), out),
          from_doubles(state.dtype(), state.shape(), memory)};
}

constexpr OpDef kRows[] = {
    {.name = "tract_transformers_causal_conv1d_update",
     .infer = infer_causal_conv,
     .eval = eval_causal_conv,
     .types = kFloats},
    {.name = "tract_transformers_gdn_recurrent",
     .infer = infer_delta_rule,
     .eval = eval_delta_rule,
     .types = kFloats},
};

}  // namespace

std::span<const OpDef> linear_rows() { return kRows; }

}  // namespace nnefrun
