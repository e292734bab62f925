// Weights of few bits in groups, dequantised by a fragment of the text: recognised, kept packed, multiplied.
#include "engine/ops/support.h"
#include "quant/tensors.h"
#include "tests/engine/groups_text.h"

using namespace nnefrun;

TEST_CASE("fragments that dequantise groups stay packed: bits, groups and ways to write them", "[groups]") {
  const int64_t n = 37;
  for (const int bits : {2, 3, 4, 8}) {
    for (const int64_t group : {8, 16, 32, 96}) {
      for (int form = 0; form < 6; ++form) {
        for (const int64_t m : {1, 3, 17}) {
          const int64_t k = 96, groups = k / group;
          INFO("bits " << bits << " group " << group << " form " << form << " m " << m);
          Text t;
          t.body += external("x", {m, k});
          const Tensor codes = whole({n, k}, 0, (1 << bits) - 1);
          t.add("codes", codes);
          t.add("scale", real({n, groups, 1}, 0.01F, 0.1F));
          if (form == 5) {
            t.add("book", real({int64_t{1} << bits}));
            t.line("l = tract_core_gather(book, codes, axis = 0);");
          } else {
            t.line("l = tract_core_cast(codes, to = 'f32');");
          }
          t.line("g = reshape(l, shape = " + text_of({n, groups, group}) + ");");
          const char* kForms[] = {"s = mul(sub(g, zero), scale);",
                                  "s = add(mul(g, scale), zero);",
                                  "s = sub(mul(scale, g), zero);",
                                  "s = mul(sub(g, 3.0), scale);",
                                  "s = mul(g, scale);",
                                  "s = mul(g, scale);"};
          if (form == 0) t.add("zero", whole({n, groups, 1}, 0, (1 << bits) - 1, DataType::f32));
          if (form == 1 || form == 2) t.add("zero", real({n, groups, 1}));
          // one call a line: the engine's text is flat
          const std::string line = kForms[form];
          if (form == 0 || form == 3) {
            t.line(std::string("d = sub(g, ") + (form == 0 ? "zero" : "3.0") + ");");
            t.line("s = mul(d, scale);");
          } else if (form == 1 || form == 2) {
            t.line("d = mul(g, scale);");
            t.line(form == 1 ? "s = add(d, zero);" : "s = sub(d, zero);");
          } else {
            t.line(line);
          }
          t.line("w = reshape(s, shape = " + text_of({n, k}) + ");");
          t.line("y = matmul(x, w, transposeB = true);");
          const auto model = agreed(t.graph("x", "y"), {real({m, k})});
          REQUIRE(steps_of(*model, StepKind::matmul_groups) == 1);
          REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
        }
      }
    }
  }
}

TEST_CASE("the plan holds no more than the bits and the scales", "[groups]") {
  Text t;
  t.body += external("x", {1, 256});
  t.add("codes", whole({128, 256}, 0, 15));
  t.add("scale", real({128, 8, 1}));
  t.line("c = tract_core_cast(codes, to = 'f32');");
  t.line("b = sub(c, 8.0);");
  t.line("g = reshape(b, shape = [128, 8, 32]);");
  t.line("s = mul(g, scale);");
  t.line("w = reshape(s, shape = [128, 256]);");
  t.line("y = linear(x, w);");
  const auto model = agreed(t.graph("x", "y"), {real({1, 256})});
  REQUIRE(steps_of(*model, StepKind::matmul_groups) == 1);
  REQUIRE(model->plan->constant_bytes() <= 128 * 256 / 2 + 128 * 8 * 4 + 256);
  // printed at this stage it loads back as what it is
  const Graph again = reload_graph(print_graph(rewrite_graph(t.graph("x", "y"), Stage::optimized, {})));
  REQUIRE(steps_of(*compile_graph(again, {}), StepKind::matmul_groups) == 1);
}

