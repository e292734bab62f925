#include "nnef_parser/tensor_file.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "base/error.h"
#include "quant/q40.h"
#include "tests/random_tensor.h"
#include "tests/temporary_folder.h"

using namespace nnefrun;

namespace {

std::string written(const Tensor& tensor, TensorFileForm form) {
  std::string out;
  write_tensor_file([&](ByteSpan bytes) { out += as_text(bytes); }, tensor, form);
  return out;
}

TensorFile parse(const std::string& file, bool legacy = true) {
  TensorFileOptions options;
  options.legacy = legacy;
  return read_tensor_file(as_byte_span(file), "w.dat", options);
}

std::string code_of(const std::string& file, bool legacy = true) {
  try {
    parse(file, legacy);
  } catch (const Error& error) {
    CHECK(error.message().find("w.dat") != std::string::npos);
    return error.code();
  }
  return "accepted";
}

std::string file_of(const Shape& shape, uint32_t bits, uint16_t type, uint16_t vendor,
                    const std::string& data) {
  std::string out("\x4E\xEF\x01\x00", 4);
  append_little_endian<uint32_t>(out, static_cast<uint32_t>(data.size()));
  append_little_endian<uint32_t>(out, static_cast<uint32_t>(shape.size()));
  for (const int64_t extent : shape) append_little_endian<uint32_t>(out, static_cast<uint32_t>(extent));
  out.resize(44, '\0');
  append_little_endian<uint32_t>(out, bits);
  append_little_endian<uint16_t>(out, type);
  append_little_endian<uint16_t>(out, vendor);
  out.resize(128, '\0');
  return out + data;
}

template <class T>
void put(std::string& file, size_t at, T value) {
  store_little_endian<T>(reinterpret_cast<std::byte*>(&file[at]), value);
}

}  // namespace

TEST_CASE("tensor file: every type comes back as it was in the engine's form", "[tensor_file]") {
  std::mt19937 random(1);
  for (int type = 0; type < kDataTypeCount; ++type) {
    const auto dtype = static_cast<DataType>(type);
    if (dtype == DataType::dim) continue;  // not an element type of a Tensor
    for (int i = 0; i < 30; ++i) {
      Shape shape = random_shape(random);
      if (is_block_quantized(dtype))
        shape = {static_cast<int64_t>(random() % 4), 32 * (1 + static_cast<int64_t>(random() % 3))};
      const Tensor tensor = random_tensor(random, dtype, shape);
      INFO(name_of(dtype) << " " << to_string(shape));
      REQUIRE(parse(written(tensor, TensorFileForm::engine)).tensor.identical(tensor));
    }
  }
}

TEST_CASE("tensor file: the headers of the two dialects", "[tensor_file]") {
  // reference section 20, vector 20
  const std::string file = written(Tensor::zeros(DataType::f32, {2, 3}), TensorFileForm::khronos);
  std::string expected("\x4E\xEF\x01\x00\x18\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00",
                       20);
  expected.resize(44, '\0');
  expected += std::string("\x20\x00\x00\x00", 4);
  expected.resize(128, '\0');
  CHECK(file.substr(0, 128) == expected);

  struct Case {
    Tensor tensor;
    TensorFileForm form;
    uint16_t type, vendor;
    uint32_t bits;
  };
  const std::vector<Case> cases = {
      {Tensor::scalar<int8_t>(-1), TensorFileForm::khronos, 4, 0, 8},
      {Tensor::scalar<int8_t>(-1), TensorFileForm::tract, 3, 0, 8},
      {Tensor::scalar<uint64_t>(1), TensorFileForm::khronos, 1, 0, 64},
      {Tensor::scalar<uint64_t>(1), TensorFileForm::tract, 2, 0, 64},
      {Tensor::scalar<bool>(true), TensorFileForm::khronos, 5, 0, 1},
      {Tensor::scalar<bool>(true), TensorFileForm::tract, 5, 0, 8},
      {Tensor::of_strings({2}, {"a", "bc"}), TensorFileForm::tract, 0x1000, 0x5452, 0xFFFFFFFF},
      {Tensor::zeros(DataType::complex64, {2}), TensorFileForm::tract, 0, 0x5452, 64},
      {Tensor::zeros(DataType::q4_0, {1, 32}), TensorFileForm::tract, 0x3040, 0x5452, 0xFFFFFFFF},
      {Tensor::zeros(DataType::q8_1, {1, 32}), TensorFileForm::tract, 0x3080, 0x5452, 0xFFFFFFFF},
      {Tensor::zeros(DataType::bf16, {3}), TensorFileForm::tract, 0, 0, 32},
  };
  for (const Case& c : cases) {
    INFO(name_of(c.tensor.dtype()));
    const TensorFileInfo info = parse(written(c.tensor, c.form)).info;
    CHECK(info.item_type == c.type);
    CHECK(info.vendor == c.vendor);
    CHECK(info.bits == c.bits);
    CHECK(info.quantized == (c.vendor == 0 && (c.type == 2 || c.type == 3)));
    CHECK_FALSE(info.legacy);
  }
  CHECK_THROWS_AS(encode_tensor_file(Tensor::zeros(DataType::q8_0, {1, 32}), TensorFileForm::tract), Error);
  CHECK_THROWS_AS(encode_tensor_file(Tensor::of_strings({}, {"a"}), TensorFileForm::khronos), Error);
  CHECK_THROWS_AS(encode_tensor_file(Tensor::zeros(DataType::f32, Shape(9, 1)), TensorFileForm::tract),
                  Error);
  CHECK_THROWS_AS(
      encode_tensor_file(Tensor::zeros(DataType::f32, {int64_t{1} << 33, 0}), TensorFileForm::tract), Error);
}

