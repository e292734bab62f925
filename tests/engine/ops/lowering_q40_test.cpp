#include <cmath>

#include "engine/ops/support.h"
#include "quant/tensors.h"
#include "tests/engine/ops/run_plan.h"

using namespace nnefrun;

namespace {

Tensor q40(const Shape& shape, int seed) { return quantize_blocks(noise(shape, seed), DataType::q4_0); }

Row product(const Tensor& x, const Tensor& w) {
  Row row("matmul");
  row.in("A", x).constant("B", w);
  return row.set("transposeB", Attribute(true));
}

std::vector<Tensor> fast_results(const Row& row) {
  auto model = std::make_shared<CompiledModel>();
  model->graph = row.graph();
  PlanOptions options;
  options.fast = true;
  model->plan = PlanBuilder::build(model->graph, nullptr, options);
  REQUIRE(model->plan.has_value());
  REQUIRE(steps_of(*model, StepKind::quantize_q80) == 1);
  REQUIRE(steps_of(*model, StepKind::matmul_q40) == 1);
  Session session(model);
  return session.run(row.inputs());
}

}  // namespace

TEST_CASE("products with Q4_0 weights have steps", "[lowering][q40]") {
  for (const int64_t m : {1, 3, 20}) {
    const auto model = require_planned(product(noise({m, 96}, 1), q40({37, 96}, 2)), 2e-6);
    REQUIRE(steps_of(*model, StepKind::matmul_q40) == 1);
  }
  require_planned(product(noise({2, 3, 64}, 1), q40({1, 5, 64}, 2)), 2e-6);
  Row linear("linear");
  linear.in("input", noise({4, 64}, 1))
      .constant("filter", q40({9, 64}, 2))
      .constant("bias", noise({1, 9}, 3));
  REQUIRE(steps_of(*require_planned(linear, 2e-6), StepKind::matmul_q40) == 1);
  // blocks that do not run along the depth become f32 when they are packed
  Row across("matmul");
  across.in("A", noise({4, 6}, 1)).constant("B", q40({6, 64}, 2));
  REQUIRE(steps_of(*require_planned(across, 2e-6), StepKind::matmul) == 1);
  Row left("matmul");
  left.constant("A", q40({7, 64}, 2)).in("B", noise({64, 5}, 1));
  REQUIRE(steps_of(*require_planned(left, 2e-6), StepKind::matmul) == 1);
  Row eight("matmul");
  eight.in("A", noise({4, 64}, 1)).constant("B", quantize_blocks(noise({5, 64}, 2), DataType::q8_1));
  require_planned(eight.set("transposeB", Attribute(true)), 2e-6);
}

TEST_CASE("products of f16 with Q4_0 weights", "[lowering][q40]") {
  const Tensor x = cast_items(noise({3, 64}, 1), DataType::f16);
  REQUIRE(steps_of(*require_planned(product(x, q40({5, 64}, 2)), 1e-3), StepKind::matmul_q40) == 1);
}

TEST_CASE("fast products quantise their activations, within the bound of their error", "[lowering][q40]") {
  const Tensor x = noise({5, 96}, 1), w = q40({33, 96}, 2);
  const Row row = product(x, w);
  GraphState state;
  const Tensor exact = interpret(row.graph(), row.inputs(), {}, state)[0];
  const Tensor fast = fast_results(row)[0];
  const Tensor floats = dequantize_blocks(w);
  for (int64_t i = 0; i < 5; ++i) {
    for (int64_t j = 0; j < 33; ++j) {
      double bound = 1e-5;
      for (int64_t block = 0; block < 3; ++block) {
        double most = 0, sum = 0;
        for (int64_t p = block * 32; p < block * 32 + 32; ++p) {
          most = std::fmax(most, std::fabs(x.as_double(i * 96 + p)));
          sum += std::fabs(floats.as_double(j * 96 + p));
        }
        bound += most / 254 * sum;
      }
      REQUIRE(std::fabs(exact.as_double(i * 33 + j) - fast.as_double(i * 33 + j)) <= bound);
    }
  }
}

TEST_CASE("rows of Q4_0 weights are looked up without the others", "[lowering][q40]") {
  Row row("tract_core_gather");
  row.constant("input", q40({11, 64}, 1)).in("indices", i64({2, 3}, {0, 10, -1, 5, 5, 3}));
  row.set("axis", Attribute(int64_t{0})).set("datum_type", Attribute("f32"));
  REQUIRE(steps_of(*require_planned(row), StepKind::gather_q40) == 1);
  Row half("tract_core_gather");
  half.constant("input", q40({11, 64}, 1)).in("indices", i64({2}, {7, 2}));
  half.set("axis", Attribute(int64_t{0})).set("datum_type", Attribute("f16"));
  REQUIRE(steps_of(*require_planned(half), StepKind::gather_q40) == 1);
  Row outside("gather");
  outside.constant("input", q40({11, 64}, 1))
      .in("indices", i64({1}, {11}))
      .set("axis", Attribute(int64_t{0}));
  Session session(planned(outside.graph()));
  REQUIRE_THROWS_AS(session.run(outside.inputs()), Error);
}
