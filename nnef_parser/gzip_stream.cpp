#include "nnef_parser/gzip_stream.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "nnef_parser/crc32.h"

namespace nnefrun {
namespace {

constexpr size_t kPiece = size_t{1} << 16;
constexpr size_t kSmallPiece = size_t{1} << 12;  // around stored blocks, which do not go through the buffer
constexpr size_t kWindow = size_t{1} << 15;      // as far back as a block may refer

class GzipStream final : public ByteStream {
 public:
  GzipStream(std::unique_ptr<ByteStream> packed, std::string name)
      : packed_(std::move(packed)), name_(std::move(name)), buffer_(kPiece) {}
  ~GzipStream() override {
    if (has_zlib_) inflateEnd(&zlib_);
  }

  size_t read(std::span<std::byte> to) override {
    size_t done = 0, member = 0;  // in `to`: what is filled, and where the member at hand begins
    while (done < to.size() && part_ != Part::ended) {
      switch (part_) {
        case Part::header:
          read_header();
          member = done;
          break;
        case Part::block: begin_block(to.subspan(member, done - member)); break;
        case Part::stored: done += copy_stored(to.subspan(done)); break;
        case Part::deflated: done += inflate_into(to.subspan(done)); break;
        case Part::trailer: check_trailer(); break;
        case Part::between: find_next(); break;
        case Part::ended: break;
      }
    }
    if (part_ == Part::block || part_ == Part::stored) remember(to.subspan(member, done - member));
    return done;
  }

 private:
  enum class Part { header, block, stored, deflated, trailer, between, ended };

  Error corrupt(const std::string& why) const {
    return Error("archive-corrupt", "the gzip stream of `" + name_ + "` is corrupt: " + why);
  }
  Error cut() const { return Error("archive-truncated", "the gzip stream of `" + name_ + "` is cut"); }

  // False at the end of the packed bytes.
  bool refill(size_t most) {
    at_ = 0;
    end_ = packed_->read(std::span(buffer_).first(most));
    return end_ > 0;
  }
  uint32_t byte() {
    if (at_ == end_ && !refill(kSmallPiece)) throw cut();
    return std::to_integer<uint32_t>(buffer_[at_++]);
  }
  uint32_t number(int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= byte() << (8 * i);
    return value;
  }

  void read_header() {
    enum : uint32_t { kHasChecksum = 2, kHasExtra = 4, kHasName = 8, kHasComment = 16, kReserved = 0xE0 };
    uint32_t crc = 0;
    const auto next = [&] {
      const uint32_t value = byte();
      const auto as_byte = static_cast<std::byte>(value);
      crc = crc32_of(crc, {&as_byte, 1});
      return value;
    };
    const auto pass_text = [&] {
      while (next() != 0) {
      }
    };
    if (const uint32_t first = next(), second = next(); first != 0x1F || second != 0x8B)
      throw corrupt("incorrect header check");
    if (next() != Z_DEFLATED) throw corrupt("unknown compression method");
    const uint32_t flags = next();
    if ((flags & kReserved) != 0) throw corrupt("unknown header flags set");
    for (int i = 0; i < 6; ++i) next();  // time, level, system
    if ((flags & kHasExtra) != 0) {
      uint32_t size = next();
      size |= next() << 8;
      while (size-- > 0) next();
    }
    if ((flags & kHasName) != 0) pass_text();
    if ((flags & kHasComment) != 0) pass_text();
    if ((flags & kHasChecksum) != 0) {
      const uint32_t expected = crc & 0xFFFF;
      if (number(2) != expected) throw corrupt("header crc mismatch");
    }
    crc_ = length_ = 0;
    window_.clear();
    part_ = Part::block;
  }

  // Before a block that follows a stored one, or is the first: those begin with a byte. `fresh`: what has
  // been unpacked of the member since the last call of read.
  void begin_block(ByteSpan fresh) {
    const uint32_t start = byte();
    if ((start >> 1 & 3) != 0) {
      --at_;
      remember(fresh);
      return begin_deflated();
    }
    is_last_ = (start & 1) != 0;
    left_ = number(2);
    if (number(2) != (~left_ & 0xFFFF)) throw corrupt("invalid stored block lengths");
    part_ = Part::stored;
  }

