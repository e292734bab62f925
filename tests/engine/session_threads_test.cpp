// Threads: results are the same bits however steps are cut; failures name their node; sessions are
// independent.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include <catch2/catch.hpp>

#include "engine/session.h"
#include "engine/thread_pool.h"
#include "nnef_parser/archive.h"
#include "tests/engine/runtime/executors.h"

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
  std::string label;
  Shape shape;
};

std::shared_ptr<const CompiledModel> compile(const std::string& body, const std::vector<Weight>& weights,
                                             const std::string& externals = "x") {
  std::string text =
      "version 1.0;\nextension tract_registry tract_core;\nextension tract_symbol S;\ngraph net(" +
      externals + ") -> (y) {\n";
  std::vector<ArchiveMember> members;
  uint32_t seed = 1;
  for (const Weight& weight : weights) {
    text += "  " + weight.label + " = variable<scalar>(shape = " + to_string(weight.shape) + ", label = '" +
            weight.label + "');\n";
    members.push_back(tensor_member(weight.label, noise(weight.shape, seed++), TensorFileForm::tract));
  }
  members.insert(members.begin(), text_member("graph.nnef", text + body + "}\n"));
  auto model = compile_model(Archive::of_members("net", members), {});
  REQUIRE(model->plan);
  return model;
}

bool same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].shape() != b[i].shape() || a[i].dtype() != b[i].dtype()) return false;
    if (a[i].byte_size() > 0 && std::memcmp(a[i].bytes(), b[i].bytes(), a[i].byte_size()) != 0) return false;
  }
  return true;
}

void check_all_executors(const std::shared_ptr<const CompiledModel>& model,
                         const std::vector<Tensor>& inputs) {
  Session serial(model);
  const std::vector<Tensor> expected = serial.run(inputs);
  for (const uint32_t workers : {2U, 3U, 5U}) {
    StandardThreads threads(workers);
    const Executor executor = threads.executor();
    SessionOptions options;
    options.executor = &executor;
    Session session(model, options);
    for (int round = 0; round < 2; ++round) CHECK(same_bits(session.run(inputs), expected));
    if (expected[0].size() > 2000) CHECK(threads.calls > 0);
  }
  for (uint32_t seed = 0; seed < 12; ++seed) {
    INFO("seed " << seed);
    RandomRanges ranges(seed);
    const Executor executor = ranges.executor();
    SessionOptions options;
    options.executor = &executor;
    Session session(model, options);
    CHECK(same_bits(session.run(inputs), expected));
  }
}

const char* const kInput = "  x = tract_core_external(shape = [1, S, 96], datum_type = 'f32');\n";

TEST_CASE("products give the same bits however they are cut", "[threads]") {
  const auto weighted =
      compile(std::string(kInput) + "  y = matmul(x, unsqueeze(w, axes = [0]));\n", {{"w", {96, 130}}});
  const auto deep = compile(
      "  x = tract_core_external(shape = [1, S, 1300], datum_type = 'f32');\n"
      "  y = relu(add(matmul(x, unsqueeze(w, axes = [0])), unsqueeze(b, axes = [0])));\n",
      {{"w", {1300, 70}}, {"b", {1, 70}}});
  const auto left = compile(
      "  x = tract_core_external(shape = [1, 96, S], datum_type = 'f32');\n"
      "  y = matmul(unsqueeze(w, axes = [0]), x);\n",
      {{"w", {130, 96}}});
  const auto scores = compile(std::string(kInput) + "  y = matmul(x, sigmoid(x), transposeB = true);\n", {});
  const auto mixed = compile(std::string(kInput) + "  y = matmul(x, sigmoid(x), transposeA = true);\n", {});
  const auto column =
      compile(std::string(kInput) + "  y = matmul(x, unsqueeze(w, axes = [0]));\n", {{"w", {96, 1}}});
  for (const int64_t rows : {0, 1, 2, 5, 6, 13, 25, 61, 150}) {
    INFO(rows << " rows");
    check_all_executors(weighted, {noise({1, rows, 96}, 3)});
    check_all_executors(deep, {noise({1, rows, 1300}, 4)});
    check_all_executors(left, {noise({1, 96, rows}, 5)});
    check_all_executors(scores, {noise({1, rows, 96}, 6)});
    check_all_executors(mixed, {noise({1, rows, 96}, 7)});
    check_all_executors(column, {noise({1, rows, 96}, 8)});
  }
}

