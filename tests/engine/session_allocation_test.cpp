// After the first run of a session, runs of the same shapes allocate nothing. This file replaces the test
// program's allocation functions by ones that count.
#include <atomic>
#include <cstdlib>
#include <new>

#include "engine/graph/variable.h"
#include "tests/engine/cached_attention.h"

namespace {

std::atomic<size_t> allocations{0};

void* counted_or_null(size_t bytes, size_t alignment) {
  ++allocations;
  const size_t whole = (bytes + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, whole == 0 ? alignment : whole);
}
void* counted(size_t bytes, size_t alignment) {
  void* memory = counted_or_null(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// All forms: under a sanitizer those that are left out would not call these, but the sanitizer's own.
void* operator new(size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new[](size_t bytes) { return counted(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<size_t>(alignment));
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<size_t>(alignment));
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return counted_or_null(bytes, alignof(std::max_align_t));
}
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return counted_or_null(bytes, alignof(std::max_align_t));
}
void* operator new(size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return counted_or_null(bytes, static_cast<size_t>(alignment));
}
void* operator new[](size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return counted_or_null(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }

using namespace nnefrun;

namespace {

// What the runs after the first one allocate.
size_t allocations_later(const Graph& graph, const std::vector<Tensor>& inputs) {
  const auto model = planned(graph);
  REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
  Session session(model);
  session.run_in_place(inputs);
  const size_t before = allocations;
  for (int run = 0; run < 4; ++run) session.run_in_place(inputs);
  return allocations - before;
}
size_t allocations_later(const Row& row) { return allocations_later(row.graph(), row.inputs()); }

Row cell(const char* op, int64_t gates, int64_t rows, int64_t hidden) {
  constexpr int64_t kTime = 5;
  Row row(op);
  row.in("x", noise({kTime, rows, gates * hidden}, 1))
      .constant("R", noise({gates * hidden, hidden}, 2))
      .in("h", noise({rows, hidden}, 3));
  if (gates == 4) row.in("c", noise({rows, hidden}, 4));
  return row;
}

// next = tanh(x + s * w) over chunks of two rows of x [6, 3]; `axis` 1: over columns, which are gathered.
Row loop(int64_t axis) {
  const DimShape cells = axis == 0 ? DimShape{2, 3} : DimShape{6, 2};
  const Shape state = axis == 0 ? Shape{2, 3} : Shape{6, 2};
  Graph body;
  const Outlet x = body.add_external(fact_of(DataType::f32, cells), "x");
  const Outlet s = body.add_external(fact_of(DataType::f32, cells), "s");
  const Outlet w = body.add_external(fact_of(DataType::f32, {1, cells[1]}), "w");
  const Outlet next = body.add("tanh", {body.add("add", {x, body.add("mul", {s, w})})});
  body.outputs = {{next, "next"}};
  const Attribute::List kinds{"scan", "state", "full"};
  Row row("nnefrun_scan");
  row.in("inputs", noise({6, axis == 0 ? 3 : 6}, 5)).in("inputs", noise(state, 6));
  row.in("inputs", noise({1, state[1]}, 7)).body(std::move(body)).set("body", Attribute("body"));
  row.set("kinds", Attribute(kinds)).set("axes", Attribute::of_ints({axis, 0, 0}));
  row.set("chunks", Attribute::of_ints({2, 0, 0})).set("next_states", Attribute::of_ints({0}));
  row.set("output_results", Attribute::of_ints({0, 0}));
  row.set("output_kinds", Attribute(Attribute::List{"full", "last"}));
  row.set("output_axes", Attribute::of_ints({axis, 0})).set("output_chunks", Attribute::of_ints({2, 0}));
  return row.set("reset_every_turn", Attribute(true));
}

}  // namespace

TEST_CASE("the counter counts", "[session][allocation]") {
  const size_t before = allocations;
  const Tensor tensor = Tensor::uninitialized(DataType::f32, {100});
  CHECK(allocations > before);
}

TEST_CASE("recurrent steps allocate nothing after the first run", "[session][allocation]") {
  for (const int64_t rows : {1, 7}) {
    for (const int64_t hidden : {5, 64}) {
      INFO(rows << " rows of " << hidden);
      CHECK(allocations_later(cell("nnefrun_lstm", 4, rows, hidden)) == 0);
      CHECK(allocations_later(cell("nnefrun_gru", 3, rows, hidden)) == 0);
      CHECK(allocations_later(cell("nnefrun_gru", 3, rows, hidden).set("reset_before", true)) == 0);
      CHECK(allocations_later(cell("nnefrun_rnn", 1, rows, hidden).set("reverse", true)) == 0);
    }
  }
}

TEST_CASE("loops allocate nothing after the first run", "[session][allocation]") {
  CHECK(allocations_later(loop(0)) == 0);
  CHECK(allocations_later(loop(1)) == 0);
}

TEST_CASE("variables that change allocate nothing after the first run", "[session][allocation]") {
  for (const bool is_symbolic : {false, true}) {
    INFO("symbolic: " << is_symbolic);
    const Dim rows = is_symbolic ? Dim::symbol("S") : Dim(2);
    Graph graph;
    const Outlet x = graph.add_external(fact_of(DataType::f32, {rows, 3}), "x");
    const Outlet kept =
        graph.add_copy(variable_node(Tensor::zeros(DataType::f32, {1, 3}), {rows, 3}, "kept"), {});
    const Outlet next = graph.add("tanh", {graph.add("add", {x, kept})});
    graph.updates = {{kept, next}};
    graph.outputs = {{next, "y"}};
    CHECK(allocations_later(graph, {noise({2, 3}, 1)}) == 0);
  }
}

TEST_CASE("a cache that is fed back allocates nothing while it has room", "[session][allocation][feedback]") {
  for (const bool other_reader : {false, true}) {
    for (const int64_t prompt : {1, 9}) {
      INFO("other reader: " << other_reader << ", prompt of " << prompt);
      Session session(planned(cached_attention(other_reader)));
      Feedback cache = session.feedback("out", "past", 64);
      const std::vector<Tensor> first{token(0, prompt), Tensor()}, later{token(1), Tensor()};
      session.run_in_place(first);
      session.run_in_place(later);
      const size_t before = allocations;
      while (cache.length() < 64) session.run_in_place(later);
      cache.truncate(20);  // as a search that goes back does
      while (cache.length() < 64) session.run_in_place(later);
      CHECK(allocations == before);
      session.run_in_place(later);  // full: twice as many places, and memory for them
      session.run_in_place(later);
      const size_t grown = allocations;
      CHECK(grown > before);
      while (cache.length() < 128) session.run_in_place(later);
      CHECK(allocations == grown);
    }
  }
}

TEST_CASE("states that are fed back allocate nothing after the first runs",
          "[session][allocation][feedback]") {
  for (const bool is_symbolic : {false, true}) {
    INFO("symbolic: " << is_symbolic);
    const Dim rows = is_symbolic ? Dim::symbol("B") : Dim(2);
    Graph graph;
    const Outlet x = graph.add_external(fact_of(DataType::f32, {rows, 3}), "x");
    const Outlet h = graph.add_external(fact_of(DataType::f32, {rows, 3}), "h");
    graph.outputs = {{graph.add("tanh", {graph.add("add", {x, h})}), "next"}};
    Session session(planned(graph));
    Feedback state = session.feedback("next", "h");
    state.assign(noise({2, 3}, 2));
    const std::vector<Tensor> inputs{noise({2, 3}, 1), Tensor()};
    for (int run = 0; run < 2; ++run) session.run_in_place(inputs);
    const size_t before = allocations;
    for (int run = 0; run < 4; ++run) session.run_in_place(inputs);
    CHECK(allocations == before);
  }
}

TEST_CASE("products, moves and reductions allocate nothing after the first run", "[session][allocation]") {
  Graph graph;
  const Outlet x = graph.add_external(fact_of(DataType::f32, {1, 8, 24}), "x");
  const Outlet w = graph.add_constant(noise({24, 24}, 1).reshaped({1, 24, 24}), "w");
  const Outlet product = graph.add("matmul", {x, w}, {false, false});
  const Outlet soft = graph.add("softmax", {product}, {Attribute::of_ints({2})});
  const Outlet turned = graph.add("transpose", {soft}, {Attribute::of_ints({0, 2, 1})});
  graph.outputs = {{turned, "y"}, {graph.add("sum_reduce", {turned}, {Attribute::of_ints({2})}), "z"}};
  CHECK(allocations_later(graph, {noise({1, 8, 24}, 2)}) == 0);
}
