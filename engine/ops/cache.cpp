// Caches of keys and values, and attention over them (tract-opl 5.8). What a cache holds lies in the node's
// state; the symbol that stands for its length is bound before each run.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/ops/attend.h"
#include "engine/ops/checks.h"
#include "engine/ops/items.h"
#include "engine/ops/quant_types.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// ---- growing caches ----

size_t cache_axis(const NodeReader& c, int rank) {
  return static_cast<size_t>(checked_axis(c, c.integer("axis"), rank));
}

// The declared shape of what is cached already; its extent along the axis is usually a symbol.
std::vector<Dim> past_shape(const NodeReader& c, int rank) {
  auto past = c.dims("past_sequence_shape");
  if (static_cast<int>(past.size()) != rank) {
    throw c.fail("attribute-length", c.signature().name + ": past_sequence_shape has " +
                                         std::to_string(past.size()) + " entries, the input has rank " +
                                         std::to_string(rank));
  }
  return past;
}

std::vector<Fact> infer_cache(InferContext& c) {
  const Fact& input = c.input("input");
  const size_t axis = cache_axis(c, input.rank());
  const auto past = past_shape(c, input.rank());
  const auto type = parse_item_type(c.string("datum_type"));
  if (!type || type->dtype != input.dtype || type->quant != input.quant) {
    throw c.fail("dtype-mismatch", c.signature().name + ": datum_type is '" + c.string("datum_type") + "'")
        .note(describe("input", input));
  }
  const auto declared = c.dims("input_sequence_shape");
  if (declared.size() != input.shape.size()) {
    throw c.fail("attribute-length", c.signature().name + ": input_sequence_shape has " +
                                         std::to_string(declared.size()) + " entries, the input has rank " +
                                         std::to_string(input.rank()));
  }
  for (size_t i = 0; i < past.size(); ++i) {
    require_equal(c, "extent " + std::to_string(i) + " of the input", input.shape[i], declared[i]);
    if (i != axis) require_equal(c, "extent " + std::to_string(i) + " of the input", input.shape[i], past[i]);
  }
  Fact fact = fact_of(input.dtype, input.shape);
  fact.quant = input.quant;
  fact.shape[axis] = past[axis] + input.shape[axis];
  return {fact};
}

int64_t length_of(const OpState& state, size_t axis) {
  return state.tensors.empty() ? 0 : state.tensors[0].dim(static_cast<int>(axis));
}

void bind_length(const NodeReader& c, const OpState& state, SymbolValues& symbols) {
  const auto past = c.dims("past_sequence_shape");
  const auto axis =
      static_cast<size_t>(checked_axis(c, c.integer("axis"), static_cast<int64_t>(past.size())));
  const int64_t length = length_of(state, axis);
  if (const auto known = past[axis].evaluate(symbols)) {
    if (*known == length) return;
    throw c.fail("symbol-clash", c.signature().name + ": `" + past[axis].to_string() + "` is " +
                                     std::to_string(*known) + ", but the cache holds " +
                                     std::to_string(length) + " cells");
  }
  if (const auto solved = past[axis].solve(length, symbols)) symbols[solved->first] = solved->second;
}

void check_grows(const NodeReader& c, const OpState& state, const Tensor& input, size_t axis) {
  if (state.tensors.empty()) return;
  Shape shape = state.tensors[0].shape();
  if (shape.size() == input.shape().size()) shape[axis] = input.shape()[axis];
  if (shape == input.shape()) return;
  throw c.fail("state-mismatch", c.signature().name + ": the input has shape " + to_string(input.shape()) +
                                     ", but the cache has shape " + to_string(state.tensors[0].shape()));
}

// Appends to the first tensor of the state and returns it.
const Tensor& appended(OpState& state, const Tensor& input, size_t axis, size_t slot = 0) {
  if (slot >= state.tensors.size()) {
    state.tensors.push_back(input);
  } else {
    state.tensors[slot] = concat_items({state.tensors[slot], input}, axis);
  }
  state.started = true;
  return state.tensors[slot];
}