TEST_CASE("an attention layer gives the same bits however it is cut", "[threads]") {
  const auto model =
      compile(std::string(kInput) +
                  "  q = transpose(reshape(matmul(x, unsqueeze(wq, axes = [0])), shape = [1, S, 4, 24]), "
                  "axes = [0, 2, 1, 3]);\n"
                  "  k = transpose(reshape(matmul(x, unsqueeze(wk, axes = [0])), shape = [1, S, 4, 24]), "
                  "axes = [0, 2, 1, 3]);\n"
                  "  s = softmax(mul(matmul(q, k, transposeB = true), 0.2), axes = [3]);\n"
                  "  h = reshape(transpose(matmul(s, q), axes = [0, 2, 1, 3]), shape = [1, S, 96]);\n"
                  "  r = add(x, h);\n"
                  "  m = mean_reduce(r, axes = [2]);\n"
                  "  d = sub(r, m);\n"
                  "  v = mean_reduce(mul(d, d), axes = [2]);\n"
                  "  n = mul(d, rsqrt(add(v, 0.00001)));\n"
                  "  y = concat([n, select(gt(n, 0.5), tanh(n), x)], axis = 1);\n",
              {{"wq", {96, 96}}, {"wk", {96, 96}}});
  for (const int64_t rows : {1, 7, 64}) check_all_executors(model, {noise({1, rows, 96}, 9)});
}

TEST_CASE("fused attention gives the same bits however it is cut", "[threads]") {
  for (const std::string causal : {"true", "false"}) {
    const auto model = compile(
        "  x = tract_core_external(shape = [2, 3, S, 16], datum_type = 'f32');\n"
        "  y = tract_transformers_sdpa(x, tanh(x), sigmoid(x), datum_type = 'f32', acc_datum_type = 'f32', "
        "is_causal = " +
            causal + ");\n",
        {});
    bool fused = false;
    for (const PlanStep& step : model->plan->steps)
      fused = fused || step.kind == static_cast<uint32_t>(StepKind::attention);
    CHECK(fused);
    for (const int64_t rows : {0, 1, 5, 40, 100}) {
      INFO(rows << " rows");
      check_all_executors(model, {noise({2, 3, rows, 16}, 10)});
    }
  }
}

TEST_CASE("convolutions and pools give the same bits however they are cut", "[threads]") {
  for (const std::string text :
       {"conv(x, w, padding = [(1, 1), (1, 1)])", "conv(x, w, padding = [(1, 1), (1, 1)], stride = [2, 2])",
        "max_pool(x, size = [1, 1, 3, 3], stride = [1, 1, 2, 2], padding = [(0,0), (0,0), (1,1), (1,1)], "
        "border = "
        "'ignore')",
        "mul(x, sigmoid(mean_reduce(x, axes = [2, 3])))",
        "conv(avg_pool(relu(conv(x, w, padding = [(1, 1), (1, 1)])), size = [1, 1, 2, 2], stride = [1, 1, 2, "
        "2], "
        "padding = [(0,0), (0,0), (0,0), (0,0)], border = 'ignore'), v, padding = [(0, 0), (0, 0)])"}) {
    for (const bool blocked : {true, false}) {
      INFO(text << (blocked ? "" : ", plain"));
      const std::string declared =
          "version 1.0;\nextension tract_registry tract_core;\nextension tract_symbol S;\n"
          "graph net(x) -> (y) {\n  x = tract_core_external(shape = [S, 40, 14, 13], "
          "datum_type = 'f32');\n"
          "  w = variable<scalar>(shape = [72, 40, 3, 3], label = 'w');\n"
          "  v = variable<scalar>(shape = [33, 72, 1, 1], label = 'v');\n  y = ";
      CompileOptions compile_options;
      if (!blocked) compile_options.disabled.push_back(kBlockedLayouts);
      const auto model = compile_model(
          Archive::of_members("net", {text_member("graph.nnef", declared + text + ";\n}\n"),
                                      tensor_member("w", noise({72, 40, 3, 3}, 1), TensorFileForm::tract),
                                      tensor_member("v", noise({33, 72, 1, 1}, 2), TensorFileForm::tract)}),
          compile_options);
      REQUIRE(model->plan);
      for (const int64_t batch : {0, 1, 3}) check_all_executors(model, {noise({batch, 40, 14, 13}, 4)});
    }
  }
  const auto grouped = compile(
      "  x = tract_core_external(shape = [S, 40, 9, 9], datum_type = 'f32');\n"
      "  y = conv(conv(x, w, groups = 40, padding = [(1, 1), (1, 1)]), v, groups = 5, padding = [(0, 0), (0, "
      "0)]);\n",
      {{"w", {40, 1, 3, 3}}, {"v", {30, 8, 1, 1}}});
  for (const int64_t batch : {1, 2}) check_all_executors(grouped, {noise({batch, 40, 9, 9}, 5)});
}

