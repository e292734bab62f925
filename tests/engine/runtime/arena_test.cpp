#include "engine/runtime/arena.h"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

using namespace nnefrun;

namespace {

size_t place(std::vector<ArenaBuffer>& buffers) {
  std::vector<uint32_t> scratch(2 * buffers.size());
  return place_buffers(buffers.data(), static_cast<uint32_t>(buffers.size()), scratch.data());
}

size_t lower_bound(const std::vector<ArenaBuffer>& buffers) {
  return largest_live_set(buffers.data(), static_cast<uint32_t>(buffers.size()));
}

bool live_together(const ArenaBuffer& a, const ArenaBuffer& b) {
  return a.first_step <= b.last_step && b.first_step <= a.last_step;
}

void check_placement(const std::vector<ArenaBuffer>& buffers, size_t total) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    const ArenaBuffer& a = buffers[i];
    CHECK(a.offset % kArenaAlignment == 0);
    CHECK(a.offset + a.size <= total);
    for (size_t j = 0; j < i; ++j) {
      const ArenaBuffer& b = buffers[j];
      if (a.size == 0 || b.size == 0 || !live_together(a, b)) continue;
      INFO(j << " [" << b.offset << ", +" << b.size << ") and " << i << " [" << a.offset << ", +" << a.size
             << ")");
      CHECK((a.offset + a.size <= b.offset || b.offset + b.size <= a.offset));
    }
  }
}

}  // namespace

TEST_CASE("an arena without buffers is empty", "[arena]") {
  std::vector<ArenaBuffer> none;
  CHECK(place(none) == 0);
  std::vector<ArenaBuffer> empty = {{0, 0, 5}, {0, 2, 3}};
  CHECK(place(empty) == 0);
  CHECK(lower_bound(empty) == 0);
}

TEST_CASE("a chain of equal buffers needs two of them", "[arena]") {
  std::vector<ArenaBuffer> chain;
  for (uint32_t step = 0; step < 10; ++step) chain.push_back({1000, step, step + 1});
  const size_t total = place(chain);
  check_placement(chain, total);
  CHECK(total == 2 * 1024);
  CHECK(lower_bound(chain) == 2 * 1024);
}

TEST_CASE("a buffer fills the gap between two others", "[arena]") {
  // The large ones are placed first; the last one lives with the outer two only.
  std::vector<ArenaBuffer> buffers = {{640, 0, 9}, {512, 0, 1}, {256, 0, 9}, {448, 2, 9}};
  const size_t total = place(buffers);
  check_placement(buffers, total);
  CHECK(total == 640 + 512 + 256);
  CHECK(buffers[3].offset == buffers[1].offset);
}

TEST_CASE("buffers that live until the end of the run keep their place", "[arena]") {
  std::vector<ArenaBuffer> buffers = {{64, 0, UINT32_MAX}, {64, 1, 2}, {64, 3, UINT32_MAX}};
  const size_t total = place(buffers);
  check_placement(buffers, total);
  CHECK(total == 128);
}

TEST_CASE("random lives never overlap and come near the least that is possible", "[arena]") {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    std::vector<ArenaBuffer> buffers;
    for (int i = 0; i < 80; ++i) {
      const auto first = static_cast<uint32_t>(random() % 60);
      buffers.push_back({random() % 5000, first, first + static_cast<uint32_t>(random() % 8)});
    }
    const size_t least = lower_bound(buffers);
    const size_t total = place(buffers);
    check_placement(buffers, total);
    CHECK(total >= least);
    CHECK(total <= least + least / 2);
  }
}

TEST_CASE("where the largest first leaves a gap, another order is found", "[arena]") {
  // By size alone: a at 0, b above it; c lives with b and d, and finds no room below b.
  std::vector<ArenaBuffer> buffers = {{704, 0, 1}, {640, 1, 2}, {576, 2, 3},
                                      {512, 3, 4}, {448, 0, 0}, {192, 2, 4}};
  const size_t total = place(buffers);
  check_placement(buffers, total);
  CHECK(total == lower_bound(buffers));
  // and always the same one
  std::vector<ArenaBuffer> again = buffers;
  CHECK(place(again) == total);
  for (size_t i = 0; i < buffers.size(); ++i) CHECK(again[i].offset == buffers[i].offset);
}
