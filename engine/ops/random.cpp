// Random numbers: not reproducible between engines; a seed makes runs of this one repeat.
#include <bit>
#include <cmath>
#include <random>

#include "engine/ops/items.h"
#include "engine/ops/registry.h"
#include "engine/ops/support.h"

namespace nnefrun {
namespace {

// xorshift64* kept as one counter, so that a saved state continues where it was.
class RandomBits {
 public:
  RandomBits(OpState& state, const NodeReader& c) : state_(state) {
    if (state.started) return;
    uint64_t seed = 0;
    const auto& given = c.attribute("seed").value;
    if (std::holds_alternative<Dim>(given) || std::holds_alternative<double>(given)) {
      seed = std::bit_cast<uint64_t>(c.scalar("seed"));
    } else {
      std::random_device device;
      seed = (static_cast<uint64_t>(device()) << 32) | device();
    }
    seed = seed * 0x9E3779B97F4A7C15U + 0xD1B54A32D192ED03U;
    state.counters = {static_cast<int64_t>(seed == 0 ? 1 : seed)};
    state.started = true;
  }
  // Uniform in [0, 1).
  double uniform() {
    auto x = static_cast<uint64_t>(state_.counters[0]);
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    state_.counters[0] = static_cast<int64_t>(x);
    return static_cast<double>((x * 0x2545F4914F6CDD1DU) >> 11) * 0x1p-53;
  }
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

 private:
  OpState& state_;
};

std::vector<Fact> infer_random(InferContext& c) {
  const auto type = data_type_from_name(c.string("datum_type"));
  if (!type || !is_float(*type)) {
    throw c.fail("dtype-unsupported",
                 prefix_of(c) + "random numbers are of a float type, not '" + c.string("datum_type") + "'");
  }
  if (c.string("dist") != "uniform" && c.string("dist") != "normal") {
    throw c.fail("attribute-value",
                 prefix_of(c) + "`dist` is 'uniform' or 'normal', not '" + c.string("dist") + "'");
  }
  const auto parameters = c.inputs_of("parameters");
  if (parameters.size() != 2) {
    throw c.fail("attribute-length", prefix_of(c) + "`parameters` has " + std::to_string(parameters.size()) +
                                         " items, but 2 are expected");
  }
  for (const Fact* parameter : parameters) require_float(c, *parameter, "parameters");
  Fact out = fact_of(*type, c.dims("shape"));
  return {out};
}

std::vector<Tensor> eval_random(EvalContext& c) {
  RandomBits bits(*c.state, c);
  double parameters[2];
  for (size_t i = 0; i < 2; ++i) {
    const Tensor& parameter = c.inputs.at(i);
    if (parameter.size() != 1)
      throw c.fail("shape-mismatch", prefix_of(c) + "`parameters` are single numbers");
    parameters[i] = parameter.as_double(0);
  }
  Tensor out = Tensor::uninitialized(DataType::f64, c.output_shape());
  auto* items = out.mutable_data<double>();
  const bool uniform = c.string("dist") == "uniform";
  for (int64_t i = 0; i < out.size(); ++i) {
    items[i] = uniform ? parameters[0] + (parameters[1] - parameters[0]) * bits.uniform()
                       : parameters[0] + parameters[1] * bits.normal();
  }
  return {cast_items(out, c.output_fact().dtype)};
}

std::vector<Fact> infer_multinomial(InferContext& c) {
  const Fact& input = c.input("input");
  require_float(c, input, "input");
  if (input.rank() != 2)
    throw c.fail("shape-mismatch",
                 prefix_of(c) + "the input has shape [batch, classes], not " + to_string(input.shape));
  const int64_t code = c.integer("dtype"), samples = c.integer("sample_size");
  if (code != 6 && code != 7)
    throw c.fail("attribute-range",
                 prefix_of(c) + "`dtype` is 6 (i32) or 7 (i64), not " + std::to_string(code));
  if (samples < 0) throw c.fail("attribute-range", prefix_of(c) + "`sample_size` is negative");
  return {fact_of(code == 6 ? DataType::i32 : DataType::i64, {input.shape[0], Dim(samples)})};
}

std::vector<Tensor> eval_multinomial(EvalContext& c) {
  const Tensor& input = c.input("input");
  const int64_t rows = input.dim(0), classes = input.dim(1), samples = c.integer("sample_size");
  if (classes == 0 && rows * samples > 0)
    throw c.fail("shape-mismatch", prefix_of(c) + "there are no classes to draw from");
  RandomBits bits(*c.state, c);
  const auto logits = as_doubles(input);
  Tensor out = Tensor::uninitialized(DataType::i64, {rows, samples});
  auto* items = out.mutable_data<int64_t>();
  for (int64_t row = 0; row < rows; ++row) {
    const double* log_p = logits.data() + row * classes;
    double highest = -HUGE_VAL, sum = 0;
    for (int64_t k = 0; k < classes; ++k) highest = std::max(highest, log_p[k]);
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(log_p[k] - highest);
    for (int64_t s = 0; s < samples; ++s) {
      double left = bits.uniform() * sum;
      int64_t k = 0;
      for (; k + 1 < classes; ++k) {
        left -= std::exp(log_p[k] - highest);
        if (left < 0) break;
      }
      *items++ = k;
    }
  }
  return {cast_items(out, c.output_fact().dtype)};
}

constexpr OpDef kRows[] = {
    {.name = "tract_onnx_random",
     .infer = infer_random,
     .eval = eval_random,
     .stateful = true,
     .types = kFloats},
    {.name = "tract_onnx_multinomial",
     .infer = infer_multinomial,
     .eval = eval_multinomial,
     .stateful = true,
     .types = kFloats},
};

}  // namespace

std::span<const OpDef> random_rows() { return kRows; }

}  // namespace nnefrun
