// The forms in which people write the dequantisation of weights in groups: each stays packed, with no more
// bits than its codes need.
#include "engine/ops/support.h"
#include "nnef_parser/archive.h"
#include "tests/engine/groups_text.h"

using namespace nnefrun;

namespace {

// 32 x `depth` codes of `bits` bits with `scales` scales in f16 and `offsets` offsets in f32 for each row,
// and the book.
size_t packed_bytes(int bits, int64_t scales, int64_t offsets, int64_t depth = 64) {
  return static_cast<size_t>(32 * depth * bits / 8 + 32 * scales * 2 + 32 * offsets * 4 + 64);
}

void require_packed(Text& t, const std::string& inputs, const std::vector<Tensor>& values, size_t bytes) {
  std::vector<std::string> notes;
  const auto model = agreed(t.graph(inputs, "y"), values, &notes);
  for (const std::string& note : notes) UNSCOPED_INFO(note);
  REQUIRE(notes.empty());
  REQUIRE(steps_of(*model, StepKind::matmul_groups) == 1);
  REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
  REQUIRE(model->plan->constant_bytes() <= bytes);
}

Tensor halves(const Shape& shape) { return cast_items(real(shape, 0.01F, 0.1F), DataType::f16); }

}  // namespace

TEST_CASE("zero points and scales of any type, computed or stored", "[groups]") {
  for (const int form : {0, 1, 2, 3}) {
    INFO("form " << form);
    // Small integers would be computed when the text is read.
    const int64_t k = form == 0 ? 256 : 64, groups = k / 32;
    const Shape cut{32, groups, 32}, of_group{32, groups, 1};
    Text t;
    t.body += external("x", {3, k});
    t.add("codes", whole({32, k}, 0, 15));
    t.add("zero", whole(of_group, 0, 15));
    if (form == 0) {  // integers, the sum in i32, behind a move
      t.add("half", halves(of_group));
      t.line("a = tract_core_cast(codes, to = 'i32');");
      t.line("b = reshape(a, shape = " + text_of(cut) + ");");
      t.line("z = tract_core_cast(zero, to = 'i32');");
      t.line("d = sub(b, z);");
      t.line("e = tract_core_cast(d, to = 'f32');");
      t.line("scale = tract_core_cast(half, to = 'f32');");
      t.line("s = mul(e, scale);");
    } else {
      t.line("a = tract_core_cast(codes, to = 'f32');");
      t.line("b = reshape(a, shape = " + text_of(cut) + ");");
      t.line("z = tract_core_cast(zero, to = 'f32');");
      t.line("d = sub(b, z);");
      if (form == 1) {  // scales of 8 bits with a scale of their own
        t.add("steps", whole(of_group, 1, 255));
        t.line("c = tract_core_cast(steps, to = 'f32');");
        t.line("scale = mul(c, 0.001);");
        t.line("s = mul(d, scale);");
      } else if (form == 2) {  // a scale for each row, behind the reshape, and one for all
        t.add("scale", real({32, 1, 1}));
        t.line("m = mul(d, 0.5);");
        t.line("s = mul(scale, m);");
      } else {  // one more axis, scaled there
        t.add("scale", real({1, 32, groups, 1}));
        t.line("u = unsqueeze(d, axes = [0]);");
        t.line("m = mul(u, scale);");
        t.line("s = squeeze(m, axes = [0]);");
      }
    }
    t.line("w = reshape(s, shape = " + text_of({32, k}) + ");");
    t.line("y = matmul(x, w, transposeB = true);");
    require_packed(t, "x", {real({3, k})}, packed_bytes(4, 2 * groups, groups, k));
  }
}

