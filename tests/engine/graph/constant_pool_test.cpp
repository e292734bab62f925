// Weights are held once per process.
#include "engine/graph/constant_pool.h"

#include <catch2/catch.hpp>

#include "engine/session.h"
#include "nnef_parser/archive.h"

namespace nnefrun {
namespace {

Tensor ramp(int64_t count, float start) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(start + static_cast<float>(i % 97));
  return Tensor::of<float>({count / 64, 64}, values);
}

TEST_CASE("equal constants share bytes, others do not") {
  const Tensor a = pooled_constant(ramp(4096, 1)), b = pooled_constant(ramp(4096, 1));
  CHECK(a.bytes() == b.bytes());
  const Tensor c = pooled_constant(ramp(4096, 2));
  CHECK(c.bytes() != a.bytes());
  // the last item only
  Tensor d = ramp(4096, 1);
  d.mutable_data<float>()[4095] = -1;
  d = pooled_constant(d);
  CHECK(d.bytes() != a.bytes());
  CHECK(d.data<float>()[4095] == -1);
  // another shape
  const Tensor e = pooled_constant(ramp(4096, 1).reshaped({4096}));
  CHECK(e.shape() == Shape{4096});
  CHECK(std::equal(e.data<float>(), e.data<float>() + 4096, a.data<float>()));
}

TEST_CASE("small tensors and strings are left alone") {
  CHECK(pooled_constant(Tensor::scalar(3.0F)).data<float>()[0] == 3.0F);
  CHECK(pooled_constant(Tensor::of_strings({1}, {"a"})).strings()[0] == "a");
}

TEST_CASE("the pool keeps nothing alive") {
  const std::byte* bytes = nullptr;
  {
    const Tensor a = pooled_constant(ramp(1 << 16, 5));
    bytes = a.bytes();
    CHECK(pooled_constant(ramp(1 << 16, 5)).bytes() == bytes);
  }
  const Tensor other = ramp(1 << 16, 5);  // likely takes the bytes that were freed; the pool must not mind
  CHECK(pooled_constant(other).bytes() == other.bytes());
}

const char* graph_text(bool second) {
  return second ? "version 1.0;\ngraph second(x) -> (y) {\n  x = external<scalar>(shape = [1, 64]);\n"
                  "  w = variable<scalar>(shape = [64, 64], label = 'w');\n  y = exp(matmul(x, w));\n}\n"
                : "version 1.0;\ngraph first(x) -> (y) {\n  x = external<scalar>(shape = [3, 64]);\n"
                  "  w = variable<scalar>(shape = [64, 64], label = 'w');\n  y = matmul(x, w);\n}\n";
}

TEST_CASE("graphs of one archive hold a shared tensor once, packed") {
  const Archive archive = Archive::of_members(
      "two.nnef", {text_member("first.nnef", graph_text(false)), text_member("second.nnef", graph_text(true)),
                   tensor_member("w", ramp(4096, -3), TensorFileForm::khronos)});
  CompileOptions first, second;
  first.graph_name = "first";
  second.graph_name = "second";
  const auto a = compile_model(archive, first), b = compile_model(archive, second);
  REQUIRE(a->plan);
  REQUIRE(b->plan);
  const auto large = [](const CompiledModel& model) {
    std::vector<const std::byte*> out;
    for (const Tensor& constant : model.plan->constants) {
      if (constant.byte_size() >= 4096) out.push_back(constant.bytes());
    }
    return out;
  };
  REQUIRE(large(*a).size() == 1);
  CHECK(large(*a) == large(*b));
  // What the weight was packed from is gone from the graph.
  for (const Node& node : a->graph.nodes()) {
    if (node.op->name == "variable") CHECK_FALSE(node.facts[0].constant);
  }
  const Tensor x = ramp(64, 0).reshaped({1, 64});
  CHECK(Session(b).run({x})[0].shape() == Shape{1, 64});
}

// A factor is multiplied into weights where they lie, when nobody else reads them.
TEST_CASE("weights that take a factor keep their shape, and those of another graph their items") {
  const char* text =
      "version 1.0;\ngraph net(x) -> (y, z) {\n  x = external<scalar>(shape = [1, 3, 64]);\n"
      "  w = variable<scalar>(shape = [1024, 64], label = 'w');\n  v = unsqueeze(w, axes = [0]);\n"
      "  y = matmul(x, v, transposeB = true) * 0.5;\n  u = variable<scalar>(shape = [1, 1024, 64], label = "
      "'u');\n"
      "  z = matmul(x, u, transposeB = true) * 0.25 + matmul(x, u, transposeB = true);\n}\n";
  const Archive archive = Archive::of_members(
      "net.nnef",
      {text_member("graph.nnef", text), tensor_member("w", ramp(1 << 16, -3), TensorFileForm::khronos),
       tensor_member("u", ramp(1 << 16, 2).reshaped({1, 1024, 64}), TensorFileForm::khronos)});
  CompileOptions naive;
  naive.optimize = false;
  const Tensor x = ramp(192, 1).reshaped({1, 3, 64});
  const auto expected = Session(compile_model(archive, naive)).run({x});
  for (int again = 0; again < 2; ++again) {
    const auto model = compile_model(archive, {});
    REQUIRE(model->plan);
    const auto found = Session(model).run({x});
    for (size_t r = 0; r < 2; ++r) {
      REQUIRE(found[r].shape() == expected[r].shape());
      for (int64_t i = 0; i < found[r].size(); ++i)
        REQUIRE(found[r].data<float>()[i] == Approx(expected[r].data<float>()[i]).epsilon(1e-5));
    }
  }
}

}  // namespace
}  // namespace nnefrun
