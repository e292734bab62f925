#include "io/npz.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_set>

#include "base/error.h"

namespace nnefrun {
namespace {

constexpr uint32_t kLocalHeader = 0x04034B50, kCentralHeader = 0x02014B50, kEnd = 0x06054B50,
                   kEnd64 = 0x06064B50, kEnd64Locator = 0x07064B50;
constexpr uint64_t kMax32 = 0xFFFFFFFF;
constexpr size_t kPiece = size_t{1} << 18;
// One bit of deflate gives at most 258 bytes every two bits.
constexpr uint64_t kMaxDeflateRatio = 1032;

Error malformed(const std::string& name, const std::string& why) {
  return Error("npz-malformed", "`" + name + "` is no valid .npz: " + why);
}

uint32_t crc_of(uint32_t crc, const void* data, size_t bytes) {
  if (bytes == 0) return crc;  // zlib takes a null pointer for a wish to start anew
  return static_cast<uint32_t>(crc32_z(crc, static_cast<const Bytef*>(data), bytes));
}

// The bytes of one member from the front, unpacked.
class MemberStream {
 public:
  MemberStream(const ByteSource& source, std::string name, uint64_t offset, uint64_t packed, bool deflated)
      : source_(source), name_(std::move(name)), at_(offset), packed_(packed), deflated_(deflated) {
    if (!deflated_) return;
    buffer_.resize(static_cast<size_t>(std::min<uint64_t>(kPiece, packed)));
    if (inflateInit2(&zlib_, -MAX_WBITS) != Z_OK)
      throw Error("out-of-memory", "cannot start to inflate `" + name_ + "`");
    started_ = true;
  }
  ~MemberStream() {
    if (started_) inflateEnd(&zlib_);
  }
  MemberStream(const MemberStream&) = delete;
  MemberStream& operator=(const MemberStream&) = delete;

  void read(std::span<std::byte> to) {
    if (deflated_) {
      inflate_into(to);
    } else {
      if (to.size() > packed_) throw malformed(name_, "the member is cut");
      source_.read_at(at_, to);
      at_ += to.size();
      packed_ -= to.size();
    }
    crc_ = crc_of(crc_, to.data(), to.size());
  }
  // After the last byte.
  void finish(uint32_t expected_crc) {
    if (deflated_ && !ended_) {  // the end code may still be in the input
      std::byte none{};
      zlib_.next_out = reinterpret_cast<Bytef*>(&none);
      zlib_.avail_out = 0;
      while (!ended_) step();
    }
    if (deflated_ ? packed_ + zlib_.avail_in != 0 : packed_ != 0)
      throw malformed(name_, "bytes after the member's data");
    if (crc_ != expected_crc) throw malformed(name_, "the checksum does not match");
  }

 private:
  void inflate_into(std::span<std::byte> to) {
    size_t done = 0;
    while (done < to.size()) {
      const size_t piece = std::min<size_t>(to.size() - done, size_t{1} << 30);
      zlib_.next_out = reinterpret_cast<Bytef*>(to.data() + done);
      zlib_.avail_out = static_cast<uInt>(piece);
      while (zlib_.avail_out > 0) {
        if (ended_) throw malformed(name_, "the member is shorter than declared");
        step();
      }
      done += piece;
    }
  }
  void step() {
    if (zlib_.avail_in == 0 && packed_ > 0) {
      const auto bytes = static_cast<size_t>(std::min<uint64_t>(packed_, buffer_.size()));
      source_.read_at(at_, {buffer_.data(), bytes});
      at_ += bytes;
      packed_ -= bytes;
      zlib_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
      zlib_.avail_in = static_cast<uInt>(bytes);
    }
    const int status = inflate(&zlib_, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      ended_ = true;
    } else if (status == Z_BUF_ERROR) {
      throw malformed(name_,
                      zlib_.avail_out == 0 ? "the member is longer than declared" : "the member is cut");
    } else if (status != Z_OK) {
      throw malformed(name_, "the deflated data is corrupt");
    }
  }