std::vector<Tensor> eval_cache(EvalContext& c) {
  const Tensor& input = c.input("input");
  const size_t axis = cache_axis(c, input.rank());
  check_grows(c, *c.state, input, axis);
  return {appended(*c.state, input, axis)};
}

// ---- the same in few bits ----

// Codes of one group of values: lo + code * scale. The arithmetic is f32, as in tract.
struct Codes {
  float lo, scale;
  float levels;

  Codes(const std::vector<float>& values, int64_t bits) : levels(static_cast<float>((1 << bits) - 1)) {
    lo = std::numeric_limits<float>::infinity();
    float hi = -lo;
    for (const float v : values) {
      lo = std::min(lo, v);
      hi = std::max(hi, v);
    }
    scale = hi > lo ? (hi - lo) / levels : 1.0F;
  }
  float rounded(float v) const {
    const float code = std::round((v - lo) / scale);
    return lo + (std::isnan(code) ? 0.0F : std::clamp(code, 0.0F, levels)) * scale;
  }
};

constexpr int64_t kExactTokens = 4;    // the first ones stay as they are
constexpr int64_t kChannelBlock = 32;  // tokens that share scales per channel

std::vector<Fact> infer_quantized_cache(InferContext& c) {
  const Fact& input = float_input(c, "input");
  require_rank(c, "input", input, 4, 4);
  if (c.integer("axis") != 2) {
    throw c.fail("axis-out-of-range",
                 c.signature().name + ": axis must be 2, of [batch, heads, time, width]");
  }
  if (c.integer("bits") != 4 && c.integer("bits") != 8) {
    throw c.fail("attribute-range",
                 c.signature().name + ": bits is " + std::to_string(c.integer("bits")) + ", expected 4 or 8");
  }
  return infer_cache(c);
}

// The state holds what the codes decode to: tensors[0] f32 [B, H, T, D]. Values are coded token by token,
// keys in blocks of 32 tokens with a scale per channel, as soon as a block is full.
std::vector<Tensor> eval_quantized_cache(EvalContext& c) {
  const Tensor input = cast_items(c.input("input"), DataType::f32);
  const int64_t bits = c.integer("bits");
  const bool per_channel = c.integer("per_channel") != 0;
  OpState& state = *c.state;
  check_grows(c, state, input, 2);
  const int64_t before = length_of(state, 2);
  Tensor all = appended(state, input, 2);
  const int64_t rows = all.dim(0) * all.dim(1), length = all.dim(2), width = all.dim(3);
  float* items = all.mutable_data<float>();
  const auto recode = [&](int64_t first, int64_t count, int64_t stride) {
    std::vector<float> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(items[first + i * stride]);
    const Codes codes(values, bits);
    for (int64_t i = 0; i < count; ++i)
      items[first + i * stride] = codes.rounded(values[static_cast<size_t>(i)]);
  };
  for (int64_t row = 0; row < rows; ++row) {
    if (per_channel) {
      const auto full_blocks = [](int64_t tokens) {
        return std::max<int64_t>(tokens - kExactTokens, 0) / kChannelBlock;
      };
      for (int64_t block = full_blocks(before); block < full_blocks(length); ++block) {
        const int64_t token = kExactTokens + block * kChannelBlock;
        for (int64_t d = 0; d < width; ++d) recode((row * length + token) * width + d, kChannelBlock, width);
      }
    } else {
      for (int64_t t = std::max(before, kExactTokens); t < length; ++t)
        recode((row * length + t) * width, width, 1);
    }
  }
  state.tensors[0] = all;
  return {cast_items(all, c.input("input").dtype())};
}

// ---- attention over a cache of its own ----