  size_t copy_stored(std::span<std::byte> to) {
    to = to.first(std::min<size_t>(to.size(), left_));
    size_t got = 0;
    if (!to.empty()) {
      if (at_ == end_ && to.size() < kSmallPiece && !refill(kSmallPiece)) throw cut();
      if (at_ < end_) {
        got = std::min(to.size(), end_ - at_);
        std::memcpy(to.data(), buffer_.data() + at_, got);
        at_ += got;
      } else {
        got = packed_->read(to);
        if (got == 0) throw cut();
      }
      count(to.first(got));
      left_ -= static_cast<uint32_t>(got);
    }
    if (left_ == 0) part_ = is_last_ ? Part::trailer : Part::block;
    return got;
  }

  void begin_deflated() {
    const int status = has_zlib_ ? inflateReset(&zlib_) : inflateInit2(&zlib_, -MAX_WBITS);
    if (status != Z_OK) throw Error("out-of-memory", "cannot start to inflate `" + name_ + "`");
    has_zlib_ = true;
    const size_t known = std::min(window_.size(), kWindow);
    if (known > 0) {
      inflateSetDictionary(&zlib_, reinterpret_cast<const Bytef*>(window_.data() + window_.size() - known),
                           static_cast<uInt>(known));
    }
    part_ = Part::deflated;
  }

  size_t inflate_into(std::span<std::byte> to) {
    if (at_ == end_ && !refill(kPiece)) throw cut();
    zlib_.next_in = reinterpret_cast<Bytef*>(buffer_.data() + at_);
    zlib_.avail_in = static_cast<uInt>(end_ - at_);
    const auto wanted = static_cast<uInt>(std::min<size_t>(to.size(), size_t{1} << 30));
    zlib_.next_out = reinterpret_cast<Bytef*>(to.data());
    zlib_.avail_out = wanted;
    const int status = inflate(&zlib_, Z_NO_FLUSH);
    at_ = end_ - zlib_.avail_in;
    const size_t got = wanted - zlib_.avail_out;
    count(to.first(got));
    if (status == Z_STREAM_END) {
      part_ = Part::trailer;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      throw corrupt(zlib_.msg != nullptr ? zlib_.msg : "it cannot be inflated");
    }
    return got;
  }

  void check_trailer() {
    if (number(4) != crc_) throw corrupt("incorrect data check");
    if (number(4) != length_) throw corrupt("incorrect length check");
    part_ = Part::between;
  }

  // After a member: zeros (padding) up to the end, or another member.
  void find_next() {
    do {
      while (at_ < end_ && buffer_[at_] == std::byte{0}) ++at_;
    } while (at_ == end_ && refill(kPiece));
    if (at_ == end_) {
      part_ = Part::ended;
    } else if (buffer_[at_] != std::byte{0x1F}) {
      throw Error("archive-corrupt", "`" + name_ + "` has bytes after the end of its gzip stream");
    } else {
      part_ = Part::header;
    }
  }

  void count(ByteSpan unpacked) {
    crc_ = crc32_of(crc_, unpacked);
    length_ += static_cast<uint32_t>(unpacked.size());
  }

  // The window is the end of what is kept; it slides back when there are two of it.
  void remember(ByteSpan unpacked) {
    unpacked = unpacked.last(std::min(unpacked.size(), kWindow));
    if (window_.size() + unpacked.size() > 2 * kWindow) {
      window_.erase(window_.begin(), window_.end() - static_cast<std::ptrdiff_t>(kWindow));
    }
    window_.insert(window_.end(), unpacked.begin(), unpacked.end());
  }

  std::unique_ptr<ByteStream> packed_;
  std::string name_;
  std::vector<std::byte> buffer_;  // packed bytes [at_, end_) wait in it
  size_t at_ = 0, end_ = 0;
  std::vector<std::byte> window_;
  z_stream zlib_ = {};
  bool has_zlib_ = false;
  Part part_ = Part::header;
  bool is_last_ = false;
  uint32_t left_ = 0;              // of a stored block
  uint32_t crc_ = 0, length_ = 0;  // of the member so far
};

}  // namespace

std::unique_ptr<ByteStream> gunzipped(std::unique_ptr<ByteStream> packed, std::string name) {
  return std::make_unique<GzipStream>(std::move(packed), std::move(name));
}

}  // namespace nnefrun
