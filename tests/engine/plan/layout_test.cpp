// Channel-blocked layouts: chosen for islands of convolutions, repacked at their shores, invisible in the
// results.
#include <algorithm>
#include <cmath>
#include <random>

#include <catch2/catch.hpp>

#include "engine/ops/blocked_layout.h"
#include "engine/session.h"
#include "nnef_parser/archive.h"

namespace nnefrun {
namespace {

Tensor noise(const Shape& shape, uint32_t seed) {
  std::mt19937 generator(seed);
  Tensor out = Tensor::uninitialized(DataType::f32, shape);
  for (int64_t i = 0; i < out.size(); ++i)
    out.mutable_data<float>()[i] = static_cast<float>(generator()) / 2147483648.0F - 1.0F;
  return out;
}

struct Weight {
  const char* label;
  Shape shape;
};

Archive archive_of(const std::string& body, const std::vector<Weight>& weights) {
  std::string text =
      "version 1.0;\nextension tract_registry tract_core;\nextension tract_symbol S;\ngraph net(x) -> (y) "
      "{\n";
  std::vector<ArchiveMember> members;
  uint32_t seed = 1;
  for (const Weight& weight : weights) {
    text += std::string("  ") + weight.label + " = variable<scalar>(shape = " + to_string(weight.shape) +
            ", label = '" + weight.label + "');\n";
    members.push_back(tensor_member(weight.label, noise(weight.shape, seed++), TensorFileForm::tract));
  }
  members.insert(members.begin(), text_member("graph.nnef", text + body + "}\n"));
  return Archive::of_members("net", members);
}

int count_steps(const Plan& plan, StepKind kind) {
  int count = 0;
  for (const PlanStep& step : plan.steps) count += step.kind == static_cast<uint32_t>(kind) ? 1 : 0;
  return count;
}

// Runs both ways; the differences allowed are those of summation in another order.
std::shared_ptr<const CompiledModel> check_against_naive(const Archive& archive,
                                                         const std::vector<Tensor>& inputs) {
  CompileOptions naive;
  naive.optimize = false;
  const auto tuned_model = compile_model(archive, {});
  REQUIRE(tuned_model->plan);
  Session tuned(tuned_model), reference(compile_model(archive, naive));
  for (const Tensor& x : inputs) {
    const Tensor a = tuned.run({x})[0], b = reference.run({x})[0];
    REQUIRE(a.shape() == b.shape());
    double worst = 0, largest = 1e-6;
    for (int64_t i = 0; i < a.size(); ++i) {
      worst = std::max(worst, std::fabs(a.as_double(i) - b.as_double(i)));
      largest = std::max(largest, std::fabs(b.as_double(i)));
    }
    CHECK(worst <= 2e-5 * largest);
  }
  return tuned_model;
}

const char* kResidual = R"(
  x = tract_core_external(shape = [1, 3, S, 40], datum_type = 'f32');
  a = relu(conv(x, w0, 0.5, stride = [2, 2], padding = [(1, 1), (1, 1)]));
  b = conv(a, w1, 0.0, padding = [(1, 1), (1, 1)], dilation = [1, 1]);
  c = relu(a + b);
  d = conv(c, w2, 0.0, groups = 0, padding = [(1, 1), (1, 1)]);
  e = max_pool(d, size = [1, 1, 3, 3], stride = [1, 1, 2, 2], padding = [(0, 0), (0, 0), (1, 1), (1, 1)], border = 'ignore');
  g = sigmoid(conv(mean_reduce(e, axes = [2, 3]), w3, 0.0));
  y = mul(e, g);
)";

TEST_CASE("a network of convolutions enters the blocked layout once and leaves it once") {
  const Archive archive = archive_of(
      kResidual,
      {{"w0", {40, 3, 3, 3}}, {"w1", {40, 40, 3, 3}}, {"w2", {40, 1, 3, 3}}, {"w3", {40, 40, 1, 1}}});
  // one loaded model for several sizes
  const auto model = check_against_naive(archive, {noise({1, 3, 40, 40}, 9), noise({1, 3, 17, 40}, 10),
                                                   noise({1, 3, 64, 40}, 11), noise({1, 3, 40, 40}, 9)});
  CHECK(count_steps(*model->plan, StepKind::blocked_conv) == 4);
  CHECK(count_steps(*model->plan, StepKind::conv) == 0);
  CHECK(count_steps(*model->plan, StepKind::repack) == 1);  // the first convolution reads the plain image
  CHECK(count_steps(*model->plan, StepKind::blocked_gate) == 1);
}

TEST_CASE("concatenation and slices of whole blocks stay in the layout") {
  const Archive archive =
      archive_of(R"(
  x = tract_core_external(shape = [1, 64, 20, 20], datum_type = 'f32');
  a = relu(conv(x, w0, 0.0, padding = [(1, 1), (1, 1)]));
  b = slice(a, axes = [1], begin = [32], end = [64]);
  c = conv(b, w1, 0.0, padding = [(1, 1), (1, 1)]);
  d = concat([a, c], axis = 1);
  y = conv(d, w2, 0.0, padding = [(1, 1), (1, 1)]);
)",
                 {{"w0", {64, 64, 3, 3}}, {"w1", {32, 32, 3, 3}}, {"w2", {48, 96, 3, 3}}});
  const auto model = check_against_naive(archive, {noise({1, 64, 20, 20}, 3)});
  CHECK(count_steps(*model->plan, StepKind::blocked_conv) == 3);
  CHECK(count_steps(*model->plan, StepKind::repack) == 2);
}

