#include "nnef_parser/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "tests/random_tensor.h"
#include "tests/temporary_folder.h"

using namespace nnefrun;

namespace {

// One member of a ustar archive; `type` '0' is a file, '2' a symbolic link, ...
std::string tar_member(const std::string& name, const std::string& data, char type = '0',
                       const std::string& link = {}) {
  std::string header(512, '\0');
  header.replace(0, std::min<size_t>(name.size(), 100), name, 0, 100);
  const auto octal = [&](size_t at, size_t width, uint64_t value) {
    for (size_t i = width - 1; i-- > 0; value /= 8) header[at + i] = static_cast<char>('0' + value % 8);
  };
  octal(100, 8, 0644);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, data.size());
  octal(136, 12, 0);
  header[156] = type;
  header.replace(157, link.size(), link);
  header.replace(257, 8, std::string("ustar\00000", 8));
  header.replace(148, 8, "        ");
  uint64_t sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  octal(148, 7, sum);
  std::string out = header + data;
  out.resize((out.size() + 511) / 512 * 512, '\0');
  return out;
}

const std::string kEnd(1024, '\0');

std::string gzipped(const std::string& data) {
  z_stream zlib = {};
  deflateInit2(&zlib, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&zlib, data.size()) + 32, '\0');
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  zlib.avail_in = static_cast<uInt>(data.size());
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  deflate(&zlib, Z_FINISH);
  out.resize(zlib.total_out);
  deflateEnd(&zlib);
  return out;
}

// The bytes through a filter of libarchive; "" when this libarchive lacks it.
std::string filtered(const std::string& data, int (*add_filter)(archive*)) {
  std::string out(data.size() + 65536, '\0');
  size_t used = 0;
  archive* a = archive_write_new();
  const bool has = add_filter(a) == ARCHIVE_OK;
  archive_write_set_format_raw(a);
  archive_write_set_bytes_in_last_block(a, 1);
  archive_write_open_memory(a, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(a, entry);
  archive_write_data(a, data.data(), data.size());
  archive_entry_free(entry);
  archive_write_close(a);
  archive_write_free(a);
  out.resize(has ? used : 0);
  return out;
}

std::string dat_of(const Tensor& tensor) {
  std::string out;
  write_tensor_file([&](ByteSpan bytes) { out += as_text(bytes); }, tensor, TensorFileForm::tract);
  return out;
}

const std::string kGraph = "version 1.0;\ngraph G( x ) -> ( y ) { x = external(shape = [2]); y = neg(x); }\n";

Tensor weights() { return Tensor::of<float>({3}, {1, 2, 3}); }

std::string small_tar() {
  return tar_member("graph.nnef", kGraph) + tar_member("a/w.dat", dat_of(weights())) +
         tar_member("graph.quant", "# nothing\n") + kEnd;
}

Archive open_bytes(const std::string& bytes, const ArchiveLimits& limits = {}) {
  auto owner = std::make_shared<const std::string>(bytes);
  return Archive::of_source(memory_source("model", as_byte_span(*owner), owner), limits);
}

// Opens and reads everything; "fine" or the error's code.
std::string code_of(const std::string& bytes, const ArchiveLimits& limits = {}) {
  try {
    const Archive archive = open_bytes(bytes, limits);
    archive.graph();
    for (const std::string& label : archive.labels()) archive.tensor(label);
  } catch (const Error& error) {
    return error.code();
  }
  return "fine";
}

std::string message_of(const std::string& bytes) {
  try {
    open_bytes(bytes);
  } catch (const Error& error) {
    return error.message();
  }
  return "fine";
}

void check_small(const Archive& archive) {
  CHECK(archive.graph().text == kGraph);
  CHECK(archive.graph().member == "graph.nnef");
  CHECK(archive.graphs() == std::vector<std::string>{"graph.nnef"});
  REQUIRE(archive.quantization().has_value());
  CHECK(archive.quantization()->text == "# nothing\n");
  for (const char* label : {"a/w", "/a/w", "//a//w", "A/W", "./a/w"}) {
    INFO(label);
    const auto file = archive.tensor(label);
    REQUIRE(file.has_value());
    CHECK(file->tensor.identical(weights()));
    CHECK(reinterpret_cast<uintptr_t>(file->tensor.bytes()) % 4 == 0);
  }
  CHECK_FALSE(archive.tensor("a/v").has_value());
  CHECK_FALSE(archive.tensor(".git/w").has_value());
  CHECK_THROWS_AS(archive.tensor(""), Error);
  CHECK_THROWS_AS(archive.tensor("../w"), Error);
  CHECK_THROWS_AS(archive.tensor("/../../etc/passwd"), Error);
  CHECK(archive.labels() == std::vector<std::string>{"a/w"});
  CHECK_FALSE(archive.submodel("a").has_value());
}

}  // namespace