std::optional<double> optional_scale(const NodeReader& c) {
  const Attribute& a = c.attribute("scale");
  if (!a.is_given() || std::holds_alternative<bool>(a.value)) return std::nullopt;
  return c.scalar("scale");
}

std::vector<Fact> infer_cached_attention(InferContext& c) {
  const Fact& q = float_input(c, "q");
  const Fact& k = float_input(c, "k");
  const Fact& v = float_input(c, "v");
  for (const char* name : {"q", "k", "v"}) require_rank(c, name, c.input(name), 4, 4);
  require_same_dtype(c, "q", q, "k", k);
  require_same_dtype(c, "q", q, "v", v);
  if (c.integer("axis") != 2) {
    throw c.fail("axis-out-of-range",
                 c.signature().name + ": axis must be 2, of [batch, heads, time, width]");
  }
  require_equal(c, "the batch extent of k", k.shape[0], q.shape[0]);
  require_equal(c, "the width of k", k.shape[3], q.shape[3]);
  for (size_t i = 0; i < 4; ++i)
    require_equal(c, "extent " + std::to_string(i) + " of v", v.shape[i], k.shape[i]);
  const Dim &heads = q.shape[1], &groups = k.shape[1];
  if (groups.is(0) || (heads.is_constant() && groups.is_constant() && heads.value() % groups.value() != 0)) {
    throw c.fail("shape-mismatch", c.signature().name + ": " + heads.to_string() +
                                       " heads of q do not share the " + groups.to_string() +
                                       " heads of k evenly");
  }
  return {fact_of(q.dtype, q.shape)};
}

std::vector<Fact> infer_window_attention(InferContext& c) {
  require_range(c, "window", c.integer("window"), 1, int64_t{1} << 31);
  return infer_cached_attention(c);
}

void check_attention(const NodeReader& c, const Tensor& q, const Tensor& k, const Tensor& v) {
  const bool fits = k.shape() == v.shape() && k.dim(0) == q.dim(0) && k.dim(3) == q.dim(3) && k.dim(1) > 0 &&
                    q.dim(1) % k.dim(1) == 0;
  if (fits) return;
  throw c.fail("shape-mismatch", c.signature().name + ": q " + to_string(q.shape()) + ", k " +
                                     to_string(k.shape()) + " and v " + to_string(v.shape()) +
                                     " do not belong together");
}

// Everything in the cache is seen by every query.
std::vector<Tensor> attend_all(const EvalContext& c, const std::vector<double>& keys,
                               const std::vector<double>& values, int64_t length) {
  const Tensor &q = c.input("q"), &k = c.input("k");
  const double scale = optional_scale(c).value_or(1.0 / std::sqrt(static_cast<double>(q.dim(3))));
  const AttentionSizes sizes = {q.dim(0), q.dim(1), k.dim(1), q.dim(2), length, q.dim(3), q.dim(3)};
  const auto out = attend(sizes, as_doubles(q), keys, values, scale, false);
  return {cast_items(Tensor::of<double>(q.shape(), out), q.dtype())};
}

std::vector<Tensor> eval_window_attention(EvalContext& c) {
  const Tensor &k = c.input("k"), &v = c.input("v");
  check_attention(c, c.input("q"), k, v);
  OpState& state = *c.state;
  check_grows(c, state, k, 2);
  appended(state, cast_items(k, DataType::f32), 2, 0);
  appended(state, cast_items(v, DataType::f32), 2, 1);
  const int64_t window = c.integer("window");
  for (Tensor& kept : state.tensors) {
    const int64_t length = kept.dim(2);
    if (length <= window) continue;
    Shape shape = kept.shape();
    const auto strides = strides_of(shape);
    shape[2] = window;
    kept = take_strided(kept, shape, (length - window) * strides[2], strides);
  }
  return attend_all(c, as_doubles(state.tensors[0]), as_doubles(state.tensors[1]), state.tensors[0].dim(2));
}