TEST_CASE("what cannot be blocked meets a repack on either side") {
  const Archive archive = archive_of(R"(
  x = tract_core_external(shape = [1, 48, 24, 24], datum_type = 'f32');
  a = relu(conv(x, w0, 0.0, padding = [(1, 1), (1, 1)]));
  b = softmax(a, axes = [1]);
  c = conv(b, w1, 0.0, padding = [(1, 1), (1, 1)]);
  y = a + c;
)",
                                     {{"w0", {48, 48, 3, 3}}, {"w1", {48, 48, 3, 3}}});
  const auto model = check_against_naive(archive, {noise({1, 48, 24, 24}, 4)});
  CHECK(count_steps(*model->plan, StepKind::blocked_conv) == 2);
  CHECK(count_steps(*model->plan, StepKind::repack) == 4);
}

TEST_CASE("a small convolution between plain operators stays plain") {
  const Archive archive = archive_of(R"(
  x = tract_core_external(shape = [1, 64, 30], datum_type = 'f32');
  a = softmax(x, axes = [1]);
  b = conv(a, w0, 0.0);
  y = softmax(b, axes = [1]);
)",
                                     {{"w0", {8, 64, 1}}});
  const auto model = check_against_naive(archive, {noise({1, 64, 30}, 5)});
  CHECK(count_steps(*model->plan, StepKind::blocked_conv) == 0);
  CHECK(count_steps(*model->plan, StepKind::repack) == 0);
}

TEST_CASE("intermediate results are observed in their logical layout") {
  const Archive archive = archive_of(R"(
  x = tract_core_external(shape = [1, 24, 20, 20], datum_type = 'f32');
  a = conv(x, w0, 0.0, padding = [(1, 1), (1, 1)]);
  y = conv(a, w1, 0.0, padding = [(1, 1), (1, 1)]);
)",
                                     {{"w0", {24, 24, 3, 3}}, {"w1", {24, 24, 3, 3}}});
  const auto model = compile_model(archive, {});
  Session session(model);
  std::vector<Shape> shapes;
  session.observe([&](const Node&, uint32_t, const Tensor& value) { shapes.push_back(value.shape()); });
  session.run({noise({1, 24, 20, 20}, 6)});
  REQUIRE(shapes.size() == 2);
  CHECK(shapes[0] == Shape{1, 24, 20, 20});
  CHECK(shapes[1] == Shape{1, 24, 20, 20});
}

TEST_CASE("a pointwise convolution and the depthwise one that alone reads it are one step") {
  const std::vector<Weight> weights = {{"w0", {24, 24, 3, 3}},
                                       {"w1", {50, 24, 1, 1}},
                                       {"b1", {1, 50}},
                                       {"w2", {50, 1, 3, 3}},
                                       {"w3", {24, 50, 1, 1}}};
  const std::string head = R"(
  x = tract_core_external(shape = [1, 24, S, 20], datum_type = 'f32');
  a = relu(conv(x, w0, 0.0, padding = [(1, 1), (1, 1)]));
  e = relu(conv(a, w1, b1));
  d = sigmoid(conv(e, w2, 0.25, groups = 0, padding = [(1, 1), (0, 1)], stride = [2, 1]));
)";
  const std::vector<Tensor> inputs = {noise({1, 24, 20, 20}, 3), noise({1, 24, 7, 20}, 4),
                                      noise({1, 24, 41, 20}, 5)};
  const Archive pair = archive_of(head + "  y = conv(d, w3, 0.0);\n", weights);
  auto model = check_against_naive(pair, inputs);
  CHECK(count_steps(*model->plan, StepKind::blocked_pair) == 1);
  CHECK(count_steps(*model->plan, StepKind::blocked_conv) == 2);
  Session session(model);
  std::vector<Shape> shapes;
  session.observe([&](const Node&, uint32_t, const Tensor& value) { shapes.push_back(value.shape()); });
  session.run({inputs[0]});
  REQUIRE(shapes.size() >= 3);
  CHECK(std::count(shapes.begin(), shapes.end(), Shape{1, 50, 10, 19}) ==
        1);  // the depthwise result, and no other
  CHECK(std::count(shapes.begin(), shapes.end(), Shape{1, 50, 20, 20}) == 0);
  // With a second reader of what is between them there are two steps.
  const Archive apart =
      archive_of(head + "  y = conv(d, w3, 0.0) + mean_reduce(conv(e, w3, 0.0), axes = [2, 3]);\n", weights);
  model = check_against_naive(apart, inputs);
  CHECK(count_steps(*model->plan, StepKind::blocked_pair) == 0);
}

