// The runtime room on its own: plans written by hand, no graph, no parser, no builder.
#include "engine/runtime/runtime.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "engine/runtime/step_parameters.h"
#include "kernels/elementwise/elementwise.h"
#include "tests/engine/runtime/executors.h"

using namespace nnefrun;

namespace {

using Kind = SizeExpression::Kind;

template <class T>
Table<T> table(const std::vector<T>& items) {
  return {items.data(), static_cast<uint32_t>(items.size())};
}

// The tables of a plan.
struct HandPlan {
  std::vector<SizeExpression> expressions;
  std::vector<uint32_t> dims;
  std::vector<PlanValue> values;
  std::vector<PlanStep> steps;
  std::vector<uint32_t> operands;
  std::vector<uint8_t> parameters;
  std::vector<uint32_t> inputs, outputs;
  uint32_t symbol_count = 0, constant_count = 0;

  uint32_t size(Kind kind, int64_t a, int64_t b = 0) {
    expressions.push_back({kind, 0, a, b});
    return static_cast<uint32_t>(expressions.size() - 1);
  }
  uint32_t value(Storage storage, uint32_t index, const std::vector<uint32_t>& shape, uint32_t first_step = 0,
                 uint32_t last_step = 0) {
    PlanValue v;
    v.storage = storage;
    v.index = index;
    v.rank = static_cast<uint8_t>(shape.size());
    v.first_dim = static_cast<uint32_t>(dims.size());
    v.first_step = first_step;
    v.last_step = last_step;
    dims.insert(dims.end(), shape.begin(), shape.end());
    values.push_back(v);
    return static_cast<uint32_t>(values.size() - 1);
  }
  template <class P>
  void step(StepKind kind, const std::vector<uint32_t>& in, uint32_t out, const P& block) {
    PlanStep s;
    s.kind = static_cast<uint32_t>(kind);
    s.input_count = static_cast<uint16_t>(in.size());
    s.output_count = 1;
    s.first_operand = static_cast<uint32_t>(operands.size());
    s.parameters = static_cast<uint32_t>(parameters.size());
    s.parameter_size = sizeof(P);
    s.node = static_cast<uint32_t>(steps.size());
    operands.insert(operands.end(), in.begin(), in.end());
    operands.push_back(out);
    parameters.resize((parameters.size() + sizeof(P) + 7) / 8 * 8);
    std::memcpy(parameters.data() + s.parameters, &block, sizeof(P));
    steps.push_back(s);
  }
  PlanView view() const {
    PlanView v;
    v.expressions = table(expressions);
    v.dims = table(dims);
    v.values = table(values);
    v.steps = table(steps);
    v.operands = table(operands);
    v.parameters = table(parameters);
    v.inputs = table(inputs);
    v.outputs = table(outputs);
    v.symbol_count = symbol_count;
    v.constant_count = constant_count;
    return v;
  }
};

const std::vector<float> kWeights = {1, 2, -3, 4, 5, -6};  // [3, 2]
const std::vector<float> kBias = {10, -20};                // [1, 2]
const std::byte* const kConstants[] = {reinterpret_cast<const std::byte*>(kWeights.data()),
                                       reinterpret_cast<const std::byte*>(kBias.data())};

// y = relu(x * weights + bias) for x of [N, 3], the relu in place.
HandPlan dense_layer() {
  HandPlan plan;
  const uint32_t n = plan.size(Kind::symbol, 0), k = plan.size(Kind::constant, 3),
                 m = plan.size(Kind::constant, 2), one = plan.size(Kind::constant, 1);
  plan.symbol_count = 1;
  plan.constant_count = 2;
  const uint32_t x = plan.value(Storage::input, 0, {n, k});
  const uint32_t weights = plan.value(Storage::constant, 0, {k, m});
  const uint32_t bias = plan.value(Storage::constant, 1, {one, m});
  const uint32_t product = plan.value(Storage::arena, 0, {n, m}, 0, 1);
  const uint32_t sum = plan.value(Storage::arena, 0, {n, m}, 1, UINT32_MAX);
  const uint32_t y = plan.value(Storage::alias, sum, {n, m}, 2, UINT32_MAX);
  MatmulParameters matmul;
  matmul.m = n;
  matmul.n = m;
  matmul.k = k;
  plan.step(StepKind::matmul, {x, weights}, product, matmul);
  BinaryParameters add;
  add.op = static_cast<uint8_t>(kernels::BinaryOp::add);
  plan.step(StepKind::binary, {product, bias}, sum, add);
  UnaryParameters relu;
  relu.op = static_cast<uint8_t>(kernels::UnaryOp::relu);
  plan.step(StepKind::unary, {sum}, y, relu);
  plan.inputs = {x};
  plan.outputs = {y};
  return plan;
}

std::vector<float> expected_rows(const std::vector<float>& x) {
  std::vector<float> y;
  for (size_t row = 0; row < x.size() / 3; ++row) {
    for (size_t column = 0; column < 2; ++column) {
      float sum = kBias[column];
      for (size_t i = 0; i < 3; ++i) sum += x[row * 3 + i] * kWeights[i * 2 + column];
      y.push_back(sum > 0 ? sum : 0);
    }
  }
  return y;
}

std::vector<float> small_integers(int64_t rows) {
  std::vector<float> x;
  for (int64_t i = 0; i < rows * 3; ++i) x.push_back(static_cast<float>(i % 7 - 3));
  return x;
}

// Runs `runtime`, which is bound to `rows`, and compares: all sums are small integers, so they are exact.
void check_run(Runtime& runtime, int64_t rows) {
  INFO(rows << " rows");
  const std::vector<float> x = small_integers(rows);
  const std::byte* inputs[] = {reinterpret_cast<const std::byte*>(x.data())};
  REQUIRE(runtime.run(inputs).ok());
  const View& y = runtime.output(0);
  REQUIRE(y.rank == 2);
  CHECK(y.dims[0] == rows);
  CHECK(y.dims[1] == 2);
  const auto* data = reinterpret_cast<const float*>(y.data);
  CHECK(std::vector<float>(data, data + y.size()) == expected_rows(x));
}

}  // namespace

