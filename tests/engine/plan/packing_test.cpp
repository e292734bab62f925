// Weights are given back while they are packed, and only when nobody else has them.
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "base/bytes.h"
#include "engine/compiler.h"
#include "engine/graph/constant_pool.h"
#include "engine/plan/builder.h"
#include "engine/session.h"
#include "kernels/blocked/pack.h"
#include "kernels/matmul/pack.h"
#include "nnef_parser/archive.h"

namespace nnefrun {
namespace {

Tensor noise(const Shape& shape, uint32_t seed) {
  std::mt19937 generator(seed);
  Tensor out = Tensor::uninitialized(DataType::f32, shape);
  float* items = out.mutable_data<float>();
  for (int64_t i = 0; i < out.size(); ++i) items[i] = static_cast<float>(generator()) / 2147483648.0F - 1.0F;
  return out;
}

// 4 MB each, so that there are whole bands and pages to give back.
constexpr const char* kBody =
    "  a = variable<scalar>(shape = [1024, 1024], label = 'a');\n"
    "  b = variable<scalar>(shape = [1024, 1024], label = 'b');\n"
    "  y = matmul(linear(x, a, 0.0), b);\n";

std::vector<ArchiveMember> members(const std::string& graph) {
  return {text_member("graph.nnef",
                      "version 1.0;\ngraph net(x) -> (y) {\n  x = external<scalar>(shape = [2, 1024]);\n" +
                          graph + "}\n"),
          tensor_member("a", noise({1024, 1024}, 1), TensorFileForm::tract),
          tensor_member("b", noise({1024, 1024}, 2), TensorFileForm::tract)};
}

Tensor result(std::shared_ptr<const CompiledModel> model) {
  Session session(std::move(model));
  return session.run({noise({2, 1024}, 3)})[0];
}

}  // namespace

TEST_CASE("packing: only a tensor that nobody shares is exclusive", "[packing]") {
  Tensor a = noise({64, 64}, 1);
  CHECK(a.is_exclusive());
  {
    const Tensor b = a.reshaped({4096});
    CHECK_FALSE(a.is_exclusive());
    CHECK_FALSE(b.is_exclusive());
  }
  CHECK(a.is_exclusive());
  const auto foreign = std::make_shared<std::vector<float>>(4096);
  const Tensor wrapped =
      Tensor::wrap(DataType::f32, {4096}, foreign, reinterpret_cast<const std::byte*>(foreign->data()));
  CHECK_FALSE(wrapped.is_exclusive());
  CHECK_FALSE(Tensor().is_exclusive());
}

TEST_CASE("packing: the pool lets go of what has one reader", "[packing]") {
  Tensor first = pooled_constant(noise({64, 64}, 7));
  Tensor second = pooled_constant(noise({64, 64}, 7));
  REQUIRE(first.bytes() == second.bytes());
  CHECK_FALSE(taken_from_pool(first).is_exclusive());  // `second` has it, and so has `first`
  second = Tensor();
  const std::byte* bytes = first.bytes();
  const Tensor taken = taken_from_pool(std::move(first));
  CHECK(taken.bytes() == bytes);
  CHECK(taken.is_exclusive());
  const Tensor other = pooled_constant(noise({64, 64}, 7));
  CHECK(other.bytes() != bytes);  // nobody finds what may be given back
  CHECK(taken.is_exclusive());
}

TEST_CASE("packing: what the pool lets go of keeps the shape that it has now", "[packing]") {
  Tensor first = pooled_constant(noise({64, 64}, 8));
  first = first.reshaped({1, 64, 64});
  const Tensor taken = taken_from_pool(std::move(first));
  CHECK(taken.shape() == Shape{1, 64, 64});
  CHECK(taken.is_exclusive());
}

TEST_CASE("packing: released bytes stay inside of the tensor", "[packing]") {
  const Tensor before = noise({1 << 18}, 1), middle = noise({1 << 18}, 2), after = noise({1 << 18}, 3);
  middle.release(0, middle.byte_size());
  middle.release(10, 20);  // no whole page
  CHECK(before.identical(noise({1 << 18}, 1)));
  CHECK(after.identical(noise({1 << 18}, 3)));
}

TEST_CASE("packing: several models over one archive, alive or not", "[packing]") {
  CompileOptions naive;
  naive.optimize = false;
  const Archive archive = Archive::of_members("net", members(kBody));
  const Tensor expected = result(compile_model(archive, naive));
  const auto check = [&](const Tensor& found) {
    REQUIRE(found.shape() == expected.shape());
    for (int64_t i = 0; i < found.size(); ++i) {
      REQUIRE(found.data<float>()[i] == Approx(expected.data<float>()[i]).margin(0.01));
    }
  };
  for (int i = 0; i < 3; ++i) check(result(compile_model(archive, {})));  // it holds the bytes
  CHECK(archive.tensor("a")->tensor.identical(noise({1024, 1024}, 1)));
  const auto kept = compile_model(Archive::of_members("net", members(kBody)), {});  // nobody holds them
  check(result(kept));
  const Tensor mine = noise({1024, 1024}, 1);
  check(result(compile_model(Archive::of_members("net", members(kBody)), {})));
  CHECK(mine.identical(noise({1024, 1024}, 1)));
  check(result(kept));
}

TEST_CASE("packing: weights with other readers stay whole", "[packing]") {
  // One weight on both sides, in two forms, and as a result.
  const std::string body =
      "  a = variable<scalar>(shape = [1024, 1024], label = 'a');\n"
      "  y = matmul(linear(linear(x, a, 0.0), a, 0.0), matmul(a, a));\n";
  CompileOptions naive;
  naive.optimize = false;
  const Tensor expected = result(compile_model(Archive::of_members("net", members(body)), naive));
  const Tensor found = result(compile_model(Archive::of_members("net", members(body)), {}));
  double largest = 0, worst = 0;
  for (int64_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, std::abs(expected.as_double(i)));
    worst = std::max(worst, std::abs(expected.as_double(i) - found.as_double(i)));
  }
  CHECK(worst < 1e-4 * largest);
}

