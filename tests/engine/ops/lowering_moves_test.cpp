#include "tests/engine/ops/run_plan.h"

using namespace nnefrun;

TEST_CASE("pads that repeat items are copies", "[lowering]") {
  for (const char* border : {"replicate", "reflect", "reflect-even"}) {
    const auto pad = [&](const Tensor& x, const std::vector<std::pair<int64_t, int64_t>>& padding) {
      Row row("pad");
      return row.in("input", x).set("padding", pairs(padding)).set("border", Attribute(border));
    };
    INFO(border);
    require_planned(pad(noise({1, 20}, 1), {{0, 0}, {3, 5}}));
    require_planned(pad(noise({2, 3, 4}, 2), {{0, 0}, {2, 1}, {0, 3}}));
    require_planned(pad(noise({3, 5, 4, 2}, 3), {{1, 2}, {0, 0}, {3, 3}, {1, 0}}));
    require_planned(pad(i64({4}, {1, 2, 3, 4}), {{3, 3}}));
    require_planned(pad(noise({2, 0, 3}, 4), {{0, 0}, {0, 0}, {1, 1}}));
    Row symbolic("pad");
    symbolic.in("input", noise({3, 6}, 5), {Dim::symbol("S"), Dim(6)}).set("padding", pairs({{0, 0}, {2, 2}}));
    require_planned(symbolic.set("border", Attribute(border)));
  }
}