TEST_CASE("a plan runs on base, kernels and the runtime alone", "[runtime]") {
  const HandPlan plan = dense_layer();
  Runtime runtime;
  REQUIRE(runtime.create(plan.view(), kConstants, {}).ok());
  const int64_t rows = 5;
  REQUIRE(runtime.bind(&rows).ok());
  check_run(runtime, rows);
  check_run(runtime, rows);
  CHECK(runtime.arena_bytes() >= runtime.arena_lower_bound());
  CHECK(runtime.arena_lower_bound() >= 2 * 5 * 2 * sizeof(float));
}

TEST_CASE("a reservation serves every smaller size without growing", "[runtime]") {
  const HandPlan plan = dense_layer();
  RuntimeOptions options;
  options.fixed_memory = true;
  Runtime runtime;
  REQUIRE(runtime.create(plan.view(), kConstants, options).ok());
  const int64_t most = 100;
  REQUIRE(runtime.reserve(&most).ok());
  const size_t arena = runtime.arena_bytes();
  for (const int64_t rows : {int64_t{1}, int64_t{100}, int64_t{37}, int64_t{0}, int64_t{64}}) {
    REQUIRE(runtime.bind(&rows).ok());
    check_run(runtime, rows);
    CHECK(runtime.arena_bytes() == arena);
  }
  const int64_t more = 101;
  CHECK(runtime.bind(&more).code == StatusCode::memory_limit);
  const int64_t again = 100;
  REQUIRE(runtime.bind(&again).ok());
  check_run(runtime, again);
}

