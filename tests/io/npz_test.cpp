#include "io/npz.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "tests/random_tensor.h"
#include "tests/temporary_folder.h"

using namespace nnefrun;

namespace {

std::string written(const NamedTensors& items, bool deflate) {
  std::string out;
  write_npz([&](ByteSpan bytes) { out += as_text(bytes); }, items, deflate);
  return out;
}

NamedTensors parse(const std::string& file) { return read_npz(as_byte_span(file), "set.npz"); }

std::string code_of(const std::string& file) {
  try {
    parse(file);
  } catch (const Error& error) {
    return error.code();
  }
  return "accepted";
}

NamedTensors sample() {
  return {{"x", Tensor::of<float>({2, 2}, {1, 2, 3, 4})}, {"a/b", Tensor::of<int8_t>({}, {-7})}};
}

}  // namespace

TEST_CASE("npz: arrays come back in order, stored and deflated", "[io]") {
  std::mt19937 random(3);
  for (const bool deflate : {false, true}) {
    NamedTensors items;
    for (int i = 0; i < 60; ++i) {
      const auto dtype = static_cast<DataType>(random() % 17);
      if (dtype == DataType::bf16 || dtype == DataType::complex32) continue;  // come back wider
      items.emplace_back("array_" + std::to_string(100 - i),
                         random_tensor(random, dtype, random_shape(random)));
    }
    items.emplace_back("zeros", Tensor::zeros(DataType::f32, {1000}));
    items.emplace_back("none", Tensor());
    const NamedTensors back = parse(written(items, deflate));
    REQUIRE(back.size() == items.size());
    for (size_t i = 0; i < items.size(); ++i) {
      CHECK(back[i].first == items[i].first);
      CHECK(back[i].second.identical(items[i].second));
    }
  }
}

TEST_CASE("npz: without arrays it is valid", "[io]") {
  const std::string empty = written({}, false);
  CHECK(empty.size() == 22);
  CHECK(parse(empty).empty());
}

TEST_CASE("npz: cut anywhere it is refused", "[io]") {
  for (const bool deflate : {false, true}) {
    const std::string file = written(sample(), deflate);
    for (size_t length = 0; length < file.size(); ++length) {
      REQUIRE(code_of(file.substr(0, length)) == "npz-malformed");
    }
  }
}

TEST_CASE("npz: flipped bytes never crash", "[io]") {
  std::mt19937 random(5);
  size_t refused = 0;
  for (const bool deflate : {false, true}) {
    const std::string file = written(sample(), deflate);
    for (int i = 0; i < 3000; ++i) {
      std::string broken = file;
      for (int k = 0; k < 2; ++k) broken[random() % broken.size()] = static_cast<char>(random());
      refused += code_of(broken) != "accepted" ? 1 : 0;
    }
  }
  CHECK(refused > 3000);
}

TEST_CASE("npz: wrong checksum, twin names, unknown compression", "[io]") {
  const std::string good = written({{"x", Tensor::of<int8_t>({4}, {1, 2, 3, 4})}}, false);
  std::string wrong = good;
  wrong[good.find(std::string("\1\2\3\4", 4))] = 9;
  CHECK(code_of(wrong) == "npz-malformed");
  CHECK(code_of(written({{"x", Tensor::scalar<float>(1)}, {"x", Tensor::scalar<float>(2)}}, false)) ==
        "npz-malformed");
  std::string method = good;
  method[good.find("PK\1\2") + 10] = 12;
  CHECK(code_of(method) == "npz-malformed");
  std::string encrypted = good;
  encrypted[good.find("PK\1\2") + 8] |= 1;
  CHECK(code_of(encrypted) == "npz-malformed");
}

TEST_CASE("npz: a comment and a data descriptor are no obstacle", "[io]") {
  std::string commented = written(sample(), true);
  commented[commented.size() - 2] = 5;
  CHECK(parse(commented + "hello").size() == 2);

  // One member written as a stream: sizes zero in the local header, a descriptor after the data.
  const std::string plain = written({{"x", Tensor::scalar<float>(1)}}, false);
  const size_t central = plain.find("PK\1\2"), end = plain.find("PK\5\6");
  std::string local = plain.substr(0, central), directory = plain.substr(central, end - central),
              tail = plain.substr(end);
  const std::string sizes = local.substr(14, 12);
  for (size_t i = 14; i < 26; ++i) local[i] = 0;
  local[6] |= 8;
  directory[8] |= 8;
  local += "PK\7\10" + sizes;
  store_little_endian<uint32_t>(reinterpret_cast<std::byte*>(&tail[16]), static_cast<uint32_t>(local.size()));
  const NamedTensors items = parse(local + directory + tail);
  REQUIRE(items.size() == 1);
  CHECK(items[0].second.identical(Tensor::scalar<float>(1)));
}