TEST_CASE("groups across the rows, look-ups, shared and fused weights", "[groups]") {
  Text t;
  t.body += external("x", {3, 64}) + external("i", {2, 2}, "i64");
  t.add("codes", whole({64, 40}, 0, 15));
  t.add("scale", real({2, 1, 40}));
  t.add("bias", real({1, 40}));
  t.line("c = tract_core_cast(codes, to = 'f32');");
  t.line("g = reshape(c, shape = [2, 32, 40]);");
  t.line("s = mul(g, scale);");
  t.line("w = reshape(s, shape = [64, 40]);");
  t.line("p = matmul(x, w);");
  t.line("q = add(p, bias);");
  t.line("y = relu(q);");
  t.add("table", whole({50, 64}, 0, 15));
  t.add("book", real({16}));
  t.add("step", real({50, 4, 1}));
  t.line("l = tract_core_gather(book, table, axis = 0);");
  t.line("lg = reshape(l, shape = [50, 4, 16]);");
  t.line("ls = mul(lg, step);");
  t.line("e = reshape(ls, shape = [50, 64]);");
  t.line("r = tract_core_gather(e, i, axis = 0);");
  t.line("z = matmul(x, e, transposeB = true);");
  const Tensor indices = Tensor::of<int64_t>({2, 2}, {0, 49, 7, -1});
  const auto model = agreed(t.graph("x, i", "y, r, z"), {real({3, 64}), indices});
  REQUIRE(steps_of(*model, StepKind::matmul_groups) == 2);
  REQUIRE(steps_of(*model, StepKind::gather_groups) == 1);
  REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
  REQUIRE(model->plan->constant_bytes() < 6000);  // 23 kB as floats
}

TEST_CASE("two codes of 4 bits in a byte, taken apart by arithmetic", "[groups]") {
  Text t;
  t.body += external("x", {2, 64});
  t.add("bytes", whole({12, 2, 16}, 0, 255));
  t.add("scale", real({12, 2, 1}));
  t.line("b = tract_core_cast(bytes, to = 'f32');");
  t.line("d = mul(b, 0.0625);");
  t.line("h = floor(d);");
  t.line("u = mul(h, 16.0);");
  t.line("l = sub(b, u);");
  t.line("c = concat([l, h], axis = 2);");
  t.line("z = sub(c, 8.0);");
  t.line("s = mul(z, scale);");
  t.line("w = reshape(s, shape = [12, 64]);");
  t.line("y = matmul(x, w, transposeB = true);");
  std::vector<std::string> notes;
  const auto model = agreed(t.graph("x", "y"), {real({2, 64})}, &notes);
  REQUIRE(steps_of(*model, StepKind::matmul_groups) == 1);
  REQUIRE(notes.empty());
}

TEST_CASE("blocks of 8 bits stay packed", "[groups]") {
  for (const DataType blocks : {DataType::q8_0, DataType::q8_1}) {
    for (const int64_t m : {1, 3, 17}) {
      Text t;
      t.body += external("x", {m, 96});
      t.add("w", quantize_blocks(real({37, 96}), blocks));
      t.add("bias", real({1, 37}));
      t.line("p = linear(x, w, bias);");
      t.line("y = relu(p);");
      const auto model = agreed(t.graph("x", "y"), {real({m, 96})});
      REQUIRE(steps_of(*model, StepKind::matmul_groups) == 1);
      REQUIRE(model->plan->steps.size() == 1);
      // codes of whole panels of 32 rows, scales in f16, the bias
      REQUIRE(model->plan->constant_bytes() <= 64 * (96 + 2 * 3) + 37 * 4 + 64);
    }
  }
  // between f16, and across the blocks
  Text half;
  half.body += external("x", {3, 64}, "f16");
  half.add("w", quantize_blocks(real({20, 64}), DataType::q8_0));
  half.add("v", quantize_blocks(real({20, 32}), DataType::q8_0));
  half.line("h = matmul(x, w, transposeB = true);");
  half.line("f = tract_core_cast(h, to = 'f32');");
  half.line("y = matmul(f, v);");
  std::vector<std::string> notes;
  auto model = agreed(half.graph("x", "h, y"), {cast_items(real({3, 64}), DataType::f16)}, &notes);
  REQUIRE(steps_of(*model, StepKind::matmul_groups) == 1);
  REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
  REQUIRE(notes.size() == 1);
  REQUIRE(notes[0].find("weights `v`") == 0);
  REQUIRE(notes[0].find("groups along the depth have 1 codes") != std::string::npos);
}