TEST_CASE("packing: windows together are the whole", "[packing]") {
  int count = 0;
  const auto* const* rows = kernels::matmul_f32_rows(&count);
  constexpr int64_t kOuter = 131, kDepth = 2500;
  const Tensor source = noise({kOuter, kDepth}, 4);
  for (int r = 0; r < count; ++r) {
    const kernels::MatmulKernel& kernel = *rows[r];
    if (!kernels::supports(kernels::host_isa(), kernel.requires_isa)) continue;
    INFO(kernel.name);
    for (const bool transposed : {false, true}) {
      const int64_t outer_stride = transposed ? kDepth : 1, depth_stride = transposed ? 1 : kOuter;
      const bool by_panels = transposed;
      const auto size = static_cast<int64_t>(kernels::packed_b_size(kDepth, kOuter, kernel));
      Tensor whole = Tensor::zeros(DataType::f32, {size}), parts = Tensor::zeros(DataType::f32, {size});
      kernels::pack_b_f32_window(kDepth, kOuter, source.data<float>(), depth_stride, outer_stride,
                                 whole.mutable_data<float>(), {0, kOuter, 0, kDepth, by_panels}, kernel);
      for (int64_t i = 0; i < kOuter; i += 2 * kernel.nr) {
        const int64_t end = std::min<int64_t>(i + 2 * kernel.nr, kOuter);
        for (int64_t p = 0; p < kDepth; p += 70) {
          kernels::pack_b_f32_window(kDepth, kOuter, source.data<float>(), depth_stride, outer_stride,
                                     parts.mutable_data<float>(),
                                     {i, end, p, std::min<int64_t>(p + 70, kDepth), by_panels}, kernel);
        }
      }
      CHECK(parts.identical(whole));
      const auto size_a = static_cast<int64_t>(kernels::packed_a_size(kOuter, kDepth, kernel));
      whole = Tensor::zeros(DataType::f32, {size_a});
      parts = Tensor::zeros(DataType::f32, {size_a});
      kernels::pack_a_f32(kOuter, kDepth, source.data<float>(), outer_stride, depth_stride,
                          whole.mutable_data<float>(), kernel);
      for (int64_t p = 0; p < kDepth; p += 70) {
        kernels::pack_a_f32_window(kOuter, kDepth, source.data<float>(), outer_stride, depth_stride,
                                   parts.mutable_data<float>(),
                                   {0, kOuter, p, std::min<int64_t>(p + 70, kDepth)}, kernel);
      }
      CHECK(parts.identical(whole));
    }
  }
}