// Keys are 8-bit codes whose scale per channel starts at 1 and only grows; earlier codes are then read with
// the new scale. Values are coded token by token. State: key codes u8 [B, H, T, D], their lo and scale f32
// [B, H, D], decoded values f32 [B, H, T, D].
std::vector<Tensor> eval_quantized_attention(EvalContext& c) {
  const Tensor k = cast_items(c.input("k"), DataType::f32), v = cast_items(c.input("v"), DataType::f32);
  check_attention(c, c.input("q"), k, v);
  OpState& state = *c.state;
  check_grows(c, state, k, 2);
  const int64_t rows = k.dim(0) * k.dim(1), tokens = k.dim(2), width = k.dim(3);
  if (state.tensors.empty()) {
    const Shape nothing = {k.dim(0), k.dim(1), 0, width}, channels = {k.dim(0), k.dim(1), width};
    const auto count = static_cast<size_t>(rows * width);
    state.tensors = {
        Tensor::zeros(DataType::u8, nothing),
        Tensor::of<float>(channels, std::vector<float>(count, std::numeric_limits<float>::infinity())),
        Tensor::of<float>(channels, std::vector<float>(count, 1.0F)), Tensor::zeros(DataType::f32, nothing)};
  }
  Tensor codes = Tensor::zeros(DataType::u8, k.shape()), decoded = v;
  float *lo = state.tensors[1].mutable_data<float>(), *scale = state.tensors[2].mutable_data<float>();
  uint8_t* code_items = codes.mutable_data<uint8_t>();
  float* value_items = decoded.mutable_data<float>();
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t at = (row * tokens + t) * width;
      for (int64_t d = 0; d < width; ++d) {
        const float key = k.data<float>()[at + d];
        float &low = lo[row * width + d], &step = scale[row * width + d];
        if (key < low) low = key;
        step = std::max(step, (key - low) / 255.0F);
        const float code = std::round((key - low) / step);
        code_items[at + d] = static_cast<uint8_t>(std::isnan(code) ? 0.0F : std::clamp(code, 0.0F, 255.0F));
      }
      const Codes token(std::vector<float>(v.data<float>() + at, v.data<float>() + at + width), 8);
      for (int64_t d = 0; d < width; ++d) value_items[at + d] = token.rounded(v.data<float>()[at + d]);
    }
  }
  appended(state, codes, 2, 0);
  appended(state, decoded, 2, 3);
  const Tensor& all = state.tensors[0];
  const int64_t length = all.dim(2);
  std::vector<double> keys(static_cast<size_t>(all.size()));
  for (int64_t i = 0; i < all.size(); ++i) {
    const int64_t channel = i / (length * width) * width + i % width;
    keys[static_cast<size_t>(i)] =
        static_cast<double>(lo[channel] + static_cast<float>(all.data<uint8_t>()[i]) * scale[channel]);
  }
  return attend_all(c, keys, as_doubles(state.tensors[3]), length);
}

constexpr OpDef kRows[] = {
    {.name = "tract_transformers_dyn_kv_cache",
     .infer = infer_cache,
     .eval = eval_cache,
     .stateful = true,
     .bind = bind_length,
     .types = kItems},
    {.name = "tract_transformers_quantized_dyn_kv_cache",
     .infer = infer_quantized_cache,
     .eval = eval_quantized_cache,
     .stateful = true,
     .bind = bind_length,
     .types = kFloats},
    {.name = "tract_transformers_window_kv_sdpa",
     .infer = infer_window_attention,
     .eval = eval_window_attention,
     .stateful = true,
     .types = kFloats},
    {.name = "tract_transformers_quantized_kv_sdpa",
     .infer = infer_cached_attention,
     .eval = eval_quantized_attention,
     .stateful = true,
     .types = kFloats},
};

}  // namespace

std::span<const OpDef> cache_rows() { return kRows; }

}  // namespace nnefrun