TEST_CASE("archive: a tar in memory, plain, packed, in two gzip members, with xz and zstd", "[archive]") {
  const std::string tar = small_tar();
  check_small(open_bytes(tar));
  check_small(open_bytes(tar.substr(0, tar.size() - 1024)));  // without its end
  check_small(open_bytes(gzipped(tar)));
  check_small(open_bytes(gzipped(tar.substr(0, 700)) + gzipped(tar.substr(700))));
  check_small(open_bytes(gzipped(tar) + std::string(300, '\0')));
  for (const auto add_filter : {archive_write_add_filter_xz, archive_write_add_filter_zstd}) {
    const std::string packed = filtered(tar, add_filter);
    if (!packed.empty()) check_small(open_bytes(packed));
  }
}

TEST_CASE("archive: files, folders and the path of the graph", "[archive]") {
  const TemporaryFolder folder;
  write_whole_file(folder / "m.tar", small_tar());
  write_whole_file(folder / "m.nnef.tgz", small_tar());  // the name says nothing
  write_whole_file(folder / "n.tar", gzipped(small_tar()));
  write_whole_file(folder / "d/graph.nnef", kGraph);
  write_whole_file(folder / "d/graph.quant", "# nothing\n");
  write_whole_file(folder / "d/a/w.dat", dat_of(weights()));
  write_whole_file(folder / "d/.git/w.dat", "hidden");
  write_whole_file(folder / "d/README", "unknown");
  for (const char* name : {"m.tar", "m.nnef.tgz", "n.tar", "d", "d/", "d/graph.nnef"}) {
    INFO(name);
    check_small(Archive::open(folder / name));
  }
  CHECK(Archive::open(folder / "d").members() ==
        std::vector<std::string>{"a/w.dat", "graph.nnef", "graph.quant"});
  CHECK_THROWS_AS(Archive::open(folder / "missing"), Error);
  CHECK_THROWS_AS(Archive::open(folder / "d/README"), Error);
}

TEST_CASE("archive: bytes of a plain tar in memory are shared, not copied", "[archive]") {
  const std::string tar = small_tar();
  auto buffer = allocate_bytes(tar.size());
  std::memcpy(buffer.get(), tar.data(), tar.size());
  const Archive archive = Archive::of_source(memory_source("model", {buffer.get(), tar.size()}, buffer));
  const std::byte* at = archive.tensor("a/w")->tensor.bytes();
  CHECK(at > buffer.get());
  CHECK(at < buffer.get() + tar.size());
  const Archive packed = open_bytes(gzipped(tar));
  CHECK(packed.tensor("a/w")->tensor.bytes() == packed.tensor("a/w")->tensor.bytes());
  CHECK(reinterpret_cast<uintptr_t>(packed.tensor("a/w")->tensor.bytes()) % 64 == 0);
}

TEST_CASE("archive: tensors outlive their archive, threads may share one", "[archive]") {
  const TemporaryFolder folder;
  write_whole_file(folder / "m.tar", small_tar());
  Tensor kept;
  {
    const Archive archive = Archive::open(folder / "m.tar");
    std::vector<std::thread> threads;
    std::vector<Tensor> found(4);
    for (Tensor& tensor : found) threads.emplace_back([&] { tensor = archive.tensor("A/w")->tensor; });
    for (std::thread& thread : threads) thread.join();
    for (const Tensor& tensor : found) CHECK(tensor.identical(weights()));
    kept = found[0];
    CHECK(archive.tensor("a/w")->tensor.bytes() == kept.bytes());
  }
  CHECK(kept.identical(weights()));
}