TEST_CASE("tensor file: packed items, the most significant bit first", "[tensor_file]") {
  // reference section 15: T,F,T,T,F,F,F,F,T is B0 80
  const Tensor flags = parse(file_of({9}, 1, 5, 0, "\xB0\x80")).tensor;
  CHECK(flags.identical(Tensor::of<bool>({9}, {true, false, true, true, false, false, false, false, true})));
  CHECK(written(flags, TensorFileForm::khronos).substr(128) == "\xB0\x80");
  CHECK(parse(file_of({3}, 3, 1, 0, std::string("\xA7\x00", 2)))
            .tensor.identical(Tensor::of<uint8_t>({3}, {5, 1, 6})));
  CHECK(parse(file_of({3}, 3, 4, 0, std::string("\xA7\x00", 2)))
            .tensor.identical(Tensor::of<int8_t>({3}, {-3, 1, -2})));
  CHECK(parse(file_of({2}, 4, 3, 0, "\x7F")).tensor.identical(Tensor::of<int8_t>({2}, {7, -1})));
  CHECK(parse(file_of({2}, 12, 1, 0, "\x12\x3F\xFF"))
            .tensor.identical(Tensor::of<uint16_t>({2}, {0x123, 0xFFF})));
  CHECK(parse(file_of({1}, 24, 4, 0, "\xFE\xFF\xFF")).tensor.identical(Tensor::of<int32_t>({1}, {-2})));
  CHECK(parse(file_of({1}, 63, 4, 0, std::string(7, '\xFF') + "\xFC"))
            .tensor.identical(Tensor::of<int64_t>({1}, {-2})));
  CHECK(parse(file_of({2}, 8, 5, 0, std::string("\x00\x7F", 2)))
            .tensor.identical(Tensor::of<bool>({2}, {false, true})));
}

TEST_CASE("tensor file: every width comes back", "[tensor_file]") {
  std::mt19937_64 random(2);
  for (uint32_t bits = 1; bits <= 64; ++bits) {
    std::vector<uint64_t> values(13);
    std::vector<bool> stream;
    for (uint64_t& value : values) {
      value = bits == 64 ? random() : random() & ((uint64_t{1} << bits) - 1);
      if (bits % 8 == 0) {
        for (uint32_t byte = 0; byte < bits; byte += 8) {
          for (int bit = 7; bit >= 0; --bit)
            stream.push_back(((value >> (byte + static_cast<uint32_t>(bit))) & 1) != 0);
        }
      } else {
        for (uint32_t bit = bits; bit-- > 0;) stream.push_back(((value >> bit) & 1) != 0);
      }
    }
    std::string data((stream.size() + 7) / 8, '\0');
    for (size_t i = 0; i < stream.size(); ++i) {
      if (stream[i]) data[i / 8] = static_cast<char>(data[i / 8] | (0x80 >> (i % 8)));
    }
    const Tensor plain = parse(file_of({13}, bits, 2, 0, data)).tensor;
    const Tensor with_sign = parse(file_of({13}, bits, 4, 0, data)).tensor;
    for (size_t i = 0; i < values.size(); ++i) {
      INFO(bits << " bits");
      REQUIRE(static_cast<uint64_t>(plain.as_int(static_cast<int64_t>(i))) == values[i]);
      const auto expected = static_cast<int64_t>(values[i] << (64 - bits)) >> (64 - bits);
      REQUIRE(with_sign.as_int(static_cast<int64_t>(i)) == expected);
    }
  }
}

