#include "tests/engine/ops/run_op.h"

using namespace nnefrun;

TEST_CASE("activations at hand-computed points", "[ops]") {
  const Tensor x = floats({3}, {-1, 0, 2});
  require_close(op("relu", {x}), floats({3}, {0, 0, 2}), 0);
  require_close(op("relu", {integers({2}, {-3, 4})}), integers({2}, {0, 4}), 0);
  require_close(op("relu", {floats({1}, {NAN})}), floats({1}, {0}), 0);
  require_close(op("leaky_relu", {x}, {0.1}), floats({3}, {-0.1F, 0, 2}));
  require_close(op("elu", {x}), floats({3}, {-0.6321206F, 0, 2}));
  require_close(op("elu", {x}, {0.5}), floats({3}, {-0.3160603F, 0, 2}));
  require_close(op("selu", {x}), floats({3}, {-1.111331F, 0, 2.1014020F}));
  require_close(op("gelu", {floats({1}, {-1})}), floats({1}, {-0.154204F}));
  require_close(op("nnefrun_gelu", {floats({1}, {-1})}), floats({1}, {-0.158655F}));
  require_close(op("nnefrun_gelu", {floats({1}, {-1})}, {"tanh"}), floats({1}, {-0.158808F}));
  require_close(op("tract_core_gelu_approx", {floats({1}, {-1})}, {false}), floats({1}, {-0.158808F}));
  const double fast = 0.5 * -1 * (1 + std::tanh(0.7978845608028654 * (-1 + 0.044715)));
  require_close(op("tract_core_gelu_approx", {floats({1}, {-1})}, {true}),
                floats({1}, {static_cast<float>(fast)}));
  require_close(op("silu", {floats({1}, {-1})}), floats({1}, {-0.268941F}));
  require_close(op("softplus", {floats({3}, {-1, -1000, 1000})}), floats({3}, {0.313262F, 0, 1000}));
  require_close(op("softabs", {floats({2}, {-3, 0})}, {16.0}), floats({2}, {5, 4}));
  require_close(op("sigmoid", {floats({3}, {-1000, 0, 1000})}), floats({3}, {0, 0.5F, 1}));
  require_close(op("tract_core_hard_swish", {floats({4}, {-4, -1, 1, 5})}),
                floats({4}, {0, -1.0F / 3, 2.0F / 3, 5}));
  REQUIRE(op_code("nnefrun_gelu", {x}, {"erf"}) == "attribute-value");
  REQUIRE(op_code("sigmoid", {integers({1}, {1})}) == "dtype-mismatch");
  REQUIRE(op_code("relu", {logicals({1}, {true})}) == "dtype-mismatch");
}

TEST_CASE("prelu broadcasts its slope into the input only", "[ops]") {
  const Tensor x = floats({1, 2, 2}, {-1, 2, -3, 4});
  require_close(op("prelu", {x, floats({1, 2}, {0.5F, 0.1F})}), floats({1, 2, 2}, {-0.5F, 2, -0.3F, 4}));
  require_close(op("prelu", {x, floats({}, {2})}), floats({1, 2, 2}, {-2, 2, -6, 4}));
  REQUIRE(op_code("prelu", {x, floats({2, 2}, {1, 1, 1, 1})}) == "shape-mismatch");
  REQUIRE(op_code("prelu", {x, floats({1, 1, 1, 1}, {1})}) == "shape-mismatch");
  REQUIRE(op_code("prelu", {x, Tensor::of<double>({}, {1})}) == "dtype-mismatch");
}

TEST_CASE("softmax over one axis, several and none", "[ops]") {
  const Tensor x = floats({1, 3}, {1, 2, 3});
  require_close(op("softmax", {x}), floats({1, 3}, {0.09003057F, 0.24472847F, 0.66524096F}));
  require_close(op("softmax", {floats({2, 2}, {0, 0, 0, 0})}, {ints({0, 1})}),
                floats({2, 2}, {0.25F, 0.25F, 0.25F, 0.25F}));
  require_close(op("softmax", {floats({2, 2}, {1, 5, 1, 5})}, {ints({0})}),
                floats({2, 2}, {0.5F, 0.5F, 0.5F, 0.5F}));
  require_close(op("softmax", {x}, {ints({})}), floats({1, 3}, {1, 1, 1}));
  require_close(op("softmax", {floats({1, 2}, {1000, 1000})}), floats({1, 2}, {0.5F, 0.5F}));
  require_close(op("softmax", {floats({1, 2}, {-INFINITY, -INFINITY})}), floats({1, 2}, {NAN, NAN}));
  require_close(op("tract_core_log_softmax", {x}, {ints({1})}),
                floats({1, 3}, {-2.4076059F, -1.4076059F, -0.4076059F}));
  require_close(op("softmax", {Tensor::of<Half>({1, 2}, {Half(0.0F), Half(0.0F)})}),
                Tensor::of<Half>({1, 2}, {Half(0.5F), Half(0.5F)}), 0);
  REQUIRE(op("softmax", {floats({2, 0}, {})}).shape() == Shape{2, 0});
  REQUIRE(op_code("softmax", {x}, {ints({2})}) == "axis-out-of-range");
  REQUIRE(op_code("softmax", {x}, {ints({1, 1})}) == "axis-repeated");
}
