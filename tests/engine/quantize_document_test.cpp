// Q4_0 weights in the model's own text (engine/quantize.h, store_q40_weights).
#include <catch2/catch.hpp>
#include <random>

#include "engine/compiler.h"
#include "engine/quantize.h"
#include "nnef_parser/archive.h"
#include "nnef_parser/printer.h"

using namespace nnefrun;

namespace {

Tensor drawn(const Shape& shape, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> real(-1, 1);
  Tensor out = Tensor::zeros(DataType::f32, shape);
  for (int64_t i = 0; i < out.size(); ++i) out.mutable_data<float>()[i] = real(random);
  return out;
}

constexpr const char* kHead =
    "version 1.0;\nextension tract_registry tract_core;\n"
    "graph net(ids) -> (y, z)\n{\n  ids = tract_core_external(shape = [1, 3], datum_type = 'i64');\n"
    "  table = variable<scalar>(label = 'the.table', shape = [16, 32]);\n"
    "  x = tract_core_gather(table, ids, axis = 0);\n"
    "  a = variable<scalar>(label = 'a', shape = [64, 32]);\n  a3 = unsqueeze(a, axes = [0]);\n"
    "  h = linear(x, a3, 0.0);\n"
    "  b = variable<scalar>(label = 'b', shape = [8, 64]);\n  b3 = unsqueeze(b, axes = [0]);\n"
    "  y = matmul(h, b3, transposeB = true);\n";

Archive archive(const std::string& rest) {
  std::vector<ArchiveMember> members{text_member("graph.nnef", kHead + rest)};
  const std::pair<const char*, Shape> tensors[] = {
      {"the.table", {16, 32}}, {"a", {64, 32}}, {"b", {8, 64}}, {"c", {64, 20}}};
  uint32_t seed = 0;
  for (const auto& [label, shape] : tensors)
    members.push_back(tensor_member(label, drawn(shape, ++seed), TensorFileForm::tract));
  return Archive::of_members("model", members);
}

std::vector<std::string> stored(const std::string& rest, const std::set<std::string>& keep,
                                std::string* text = nullptr) {
  const Archive model = archive(rest);
  Document document = parse_graph(model, {});
  const StoredWeights weights = store_q40_weights(document, model, keep);
  if (text) *text = print(document);
  std::vector<std::string> labels;
  for (const auto& [label, tensor] : weights.tensors) {
    CHECK(tensor.dtype() == DataType::q4_0);
    labels.push_back(label);
  }
  return labels;
}

}  // namespace

TEST_CASE("matrices of products and look-ups become Q4_0 in the model's own text", "[quantize]") {
  std::string text;
  CHECK(stored("  z = copy(h);\n}\n", {}, &text) == std::vector<std::string>{"a", "b", "the.table"});
  CHECK(text.find("variable<scalar>") == std::string::npos);
  CHECK(text.find("tract_core_gather(table, ids, axis = 0, datum_type = 'f32')") != std::string::npos);
  CHECK(text.find("extension tract_registry tract_core;") != std::string::npos);
}

TEST_CASE("matrices that others read stay as they are", "[quantize]") {
  const auto without = [](const char* rest) { return stored(rest, {}); };
  const std::vector<std::string> no_a{"b", "the.table"}, no_b{"a", "the.table"}, no_table{"a", "b"};
  CHECK(without("  z = add(a, 1.0);\n}\n") == no_a);
  CHECK(without("  z = a * 2.0;\n}\n") == no_a);
  CHECK(without("  z = transpose(a3, axes = [0, 2, 1]);\n}\n") == no_a);
  CHECK(without("  z = linear(a, a, 0.0);\n}\n") == no_a);  // what is multiplied, too
  CHECK(without("  z = matmul(h, b3, transposeB = false);\n}\n") == no_b);
  CHECK(without("  z = tract_core_gather(table, ids, axis = 1);\n}\n") == no_table);
  CHECK(without("  t = unsqueeze(table, axes = [2]);\n  z = copy(h);\n}\n") == no_table);
  CHECK(without("  t = unsqueeze(table, axes = [0]);\n  z = tract_core_gather(t, ids, axis = 0);\n}\n") ==
        no_table);
  // Twice the label: one file, two readers.
  CHECK(without("  a_again = variable<scalar>(label = 'a', shape = [64, 32]);\n  z = copy(a_again);\n}\n") ==
        no_a);
  // Rows of 20 are no blocks.
  CHECK(without("  c = variable<scalar>(label = 'c', shape = [64, 20]);\n  z = linear(c, c, 0.0);\n}\n")
            .size() == 3);
}

TEST_CASE("what is kept stays as it is", "[quantize]") {
  CHECK(stored("  z = copy(h);\n}\n", {"h"}) == std::vector<std::string>{"b", "the.table"});
  std::string text;
  CHECK(stored("  z = copy(h);\n}\n", {"h", "x", "y"}, &text).empty());
  CHECK(text.find("variable<scalar>") != std::string::npos);
  CHECK(text.find("datum_type = 'f32'") == std::string::npos);
}
