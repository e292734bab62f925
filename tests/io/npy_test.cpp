#include "io/npy.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "tests/random_tensor.h"
#include "tests/temporary_folder.h"

using namespace nnefrun;

namespace {

std::string npy_of(const std::string& dictionary, const std::string& data, int version = 1) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  if (version == 1) {
    append_little_endian<uint16_t>(out, static_cast<uint16_t>(dictionary.size()));
  } else {
    append_little_endian<uint32_t>(out, static_cast<uint32_t>(dictionary.size()));
  }
  return out + dictionary + data;
}

Tensor parse(const std::string& file) { return read_npy(as_byte_span(file), "x.npy"); }

std::string code_of(const std::string& file) {
  try {
    parse(file);
  } catch (const Error& error) {
    CHECK(error.message().find("x.npy") != std::string::npos);
    return error.code();
  }
  return "accepted";
}

std::string written(const Tensor& tensor) {
  std::string out;
  write_npy([&](ByteSpan bytes) { out += as_text(bytes); }, tensor);
  return out;
}

const std::vector<DataType> kPlain = {
    DataType::boolean, DataType::u8,  DataType::u16,       DataType::u32,        DataType::u64,
    DataType::i8,      DataType::i16, DataType::i32,       DataType::i64,        DataType::f16,
    DataType::f32,     DataType::f64, DataType::complex64, DataType::complex128, DataType::string};

}  // namespace

TEST_CASE("npy: every type and shape comes back as it was written", "[io]") {
  std::mt19937 random(1);
  for (const DataType dtype : kPlain) {
    for (int i = 0; i < 40; ++i) {
      const Tensor tensor = random_tensor(random, dtype, random_shape(random));
      const std::string file = written(tensor);
      INFO(name_of(dtype) << " " << to_string(tensor.shape()));
      REQUIRE(file.find('\n') % 64 == 63);
      REQUIRE(parse(file).identical(tensor));
    }
  }
}

TEST_CASE("npy: the header is the one that NumPy writes", "[io]") {
  const auto header = [](const Tensor& t) {
    const std::string file = written(t);
    return file.substr(10, file.find('}') - 9);
  };
  CHECK(header(Tensor::scalar<float>(1)) == "{'descr': '<f4', 'fortran_order': False, 'shape': (), }");
  CHECK(header(Tensor::zeros(DataType::u8, {3})) ==
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }");
  CHECK(header(Tensor::zeros(DataType::boolean, {2, 0})) ==
        "{'descr': '|b1', 'fortran_order': False, 'shape': (2, 0), }");
  CHECK(header(Tensor::of_strings({2}, {"abc", ""})) ==
        "{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }");
}

TEST_CASE("npy: what NumPy lacks is widened or written as codes", "[io]") {
  const Tensor wide = parse(written(Tensor::of<BFloat16>({2}, {BFloat16(1.5F), BFloat16(-2.0F)})));
  CHECK(wide.identical(Tensor::of<float>({2}, {1.5F, -2.0F})));
  const Tensor half = Tensor::of<Half>({2}, {Half(0.5F), Half(3.0F)});
  const Tensor complex = Tensor::wrap(DataType::complex32, {1}, nullptr, half.bytes());
  const Tensor widened = parse(written(complex));
  CHECK(widened.dtype() == DataType::complex64);
  CHECK(widened.data<float>()[1] == 3.0F);
  const Tensor codes = parse(written(Tensor::zeros(DataType::q4_0, {2, 64})));
  CHECK(codes.dtype() == DataType::u8);
  CHECK(codes.shape() == Shape{2, 36});
}

TEST_CASE("npy: Fortran order and big-endian items are turned", "[io]") {
  const std::string fortran("\1\0\4\0\2\0\5\0\3\0\6\0", 12);
  CHECK(parse(npy_of("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3)}", fortran))
            .identical(Tensor::of<int16_t>({2, 3}, {1, 2, 3, 4, 5, 6})));
  const std::string big("\0\1\0\2", 4);
  CHECK(parse(npy_of("{'shape': (2,), 'fortran_order': False, 'descr': '>i2'}\n", big))
            .identical(Tensor::of<int16_t>({2}, {1, 2})));
  const std::string text("\0\0\0A\0\0\0\0", 8);
  CHECK(parse(npy_of("{'shape': (), 'fortran_order': False, 'descr': '>U2'}\n", text)).strings()[0] == "A");
  const std::string complex("\x3F\x80\0\0\x40\0\0\0", 8);
  const Tensor c = parse(npy_of("{'shape': (), 'fortran_order': False, 'descr': '>c8'}\n", complex));
  CHECK(c.data<float>()[0] == 1.0F);
  CHECK(c.data<float>()[1] == 2.0F);
}