TEST_CASE("weights in groups on either side of a product, in either orientation", "[groups]") {
  for (const bool left : {false, true}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        for (const int64_t m : {1, 5}) {
          INFO("left " << left << " transposeA " << transpose_a << " transposeB " << transpose_b << " m "
                       << m);
          // out [m, 32] or [32, m], depth 64; scales along the depth or along the columns
          const bool rows = left ? !transpose_a : transpose_b;  // the weights are stored [32, 64]
          const bool x_turned = left ? !transpose_b : transpose_a;
          const Shape x_shape = x_turned ? Shape{64, m} : Shape{m, 64};
          Text t;
          t.body += external("x", x_shape);
          t.add("codes", whole(rows ? Shape{32, 64} : Shape{64, 32}, 0, 3));
          t.add("scale", halves(rows ? Shape{32, 1} : Shape{1, 32}));
          t.line("a = tract_core_cast(codes, to = 'f32');");
          t.line("f = tract_core_cast(scale, to = 'f32');");
          t.line("w = mul(a, f);");
          t.line("y = matmul(" + std::string(left ? "w, x" : "x, w") +
                 ", transposeA = " + (transpose_a ? "true" : "false") +
                 ", transposeB = " + (transpose_b ? "true" : "false") + ");");
          require_packed(t, "x", {real(x_shape)}, packed_bytes(2, 1, 0));
        }
      }
    }
  }
}

TEST_CASE("weights transposed behind their scale, and products over named axes", "[groups]") {
  Text t;
  t.body += external("x", {3, 64});
  t.add("codes", whole({64, 32}, 0, 7));
  t.add("scale", halves({2, 1, 32}));
  t.line("a = tract_core_cast(codes, to = 'f32');");
  t.line("g = reshape(a, shape = [2, 32, 32]);");
  t.line("f = tract_core_cast(scale, to = 'f32');");
  t.line("s = mul(g, f);");
  t.line("r = reshape(s, shape = [64, 32]);");
  t.line("w = transpose(r, axes = [1, 0]);");
  t.line("y = tract_core_einsum([x, w], expr = 'mk,nk->mn', acc = 'f32');");
  require_packed(t, "x", {real({3, 64})}, packed_bytes(3, 2, 0));
}

TEST_CASE("two codes in a byte, taken apart by bits or by arithmetic, side by side or by turns", "[groups]") {
  for (const bool by_bits : {false, true}) {
    for (const bool turns : {false, true}) {
      INFO("by bits " << by_bits << " by turns " << turns);
      Text t;
      t.body += external("x", {3, 64});
      t.add("bytes", whole({32, 2, 16}, 0, 255));
      t.add("scale", halves({32, 2, 1}));
      const std::string join = turns ? "c = stack([l, h], axis = 3);" : "c = concat([l, h], axis = 2);";
      if (by_bits) {
        t.add("mask", Tensor::of<uint8_t>({1, 1, 1}, {15}));
        t.add("count", Tensor::of<uint8_t>({1, 1, 1}, {4}));
        t.line("l = tract_core_bitand(bytes, mask);");
        t.line("h = tract_shr(bytes, count);");
        t.line(join);
        t.line("i = reshape(c, shape = [32, 2, 32]);");
        t.line("n = tract_core_cast(i, to = 'f32');");
      } else {
        t.line("b = tract_core_cast(bytes, to = 'f32');");
        t.line("d = div(b, 16.0);");
        t.line("h = floor(d);");
        t.line("u = mul(h, 16.0);");
        t.line("l = sub(b, u);");
        t.line(join);
        t.line("n = reshape(c, shape = [32, 2, 32]);");
      }
      t.line("z = sub(n, 8.0);");
      t.line("f = tract_core_cast(scale, to = 'f32');");
      t.line("s = mul(z, f);");
      t.line("w = reshape(s, shape = [32, 64]);");
      t.line("y = matmul(x, w, transposeB = true);");
      require_packed(t, "x", {real({3, 64})}, packed_bytes(4, 2, 0));
    }
  }
}

TEST_CASE("places in a book, two of them in a byte", "[groups]") {
  Text t;
  t.body += external("x", {3, 64});
  t.add("bytes", whole({32, 2, 16}, 0, 255));
  t.add("book", real({16}));
  t.add("scale", halves({32, 2, 1}));
  t.line("b = tract_core_cast(bytes, to = 'f32');");
  t.line("d = mul(b, 0.0625);");
  t.line("h = floor(d);");
  t.line("u = mul(h, 16.0);");
  t.line("l = sub(b, u);");
  t.line("c = concat([l, h], axis = 2);");
  t.line("i = tract_core_cast(c, to = 'i64');");
  t.line("n = tract_core_gather(book, i, axis = 0);");
  t.line("f = tract_core_cast(scale, to = 'f32');");
  t.line("s = mul(n, f);");
  t.line("w = reshape(s, shape = [32, 64]);");
  t.line("y = matmul(x, w, transposeB = true);");
  require_packed(t, "x", {real({3, 64})}, packed_bytes(4, 2, 0));
}