TEST_CASE("tensor file: tract's own types", "[tensor_file]") {
  CHECK(parse(file_of({2}, 7, 0x1000, 0x5452, std::string("\2\0\0\0\xC3\xA9\0\0\0\0", 10)))
            .tensor.strings()[0] == "é");
  const Tensor complex = parse(file_of({1}, 32, 4, 0x5452, std::string("\x01\x00\xFE\xFF", 4))).tensor;
  CHECK(complex.dtype() == DataType::complex64);
  CHECK(complex.data<float>()[1] == -2.0F);
  CHECK(parse(file_of({1}, 128, 4, 0x5452, std::string(16, '\xFF'))).tensor.as_double(0) == -1.0);

  std::string block("\x00\x38", 2);  // d = 0.5
  for (int j = 0; j < 16; ++j) block += static_cast<char>(j | ((15 - j) << 4));
  const Tensor legacy = parse(file_of({1, 32}, 0xFFFFFFFF, 0x2040, 0x5452, block)).tensor;
  const Tensor canonical = parse(file_of({1, 32}, 0xFFFFFFFF, 0x3040, 0x5452, block)).tensor;
  CHECK(legacy.dtype() == DataType::q4_0);
  CHECK(q40_code(*legacy.data<BlockQ40>(), 6) == 3);
  CHECK(q40_code(*legacy.data<BlockQ40>(), 7) == 12);
  CHECK(q40_code(*canonical.data<BlockQ40>(), 3) == 3);
  CHECK(q40_code(*canonical.data<BlockQ40>(), 19) == 12);
  for (const uint16_t type : {0x3080, 0x3081}) {
    CHECK(parse(file_of({1, 32}, 0xFFFFFFFF, type, 0x5452, std::string(36, 'x'))).tensor.dtype() ==
          DataType::q8_1);
  }
  CHECK(parse(file_of({2, 2, 4, 4}, 0xFFFFFFFF, 0x3040, 0x5452, std::string(36, 'x'))).tensor.shape() ==
        Shape{2, 2, 4, 4});
}

TEST_CASE("tensor file: headers of older eras, only on demand", "[tensor_file]") {
  std::string word = file_of({2}, 8, 1, 0, "\xFF\x01");
  put<uint32_t>(word, 52, 1);
  CHECK(parse(word).tensor.identical(Tensor::of<int8_t>({2}, {-1, 1})));
  CHECK(parse(word).info.legacy);
  CHECK(parse(word, false).tensor.identical(Tensor::of<uint8_t>({2}, {255, 1})));

  std::string linear = file_of({3}, 8, 0x10, 0, std::string("\x00\xFF\x33", 3));
  put<uint32_t>(linear, 52, 0xBF800000);  // -1
  put<uint32_t>(linear, 56, 0x3F800000);  // 1
  CHECK(parse(linear).tensor.data<float>()[0] == -1.0F);
  CHECK(parse(linear).tensor.data<float>()[1] == 1.0F);
  CHECK(parse(linear).tensor.data<float>()[2] == Approx(-0.6F));
  CHECK(code_of(linear, false) == "tensor-item-type");
  std::string logarithmic = file_of({2}, 4, 0x11, 0, "\xFD");
  put<uint32_t>(logarithmic, 56, 0x40800000);  // 4
  CHECK(parse(logarithmic).tensor.identical(Tensor::of<float>({2}, {4.0F, 1.0F})));
  CHECK(parse(file_of({1}, 8, 0x11, 0, "\xFF")).tensor.identical(Tensor::of<int8_t>({1}, {-1})));
  CHECK(parse(file_of({1}, 8, 0x100, 0, "\xFF")).tensor.identical(Tensor::of<int8_t>({1}, {-1})));
  CHECK(parse(file_of({1}, 1, 0x101, 0, "\x80")).tensor.identical(Tensor::of<bool>({1}, {true})));

  std::string gap = file_of({2}, 16, 4, 0, std::string("\1\0\2\0", 4));
  gap.insert(128, "abcd");
  CHECK(parse(gap).tensor.identical(Tensor::of<int16_t>({2}, {1, 2})));
  CHECK(code_of(gap, false) == "tensor-size");

  std::string provisional("\x4E\xEF\x01\x00", 4);  // 2017: a header of variable size
  append_little_endian<uint32_t>(provisional, 16 + 8);
  append_little_endian<uint32_t>(provisional, 2);
  append_little_endian<uint32_t>(provisional, 1);
  append_little_endian<uint32_t>(provisional, 2);
  provisional += std::string("\x02\x10\x00\x00\xFF\xFF\x05\x00", 8);
  CHECK(parse(provisional).tensor.identical(Tensor::of<int16_t>({1, 2}, {-1, 5})));
  CHECK(code_of(provisional, false) == "tensor-size");
  provisional[20] = 1;  // quantised, with an algorithm
  provisional[22] = 3;
  provisional[4] += 3;
  provisional.insert(24, "lin");
  CHECK(code_of(provisional) == "tensor-item-type");
}