TEST_CASE("archive: a file that shrinks after opening is an error, no signal", "[archive]") {
  const TemporaryFolder folder;
  write_whole_file(folder / "m.tar", small_tar());
  const Archive archive = Archive::open(folder / "m.tar");
  REQUIRE(truncate((folder / "m.tar").c_str(), 1100) == 0);
  CHECK_THROWS_AS(archive.tensor("a/w"), Error);
}

TEST_CASE("archive: several graphs", "[archive]") {
  const std::string tar = tar_member("encoder.nnef", kGraph) + tar_member("decoder.nnef", kGraph + "\n") +
                          tar_member("encoder.quant", "# e") + tar_member("sub/graph.nnef", kGraph) + kEnd;
  const Archive archive = open_bytes(tar);
  CHECK(archive.graphs() == std::vector<std::string>{"encoder.nnef", "decoder.nnef"});
  CHECK(archive.graph("decoder").text == kGraph + "\n");
  CHECK(archive.graph("encoder.nnef").member == "encoder.nnef");
  CHECK(archive.quantization("encoder.nnef")->text == "# e");
  CHECK_FALSE(archive.quantization("decoder.nnef").has_value());
  try {
    archive.graph();
    FAIL("there is no graph.nnef");
  } catch (const Error& error) {
    CHECK(error.code() == "graph-missing");
    CHECK(error.message().find("graph.nnef") != std::string::npos);
    REQUIRE(error.notes().size() == 1);
    CHECK(error.notes()[0].find("encoder.nnef, decoder.nnef") != std::string::npos);
  }
  CHECK_THROWS_AS(archive.graph("x"), Error);
  CHECK_THROWS_AS(archive.graph("../encoder"), Error);
}

TEST_CASE("archive: models inside of a model", "[archive]") {
  const std::string inner = tar_member("graph.nnef", kGraph) + tar_member("w.dat", dat_of(weights())) + kEnd;
  const std::string tar =
      tar_member("graph.nnef", kGraph) + tar_member("one.nnef.tar", inner) +
      tar_member("two.nnef.tgz", gzipped(inner)) + tar_member("three/graph.nnef", kGraph) +
      tar_member("three/w.dat", dat_of(weights())) + tar_member("three/graph.quant", "# q") + kEnd;
  for (const std::string& bytes : {tar, gzipped(tar)}) {
    const Archive archive = open_bytes(bytes);
    for (const char* label : {"one", "/two", "three"}) {
      INFO(label);
      const auto sub = archive.submodel(label);
      REQUIRE(sub.has_value());
      CHECK(sub->graph().text == kGraph);
      CHECK(sub->tensor("w")->tensor.identical(weights()));
      CHECK(sub->labels() == std::vector<std::string>{"w"});
    }
    CHECK(archive.submodel("three")->quantization()->text == "# q");
    CHECK_FALSE(archive.submodel("four").has_value());
  }
  std::string nested = inner;
  for (int i = 0; i < 6; ++i) nested = tar_member("sub.nnef.tar", nested) + kEnd;
  Archive archive = open_bytes(nested);
  int depth = 0;
  std::string code;
  try {
    while (auto sub = archive.submodel("sub")) {
      archive = *sub;
      ++depth;
    }
  } catch (const Error& error) {
    code = error.code();
  }
  CHECK(depth == 4);
  CHECK(code == "archive-limit");
}