TEST_CASE("past its reservation a runtime grows geometrically", "[runtime]") {
  const HandPlan plan = dense_layer();
  Runtime runtime;
  REQUIRE(runtime.create(plan.view(), kConstants, {}).ok());
  int growths = 0;
  size_t arena = 0;
  for (int64_t rows = 1; rows <= 1000; ++rows) {
    REQUIRE(runtime.bind(&rows).ok());
    if (rows % 50 == 1) check_run(runtime, rows);
    growths += runtime.arena_bytes() != arena ? 1 : 0;
    arena = runtime.arena_bytes();
  }
  CHECK(growths >= 2);
  CHECK(growths <= 12);
}

TEST_CASE("what passes the memory limit is refused, and what does not still runs", "[runtime]") {
  const HandPlan plan = dense_layer();
  RuntimeOptions options;
  options.memory_limit = 64 * 1024;
  Runtime runtime;
  REQUIRE(runtime.create(plan.view(), kConstants, options).ok());
  const int64_t huge = 1 << 20;
  const Status refused = runtime.bind(&huge);
  CHECK(refused.code == StatusCode::memory_limit);
  CHECK(refused.detail[0] > refused.detail[1]);
  CHECK(refused.detail[1] == 64 * 1024);
  const std::byte* nothing[] = {nullptr};
  CHECK_FALSE(runtime.run(nothing).ok());  // nothing is bound
  // After a refusal sizes up to the limit work, in any order: 1500 rows are 24 kB, less than twice of 1000.
  for (const int64_t rows : {int64_t{10}, int64_t{1000}, int64_t{1 << 20}, int64_t{1500}, int64_t{3}}) {
    const Status status = runtime.bind(&rows);
    INFO(rows << " rows: " << describe(status.code));
    CHECK(status.ok() == (rows < huge));
    if (status.ok()) check_run(runtime, rows);
    CHECK(runtime.arena_bytes() + runtime.scratch_bytes() <= options.memory_limit);
  }
}

TEST_CASE("sizes that do not work out are refused", "[runtime]") {
  const HandPlan plan = dense_layer();
  Runtime runtime;
  REQUIRE(runtime.create(plan.view(), kConstants, {}).ok());
  const int64_t negative = -1;
  CHECK(runtime.bind(&negative).code == StatusCode::negative_extent);
  const int64_t overflow = INT64_MAX;
  CHECK(runtime.bind(&overflow).code == StatusCode::size_overflow);
  const int64_t good = 2;
  REQUIRE(runtime.bind(&good).ok());
  check_run(runtime, good);
}

TEST_CASE("size expressions divide, take minima and broadcast", "[runtime]") {
  HandPlan plan;
  plan.symbol_count = 2;
  const uint32_t a = plan.size(Kind::symbol, 0), b = plan.size(Kind::symbol, 1);
  const std::vector<uint32_t> shape = {plan.size(Kind::add, a, b),       plan.size(Kind::mul, a, b),
                                       plan.size(Kind::floor_div, a, b), plan.size(Kind::ceil_div, a, b),
                                       plan.size(Kind::min, a, b),       plan.size(Kind::max, a, b)};
  plan.inputs = {plan.value(Storage::input, 0, shape)};
  Runtime runtime;
  REQUIRE(runtime.create(plan.view(), nullptr, {}).ok());
  const int64_t symbols[] = {7, 3};
  REQUIRE(runtime.bind(symbols).ok());
  const View& view = runtime.input(0);
  CHECK(std::vector<int64_t>(view.dims, view.dims + view.rank) == std::vector<int64_t>{10, 21, 2, 3, 3, 7});
  const int64_t zero[] = {7, 0};
  CHECK(runtime.bind(zero).code == StatusCode::division_by_zero);

  HandPlan wide;
  wide.symbol_count = 2;
  const uint32_t broadcast =
      wide.size(Kind::broadcast, wide.size(Kind::symbol, 0), wide.size(Kind::symbol, 1));
  wide.inputs = {wide.value(Storage::input, 0, {broadcast})};
  Runtime second;
  REQUIRE(second.create(wide.view(), nullptr, {}).ok());
  const int64_t one[] = {1, 9};
  REQUIRE(second.bind(one).ok());
  CHECK(second.input(0).dims[0] == 9);
  const int64_t clash[] = {2, 9};
  CHECK(second.bind(clash).code == StatusCode::broadcast_mismatch);
}