TEST_CASE("a failure in a part names its node, and the session goes on", "[threads]") {
  const auto model = compile(
      "  x = tract_core_external(shape = [S, 8], datum_type = 'f32');\n"
      "  i = tract_core_external(shape = [700], datum_type = 'i64');\n"
      "  rows_of_x = tract_core_gather(x, i, axis = 0);\n"
      "  y = relu(rows_of_x);\n",
      {}, "x, i");
  StandardThreads threads(3);
  const Executor executor = threads.executor();
  SessionOptions options;
  options.executor = &executor;
  Session session(model, options), serial(model);
  std::vector<int64_t> indices(700, 2);
  indices[600] = 55;
  indices[611] = 66;
  const Tensor x = noise({9, 8}, 1);
  const auto message = [&](Session& s) -> std::string {
    try {
      s.run({x, Tensor::of<int64_t>({700}, indices)});
    } catch (const Error& error) {
      CHECK(error.code() == "index-out-of-range");
      return error.what();
    }
    return "no failure";
  };
  const std::string text = message(session);
  CHECK(text.find("rows_of_x") != std::string::npos);
  CHECK(text == message(serial));
  indices[600] = indices[611] = 0;
  const std::vector<Tensor> inputs = {x, Tensor::of<int64_t>({700}, indices)};
  CHECK(same_bits(session.run(inputs), serial.run(inputs)));
}

TEST_CASE("observers and profiles see the same with threads", "[threads]") {
  const auto model =
      compile(std::string(kInput) + "  y = softmax(matmul(x, unsqueeze(w, axes = [0])), axes = [2]);\n",
              {{"w", {96, 96}}});
  const std::vector<Tensor> inputs = {noise({1, 80, 96}, 1)};
  StandardThreads threads(2);
  const Executor executor = threads.executor();
  SessionOptions options;
  options.executor = &executor;
  Session with(model, options), without(model);
  std::vector<Tensor> seen, expected;
  with.observe([&](const Node&, uint32_t, const Tensor& value) { seen.push_back(value); });
  without.observe([&](const Node&, uint32_t, const Tensor& value) { expected.push_back(value); });
  CHECK(same_bits(with.run(inputs), without.run(inputs)));
  CHECK(seen.size() >= 2);
  CHECK(same_bits(seen, expected));
  CHECK(with.profile(inputs).size() == without.profile(inputs).size());
}