TEST_CASE("tensor file: malformed files are refused with their code", "[tensor_file]") {
  const std::string six(24, '\0');
  CHECK(code_of(file_of({2, 3}, 32, 0, 0, six)) == "accepted");
  CHECK(code_of("") == "tensor-size");
  CHECK(code_of("PK" + file_of({2, 3}, 32, 0, 0, six).substr(2)) == "tensor-magic");
  std::string version = file_of({2, 3}, 32, 0, 0, six);
  version[2] = 9;
  CHECK(code_of(version) == "tensor-version");
  CHECK(code_of(file_of(Shape(8, 1), 32, 0, 0, std::string(4, '\0'))) == "accepted");
  std::string rank = file_of({2, 3}, 32, 0, 0, six);
  rank[8] = 9;
  CHECK(code_of(rank) == "tensor-rank");
  CHECK(code_of(file_of({2, 4}, 32, 0, 0, six)) == "tensor-length");
  CHECK(code_of(file_of({0, 3}, 32, 0, 0, six)) == "tensor-length");
  CHECK(code_of(file_of({0, 3}, 32, 0, 0, "")) == "accepted");
  CHECK(code_of(file_of({65536, 65536, 65536, 65536}, 32, 0, 0, "")) == "shape-overflow");
  CHECK(code_of(file_of({0xFFFFFFFF, 0xFFFFFFFF}, 32, 0, 0, six)) == "shape-overflow");
  CHECK(code_of(file_of({2, 3}, 32, 0, 0, six) + "x") == "tensor-size");
  CHECK(code_of(file_of({2, 3}, 32, 77, 0, six)) == "tensor-item-type");
  CHECK(code_of(file_of({2, 3}, 32, 0, 0xBEEF, six)) == "tensor-item-type");
  CHECK(code_of(file_of({2, 3}, 32, 77, 0x5452, six)) == "tensor-item-type");
  CHECK(code_of(file_of({2, 3}, 32, 0, 0x726E, six)) == "tensor-item-type");
  for (const uint32_t bits : {0U, 24U, 65U, 1U << 31, 0xFFFFFFFFU}) {
    CHECK(code_of(file_of({2, 3}, bits, 0, 0, six)) == "tensor-bits");
  }
  CHECK(code_of(file_of({2, 3}, 65, 1, 0, six)) == "tensor-bits");
  CHECK(code_of(file_of({2, 3}, 2, 5, 0, six)) == "tensor-bits");
  CHECK(code_of(file_of({6}, 3, 1, 0, "ab")) == "tensor-length");
  CHECK(code_of(file_of({32}, 0xFFFFFFFF, 0x3040, 0x5452, std::string(18, 'x'))) == "tensor-block");
  CHECK(code_of(file_of({4, 24}, 0xFFFFFFFF, 0x3040, 0x5452, std::string(54, 'x'))) == "tensor-block");
  CHECK(code_of(file_of({2, 32}, 0xFFFFFFFF, 0x3040, 0x5452, std::string(35, 'x'))) == "tensor-length");
  CHECK(code_of(file_of({2, 32}, 4, 0x3040, 0x5452, std::string(36, 'x'))) == "tensor-bits");
  CHECK(code_of(file_of({1}, 0xFFFFFFFF, 0x1000, 0x5452,
                        "\xFF\xFF\xFF\xFF"
                        "abc")) == "tensor-string");
  CHECK(code_of(file_of({1}, 0xFFFFFFFF, 0x1000, 0x5452, std::string("\1\0\0\0\xFF", 5))) == "tensor-string");
  CHECK(code_of(file_of({1}, 0xFFFFFFFF, 0x1000, 0x5452, std::string("\0\0\0\0x", 5))) == "tensor-size");
  CHECK(code_of(file_of({1 << 30}, 0xFFFFFFFF, 0x1000, 0x5452, "abcd")) == "tensor-string");
  TensorFileOptions small;
  small.max_bytes = 16;
  CHECK_THROWS_AS(read_tensor_file(as_byte_span(file_of({2, 3}, 32, 0, 0, six)), "w.dat", small), Error);
}