TEST_CASE("a damaged plan is refused", "[runtime]") {
  HandPlan unknown = dense_layer();
  unknown.steps[1].kind = 999;
  Runtime first;
  const Status status = first.create(unknown.view(), kConstants, {});
  CHECK(status.code == StatusCode::unknown_step);
  CHECK(status.detail[0] == 999);

  HandPlan operand = dense_layer();
  operand.operands[0] = 77;
  Runtime second;
  CHECK(second.create(operand.view(), kConstants, {}).code == StatusCode::bad_plan);

  HandPlan cycle = dense_layer();
  cycle.values.back().index = static_cast<uint32_t>(cycle.values.size() - 1);
  Runtime third;
  CHECK(third.create(cycle.view(), kConstants, {}).code == StatusCode::bad_plan);

  HandPlan by_host = dense_layer();  // without a host that evaluates
  by_host.steps[2].kind = static_cast<uint32_t>(StepKind::evaluate);
  Runtime fourth;
  CHECK(fourth.create(by_host.view(), kConstants, {}).code == StatusCode::unknown_step);
}

TEST_CASE("a step whose shapes do not fit names itself", "[runtime]") {
  HandPlan plan = dense_layer();
  plan.dims[plan.values[2].first_dim + 1] = 1;  // bias [1, 3]
  Runtime runtime;
  REQUIRE(runtime.create(plan.view(), kConstants, {}).ok());
  const int64_t rows = 4;
  const Status status = runtime.bind(&rows);
  CHECK(status.code == StatusCode::shape_mismatch);
  CHECK(status.step == 1);
}

TEST_CASE("the host evaluates, watches and cancels", "[runtime]") {
  struct Host {
    int evaluated = 0, before = 0, after = 0, cancel_at = -1;
    Status answer;
  } host;
  HandPlan plan = dense_layer();
  plan.steps[2].kind = static_cast<uint32_t>(StepKind::evaluate);
  RuntimeOptions options;
  options.host = &host;
  options.evaluate = [](void* self, uint32_t node, const View* const* inputs, uint32_t input_count,
                        View* const* outputs, uint32_t output_count) {
    auto& h = *static_cast<Host*>(self);
    ++h.evaluated;
    if (node != 2 || input_count != 1 || output_count != 1) return failed(StatusCode::bad_plan);
    const auto* x = reinterpret_cast<const float*>(inputs[0]->data);
    auto* y = reinterpret_cast<float*>(outputs[0]->data);
    for (int64_t i = 0; i < outputs[0]->size(); ++i) y[i] = x[i] > 0 ? x[i] : 0;
    return h.answer;
  };
  options.before_step = [](void* self, uint32_t) { ++static_cast<Host*>(self)->before; };
  options.after_step = [](void* self, uint32_t) { ++static_cast<Host*>(self)->after; };
  options.cancelled = [](void* self) {
    auto& h = *static_cast<Host*>(self);
    return h.before == h.cancel_at;
  };
  Runtime runtime;
  REQUIRE(runtime.create(plan.view(), kConstants, options).ok());
  const int64_t rows = 4;
  REQUIRE(runtime.bind(&rows).ok());
  check_run(runtime, rows);
  CHECK(host.evaluated == 1);
  CHECK(host.before == 3);
  CHECK(host.after == 3);

  const std::vector<float> x = small_integers(rows);
  const std::byte* inputs[] = {reinterpret_cast<const std::byte*>(x.data())};
  host.cancel_at = 5;  // two steps of the second run
  Status status = runtime.run(inputs);
  CHECK(status.code == StatusCode::cancelled);
  CHECK(status.step == 2);
  CHECK(host.evaluated == 1);

  host.answer = failed(StatusCode::host_failed);
  host.cancel_at = -1;
  status = runtime.run(inputs);
  CHECK(status.code == StatusCode::host_failed);
  CHECK(status.step == 2);
}