  const ByteSource& source_;
  std::string name_;
  uint64_t at_, packed_;
  bool deflated_, started_ = false, ended_ = false;
  uint32_t crc_ = 0;
  z_stream zlib_ = {};
  std::vector<std::byte> buffer_;
};

}  // namespace

NpzReader NpzReader::open(const std::string& path, const IoLimits& limits) {
  return {open_file(path), limits};
}

NpzReader::NpzReader(std::shared_ptr<const ByteSource> source, const IoLimits& limits)
    : source_(std::move(source)), limits_(limits) {
  read_directory();
}

void NpzReader::read_directory() {
  const ByteSource& source = *source_;
  const uint64_t size = source.size();
  if (size < 22) throw malformed(source.name(), "only " + std::to_string(size) + " bytes");
  // The end record is the last thing but for a comment of at most 65,535 bytes.
  std::vector<std::byte> tail(static_cast<size_t>(std::min<uint64_t>(size, 22 + 65535)));
  const uint64_t tail_offset = size - tail.size();
  source.read_at(tail_offset, tail);
  size_t end = tail.size() - 22 + 1;
  bool found = false;
  while (end-- > 0) {
    if (load_little_endian<uint32_t>(&tail[end]) == kEnd &&
        load_little_endian<uint16_t>(&tail[end + 20]) == tail.size() - end - 22) {
      found = true;
      break;
    }
  }
  if (!found) throw malformed(source.name(), "no end of a zip directory; is it cut, or no zip at all?");
  uint64_t count = load_little_endian<uint16_t>(&tail[end + 10]);
  uint64_t bytes = load_little_endian<uint32_t>(&tail[end + 12]);
  uint64_t offset = load_little_endian<uint32_t>(&tail[end + 16]);
  const uint64_t end_offset = tail_offset + end;
  uint64_t limit = end_offset;  // the directory ends here at the latest
  if (end_offset >= 20) {
    std::array<std::byte, 20> locator;
    source.read_at(end_offset - 20, locator);
    if (load_little_endian<uint32_t>(locator.data()) == kEnd64Locator) {
      const auto where = load_little_endian<uint64_t>(locator.data() + 8);
      std::array<std::byte, 56> record;
      if (where > end_offset - 20 || end_offset - 20 - where < record.size()) {
        throw malformed(source.name(), "the zip64 record lies outside of the file");
      }
      source.read_at(where, record);
      if (load_little_endian<uint32_t>(record.data()) != kEnd64)
        throw malformed(source.name(), "no zip64 record where announced");
      count = load_little_endian<uint64_t>(record.data() + 32);
      bytes = load_little_endian<uint64_t>(record.data() + 40);
      offset = load_little_endian<uint64_t>(record.data() + 48);
      limit = where;
    }
  }
  if (offset > limit || bytes > limit - offset)
    throw malformed(source.name(), "the directory lies outside of the file");
  if (count > limits_.max_members || bytes > uint64_t{1} << 28) {
    throw Error("io-limit", "`" + source.name() + "` has " + std::to_string(count) +
                                " members, the limit is " + std::to_string(limits_.max_members));
  }
  std::vector<std::byte> directory(static_cast<size_t>(bytes));
  source.read_at(offset, directory);

  std::unordered_set<std::string> names;
  size_t at = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const std::byte* entry = directory.data() + at;
    if (directory.size() - at < 46 || load_little_endian<uint32_t>(entry) != kCentralHeader) {
      throw malformed(source.name(), "the directory is cut or corrupt");
    }
    const auto flags = load_little_endian<uint16_t>(entry + 8);
    Member member;
    member.method = load_little_endian<uint16_t>(entry + 10);
    member.crc = load_little_endian<uint32_t>(entry + 16);
    member.packed = load_little_endian<uint32_t>(entry + 20);
    member.unpacked = load_little_endian<uint32_t>(entry + 24);
    const size_t name_bytes = load_little_endian<uint16_t>(entry + 28);
    const size_t extra_bytes = load_little_endian<uint16_t>(entry + 30);
    const size_t comment_bytes = load_little_endian<uint16_t>(entry + 32);
    member.offset = load_little_endian<uint32_t>(entry + 42);
    if (directory.size() - at - 46 < name_bytes + extra_bytes + comment_bytes) {
      throw malformed(source.name(), "the directory is cut");
    }
    std::string name(as_text({entry + 46, name_bytes}));
    const std::byte* extra = entry + 46 + name_bytes;
    for (size_t e = 0; e + 4 <= extra_bytes;) {
      const auto tag = load_little_endian<uint16_t>(extra + e);
      const size_t length = load_little_endian<uint16_t>(extra + e + 2);
      e += 4;
      if (length > extra_bytes - e) break;
      if (tag == 1) {  // zip64: those of the three that did not fit, in this order
        size_t field = e;
        for (uint64_t* value : {&member.unpacked, &member.packed, &member.offset}) {
          if (*value != kMax32) continue;
          if (e + length - field < 8) throw malformed(source.name(), "a zip64 field is cut");
          *value = load_little_endian<uint64_t>(extra + field);
          field += 8;
        }
      }
      e += length;
    }
    at += 46 + name_bytes + extra_bytes + comment_bytes;
    if (name.size() < 5 || name.substr(name.size() - 4) != ".npy") continue;  // not an array
    name.resize(name.size() - 4);
    member.name = std::move(name);
    const std::string where = source.name() + ":" + member.name;
    if ((flags & 1) != 0) throw malformed(where, "the member is encrypted");
    if (member.method != 0 && member.method != 8) {
      throw malformed(where, "compression method " + std::to_string(member.method) +
                                 ", expected 0 (stored) or 8 (deflate)");
    }
    if (member.offset > offset || offset - member.offset < 30 ||
        member.packed > offset - member.offset - 30) {
      throw malformed(where, "the member lies outside of the file");
    }
    if (member.method == 0 ? member.unpacked != member.packed
                           : member.unpacked / kMaxDeflateRatio > member.packed + 1) {
      throw malformed(where, std::to_string(member.packed) + " bytes cannot unpack to " +
                                 std::to_string(member.unpacked));
    }
    if (!names.insert(member.name).second) throw malformed(where, "two arrays have this name");
    members_.push_back(std::move(member));
  }
}

