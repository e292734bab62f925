// Session::feedback: results that are the next run's inputs, in place where they can be.
#include <cstring>

#include "tests/engine/cached_attention.h"

using namespace nnefrun;

namespace {

void require_same(const Tensor& a, const Tensor& b) {
  REQUIRE(a.dtype() == b.dtype());
  REQUIRE(a.shape() == b.shape());
  REQUIRE((a.byte_size() == 0 || std::memcmp(a.bytes(), b.bytes(), a.byte_size()) == 0));
}

}  // namespace

TEST_CASE("a planned cache is appended to in place", "[session][feedback]") {
  for (const bool other : {false, true}) {
    const auto model = planned(cached_attention(other));
    REQUIRE(model->plan->caches.size() == 1);
    Session by_hand(model), fed(model);
    Feedback state = fed.feedback("out", "past", 3);
    REQUIRE(state.is_in_place());
    REQUIRE(state.length() == 0);
    std::vector<Tensor> wanted{Tensor(), Tensor::zeros(DataType::f32, {1, 2, 0, 4})};
    for (int step = 0; step < 9; ++step) {  // beyond the capacity twice
      const Tensor added = token(step, step == 4 ? 2 : 1);
      wanted = by_hand.run({added, wanted[1]});
      const auto got = fed.run({added, Tensor()});
      require_same(got[0], wanted[0]);
      REQUIRE(got[1].size() == 0);
      require_same(state.value(), wanted[1]);
      if (other) require_same(got[2], wanted[2]);
      REQUIRE(state.length() == wanted[1].dim(2));
    }
    // Taken back and done again, it is the same.
    state.truncate(4);
    REQUIRE(state.length() == 4);
    const Tensor shorter = state.value();
    const auto again = fed.run({token(4, 2), Tensor()});
    require_same(again[0], by_hand.run({token(4, 2), shorter})[0]);
    REQUIRE(state.length() == 6);
    REQUIRE_THROWS_AS(state.truncate(7), Error);
    // What is assigned counts from the next run on.
    const Tensor given = noise({1, 2, 5, 4}, 77);
    state.assign(given);
    require_same(fed.run({token(1), Tensor()})[0], by_hand.run({token(1), given})[0]);
    fed.reset();
    REQUIRE(state.length() == 0);
    require_same(fed.run({token(1), Tensor()})[0],
                 by_hand.run({token(1), Tensor::zeros(DataType::f32, {1, 2, 0, 4})})[0]);
  }
}

TEST_CASE("nothing of a cache is copied while it has room", "[session][feedback]") {
  const auto model = planned(cached_attention());
  Session session(model);
  Feedback state = session.feedback("out", "past", 64);
  session.run_in_place({token(0, 8), Tensor()});
  const size_t bytes = session.arena_bytes();
  for (int step = 0; step < 40; ++step) session.run_in_place({token(step), Tensor()});
  REQUIRE(state.length() == 48);
  REQUIRE(session.arena_bytes() >= bytes);
  // the buffer itself has not grown: 2 heads x 64 places x 4 floats
  REQUIRE(session.arena_bytes() - session.arena_buffer_bytes() >= 2 * 64 * 4 * sizeof(float));
}

TEST_CASE("a cache whose fixed length is taken back before each run", "[session][feedback]") {
  Graph graph;
  const Outlet added = graph.add_external(fact_of(DataType::f32, {1, 2, 1, 4}), "new");
  const Outlet past = graph.add_external(fact_of(DataType::f32, {1, 2, 6, 4}), "past");
  const Outlet out = graph.add(find_op("concat"), {past, added}, {2}, {Attribute(int64_t{2})});
  const Outlet y = graph.add(find_op("tract_transformers_sdpa"), {added, out, out}, {1, 1, 1, 0}, {});
  graph.outputs = {{y, "y"}, {out, "out"}};
  const auto model = planned(std::move(graph));
  Session by_hand(model), fed(model);
  Feedback state = fed.feedback("out", "past", 10);
  const Tensor first = noise({1, 2, 6, 4}, 5);
  state.assign(first);
  for (int step = 0; step < 3; ++step) {
    require_same(fed.run({token(step), Tensor()})[0], by_hand.run({token(step), first})[0]);
    REQUIRE(state.length() == 7);
    state.truncate(6);
  }
}

TEST_CASE("feedback without a plan, and of states that do not grow", "[session][feedback]") {
  auto evaluated = std::make_shared<CompiledModel>();
  evaluated->graph = cached_attention();
  const auto model = planned(cached_attention());
  Session slow(evaluated), fast(model);
  Feedback slow_state = slow.feedback("out", "past"), fast_state = fast.feedback("out", "past");
  REQUIRE_FALSE(slow_state.is_in_place());
  for (int step = 0; step < 4; ++step) {
    slow.run({token(step), Tensor()});
    fast.run({token(step), Tensor()});
  }
  require_same(slow_state.value(), fast_state.value());
  slow_state.truncate(2);
  fast_state.truncate(2);
  require_same(slow_state.value(), fast_state.value());

  Graph graph;
  const Outlet x = graph.add_external(fact_of(DataType::f32, {3}), "x");
  const Outlet h = graph.add_external(fact_of(DataType::f32, {3}), "h");
  graph.outputs = {{graph.add("add", {x, h}), "next"}};
  Session session(planned(std::move(graph)));
  Feedback sum = session.feedback("next", "h");
  for (int step = 0; step < 3; ++step) session.run({f32({3}, {1, 2, 3}), Tensor()});
  require_same(sum.value(), f32({3}, {3, 6, 9}));
  REQUIRE_THROWS_AS(sum.truncate(0), Error);
  REQUIRE_THROWS_AS(session.feedback("next", "h"), Error);
  REQUIRE_THROWS_AS(session.feedback("none", "x"), Error);
  REQUIRE_THROWS_AS(session.feedback("next", "none"), Error);
}