// Also run under the thread sanitizer, with threads whose synchronisation it sees.
TEST_CASE("two sessions of one model run at once", "[threads][tsan]") {
  const auto model = compile(std::string(kInput) +
                                 "  h = relu(matmul(x, unsqueeze(w, axes = [0])));\n"
                                 "  y = softmax(add(matmul(h, unsqueeze(v, axes = [0])), x), axes = [2]);\n",
                             {{"w", {96, 200}}, {"v", {200, 96}}});
  const Tensor inputs[2] = {noise({1, 90, 96}, 1), noise({1, 33, 96}, 2)};
  std::vector<Tensor> expected[2];
  for (int i = 0; i < 2; ++i) expected[i] = Session(model).run({inputs[i]});
  bool same[2] = {true, true};
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back([&, i] {
      StandardThreads threads(3);
      const Executor executor = threads.executor();
      SessionOptions options;
      options.executor = &executor;
      Session session(model, options);
      for (int round = 0; round < 10; ++round) {
        session.prepare({inputs[(i + round) % 2]});
        same[i] = same[i] && same_bits(session.run({inputs[(i + round) % 2]}), expected[(i + round) % 2]);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(same[0]);
  CHECK(same[1]);
}

TEST_CASE("the session's own threads", "[threads]") {
  const auto model =
      compile(std::string(kInput) + "  y = tanh(matmul(x, unsqueeze(w, axes = [0])));\n", {{"w", {96, 400}}});
  const Tensor inputs[2] = {noise({1, 300, 96}, 1), noise({1, 77, 96}, 2)};
  std::vector<Tensor> expected[2];
  for (int i = 0; i < 2; ++i) expected[i] = Session(model).run({inputs[i]});
  for (const int asked : {1, 2, 3, 200}) {
    SessionOptions options;
    options.threads = asked;
    try {
      bool same[2] = {true, true};
      std::vector<std::thread> callers;
      Session first(model, options), second(model, options);
      callers.emplace_back([&] {
        for (int i = 0; i < 20; ++i)
          same[0] = same[0] && same_bits(first.run({inputs[i % 2]}), expected[i % 2]);
      });
      for (int i = 0; i < 20; ++i)
        same[1] = same[1] && same_bits(second.run({inputs[i % 2]}), expected[i % 2]);
      for (std::thread& caller : callers) caller.join();
      CHECK(same[0]);
      CHECK(same[1]);
    } catch (const Error& error) {
      CHECK(asked > 1);
      CHECK(error.code() == "threads-unavailable");
    }
  }
}

TEST_CASE("a pool runs every task once and is no larger than the machine", "[threads]") {
  try {
    const ThreadPool pool(100000);
    const Executor executor = pool.executor();
    CHECK(executor.workers >= 1);
    CHECK(executor.workers <= std::max(1U, std::thread::hardware_concurrency()));
    std::vector<int> counts(5000, 0);  // each item belongs to one task
    struct Work {
      const Executor& executor;
      std::vector<int>& counts;
      void call() {
        executor.run(
            executor.self, static_cast<int64_t>(counts.size()), 7,
            [](void* data, int64_t begin, int64_t end, uint32_t) {
              for (int64_t i = begin; i < end; ++i)
                ++(*static_cast<std::vector<int>*>(data))[static_cast<size_t>(i)];
            },
            &counts);
      }
    } work{executor, counts};
    const auto ten_calls = [](void* data) {
      for (int call = 0; call < 10; ++call) static_cast<Work*>(data)->call();
    };
    for (int round = 0; round < 50; ++round) work.call();
    if (executor.hold !=
        nullptr) {  // the workers stay at hand, also through a second hold, and while nobody calls them
      for (int round = 0; round < 20; ++round) executor.hold(executor.self, ten_calls, &work);
      const auto held_twice = [](void* data) {
        const Executor& own = static_cast<Work*>(data)->executor;
        own.hold(
            own.self, [](void* same) { static_cast<Work*>(same)->call(); }, data);
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        static_cast<Work*>(data)->call();
      };
      executor.hold(executor.self, held_twice, &work);
    } else {
      CHECK(executor.workers == 1);
      for (int call = 0; call < 202; ++call) work.call();
    }
    CHECK(std::count(counts.begin(), counts.end(), 252) == static_cast<int64_t>(counts.size()));
  } catch (const Error& error) {
    CHECK(error.code() == "threads-unavailable");
  }
}

}  // namespace
}  // namespace nnefrun
