#include "nnef_parser/quantization_file.h"

#include <catch2/catch.hpp>

#include "tests/temporary_folder.h"

using namespace nnefrun;

namespace {

std::string code_of(const std::string& text, Dialect dialect = Dialect::automatic) {
  try {
    for (const QuantizationEntry& entry : parse_quantization_file(text, "graph.quant", dialect)) {
      if (!code_format_of(entry, dialect)) return "unknown operation " + entry.operation;
    }
  } catch (const Error& error) {
    CHECK(error.where().to_string().find("graph.quant:") == 0);
    return error.code();
  }
  return "accepted";
}

CodeFormat format_of(const std::string& text, Dialect dialect = Dialect::automatic) {
  const auto entries = parse_quantization_file(text, "graph.quant", dialect);
  REQUIRE(entries.size() == 1);
  const auto format = code_format_of(entries[0], dialect);
  REQUIRE(format.has_value());
  return *format;
}

std::string zero_point(const std::string& zp, const std::string& scale, const std::string& bits = "8") {
  return "\"w\": zero_point_linear_quantize(zero_point = " + zp + ", scale = " + scale + ", bits = " + bits +
         ", signed = true, symmetric = false);";
}

}  // namespace

TEST_CASE("graph.quant: entries with keys, places, nested arrays and comments", "[quantization_file]") {
  const auto entries = parse_quantization_file(
      "# weights\n\"w\" :\n  zero_point_linear_quantize(scale = [[0.125, 1]], zero_point = [[3, -2]], # any "
      "order\n"
      " bits = 8, symmetric = false, signed = true) ;'a': my_own(text = 'x', level = -2.5, on = true);");
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].key == "w");
  CHECK(entries[0].where.line == 2);
  CHECK(entries[0].where.column == 1);
  CHECK(entries[0].operation_where.line == 3);
  CHECK(entries[0].find("bits")->value.as_integer() == 8);
  CHECK(entries[0].find("none") == nullptr);
  CHECK(entries[1].find("level")->value.as_scalar() == -2.5);
  CHECK(entries[1].find("text")->value.as_string() == "x");
  CHECK(entries[1].find("on")->value.as_logical());
  CHECK_FALSE(code_format_of(entries[1], Dialect::automatic).has_value());
  const CodeFormat format = *code_format_of(entries[0], Dialect::automatic);
  CHECK(format.first.shape == Shape{1, 2});
  CHECK(format.first.values == std::vector<double>{3, -2});
  CHECK(format.second.values == std::vector<double>{0.125, 1});
  CHECK(parse_quantization_file("").empty());
}

TEST_CASE("graph.quant: looser writing outside of the strict reading", "[quantization_file]") {
  const std::string loose =
      "i\"a.b\": linear_quantize(min = 0.0 max = 2.55 bits = 8)\n\"c\": "
      "linear_quantize(min=0.0,max=1.0,bits=8)";
  CHECK(code_of(loose) == "accepted");
  CHECK(parse_quantization_file(loose)[0].key == "a.b");
  CHECK(code_of(loose, Dialect::khronos) != "accepted");
  CHECK(code_of("\"c\": linear_quantize(min=0.0,max=1.0,bits=8)", Dialect::khronos) == "unexpected-token");
  CHECK(code_of("\"c\": linear_quantize(min=0.0 max=1.0,bits=8);", Dialect::khronos) == "unexpected-token");
}

TEST_CASE("graph.quant: the standard algorithms", "[quantization_file]") {
  const CodeFormat khronos = format_of("\"w\": linear_quantize(min = 0.0, max = 2.55, bits = 8);");
  CHECK(khronos.kind == CodeFormat::Kind::min_max);
  CHECK_FALSE(khronos.is_signed);
  const CodeFormat tract =
      format_of("\"w\": linear_quantize(min = 0.0, max = 2.55, bits = 8);", Dialect::tract);
  CHECK(tract.affine()->zero_point == -127);
  CHECK(tract.affine()->scale == Approx(0.01));
  CHECK(format_of("\"a\": logarithmic_quantize(max = 4.0, bits = 4);").second.values[0] == 4.0);
  CHECK(format_of(
            "\"a\": min_max_linear_quantize(min = -1, max = 1.0, bits = 4, signed = true, symmetric = true);")
            .symmetric);
  CHECK(format_of("\"a\": zero_point_linear_quantize(zero_point = 0, scale = 0.5, bits = 32, signed = true);")
            .bits == 32);
}