TEST_CASE("archive: JSON resources and safetensors", "[archive]") {
  const std::string directory =
      R"({"__metadata__":{"format":"pt"},"w.x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("h\u00e9":{"dtype":"F16","shape":[],"data_offsets":[8,10]},"f8":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[11,12]},)"
      R"("b":{"shape":[1],"dtype":"BOOL","data_offsets":[10,11]}})";
  std::string file;
  append_little_endian<uint64_t>(file, directory.size());
  file += directory + std::string("\0\0\x80\x3F\0\0\0\x40\0\x3C\7\0", 12);
  const std::string tar = tar_member("res.json", "{\"a\": 1}") + tar_member("m.safetensors", file) + kEnd;
  for (const std::string& bytes : {tar, gzipped(tar)}) {
    const Archive archive = open_bytes(bytes);
    CHECK(*archive.json("res") == "{\"a\": 1}");
    CHECK_FALSE(archive.json("none").has_value());
    CHECK(archive.tensor("w.x")->tensor.identical(Tensor::of<float>({2}, {1, 2})));
    CHECK(archive.tensor("/w.x").has_value());
    CHECK(archive.tensor("hé")->tensor.identical(Tensor::scalar<Half>(Half(1.0F))));
    CHECK(archive.tensor("b")->tensor.identical(Tensor::of<bool>({1}, {true})));
    CHECK_THROWS_AS(archive.tensor("f8"), Error);
    CHECK(archive.labels().size() == 4);
  }
  for (size_t length = 0; length < file.size(); ++length) {
    REQUIRE(code_of(tar_member("graph.nnef", kGraph) + tar_member("m.safetensors", file.substr(0, length)) +
                    kEnd) != "fine");
  }
  std::mt19937 random(4);
  for (int i = 0; i < 3000; ++i) {
    std::string broken = file;
    broken[random() % broken.size()] = static_cast<char>(random());
    code_of(tar_member("graph.nnef", kGraph) + tar_member("m.safetensors", broken) + kEnd);
  }
  const auto code_of_directory = [](const std::string& text) {
    std::string bytes;
    append_little_endian<uint64_t>(bytes, text.size());
    return code_of(tar_member("graph.nnef", kGraph) + tar_member("m.safetensors", bytes + text + "12345678") +
                   kEnd);
  };
  CHECK(code_of_directory(R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})") == "fine");
  CHECK(
      code_of_directory(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})") ==
      "safetensors-malformed");
  // Holes: before the first tensor, between two, after the last one; tensors without items may lie between.
  const auto bytes_at = [](const std::string& extent, const std::string& offsets) {
    return R"({"dtype":"U8","shape":[)" + extent + R"(],"data_offsets":[)" + offsets + "]}";
  };
  for (const auto& [first, second] :
       std::vector<std::pair<std::string, std::string>>{{bytes_at("3", "1,4"), bytes_at("4", "4,8")},
                                                        {bytes_at("3", "0,3"), bytes_at("4", "4,8")},
                                                        {bytes_at("4", "0,4"), bytes_at("3", "4,7")},
                                                        {bytes_at("8", "0,8"), bytes_at("0", "5,5")}}) {
    INFO(first << " " << second);
    CHECK(code_of_directory("{\"a\":" + first + ",\"b\":" + second + "}") == "safetensors-malformed");
    CHECK(code_of_directory("{\"b\":" + second + ",\"a\":" + first + "}") == "safetensors-malformed");
  }
  CHECK(code_of_directory("{\"a\":" + bytes_at("8", "0,8") + ",\"b\":" + bytes_at("0", "0,0") +
                          ",\"c\":" + bytes_at("0", "8,8") + "}") == "fine");
  CHECK(code_of_directory("{}") == "safetensors-malformed");
  CHECK(code_of_directory(R"({"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})") ==
        "safetensors-malformed");
  CHECK(code_of_directory(R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})") ==
        "safetensors-malformed");
  CHECK(
      code_of_directory(
          R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})") ==
      "safetensors-malformed");
  CHECK(code_of_directory(std::string(100000, '[')) == "safetensors-malformed");
}

TEST_CASE("archive: hidden members and ./ are no obstacle", "[archive]") {
  const std::string tar = tar_member("./", "", '5') + tar_member("./._graph.nnef", "junk") +
                          tar_member("./graph.nnef", kGraph) + tar_member(".git/w.dat", "x") +
                          tar_member("a/", "", '5') + tar_member("./a//w.dat", dat_of(weights())) +
                          tar_member("graph.quant", "# nothing\n") + tar_member("README", "x") + kEnd;
  check_small(open_bytes(tar));
}

