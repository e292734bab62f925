// Writing models: folders, tars and packed tars.
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include "base/error.h"
#include "nnef_parser/archive_store.h"

namespace nnefrun {
namespace {

void write_folder(const std::string& path, const std::vector<ArchiveMember>& members) {
  for (const ArchiveMember& member : members) {
    const std::filesystem::path target = std::filesystem::path(path) / member.name;
    std::error_code failed;
    std::filesystem::create_directories(target.parent_path(), failed);
    if (failed) {
      throw Error("file-unwritable",
                  "cannot make the folder `" + target.parent_path().string() + "`: " + failed.message());
    }
    write_file(target.string(), [&](const ByteSink& sink) {
      sink(as_byte_span(member.head));
      sink({member.tail.bytes(), member.tail.byte_size()});
    });
  }
}

// ustar, with a pax header in front of members that it cannot describe.
class TarWriter {
 public:
  explicit TarWriter(const ByteSink& sink) : sink_(sink) {}

  void add(const ArchiveMember& member) {
    const uint64_t size = member.head.size() + member.tail.byte_size();
    std::string name = member.name, records;
    const bool is_ascii = std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c < 127; });
    if (name.size() > kNameWidth || !is_ascii) {
      records += record("path", name);
      name.resize(std::min(name.size(), kNameWidth));
    }
    if (size > kLargestSize) records += record("size", std::to_string(size));
    if (!records.empty()) {
      header("PaxHeader", records.size(), 'x');
      write(as_byte_span(records));
      pad(records.size());
    }
    header(name, std::min(size, kLargestSize), '0');
    write(as_byte_span(member.head));
    write({member.tail.bytes(), member.tail.byte_size()});
    pad(size);
  }
  void close() { write(as_byte_span(std::string(2 * kBlock, '\0'))); }

 private:
  static constexpr size_t kBlock = 512, kNameWidth = 100;
  static constexpr uint64_t kLargestSize = 077777777777;

  // "LENGTH KEY=VALUE\n", where the length counts itself.
  static std::string record(const std::string& key, const std::string& value) {
    const size_t rest = key.size() + value.size() + 3;
    size_t length = rest + 1;
    while (length != rest + std::to_string(length).size()) length = rest + std::to_string(length).size();
    return std::to_string(length) + " " + key + "=" + value + "\n";
  }

  // Mode 0644, no owner and no time: the same model is the same bytes.
  void header(const std::string& name, uint64_t size, char type) {
    std::string block(kBlock, '\0');
    const auto octal = [&](size_t at, size_t width, uint64_t value) {
      for (size_t i = width - 1; i-- > 0; value /= 8) block[at + i] = static_cast<char>('0' + value % 8);
    };
    block.replace(0, name.size(), name);
    octal(100, 8, 0644);
    octal(108, 8, 0);
    octal(116, 8, 0);
    octal(124, 12, size);
    octal(136, 12, 0);
    block[156] = type;
    block.replace(257, 8, std::string("ustar\00000", 8));
    block.replace(148, 8, "        ");
    uint64_t sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    octal(148, 7, sum);
    write(as_byte_span(block));
  }
  void pad(uint64_t size) {
    write(as_byte_span(std::string(static_cast<size_t>((kBlock - size % kBlock) % kBlock), '\0')));
  }
  void write(ByteSpan bytes) {
    if (!bytes.empty()) sink_(bytes);
  }

  const ByteSink& sink_;
};

// Packs what comes into `sink`.
class GzipSink {
 public:
  explicit GzipSink(const ByteSink& sink) : sink_(sink), buffer_(size_t{1} << 16) {
    constexpr int kGzip = 16, kMemory = 8;
    if (deflateInit2(&zlib_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip + MAX_WBITS, kMemory,
                     Z_DEFAULT_STRATEGY) != Z_OK)
      throw Error("out-of-memory", "cannot start to pack an archive");
  }
  ~GzipSink() { deflateEnd(&zlib_); }
  GzipSink(const GzipSink&) = delete;
  GzipSink& operator=(const GzipSink&) = delete;

  void write(ByteSpan bytes) {
    while (!bytes.empty()) {
      const ByteSpan piece = bytes.first(std::min(bytes.size(), size_t{1} << 30));
      zlib_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(piece.data()));
      zlib_.avail_in = static_cast<uInt>(piece.size());
      while (zlib_.avail_in > 0) step(Z_NO_FLUSH);
      bytes = bytes.subspan(piece.size());
    }
  }
  void close() {
    zlib_.avail_in = 0;
    while (step(Z_FINISH) != Z_STREAM_END) continue;
  }

 private:
  int step(int flush) {
    zlib_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
    zlib_.avail_out = static_cast<uInt>(buffer_.size());
    const int status = deflate(&zlib_, flush);
    const size_t done = buffer_.size() - zlib_.avail_out;
    if (done > 0) sink_({buffer_.data(), done});
    return status;
  }

  const ByteSink& sink_;
  std::vector<std::byte> buffer_;
  z_stream zlib_ = {};
};

}  // namespace

void write_archive(const std::string& path, const std::vector<ArchiveMember>& members, ArchiveForm form) {
  std::vector<ArchiveMember> checked = members;
  std::unordered_set<std::string> names;
  for (ArchiveMember& member : checked) {
    if (normalize_member_name(member.name) != NameFate::good) {
      throw Error("archive-member", "`" + shown_name(member.name) + "` cannot be the name of a member");
    }
    if (!names.insert(member.name).second) {
      throw Error("archive-member", "two members are named `" + shown_name(member.name) + "`");
    }
  }
  if (form == ArchiveForm::automatic) {
    form = has_suffix(path, ".tgz") || has_suffix(path, ".gz") ? ArchiveForm::tgz
           : path == "-" || has_suffix(path, ".tar")           ? ArchiveForm::tar
                                                               : ArchiveForm::folder;
  }
  if (form == ArchiveForm::folder) return write_folder(path, checked);
  const auto write_tar = [&](const ByteSink& sink) {
    TarWriter writer(sink);
    for (const ArchiveMember& member : checked) writer.add(member);
    writer.close();
  };
  write_file(path, [&](const ByteSink& sink) {
    if (form == ArchiveForm::tar) return write_tar(sink);
    GzipSink packed(sink);
    write_tar([&](ByteSpan bytes) { packed.write(bytes); });
    packed.close();
  });
}

}  // namespace nnefrun