TEST_CASE("graph.quant: a written line comes back", "[quantization_file]") {
  for (const std::string& text : {zero_point("[1, -2]", "[0.1, 1e-20]"), zero_point("3", "2"),
                                  std::string("'a': logarithmic_quantize(max = 3e30, bits = 4);"),
                                  std::string("'a': min_max_linear_quantize(min = [[-1.5]], max = [[1e9]], "
                                              "bits = 4, signed = true, symmetric = true);")}) {
    const CodeFormat format = format_of(text);
    const std::string line = to_text("a\"b", format);
    INFO(line);
    CHECK(parse_quantization_file(line, "graph.quant", Dialect::khronos)[0].key == "a\"b");
    const CodeFormat back = format_of(line, Dialect::khronos);
    CHECK(back.kind == format.kind);
    CHECK(back.first.shape == format.first.shape);
    CHECK(back.bits == format.bits);
    CHECK(back.symmetric == format.symmetric);
    for (size_t i = 0; i < format.second.values.size(); ++i) {
      CHECK(static_cast<float>(back.second.values[i]) == static_cast<float>(format.second.values[i]));
    }
  }
}

TEST_CASE("graph.quant: what is wrong has a code and a place", "[quantization_file]") {
  CHECK(code_of(zero_point("0", "0.5")) == "accepted");
  CHECK(code_of(zero_point("0", "0.5", "1000")) == "quant-bits");
  CHECK(code_of(zero_point("0", "0.5", "0")) == "quant-bits");
  CHECK(code_of(zero_point("0", "0.5", "8.0")) == "quant-bits");
  CHECK(code_of(zero_point("0", "0.0")) == "quant-scale");
  CHECK(code_of(zero_point("0", "-0.5")) == "quant-scale");
  CHECK(code_of(zero_point("0", "1.0e99")) == "quant-scale");
  CHECK(code_of(zero_point("0", "1.0e999")) == "malformed-number");
  CHECK(code_of(zero_point("300", "0.5")) == "quant-zero-point");
  CHECK(code_of(zero_point("0.5", "0.5")) == "quant-zero-point");
  CHECK(code_of(zero_point("true", "0.5")) == "quant-argument");
  CHECK(code_of(zero_point("[]", "0.5")) == "quant-argument");
  CHECK(code_of(zero_point("[[0,1],[2]]", "0.5")) == "quant-jagged");
  CHECK(code_of(zero_point("[[0,1],2]", "0.5")) == "quant-jagged");
  CHECK(code_of(zero_point("[2,[0,1]]", "0.5")) == "quant-jagged");
  CHECK(code_of(zero_point("[[],[0]]", "0.5")) == "quant-jagged");
  CHECK(code_of(zero_point("zp", "0.5")) == "quant-not-literal");
  CHECK(code_of(zero_point(std::string(100000, '['), "0.5")) == "nesting-limit");
  CHECK(code_of(zero_point("0", "0.5") + zero_point("0", "0.5")) == "quant-duplicate-key");
  CHECK(code_of("\"w\": linear_quantize(min = 1.0, max = -1.0, bits = 8);") == "quant-min-max");
  CHECK(code_of("\"w\": linear_quantize(min = 1.0, max = 1.0, bits = 8);", Dialect::tract) ==
        "quant-min-max");
  CHECK(code_of("\"w\": min_max_linear_quantize(min = [1.0, 0.0], max = [2.0], bits = 8, signed = true, "
                "symmetric = true);") == "quant-shape");
  CHECK(code_of("\"w\": linear_quantize(min = 1.0, bits = 8);") == "quant-missing-argument");
  CHECK(code_of("\"w\": linear_quantize(0.0, 1.0, 8);") == "quant-positional");
  CHECK(code_of("\"w\": linear_quantize(x = 1.0, min = 0.0, max = 1.0, bits = 8);") ==
        "quant-unknown-argument");
  CHECK(code_of("\"w\": linear_quantize(min = 1.0, min = 1.0);") == "quant-duplicate-argument");
  CHECK(code_of("\"w\": frobnicate(bits = 8);") == "unknown operation frobnicate");
  CHECK(code_of("\"w\" linear_quantize(bits = 8);") == "unexpected-token");
  CHECK(code_of("w: linear_quantize(bits = 8);") == "unexpected-token");
  CHECK(code_of("\"w: linear_quantize(bits = 8);") == "unterminated-string");
  const std::string whole = zero_point("[0, 1]", "[0.5, 0.5]");
  for (size_t length = 1; length + 1 < whole.size(); ++length)
    REQUIRE(code_of(whole.substr(0, length)) != "accepted");
}

TEST_CASE("graph.quant: the shared cases", "[quantization_file]") {
  const std::filesystem::path shared(NNEFRUN_SHARED_DIR);
  if (!std::filesystem::exists(shared / "bad-input/quant")) {
    WARN("the shared suites are not here: only the cases of this file ran");
    SUCCEED();
    return;
  }
  size_t refused = 0, read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shared / "bad-input/quant")) {
    if (entry.path().filename() == "channels") continue;  // only the tensor's shape can tell
    INFO(entry.path().string());
    CHECK(code_of(read_whole_file((entry.path() / "graph.quant").string())) != "accepted");
    ++refused;
  }
  CHECK(refused > 10);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(shared / "conformance")) {
    if (entry.path().filename() != "graph.quant") continue;
    INFO(entry.path().string());
    CHECK(code_of(read_whole_file(entry.path().string())) == "accepted");
    ++read;
  }
  CHECK(read > 20);
}