TEST_CASE("filters of single points stay packed where they are the larger part", "[groups]") {
  for (const int64_t side : {1, 2, 8}) {
    for (const bool bias : {false, true}) {
      INFO("side " << side << " bias " << bias);
      const int64_t n = 64, k = 96, batch = 2;
      Text t;
      const Shape shape{batch, k, side, side};
      t.body += external("x", shape);
      t.add("codes", whole({n, k, 1, 1}, 0, 15));
      t.add("scale", real({n, 1, 1, 1}));
      if (bias) t.add("bias", real({1, n}));
      t.line("a = tract_core_cast(codes, to = 'f32');");
      t.line("z = sub(a, 8.0);");
      t.line("w = mul(z, scale);");
      t.line(std::string("p = conv(x, w, ") + (bias ? "bias, " : "") + "padding = [(0, 0), (0, 0)]);");
      t.line("y = relu(p);");
      std::vector<std::string> notes;
      const auto model = agreed(t.graph("x", "y"), {real(shape)}, &notes);
      const bool packed = side < 8;
      REQUIRE(steps_of(*model, StepKind::matmul_groups) == (packed ? 1 : 0));
      REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
      REQUIRE(notes.size() == (packed ? 0 : 1));
      if (packed) {
        REQUIRE(model->plan->constant_bytes() <= static_cast<size_t>(n * k / 2 + n * 2 * 4 + n * 4 + 64));
      } else {
        REQUIRE(notes[0].find("`conv` reads them: 24576 bytes instead of") != std::string::npos);
      }
    }
  }
}

TEST_CASE("codes that graph.quant gives a meaning stay packed: for each channel, or by a book", "[groups]") {
  std::string scales;
  for (int i = 0; i < 32; ++i) scales += (i == 0 ? "[" : ", [") + std::to_string(i + 1) + ".0e-2]";
  const std::string entries[] = {
      "zero_point_linear_quantize(zero_point = 3, scale = [" + scales +
          "], bits = 8, signed = false, symmetric = false)",
      "min_max_linear_quantize(min = -0.7, max = 1.3, bits = 8, signed = false, symmetric = false)"};
  for (const std::string& entry : entries) {
    INFO(entry);
    const Archive archive = Archive::of_members(
        "model",
        {text_member("graph.nnef",
                     "version 1.0;\ngraph net(x) -> (y)\n{\n  x = external<scalar>(shape = [3, 64]);\n"
                     "  w = variable<scalar>(shape = [32, 64], label = 'w');\n"
                     "  y = matmul(x, w, transposeB = true);\n}\n"),
         text_member("graph.quant", "\"w\": " + entry + ";\n"),
         tensor_member("w", whole({32, 64}, 0, 255), TensorFileForm::khronos)});
    std::vector<std::string> notes;
    const auto model = agreed(load_graph(archive, {}), {real({3, 64})}, &notes);
    REQUIRE(notes.empty());
    REQUIRE(steps_of(*model, StepKind::matmul_groups) == 1);
    REQUIRE(model->plan->constant_bytes() <= packed_bytes(8, 2, 1) + 1024);
  }
}

TEST_CASE("integers that wrap around are no zero points", "[groups]") {
  Text t;
  t.body += external("x", {3, 64});
  t.add("codes", whole({32, 64}, 0, 15));
  t.add("zero", whole({32, 1}, 0, 15));
  t.line("d = sub(codes, zero);");  // in u8: 3 - 5 is 254
  t.line("w = tract_core_cast(d, to = 'f32');");
  t.line("y = matmul(x, w, transposeB = true);");
  require_packed(t, "x", {real({3, 64})}, packed_bytes(8, 1, 1));
}
