#include "nnef_parser/gzip_stream.h"

#include <zlib.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "base/error.h"
#include "nnef_parser/crc32.h"

namespace nnefrun {
namespace {

// One member. The data is cut at `switches`; each part is packed at the next of `levels` (0: stored).
std::string packed(const std::string& data, std::vector<int> levels, const std::vector<size_t>& switches = {},
                   gz_header* header = nullptr) {
  z_stream zlib = {};
  deflateInit2(&zlib, levels[0], Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  if (header != nullptr) deflateSetHeader(&zlib, header);
  std::string out(2 * data.size() + 16384, '\0');
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  size_t begin = 0;
  for (size_t i = 0; i <= switches.size(); ++i) {
    const size_t end = i < switches.size() ? switches[i] : data.size();
    if (i > 0) deflateParams(&zlib, levels[i % levels.size()], Z_DEFAULT_STRATEGY);
    zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data() + begin));
    zlib.avail_in = static_cast<uInt>(end - begin);
    deflate(&zlib, i < switches.size() ? Z_BLOCK : Z_FINISH);
    begin = end;
  }
  out.resize(zlib.total_out);
  deflateEnd(&zlib);
  return out;
}

// Hands out at most `most` bytes at a time, as a pipe does.
class Drops final : public ByteStream {
 public:
  Drops(std::string bytes, size_t most) : bytes_(std::move(bytes)), most_(most) {}
  size_t read(std::span<std::byte> to) override {
    const size_t got = std::min({to.size(), bytes_.size() - at_, most_});
    std::memcpy(to.data(), bytes_.data() + at_, got);
    at_ += got;
    return got;
  }

 private:
  std::string bytes_;
  size_t most_, at_ = 0;
};

std::string unpacked_by(const std::string& bytes, size_t piece, size_t most = SIZE_MAX) {
  const auto stream = gunzipped(std::make_unique<Drops>(bytes, most), "test");
  std::string out;
  std::vector<std::byte> buffer(piece);
  while (const size_t got = stream->read(buffer)) out += as_text(ByteSpan(buffer).first(got));
  return out;
}

std::string failure_of(const std::string& bytes) {
  try {
    unpacked_by(bytes, 1000);
    return "fine";
  } catch (const Error& error) {
    return error.code() + ": " + error.message();
  }
}

std::string some_text(size_t size) {
  std::mt19937 random(5);
  std::string data;
  while (data.size() < size) {  // words that return, near and far
    const size_t back = random() % 60000;
    if (random() % 4 != 0 && back < data.size()) {
      data += data.substr(data.size() - back, 3 + random() % 200);
    } else {
      for (int i = 0; i < 30; ++i) data += static_cast<char>(random());
    }
  }
  data.resize(size);
  return data;
}

TEST_CASE("gzip: stored, deflated and mixed blocks, read by pieces of any size", "[gzip]") {
  const std::string data = some_text(300000);
  const std::vector<std::string> forms = {
      packed(data, {6}),
      packed(data, {0}),
      packed(data, {0, 6}, {200000}),
      packed(data, {0, 9, 0, 1}, {10, 50000, 100000, 200001}),
      packed(data, {6, 0}, {100000}),
      packed(data.substr(0, 70000), {0}) + packed(data.substr(70000, 100), {6}) +
          packed(data.substr(70100), {0, 6}, {40000}),
      packed(data, {0}) + packed("", {0}) + packed("", {6}) + std::string(70000, '\0'),
  };
  for (size_t i = 0; i < forms.size(); ++i) {
    INFO("form " << i);
    for (const size_t piece : {7, 511, 4095, 4096, 65536, 1 << 20})
      CHECK(unpacked_by(forms[i], piece) == data);
    for (const size_t most : {1, 7, 5000}) CHECK(unpacked_by(forms[i], 30000, most) == data);
  }
  CHECK(unpacked_by(packed("", {6}), 10).empty());
  CHECK(unpacked_by(packed("", {0}), 10).empty());
}

TEST_CASE("gzip: headers with everything in them", "[gzip]") {
  std::string name(5000, 'n'), extra(300, 'e'), comment = "made by hand";
  gz_header header = {};
  header.name = reinterpret_cast<Bytef*>(name.data());
  header.comment = reinterpret_cast<Bytef*>(comment.data());
  header.extra = reinterpret_cast<Bytef*>(extra.data());
  header.extra_len = static_cast<uInt>(extra.size());
  header.hcrc = 1;
  const std::string whole = packed("content", {6}, {}, &header);
  CHECK(unpacked_by(whole, 100) == "content");
  std::string wrong = whole;
  wrong[20] = 'x';
  CHECK(failure_of(wrong) == "archive-corrupt: the gzip stream of `test` is corrupt: header crc mismatch");
}

TEST_CASE("gzip: what is wrong with a stream", "[gzip]") {
  const std::string data = some_text(3000);
  const auto corrupt = [](const std::string& why) {
    return "archive-corrupt: the gzip stream of `test` is corrupt: " + why;
  };
  for (const int level : {0, 6}) {
    const std::string good = packed(data, {level});
    for (size_t size = 1; size < good.size(); ++size) {
      INFO(size);
      CHECK(failure_of(good.substr(0, size)) == "archive-truncated: the gzip stream of `test` is cut");
    }
    const auto changed = [&](size_t at, int by) {
      std::string wrong = good;
      wrong[at] = static_cast<char>(wrong[at] + by);
      return wrong;
    };
    CHECK(failure_of(changed(0, 1)) == corrupt("incorrect header check"));
    CHECK(failure_of(changed(2, 1)) == corrupt("unknown compression method"));
    CHECK(failure_of(changed(3, 32)) == corrupt("unknown header flags set"));
    CHECK(failure_of(changed(good.size() - 1, 1)) == corrupt("incorrect length check"));
    CHECK(failure_of(changed(good.size() - 5, 1)) == corrupt("incorrect data check"));
    CHECK(failure_of(good + "x") == "archive-corrupt: `test` has bytes after the end of its gzip stream");
  }
  std::string stored = packed(data, {0});
  stored[11] = static_cast<char>(stored[11] + 1);
  CHECK(failure_of(stored) == corrupt("invalid stored block lengths"));
  stored = packed(data, {0});
  stored[10] = 7;  // a block of type 3
  CHECK(failure_of(stored) == corrupt("invalid block type"));
  stored = packed(data, {0});
  stored[2000] = static_cast<char>(stored[2000] + 1);
  CHECK(failure_of(stored) == corrupt("incorrect data check"));
}

TEST_CASE("gzip: the checksum is zlib's, at every size and alignment", "[gzip]") {
  std::mt19937 random(6);
  std::vector<std::byte> bytes(5000);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  for (size_t size = 0; size < 1200; ++size) {
    const size_t at = random() % 64;
    const auto crc = static_cast<uint32_t>(random());
    CHECK(crc32_of(crc, {bytes.data() + at, size}) ==
          crc32(crc, reinterpret_cast<const Bytef*>(bytes.data() + at), static_cast<uInt>(size)));
  }
  CHECK(crc32_of(0, as_byte_span("123456789")) == 0xCBF43926);  // the check value of the catalogue
}

}  // namespace
}  // namespace nnefrun