uint64_t NpzReader::data_offset(const Member& member) const {
  std::array<std::byte, 30> local;
  source_->read_at(member.offset, local);
  if (load_little_endian<uint32_t>(local.data()) != kLocalHeader) {
    throw malformed(source_->name() + ":" + member.name, "no member where the directory says");
  }
  const uint64_t data = member.offset + 30 + load_little_endian<uint16_t>(local.data() + 26) +
                        load_little_endian<uint16_t>(local.data() + 28);
  if (data > source_->size() || member.packed > source_->size() - data) {
    throw malformed(source_->name() + ":" + member.name, "the member lies outside of the file");
  }
  return data;
}

int NpzReader::find(std::string_view name) const {
  for (size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

NpyHeader NpzReader::header(size_t index) const {
  const Member& member = members_[index];
  const std::string name = source_->name() + ":" + member.name;
  MemberStream stream(*source_, name, data_offset(member), member.packed, member.method == 8);
  return npy::read_header([&](std::span<std::byte> to) { stream.read(to); }, member.unpacked, name);
}

Tensor NpzReader::read(size_t index) const {
  const Member& member = members_[index];
  const std::string name = source_->name() + ":" + member.name;
  MemberStream stream(*source_, name, data_offset(member), member.packed, member.method == 8);
  const npy::SequentialRead read = [&](std::span<std::byte> to) { stream.read(to); };
  const NpyHeader header = npy::read_header(read, member.unpacked, name);
  Tensor tensor = npy::read_data(header, read, name, limits_);
  stream.finish(member.crc);
  return tensor;
}

namespace {

NamedTensors read_all(const NpzReader& reader, const std::string& name, const IoLimits& limits) {
  NamedTensors out;
  uint64_t total = 0;
  for (size_t i = 0; i < reader.size(); ++i) {
    total += reader.header(i).data_bytes;
    if (total > limits.max_total_bytes) {
      throw Error("io-limit", "the arrays of `" + name + "` are larger than the limit of " +
                                  std::to_string(limits.max_total_bytes) + " bytes");
    }
    out.emplace_back(reader.name(i), reader.read(i));
  }
  return out;
}

// Deflated bytes of the two pieces.
std::string deflated(ByteSpan first, ByteSpan second) {
  z_stream zlib = {};
  if (deflateInit2(&zlib, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw Error("out-of-memory", "cannot start to deflate");
  }
  std::string out;
  std::vector<Bytef> buffer(kPiece);
  const auto feed = [&](ByteSpan bytes, bool last) {
    size_t done = 0;
    do {
      const size_t piece = std::min<size_t>(bytes.size() - done, size_t{1} << 30);
      zlib.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data() + done));
      zlib.avail_in = static_cast<uInt>(piece);
      done += piece;
      const int flush = last && done == bytes.size() ? Z_FINISH : Z_NO_FLUSH;
      do {
        zlib.next_out = buffer.data();
        zlib.avail_out = static_cast<uInt>(buffer.size());
        deflate(&zlib, flush);
        out.append(reinterpret_cast<const char*>(buffer.data()), buffer.size() - zlib.avail_out);
      } while (zlib.avail_out == 0);
    } while (done < bytes.size());
  };
  feed(first, false);
  feed(second, true);
  deflateEnd(&zlib);
  return out;
}

}  // namespace

NamedTensors load_npz(const std::string& path, const IoLimits& limits) {
  return read_all(NpzReader::open(path, limits), path, limits);
}

NamedTensors read_npz(ByteSpan bytes, const std::string& name, const IoLimits& limits) {
  return read_all(NpzReader(memory_source(name, bytes), limits), name, limits);
}

void write_npz(const ByteSink& sink, const NamedTensors& items, bool deflate) {
  uint64_t offset = 0;
  const auto put = [&](ByteSpan bytes) {
    sink(bytes);
    offset += bytes.size();
  };
  std::string directory;
  for (const auto& [key, tensor] : items) {
    const std::string name = key + ".npy";
    if (name.size() > 0xFFFF)
      throw Error("npy-text", "an array's name of " + std::to_string(key.size()) + " characters");
    const npy::Encoded encoded = npy::encode(tensor);
    const ByteSpan header = as_byte_span(encoded.header);
    const ByteSpan data(encoded.data.bytes(), encoded.data.byte_size());
    const uint32_t crc = crc_of(crc_of(0, header.data(), header.size()), data.data(), data.size());
    const uint64_t unpacked = header.size() + data.size();
    std::string small;
    if (deflate) small = deflated(header, data);
    const bool packs = deflate && small.size() < unpacked;
    const uint64_t packed = packs ? small.size() : unpacked;
    const bool large = unpacked >= kMax32 || packed >= kMax32;
    const bool far = offset >= kMax32;

    // What the two headers share: version, flags (bit 11: the name is UTF-8), method, a fixed date, crc,
    // sizes.
    std::string shared;
    append_little_endian<uint16_t>(shared, large || far ? 45 : 20);
    append_little_endian<uint16_t>(shared, 0x0800);
    append_little_endian<uint16_t>(shared, packs ? 8 : 0);
    append_little_endian<uint16_t>(shared, 0);
    append_little_endian<uint16_t>(shared, 0x0021);  // 1980-01-01
    append_little_endian<uint32_t>(shared, crc);
    append_little_endian<uint32_t>(shared, static_cast<uint32_t>(large ? kMax32 : packed));
    append_little_endian<uint32_t>(shared, static_cast<uint32_t>(large ? kMax32 : unpacked));
    append_little_endian<uint16_t>(shared, static_cast<uint16_t>(name.size()));

    std::string sizes;
    if (large) {
      append_little_endian<uint64_t>(sizes, unpacked);
      append_little_endian<uint64_t>(sizes, packed);
    }
    const auto zip64 = [](const std::string& fields) {
      std::string extra;
      if (fields.empty()) return extra;
      append_little_endian<uint16_t>(extra, 1);
      append_little_endian<uint16_t>(extra, static_cast<uint16_t>(fields.size()));
      return extra + fields;
    };
    const std::string local_extra = zip64(sizes);
    std::string local;
    append_little_endian<uint32_t>(local, kLocalHeader);
    local += shared;
    append_little_endian<uint16_t>(local, static_cast<uint16_t>(local_extra.size()));
    local += name + local_extra;

    std::string central_fields = sizes;
    if (far) append_little_endian<uint64_t>(central_fields, offset);
    const std::string central_extra = zip64(central_fields);
    append_little_endian<uint32_t>(directory, kCentralHeader);
    append_little_endian<uint16_t>(directory, (3 << 8) | 45);  // made on Unix
    directory += shared;
    append_little_endian<uint16_t>(directory, static_cast<uint16_t>(central_extra.size()));
    append_little_endian<uint16_t>(directory, 0);
    append_little_endian<uint16_t>(directory, 0);
    append_little_endian<uint16_t>(directory, 0);
    append_little_endian<uint32_t>(directory, 0100644U << 16);
    append_little_endian<uint32_t>(directory, static_cast<uint32_t>(far ? kMax32 : offset));
    directory += name + central_extra;

    put(as_byte_span(local));
    if (packs) {
      put(as_byte_span(small));
    } else {
      put(header);
      put(data);
    }
  }
  const uint64_t start = offset, count = items.size();
  put(as_byte_span(directory));
  std::string end;
  if (start >= kMax32 || count >= 0xFFFF) {
    append_little_endian<uint32_t>(end, kEnd64);
    append_little_endian<uint64_t>(end, 44);
    append_little_endian<uint16_t>(end, (3 << 8) | 45);
    append_little_endian<uint16_t>(end, 45);
    append_little_endian<uint64_t>(end, 0);
    append_little_endian<uint64_t>(end, count);
    append_little_endian<uint64_t>(end, count);
    append_little_endian<uint64_t>(end, directory.size());
    append_little_endian<uint64_t>(end, start);
    append_little_endian<uint32_t>(end, kEnd64Locator);
    append_little_endian<uint32_t>(end, 0);
    append_little_endian<uint64_t>(end, offset);
    append_little_endian<uint32_t>(end, 1);
  }
  append_little_endian<uint32_t>(end, kEnd);
  append_little_endian<uint32_t>(end, 0);
  append_little_endian<uint16_t>(end, static_cast<uint16_t>(std::min<uint64_t>(count, 0xFFFF)));
  append_little_endian<uint16_t>(end, static_cast<uint16_t>(std::min<uint64_t>(count, 0xFFFF)));
  append_little_endian<uint32_t>(end, static_cast<uint32_t>(std::min<uint64_t>(directory.size(), kMax32)));
  append_little_endian<uint32_t>(end, static_cast<uint32_t>(std::min<uint64_t>(start, kMax32)));
  append_little_endian<uint16_t>(end, 0);
  put(as_byte_span(end));
}

void save_npz(const std::string& path, const NamedTensors& items, bool deflate) {
  write_file(path, [&](const ByteSink& sink) { write_npz(sink, items, deflate); });
}

}  // namespace nnefrun