TEST_CASE("archive: names that no model has are refused, and named", "[archive]") {
  const std::string graph = tar_member("graph.nnef", kGraph);
  const std::string dat = dat_of(weights());
  CHECK(code_of(graph + tar_member("w.dat", dat) + tar_member("./w.dat", dat) + kEnd) == "archive-member");
  CHECK(code_of(graph + tar_member("README", "a") + tar_member("README", "b") + kEnd) == "archive-member");
  CHECK(code_of(graph + tar_member("/w.dat", dat) + kEnd) == "archive-member");
  CHECK(code_of(graph + tar_member("a/../../w.dat", dat) + kEnd) == "archive-member");
  CHECK(code_of(graph + tar_member("w.dat", "", '2', "/dev/zero") + kEnd) == "archive-member");
  CHECK(code_of(graph + tar_member("w.dat", "", '1', "graph.nnef") + kEnd) == "archive-member");
  CHECK(code_of(graph + tar_member("w.dat", "", '6') + kEnd) == "archive-member");
  CHECK(code_of(graph + tar_member("w.dat", "", '3') + kEnd) == "archive-member");
  CHECK(message_of(graph + tar_member("../w.dat", dat) + kEnd).find("w.dat") != std::string::npos);
  CHECK(message_of(graph + tar_member("a\x1B[31m/../../w", dat) + kEnd).find('\x1B') == std::string::npos);
}

TEST_CASE("archive: links in a folder may not leave it", "[archive]") {
  const TemporaryFolder folder;
  write_whole_file(folder / "d/graph.nnef", kGraph);
  write_whole_file(folder / "d/real.dat", dat_of(weights()));
  write_whole_file(folder / "secret.dat", dat_of(weights()));
  REQUIRE(symlink("real.dat", (folder / "d/inside.dat").c_str()) == 0);
  REQUIRE(symlink("../secret.dat", (folder / "d/outside.dat").c_str()) == 0);
  REQUIRE(symlink("nowhere", (folder / "d/dangling.dat").c_str()) == 0);
  REQUIRE(symlink("/dev/zero", (folder / "d/device.dat").c_str()) == 0);
  REQUIRE(mkfifo((folder / "d/pipe.dat").c_str(), 0644) == 0);
  const Archive archive = Archive::open(folder / "d");
  CHECK(archive.tensor("inside")->tensor.identical(weights()));
  for (const char* label : {"outside", "dangling", "device", "pipe"}) {
    INFO(label);
    CHECK_THROWS_AS(archive.tensor(label), Error);
  }
}