TEST_CASE("npz: zip64 records and fields", "[io]") {
  // The same member again, its sizes and offset moved to a zip64 field, the end to a zip64 record.
  const std::string plain = written({{"x", Tensor::scalar<float>(1)}}, false);
  const size_t central = plain.find("PK\1\2"), end = plain.find("PK\5\6");
  std::string directory = plain.substr(central, end - central), tail = plain.substr(end);
  std::string field;
  append_little_endian<uint16_t>(field, 1);
  append_little_endian<uint16_t>(field, 24);
  const auto size = load_little_endian<uint32_t>(reinterpret_cast<const std::byte*>(&directory[20]));
  append_little_endian<uint64_t>(field, size);
  append_little_endian<uint64_t>(field, size);
  append_little_endian<uint64_t>(field, 0);
  for (const size_t at : {size_t{20}, size_t{24}, size_t{42}}) {
    store_little_endian<uint32_t>(reinterpret_cast<std::byte*>(&directory[at]), 0xFFFFFFFF);
  }
  directory[30] = static_cast<char>(field.size());
  directory += field;
  std::string record = "PK\6\6";
  append_little_endian<uint64_t>(record, 44);
  append_little_endian<uint32_t>(record, 0x002D002D);
  append_little_endian<uint64_t>(record, 0);
  append_little_endian<uint64_t>(record, 1);
  append_little_endian<uint64_t>(record, 1);
  append_little_endian<uint64_t>(record, directory.size());
  append_little_endian<uint64_t>(record, central);
  record += "PK\6\7";
  append_little_endian<uint32_t>(record, 0);
  append_little_endian<uint64_t>(record, central + directory.size());
  append_little_endian<uint32_t>(record, 1);
  for (size_t i = 8; i < 20; ++i) tail[i] = '\xFF';
  const std::string file = plain.substr(0, central) + directory + record + tail;
  const NamedTensors items = parse(file);
  REQUIRE(items.size() == 1);
  CHECK(items[0].second.identical(Tensor::scalar<float>(1)));
  for (size_t length = central; length < file.size(); ++length)
    REQUIRE(code_of(file.substr(0, length)) != "accepted");
}

TEST_CASE("npz: an array can be looked at before it costs memory, and limits hold", "[io]") {
  const std::string bomb = written({{"x", Tensor::zeros(DataType::f32, {1 << 22})}}, true);
  CHECK(bomb.size() < 100000);
  const NpzReader reader(memory_source("bomb.npz", as_byte_span(bomb)));
  REQUIRE(reader.find("x") == 0);
  CHECK(reader.find("y") == -1);
  CHECK(reader.header(0).shape == Shape{1 << 22});
  IoLimits limits;
  limits.max_array_bytes = 1 << 20;
  CHECK_THROWS_AS(NpzReader(memory_source("bomb.npz", as_byte_span(bomb)), limits).read(0), Error);
  limits = {};
  limits.max_members = 1;
  CHECK_THROWS_AS(read_npz(as_byte_span(written(sample(), false)), "set.npz", limits), Error);
  limits = {};
  limits.max_total_bytes = 16;
  CHECK_THROWS_AS(read_npz(as_byte_span(written(sample(), false)), "set.npz", limits), Error);
}

TEST_CASE("npz: files on disk", "[io]") {
  const TemporaryFolder folder;
  save_npz(folder / "a.npz", sample(), true);
  CHECK(load_npz(folder / "a.npz").size() == 2);
  CHECK_THROWS_AS(load_npz(folder / "b.npz"), Error);
}

TEST_CASE("npz: the shared bad inputs are refused, the good ones read", "[io]") {
  const std::filesystem::path shared(NNEFRUN_SHARED_DIR);
  if (!std::filesystem::exists(shared / "bad-input/inputs")) {
    WARN("the shared suites are not here: only the cases of this file ran");
    SUCCEED();
    return;
  }
  size_t refused = 0, read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(shared / "bad-input/inputs")) {
    const std::string name = entry.path().filename().string();
    if (name.compare(0, 2, "np") != 0 || name == "npz_bomb.npz" || name == "npz_no_member.npz") continue;
    INFO(name);
    if (entry.path().extension() == ".npy") {
      CHECK_THROWS_AS(load_npy(entry.path().string()), Error);
    } else {
      CHECK_THROWS_AS(load_npz(entry.path().string()), Error);
    }
    ++refused;
  }
  CHECK(refused > 15);
  CHECK(NpzReader::open((shared / "bad-input/inputs/npz_bomb.npz").string()).header(0).data_bytes >
        200'000'000);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(shared / "conformance/khronos")) {
    if (entry.path().extension() != ".npz") continue;
    INFO(entry.path().string());
    CHECK_NOTHROW(load_npz(entry.path().string()));
    ++read;
  }
  CHECK(read > 100);
}