TEST_CASE("packing: a weight goes when all its readers want the form that exists", "[packing]") {
  const auto taken = [](const std::string& body, Tensor* found) {
    const std::string text = "  a = variable<scalar>(shape = [1024, 1024], label = 'a');\n" + body;
    CompileOptions naive;
    naive.optimize = false;
    const Tensor expected = result(compile_model(Archive::of_members("net", members(text)), naive));
    *found = result(compile_model(Archive::of_members("net", members(text)), {}));
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < expected.size(); ++i) {
      largest = std::max(largest, std::abs(expected.as_double(i)));
      worst = std::max(worst, std::abs(expected.as_double(i) - found->as_double(i)));
    }
    CHECK(worst < 1e-4 * largest);
    // Whether the first reader's lowering let go of it; later readers see its type and shape.
    Graph graph = load_graph(Archive::of_members("net", members(text)), {});
    std::vector<bool> early;
    PlanOptions options;
    options.take_constant = [&](Outlet constant, std::shared_ptr<const Tensor> instead) {
      const auto& held = graph.fact(constant).constant;
      if (held && held->rank() == 2) early.push_back(instead != nullptr);
      if (instead) CHECK(instead->shape() == held->shape());
      return std::exchange(graph.mutable_fact(constant).constant, std::move(instead));
    };
    REQUIRE(PlanBuilder::build(graph, nullptr, options));
    return early;
  };
  Tensor found;
  CHECK(taken("  y = linear(linear(linear(x, a, 0.0), a, 0.0), a, 0.0);\n", &found) ==
        std::vector<bool>{true, false});
  // The second reader wants another form.
  CHECK(taken("  y = matmul(linear(x, a, 0.0), a);\n", &found) == std::vector<bool>{false});
}

TEST_CASE("packing: bands of a filter one after the other are the filter", "[packing]") {
  kernels::ConvShape shape;
  shape.in_channels = 37;
  shape.out_channels = 150;
  shape.filter[1] = shape.filter[2] = 3;
  const Tensor weights = noise({150, 37, 3, 3}, 5);
  using kernels::BlockedMethod;
  for (const auto method : {BlockedMethod::direct, BlockedMethod::winograd_2, BlockedMethod::winograd_4}) {
    const int64_t unit = kernels::blocked_conv_pack_unit(shape, method), row = 37 * 9;
    REQUIRE(unit > 0);
    const auto size = static_cast<int64_t>(kernels::packed_blocked_conv_size(shape, method));
    Tensor whole = Tensor::zeros(DataType::f32, {size}), parts = Tensor::zeros(DataType::f32, {size});
    kernels::pack_blocked_conv(shape, method, false, weights.data<float>(), whole.mutable_data<float>());
    kernels::ConvShape band = shape;
    int64_t at = 0;
    for (int64_t begin = 0; begin < 150; begin += unit) {
      band.out_channels = std::min<int64_t>(unit, 150 - begin);
      kernels::pack_blocked_conv(band, method, false, weights.data<float>() + begin * row,
                                 parts.mutable_data<float>() + at);
      at += static_cast<int64_t>(kernels::packed_blocked_conv_size(band, method));
    }
    CHECK(at == size);
    CHECK(parts.identical(whole));
  }
  shape.groups = 2;
  CHECK(kernels::blocked_conv_pack_unit(shape, BlockedMethod::direct) == 0);
}

}  // namespace nnefrun