TEST_CASE("npy: versions 2 and 3, Python 2 integers and loose booleans", "[io]") {
  const std::string data("\2\0", 2);
  for (const int version : {2, 3}) {
    CHECK(parse(npy_of("{'descr': '|b1', 'fortran_order': False, 'shape': (2L,), }", data, version))
              .identical(Tensor::of<bool>({2}, {true, false})));
  }
}

TEST_CASE("npy: malformed files are refused", "[io]") {
  const std::string zeros(24, '\0');
  const auto dictionary = [](const std::string& descr, const std::string& shape) {
    return "{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + ", }";
  };
  CHECK(code_of("") == "npy-malformed");
  CHECK(code_of(npy_of(dictionary("'<f4'", "(2, 3)"), zeros)) == "accepted");
  CHECK(code_of(npy_of(dictionary("'<f4'", "(2, 3)"), zeros + "x")) == "npy-malformed");
  CHECK(code_of(npy_of(dictionary("'<f4'", "(2, -3)"), zeros)) == "npy-malformed");
  CHECK(code_of(npy_of(dictionary("'<f4'", "(4294967296, 4294967296)"), zeros)) == "npy-malformed");
  CHECK(code_of(npy_of(dictionary("'<f4'", "(99999999999999999999,)"), zeros)) == "npy-malformed");
  CHECK(code_of(npy_of(dictionary("'<f4'", "six"), zeros)) == "npy-malformed");
  CHECK(code_of(npy_of(dictionary("'<f4'", std::string(3000, '(')), zeros)) == "npy-malformed");
  CHECK(code_of(npy_of(dictionary("'|O'", "(3,)"), zeros)) == "npy-object");
  CHECK(code_of(npy_of(dictionary("[('a', '<f4')]", "(3,)"), zeros)) == "npy-unsupported");
  CHECK(code_of(npy_of(dictionary("'<f12'", "(2,)"), zeros)) == "npy-unsupported");
  CHECK(code_of(npy_of(dictionary("'<U0'", "(1000000000000,)"), "")) == "io-limit");
  CHECK(code_of(npy_of(dictionary("'<U1'", "()"), "\xFF\xFF\xFF\x7F")) == "npy-malformed");
  CHECK(code_of(npy_of("{'descr': '<f4', 'fortran_order': False}", zeros)) == "npy-malformed");
  CHECK(code_of(npy_of("__import__('os')", zeros)) == "npy-malformed");
  CHECK(code_of(npy_of("{'descr': '<f4', 'descr': '<f4'}", zeros)) == "npy-malformed");
}

TEST_CASE("npy: a file cut anywhere is refused", "[io]") {
  const std::string file = written(Tensor::of<float>({2, 2}, {1, 2, 3, 4}));
  for (size_t length = 0; length < file.size(); ++length)
    REQUIRE(code_of(file.substr(0, length)) == "npy-malformed");
}

TEST_CASE("npy: flipped bytes never crash", "[io]") {
  std::mt19937 random(7);
  const std::string file = written(Tensor::of_strings({2, 2}, {"a", "bc", "", "é"}));
  size_t refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string broken = file;
    for (int k = 0; k < 3; ++k) broken[random() % broken.size()] = static_cast<char>(random());
    refused += code_of(broken) != "accepted" ? 1 : 0;
  }
  CHECK(refused > 0);
}

TEST_CASE("npy: files on disk", "[io]") {
  const TemporaryFolder folder;
  const Tensor tensor = Tensor::of<int64_t>({3}, {1, -2, 3});
  save_npy(folder / "a.npy", tensor);
  CHECK(load_npy(folder / "a.npy").identical(tensor));
  CHECK(peek_npy(folder / "a.npy").shape == Shape{3});
  IoLimits limits;
  limits.max_array_bytes = 16;
  CHECK_THROWS_AS(load_npy(folder / "a.npy", limits), Error);
  CHECK_THROWS_AS(load_npy(folder / "missing.npy"), Error);
  CHECK_THROWS_AS(load_npy(folder.path().string()), Error);
  CHECK_THROWS_AS(save_npy(folder / "no/such/folder.npy", tensor), Error);
  CHECK_THROWS_AS(save_npy(folder / "b.npy", Tensor::of_strings({1}, {"\xFF"})), Error);
  CHECK_FALSE(std::filesystem::exists(folder / "b.npy"));
}