namespace {

// y = rows of x [N, 4] by the indices of an input [M].
HandPlan lookup() {
  HandPlan plan;
  const uint32_t n = plan.size(Kind::symbol, 0), m = plan.size(Kind::symbol, 1),
                 four = plan.size(Kind::constant, 4);
  plan.symbol_count = 2;
  const uint32_t x = plan.value(Storage::input, 0, {n, four});
  const uint32_t indices = plan.value(Storage::input, 1, {m});
  plan.values[indices].dtype = DataType::i64;
  const uint32_t y = plan.value(Storage::arena, 0, {m, four}, 0, UINT32_MAX);
  plan.step(StepKind::gather, {x, indices}, y, GatherParameters{});
  plan.inputs = {x, indices};
  plan.outputs = {y};
  return plan;
}

}  // namespace

TEST_CASE("with an executor a plan computes the same, hooks stay on the caller's thread", "[runtime]") {
  struct Host {
    std::thread::id thread = std::this_thread::get_id();
    bool elsewhere = false;
    int steps = 0, cancel_at = -1;
  } host;
  const HandPlan plan = dense_layer();
  StandardThreads threads(3);
  RuntimeOptions options;
  options.executor = threads.executor();
  options.host = &host;
  options.before_step = [](void* self, uint32_t) {
    auto& h = *static_cast<Host*>(self);
    h.elsewhere = h.elsewhere || h.thread != std::this_thread::get_id();
    ++h.steps;
  };
  options.cancelled = [](void* self) {
    return static_cast<Host*>(self)->steps == static_cast<Host*>(self)->cancel_at;
  };
  Runtime runtime;
  REQUIRE(runtime.create(plan.view(), kConstants, options).ok());
  for (const int64_t rows : {int64_t{1}, int64_t{0}, int64_t{600}, int64_t{5}, int64_t{2000}}) {
    REQUIRE(runtime.bind(&rows).ok());
    check_run(runtime, rows);
  }
  CHECK(threads.calls >= 4);
  CHECK_FALSE(host.elsewhere);

  host.cancel_at = host.steps + 1;
  const std::vector<float> x = small_integers(2000);
  const std::byte* inputs[] = {reinterpret_cast<const std::byte*>(x.data())};
  const int before = threads.calls;
  const Status status = runtime.run(inputs);
  CHECK(status.code == StatusCode::cancelled);
  CHECK(status.step == 1);
  CHECK(threads.calls == before + 1);
}

TEST_CASE("of several failures in one step the first counts", "[runtime]") {
  const HandPlan plan = lookup();
  const int64_t sizes[] = {10, 500};
  std::vector<float> x(40);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  std::vector<int64_t> indices(500);
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i * 7 % 10);
  const std::byte* inputs[] = {reinterpret_cast<const std::byte*>(x.data()),
                               reinterpret_cast<const std::byte*>(indices.data())};
  for (uint32_t seed = 0; seed < 20; ++seed) {
    StandardThreads threads(4);
    RandomRanges ranges(seed);
    RuntimeOptions options;
    options.executor = seed % 2 == 0 ? threads.executor() : ranges.executor();
    Runtime runtime;
    REQUIRE(runtime.create(plan.view(), nullptr, options).ok());
    REQUIRE(runtime.bind(sizes).ok());
    indices[137] = 1000;
    indices[300] = -400;
    indices[499] = 77;
    const Status status = runtime.run(inputs);
    CHECK(status.code == StatusCode::index_out_of_range);
    CHECK(status.step == 0);
    CHECK(status.detail[0] == 1000);
    CHECK(status.detail[1] == 10);
    indices[137] = 3, indices[300] = 9, indices[499] = 0;
    REQUIRE(runtime.run(inputs).ok());  // the failures are forgotten
    const auto* y = reinterpret_cast<const float*>(runtime.output(0).data);
    CHECK(y[137 * 4 + 1] == x[3 * 4 + 1]);
    CHECK(y[300 * 4 + 2] == x[9 * 4 + 2]);
  }
}