TEST_CASE("an embedding in blocks of 8 bits and the head that is tied to it share memory", "[groups]") {
  for (const char* type : {"f32", "f16"}) {
    Text t;
    t.body += external("i", {1, 4}, "i64") + external("x", {1, 4, 64});
    t.add("w", quantize_blocks(real({320, 64}), DataType::q8_0));
    t.line("e = tract_core_gather(w, i, axis = 0, datum_type = '" + std::string(type) + "');");
    t.line("u = unsqueeze(w, axes = [0]);");
    t.line("y = matmul(x, u, transposeB = true);");
    const auto model =
        agreed(t.graph("i, x", "e, y"), {Tensor::of<int64_t>({1, 4}, {0, 319, -1, 7}), real({1, 4, 64})});
    REQUIRE(steps_of(*model, StepKind::matmul_groups) == 1);
    REQUIRE(steps_of(*model, StepKind::gather_groups) == 1);
    REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
    REQUIRE(model->plan->constant_bytes() <= 320 * 64 + 2 * 320 * 2 * 2 + 64);
  }
}

TEST_CASE("blocks that somebody must have as blocks are there as both", "[groups]") {
  Text t;
  t.body += external("x", {2, 32});
  t.add("w", quantize_blocks(real({16, 32}), DataType::q8_0));
  t.line("y = matmul(x, w, transposeB = true);");
  Session session(compile_graph(t.graph("x", "y, w"), {}));
  const auto got = session.run({real({2, 32})});
  REQUIRE(got[0].dtype() == DataType::f32);
  REQUIRE(got[1].identical(t.printed.tensors[0].second));
}

TEST_CASE("what cannot stay packed is computed once, and said", "[groups]") {
  std::vector<std::string> notes;
  Text conv;
  conv.body += external("x", {1, 16, 5, 5});
  conv.add("codes", whole({16, 16, 3, 3}, 0, 15));
  conv.line("c = tract_core_cast(codes, to = 'f32');");
  conv.line("w = mul(c, 0.125);");
  conv.line("y = conv(x, w, padding = [(1, 1), (1, 1)]);");
  auto model = agreed(conv.graph("x", "y"), {real({1, 16, 5, 5})}, &notes);
  REQUIRE(notes.size() == 1);
  REQUIRE(notes[0].find("`conv` reads them: 9216 bytes instead of") != std::string::npos);
  REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
  notes.clear();
  Text sine;
  sine.body += external("x", {2, 32});
  sine.add("codes", whole({16, 32}, 0, 15));
  sine.add("scale", real({16, 1}));
  sine.line("c = tract_core_cast(codes, to = 'f32');");
  sine.line("a = mul(c, scale);");
  sine.line("w = sin(a);");
  sine.line("y = matmul(x, w, transposeB = true);");
  model = agreed(sine.graph("x", "y"), {real({2, 32})}, &notes);
  REQUIRE(notes.size() == 2);
  REQUIRE(notes[0].find("last by `sin`") != std::string::npos);
  REQUIRE(steps_of(*model, StepKind::evaluate) == 0);
  notes.clear();
  Text five;
  five.body += external("x", {2, 40});
  five.add("codes", whole({16, 40}, 0, 15));
  five.add("scale", real({16, 8, 1}));
  five.line("c = tract_core_cast(codes, to = 'f32');");
  five.line("g = reshape(c, shape = [16, 8, 5]);");
  five.line("s = mul(g, scale);");
  five.line("w = reshape(s, shape = [16, 40]);");
  five.line("y = matmul(x, w, transposeB = true);");
  model = agreed(five.graph("x", "y"), {real({2, 40})}, &notes);
  REQUIRE(notes.size() == 1);
  REQUIRE(notes[0].find("groups along the depth have 5 codes") != std::string::npos);
}