TEST_CASE("a sum of codes is a part of the convolution before it") {
  const std::string head = R"(
  x = tract_core_external(shape = [1, 24, S, 9], datum_type = 'f32');
  q = tract_core_cast(x, to = 'QU8(Z:128 S:0.01)');
  f = tract_core_cast(w0, to = 'QI8(Z:0 S:0.008)');
  g = tract_core_cast(w1, to = 'QI8(Z:0 S:0.008)');
  k = tract_core_qconv(q, f, groups = 1, a0 = 0, a_scale = 0.008, b0 = 128, b_scale = 0.01,
                       c0 = 100, c_scale = 0.02, output_dt = 'QU8(Z:100 S:0.02)');
  s = tract_core_qconv(q, g, groups = 1, padding = [(1, 1), (1, 1)], a0 = 0, a_scale = 0.008, b0 = 128,
                       b_scale = 0.01, c0 = 120, c_scale = 0.02, output_dt = 'QU8(Z:120 S:0.02)');
  z = tract_core_cast(relu(tract_core_cast(s, to = 'f32') + tract_core_cast(k, to = 'f32')), to = 'QU8(Z:10 S:0.03)');
)";
  const std::vector<Weight> weights = {{"w0", {24, 24, 1, 1}}, {"w1", {24, 24, 3, 3}}};
  const auto steps_of = [&](const std::string& tail) {
    const Archive archive = archive_of(head + tail, weights);
    CompileOptions naive;
    naive.optimize = false;
    const auto model = compile_model(archive, {});
    REQUIRE(model->plan);
    Session tuned(model), reference(compile_model(archive, naive));
    for (const int64_t rows : {1, 9, 30}) {
      const Tensor x = noise({1, 24, rows, 9}, 7), got = tuned.run({x})[0], wanted = reference.run({x})[0];
      for (int64_t i = 0; i < wanted.size(); ++i) {
        if (got.as_double(i) != wanted.as_double(i)) REQUIRE(got.as_double(i) == wanted.as_double(i));
      }
    }
    return std::pair(count_steps(*model->plan, StepKind::code_conv),
                     count_steps(*model->plan, StepKind::code_binary));
  };
  CHECK(steps_of("  y = tract_core_cast(z, to = 'f32');\n") == std::pair(2, 0));
  // What somebody else reads is not added to.
  CHECK(steps_of("  y = tract_core_cast(z, to = 'f32') + tract_core_cast(s, to = 'f32');\n") ==
        std::pair(2, 1));
}

TEST_CASE("parts that lie together are views, and concat is computed in place") {
  // Plain and blocked, with an extent that changes between runs; one part is read by others as well.
  const Archive archive = archive_of(R"(
  x = tract_core_external(shape = [1, 32, S, 20], datum_type = 'f32');
  (p, q) = split(x, axis = 1, ratios = [1, 1]);
  a = conv(p, w0, 0.0, padding = [(1, 1), (1, 1)]);
  b = conv(a, w0, 0.0, padding = [(1, 1), (1, 1)]);
  c = concat([a, b], axis = 1);
  d = concat([conv(c, w1, 0.0, padding = [(1, 1), (1, 1)]), tanh(c)], axis = 1);
  e = concat([exp(q), neg(q), slice(x, axes = [1], begin = [4], end = [12])], axis = 1);
  y = concat([d, e], axis = 1);
)",
                                     {{"w0", {16, 16, 3, 3}}, {"w1", {48, 32, 3, 3}}});
  const auto model = check_against_naive(archive, {noise({1, 32, 20, 20}, 3), noise({1, 32, 7, 20}, 4),
                                                   noise({1, 32, 31, 20}, 5), noise({1, 32, 7, 20}, 6)});
  // Left to copy: `d`, which comes out of the blocked layout, and the slice of the input.
  CHECK(count_steps(*model->plan, StepKind::copy) <= 2);
}

}  // namespace
}  // namespace nnefrun