TEST_CASE("tensor file: cut anywhere it is refused", "[tensor_file]") {
  const std::vector<Tensor> tensors = {Tensor::of<float>({2, 2}, {1, 2, 3, 4}),
                                       Tensor::of_strings({2}, {"ab", "c"}),
                                       Tensor::zeros(DataType::q4_0, {2, 32})};
  for (const Tensor& tensor : tensors) {
    const std::string file = written(tensor, TensorFileForm::tract);
    for (size_t length = 0; length < file.size(); ++length)
      REQUIRE(code_of(file.substr(0, length)) != "accepted");
  }
}

TEST_CASE("tensor file: flipped bytes never crash", "[tensor_file]") {
  std::mt19937 random(3);
  const std::string good[] = {file_of({2, 3}, 3, 1, 0, "abc"),
                              file_of({2}, 7, 0x1000, 0x5452, std::string(8, '\0')),
                              file_of({1, 32}, 0xFFFFFFFF, 0x2040, 0x5452, std::string(18, 'x'))};
  size_t refused = 0;
  for (const std::string& file : good) {
    for (int i = 0; i < 4000; ++i) {
      std::string broken = file;
      for (int k = 0; k < 2; ++k)
        broken[random() % std::min<size_t>(broken.size(), 60)] = static_cast<char>(random());
      refused += code_of(broken) != "accepted" ? 1 : 0;
    }
  }
  CHECK(refused > 1000);
}

TEST_CASE("tensor file: aligned items are shared with their owner, others copied", "[tensor_file]") {
  const auto buffer = allocate_bytes(256);
  const std::string file = written(Tensor::of<double>({3}, {1, 2, 3}), TensorFileForm::tract);
  std::memcpy(buffer.get(), file.data(), file.size());
  const Tensor shared = read_tensor_file({buffer.get(), file.size()}, "w.dat", {}, buffer).tensor;
  CHECK(shared.bytes() == buffer.get() + 128);
  std::memcpy(buffer.get() + 1, file.data(), file.size());
  const Tensor copied = read_tensor_file({buffer.get() + 1, file.size()}, "w.dat", {}, buffer).tensor;
  CHECK(copied.bytes() != buffer.get() + 129);
  CHECK(copied.identical(Tensor::of<double>({3}, {1, 2, 3})));
}

TEST_CASE("tensor file: the shared cases", "[tensor_file]") {
  const std::filesystem::path shared(NNEFRUN_SHARED_DIR);
  if (!std::filesystem::exists(shared / "bad-input/dat")) {
    WARN("the shared suites are not here: only the cases of this file ran");
    SUCCEED();
    return;
  }
  size_t refused = 0, read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shared / "bad-input/dat")) {
    const std::string name = entry.path().filename().string();
    const std::string path = (entry.path() / "w.dat").string();
    // what only the graph can judge: labels, shapes, types
    if (name.compare(0, 6, "label_") == 0 || name.compare(0, 6, "shape_") == 0 || name == "missing" ||
        name == "q40_graph_volume" || name == "type_of_another_kind") {
      continue;
    }
    INFO(name);
    CHECK(code_of(read_whole_file(path)) != "accepted");
    ++refused;
  }
  CHECK(refused >= 25);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(shared / "conformance")) {
    if (entry.path().extension() != ".dat" || entry.path().stem() == "other")
      continue;  // one case has text there
    INFO(entry.path().string());
    CHECK_NOTHROW(parse(read_whole_file(entry.path().string())));
    ++read;
  }
  CHECK(read > 200);
}