TEST_CASE("archive: what is packed otherwise is named in the error", "[archive]") {
  const std::string tar = small_tar();
  CHECK(code_of(filtered(tar, archive_write_add_filter_bzip2)) == "archive-compression");
  CHECK(code_of("PK\x03\x04" + tar) == "archive-compression");
  CHECK(code_of("") == "archive-malformed");
  CHECK(code_of(kEnd) == "graph-missing");
  CHECK(code_of(gzipped("")) == "archive-malformed");
  CHECK(code_of("noise that is no tar") != "fine");
  std::mt19937 random(9);
  std::string noise(5000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  CHECK(code_of(noise) == "archive-malformed");
  CHECK(code_of(gzipped(noise)) == "archive-malformed");
}

TEST_CASE("archive: cut at every byte it is refused", "[archive]") {
  const std::string tar = tar_member("graph.nnef", kGraph) + tar_member("w.dat", dat_of(weights()));
  for (size_t length = 0; length < tar.size(); ++length) {
    // Cut between two members a plain tar looks whole.
    const std::string code = code_of(tar.substr(0, length));
    if (length != tar_member("graph.nnef", kGraph).size()) {
      INFO(length);
      REQUIRE((code != "fine" || length > tar.size() - 512));  // the padding of the last member
    }
  }
  for (const std::string& packed : {gzipped(tar + kEnd), filtered(tar + kEnd, archive_write_add_filter_xz)}) {
    for (size_t length = 0; length < packed.size(); ++length) {
      INFO(length);
      REQUIRE(code_of(packed.substr(0, length)) != "fine");
    }
  }
}

TEST_CASE("archive: flipped bytes never crash, checksums are verified", "[archive]") {
  std::mt19937 random(6);
  const std::string tar = small_tar(), packed = gzipped(tar);
  for (const std::string& good : {tar, packed}) {
    size_t refused = 0;
    for (int i = 0; i < 2000; ++i) {
      std::string broken = good;
      broken[random() % broken.size()] = static_cast<char>(random());
      refused += code_of(broken) != "fine" ? 1 : 0;
    }
    CHECK(refused > 10);
  }
  for (size_t i = 1; i <= 8; ++i) {
    std::string wrong = packed;
    wrong[wrong.size() - i] = static_cast<char>(wrong[wrong.size() - i] + 1);
    CHECK(code_of(wrong) == "archive-corrupt");
  }
  CHECK(code_of(packed + "x") == "archive-corrupt");
}

TEST_CASE("archive: limits", "[archive]") {
  const std::string tar = small_tar();
  ArchiveLimits limits;
  limits.max_members = 2;
  CHECK(code_of(tar, limits) == "archive-limit");
  limits = {};
  limits.max_total_bytes = 100;
  CHECK(code_of(tar, limits) == "archive-limit");
  limits = {};
  limits.max_member_bytes = 100;
  CHECK(code_of(tar, limits) == "archive-limit");
  limits = {};
  limits.max_text_bytes = 50;
  CHECK(code_of(tar, limits) == "archive-limit");
  limits = {};
  limits.max_name_length = 5;
  CHECK(code_of(tar, limits) == "archive-member");
  limits = {};
  limits.free_expansion = 1 << 16;
  limits.max_expansion = 50;
  const std::string bomb = tar_member("w.dat", dat_of(Tensor::zeros(DataType::f32, {1 << 20}))) + kEnd;
  CHECK(code_of(gzipped(bomb), limits) == "archive-limit");
  CHECK(code_of(bomb, limits) == "graph-missing");
  const std::string padded = tar + std::string(size_t{70} << 20, '\0');
  CHECK(code_of(gzipped(padded)) == "archive-limit");
}

TEST_CASE("archive: the limit on all bytes counts the files of a folder that are opened, once each",
          "[archive]") {
  const TemporaryFolder folder;
  const std::string dat = dat_of(Tensor::zeros(DataType::f32, {100}));  // 528 bytes
  write_whole_file(folder / "graph.nnef", kGraph);
  write_whole_file(folder / "a.dat", dat);
  write_whole_file(folder / "b.dat", dat);
  write_whole_file(folder / "unused.bin", std::string(5000, 'x'));
  ArchiveLimits limits;
  limits.max_total_bytes = 1000;
  const Archive archive = Archive::open(folder.path().string(), limits);
  for (int again = 0; again < 3; ++again) CHECK(archive.tensor("a").has_value());
  std::string code = "fine";
  try {
    archive.tensor("b");
  } catch (const Error& error) {
    code = error.code();
  }
  CHECK(code == "archive-limit");
  limits.max_total_bytes = 2000;
  const Archive wider = Archive::open(folder.path().string(), limits);
  CHECK((wider.tensor("a").has_value() && wider.tensor("b").has_value()));
}

TEST_CASE("archive: data behind a wrong header is not held", "[archive]") {
  std::string liar = dat_of(weights());
  liar.resize(size_t{200} << 20, '\0');
  const std::string tar = tar_member("graph.nnef", kGraph) + tar_member("w.dat", liar) + kEnd;
  const Archive archive = open_bytes(gzipped(tar));
  CHECK(archive.bytes("w.dat")->span.size() == 128);
  try {
    archive.tensor("w");
    FAIL("the header is wrong");
  } catch (const Error& error) {
    CHECK(error.code() == "tensor-size");
    CHECK(error.message().find("w.dat") != std::string::npos);
  }
}

TEST_CASE("archive: what is written comes back, and is the same each time", "[archive]") {
  const TemporaryFolder folder;
  std::mt19937 random(8);
  std::vector<ArchiveMember> members = {text_member("graph.nnef", kGraph)};
  std::vector<Tensor> tensors;
  for (int i = 0; i < 20; ++i) {
    tensors.push_back(random_tensor(random, static_cast<DataType>(random() % 12), random_shape(random)));
    members.push_back(
        tensor_member("/layer/" + std::to_string(19 - i), tensors.back(), TensorFileForm::engine));
  }
  members.push_back(tensor_member(std::string(150, 'n') + "/é", weights(), TensorFileForm::tract));
  for (const char* name : {"m.tar", "m.tgz", "m.nnef.tar.gz", "folder"}) {
    INFO(name);
    write_archive(folder / name, members);
    const Archive archive = Archive::open(folder / name);
    CHECK(archive.graph().text == kGraph);
    for (int i = 0; i < 20; ++i) {
      REQUIRE(archive.tensor("/layer/" + std::to_string(19 - i))
                  ->tensor.identical(tensors[static_cast<size_t>(i)]));
    }
    CHECK(archive.tensor(std::string(150, 'n') + "/é").has_value());
    if (std::string(name) == "folder") continue;
    CHECK(archive.members()[1] == "layer/19.dat");  // the order is kept
    const std::string first = read_whole_file(folder / name);
    write_archive(folder / name, members);
    CHECK(read_whole_file(folder / name) == first);
  }
  CHECK_THROWS_AS(write_archive(folder / "x.tar", {text_member("../x", "")}), Error);
  CHECK_THROWS_AS(write_archive(folder / "x.tar", {text_member("a", ""), text_member("./a", "")}), Error);
  CHECK_THROWS_AS(write_archive(folder / "no/x.tar", members), Error);

  const Archive memory = Archive::of_members("memory", members);
  CHECK(memory.graph().text == kGraph);
  CHECK(memory.tensor("layer/19")->tensor.identical(tensors[0]));
  CHECK_THROWS_AS(Archive::of_members("memory", {text_member("a", ""), text_member("a", "")}), Error);
}

TEST_CASE("archive: the shared cases", "[archive]") {
  const std::filesystem::path shared(NNEFRUN_SHARED_DIR);
  if (!std::filesystem::exists(shared / "bad-input/archive")) {
    WARN("the shared suites are not here: only the cases of this file ran");
    SUCCEED();
    return;
  }
  const auto load = [](const std::string& path) -> std::string {
    try {
      const Archive archive = Archive::open(path);
      archive.graph();
      if (!archive.tensor("w").has_value()) return "no w";
    } catch (const Error& error) {
      return error.code();
    }
    return "fine";
  };
  size_t refused = 0, read = 0;
  for (int round = 0; round < 2; ++round) {
    for (const auto& entry : std::filesystem::directory_iterator(shared / "bad-input/archive")) {
      const std::string path = entry.path().string();
      if (entry.path().filename() == "bomb.nnef.tgz" || entry.path().filename() == "bomb_tensor.nnef.tgz")
        continue;
      INFO(path);
      CHECK(load(path) != "fine");
      ++refused;
    }
  }
  CHECK(load((shared / "bad-input/archive/bomb_tensor.nnef.tgz").string()) == "tensor-size");
  CHECK(load((shared / "bad-input/archive/bomb.nnef.tgz").string()) == "graph-missing");
  CHECK(refused > 50);
  for (const auto& entry : std::filesystem::directory_iterator(shared / "bad-input/valid")) {
    const std::string path = entry.path().string();
    if (path.find(".nnef.t") == std::string::npos) continue;
    INFO(path);
    CHECK_NOTHROW(Archive::open(path).graph());
    const std::string bytes = read_whole_file(path);
    for (size_t length = 0; length < std::min<size_t>(bytes.size(), 400); ++length)
      code_of(bytes.substr(0, length));
    ++read;
  }
  CHECK(read > 5);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(shared / "models")) {
    if (entry.path().extension() != ".tgz") continue;
    INFO(entry.path().string());
    const Archive archive = Archive::open(entry.path().string());
    CHECK_NOTHROW(archive.graph());
    for (const std::string& label : archive.labels()) CHECK_NOTHROW(archive.tensor(label));
  }
}
