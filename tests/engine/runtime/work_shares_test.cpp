#include "engine/runtime/work_shares.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <thread>
#include <vector>

using namespace nnefrun;

TEST_CASE("shares cover every task once, whoever takes") {
  const auto shares = std::make_unique<WorkShares>();
  for (const uint32_t workers : {1U, 2U, 3U, 5U, 256U}) {
    for (const int64_t tasks : {0, 1, 2, 3, 7, 64, 1000}) {
      for (const int64_t grain : {1, 3, 1000, 5000}) {
        shares->deal(workers, tasks, grain);
        std::vector<int> seen(static_cast<size_t>(tasks), 0);
        int64_t begin = 0, end = 0;
        bool any = true;
        for (uint32_t step = 0; any; ++step) {
          any = shares->take(step % workers, &begin, &end);
          if (!any) break;
          REQUIRE(begin < end);
          REQUIRE(begin % grain == 0);
          REQUIRE((end % grain == 0 || end == tasks));
          for (int64_t t = begin; t < end; ++t) ++seen[static_cast<size_t>(t)];
        }
        CHECK(std::count(seen.begin(), seen.end(), 1) == tasks);
      }
    }
  }
}

TEST_CASE("one worker alone takes everything, its own share first") {
  const auto shares = std::make_unique<WorkShares>();
  shares->deal(4, 400, 1);
  int64_t begin = 0, end = 0, total = 0;
  REQUIRE(shares->take(2, &begin, &end));
  CHECK(begin == 200);
  CHECK(end == 275);
  total = end - begin;
  while (shares->take(2, &begin, &end)) total += end - begin;
  CHECK(total == 400);
}

TEST_CASE("more tasks than a word counts") {
  const auto shares = std::make_unique<WorkShares>();
  const int64_t tasks = int64_t{1} << 40;
  shares->deal(2, tasks, 1);
  int64_t begin = 0, end = 0, total = 0;
  while (shares->take(0, &begin, &end)) {
    REQUIRE(end <= tasks);
    total += end - begin;
  }
  CHECK(total == tasks);
}

TEST_CASE("threads take each task once") {
  const auto shares = std::make_unique<WorkShares>();
  constexpr int64_t kTasks = 20000;
  for (int round = 0; round < 5; ++round) {
    std::vector<std::atomic<int>> seen(kTasks);
    shares->deal(4, kTasks, 1 + round);
    std::vector<std::thread> threads;
    for (uint32_t w = 0; w < 4; ++w) {
      threads.emplace_back([&, w] {
        int64_t begin = 0, end = 0;
        while (shares->take(w, &begin, &end)) {
          for (int64_t t = begin; t < end; ++t) ++seen[static_cast<size_t>(t)];
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    bool once = true;
    for (const auto& count : seen) once = once && count == 1;
    CHECK(once);
  }
}
